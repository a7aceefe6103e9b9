"""Normal-theory intervals and p values, two-sided or one-sided, with statsmodels' names for the alternatives."""

from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from dsl._typing import FloatArray
from dsl.exceptions import ArgumentError

ALTERNATIVES = ("two-sided", "larger", "smaller")
"""What is put against the null hypothesis; ``"larger"`` goes with an interval that is bounded from below."""


def normal_interval(
    estimate: ArrayLike, se: ArrayLike, alpha: float = 0.05, alternative: str = "two-sided"
) -> FloatArray:
    """Confidence intervals of normally distributed estimates.

    Parameters
    ----------
    estimate, se : (k,) arrays, or numbers
    alpha : float
        One minus the level, in (0, 1).
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"`` leaves the upper end at infinity, ``"smaller"`` the lower end at minus infinity: the interval
        holds the values that the one-sided test of the same name does not reject.

    Returns
    -------
    (k, 2) array, or (2,) for numbers
        Lower and upper ends.

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> normal_interval(1.0, 0.5).round(3)
    array([0.02, 1.98])
    >>> normal_interval(1.0, 0.5, alternative="larger").round(3)
    array([0.178,   inf])
    """
    middle, spread = np.broadcast_arrays(np.asarray(estimate, dtype=float), np.asarray(se, dtype=float))
    below, above = tails(alpha, alternative)
    lower = middle + ndtri(below) * spread if below else np.full(middle.shape, -np.inf)
    upper = middle - ndtri(above) * spread if above else np.full(middle.shape, np.inf)
    return np.stack([lower, upper], axis=-1)


def normal_pvalue(
    estimate: ArrayLike, se: ArrayLike, alternative: str = "two-sided", null: ArrayLike = 0.0
) -> FloatArray:
    """P values of normally distributed estimates.

    Parameters
    ----------
    estimate, se : (k,) arrays, or numbers
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"``: small where the estimate lies far above `null`.
    null : (k,) array or number
        Value under the null hypothesis.

    Returns
    -------
    (k,) array
        NaN where the estimate is `null` and its standard error zero.

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> float(normal_pvalue(1.96, 1.0).round(4)), float(normal_pvalue(1.96, 1.0, "larger").round(4))
    (0.05, 0.025)
    """
    check_alternative(alternative)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (np.asarray(estimate, dtype=float) - np.asarray(null, dtype=float)) / np.asarray(se, dtype=float)
    if alternative == "two-sided":
        return np.asarray(2.0 * ndtr(-np.abs(z)))
    return np.asarray(ndtr(-z) if alternative == "larger" else ndtr(z))


def tails(alpha: float, alternative: str) -> tuple[float, float]:
    """Probabilities left below and above an interval of level 1 - `alpha`."""
    check_alternative(alternative)
    if isinstance(alpha, bool) or not isinstance(alpha, float | int | np.number) or not 0.0 < alpha < 1.0:
        raise ArgumentError(f"alpha must lie between 0 and 1 (0.05 for 95% intervals); found {alpha!r}")
    if alternative == "two-sided":
        return alpha / 2.0, alpha / 2.0
    return (float(alpha), 0.0) if alternative == "larger" else (0.0, float(alpha))


def check_alternative(alternative: str) -> None:
    """Raise ArgumentError unless it is one of `ALTERNATIVES`."""
    if alternative in ALTERNATIVES:
        return
    meant = {"greater": "larger", "less": "smaller", "lower": "smaller"}.get(str(alternative))
    close = [meant] if meant else get_close_matches(str(alternative), ALTERNATIVES, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise ArgumentError(f"unknown alternative {alternative!r}: use one of {', '.join(ALTERNATIVES)}{hint}")
