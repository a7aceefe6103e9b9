"""Columns of a CSV file made what they were in the table that was written."""

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.data.kinds import kind_of, plain
from dsl.data.typed import as_typed, column_types

DAYS = pd.to_datetime(["2020-03-01", None, "1999-12-31"])
COLUMNS: dict[str, Any] = {
    "ordered": pd.Categorical(["low", None, "high"], categories=["low", "middle", "high"], ordered=True),
    "numbers": pd.Categorical([2, 0, 2], categories=[2, 0, 1]),
    "halves": pd.Categorical([0.5, None, 2.0], categories=[2.0, 0.5]),
    "padded": pd.Categorical(["01", "1", None], categories=["1", "01"]),
    "counties": pd.Categorical(["06037", "01001", None]),
    "truth": pd.Categorical([True, None, False]),
    "county": ["06037", None, "01001"],
    "code": ["1", None, "12"],
    "words": ["a", None, "1"],
    "day": DAYS,
    "time": DAYS + pd.Timedelta("90min"),
    "zone": DAYS.tz_localize("Europe/Berlin"),
    "x": [1.5, np.nan, 2.0],
}


def read(table: pd.DataFrame) -> pd.DataFrame:
    """The table from a CSV file, text as text where a column has some."""
    found = pd.read_csv(StringIO(table.to_csv(index=False)))
    return found.apply(plain)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_what_it_was(name: str) -> None:
    column = plain(pd.Series(COLUMNS[name], name=name))
    table = pd.DataFrame({name: column})
    types = column_types(table, [name])
    kept = read(table)
    made, changed = as_typed(kept, types)
    if name == "padded":  # the reader made numbers of it: two levels are one now, and it stays as it is
        assert changed == {}
        assert made is kept
        return
    assert kind_of(made[name]) is kind_of(column)
    assert made[name].isna().tolist() == column.isna().tolist()
    there = column.notna()
    assert made[name][there].tolist() == column[there].tolist()
    if isinstance(column.dtype, pd.CategoricalDtype):
        assert made[name].cat.categories.tolist() == column.cat.categories.tolist()
        assert made[name].cat.ordered == column.cat.ordered
    assert changed == ({} if name in ("x", "words") else {name: types[name]["kind"]})


def test_levels_that_are_not_shown_are_not_told() -> None:
    table = pd.DataFrame({"user": pd.Categorical(["Ann", "Bo"]), "code": pd.Categorical(["1", "2"])})
    types = column_types(table)
    assert types == {"user": {"kind": "categories", "text": True}, "code": {"kind": "categories", "text": True}}
    made, changed = as_typed(read(table), types)
    assert set(changed) == {"user", "code"}
    assert made["code"].cat.categories.tolist() == ["1", "2"]


def test_a_level_that_was_not_there() -> None:
    types = column_types(pd.DataFrame({"g": pd.Categorical(["a", "b"])}), ["g"])
    other = pd.DataFrame({"g": ["a", "c"]})
    assert as_typed(other, types) == (other, {})
    days = column_types(pd.DataFrame({"day": DAYS}))
    assert as_typed(pd.DataFrame({"day": ["soon", "2020-01-01", "later"]}), days)[1] == {}


def test_columns_that_are_right_stay() -> None:
    table = pd.DataFrame({name: plain(pd.Series(values)) for name, values in COLUMNS.items()})
    made, changed = as_typed(table, column_types(table, list(COLUMNS)))
    assert made is table
    assert changed == {}
