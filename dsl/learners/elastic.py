"""Elastic net with penalties by cross-validation, whose path ends where the error has long been rising.

Coordinate descent takes most of its time at the smallest penalties, where nearly all columns are in the model (Friedman, Hastie
and Tibshirani, "Regularization paths for generalized linear models via coordinate descent", Journal of Statistical Software 33,
2010). Each path starts from the coefficients at the penalty before. It ends where the penalty is half of the best one so far or
less, and the error is larger than there by two standard errors over the folds: a second, lower minimum beyond that is not
looked for. Otherwise numbers are those of scikit-learn's ``ElasticNetCV``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from dsl._typing import FloatArray, IntArray

RATIOS = (0.1, 0.5, 0.9, 1.0)
"""Shares of the absolute values in the penalty, the rest being squares."""
SMALLEST, STEPS = 1e-3, 100
"""Smallest penalty relative to the largest, which leaves no column in, and number of penalties between them."""
TOGETHER = 5
"""Penalties between two looks at the error."""
PATIENCE, CLEAR = 10, 2.0
"""Penalties after the best one (a factor of two) at which a path may end, and standard errors by which the error has risen."""
ITERATIONS = 20_000


class Splitter(Protocol):
    """What deals rows out to folds, as scikit-learn's ``KFold``."""

    def split(self, x: FloatArray, /) -> Iterator[tuple[IntArray, IntArray]]:
        """Training and held-out rows of each fold."""
        ...


@dataclass(slots=True)
class _Fold:
    """One fold: what is left of the training rows' centred columns, the held-out rows, and where the path stands."""

    x: FloatArray
    y: FloatArray
    gram: FloatArray | bool
    level: float
    new: FloatArray
    """(m, d) held-out rows less the training means."""
    gold: FloatArray
    coef: FloatArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, train: IntArray, held_out: IntArray) -> _Fold:
        """From the rows' numbers."""
        centre, level = x[train].mean(axis=0), float(y[train].mean())
        own = np.asfortranarray(x[train] - centre)
        # products once for all penalties, where there are fewer columns than rows
        gram = own.T @ own if x.shape[1] <= len(y) else False
        return cls(own, y[train] - level, gram, level, x[held_out] - centre, y[held_out], np.zeros(x.shape[1]))

    def errors(self, ratio: float, penalties: FloatArray) -> FloatArray:
        """Mean squared errors of the held-out rows at the next penalties of the path, (c,)."""
        coefs = _path(self.x, self.y, ratio, penalties, self.gram, self.coef)
        self.coef = np.ascontiguousarray(coefs[:, -1])
        return np.asarray(np.mean((self.new @ coefs + self.level - self.gold[:, None]) ** 2, axis=0))


def _path(
    x: FloatArray, y: FloatArray, ratio: float, penalties: FloatArray, gram: FloatArray | bool, start: FloatArray
) -> FloatArray:
    """Coefficients (d, c) at penalties (c,), from centred columns and values."""
    from sklearn.linear_model import enet_path

    options = {"precompute": gram, "coef_init": start, "max_iter": ITERATIONS, "check_input": False}
    if isinstance(gram, np.ndarray):
        options["Xy"] = x.T @ y
    return np.asarray(enet_path(x, y, l1_ratio=ratio, alphas=penalties, **options)[1])


class ElasticNet(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression with a penalty on absolute values and squares of the coefficients.

    Minimises ``sum (y - a - x b)^2 / 2n + penalty (ratio |b|_1 + (1 - ratio) |b|_2^2 / 2)``. Penalty and ratio are those with
    the smallest mean error over the folds.

    Parameters
    ----------
    folds : scikit-learn splitter
        ``split(x)`` yields training and held-out rows.

    Attributes
    ----------
    coef_ : (d,) array
    intercept_ : float
    penalty_, ratio_ : float
        Those chosen.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> ElasticNet(KFold(5)).fit(x, 1.0 + 2.0 * x[:, 0]).coef_.round(1) + 0.0
    array([2., 0., 0.])
    """

    def __init__(self, folds: Splitter) -> None:
        self.folds = folds

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit on rows x (n, d) and values y (n,)."""
        x = np.asarray(x, dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        pairs = list(self.folds.split(x))
        best = np.inf
        for ratio in RATIOS:
            folds = [_Fold.of(x, y, train, held_out) for train, held_out in pairs]
            penalties = _penalties(x, y, ratio)
            errors = _errors(folds, ratio, penalties)
            place = int(np.argmin(errors))
            if errors[place] < best:
                best, self.penalty_, self.ratio_ = float(errors[place]), float(penalties[place]), ratio
        from sklearn.linear_model import ElasticNet as Single

        options = {"precompute": x.shape[1] <= len(y), "max_iter": ITERATIONS}
        model = Single(alpha=self.penalty_, l1_ratio=self.ratio_, **options).fit(x, y)
        self.coef_, self.intercept_ = np.asarray(model.coef_), float(model.intercept_)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict rows x (m, d): (m,)."""
        return np.asarray(self.intercept_ + x @ self.coef_, dtype=np.float64)


def _penalties(x: FloatArray, y: FloatArray, ratio: float) -> FloatArray:
    """From the penalty that leaves no column in, downwards, (c,)."""
    most = float(np.abs((x - x.mean(axis=0)).T @ (y - y.mean())).max(initial=0.0)) / (len(y) * ratio)
    tiny = float(np.finfo(float).resolution)
    return np.full(STEPS, tiny) if most <= tiny else np.geomspace(most, most * SMALLEST, STEPS)


def _errors(folds: list[_Fold], ratio: float, penalties: FloatArray) -> FloatArray:
    """Mean squared error over the folds at the first penalties, until it has clearly been rising."""
    found = np.empty((len(folds), 0))
    for start in range(0, len(penalties), TOGETHER):
        some = penalties[start : start + TOGETHER]
        found = np.hstack([found, [fold.errors(ratio, some) for fold in folds]])
        mean = found.mean(axis=0)
        best = int(np.argmin(mean))
        rise = found[:, -1] - found[:, best]
        if len(mean) > best + PATIENCE and rise.mean() > CLEAR * rise.std(ddof=1) / np.sqrt(len(folds)):
            break
    return np.asarray(mean)
