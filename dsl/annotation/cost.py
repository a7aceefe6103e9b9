"""What answers cost: tokens and dollars, before they are asked for and while they come."""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsl.annotation.exchange import Answer, Request
from dsl.exceptions import ArgumentError

CHARACTERS = 4.0
"""Characters of a token, until answers tell better: the usual figure for English."""
IMAGE = 800.0
"""Tokens of an image, until answers tell better. Models differ: from less than 100 to more than 1,000."""
OUT = 16.0
"""Tokens of an answer that nothing limits, until answers tell better."""
MILLION = 1e6


class Spent(Exception):  # noqa: N818
    """The next question would cost more than what is left of the budget."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens.

    Parameters
    ----------
    prompt, completion : float
        Of what is sent, and of what comes back.

    Examples
    --------
    >>> Price.of((0.15, 0.6)).dollars(2_000_000, 100_000)
    0.36
    """

    prompt: float
    completion: float

    @classmethod
    def of(cls, given: object) -> "Price":
        """A price from a pair of numbers.

        Raises
        ------
        ArgumentError
            Anything else.
        """
        pair = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
        numbers = [float(each) for each in pair if isinstance(each, int | float) and not isinstance(each, bool)]
        if len(pair) != 2 or len(numbers) != 2 or not all(math.isfinite(each) and each >= 0.0 for each in numbers):
            raise ArgumentError(
                f"price must be two numbers, dollars for a million tokens sent and for a million tokens that come back, such as "
                f"(0.15, 0.6); found {given!r}"
            )
        return cls(*numbers)

    def dollars(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / MILLION


@dataclass(slots=True)
class Rates:
    """Tokens of requests and answers: guessed, then measured on what the server counted."""

    characters: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    answers: int = 0

    def learn(self, request: Request, answer: Answer) -> None:
        """Take an answer's count of tokens into account. One without a count teaches nothing."""
        if answer.prompt_tokens > 0:
            self.characters += length(request)
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
            self.answers += 1

    def expected(self, request: Request) -> tuple[float, float]:
        """Tokens of a request, and of its answer."""
        if self.answers:
            ratio = self.prompt_tokens / max(self.characters, 1.0)
            return length(request) * ratio, self.completion_tokens / self.answers
        return length(request) / CHARACTERS, most_out(request)


def length(request: Request) -> float:
    """Characters of a request. An image counts for as many as `IMAGE` tokens have."""
    if request.prompt is not None:
        return float(len(request.prompt))
    return sum(_size(message["content"]) for message in request.messages or ())


def _size(content: object) -> float:
    if isinstance(content, str):
        return float(len(content))
    if isinstance(content, Mapping):
        return CHARACTERS * IMAGE if "image_url" in content else _size(content.get("text", ""))
    return sum(_size(part) for part in content) if isinstance(content, Sequence) else 0.0


def most_out(request: Request) -> float:
    """Tokens that an answer may have."""
    for name in ("max_tokens", "max_completion_tokens"):
        limit = request.parameters.get(name)
        if isinstance(limit, int | float):
            return float(limit)
    return OUT


class Meter:
    """Dollars spent by a run, and those that questions in flight are expected to cost.

    Parameters
    ----------
    price : Price, optional
        Without it nothing is counted.
    budget : float, optional
        Dollars that may be spent.
    """

    def __init__(self, *, price: Price | None = None, budget: float | None = None) -> None:
        self.price, self.budget = price, budget
        self.spent = 0.0
        self._held = 0.0
        self._rates = Rates()
        self._lock = threading.Lock()

    def hold(self, request: Request) -> float:
        """Set dollars aside for a question, and say how many.

        Raises
        ------
        Spent
            So much is not left.
        """
        if self.price is None:
            return 0.0
        with self._lock:
            cost = self.price.dollars(*self._rates.expected(request))
            if self.budget is not None and self.spent + self._held + cost > self.budget:
                raise Spent
            self._held += cost
            return cost

    def drop(self, held: float) -> None:
        """The question was not answered: nothing is paid."""
        with self._lock:
            self._held -= held

    def pay(self, held: float, request: Request, answer: Answer) -> None:
        """The question was answered: pay what it cost, or what it was expected to where the server counts no tokens."""
        if self.price is None:
            return
        with self._lock:
            self._held -= held
            counted = self.price.dollars(answer.prompt_tokens, answer.completion_tokens)
            self.spent += counted if answer.prompt_tokens > 0 else held
            self._rates.learn(request, answer)
