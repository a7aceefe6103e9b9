"""`dsl adaptive`, the whole way: files to coders and back, the same numbers as the functions give."""

import json
from pathlib import Path

import numpy as np
import pytest

from dsl.cli import main
from dsl.sampling import LabelDesign
from dsl.sampling.adaptive import AdaptiveDesign
from tests.cli.adaptive.study import BEGIN, dsl, fill, truth, write_posts
from tests.command_line import exactly, read_exact, read_json


@pytest.fixture(autouse=True)
def begun(folder: Path) -> None:
    write_posts()
    assert main([*BEGIN, "--codebook", "0", "1"]) == 0


def test_a_whole_study(capsys: pytest.CaptureFixture[str]) -> None:
    fill("one.csv")
    assert dsl("collect", "--coder", "one.csv") == 0
    assert dsl("next", "--columns", "text", "--coder", "two.csv") == 0
    capsys.readouterr()
    assert dsl("status", "--json", "status.json") == 0
    shown = capsys.readouterr().out
    assert "40 of 80 labels, 1 of 2 batches; batch 2 (40 rows) waits for its labels" in shown
    record = read_json("status.json")
    assert record["status"] == {
        **{"batch": 1, "n_labeled": 40, "n_labels": 80, "waiting": 40, "done": False, "stop_reason": None}
    }
    assert [batch["labeled"] for batch in record["batches"]] == [True, False]
    assert record["settings"]["codebook"] == {"y": [0.0, 1.0]}
    fill("two.csv")
    assert dsl("collect", "--coder", "two.csv", "--quiet") == 0
    assert dsl("estimate", "--splits", "1", "--json", "fit.json", "--out-csv", "fit.csv", "--out", "labelled.csv",
               "--save-design", "design.npz", "--table", "fit.md") == 0  # fmt: skip
    assert "80 of 80 labels, 2 of 2 batches; done (n_labels)" in capsys.readouterr().out

    data = exactly("raw.csv")
    call = {"predicted_var": "y", "prediction": "llm", "confidence": "words", "n_labels": 80, "batches": 2, "seed": 3}
    alone = AdaptiveDesign("y ~ x", data, **call, sl_method="lm", error_model="lm", codebook=[0, 1])
    alone.run(lambda batch: truth()[batch.index])
    np.testing.assert_array_equal(read_exact("fit.csv")["estimate"], alone.estimate(sample_split=1).params)
    assert (
        LabelDesign.load("design.npz").fingerprint
        == alone.design().fingerprint
        == read_json("fit.json")["design"]["fingerprint"]
    )
    # the labels and the design are all that other analyses of them need
    fit = [
        "fit",
        "labelled.csv",
        "y ~ x",
        "--predicted",
        "y",
        "--prediction",
        "llm",
        "--feature",
        "words",
        "--splits",
        "1",
    ]
    fit += ["--sl-method", "lm", "--tune", "coef", "--seed", "3", "--design", "design.npz", "--out-csv", "again.csv"]
    assert main(fit) == 0
    np.testing.assert_array_equal(read_exact("again.csv")["estimate"], read_exact("fit.csv")["estimate"])


def test_second_reading_wrong_batch_and_done(capsys: pytest.CaptureFixture[str]) -> None:
    fill("one.csv")
    assert dsl("collect", "--coder", "one.csv") == 0
    before = Path("study.log").read_bytes()
    assert dsl("collect", "--coder", "one.csv") == 0
    assert "these labels were recorded already; 40 of 80 labels" in capsys.readouterr().out
    assert dsl("next", "--columns", "text", "--coder", "two.csv") == 0
    assert dsl("collect", "--coder", "one.csv") == 2
    assert "'one.csv' is of batch 1, whose labels are recorded already" in capsys.readouterr().err
    assert Path("study.log").read_bytes()[: len(before)] == before
    fill("two.csv")
    assert dsl("collect", "--coder", "two.csv") == 0
    assert dsl("next", "--columns", "text", "--coder", "three.csv") == 2
    assert "the design is done: 80 of 80 labels" in capsys.readouterr().err


def test_a_batch_for_two_coders(capsys: pytest.CaptureFixture[str]) -> None:
    assert dsl("next", "--columns", "text", "--coder", "bob.csv", "--seed", "9") == 0
    first, second = fill("one.csv"), fill("bob.csv")
    assert sorted(first.index) == sorted(second.index)
    assert first.index.tolist() != second.index.tolist()
    row = first.index[0]
    second.assign(y=second["y"].where(second.index != row, 1 - second["y"].astype(int))).to_csv("bob.csv")
    assert dsl("collect", "--coder", "one.csv", "--coder", "bob.csv") == 2
    assert "disagree without a majority in 1 row" in capsys.readouterr().err
    assert dsl("collect", "--coder", "one.csv", "--coder", "bob.csv", "--ties", "first") == 0


def test_from_a_tool() -> None:
    assert dsl("next", "--columns", "text", "--coder", "one.jsonl", "--format", "prodigy") == 0
    lines = [json.loads(line) for line in Path("one.jsonl").read_text().splitlines()]
    answers = [{**line, "accept": [str(truth()[int(line["text"].split()[1])])], "answer": "accept"} for line in lines]
    Path("one.jsonl").write_text("\n".join(map(json.dumps, answers)))
    assert dsl("collect", "--coder", "one.jsonl", "--format", "prodigy") == 0
    assert dsl("status") == 0


def test_a_half_filled_sheet_records_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("study.log").read_bytes()
    sheet = fill("one.csv")
    sheet.assign(y=sheet["y"].where(sheet.index != sheet.index[0])).to_csv("one.csv")
    assert dsl("collect", "--coder", "one.csv") == 2
    assert "'y' is still missing in 1 row" in capsys.readouterr().err
    assert Path("study.log").read_bytes() == before


def test_other_data_and_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adaptive", "status", "posts.csv", "--log", "study.log"]) == 2
    assert "has gold labels" in capsys.readouterr().err
    assert main(["adaptive", "status", "raw.csv", "--log", "none.log"]) == 2
    assert "the log 'none.log' cannot be read" in capsys.readouterr().err


def test_files_of_several_variables(capsys: pytest.CaptureFixture[str]) -> None:
    start = [
        *BEGIN[:3],
        "y ~ x + v",
        *BEGIN[4:],
        "--predicted",
        "v",
        "--log",
        "both.log",
        "--coder",
        "y.csv",
        "--label",
        "y",
    ]
    assert main([*start, "--feature", "z"]) == 0
    both = ["adaptive", "next", "raw.csv", "--log", "both.log", "--columns", "text", "--coder", "v.csv", "--label", "v"]
    assert main(both) == 0
    fill("y.csv")
    fill("v.csv", "v")
    collect = ["adaptive", "collect", "raw.csv", "--log", "both.log"]
    assert main([*collect, "--coder", "y.csv", "--coder", "v.csv"]) == 2
    assert (
        "--coder y.csv: each predicted variable has files of its own; name it, as in --coder y=y.csv"
        in capsys.readouterr().err
    )
    assert main([*collect, "--coder", "y=y.csv", "--coder", "v=v.csv"]) == 0
