"""Rows that are copies of others: a note where that cannot well be chance.

Equal rows are normal where all columns have few values. They are told from copies by what makes chance unlikely: a column of
numbers with many digits, a column of texts, or a row label that comes back with the same values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.tables import TableLike, column_names, first_rows

SAMPLE = 1000
"""Rows by which columns are judged before all rows are looked at."""
DIGITS = 6
"""Significant digits beyond which a number is a measurement or a score, and no entry of a scale."""
LONG_TEXT = 20
"""Mean length of texts that no two rows share by chance."""
MOST = 0.9
"""Share of repeated row labels whose rows are equal at which these rows are taken for copies."""
Hash = NDArray[np.uint64]


def duplicate_notes(data: TableLike, frame: pd.DataFrame, compared: Sequence[str]) -> tuple[str, ...]:
    """What to note about rows that are copies of others.

    Parameters
    ----------
    data : data frame
        As the user has it.
    frame : DataFrame
        The call's columns of it, under its row labels.
    compared : sequence of str
        Those by which rows are compared: all but the gold labels, which a copy may lack.
    """
    first = next((name for name in compared if _detailed(frame[name])), None)
    unique, text = frame.index.is_unique, _text_column(data)
    if not compared or (first is None and unique and text is None):
        return ()
    same = _repeated_rows(frame, compared, first)
    if not same.any():
        return ()
    if any(frame[name].nunique() >= len(frame) / 2 for name in compared if _detailed(frame[name])):
        return (_note(same, frame.index, "in all columns of the call, labels apart"),)
    copies = np.zeros_like(same) if unique else _same_label(data, frame.index, same)
    if copies.any():
        return (_note(copies, frame.index, "in row label and all columns of the data"),)
    copies = np.zeros_like(same) if text is None else _whole_rows(data, text, same)
    return (_note(copies, frame.index, "in all columns of the data"),) if copies.any() else ()


def _note(copies: BoolArray, labels: pd.Index, where: str) -> str:
    return f"{first_rows(copies, labels)} equal others {where}: if they are copies, keep one of each"


def _repeated_rows(frame: pd.DataFrame, compared: Sequence[str], first: str | None) -> BoolArray:
    """Rows that equal another one in all compared columns, (N,). Numbers with many digits, if any, are in the column `first`."""
    rows, out = np.arange(len(frame)), np.zeros(len(frame), dtype=bool)
    if first is not None:
        # they leave few rows, most often none, for the other columns
        rows = np.flatnonzero(_repeated(frame[first].to_numpy(dtype=float, na_value=np.nan)))
    if len(rows):
        out[rows[_repeated(_row_hashes([frame[name].iloc[rows] for name in compared]))]] = True
    return out


def _repeated(values: Hash | FloatArray) -> BoolArray:
    """Places whose value another place has, missing values among each other, (N,)."""
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    # missing ones come last, and equal nothing
    gone = len(ordered) > 1 and bool(np.isnan(ordered[-2])) if values.dtype.kind == "f" else False
    if gone:
        twice = np.append(twice, np.nan)
    # most columns of this kind have none
    return pd.Series(values).isin(twice).to_numpy() if len(twice) else np.zeros(len(values), dtype=bool)


def _row_hashes(columns: Sequence[pd.Series]) -> Hash:
    """A number for each row that equal rows share, (N,)."""
    out = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        # each column's hash is spread over all bits before the next comes in: Knuth's multiplier, and a shift
        out = (out ^ _hashes(column)) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(32)
    return out


def _hashes(column: pd.Series) -> Hash:
    """A number for each value that equal values share, (N,)."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        # one zero: -0.0 equals 0.0. And one bit pattern for missing values
        values = column.to_numpy(dtype=float)
        missing = np.isnan(values)
        bits = ((np.where(missing, np.nan, values) if missing.any() else values) + 0.0).view(np.uint64)
        return bits ^ (bits >> np.uint64(29))
    try:
        return np.asarray(pd.util.hash_pandas_object(column, index=False), dtype=np.uint64)
    # texts among numbers
    except TypeError:
        return np.asarray(pd.util.hash_pandas_object(column.map(repr), index=False), dtype=np.uint64)


def _detailed(column: pd.Series) -> bool:
    """Whether most of a column's numbers have more than `DIGITS` significant digits."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    values = column.to_numpy(dtype=float, na_value=np.nan)
    # the first rows are most often enough
    found = _nonzero(values[: 2 * SAMPLE])
    if len(found) < SAMPLE:
        found = _nonzero(values)
    if not len(found):
        return False
    scaled = found * 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(found))))
    return bool((np.abs(scaled - np.round(scaled)) > 1e-6).mean() > 0.5)


def _nonzero(values: FloatArray) -> FloatArray:
    """The first `SAMPLE` values that are finite and not zero."""
    return np.asarray(values[np.isfinite(values) & (values != 0.0)][:SAMPLE])


def _same_label(data: TableLike, labels: pd.Index, same: BoolArray) -> BoolArray:
    """Rows that share their label with others and are equal to them in all columns of the data."""
    repeated = labels.duplicated(keep=False)
    out, rows = np.zeros(len(same), dtype=bool), np.flatnonzero(same & repeated)
    table = _rows_of(data, column_names(data), rows).reset_index(drop=True)
    out[rows] = _equal(table.assign(**{_free(table): pd.Series(labels[rows])}))
    # labels of groups (countries, users) repeat too, but some of their rows differ
    return out if out.sum() >= MOST * repeated.sum() else np.zeros_like(out)


def _free(table: pd.DataFrame) -> str:
    """A name that no column has."""
    name = "label"
    while name in table:
        name = f"_{name}"
    return name


def _whole_rows(data: TableLike, text: str, same: BoolArray) -> BoolArray:
    """Rows among `same` that are equal in all columns of the data, of which `text` holds texts."""
    out, rows = np.zeros(len(same), dtype=bool), np.flatnonzero(same)
    # identifiers first: a few numbers and the text leave few rows for the other columns
    first = _once(_rows_of(data, column_names(data), np.arange(min(len(same), SAMPLE))))
    whole = [str(name) for name in first if pd.api.types.is_integer_dtype(first[name].infer_objects().dtype)]
    for each in (whole, [text], column_names(data)):
        if each and len(rows):
            rows = rows[_equal(_rows_of(data, each, rows))]
    out[rows] = True
    return out


def _text_column(data: TableLike) -> str | None:
    """The first column that holds texts, mostly different ones, in the first rows."""
    if isinstance(data, pd.DataFrame) and all(map(pd.api.types.is_numeric_dtype, data.dtypes)):
        return None
    first = _once(_rows_of(data, column_names(data), np.arange(SAMPLE)))
    return next((str(name) for name in first if _is_text(first[name])), None)


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """The columns whose name no other column has."""
    return table.loc[:, ~table.columns.duplicated(keep=False)]


def _equal(table: pd.DataFrame) -> BoolArray:
    """Rows that equal another one, (N,)."""
    try:
        return table.duplicated(keep=False).to_numpy()
    # lists and arrays in the cells
    except TypeError:
        return table.map(repr).duplicated(keep=False).to_numpy()


def _is_text(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    values = [value for value in column if isinstance(value, str)]
    long = len(values) > len(column) / 2 and float(np.mean([len(value) for value in values])) >= LONG_TEXT
    return long and len(set(values)) > len(values) / 2


def _rows_of(data: TableLike, names: Sequence[str], rows: IntArray) -> pd.DataFrame:
    """Some rows of some columns, in whatever types they have. Positions beyond the last row are left out."""
    if isinstance(data, pd.DataFrame):
        places = [place for place, name in enumerate(data.columns) if str(name) in set(names)]
        part = data.iloc[:, places]
        return part.iloc[rows[rows < len(part)]].set_axis([str(name) for name in part.columns], axis=1)
    if isinstance(data, Mapping):
        columns = {str(name): pd.Series(column) for name, column in data.items() if str(name) in set(names)}
        return pd.DataFrame({name: column.iloc[rows[rows < len(column)]] for name, column in columns.items()})
    native = nw.from_native(cast(Any, data), eager_only=True)
    kept = rows[rows < len(native)].tolist()
    return pd.DataFrame({name: pd.Series(native[name][kept].to_list(), dtype=object) for name in names})
