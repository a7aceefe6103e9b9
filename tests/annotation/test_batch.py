"""Files of a batch service, against its documented form: out, answered by hand, in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.annotation import Codebook, Prompt, Trail, batch, read_batch, write_batch

BOOK = Codebook("Is it positive?", ["positive", "negative"])
DATA = pd.DataFrame({"body": ["good", "bad", "good", None]})
CALL: dict[str, Any] = {"text": "body", "codebook": BOOK, "model": "m"}


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def chat(text: str, logprob: float = -0.1) -> dict[str, Any]:
    """A reply's body, as OpenAI documents it."""
    other = "negative" if text == "positive" else "positive"
    top = [
        {"token": text, "logprob": logprob, "bytes": None},
        {"token": other, "logprob": -3.0, "bytes": None},
    ]
    return {
        "id": "chatcmpl-123",
        "object": "chat.completion",
        "created": 1_711_652_795,
        "model": "m-2024",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": {"content": [{"token": text, "logprob": logprob, "bytes": None, "top_logprobs": top}]},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 22, "completion_tokens": 2, "total_tokens": 24},
    }


def reply(key: str, body: object, status: int = 200) -> dict[str, Any]:
    """A line that comes back."""
    response = {"status_code": status, "request_id": "req_123", "body": body}
    return {"id": "batch_req_123", "custom_id": key, "response": response, "error": None}


def put(path: str, records: list[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")


def test_out_and_in() -> None:
    written = write_batch("batch.jsonl", DATA, **CALL)
    assert (written.requests, written.stored, [str(path) for path in written.paths]) == (2, 0, ["batch.jsonl"])
    assert not Path("labels.jsonl").exists()
    sent = lines("batch.jsonl")
    for each, text in zip(sent, ["good", "bad"], strict=True):
        assert set(each) == {"custom_id", "method", "url", "body"}
        assert (each["method"], each["url"], each["body"]["model"]) == ("POST", "/v1/chat/completions", "m")
        assert each["body"]["messages"][-1]["content"] == f"Text: {text}"
        assert each["body"]["logprobs"] is True
        assert len(each["custom_id"]) == 64
    # answers come in any order
    put("answers.jsonl", [reply(sent[1]["custom_id"], chat("negative")), reply(sent[0]["custom_id"], chat("positive"))])
    received = read_batch("answers.jsonl")
    assert (received.answers, received.known, received.failed) == (2, 0, {})
    assert read_batch(["answers.jsonl"]).known == 2
    found = dsl.annotate(DATA, **CALL, progress=False)
    assert found["llm"].tolist()[:3] == ["positive", "negative", "positive"]
    share = np.exp(-0.1) / (np.exp(-0.1) + np.exp(-3.0))
    np.testing.assert_allclose(found["llm_positive"].to_numpy()[:3], [share, 1.0 - share, share])
    trail = Trail.load("labels.trail.json")
    assert (trail.first, trail.versions, trail.prompt_tokens) == ("2024-03-28T19:06:35+00:00", {"m-2024": 2}, 44)
    again = write_batch("again.jsonl", DATA, **CALL)
    assert (again.requests, again.stored, again.paths) == (0, 2, ())
    assert "nothing to ask" in str(again)


def test_failures_are_counted_and_asked_again() -> None:
    data = pd.DataFrame({"body": ["a", "b", "c", "d"]})
    write_batch("batch.jsonl", data, **CALL)
    keys = [each["custom_id"] for each in lines("batch.jsonl")]
    expired = {"id": "x", "custom_id": keys[2], "response": None, "error": {"code": "batch_expired", "message": "late"}}
    put(
        "answers.jsonl",
        [reply(keys[0], chat("positive")), reply(keys[1], {"error": {}}, 500), expired, reply(keys[3], {})],
    )
    received = read_batch("answers.jsonl")
    assert received.failed == {"status 500": 1, "batch_expired": 1, "not in the protocol's form": 1}
    assert str(received).startswith("1 answers added, 0 known already, 3 failed (status 500: 1, batch_expired: 1")
    assert write_batch("rest.jsonl", data, **CALL).requests == 3
    assert [each["custom_id"] for each in lines("rest.jsonl")] == keys[1:]


def test_two_stages_take_two_rounds() -> None:
    call = {**CALL, "prompt": Prompt.two_stage(), "confidence": "verbal"}
    for text, asked in (("positive", "Text: good"), ("80%", "How likely is it")):
        assert write_batch("batch.jsonl", DATA.iloc[:1], **call).requests == 1
        [sent] = lines("batch.jsonl")
        assert sent["body"]["messages"][-1]["content"].startswith(asked)
        put("answers.jsonl", [reply(sent["custom_id"], chat(text))])
        read_batch("answers.jsonl")
    assert write_batch("batch.jsonl", DATA.iloc[:1], **call).requests == 0
    assert dsl.annotate(DATA.iloc[:1], **call, progress=False)["llm_positive"].tolist() == [0.8]


def test_texts_to_complete() -> None:
    call = {**CALL, "prompt": Prompt.one_stage(kind="completion"), "extra_body": {"n_probs": 9}}
    write_batch("batch.jsonl", DATA.iloc[:1], **call)
    [sent] = lines("batch.jsonl")
    assert sent["url"] == "/v1/completions"
    assert sent["body"]["n_probs"] == 9
    top = [{" positive": -0.5, " negative": -1.5}]
    logprobs = {"tokens": [" positive"], "token_logprobs": [-0.5], "top_logprobs": top, "text_offset": [0]}
    body = {"model": "m", "choices": [{"text": " positive", "finish_reason": "length", "logprobs": logprobs}]}
    put("answers.jsonl", [reply(sent["custom_id"], body)])
    assert read_batch("answers.jsonl", cache="labels.jsonl").answers == 1
    share = np.exp(-0.5) / (np.exp(-0.5) + np.exp(-1.5))
    np.testing.assert_allclose(dsl.annotate(DATA.iloc[:1], **call, progress=False)["llm_positive"], share)


def test_large_ones_come_in_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 2)
    data = pd.DataFrame({"body": list("abcde")})
    written = write_batch("batch.jsonl", data, **CALL)
    assert [str(path) for path in written.paths] == ["batch.jsonl", "batch-2.jsonl", "batch-3.jsonl"]
    assert [len(lines(str(path))) for path in written.paths] == [2, 2, 1]
    monkeypatch.setattr(batch, "MOST_BYTES", 1)
    assert len(write_batch("small.jsonl", data, **CALL).paths) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "line 2 of 'answers.jsonl' is no answer of a batch service"),
        ('{"custom_id": "x"}', "has the custom_id 'x', which is not one of"),
        ('{"a": 1}', "Name the file that the service gave back"),
        ("[]", "is no answer of a batch service"),
    ],
)
def test_other_files(line: str, message: str) -> None:
    write_batch("batch.jsonl", DATA, **CALL)
    key = lines("batch.jsonl")[0]["custom_id"]
    Path("answers.jsonl").write_text(json.dumps(reply(key, chat("positive"))) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(e.DataError, match=message):
        read_batch("answers.jsonl")
    # what came before is stored
    assert write_batch("batch.jsonl", DATA, **CALL).requests == 1


def test_what_cannot_be_used() -> None:
    with pytest.raises(e.ArgumentError, match="model= is a function here"):
        write_batch("batch.jsonl", DATA, **{**CALL, "model": len})
    with pytest.raises(e.CallError, match="did you mean 'text'"):
        write_batch("batch.jsonl", DATA, **{**CALL, "texts": "body"})
    with pytest.raises(e.FileError, match="there is no file"):
        read_batch("none.jsonl")
    assert not list(Path().iterdir())
