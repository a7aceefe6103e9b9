"""What ``sl_method="auto"`` is made of: our own linear learners, and the choice among candidates.

They are written here, on numpy alone, because they are fitted fifty times in every call: a fit takes 0.2 ms (least
squares) to 15 ms (a surface of seven features on 400 rows), and the penalties need no cross-validation. Each has
``fit(x, y)`` and ``predict(x)``, x (n, p) and y (n,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from scipy.special import expit

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import DataError

BLOCK = 20_000  # rows predicted at a time, so that memory does not grow with the number of rows


class Learner(Protocol):
    """What the rest of the package needs from a learner."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Learn from labelled rows: x (n, p), y (n,)."""
        ...

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict rows x (m, p): an array (m,)."""
        ...


def _centre_and_scale(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Column means and standard deviations; a constant column has infinite scale, so that it becomes 0."""
    centre = x.mean(axis=0)
    scale = x.std(axis=0)
    constant = scale <= 1e-13 * np.abs(x).max(axis=0)
    return centre, np.where(constant, np.inf, scale)


class Mean:
    """Predict the mean of the labelled rows."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Store the mean of y."""
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the mean for every row."""
        return np.full(x.shape[0], self.mean_)


class LeastSquares:
    """Least squares with an intercept; of minimum norm in standardised columns when they are collinear."""

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Solve min ||y - a - x b||; constant columns have coefficient 0."""
        centre, scale = _centre_and_scale(x)
        coef = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0]
        self.coef_ = coef / scale
        self.intercept_ = float(y.mean() - centre @ self.coef_)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Return a + x b."""
        out: FloatArray = self.intercept_ + x @ self.coef_
        return out


class Basis:
    """Standardised columns; optionally natural cubic splines of them, and products of pairs of them.

    Splines: Hastie, Tibshirani and Friedman (2009), eq. 5.4-5.5, beyond the linear term. Splines and products stay
    constant outside the inner range seen in training, so that one odd row cannot send a prediction far away.

    ``groups_`` (q,) numbers the kinds of column that ``transform`` returns: linear, then curved, then products (a kind
    without columns is left out).
    """

    def __init__(self, *, splines: bool, pairs: bool) -> None:
        self.splines = splines
        self.pairs = pairs

    def fit(self, x: FloatArray) -> Self:
        """Learn centres, scales and knots."""
        self.centre_, self.scale_ = _centre_and_scale(x)
        linear = (x - self.centre_) / self.scale_
        self.low_, self.high_ = _inner_range(linear)
        self.knots_ = [self._knots(column) if self.splines else np.zeros(0) for column in linear.T]
        blocks = self._blocks(linear)
        self.scales_ = [_centre_and_scale(block) for block in blocks]
        self.groups_ = np.repeat(np.arange(len(blocks) + 1), [x.shape[1], *(b.shape[1] for b in blocks)])
        return self

    @staticmethod
    def _knots(column: FloatArray) -> FloatArray:
        """Interior quantiles, or every value where there are at most six (the spline then fits each exactly)."""
        knots = np.unique(column)
        if knots.size > 6:
            knots = np.unique(np.quantile(column, np.linspace(0.03, 0.97, 4 if column.size < 100 else 6)))
        return np.asarray(knots if knots.size >= 3 else np.zeros(0), dtype=np.float64)

    def _blocks(self, linear: FloatArray) -> list[FloatArray]:
        """Curved and product columns, not yet standardised."""
        inside = np.clip(linear, self.low_, self.high_)
        curved = [_natural_spline(u, knots) for u, knots in zip(inside.T, self.knots_, strict=True) if knots.size]
        blocks = [np.hstack(curved)] if curved else []
        if self.pairs and inside.shape[1] > 1:
            left, right = np.triu_indices(inside.shape[1], k=1)
            blocks.append(inside[:, left] * inside[:, right])
        return blocks

    def transform(self, x: FloatArray) -> FloatArray:
        """Return the columns (m, q)."""
        linear = (x - self.centre_) / self.scale_
        blocks = self._blocks(linear)
        return np.hstack([linear, *((b - c) / s for b, (c, s) in zip(blocks, self.scales_, strict=True))])


def _inner_range(linear: FloatArray) -> FloatArray:
    """Limits (2, p): 1st and 99th percentile of columns with many values, else minimum and maximum."""
    low, high = np.quantile(linear, [0.01, 0.99], axis=0)
    many = np.array([np.unique(column).size > 6 for column in linear.T]) & (high > low)
    return np.where(many, [low, high], [linear.min(axis=0), linear.max(axis=0)])


def _natural_spline(u: FloatArray, knots: FloatArray) -> FloatArray:
    """Natural cubic spline terms of u (m,) beyond the linear one: (m, len(knots) - 2)."""
    width = knots[-1] - knots[0]
    unit = (knots - knots[0]) / width
    cubes = np.maximum(((u - knots[0]) / width)[:, None] - unit, 0.0)
    cubes = cubes * cubes * cubes
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (unit[-1] - unit[:-1])
    out: FloatArray = slopes[:, :-1] - slopes[:, -1:]
    return out


class PenalisedGLM:
    """Linear or logistic regression with ridge penalties, one a group of columns, found by maximum evidence.

    Maximises  loglik(a + z b) / s2 - sum_j (penalty_j / 2) ||b_j||^2  by Newton's method, z standardised, groups j =
    linear, curved, product columns. After each step

        penalty_j = edf_j / ||b_j||^2,   edf_j = q_j - penalty_j tr(H^-1)_jj,   s2 = RSS / (n - 1 - sum_j edf_j),

    H the Hessian: the evidence updates of MacKay (1992, "Bayesian interpolation"), REML in spline language. A group
    that carries nothing is shrunk away.

    Parameters
    ----------
    link : {"identity", "logit"}
        Logit takes any y in [0, 1], fractions included; s2 is then 1.
    penalty : float, optional
        A fixed penalty instead.
    splines, pairs : bool
        Add natural cubic splines of columns with three or more distinct values; products of pairs of columns.
    """

    def __init__(self, link: str, *, penalty: float | None = None, splines: bool = False, pairs: bool = False) -> None:
        self.link = link
        self.penalty = penalty
        self.splines = splines
        self.pairs = pairs

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit coefficients and penalties."""
        if self.link == "logit" and (y.min() < 0 or y.max() > 1):
            raise DataError(
                f"logistic regression needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use sl_method='lm', or family='gaussian' with another learner."
            )
        self.basis_ = Basis(splines=self.splines, pairs=self.pairs).fit(x)
        z = self.basis_.transform(x)
        groups, rotation = self.basis_.groups_, None
        if z.shape[1] > len(y) and groups.max() == 0:  # one penalty: only the row space of z matters
            rotation = np.linalg.svd(z, full_matrices=False)[2].T
            z, groups = z @ rotation, groups[: rotation.shape[1]]
        shift, unit = (y.mean(), y.std() or 1.0) if self.link == "identity" else (0.0, 1.0)
        coef = self._climb(np.column_stack([np.ones(len(y)), z]), (y - shift) / unit, groups)
        slopes = coef[1:] if rotation is None else rotation @ coef[1:]
        self.coef_, self.intercept_ = unit * slopes, float(shift + unit * coef[0])
        return self

    def _climb(self, z: FloatArray, y: FloatArray, groups: IntArray) -> FloatArray:
        """Alternate Newton steps and penalty updates until both settle: coefficients (1 + q,)."""
        member = groups == np.arange(groups.max() + 1)[:, None]
        penalties = np.full(len(member), 1.0 if self.penalty is None else self.penalty)
        coef, s2, settled = np.zeros(z.shape[1]), 1.0, True
        gram = z.T @ z if self.link == "identity" else None
        for _ in range(40):
            ridge = np.concatenate([[1e-9], penalties[groups]])
            step, inverse = self._newton(z, y, coef, ridge, s2, gram)
            coef = coef + step
            if self.penalty is None:
                before = penalties
                penalties, edf = _evidence(member, penalties, np.diag(inverse)[1:], coef[1:])
                settled = bool(np.all((np.abs(np.log(penalties / before)) < 0.02) | (edf < 0.1)))
                if self.link == "identity":
                    s2 = max(float(np.sum((y - z @ coef) ** 2)) / max(len(y) - 1 - edf.sum(), 1.0), 1e-8)
            if settled and np.abs(step).max() < 1e-4:
                break
        self.penalties_ = penalties
        return coef

    def _newton(
        self, z: FloatArray, y: FloatArray, coef: FloatArray, ridge: FloatArray, s2: float, gram: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """One Newton step, halved while it does not improve, and the inverse Hessian."""
        eta = z @ coef
        mu = self._mean(eta)
        product = gram if gram is not None else (z * (mu * (1.0 - mu))[:, None]).T @ z
        inverse = np.asarray(np.linalg.inv(product / s2 + np.diag(ridge)), dtype=np.float64)
        step: FloatArray = inverse @ (z.T @ (y - mu) / s2 - ridge * coef)
        if self.link == "logit":
            value, along = self._loss(eta, y, coef, ridge), z @ step
            for _ in range(20):
                if self._loss(eta + along, y, coef + step, ridge) <= value + 1e-9:
                    break
                step, along = step / 2.0, along / 2.0
        return step, inverse

    @staticmethod
    def _loss(eta: FloatArray, y: FloatArray, coef: FloatArray, ridge: FloatArray) -> float:
        return float(np.sum(np.logaddexp(0.0, eta) - y * eta) + 0.5 * (ridge @ coef**2))

    def _mean(self, eta: FloatArray) -> FloatArray:
        return np.asarray(expit(eta), dtype=np.float64) if self.link == "logit" else eta

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict the mean: a + z b, or its logistic transform."""
        parts = [self.basis_.transform(x[i : i + BLOCK]) @ self.coef_ for i in range(0, len(x), BLOCK)]
        return self._mean(self.intercept_ + np.concatenate(parts)) if parts else np.zeros(0)


def _evidence(
    member: BoolArray, penalties: FloatArray, variances: FloatArray, coef: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """New penalties (groups,) and effective degrees of freedom (groups,); ``member`` is (groups, q)."""
    edf = np.array([m.sum() - a * variances[m].sum() for m, a in zip(member, penalties, strict=True)])
    power = np.array([coef[m] @ coef[m] for m in member])
    new = np.divide(edf, power, out=np.full(len(edf), np.inf), where=(edf > 1e-6) & (power > 0.0))
    return np.clip(new, 1e-2, 1e7), edf


def gold_folds(y: FloatArray, k: int, seed: int, groups: IntArray | None = None) -> IntArray:
    """Fold ids (n,), balanced over sorted gold values; whole groups together when given."""
    rng = np.random.default_rng(seed)
    if groups is not None:
        labels, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        of_label = np.empty(len(labels), dtype=np.int64)
        of_label[np.lexsort((rng.random(len(labels)), -sizes))] = np.arange(len(labels)) % min(k, len(labels))
        return np.asarray(of_label[codes])
    k = min(k, len(y))
    turns = rng.random((-(-len(y) // k), k)).argsort(axis=1).ravel()  # each run of k neighbours in gold: one a fold
    folds = np.empty(len(y), dtype=np.int64)
    folds[np.lexsort((rng.random(len(y)), y))] = turns[: len(y)]
    return folds


def cross_predict(new: Callable[[], Learner], x: FloatArray, y: FloatArray, folds: IntArray) -> FloatArray:
    """Out-of-fold predictions (n,)."""
    out = np.empty(len(y))
    for fold in np.unique(folds):
        out[folds == fold] = new().fit(x[folds != fold], y[folds != fold]).predict(x[folds == fold])
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoChoice:
    """What ``"auto"`` chose: a name for ``make_learner``, the cross-validated errors it saw, and why."""

    method: str
    losses: dict[str, float]
    reason: str


def _without_search(x: FloatArray, y: FloatArray, folds: IntArray) -> AutoChoice | None:
    """Choose from the shape of the data alone, where that is enough."""
    if np.unique(folds).size < 2:
        return AutoChoice(method="lm", losses={}, reason="too few labelled rows or clusters to hold any out")
    if y.min() == y.max():
        return AutoChoice(method="mean", losses={}, reason="all gold values are equal")
    if x.shape[1] > 12:
        return None
    cells = np.unique(x[:64], axis=0)  # cheap refusal first
    if len(cells) <= 16:
        cells = np.unique(x, axis=0)
    if len(cells) > 16:
        return None
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(cells)), cells])) == len(cells):
        return AutoChoice(method="lm", losses={}, reason=f"features take {len(cells)} values: least squares is exact")
    return AutoChoice(
        method="surface", losses={}, reason=f"features take {len(cells)} joint values: a response surface is enough"
    )


def choose(
    make: Mapping[str, Callable[[], Learner]],
    x: FloatArray,
    y: FloatArray,
    folds: IntArray,
    groups: IntArray | None = None,
) -> AutoChoice:
    """Choose among candidates, simplest first, by cross-validated squared error; x (n, p), y (n,).

    The one-standard-error rule (Breiman, Friedman, Olshen and Stone 1984) on paired errors: the first candidate whose
    error is at most one standard error of the difference above the smallest. Clusters are summed first.
    """
    obvious = _without_search(x, y, folds)
    if obvious is not None:
        return obvious
    errors = {name: (y - cross_predict(new, x, y, folds)) ** 2 for name, new in make.items()}
    losses = {name: float(error.mean()) for name, error in errors.items()}
    least = min(losses, key=losses.__getitem__)
    unit = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    gaps = {name: np.bincount(unit, error - errors[least]) for name, error in errors.items()}
    chosen = next(n for n, gap in gaps.items() if n == least or gap.sum() <= np.sqrt(len(gap)) * gap.std(ddof=1))
    reason = f"cross-validated squared error of {', '.join(losses)}: "
    reason += "the smallest" if chosen == least else f"simplest within one standard error of the smallest ({least})"
    return AutoChoice(method=chosen, losses=losses, reason=reason)
