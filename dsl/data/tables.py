"""Any table -> named pandas columns of plain dtypes, and how messages speak of columns and rows."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoDataFrame

from dsl._typing import BoolArray
from dsl.data.kinds import EXACT, Kind, kind_of, plain, unusable, zero_one
from dsl.data.recoding import recode
from dsl.exceptions import ArgumentError, ColumnTypeError, DesignError, MissingDependencyError, NeedsAllRowsError

TableLike: TypeAlias = IntoDataFrame | Mapping[str, object]
"""A pandas, polars or pyarrow table, any other that narwhals knows, or a dict of columns."""


def column_names(data: TableLike) -> list[str]:
    """Column names of any supported table."""
    if isinstance(data, pd.DataFrame):
        if data.columns.nlevels > 1:
            raise ArgumentError(
                f"the data's columns have {data.columns.nlevels} levels; name each by one string, e.g. "
                "data.columns = ['_'.join(map(str, name)) for name in data.columns]"
            )
        return [str(name) for name in data.columns]
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    _check_in_memory(data)
    if data is None or isinstance(data, str):
        raise ArgumentError(
            f"data must be a data frame; found {'None' if data is None else repr(data)}. The formula comes first, "
            "dsl(formula, data); a file must be read before, e.g. with pd.read_csv"
        )
    try:
        native = nw.from_native(data)
    except TypeError:
        raise ArgumentError(
            f"data must be a pandas, polars or pyarrow table or a dict of columns; found {type(data).__name__}"
        ) from None
    if isinstance(native, nw.LazyFrame):
        raise NeedsAllRowsError(_all_rows("a lazy frame", ".collect()"))
    return list(native.columns)


def _check_in_memory(data: object) -> None:
    """Raise NeedsAllRowsError for what holds no rows, or blocks of them (`dsl.data.source`)."""
    module = type(data).__module__.partition(".")[0]
    # a formula in the place of the data has a message of its own
    if (isinstance(data, str) and data and "~" not in data) or isinstance(data, os.PathLike):
        path = os.fspath(data)
        kind = "parquet" if str(path).endswith(".parquet") or not os.path.splitext(str(path))[1] else "csv"
        raise NeedsAllRowsError(_all_rows(f"the path {str(path)!r}", f"pd.read_{kind}"))
    if module == "pyarrow" and hasattr(data, "get_fragments"):
        raise NeedsAllRowsError(_all_rows("a pyarrow dataset", ".to_table()"))
    if module in ("duckdb", "_duckdb"):
        raise NeedsAllRowsError(_all_rows("a DuckDB relation", ".df()"))
    if isinstance(data, list | tuple) and data and all(isinstance(each, pd.DataFrame | Mapping) for each in data):
        raise NeedsAllRowsError(_all_rows(f"{len(data)} tables", "pd.concat"))


def _all_rows(found: str, how: str) -> str:
    return (
        f"data must be a data frame here: this call needs all rows in memory, and was given {found}. Read them into a table "
        f"({how}) if they fit, or a sample of the rows with all labelled ones. What reads rows in blocks: dsl.dsl, dsl.compare, "
        "dsl.diagnose, dsl.write_report, dsl.power_dsl, dsl.proportions, dsl.aggregate, dsl.ppi_quantile, and dsl.sampling but "
        "for targeted"
    )


def to_pandas(data: TableLike, columns: Sequence[str]) -> pd.DataFrame:
    """The named columns as a pandas frame of plain numpy dtypes (categories and strings stay)."""
    if isinstance(data, Mapping):
        frame = _from_mapping(data, columns)
    elif isinstance(data, pd.DataFrame):
        frame = data
        if not all(isinstance(name, str) for name in data.columns):
            frame = data.set_axis([str(name) for name in data.columns], axis=1)
    else:
        frame = _converted(nw.from_native(data, eager_only=True).select(list(columns)))
    return pd.DataFrame({name: plain(frame[name]) for name in columns}, index=frame.index, copy=False)


def some_rows(table: pd.DataFrame, columns: Sequence[str], rows: BoolArray) -> pd.DataFrame:
    """Columns of a table on the rows of a mask. pandas' own ``loc`` spends ten times as long on finding a few columns by name."""
    labels = table.index[rows]
    return table_of({name: pd.Series(table[name].array[rows], index=labels, copy=False) for name in columns}, labels)


def table_of(columns: Mapping[str, pd.Series], rows: pd.Index) -> pd.DataFrame:
    """A table of columns as they are, which is asked for single ones again and again."""
    out = pd.DataFrame(columns, index=rows, copy=False)
    # plain names: pandas' own index of text takes twice as long to find one
    out.columns = pd.Index(list(columns), dtype=object)
    return out


def in_one_piece(column: pd.Series) -> pd.Series:
    """The column with its values side by side, as passes over all rows want them: not so in a table made of a matrix."""
    if not isinstance(column.dtype, np.dtype) or (values := column.to_numpy()).flags.c_contiguous:
        return column
    return pd.Series(np.ascontiguousarray(values), index=column.index, name=column.name)


def raw_column(data: TableLike, name: str) -> pd.Series:
    """One column as it is, for a look at it."""
    if isinstance(data, pd.DataFrame):
        # whose name is text, as most are, and no other's
        place = data.columns.get_loc(name) if name in data.columns else -1
        alone = isinstance(place, int) and place >= 0
        return data[name] if alone else data.iloc[:, column_names(data).index(name)]
    if isinstance(data, Mapping):
        return pd.Series(next(column for key, column in data.items() if str(key) == name))
    return nw.from_native(data, eager_only=True)[name].to_pandas()


def _converted(data: nw.DataFrame[IntoDataFrame]) -> pd.DataFrame:
    """A polars, pyarrow, ... table as a pandas frame."""
    try:
        out: pd.DataFrame = data.to_pandas()
        lost = [name for name in data.columns if name not in out]
        if lost:
            # pyarrow makes row labels of the columns that pandas wrote for them
            out = out.reset_index(drop=True).assign(**{name: data[name].to_pandas() for name in lost})
        for name, kind in data.schema.items():
            # to_pandas() makes floats of whole numbers with missing values
            if kind.is_integer() and data[name].null_count() and _beyond_floats(data[name]):
                out[name] = np.array([None if v is None else int(v) for v in data[name].to_list()], dtype=object)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"converting a {data.implementation.name.lower()} table needs '{error.name}': pip install {error.name}, or pass a "
            "pandas frame"
        ) from error
    if data.implementation.is_polars():
        for name, kind in data.schema.items():
            if kind == nw.Categorical:  # their order depends on what else the process has seen
                out[name] = out[name].cat.reorder_categories(sorted(out[name].cat.categories), ordered=False)
            elif kind == nw.Enum:  # fixed levels, like those of an R factor
                out[name] = out[name].cat.as_unordered()
    return out


def _beyond_floats(column: nw.Series[Any]) -> bool:
    low, high = column.min(), column.max()
    return low is not None and max(-int(low), int(high)) > EXACT


def _from_mapping(data: Mapping[str, object], columns: Sequence[str]) -> pd.DataFrame:
    chosen = {str(name): column for name, column in data.items() if str(name) in set(columns)}
    for name, column in chosen.items():
        # pandas makes floats of whole numbers among None
        if isinstance(column, list | tuple) and any(isinstance(v, int) and abs(v) > EXACT for v in column):
            chosen[name] = np.array(column, dtype=object)
    try:
        return pd.DataFrame(chosen)
    except (ValueError, TypeError) as error:
        sizes = [
            f"'{name}' {len(column) if hasattr(column, '__len__') else 'one value'}" for name, column in chosen.items()
        ]
        raise ArgumentError(
            f"the dict of columns makes no table ({error}); every column must be a list or array of the same length, "
            f"found {', '.join(sizes)}"
        ) from error


def as_numbers(column: pd.Series, role: str) -> pd.Series:
    """The column as float64, ``"0"`` and ``"1"`` included. Raises ColumnTypeError naming the first values that are no numbers."""
    binary = zero_one(column)
    if binary is not None:
        return binary
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    column = plain(column)
    kind = kind_of(column)
    if kind in (Kind.NUMBER, Kind.TRUTH) and not pd.api.types.is_complex_dtype(column.dtype):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    values = column.dropna().unique()
    found = ", ".join(repr(value) for value in values[:4])
    if kind.dated:
        first = str(column.dropna().iloc[0]).removesuffix(" 00:00:00")
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) must hold numbers; found dates such as {first}. Dates serve as "
            f"covariates, features, clusters and fixed effects; (pd.to_datetime(data['{column.name}']) - "
            "pd.Timestamp('1970-01-01')).dt.days is a number"
        )
    raise ColumnTypeError(
        f"column '{column.name}' ({role}) must hold numbers; found {column.dtype} values such as {found}. "
        f"{recode(str(column.name), values)}"
    )


def is_category(column: pd.Series) -> bool:
    """Whether a column holds categories."""
    return isinstance(column.dtype, pd.CategoricalDtype)


def categorical_dtype(column: pd.Series) -> pd.CategoricalDtype:
    """Categories and order of a column that `is_category`."""
    return cast(pd.CategoricalDtype, column.dtype)


def each_row(table: pd.DataFrame, *, labels: bool = False) -> Iterator[Any]:
    """Rows as named tuples: what a cell holds is known by its column's name. With `labels` the row's label is ``Index``."""
    yield from table.itertuples(index=labels)


def first_rows(mask: BoolArray, labels: pd.Index, what: str = "row") -> str:
    """'12 rows (first: 4, 9, 31)' for a message."""
    rows = ", ".join(str(label) for label in labels[mask][:3])
    count = int(mask.sum())
    return f"{count} {what}{'s' if count != 1 else ''} (first: {rows})"


def check_usable(frame: pd.DataFrame, roles: Mapping[str, str]) -> None:
    """Raise ColumnTypeError for values that no role can use. `roles` holds the argument that names each column."""
    for name, role in roles.items():
        found = unusable(frame[name])
        if found is not None:
            rows, what, advice = found
            raise ColumnTypeError(f"column '{name}' ({role}) holds {what} in {first_rows(rows, frame.index)}; {advice}")


def check_unique(rows: pd.Index) -> None:
    """Raise DesignError unless every row has a label of its own."""
    if rows.hasnans or not rows.is_unique:
        bad = rows.isna() | rows.duplicated(keep=False)
        raise DesignError(
            f"row labels are missing or repeated: {first_rows(np.asarray(bad), rows)}{rounded_hint(rows)}; a design finds rows "
            "by their label: give every row its own, e.g. data.reset_index(drop=True)"
        )


def rounded_hint(labels: pd.Index) -> str:
    """What to say of row labels that look like identifiers which a spreadsheet, or a float, has rounded. Empty for others.

    Examples
    --------
    >>> rounded_hint(pd.Index(["1.20000000000000E+18", "1.20000000000000E+18"]))[:50]
    ' (identifiers that a spreadsheet has rounded to 15'
    >>> rounded_hint(pd.Index(["a", "b"]))
    ''
    """
    first = [label for label in labels[:1000] if isinstance(label, str | float)]
    if not any(_is_rounded(label) for label in first):
        return ""
    return " (identifiers that a spreadsheet has rounded to 15 digits, or a float: export and read them as text)"


def _is_rounded(label: str | float) -> bool:
    if isinstance(label, str):
        return bool(re.fullmatch(r"\d([.,]\d+)?[eE]\+1[5-9]", label.strip()))
    return abs(label) > EXACT and label == label // 1
