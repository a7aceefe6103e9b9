"""Tables from R's files, made without R."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import rdata

from dsl.cli.read import read_table
from dsl.exceptions import DataError

FRAME = pd.DataFrame({"y": [1.0, 2.0], "llm": [0.0, 1.0]})


def read(path: Path, row_id: str | None = None) -> Any:
    return read_table(str(path), sep=None, encoding="utf-8", value_labels=False, row_id=row_id)


def test_the_one_data_frame(tmp_path: Path) -> None:
    """Other objects in the file do not matter."""
    path = tmp_path / "one.RData"
    rdata.write_rda(path, {"note": "two posts", "posts": FRAME})
    pd.testing.assert_frame_equal(read(path).data.reset_index(drop=True), FRAME)


def test_several_data_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.RData"
    rdata.write_rda(path, {"posts": FRAME, "more": FRAME})
    with pytest.raises(DataError, match=r"holds 2 data frames \(posts, more\); save the one to use with saveRDS\(\)"):
        read(path)


def test_no_data_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.RData"
    rdata.write_rda(path, {"note": "no posts"})
    with pytest.raises(DataError, match="holds 0 data frames; save"):
        read(path)


def test_rows_under_labels(tmp_path: Path) -> None:
    FRAME.assign(id=["p1", "p2"]).to_csv(tmp_path / "p.csv", index=False)
    assert read(tmp_path / "p.csv", "id").data.index.tolist() == ["p1", "p2"]
    FRAME.assign(id=["p1", "p1"]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match="--id 'id' is missing or repeated in 2 rows"):
        read(tmp_path / "p.csv", "id")
