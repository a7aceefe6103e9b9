"""Label Studio: tasks and configuration as its guide describes them, exports written by hand after the guide."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.annotation import Codebook
from dsl.sampling import LabelDesign, simple_random

BOOK = {0: "negative", 1: "positive"}
LS = "label_studio"


def posts() -> pd.DataFrame:
    texts = ["good <b>", "bad & worse", "so\nso", "fine", "Ünïcödé", '"quoted"', "=1+1", "last"]
    return pd.DataFrame({"text": texts, "title": list("abcdefgh"), "llm": 0}, index=[f"00{j}" for j in range(8)])


def sent(tmp_path: Path, **arguments: Any) -> tuple[LabelDesign, Path, list[Any]]:
    """A design, the file for Label Studio, and its tasks."""
    design, path = simple_random(posts(), 5, seed=1), tmp_path / "coder.json"
    call = {"columns": ["text", "title"], "codebook": BOOK, "format": LS, **arguments}
    design.to_coder(path, posts(), **call)
    return design, path, json.loads(path.read_text(encoding="utf-8"))


def annotation(chosen: list[str], *, by: Any = 1, name: str = "gold", **more: Any) -> dict[str, Any]:
    """An annotation as the guide shows one, of the tag Choices."""
    result = {
        "value": {"choices": chosen},
        "id": "Dx_aB91ISN",
        "from_name": name,
        "to_name": "text",
        "type": "choices",
        "origin": "manual",
    }
    return {
        "id": 1001,
        "completed_by": by,
        "result": [result] if chosen else [],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2021-03-09T22:16:08.728353Z",
        "updated_at": "2021-03-09T22:16:08.728378Z",
        "draft_created_at": None,
        "lead_time": 4.288,
        "result_count": 1,
        "unique_id": "a-b",
        "task": 1,
        **more,
    }


def export(path: Path, tasks: list[Any], answers: Callable[[int], list[Any]], order: int = -1) -> Path:
    """What Label Studio writes of the tasks: identifiers of its own, other fields, another order, predictions."""
    out = []
    for j, task in enumerate(tasks):
        wrong = {"model_version": "m1", "score": 0.9, "result": annotation(["1"])["result"], "created_ago": "3 hours"}
        fields = {"id": 500 + j, "project": 83, "created_at": "2021-03-09T21:52:49Z", "inner_id": j, "comment_count": 0}
        own = {"annotations": answers(j), "drafts": [annotation(["1"])], "predictions": [wrong], "meta": {}}
        out.append({**fields, "data": {**task["data"], "source": {"url": "x"}}, **own})
    path.write_text(json.dumps(out[::order]), encoding="utf-8")
    return path


def test_tasks_hold_texts_and_key_alone(tmp_path: Path) -> None:
    design, _, tasks = sent(tmp_path)
    assert [set(task) for task in tasks] == [{"data"}] * 5
    assert {frozenset(task["data"]) for task in tasks} == {frozenset({"text", "title", "dsl_id"})}
    shown = {task["data"]["text"] for task in tasks}
    assert shown == set(posts().loc[design.drawn_rows, "text"])


def test_configuration(tmp_path: Path) -> None:
    sent(tmp_path, columns=["text"], codebook={0: 'no "way" <', 1: "yes & no", "x": "unclear"})
    view = ElementTree.fromstring((tmp_path / "coder.xml").read_text(encoding="utf-8"))
    assert view.tag == "View"
    (shown,), (choices,) = view.findall("Text"), view.findall("Choices")
    assert shown.get("value") == "$text"
    assert (shown.get("name"), choices.get("toName"), choices.get("name")) == ("text", "text", "gold")
    assert (choices.get("choice"), choices.get("required")) == ("single", "true")
    assert [dict(each.attrib) for each in choices] == [
        {"value": 'no "way" <', "alias": "0"},
        {"value": "yes & no", "alias": "1"},
        {"value": "x", "hint": "unclear"},
    ]


def test_a_codebook_for_models_asks_coders_too(tmp_path: Path) -> None:
    book = Codebook("Is it praise?", {"yes": "It praises something.", "no": ""})
    design, path, tasks = sent(tmp_path, columns=["text"], codebook=book)
    view = ElementTree.fromstring((tmp_path / "coder.xml").read_text(encoding="utf-8"))
    assert [each.get("value") for each in view.findall("Header")] == ["Is it praise?"]
    assert [dict(each.attrib) for each in view.iter("Choice")] == [
        {"value": "yes", "hint": "It praises something."},
        {"value": "no"},
    ]
    export(path, tasks, lambda j: [annotation(["yes"])])
    assert (design.from_coder(path, posts(), codebook=book, format=LS)["gold"].dropna() == "yes").all()


@pytest.mark.parametrize("given", [["0", "1"], ["negative", "positive"]])
def test_round_trip(tmp_path: Path, given: list[str]) -> None:
    """By alias or by what was shown. Predictions and drafts, which say 1 throughout, are not read."""
    design, path, tasks = sent(tmp_path)
    export(path, tasks, lambda j: [annotation([given[j % 2]])])
    coded = design.from_coder(path, posts(), codebook=BOOK, format=LS)
    rows = {posts().index[posts()["text"] == task["data"]["text"]][0]: j % 2 for j, task in enumerate(tasks)}
    assert coded["gold"].dropna().to_dict() == {row: float(code) for row, code in rows.items()}
    assert coded["sample_prob"].tolist() == [5 / 8] * 8


def test_several_coders_in_one_file(tmp_path: Path) -> None:
    design, path, tasks = sent(tmp_path)
    people = ({"id": 3, "email": "ann@x.org"}, 7, {"id": 9})
    export(path, tasks, lambda j: [annotation([str(int(j < 2 + k))], by=who) for k, who in enumerate(people)])
    coded = design.from_coder(path, posts(), codebook=BOOK, format=LS)["gold"].dropna()
    order = [posts().index[posts()["text"] == task["data"]["text"]][0] for task in tasks]
    assert coded[order].tolist() == [1, 1, 1, 0, 0]
    report = design.agreement([path], codebook=BOOK, format=LS)
    assert report["first"].tolist() == ["coder.json (coder ann@x.org)"] * 2 + ["coder.json (coder 7)", "(all)"]
    np.testing.assert_allclose(report["agreement"], [0.8, 0.6, 0.8, 2.2 / 3])


def test_coders_whose_names_were_removed_are_told_apart(tmp_path: Path) -> None:
    design, path, tasks = sent(tmp_path)
    export(path, tasks, lambda j: [annotation(["1"], by=None), annotation(["1"], by=None)])
    assert len(design.agreement([path], format=LS)) == 1


def test_skipped_by_one_and_labelled_by_another(tmp_path: Path) -> None:
    design, path, tasks = sent(tmp_path)
    skip = annotation(["1"], by=1, was_cancelled=True)
    export(path, tasks, lambda j: [skip, annotation(["0"], by=2)])
    assert design.from_coder(path, posts(), codebook=BOOK, format=LS)["gold"].dropna().tolist() == [0.0] * 5
    export(path, tasks, lambda j: [skip if j < 2 else annotation(["0"], by=1)])
    with pytest.raises(e.CoderFileError, match=r"missing in 2 rows .* of 5 drawn \(2 of them skipped by a coder\)"):
        design.from_coder(path, posts(), codebook=BOOK, format=LS)


def test_tasks_without_answers(tmp_path: Path) -> None:
    design, path, tasks = sent(tmp_path)
    with pytest.raises(e.CoderFileError, match="no label at all"):
        design.from_coder(path, posts(), format=LS)
    export(path, tasks, lambda j: [annotation(["1"])] if j else [])
    with pytest.raises(e.CoderFileError, match="missing in 1 row"):
        design.from_coder(path, posts(), format=LS)
    # by default the export has annotated tasks only
    path.write_text(json.dumps(json.loads(path.read_text())[:-1]))
    with pytest.raises(e.CoderFileError, match="missing in 1 row"):
        design.from_coder(path, posts(), format=LS)


def changed(tasks: list[Any], **data: Any) -> list[Any]:
    """The tasks with fields of the third changed, or taken out (None)."""
    new = {name: value for name, value in {**tasks[2]["data"], **data}.items() if value is not None}
    return [*tasks[:2], {"data": new}, *tasks[3:]]


WRONG: dict[str, tuple[Callable[[list[Any]], list[Any]], Callable[[int], list[Any]], str]] = {
    "two labels": (
        lambda tasks: tasks,
        lambda j: [annotation(["0", "1"] if j == 2 else ["1"])],
        r"'coder.json', task 3, annotations\[0\]: 2 labels \('0', '1'\) where one is expected; set choice=\"single\"",
    ),
    "edited": (
        lambda tasks: changed(tasks, text="something else"),
        lambda j: [annotation(["1"])],
        r"\(coder 1\) has other texts than were sent out in 1 row .* is 'something else'",
    ),
    "lost id": (
        lambda tasks: changed(tasks, dsl_id=None),
        lambda j: [annotation(["1"])],
        "has 1 task .* without a key",
    ),
    "id is a number": (
        lambda tasks: changed(tasks, dsl_id=12),
        lambda j: [annotation(["1"])],
        "task 3, data: field 'dsl_id' must be text; found 12",
    ),
    "lost texts": (
        lambda tasks: [{"data": {"dsl_id": task["data"]["dsl_id"]}} for task in tasks],
        lambda j: [annotation(["1"])],
        "has none of the texts that were shown",
    ),
    "foreign": (
        lambda tasks: [*tasks, {"data": {"text": "from elsewhere"}}],
        lambda j: [annotation(["1"])],
        r"has 1 task .* without a key of to_coder's",
    ),
    "imported twice": (
        lambda tasks: [*tasks, tasks[0]],
        lambda j: [annotation(["1"])],
        "has rows more than once.*one answer of each coder",
    ),
    "outside the codebook": (
        lambda tasks: tasks,
        lambda j: [annotation(["2" if j == 1 else "1"])],
        r"1 labels are not in the codebook: '2'",
    ),
    "another name": (
        lambda tasks: tasks,
        lambda j: [annotation(["1"], name="sentiment")],
        "no answers to 'gold', but 5 to 'sentiment'; pass label='sentiment'",
    ),
    "another tag": (
        lambda tasks: tasks,
        lambda j: [annotation([], result=[{"from_name": "gold", "type": "rating", "value": {"rating": 3}}])],
        r"annotations\[0\], result\[0\]: 'gold' is answered by rating, not by choices",
    ),
    "choices of another kind": (
        lambda tasks: tasks,
        lambda j: [annotation([[1]])],  # type: ignore[list-item]
        r"a label must be text or a number; found \[1\]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_must_not_go_unnoticed(tmp_path: Path, case: str) -> None:
    design, path, tasks = sent(tmp_path)
    change, answers, message = WRONG[case]
    export(path, change(tasks), answers, order=1)
    with pytest.raises(e.CoderFileError, match=message):
        design.from_coder(path, posts(), codebook=BOOK, format=LS)


def test_another_export(tmp_path: Path) -> None:
    design, path, tasks = sent(tmp_path)
    path.write_text(json.dumps([{**task["data"], "gold": "positive", "annotator": 1} for task in tasks]))
    with pytest.raises(e.CoderFileError, match=r"task 1 has no field 'data'; export as JSON \(not JSON-MIN or CSV\)"):
        design.from_coder(path, posts(), format=LS)


def test_names_that_a_configuration_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(e.ArgumentError, match=r"cannot show a field named 'the text'.*rename"):
        simple_random(posts(), 5, seed=1).to_coder(
            tmp_path / "a.json",
            posts().rename(columns={"text": "the text"}),
            columns="the text",
            codebook=BOOK,
            format=LS,
        )
    with pytest.raises(e.ArgumentError, match="Label Studio needs the labels that may be given: pass codebook="):
        simple_random(posts(), 5, seed=1).to_coder(tmp_path / "a.json", posts(), columns="text", format=LS)
    assert not list(tmp_path.iterdir())


def test_no_file_is_replaced(tmp_path: Path) -> None:
    design, path, _ = sent(tmp_path)
    path.unlink()
    with pytest.raises(e.CoderFileError, match=r"coder.xml' is there already"):
        design.to_coder(path, posts(), columns="text", codebook=BOOK, format=LS)
    assert not path.exists()
