"""Requests have keys that say what is asked, and answers survive storage."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl._typing import JSON
from dsl.annotation.exchange import Answer, Request, Token, canonical
from dsl.exceptions import ArgumentError, DataError

PIXEL = base64.b64encode(b"\x89PNG pixel").decode()


def chat(url: str) -> Request:
    part: JSON = {"type": "image_url", "image_url": {"url": url}}
    return Request(model="m", messages=({"role": "user", "content": [part]},), parameters={"temperature": 0})


def test_key_is_the_hash_of_the_canonical_text() -> None:
    """By hand: SHA-256 of the text that stands here."""
    import hashlib

    text = (
        '{"messages":null,"model":"m","parameters":{"max_tokens":3,"temperature":0},"prompt":"Is it?",'
        '"repeat":0,"words":["no","yes"]}'
    )
    asked = Request(model="m", prompt="Is it?", parameters={"temperature": 0.0, "max_tokens": 3}, words=("no", "yes"))
    assert asked.key() == hashlib.sha256(text.encode()).hexdigest()


def test_every_part_of_a_request_is_in_its_key() -> None:
    others = [
        Request(model="n", prompt="p"),
        Request(model="m", prompt="q"),
        Request(model="m", messages=({"role": "user", "content": "p"},)),
        Request(model="m", prompt="p", parameters={"temperature": 1}),
        Request(model="m", prompt="p", words=("a",)),
        Request(model="m", prompt="p", repeat=1),
    ]
    keys = {each.key() for each in others} | {Request(model="m", prompt="p").key()}
    assert len(keys) == 7


def test_images_count_by_their_bytes() -> None:
    url = f"data:image/png;base64,{PIXEL}"
    assert chat(url).key() == chat(url).key()
    assert PIXEL not in canonical(url)
    assert chat(url).key() != chat(f"data:image/png;base64,{base64.b64encode(b'other').decode()}").key()
    # a text that only looks like one is text
    assert canonical("data: five") == '"data: five"'
    assert canonical("data:x;base64,???") == '"data:x;base64,???"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_cannot_hold(value: JSON) -> None:
    with pytest.raises(ArgumentError, match="cannot be sent as JSON"):
        Request(model="m", prompt="p", parameters={"x": value}).key()


def test_one_of_chat_and_completion() -> None:
    with pytest.raises(ArgumentError, match="either messages"):
        Request(model="m")
    with pytest.raises(ArgumentError, match="either messages"):
        Request(model="m", prompt="p", messages=())


LOGPROBS = st.floats(-50, 0).map(lambda value: round(value, 6))
WORDS = st.text(max_size=6)
TOKENS = st.builds(
    Token, WORDS, LOGPROBS, st.lists(st.tuples(WORDS, LOGPROBS), max_size=3).map(tuple), st.none() | LOGPROBS
)
ANSWERS = st.builds(
    Answer,
    text=WORDS,
    finish=st.sampled_from(["stop", "length", "refusal"]),
    tokens=st.lists(TOKENS, max_size=3).map(tuple),
    scores=st.none() | st.lists(st.tuples(WORDS, st.floats(0, 1)), max_size=3).map(tuple),
    model=WORDS,
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    at=WORDS,
)


@settings(max_examples=50, deadline=None)
@given(ANSWERS)
def test_answers_survive_a_line_of_json(answer: Answer) -> None:
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer


def test_bytes_that_are_no_text_survive() -> None:
    half = b"\xe5\x90".decode("utf-8", "surrogateescape")
    answer = Answer(text="", tokens=(Token(half, -1.0),))
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"text": 1, "finish": "stop", "model": "", "at": "", "usage": [0, 0]},
        {"text": "", "finish": "stop", "model": "", "at": "", "usage": [0]},
        {"text": "", "finish": "stop", "model": "", "at": "", "usage": [0, 0], "tokens": [["a"]]},
        {"text": "", "finish": "stop", "model": "", "at": "", "usage": [0, 0], "tokens": [["a", "b", [], None]]},
        {"text": "", "finish": "stop", "model": "", "at": "", "usage": [0, 0], "scores": [["a", float("nan")]]},
        {"text": "", "finish": "stop", "model": "", "at": "", "usage": [0, 0], "scores": 3},
    ],
)
def test_other_records_are_refused(record: object) -> None:
    with pytest.raises(DataError, match="stored answer cannot be read"):
        Answer.from_json(record)
