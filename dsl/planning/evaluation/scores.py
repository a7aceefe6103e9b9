"""What replications say about a strategy: each measure with its Monte Carlo standard error. Arrays only."""

from dataclasses import dataclass

import numpy as np

from dsl._typing import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and the standard error that comes from a finite number of replications."""

    value: float
    error: float


NOTHING = Measure(np.nan, np.nan)
"""A measure without the replications it needs."""


def coverage(*, low: FloatArray, high: FloatArray, truth: float) -> Measure:
    """Share of intervals that hold the truth.

    The error is binomial, at the share with two successes and two failures added (Agresti and Coull, 1998), so that it is
    not zero where all intervals, or none, hold the truth.

    Parameters
    ----------
    low, high : (R,) arrays
        Ends of the intervals.
    truth : float

    Examples
    --------
    >>> coverage(low=np.array([0.0, 2.0]), high=np.array([1.0, 3.0]), truth=0.5).value
    0.5
    """
    R = len(low)
    if R == 0:
        return NOTHING
    held = int(((low <= truth) & (truth <= high)).sum())
    # Agresti and Coull: two successes and two failures more
    near = (held + 2) / (R + 4)
    return Measure(held / R, float(np.sqrt(near * (1 - near) / R)))


def mean(values: FloatArray) -> Measure:
    """Mean of (R,) values, with error sd / sqrt(R)."""
    R = len(values)
    if R < 2:
        return Measure(float(values[0]), np.nan) if R else NOTHING
    return Measure(float(values.mean()), float(values.std(ddof=1) / np.sqrt(R)))


def rmse(errors: FloatArray) -> Measure:
    """Root mean square of (R,) errors of estimates. Its error is by the delta method."""
    square = mean(errors**2)
    root = float(np.sqrt(square.value))
    # delta method: se(root) = se(square) / (2 root)
    return Measure(root, 0.0 if root == 0.0 else square.error / (2 * root))


def effective(
    *, estimates: FloatArray, baseline: FloatArray, n_labels: int, paired: BoolArray | None = None
) -> Measure:
    r"""Labels that the baseline would need to be as precise: n Var(baseline) / Var(estimate).

    The error is by the delta method on the logarithm: a variance S^2 of R draws has influence values
    ``z = (x - mean)^2 / S^2 - 1``. So log S_b^2 - log S_e^2 has the variance of the mean of z_b - z_e where both
    estimates come from the same draws, and the sum of both variances where they do not.

    Parameters
    ----------
    estimates, baseline : (R,) arrays
        (R,) and (R',) of different lengths where they do not come from the same draws.
    n_labels : int
        Labels n that both had.
    paired : (R,) bool array, optional
        The estimates are of the same draws, in the same order, and both were obtained where this is true. Only these
        draws are used, so that a failure counts neither for nor against an estimator here.

    Returns
    -------
    Measure
        NaN where a variance is zero: such an estimator does not use the labels.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=400)
    >>> same = effective(estimates=draws / 2, baseline=draws, n_labels=100, paired=np.ones(400, dtype=bool))
    >>> round(same.value, 6), round(same.error, 6)
    (400.0, 0.0)
    """
    if paired is not None:
        estimates, baseline = estimates[paired], baseline[paired]
    if min(len(estimates), len(baseline)) < 2:
        return NOTHING
    variance, reference = _variance(estimates), _variance(baseline)
    if variance == 0.0 or reference == 0.0:
        return NOTHING
    # influence values of log S^2: (x - mean)^2 / S^2 - 1
    z_e = (estimates - estimates.mean()) ** 2 / variance - 1.0
    z_b = (baseline - baseline.mean()) ** 2 / reference - 1.0
    if paired is not None:
        # the same draws: the variance of the mean of z_b - z_e takes their correlation into account
        log_variance = _variance(z_b - z_e) / len(z_e)
    else:
        log_variance = _variance(z_b) / len(z_b) + _variance(z_e) / len(z_e)
    ratio = reference / variance
    # delta method back from the logarithm: se(ratio) = ratio se(log ratio)
    return Measure(n_labels * ratio, n_labels * ratio * float(np.sqrt(log_variance)))


def _variance(values: FloatArray) -> float:
    """Sample variance, exactly zero where all values agree to rounding."""
    spread = float(values.var(ddof=1))
    return spread if spread > (1e-14 * float(np.abs(values).max())) ** 2 else 0.0
