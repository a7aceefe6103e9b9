"""Places of a source's rows in a labelling design."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dsl.data.placed import Placed, some_rows
from dsl.data.source import ROW_LABELS, as_source
from dsl.exceptions import DataError
from dsl.sampling import LabelDesign

IDS = pd.Index([f"post {j}" for j in (4, 0, 3, 1, 5, 2)], name="id")


def design(rows: pd.Index = IDS) -> LabelDesign:
    return LabelDesign(
        kind="stratified",
        rows=rows,
        prob=np.array([0.5, 0.4, 0.3, 0.5, 0.6, 0.7]),
        drawn=np.array([True, False, True, False, True, True]),
        fixed_size=True,
        stratum=np.array([0, 0, 1, 1, 1, 1]),
    )


def table(order: list[int], rows: pd.Index = IDS) -> pd.DataFrame:
    """Rows of the design in another order, with ids in a column."""
    return pd.DataFrame({"id": rows[order].astype(object), "x": np.arange(len(order), dtype=float)})


def taken(placed: Placed, source: Any) -> Iterator[np.ndarray]:
    for frame in source.frames(["x", placed.column], 2):
        yield placed.take(frame[placed.column])


@pytest.mark.parametrize("kind", ["pandas", "polars", "categories", "parquet", "index"])
def test_rows_are_found_by_their_ids(kind: str, tmp_path: Path) -> None:
    order = [2, 1, 0, 5, 4, 3]
    data = table(order)
    if kind == "parquet":
        data.set_index("id").to_parquet(tmp_path / "rows.parquet")
    made = {
        "pandas": [data.iloc[:3], data.iloc[3:]],
        "polars": [pl.from_pandas(data)],
        "categories": [data.astype({"id": "category"})],
        "index": [data.set_index("id").iloc[:3], data.set_index("id").iloc[3:]],
    }
    source = as_source(made.get(kind, tmp_path / "rows.parquet"))
    assert source is not None
    placed = Placed(design(), source)
    assert placed.column == (ROW_LABELS if kind == "index" else "id")
    assert np.concatenate([*taken(placed, source)]).tolist() == order
    found = placed.labeling(None)
    assert found.prob.tolist() == design().prob[order].tolist()
    assert found.stratum is not None
    assert found.stratum.tolist() == [1, 0, 0, 1, 1, 1]
    assert placed.order(np.array([0, 3])).tolist() == [2, 5]
    # a stratum is cut: of its three drawn rows two are left
    kept = np.array([False, True, True, True, True, True])
    cut = placed.labeling(kept)
    assert cut.kept is not None
    assert cut.kept.round(9).tolist() == [1.0, 1.0, *[round(2 / 3, 9)] * 3]


def test_numbers_need_no_copy(tmp_path: Path) -> None:
    numbered = design(pd.RangeIndex(6))
    table([0, 1, 2, 3, 4, 5]).to_parquet(tmp_path / "rows.parquet")
    for data in (tmp_path, [table([0, 1]), table([2, 3, 4, 5])]):
        source = as_source(data)
        assert source is not None
        placed = Placed(numbered, source)
        assert np.concatenate([*taken(placed, source)]).tolist() == list(range(6))
        assert placed.labeling(None).prob is numbered.prob
        assert placed.order(np.array([1, 4])).tolist() == [1, 4]


def test_labels_that_pandas_wrote_without_a_name(tmp_path: Path) -> None:
    labels = pd.Index([30, 10, 20, 60, 50, 40])
    pd.DataFrame({"x": np.arange(6.0)}, index=labels[::-1]).to_parquet(tmp_path / "rows.parquet")
    source = as_source(tmp_path)
    assert source is not None
    placed = Placed(design(labels), source)
    assert np.concatenate([*taken(placed, source)]).tolist() == [5, 4, 3, 2, 1, 0]
    # rows that are known by numbers are known by numbers
    assert Placed(design(pd.RangeIndex(6)), source).column == ROW_LABELS


@pytest.mark.parametrize(
    ("order", "rows", "words"),
    [
        ([0, 1, 2, 3, 4], IDS, ["1 row (first: post 2) of the design are not in the source", "design.subset"]),
        ([0, 1, 1, 3, 4, 5], IDS, ["1 row (first: post 0)", "keep each row of the population once"]),
        ([0, 1, 2, 3, 4, 5], IDS.map(lambda name: name.replace("5", "9")), ["1 row (first: post 9)", "Leave out rows"]),
        ([0, 1, 2, 3, 4, 5], IDS.rename("key"), ["no column is called 'key'", "dataclasses.replace"]),
    ],
)
def test_rows_that_do_not_fit(order: list[int], rows: pd.Index, words: list[str]) -> None:
    source = as_source([table(order, rows if rows.name == "id" else IDS)])
    assert source is not None
    placed = Placed(design(IDS if rows.name == "id" else rows), source)
    with pytest.raises(DataError) as caught:  # noqa: PT012
        list(taken(placed, source))
        placed.labeling(None)
    assert all(word in str(caught.value) for word in words), caught.value


def test_the_design_of_some_rows() -> None:
    whole = design()
    part = some_rows(whole, whole, np.array([4, 0, 2, 5]), pd.RangeIndex(4))
    assert (part.kind, part.prob.tolist(), part.drawn.all()) == ("stratified", [0.6, 0.5, 0.3, 0.7], True)
    assert part.kept is None
