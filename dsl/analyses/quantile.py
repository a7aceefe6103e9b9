"""Quantiles of a variable known in gold on some rows and as a surrogate on all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from dsl._typing import FloatArray, IntArray
from dsl.analyses.paired import Paired, _lam, read
from dsl.data.arguments import explain_calls, warn_caller
from dsl.engine.intervals import tails
from dsl.engine.labeling import Labeling, finite_deviations, finite_meat
from dsl.exceptions import ArgumentError, ColumnTypeError, FewLabelsWarning

ROUNDING = 1e-12
"""Difference between a cumulative share and a level that sums of N shares can make."""
CHUNK = 4_194_304
"""Contributions of labelled rows handled at a time."""
FEW = 5.0
"""Labelled rows beyond a quantile, weighed, below which normal intervals of a share are doubtful."""


@explain_calls
def ppi_quantile(
    data: Any,
    *,
    gold: str,
    prediction: str,
    q: float | Sequence[float] = 0.5,
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | None = None,
    design: Any = None,
    lam: float | str | None = None,
    target: str = "superpopulation",
    alpha: float = 0.05,
    alternative: str = "two-sided",
) -> pd.DataFrame:
    r"""Quantiles by prediction-powered inference, with intervals.

    The share of values up to t is estimated by the surrogates of the other rows, corrected on the labelled ones,

    .. math:: F(t) = \bar w\text{-mean of } \lambda 1\{f \le t\}
              + w\text{-mean of } (1\{y \le t\} - \lambda 1\{f \le t\}),

    with weights :math:`w = R/\pi` of the labelled rows and :math:`\bar w = (1 - R)/(1 - \pi)` of the others, each
    divided by their sum. The estimate inverts F; the interval holds the values of t at which F(t) does not differ
    significantly from q, so that no density is needed.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or a dict of columns.
    gold : str
        Column with the expert labels, numbers, missing where not labelled.
    prediction : str
        Column with the surrogate, a number on the same scale, for every row.
    q : float or list of float
        Levels in (0, 1).
    labeled, sample_prob, cluster, design
        As in ``dsl.dsl``. Rows of a cluster may be correlated, whether labelled or not; not for
        ``target="finite"``, where nothing but the labelling is random.
    lam : float, "tuned" or None
        How much the surrogates count for; 0 leaves the labelled rows alone. By default ("tuned") the value in [0, 1]
        that minimises the variance of F at the labelled rows' own quantile, for each level.
    target : {"superpopulation", "finite"}
        What the intervals are about: the population that the rows were drawn from, or the rows themselves, of which only the
        choice of the labelled ones is random (as the `design` says; without one as in ``dsl.dsl``).
    alpha : float
        One minus the level of the intervals.
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"``: interval without upper end; ``"smaller"``: without lower end.

    Returns
    -------
    DataFrame, (levels, 5)
        One row per level: ``q``, ``estimate``, ``conf_low``, ``conf_high``, ``lam``.

    Raises
    ------
    DSLError
        Named subclasses, as ``dsl.dsl`` raises for the same arguments.

    Notes
    -----
    F need not rise everywhere. The estimate inverts the increasing rearrangement of its values at the observed y and
    f (Chernozhukov, Fernandez-Val and Galichon 2010), which is F itself where F rises. An interval ends where F is next
    observed to change: on the step function F, everything before that point is as acceptable as the last accepted
    value. Standard errors of F are those of weighted means, summed within clusters, or over repeated labelling of these
    rows (``target="finite"``, `dsl.engine.labeling.finite_meat`).

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 382 (2023), algorithm 2.
    Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference" (2023).

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(labeled=1000, seed=1)
    >>> table = dsl.ppi_quantile(tweets, gold="human_rating", prediction="vader_compound", q=[0.25, 0.5, 0.75])
    >>> table.columns.tolist()
    ['q', 'estimate', 'conf_low', 'conf_high', 'lam']
    >>> table["estimate"].round(2).tolist()
    [-0.6, 0.15, 1.0]
    """
    levels = _levels(q)
    below, above = tails(alpha, alternative)
    fixed = _lam(lam)
    paired = read(
        data,
        gold=gold,
        prediction=prediction,
        labeled=labeled,
        sample_prob=sample_prob,
        cluster=cluster,
        design=design,
        target=target,
    )
    _check_one_number(paired)
    _warn_if_few(paired, levels)
    curves = _curves(paired, finite=target == "finite")
    rows = []
    for level in levels:
        chosen = curves.best_lam(curves.invert(0.0, level)) if fixed is None else fixed
        low, high = curves.interval(chosen, level, below, above)
        rows.append((level, curves.invert(chosen, level), low, high, chosen))
    return pd.DataFrame(rows, columns=["q", "estimate", "conf_low", "conf_high", "lam"])


def _levels(q: Any) -> list[float]:
    given = np.atleast_1d(np.asarray(q, dtype=object))
    bad = [
        v for v in given.ravel() if isinstance(v, bool) or not isinstance(v, int | float | np.number) or not 0 < v < 1
    ]
    if given.ndim != 1 or not len(given) or bad:
        percent = "; percentages divided by 100" if bad and all(isinstance(v, int) and 1 < v < 100 for v in bad) else ""
        raise ArgumentError(f"q must be one or more numbers between 0 and 1 (0.5 for the median){percent}; found {q!r}")
    return [float(v) for v in given]


def _check_one_number(paired: Paired) -> None:
    if len(paired.predicted) != 1:
        raise ArgumentError(f"gold names {len(paired.predicted)} columns; quantiles are of one, call once for each")
    name = paired.predicted[0]
    if not pd.api.types.is_numeric_dtype(paired.sample.data[name].dtype):
        raise ColumnTypeError(f"column '{name}' (gold) holds categories, which have no quantiles; use numbers")


def _warn_if_few(paired: Paired, levels: list[float]) -> None:
    weight = paired.weight[paired.sample.labeled]
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    few = [f"{level:g}" for level in levels if effective * min(level, 1.0 - level) < FEW]
    if few:
        warn_caller(
            FewLabelsWarning,
            f"{paired.sample.n_labeled} labelled rows count for {effective:.0f}, of which fewer than {FEW:g} are expected "
            f"beyond the quantile(s) {', '.join(few)}: intervals may be too short; label more rows, or take levels nearer 0.5",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labels:
    """What the choice of the labelled rows adds to F(t), where only that is random.

    A row that is labelled counts p on that side, and no longer s = 1 / (1 - pi) / sum(wbar) on the other, whose rows are
    the rest. What it adds is therefore p (1{y <= t} - A_y) - lam (p + s) (1{f <= t} - A_f).
    """

    y: FloatArray
    """(n,)"""
    f: FloatArray
    """(n,)"""
    p: FloatArray
    """(n,)"""
    s: FloatArray
    """(n,)"""
    labeling: Labeling

    @property
    def events(self) -> FloatArray:
        """Values at which contributions change, ascending; (m,)."""
        return np.unique(np.concatenate([self.y, self.f]))

    def contributions(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Those of the gold values and of the surrogates, (n, T) each; F adds the first less lam times the second."""
        y, f = ((values[:, None] <= t).astype(float) for values in (self.y, self.f))
        weight = self.p[:, None]
        return weight * (y - self.p @ y), (self.p + self.s)[:, None] * (f - self.p @ f)

    def errors(self, lam: float, t: FloatArray) -> FloatArray:
        """Standard errors of F(t); (T,)."""
        size = max(CHUNK // len(self.y), 1)
        squares = [np.zeros(0)]
        for start in range(0, len(t), size):
            gold, hat = self.contributions(t[start : start + size])
            squares.append(sum((part**2).sum(axis=0) for part in finite_deviations(gold - lam * hat, self.labeling)))
        return np.sqrt(np.concatenate(squares))

    def bound(self, lam: float) -> float:
        """What no standard error exceeds: contributions at their largest, n / (n - 1) at most two."""
        size = self.p + abs(lam) * (self.p + self.s)
        size = size + size.mean()
        unit = (
            np.arange(len(size))
            if self.labeling.unit is None
            else np.unique(self.labeling.unit, return_inverse=True)[1]
        )
        return float(np.sqrt(2.0 * (np.bincount(unit, size) ** 2).sum() + 2.0 * (size**2).sum()))

    def best_lam(self, t: float) -> float:
        """Value in [0, 1] that minimises the variance of F(t)."""
        gold, hat = self.contributions(np.array([t]))
        meat = finite_meat(np.hstack([gold, hat]), self.labeling)
        return float(np.clip(meat[0, 1] / meat[1, 1], 0.0, 1.0)) if meat[1, 1] > 0.0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curves:
    """Cumulative shares at the observed values, and what their variances are made of.

    With p = w / sum(w) and r = wbar / sum(wbar), a row's influence on F(t) is

        p (1{y <= t} - A_y) - lam p (1{f <= t} - A_f) + lam r (1{f <= t} - B).
    """

    grid: FloatArray
    """(G,) distinct values of y and f, ascending."""
    y: FloatArray
    """(n,)"""
    f: FloatArray
    """(N,)"""
    labeled: IntArray
    """(n,)"""
    p: FloatArray
    """(N,)"""
    r: FloatArray
    """(N,)"""
    cluster: IntArray
    """(N,) codes; each row's own without clusters."""
    shares: FloatArray
    """(3, G) A_y, A_f and B: shares up to each grid value."""
    order: IntArray
    """(n + N,) events (y of the labelled rows, then f of all) in the order of their values."""
    last: IntArray
    """(G,) last event, in this order, at each grid value."""
    grouped: IntArray
    """(n + N,) events by cluster, by value within it."""
    first: IntArray
    """(n + N,) position in `grouped` at which the cluster of each of its events begins."""
    labels: _Labels | None
    """For a finite population."""

    def cdf(self, lam: float) -> FloatArray:
        """F on the grid; (G,)."""
        y, f, other = self.shares
        return np.asarray(y + lam * (other - f))

    def invert(self, lam: float, level: float) -> float:
        """Smallest observed value at which the increasing rearrangement of F reaches `level`."""
        place = int(np.count_nonzero(self.cdf(lam) < level - ROUNDING))
        return float(self.grid[min(place, len(self.grid) - 1)])

    def interval(self, lam: float, level: float, below: float, above: float) -> tuple[float, float]:
        """Values of t at which F(t) does not lie significantly under, nor F(t-) significantly over, `level`."""
        share = self.cdf(lam)
        se = self.errors(lam, level, -min(ndtri(tail) for tail in (below, above) if tail))
        low, high = -np.inf, np.inf
        if below:
            reached = np.flatnonzero(share - ndtri(below) * se >= level - ROUNDING)
            low = float(self.grid[reached[0]])
        if above:
            kept = np.flatnonzero(share + ndtri(above) * se <= level + ROUNDING)
            high = float(self.grid[min(kept[-1] + 1, len(self.grid) - 1)]) if len(kept) else float(self.grid[0])
        return low, high

    def errors(self, lam: float, level: float, z: float) -> FloatArray:
        """Standard errors of F on the grid, or zero where F is too far from `level` for any to matter; (G,)."""
        if self.labels is None:
            return np.sqrt(self.variance(lam))
        out = np.zeros(len(self.grid))
        near = np.flatnonzero(np.abs(self.cdf(lam) - level) <= z * self.labels.bound(lam) + ROUNDING)
        events = self.labels.events  # between two of them the standard error does not change
        place = np.searchsorted(events, self.grid[near], side="right")
        needed, back = np.unique(place, return_inverse=True)
        out[near] = self.labels.errors(lam, np.append(-np.inf, events)[needed])[back]
        return out

    def variance(self, lam: float) -> FloatArray:
        """Variance of F on the grid, (G,): the sum over clusters of the square of their influence.

        A cluster's sum of indicators is a step function of t; so is the sum of the squares of these, whose steps are
        those of s^2 as s changes. Nothing of size N x G is formed.
        """
        step = np.concatenate([self.p[self.labeled], lam * (self.r - self.p)])
        running = np.cumsum(step[self.grouped])
        before = np.empty(len(step))
        before[self.grouped] = running - step[self.grouped] - np.concatenate([[0.0], running])[self.first]
        of_p, of_r = (np.bincount(self.cluster, share) for share in (self.p, self.r))
        owner = np.concatenate([self.cluster[self.labeled], self.cluster])
        squares = self._up_to(step * (2.0 * before + step))
        with_p, with_r = self._up_to(step * of_p[owner]), self._up_to(step * of_r[owner])
        y, f, other = self.shares
        a, b = y - lam * f, lam * other
        centred = squares - 2.0 * (a * with_p + b * with_r)
        centred += a**2 * (of_p @ of_p) + 2.0 * a * b * (of_p @ of_r) + b**2 * (of_r @ of_r)
        return np.asarray(np.maximum(centred, 0.0))

    def _up_to(self, values: FloatArray) -> FloatArray:
        """Sums of the events' values up to each grid value; (G,)."""
        return np.asarray(np.cumsum(values[self.order])[self.last])

    def best_lam(self, t: float) -> float:
        """Value in [0, 1] that minimises the variance of F(t)."""
        if self.labels is not None:
            return self.labels.best_lam(t)
        y, f, other = self.shares[:, int(np.searchsorted(self.grid, t))]
        gold = np.zeros(len(self.p))
        gold[self.labeled] = self.p[self.labeled] * ((self.y <= t) - y)
        hat = (self.r - self.p) * (self.f <= t) - (self.r * other - self.p * f)
        a, b = np.bincount(self.cluster, gold), np.bincount(self.cluster, hat)
        return float(np.clip(-(a @ b) / (b @ b), 0.0, 1.0)) if b @ b > 0.0 else 0.0


def _labels(paired: Paired) -> _Labels:
    sample, rows, name = paired.sample, paired.labeled_rows, paired.predicted[0]
    left = 1.0 - paired.prob[rows]
    own = np.where(left > 0.0, 1.0 / np.where(left > 0.0, left, 1.0), 0.0)  # certain rows are never exchanged
    return _Labels(
        y=sample.data[name].to_numpy(dtype=float)[rows],
        f=np.asarray(paired.surrogates[name], dtype=float)[rows],
        p=paired.weight[rows] / paired.weight.sum(),
        s=own / paired.other.sum(),
        labeling=sample.labeling,
    )


def _curves(paired: Paired, *, finite: bool = False) -> _Curves:
    sample, labeled, name = paired.sample, paired.labeled_rows, paired.predicted[0]
    y = sample.data[name].to_numpy(dtype=float)[labeled]
    f = np.asarray(paired.surrogates[name], dtype=float)
    p, r = paired.weight / paired.weight.sum(), paired.other / paired.other.sum()
    cluster = np.arange(len(f)) if sample.cluster is None else sample.cluster
    values, owner = np.concatenate([y, f]), np.concatenate([cluster[labeled], cluster])
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    last = np.flatnonzero(np.append(ranked[1:] > ranked[:-1], True))
    grouped = order[np.argsort(owner[order], kind="stable")]
    begins = np.flatnonzero(np.append(True, np.diff(owner[grouped]) > 0))
    first = np.repeat(begins, np.diff(np.append(begins, len(values))))
    empty = np.zeros(len(y))
    shares = [
        np.cumsum(part[order])[last]
        for part in (
            np.concatenate([p[labeled], np.zeros(len(f))]),
            np.concatenate([empty, p]),
            np.concatenate([empty, r]),
        )
    ]
    return _Curves(
        grid=ranked[last],
        y=y,
        f=f,
        labeled=labeled,
        p=p,
        r=r,
        cluster=cluster,
        shares=np.stack(shares),
        order=order,
        last=last,
        grouped=grouped,
        first=first,
        labels=_labels(paired) if finite else None,
    )
