r"""Probit regression: m = x \phi (y - \Phi) / (\Phi (1 - \Phi)) at x'theta.

With the hazard h(u) = \phi(u) / (1 - \Phi(u)) this is x [y h(-eta) - (1 - y) h(eta)], which loses no digits where \Phi
is all but 0 or 1. h'(u) = h(u) (h(u) - u).
"""

import numpy as np
from scipy.special import erfcx, ndtr

from dsl._typing import FloatArray
from dsl.engine.models.model import Link, Model

FAR = 40.0
"""Where h(u) - u begins to lose digits, and a series has them all."""


def _hazard(u: FloatArray) -> FloatArray:
    # 1 - Phi(u) = erfcx(u / sqrt 2) exp(-u^2 / 2) / 2
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(u / np.sqrt(2.0)))


def _hazard_slope(u: FloatArray) -> FloatArray:
    hazard = _hazard(u)
    out = hazard * (hazard - u)
    far = u > FAR
    if far.any():
        # h(u) ~ u + 1/u - 2/u^3 + 10/u^5 - ..., from Laplace's continued fraction
        square = u[far] ** -2.0
        out[far] = 1.0 - square * (1.0 - square * (6.0 - square * (50.0 - square * 518.0)))
    return np.asarray(out)


def _residual(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return outcome * _hazard(-eta) - (1.0 - outcome) * _hazard(eta)


def _slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return outcome * _hazard_slope(-eta) + (1.0 - outcome) * _hazard_slope(eta)


NORMAL = Link(name="probit", mean=ndtr, residual=_residual, slope=_slope, probability=True, degree=0)
PROBIT = Model(
    name="probit",
    title="probit regression",
    link=NORMAL,
    outcomes=(0.0, 1.0),
    needs="an outcome of 0 and 1 (or shares between them)",
    sources=(
        "McCullagh, P., and Nelder, J. A. (1989). Generalized Linear Models, second edition. Chapman and Hall, chapter 4.",
    ),
)
