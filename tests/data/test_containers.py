"""Columns set in tables of every kind."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dsl.data.containers import with_columns

NEW = pd.DataFrame({"a": [1.5, np.nan, 2.0], "b": ["x", None, "z"], "c": pd.array([1, None, 3], dtype="Int64")})
TABLES: dict[str, Any] = {
    "pandas": pd.DataFrame({"old": [1, 2, 3], "a": [0, 0, 0]}, index=["p", "q", "r"]),
    "polars": pl.DataFrame({"old": [1, 2, 3], "a": [0, 0, 0]}),
    "pyarrow": pa.table({"old": [1, 2, 3], "a": [0, 0, 0]}),
    "dict": {"old": [1, 2, 3], "a": [0, 0, 0]},
}


@pytest.mark.parametrize("kind", TABLES)
def test_columns_are_set_in_the_tables_own_kind(kind: str) -> None:
    table = TABLES[kind]
    out: Any = with_columns(table, NEW)
    assert type(out) is (pd.DataFrame if kind == "dict" else type(table))
    names = out.column_names if kind == "pyarrow" else list(out.columns)
    assert names == ["old", "a", "b", "c"]
    found = (
        {name: [None if pd.isna(v) else v for v in out[name].to_pylist()] for name in names}
        if kind == "pyarrow"
        else {name: [None if pd.isna(v) else v for v in out[name].to_list()] for name in names}
    )
    assert found == {"old": [1, 2, 3], "a": [1.5, None, 2.0], "b": ["x", None, "z"], "c": [1, None, 3]}
    if kind == "pandas":
        assert out.index.tolist() == ["p", "q", "r"]
        assert table["a"].tolist() == [0, 0, 0]


def test_text_and_numbers_in_one_column_become_text_where_a_column_has_one_type() -> None:
    mixed = pd.DataFrame({"label": [1, "unclear", None]}, dtype=object)
    assert with_columns(pl.DataFrame({"x": [1, 2, 3]}), mixed)["label"].to_list() == ["1", "unclear", None]
    assert with_columns(pd.DataFrame({"x": [1, 2, 3]}), mixed)["label"].tolist() == [1, "unclear", None]
