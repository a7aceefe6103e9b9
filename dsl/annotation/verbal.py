"""Labels and probabilities that a model puts in words, read strictly: what cannot be read is missing, never guessed."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dsl._typing import Record
from dsl.annotation.codebook import AROUND
from dsl.annotation.exchange import Code

ReadLabel: TypeAlias = Callable[[str], Code | None]
"""The label that a text is, or None."""
NAMED = r"(?:(?:probability|confidence|likelihood)\s*[:=]\s*)?"
NUMBER = r"([0-9]{1,4}(?:[.,][0-9]{1,12})?|[.,][0-9]{1,12})"
PROBABILITY = re.compile(rf"{NAMED}{NUMBER}\s*(%|percent|(?:/|out of)\s*(10|100)(?![0-9.,]))?\.?", re.IGNORECASE)
FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
TEN = 10.0
"""Whole numbers up to here may be percentages or tenths."""


def probability_in(said: str) -> float | None:
    """The probability that a text is, or None.

    Read are numbers from 0 to 1; percentages with their sign; whole numbers above 10 and up to 100, which can only be
    percentages; and "8 out of 10", "80/100". A number above 1 and up to 10 without a sign is not read: it may be a percentage or
    tenths. Nor is any sentence, nor a number outside these ranges. "Probability:" before the number and a full stop after it do
    no harm.

    Parameters
    ----------
    said : str

    Examples
    --------
    >>> [probability_in(said) for said in ("0.8", "80%", "80", "8 out of 10", "Probability: .8.", "0,8")]
    [0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
    >>> [probability_in(said) for said in ("8", "1.5", "120%", "1000000000000", "The probability of the text is 1", "")]
    [None, None, None, None, None, None]
    """
    found = PROBABILITY.fullmatch(" ".join(said.strip(AROUND).split()))
    if found is None:
        return None
    number = float(found[1].replace(",", "."))
    if found[3]:
        value = number / float(found[3])
    elif found[2] or (number > TEN and number.is_integer()):
        value = number / 100.0
    else:
        value = number
    return value if value <= 1.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer says.

    Parameters
    ----------
    label : str, int or None
    reason : str
        Why there is no label. Empty where there is one.
    probability : float or None
        Of the label. None where it was not asked or cannot be read.
    said : str
        The part of the answer about the probability, as it was said.
    """

    label: Code | None
    reason: str = ""
    probability: float | None = None
    said: str = ""


def read_label(text: str, read: ReadLabel) -> Reading:
    """The label that an answer is. Anything but one label is a reason, never the nearest label.

    Parameters
    ----------
    text : str
    read : callable
        The label that a text is, or None: `Codebook.code_of`, `Prompt.code_of`.

    Examples
    --------
    >>> from dsl.annotation import Codebook
    >>> read = Codebook("Is it?", ["yes", "no"]).code_of
    >>> read_label(" Yes.", read)
    Reading(label='yes', reason='', probability=None, said='')
    >>> read_label("Yes and no", read).reason
    'not a label'
    """
    if not text.strip():
        return Reading(label=None, reason="empty answer")
    label = read(text)
    return Reading(label=label, reason="" if label is not None else "not a label")


def read_both(text: str, read: ReadLabel) -> Reading:
    r"""A label and its probability, on two lines or with a comma between them.

    Examples
    --------
    >>> from dsl.annotation import Codebook
    >>> read_both("yes\n80%", Codebook("Is it?", ["yes", "no"]).code_of)
    Reading(label='yes', reason='', probability=0.8, said='80%')
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if len(lines) == 1 and read(lines[0]) is None:
        lines = lines[0].split(",", 1)
    found = read_label(lines[0] if lines else "", read)
    if found.label is None:
        return found
    said = "\n".join(lines[1:]).strip()
    return Reading(label=found.label, probability=probability_in(said), said=said)


def read_json(text: str, read: ReadLabel, *, probability: bool) -> Reading:
    """A label, and perhaps its probability, in an answer in JSON.

    A fence of three backquotes around it does no harm; keys twice, other values and broken JSON are reasons.

    Examples
    --------
    >>> from dsl.annotation import Codebook
    >>> read = Codebook("Is it?", ["yes", "no"]).code_of
    >>> read_json('{"label": "yes", "probability": 0.8}', read, probability=True)
    Reading(label='yes', reason='', probability=0.8, said='0.8')
    >>> read_json('{"label": "perhaps"}', read, probability=False).reason
    'not a label'
    """
    if not text.strip():
        return Reading(label=None, reason="empty answer")
    fenced = FENCE.fullmatch(text.strip())
    try:
        given = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once)
    # deep nesting
    except (ValueError, RecursionError):
        return Reading(label=None, reason="broken JSON")
    label = given.get("label") if isinstance(given, dict) else None
    if isinstance(label, bool) or not isinstance(label, str | int):
        return Reading(label=None, reason="no label in the JSON")
    found = read_label(str(label), read)
    if found.label is None or not probability:
        return found
    number = given.get("probability", "")
    said = number if isinstance(number, str) else json.dumps(number)
    return Reading(label=found.label, probability=probability_in(said), said=said)


def _once(pairs: Sequence[tuple[str, object]]) -> Record:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a key is there twice")
    return out
