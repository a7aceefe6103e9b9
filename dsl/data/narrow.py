"""A few columns of all rows of a source in a few bytes a row, and a few rows of it with what they hold.

Numbers and dates take their own eight bytes (or fewer) a row. Text and categories are codes, beside each value once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, IntArray
from dsl.data.columns import NamedColumns, check_columns_exist
from dsl.data.kinds import EXACT
from dsl.data.source import Source
from dsl.data.tables import categorical_dtype, check_usable, is_category, table_of

ROWS = 262_144
"""Rows of a block of a few narrow columns."""
WIDE = 16_384
"""The same where texts are among them."""


def narrow(source: Source, named: Mapping[str, str], rows: int = ROWS) -> pd.DataFrame:
    """Columns of all rows, as `dsl.data.columns.named_columns` has those of a table, from one pass.

    Parameters
    ----------
    source : Source
    named : mapping
        Column to the argument that names it. Without any, only the number of rows is asked for.
    rows : int
        Rows of a block.

    Returns
    -------
    DataFrame, (N rows)
        Under the rows' numbers 0, 1, ... Text is a category, whose order is that of the text.

    Raises
    ------
    MissingColumnError
        The source lacks a column.
    ColumnTypeError
        A column holds what no role can use.

    Examples
    --------
    >>> from dsl.data.source import as_source
    >>> made = narrow(as_source([{"g": ["b", "a"], "x": [1, 2]}, {"g": ["b"], "x": [0.5]}]), {"g": "by", "x": "measure"})
    >>> made["x"].tolist(), made["g"].tolist(), made["g"].cat.categories.tolist()
    ([1.0, 2.0, 0.5], ['b', 'a', 'b'], ['a', 'b'])
    """
    if not named:
        return pd.DataFrame(index=pd.RangeIndex(source.count()))
    check_columns_exist(NamedColumns(named=named), source.names)
    columns = {name: _Narrow(name in source.sorted_categories) for name in named}
    count = 0
    for frame in source.frames(list(named), rows):
        check_usable(frame, named)
        for name, column in columns.items():
            column.take(frame[name])
        count += len(frame)
    index = pd.RangeIndex(count)
    return table_of({name: pd.Series(column.made(), index=index, name=name) for name, column in columns.items()}, index)


class _Narrow:
    """A column after some of the blocks."""

    def __init__(self, sorted_categories: bool) -> None:
        self.sorted = sorted_categories
        self.parts: list[AnyArray] = []
        """Numbers and dates as they are, all else as codes of `levels`."""
        self.coded: list[bool] = []
        self.levels: dict[object, int] = {}
        self.categories = True
        """Whether all that is coded are categories, which have an order of their own."""
        self.ordered = False

    def take(self, column: pd.Series) -> None:
        """The next block."""
        if not is_category(column) and isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufmM":
            self.parts.append(column.to_numpy())
            self.coded.append(False)
        else:
            self._code(column)

    def _code(self, column: pd.Series) -> None:
        self.parts.append(self._codes(column))
        self.coded.append(True)

    def _codes(self, column: pd.Series) -> AnyArray:
        if is_category(column):
            kind = categorical_dtype(column)
            codes, found = column.cat.codes.to_numpy(), list(kind.categories)
            self.ordered = self.ordered or bool(kind.ordered)
        else:
            made, values = pd.factorize(column)
            codes, found = np.asarray(made), list(values)
            self.categories = self.categories and not len(found)
        places = [self.levels.setdefault(value, len(self.levels)) for value in found]
        # one more for missing ones, whose code is -1
        return np.array([*places, -1], dtype=np.int32)[codes]

    def made(self) -> AnyArray | pd.Categorical:
        """The column of all rows."""
        plain = [part for part, coded in zip(self.parts, self.coded, strict=True) if not coded]
        if not any(self.coded) and _joinable(plain):
            return np.concatenate(self.parts) if self.parts else np.empty(0)
        for place, (part, coded) in enumerate(zip(self.parts, self.coded, strict=True)):
            if not coded:
                self.parts[place] = self._codes(pd.Series(part))
        levels = list(self.levels)
        codes = np.concatenate(self.parts)
        if self.categories and not self.sorted:
            order = np.arange(len(levels))
        elif self.categories:
            order = np.array(sorted(range(len(levels)), key=lambda j: str(levels[j])))
        else:
            order = np.argsort(pd.factorize(pd.Series(levels, dtype=object), sort=True)[0])
        rank = np.append(np.argsort(order), -1).astype(np.int32)
        values = pd.Index([levels[j] for j in order])
        if not values.is_unique:
            # floats, which do not tell large whole numbers apart
            values = pd.Index([levels[j] for j in order], dtype=object)
        kind = pd.CategoricalDtype(values, ordered=self.ordered and self.categories)
        return pd.Categorical.from_codes(rank[codes], dtype=kind)


def _joinable(parts: Sequence[AnyArray]) -> bool:
    """Whether arrays make one without loss."""
    kinds = {part.dtype.kind for part in parts}
    if kinds <= {"M"} or kinds <= {"m"} or len(kinds) <= 1:
        return True
    if kinds & set("bmM"):
        return False
    whole = [part for part in parts if part.dtype.kind in "iu" and len(part)]
    return all(int(part.min()) >= -EXACT and int(part.max()) <= EXACT for part in whole)


def rows_at(source: Source, named: Mapping[str, str], places: IntArray, rows: int = WIDE) -> pd.DataFrame:
    """Some rows of a source, with columns as they are, from one pass. No others are kept.

    Parameters
    ----------
    source : Source
    named : mapping
        Column to the argument that names it.
    places : (m,) int array
        The rows' numbers, ascending. Those beyond the last row are passed over.
    rows : int
        Rows of a block.

    Returns
    -------
    DataFrame
        Under the rows' numbers.
    """
    check_columns_exist(NamedColumns(named=named), source.names)
    parts: list[pd.DataFrame] = []
    kinds: dict[str, list[np.dtype[np.generic]]] = {name: [] for name in named}
    for frame in source.frames(list(named), rows):
        first = int(frame.index[0])
        low, high = np.searchsorted(places, (first, first + len(frame)))
        for name, known in kinds.items():
            # numbers of one kind in the whole table are so here, whichever rows are taken
            kind = frame[name].dtype
            if isinstance(kind, np.dtype) and kind not in known:
                known.append(kind)
        if high > low:
            parts.append(frame.iloc[places[low:high] - first])
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in named}, index=pd.RangeIndex(0))
    made = {name: _joined([part[name] for part in parts], kinds[name]) for name in named}
    return pd.DataFrame(made)


def _joined(parts: Sequence[pd.Series], kinds: Sequence[np.dtype[np.generic]]) -> pd.Series:
    if any(is_category(part) for part in parts):
        parts = [part.astype(object) for part in parts]
    column: pd.Series = pd.concat(list(parts))
    if all(kind.kind in "iuf" for kind in kinds) and isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return pd.Series(column.to_numpy(dtype=np.result_type(*kinds)), index=column.index, name=column.name)
    return column
