"""Poisson regression, of counts and of other numbers that are zero or more: m = x (y - exp(x'theta)).

Consistent for any outcome with E[y | x] = exp(x'theta), whatever its distribution (Gourieroux, Monfort and Trognon 1984);
standard errors are the sandwich's, and need no variance equal to the mean.
"""

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.models.exponential import exponential, log_start
from dsl.engine.models.model import Link, Model


def _slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return mean


LOG = Link(name="log", mean=exponential, slope=_slope, start=log_start, positive=True, canonical=True)
POISSON = Model(
    name="poisson",
    title="Poisson regression",
    link=LOG,
    absorbs=True,
    outcomes=(0.0, np.inf),
    needs="an outcome of zero or more",
    ratio="rate ratio",
    sources=(
        "Gourieroux, C., Monfort, A., and Trognon, A. (1984). Pseudo maximum likelihood methods: applications to Poisson "
        "models. Econometrica 52(3), 701-720.",
    ),
)
