"""Models with several linear predictors: scores in each of them, and second derivatives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from dsl._typing import FloatArray

Kind: TypeAlias = Literal["all", "slopes", "threshold", "one"]
"""Columns of a linear predictor: all of the formula's, all but the intercept, or the constant one. A ``threshold`` is a constant
that takes the intercept's place: it moves by m'b where the columns of the slopes b lose their means m."""
Score: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
"""Function of outcomes (n,) and linear predictors (J, n)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    r"""A model with J linear predictors eta_1, ..., eta_J on each row, columns X_j of its own in each.

    With r_j the derivative of the row's log-likelihood in eta_j, and H_jl minus its second derivatives, the moment and (minus)
    its derivative are

    .. math:: m = (X_1' r_1, \dots, X_J' r_J), \qquad A_{jl} = X_j' H_{jl} X_l.

    Outcomes that are classes are codes 0, 1, ..., K - 1. Functions work row by row, and know K from the number of predictors.

    References
    ----------
    Yee, "Vector generalized linear and additive models" (Springer 2015), chapter 3.
    """

    name: str
    kinds: Callable[[int], tuple[Kind, ...]]
    """Columns of each linear predictor, given the number of classes (0 where the outcome is a number)."""
    labels: Callable[[Sequence[str]], tuple[str, ...]]
    """A name for each linear predictor, given the classes: of its equation, or of the constant that it is."""
    score: Score
    """r, (J, n)."""
    slope: Score
    """H, (J, J, n)."""
    mean: Callable[[FloatArray], FloatArray]
    """Fitted probabilities of the classes (K, n), or fitted means (1, n), from linear predictors (J, n)."""
    start: Callable[[FloatArray, FloatArray, int], FloatArray]
    """Constants of the linear predictors (J,) that fit outcomes (n,) with weights (n,) of so many classes alone."""
    dispersion: Callable[[FloatArray, FloatArray, FloatArray], float] | None = None
    """The last linear predictor, a constant, from outcomes (n,), weights (n,) and means (n,) of the first one, with which
    Newton's method begins. None where it begins with all at once."""
    classes: bool = True
    """Whether the outcome is a class."""
    ordered: bool = False
    """Whether classes have an order."""
    probability: bool = True
    """Whether means are probabilities, which separation drives to 0 or 1."""
    positive: bool = False
    """Whether the first linear predictor is the log of the mean, which outcomes that are zero throughout a group drive to 0."""
    canonical: bool = False
    """Whether H does not depend on y, and the Jacobian thus on covariates alone."""
    offsets: bool = True
    """Whether the formula's offset has a place: in the first linear predictor."""
    degree: int = 0
    """Power of the outcome's size with which moments grow."""


def class_shares(outcome: FloatArray, weight: FloatArray, classes: int) -> FloatArray:
    """Weighted shares of the classes, (K,), of one without rows a hundredth of an even share: what solvers start from."""
    count = np.bincount(outcome.astype(int), weights=weight, minlength=classes)
    share = np.maximum(count, 0.01 * count.mean())
    return np.asarray(share / share.sum())
