"""Results in the kind of table that the user brought."""

from collections.abc import Mapping
from typing import Any, cast

import narwhals as nw
import pandas as pd

from dsl.data.tables import TableLike, column_names, to_pandas


def with_columns(data: TableLike, columns: pd.DataFrame) -> TableLike:
    """The table with columns set, in its own kind: pandas, polars, pyarrow. A dict of columns becomes a pandas table.

    Parameters
    ----------
    data : data frame
    columns : DataFrame
        One row per row of `data`, in its order. Missing values become what the table has for them.
    """
    if isinstance(data, pd.DataFrame):
        return data.assign(**{str(name): columns[name].set_axis(data.index) for name in columns})
    if isinstance(data, Mapping):
        frame = to_pandas(data, column_names(data))
        return frame.assign(**{str(name): columns[name].set_axis(frame.index) for name in columns})
    native = nw.from_native(cast(Any, data), eager_only=True)
    made = [
        nw.new_series(str(name), values_of_one_kind(columns[name]), backend=native.implementation)
        for name in columns.columns
    ]
    return cast(TableLike, native.with_columns(*made).to_native())


def values_of_one_kind(column: pd.Series) -> list[object]:
    """Python values, None where missing. Text and numbers in one column become text, as other tables know one type only."""
    values = [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
    kinds = {isinstance(value, str) for value in values if value is not None}
    return [None if value is None else str(value) for value in values] if len(kinds) > 1 else values
