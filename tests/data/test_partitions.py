"""A dask DataFrame as a source."""

import threading
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.data.partitions import AHEAD
from dsl.data.source import as_source

from ..streams import same, table

CALL: dict[str, Any] = {
    "formula": "y ~ x + g",
    "predicted_var": "y",
    "prediction": "llm",
    "sample_prob": "pi",
    "sample_split": 1,
    "cross_fit": 3,
    "sl_method": "lm",
}
pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]


def uneven(data: pd.DataFrame) -> Any:
    """Partitions of uneven sizes, one of them empty, whose row labels begin anew."""
    parts = [data.iloc[:250], data.iloc[250:250], data.iloc[250:].reset_index(drop=True)]
    return dd.from_map(lambda j: parts[j], range(3), meta=data.iloc[:0])


def test_the_numbers_are_those_of_the_rows_in_memory(tmp_path: Path) -> None:
    data = table()
    known = dsl.dsl(**CALL, data=data)
    frame = uneven(data)
    same(dsl.dsl(**CALL, data=frame), known)
    # what dask is asked to do is done in every pass
    doubled = frame.assign(x=2.0 * frame["x"])
    found = dsl.dsl(**CALL, data=doubled, checkpoint=tmp_path / "run.ckpt")
    np.testing.assert_allclose(found.params["x"], known.params["x"] / 2.0, rtol=1e-9)
    assert not [each for each in threading.enumerate() if each.name.startswith(AHEAD)]
    with pytest.raises(e.CheckpointError, match="other values in 'x'"):
        dsl.dsl(**CALL, data=frame, checkpoint=tmp_path / "run.ckpt")


@pytest.mark.slow
def test_text_and_categories_of_files(tmp_path: Path) -> None:
    data = table().assign(g=lambda d: d["late"])
    data.iloc[:500].to_parquet(tmp_path / "0.parquet")
    data.iloc[500:].to_parquet(tmp_path / "1.parquet")
    known = dsl.dsl(**CALL, data=data)
    frame = dd.read_parquet(tmp_path)
    same(dsl.dsl(**CALL, data=frame), known)
    same(dsl.dsl(**CALL, data=frame.categorize("g")), known)


def test_only_the_columns_that_are_needed_and_two_partitions_at_a_time() -> None:
    seen, live = list[tuple[int, ...]](), 0

    def part(number: int) -> pd.DataFrame:
        nonlocal live
        live += 1
        seen.append((number, live))
        return pd.DataFrame({"x": [float(number)], "y": [1.0]})

    source = as_source(dd.from_map(part, range(5), meta=part(0)))
    assert source is not None
    assert source.names == ["x", "y"]
    seen.clear()
    live = 0
    for part_of in source.tables(["x"], 10):
        assert list(pd.DataFrame(part_of)) == ["x"]
        # this one, and the next
        assert live <= 2
        live -= 1
    assert [number for number, _ in seen] == [0, 1, 2, 3, 4]


def test_a_partition_that_fails_is_named() -> None:
    data = table()

    def part(number: int) -> pd.DataFrame:
        if number == 2:
            raise OSError("the disk is gone")
        return data

    with pytest.raises(e.SourceError, match=r"partition 2 of 3 .* the disk is gone"):
        dsl.dsl(**CALL, data=dd.from_map(part, range(3), meta=data.iloc[:0]))


@pytest.mark.slow
def test_on_the_workers_of_a_cluster() -> None:
    import distributed

    data = table()
    known = dsl.dsl(**CALL, data=data)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        same(dsl.dsl(**CALL, data=dd.from_pandas(data, npartitions=4)), known)
