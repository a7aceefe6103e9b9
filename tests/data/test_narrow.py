"""A few columns of all rows, and some rows of a source: what the same table in memory has."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.data.narrow import narrow, rows_at
from dsl.data.source import as_source

from ..streams import Again, sources, table


def read(data: Any, *names: str, rows: int = 100) -> pd.DataFrame:
    source = as_source(data)
    assert source is not None
    return narrow(source, dict.fromkeys(names, "by"), rows)


@pytest.mark.parametrize("size", [1, 7, 900])
def test_columns_of_all_rows(size: int) -> None:
    data = table(60).assign(day=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(60) % 9, unit="D"))
    data["text"] = data["g"].where(data.index % 5 > 0)
    made = read(Again(data, size), "x", "g", "year", "kind", "day", "text")
    for name in ("x", "year", "day"):
        pd.testing.assert_series_equal(made[name], data[name], check_names=False)
    assert made["g"].astype(object).tolist() == data["g"].tolist()
    assert made["g"].cat.categories.tolist() == ["a", "b", "c"]
    assert made["text"].isna().equals(data["text"].isna())
    # categories keep their own order
    assert made["kind"].cat.categories.tolist() == ["low", "mid", "top"]
    assert made["kind"].cat.codes.tolist() == data["kind"].cat.codes.tolist()


def test_kinds_that_differ_between_blocks() -> None:
    big = 2**53 + 1
    parts: list[dict[str, Any]] = [
        {"n": [1, 2], "big": [big, big - 1], "mixed": [1, 2], "truth": [True, False], "late": [None, None]},
        {"n": [0.5, np.nan], "big": [0.5, None], "mixed": ["a", 2], "truth": [None, True], "late": ["b", "a"]},
    ]
    made = read(parts, "n", "big", "mixed", "truth", "late")
    np.testing.assert_array_equal(made["n"], [1.0, 2.0, 0.5, np.nan])
    # a float would make two numbers one
    assert made["big"].astype(object).tolist()[:3] == [big, big - 1, 0.5]
    assert made["mixed"].tolist() == [1, 2, "a", 2]
    assert made["truth"].astype(object).tolist()[:2] == [True, False]
    assert made["truth"].isna().tolist() == [False, False, True, False]
    assert made["late"].cat.categories.tolist() == ["a", "b"]
    assert made["late"].isna().tolist() == [True, True, False, False]


def test_the_number_of_rows_alone(tmp_path: Path) -> None:
    data = table()
    for source in sources(data, tmp_path).values():
        assert len(read(source)) == len(data)


def test_what_no_role_can_use_or_is_not_there() -> None:
    with pytest.raises(e.MissingColumnError, match="'nothing', named in by"):
        read(Again(table(9), 4), "nothing")
    with pytest.raises(e.ColumnTypeError, match="times of day"):
        read([{"x": [1]}, {"x": [datetime.time(1)]}], "x")


def test_some_rows(tmp_path: Path) -> None:
    data = table()
    data["whole"] = pd.array(np.arange(900), dtype="Int64")
    data.loc[899, "whole"] = pd.NA
    places = np.array([0, 3, 250, 251, 898])
    named = dict.fromkeys(["x", "g", "kind", "whole"], "columns")
    for data_like in [*sources(data, tmp_path).values(), Again(data, [0, 1, 0, 4])]:
        source = as_source(data_like)
        assert source is not None
        whole = 5 if isinstance(data_like, Again) else 900
        made = rows_at(source, named, places, 100)
        inside = places[places < whole]
        assert made.index.tolist() == inside.tolist()
        assert made["g"].tolist() == data["g"].iloc[inside].tolist()
        assert (
            made["kind"].astype(object).fillna("").tolist()
            == data["kind"].astype(object).iloc[inside].fillna("").tolist()
        )
        # the last row has a missing number, so that in memory these are floats
        assert made["whole"].tolist() == inside.tolist()
        assert whole < 900 or made["whole"].dtype == float
    source = as_source(Again(data, 300))
    assert source is not None
    assert len(rows_at(source, named, np.array([], dtype=int))) == 0
