"""Logistic regression: m = x (y - expit(x'theta))."""

from scipy.special import expit

from dsl._typing import FloatArray
from dsl.engine.models.model import Link, Model


def _slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return mean * (1.0 - mean)


LOGISTIC = Link(name="logistic", mean=expit, slope=_slope, probability=True, canonical=True, degree=0)
LOGIT = Model(
    name="logit",
    title="logistic regression",
    link=LOGISTIC,
    outcomes=(0.0, 1.0),
    needs="an outcome of 0 and 1 (or shares between them)",
    ratio="odds ratio",
)
