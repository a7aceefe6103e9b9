"""Blocks of rows in the types of the rows that a formula was fitted to."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dsl.data.kinds import complete, plain, standard, zero_one
from dsl.data.tables import categorical_dtype, is_category


def conformed(frame: pd.DataFrame, known: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Complete rows of a block with the columns' types of `known`, rows of the same source that were prepared.

    Parameters
    ----------
    frame : DataFrame
        As `dsl.data.source.Source.frames` has it.
    known : DataFrame
    columns : sequence of str
        Those that are wanted.
    """
    # not one array for all of them, which takes a copy
    return pd.DataFrame({name: _like(frame[name], known[name]) for name in columns}, index=frame.index, copy=False)


def _like(column: pd.Series, known: pd.Series) -> pd.Series:
    kind = known.dtype
    if column.dtype == kind:
        return column
    if is_category(known):
        return pd.Series(
            pd.Categorical(column.astype(object), dtype=categorical_dtype(known)), index=column.index, name=column.name
        )
    column = complete(standard(plain(column)))
    if column.dtype == kind:
        return column
    if isinstance(kind, np.dtype) and kind.kind in "biuf":
        numbers = zero_one(column)
        column = column if numbers is None else numbers
        return pd.Series(
            column.to_numpy(dtype=kind if not column.isna().any() else float, na_value=np.nan), column.index
        )
    # dates, of which some have a time of day elsewhere. Text of any kind is text.
    return column.astype(kind)
