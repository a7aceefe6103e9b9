"""Drawing rows with given probabilities: arrays in, masks out."""

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import ArgumentError

ONE = 2**36
"""Probability one in the whole units of `draw_fixed_size`: probabilities are kept to 1.5e-11."""
WHOLE = 1e-6
"""Distance from a whole number at which the sum of probabilities is one."""


def draw_simple(n_rows: int, size: int, rng: np.random.Generator) -> BoolArray:
    """Simple random sample of exactly `size` rows: mask of shape (n_rows,).

    The first rows of a random order. `draw_within` with one group is the same design, but makes other rows of the same random
    numbers: the bundled tables keep to this one, so that a seed shows the labels that it always showed.
    """
    drawn = np.zeros(n_rows, dtype=bool)
    drawn[rng.permutation(n_rows)[:size]] = True
    return drawn


def draw_within(codes: IntArray, sizes: IntArray, rng: np.random.Generator) -> BoolArray:
    """Simple random samples of fixed size within groups.

    Parameters
    ----------
    codes : (N,) int array
        Group of each row, 0, 1, ...
    sizes : (H,) int array
        Rows to draw from each group.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) bool array

    Examples
    --------
    >>> drawn = draw_within(np.array([0, 0, 0, 1, 1]), np.array([2, 1]), np.random.default_rng(0))
    >>> int(drawn[:3].sum()), int(drawn[3:].sum())
    (2, 1)
    """
    # rows in random order within each group
    order = np.lexsort((rng.random(len(codes)), codes))
    counts = np.bincount(codes, minlength=len(sizes))
    # place within the group, 0, 1, ...: position less the rows of the groups before
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    drawn = np.zeros(len(codes), dtype=bool)
    # the first sizes[h] rows of group h
    drawn[order] = rank < sizes[codes[order]]
    return drawn


def draw_fixed_size(prob: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Exactly sum(prob) rows, each drawn with its own probability: systematic sampling of rows in random order.

    The rows are laid end to end in random order, each as long as its probability. Those hit by points one apart, the
    first uniform in [0, 1), are drawn. Each row's probability is exact by construction (Madow 1949; Goodman and Kish 1950).
    The random order keeps the joint probabilities close to those of independent draws (Hartley and Rao 1962). With equal
    probabilities it is simple random sampling. The pivotal method (Deville and Tille 1998) does the same in a loop over rows,
    while this takes one sort. Lengths are whole numbers, so that no rounding changes the size.

    Parameters
    ----------
    prob : (N,) array
        Probabilities in [0, 1] that sum to a whole number.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) bool array

    Raises
    ------
    ArgumentError
        The probabilities are outside [0, 1], or do not sum to a whole number.

    Examples
    --------
    >>> drawn = draw_fixed_size(np.array([1.0, 0.25, 0.25, 0.5]), np.random.default_rng(0))
    >>> int(drawn.sum()), bool(drawn[0])
    (2, True)
    """
    total = float(prob.sum())
    size = round(total)
    if not np.all((prob >= 0.0) & (prob <= 1.0)) or abs(total - size) > WHOLE:
        raise ArgumentError(
            f"a draw of fixed size needs probabilities in [0, 1] that sum to a whole number; they run from {prob.min():g} to "
            f"{prob.max():g} and sum to {total:.9g}; use scale_probabilities(prob, budget=...)"
        )
    units = _whole_units(prob, size)
    order = rng.permutation(len(prob))
    # ends (N,) of the rows laid end to end, in whole units of 1 / ONE
    ends = np.cumsum(units[order])
    # ceil((end - start) / ONE) points lie before an end, with start uniform on 0, ..., ONE - 1
    points = (ends - int(rng.integers(ONE)) + ONE - 1) // ONE  # points before each end
    drawn = np.zeros(len(prob), dtype=bool)
    # no row is longer than the distance between points, hence none is hit twice
    drawn[order] = np.diff(points, prepend=0) > 0
    return drawn


def _whole_units(prob: FloatArray, size: int) -> IntArray:
    """Probabilities in units of 1 / ONE that sum to `size` exactly."""
    units = np.rint(prob * ONE).astype(np.int64)
    # rounding leaves at most half a unit for each row: spread over rows that are neither certain nor impossible
    gap = size * ONE - int(units.sum())
    while gap:
        step = 1 if gap > 0 else -1
        movable = np.flatnonzero((units > 0) & (units < ONE))[: abs(gap)]
        units[movable] += step
        gap -= step * len(movable)
    return units


def draw_bernoulli(*, prob: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Label each row with its own probability, independently of the others: mask of shape (n_rows,)."""
    return rng.random(len(prob)) < prob
