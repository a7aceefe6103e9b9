"""What a trail holds survives storage, and what is no trail is refused."""

import json
from pathlib import Path

import pytest

from dsl.data.trail import Trail, load_trails, public_address, record_of, save_trails, trails_of
from dsl.exceptions import ArgumentError, TrailError

FULL = Trail(
    name="llm",
    model="gpt-4o-mini",
    server="https://api.openai.com/v1",
    versions={"gpt-4o-mini-2024-07-18": 3, "gpt-4o-mini-2025-01-01": 1},
    first="2026-01-02T03:04:05+00:00",
    last="2026-01-02T04:04:05+00:00",
    codebook={"question": "Is it?", "labels": {"yes": "it is", "no": ""}, "examples": [["é", "yes"]]},
    prompts=([{"role": "user", "content": "Is it? {text}"}], "a text"),
    parameters={"temperature": 0},
    confidence="logprobs",
    texts=5,
    distinct=4,
    missing={"refusal": 1},
    mass=0.97,
    censored=0.0,
    answers=4,
    prompt_tokens=100,
    completion_tokens=4,
    cost=0.01,
    package="1.0",
)
SHORT = Trail(name="other", model="m", versions={}, texts=0, distinct=0, answers=0)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    FULL.save(path)
    assert Trail.load(path) == FULL
    save_trails(path, [FULL, SHORT])
    assert load_trails(path) == (FULL, SHORT)
    assert Trail.load(path, name="other") == SHORT
    for name in (None, "third"):
        with pytest.raises(TrailError, match="has 2 trails: 'llm', 'other'; name one"):
            Trail.load(path, name=name)


def test_whatever_a_caller_has(tmp_path: Path) -> None:
    FULL.save(tmp_path / "t.json")
    record = json.loads(json.dumps(record_of([FULL])))
    for given in (FULL, [FULL], (FULL,), tmp_path / "t.json", str(tmp_path / "t.json"), record):
        assert trails_of(given) == (FULL,)
    for wrong in (3, None, [], [FULL, 3]):
        with pytest.raises(ArgumentError, match="trail must be what"):
            trails_of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not what dsl.annotate writes"),
        ("{", "cannot be read as a trail"),
        ('{"made_by": "dsl.annotate", "format": 2, "trails": []}', "has format 2, and this version reads 1"),
        ('{"made_by": "dsl.annotate", "format": 1, "trails": [3]}', "found int where an object belongs"),
        ('{"made_by": "dsl.annotate", "format": 1, "trails": [{"name": "a"}]}', "it has no 'model'"),
    ],
)
def test_other_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TrailError, match=message):
        load_trails(path)


def test_wrong_entries() -> None:
    with pytest.raises(TrailError, match="unknown entry 'more'"):
        Trail.from_json({**FULL.to_json(), "more": 1})
    with pytest.raises(TrailError, match="'texts' is 'five'"):
        Trail.from_json({**FULL.to_json(), "texts": "five"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://sk-1:sk-2@host/v1", "https://host/v1"),
        ("http://localhost:8080/v1?key=sk-1", "http://localhost:8080/v1"),
        ("user:sk-1@host:1/v1", "//host:1/v1"),
        ("https://host/v1;key=sk-1#sk-2", "https://host/v1"),
        ("", ""),
    ],
)
def test_addresses_lose_credentials(url: str, shown: str) -> None:
    assert public_address(url) == shown
