"""What the named learners are: scikit-learn estimators, except least squares.

Each has ``fit(x, y)`` and ``predict(x)``, x (n, p) without constant columns and y (n,). Least squares is written here
because it is fitted fifty times in every call: 0.1 ms instead of 1 ms.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from scipy.optimize import nnls
from scipy.special import expit

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import DataError
from dsl.learners.auto import Fittable, Learner, cross_predict, gold_folds
from dsl.learners.predicted import zero_one
from dsl.learners.ridge import PENALTIES, fit_ridge
from dsl.learners.scaling import Pairs, Standardised, Unit
from dsl.learners.text.rows import Rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

Family = Literal["gaussian", "binomial"]

SPLINE_COLUMNS, PRODUCT_COLUMNS = 30, 12  # columns up to which splines and products are used
KNOTS = 5
CURVED = 0.3  # scale of spline and product columns: with one penalty for all, they are shrunk eleven times as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a builder knows when a learner is fitted."""

    n: int
    p: int
    family: Family
    rarer: int  # rows of the rarer class where gold is 0/1, else 0
    seed: int

    @property
    def classes(self) -> bool:
        """Whether a classifier can be used: fractions of one and gold with more than two values cannot."""
        return self.family == "binomial" and self.rarer >= 2

    @property
    def folds(self) -> int:
        """Number of inner folds, at most five."""
        return min(5, self.rarer if self.classes else self.n)


class Transformer(Protocol):
    """Columns made of others, as by scikit-learn."""

    def fit_transform(self, x: FloatArray) -> FloatArray:
        """Columns of the rows from which means and knots are learnt: (n, p) to (n, q)."""
        ...

    def transform(self, x: FloatArray) -> FloatArray:
        """The same columns of other rows."""
        ...


def varying(x: FloatArray) -> BoolArray:
    """Columns that are not constant (p,): these have no scale, and rounding must not make one."""
    return np.asarray(x.std(axis=0) > 1e-13 * np.abs(x).max(axis=0))


def is_flat(x: FloatArray, y: FloatArray, folds: IntArray, family: str) -> bool:
    """Whether ``"surface"`` is ``"ridge"`` without each fold: too many columns for curves, and the same kind of regression."""
    if x.shape[1] <= SPLINE_COLUMNS:
        return False
    trains = [folds != fold for fold in np.unique(folds)]
    wide = all(int(varying(x[train]).sum()) > SPLINE_COLUMNS for train in trains)
    return wide and (family == "binomial" or not any(zero_one(y[train]) for train in trains))


class Mean:
    """Predict the mean of the labelled rows."""

    def fit(self, x: Rows, y: FloatArray) -> Self:
        """Store the mean of y."""
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: Rows) -> FloatArray:
        """Return the mean for every row."""
        return np.full(len(x), self.mean_)


class LeastSquares:
    """Least squares with an intercept, of minimum norm in standardised columns when they are collinear."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Solve min ||y - a - x b||."""
        centre, scale = x.mean(axis=0), x.std(axis=0)
        self.coef_ = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0] / scale
        self.intercept_ = float(y.mean() - centre @ self.coef_)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return a + x b."""
        return np.asarray(self.intercept_ + x @ self.coef_, dtype=np.float64)


class Isotonic:
    """Isotonic regression of gold values on one column: the least-squares fit that never falls, or never rises, in it.

    The sign of the rank correlation says which. Between labelled rows the fit is a straight line, beyond them constant.
    """

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Pool adjacent violators (Robertson, Wright and Dykstra, *Order restricted statistical inference*, 1988)."""
        from scipy.stats import rankdata
        from sklearn.isotonic import IsotonicRegression

        score, gold = rankdata(x[:, 0]), rankdata(y)
        rises = bool((score - score.mean()) @ (gold - gold.mean()) >= 0.0)
        self.model_ = IsotonicRegression(increasing=rises, out_of_bounds="clip").fit(x[:, 0], y)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the fit at the column."""
        return np.asarray(self.model_.predict(x[:, 0]), dtype=np.float64)


class Logistic:
    """Logistic regression of gold values in [0, 1], fractions included, on columns of a transformer.

    A fraction y counts as y of a row with gold 1 and 1 - y of a row with gold 0.

    Parameters
    ----------
    columns : transformer
        Makes the columns of the model from x.
    c : float
        Prior variance of a coefficient (scikit-learn's ``C``).
    """

    def __init__(self, columns: Transformer, c: float) -> None:
        self.columns = columns
        self.c = c

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Maximise the penalised likelihood."""
        if y.min() < 0 or y.max() > 1:
            raise DataError(
                f"logistic regression needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use sl_method='lm', or family='gaussian' with another learner."
            )
        self.model_ = fit_logistic(self.columns.fit_transform(x), y, self.c)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict the probability of 1: what ``predict_proba`` does after its checks."""
        model = self.model_
        return np.asarray(expit((self.columns.transform(x) @ model.coef_.T + model.intercept_).ravel()))


def fit_logistic(z: FloatArray | csr_matrix, y: FloatArray, c: float) -> LogisticRegression:
    """Penalised logistic regression of y (n,) in [0, 1] on columns z (n, p), with prior variance `c` of a coefficient."""
    from sklearn.linear_model import LogisticRegression

    one, zero = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
    # a fraction is two weighted rows. Rows of 0 and 1 stay single.
    label = np.repeat([1, 0], [len(one), len(zero)])
    weight = np.concatenate([y[one], 1.0 - y[zero]])
    return LogisticRegression(C=c, max_iter=1000).fit(z[np.concatenate([one, zero])], label, weight)


def glm(s: Setting) -> Fittable:
    """Least squares or logistic regression."""
    return logit(s) if s.family == "binomial" else LeastSquares()


def logit(s: Setting) -> Fittable:
    """Maximum likelihood, but for a penalty that keeps coefficients finite where the classes are separated."""
    return Logistic(Standardised(), 1e3)


def ridge(s: Setting) -> Fittable:
    """Ridge regression on standardised features."""
    return _ridge(s, Standardised(), logistic=s.family == "binomial")


def gam(s: Setting) -> Fittable:
    """Ridge regression on features and cubic splines of them."""
    return _ridge(s, _curved(s.p, products=False), logistic=s.family == "binomial")


def surface(s: Setting) -> Fittable:
    """The same with products of pairs of features."""
    return _ridge(s, _curved(s.p, products=True), logistic=s.family == "binomial" or s.rarer > 0)


class Linear:
    """Ridge regression on columns of a transformer, its penalty by leaving one row out."""

    def __init__(self, columns: Transformer) -> None:
        self.columns = columns

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit on rows x (n, p) and values y (n,)."""
        self.model_ = fit_ridge(self.columns.fit_transform(x), y.astype(np.float64), np.asarray(PENALTIES))
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict rows x (m, p): (m,)."""
        return self.model_.predict(self.columns.transform(x))


def is_plain(estimator: Fittable) -> bool:
    """Whether a learner is the ridge on the features as they are, which needs nothing of scikit-learn."""
    return isinstance(estimator, Linear) and isinstance(estimator.columns, Standardised)


def _ridge(s: Setting, columns: Transformer, *, logistic: bool) -> Fittable:
    """Linear: penalty by leave-one-out, in closed form. Logistic: prior variance 4 / p of a coefficient.

    The features together then move the log odds by 2, give or take. Simulated with p = 10 to 768 and n = 200 to 2000,
    that was as good as a penalty by cross-validation.
    """
    return Logistic(columns, 4 / s.p) if logistic else Linear(columns)


def _curved(p: int, *, products: bool) -> Transformer:
    """Features, cubic splines of them and products of pairs, each constant outside the range seen in training."""
    if p > SPLINE_COLUMNS:
        return Standardised()
    return Curved(products=products and p <= PRODUCT_COLUMNS)


class Curved:
    """Columns for curved regressions: features, cubic splines of them and products of pairs.

    The same columns as scikit-learn's ``ColumnTransformer`` with pipelines makes, which takes most of the time of a fit for
    itself.

    Parameters
    ----------
    products : bool
        Whether products of pairs are among the columns.
    """

    def __init__(self, *, products: bool) -> None:
        self.products = products

    def fit_transform(self, x: FloatArray) -> FloatArray:
        """Columns of the rows from which means and knots are learnt: (n, p) to (n, q)."""
        from sklearn.preprocessing import SplineTransformer

        self.inside_ = Unit()
        x = self.inside_.fit_transform(x)
        every = np.ones(x.shape[1], dtype=bool)
        wanted: list[tuple[BoolArray, list[Transformer], float]] = [(every, [Standardised()], 1.0)]
        for knots, suited in (("quantile", _many_values(x)), ("uniform", _some_values(x))):
            spline = SplineTransformer(KNOTS, degree=3, knots=knots, include_bias=False)
            wanted.append((suited, [spline, Standardised()], CURVED))
        if self.products:
            wanted.append((every, [Standardised(), Pairs(), Unit(), Standardised()], CURVED))
        self.parts_ = [part for part in wanted if part[0].any()]
        return self._columns(x, first=True)

    def transform(self, x: FloatArray) -> FloatArray:
        """The same columns of other rows."""
        return self._columns(self.inside_.transform(x), first=False)

    def _columns(self, x: FloatArray, *, first: bool) -> FloatArray:
        out = []
        for places, steps, weight in self.parts_:
            columns = x if places.all() else x[:, places]
            for step in steps:
                columns = step.fit_transform(columns) if first else step.transform(columns)
            out.append(columns if weight == 1.0 else columns * weight)
        return np.hstack(out)


def _many_values(x: FloatArray) -> BoolArray:
    """Which columns, scaled to [0, 1], have quantiles far enough apart to be knots."""
    gaps = np.diff(np.quantile(x, np.linspace(0, 1, KNOTS), axis=0), axis=0)
    return np.asarray((gaps > 1e-6).all(axis=0))


def _some_values(x: FloatArray) -> BoolArray:
    """Which other columns have more than two values: they get evenly spaced knots."""
    several = [np.unique(column).size > 2 for column in x.T]
    return np.logical_and(several, ~_many_values(x))


def _scaled(estimator: Fittable) -> Fittable:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaled: Fittable = make_pipeline(StandardScaler(), estimator)
    return scaled


def glmnet(s: Setting) -> Fittable:
    """Elastic net, penalties by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

    from dsl.learners.elastic import ElasticNet

    if not s.classes:
        return _scaled(ElasticNet(KFold(s.folds, shuffle=True, random_state=s.seed)))
    named = inspect.signature(LogisticRegression).parameters["penalty"].default != "deprecated"
    options = {"penalty": "elasticnet"} if named else {}  # scikit-learn < 1.8 wants it said
    logistic = LogisticRegression(solver="saga", max_iter=2000, random_state=s.seed, **options)
    grid = {"C": np.logspace(-3, 1, 7), "l1_ratio": [0.5, 1.0]}
    folds = StratifiedKFold(s.folds, shuffle=True, random_state=s.seed)
    return _scaled(GridSearchCV(logistic, grid, scoring="neg_brier_score", cv=folds))


def tfidf(s: Setting) -> Fittable:
    """Weighted counts of words and of parts of words, and a ridge."""
    from dsl.learners.text.tfidf import Tfidf

    learner: Fittable = Tfidf(family=s.family)
    return learner


def embedding(s: Setting) -> Fittable:
    """Embeddings by a small model of sentence-transformers, and a ridge."""
    from dsl.learners.text.embedding import Embedding

    learner: Fittable = Embedding("sentence-transformers/all-MiniLM-L6-v2", family=s.family)
    return learner


def forest(s: Setting) -> Fittable:
    """Random forest."""
    from sklearn.ensemble import RandomForestRegressor

    trees: Fittable = RandomForestRegressor(500, min_samples_leaf=5, max_features="sqrt", random_state=s.seed)
    return trees


def honest_forest(s: Setting) -> Fittable:
    """Honest regression forest of the causal forest literature."""
    from econml.grf import RegressionForest

    trees: Fittable = RegressionForest(
        500, min_samples_leaf=5, max_samples=0.5, honest=True, inference=False, n_jobs=1, random_state=s.seed
    )
    return trees


def boosting(s: Setting) -> Fittable:
    """Gradient boosting, slow and shallow enough for a few hundred rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if s.classes else HistGradientBoostingRegressor
    trees: Fittable = kind(
        learning_rate=0.05,
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=max(1, min(10, s.n // 8)),
        early_stopping=False,
        random_state=s.seed,
    )
    return trees


def neighbours(s: Setting) -> Fittable:
    """Ten nearest neighbours."""
    from sklearn.neighbors import KNeighborsRegressor

    return _scaled(KNeighborsRegressor(n_neighbors=min(10, s.n)))


def vector_machine(s: Setting) -> Fittable:
    """Support vectors with radial kernel. Probabilities come from calibration."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    if not s.classes:
        return _scaled(TransformedTargetRegressor(SVR(), transformer=StandardScaler()))
    folds = StratifiedKFold(s.folds, shuffle=True, random_state=s.seed)
    return _scaled(CalibratedClassifierCV(SVC(), cv=folds, ensemble=False))


def network(s: Setting) -> Fittable:
    """One hidden layer of eight."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    options = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 2000}
    if s.classes:
        return _scaled(MLPClassifier(**options, random_state=s.seed))
    network = MLPRegressor(**options, random_state=s.seed)
    return _scaled(TransformedTargetRegressor(network, transformer=StandardScaler()))


class Stack:
    """Weighted average of learners, with weights by non-negative least squares on cross-validated predictions.

    Weights are scaled to sum to one, as in the super learner (van der Laan, Polley and Hubbard 2007). Where every
    weight is zero, the learner with the smallest cross-validated error has weight one.
    """

    def __init__(self, members: Sequence[Callable[[], Learner]], seed: int) -> None:
        self.members = members
        self.seed = seed

    def fit(self, x: Rows, y: FloatArray) -> Self:
        """Find the weights, then fit every learner that has one on all rows."""
        folds = gold_folds(y, 5, self.seed)
        held_out = np.column_stack([cross_predict(new, x, y, folds) for new in self.members])
        self.losses_ = np.mean((held_out - y[:, None]) ** 2, axis=0)
        weights = nnls(held_out, y)[0]
        if weights.sum() <= 0:
            weights = (np.arange(len(weights)) == np.argmin(self.losses_)).astype(np.float64)
        self.weights_ = np.asarray(weights / weights.sum(), dtype=np.float64)
        self.fitted_ = [(w, new().fit(x, y)) for new, w in zip(self.members, self.weights_, strict=True) if w > 0]
        return self

    def predict(self, x: Rows) -> FloatArray:
        """Predict the weighted average."""
        return np.asarray(sum(weight * learner.predict(x) for weight, learner in self.fitted_), dtype=np.float64)
