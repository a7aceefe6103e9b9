"""`dsl multiverse`: the numbers of the function."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dsl.analyses.multiverse import multiverse
from dsl.cli import main
from tests.command_line import read_exact, read_json

pytestmark = pytest.mark.usefixtures("folder")
SETTINGS = ["--predicted", "y", "--sl-method", "lm", "--splits", "1"]
LABELS = ["--prediction", "llm", "--prediction", "p", "--threshold", "0.4", "--threshold", "0.6"]


def test_numbers_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv("posts.csv")
    data["p"] = np.round(0.3 + 0.4 * data["llm"] + 0.01 * (np.arange(len(data)) % 20), 2)
    data.to_csv("scores.csv", index=False)
    files = ["--json", "m.json", "--out-csv", "m.csv", "--summary", "m.txt"]
    assert main(["multiverse", "scores.csv", "y ~ x", *SETTINGS, *LABELS, *files]) == 0
    expected = multiverse(
        "y ~ x",
        pd.read_csv("scores.csv"),
        predicted_var="y",
        predictions={"llm": "llm", "p": "p"},
        thresholds=[0.4, 0.6],
        sl_method="lm",
        sample_split=1,
    )
    found = read_exact("m.csv").assign(sign_flip=lambda t: t["sign_flip"].astype(str) == "True")
    pd.testing.assert_frame_equal(found, expected.table, check_exact=True)
    record = read_json("m.json")
    assert record["agreement"][-1]["p_value"] == expected.joint.p_value
    assert record["sentences"] == expected.sentences
    assert str(expected.summary()) in capsys.readouterr().out
    assert "p >= 0.6" in Path("m.txt").read_text(encoding="utf-8")


def test_refused_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["multiverse", "posts.csv", "y ~ x", *SETTINGS, "--prediction", "llm"]) == 2
    assert "one set of labels" in capsys.readouterr().err
    assert main(["multiverse", "posts.csv", "y ~ x", "--predicted", "y=llm", "--prediction", "llm"]) == 2
    assert "pass --predicted y, and --prediction for each" in capsys.readouterr().err
