"""How much to rely on the predictions: Lambda in psi = w m + Lambda (1 - w) m_hat.

(1 - w) m_hat has expectation zero over the labelling whatever m_hat is, because the sampling probabilities are known. Any
Lambda is therefore valid, and the one that makes the variance smallest is a regression coefficient: that of the rest of
the score on this part. Lambda = 0 leaves the labelled rows alone, Lambda = I is plain DSL. The minimum is at most the
smaller of both (Robins, Rotnitzky and Zhao 1994, and for one scalar PPI++ by Angelopoulos, Duchi and Zrnic 2023).

With fixed effects the part that is scaled is (1 - w) m_hat of the predictions within the effects. Its expectation is zero
however short the panel, unlike that of the gold-only moment, whose effects rest on a few labelled rows each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import sandwich
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.labeling import finite_meat
from dsl.engine.moments import augmentation_weights
from dsl.engine.sums import Problem, label_meat, label_scores, row_scores, score_sums, unit_scores
from dsl.exceptions import EstimationError

FAR = 1.0
"""Distance of the tuned estimate from the pilot, in its standard errors (root mean square over coefficients), from which
another pilot is taken. A surrogate that is a coin toss (simulation A) never came so far in 300 draws."""
NOTHING = 1e-20
"""Variance of what useless predictions add, relative to that of the rest, that rounding can make."""
KINDS = ("scalar", "coef", "matrix")
"""One number for all coefficients, one for each, or a full matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The chosen Lambda, and what the alternatives would have given, in the reported coefficients."""

    lambdas: FloatArray
    """(k,) diagonal of J^-1 Lambda J: how much each coefficient relies on the predictions."""
    plain: FloatArray | None
    """(k,) variances at Lambda = I, or None where they were not computed."""
    without: FloatArray | None
    """(k,) variances at Lambda = 0, to first order."""
    tuning: FloatArray | None = None
    """(k, k) Lambda, in the block's parameters."""
    at: FloatArray | None = None
    """(k,) the block's parameters at which the scores were taken."""


def fit_tuned(
    block: Block,
    problem: Problem,
    tune: str | float,
    start: FloatArray | None = None,
    basis: FloatArray | None = None,
) -> tuple[SplitFit, Tuned]:
    """Solve at a pilot estimate, choose Lambda there, and take one step to the root of the moment at this Lambda.

    The pilot is the estimate at Lambda = I. With very poor predictions it does not exist, or lies farther
    from the tuned estimate than `FAR`, and says nothing about Lambda. The estimate of the labelled rows alone then takes its
    place. The variance is at most that at Lambda = I and at Lambda = 0, all taken at the pilot. A number for Lambda is
    solved for exactly.

    Parameters
    ----------
    block : Block
    problem : Problem
    tune : {"scalar", "coef", "matrix"} or float
        What to choose. A number is Lambda itself, times the identity.
    start : (k,) array, optional
        Where Newton's method begins.
    basis : (k, k) array, optional
        Matrix that takes the block's parameters to the reported ones (`dsl.engine.centre`), the identity by default.

    Returns
    -------
    SplitFit, Tuned
    """
    k = block.shape[1]
    basis = np.eye(k) if basis is None else basis
    if not isinstance(tune, str):
        fit = fit_split(block, replace(problem, tuning=tune * np.eye(k)), start=start)
        pilot = _Pilot.at(block, problem, fit, basis)
        return fit, replace(pilot.tuned(tune * np.eye(k)), at=fit.params)
    try:
        fit, choice = _Pilot.at(block, problem, fit_split(block, problem, start=start), basis).choose(tune)
        if _distance(fit, choice) <= FAR:
            return fit, choice
    except EstimationError:
        pass
    alone = fit_split(block, replace(problem, tuning=np.zeros((k, k))))
    return _Pilot.at(block, problem, alone, basis).choose(tune)


def _distance(fit: SplitFit, choice: Tuned) -> float:
    """Root mean square distance of the tuned estimate from the pilot, in standard errors of their combinations."""
    assert choice.at is not None
    # pinv: the covariance is singular where coefficients move together, and such directions do not count
    step = fit.params - choice.at
    square = float(step @ np.linalg.pinv(fit.vcov, hermitian=True) @ step)
    return float(np.sqrt(max(square, 0.0) / len(step)))


@dataclass(frozen=True, slots=True)
class _Pilot:
    """Sums over units of the scores s at Lambda = I and of the augmentation h = (1 - w) m_hat, at one estimate."""

    block: Block
    problem: Problem
    fit: SplitFit
    basis: FloatArray
    total: FloatArray  # (2k,) sum of (s, h)
    second: FloatArray  # (2k, 2k) variance of these sums

    @classmethod
    def at(cls, block: Block, problem: Problem, fit: SplitFit, basis: FloatArray) -> "_Pilot":
        k, params = len(fit.params), fit.params
        within = block if block.within is None else block.within
        rows = zip(
            row_scores(block, problem, params, problem.weights, augmentation_weights),
            row_scores(within, problem, params, augmentation_weights, augmentation_weights),
            strict=True,
        )
        total, second = score_sums(unit_scores((np.hstack(pair) for pair in rows), problem), 2 * k)
        if problem.labeling is not None:
            # finite population: the labelled rows' parts are w (m - m_hat) of s, and -w m_hat = own - gold of h
            own = label_scores(block, problem, params)
            gold = label_scores(block, replace(problem, tuning=np.zeros((k, k))), params)
            second = finite_meat(np.hstack([own, own - gold]), problem.labeling)
        return cls(block, problem, fit, basis, total, second)

    @property
    def bread(self) -> FloatArray:
        return np.asarray(self.basis @ np.linalg.inv(self.fit.jacobian))

    def choose(self, tune: str) -> tuple[SplitFit, Tuned]:
        """The fit at the best Lambda, to first order from this one."""
        tuning = np.eye(len(self.fit.params)) + best_change(tune, self.second, self.bread)
        return self.step(tuning), self.tuned(tuning)

    def meat(self, tuning: FloatArray) -> FloatArray:
        """Meat at Lambda."""
        k = len(tuning)
        # psi = s + (Lambda - I) h = [I, Lambda - I] (s, h), (k, 2k) times (2k,)
        both = np.hstack([np.eye(k), tuning - np.eye(k)])
        return np.asarray(both @ self.second @ both.T)

    def step(self, tuning: FloatArray) -> SplitFit:
        """The fit at Lambda, to first order from this one."""
        k = len(tuning)
        both = np.hstack([np.eye(k), tuning - np.eye(k)])
        problem = replace(self.problem, tuning=tuning)
        meat = self.meat(tuning)
        on_labels = label_scores(self.block, problem, self.fit.params)
        return replace(
            self.fit,
            # (1 - w) m_hat has expectation zero at every theta, its Jacobian too: the pilot's serves every Lambda
            params=self.fit.params + np.linalg.solve(self.fit.jacobian, both @ self.total),
            vcov=sandwich(self.fit.jacobian, meat),
            meat=meat,
            label_scores=on_labels,
            label_meat=label_meat(self.block, problem, on_labels),
        )

    def tuned(self, tuning: FloatArray) -> Tuned:
        """What Lambda amounts to, and the variances at both ends."""
        k, bread = len(tuning), self.bread
        plain, without = (np.diag(bread @ self.meat(end) @ bread.T) for end in (np.eye(k), np.zeros((k, k))))
        return Tuned(
            # Lambda acts on moments, J^-1 Lambda J on coefficients
            lambdas=np.diag(bread @ tuning @ np.linalg.inv(bread)),
            plain=plain,
            without=without,
            tuning=tuning,
            at=self.fit.params,
        )


def side_by_side(choices: Sequence[Tuned]) -> Tuned:
    """The choices of several equations in one."""

    def every(name: str) -> FloatArray | None:
        values = [getattr(choice, name) for choice in choices]
        return None if any(value is None for value in values) else np.concatenate(values)

    matrices = [choice.tuning for choice in choices if choice.tuning is not None]
    return Tuned(
        lambdas=np.concatenate([choice.lambdas for choice in choices]),
        plain=every("plain"),
        without=every("without"),
        tuning=scipy.linalg.block_diag(*matrices) if len(matrices) == len(choices) else None,
        at=every("at"),
    )


def best_lambda(
    variance: ArrayLike,
    covariance: ArrayLike,
    added: ArrayLike,
    *,
    together: bool = False,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> FloatArray:
    r"""Lambda that makes the variance of a + Lambda b smallest.

    .. math:: \Lambda = -\mathrm{Cov}(a, b) / \mathrm{Var}(b)

    Here a is an estimate (its error, or a row's score), and b is what the predictions can take from it or add to it, which has
    expectation zero. Every choice of Lambda in the package is a case of this, with its own a and b:

    - `best_change`: a the influence of the scores at Lambda = I on a coefficient, b that of (1 - w) m_hat. The result is the
      change from I, without bounds. Its ``"matrix"`` is the same for vectors a and b, where Var(b) is a matrix to be solved.
    - `dsl.engine.two_sample.fit.best_lam`: a and b the means of the two samples' scores, and each variance the trace of the
      covariance matrix of the coefficients. In [0, 1].
    - `dsl.engine.quantile`: a the share of gold values up to t, b the difference of the two shares of surrogates. In [0, 1].
    - `dsl.ppi_statistic`: a and b the statistic of the gold values and the difference of the two statistics of the
      surrogates, over the bootstrap draws. In [0, 1].

    Parameters
    ----------
    variance, covariance, added : (k,) arrays, or numbers
        Var(a), Cov(a, b) and Var(b) of each of k estimates.
    together : bool
        One Lambda for all estimates, which makes the sum of their variances smallest, each relative to its Var(a).
    bounds : (float, float)
        Where Lambda must lie: the variance is a parabola in it, so that the nearest bound is best if the vertex lies outside.

    Returns
    -------
    (k,) array, or a number for numbers and with `together`
        Zero (within the bounds) where Var(b) is no more than rounding makes of nothing.

    References
    ----------
    Robins, Rotnitzky and Zhao, JASA 89 (1994). Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference"
    (2023), section 6.

    Examples
    --------
    >>> best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5])).tolist()
    [0.5, 1.2]
    >>> best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5]), bounds=(0.0, 1.0)).tolist()
    [0.5, 1.0]
    >>> float(best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5]), together=True))
    0.85
    """
    own, cross, square = (np.asarray(part, dtype=float) for part in (variance, covariance, added))
    if together:
        scale = np.where(own > 0.0, own, 1.0)
        own, cross, square = ((part / scale).sum() for part in (own, cross, square))
    useful = square > NOTHING * own
    # where(useful, square, 1): the other branch is computed too, and must not divide by zero
    vertex = np.where(useful, -cross / np.where(useful, square, 1.0), 0.0)
    return np.asarray(np.clip(vertex, *bounds) + 0.0)  # no minus zero


def best_change(tune: str, second: FloatArray, bread: FloatArray) -> FloatArray:
    """Lambda - I that makes the variance of s + (Lambda - I) h smallest, by `best_lambda` but for a matrix. (k, k) array.

    ``"matrix"``: minus the regression of s on h. ``"coef"``: the same for each coefficient's influence alone.
    ``"scalar"``: one number, for the sum of the variances, each relative to its value at Lambda = I.

    Parameters
    ----------
    tune : {"scalar", "coef", "matrix"}
    second : (2k, 2k) array
        Sum over units of (s, h)(s, h)', s the scores at Lambda = I and h = (1 - w) m_hat.
    bread : (k, k) array
        Takes scores to the influence on the reported coefficients.
    """
    k = len(bread)
    if tune == "matrix":
        # Lambda - I = -Cov(s, h) Var(h)^-1. Least squares of minimum norm where h is degenerate (useless predictions).
        return np.asarray(-np.linalg.lstsq(second[k:, k:], second[k:, :k], rcond=None)[0].T)
    variance, covariance, own = (
        np.diag(bread @ part @ bread.T) for part in (second[:k, :k], second[:k, k:], second[k:, k:])
    )
    change = best_lambda(variance, covariance, own, together=tune == "scalar")
    if tune == "scalar":
        return np.eye(k) * change
    # J diag(c) J^-1: each coefficient's influence gets its own c, and bread is J^-1 in reported coefficients
    return np.asarray(np.linalg.solve(bread, change[:, None] * bread))
