r"""The draw of labels, given that some labelled rows were used to make the surrogates.

Let L be the rows drawn for labelling, and T, a part of L, the rows whose gold labels a model has seen: examples in its prompt,
rows it was fine-tuned on. The surrogates of *all* rows depend on T, and those of T on their own labels. Once T is given, they
are fixed numbers, and what is still random is which of the other rows are in L. Rows of T are known, with a probability of one.
With :math:`p_i = P(i \in L \mid T)`

.. math:: \sum_{i \in T} m_i + \sum_{i \notin T} \hat m_i + \frac{R_i}{p_i} (m_i - \hat m_i)

has, given T, the mean :math:`\sum_i m_i`, however wrong or overfitted the surrogates are. So learners, which are fitted to rows
outside T, have nothing to do with the labels of T either.

**Assumption.** T was drawn at random from L: :math:`P(T \mid L)` depends on nothing but the sizes. Then
:math:`P(L \mid T) \propto P(L)` over all L that hold T, which is

* for a simple random sample, within strata if there are any, one of the other :math:`n_h - t_h` of :math:`N_h - t_h` rows,
* for rows drawn one by one, rows drawn one by one with odds multiplied by 1 - q, where q is the share of L in T:
  :math:`p_i = \pi_i (1 - q) / (1 - q \pi_i)`,
* for units labelled whole of which T takes some whole, the same with units for rows.

Rows that were chosen in another way, but *before* the others were drawn, have :math:`\pi_i = 1`. Then nothing changes for the
others, whose probabilities were stated given T.

Rows of T must not be taken for unlabelled ones with the probabilities :math:`\pi_i (1 - q)` of being drawn and not trained on.
Their predictions would stand for them, which are better than those of other rows: given T (a simple random sample) the sum
above then misses :math:`\sum_i m_i` by t times the difference between the mean errors outside T and in T, a bias of the share
t / N of the surrogates' error, in any sample size.
"""

from dataclasses import replace

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.labeling import WHOLE, Labeling


def after_training(labeling: Labeling, trained: BoolArray) -> Labeling:
    """The draw given the rows that the surrogates' maker has seen, which are known with a probability of one.

    Parameters
    ----------
    labeling : Labeling
        Of N rows. Drawn in one stage; where units were drawn, `trained` has units whole.
    trained : (N,) bool array
        Rows seen, a random part of the rows drawn, or rows with a probability of one.

    Examples
    --------
    A simple random sample of 4 of 10 rows, one of which was seen: 3 of the other 9.

    >>> drawn = np.arange(10) < 4
    >>> labeling = Labeling(prob=np.full(10, 0.4), drawn=drawn, fixed_size=True)
    >>> after_training(labeling, np.arange(10) == 2).prob[:4].round(4)
    array([0.3333, 0.3333, 1.    , 0.3333])
    """
    given = is_given(labeling, trained)
    prob = labeling.prob if given else _others(labeling, trained, labeling.prob)
    unit_prob = labeling.unit_prob
    if unit_prob is not None:
        unit_prob = np.where(trained, 1.0, unit_prob if given else _others(labeling, trained, unit_prob))
    return replace(
        labeling,
        prob=np.where(trained, 1.0, prob),
        unit_prob=unit_prob,
        # rows seen are a stratum of their own, all of which was drawn
        stratum=_strata(labeling, trained) if labeling.fixed_size else labeling.stratum,
        kept=None if labeling.kept is None else np.where(trained, 1.0, labeling.kept),
    )


def is_given(labeling: Labeling, trained: BoolArray) -> bool:
    """Whether the rows seen were chosen before the others were drawn: they have a probability of one."""
    return bool((labeling.prob[trained] >= 1.0 - WHOLE).all())


def _strata(labeling: Labeling, trained: BoolArray) -> IntArray:
    codes = np.zeros(len(trained), dtype=np.int64) if labeling.stratum is None else labeling.stratum
    return np.where(trained, int(codes.max(initial=0)) + 1, codes)


def _others(labeling: Labeling, trained: BoolArray, prob: FloatArray) -> FloatArray:
    """Probabilities of the rows (or of their units) that were not seen, given those that were, (N,)."""
    first = _first(labeling)
    drawn, seen, before = labeling.drawn[first], trained[first], prob[first]
    q = seen.sum() / max(drawn.sum(), 1)
    after = before * (1.0 - q) / np.maximum(1.0 - q * before, np.finfo(float).tiny)
    if labeling.fixed_size:
        codes = np.zeros(len(first), dtype=np.int64) if labeling.stratum is None else labeling.stratum[first]
        after = _fixed(before, drawn, seen, codes, after)
    return np.asarray(after if labeling.unit is None else _spread(labeling.unit, first, after))


def _first(labeling: Labeling) -> IntArray:
    """A row for each thing that was drawn: every row, or the first of each unit."""
    if labeling.unit is None:
        return np.arange(len(labeling.prob))
    return np.unique(labeling.unit, return_index=True)[1]


def _spread(unit: IntArray, first: IntArray, value: FloatArray) -> FloatArray:
    out = np.empty(int(unit.max()) + 1)
    out[unit[first]] = value
    return out[unit]


def _fixed(before: FloatArray, drawn: BoolArray, seen: BoolArray, codes: IntArray, after: FloatArray) -> FloatArray:
    """(n - t) / (N - t) in each stratum whose probabilities are equal, as `after` elsewhere."""
    size = int(codes.max(initial=0)) + 1
    rows, n, t = (np.bincount(codes, each, minlength=size) for each in (np.ones(len(codes)), drawn, seen))
    low, high = np.full(size, np.inf), np.zeros(size)
    np.minimum.at(low, codes, before)
    np.maximum.at(high, codes, before)
    with np.errstate(divide="ignore", invalid="ignore"):
        # what was stated, in the proportion in which the draw of the others changed
        share = np.where(n > 0.0, ((n - t) / (rows - t)) / (n / rows), 1.0)
    equal = (high - low <= 1e-12 * high)[codes]
    return np.asarray(np.where(equal, before * np.where(np.isfinite(share), share, 1.0)[codes], after))
