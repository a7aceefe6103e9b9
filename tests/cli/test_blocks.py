"""Commands on Parquet files that are read in blocks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dsl.cli import main
from dsl.cli.blocks import reads_in_blocks
from dsl.sampling import simple_random
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
    assert main(["fit", "parts", "y ~ x", *QUICK, "--archive", "fit.zip"]) == 2
    assert "--archive needs the whole table in memory" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("parts").mkdir()
    pd.read_csv("posts.csv").to_parquet("parts/0.parquet")
    command = ["fit", "parts", "y ~ x", *QUICK, "--checkpoint", "run.ckpt"]
    assert main([*command, "--out-csv", "fit.csv"]) == 0
    # all passes are there
    capsys.readouterr()
    assert main([*command, "--out-csv", "again.csv", "--progress"]) == 0
    assert "are in 'run.ckpt'" in capsys.readouterr().err
    assert Path("again.csv").read_bytes() == Path("fit.csv").read_bytes()
    assert main([*command, "--seed", "77"]) == 2
    assert "seed differs" in capsys.readouterr().err
    assert main(["fit", "posts.csv", "y ~ x", *QUICK, "--checkpoint", "run.ckpt"]) == 2
    assert "'posts.csv' is read into memory whole" in capsys.readouterr().err


def test_a_design_of_rows_that_are_read_in_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv("posts.csv").rename_axis("post").reset_index()
    data["post"] = data["post"].map("p{}".format)
    design = simple_random(data.set_index("post"), int(data["y"].notna().sum()), seed=1)
    wrong = np.arange(len(data)) % 5 == 0
    data["y"] = data["llm"].where(~wrong, 1.0 - data["llm"]).where(design.drawn)
    design.save("design.npz")
    Path("parts").mkdir()
    data.iloc[::-1].to_parquet("parts/0.parquet")
    for names in ([], ["--id", "post"]):
        command = ["fit", "parts", "y ~ x", *QUICK, "--design", "design.npz", "--out-csv", "fit.csv", *names]
        assert main(command) == 0
        expected = run(data.set_index("post").iloc[::-1], design=design)
        pd.testing.assert_frame_equal(read_exact("fit.csv"), expected.tidy(), rtol=1e-9)
    assert main(["fit", "parts", "y ~ x", *QUICK, "--id", "post"]) == 2
    assert "--id needs the whole table" in capsys.readouterr().err


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


def test_a_draw_and_its_labels_in_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv("posts.csv").drop(columns="y").assign(body=lambda d: [f"text {j}" for j in range(len(d))])
    Path("parts").mkdir()
    data.iloc[:100].to_parquet("parts/0.parquet")
    data.iloc[100:].to_parquet("parts/1.parquet")
    data.to_csv("whole.csv", index=False)
    how = ["--n-labels", "40", "--method", "pps", "--measure", "pi", "--columns", "body", "--label", "y"]
    assert main(["sample", "parts", *how, "--design", "d.npz", "--coder", "c.csv", "--json", "d.json"]) == 0
    assert main(["sample", "whole.csv", *how, "--design", "e.npz", "--coder", "f.csv"]) == 0
    assert Path("c.csv").read_bytes() == Path("f.csv").read_bytes()
    assert read_json("d.json")["data"] == {"path": "parts", "read": "in blocks", "rows": len(data)}
    asked = pd.read_csv("c.csv", dtype=str)
    asked.assign(y="1").to_csv("c.csv", index=False)
    assert main(["collect", "parts", "--design", "d.npz", "--coder", "c.csv", "--label", "y", "--out", "l.csv"]) == 2
    assert "must end in .parquet" in capsys.readouterr().err
    assert (
        main(["collect", "parts", "--design", "d.npz", "--coder", "c.csv", "--label", "y", "--out", "l.parquet"]) == 0
    )
    assert f"40 of {len(data)} rows labelled" in capsys.readouterr().out
    made = pd.read_parquet("l.parquet")
    assert made["y"].notna().sum() == 40
    pd.testing.assert_frame_equal(made[data.columns], data, check_dtype=False)
    assert main(["sample", "parts", "--n-labels", "40", "--out", "drawn.csv"]) == 2
    assert "--out needs the whole table in memory" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_in_blocks() -> None:
    Path("parts").mkdir()
    pd.read_csv("posts.csv").to_parquet("parts/0.parquet")
    assert main(["fit", "parts", "y ~ x", *QUICK, "--report", "fit.html"]) == 0
    assert "Estimators side by side" in Path("fit.html").read_text(encoding="utf-8")


def test_shares_of_rows_in_blocks() -> None:
    data = pd.read_csv("posts.csv")
    Path("parts").mkdir()
    data.iloc[:100].to_parquet("parts/0.parquet")
    data.iloc[100:].to_parquet("parts/1.parquet")
    command = ["--gold", "y", "--prediction", "llm", "--sl-method", "lm", "--splits", "1", "--quiet"]
    assert main(["proportions", "posts.csv", *command, "--out-csv", "memory.csv"]) == 0
    assert main(["proportions", "parts", *command, "--out-csv", "blocks.csv", "--json", "p.json"]) == 0
    pd.testing.assert_frame_equal(read_exact("blocks.csv"), read_exact("memory.csv"), rtol=1e-9)
    assert read_json("p.json")["data"] == {"path": "parts", "read": "in blocks", "rows": len(data)}
    assert main(["proportions", "parts", *command, "--na", "99"]) == 2
