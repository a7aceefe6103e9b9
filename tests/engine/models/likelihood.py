"""Log-likelihoods of models with several linear predictors, for complex numbers: exact derivatives by imaginary steps."""

from collections.abc import Callable

import numpy as np
from scipy.special import erf, loggamma

from dsl._typing import FloatArray, IntArray
from tests.engine.models.truth import Maximum

Likelihood = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""Parameters (k,), columns (n, p) with the intercept first, outcomes (n,), to (n,) log-likelihoods."""
CLASSES = 3
TINY = 1e-30
"""Step in the imaginary direction: f(x + ih) = f(x) + ih f'(x) + O(h^2), without a difference."""
STEP = 1e-3


def multinomial(params: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    eta = np.column_stack([np.zeros(len(x)), x @ params.reshape(CLASSES - 1, -1).T])
    return eta[np.arange(len(y)), y.astype(int)] - np.log(np.exp(eta).sum(axis=1))


def _ordered(below: Callable[[FloatArray], FloatArray]) -> Likelihood:
    def loglike(params: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        slopes, zeta = params[: x.shape[1] - 1], params[x.shape[1] - 1 :]
        eta = x[:, 1:] @ slopes
        ends = [np.zeros(len(x)), *(below(z - eta) for z in zeta), np.ones(len(x))]
        code = y.astype(int)
        upper, lower = (np.choose(code + shift, ends) for shift in (1, 0))
        return np.asarray(np.log(upper - lower))

    return loglike


ordered_logit = _ordered(lambda u: 1.0 / (1.0 + np.exp(-u)))
ordered_probit = _ordered(lambda u: 0.5 * (1.0 + erf(u / np.sqrt(2.0))))


def negative_binomial(params: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    mu, alpha = np.exp(x @ params[:-1]), np.exp(params[-1])
    size = 1.0 / alpha
    return np.asarray(
        loggamma(y + size)
        - loggamma(size + 0j)
        - loggamma(y + 1.0 + 0j)
        + y * np.log(alpha * mu)
        - (y + size) * np.log(1.0 + alpha * mu)
    )


LIKELIHOODS: dict[str, Likelihood] = {
    "multinom": multinomial,
    "ologit": ordered_logit,
    "oprobit": ordered_probit,
    "negbin": negative_binomial,
}


def scores(loglike: Likelihood, params: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Derivatives of each row's log-likelihood, (n, k)."""
    columns = []
    for j in range(len(params)):
        moved = params.astype(complex)
        moved[j] += 1j * TINY
        columns.append(np.imag(loglike(moved, x, y)) / TINY)
    return np.column_stack(columns)


def hessian(loglike: Likelihood, params: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Minus the second derivatives of each row's log-likelihood, (n, k, k): differences of `scores` to the fourth order."""
    out = np.empty((len(x), len(params), len(params)))
    for j in range(len(params)):
        step = STEP * np.eye(len(params))[j]
        near, far = (
            scores(loglike, params + size * step, x, y) - scores(loglike, params - size * step, x, y) for size in (1, 2)
        )
        out[:, :, j] = -(8.0 * near - far) / (12.0 * STEP)
    return out


def maximum(loglike: Likelihood, start: FloatArray, x: FloatArray, y: FloatArray) -> Maximum:
    """The root of the summed scores by Newton's method."""
    params = start
    for _ in range(30):
        step = np.linalg.solve(hessian(loglike, params, x, y).sum(axis=0), scores(loglike, params, x, y).sum(axis=0))
        # half a step at most: thresholds stay in order
        params = params + step * min(1.0, 0.5 / np.abs(step).max())
    return Maximum(params, scores(loglike, params, x, y), hessian(loglike, params, x, y).sum(axis=0))


def codes(index: FloatArray, rng: np.random.Generator, cuts: tuple[float, ...] = (-0.4, 0.9)) -> IntArray:
    """Classes of a logistic variable about an index, between cuts."""
    return np.asarray(np.digitize(index + rng.logistic(size=len(index)), cuts))
