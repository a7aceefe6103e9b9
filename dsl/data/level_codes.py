"""Codes of clusters and of the levels of fixed effects, in rows that come in blocks: in the order in which they first appear."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dsl._typing import IntArray

RANGE = 2**24
"""Whole numbers from the smallest to the largest, up to which codes are found in a table of them all, of four bytes each."""


class Numbering:
    """Codes 0, 1, ... of the values of a column, block after block.

    Examples
    --------
    >>> codes = Numbering()
    >>> codes.of(pd.Series([7, 5, 7])).tolist(), codes.of(pd.Series([-1, 5])).tolist()
    ([0, 1, 0], [2, 1])
    >>> codes.of(pd.Series(["a", "b"])).tolist(), codes.labels
    ([3, 4], [7, 5, -1, 'a', 'b'])
    """

    def __init__(self) -> None:
        self._known: dict[object, int] | None = None
        self._low, self._table, self._whole = 0, np.empty(0, dtype=np.int32), list[IntArray]()
        self._count = 0

    def __len__(self) -> int:
        """Number of values."""
        return self._count if self._known is None else len(self._known)

    @property
    def labels(self) -> list[object]:
        """The values, in the order of their codes."""
        if self._known is None:
            return list(np.concatenate([np.empty(0, dtype=np.int64), *self._whole]).tolist())
        return list(self._known)

    def of(self, column: pd.Series) -> IntArray:
        """Codes of a column without missing values, (n,)."""
        values = column.to_numpy() if isinstance(column.dtype, np.dtype) else None
        if values is not None and self._fits(values):
            place = values.astype(np.int64) - self._low
            new = np.flatnonzero(self._table[place] < 0)
            if len(new):
                first = np.asarray(pd.unique(place[new]))
                self._table[first] = np.arange(self._count, self._count + len(first))
                self._whole.append(first + self._low)
                self._count += len(first)
            return self._table[place]
        if self._known is None:
            self._known = {label: code for code, label in enumerate(self.labels)}
        known = self._known
        codes, found = pd.factorize(column)
        labels: Iterable[object] = found
        return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int32)[codes]

    def _fits(self, values: IntArray) -> bool:
        """Whether they are whole numbers that the table can have, which then has them."""
        safe = values.dtype.kind == "i" or (values.dtype.kind == "u" and values.dtype.itemsize < 8)
        if self._known is not None or not safe:
            return False
        if not values.size:
            return True
        low, high = int(values.min()), int(values.max()) + 1
        if len(self._table):
            low, high = min(low, self._low), max(high, self._low + len(self._table))
        if high - low > RANGE:
            return False
        if high - low > len(self._table):
            table = np.full(high - low, -1, dtype=np.int32)
            start = self._low - low
            table[start : start + len(self._table)] = self._table
            self._low, self._table = low, table
        return True


class LevelCodes:
    """Codes of the combinations of some columns' values, block after block.

    Parameters
    ----------
    names : sequence of str
        The columns, most often one.

    Examples
    --------
    >>> codes = LevelCodes(["state"])
    >>> codes.add(pd.DataFrame({"state": ["NY", "CA", "NY"]}))
    >>> codes.add(pd.DataFrame({"state": ["TX", "CA"]}))
    >>> codes.of_rows.tolist(), codes.count
    ([0, 1, 0, 2, 1], 3)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._known = [Numbering() for _ in names]
        # pairs of the codes of the columns before, and of the next one
        self._pairs = [Numbering() for _ in names[1:]]
        self._parts: list[IntArray] = []

    def add(self, frame: pd.DataFrame) -> None:
        """Some rows without missing values."""
        each = [known.of(frame[name]) for name, known in zip(self._names, self._known, strict=True)]
        codes = each[0]
        for more, known in zip(each[1:], self._pairs, strict=True):
            codes = known.of(pd.Series(codes.astype(np.int64) * 2**32 + more))
        self._parts.append(codes)

    @property
    def count(self) -> int:
        """Number of levels."""
        return len((self._pairs or self._known)[-1])

    @property
    def of_rows(self) -> IntArray:
        """(N,) codes of all rows so far, four bytes each."""
        self._parts = [np.concatenate([np.empty(0, dtype=np.int32), *self._parts])]
        return self._parts[0]

    def named(self, code: int) -> str:
        """The level with a code."""
        values: list[object] = []
        for own, pairs in zip(self._known[:0:-1], self._pairs[::-1], strict=True):
            code, last = divmod(int(str(pairs.labels[code])), 2**32)
            values.append(own.labels[last])
        return "^".join(map(str, [self._known[0].labels[code], *values[::-1]]))
