"""One split from its rows to estimate and covariance: moments -> sums -> solve -> covariance.

Arrays in, arrays out. The rows come as one `Block`, whose pieces are summed one after the other.
"""

from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.checks import check_order, check_root, no_root
from dsl.engine.covariance import sandwich
from dsl.engine.labeling import finite_meat
from dsl.engine.leave_out import left_out_vcov
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.model import Link
from dsl.engine.moments import fitted_means, gold_weights, imputed_weights
from dsl.engine.several import Several
from dsl.engine.solve import TOLERANCE, Evaluate, Root, closed_form, newton
from dsl.engine.streamed import Rows, Streamed, in_memory
from dsl.engine.sums import (
    Problem,
    all_row_sums,
    column_scale,
    column_squares,
    draw_sums,
    drawn_scores,
    label_meat,
    label_scores,
    moment_sums,
    parameter_scale,
)
from dsl.engine.two_way import positive_part
from dsl.engine.weighted import shares_of
from dsl.exceptions import SingularJacobianError

MAX_REFINEMENTS = 4
ROUGH = 1e-6
"""Largest mean moment of a fit that is only a start."""
NEGLIGIBLE = 1e-9
"""A refinement step, in standard errors, after which there is nothing left to refine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFit:
    """Estimate of one split."""

    params: FloatArray  # (k,)
    vcov: FloatArray  # (k, k), no small-sample factor
    jacobian: FloatArray  # (k, k), summed over rows
    meat: FloatArray  # (k, k), summed over rows or clusters
    label_scores: FloatArray  # (m, k), w (m - Lambda m_hat) of the labelled rows
    label_meat: FloatArray  # (k, k), the part of the superpopulation's meat that shrinks with more labels
    moment_norm: float  # largest mean moment at the solver's last check, scaled columns
    iterations: int
    positive_definite: bool
    stage_scores: FloatArray | None = (
        None  # (m_1 + ... + m, k) `dsl.engine.sums.drawn_scores`, where labels come in stages
    )
    df: FloatArray | None = None  # (k,) of `vcov`, where it leaves units out (`dsl.engine.leave_out.satterthwaite`)

    @property
    def drawn_scores(self) -> FloatArray:
        """What the draws of labels add, one below the other (`dsl.engine.sums.drawn_scores`)."""
        return self.label_scores if self.stage_scores is None else self.stage_scores


def fit_split(block: Rows, problem: Problem, start: FloatArray | None = None) -> SplitFit:
    """Solve the design-adjusted moment equation on `block` and estimate the covariance.

    Parameters
    ----------
    block : Block or Streamed
        All rows of one split.
    problem : Problem
    start : (k,) array, optional
        Where Newton's method begins, by default the model's start or zero.

    Returns
    -------
    SplitFit

    Raises
    ------
    SeparationError, SingularJacobianError, ConvergenceError
    """
    n = block.shape[0]
    scale = parameter_scale(block, problem)
    tolerance = _tolerance(block, problem.link)
    root = _solve(block, problem, scale, start, tolerance)
    check_root(block, problem, root, scale, tolerance / TOLERANCE)
    refined, scaled_vcov, norm, meat = _refine(block, problem, root, scale, tolerance)
    # back from scaled columns x s: theta = s theta_s, V = s V_s s', A = A_s / (s s'), with means turned into sums
    params, vcov = refined * scale, scaled_vcov * scale[:, None] * scale
    check_order(params, problem)
    jacobian = root.jacobian * n / scale[:, None] / scale
    on_labels = label_scores(block, problem, params)
    staged = not isinstance(block, Streamed) and block.staged is not None
    in_stages = None if not staged else drawn_scores(block, problem, params)
    if problem.labeling is not None:
        meat = finite_meat(on_labels, problem.labeling)
        vcov = sandwich(jacobian, meat)
    elif problem.leave_out is not None:
        vcov = left_out_vcov(block, problem, params, jacobian)
    elif problem.draw is not None:
        meat = draw_sums(block, problem, problem.draw, params, on_labels if in_stages is None else in_stages)[1]
        vcov = sandwich(jacobian, meat)
    if problem.across is not None and problem.labeling is None:
        vcov = positive_part(vcov)
    # NaN included, hence not "any below zero"
    if not np.all(np.diag(vcov) >= 0.0):
        raise SingularJacobianError(
            f"the covariance of {len(problem.parameters)} coefficients is lost in rounding error: {len(block.gold_rows)} "
            "labelled rows do not tell them apart; take columns out of the formula, or label more rows"
        )
    return SplitFit(
        params=params,
        vcov=vcov,
        jacobian=jacobian,
        meat=meat,
        label_scores=on_labels,
        label_meat=label_meat(block, problem, on_labels),
        stage_scores=in_stages,
        moment_norm=norm,
        iterations=root.iterations,
        positive_definite=bool(np.linalg.eigvalsh(root.jacobian + root.jacobian.T)[0] > 0.0),
    )


def moment_size(block: Rows, link: Link | Several) -> float:
    """How large moments are, in powers of the outcome's root mean square: what is a small moment is relative to this."""
    # gold values too: surrogates may be on a smaller scale
    gold, n = block.gold_outcome, block.shape[0]
    square = (
        block.facts.outcome_square if isinstance(block, Streamed) else float(column_squares(block.outcome[:, None])[0])
    )
    pair = ((square, n), (float(column_squares(gold[:, None])[0]), len(gold)))
    size = max(float(np.sqrt(each / max(count, 1))) for each, count in pair)
    return size**link.degree or 1.0


def _tolerance(block: Rows, link: Link | Several) -> float:
    """Largest mean moment accepted, relative to how moments grow with the outcome's size."""
    return TOLERANCE * moment_size(block, link)


def rough_start(block: Rows, problem: Problem) -> FloatArray:
    """Where Newton's method can begin, (k,): the regression of the model's rough linear predictors on x, or zero.

    With several linear predictors: what fits the outcomes without covariates, and the first linear predictor's parameters given
    a dispersion.
    """
    if isinstance(problem.link, Several):
        return _several_start(block, problem, problem.link)
    k, start = block.shape[1], problem.link.start
    above = np.maximum(block.gold_outcome, 0.0).sum()
    above += block.facts.outcome_above if isinstance(block, Streamed) else np.maximum(block.outcome, 0.0).sum()
    # effects make up for the level, whatever it is
    if start is None or block.multiplies or above <= 0.0:
        return np.zeros(k)
    mean = float(above) / (block.shape[0] + len(block.gold_outcome))

    def rough(rows: Block) -> Block:
        known = 0.0 if rows.offset is None else rows.offset
        return replace(
            rows,
            outcome=start(rows.outcome, mean) - known,
            imputed=tuple(replace(version, outcome=start(version.outcome, mean) - known) for version in rows.imputed),
            offset=None,
        )

    linear = block.changed(rough) if isinstance(block, Streamed) else rough(block)
    imputed = replace(problem, link=LINEAR, weights=imputed_weights, tuning=None)
    scale = column_scale(block)
    root = closed_form(_evaluator(linear, imputed, scale), k)
    return np.zeros(k) if root.problem else root.params * scale


def _several_start(rows: Rows, problem: Problem, link: Several) -> FloatArray:
    if len(rows.gold_rows):
        # labels alone: their weights are positive
        block, problem = rows.labeled(), replace(problem, weights=gold_weights, tuning=None)
        outcome, weight = block.gold_outcome, gold_weights(block).gold
    else:
        block = in_memory(rows)
        outcome = np.concatenate([version.outcome for version in block.versions])
        weight = np.concatenate([shares_of(np.ones(len(block.outcome)), version) for version in block.versions])
    begin = link.begin(outcome, weight)
    dispersion = link.family.dispersion
    if dispersion is None or not outcome.any():
        return begin
    if block.offset is not None and link.intercept is not None:
        begin[link.intercept] -= block.offset.mean()
    scale = parameter_scale(block, problem)
    every = _evaluator(block, problem, scale)

    def first(params: FloatArray) -> tuple[FloatArray, FloatArray]:
        moment, jacobian = every(np.append(params, begin[-1]))
        return moment[:-1], jacobian[:-1, :-1]

    root = newton(first, (begin / scale)[:-1], tolerance=ROUGH)
    if root.problem is None:
        begin[:-1] = root.params * scale[:-1]
        means = fitted_means(block, begin, link)
        mean = np.concatenate([part[0] for part in ((means.gold,) if len(block.gold_rows) else means.predicted)])
        begin[-1] = dispersion(outcome, weight, mean)
    return begin


def _evaluator(block: Rows, problem: Problem, scale: FloatArray) -> Evaluate:
    n = block.shape[0]

    def evaluate(params: FloatArray) -> tuple[FloatArray, FloatArray]:
        moment, jacobian = moment_sums(block, problem, params * scale)
        # the moment of the columns x s at theta_s, as means over the n rows
        return moment * scale / n, jacobian * scale[:, None] * scale / n

    return evaluate


def _solve(block: Rows, problem: Problem, scale: FloatArray, start: FloatArray | None, tolerance: float) -> Root:
    """Closed form or Newton's method, in columns of root mean square one.

    Without a start that works, Newton's method begins again from the fit on the predictions alone, whose
    Jacobian is positive definite.
    """
    k, rough = len(scale), ROUGH * tolerance / TOLERANCE
    if problem.link.slope is None:
        return closed_form(_evaluator(block, problem, scale), k)
    begin = (rough_start(block, problem) if start is None else start) / scale
    if start is None and problem.link.pilot is not None:
        pilot = newton(_evaluator(block, replace(problem, link=problem.link.pilot), scale), begin, tolerance=rough)
        begin = begin if pilot.problem else pilot.params
    root = newton(_evaluator(block, problem, scale), begin, tolerance=tolerance)
    if root.problem is None:
        return root
    # sum m_hat = 0: the design weights 1 - w are negative for labelled rows and can make A indefinite, these cannot
    imputed = replace(problem, weights=imputed_weights, tuning=None)
    first = newton(_evaluator(block, imputed, scale), rough_start(block, problem) / scale, tolerance=rough)
    if first.problem:
        return root
    return newton(_evaluator(block, problem, scale), first.params, tolerance=tolerance)


def _refine(
    block: Rows, problem: Problem, root: Root, scale: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    """Iterative refinement with the Jacobian at hand: parameters and covariance (scaled), moment norm, meat.

    The pass that sums the scores for the meat gives the moment too, and with it a last step. It is repeated while that
    step is not negligible, which takes an ill-conditioned design.
    """
    params, n = root.params, block.shape[0]
    for _ in range(MAX_REFINEMENTS):
        moment, meat = all_row_sums(block, problem, params * scale)
        # J^-1 Omega J^-T / N in scaled columns
        vcov = sandwich(root.jacobian, meat * scale[:, None] * scale / n) / n
        # Newton's step with the Jacobian of the solver: as good at this distance, and no pass over the rows of its own
        step = np.linalg.solve(root.jacobian, moment * scale / n)
        params = params + step
        if np.all(np.abs(step) <= NEGLIGIBLE * np.sqrt(np.maximum(np.diag(vcov), 0.0))):
            break
    norm = float(np.abs(moment * scale).max(initial=0.0)) / n
    if norm > tolerance:
        raise no_root(norm, root.iterations + MAX_REFINEMENTS, problem)
    return params, vcov, norm, meat
