"""Messages on the command line: its own words, and no Python code."""

import re

import numpy as np
import pandas as pd
import pytest

from dsl.cli import main
from dsl.cli.command import parser
from dsl.cli.words import in_words_of
from tests.command_line import QUICK, read_json
from tests.posts import posts

pytestmark = pytest.mark.usefixtures("folder")
OPTIONS = {
    "sample_prob": "--sample-prob",
    "predicted_var": "--predicted",
    "cross_fit": "--folds",
    "cluster": "--cluster",
    "index": "--index",
    "tune": "--tune",
    "labeled": "--labeled",
}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("pass cluster='doc' or index=['a', 'b']", "pass --cluster doc or --index a, b"),
        ("predicted_var={'y': 'its_prediction'} says", "--predicted y=its_prediction says"),
        ("cross_fit=5 folds; cross_fit is 5", "--folds 5 folds; --folds is 5"),
        ("sample_prob= holds them", "--sample-prob holds them"),
        ("the column 'sample_prob' of a file", "the column 'sample_prob' of a file"),
        ("column 'x' (labeled), the cluster of an index", "column 'x' (--labeled), the cluster of an index"),
        ("my_index=3 and tuned=4", "my_index=3 and tuned=4"),
        ("keep one, e.g. data.loc[:, ~data.columns.duplicated()]", "keep one in the file"),
        ("Convert it: data['x'] = pd.to_numeric(data['x'], errors='coerce'), which", "Convert it in the file, which"),
        ("its own, e.g. data.reset_index(drop=True)", "its own in the file"),
        ("the data. Data are data", "the data. Data are data"),
    ],
)
def test_translation(message: str, words: str) -> None:
    assert in_words_of(OPTIONS, message) == words


def test_what_the_user_wrote_is_quoted_as_it_is() -> None:
    formula = "y ~ x + I(data.to_csv('f')) + seed"
    message = f"formula '{formula}' calls 'data'; keep one, e.g. data.loc[:, 0]"
    assert in_words_of(OPTIONS, message, formula) == f"formula '{formula}' calls 'data'; keep one in the file"


def table() -> pd.DataFrame:
    """Posts with columns that are wrong in one way each."""
    data = posts()
    return data.assign(
        L=np.where(data["lab"] == 1, "labeled", "unlabeled"),
        w=1 / data["pi"],
        holes=data["llm"].where(data.index > 3),
        side=np.where(data["x"] > 0, "left", "right"),
        text=data["x"].round(3).astype(str).where(data.index > 4, "12,5"),
    )


WRONG = [
    ("y ~ x", ["--prediction", "holes"], "leave the rows out yourself in the file, if"),
    (
        "y ~ x",
        ["--prediction", "llm", "--labeled", "L"],
        r"\(--labeled\).*in the file \('unlabeled': 0, 'labeled': 1\)",
    ),
    ("y ~ x", ["--prediction", "llm", "--sample-prob", "w"], "pass 1 / w"),
    ("side ~ y", ["--prediction", "llm", "--model", "logit"], "recode it in the file, keeping"),
    ("y ~ text", ["--prediction", "llm"], r"Convert it in the file.*factor\(text\)"),
    ("y ~ x", ["--prediction", "llm", "--folds", "1"], "--folds must be a whole number of at least 2"),
    ("y ~ x", ["--prediction", "llm", "--seed", "-1"], "--seed must be"),
    ("y ~ x | g", ["--prediction", "llm"], "which --model lm does not have; use --model felm"),
    ("y ~ x", ["--prediction", "llm", "--vcov", "CR1"], "pass --cluster column"),
    ("y ~ x", ["--prediction", "llm", "--estimator", "ppi", "--sample-prob", "pi"], "use --estimator cdi"),
    ("y ~ x", ["--prediction", "llm", "--alpha", "2"], "alpha must lie between 0 and 1"),
]


@pytest.mark.parametrize(("formula", "more", "words"), WRONG)
def test_errors_speak_of_options(formula: str, more: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    table().to_csv("wrong.csv", index=False)
    assert main(["fit", "wrong.csv", formula, "--predicted", "y", "--sl-method", "lm", "--splits", "1", *more]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said), said
    # no argument of Python's, and no Python
    assert not re.search(r"\bdata[.\[]|\bpd\.|\w+_\w+=|model=|cluster=", said), said


def test_warnings_are_translated_in_the_record_too(capsys: pytest.CaptureFixture[str]) -> None:
    table().iloc[:60].to_csv("few.csv", index=False)
    assert main(["fit", "few.csv", "y ~ x", *QUICK, "--json", "fit.json"]) == 0
    said = capsys.readouterr().err
    assert [line.partition(": ")[2] for line in read_json("fit.json")["warnings"]] == [
        line.removeprefix("dsl: warning: ") for line in said.splitlines() if line.startswith("dsl: warning: ")
    ]


def test_every_command_has_its_words() -> None:
    for command in ("fit", "compare", "power"):
        options = parser().parse_args([command, "d.csv", "y ~ x", "--predicted", "y"])
        assert options.words["cross_fit"] == "--folds"
        assert options.words["predicted_var"] == "--predicted"


def test_logs_are_gone_on_with_by_the_same_command() -> None:
    options = {"recompute": "--recompute", "log": "--log"}
    said = "If you trust the file: AdaptiveDesign.resume(log, data, recompute=False)"
    assert in_words_of(options, said) == "If you trust the file: --no-recompute"
    assert in_words_of(options, "Let one process work; go on with AdaptiveDesign.resume") == (
        "Let one process work; run the command again"
    )
