r"""Multinomial logistic regression: log P(y = k) / P(y = 0) = x'theta_k, against the first class.

The score of theta_k is x (1{y = k} - p_k). It is linear in the classes' indicators, so that an outcome's class probabilities
can stand for it.
"""

from collections.abc import Sequence

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.models.family import Family, Kind, class_shares
from dsl.engine.models.model import Model


def probabilities(eta: FloatArray) -> FloatArray:
    """Probabilities of K classes from K - 1 linear predictors. (K, n) array of (K - 1, n)."""
    # the largest exponent is zero: none overflows
    top = np.maximum(eta.max(axis=0), 0.0)
    size = np.concatenate([np.exp(-top)[None], np.exp(eta - top)])
    return np.asarray(size / size.sum(axis=0))


def _score(outcome: FloatArray, eta: FloatArray) -> FloatArray:
    out = -probabilities(eta)[1:]
    for j in range(len(out)):
        out[j] += outcome == j + 1
    return out


def _slope(outcome: FloatArray, eta: FloatArray) -> FloatArray:
    p = probabilities(eta)[1:]
    out = -p[:, None] * p
    for j in range(len(p)):
        out[j, j] += p[j]
    return out


def _kinds(classes: int) -> tuple[Kind, ...]:
    equations: list[Kind] = ["all"] * (classes - 1)
    return tuple(equations)


def _labels(levels: Sequence[str]) -> tuple[str, ...]:
    return tuple(levels[1:])


def _start(outcome: FloatArray, weight: FloatArray, classes: int) -> FloatArray:
    share = class_shares(outcome, weight, classes)
    return np.asarray(np.log(share[1:] / share[0]))


MULTINOMIAL = Family(
    name="multinomial",
    kinds=_kinds,
    labels=_labels,
    score=_score,
    slope=_slope,
    mean=probabilities,
    start=_start,
    canonical=True,
    offsets=False,
)
MULTINOM = Model(
    name="multinom",
    title="multinomial logistic regression",
    link=MULTINOMIAL,
    needs="an outcome of classes",
    ratio="ratio of odds against the first class",
)
