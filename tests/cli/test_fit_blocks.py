"""`dsl fit` of Parquet files that are read in blocks."""

from pathlib import Path

import pandas as pd
import pytest

from dsl.cli import main
from dsl.cli.fit import reads_in_blocks
from tests.command_line import QUICK, read_exact, read_json
from tests.posts import run

pytestmark = pytest.mark.usefixtures("folder")


def test_large_files_are_read_in_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv("posts.csv")
    data.to_parquet("posts.parquet")
    Path("parts").mkdir()
    data.iloc[:100].to_parquet("parts/0.parquet")
    data.iloc[100:].to_parquet("parts/1.parquet")
    expected = run(data)
    for path in ("parts", "parts/*.parquet"):
        files = ["--json", "fit.json", "--out-csv", "fit.csv"]
        assert main(["fit", path, "y ~ x", *QUICK, *files]) == 0
        pd.testing.assert_frame_equal(read_exact("fit.csv"), expected.tidy(), rtol=1e-9)
        assert read_json("fit.json")["data"]["rows"] == len(data)
    assert main(["fit", "parts", "y ~ x", *QUICK, "--report", "fit.html"]) == 2
    assert "--report needs the whole table in memory" in capsys.readouterr().err


def test_when_files_are_read_in_blocks() -> None:
    pd.read_csv("posts.csv").to_parquet("posts.parquet")
    assert not reads_in_blocks("posts.parquet", "2GB")
    assert reads_in_blocks("posts.parquet", "5KB")
    assert not reads_in_blocks("posts.csv", "1B")
    Path("empty").mkdir()
    assert not reads_in_blocks("empty", "2GB")
    assert not reads_in_blocks(".", "2GB")  # other files are there too
    Path("posts.parquet").rename("empty/posts.parquet")
    assert reads_in_blocks("empty", "2GB")
    assert not reads_in_blocks("nothing.parquet", "1B")
    Path("text.parquet").write_text("none", encoding="utf-8")
    assert not reads_in_blocks("text.parquet", "1B")
