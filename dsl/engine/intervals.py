"""Intervals and p values of estimates with standard errors, normal or t, two-sided or one-sided.

Degrees of freedom and effective numbers of rows say how far to trust these. The alternatives have statsmodels' names.
"""

from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri, stdtr, stdtrit

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import ArgumentError

ALTERNATIVES = ("two-sided", "larger", "smaller")
"""What is put against the null hypothesis. ``"larger"`` goes with an interval that is bounded from below."""


def wald_interval(
    estimate: ArrayLike, se: ArrayLike, alpha: float = 0.05, alternative: str = "two-sided", df: ArrayLike = np.inf
) -> FloatArray:
    """Confidence intervals, estimate -+ quantile times standard error.

    Parameters
    ----------
    estimate, se : (k,) arrays, or numbers
    alpha : float
        One minus the level, in (0, 1).
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"`` leaves the upper end at infinity, ``"smaller"`` the lower end at minus infinity: the interval
        holds the values that the one-sided test of the same name does not reject.
    df : (k,) array or number
        Degrees of freedom of the standard errors, infinity for normal intervals.

    Returns
    -------
    (k, 2) array, or (2,) for numbers
        Lower and upper ends.

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> wald_interval(1.0, 0.5).round(3)
    array([0.02, 1.98])
    >>> wald_interval(1.0, 0.5, alternative="larger").round(3)
    array([0.178,   inf])
    >>> wald_interval(1.0, 0.5, df=10).round(3)
    array([-0.114,  2.114])
    """
    middle, spread = np.broadcast_arrays(np.asarray(estimate, dtype=float), np.asarray(se, dtype=float))
    below, above = tails(alpha, alternative)
    # a quantile below one half is negative, hence the signs. A tail of zero leaves that end open.
    lower = middle + _quantile(below, df) * spread if below else np.full(middle.shape, -np.inf)
    upper = middle - _quantile(above, df) * spread if above else np.full(middle.shape, np.inf)
    return np.stack([lower, upper], axis=-1)


def share_intervals(
    share: FloatArray, std_error: FloatArray, *, alpha: float = 0.05, interval: str = "logit", df: ArrayLike = np.inf
) -> tuple[FloatArray, BoolArray]:
    """Intervals of shares within [0, 1].

    Parameters
    ----------
    share, std_error : (k,) arrays
    alpha : float
    interval : {"logit", "normal"}
        ``"logit"``: expit(logit(share) -+ z se / (share (1 - share))) for shares that lie more than one standard error away
        from 0 and 1. The others, whose log-odds say next to nothing, get normal intervals, cut at 0 and 1.
    df : (k,) array or number
        Degrees of freedom of the standard errors, infinity for the normal quantile z.

    Returns
    -------
    ends : (k, 2) array
    edge : (k,) bool array
        Shares within one standard error of 0 or 1, or outside.

    Examples
    --------
    >>> share_intervals(np.array([0.1, 0.01]), np.array([0.04, 0.02]))[0].round(3)
    array([[0.044, 0.21 ],
           [0.   , 0.049]])
    """
    # nu (k,)
    nu = np.broadcast_to(np.asarray(df, dtype=float), share.shape)
    ends = np.clip(wald_interval(share, std_error, alpha, df=nu), 0.0, 1.0)
    with np.errstate(invalid="ignore"):
        edge = ~((share > std_error) & (1.0 - share > std_error)) & ~np.isnan(share)
    if interval == "logit":
        # delta method: se(logit p) = se / (p (1 - p))
        inside = ~edge & ~np.isnan(share)
        p, se = share[inside], std_error[inside]
        ends[inside] = expit(wald_interval(logit(p), se / (p * (1.0 - p)), alpha, df=nu[inside]))
    return ends, edge


def wald_pvalue(
    estimate: ArrayLike,
    se: ArrayLike,
    alternative: str = "two-sided",
    null: ArrayLike = 0.0,
    df: ArrayLike = np.inf,
) -> FloatArray:
    """P values of estimates less their values under the null hypothesis, over their standard errors.

    Parameters
    ----------
    estimate, se : (k,) arrays, or numbers
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"``: small where the estimate lies far above `null`.
    null : (k,) array or number
        Value under the null hypothesis.
    df : (k,) array or number
        Degrees of freedom of the standard errors, infinity for normal p values.

    Returns
    -------
    (k,) array
        NaN where the estimate is `null` and its standard error zero.

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> float(wald_pvalue(1.96, 1.0).round(4)), float(wald_pvalue(1.96, 1.0, "larger").round(4))
    (0.05, 0.025)
    """
    check_alternative(alternative)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (np.asarray(estimate, dtype=float) - np.asarray(null, dtype=float)) / np.asarray(se, dtype=float)
    if alternative == "two-sided":
        return 2.0 * _below(-np.abs(z), df)
    return _below(-z if alternative == "larger" else z, df)


def kish(weight: FloatArray, group: IntArray | None = None, n_groups: int = 0) -> FloatArray:
    r"""Effective number of rows behind a weighted mean, :math:`(\sum w)^2 / \sum w^2`.

    The variance of a mean with these weights is that of a mean of so many rows that count alike. It is the number of rows
    if all weights are equal, and less the more they differ.

    Parameters
    ----------
    weight : (n,) or (n, k) array
        Weights, not negative. With two axes, one set of weights in each column.
    group : (n,) int array, optional
        Codes 0, ..., n_groups - 1, to have the number of each group of rows (for one set of weights).
    n_groups : int
        Number of groups.

    Returns
    -------
    number, (k,) or (n_groups,) array
        Zero where there are no rows, or all weights are zero.

    References
    ----------
    Kish, "Survey Sampling" (1965); "Weighting for unequal Pi", Journal of Official Statistics 8 (1992).

    Examples
    --------
    >>> float(kish(np.array([1.0, 1.0, 1.0]))), float(kish(np.array([1.0, 1.0, 4.0])))
    (3.0, 2.0)
    >>> kish(np.array([1.0, 3.0, 3.0]), np.array([0, 2, 2]), 3).tolist()
    [1.0, 0.0, 2.0]
    """
    if group is None:
        total, square = weight.sum(axis=0), (weight**2).sum(axis=0)
    else:
        total, square = (np.bincount(group, each, minlength=n_groups) for each in (weight, weight**2))
    # no rows, or weights of zero: 0 / tiny is zero without a warning
    return np.asarray(total**2 / np.maximum(square, np.finfo(float).tiny))


def degrees_of_freedom(contributions: FloatArray, variance: FloatArray, rest: float) -> FloatArray:
    r"""Degrees of freedom of estimated variances (Satterthwaite).

    A variance is the sum of two parts that are estimated apart. The labelled units' part is ``own``, the sum of their
    squared contributions c. What remains of the variance is ``others``. With degrees of freedom ``df_own`` and ``rest``,

    .. math::

        \mathrm{df} = \frac{(\mathrm{own} + \mathrm{others})^2}
            {\mathrm{own}^2 / \mathrm{df\_own} + \mathrm{others}^2 / \mathrm{rest}}, \qquad
        \mathrm{df\_own} = \min\Big(n - 1,\ \frac{2\,\mathrm{own}^2}{\sum c^4 - \mathrm{own}^2 / n}\Big).

    The second formula is twice the square of ``own`` over its estimated variance, that of a sum of n independent squares. It
    is about n for normal contributions, and small where a few units dominate. Fourth moments of very heavy tails are
    underestimated by small samples, and intervals are then a little too short.

    Parameters
    ----------
    contributions : (n, k) array
        What the labelled units (rows, clusters) add to each estimate's error.
    variance : (k,) array
        Variance of the estimates, all parts. Where it is smaller than ``own``, ``own`` takes its place.
    rest : float
        Degrees of freedom of the other part: the number of all units less one.

    Returns
    -------
    (k,) array
        `rest` where an estimate has no variance.

    References
    ----------
    Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946).
    Cochran, "Sampling Techniques" (1977), section 5.4, has it for the strata of a sample.

    Examples
    --------
    >>> even, uneven = np.ones(20), np.r_[np.ones(19), 10.0]
    >>> degrees_of_freedom(np.column_stack([even, uneven]), np.zeros(2), np.inf).round(2)
    array([19. ,  3.04])
    >>> degrees_of_freedom(even[:, None], np.array([40.0]), np.inf)
    array([76.])
    """
    # own^2 / df_own for either side of the minimum, whichever is larger: never divides by the estimated variance of own
    square, n = contributions**2, len(contributions)
    own = square.sum(axis=0)
    others = np.maximum(variance - own, 0.0)
    of_own = np.maximum(((square**2).sum(axis=0) - own**2 / n) / 2.0, own**2 / max(n - 1, 1))  # own^2 / df_own
    below = of_own + others**2 / rest
    above = np.maximum(variance, own) ** 2  # (own + others)^2
    return np.asarray(np.where(below > 0.0, above / np.where(below > 0.0, below, 1.0), rest))


def _quantile(p: float, df: ArrayLike) -> FloatArray:
    """Quantile of Student's distribution, the normal one for infinitely many degrees of freedom."""
    nu = np.asarray(df, dtype=float)
    # both branches are computed everywhere: one degree of freedom where the other applies keeps scipy from NaN
    return np.asarray(np.where(np.isinf(nu), ndtri(p), stdtrit(np.where(np.isinf(nu), 1.0, nu), p)))


def _below(t: FloatArray, df: ArrayLike) -> FloatArray:
    """Its distribution function."""
    nu = np.asarray(df, dtype=float)
    return np.asarray(np.where(np.isinf(nu), ndtr(t), stdtr(np.where(np.isinf(nu), 1.0, nu), t)))


def tails(alpha: float, alternative: str) -> tuple[float, float]:
    """Probabilities left below and above an interval of level 1 - `alpha`."""
    check_alternative(alternative)
    check_alpha(alpha)
    if alternative == "two-sided":
        return alpha / 2.0, alpha / 2.0
    return (float(alpha), 0.0) if alternative == "larger" else (0.0, float(alpha))


def check_alpha(alpha: object) -> None:
    """Raise ArgumentError unless it is a number between 0 and 1."""
    if isinstance(alpha, bool) or not isinstance(alpha, float | int | np.number) or not 0.0 < alpha < 1.0:
        raise ArgumentError(f"alpha must lie between 0 and 1 (0.05 for 95% intervals); found {alpha!r}")


def check_alternative(alternative: str) -> None:
    """Raise ArgumentError unless it is one of `ALTERNATIVES`."""
    if isinstance(alternative, str) and alternative in ALTERNATIVES:
        return
    meant = {"greater": "larger", "less": "smaller", "lower": "smaller"}.get(str(alternative))
    close = [meant] if meant else get_close_matches(str(alternative), ALTERNATIVES, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise ArgumentError(f"unknown alternative {alternative!r}: use one of {', '.join(ALTERNATIVES)}{hint}")
