"""R's functions of dates: comparisons with text, differences, and the parts of a date as text.

Dates without a time of day are days since 1970-01-01, dates with one are seconds, as in R.
"""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.formula.rlang.values import Quantity, Value, Vector, characters, is_dates, numbers, one
from dsl.data.kinds import DAY, DAYS
from dsl.exceptions import FormulaError

_DATE = re.compile(r"(\d{1,4})[-/](\d{1,2})[-/](\d{1,2})(.*)")


def refused(value: Value, function: str) -> Value:
    """The value, unless it is dates: R's mathematical functions are not defined for them. Raises FormulaError."""
    if is_dates(value):
        raise FormulaError(
            f"{function}() is not defined for dates, as in R; as.numeric() gives the days (of dates with a time of day, the "
            "seconds) since 1970"
        )
    return value


def difference(op: str, left: Value, right: Value) -> Vector:
    """Dates less dates (``max(day)`` is a number), or dates and a number of days (seconds, where there is a time of day)."""
    if op not in ("+", "-") or (op == "+" and is_dates(left) and is_dates(right)):
        raise FormulaError(
            f"'{op}' is not defined for dates, as in R; a difference is, as in I(day - as.Date('2020-01-01')), and "
            "as.numeric(day) is a number"
        )
    if is_dates(left) and is_dates(right):
        x, y = same_unit(left, right, f"'{op}'")
    else:
        x, y = numbers(left, f"'{op}'"), numbers(right, f"'{op}'")
    return np.asarray(x + y if op == "+" else x - y)


def same_unit(left: Value, right: Value, what: str) -> tuple[FloatArray, FloatArray]:
    """Dates, and what they are compared with, as numbers of one unit. Text is a date."""
    days = all(side.days for side in (left, right) if isinstance(side, Quantity) and side.dates)
    zone = next(side.zone for side in (left, right) if isinstance(side, Quantity) and side.dates)
    sides = []
    for side in (left, right):
        if isinstance(side, np.ndarray) and side.dtype.kind == "O":
            sides.append(_read(side, days, zone))
        elif isinstance(side, Quantity) and side.days and not days:
            sides.append(side.values * DAY)
        else:
            sides.append(numbers(side, what))
    return sides[0], sides[1]


def _read(texts: Vector, days: bool, zone: object) -> FloatArray:
    """Text such as 2020-01-31 or 2020-01-31 12:30 as days or seconds since 1970."""
    found = []
    for text in texts:
        parts = _DATE.fullmatch(str(text).strip())
        try:
            if parts is None or (days and parts[4]):
                raise ValueError
            year, month, day = (int(part) for part in parts.groups()[:3])
            found.append(pd.Timestamp(f"{year:04d}-{month:02d}-{day:02d}{parts[4]}", tz=zone))  # type: ignore[arg-type]
        except ValueError:
            example = "2020-01-31" if days else "2020-01-31 12:30"
            raise FormulaError(f"{text!r} is compared with dates but is none; write it as '{example}'") from None
    seconds = np.array([time.timestamp() for time in found])
    return seconds / DAY if days else seconds


def as_date(x: Value) -> Quantity:
    """R's ``as.Date`` of text such as 2020-01-31, and of dates."""
    if isinstance(x, Quantity) and x.dates:
        if x.zone is not None:
            raise FormulaError(
                "as.Date() of times in a time zone depends on R's version; compute the column first, or format(time, '%Y-%m-%d')"
            )
        return Quantity(exact=x.exact.astype("datetime64[D]").astype(DAYS), days=True)
    if isinstance(x, np.ndarray) and x.dtype.kind in "bif":
        raise FormulaError("as.Date() needs text or dates; a number of days is one already")
    days = _read(characters(x), True, None)
    return Quantity(exact=days.astype(np.int64).astype("datetime64[D]").astype(DAYS), days=True)


def formatted(x: Value, format: Value = None) -> Vector:
    """R's ``format`` of dates: text by a pattern such as %Y-%m."""
    if format is None:
        return characters(_dates(x, "format"))
    return _texts(_dates(x, "format"), lambda clock: clock.strftime(str(one(format, "format"))))


def weekdays(x: Value) -> Vector:
    """R's ``weekdays``, in English."""
    return _texts(_dates(x, "weekdays"), lambda clock: clock.day_name())


def months(x: Value) -> Vector:
    """R's ``months``, in English."""
    return _texts(_dates(x, "months"), lambda clock: clock.month_name())


def quarters(x: Value) -> Vector:
    """R's ``quarters``: Q1 to Q4."""
    return _texts(_dates(x, "quarters"), lambda clock: pd.Index([f"Q{quarter}" for quarter in clock.quarter]))


def _dates(x: Value, function: str) -> Quantity:
    if not isinstance(x, Quantity) or not x.dates:
        raise FormulaError(f"{function}() needs dates; pd.to_datetime(data['day']) makes dates of text")
    return x


def _texts(x: Quantity, write: Callable[[pd.DatetimeIndex], pd.Index]) -> Vector:
    # distinct dates are written, not rows
    codes, found = pd.factorize(x.exact)
    clock = Quantity(exact=np.asarray(found), days=x.days, zone=x.zone).clock()
    return np.array([str(text) for text in write(clock)], dtype=object)[codes]
