"""Gamma regression with a log link, for positive outcomes whose spread grows with their mean: m = x (y - mu) / mu.

mu = exp(x'theta). The derivative is the exact one, y / mu, whose expectation is one.
"""

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.models.exponential import exponential, log_start
from dsl.engine.models.model import Link, Model


def _residual(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    # y exp(-eta): exp(eta) may underflow to a zero to divide by
    return outcome * exponential(-eta) - 1.0


def _slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return outcome * exponential(-eta)


GAMMA_LOG = Link(
    name="gamma-log",
    mean=exponential,
    residual=_residual,
    slope=_slope,
    start=log_start,
    positive=True,
    degree=0,
)
GAMMA = Model(
    name="gamma",
    title="gamma regression with a log link",
    link=GAMMA_LOG,
    outcomes=(float(np.nextafter(0.0, 1.0)), np.inf),  # the smallest number above zero
    needs="an outcome above zero",
    ratio="ratio of means",
    sources=(
        "McCullagh, P., and Nelder, J. A. (1989). Generalized Linear Models, second edition. Chapman and Hall, chapter 8.",
    ),
)
