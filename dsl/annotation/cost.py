"""What answers cost: tokens and dollars, before they are asked for and while they come."""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dsl.annotation.cache import Cache
from dsl.annotation.exchange import Answer, Interview, Item, Request
from dsl.exceptions import ArgumentError

CHARACTERS = 4.0
"""Characters of a token, until answers tell better: the usual figure for English."""
IMAGE = 800.0
"""Tokens of an image, until answers tell better. Models differ: from less than 100 to more than 1,000."""
OUT = 16.0
"""Tokens of an answer that nothing limits, until answers tell better."""
MILLION = 1e6
ROUNDS = 20
"""Most questions after one another that a dry run imagines for a row."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a call of `dsl.annotate` would ask for.

    Parameters
    ----------
    texts : int
        Rows of the table.
    distinct : int
        Different texts among them, each of which is asked about once.
    without_text : int
        Rows that have none, and get no label.
    requests : int
        Questions in all, those included whose answer is in the cache.
    cached : int
        Questions whose answer is in the cache.
    prompt_tokens, completion_tokens : float
        Of the questions that are left, and of their answers.
    measured : bool
        Whether tokens are reckoned from stored answers to questions of this call, rather than from four characters a token and
        the longest answer allowed.
    cost : float or None
        Dollars for what is left. None without a price.
    """

    texts: int
    distinct: int
    without_text: int
    requests: int
    cached: int
    prompt_tokens: float
    completion_tokens: float
    measured: bool
    cost: float | None

    def __add__(self, other: "CostEstimate") -> "CostEstimate":
        """Both calls: several models or prompts about the same texts."""
        return CostEstimate(
            texts=self.texts,
            distinct=self.distinct,
            without_text=self.without_text,
            requests=self.requests + other.requests,
            cached=self.cached + other.cached,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            measured=self.measured and other.measured,
            cost=None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def __str__(self) -> str:
        """The estimate in a few lines."""
        how = (
            "as measured on the answers that are there" if self.measured else "four characters a token, longest answers"
        )
        lines = [
            f"{self.texts:,} rows with {self.distinct:,} different texts"
            + (f", {self.without_text:,} without a text" if self.without_text else ""),
            f"{self.requests:,} questions, {self.cached:,} of them answered in the cache",
            f"about {self.prompt_tokens:,.0f} tokens to send and {self.completion_tokens:,.0f} to receive ({how})",
            "no price was given" if self.cost is None else f"about ${self.cost:,.2f}",
        ]
        return "\n".join(lines)


@dataclass(slots=True)
class Count:
    """Questions about rows, and the tokens of those that are left."""

    requests: int = 0
    cached: int = 0
    left: int = 0
    characters: float = 0.0
    out: float = 0.0


def count(items: Iterable[Item], interview: Interview, cache: Cache, word: str) -> tuple[Count, Rates]:
    """What would be asked about each item.

    Parameters
    ----------
    items : iterable of Item
    interview : Interview
    cache : Cache
    word : str
        What the model is imagined to say where its answer decides on the next question: one of the labels.
    """
    found, rates = Count(), Rates()
    for item in items:
        for request, answer in imagined(item, interview, cache, word):
            found.requests += 1
            if answer is not None:
                found.cached += 1
                rates.learn(request, answer)
                continue
            found.left += 1
            found.characters += length(request)
            found.out += most_out(request)
    return found, rates


def imagined(item: Item, interview: Interview, cache: Cache, word: str) -> Iterator[tuple[Request, Answer | None]]:
    """Questions about a row, each with its stored answer, as if the model said `word` where there is none."""
    answers: list[Answer] = []
    for _ in range(ROUNDS):
        asked = interview.questions(item, answers)
        if not asked:
            return
        for request in asked:
            record = cache.get(request.key())
            answer = None if record is None else Answer.from_json(record)
            yield request, answer
            answers.append(Answer(text=word) if answer is None else answer)
