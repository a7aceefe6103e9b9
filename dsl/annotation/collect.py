"""Outcomes of many rows: asked in threads, gathered in arrays, so that memory holds no more than the table's new columns."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, BoolArray, FloatArray, IntArray
from dsl.annotation.asking import Asking, Unanswered
from dsl.annotation.exchange import Answer, Ask, Code, Interview, Item, Outcome
from dsl.annotation.labels import NO_TEXT
from dsl.annotation.runner import in_threads

Texts: TypeAlias = pd.api.extensions.ExtensionArray
"""Of a column."""
MIX = 1_000_003
_hash = hash
LISTED, WORDED = ("logprobs", "both"), ("verbal", "both")
"""Confidences for which tokens are listed, and for which a probability in words is asked for."""
MOST_REASON = 200
"""Characters of a server's complaint that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Different texts, images, or pairs of them, n of N rows, and which rows have them.

    The columns stay as they are, and a text is taken from them when it is asked about: copies would multiply the memory.

    Parameters
    ----------
    texts, images : Series or None
        (N,) as in the table.
    first : (n,) int array
        The first row of each item.
    rows : (N,) int array
        The item of each row, -1 for rows that have none.
    """

    texts: pd.Series | None
    images: pd.Series | None
    first: IntArray
    rows: IntArray

    @classmethod
    def of(cls, texts: pd.Series | None, images: pd.Series | None) -> "Items":
        """Items of columns. Rows with an empty text, or without what is asked about, have none."""
        columns = [each.array for each in (texts, images) if each is not None]
        keys, usable = _hashes(columns)
        found, different = pd.factorize(keys[usable])
        where = np.flatnonzero(usable)
        first = _first(found, where, len(different))
        again = where != first[found]
        if not all(_equal(columns, row, first[item]) for row, item in zip(where[again], found[again], strict=True)):
            # different texts with one hash: exactly then, which needs a copy of all
            places: dict[tuple[str, ...], int] = {}
            texts_of = (tuple(str(each[row]) for each in columns) for row in where)
            found = np.fromiter((places.setdefault(each, len(places)) for each in texts_of), np.int64, len(where))
            first = _first(found, where, len(places))
        rows = np.full(len(usable), -1, dtype=np.int64)
        rows[usable] = found
        return cls(texts=texts, images=images, first=first, rows=rows)

    def __len__(self) -> int:
        """Number of different items."""
        return len(self.first)

    def __getitem__(self, place: int) -> Item:
        """An item."""
        row = self.first[place]
        return Item(
            text=None if self.texts is None else str(self.texts.array[row]),
            image=None if self.images is None else str(self.images.array[row]),
        )

    def __iter__(self) -> Iterator[Item]:
        """All items, made one by one."""
        return (self[place] for place in range(len(self)))


def _hashes(columns: Sequence[Texts]) -> tuple[IntArray, BoolArray]:
    """A number for each row (N,), equal for equal texts, and whether there is something to ask about."""
    keys, usable = np.zeros(len(columns[0]), dtype=np.int64), np.ones(len(columns[0]), dtype=bool)
    for values in columns:
        # no hash of a text is -1
        own = np.fromiter((_hash(each) if isinstance(each, str) and each.strip() else -1 for each in values), np.int64)
        keys, usable = keys * MIX + own, usable & (own != -1)
    return keys, usable


def _first(found: IntArray, where: IntArray, items: int) -> IntArray:
    """The first row of each item, of rows `where` whose items are `found`."""
    out = np.zeros(items, dtype=np.int64)
    # backwards, so that the first of equal ones stays
    out[found[::-1]] = where[::-1]
    return out


def _equal(columns: Sequence[Texts], one: int, other: int) -> bool:
    return all(each[one] == each[other] for each in columns)


class Gathered:
    """Outcomes of n different items about k labels.

    Parameters
    ----------
    n : int
    codes : sequence of str or int
        Labels, in the codebook's order.
    """

    def __init__(self, n: int, codes: Sequence[Code]) -> None:
        self.codes = tuple(codes)
        self.label: IntArray = np.full(n, -1, dtype=np.int32)
        """Position of each label among the codes, -1 where there is none."""
        self.probabilities: FloatArray = np.full((n, len(codes)), np.nan)
        self.confidence, self.mass, self.verbal = np.full((3, n), np.nan)
        self.censored: BoolArray = np.zeros(n, dtype=bool)
        self.said: dict[int, str] = {}
        """What the model said about its confidence, where it said something."""
        self._reason: IntArray = np.zeros(n, dtype=np.int32)
        self._reasons = {"": 0}
        self._places = {code: place for place, code in enumerate(codes)}

    def put(self, place: int, outcome: Outcome) -> None:
        """Take the outcome of an item."""
        if outcome.label is not None:
            self.label[place] = self._places[outcome.label]
        self.probabilities[place] = outcome.probabilities
        self.confidence[place], self.mass[place] = outcome.confidence, outcome.mass
        self.verbal[place], self.censored[place] = outcome.verbal, outcome.censored
        if outcome.said:
            self.said[place] = outcome.said
        # few different reasons, of which each is kept once
        self._reason[place] = self._reasons.setdefault(outcome.reason, len(self._reasons))

    def reasons(self) -> AnyArray:
        """(n,) why labels are missing, empty where they are not."""
        return np.array(list(self._reasons), dtype=object)[self._reason]

    def labels(self, rows: IntArray) -> pd.Series:
        """Labels of rows, given by the item of each (-1 for none): whole numbers, or text. Missing where there are none."""
        found = np.where(rows >= 0, self.label[rows], -1) if len(self.label) else np.full(len(rows), -1)
        numeric = all(isinstance(code, int) for code in self.codes)
        # one more for what is missing, which -1 picks
        values = np.array([*self.codes, np.nan if numeric else None], dtype=float if numeric else object)[found]
        whole = numeric and not (found < 0).any()
        return pd.Series(values.astype(np.int64) if whole else values)

    def table(self, rows: IntArray, name: str, confidence: str) -> pd.DataFrame:
        """The new columns.

        Parameters
        ----------
        rows : (N,) int array
            The item of each row of the user's table, -1 for rows without one.
        name : str
            What the columns' names begin with.
        confidence : str
            What was asked for, on which it depends which columns there are.
        """
        return pd.DataFrame(dict(self._columns(rows, name, confidence)))

    def _columns(self, rows: IntArray, name: str, confidence: str) -> Iterator[tuple[str, AnyArray | pd.Series]]:
        yield name, self.labels(rows)
        for place, code in enumerate(self.codes):
            yield f"{name}_{code}", _spread(self.probabilities[:, place], rows)
        yield f"{name}_confidence", _spread(self.confidence, rows)
        if confidence in LISTED:
            yield f"{name}_mass", _spread(self.mass, rows)
            yield f"{name}_censored", _spread(self.censored.astype(float), rows) == 1.0
        if confidence in WORDED:
            yield f"{name}_verbal", _spread(self.verbal, rows)
            yield f"{name}_said", np.array([self.said.get(int(row), "") for row in rows], dtype=object)
        yield f"{name}_reason", np.append(self.reasons(), NO_TEXT)[rows]

    @classmethod
    def names(cls, codes: Sequence[Code], name: str, confidence: str) -> list[str]:
        """Names of the columns of `table`."""
        return [each for each, _ in cls(0, codes)._columns(np.zeros(0, dtype=np.int64), name, confidence)]


def _spread(values: FloatArray, rows: IntArray) -> FloatArray:
    """Values of items by row, NaN for rows without an item."""
    return np.append(values, np.nan)[rows]


def gather(
    items: Items,
    interview: Interview,
    asking: Asking,
    codes: Sequence[Code],
    *,
    concurrency: int,
    step: Callable[[], None],
    idle: Callable[[], None] | None = None,
) -> Gathered:
    """Outcomes of all items.

    Parameters
    ----------
    items : Items
    interview : Interview
    asking : Asking
    codes : sequence of str or int
        Labels, in the codebook's order.
    concurrency : int
        Number of threads.
    step : callable
        Called after each outcome.
    idle : callable, optional
        Called now and then while there is none.

    Raises
    ------
    ServerError
        The server cannot be asked, or fails for everything.
    Spent
        The budget allows no further question.
    """
    out = Gathered(len(items), codes)

    def work(place: int) -> Outcome:
        return outcome_of(items[place], interview, asking, len(codes))

    tasks = in_threads(range(len(items)), work, concurrency=concurrency, stop=asking.stop, idle=idle)
    with closing(tasks) as results:
        for place, outcome in results:
            out.put(place, outcome)
            step()
    return out


def outcome_of(item: Item, interview: Interview, ask: Ask, labels: int) -> Outcome:
    """Ask all questions about an item. Where one stays without an answer, the item has no label.

    Parameters
    ----------
    item : Item
    interview : Interview
    ask : Ask
    labels : int
        Number of labels.
    """
    answers: list[Answer] = []
    try:
        while asked := interview.questions(item, answers):
            for request in asked:
                answers.append(ask(request))
    except Unanswered as error:
        status = error.error.status
        # few different reasons: what servers say may have a number of its own for each question
        why = f"status {status}" if status is not None else f"{error}"[:MOST_REASON]
        return Outcome(label=None, probabilities=(math.nan,) * labels, reason=f"no answer ({why})")
    return interview.outcome(answers)


def count_reasons(table: pd.DataFrame, name: str) -> dict[str, int]:
    """Rows without a label, for each reason."""
    return dict(Counter(str(reason) for reason in table[f"{name}_reason"] if reason))
