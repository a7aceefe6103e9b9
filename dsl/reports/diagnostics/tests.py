"""Tests that hold with sampling weights, clusters and unequal variances, and with groups in which nothing varies."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, f

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import unit_sums, variance_of_sum

RANK = 1e-10
"""Eigenvalue, relative to the largest, below which a direction of the scores has no variance."""
SMALLEST = 1e-3
"""Variance of a row's response, relative to the mean one, that a fitted variance must have at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A statistic, its degrees of freedom and its p value."""

    statistic: float
    df: int
    p_value: float


def score_test(
    *, response: FloatArray, null: FloatArray, tested: FloatArray, weight: FloatArray, unit: IntArray | None = None
) -> Statistic:
    """Test that the columns `tested` say nothing about the response that `null` does not.

    With residuals u of the weighted regression of the response on `null`, and z those of the tested columns, the score is
    the sum of w u z. Its variance is that under the null hypothesis, the sum of w^2 s^2 z z' with s^2 the variance of u given
    `null` alone. This is Rao's score test. It does not mistake a small group without any error for a group in which errors
    cannot happen, as variances estimated group by group would. Clusters add the products of different rows of a cluster, as
    far as these make the variance larger.

    Parameters
    ----------
    response : (n,) array
    null : (n, a) array
        Columns of the null hypothesis, linearly independent.
    tested : (n, b) array
    weight : (n,) array
        Inverse sampling probabilities.
    unit : (n,) int array, optional
        Cluster codes.

    Returns
    -------
    Statistic
        Chi-squared with as many degrees of freedom as the scores have directions, with p value 1 if there are none.
    """
    # weighted least squares by QR of the columns times sqrt(w)
    root = np.sqrt(weight)[:, None]
    basis = np.linalg.qr(null * root)[0]

    def fitted(columns: FloatArray) -> FloatArray:
        return np.asarray(basis @ (basis.T @ (columns * root)) / root)

    # u and z: what the null hypothesis leaves of the response and of the tested columns
    left = response[:, None] - fitted(response[:, None])
    columns = tested - fitted(tested)
    # Var(u | null), by regression of u^2 on the same columns
    n, spread = len(response), fitted(left**2)
    # held above zero, and with the degrees of freedom that the null hypothesis takes
    variance = np.maximum(spread, SMALLEST * float(np.mean(spread))) * n / (n - null.shape[1])
    scaled = weight[:, None] * np.sqrt(variance) * columns
    # variance of the score: sum of w^2 s^2 z z', decomposed so that directions without variance drop out
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    kept = values > RANK * values.max(initial=np.finfo(float).tiny)
    # scores in these directions, each of unit variance if rows are independent
    scores = (weight[:, None] * left * columns) @ (vectors[:, kept] / np.sqrt(values[kept]))
    total, extra = scores.sum(axis=0), np.zeros(int(kept.sum()))
    if unit is not None:
        extra, turn = _between_rows(scores, unit)
        # turned to the directions in which clusters add variance, so that the two variances add up
        total = turn.T @ total
    statistic, df = float((total**2 / (1.0 + extra)).sum()), len(total)
    return Statistic(statistic=statistic, df=df, p_value=float(chi2.sf(statistic, df)) if df else 1.0)


def _between_rows(scores: FloatArray, unit: IntArray) -> tuple[FloatArray, FloatArray]:
    """Variance (b,) that products of different rows of a cluster add, none less than zero, and its directions (b, b)."""
    sums = unit_sums(scores, unit)
    # (sum over a cluster)^2 less the sum of squares: the products of different rows
    extra, turn = np.linalg.eigh(sums.T @ sums - scores.T @ scores)
    return np.maximum(extra, 0.0), turn


def equal_means(values: FloatArray, group: IntArray) -> Statistic:
    """Welch's (1951) test that all groups have the same mean, whatever their variances. `df` is that of the groups.

    Groups of one row, or in which nothing varies, are left out.
    """
    codes = np.unique(group)
    parts = [values[group == code] for code in codes]
    parts = [part for part in parts if len(part) > 1 and np.ptp(part) > 0.0]
    k = len(parts)
    if k < 2:
        return Statistic(statistic=0.0, df=max(k - 1, 0), p_value=1.0)
    count = np.array([len(part) for part in parts], dtype=float)
    mean = np.array([part.mean() for part in parts])
    # w_j = n_j / s_j^2, and Welch's F with k - 1 and (k^2 - 1) / (3 slack) degrees of freedom
    weight = count / np.array([part.var(ddof=1) for part in parts])
    share = weight / weight.sum()
    spread = float((weight * (mean - share @ mean) ** 2).sum()) / (k - 1)
    slack = float(((1.0 - share) ** 2 / (count - 1.0)).sum())
    statistic = spread / (1.0 + 2.0 * (k - 2) / (k**2 - 1) * slack)
    return Statistic(statistic=statistic, df=k - 1, p_value=float(f.sf(statistic, k - 1, (k**2 - 1) / (3.0 * slack))))


def holm(p_values: FloatArray) -> FloatArray:
    """P values of several tests, adjusted so that the chance of any false alarm is at most the level (Holm 1979).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    # the smallest p value times k, the next times k - 1, ..., never smaller than the one before
    factor = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(p_values[order] * factor), 1.0)
    out = np.empty(len(p_values))
    out[order] = stepped
    return out


def weighted_slope(
    *, response: FloatArray, predictor: FloatArray, weight: FloatArray, unit: IntArray | None = None
) -> tuple[float, float]:
    """Slope of the weighted regression of the response on one predictor, and its robust standard error."""
    share = weight / weight.sum()
    x, y = predictor - share @ predictor, response - share @ response
    square = float((weight * x**2).sum())
    slope = float((weight * x * y).sum()) / square
    # sandwich of a slope: sqrt(Var(sum w x u)) / sum w x^2
    return slope, float(np.sqrt(variance_of_sum(weight * x * (y - slope * x), unit))) / square
