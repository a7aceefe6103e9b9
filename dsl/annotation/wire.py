"""The protocol that OpenAI's, vLLM's, Ollama's and llama.cpp's servers speak: requests to JSON and replies to answers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from dsl._typing import JSON, Record
from dsl.annotation.exchange import Answer, Request, Token
from dsl.annotation.scores import LABEL_KEY, said_key, word_key
from dsl.exceptions import ServerError

KEPT = 20
"""Most likely tokens of a list that are kept whatever they are."""
FEWEST = -9999.0
"""What servers write for a log probability of minus infinity."""


def endpoint(request: Request) -> str:
    """Where a request is sent, after the server's address.

    Examples
    --------
    >>> endpoint(Request(model="m", prompt="Sky is"))
    '/completions'
    """
    return "/completions" if request.messages is None else "/chat/completions"


def body_of(request: Request) -> dict[str, JSON]:
    """What is sent, with `extra_body` among the rest.

    Examples
    --------
    >>> body_of(Request(model="m", prompt="Sky is", parameters={"max_tokens": 1, "extra_body": {"n_probs": 9}}))
    {'model': 'm', 'prompt': 'Sky is', 'max_tokens': 1, 'n_probs': 9}
    """
    parameters = dict(request.parameters)
    extra = parameters.pop("extra_body", None)
    body: dict[str, JSON] = {"model": request.model}
    if request.messages is None:
        body["prompt"] = request.prompt
    else:
        body["messages"] = [dict(each) for each in request.messages]
    return {**body, **parameters, **(extra if isinstance(extra, Mapping) else {})}


def answer_of(reply: object, request: Request) -> Answer:
    """The answer in a server's reply.

    Log probabilities are read in the form of chats (which llama.cpp uses for texts to complete as well) and in that of OpenAI's
    and vLLM's completions. Of long lists those tokens are kept that may begin one of the request's words, and the most likely.

    Parameters
    ----------
    reply : object
        The body, read from JSON.
    request : Request

    Raises
    ------
    ServerError
        It is no such reply. Asking again may help.
    """
    try:
        return _read(reply, request)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        # the error's own text may quote the reply
        raise ServerError(
            f"the server's reply is not in the form of this protocol ({type(error).__name__})", retry=True
        ) from None


def _read(reply: object, request: Request) -> Answer:
    if not isinstance(reply, Mapping):
        raise TypeError
    choice = reply["choices"][0]
    if request.messages is None:
        text, refusal = choice["text"], None
    else:
        text, refusal = choice["message"].get("content"), choice["message"].get("refusal")
    if not isinstance(text, str | None):
        raise TypeError
    usage = reply.get("usage") or {}
    finish = str(choice.get("finish_reason") or "stop")
    return Answer(
        text=text or "",
        finish="refusal" if refusal else finish,
        tokens=_tokens(choice.get("logprobs"), request),
        model=str(reply.get("model") or ""),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        at=now(),
    )


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tokens(listed: Record | None, request: Request) -> tuple[Token, ...]:
    if not listed:
        return ()
    words = [word_key(word) for word in request.words]
    form = "response_format" in request.parameters
    out: list[Token] = []
    said = ""
    for token, logprob, top in _positions(listed):
        before = word_before(said, words, form=form)
        out.append(_token(token, _number(logprob), [] if before is None else top, before or "", words))
        said += token
    return tuple(out)


def _positions(listed: Record) -> Iterator[tuple[str, float | None, list[tuple[str, float]]]]:
    """Each position's token, log probability and list."""
    if listed.get("content") is not None:
        for each in listed["content"]:
            yield _text(each), each["logprob"], [(_text(t), t["logprob"]) for t in each.get("top_logprobs") or ()]
        return
    tops = listed.get("top_logprobs") or [None] * len(listed["tokens"])
    for token, logprob, top in zip(listed["tokens"], listed["token_logprobs"], tops, strict=True):
        yield token, logprob, list((top or {}).items())


def word_before(said: str, words: Sequence[bytes], *, form: bool) -> str | None:
    """What was said of a word before a position, or None where no word is begun there: the list is not needed."""
    if form:
        found = list(LABEL_KEY.finditer(said))
        # a token may hold the quotation mark before the label and its first letters
        if not found:
            return "" if '"label"' in said else None
        said = said[found[-1].end() :]
    key = said_key(said)
    return said if not key or any(word.startswith(key) for word in words) else None


def _token(token: str, logprob: float, top: Sequence[tuple[str, float]], before: str, words: Sequence[bytes]) -> Token:
    if not top:
        return Token(token, logprob)
    pairs = sorted(((text, _number(each)) for text, each in top), key=lambda pair: -pair[1])
    kept = [pair for i, pair in enumerate(pairs) if i < KEPT or may_begin(before + pair[0], words)]
    return Token(token, logprob, tuple(kept), pairs[-1][1])


def _text(each: Record) -> str:
    """A token's text, from its bytes where they are given: half a letter has no text of its own."""
    text, bits = each["token"], each.get("bytes")
    if not isinstance(text, str):
        raise TypeError
    # servers write half a letter as an escape or a question mark
    if bits is None or (len(bits) == len(text) and text.isascii()):
        return text
    return bytes(bits).decode("utf-8", "surrogateescape")


def _number(logprob: float | None) -> float:
    """A log probability that can be stored: rounding puts some above zero, and none is infinite."""
    value = 0.0 if logprob is None else float(logprob)
    if math.isnan(value):
        raise ValueError
    return min(0.0, max(FEWEST, value))


def may_begin(said: str, words: Sequence[bytes]) -> bool:
    """Whether what was said may begin a word, or is one and more."""
    key = said_key(said)
    return not key or any(word.startswith(key) or key.startswith(word) for word in words)
