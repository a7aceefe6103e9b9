"""`dsl diagnose`: the checks of the function."""

import pandas as pd
import pytest

from dsl.cli import main
from tests.command_line import QUICK, read_json
from tests.posts import run

pytestmark = pytest.mark.usefixtures("folder")


def test_checks_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["diagnose", "posts.csv", "y ~ x", *QUICK, "--by", "g,cl", "--json", "d.json", "--out-csv", "d.csv"]) == 0
    )
    data = pd.read_csv("posts.csv")
    expected = run(data).diagnostics(data, by=["g", "cl"])
    assert str(expected) in capsys.readouterr().out
    record = read_json("d.json")
    assert [row["finding"] for row in record["checks"]] == expected.checks["finding"].tolist()
    assert set(record["details"]) == set(expected.details)
    assert record["skipped"] == dict(expected.skipped)
    assert pd.read_csv("d.csv")["status"].tolist() == expected.checks["status"].tolist()
    assert record["call"]["by"] == ["g", "cl"]


def test_messages_name_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "posts.csv", "y ~ x", *QUICK, "--by", "parti"]) == 2
    assert "'parti'" in capsys.readouterr().err
