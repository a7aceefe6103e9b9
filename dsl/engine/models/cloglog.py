r"""Complementary log-log regression: mu = 1 - exp(-t) with t = exp(x'theta), m = x t (y - mu) / mu.

For events in grouped time (theta are log hazard ratios) and for presence where a count has mean t. The moment is
x [y t / (e^t - 1) - (1 - y) t], which loses no digits where mu is all but 0 or 1.
"""

import numpy as np
from scipy.special import expm1

from dsl._typing import FloatArray
from dsl.engine.models.exponential import exponential
from dsl.engine.models.model import Link, Model

NEAR = 1e-2
"""Where t / (1 - e^-t) - 1 begins to lose digits, and a series has them all."""
LARGEST = 700.0
"""eta at which t is near the largest number there is: one more would be infinity, and infinity over infinity."""


def _times(eta: FloatArray) -> FloatArray:
    return exponential(np.minimum(eta, LARGEST))


def _mean(eta: FloatArray) -> FloatArray:
    return np.asarray(-expm1(-exponential(eta)))


def _event(t: FloatArray) -> FloatArray:
    """T / (e^t - 1), which is 1 at t = 0, where t may underflow to it."""
    return np.asarray(np.where(t > 0.0, t / np.where(t > 0.0, expm1(t), 1.0), 1.0))


def _residual(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    t = _times(eta)
    return np.asarray(outcome * _event(t) - (1.0 - outcome) * t)


def _slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    t = _times(eta)
    event = _event(t)
    # -d/d eta of t / (e^t - 1) is itself times t / (1 - e^-t) - 1, the latter t/2 + t^2/12 - t^4/720 + ... (Bernoulli numbers)
    near = np.minimum(t, NEAR)
    square = near * near
    small = near / 2.0 + square / 12.0 * (1.0 - square / 60.0 * (1.0 - square / 42.0))
    rise = np.where(t < NEAR, small, t + event - 1.0)
    return np.asarray(outcome * event * rise + (1.0 - outcome) * t)


CLOGLOG_LINK = Link(name="cloglog", mean=_mean, residual=_residual, slope=_slope, probability=True, degree=0)
CLOGLOG = Model(
    name="cloglog",
    title="complementary log-log regression",
    link=CLOGLOG_LINK,
    outcomes=(0.0, 1.0),
    needs="an outcome of 0 and 1 (or shares between them)",
    ratio="",
    sources=(
        "McCullagh, P., and Nelder, J. A. (1989). Generalized Linear Models, second edition. Chapman and Hall, chapter 4.",
    ),
)
