r"""Design-adjusted moments of one block of rows: residuals, scores, Jacobians.

A row's moment is m = x r(y, x'theta), with r = y - mu(x'theta) unless the model says otherwise (`dsl.engine.models`). With
gold values seen on labelled rows only, each row contributes

    psi_i = m_hat_i + w_i (m_i - m_hat_i),        w_i = R_i / pi_i

(Egami et al. 2024, eq. 8), where m_hat has every predicted variable at its out-of-fold
prediction. Writing psi_i = (1 - w_i) m_hat_i + w_i m_i shows that a labelled row is two weighted
rows. Columns of x that are not predicted are the same in both, so their scores are the column
times one *pseudo-residual* (1 - w_i) e_hat_i + w_i e_i: the algebra below never builds them twice.

Where a predicted variable enters the moment otherwise than linearly, m_hat can be a mixture instead. It is the moment
averaged over several imputed *versions* of the row, sum_d p_i(d) m(D = d) (Robins, Rotnitzky and Zhao 1994). An imputed
row is several weighted rows, and nothing else changes.

Everything here is a sum over rows: the sums of two blocks add up to the sums of their union.
"""

from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block, Version
from dsl.engine.models.model import Link


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


def fitted_means(block: Block, params: FloatArray, link: Link) -> Means:
    """Fitted means at `params` (k,), for the predicted and the gold versions of each row."""
    f = block.fixed.shape[1]
    # eta of the columns that all versions share. At theta = 0, where linear models are evaluated, it needs no product.
    shared = block.fixed @ params[:f] if params.any() else np.zeros(len(block.outcome))
    if block.offset is not None:
        shared = shared + block.offset
    if block.absorbed is not None and block.absorbed_outcome is not None:
        # P (y~ - x~theta): the effects that fit the pseudo-values best at this theta (Frisch, Waugh and Lovell)
        shared = shared + (block.absorbed_outcome - block.absorbed @ params)
    gold = shared[block.gold_rows] + block.gold @ params[f:]
    if block.predicted.shape[1]:
        hat = tuple(shared + version.predicted @ params[f:] for version in block.versions)
        means = tuple(link.mean(eta) for eta in hat)
    else:  # no predicted covariate: all versions have the same mean
        hat = (shared,) * len(block.versions)
        means = (link.mean(shared),) * len(block.versions)
    return Means(predicted=means, gold=link.mean(gold), predicted_eta=hat, gold_eta=gold, link=link)


def _residuals(block: Block, means: Means, weights: Weights) -> tuple[list[FloatArray], FloatArray]:
    """Weighted residuals of the predicted versions (n,) each, and of the gold one (m,)."""
    residual = means.link.residual or _difference
    hats = [
        _share(weights.predicted, version) * residual(version.outcome, eta, mean)
        for version, eta, mean in zip(block.versions, means.predicted_eta, means.predicted, strict=True)
    ]
    return hats, weights.gold * residual(block.gold_outcome, means.gold_eta, means.gold)


def _difference(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    return outcome - mean


def _share(weight: FloatArray, version: Version) -> FloatArray:
    return weight if version.share is None else weight * version.share


def _total(hats: list[FloatArray], gold: FloatArray, rows: IntArray) -> FloatArray:
    """Sum of the versions, with `gold` added on `rows`."""
    out: FloatArray = hats[0].copy()
    for hat in hats[1:]:
        out += hat
    out[rows] += gold
    return out


def moment_sum(block: Block, means: Means, weights: Weights) -> FloatArray:
    """Sum of the moments over the block, (k,)."""
    hats, gold = _residuals(block, means, weights)
    if block.left is not None:
        own = block.left.gold.T @ gold
        for left, hat in zip(block.left.predicted, hats, strict=True):
            own += left.T @ hat
        return own
    # columns that are predicted: gold version, then the imputed ones. The fixed columns take the pseudo-residual.
    own = block.gold.T @ gold
    for version, hat in zip(block.versions, hats, strict=True):
        own += version.predicted.T @ hat
    return np.concatenate([block.fixed.T @ _total(hats, gold, block.gold_rows), own])


def scores(block: Block, means: Means, weights: Weights) -> FloatArray:
    """Moments row by row, (n, k). With fixed effects, their estimation is accounted for."""
    hats, gold = _residuals(block, means, weights)
    pseudo = _total(hats, gold, block.gold_rows)
    out = np.empty(block.shape, order="F")  # as formula.py makes columns
    if block.left is not None:
        np.multiply(block.left.predicted[0], hats[0][:, None], out=out)
        for left, hat in zip(block.left.predicted[1:], hats[1:], strict=True):
            out += left * hat[:, None]
        out[block.gold_rows] += block.left.gold * gold[:, None]
        if block.left.absorbed is not None:
            out -= block.left.absorbed * pseudo[:, None]
        return out
    f = block.fixed.shape[1]
    np.multiply(block.fixed, pseudo[:, None], out=out[:, :f])
    np.multiply(block.versions[0].predicted, hats[0][:, None], out=out[:, f:])
    for version, hat in zip(block.versions[1:], hats[1:], strict=True):
        out[:, f:] += version.predicted * hat[:, None]
    out[block.gold_rows, f:] += block.gold * gold[:, None]
    if block.absorbed is not None:
        # the columns' projections on the effects, times the pseudo-residual: what the effects' estimation takes off
        out -= block.absorbed * pseudo[:, None]
    return out


def jacobian_sum(block: Block, means: Means, weights: Weights, fixed_gram: FloatArray | None = None) -> FloatArray:
    """Sum of minus the derivatives of the moments in the parameters, (k, k).

    `fixed_gram` (f, f) is the part of the fixed columns, where the caller has it already: in the
    linear model at `design_weights` it is the same in every split.
    """
    hats, gold = _slopes(block, means, weights)
    # fixed columns: one pseudo-slope (1 - w) s_hat + w s for both versions
    total = _total(hats, gold, block.gold_rows)
    if block.left is not None:
        fixed, own = block.fixed, np.hstack([block.fixed[block.gold_rows], block.gold])
        out = block.left.gold.T @ (own * gold[:, None])
        for left, version, hat in zip(block.left.predicted, block.versions, hats, strict=True):
            out += left.T @ (np.hstack([fixed, version.predicted]) * hat[:, None])
        if block.left.absorbed is not None and block.absorbed is not None:
            out -= block.left.absorbed.T @ (block.absorbed * total[:, None])
        return out
    if fixed_gram is None:
        fixed_gram = _weighted_gram(block.fixed, total)
    gold_columns = block.gold * gold[:, None]
    inner = block.gold.T @ gold_columns
    parts = [version.predicted * hat[:, None] for version, hat in zip(block.versions, hats, strict=True)]
    for version, part in zip(block.versions, parts, strict=True):
        inner += version.predicted.T @ part
    own = _total(parts, gold_columns, block.gold_rows)
    cross = block.fixed.T @ own
    out = np.block([[fixed_gram, cross], [cross.T, inner]])
    if block.absorbed is not None:
        # X'WX - (PX)'W(PX) = X'W(I - P)X, as P is the projection with these weights
        out -= _weighted_gram(block.absorbed, total)
    return out


def _weighted_gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Sum of weight x x', made of squares, which take half the work of other products, (k, k)."""
    # BLAS computes half of a product R'R. Negative weights are counted as positive there, so are taken off twice.
    root = x * np.sqrt(np.abs(weight))[:, None]
    negative = root[weight < 0.0]
    return np.asarray(root.T @ root - 2.0 * (negative.T @ negative))


def _slopes(block: Block, means: Means, weights: Weights) -> tuple[list[FloatArray], FloatArray]:
    """Weighted slopes of the mean, as `_residuals`."""
    hats = [_share(weights.predicted, version) for version in block.versions]
    slope = means.link.slope
    if slope is None:
        return hats, weights.gold
    sloped = [
        hat * slope(version.outcome, eta, mean)
        for hat, version, eta, mean in zip(hats, block.versions, means.predicted_eta, means.predicted, strict=True)
    ]
    return sloped, weights.gold * slope(block.gold_outcome, means.gold_eta, means.gold)
