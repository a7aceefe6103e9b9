"""`dsl fit --archive` and `dsl replicate`: exit codes, messages, numbers."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dsl.analyses import archive
from dsl.cli import main
from dsl.data.zipped import read_zip, write_zip
from tests.command_line import QUICK, read_exact, read_json

pytestmark = pytest.mark.usefixtures("folder")
FIT = ["fit", "posts.csv", "y ~ x", *QUICK, "--quiet", "--archive", "r.zip"]


@pytest.fixture(autouse=True)
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "report_html", lambda *_, **__: "")


def test_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FIT) == 0
    assert main(["replicate", "r.zip", "posts.csv", "--json", "r.json", "--out-csv", "r.csv"]) == 0
    said = capsys.readouterr().out
    assert "Data: 200 rows, and all 3 columns hold the values of the archive" in said
    assert "Numbers: all" in said
    record = read_json("r.json")
    assert record["same"] is True
    assert record["same_folds"] is True
    assert [row["same"] for row in record["columns"]] == [True] * 3
    assert {row["name"] for row in record["versions"]} >= {"dsl", "numpy", "Python"}
    assert read_exact("r.csv")["relative"].max() <= 1e-8


def test_differences_are_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FIT) == 0
    data = pd.read_csv("posts.csv")
    data.assign(x=data["x"] * 1.01).to_csv("other.csv", index=False)
    assert main(["replicate", "r.zip", "other.csv"]) == 1
    said = capsys.readouterr().out
    assert "column 'x' holds other values than in the archive" in said
    assert "differ by more than 1e-08" in said
    assert main(["replicate", "r.zip", "other.csv", "--quiet"]) == 1
    assert capsys.readouterr().out == ""


def test_with_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--include-data"]) == 0
    assert main(["replicate", "r.zip"]) == 0
    assert main(["replicate", "r.zip", "--sep", ";"]) == 2
    assert "--sep says how to read the data: name their file" in capsys.readouterr().err


def test_unusable(capsys: pytest.CaptureFixture[str]) -> None:
    for given, words in (
        (["replicate", "nothing.zip", "posts.csv"], "there is no file 'nothing.zip'"),
        (["replicate", "posts.csv", "posts.csv"], "cannot be read as a replication archive"),
        ([*FIT[:-1], "r.tar"], "--archive 'r.tar' must end in .zip"),
        ([*FIT[:-2], "--include-data"], "--include-data is for the archive"),
        ([*FIT[:-2], "--trail", "t.json"], "--trail is for the report and the archive"),
    ):
        assert main(given) == 2
        assert words in capsys.readouterr().err
    assert main(FIT) == 0
    assert main(["replicate", "r.zip"]) == 2
    assert "the data are not in 'r.zip'" in capsys.readouterr().err
    entries = read_zip("r.zip", "an archive")
    write_zip("r.zip", {**entries, "estimates.csv": b""})
    assert main(["replicate", "r.zip", "posts.csv"]) == 2
    assert "was changed after the archive was made" in capsys.readouterr().err


def test_a_design_and_its_rows_by_their_labels() -> None:
    data = pd.read_csv("posts.csv").assign(post=[f"p{j}" for j in range(200)])
    data.to_csv("named.csv", index=False)
    draw = ["--n-labels", "60", "--design", "d.npz", "--id", "post"]
    assert main(["sample", "named.csv", *draw, "--quiet"]) == 0
    import dsl

    drawn = dsl.sampling.LabelDesign.load("d.npz").drawn
    data.assign(y=data["y"].fillna(0.0).where(drawn)).to_csv("named.csv", index=False)
    fit = ["fit", "named.csv", "y ~ x", *QUICK, "--id", "post", "--design", "d.npz", "--quiet", "--archive", "r.zip"]
    assert main(fit) == 0
    assert "data.csv --id post" in read_zip("r.zip", "an archive")["README.txt"].decode()
    assert json.loads(read_zip("r.zip", "an archive")["design.json"])["drawn"] == 60
    assert main(["replicate", "r.zip", "named.csv", "--id", "post", "--quiet"]) == 0
    # without the labels the design cannot be matched
    assert main(["replicate", "r.zip", "named.csv", "--quiet"]) == 2
    assert Path("r.zip").exists()
