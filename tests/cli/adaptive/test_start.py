"""`dsl adaptive start`: what is checked before anything is written, and that all is written or nothing."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dsl.cli import main
from dsl.sampling.adaptive import AdaptiveDesign
from tests.cli.adaptive.study import BEGIN, write_posts
from tests.command_line import exactly, names


@pytest.fixture(autouse=True)
def raw(folder: Path) -> None:
    write_posts()


def test_the_design_is_that_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--coefficient", "x", "--se", "x=0.01", "--tau", "0.2", "--floor", "0.3", "--no-robust", "--cluster", "cl"]
    more += ["--feature", "z", "--codebook", "0=no", "1=yes", "--burn-in", "30", "--criterion", "mean", "--folds", "4"]
    assert main([*BEGIN, *more]) == 0
    assert "0 of 80 labels, 0 of 2 batches; batch 1 (30 rows) waits" in capsys.readouterr().out
    data = exactly("raw.csv")
    alone = AdaptiveDesign(
        "y ~ x",
        data,
        predicted_var="y",
        prediction="llm",
        confidence="words",
        feature="z",
        cluster="cl",
        n_labels=80,
        batches=2,
        burn_in=30,
        cross_fit=4,
        coefficient="x",
        criterion="mean",
        se={"x": 0.01},
        tau=0.2,
        floor=0.3,
        robust=False,
        codebook={0: "no", 1: "yes"},
        sl_method="lm",
        error_model="lm",
        seed=3,
    )
    again = AdaptiveDesign.resume("study.log", data)
    assert again.settings == alone.settings
    rows = pd.read_csv("one.csv")["row"]
    assert sorted(rows) == alone.next_batch().index.tolist() == again.next_batch().index.tolist()


def test_a_tool_gets_its_configuration() -> None:
    arguments = [*BEGIN[:-1], "one.json", "--format", "label_studio"]
    assert main(arguments) == 2  # without labels there is nothing to choose
    assert names(Path()) == {"posts.csv", "raw.csv"}
    assert main([*arguments, "--codebook", "0=no", "1=yes"]) == 0
    assert len(json.loads(Path("one.json").read_text())) == 40
    assert 'alias="1"' in Path("one.xml").read_text()


WRONG: dict[str, tuple[list[str], str]] = {
    "a prediction": (["--columns", "llm"], "columns names 'llm', by which the rows were drawn"),
    "no column": (["--columns", "body"], "body"),
    "a coefficient": (["--coefficient", "w"], "coefficient names 'w'"),
    "texts for labels": (["--codebook", "pos", "neg"], "must be a list of numbers"),
    "a log that is there": (["--log", "raw.csv"], "--log 'raw.csv' is also an input"),
    "a file that is there": (["--coder", "posts.csv"], "is there already"),
}


@pytest.mark.parametrize("case", WRONG)
def test_nothing_is_left_of_a_start_that_failed(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    more, message = WRONG[case]
    before = names(Path())
    assert main([*BEGIN, *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dsl adaptive start: error: ")
    assert message in error
    assert names(Path()) == before


def test_a_log_is_not_begun_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(BEGIN) == 0
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert main([*BEGIN, "--coder", "two.csv"]) == 2
    assert "--log 'study.log' is there already: go on with it ('dsl adaptive next')" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_a_formula_finds_no_functions_of_anybody(capsys: pytest.CaptureFixture[str]) -> None:
    arguments: list[Any] = [*BEGIN]
    arguments[3] = "y ~ write_posts(x)"
    assert main(arguments) == 2
    assert "write_posts" in capsys.readouterr().err


def test_predictions_are_shown_where_that_is_asked_for() -> None:
    assert main([*BEGIN, "--columns", "llm", "--show-predictions"]) == 0
    assert pd.read_csv("one.csv").columns.tolist() == ["row", "text", "llm", "y", "key"]
