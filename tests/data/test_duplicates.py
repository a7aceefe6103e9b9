"""Copies of rows: noted where chance cannot make them, and not where it does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.data.duplicates import _repeated_rows, duplicate_notes
from tests.posts import posts, run

CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda d: d,
    "nullable": lambda d: d.convert_dtypes(),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "pyarrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "dict": lambda d: {str(name): d[name].tolist() for name in d},
}
CALL = "20 rows (first: 0, 1, 2) equal others in all columns of the call, labels apart: if they are copies, keep one of each"


def copied(data: pd.DataFrame, rows: int = 10) -> pd.DataFrame:
    """The table with its first rows once more at the end, with labels of their own."""
    return pd.concat([data, data.iloc[:rows]], ignore_index=True)


def notes(data: Any, formula: str = "y ~ x", **arguments: Any) -> list[str]:
    """Notes of a fit about copies."""
    found = run(data, formula, **arguments).core.sample.notes
    return [note for note in found if "equal others" in note]


@pytest.mark.parametrize("container", CONTAINERS)
def test_measurements_tell_copies(container: str) -> None:
    change = CONTAINERS[container]
    assert notes(change(copied(posts()))) == [CALL]
    assert not notes(change(posts()))
    assert CALL in str(run(change(copied(posts()))).summary()).replace("\n", " ")


def test_a_copy_may_lack_the_label() -> None:
    data = copied(posts())
    data.loc[200:, "y"] = np.nan
    assert notes(data) == [CALL]
    assert notes(data.assign(lab=data["y"].notna().astype(int)), labeled="lab") == [CALL]


def test_calls_without_a_formula() -> None:
    fit = dsl.proportions(copied(posts()), gold="y", prediction="llm", feature="x", sl_method="lm", sample_split=1).fit
    assert any("20 rows" in note for note in fit.core.sample.notes)


DISCRETE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "few values": lambda d: d.assign(x=d["x"].round()),
    "two decimals": lambda d: d.assign(x=d["x"].round(2)),
    "a score in hundredths": lambda d: d.assign(x=np.tile(np.arange(100) / 100, 2)),
    "thirds": lambda d: d.assign(x=d["z"] / 3),
    "logs of counts": lambda d: d.assign(x=np.log1p(d["words"])),
    "counts": lambda d: d.assign(x=d["words"]),
    "categories": lambda d: d.assign(x=d["g"]),
    "truth values": lambda d: d.assign(x=d["x"] > 0),
    "one value": lambda d: d.assign(x=d["x"].where(d.index == 0, 1 / 3)),
    "users as row labels": lambda d: d.assign(x=d["z"]).set_index("cl"),
    "short texts": lambda d: d.assign(x=d["z"], text="thanks"),
    "categories of many words": lambda d: d.assign(x=d["z"], text=d["g"] + " which is a statement of some length"),
}


@pytest.mark.parametrize("case", DISCRETE)
def test_equal_rows_are_normal_where_values_are_few(case: str) -> None:
    data = DISCRETE[case](posts())
    names = ["llm", "x"]
    assert data[names].duplicated().any()
    assert not duplicate_notes(data, data[names], names)


@pytest.mark.parametrize("container", CONTAINERS)
def test_texts_tell_copies_where_the_call_does_not(container: str) -> None:
    texts = posts().assign(text=[f"what somebody wrote in post number {row}" for row in range(200)])
    few = ["llm", "z"]
    table = CONTAINERS[container](copied(texts[["text", *few]]))
    frame = dsl.data.tables.to_pandas(table, few)
    (note,) = duplicate_notes(table, frame, few)
    assert note.startswith("20 rows (first: 0, 1, 2) equal others in all columns of the data")
    # the same text in another post is no copy of it
    numbered = copied(texts[["text", *few]]).assign(post=np.arange(210))
    assert not duplicate_notes(CONTAINERS[container](numbered), frame, few)
    lists = copied(texts[["text", *few]]).assign(words=[[1, 2]] * 210)
    assert duplicate_notes(lists, lists[few], few) == (note,)


def test_row_labels_tell_copies() -> None:
    data = posts()[["llm", "z"]]
    twice = pd.concat([data, data.iloc[:10]])
    (note,) = duplicate_notes(twice, twice, ["llm", "z"])
    assert note.startswith("20 rows (first: 0, 1, 2) equal others in row label and all columns of the data")
    # the label of a group
    assert not duplicate_notes(data.set_axis(np.arange(200) // 10), data.set_axis(np.arange(200) // 10), ["llm", "z"])
    assert not duplicate_notes(data.set_axis([None, *range(199)]), data.set_axis([None, *range(199)]), ["llm", "z"])
    assert not duplicate_notes(twice, twice, [])


def test_zero_and_missing_are_one_value_each() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    data = pd.DataFrame({"x": np.r_[x, x[:2]], "z": np.r_[np.zeros(40), -0.0, 0.0], "m": np.nan})
    (note,) = duplicate_notes(data, data, list(data))
    assert note.startswith("4 rows (first: 0, 1, 40)")


@pytest.mark.parametrize("name", [name for name in dsl.datasets.__all__ if name.startswith(("load", "simulate"))])
def test_no_note_on_the_packages_own_tables(name: str) -> None:
    data = getattr(dsl.datasets, name)()
    gold = data.attrs.get("call", {}).get("predicted_var", "human_positive")
    marks = {*([gold] if isinstance(gold, str) else gold), "sample_prob"}
    for compared in ([c for c in data if c not in marks], [c for c in data if c not in marks][:3]):
        assert not duplicate_notes(data, data, compared)


def test_columns_of_one_name_are_passed_over() -> None:
    data = copied(
        posts().assign(text=[f"what somebody wrote in post number {row}" for row in range(200)])[["text", "llm", "z"]]
    )
    odd = pd.concat([data, data[["text"]]], axis=1)
    assert not duplicate_notes(odd, data, ["llm", "z"])
    assert not duplicate_notes(odd.set_axis([0] * 210), data.set_axis([0] * 210), ["llm", "z"])


R_NA = np.array([0x7FF00000000007A2], dtype=np.uint64).view(float)[0]
TABLES: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "many digits": lambda rng: pd.DataFrame({"x": rng.normal(size=300), "k": rng.integers(0, 3, 300)}),
    "missing values": lambda rng: pd.DataFrame(
        {"x": np.where(rng.random(300) < 0.4, rng.choice([np.nan, R_NA], 300), rng.normal(size=300)), "k": np.arange(300) % 9}
    ),
    "zeros": lambda rng: pd.DataFrame({"x": rng.choice([0.0, -0.0, 1.0], 300), "z": rng.choice(np.arange(40.0), 300)}),
    "text": lambda rng: pd.DataFrame({"t": rng.choice(["a", "b", "c"], 300), "z": rng.choice(np.arange(60.0), 300)}),
    "mixed": lambda rng: pd.DataFrame({"m": rng.choice(np.array(["a", 1, None], dtype=object), 300), "z": np.arange(300) // 2}),
    "dates": lambda rng: pd.DataFrame({"d": pd.Timestamp(0) + pd.to_timedelta(rng.integers(0, 50, 300), "D")}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_rows_equal_to_others_are_those_of_pandas(kind: str) -> None:
    rng = np.random.default_rng(4)
    table = TABLES[kind](rng)
    table = pd.concat([table, table.sample(20, random_state=1)], ignore_index=True)
    numbers = [name for name in table if table[name].dtype.kind == "f"]
    for first in (None, *numbers):
        found = _repeated_rows(table, list(table), first)
        assert found.sum() > 0
        np.testing.assert_array_equal(found, table.duplicated(keep=False))
