"""From the tokens that a server lists to a probability for each word.

A model says a word token by token, and a server lists, for each position of what was said, the tokens that might have stood
there. The probability of a word is the sum, over the tokens that can only begin this word, of their probabilities; where the
token t* that was said may begin several words, the next position, which is conditional on it, decides between them::

    P(word) = sum over t of P(t) [t begins this word only] + P(t*) P(word | t*) [t* begins several words]

What is not in the list is not guessed: a word of which no token is listed is censored, its probability no larger than the
smallest one in the list.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from dsl.annotation.codebook import AROUND, plain
from dsl.annotation.exchange import Token

ENDED = re.compile(r"[^\w\s]*(\s|$)")
"""What may follow a word: signs and then a blank or the end, so that "positive." is the word and "positively" is not."""
BLANKS = re.compile(r"\s+")
LABEL_KEY = re.compile(r'"label"\s*:\s*(?:"|(?=[^\s"]))')
"""What stands before the label in an answer in JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Probabilities of words, k of them.

    Parameters
    ----------
    probabilities : tuple of float, (k,)
        Not scaled. Of a censored word: the bound, which is what the list's smallest probability, and all listed ones, leave.
    censored : tuple of bool, (k,)
        Words of which no token was in the list.
    mass : float
        Probability of the words in the list together, in [0, 1].
    shared : float
        Probability of tokens that may begin several words and whose continuation was not seen, in [0, 1].
    rivals : tuple of int
        Words that these tokens may begin.
    unfinished : bool
        What was said itself may be several words, and ends there: no answer would say which is meant.
    """

    probabilities: tuple[float, ...]
    censored: tuple[bool, ...]
    mass: float
    shared: float = 0.0
    rivals: tuple[int, ...] = ()
    unfinished: bool = False

    def scaled(self) -> tuple[float, ...]:
        """Probabilities that add up to one, (k,). NaN where no word was in the list."""
        total = math.fsum(self.probabilities)
        if all(self.censored) or total <= 0.0:
            return (math.nan,) * len(self.probabilities)
        return tuple(each / total for each in self.probabilities)


def word_scores(tokens: Sequence[Token], words: Sequence[str], *, start: int = 0) -> Scores | None:
    """Probabilities of words at a place of what a model said.

    Parameters
    ----------
    tokens : sequence of Token
        What was said, position by position.
    words : sequence of str, (k,)
        Compared without case; blanks and quotation marks before them do not count.
    start : int
        Characters of what was said before the word, such as ``{"label": "``. Probabilities are conditional on them.

    Returns
    -------
    Scores or None
        None where nothing is listed at this place.

    Examples
    --------
    >>> listed = ((" yes", math.log(0.6)), (" no", math.log(0.2)), (" Yes", math.log(0.1)), (" yesterday", math.log(0.05)))
    >>> found = word_scores([Token(" yes", math.log(0.6), listed, math.log(0.05))], ["yes", "no", "maybe"])
    >>> [round(each, 3) for each in found.probabilities], round(found.mass, 3), found.censored
    ([0.7, 0.2, 0.05], 0.9, (False, False, True))
    """
    ends = list(accumulate(len(each.token) for each in tokens))
    first = next((i for i, end in enumerate(ends) if end > start or end - len(tokens[i].token) == start), None)
    if first is None or not tokens[first].alternatives:
        return None
    lead = tokens[first].token[: start - (ends[first] - len(tokens[first].token))]
    walk = _Walk(tokens, tuple(map(word_key, words)))
    walk.visit(first, "", 0.0, lead)
    return walk.scores()


def label_start(tokens: Sequence[Token]) -> int | None:
    """Where the label stands in an answer in JSON: characters before it. None where there is none.

    Examples
    --------
    >>> label_start([Token('{"label":', -0.1), Token(' "', 0.0), Token("yes", -0.2), Token('"}', 0.0)])
    11
    """
    # the last one: servers that force a form may show what the model tried before it
    found = list(LABEL_KEY.finditer("".join(each.token for each in tokens)))
    return found[-1].end() if found else None


def said_key(said: str) -> bytes:
    """The beginning of an answer as it is compared with words: bytes, since a token may end within a letter.

    Examples
    --------
    >>> said_key(' "Hate  Sp'), said_key(" ")
    (b'hate sp', b'')
    """
    if not said.isascii():
        # letters whose bytes came in several tokens
        said = said.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    text = said.lstrip(AROUND)
    return (text if text.isalnum() else BLANKS.sub(" ", text)).casefold().encode("utf-8", "surrogateescape")


def word_key(word: str) -> bytes:
    """A word as `said_key` has it, to its end."""
    return plain(word).encode()


@lru_cache(maxsize=16_384)
def meant(said: str, words: tuple[bytes, ...], ended: bool) -> tuple[int, ...] | None:
    """Words that may be meant once `said` was said and, with `ended`, nothing more. None where only blanks were: any may follow.

    Parameters
    ----------
    said : str
    words : tuple of bytes
        As `word_key` makes them.
    ended : bool

    Examples
    --------
    >>> words = (b"hate", b"hate speech", b"other")
    >>> meant(" Hate", words, False), meant(" Hate", words, True), meant(" oth", words, False), meant(" ", words, False)
    ((0, 1), (0,), (2,), None)
    """
    key = said_key(said)
    if not key:
        return () if ended else None
    if ended:
        whole = key.decode("utf-8", "surrogateescape").rstrip(AROUND).encode("utf-8", "surrogateescape")
        return tuple(j for j, word in enumerate(words) if word == whole)
    begun = tuple(j for j, word in enumerate(words) if word.startswith(key) and word != key)
    done = [j for j, word in enumerate(words) if _done(key, word)]
    if begun:
        # more than a word and a blank is the beginning of the longer one: "hate sp"
        return tuple(sorted((*begun, *(j for j in done if words[j] == key.rstrip()))))
    return (max(done, key=lambda j: len(words[j])),) if done else ()


class _Walk:
    """Adds up the probability of each word along what was said."""

    def __init__(self, tokens: Sequence[Token], words: tuple[bytes, ...]) -> None:
        self.tokens = tokens
        self.words = words
        self.parts: list[list[float]] = [[] for _ in words]
        self.shared: list[float] = []
        self.rivals: set[int] = set()
        self.capped = self.unfinished = False
        self.bound = 0.0

    def visit(self, i: int, before: str, logprob: float, lead: str = "") -> None:
        """Hand out the probability of position `i`, which is reached with `logprob` once `before` was said."""
        here = self.tokens[i]
        listed = _merged(here)
        if here.floor is not None:
            self.capped = True
            rest = max(0.0, 1.0 - math.fsum(map(math.exp, listed.values())))
            self.bound = max(self.bound, math.exp(min(0.0, logprob)) * min(rest, math.exp(here.floor)))
        for token, each in listed.items():
            if not token.startswith(lead):
                continue
            said = before + token[len(lead) :]
            found = meant(said, self.words, token == "")
            if found is None or len(found) > 1:
                follows = token == here.token and i + 1 < len(self.tokens) and bool(self.tokens[i + 1].alternatives)
                if follows:
                    self.visit(i + 1, said, logprob + each)
                elif found:
                    self.shared.append(math.exp(logprob + each))
                    self.rivals.update(found)
                    self.unfinished |= token == here.token
            elif found:
                self.parts[found[0]].append(math.exp(logprob + each))

    def scores(self) -> Scores:
        """What was added up."""
        listed = [math.fsum(part) for part in self.parts]
        total = math.fsum(listed) + math.fsum(self.shared)
        # log probabilities are rounded by servers
        scale = 1.0 / max(1.0, total)
        open_ended = {j for j in self.rivals}
        censored = tuple(not part and self.bound > 0.0 and j not in open_ended for j, part in enumerate(self.parts))
        return Scores(
            probabilities=tuple(
                self.bound if gone else scale * each for gone, each in zip(censored, listed, strict=True)
            ),
            censored=censored,
            mass=min(1.0, scale * math.fsum(listed)),
            shared=min(1.0, scale * math.fsum(self.shared)),
            rivals=tuple(sorted(self.rivals)),
            unfinished=self.unfinished,
        )


def _merged(here: Token) -> dict[str, float]:
    """Log probability by token: different tokens may have the same text, and the one that was said may be off the list."""
    out: dict[str, list[float]] = {}
    for token, logprob in here.alternatives:
        out.setdefault(token, []).append(math.exp(min(0.0, logprob)))
    out.setdefault(here.token, [math.exp(min(0.0, here.logprob))])
    return {token: math.log(total) for token, each in out.items() if (total := math.fsum(each)) > 0.0}


def _done(said: bytes, word: bytes) -> bool:
    """Whether the word was said to its end."""
    if not said.startswith(word):
        return False
    return bool(ENDED.match(said[len(word) :].decode("utf-8", "surrogateescape")))
