r"""Ordered logistic and probit regression: P(y <= k) = F(zeta_k - x'b), thresholds zeta_1 < ... < zeta_{K-1}.

This is the parametrisation of R's ``polr`` and of statsmodels' `OrderedModel`: a positive coefficient makes higher classes
likelier. Stata's is the same. Others (SAS, and R's ``vglm`` by default) write F(zeta_k + x'b), whose b has the other sign.

With u = zeta_y - x'b above and v = zeta_{y-1} - x'b below a row's class, P = F(u) - F(v) and

.. math:: A = f(u) / P, \quad B = f(v) / P,

the score is A in zeta_y, -B in zeta_{y-1}, and B - A in x'b (McCullagh, JRSS B 42, 1980). u is infinite for the last class, and v
is minus infinity for the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit, log_expit, log_ndtr, logit, ndtr, ndtri

from dsl._typing import FloatArray, IntArray
from dsl.engine.models.family import Family, Kind, class_shares
from dsl.engine.models.model import Model

HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Derivatives of log P at both ends u and v of a row's class, (n,) each. Zero at an infinite end."""

    upper: FloatArray
    """A, the derivative in u."""
    lower: FloatArray
    """B, minus the derivative in v."""
    upper_slope: FloatArray
    """Minus the second derivative in u."""
    lower_slope: FloatArray
    """Minus the second derivative in v."""
    upper_cross: FloatArray
    """Minus the second derivative in u and x'b."""
    lower_cross: FloatArray
    """Minus the second derivative in v and x'b."""


def logistic_ends(u: FloatArray, v: FloatArray) -> Ends:
    """`Ends` for the logistic distribution, exact in both tails.

    F(u) - F(v) = F(u) F(-v) (1 - e^{v - u}), and everything follows without a difference of nearly equal numbers.
    """
    # D = 1 - e^{v-u}: NaN where thresholds are out of order
    gap = np.where(u > v, -np.expm1(v - u), np.nan)
    ratio = np.exp(np.where(u > v, v - u, np.nan))
    upper = np.exp(log_expit(-u) - log_expit(-v)) / gap
    lower = np.exp(log_expit(v) - log_expit(u)) / gap
    # A (A + 2F(u) - 1) and B (B + 1 - 2F(v)) as sums of positive terms
    upper_slope = upper * (expit(u) + upper * (expit(v) + expit(-v) * ratio))
    lower_slope = lower * (expit(-v) + lower * (expit(-u) + expit(u) * ratio))
    return Ends(
        upper=upper,
        lower=lower,
        upper_slope=upper_slope,
        lower_slope=lower_slope,
        # the score in x'b is F(u) + F(v) - 1
        upper_cross=-expit(u) * expit(-u),
        lower_cross=-expit(v) * expit(-v),
    )


def normal_ends(u: FloatArray, v: FloatArray) -> Ends:
    """`Ends` for the normal distribution. In the upper tail both ends are mirrored, where their difference keeps its digits."""
    # v = -inf beside u = inf cannot be: a class has one finite end at least
    flip = np.where(np.isinf(u), v > 0.0, np.where(np.isinf(v), u > 0.0, u + v > 0.0)) & np.isfinite(v)
    high, low = np.where(flip, -v, u), np.where(flip, -u, v)
    below = log_ndtr(high)
    # log P = log F(high) + log(1 - F(low) / F(high))
    log_p = below + np.log(np.where(u > v, -np.expm1(log_ndtr(low) - below), np.nan))
    upper, lower = (np.exp(-0.5 * end**2 - HALF_LOG_TWO_PI - log_p) for end in (u, v))
    # f' = -u f
    upper_slope = upper * (upper + np.where(np.isinf(u), 0.0, u))
    lower_slope = lower * (lower - np.where(np.isinf(v), 0.0, v))
    return Ends(
        upper=upper,
        lower=lower,
        upper_slope=upper_slope,
        lower_slope=lower_slope,
        # u and v both move by -1 with x'b
        upper_cross=upper * lower - upper_slope,
        lower_cross=upper * lower - lower_slope,
    )


def _ends_of(outcome: FloatArray, eta: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Class of each row, and the ends u and v, (n,) each."""
    code, last = outcome.astype(np.int64), len(eta) - 1
    u, v = np.full(len(code), np.inf), np.full(len(code), -np.inf)
    for k in range(1, last + 1):
        # eta is (x'b, zeta_1, ..., zeta_{K-1}): zeta_k is above class k - 1 and below class k
        above, below = code == k - 1, code == k
        u[above] = (eta[k] - eta[0])[above]
        v[below] = (eta[k] - eta[0])[below]
    return code, u, v


@dataclass(frozen=True, slots=True)
class Score:
    """r (J, n) from `Ends`."""

    ends: Callable[[FloatArray, FloatArray], Ends]

    def __call__(self, outcome: FloatArray, eta: FloatArray) -> FloatArray:
        """B - A in x'b, A in the threshold above, -B in the one below."""
        code, u, v = _ends_of(outcome, eta)
        with np.errstate(invalid="ignore", over="ignore"):
            ends = self.ends(u, v)
        out = np.zeros(eta.shape)
        out[0] = ends.lower - ends.upper
        for k in range(1, len(eta)):
            out[k] = np.where(code == k - 1, ends.upper, 0.0) - np.where(code == k, ends.lower, 0.0)
        return out


@dataclass(frozen=True, slots=True)
class Slope:
    """H (J, J, n) from `Ends`."""

    ends: Callable[[FloatArray, FloatArray], Ends]

    def __call__(self, outcome: FloatArray, eta: FloatArray) -> FloatArray:
        """Minus the second derivatives: -AB between both thresholds of a class."""
        code, u, v = _ends_of(outcome, eta)
        with np.errstate(invalid="ignore", over="ignore"):
            ends = self.ends(u, v)
        mixed = -ends.upper * ends.lower
        out = np.zeros((len(eta), *eta.shape))
        out[0, 0] = -(ends.upper_cross + ends.lower_cross)
        for k in range(1, len(eta)):
            above, below = code == k - 1, code == k
            out[k, k] = np.where(above, ends.upper_slope, 0.0) + np.where(below, ends.lower_slope, 0.0)
            out[0, k] = out[k, 0] = np.where(above, ends.upper_cross, 0.0) + np.where(below, ends.lower_cross, 0.0)
            if k + 1 < len(eta):
                # class k lies between zeta_k and zeta_{k+1}
                out[k, k + 1] = out[k + 1, k] = np.where(below, mixed, 0.0)
        return out


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Class probabilities (K, n) from the distribution function F."""

    below: Callable[[FloatArray], FloatArray]

    def __call__(self, eta: FloatArray) -> FloatArray:
        """F(zeta_k - x'b) - F(zeta_{k-1} - x'b), in the upper tail as a difference of the small F(-u)."""
        u = eta[1:] - eta[0]
        lower, upper = self.below(u), self.below(-u)
        ends = np.zeros((1, eta.shape[1]))
        # (K, n) both ways, of which the one with the smaller terms has more digits
        left = np.diff(np.concatenate([ends, lower, ends + 1.0]), axis=0)
        right = -np.diff(np.concatenate([ends + 1.0, upper, ends]), axis=0)
        small = np.concatenate([lower, ends + 1.0]) <= 0.5
        return np.asarray(np.where(small, left, right))


@dataclass(frozen=True, slots=True)
class Start:
    """Thresholds from the shares of the classes, and x'b at zero."""

    quantile: Callable[[FloatArray], FloatArray]

    def __call__(self, outcome: FloatArray, weight: FloatArray, classes: int) -> FloatArray:
        """The thresholds at which the model without covariates has these shares."""
        share = class_shares(outcome, weight, classes)
        below = np.cumsum(share)[:-1]
        return np.concatenate([[0.0], self.quantile(below)])


def _kinds(classes: int) -> tuple[Kind, ...]:
    thresholds: list[Kind] = ["threshold"] * (classes - 1)
    return ("slopes", *thresholds)


def _labels(levels: Sequence[str]) -> tuple[str, ...]:
    return ("", *(f"{below}|{above}" for below, above in pairwise(levels)))


ORDERED_LOGIT = Family(
    name="ordered logistic",
    kinds=_kinds,
    labels=_labels,
    score=Score(logistic_ends),
    slope=Slope(logistic_ends),
    mean=Probabilities(expit),
    start=Start(logit),
    ordered=True,
)
ORDERED_PROBIT = Family(
    name="ordered probit",
    kinds=_kinds,
    labels=_labels,
    score=Score(normal_ends),
    slope=Slope(normal_ends),
    mean=Probabilities(ndtr),
    start=Start(ndtri),
    ordered=True,
)
_NEEDS = "an outcome of ordered classes"
_SOURCE = (
    "McCullagh, P. (1980). Regression models for ordinal data (with discussion). Journal of the Royal Statistical Society "
    "B 42(2), 109-142."
)
OLOGIT = Model(
    name="ologit",
    title="ordered logistic regression",
    link=ORDERED_LOGIT,
    needs=_NEEDS,
    sources=(_SOURCE,),
    ratio="ratio of odds of a higher class",
)
OPROBIT = Model(
    name="oprobit", title="ordered probit regression", link=ORDERED_PROBIT, needs=_NEEDS, sources=(_SOURCE,)
)
