r"""Quantiles of a distribution function that two samples estimate: its values, its variance, its inverse.

Labelled rows have shares p = w / sum(w), others zero. Rows whose surrogates stand for all have shares r = wbar / sum(wbar)
(`Rows`). The share of values up to t is estimated by

.. math:: F(t) = \sum_i p_i 1\{y_i \le t\} + \lambda \Big( \sum_i r_i 1\{f_i \le t\} - \sum_i p_i 1\{f_i \le t\} \Big).

F is a step function that can change only where a value is observed: at y of a labelled row, or at f of any row. These n + N
observations are the events, their G distinct values the grid (`Steps`). Functions of t are arrays over the grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import cluster_sums, unit_sums, variance_of_sum
from dsl.engine.labeling import Labeling, finite_deviations, finite_meat
from dsl.engine.lambdas import best_lambda

ROUNDING = 1e-12
"""Difference between a cumulative share and a level that sums of N shares can make."""
CHUNK = 4_194_304
"""Contributions of labelled rows handled at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Gold values, surrogates and shares of the N rows, n of them labelled."""

    y: FloatArray
    """(n,) gold values."""
    f: FloatArray
    """(N,) surrogates."""
    labeled: IntArray
    """(n,) positions of the labelled rows."""
    p: FloatArray
    """(N,) share of each labelled row, w / sum(w), and zero for others."""
    r: FloatArray
    """(N,) share of each row whose surrogate stands for all, wbar / sum(wbar)."""
    cluster: IntArray | None = None
    """(N,) codes 0, 1, ..., where rows are not independent of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Where F can change."""

    grid: FloatArray
    """(G,) distinct values of y and f, ascending."""
    order: IntArray
    """(n + N,) the events (y of the labelled rows, then f of all) in the order of their values."""
    last: IntArray
    """(G,) place in `order` of the last event at each grid value."""
    shares: FloatArray
    """(3, G) shares up to each grid value: gold values and surrogates of the labelled rows, surrogates of the others."""


def steps_of(rows: Rows) -> Steps:
    """Sort the events, and add up the shares."""
    values = np.concatenate([rows.y, rows.f])
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    # ties are one grid value: F is read after the last of them
    last = np.flatnonzero(np.append(ranked[1:] > ranked[:-1], True))
    no_y, no_f = np.zeros(len(rows.y)), np.zeros(len(rows.f))
    # (n + N,) sizes of the events for each of the three sums in F: p at y, p at f, r at f
    parts = ((rows.p[rows.labeled], no_f), (no_y, rows.p), (no_y, rows.r))
    shares = np.stack([up_to(np.concatenate(part), order, last) for part in parts])
    return Steps(grid=ranked[last], order=order, last=last, shares=shares)


def up_to(values: FloatArray, order: IntArray, last: IntArray) -> FloatArray:
    """Sums of the events' values (n + N,) up to each grid value, (G,)."""
    return np.asarray(np.cumsum(values[order])[last])


def cdf(shares: FloatArray, lam: float) -> FloatArray:
    """F on the grid, of the shares (3, G) that it is made of, (G,)."""
    y, f, other = shares
    return np.asarray(y + lam * (other - f))


def inverse(grid: FloatArray, share: FloatArray, level: float) -> float:
    """Smallest grid value at which the increasing rearrangement of F reaches `level`.

    Parameters
    ----------
    grid, share : (G,) arrays
        Values t, and F there, which need not rise.
    level : float

    Returns
    -------
    float

    References
    ----------
    Chernozhukov, Fernandez-Val and Galichon, "Quantile and probability curves without crossing", Econometrica 78 (2010).

    Examples
    --------
    >>> inverse(np.array([1.0, 2.0, 3.0]), np.array([0.4, 0.3, 1.0]), 0.4)
    2.0
    """
    # the rearrangement sorts F: its first value that reaches the level comes after as many as are smaller
    place = int(np.count_nonzero(share < level - ROUNDING))
    return float(grid[min(place, len(grid) - 1)])


def interval(
    grid: FloatArray, share: FloatArray, se: FloatArray, level: float, below: float, above: float
) -> tuple[float, float]:
    """Values of t at which F(t) does not lie significantly under, nor F(t-) significantly over, `level`.

    Parameters
    ----------
    grid, share, se : (G,) arrays
        Values t, F there, and its standard errors.
    level : float
    below, above : float
        Probabilities left on either side, zero for a side without end.

    Returns
    -------
    float, float
    """
    low, high = -np.inf, np.inf
    if below:
        # ndtri(below) is negative. The lower end is the first t whose F is not significantly under the level.
        reached = np.flatnonzero(share - ndtri(below) * se >= level - ROUNDING)
        low = float(grid[reached[0]])
    if above:
        # F(t-) is the share at the grid value before: one step beyond the last that is not significantly over
        kept = np.flatnonzero(share + ndtri(above) * se <= level + ROUNDING)
        high = float(grid[min(kept[-1] + 1, len(grid) - 1)]) if len(kept) else float(grid[0])
    return low, high


def variance(rows: Rows, steps: Steps, lam: float) -> FloatArray:
    r"""Variance of F on the grid, over samples of rows (or clusters): the sum of their squared influences. (G,) array.

    A row's influence on F(t), with A_y, A_f and B the shares of `Steps`, is

    .. math:: p (1\{y \le t\} - A_y) - \lambda p (1\{f \le t\} - A_f) + \lambda r (1\{f \le t\} - B).

    Write it as s - a p - b r, with s the cluster's sum of indicators, a = A_y - lam A_f and b = lam B. Squared and summed over
    clusters there are the sums of s^2, s p, s r, and of the squares and products of p and r. All are step functions of t:
    where an event adds d to the s of its cluster, s^2 changes by d (2 s + d). Nothing of size N x G is formed.
    """
    cluster = np.arange(len(rows.f)) if rows.cluster is None else rows.cluster
    owner = np.concatenate([cluster[rows.labeled], cluster])
    size = np.concatenate([rows.p[rows.labeled], lam * (rows.r - rows.p)])  # d of each event
    # (clusters,) sums of p and of r
    of_p, of_r = cluster_sums(np.column_stack([rows.p, rows.r]), cluster, int(cluster.max()) + 1).T
    squares = size * (2.0 * _before(size, owner, steps.order) + size)
    of_s, with_p, with_r = (
        up_to(values, steps.order, steps.last) for values in (squares, size * of_p[owner], size * of_r[owner])
    )
    y, f, other = steps.shares
    a, b = y - lam * f, lam * other
    # sum over clusters of (s - a p - b r)^2, multiplied out
    centred = of_s - 2.0 * (a * with_p + b * with_r)
    centred += a**2 * (of_p @ of_p) + 2.0 * a * b * (of_p @ of_r) + b**2 * (of_r @ of_r)
    return np.asarray(np.maximum(centred, 0.0))


def _before(size: FloatArray, owner: IntArray, order: IntArray) -> FloatArray:
    """Sum of the sizes of the earlier events of the same owner, for each event. All are (n + N,)."""
    grouped = order[np.argsort(owner[order], kind="stable")]  # by owner, by value within
    # one running sum over all owners, less its value where the owner begins and less the event itself
    begins = np.flatnonzero(np.append(True, np.diff(owner[grouped]) > 0))
    first = np.repeat(begins, np.diff(np.append(begins, len(size))))
    running = np.cumsum(size[grouped])
    before = np.empty(len(size))
    before[grouped] = running - size[grouped] - np.concatenate([[0.0], running])[first]
    return before


def best_lambda_at(rows: Rows, steps: Steps, t: float) -> float:
    """Value in [0, 1] that minimises the variance of F(t) over samples of rows (or clusters)."""
    y, f, other = steps.shares[:, int(np.searchsorted(steps.grid, t))]
    gold = np.zeros(len(rows.p))
    gold[rows.labeled] = rows.p[rows.labeled] * ((rows.y <= t) - y)
    # influence of the difference of the two shares of surrogates: b in the variance of a + lam b
    hat = (rows.r - rows.p) * (rows.f <= t) - (rows.r * other - rows.p * f)
    a, b = unit_sums(np.column_stack([gold, hat]), rows.cluster).T
    return float(best_lambda(a @ a, a @ b, b @ b, bounds=(0.0, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeled:
    r"""The labelled rows of a finite population, whose choice is all that is random.

    A row that is labelled counts p on that side, and no longer s on the other, whose rows are the rest. What it adds to F(t) is
    therefore :math:`p (1\{y \le t\} - A_y) - \lambda (p + s) (1\{f \le t\} - A_f)`.
    """

    y: FloatArray
    """(n,) gold values."""
    f: FloatArray
    """(n,) surrogates."""
    p: FloatArray
    """(n,) w / sum(w)"""
    s: FloatArray
    """(n,) 1 / (1 - pi) / sum(wbar), zero where pi is one, as these rows are never exchanged."""
    labeling: Labeling
    """Of the labelled rows alone."""


def finite_contributions(labels: Labeled, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Contributions of the gold values and of the surrogates to F at (T,) values, (n, T) each.

    F adds the first less lam times the second.
    """
    y, f = ((values[:, None] <= t).astype(float) for values in (labels.y, labels.f))
    weight = labels.p[:, None]
    return weight * (y - labels.p @ y), (labels.p + labels.s)[:, None] * (f - labels.p @ f)


def finite_errors(labels: Labeled, lam: float, t: FloatArray) -> FloatArray:
    """Standard errors of F at (T,) values over repeated labelling, by `dsl.engine.labeling.finite_meat`, (T,)."""
    size = max(CHUNK // len(labels.y), 1)
    squares = [np.zeros(0)]
    for start in range(0, len(t), size):
        gold, hat = finite_contributions(labels, t[start : start + size])
        parts = finite_deviations(gold - lam * hat, labels.labeling)
        squares.append(np.sum([variance_of_sum(part) for part in parts], axis=0))
    return np.sqrt(np.concatenate(squares))


def largest_finite_error(labels: Labeled, lam: float) -> float:
    """What no standard error exceeds: contributions at their largest, and n / (n - 1) at most two."""
    size = labels.p + abs(lam) * (labels.p + labels.s)
    # a deviation from the mean is at most this large
    size = size + size.mean()
    return float(np.sqrt(2.0 * variance_of_sum(size, labels.labeling.unit) + 2.0 * variance_of_sum(size)))


def finite_errors_near(labels: Labeled, steps: Steps, lam: float, level: float, z: float) -> FloatArray:
    """Standard errors of F on the grid over repeated labelling, where they can matter, (G,).

    Zero where F is farther from `level` than z times the largest standard error. Between two values of labelled rows the
    standard error does not change, and is computed once.
    """
    out = np.zeros(len(steps.grid))
    near = np.flatnonzero(np.abs(cdf(steps.shares, lam) - level) <= z * largest_finite_error(labels, lam) + ROUNDING)
    # the error is a step function that changes at values of labelled rows: -inf stands for the stretch before the first
    changes = np.unique(np.concatenate([labels.y, labels.f]))
    place = np.searchsorted(changes, steps.grid[near], side="right")
    needed, back = np.unique(place, return_inverse=True)
    out[near] = finite_errors(labels, lam, np.append(-np.inf, changes)[needed])[back]
    return out


def finite_best_lambda_at(labels: Labeled, t: float) -> float:
    """Value in [0, 1] that minimises the variance of F(t) over repeated labelling."""
    gold, hat = finite_contributions(labels, np.array([t]))
    meat = finite_meat(np.hstack([gold, -hat]), labels.labeling)
    return float(best_lambda(meat[0, 0], meat[0, 1], meat[1, 1], bounds=(0.0, 1.0)))
