"""Linear and logistic regressions: least squares in numpy, all else put together from scikit-learn.

Each has ``fit(x, y)`` and ``predict(x)``, x (n, p) and y (n,). Least squares is written here because it is fitted fifty
times in every call: 0.1 ms instead of 1 ms. No column of x may be constant.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.exceptions import DataError

SPLINE_COLUMNS, PRODUCT_COLUMNS = 30, 12  # columns up to which splines and products are used
KNOTS = 5
CURVED = 0.3  # scale of spline and product columns: with one penalty for all, they are shrunk eleven times as much


class Mean:
    """Predict the mean of the labelled rows."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Store the mean of y."""
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the mean for every row."""
        return np.full(len(x), self.mean_)


class LeastSquares:
    """Least squares with an intercept; of minimum norm in standardised columns when they are collinear."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Solve min ||y - a - x b||."""
        centre, scale = x.mean(axis=0), x.std(axis=0)
        self.coef_ = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0] / scale
        self.intercept_ = float(y.mean() - centre @ self.coef_)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return a + x b."""
        return np.asarray(self.intercept_ + x @ self.coef_, dtype=np.float64)


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

    def __init__(self, columns: Any, c: float) -> None:
        self.columns = columns
        self.c = c

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Maximise the penalised likelihood."""
        from sklearn.linear_model import LogisticRegression

        if y.min() < 0 or y.max() > 1:
            raise DataError(
                f"logistic regression needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use sl_method='lm', or family='gaussian' with another learner."
            )
        z = self.columns.fit_transform(x)
        one, zero = y > 0, y < 1
        label = np.repeat([1, 0], [one.sum(), zero.sum()])
        weight = np.concatenate([y[one], 1.0 - y[zero]])
        self.model_ = LogisticRegression(C=self.c, max_iter=1000).fit(np.vstack([z[one], z[zero]]), label, weight)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict the probability of 1."""
        return np.asarray(self.model_.predict_proba(self.columns.transform(x))[:, 1], dtype=np.float64)


def logistic() -> Logistic:
    """Maximum likelihood, but for a penalty that keeps coefficients finite where the classes are separated."""
    from sklearn.preprocessing import StandardScaler

    return Logistic(StandardScaler(), 1e3)


def ridge(p: int, *, logit: bool, splines: bool = False, products: bool = False) -> Any:
    """Ridge regression on p standardised features, optionally with splines of them and products of pairs.

    Linear: penalty by leave-one-out, in closed form. Logistic: prior variance 4 / p, so that the features together move
    the log odds by 2, give or take; as good as a penalty by cross-validation for p = 10 to 768, n = 200 to 2000.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splines, products = splines and p <= SPLINE_COLUMNS, products and p <= PRODUCT_COLUMNS
    columns = _curved(products) if splines else StandardScaler()
    return Logistic(columns, 4 / p) if logit else make_pipeline(columns, RidgeCV(np.logspace(-1, 4, 16)))


def _curved(products: bool) -> Any:
    """Features, cubic splines of them and products of pairs; constant outside the range seen in training."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, SplineTransformer, StandardScaler

    every = slice(0, None)
    parts: list[tuple[str, Any, Any]] = [("linear", StandardScaler(), every)]
    for knots, suited in (("quantile", _many_values), ("uniform", _some_values)):
        spline = SplineTransformer(KNOTS, degree=3, knots=knots, include_bias=False)
        parts.append((knots, make_pipeline(spline, StandardScaler()), suited))
    if products:
        pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False)
        parts.append(("products", make_pipeline(StandardScaler(), pairs, StandardScaler()), every))
    weights = dict.fromkeys(("quantile", "uniform", "products"), CURVED)
    return make_pipeline(MinMaxScaler(clip=True), ColumnTransformer(parts, transformer_weights=weights))


def _many_values(x: FloatArray) -> BoolArray:
    """Which columns, scaled to [0, 1], have quantiles far enough apart to be knots."""
    gaps = np.diff(np.quantile(x, np.linspace(0, 1, KNOTS), axis=0), axis=0)
    return np.asarray((gaps > 1e-6).all(axis=0))


def _some_values(x: FloatArray) -> BoolArray:
    """Which other columns have more than two values: they get evenly spaced knots."""
    return ~_many_values(x) & np.array([np.unique(column).size > 2 for column in x.T])
