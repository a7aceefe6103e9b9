r"""Labels in stages: a coarse label on some rows, a finer one on some of these, the gold label on some of those.

With :math:`w_j = R_j / p_j` at each stage, its probability known,

.. math:: \psi = \hat m + w_1 (m_1 - \hat m) + w_1 w_2 (m_2 - m_1) + \dots

has the expectation of the last moment, whatever the others are: those of a language model and of single coders may be wrong. With
:math:`U_j = w_1 \cdots w_j = R_j / \pi_j`, of the probability of coming that far, it is

.. math:: \psi = (1 - U_1)\, \hat m + (U_1 - U_2)\, m_1 + \dots + (U_{K-1} - W)\, m_{K-1} + W\, m, \qquad W = R / \pi,

which is :math:`(1 - W)\, \tilde m + W\, m`, with :math:`\tilde m` on each row a weighted mean of
:math:`\hat m, m_1, \dots, m_{K-1}`. Its weights sum to one, and need not lie between zero and one. So a stage is one more version
of the rows (`dsl.engine.blocks.Version`), and everything else stays as it is: tuning scales :math:`(1 - W)\, \tilde m`, whose
expectation over all draws is zero.

What the labels of stage j and later ones add to a row of it, on top of what was known before, is

.. math:: c_j = \Lambda \{ -U_j\, m_{j-1} + (U_j - U_{j+1})\, m_j + \dots + (U_{K-1} - W)\, m_{K-1} \} + W\, m ,

an estimate of :math:`U_j (m - \Lambda m_{j-1})`. Each stage is a draw, of which `dsl.engine.fixed_size` takes off the scores what
a fixed number makes known, among the rows of the stage before.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block, Version

CERTAIN = 1e-12
"""Distance of W from one that counts as none: the row was certain to come through all stages."""


def stage_shares(stages: Sequence[FloatArray], final: FloatArray) -> list[FloatArray]:
    """Weights of m_hat and of each stage's moment in their mean on each row, (N,) each.

    Parameters
    ----------
    stages : sequence of (N,) arrays
        U_j = R_j / pi_j of the stages before the last, in order.
    final : (N,) array
        W = R / pi of the gold labels.

    Examples
    --------
    A row without any label, one with a coarse label (drawn with probability .5), one with both (.1 in all):

    >>> mean, coarse = stage_shares([np.array([0.0, 2.0, 2.0])], np.array([0.0, 0.0, 10.0]))
    >>> mean.round(3).tolist(), coarse.round(3).tolist()
    ([1.0, -1.0, 0.111], [0.0, 2.0, 0.889])
    """
    levels = [np.ones(len(final)), *stages, final]
    left = 1.0 - final
    certain = np.abs(left) <= CERTAIN
    parts = [(before - after) / np.where(certain, 1.0, left) for before, after in pairwise(levels)]
    return [np.where(certain, float(not place), part) for place, part in enumerate(parts)]


def added_by(block: Block, stage: int) -> Block:
    """The rows that came as far as a stage, with versions that `dsl.engine.moments.stage_weights` makes c_j of.

    Parameters
    ----------
    block : Block
        All rows, with `Staged`.
    stage : int
        1 for the first, the number of all for that of the gold labels.
    """
    staged = block.staged
    assert staged is not None
    final = np.zeros(len(block.outcome))
    final[block.gold_rows] = block.weight
    levels = [np.ones(len(final)), *staged.reached, final]
    weights = [np.zeros(0)] * (stage - 1) + [-levels[stage]]
    weights += [levels[level] - levels[level + 1] for level in range(stage, len(levels) - 1)]
    rows = np.flatnonzero(levels[stage] > 0.0)

    return _weighed(block, weights, set(range(stage - 1, len(weights)))).at(rows)


def errors_of(block: Block, level: int) -> Block:
    """The rows with gold labels, with versions that `dsl.engine.moments.stage_weights` makes W (m - Lambda m_level) of.

    Parameters
    ----------
    block : Block
        All rows, with `Staged`.
    level : int
        0 for the predictions, 1 for the labels of the first stage, and so on.
    """
    final = np.zeros(len(block.outcome))
    final[block.gold_rows] = block.weight
    return _weighed(block, [-final] * (level + 1), {level}).labeled()


def _weighed(block: Block, weights: Sequence[FloatArray], levels: set[int]) -> Block:
    """The block with versions of some stages alone, each weighed by what its stage counts for."""
    staged = block.staged
    assert staged is not None
    kept = [place for place, level in enumerate(staged.level) if level in levels]
    versions: list[Version] = []
    for place in kept:
        weight, plain = weights[staged.level[place]], staged.plain[place]
        versions.append(replace(block.imputed[place], share=weight if plain is None else weight * plain))
    # what stands on the left of the moments belongs to the versions
    left = block.left and replace(block.left, predicted=tuple(block.left.predicted[place] for place in kept))
    within = None if block.within is None else _weighed(block.within, weights, levels)
    return replace(block, imputed=tuple(versions), left=left, within=within)
