"""Values to JSON and arrays, and back: the same values, of the same types."""

import json
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.data.packed import Packer, Unpacker


@dataclass(frozen=True, slots=True)
class Pair:
    first: object
    second: object = None


CLASSES: dict[str, type] = {"pair": Pair}


def there_and_back(value: object) -> Any:
    packer = Packer(CLASSES)
    # as text, as a file holds it
    text = json.dumps(packer.pack(value), allow_nan=False)
    return Unpacker(CLASSES, packer.arrays, packer.objects).unpack(json.loads(text))


PLAIN = [
    None, True, 3, 2**70, -0.0, 0.1 + 0.2, 5e-324, float("inf"), float("-inf"), "", "a\n\u2028\udc80\"", [], (), {},
    [1, (2.5, None)], {"a": {"b": (1,)}}, {1: "a", None: "b", (1, 2): "c"}, {1, 2}, frozenset({"a"}),
    Pair(1, Pair((2,))), {"class": "pair"}, {"array": "a0"},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain(value: object) -> None:
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_nan() -> None:
    assert np.isnan(there_and_back(float("nan")))


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.array([0.1, np.nan, -np.inf]),
    np.zeros((0, 4)),
    np.array([True, False]),
    np.array(["a", "bc"]),
    np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
    np.array([1, 2], dtype=np.uint64),
    np.array([["a", None], ["b", "c"]], dtype=object),
    np.array([], dtype=object),
    np.array(5.5),
]


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_arrays(value: np.ndarray) -> None:
    found = np.asarray(there_and_back(value))
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


INDEXES = [
    pd.RangeIndex(3, 12, 3, name="row"),
    pd.Index([3, 1, 2], name="i"),
    pd.Index([0.5, np.nan]),
    pd.Index(["a", "b"]),
    pd.Index(["a", None], dtype=object),
    pd.Index([1, "a", 2.5, True], dtype=object),
    pd.Index(["x", "y"], dtype="string"),
    pd.Index([1, None], dtype="Int64"),
    pd.DatetimeIndex(["2020-01-01", "2021-06-01"]),
    pd.DatetimeIndex(["2020-01-01", "2021-06-01"], tz="Europe/Berlin"),
    pd.TimedeltaIndex(["1D", "2h"]),
    pd.CategoricalIndex(["b", "a", "b"], categories=["b", "a", "c"], ordered=True),
    pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["g", None]),
]


@pytest.mark.parametrize("value", INDEXES, ids=repr)
def test_indexes(value: pd.Index) -> None:
    packer = Packer({})
    packer.pack(value)
    assert not packer.objects
    pd.testing.assert_index_equal(there_and_back(value), value, exact=True)


def test_frames() -> None:
    frame = pd.DataFrame(
        {
            "x": [1.5, np.nan],
            "n": [1, 2],
            "b": [True, False],
            "t": ["a", None],
            "c": pd.Categorical(["u", "v"]),
            "d": pd.to_datetime(["2020-01-01", None]),
        },
        index=["r", "s"],
    )
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    twice = pd.DataFrame([[1, 2.5]], columns=["a", "a"])
    pd.testing.assert_frame_equal(there_and_back(twice), twice)
    empty = pd.DataFrame(index=["a"])
    assert there_and_back(empty).shape == (1, 0)


def test_objects_are_set_aside() -> None:
    packer = Packer({})
    code = packer.pack({"learner": [len, 1], "cells": np.array([object()], dtype=object), "unknown": Pair(1)})
    assert len(packer.objects) == 3
    assert packer.objects[0] is len
    with pytest.raises(IndexError):
        Unpacker({}, packer.arrays).unpack(code)
    with pytest.raises((KeyError, TypeError)):
        Unpacker({}, {}).unpack({"class": "os.system", "fields": {"command": "true"}})


def test_arrays_need_no_pickle() -> None:
    packer = Packer(CLASSES)
    packer.pack([*ARRAYS, *INDEXES])
    for array in packer.arrays.values():
        assert array.dtype != object


def test_the_pickle_of_a_pair_is_what_we_avoid() -> None:
    """Without this package's classes nothing is made: a name in the file is looked up in a list, not imported."""
    assert b"test_packed" in pickle.dumps(Pair(1))
    packer = Packer(CLASSES)
    assert packer.pack(Pair(1)) == {"class": "pair", "fields": {"first": 1, "second": None}}
