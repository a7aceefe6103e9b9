"""Rows that may be drawn, and the values that a design needs of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.exceptions import ArgumentError, DataError
from dsl.sampling.population import groups, population

DATA = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "by": ["b", "a", "b", "a"], "out": [0, 1, 0, 0]}, index=list("wxyz"))


@pytest.mark.parametrize("exclude", ["out", DATA["out"] == 1, np.array([0, 1, 0, 0]), [False, True, False, False]])
def test_rows_left_out(exclude: Any) -> None:
    made = population(DATA, {"measure": "size"}, exclude)
    assert list(made.rows) == ["w", "y", "z"]
    assert made.kept.tolist() == [True, False, True, True]
    for given in ("size", DATA["size"], [1.0, 2.0, 3.0, 4.0], np.array([1, 2, 3, 4])):
        assert made.numbers(given, "measure").tolist() == [1.0, 3.0, 4.0]
    assert made.numbers(2.5, "measure").tolist() == [2.5, 2.5, 2.5]


def test_every_row_by_default() -> None:
    assert population(DATA, {}, None).kept.all()


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        ("size", r"exclude must be a column or mask that is True \(1\).*found float64 values of shape \(4,\)"),
        ([0, 1, 0], r"found int64 values of shape \(3,\)"),
        ([0, 1, 2, 0], r"each of 4 rows; found int64"),
        ([1, 1, 1, 1], "exclude leaves no row to draw from"),
    ],
)
def test_masks_that_are_none(exclude: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        population(DATA, {}, exclude)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([1.0, 2.0], ArgumentError, r"measure has shape \(2,\); give one number per row of data, shape \(4,\)"),
        ({"a": 1}, ArgumentError, "must be a column name or one number per row; found dict"),
        ([1.0, np.nan, np.nan, 2.0], DataError, r"'measure' \(measure\) is missing in 1 row \(first: y\)"),
    ],
)
def test_numbers_that_cannot_be_used(given: Any, error: type[Exception], words: str) -> None:
    """Values of rows that are left out do not matter."""
    with pytest.raises(error, match=words):
        population(DATA, {}, "out").numbers(given, "measure")


def test_groups() -> None:
    codes, found = groups(DATA, "by", "by")
    assert (codes.tolist(), found) == ([1, 0, 1, 0], ["a", "b"])
    codes, found = groups(DATA, ["by", "out"], "by")
    assert (codes.tolist(), found) == ([2, 1, 2, 0], [("a", 0), ("a", 1), ("b", 0)])
    with pytest.raises(ArgumentError, match="by names no column"):
        groups(DATA, [], "by")


def test_tables_without_rows_or_columns() -> None:
    with pytest.raises(DataError, match="no columns; pass the table"):
        population(pd.DataFrame(index=[0, 1]), {}, None)
    with pytest.raises(DataError, match="no rows; look at the filter"):
        population(DATA.iloc[:0], {}, None)
