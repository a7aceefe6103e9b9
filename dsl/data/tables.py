"""Any table -> named pandas columns of plain dtypes, and how messages speak of columns and rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoDataFrame

from dsl._typing import AnyArray, BoolArray
from dsl.exceptions import ArgumentError, ColumnTypeError, DesignError, MissingDependencyError

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
        raise ArgumentError("data is a lazy frame; call .collect() first")
    return list(native.columns)


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
    return pd.DataFrame({name: _plain(frame[name]) for name in columns}, index=frame.index, copy=False)


def _converted(data: nw.DataFrame[IntoDataFrame]) -> pd.DataFrame:
    """A polars, pyarrow, ... table as a pandas frame."""
    try:
        out: pd.DataFrame = data.to_pandas()
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


def _from_mapping(data: Mapping[str, object], columns: Sequence[str]) -> pd.DataFrame:
    chosen = {str(name): column for name, column in data.items() if str(name) in set(columns)}
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


def _plain(column: pd.Series) -> pd.Series:
    """Numpy dtype instead of nullable, Arrow or object dtype, where the values are numbers.

    True and False with missing values stay nullable: they are a category of two, as in R, once rows are dropped.
    """
    kind = column.dtype
    # pyarrow's name for categories
    if isinstance(kind, pd.ArrowDtype) and str(kind).startswith("dictionary"):
        return column.astype("category")
    if pd.api.types.is_object_dtype(kind):
        column = column.infer_objects()
        if column.dtype == object and column.dropna().map(_is_bool).all() and column.notna().any():
            return column.astype("boolean")
        # Decimals, or numbers among None
        if column.dtype == object and column.map(_is_number_or_missing).all():
            return pd.to_numeric(column, errors="coerce").astype(float)
        return column
    if isinstance(kind, pd.CategoricalDtype | np.dtype | pd.PeriodDtype | pd.DatetimeTZDtype):
        return column
    if pd.api.types.is_bool_dtype(kind):
        return column.astype("boolean" if column.isna().any() else bool)
    if pd.api.types.is_integer_dtype(kind) and not column.isna().any():
        return column.astype("int64")
    if pd.api.types.is_numeric_dtype(kind):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    if isinstance(kind, pd.ArrowDtype) or getattr(kind, "na_value", None) is pd.NA:  # text, dates
        return column.astype(object).where(column.notna(), None).infer_objects()
    return column


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_number_or_missing(value: object) -> bool:
    if value is None or value is pd.NA:
        return True
    return isinstance(value, int | float | np.number | np.bool_) or type(value).__name__ == "Decimal"


def as_numbers(column: pd.Series, role: str) -> pd.Series:
    """The column as float64. Raises ColumnTypeError naming the first values that are no numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if column.cat.categories.dtype != object else object)
    column = _plain(column)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    values = column.dropna().unique()
    found = ", ".join(repr(value) for value in values[:4])
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


def recode(name: str, values: AnyArray) -> str:
    """How to make numbers of a column with these values."""
    if len(values) and pd.to_numeric(pd.Series(values, dtype=object).map(str), errors="coerce").notna().mean() >= 0.5:
        return f"Convert it: data['{name}'] = pd.to_numeric(data['{name}'], errors='coerce'), which makes anything else missing"
    if not 2 <= len(values) <= 10:
        return f"Convert it to numbers, as data['{name}'].astype(float) does where it can"
    codes = ", ".join(f"{value!r}: {j}" for j, value in enumerate(sorted(map(str, values[:2]))))
    return f"Recode it, e.g. data['{name}'].map({{{codes}{', ...' if len(values) > 2 else ''}}}), keeping missing values missing"


def first_rows(mask: BoolArray, labels: pd.Index, what: str = "row") -> str:
    """'12 rows (first: 4, 9, 31)' for a message."""
    rows = ", ".join(str(label) for label in labels[mask][:3])
    count = int(mask.sum())
    return f"{count} {what}{'s' if count != 1 else ''} (first: {rows})"


def check_unique(rows: pd.Index) -> None:
    """Raise DesignError unless every row has a label of its own."""
    if rows.hasnans or not rows.is_unique:
        bad = rows.isna() | rows.duplicated(keep=False)
        raise DesignError(
            f"row labels are missing or repeated: {first_rows(np.asarray(bad), rows)}; a design finds rows by their label: "
            "give every row its own, e.g. data.reset_index(drop=True)"
        )
