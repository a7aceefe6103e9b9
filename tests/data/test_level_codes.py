"""Codes of levels that come in blocks against those of all rows at once."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from dsl.data.level_codes import LevelCodes, Numbering

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": rng.integers(0, 6, 80),
        "b": rng.choice(["x", "y", "z"], 80),
        "c": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 3, 80), unit="D"),
    }
)


@pytest.mark.parametrize("names", [["a"], ["b"], ["c"], ["a", "b"], ["c", "a", "b"]])
@pytest.mark.parametrize("sizes", [[80], [1] * 80, [0, 30, 0, 50]])
def test_codes_are_those_of_all_rows(names: list[str], sizes: list[int]) -> None:
    codes = LevelCodes(names)
    for start, stop in pairwise(np.cumsum([0, *sizes])):
        codes.add(FRAME.iloc[start:stop])
    expected = FRAME.groupby(names, sort=False).ngroup().to_numpy()
    assert codes.of_rows.tolist() == expected.tolist()
    assert codes.count == expected.max() + 1


def test_values_of_other_types_are_the_same_level() -> None:
    codes = LevelCodes(["a"])
    codes.add(pd.DataFrame({"a": [2, 1]}))
    codes.add(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
    assert codes.of_rows.tolist() == [0, 1, 1, 0, 2]


def test_levels_have_names() -> None:
    codes = LevelCodes(["a", "b", "c"])
    codes.add(pd.DataFrame({"a": [7, 5, 7], "b": ["x", "x", "y"], "c": [1, 1, 2]}))
    assert [codes.named(code) for code in range(codes.count)] == ["7^x^1", "5^x^1", "7^y^2"]


def test_no_rows() -> None:
    assert LevelCodes(["a"]).of_rows.tolist() == []


@pytest.mark.parametrize(
    "parts",
    [
        [[5, 3, 5], [], [4, 3, -7], [10**6, 5]],
        [[5, 3], [2**40, 3], [5, 2**40, 1]],
        [np.array([1, 200], dtype=np.uint8), np.array([2**63, 200], dtype=np.uint64)],
        [[2, 1], [1.0, 1.5], ["1", 2]],
    ],
)
def test_numbers_are_given_in_the_order_of_first_appearance(parts: list[list[object]]) -> None:
    codes, known = Numbering(), dict[object, int]()
    for part in parts:
        expected = [known.setdefault(value, len(known)) for value in pd.Series(part).tolist()]
        assert codes.of(pd.Series(part)).tolist() == expected
    assert codes.labels == list(known)
    assert len(codes) == len(known)
