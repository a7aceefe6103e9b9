"""From any table to the population that is sampled: row labels, and the columns that a design uses."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray, IntArray, Record
from dsl.data.arguments import Seed, as_names, check_count
from dsl.data.columns import named_columns
from dsl.data.narrow import narrow
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike, as_numbers, check_unique, column_names, first_rows
from dsl.exceptions import ArgumentError, DataError

Mask: TypeAlias = str | ArrayLike
"""A column that is 1 (or True) on some rows, or a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Rows that may be drawn."""

    rows: pd.Index
    """(N,) labels, unique."""
    frame: pd.DataFrame
    """(N rows) the columns asked for."""
    kept: BoolArray
    """(all rows of the table,) False for those excluded."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @property
    def settings(self) -> dict[str, int]:
        """What to record of it."""
        excluded = int((~self.kept).sum())
        return {"excluded": excluded} if excluded else {}

    def numbers(self, value: ArrayLike | pd.Series, argument: str) -> FloatArray:
        """A column, an array over all rows of the table, or one number as floats without gaps, (N,)."""
        if isinstance(value, str):
            column = as_numbers(self.frame[value], argument)
            check_complete(column, argument)
            return np.asarray(column)
        if isinstance(value, pd.Series):
            value = value.to_numpy()
        try:
            given = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"{argument} must be a column name or one number per row; found {type(value).__name__}"
            ) from None
        if given.ndim == 0:
            given = np.full(len(self.kept), float(given))
        if given.shape != self.kept.shape:
            raise ArgumentError(
                f"{argument} has shape {given.shape}; give one number per row of data, shape {self.kept.shape}"
            )
        # one number per row of the table as given, cut to the rows that may be drawn
        kept = pd.Series(given[self.kept], index=self.rows, name=argument)
        check_complete(kept, argument)
        return np.asarray(kept)

    def check_n_labels(self, n_labels: object) -> int:
        """Return a number of rows to draw as int, at most all of them."""
        count = check_count(n_labels, name="n_labels", least=1)
        if count > len(self):
            raise ArgumentError(f"n_labels is {count}, but there are {len(self)} rows to draw from; lower it")
        return count


def check_complete(column: pd.Series, argument: str) -> None:
    """Raise DataError if values are missing."""
    missing = column.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"column '{column.name}' ({argument}) is missing in {first_rows(missing, column.index)}; a design needs it for "
            "every row: fill it, or leave these rows out with exclude="
        )


def population(data: DataLike, named: Mapping[str, object], exclude: Mask | None) -> Population:
    """Cut a table to the rows that may be drawn and the columns that a design uses.

    Parameters
    ----------
    data : data frame, or source of blocks of rows
        Of a source the columns that a design uses are in memory, in a few bytes a row, under the rows' numbers.
    named : mapping
        Argument to column name(s). Values that are not names are passed over.
    exclude : str, or (rows,) bool array, optional
        Rows to leave out: a column that is 1 (or True) there, or a mask.
    """
    roles = {name: argument for argument, value in named.items() for name in _names(value, argument)}
    if isinstance(exclude, str):
        roles.setdefault(exclude, "exclude")
    source = as_source(data)
    frame = _of_table(cast(TableLike, data), roles) if source is None else narrow(source, roles)
    if not len(frame):
        raise DataError("the data have no rows; look at the filter or join that made them")
    kept = ~_mask(frame, exclude)
    if not kept.any():
        raise ArgumentError("exclude leaves no row to draw from")
    check_unique(frame.index)
    if kept.all():
        return Population(rows=frame.index, frame=frame, kept=kept)
    return Population(rows=frame.index[kept], frame=frame[kept], kept=kept)


def _of_table(data: TableLike, roles: Mapping[str, str]) -> pd.DataFrame:
    available = column_names(data)
    if not available:
        raise DataError("the data have no columns; pass the table whose rows are to be labelled")
    # any column will do where the design needs none but the row labels
    return named_columns(data, roles or {available[0]: "data"}, shown=not roles)


def _names(value: object, argument: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return as_names(value, argument)
    return ()


def _mask(frame: pd.DataFrame, exclude: Mask | None) -> BoolArray:
    if exclude is None:
        return np.zeros(len(frame), dtype=bool)
    values = as_numbers(frame[exclude], "exclude").to_numpy() if isinstance(exclude, str) else np.asarray(exclude)
    if values.shape != (len(frame),) or not pd.Series(values).isin((0, 1)).all():
        raise ArgumentError(
            f"exclude must be a column or mask that is True (1) on the rows to leave out and False (0) elsewhere, one value for "
            f"each of {len(frame)} rows; found {values.dtype} values of shape {values.shape}"
        )
    return np.asarray(values, dtype=bool)


def groups(frame: pd.DataFrame, by: str | Sequence[str], argument: str) -> tuple[IntArray, list[Hashable]]:
    """Codes 0, 1, ... (N,) of the groups that columns make, and the groups' values (tuples for several columns)."""
    names = list(as_names(by, argument))
    if not names:
        raise ArgumentError(f"{argument} names no column; name those whose values make the groups")
    for name in names:
        check_complete(frame[name], argument)
    number: IntArray | None = None
    values: pd.Series | pd.MultiIndex = frame[names[0]]
    if len(names) > 1:
        # each combination once: all rows of several columns as tuples take much memory
        number = frame.groupby(names, sort=False, observed=True).ngroup().to_numpy()
        values = pd.MultiIndex.from_frame(frame[names].iloc[np.unique(number, return_index=True)[1]])
    # sorted, so that strata come in the same order whatever the order of the rows
    codes, found = pd.factorize(values, sort=True)
    every: IntArray = np.asarray(codes, dtype=np.int64) if number is None else np.asarray(codes, dtype=np.int64)[number]
    return every, [value.item() if isinstance(value, np.generic) else value for value in found]


def seed_setting(seed: Seed) -> Record:
    """What to record of a seed."""
    return {"seed": "a generator of the caller's" if isinstance(seed, np.random.Generator) else int(seed)}
