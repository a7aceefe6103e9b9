"""What a model is asked about a row, and from its answers to a label with probabilities."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias, get_args

from dsl._typing import JSON
from dsl.annotation.codebook import Codebook, plain
from dsl.annotation.exchange import Answer, Code, Item, Message, Outcome, Request
from dsl.annotation.images import image_url
from dsl.annotation.prompts import Prompt, Script
from dsl.annotation.scores import Scores, label_start, word_scores
from dsl.annotation.verbal import Reading, probability_in, read_both, read_json, read_label
from dsl.data.arguments import check_choice, check_count
from dsl.exceptions import ArgumentError

Confidence: TypeAlias = Literal["logprobs", "verbal", "both", "repeat"]
LISTED = 20
"""Tokens that are asked for at each position: what most servers give at most."""
MOST_SHARED = 0.05
"""Probability of tokens that several labels begin with, as a share of that of all labels, from which a row has no label."""
NO_TEXT = "no text"
REFUSED = {
    "refusal": "refused",
    "content_filter": "refused (content filter)",
    "too_long": "text too long for the model",
}
"""Reasons, for each way in which an answer ends without one."""
MOST_SAID = 200
"""Characters of an answer without a label that are kept."""
CUT_OFF = "answer cut off"
NOT_LISTED = "no label among the listed tokens"
NO_LIST = "no log probabilities where the label stands"
SHARED = "labels begin with the same token"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Parameters of the requests that are the same for all rows."""

    words: tuple[str, ...]
    first: Mapping[str, JSON]
    second: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class LabelInterview:
    r"""Questions about a row and what their answers come to: an `exchange.Interview`.

    Parameters
    ----------
    book : Codebook
    prompt : Prompt
    model : str
    confidence : {"logprobs", "verbal", "both", "repeat"}
        Where probabilities come from: those of the labels' tokens; the model's own words; both of them; or the shares of
        labels among several answers to the same question.
    repeats : int
        Answers for each row (``"repeat"``).
    temperature : float, optional
        Of the model's sampling. None: not sent.
    max_tokens : int, optional
        Longest answer. None: what the labels need.
    seed : int, optional
        Sent to the server, one more for each repeated question.
    extra_body : mapping
        Whatever else the server understands. What it names is not sent otherwise. ``n_probs`` of llama.cpp counts as the number
        of tokens to list.

    Raises
    ------
    ArgumentError
        Prompt, confidence and temperature do not go together.

    Examples
    --------
    >>> from dsl.annotation import Codebook, Prompt
    >>> book = Codebook("Is the tweet positive?", ["yes", "no"])
    >>> interview = LabelInterview(book=book, prompt=Prompt.one_stage(), model="m", confidence="verbal")
    >>> [asked] = interview.questions(Item(text="I love it"), [])
    >>> asked.messages[-1]["content"]
    'Text: I love it'
    >>> interview.outcome([Answer(text="yes\n75%")]).probabilities
    (0.75, 0.25)
    """

    book: Codebook
    prompt: Prompt
    model: str
    confidence: Confidence = "logprobs"
    repeats: int = 5
    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    extra_body: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the arguments go together."""
        check_choice("confidence", self.confidence, get_args(Confidence))
        if self.max_tokens is not None:
            check_count(self.max_tokens, name="max_tokens", least=1)
        if self.confidence == "repeat":
            check_count(self.repeats, name="repeats", least=2)
            if self.temperature is not None and self.temperature <= 0:
                raise ArgumentError(
                    "confidence='repeat' counts different answers to the same question, of which temperature 0 gives none; pass "
                    "temperature=1"
                )
        if self.prompt.follow_up and not self._verbal:
            raise ArgumentError(
                f"the prompt asks in two stages how likely the label is, which confidence='{self.confidence}' does not use; pass "
                "confidence='verbal' or 'both', or Prompt.one_stage()"
            )
        if self._verbal and not self.prompt.follow_up and not self.prompt.both:
            raise ArgumentError(
                f"confidence='{self.confidence}' asks for a probability, which the prompt does not: give it both= or follow_up="
            )

        if self._at_once and "{instruction}" not in self.prompt.system + self.prompt.template:
            raise ArgumentError(
                f"confidence='{self.confidence}' asks for a probability, for which the prompt has no place ({{instruction}}); "
                f"use Prompt.two_stage(kind='{self.prompt.kind}')"
            )

    @property
    def _verbal(self) -> bool:
        return self.confidence in ("verbal", "both")

    @property
    def _listed(self) -> bool:
        return self.confidence in ("logprobs", "both")

    @property
    def _at_once(self) -> bool:
        """Whether label and probability are asked for in one question."""
        return self._verbal and not self.prompt.follow_up

    @cached_property
    def _script(self) -> Script:
        return self.prompt.script(self.book, ask_both=self._at_once)

    @cached_property
    def _parts(self) -> _Parts:
        words = self._script.words
        chat = self.prompt.kind == "chat"
        extra = dict(self.extra_body)
        first: dict[str, JSON] = {"temperature": self.temperature, "seed": self.seed}
        first["max_tokens"] = self.max_tokens or self._longest(words)
        second = {**first, "max_tokens": self.max_tokens or 16}
        if self._listed:
            asked = extra.pop("n_probs", LISTED) if chat else LISTED
            first.update({"logprobs": True, "top_logprobs": asked} if chat else {"logprobs": asked})
        if self.prompt.form == "json":
            first["response_format"] = self.prompt.schema(self.book, ask_both=self._at_once)
        if not chat:
            first["stop"] = ["\n\n"] if self._at_once else ["\n"]
            second["stop"] = ["\n"]
        for each in (first, second):
            each.update({"extra_body": extra} if extra else {})
        return _Parts(words=words if self._listed else (), first=_sent(first), second=_sent(second))

    def _longest(self, words: tuple[str, ...]) -> int:
        """Tokens that an answer needs at most: a token has a byte at least, and most have three or more."""
        longest = max(len(word.encode()) for word in words)
        if self._at_once or self.prompt.form == "json":
            return longest + 40
        starts = {plain(word)[0] for word in words}
        # one token decides where no two labels begin alike, and a text to complete is expected to go on with one
        if self.confidence == "logprobs" and self.prompt.kind == "completion" and len(starts) == len(words):
            return 1
        return longest + 4

    def questions(self, item: Item, answers: Sequence[Answer]) -> tuple[Request, ...]:
        """What to ask next about a row, given all answers so far.

        Parameters
        ----------
        item : Item
        answers : sequence of Answer

        Raises
        ------
        FileError, DataError
            The row's image cannot be read.
        """
        if not (item.text or "").strip() and not item.image:
            return ()
        if not answers:
            first = self._first(item)
            if self.confidence != "repeat":
                return (first,)
            return tuple(self._again(first, repeat) for repeat in range(self.repeats))
        if len(answers) == 1 and self._verbal and self.prompt.follow_up:
            label = self._read(answers[0]).label
            return () if label is None else (self._second(item, answers[0], label),)
        return ()

    def _first(self, item: Item) -> Request:
        parts = self._parts
        if self.prompt.kind == "completion":
            if item.image:
                raise ArgumentError("images are asked about in a chat; use a prompt of kind='chat'")
            sent = self._script.text(item)
            return Request(model=self.model, prompt=sent, parameters=parts.first, words=parts.words)
        chat = self._chat(item)
        return Request(model=self.model, messages=chat, parameters=parts.first, words=parts.words)

    def _chat(self, item: Item) -> tuple[Message, ...]:
        url = image_url(item.image) if item.image else ""
        return self._script.messages(item, url)

    def _again(self, first: Request, repeat: int) -> Request:
        more = {} if self.seed is None else {"seed": self.seed + repeat}
        return Request(
            model=first.model,
            messages=first.messages,
            prompt=first.prompt,
            parameters={**first.parameters, **more},
            repeat=repeat,
        )

    def _second(self, item: Item, answer: Answer, label: Code) -> Request:
        asked = self.prompt.second(self.book, label)
        if self.prompt.kind == "completion":
            before = self._script.text(item)
            sent = f"{before} {answer.text.strip()}\n{asked}\nProbability:"
            return Request(model=self.model, prompt=sent, parameters=self._parts.second)
        more: tuple[Message, ...] = (
            {"role": "assistant", "content": answer.text},
            {"role": "user", "content": asked},
        )
        return Request(model=self.model, messages=(*self._chat(item), *more), parameters=self._parts.second)

    def _code(self, said: str) -> Code | None:
        return self.prompt.code_of(said, self.book)

    def _read(self, answer: Answer) -> Reading:
        """The label, and perhaps the probability, that the first answer says."""
        if answer.finish in REFUSED:
            return Reading(label=None, reason=REFUSED[answer.finish])
        if self.prompt.form == "json":
            found = read_json(answer.text, self._code, probability=self._at_once)
        elif self._at_once:
            found = read_both(answer.text, self._code)
        else:
            found = read_label(answer.text, self._code)
        cut = answer.finish == "length" and not self._at_once and self.prompt.form == "plain"
        # "hate", cut off, may be the beginning of "hate speech"
        if cut and found.label is not None and self._goes_on(answer.text):
            return Reading(label=None, reason=CUT_OFF)
        if answer.finish == "length" and found.label is None:
            return Reading(label=None, reason=CUT_OFF)
        return found

    def _goes_on(self, text: str) -> bool:
        return sum(plain(word).startswith(plain(text)) for word in self._script.words) > 1

    def outcome(self, answers: Sequence[Answer]) -> Outcome:
        """Label, probabilities and the rest, from all answers about a row.

        Parameters
        ----------
        answers : sequence of Answer

        Raises
        ------
        ArgumentError
            What the model said may be several labels, such as "hate", where another is "hate speech" and the server does not list
            the end of a text; or the server gives no log probabilities.
        """
        if not answers:
            return self._missing(NO_TEXT)
        if answers[0].scores is not None:
            return self._given(answers)
        if self.confidence == "repeat":
            return self._shares(answers)
        if not self._verbal:
            return self._scored(answers[0])
        reading = self._read(answers[0])
        if len(answers) > 1:
            said = answers[1].text.strip()
            reading = Reading(label=reading.label, probability=probability_in(said), said=said)
        return self._put_in_words(answers[0], reading)

    def _missing(self, reason: str, *, mass: float = math.nan, censored: bool = False, said: str = "") -> Outcome:
        unknown = (math.nan,) * len(self.book.codes)
        return Outcome(
            label=None, probabilities=unknown, mass=mass, censored=censored, said=said[:MOST_SAID], reason=reason
        )

    def _scored(self, answer: Answer) -> Outcome:
        """The most probable label by its tokens."""
        if answer.finish in REFUSED:
            return self._missing(REFUSED[answer.finish])
        start = 0
        if self.prompt.form == "json":
            found = label_start(answer.tokens)
            if found is None:
                reason = self._read(answer).reason
                return self._missing(reason) if reason else self._without_list(answer)
            start = found
        scores = word_scores(answer.tokens, self._script.words, start=start)
        if scores is None:
            return self._without_list(answer)
        if scores.shared > MOST_SHARED * (scores.mass + scores.shared):
            if scores.unfinished:
                raise ArgumentError(self._alike(scores))
            return self._missing(SHARED, mass=scores.mass)
        if all(scores.censored) or scores.mass <= 0.0:
            return self._missing(NOT_LISTED, mass=scores.mass, censored=any(scores.censored))
        return self._most_likely(scores.scaled(), mass=scores.mass, censored=any(scores.censored))

    def _without_list(self, answer: Answer) -> Outcome:
        if not answer.text.strip():
            return self._missing("empty answer")
        # a server that gives none gives none for all rows; of JSON, lists are kept where the label is expected
        listed = answer.tokens if self.prompt.form == "json" else [each for each in answer.tokens if each.alternatives]
        if not listed:
            raise ArgumentError(
                "the server gives no log probabilities with this model; use confidence='verbal', or confidence='repeat' with "
                "temperature=1, or another server. A function as a model returns a dict of label to probability"
            )
        return self._missing(NO_LIST)

    def _alike(self, scores: Scores) -> str:
        first, second = (self._script.words[place] for place in scores.rivals[:2])
        return (
            f"the labels {first!r} and {second!r} cannot be told apart by what this model says: it ends where both may be meant. "
            "Prompt.one_stage(options='letters') gives each label a letter, or name them so that they do not begin alike"
        )

    def _most_likely(self, probabilities: tuple[float, ...], *, mass: float, censored: bool = False) -> Outcome:
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        return Outcome(
            label=self.book.codes[best],
            probabilities=probabilities,
            confidence=probabilities[best],
            mass=mass,
            censored=censored,
        )

    def _put_in_words(self, answer: Answer, reading: Reading) -> Outcome:
        """The label that was said with the probability that was said, and those of its tokens where both are asked for."""
        verbal = math.nan if reading.probability is None else reading.probability
        if self._listed:
            scored = self._scored(answer)
            if scored.label is None or reading.label is None:
                reason = scored.reason or reading.reason
                return self._missing(reason, mass=scored.mass, censored=scored.censored, said=answer.text.strip())
            # of two labels, what was said about one says it of the other
            if reading.label != scored.label:
                verbal = 1.0 - verbal if len(self.book.codes) == 2 else math.nan
            return Outcome(
                label=scored.label,
                probabilities=scored.probabilities,
                confidence=scored.confidence,
                mass=scored.mass,
                censored=scored.censored,
                verbal=verbal,
                said=reading.said,
            )
        if reading.label is None:
            return self._missing(reading.reason, said=answer.text.strip())
        place = self.book.codes.index(reading.label)
        two = len(self.book.codes) == 2
        shown = [1.0 - verbal if two else math.nan] * len(self.book.codes)
        shown[place] = verbal
        return Outcome(
            label=reading.label, probabilities=tuple(shown), confidence=verbal, verbal=verbal, said=reading.said
        )

    def _shares(self, answers: Sequence[Answer]) -> Outcome:
        """Shares of the labels among the answers that are one."""
        readings = [self._read(answer) for answer in answers]
        counts = Counter(reading.label for reading in readings if reading.label is not None)
        total = counts.total()
        if not total:
            return self._missing(Counter(reading.reason for reading in readings).most_common(1)[0][0])
        shares = tuple(counts[code] / total for code in self.book.codes)
        return self._most_likely(shares, mass=total / len(answers))

    def _given(self, answers: Sequence[Answer]) -> Outcome:
        """Probabilities that a callable gave: their mean, where it was called several times."""
        sums = dict.fromkeys(self.book.codes, 0.0)
        for answer in answers:
            for word, score in answer.scores or ():
                code = self._code(word)
                if code is None:
                    return self._missing("not a label")
                sums[code] += score / len(answers)
        mass = math.fsum(sums.values())
        if mass <= 0.0:
            return self._missing("no probability on any label")
        return self._most_likely(tuple(each / mass for each in sums.values()), mass=min(1.0, mass))


def _sent(parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """Parameters with a value, without those that `extra_body` names."""
    extra = parameters.get("extra_body")
    named = set(extra) if isinstance(extra, Mapping) else set()
    # a server's own name for the longest answer takes the place of ours
    if {"max_completion_tokens", "n_predict"} & named:
        named.add("max_tokens")
    return {name: value for name, value in parameters.items() if value is not None and name not in named}
