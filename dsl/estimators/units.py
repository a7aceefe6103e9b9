"""Unit by unit: what each independent row or cluster adds to an estimate, and how that changes with the estimate."""

from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import inverse
from dsl.engine.leave_out import unit_jacobians
from dsl.engine.moments import augmentation_weights
from dsl.engine.sums import Problem, row_scores, unit_scores
from dsl.engine.wild import WildParts
from dsl.estimators.again import split_blocks
from dsl.estimators.analysis import Analysis
from dsl.estimators.result import Fit


@dataclass(frozen=True, slots=True)
class _Place:
    """One equation of one split: where its scores were taken, and its coefficients' places in the formula's order."""

    block: Block
    problem: Problem
    params: FloatArray
    own: IntArray


def wild_parts(fit: Fit, analysis: Analysis, row: FloatArray) -> WildParts:
    """What a wild bootstrap of the combination `row` (k,) of the coefficients takes, mean over splits.

    Parameters
    ----------
    fit : Fit
    analysis : Analysis
        The fit's (`dsl.estimators.again.analysis_of`), without absorbed fixed effects.
    row : (k,) array
    """
    k = len(fit.params)
    bread = [inverse(each) for each in fit.splits.jacobians]
    # the restricted estimate is m away for each unit of delta, as in restricted least squares
    mean = sum(bread) / len(bread)
    direction = np.asarray(mean @ row)
    move = direction / (row @ direction)
    score, shift, slope = (np.zeros((0, k)) for _ in range(3))
    for split, blocks in enumerate(split_blocks(fit, analysis)):
        parts = _split(fit, analysis, split, blocks, bread[split], (row, move))
        if not split:
            score, shift, slope = (np.zeros_like(part) for part in parts)
        score, shift, slope = (total + part for total, part in zip((score, shift, slope), parts, strict=True))
    count = len(bread)
    return WildParts(score=score / count, shift=shift / count, row=row, slope=slope / count)


def _split(
    fit: Fit,
    analysis: Analysis,
    split: int,
    blocks: list[Block],
    bread: FloatArray,
    directions: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Influences, their shift, and the slope, of one split, (G, k) each."""
    row, move = directions
    scores, shifts, slopes = [], [], []
    along = row @ bread
    for equation, block in enumerate(blocks):
        place = _place(fit, analysis, split, equation, block)
        own = place.own
        rows = row_scores(block, place.problem, place.params, place.problem.weights, augmentation_weights)
        scores.append((own, np.concatenate([*unit_scores(rows, place.problem)])))
        moved, sloped = [], []
        for jacobians in unit_jacobians(block, place.problem, place.params):
            moved.append(jacobians @ move[own])
            sloped.append(np.einsum("i,gij->gj", along[own], jacobians))
        shifts.append((own, np.concatenate(moved)))
        slopes.append((own, np.concatenate(sloped)))
    whole = [_beside(each, len(row)) for each in (scores, shifts, slopes)]
    return whole[0] @ bread.T, whole[1] @ bread.T, whole[2]


def _beside(parts: list[tuple[IntArray, FloatArray]], k: int) -> FloatArray:
    """Equations' parts in the columns of their coefficients, (G, k)."""
    out = np.zeros((len(parts[0][1]), k))
    for own, part in parts:
        out[:, own] = part
    return out


def _place(fit: Fit, analysis: Analysis, split: int, equation: int, block: Block) -> _Place:
    k = len(analysis.places)
    own = np.arange(equation * k, (equation + 1) * k)[analysis.places]
    entry, tuning = fit.estimator, fit.splits.tuning
    cluster, count = analysis.sample.cluster, analysis.sample.n_clusters
    if cluster is not None and len(block.outcome) < len(cluster):
        labels, cluster = np.unique(cluster[analysis.sample.labeled], return_inverse=True)
        count = len(labels)
    problem = replace(
        analysis.problem(),
        labeling=None,
        weights=entry.weights,
        label_weights=entry.weights,
        cluster=cluster,
        n_clusters=count,
    )
    if tuning is None or tuning.matrices is None or tuning.at is None:
        return _Place(block, problem, fit.splits.params[split][own], own)
    tuned = replace(problem, tuning=tuning.matrices[split][np.ix_(own, own)])
    return _Place(block, tuned, tuning.at[split][own], own)
