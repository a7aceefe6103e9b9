"""`dsl evaluate`: the numbers of the function, resumed where it stopped."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsl
from dsl.cli import main
from dsl.cli.read import Reading, read_table
from tests.archive import archive, quick
from tests.command_line import read_exact, read_json

pytestmark = pytest.mark.usefixtures("folder")
BASE = ["evaluate", "gold.csv", "y ~ x", "--predicted", "y", "--prediction", "llm", "--n-labels", "100"]
EVALUATE = [*BASE, "--replications", "4", "--sl-method", "lm", "--splits", "1"]


@pytest.fixture(autouse=True)
def gold(folder: Path) -> None:
    archive().reset_index(drop=True).to_csv("gold.csv", index=False)


def test_numbers_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", "e.json", "--out-csv", "e.csv", "--out", "all.csv", "--plot", "e.svg", "--term", "x"]
    assert main([*EVALUATE, *files, "--kind", "effective", "--checkpoint", "run.jsonl"]) == 0
    expected = quick(read_table("gold.csv", Reading()).data)
    summary = expected.summary()
    found = read_exact("e.csv")
    np.testing.assert_array_equal(found["rmse"], summary["rmse"])
    np.testing.assert_array_equal(found["coverage"], summary["coverage"])
    np.testing.assert_array_equal(read_exact("all.csv")["estimate"], expected.replications["estimate"])
    assert read_json("e.json")["truth"] == expected.truth.to_dict()
    assert repr(expected) in capsys.readouterr().out
    assert Path("e.svg").stat().st_size > 1000
    # four draws are there, and two more are made
    lines = len(Path("run.jsonl").read_text(encoding="utf-8").splitlines())
    assert main([*EVALUATE, "--checkpoint", "run.jsonl", "--replications", "6", "--quiet"]) == 0
    assert len(Path("run.jsonl").read_text(encoding="utf-8").splitlines()) == lines + 2


def test_every_argument_has_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def record(formula: str, data: Any, **arguments: Any) -> None:
        seen.update(arguments, formula=formula, data=data)
        raise dsl.exceptions.ArgumentError("enough")

    parameters = {n: p for n, p in inspect.signature(dsl.evaluate).parameters.items() if p.kind is not p.VAR_KEYWORD}
    monkeypatch.setattr("dsl.planning.evaluation.evaluate", record)
    assert main([*BASE, "--designs", "srs,adaptive", "--estimators", "naive", "dsl", "--checkpoint", "c.jsonl"]) == 2
    # truth is a number for each coefficient, which belongs to simulations
    assert set(parameters) - set(seen) == {"truth"}
    assert seen["designs"] == ["srs", "adaptive"]
    assert seen["estimators"] == ["naive", "dsl"]
    assert seen["n_labels"] == [100]
    for name in ("target", "alpha", "seed", "replications", "n_jobs", "progress"):
        assert seen[name] == parameters[name].default, name


def test_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for more, words in (
        (["--kind", "rmse"], "--kind is for the plot; name one"),
        (["--plot", "e.svg"], "which coefficient"),
        (["--designs", "simple"], "simple"),
    ):
        assert main([*EVALUATE, *more]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*EVALUATE, "--design", "d.npz"])
