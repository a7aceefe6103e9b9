"""What a spreadsheet makes of a cell without changing its value: dates, decimal commas, thousands, truth values.

A text may be read in several ways ("1/3/2024" is a day in January or in March). Two texts have the same value if any reading of
the one is a reading of the other, so that a cell is taken for changed only where no reading can explain it.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import TypeAlias

from dsl.sampling.coding.codebook import LONG, canonical, is_number

DIGITS = 6
"""Significant digits of shown numbers that must come back: spreadsheets round."""
Part: TypeAlias = int | None
Moment: TypeAlias = tuple[Part, Part, Part, Part, Part, Part]
"""Year, month, day, hour, minute, second. None where the text does not say."""

_THOUSANDS = re.compile(r"([+-]?)(\d{1,3})(?:([,. '\u2019])(\d{3}))((?:\3\d{3})*)(?:([.,])(\d+))?")
_COMMA = re.compile(r"([+-]?\d*),(\d+(?:e[+-]?\d+)?)", re.IGNORECASE)
_TIME = re.compile(r"(?:^|[T ,]\s*)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap])?\.?(?:m\.?)?$", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?")
_DAY = re.compile(r"(\d{1,2})([-/. ]) ?(\d{1,2})(?:\2 ?(\d{4}|\d{2}))?\.?")
_DAY_NAME = re.compile(r"(\d{1,2})[-./ ]{1,2}([a-z]{3,9})\.?(?:[-./, ]{1,2}(\d{4}|\d{2}))?", re.IGNORECASE)
_NAME_DAY = re.compile(r"([a-z]{3,9})\.?[-./ ]{1,2}(\d{1,2})(?:[-./, ]{1,2}(\d{4}|\d{2}))?", re.IGNORECASE)
_NAME_YEAR = re.compile(r"([a-z]{3,9})\.?[-./, ]{1,2}(\d{4}|\d{2})", re.IGNORECASE)
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TRUTH = {
    **dict.fromkeys(("true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda"), True),
    **dict.fromkeys(("false", "falsch", "faux", "falso", "onwaar", "fa\u0142sz"), False),
}
"""Truth values as spreadsheets of several languages write them."""
_FIRST_DAY = date(1899, 12, 30)
"""Day zero of a spreadsheet's dates."""


def same_value(shown: str, found: str) -> bool:
    """Whether a cell that came back has the value of the text that was shown.

    Examples
    --------
    >>> same_value("2024-01-03", "1/3/2024"), same_value("2024-01-03", "1/4/2024"), same_value("1234.5", "1.234,50")
    (True, False, True)
    """
    one, two = canonical(shown, DIGITS), canonical(found, DIGITS)
    if one == two:
        return True
    if one.casefold() in _TRUTH and two.casefold() in _TRUTH:
        return _TRUTH[one.casefold()] == _TRUTH[two.casefold()]
    if set(_numbers(one)) & set(_numbers(two)):
        return True
    moments, others = list(_moments(one)), list(_moments(two))
    if any(_agree(a, b) for a in moments for b in others):
        return True
    return any(_serial(a) == two for a in moments) or any(_serial(b) == one for b in others)


def was_rounded(shown: str, found: str) -> bool:
    """Whether a spreadsheet has rounded a whole number of more than 15 digits.

    Examples
    --------
    >>> was_rounded("1200000000000000123", "1.2E+18"), was_rounded("1200000000000000123", "1200000000000000124")
    (True, False)
    """
    if not LONG.fullmatch(canonical(shown)):
        return False
    # to 15 digits and zeros, or to as many digits as the cell is wide
    rounded = [text for text in _numbers(canonical(found)) if "e" in text or text.endswith("0")]
    return any(abs(float(text) - float(shown)) <= 0.05 * abs(float(shown)) for text in rounded)


def _numbers(text: str) -> Iterator[str]:
    """Numbers that a canonical text may stand for, in canonical form."""
    if is_number(text):
        yield text
    comma = _COMMA.fullmatch(text)
    if comma:
        yield canonical(f"{comma[1] or '0'}.{comma[2]}", DIGITS)
    grouped = _THOUSANDS.fullmatch(text)
    # the same sign cannot stand for thousands and for decimals
    if grouped and grouped[6] != grouped[3]:
        whole = re.sub(r"\D", "", f"{grouped[2]}{grouped[4]}{grouped[5]}")
        yield canonical(f"{grouped[1]}{whole}.{grouped[7] or '0'}", DIGITS)


def _moments(text: str) -> Iterator[Moment]:
    """Dates and times that a text may stand for."""
    clock: tuple[Part, Part, Part] = (None, None, None)
    time = _TIME.search(text)
    if time:
        hour, minute = int(time[1]), int(time[2])
        if time[4]:
            hour = hour % 12 + (12 if time[4].lower() == "p" else 0)
        if hour > 24 or minute > 59:
            return
        clock = (hour, minute, None if time[3] is None else int(time[3]))
    day = text[: time.start()].strip() if time else text
    if not day:
        yield (None, None, None, *clock)
    for year, month, number in _days(day):
        if (month is None or 1 <= month <= 12) and (number is None or 1 <= number <= 31):
            yield (year, month, number, *clock)


def _days(text: str) -> Iterator[tuple[Part, Part, Part]]:
    """Years, months and days that a text may stand for, possible or not."""
    if found := _ISO.fullmatch(text):
        yield int(found[1]), int(found[2]), None if found[3] is None else int(found[3])
    if found := _DAY.fullmatch(text):
        first, second = int(found[1]), int(found[3])
        for year in _years(found[4]):
            yield year, first, second
            yield year, second, first
    if found := _DAY_NAME.fullmatch(text):
        for year in _years(found[3]):
            yield year, _month(found[2]), int(found[1])
    if found := _NAME_DAY.fullmatch(text):
        for year in _years(found[3]):
            yield year, _month(found[1]), int(found[2])
    if found := _NAME_YEAR.fullmatch(text):
        for year in _years(found[2]):
            yield year, _month(found[1]), None


def _years(text: str | None) -> list[Part]:
    if text is None:
        return [None]
    return [int(text)] if len(text) == 4 else [1900 + int(text), 2000 + int(text)]


def _month(name: str) -> int:
    """1 to 12, or 0 for what is no month's name or the beginning of one."""
    return next((j for j, known in enumerate(_MONTHS, start=1) if known.startswith(name.lower())), 0)


def _agree(one: Moment, two: Moment) -> bool:
    """Whether two moments are one as far as both say. A day without a time is its midnight, but for seconds."""
    if (one[1] is None) != (two[1] is None):
        return False
    days = all(a is None or b is None or a == b for a, b in zip(one[:3], two[:3], strict=True))
    clocks = all((a or 0) == (b or 0) for a, b in zip(one[3:5], two[3:5], strict=True))
    seconds = one[5] is None or two[5] is None or one[5] == two[5]
    return days and clocks and seconds


def _serial(moment: Moment) -> str | None:
    """A date as the number of days by which a spreadsheet stores it, in canonical form."""
    year, month, day, hour, minute, second = moment
    if year is None or month is None or day is None:
        return None
    try:
        days = (date(year, month, day) - _FIRST_DAY).days
    except ValueError:
        return None
    part = ((hour or 0) * 3600 + (minute or 0) * 60 + (second or 0)) / 86_400
    return canonical(f"{days + part:.10g}", DIGITS)
