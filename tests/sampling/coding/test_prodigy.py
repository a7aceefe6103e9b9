"""Prodigy: lines for its choice interface, and answers as db-out writes them, by hand after its documentation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling import LabelDesign, simple_random

TEXTS = ["good", "bad\nnews", "so so", "fine", "", "last"]


def posts() -> pd.DataFrame:
    return pd.DataFrame({"body": TEXTS, "answer": "x", "id": "y"})


def sent(tmp_path: Path, **arguments: Any) -> tuple[LabelDesign, Path, list[Any]]:
    """A design, the file for Prodigy, and its lines."""
    design, path = simple_random(posts(), 4, seed=3), tmp_path / "coder.jsonl"
    call = {"columns": "body", "codebook": {0: "no", 1: "yes"}, "format": "prodigy", **arguments}
    design.to_coder(path, posts(), **call)
    return design, path, [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def answered(line: Any, accept: list[Any], answer: str = "accept", who: str | None = "ann") -> dict[str, Any]:
    """A line as Prodigy saves it."""
    names = {} if who is None else {"_session_id": f"gold-{who}", "_annotator_id": f"gold-{who}"}
    hashes = {"_input_hash": -1530009927, "_task_hash": -340967702, "_is_binary": False, "_view_id": "choice"}
    config = {"config": {"choice_style": "single"}, "_timestamp": 1700000000}
    return {**line, **hashes, "accept": accept, "answer": answer, **config, **names}


def save(path: Path, lines: list[Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_what_is_sent(tmp_path: Path) -> None:
    _, _, lines = sent(tmp_path)
    assert [list(line) for line in lines] == [["text", "options", "dsl_id", "dsl_column"]] * 4
    assert lines[0]["options"] == [{"id": "0", "text": "no"}, {"id": "1", "text": "yes"}]
    (tmp_path / "coder.jsonl").unlink()
    _, _, lines = sent(tmp_path, codebook={"pos": "praises it", "neg": "blames it"})
    assert lines[0]["options"][0] == {"id": "pos", "text": "pos: praises it"}


@pytest.mark.parametrize("kind", [str, int])
def test_round_trip(tmp_path: Path, kind: type) -> None:
    design, path, lines = sent(tmp_path)
    save(path, [answered(line, [kind(j % 2)]) for j, line in enumerate(lines)])
    coded = design.from_coder(path, posts(), codebook=[0, 1], format="prodigy")["gold"].dropna()
    assert coded.to_dict() == {TEXTS.index(line["text"]): j % 2 for j, line in enumerate(lines)}


def test_sessions_are_coders(tmp_path: Path) -> None:
    design, path, lines = sent(tmp_path)
    ann = [answered(line, ["1"], who="ann") for line in lines]
    bob = [answered(line, ["1" if j else "0"], who="bob") for j, line in enumerate(lines)]
    save(path, [*ann, *bob])
    report = design.agreement([path], codebook=[0, 1], format="prodigy")
    assert report[["n", "agreement"]].to_numpy().tolist() == [[4, 0.75]]
    with pytest.raises(e.CoderFileError, match="disagree without a majority in 1 row"):
        design.from_coder(path, posts(), format="prodigy")
    assert design.from_coder(path, posts(), format="prodigy", ties="first")["gold"].sum() == 4
    save(path, [answered(line, ["1"], who=None) for line in lines])
    assert design.from_coder(path, posts(), format="prodigy")["gold"].sum() == 4


@pytest.mark.parametrize("answer", ["ignore", "reject"])
def test_passed_over(tmp_path: Path, answer: str) -> None:
    """An option may be marked all the same."""
    design, path, lines = sent(tmp_path)
    some = [answered(line, ["1"], answer if j == 2 else "accept") for j, line in enumerate(lines)]
    save(path, some)
    with pytest.raises(e.CoderFileError, match=r"missing in 1 row .*\(1 of them skipped"):
        design.from_coder(path, posts(), format="prodigy")
    save(path, [*some, answered(lines[2], ["0"], who="bob")])
    assert design.from_coder(path, posts(), format="prodigy")["gold"].sum() == 3


WRONG: dict[str, tuple[Callable[[list[Any]], list[Any]], str]] = {
    "two options": (
        lambda lines: [answered(line, ["0", "1"]) for line in lines],
        r"line 1, accept: 2 labels \('0', '1'\) where one is expected; set \"choice_style\": \"single\"",
    ),
    "twice by one": (
        lambda lines: [answered(line, ["0"]) for line in [*lines, lines[0]]],
        r"\(coder gold-ann\) has rows more than once",
    ),
    "edited": (lambda lines: [answered({**line, "text": "z"}, ["0"]) for line in lines], "other texts than were sent"),
    "lost id": (
        lambda lines: [answered({**line, "dsl_id": None}, ["0"]) for line in lines],
        "has 4 lines .* without a",
    ),
    "another interface": (
        lambda lines: [{**answered(line, []), "label": "POS", "accept": None} for line in lines],
        "no label at all",
    ),
    "unknown answer": (
        lambda lines: [answered(line, ["0"], "skip") for line in lines],
        "must be accept, reject or ignore",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_must_not_go_unnoticed(tmp_path: Path, case: str) -> None:
    design, path, lines = sent(tmp_path)
    change, message = WRONG[case]
    save(path, change(lines))
    with pytest.raises(e.CoderFileError, match=message):
        design.from_coder(path, posts(), codebook=[0, 1], format="prodigy")


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(e.ArgumentError, match="Prodigy shows one text"):
        sent(tmp_path, columns=["body", "id"])
    with pytest.raises(e.ArgumentError, match="Prodigy needs the labels"):
        sent(tmp_path, codebook=None)
