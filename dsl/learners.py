"""Named learners: a short name, a list of names, or any scikit-learn estimator -> one object to fit.

Every learner made here has ``fit(x, y)`` and ``predict(x)``; a prediction is one number a row, the conditional mean
of the gold value. DSL is valid for any learner because the sampling probabilities are known (DSL-2024, section 4):
a better learner gives narrower intervals, never a different target.

scikit-learn is imported when a learner that needs it is fitted, so that ``import dsl`` stays light.
"""

from __future__ import annotations

import copy
import difflib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from dsl import linear
from dsl._typing import FloatArray, IntArray
from dsl.auto import CANDIDATES, AutoChoice, Learner, choose, cross_predict, gold_folds
from dsl.exceptions import ArgumentError, DataError, EstimationError, MissingDependencyError

Family = Literal["gaussian", "binomial"]

STACK_LIBRARY = ("ridge", "surface", "xgboost")
BLEND_LIBRARY = ("surface", "xgboost")
BLOCK = 20_000  # rows predicted at a time, so that memory does not grow with the number of rows
MANY_ROWS = 1_000_000


# ---------------------------------------------------------------------------------------------------------------
# The table of names
# ---------------------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    build: Callable[[Setting], Any]
    description: str
    aliases: tuple[str, ...] = ()
    requires: str = ""


def _glm(s: Setting) -> Any:
    return linear.logistic() if s.family == "binomial" else linear.LeastSquares()


def _ridge(s: Setting) -> Any:
    return linear.ridge(s.p, logit=s.family == "binomial")


def _gam(s: Setting) -> Any:
    return linear.ridge(s.p, logit=s.family == "binomial", splines=True)


def _surface(s: Setting) -> Any:
    return linear.ridge(s.p, logit=s.family == "binomial" or s.rarer > 0, splines=True, products=True)


def _scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


def _glmnet(s: Setting) -> Any:
    from sklearn.linear_model import ElasticNetCV, LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

    if not s.classes:
        folds = KFold(s.folds, shuffle=True, random_state=s.seed)
        return _scaled(ElasticNetCV(l1_ratio=[0.1, 0.5, 0.9, 1.0], cv=folds, max_iter=20_000))
    named = inspect.signature(LogisticRegression).parameters["penalty"].default != "deprecated"
    options = {"penalty": "elasticnet"} if named else {}  # scikit-learn < 1.8 wants it said
    logistic = LogisticRegression(solver="saga", max_iter=2000, random_state=s.seed, **options)
    grid = {"C": np.logspace(-3, 1, 7), "l1_ratio": [0.5, 1.0]}
    folds = StratifiedKFold(s.folds, shuffle=True, random_state=s.seed)
    return _scaled(GridSearchCV(logistic, grid, scoring="neg_brier_score", cv=folds))


def _forest(s: Setting) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(500, min_samples_leaf=5, max_features="sqrt", random_state=s.seed)


def _honest_forest(s: Setting) -> Any:
    from econml.grf import RegressionForest

    return RegressionForest(
        500, min_samples_leaf=5, max_samples=0.5, honest=True, inference=False, n_jobs=1, random_state=s.seed
    )


def _boosting(s: Setting) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if s.classes else HistGradientBoostingRegressor
    return kind(
        learning_rate=0.05,
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=max(1, min(10, s.n // 8)),
        early_stopping=False,
        random_state=s.seed,
    )


def _neighbours(s: Setting) -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return _scaled(KNeighborsRegressor(n_neighbors=min(10, s.n)))


def _vector_machine(s: Setting) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    if not s.classes:
        return _scaled(TransformedTargetRegressor(SVR(), transformer=StandardScaler()))
    folds = StratifiedKFold(s.folds, shuffle=True, random_state=s.seed)
    return _scaled(CalibratedClassifierCV(SVC(), cv=folds, ensemble=False))


def _network(s: Setting) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    options = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 2000}
    if s.classes:
        return _scaled(MLPClassifier(**options, random_state=s.seed))
    network = MLPRegressor(**options, random_state=s.seed)
    return _scaled(TransformedTargetRegressor(network, transformer=StandardScaler()))


def _stack(s: Setting) -> Any:
    return Stack(STACK_LIBRARY, family=s.family, seed=s.seed)


def _blend(s: Setting) -> Any:
    return Stack(BLEND_LIBRARY, family=s.family, seed=s.seed, weights=(0.5, 0.5))


def _auto(s: Setting) -> Any:
    return _Auto(s.family, s.seed)


_ENTRIES = (
    _Entry("auto", _auto, "one of ridge, surface, blend, xgboost: chosen once by cross-validation"),
    _Entry("lm", lambda s: linear.LeastSquares(), "least squares"),
    _Entry("glm", _glm, "least squares (gaussian), logistic regression (binomial)"),
    _Entry(
        "logit",
        lambda s: linear.logistic(),
        "logistic regression of gold values in [0, 1], whatever the family",
        ("logistic",),
    ),
    _Entry("mean", lambda s: linear.Mean(), "the mean of the labelled rows"),
    _Entry("ridge", _ridge, "ridge regression, penalty by leave-one-out (binomial: ridge logistic)"),
    _Entry("glmnet", _glmnet, "elastic net, penalty by cross-validation"),
    _Entry("gam", _gam, "ridge regression on cubic splines of each feature"),
    _Entry("surface", _surface, "gam plus products of pairs; 0/1 gold on the logit scale", ("response_surface",)),
    _Entry("ranger", _forest, "random forest of 500 trees", ("randomForest", "rf")),
    _Entry("grf", _honest_forest, "honest regression forest of 500 trees", ("regression_forest",), "econml"),
    _Entry("xgboost", _boosting, "gradient boosting set for small labelled samples (scikit-learn's)", ("gbm",)),
    _Entry("knn", _neighbours, "ten nearest neighbours"),
    _Entry("svm", _vector_machine, "support vector machine with radial kernel", ("ksvm",)),
    _Entry("nnet", _network, "neural network with one hidden layer of eight", ("mlp",)),
    _Entry("blend", _blend, "equal average of surface and xgboost"),
    _Entry("stack", _stack, "ridge, surface and xgboost, weights by non-negative least squares"),
)


def _key(name: str) -> str:
    return name.strip().removeprefix("SL.").replace("_", "").replace(".", "").casefold()


_BY_NAME = {_key(name): entry for entry in _ENTRIES for name in (entry.name, *entry.aliases)}


def _entry(name: str) -> _Entry:
    found = _BY_NAME.get(_key(name))
    if found is None:
        valid = [entry.name for entry in _ENTRIES]
        near = difflib.get_close_matches(_key(name), list(_BY_NAME), n=1, cutoff=0.5)
        hint = f" Did you mean {_BY_NAME[near[0]].name!r}?" if near else ""
        raise ArgumentError(f"unknown sl_method {name!r}.{hint} Valid names: {', '.join(valid)}.")
    return found


def available_method() -> pd.DataFrame:
    """List the learners that ``sl_method`` knows by name.

    Returns
    -------
    pandas.DataFrame
        One row a learner: ``method``, ``aliases``, ``description``, ``requires`` (an extra package, or empty). Names
        may carry R's prefix: ``"SL.glmnet"`` is ``"glmnet"``.

    Examples
    --------
    >>> from dsl.learners import available_method
    >>> available_method().loc[:2, "method"].tolist()
    ['auto', 'lm', 'glm']
    """
    rows = [(e.name, ", ".join(e.aliases), e.description, e.requires) for e in _ENTRIES]
    return pd.DataFrame(rows, columns=["method", "aliases", "description", "requires"])


# ---------------------------------------------------------------------------------------------------------------
# Wrappers: one behaviour for names, scikit-learn estimators, factories and stacks
# ---------------------------------------------------------------------------------------------------------------


def _zero_one(y: FloatArray) -> bool:
    return bool(np.all((y == 0.0) | (y == 1.0)))


def _probability_or_value(estimator: Any, x: FloatArray, name: str) -> FloatArray:
    if _is_classifier(estimator):
        column = list(estimator.classes_).index(1)
        out = np.asarray(estimator.predict_proba(x), dtype=np.float64)[:, column]
    else:
        out = np.asarray(estimator.predict(x), dtype=np.float64)
        if out.shape not in {(len(x),), (len(x), 1)}:
            raise ArgumentError(
                f"{name} predicted an array of shape {out.shape} for {len(x)} rows; one number a row is needed"
            )
        out = out.reshape(len(x))
    missing = np.count_nonzero(~np.isfinite(out))
    if missing:
        raise EstimationError(
            f"{name} predicted missing or infinite values for {missing} of {len(x)} rows; use another learner, "
            "or rescale the features"
        )
    return out


def _check_classifier(estimator: Any, y: FloatArray, name: str) -> None:
    if not _zero_one(y):
        found = ", ".join(f"{value:g}" for value in np.unique(y)[:5])
        raise ArgumentError(
            f"{name} is a classifier, but the gold values are not 0/1 (found {found}, ...); use a regressor"
        )
    if not hasattr(estimator, "predict_proba"):
        raise ArgumentError(
            f"the classifier {name} has no predict_proba; wrap it in sklearn.calibration.CalibratedClassifierCV, "
            "or use a regressor"
        )


def _is_classifier(estimator: Any) -> bool:
    if type(estimator).__module__.startswith("dsl."):
        return False
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except (AttributeError, TypeError):  # not a scikit-learn object
        return hasattr(estimator, "predict_proba")


@cache
def _thread_pools(scikit_learn: bool) -> Any:
    """Controller of the thread pools loaded so far."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    if scikit_learn:
        importlib.import_module("sklearn.ensemble")  # brings its own
    return ThreadpoolController()


@contextmanager
def _calm(estimator: Any, threads: int | None) -> Iterator[None]:
    """Limit threads; say nothing of an iterative learner stopped at its limit (slightly worse, never wrong)."""
    light = isinstance(estimator, linear.LeastSquares | linear.Mean | Stack | _Auto)
    with _thread_pools(not light).limit(limits=threads), warnings.catch_warnings():
        if not light:
            from sklearn.exceptions import ConvergenceWarning

            warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass
class _Fitted:
    """A learner with the common behaviour: constant gold and features, classes, limits, seeds, threads."""

    name: str
    build: Callable[[Setting], Any]
    family: Family
    seed: int
    named: bool  # one of our names: an estimator of the user keeps its own ways

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit on labelled rows x (n, p), y (n,)."""
        if self.family == "binomial" and (y.min() < 0.0 or y.max() > 1.0):
            raise DataError(
                f"family='binomial' needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use family='gaussian', or rescale them."
            )
        if self.named:
            self.varies_ = x.std(axis=0) > 1e-13 * np.abs(x).max(axis=0)
        x = self._columns(x)
        if len(y) < 2 or x.shape[1] == 0 or y.min() == y.max():
            self.estimator_: Any = linear.Mean().fit(x, y)
            return self
        rarer = int(min(y.sum(), len(y) - y.sum())) if _zero_one(y) else 0
        setting = Setting(n=len(y), p=x.shape[1], family=self.family, rarer=rarer, seed=self.seed)
        self.estimator_ = self.build(setting)
        classes = _is_classifier(self.estimator_)
        if classes:
            _check_classifier(self.estimator_, y, self.name)
        with _calm(self.estimator_, self._threads(len(y))):
            self.estimator_.fit(x, y.astype(np.int64) if classes else y)
        return self

    def _columns(self, x: FloatArray) -> FloatArray:
        return x[:, self.varies_] if self.named and not self.varies_.all() else x

    def _threads(self, rows: int) -> int | None:
        """One thread for small work with learners of ours.

        A second gains nothing below some thousand rows, and where other processes share the cores it waits for them
        in every parallel region: a 40 ms boosting fit then took 1.7 s (measured).
        """
        return 1 if self.named and rows <= BLOCK else None

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict rows x (m, p): an array (m,)."""
        step = BLOCK if self.named else max(len(x), 1)
        parts = [np.zeros(0)]
        with _calm(self.estimator_, self._threads(len(x))):
            for start in range(0, len(x), step):
                block = self._columns(x[start : start + step])
                parts.append(_probability_or_value(self.estimator_, block, self.name))
        out = np.concatenate(parts)
        return np.clip(out, 0.0, 1.0) if self.family == "binomial" else out


class Stack:
    """Weighted average of learners; weights by non-negative least squares on cross-validated predictions.

    Weights are scaled to sum to one, as in the super learner (van der Laan, Polley and Hubbard 2007). Where every
    weight is zero, the member with the smallest cross-validated error has weight one.
    """

    def __init__(
        self, members: Sequence[Any], *, family: Family, seed: int, weights: Sequence[float] | None = None
    ) -> None:
        self.members = tuple(members)
        self.family = family
        self.seed = seed
        self.weights = weights

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Find the weights, then fit every member on all rows."""
        self.weights_ = self._weights(x, y) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        self.fitted_ = [
            self._new(m).fit(x, y) if w > 0 else None for m, w in zip(self.members, self.weights_, strict=True)
        ]
        return self

    def _new(self, member: Any) -> Learner:
        return make_learner(member, family=self.family, seed=self.seed)

    def _weights(self, x: FloatArray, y: FloatArray) -> FloatArray:
        folds = gold_folds(y, 5, self.seed)
        held_out = np.column_stack([cross_predict(partial(self._new, m), x, y, folds) for m in self.members])
        self.losses_ = np.mean((held_out - y[:, None]) ** 2, axis=0)
        weights = nnls(held_out, y)[0]
        if weights.sum() <= 0:
            weights = (np.arange(len(self.members)) == np.argmin(self.losses_)).astype(np.float64)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict the weighted average."""
        parts = [w * f.predict(x) for w, f in zip(self.weights_, self.fitted_, strict=True) if f is not None]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def _set_seeds(estimator: Any, seed: int) -> Any:
    """Set every nested ``random_state`` that is None."""
    if not hasattr(estimator, "get_params"):
        return estimator
    params = estimator.get_params(deep=True)
    unset = {k: seed for k, v in params.items() if k.split("__")[-1] == "random_state" and v is None}
    estimator.set_params(**unset)
    for value in params.values():  # cross-validation splitters are not estimators
        if not hasattr(value, "get_params") and getattr(value, "shuffle", False) and value.random_state is None:
            value.random_state = seed
    return estimator


def _kind(sl_method: Any) -> str:
    if isinstance(sl_method, str):
        return "name"
    if isinstance(sl_method, list | tuple):
        return "list"
    if not isinstance(sl_method, type) and hasattr(sl_method, "fit") and hasattr(sl_method, "predict"):
        return "estimator"
    if callable(sl_method):
        return "factory"
    raise ArgumentError(
        f"sl_method must be a name, a list of names, a scikit-learn estimator or a function that returns one; "
        f"found {type(sl_method).__name__}"
    )


def check_method(sl_method: Any, family: str) -> None:
    """Raise early for a learner or family that cannot be used.

    Parameters
    ----------
    sl_method : str, list, estimator or callable
        As in ``dsl.dsl``.
    family : {"gaussian", "binomial"}
        As in ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        Unknown name or family, or an object without ``fit`` and ``predict``.
    MissingDependencyError
        The learner needs an extra package that is not installed.

    Examples
    --------
    >>> from dsl.learners import check_method
    >>> check_method("lm", "gaussian")
    >>> check_method("rangr", "gaussian")
    Traceback (most recent call last):
    ...
    dsl.exceptions.ArgumentError: unknown sl_method 'rangr'. Did you mean 'ranger'? Valid names: auto, lm, ...
    """
    if family not in get_args(Family):
        raise ArgumentError(f"family must be 'gaussian' or 'binomial'; found {family!r}")
    kind = _kind(sl_method)
    if kind == "list":
        if not sl_method:
            raise ArgumentError("sl_method is an empty list; name at least one learner")
        for member in sl_method:
            check_method(member, family)
    elif kind == "factory":
        try:
            made = sl_method()
        except TypeError as error:
            raise ArgumentError(f"sl_method could not be called without arguments: {error}") from error
        if not (hasattr(made, "fit") and hasattr(made, "predict")):
            raise ArgumentError(f"sl_method() returned {type(made).__name__}, which has no fit and predict")
    elif kind == "name":
        entry = _entry(sl_method)
        if entry.requires and importlib.util.find_spec(entry.requires) is None:
            raise MissingDependencyError(
                f"sl_method={sl_method!r} needs the package {entry.requires!r}, which is not installed: "
                f'pip install "dsl[{entry.name}]"'
            )


def method_label(sl_method: Any) -> str:
    """Short text that names the learner in a summary.

    Examples
    --------
    >>> from dsl.learners import method_label
    >>> method_label("SL.glmnet")
    'glmnet'
    >>> method_label(["lm", "gam"])
    'stack(lm, gam)'
    """
    kind = _kind(sl_method)
    if kind == "name":
        return _entry(sl_method).name
    if kind == "list":
        return f"stack({', '.join(method_label(member) for member in sl_method)})"
    if kind == "factory":
        return str(getattr(sl_method, "__name__", type(sl_method).__name__))
    steps = getattr(sl_method, "steps", None)
    return type(steps[-1][1] if steps else sl_method).__name__


def make_learner(sl_method: Any, *, family: str = "gaussian", seed: int = 0) -> Learner:
    """Make an unfitted learner.

    Parameters
    ----------
    sl_method : str, list, estimator or callable
        A name (see ``available_method``); a list of names or estimators, stacked; a scikit-learn regressor, classifier
        or pipeline, which is copied; or a function of no argument that returns one.
    family : {"gaussian", "binomial"}
        Binomial: gold values in [0, 1], predictions within [0, 1].
    seed : int
        Given to every ``random_state`` left at None.

    Returns
    -------
    Learner
        ``fit(x, y)`` with x (n, p) and y (n,); ``predict(x)`` returns an array (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from dsl.learners import make_learner
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> make_learner("lm").fit(x, 1.0 + 2.0 * x[:, 0]).predict(np.array([[10.0]])).round(6)
    array([21.])
    """
    check_method(sl_method, family)
    known: Family = "binomial" if family == "binomial" else "gaussian"
    kind = _kind(sl_method)
    builders: dict[str, Callable[[Any, Setting], Any]] = {
        "name": _build_named, "list": _build_list, "factory": _build_made, "estimator": _build_copy
    }  # fmt: skip
    build = builders[kind]
    return _Fitted(method_label(sl_method), partial(build, sl_method), known, seed, kind == "name")


def _build_named(name: str, s: Setting) -> Any:
    return _entry(name).build(s)


def _build_list(members: Sequence[Any], s: Setting) -> Any:
    return Stack(members, family=s.family, seed=s.seed)


def _build_made(factory: Callable[[], Any], s: Setting) -> Any:
    return _set_seeds(factory(), s.seed)


def _build_copy(estimator: Any, s: Setting) -> Any:
    from sklearn.base import clone

    own = clone(estimator) if hasattr(estimator, "get_params") else copy.deepcopy(estimator)
    return _set_seeds(own, s.seed)


# ---------------------------------------------------------------------------------------------------------------
# The automatic choice
# ---------------------------------------------------------------------------------------------------------------

# Why these four. Mean squared distance to the known E[gold | features], seven features (benchmarks/learners.py: 5 draws
# at n = 500, 2 at n = 5000; binary gold x 1000, continuous gold x 100):
#
#     n     truth          auto   ridge  surface  blend  xgboost    lm    gam  ranger
#     500   curved         22.0    63.0     22.0   24.2     39.9  64.9   43.5    33.2
#           curved + llm   19.0    34.3     19.0   19.7     29.4  34.0   28.1    23.8
#           appendix E      8.3    10.5      7.5    8.7     14.7  12.9   10.5    14.2
#           rules          30.2    49.9     40.3   30.2     37.1  51.1   42.1    27.0
#           linear          3.9     3.9      4.3    9.5     24.8   4.1    4.2    15.5
#           llm + noise     1.7     1.7      2.0    3.4      8.3   1.6    1.8     9.1
#           continuous     44.8   247.0     44.8   51.1     96.4 248.4  139.5   116.2
#           cont. rules    53.3   114.9     71.2   53.4     55.5 115.6   80.3    59.5
#           cont. linear    3.2     3.2      4.1   11.0     29.6   3.2    3.7    26.1
#     5000  curved          2.9    58.1      2.9    5.4     14.4  58.9   28.7
#           appendix E      1.9     7.9      1.9    2.1      4.3  12.1    7.0
#           rules           9.4    46.7     17.3   11.2      9.4  46.7   23.5
#           linear          0.5     0.3      0.5    1.7      5.0   0.8    0.4
#           continuous      9.3   232.8      9.3   18.7     52.4 232.8  115.2
#           cont. rules    14.7   111.9     39.1   21.6     14.7 112.0   56.7
#
# Against the gold labels themselves "auto" was never more than 2.7% above the best (appendix E, n = 500). Taking the
# plain minimum instead of the one-standard-error rule gave 30% above the best for "llm + noise" at n = 500. A random
# forest was best once (rules, n = 500, by 11%) and costs several times the time. Whole calls (choice, 50 fits, a million
# predictions): 2-3 CPU seconds where ridge or surface is chosen, 7-9 with blend or xgboost.


def choose_auto(
    x: FloatArray,
    y: FloatArray,
    *,
    family: str,
    seed: int,
    groups: IntArray | None = None,
    n_rows: int | None = None,
) -> AutoChoice:
    """Choose a learner by five-fold cross-validation on the labelled rows.

    The first of ridge, surface, blend and xgboost whose squared error is within one standard error of the smallest.
    Where the features take so few values that a linear or response surface model fits every one, nothing is compared.

    Parameters
    ----------
    x, y : ndarray
        Features (n, p) and gold values (n,) of the labelled rows.
    family : {"gaussian", "binomial"}
        As in ``make_learner``.
    seed : int
        Draws the folds and seeds the candidates.
    groups : ndarray, optional
        Cluster of each row (n,): whole clusters are held out.
    n_rows : int, optional
        Rows to be predicted later; above a million, tree learners (about 5 seconds per million predictions) are left
        out, and the reason says so.

    Returns
    -------
    AutoChoice
        Method, cross-validated mean squared error of each candidate (empty where there was nothing to choose), reason.

    Examples
    --------
    >>> import numpy as np
    >>> from dsl.learners import choose_auto
    >>> surrogate = np.repeat([0.0, 1.0], 50)[:, None]
    >>> choose_auto(surrogate, 1.0 - surrogate[:, 0], family="gaussian", seed=1).method
    'lm'
    """
    folds = gold_folds(y, 5, seed, groups)
    many = n_rows is not None and n_rows > MANY_ROWS
    candidates = CANDIDATES[:2] if many else CANDIDATES
    make = {name: partial(make_learner, name, family=family, seed=seed) for name in candidates}
    choice = choose(make, x, y, folds, groups)
    if many and choice.losses:
        return replace(choice, reason=f"{choice.reason}; trees left out because {n_rows:,} rows are predicted")
    return choice


class _Auto:
    """``"auto"`` inside a stack or on its own: choose, then fit."""

    def __init__(self, family: Family, seed: int) -> None:
        self.family = family
        self.seed = seed

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Choose on these rows and fit."""
        self.choice_ = choose_auto(x, y, family=self.family, seed=self.seed)
        self.learner_ = make_learner(self.choice_.method, family=self.family, seed=self.seed).fit(x, y)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict with the chosen learner."""
        return self.learner_.predict(x)
