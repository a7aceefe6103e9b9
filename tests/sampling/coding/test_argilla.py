"""Argilla: records as its Python client writes them, and as its server returns them, by hand after their reference."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling import LabelDesign, simple_random

ANN, BOB = "11111111-aaaa-4000-8000-000000000001", "22222222-bbbb-4000-8000-000000000002"


def posts() -> pd.DataFrame:
    return pd.DataFrame({"text": list("abcdef"), "title": list("uvwxyz"), "id": range(6)})


def sent(tmp_path: Path) -> tuple[LabelDesign, Path, list[Any]]:
    """A design, the file for Argilla, and its records."""
    design, path = simple_random(posts(), 4, seed=3), tmp_path / "coder.json"
    design.to_coder(path, posts(), columns=["text", "title"], codebook=["neg", "pos"], format="argilla")
    return design, path, json.loads(path.read_text(encoding="utf-8"))


Given = Callable[[int], list[tuple[str, Any, str]]]
"""User, value and status of each response to a record."""


def client(path: Path, records: list[Any], given: Given, question: str = "gold") -> None:
    """`Record.to_dict`, as `to_json` writes it (in versions that say a response's status)."""
    out = []
    for j, record in enumerate(records):
        responses = [{"value": value, "user_id": user, "status": status} for user, value, status in given(j)]
        suggested = {question: {"value": "pos", "score": 0.9, "agent": "gpt"}}
        own = {"metadata": {"x": 1}, "suggestions": suggested, "responses": {question: responses}, "vectors": {}}
        out.append({**record, **own, "_server_id": f"s{j}"})
    path.write_text(json.dumps(out), encoding="utf-8")


def server(path: Path, records: list[Any], given: Given, question: str = "gold") -> None:
    """The records of the server's own interface."""
    out = []
    for j, record in enumerate(records):
        responses = [
            {
                "id": "r",
                "values": {question: {"value": value}, "note": {"value": "-"}},
                "status": status,
                "user_id": user,
            }
            for user, value, status in given(j)
        ]
        own = {"external_id": record["id"], "id": f"s{j}", "status": "completed", "fields": record["fields"]}
        out.append({**own, "metadata": None, "responses": responses, "suggestions": [], "dataset_id": "d"})
    path.write_text(json.dumps(out), encoding="utf-8")


BOTH = pytest.mark.parametrize("export", [client, server])


def test_what_is_sent(tmp_path: Path) -> None:
    design, _, records = sent(tmp_path)
    assert [list(record) for record in records] == [["id", "fields"]] * 4
    assert {record["fields"]["title"] for record in records} == set(posts()["title"][design.drawn])


@BOTH
def test_round_trip(tmp_path: Path, export: Callable[..., None]) -> None:
    """Suggestions, which say "pos" throughout, are not read."""
    design, path, records = sent(tmp_path)
    export(path, records, lambda j: [(ANN, ["neg", "pos"][j % 2], "submitted")])
    coded = design.from_coder(path, posts(), codebook=["neg", "pos"], format="argilla")["gold"].dropna()
    rows = {"abcdef".index(record["fields"]["text"]): ["neg", "pos"][j % 2] for j, record in enumerate(records)}
    assert coded.to_dict() == rows


@BOTH
def test_coders_drafts_and_discarded(tmp_path: Path, export: Callable[..., None]) -> None:
    design, path, records = sent(tmp_path)
    export(path, records, lambda j: [(ANN, "pos", "submitted"), (BOB, "neg" if j else "pos", "submitted")])
    assert design.agreement([path], format="argilla")[["n", "agreement"]].to_numpy().tolist() == [[4, 0.25]]
    export(path, records, lambda j: [(ANN, "pos", "discarded" if j < 2 else "submitted"), (BOB, "neg", "draft")])
    with pytest.raises(e.CoderFileError, match=r"missing in 2 rows .*\(2 of them skipped"):
        design.from_coder(path, posts(), format="argilla")


@BOTH
def test_two_labels(tmp_path: Path, export: Callable[..., None]) -> None:
    design, path, records = sent(tmp_path)
    export(path, records, lambda j: [(ANN, ["pos", "neg"] if j == 3 else ["pos"], "submitted")])
    with pytest.raises(e.CoderFileError, match=r"record 4, .*: 2 labels \('pos', 'neg'\).*LabelQuestion"):
        design.from_coder(path, posts(), format="argilla")


@BOTH
def test_another_question(tmp_path: Path, export: Callable[..., None]) -> None:
    design, path, records = sent(tmp_path)
    export(path, records, lambda j: [(ANN, "pos", "submitted")], "mood")
    with pytest.raises(e.CoderFileError, match=r"no responses to 'gold', but to mood.*pass label="):
        design.from_coder(path, posts(), format="argilla")


@BOTH
def test_edited_lost_and_unanswered(tmp_path: Path, export: Callable[..., None]) -> None:
    design, path, records = sent(tmp_path)
    export(
        path,
        [{**records[0], "fields": {"text": "z", "title": "z"}}, *records[1:]],
        lambda j: [(ANN, "pos", "submitted")],
    )
    with pytest.raises(e.CoderFileError, match="other texts than were sent out"):
        design.from_coder(path, posts(), format="argilla")
    export(path, [{**records[0], "id": "another"}, *records[1:]], lambda j: [(ANN, "pos", "submitted")])
    with pytest.raises(e.CoderFileError, match=r"has 1 record .* without a key"):
        design.from_coder(path, posts(), format="argilla")
    export(path, records, lambda j: [(ANN, "pos", "submitted")] if j else [])
    with pytest.raises(e.CoderFileError, match="missing in 1 row"):
        design.from_coder(path, posts(), format="argilla")


def test_flat_records(tmp_path: Path) -> None:
    design, path, records = sent(tmp_path)
    path.write_text(json.dumps([{"id": record["id"], "text": "a", "gold.responses": ["pos"]} for record in records]))
    with pytest.raises(e.CoderFileError, match=r"record 1 has no field 'fields'; write the file with dataset.records"):
        design.from_coder(path, posts(), format="argilla")
