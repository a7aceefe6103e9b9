"""What is asked of a model and what comes back: the objects that prompts, clients, cache and scoring hand to each other."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from dsl._typing import JSON, Record
from dsl.exceptions import ArgumentError, DataError

Code: TypeAlias = str | int
"""A label as the table gets it."""
Message: TypeAlias = Mapping[str, JSON]
"""One turn of a chat: `role` and `content`."""
DIGITS = 6
"""Decimal places of a log probability that are stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one row asks about: a text, an image (a path or an address), or both."""

    text: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a model, ready to send.

    Parameters
    ----------
    model : str
    messages : tuple of mapping, optional
        A chat. None where `prompt` is sent.
    prompt : str, optional
        A text to complete.
    parameters : mapping
        What is sent besides: temperature, max_tokens, logprobs, top_logprobs, response_format, extra_body, ...
    words : tuple of str
        Words whose probabilities are wanted. Of long lists of tokens, those that may begin one of them are kept.
    repeat : int
        Which of several equal questions.

    Raises
    ------
    ArgumentError
        Both of `messages` and `prompt` are given, or none.

    Examples
    --------
    >>> ask = Request(model="m", prompt="Sky is", parameters={"temperature": 0})
    >>> ask.key() == Request(model="m", prompt="Sky is", parameters={"temperature": 0.0}).key()
    True
    >>> ask.key()[:8]
    'd0e2fdc2'
    """

    model: str
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    repeat: int = 0

    def __post_init__(self) -> None:
        """Check that there is one thing to send."""
        if (self.messages is None) == (self.prompt is None):
            raise ArgumentError("a request has either messages (chat) or a prompt (text to complete)")

    def key(self) -> str:
        """SHA-256, in hexadecimal, of the request as canonical JSON. Images count by their bytes."""
        record: JSON = {
            "model": self.model,
            "messages": self.messages,
            "prompt": self.prompt,
            "parameters": self.parameters,
            "words": self.words,
            "repeat": self.repeat,
        }
        return hashlib.sha256(canonical(record).encode()).hexdigest()


def canonical(value: JSON) -> str:
    """JSON that is the same text for equal values: keys sorted, whole floats as integers, images by their hash.

    Raises
    ------
    ArgumentError
        A number is not finite, or a value is none that JSON knows.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": ["x", None]})
    '{"a":["x",null],"b":1}'
    """
    try:
        return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a request has a value that cannot be sent as JSON ({error})") from error


def _plain(value: JSON) -> JSON:
    if isinstance(value, str):
        return _short(value) if value.startswith("data:") else value
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _short(url: str) -> str:
    head, _, body = url.partition(";base64,")
    try:
        return f"{head};sha256,{hashlib.sha256(base64.b64decode(body, validate=True)).hexdigest()}" if body else url
    except binascii.Error:
        return url


@dataclass(frozen=True, slots=True)
class Token:
    """One position of what a model said, and what it might have said there.

    Parameters
    ----------
    token : str
        Bytes that are no UTF-8 by themselves stand as surrogates, so that tokens can be joined.
    logprob : float
    alternatives : tuple of (str, float)
        Tokens and their log probabilities, the most likely first, as far as they were kept (`token` among them where
        the server listed it).
    floor : float or None
        Smallest log probability in the server's list: a token outside it is no more likely. None without a list.
    """

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: all that scoring needs, without the prompt and without the user's text.

    Parameters
    ----------
    text : str
        What the model said.
    finish : str
        "stop"; "length" (cut off at max_tokens); "refusal", "content_filter"; "too_long" where the text did not fit.
    tokens : tuple of Token
        Generated positions with log probabilities, where they were asked for.
    scores : tuple of (str, float), optional
        Words with probabilities, from a callable that gives them directly.
    model : str
        As the server reports it.
    prompt_tokens, completion_tokens : int
        As the server counts them.
    at : str
        Time of the answer in UTC (ISO 8601).

    Examples
    --------
    >>> answer = Answer(text="yes", model="m-1", tokens=(Token("yes", -0.1, (("yes", -0.1), ("no", -2.4)), -9.0),))
    >>> Answer.from_json(answer.to_json()) == answer
    True
    """

    text: str
    finish: str = "stop"
    tokens: tuple[Token, ...] = ()
    scores: tuple[tuple[str, float], ...] | None = None
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    at: str = ""

    def to_json(self) -> Record:
        """The answer as JSON holds it; log probabilities with six decimal places."""
        record: Record = {"text": self.text, "finish": self.finish, "model": self.model, "at": self.at}
        record["usage"] = [self.prompt_tokens, self.completion_tokens]
        if self.tokens:
            record["tokens"] = [
                [each.token, round(each.logprob, DIGITS), _rounded(each.alternatives), _floor(each.floor)]
                for each in self.tokens
            ]
        if self.scores is not None:
            record["scores"] = [[word, score] for word, score in self.scores]
        return record

    @classmethod
    def from_json(cls, record: object) -> "Answer":
        """Read an answer again.

        Raises
        ------
        DataError
            The record is none that `to_json` writes.
        """
        try:
            return _read(record)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"a stored answer cannot be read ({type(error).__name__}: {error})") from error


def _rounded(pairs: Sequence[tuple[str, float]]) -> list[list[str | float]]:
    return [[token, round(logprob, DIGITS)] for token, logprob in pairs]


def _floor(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _read(record: object) -> Answer:
    if not isinstance(record, dict):
        raise TypeError(f"found {type(record).__name__}, not an object")
    asked, said = record["usage"]
    texts = [record[name] for name in ("text", "finish", "model", "at")]
    if not all(isinstance(each, str) for each in texts):
        raise TypeError("text, finish, model or at is no text")
    scores = record.get("scores")
    return Answer(
        text=texts[0],
        finish=texts[1],
        model=texts[2],
        at=texts[3],
        tokens=tuple(
            Token(str(token), _number(logprob), _pairs(listed), None if floor is None else _number(floor))
            for token, logprob, listed, floor in record.get("tokens", ())
        ),
        scores=None if scores is None else _pairs(scores),
        prompt_tokens=int(asked),
        completion_tokens=int(said),
    )


def _pairs(listed: Sequence[Sequence[object]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(word), _number(value)) for word, value in listed)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"found {value!r} where a number belongs")
    return float(value)


class Ask(Protocol):
    """A model that can be asked, from several threads at once.

    Raises `dsl.exceptions.ServerError` where there is no answer; its `retry` says whether asking again can help.
    """

    def __call__(self, request: Request) -> Answer:
        """The model's answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the answers about one row come to.

    Parameters
    ----------
    label : str, int or None
        None where there is none.
    probabilities : tuple of float
        One for each label, in the codebook's order. NaN where unknown.
    confidence : float
        Probability of the label given.
    mass : float
        Probability of all labels together before they were scaled to one. NaN without log probabilities.
    censored : bool
        A label was outside the server's list of tokens: its probability is the bound that the list gives.
    verbal : float
        Probability of the label as the model put it in words. NaN where it was not asked or not readable.
    said : str
        What the model said about its confidence, as it said it; all that it said where that is no label.
    reason : str
        Why the label is missing. Empty where it is there.
    """

    label: Code | None
    probabilities: tuple[float, ...]
    confidence: float = math.nan
    mass: float = math.nan
    censored: bool = False
    verbal: float = math.nan
    said: str = ""
    reason: str = ""


class Interview(Protocol):
    """Which questions are asked about a row, and what the answers come to.

    A runner asks what `questions` gives, appends the answers in this order, and asks again until nothing is left::

        answers = []
        while asked := interview.questions(item, answers):
            answers += [ask(request) for request in asked]
        outcome = interview.outcome(answers)
    """

    def questions(self, item: Item, answers: Sequence[Answer]) -> tuple[Request, ...]:
        """What to ask next, given all answers so far."""
        ...

    def outcome(self, answers: Sequence[Answer]) -> Outcome:
        """Label, probabilities and the rest, from all answers of a row."""
        ...
