"""JSON from elsewhere: whatever it holds, an error with place and field, or labels."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl import exceptions as e
from dsl.sampling import simple_random
from dsl.sampling.coding import records

TOOLS = {"label_studio": "a.json", "argilla": "a.json", "doccano": "a.jsonl", "prodigy": "a.jsonl"}
DATA = pd.DataFrame({"text": list("abcd")})
DESIGN = simple_random(DATA, 3, seed=1)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty|is no JSON"),
        (b"\xff\xfe[", "is not UTF-8"),
        (b'{"text": "a', "is no JSON"),
        (b"[[1]]", "must be an object|must hold"),
        (b"[" * 100_000, "nested too deep|is no JSON"),
        (b'"text"', "must be an object|must hold a list of"),
        (b"[1, 2]", "must be an object"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, tool: str, content: bytes, message: str) -> None:
    path = tmp_path / TOOLS[tool]
    path.write_bytes(content)
    with pytest.raises(e.CoderFileError, match=message):
        DESIGN.from_coder(path, DATA, format=tool)


def test_no_file_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_BYTES", 2**20)
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b" " * 2**20 + b"]")
    with pytest.raises(e.CoderFileError, match="has 1 MiB, and 1 MiB is the most that is read"):
        DESIGN.from_coder(path, DATA, format="argilla")
    with pytest.raises(e.CoderFileError, match="there is no file"):
        DESIGN.from_coder(tmp_path / "b.json", DATA, format="argilla")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PATHS = {
    "label_studio": (
        ("data",),
        ("data", "dsl_id"),
        ("annotations",),
        ("annotations", 0),
        ("annotations", 0, "result"),
        ("annotations", 0, "was_cancelled"),
        ("annotations", 0, "completed_by"),
        ("annotations", 0, "result", 0),
        ("annotations", 0, "result", 0, "from_name"),
        ("annotations", 0, "result", 0, "value"),
        ("annotations", 0, "result", 0, "value", "choices"),
        ("annotations", 0, "result", 0, "value", "choices", 0),
    ),
    "argilla": (
        ("id",),
        ("fields",),
        ("responses",),
        ("responses", "gold"),
        ("responses", "gold", 0),
        ("external_id",),
    ),
    "doccano": (("text",), ("label",), ("label", 0), ("dsl_id",), ("dsl_column",)),
    "prodigy": (("text",), ("accept",), ("accept", 0), ("answer",), ("_annotator_id",), ("dsl_column",)),
}


def filled(tool: str, item: dict) -> dict:  # type: ignore[type-arg]
    """An item with its answer."""
    chosen = {"from_name": "gold", "type": "choices", "value": {"choices": ["1"]}}
    return {
        "label_studio": {**item, "annotations": [{"completed_by": 1, "was_cancelled": False, "result": [chosen]}]},
        "argilla": {**item, "responses": {"gold": [{"value": "1", "user_id": "u"}]}},
        "doccano": {**item, "label": ["1"]},
        "prodigy": {**item, "accept": ["1"], "answer": "accept", "_annotator_id": "d-a"},
    }[tool]


@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere(tmp_path_factory: pytest.TempPathFactory, tool: str, data: st.DataObject) -> None:
    """One value of one row replaced by anything: labels, or an error of ours, and nothing else."""
    path = tmp_path_factory.mktemp("any") / TOOLS[tool]
    DESIGN.to_coder(path, DATA, columns="text", codebook=[0, 1], format=tool)
    text = path.read_text(encoding="utf-8")
    items = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    items = [filled(tool, item) for item in items]
    inner, where = items[1], data.draw(st.sampled_from(PATHS[tool]))
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = data.draw(JSON)
    lines = [json.dumps(item) for item in items]
    path.write_text("[" + ",".join(lines) + "]" if path.suffix == ".json" else "\n".join(lines), encoding="utf-8")
    try:
        coded = DESIGN.from_coder(path, DATA, format=tool, codebook=[0, 1])
    except e.DSLError:
        return
    assert coded["gold"].dropna().isin([0, 1]).all()
    assert coded["gold"].notna().sum() == 3
