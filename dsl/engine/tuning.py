"""How much to rely on the predictions: Lambda in psi = w m + Lambda (1 - w) m_hat.

(1 - w) m_hat has expectation zero over the labelling whatever m_hat is, because the sampling probabilities are known. Any
Lambda is therefore valid, and the one that makes the variance smallest is a regression coefficient: that of the rest of
the score on this part. Lambda = 0 leaves the labelled rows alone, Lambda = I is plain DSL. The minimum is at most the
smaller of both (Robins, Rotnitzky and Zhao 1994, and for one scalar PPI++ by Angelopoulos, Duchi and Zrnic 2023). Several
measures (surrogates) of the same variables have a Lambda each (`dsl.engine.lambdas`).

With fixed effects the part that is scaled is (1 - w) m_hat of the predictions within the effects. Its expectation is zero
however short the panel, unlike that of the gold-only moment, whose effects rest on a few labelled rows each.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.linalg

from dsl._typing import BoolArray, FloatArray
from dsl.engine.covariance import sandwich
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.lambdas import DEGENERATE, even
from dsl.engine.pilot import Pilot, Tuned
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import Problem
from dsl.engine.without_each import without_each
from dsl.engine.without_each_streamed import meat_without_each
from dsl.exceptions import EstimationError

FAR = 1.0
"""Distance of the tuned estimate from the pilot, in its standard errors (root mean square over slopes), from which
another pilot is taken. A surrogate that is a coin toss (simulation A) never came so far in 300 draws."""
LEAST = 0.1
"""Sum of the measures' weights below which they say nothing about a pilot."""


def fit_tuned(
    block: Rows,
    problem: Problem,
    tune: str | float,
    start: FloatArray | None = None,
    basis: FloatArray | None = None,
    few: BoolArray | None = None,
) -> tuple[SplitFit, Tuned]:
    """Solve at a pilot estimate, choose Lambda there, and take one step to the root of the moment at this Lambda.

    The pilot is the estimate at Lambda = I, of several measures that with their mean, weighted by what they are worth. With very
    poor predictions it does not exist, or lies farther from the tuned estimate than `FAR`, and says nothing about Lambda. The
    estimate of the labelled rows alone then takes its place. The variance is at most that at Lambda = I and at Lambda = 0, all
    taken at the pilot. A number for Lambda is solved for exactly.

    Parameters
    ----------
    block : Block
    problem : Problem
    tune : {"scalar", "coef", "matrix"} or float
        What to choose. A number is Lambda itself, times the identity, and counts for the mean over several measures.
    start : (k,) array, optional
        Where Newton's method begins.
    basis : (k, k) array, optional
        Matrix that takes the block's parameters to the reported ones (`dsl.engine.centre`), the identity by default.
    few : (k,) bool array, optional
        Coefficients with too few labelled rows behind them (`dsl.engine.behind`) to show a variance, whose Lambda stays 1.

    Returns
    -------
    SplitFit, Tuned
    """
    k, count = len(problem.parameters), block.n_measures
    basis = np.eye(k) if basis is None else basis
    few = np.zeros(k, dtype=bool) if few is None else few
    if not isinstance(tune, str):
        tuning = tune * even(k, count)
        fit = fit_split(block, replace(problem, tuning=tuning), start=start)
        return fit, Pilot.at(block, replace(problem, leave_out=None), fit, basis, few).tuned(tuning)
    found, plain = None, replace(problem, leave_out=None, draw=None)
    try:
        pilot = Pilot.at(block, problem, fit_split(block, plain, start=start), basis, few)
        pilot = pilot if count == 1 else _nearer(pilot)
        fit, choice = _choose(pilot, tune)
        # by the variance without corrections, so that these do not change the estimate
        near = distance(fit, choice, problem.slopes) <= FAR
        found = _corrected(pilot, tune, fit, choice)
        if near:
            return found
    except EstimationError:
        pass
    try:
        alone = fit_split(block, replace(plain, tuning=np.zeros((k, k * count))))
        pilot = Pilot.at(block, problem, alone, basis, few)
        return _corrected(pilot, tune, *_choose(pilot, tune))
    except EstimationError:
        # labelled rows alone need not determine the coefficients, where a pilot far away is better than none
        if found is None:
            raise
        return found


def _choose(pilot: Pilot, tune: str) -> tuple[SplitFit, Tuned]:
    """The fit at the best Lambda, to first order from a pilot."""
    tuning = pilot.best(tune)
    return pilot.step(tuning), pilot.tuned(tuning)


def _corrected(pilot: Pilot, tune: str, fit: SplitFit, choice: Tuned) -> tuple[SplitFit, Tuned]:
    """The same with the covariance that leaves units out, where one is asked for."""
    if pilot.problem.leave_out is None or choice.tuning is None:
        return fit, choice
    if isinstance(pilot.block, Streamed):
        meat = meat_without_each(pilot, pilot.block, choice.tuning)
        return replace(fit, vcov=sandwich(fit.jacobian, meat)), choice
    units = without_each(pilot, tune, choice.tuning)
    return replace(fit, vcov=sandwich(fit.jacobian, units.T @ units)), replace(choice, corrected=units)


def _nearer(pilot: Pilot) -> Pilot:
    """The estimate at the measures' weights, made to sum to one as those of their mean do: useless measures leave the pilot.

    This one where the weights sum to little, as nothing says then which measures are better.
    """
    k, count = len(pilot.few), pilot.block.n_measures
    weights = np.array([np.trace(part) / k for part in np.split(pilot.best("scalar"), count, axis=1)])
    if pilot.few.any() or weights.sum() < LEAST:
        return pilot
    scaled = np.hstack([weight * np.eye(k) for weight in weights / weights.sum()])
    plain = replace(pilot.problem, leave_out=None, draw=None, tuning=scaled)
    try:
        fit = fit_split(pilot.block, plain, start=pilot.fit.params)
    except EstimationError:
        return pilot
    return Pilot.at(pilot.block, pilot.problem, fit, pilot.basis, pilot.few)


def distance(fit: SplitFit, choice: Tuned, slopes: BoolArray) -> float:
    """Root mean square distance of the tuned estimate from the pilot, in standard errors of their combinations.

    That of the slopes: an intercept is another quantity, with another Lambda, where a column has another origin.
    """
    assert choice.at is not None
    if not slopes.any():
        slopes = np.ones(len(slopes), dtype=bool)
    step, vcov = (fit.params - choice.at)[slopes], fit.vcov[np.ix_(slopes, slopes)]
    se = np.sqrt(np.maximum(np.diag(vcov), 0.0))
    se = np.where(se > 0.0, se, 1.0)
    # of correlations and steps in standard errors, so that no column's units count. pinv: coefficients may move together,
    # and such directions do not count
    inner = np.linalg.pinv(vcov / se[:, None] / se, rcond=DEGENERATE, hermitian=True)
    square = float((step / se) @ inner @ (step / se))
    return float(np.sqrt(max(square, 0.0) / len(step)))


def side_by_side(choices: Sequence[Tuned]) -> Tuned:
    """The choices of several equations in one."""

    def every(name: str) -> FloatArray | None:
        values = [getattr(choice, name) for choice in choices]
        return None if any(value is None for value in values) else np.concatenate(values)

    matrices = [choice.tuning for choice in choices if choice.tuning is not None]
    # of several measures: those of the first in all equations, then of the second
    parts = zip(*(np.split(each, each.shape[1] // len(each), axis=1) for each in matrices), strict=True)
    each = [choice.each for choice in choices if choice.each is not None]
    return Tuned(
        lambdas=np.concatenate([choice.lambdas for choice in choices]),
        plain=every("plain"),
        without=every("without"),
        tuning=np.hstack([scipy.linalg.block_diag(*part) for part in parts]) if len(matrices) == len(choices) else None,
        at=every("at"),
        each=np.hstack(each) if each else None,
    )
