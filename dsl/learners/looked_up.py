"""Predictions of rows that come in blocks again and again, looked up by a code of the row's features."""

import threading
from collections.abc import Callable
from functools import partial

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.learners.crossfit import distinct_rows
from dsl.learners.held_out import HeldOut

MOST_CODES = 65_536
"""Distinct rows of features that are numbered."""
FEW = 1_000
"""Distinct rows of a small block, from which nothing is concluded."""
MOST_VALUES = 2_000_000
"""Predictions that are kept for them, of all learners."""


class LookedUp:
    """Out-of-fold predictions of blocks of rows, the same in every pass.

    Where features take few distinct values (a 0/1 prediction), the first pass numbers them and keeps each row's number, in one or
    two bytes. Later passes look predictions up and see no learner. Otherwise the learners predict in every pass.

    Parameters
    ----------
    held : HeldOut
    rows : int
        Number of all rows, N.
    most_bytes : int
        Memory that the numbers may take.

    Notes
    -----
    No number depends on the order in which blocks are seen. A block that is seen for the first time has predictions of its own
    distinct rows. The table of later passes is made of all, sorted.
    """

    def __init__(self, held: HeldOut, rows: int, most_bytes: int) -> None:
        self.held = held
        self._rows, self._most_bytes = rows, most_bytes
        self._most = min(MOST_CODES, MOST_VALUES // max(held.size, 1))
        self._codes: IntArray | None = np.zeros(rows, dtype=np.uint8) if rows <= most_bytes else None
        self._numbers: dict[bytes, int] = {}
        self._seen = set[tuple[int, int]]()
        self._table: tuple[FloatArray, IntArray] | None = None

    def predictions(self, features: FloatArray, folds: IntArray, places: slice) -> Callable[[], FloatArray]:
        """What gives predictions of some rows, (S, n, q), as `HeldOut.predictions`, in whatever thread needs them.

        Parameters
        ----------
        features : (n, p) array
        folds : (S, n) int array
        places : slice
            Places of the rows among all.
        """
        codes = self._codes
        known = codes is not None and (places.start, places.stop) in self._seen
        if known and self._table is None:
            self._table = self._made(features.shape[1])
        if known and codes is not None and self._table is not None:
            values, place = self._table
            return _once(partial(self.held.looked_up, values, place[codes[places]], folds))
        distinct = distinct_rows(features, most=max(len(features) // (self.held.n_folds + 1), FEW))
        self._note(distinct, places)
        if distinct is None:
            found = self.held.predictions(features, folds)
            return lambda: found
        return _once(partial(self.held.looked_up, self.held.table(distinct[0]), distinct[1], folds))

    def _note(self, distinct: tuple[FloatArray, IntArray] | None, places: slice) -> None:
        """Keep the codes of a block, or give up for good."""
        if self._codes is None:
            return
        if distinct is None:
            self._codes = None
            return
        # -0.0 is 0.0
        rows = [row.tobytes() for row in distinct[0] + 0.0]
        numbers = [self._numbers.setdefault(row, len(self._numbers)) for row in rows]
        wide = len(self._numbers) > 256
        if len(self._numbers) > self._most or (1 + wide) * self._rows > self._most_bytes:
            self._codes = None
            return
        if wide and self._codes.dtype == np.uint8:
            self._codes = self._codes.astype(np.uint16)
        self._codes[places] = np.array(numbers)[distinct[1]]
        self._seen.add((places.start, places.stop))

    def _made(self, width: int) -> tuple[FloatArray, IntArray]:
        """Predictions of all distinct rows of features, in a fixed order, and the place of each number in it."""
        every = np.array([np.frombuffer(row) for row in self._numbers]).reshape(-1, width)
        order = np.lexsort(every.T)
        return self.held.table(every[order]), np.argsort(order)


def _once(make: Callable[[], FloatArray]) -> Callable[[], FloatArray]:
    """Makes an array for whoever asks first."""
    lock, made = threading.Lock(), list[FloatArray]()

    def found() -> FloatArray:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return found
