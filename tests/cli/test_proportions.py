"""`dsl proportions`: the numbers of the function."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli import main
from tests.command_line import read_exact, read_json

pytestmark = pytest.mark.usefixtures("folder")
SHARES = ["proportions", "posts.csv", "--gold", "y", "--prediction", "llm", "--sl-method", "lm", "--splits", "1"]


def test_numbers_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHARES, "--by", "g", "--json", "p.json", "--out-csv", "p.csv", "--plot", "p.svg"]) == 0
    data = pd.read_csv("posts.csv")
    with pytest.warns(dsl.exceptions.FewLabelsWarning):
        expected = dsl.proportions(data, gold="y", prediction="llm", by="g", sl_method="lm", sample_split=1)
    found = read_exact("p.csv")
    for name in ("share", "std_error", "conf_low", "conf_high"):
        np.testing.assert_array_equal(found[name], expected.table[name])
    record = read_json("p.json")
    np.testing.assert_array_equal(record["cov"], expected.vcov)
    assert record["n_labeled"] == 80
    assert repr(expected) in capsys.readouterr().out
    assert Path("p.svg").stat().st_size > 1000


def test_every_argument_has_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def record(data: Any, **arguments: Any) -> None:
        seen.update(arguments, data=data)
        raise dsl.exceptions.ArgumentError("enough")

    parameters = inspect.signature(dsl.proportions).parameters
    monkeypatch.setattr("dsl.analyses.proportions.proportions", record)
    assert main(["proportions", "posts.csv", "--gold", "y"]) == 2
    assert set(seen) == set(parameters)
    del seen["data"], seen["gold"]
    assert seen == {name: parameters[name].default for name in seen}


def test_messages_name_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHARES, "--by", "words"]) == 2
    assert "--empty blank" in capsys.readouterr().err
