"""Sources of blocks of rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile

import dsl
from dsl import exceptions as e
from dsl.data.source import as_bytes, as_source

from ..streams import Again, sources, table


def rows_of(source: object, columns: list[str], rows: int = 100) -> pd.DataFrame:
    found = as_source(source)
    assert found is not None
    frames = list(found.frames(columns, rows))
    assert all(0 < len(frame) <= rows for frame in frames)
    return pd.concat(frames)


def test_every_source_has_the_same_rows_in_order(tmp_path: Path) -> None:
    data = table()
    for name, source in sources(data, tmp_path).items():
        found = as_source(source)
        assert found is not None
        assert found.names == list(data.columns), name
        for _ in range(2):  # as often as wanted
            frame = rows_of(source, ["score", "g"])
            assert frame.index.equals(pd.RangeIndex(len(data)))
            np.testing.assert_array_equal(frame["score"], data["score"])
            assert frame["g"].tolist() == data["g"].tolist()


def test_hive_partitions_are_columns(tmp_path: Path) -> None:
    data = table()
    for year, part in data.groupby("year"):
        folder = tmp_path / f"year={year}"
        folder.mkdir()
        part.drop(columns="year").to_parquet(folder / "part.parquet")
    frame = rows_of(tmp_path, ["year", "score"])
    assert frame["year"].tolist() == sorted(data["year"])


def test_tables_in_memory_are_no_sources() -> None:
    data = table().head(5)
    for each in (data, data.to_dict("list"), pl.from_pandas(data), pa.Table.from_pandas(data), None, 3, "y ~ x"):
        assert as_source(each) is None


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(e.SourceError, match=r"no file or folder 'nothing\.parquet'"):
        as_source("nothing.parquet")
    with pytest.raises(e.SourceError, match=r"no file or folder .*\*"):
        as_source(str(tmp_path / "*.parquet"))
    (tmp_path / "text.parquet").write_text("no such thing")
    with pytest.raises(e.SourceError, match="cannot be read as Parquet"):
        as_source(tmp_path / "text.parquet")
    with pytest.raises(e.ArgumentError, match="__iter__ begins anew"):
        as_source(iter([table()]))
    with pytest.raises(e.ArgumentError, match="without any table"):
        as_source([])
    with pytest.raises(e.SourceError, match="table 2 of the iterable lacks column 'g'"):
        rows_of([table().head(3), table().head(3).drop(columns="g")], ["g"])


def test_a_damaged_row_group_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posts.parquet"
    data = pd.DataFrame({"x": np.random.default_rng(0).normal(size=4_000)})
    data.to_parquet(path, row_group_size=1_000, compression="zstd")
    content = bytearray(path.read_bytes())
    # the header of a page in the third of four row groups
    start = ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    content[start : start + 200] = bytes(200)
    path.write_bytes(bytes(content))
    with pytest.raises(e.SourceError, match=r"posts.parquet', row group 2 cannot be read"):
        rows_of(path, ["x"], 500)


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posts.parquet"
    table().to_parquet(path)
    source = as_source(path)
    assert source is not None
    frames = source.frames(["x"], 10_000)
    next(frames)
    table(950).to_parquet(path)
    with pytest.raises(e.SourceError, match=r"changed while they were read \('.*posts.parquet'\)"):
        next(frames)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DroppedRowsWarning")
def test_a_file_that_changes_between_passes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posts.parquet"
    data = table()
    data.to_parquet(path)

    def changing(x: pd.Series) -> pd.Series:
        calls.append(len(x))
        if len(calls) == 3:
            data.assign(x=0.5).to_parquet(path)
        return x

    calls: list[int] = []
    assert len(changing(data["x"])) == 900
    with pytest.raises(e.SourceError, match=r"posts\.parquet"):
        dsl.dsl("y ~ changing(x)", path, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)


def test_amounts_of_memory() -> None:
    assert [as_bytes(each) for each in ("2GB", "300 mb", "1.5K", 10_000, "7")] == [
        2 * 10**9,
        3 * 10**8,
        1_500,
        10_000,
        7,
    ]
    for wrong in ("much", -1, 0, True, None, "GB"):
        with pytest.raises(e.ArgumentError, match="memory"):
            as_bytes(wrong)


def test_polars_categories_are_sorted() -> None:
    data = table().assign(g=lambda d: d["late"])[["y", "llm", "x", "g"]]
    whole = pl.from_pandas(data).with_columns(pl.col("g").cast(pl.Categorical))
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
    with pytest.warns(e.DroppedRowsWarning):
        known, found = (dsl.dsl("y ~ g + x", each, **call) for each in (whole, whole.lazy()))
    assert known.params.index.tolist() == found.params.index.tolist()
    np.testing.assert_allclose(known.params, found.params, rtol=1e-10)


def test_blocks_begin_anew() -> None:
    assert len(rows_of(Again(table(), [0, 5, 0, 895]), ["x"], 50)) == 900
