r"""Negative binomial regression of counts (NB2): E[y] = mu = exp(x'theta), Var(y) = mu + alpha mu^2.

The score of theta is x (y - mu) / (1 + alpha mu). That of log alpha,

.. math:: \frac{\log(1 + \alpha \mu) - \psi(y + 1/\alpha) + \psi(1/\alpha)}{\alpha} + \frac{y - \mu}{1 + \alpha \mu},

with psi the digamma function, is not linear in y: a predicted count is averaged over its distribution. R's ``glm.nb`` reports
theta = 1 / alpha.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import digamma, polygamma

from dsl._typing import FloatArray
from dsl.engine.models.family import Family, Kind
from dsl.engine.models.model import Model

LEAST_START = 0.05
"""Alpha from which Newton's method begins where the counts' moments say less, or less than none."""


def _parts(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means mu and alpha, (n,) each."""
    with np.errstate(over="ignore"):
        return np.exp(eta[0]), np.exp(eta[1])


def _at_counts(function: Callable[[FloatArray], FloatArray], outcome: FloatArray, alpha: FloatArray) -> FloatArray:
    """f(y + 1 / alpha) - f(1 / alpha), (n,): once for each count, where alpha is one number and outcomes are counts."""
    if len(outcome) and alpha.min() == alpha.max():
        low, high = outcome.min(), outcome.max()
        # NaN is no count
        if low >= 0.0 and high < len(outcome) and np.array_equal(outcome, np.floor(outcome)):
            counts = np.arange(low, high + 1.0)
            table = function(counts + 1.0 / alpha[0]) - function(1.0 / alpha[:1])
            return np.asarray(table[(outcome - low).astype(np.int64)])
    return np.asarray(function(outcome + 1.0 / alpha) - function(1.0 / alpha))


def _trigamma(values: FloatArray) -> FloatArray:
    return np.asarray(polygamma(1, values))


def _log_part(outcome: FloatArray, mu: FloatArray, alpha: FloatArray) -> FloatArray:
    """The part log(1 + alpha mu) - psi(y + 1 / alpha) + psi(1 / alpha)."""
    return np.asarray(np.log1p(alpha * mu) - _at_counts(digamma, outcome, alpha))


def _score(outcome: FloatArray, eta: FloatArray) -> FloatArray:
    mu, alpha = _parts(eta)
    with np.errstate(over="ignore", invalid="ignore"):
        first = (outcome - mu) / (1.0 + alpha * mu)
        return np.stack([first, _log_part(outcome, mu, alpha) / alpha + first])


def _slope(outcome: FloatArray, eta: FloatArray) -> FloatArray:
    mu, alpha = _parts(eta)
    with np.errstate(over="ignore", invalid="ignore"):
        size = 1.0 + alpha * mu
        mixed = (outcome - mu) * alpha * mu / size**2
        curve = _at_counts(_trigamma, outcome, alpha)
        own = _log_part(outcome, mu, alpha) / alpha - mu / size - curve / alpha**2 + mixed
        return np.asarray([[mu * (1.0 + alpha * outcome) / size**2, mixed], [mixed, own]])


def _mean(eta: FloatArray) -> FloatArray:
    return _parts(eta)[0][None]


def _start(outcome: FloatArray, weight: FloatArray, classes: int) -> FloatArray:
    mean = max(float(np.average(outcome, weights=weight)), 1e-8)
    return np.array([np.log(mean), _dispersion(outcome, weight, np.full(len(outcome), mean))])


def _dispersion(outcome: FloatArray, weight: FloatArray, mean: FloatArray) -> float:
    """Log alpha from sum w [(y - mu)^2 - y] = alpha sum w mu^2 (Cameron and Trivedi 1990)."""
    alpha = float(weight @ ((outcome - mean) ** 2 - outcome)) / float(weight @ mean**2)
    return float(np.log(max(alpha, LEAST_START)))


def _kinds(classes: int) -> tuple[Kind, ...]:
    return ("all", "one")


def _labels(levels: Sequence[str]) -> tuple[str, ...]:
    return ("", "log(alpha)")


NEGATIVE_BINOMIAL = Family(
    name="negative binomial",
    kinds=_kinds,
    labels=_labels,
    score=_score,
    slope=_slope,
    mean=_mean,
    start=_start,
    dispersion=_dispersion,
    classes=False,
    probability=False,
    positive=True,
)
NEGBIN = Model(
    name="negbin",
    title="negative binomial regression",
    link=NEGATIVE_BINOMIAL,
    outcomes=(0.0, np.inf),
    needs="counts, zero or more",
    ratio="ratio of means",
    sources=(
        "Cameron, A. C., and Trivedi, P. K. (1990). Regression-based tests for overdispersion in the Poisson model. "
        "Journal of Econometrics 46(3), 347-364.",
    ),
)
