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
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dsl._typing import FloatArray

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
