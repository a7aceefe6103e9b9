"""A dry run: what a call would ask for, and what it would cost."""

from collections.abc import Iterable
from dataclasses import dataclass

from dsl.annotation.annotate import annotate, like
from dsl.annotation.cache import Cache
from dsl.annotation.cost import CHARACTERS, Rates, length, most_out
from dsl.annotation.exchange import Interview, Item
from dsl.annotation.plan import Part, Plan, planned
from dsl.annotation.record import imagined, imagined_word
from dsl.data.arguments import explain_calls
from dsl.data.tables import TableLike


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


@explain_calls
@like(annotate)
def estimate_cost(data: TableLike, **arguments: object) -> CostEstimate:
    """What a call of `dsl.annotate` would ask for and cost, without asking.

    Parameters
    ----------
    data : data frame
    **arguments
        Those of `dsl.annotate`. With ``price=`` the estimate is in dollars too.

    Returns
    -------
    CostEstimate
        Texts, questions, those already answered in the cache, tokens, dollars. Tokens are reckoned from four characters each
        and from the longest answers allowed until answers to the same questions are in the cache, and then from these.

    Raises
    ------
    ArgumentError, MissingColumnError, ColumnTypeError
        The arguments cannot be used.

    Examples
    --------
    >>> import dsl
    >>> book = dsl.annotation.Codebook("Is the tweet positive?", ["yes", "no"])
    >>> posts = {"body": ["I love it", "What a mess", "I love it"]}
    >>> print(
    ...     dsl.annotation.estimate_cost(
    ...         posts, text="body", codebook=book, model="gpt-4o-mini", price=(0.15, 0.6), cache="nothing-yet.jsonl"
    ...     )
    ... )
    3 rows with 2 different texts
    2 questions, 0 of them answered in the cache
    about 52 tokens to send and 14 to receive (four characters a token, longest answers)
    about $0.00
    """
    what = planned(data, **arguments)  # type: ignore[arg-type]
    with Cache(what.settings.cache) as answers:
        found = [_estimate(what, part, answers) for part in what.parts]
    total = found[0]
    for each in found[1:]:
        total = total + each
    return total


def _estimate(what: Plan, part: Part, answers: Cache) -> CostEstimate:
    found, rates = count(what.items, what.interview(part), answers, imagined_word(part, what.book))
    prompt_tokens, completion_tokens = found.characters / CHARACTERS, found.out
    if rates.answers:
        prompt_tokens = found.characters * rates.prompt_tokens / max(rates.characters, 1.0)
        completion_tokens = found.left * rates.completion_tokens / rates.answers
    price = what.settings.dollars
    return CostEstimate(
        texts=len(what.items.rows),
        distinct=len(what.items),
        without_text=int((what.items.rows < 0).sum()),
        requests=found.requests,
        cached=found.cached,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        measured=rates.answers > 0,
        cost=None if price is None else price.dollars(prompt_tokens, completion_tokens),
    )
