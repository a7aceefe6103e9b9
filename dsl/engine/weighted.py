"""Weighted sums over the versions of a block's rows: of columns, of their products, and row by row.

All take weighted numbers of the predicted versions, (n,) for each, and of the gold version, (m,). Columns that are not predicted
are the same in all versions, and take their *total* (1 - w) e_hat + w e: they are never built twice.
"""

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block, Left, Version


def shares_of(weight: FloatArray, version: Version) -> FloatArray:
    """Weights (n,) of one version of the rows: those of the rows, times its probability."""
    return weight if version.share is None else weight * version.share


def total(hats: list[FloatArray], gold: FloatArray, rows: IntArray) -> FloatArray:
    """Sum of the versions, with `gold` added on `rows`."""
    out: FloatArray = hats[0].copy()
    for hat in hats[1:]:
        out += hat
    out[rows] += gold
    return out


def column_sums(block: Block, hats: list[FloatArray], gold: FloatArray) -> FloatArray:
    """Sum of the columns times the weighted numbers, (f + p,)."""
    if block.left is not None:
        moved = block.left.gold.T @ gold
        for left, hat in zip(block.left.predicted, hats, strict=True):
            moved += left.T @ hat
        return moved
    # columns that are predicted: gold version, then the imputed ones. The fixed columns take the total.
    own = block.gold.T @ gold
    for version, hat in zip(block.versions, hats, strict=True):
        own += version.predicted.T @ hat
    return np.concatenate([block.fixed.T @ total(hats, gold, block.gold_rows), own])


def column_rows(block: Block, hats: list[FloatArray], gold: FloatArray) -> FloatArray:
    """The same row by row, (n, f + p). With fixed effects, their estimation is accounted for."""
    pseudo = total(hats, gold, block.gold_rows)
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


def column_gram(
    block: Block, hats: list[FloatArray], gold: FloatArray, fixed_gram: FloatArray | None = None
) -> FloatArray:
    """Sum of x x' times the weighted numbers, (f + p, f + p), less what fixed effects take of it.

    `fixed_gram` (f, f) is the part of the fixed columns, where the caller has it already.
    """
    # fixed columns: one pseudo-slope (1 - w) s_hat + w s for both versions
    both = total(hats, gold, block.gold_rows)
    if block.left is not None:
        return _left_gram(block, block.left, hats, gold, both)
    if fixed_gram is None:
        fixed_gram = _weighted_gram(block.fixed, both)
    gold_columns = block.gold * gold[:, None]
    inner = block.gold.T @ gold_columns
    parts = [version.predicted * hat[:, None] for version, hat in zip(block.versions, hats, strict=True)]
    for version, part in zip(block.versions, parts, strict=True):
        inner += version.predicted.T @ part
    own = total(parts, gold_columns, block.gold_rows)
    cross = block.fixed.T @ own
    out = np.block([[fixed_gram, cross], [cross.T, inner]])
    if block.absorbed is not None:
        # X'WX - (PX)'W(PX) = X'W(I - P)X, as P is the projection with these weights
        out -= _weighted_gram(block.absorbed, both)
    return out


def column_outer(block: Block, hats: list[FloatArray], gold: FloatArray) -> FloatArray:
    """X x' times the weighted numbers row by row, (n, f + p, f + p). Fixed effects take nothing of it."""
    out = np.zeros((len(block.outcome), block.shape[1], block.shape[1]))
    for j, (version, hat) in enumerate(zip(block.versions, hats, strict=True)):
        columns = np.hstack([block.fixed, version.predicted])
        left = columns if block.left is None else block.left.predicted[j]
        out += (left * hat[:, None])[:, :, None] * columns[:, None, :]
    columns = np.hstack([block.fixed[block.gold_rows], block.gold])
    left = columns if block.left is None else block.left.gold
    out[block.gold_rows] += (left * gold[:, None])[:, :, None] * columns[:, None, :]
    return out


def _left_gram(block: Block, left: Left, hats: list[FloatArray], gold: FloatArray, both: FloatArray) -> FloatArray:
    """The same with other columns on the left of the moments than in the linear predictor, (k, k)."""
    out = left.gold.T @ (np.hstack([block.fixed[block.gold_rows], block.gold]) * gold[:, None])
    for columns, version, hat in zip(left.predicted, block.versions, hats, strict=True):
        out += columns.T @ (np.hstack([block.fixed, version.predicted]) * hat[:, None])
    if left.absorbed is not None and block.absorbed is not None:
        out -= left.absorbed.T @ (block.absorbed * both[:, None])
    return np.asarray(out)


def _weighted_gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Sum of weight x x', made of squares, which take half the work of other products, (k, k)."""
    # BLAS computes half of a product R'R. Negative weights are counted as positive there, so are taken off twice.
    root = x * np.sqrt(np.abs(weight))[:, None]
    negative = root[weight < 0.0]
    return np.asarray(root.T @ root - 2.0 * (negative.T @ negative))
