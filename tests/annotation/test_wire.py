"""Replies of servers, written by hand after their documentation and after what llama.cpp answered, and what is made of them."""

import json
import math
from typing import Any

import pytest

from dsl.annotation.exchange import Answer, Request, Token
from dsl.annotation.wire import KEPT, answer_of, body_of, endpoint
from dsl.exceptions import ServerError

CHAT = Request(model="m", messages=({"role": "user", "content": "Is it?"},), words=("yes", "no"))
TEXT = Request(model="m", prompt="It is", words=("yes", "no"))


def entry(token: str, logprob: float, top: list[tuple[str, float]] | None = None, bits: Any = "same") -> dict[str, Any]:
    out: dict[str, Any] = {
        "token": token,
        "logprob": logprob,
        "bytes": list(token.encode()) if bits == "same" else bits,
    }
    return out if top is None else {**out, "top_logprobs": [entry(*each) for each in top]}


def chat(content: str | None = "Yes", **more: Any) -> dict[str, Any]:
    """OpenAI's chat completion object."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x-2026-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": more.pop("refusal", None)},
                "logprobs": more.pop("logprobs", None),
                "finish_reason": more.pop("finish", "stop"),
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
        **more,
    }


def test_what_is_sent() -> None:
    request = Request(
        model="m",
        messages=({"role": "user", "content": "Is it?"},),
        parameters={"temperature": 0, "logprobs": True, "extra_body": {"top_k": 1, "temperature": 0.5}},
        words=("yes",),
        repeat=3,
    )
    assert body_of(request) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Is it?"}],
        "temperature": 0.5,
        "logprobs": True,
        "top_k": 1,
    }
    assert (endpoint(request), endpoint(TEXT)) == ("/chat/completions", "/completions")


def test_a_chat() -> None:
    logprobs = {"content": [entry("Yes", -0.1, [("Yes", -0.1), (" no", -2.5)])], "refusal": None}
    answer = answer_of(chat(logprobs=logprobs), CHAT)
    assert answer.text == "Yes"
    assert answer.tokens == (Token("Yes", -0.1, (("Yes", -0.1), (" no", -2.5)), -2.5),)
    assert (answer.model, answer.prompt_tokens, answer.completion_tokens) == ("gpt-x-2026-01-01", 12, 1)
    assert answer.at.endswith("+00:00")


@pytest.mark.parametrize(
    ("reply", "finish"),
    [
        (chat(None, refusal="I cannot help with that."), "refusal"),
        (chat("", finish="content_filter"), "content_filter"),
        (chat("Ye", finish="length"), "length"),
        (chat("Yes", finish=None), "stop"),
    ],
)
def test_how_an_answer_ends(reply: dict[str, Any], finish: str) -> None:
    answer = answer_of(reply, CHAT)
    assert answer.finish == finish
    # what a refusal says may quote the text
    assert "cannot" not in json.dumps(answer.to_json())


def test_completions_of_openai_and_vllm() -> None:
    logprobs = {
        "tokens": [" yes", "\n"],
        "token_logprobs": [-0.2, -0.1],
        "top_logprobs": [{" yes": -0.2, " no": -1.9}, None],
        "text_offset": [5, 9],
    }
    reply = {
        "model": "m",
        "choices": [{"text": " yes\n", "finish_reason": "length", "logprobs": logprobs}],
        "usage": None,
    }
    answer = answer_of(reply, TEXT)
    assert answer.tokens == (Token(" yes", -0.2, ((" yes", -0.2), (" no", -1.9)), -1.9), Token("\n", -0.1))
    assert (answer.text, answer.prompt_tokens) == (" yes\n", 0)


def test_completions_of_llama_cpp() -> None:
    """In the form of chats; the end of a text is a token without bytes."""
    content = [entry(" yes", -0.2, [(" yes", -0.2), ("", -2.0)])]
    reply = {
        "model": "file.gguf",
        "choices": [{"text": " yes", "finish_reason": "length", "logprobs": {"content": content}}],
    }
    assert answer_of(reply, TEXT).tokens == (Token(" yes", -0.2, ((" yes", -0.2), ("", -2.0)), -2.0),)


def test_long_lists_are_cut_to_what_scores_need() -> None:
    top = [(f" w{i}", -1.0 - i) for i in range(KEPT + 400)]
    top += [(" y", -500.0), ("yes.", -501.0), (" no one", -502.0), ("\n", -503.0), ("x", -504.0)]
    logprobs = {"content": [entry(" w0", -1.0, top), entry(" w1", -1.0, top)]}
    first, second = answer_of(chat(" w0 w1", logprobs=logprobs), CHAT).tokens
    assert [token for token, _ in first.alternatives[KEPT:]] == [" y", "yes.", " no one", "\n"]
    assert first.floor == -504.0
    # no label is begun here, so that nothing of the list is needed
    assert second == Token(" w1", -1.0)


def test_lists_are_kept_along_a_label() -> None:
    top = [("hate", -0.1), (" speech", -0.2), (" x", -0.3)]
    tokens = [entry(" hate", -0.1, top), entry(" speech", -0.1, top), entry("\n", -0.1, top), entry("No", -0.1, top)]
    request = Request(model="m", messages=CHAT.messages, words=("hate speech", "other"))
    answer = answer_of(chat(logprobs={"content": tokens}), request)
    assert [len(each.alternatives) for each in answer.tokens] == [3, 3, 3, 0]


def test_lists_are_kept_at_a_label_in_json() -> None:
    top = [("yes", -0.1), ("no", -2.0)]
    said = ['{"', "label", '":', ' "', "yes", '"', "}"]
    request = Request(model="m", messages=CHAT.messages, words=("yes", "no"), parameters={"response_format": {}})
    answer = answer_of(chat(logprobs={"content": [entry(token, -0.1, top) for token in said]}), request)
    assert "".join(each.token for each in answer.tokens) == '{"label": "yes"}'
    kept = [each.token for each in answer.tokens if each.alternatives]
    assert "yes" in kept
    assert not {'{"', "label", "}"} & set(kept)


def test_half_letters() -> None:
    bits = list("\u00e9".encode())
    tokens = [entry("\\xc3", -0.1, [], bits[:1]), entry("\\xa9", -0.1, [], bits[1:])]
    first, second = answer_of(chat("\u00e9", logprobs={"content": tokens}), CHAT).tokens
    # the escape is ASCII as it stands: bytes count wherever they are given
    assert (first.token + second.token).encode("utf-8", "surrogateescape") == "\u00e9".encode()


def test_log_probabilities_that_no_float_should_be() -> None:
    logprobs = {"content": [entry("yes", 1e-7, [("yes", 1e-7), ("no", -math.inf)])]}
    [token] = answer_of(chat(logprobs=logprobs), CHAT).tokens
    assert token.logprob == 0.0
    assert token.alternatives == (("yes", 0.0), ("no", -9999.0))
    assert Answer.from_json(json.loads(json.dumps(Answer(text="", tokens=(token,)).to_json()))).tokens == (token,)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        "<html>Bad gateway</html>",
        [],
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]},
        chat(logprobs={"content": [{"token": "a"}]}),
        chat(logprobs={"content": [entry("a", math.nan)]}),
        chat(logprobs={"content": [{"token": None, "logprob": -1}]}),
        chat(logprobs={"tokens": ["a", "b"], "token_logprobs": [-1.0], "top_logprobs": None}),
        chat(logprobs={}) | {"usage": {"prompt_tokens": "many"}},
        {"error": {"message": "the text was: secret"}},
    ],
)
def test_replies_in_no_form(reply: object) -> None:
    with pytest.raises(ServerError, match="not in the form of this protocol") as caught:
        answer_of(reply, CHAT)
    assert caught.value.retry
    assert "secret" not in str(caught.value)
