r"""Design-adjusted moments of one block of rows: residuals, scores, Jacobians.

A row's moment is m = x r(y, x'theta), with r = y - mu(x'theta) unless the model says otherwise (`dsl.engine.models`). With
gold values seen on labelled rows only, each row contributes

    psi_i = m_hat_i + w_i (m_i - m_hat_i),        w_i = R_i / pi_i

(Egami et al. 2024, eq. 8), where m_hat has every predicted variable at its out-of-fold
prediction. Writing psi_i = (1 - w_i) m_hat_i + w_i m_i shows that a labelled row is two weighted
rows. Columns of x that are not predicted are the same in both, so their scores are the column
times one *pseudo-residual* (1 - w_i) e_hat_i + w_i e_i: the algebra (`dsl.engine.weighted`) never builds them twice.

Where a predicted variable enters the moment otherwise than linearly, m_hat can be a mixture instead. It is the moment
averaged over several imputed *versions* of the row, sum_d p_i(d) m(D = d) (Robins, Rotnitzky and Zhao 1994). An imputed
row is several weighted rows, and nothing else changes.

Models with several linear predictors have several residuals on each row, and columns of their own for each
(`dsl.engine.several`).

Everything here is a sum over rows: the sums of two blocks add up to the sums of their union.
"""

from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine import several
from dsl.engine.blocks import Block
from dsl.engine.models.model import Link
from dsl.engine.several import Etas, Several
from dsl.engine.weighted import column_gram, column_outer, column_rows, column_sums, shares_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the predicted and the gold version of a row count for."""

    predicted: FloatArray
    """(n,)"""
    gold: FloatArray
    """(m,)"""


def counted(block: Block, predicted: FloatArray, gold: FloatArray) -> Weights:
    """Weights of the two versions, times what each row counts for in the analysis."""
    rows = block.row_weight
    if rows is None:
        return Weights(predicted=predicted, gold=gold)
    return Weights(predicted=rows * predicted, gold=rows[block.gold_rows] * gold)


def design_weights(block: Block) -> Weights:
    """Weights of psi: 1 - w on every row's predicted version, w on the gold version."""
    predicted = np.ones(len(block.outcome))
    predicted[block.gold_rows] -= block.weight
    return counted(block, predicted, block.weight)


def gold_weights(block: Block) -> Weights:
    """Weights of w m, inverse-probability weighting of the labelled rows alone."""
    return counted(block, np.zeros(len(block.outcome)), block.weight)


def imputed_weights(block: Block) -> Weights:
    """Weights of m_hat: every row at its predicted version."""
    return counted(block, np.ones(len(block.outcome)), np.zeros(len(block.weight)))


def correction_weights(block: Block) -> Weights:
    """Weights of w (m - m_hat), the part of psi that the labelled rows add."""
    predicted = np.zeros(len(block.outcome))
    predicted[block.gold_rows] = -block.weight
    return counted(block, predicted, block.weight)


def augmentation_weights(block: Block) -> Weights:
    """Weights of (1 - w) m_hat, whose expectation over the labelling is zero: what tuning scales."""
    return Weights(predicted=design_weights(block).predicted, gold=np.zeros(len(block.weight)))


def stage_weights(block: Block) -> Weights:
    """Weights of what the labels of a stage add (`dsl.engine.stages.added_by`)."""
    return counted(block, np.ones(len(block.outcome)), block.weight)


def removed_weights(block: Block) -> Weights:
    """Weights of -w m_hat, what the labelled rows take away from m_hat."""
    return Weights(predicted=correction_weights(block).predicted, gold=np.zeros(len(block.weight)))


def pseudo_values(hat: FloatArray, gold: FloatArray, rows: IntArray, weight: FloatArray) -> FloatArray:
    """Design-adjusted values hat + w (gold - hat), (n,) or (n, p), with gold on `rows` only."""
    out: FloatArray = hat.copy()
    w = weight if hat.ndim == 1 else weight[:, None]
    out[rows] += w * (gold - hat[rows])
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Linear predictors and fitted means of all versions of each row."""

    predicted: tuple[FloatArray, ...]
    """(n,) means for each version."""
    gold: FloatArray
    """(m,)"""
    predicted_eta: tuple[FloatArray, ...]
    """(n,) linear predictors for each version."""
    gold_eta: FloatArray
    """(m,)"""
    link: Link
    """The model that they are means of."""


def fitted_means(block: Block, params: FloatArray, link: Link | Several) -> Means | Etas:
    """Fitted means at `params` (k,), for the predicted and the gold versions of each row."""
    if isinstance(link, Several):
        return several.linear_predictors(block, params, link)
    f = block.fixed.shape[1]
    # eta of the columns that all versions share. At theta = 0, where linear models are evaluated, it needs no product.
    shared = block.fixed @ params[:f] if params.any() else np.zeros(len(block.outcome))
    if block.offset is not None:
        shared = shared + block.offset
    if block.absorbed is not None and block.absorbed_outcome is not None:
        # P (y~ - x~theta): the effects that fit the pseudo-values best at this theta (Frisch, Waugh and Lovell)
        shared = shared + (block.absorbed_outcome - block.absorbed @ params)
    gold = shared[block.gold_rows] + block.gold @ params[f:]

    def mean(eta: FloatArray, rows: IntArray | slice = slice(None)) -> FloatArray:
        mu = link.mean(eta)
        return mu if block.multiplier is None else mu * block.multiplier[rows]

    if block.predicted.shape[1]:
        hat = tuple(shared + version.predicted @ params[f:] for version in block.versions)
        means = tuple(mean(eta) for eta in hat)
    else:  # no predicted covariate: all versions have the same mean
        hat = (shared,) * len(block.versions)
        means = (mean(shared),) * len(block.versions)
    return Means(predicted=means, gold=mean(gold, block.gold_rows), predicted_eta=hat, gold_eta=gold, link=link)


def _residuals(block: Block, means: Means, weights: Weights) -> tuple[list[FloatArray], FloatArray]:
    """Weighted residuals of the predicted versions (n,) each, and of the gold one (m,)."""
    residual = means.link.residual or _difference
    hats = [
        shares_of(weights.predicted, version) * residual(version.outcome, eta, mean)
        for version, eta, mean in zip(block.versions, means.predicted_eta, means.predicted, strict=True)
    ]
    return hats, weights.gold * residual(block.gold_outcome, means.gold_eta, means.gold)


def _difference(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return outcome - mean


def moment_sum(block: Block, means: Means | Etas, weights: Weights) -> FloatArray:
    """Sum of the moments over the block, (k,)."""
    if isinstance(means, Etas):
        return several.moment_sum(block, means, weights.predicted, weights.gold)
    return column_sums(block, *_residuals(block, means, weights))


def scores(block: Block, means: Means | Etas, weights: Weights) -> FloatArray:
    """Moments row by row, (n, k). With fixed effects, their estimation is accounted for."""
    if isinstance(means, Etas):
        return several.scores(block, means, weights.predicted, weights.gold)
    return column_rows(block, *_residuals(block, means, weights))


def jacobian_sum(
    block: Block, means: Means | Etas, weights: Weights, fixed_gram: FloatArray | None = None
) -> FloatArray:
    """Sum of minus the derivatives of the moments in the parameters, (k, k).

    `fixed_gram` (f, f) is the part of the fixed columns, where the caller has it already: in the
    linear model at `design_weights` it is the same in every split.
    """
    if isinstance(means, Etas):
        return several.jacobian_sum(block, means, weights.predicted, weights.gold)
    return column_gram(block, *weighted_slopes(block, means, weights), fixed_gram)


def jacobian_rows(block: Block, means: Means | Etas, weights: Weights) -> FloatArray:
    """Minus the derivatives of the moments row by row, (n, k, k), without fixed effects."""
    if isinstance(means, Etas):
        return several.jacobian_rows(block, means, weights.predicted, weights.gold)
    return column_outer(block, *weighted_slopes(block, means, weights))


def weighted_slopes(block: Block, means: Means, weights: Weights) -> tuple[list[FloatArray], FloatArray]:
    """Weighted slopes of the mean, as `_residuals`."""
    hats = [shares_of(weights.predicted, version) for version in block.versions]
    slope = means.link.slope
    if slope is None:
        return hats, weights.gold
    sloped = [
        hat * slope(version.outcome, eta, mean)
        for hat, version, eta, mean in zip(hats, block.versions, means.predicted_eta, means.predicted, strict=True)
    ]
    return sloped, weights.gold * slope(block.gold_outcome, means.gold_eta, means.gold)
