"""The commands that plan, draw and collect labels: the same numbers as the functions, and a whole study in a shell."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli import main
from dsl.cli.options import codebook_of
from tests.command_line import QUICK, names, read_exact, read_json
from tests.posts import run

pytestmark = pytest.mark.usefixtures("folder")


def test_power(capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--labeled-size", "100", "150", "--se", "x=0.03", "--expert-price", "2"]
    assert main(["power", "posts.csv", "y ~ x", *QUICK, *more, "--json", "p.json", "--out-csv", "p.csv"]) == 0
    expected = dsl.power_dsl(run(pd.read_csv("posts.csv")), labeled_size=[100, 150])
    curve = read_exact("p.csv").set_index(["labeled_size", "term"])
    for part, frame in (("predicted_se", expected.predicted_se), ("mde", expected.mde())):
        np.testing.assert_array_equal(curve[part].unstack()[frame.columns], frame)
    record = read_json("p.json")
    needed = expected.labels_needed(se={"x": 0.03})
    assert record["labels_needed"][0]["labeled_size"] == needed.loc["x", "labeled_size"]
    assert [row["total"] for row in record["cost"]] == [160.0, 200.0, 300.0]
    assert "Labels needed" in capsys.readouterr().out
    assert main(["power", "posts.csv", "y ~ x", *QUICK, "--se", "0.1", "--effect", "x=1"]) == 2
    assert main(["power", "posts.csv", "y ~ x", *QUICK, "--se", "0.1", "--se", "x=0.1"]) == 2


def test_power_before_labelling() -> None:
    data = pd.read_csv("posts.csv").drop(columns="y")
    data.to_csv("raw.csv", index=False)
    more = ["--accuracy", "0.9", "--replications", "2"]
    assert main(["power", "raw.csv", "y ~ x", *QUICK, *more]) == 2
    more += ["--labeled-size", "100", "--out-csv", "p.csv"]
    assert main(["power", "raw.csv", "y ~ x", *QUICK, *more]) == 0
    expected = dsl.plan_dsl(
        "y ~ x",
        data,
        predicted_var="y",
        prediction="llm",
        labeled_size=100,
        accuracy=0.9,
        replications=2,
        sl_method="lm",
        sample_split=1,
    )
    curve = read_exact("p.csv").set_index(["labeled_size", "term"])["predicted_se"]
    np.testing.assert_array_equal(curve.unstack()[expected.predicted_se.columns], expected.predicted_se)


DESIGNS: dict[str, tuple[list[str], Any]] = {
    "srs": (["--n-labels", "40"], lambda d: dsl.sampling.simple_random(d, 40, seed=7)),
    "bernoulli": (["--prob", "pi"], lambda d: dsl.sampling.bernoulli(d, prob="pi", seed=7)),
    "stratified": (
        ["--n-labels", "40", "--by", "g", "--allocation", "equal"],
        lambda d: dsl.sampling.stratified(d, 40, by=["g"], allocation="equal", seed=7),
    ),
    "pps": (
        ["--n-labels", "40", "--measure", "words", "--floor", "0.05"],
        lambda d: dsl.sampling.proportional_to_size(d, 40, measure="words", floor=0.05, seed=7),
    ),
    "cluster": (["--n-clusters", "5", "--by", "cl"], lambda d: dsl.sampling.clustered(d, 5, by="cl", seed=7)),
    "two_stage": (
        ["--n-clusters", "5", "--per-cluster", "4", "--by", "cl"],
        lambda d: dsl.sampling.two_stage(d, 5, 4, by="cl", seed=7),
    ),
}


@pytest.mark.parametrize("method", DESIGNS)
def test_sample(method: str) -> None:
    arguments, draw = DESIGNS[method]
    command = ["sample", "posts.csv", "--method", method, *arguments, "--seed", "7"]
    assert main([*command, "--design", "d.npz", "--out", "drawn.csv", "--json", "d.json"]) == 0
    expected = draw(pd.read_csv("posts.csv"))
    found = dsl.sampling.LabelDesign.load("d.npz")
    assert found.fingerprint == expected.fingerprint
    drawn = read_exact("drawn.csv")
    np.testing.assert_array_equal(drawn["sample_prob"], expected.prob)
    np.testing.assert_array_equal(drawn["drawn"], expected.drawn)
    assert read_json("d.json")["design"]["settings"] == expected.settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n-labels", "40"], "--design design.npz"),
        (["--design", "d.npz"], "srs needs --n-labels"),
        (["--n-labels", "40", "--by", "g", "--out", "o.csv"], "srs takes no --by"),
        (["--n-labels", "400", "--out", "o.csv"], "200"),
        (["--n-labels", "40", "--coder", "c.csv"], "--columns"),
        (["--n-labels", "40", "--exclude", "lab", "--out", "o.csv"], "--exclude needs --id"),
        (["--n-labels", "40", "--design", "-"], "need file names"),
    ],
)
def test_samples_that_cannot_be_drawn(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "posts.csv", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert names(folder) == {"posts.csv"}


def test_rows_left_out_of_the_population() -> None:
    command = ["sample", "posts.csv", "--n-labels", "40", "--exclude", "lab", "--id", "text", "--out", "drawn.csv"]
    assert main([*command, "--design", "d.npz"]) == 0
    data = pd.read_csv("posts.csv")
    assert read_exact("drawn.csv")["text"].tolist() == data.loc[data["lab"] == 0, "text"].tolist()
    assert dsl.sampling.LabelDesign.load("d.npz").rows[0] == data.loc[data["lab"] == 0, "text"].iloc[0]


def test_a_coders_file_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("coder.csv").write_text("a week's work", encoding="utf-8")
    command = [
        "sample",
        "posts.csv",
        "--n-labels",
        "40",
        "--columns",
        "text",
        "--design",
        "d.npz",
        "--coder",
        "coder.csv",
    ]
    assert main(command) == 2
    assert "may hold a coder's labels" in capsys.readouterr().err
    assert Path("coder.csv").read_text(encoding="utf-8") == "a week's work"
    assert names(folder) == {"posts.csv", "coder.csv"}


PIPELINE = """\
set -eu
dsl() { "$PYTHON" -m dsl "$@"; }
dsl sample posts.csv --n-labels 60 --columns text --label y --codebook 0 1 --design d.npz --coder coder.csv --quiet
"$PYTHON" code.py
dsl collect posts.csv --design d.npz --coder coder.csv --label y --codebook 0 1 --out labelled.csv
dsl fit labelled.csv "y ~ x" --predicted y --prediction llm --sl-method lm --splits 1 --design d.npz --json fit.json | head -1
set +e
dsl fit absent.csv "y ~ x" --predicted y --prediction llm --json absent.json
echo "exit code $?"
"""
CODE = """\
import csv
gold = [row["y"] for row in csv.DictReader(open("gold.csv"))]
sheet = list(csv.DictReader(open("coder.csv", encoding="utf-8-sig")))
with open("coder.csv", "w", newline="") as file:
    out = csv.DictWriter(file, list(sheet[0]))
    out.writeheader()
    out.writerows({**row, "y": gold[int(row["row"])]} for row in sheet)
"""


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.long
def test_pipeline_in_a_shell(folder: Path) -> None:
    data = pd.read_csv("posts.csv")
    truth = (data["x"] + np.random.default_rng(1).normal(size=200) > 0).astype(float)
    data.drop(columns=["y", "lab", "pi"]).to_csv("posts.csv", index=False)
    truth.rename("y").to_csv("gold.csv", index=False)
    (folder / "code.py").write_text(CODE)
    done = subprocess.run(
        ["sh", "-c", PIPELINE],
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "60 of 200 rows labelled", done.stderr
    assert lines[1].strip() == "Design-based supervised learning"
    assert lines[-1] == "exit code 2"
    assert done.stderr.startswith("dsl fit: error: there is no file 'absent.csv'")
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "absent.json").exists()
    design = dsl.sampling.LabelDesign.load("d.npz")
    expected = run(pd.read_csv("posts.csv").assign(y=truth.where(design.drawn)), design=design)
    np.testing.assert_allclose([row["estimate"] for row in read_json("fit.json")["tidy"]], expected.params, rtol=1e-12)


def test_a_forgotten_design_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv("posts.csv").drop(columns=["y", "lab", "pi"])
    data.to_csv("posts.csv", index=False)
    for method, option, remedy in (
        (["stratified", "--by", "g", "--allocation", "equal", "--n-labels", "60"], "--sample-prob", "sample_prob"),
        (["cluster", "--by", "cl", "--n-clusters", "8"], "--cluster", "sample_unit"),
    ):
        name = method[0]
        draw = ["sample", "posts.csv", "--method", *method, "--columns", "text", "--label", "y", "--codebook", "0", "1"]
        assert main([*draw, "--design", f"{name}.npz", "--coder", f"{name}.csv", "--out", "drawn.csv"]) == 0
        assert remedy in pd.read_csv("drawn.csv")
        sheet = pd.read_csv(f"{name}.csv")
        sheet.assign(y=(data["x"] > 0).astype(int)[sheet["row"]].to_numpy()).to_csv(f"{name}.csv", index=False)
        collect = ["collect", "posts.csv", "--design", f"{name}.npz", "--coder", f"{name}.csv", "--label", "y"]
        assert main([*collect, "--out", "labelled.csv"]) == 0
        capsys.readouterr()
        assert main(["fit", "labelled.csv", "y ~ x", *QUICK, "--json", "fit.json"]) == 0
        assert f"the data's column '{remedy}' records" in capsys.readouterr().err
        assert read_json("fit.json")["warnings"][0].startswith("UnusedDesignWarning")
        for more in ([option, remedy], ["--design", f"{name}.npz"]):
            assert main(["fit", "labelled.csv", "y ~ x", *QUICK, *more, "--json", "fit.json"]) == 0
            assert not read_json("fit.json")["warnings"]


def test_a_tool_of_coders_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Label Studio: tasks and configuration out, its export in; doccano and Prodigy have one text a line."""
    sample = [
        "sample",
        "posts.csv",
        "--n-labels",
        "40",
        "--columns",
        "text",
        "--label",
        "gold",
        "--design",
        "design.npz",
    ]
    tool = ["--format", "label_studio", "--codebook", "0=no", "1=yes"]
    assert main([*sample, "--coder", "tasks.json"]) == 2
    assert "pass --format, one of 'label_studio', 'argilla'" in capsys.readouterr().err
    assert main([*sample, *tool, "--coder", "tasks.json", "--out", "tasks.xml"]) == 2
    assert "'tasks.xml' is written beside --coder" in capsys.readouterr().err
    assert names(Path()) == {"posts.csv"}
    assert main([*sample, *tool, "--coder", "tasks.json"]) == 0
    assert names(Path()) == {"posts.csv", "tasks.json", "tasks.xml", "design.npz"}
    tasks = json.loads(Path("tasks.json").read_text())
    chosen = {"from_name": "gold", "type": "choices", "value": {"choices": ["yes"]}}
    export = [{**task, "annotations": [{"completed_by": 1, "result": [chosen]}]} for task in tasks]
    Path("export.json").write_text(json.dumps(export))
    collect = ["collect", "posts.csv", "--design", "design.npz", "--label", "gold", "--codebook", "0=no", "1=yes"]
    assert main([*collect, "--coder", "export.json", "--format", "label_studio", "--out", "out.csv"]) == 0
    assert read_exact("out.csv")["gold"].sum() == 40


def test_predictions_are_not_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    sample = [
        "sample",
        "posts.csv",
        "--n-labels",
        "40",
        "--columns",
        "text",
        "--columns",
        "llm",
        "--coder",
        "coder.csv",
    ]
    assert main(sample) == 2
    assert "columns names 'llm', which looks like a prediction" in (error := capsys.readouterr().err)
    assert "pass --show-predictions" in error
    assert main([*sample, "--show-predictions"]) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["0", "1"], [0, 1]),
        (["pos", "neg"], ["pos", "neg"]),
        (["0=no", "1=yes, it is"], {0: "no", 1: "yes, it is"}),
        (["a=first", "b=second"], {"a": "first", "b": "second"}),
        ([">=5", "<5"], [">=5", "<5"]),
        (["a=b", "c"], ["a=b", "c"]),
    ],
)
def test_codebooks(given: list[str], expected: Any) -> None:
    assert codebook_of(given) == expected


def test_codebook_of_a_file() -> None:
    Path("book.yaml").write_text("question: Is it positive?\nlabels:\n  0: no praise\n  1: praise\n", encoding="utf-8")
    book = codebook_of(["book.yaml"])
    assert dict(book.labels) == {0: "no praise", 1: "praise"}  # type: ignore[union-attr]
