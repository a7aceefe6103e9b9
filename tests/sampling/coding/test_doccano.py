"""doccano: lines as its text classification projects take and export them, written by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling import LabelDesign, simple_random

TEXTS = ["good", "bad\nnews", "so so", "fine", "Ünï\u2028cödé", "last"]


def posts() -> pd.DataFrame:
    return pd.DataFrame({"body": TEXTS, "id": range(6), "label": "x"})


def sent(tmp_path: Path, **arguments: Any) -> tuple[LabelDesign, Path, list[Any]]:
    """A design, the file for doccano, and its lines."""
    design, path = simple_random(posts(), 4, seed=3), tmp_path / "coder.jsonl"
    call = {"columns": "body", "codebook": {0: "no", 1: "yes"}, "format": "doccano", **arguments}
    design.to_coder(path, posts(), **call)
    return design, path, [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def export(path: Path, lines: list[Any], label: Callable[[int], Any]) -> None:
    """What doccano writes: an identifier of its own before the text, what it knows as metadata, labels, comments."""
    out = []
    for j, line in enumerate(lines):
        rest = {name: value for name, value in line.items() if name not in ("text", "label")}
        out.append({"id": 90 + j, "text": line["text"], **rest, "label": label(j), "Comments": []})
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in out) + "\n\n", encoding="utf-8")


def test_what_is_sent(tmp_path: Path) -> None:
    design, _, lines = sent(tmp_path)
    assert [list(line) for line in lines] == [["text", "label", "dsl_id", "dsl_column"]] * 4
    assert {line["text"] for line in lines} == set(posts()["body"][design.drawn])
    assert all(line["label"] == [] for line in lines)
    assert json.loads((tmp_path / "coder.labels.json").read_text()) == [{"text": "no"}, {"text": "yes"}]


def test_round_trip(tmp_path: Path) -> None:
    """A column of the data that doccano uses the name of ("id", "label") is not mistaken for a text."""
    design, path, lines = sent(tmp_path)
    export(path, lines, lambda j: [["no", "yes"][j % 2]])
    coded = design.from_coder(path, posts(), codebook={0: "no", 1: "yes"}, format="doccano")["gold"].dropna()
    assert coded.to_dict() == {TEXTS.index(line["text"]): j % 2 for j, line in enumerate(lines)}


def test_two_coders_are_two_files(tmp_path: Path) -> None:
    design, path, lines = sent(tmp_path)
    export(path, lines, lambda j: ["yes"] if j < 3 else [])
    other = tmp_path / "bob.jsonl"
    export(other, lines, lambda j: ["yes"] if j > 0 else [])
    coded = design.from_coder([path, other], posts(), codebook={0: "no", 1: "yes"}, format="doccano")
    assert coded["gold"].dropna().tolist() == [1.0] * 4
    assert design.agreement([path, other], format="doccano")["n"].tolist() == [2]
    with pytest.raises(e.CoderFileError, match="still missing in 1 row"):
        design.from_coder(path, posts(), format="doccano")


def test_a_column_called_text_needs_no_note(tmp_path: Path) -> None:
    data = posts().rename(columns={"body": "text"})
    design, path = simple_random(data, 4, seed=3), tmp_path / "coder.jsonl"
    design.to_coder(path, data, columns="text", codebook=["a", "b"], format="doccano")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    export(path, [{k: v for k, v in line.items() if k != "dsl_column"} for line in lines], lambda j: ["a"])
    assert (design.from_coder(path, data, format="doccano")["gold"].dropna() == "a").all()


WRONG: dict[str, tuple[Callable[[list[Any]], Any], Callable[[int], Any], str]] = {
    "labels of several members": (
        lambda lines: lines,
        lambda j: ["yes", "no"] if j == 1 else ["yes"],
        r"'coder.jsonl', line 2, label: 2 labels \('yes', 'no'\) where one is expected; allow a single label",
    ),
    "spans": (
        lambda lines: lines,
        lambda j: [[0, 3, "X"]],
        r"line 1, label: a label must be text or a number; found \[0, 3",
    ),
    "one text": (lambda lines: lines, lambda j: "yes", "line 1: field 'label' must be a list; found \"yes\""),
    "edited": (lambda lines: lines[0].update(text="else") or lines, lambda j: ["yes"], "other texts than were sent"),
    "lost id": (lambda lines: lines[1].pop("dsl_id") and lines, lambda j: ["yes"], "has 1 line .*2.* without a key"),
    "twice": (lambda lines: [*lines, lines[0]], lambda j: ["yes"], "rows more than once.*one line of each"),
    "unknown": (lambda lines: lines, lambda j: ["maybe"], "4 labels are not in the codebook: 'maybe'"),
    "two columns": (lambda lines: lines[0].update(dsl_column="z") or lines, lambda j: ["yes"], "'dsl_column' differs"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_must_not_go_unnoticed(tmp_path: Path, case: str) -> None:
    design, path, lines = sent(tmp_path)
    change, label, message = WRONG[case]
    export(path, change(lines), label)
    with pytest.raises(e.CoderFileError, match=message):
        design.from_coder(path, posts(), codebook={0: "no", 1: "yes"}, format="doccano")


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(e.ArgumentError, match=r"doccano shows one text, and columns names 2 \(body, id\)"):
        sent(tmp_path, columns=["body", "id"])
    with pytest.raises(e.ArgumentError, match="doccano needs the labels"):
        sent(tmp_path, codebook=None)
    design, data = simple_random(posts(), 6, seed=1), posts().assign(body="")
    with pytest.raises(e.ArgumentError, match="'body' has empty texts, which doccano does not import"):
        design.to_coder(tmp_path / "a.jsonl", data, columns="body", codebook=[0, 1], format="doccano")
    assert not list(tmp_path.iterdir())
