"""Codes of the levels of a fixed effect, in rows that come in blocks: in the order in which levels first appear."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dsl._typing import IntArray


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
        self._known = [dict[object, int]() for _ in names]
        # pairs of the codes of the columns before, and of the next one
        self._pairs = [dict[object, int]() for _ in names[1:]]
        self._parts: list[IntArray] = []

    def add(self, frame: pd.DataFrame) -> None:
        """Some rows without missing values."""
        each = [_coded(frame[name], known) for name, known in zip(self._names, self._known, strict=True)]
        codes = each[0]
        for more, known in zip(each[1:], self._pairs, strict=True):
            codes = _coded(pd.Series(codes.astype(np.int64) * 2**32 + more), known)
        self._parts.append(codes)

    @property
    def count(self) -> int:
        """Number of levels."""
        return len((self._pairs or self._known)[-1])

    @property
    def of_rows(self) -> IntArray:
        """(N,) codes of all rows so far, four bytes each."""
        return np.concatenate([np.empty(0, dtype=np.int32), *self._parts])


def _coded(column: pd.Series, known: dict[object, int]) -> IntArray:
    codes, found = pd.factorize(column)
    labels: Iterable[object] = found
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int32)[codes]
