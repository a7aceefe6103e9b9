"""Sums over the levels of factors, of rows that come in blocks, and numbers of levels looked up by rows."""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from dsl._typing import FloatArray, IntArray


class LevelSums:
    """Weighted sums of columns over the levels of each factor, block after block.

    Parameters
    ----------
    counts : sequence of int
        Levels of each factor.

    Examples
    --------
    >>> sums = LevelSums([2])
    >>> sums.add((np.array([1, 0]),), np.array([[5.0], [7.0]]))
    >>> sums.add((np.array([1]),), np.array([[2.0]]))
    >>> sums.of_factors[0].tolist()
    [[7.0], [7.0]]
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = counts
        # a row for each column, so that those of one stand next to each other
        self._sums: list[FloatArray] = []

    def add(self, factors: Sequence[IntArray], values: FloatArray, weight: FloatArray | None = None) -> None:
        """Some rows: level codes (n,) of each factor, values (n, columns), and what the rows count for (n,)."""
        self._sums = self._sums or [np.zeros((values.shape[1], count)) for count in self._counts]
        counted = values if weight is None else values * weight[:, None]
        for sums, codes in zip(self._sums, factors, strict=True):
            count = sums.shape[1]
            if len(codes) >= count:
                for own, column in zip(sums, counted.T, strict=True):
                    own += np.bincount(codes, column, minlength=count)
                continue
            # few rows of many levels: those that occur
            found, place = np.unique(codes, return_inverse=True)
            for own, column in zip(sums, counted.T, strict=True):
                own[found] += np.bincount(place, column, minlength=len(found))

    @property
    def of_factors(self) -> list[FloatArray]:
        """(levels, columns) of each factor."""
        return [each.T for each in self._sums]


class Lookup:
    """Rows' sums of the effects of their levels.

    Parameters
    ----------
    effects : sequence of (levels, columns) arrays
        Of each factor.
    """

    def __init__(self, effects: Sequence[FloatArray]) -> None:
        self._effects = [np.ascontiguousarray(each) for each in effects]
        self._lock, self._last = Lock(), (object(), np.empty((0, 0)))

    def at(self, factors: Sequence[IntArray]) -> FloatArray:
        """Of some rows with these level codes (n,) of each factor, (n, columns). To be read only."""
        # all splits ask for the same rows, one after the other
        with self._lock:
            before, found = self._last
            if before is not factors[0]:
                found = self._effects[0][factors[0]]
                for own, codes in zip(self._effects[1:], factors[1:], strict=True):
                    found += own[codes]
                self._last = factors[0], found
            return found
