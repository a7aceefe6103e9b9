"""What kind of column this is: one answer for every container, role and call.

`plain` gives a column of any container one of a few dtypes, without loss. `kind_of` says what it holds, `unusable` what no
role can use, and `standard` brings intervals and dates into the one form in which an analysis holds them.

The rules:

- A categorical dtype (R's factor, Stata's labels, polars' Categorical and Enum, pyarrow's dictionary) is a category whatever
  its levels look like. Only an unordered one with exactly the levels 0 and 1 stands for a number where a number is wanted.
- Whole numbers beyond 2^53, which floats do not tell apart, stay whole numbers.
- Dates are numbers in formulas and for learners, as in R: days since 1970-01-01. Dates with a time of day are seconds.
  A column of pandas' ``datetime64`` without time zone is one of dates if every value is a midnight, since pandas has no
  type of dates. A period is the day at which it starts.
"""

import datetime
from collections.abc import Hashable, Iterable
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype, is_object_dtype

from dsl._typing import AnyArray, BoolArray, FloatArray

EXACT = 2**53
"""Whole numbers up to which floats are exact."""
DAYS = np.dtype("datetime64[s]")
"""The dtype of dates in an analysis. Dates with a time of day have a finer unit, or a time zone."""
DAY = 86_400
"""Seconds."""
Unusable: TypeAlias = tuple[BoolArray, str, str]
"""The rows, what they hold, and what to do."""


class Kind(Enum):
    """What a column holds."""

    NUMBER = "numbers"
    TRUTH = "truth values"
    TEXT = "text"
    CATEGORY = "categories"
    DATE = "dates"
    TIME = "dates with a time of day"

    @property
    def dated(self) -> bool:
        """Whether these are dates, with or without a time of day."""
        return self in (Kind.DATE, Kind.TIME)


# What elements of object columns are, the first that fits: an Enum may be text, a datetime is a date, True is a number
_ELEMENTS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (Enum, "enum"),
    ((bool, np.bool_), "truth"),
    ((Real, Decimal), "number"),
    (str, "text"),
    (pd.Interval, "interval"),
    (pd.Period, "period"),
    ((datetime.datetime, np.datetime64), "time"),
    (datetime.date, "date"),
    ((datetime.timedelta, np.timedelta64), "duration"),
    (datetime.time, "clock"),
    ((bytes, bytearray, memoryview), "bytes"),
    (complex, "complex"),
)
_USABLE = ("truth", "number", "text", "interval", "period", "time", "date")
_DATED = {"period", "time", "date"}
_ADVICE = {
    "enum": (
        "members of an Enum",
        "use their values, data['{0}'].map(lambda member: member.value, na_action='ignore')",
    ),
    "duration": ("durations", "make numbers of them: pd.to_timedelta(data['{0}']).dt.total_seconds() / 86400 are days"),
    "clock": ("times of day", "make numbers of them, e.g. data['{0}'].map(lambda t: t.hour + t.minute / 60)"),
    "bytes": ("bytes", "make text of them, data['{0}'].str.decode('utf-8')"),
    "complex": ("complex numbers", "use real ones, e.g. np.real"),
}


def _element(kind: type) -> str:
    return next((name for known, name in _ELEMENTS if issubclass(kind, known)), "other")


def _elements(column: pd.Series) -> set[str]:
    """Words for what an object column holds, missing values apart."""
    types = {kind: _element(kind) for kind in set(map(type, column.dropna()))}
    return set(types.values())


def plain(column: pd.Series) -> pd.Series:
    """A column with a numpy dtype instead of a nullable, Arrow or object dtype, where its values are numbers.

    What a numpy dtype cannot hold stays as it is. True and False with missing values are pandas' ``boolean``, a category
    of two, as in R. Whole numbers with missing values are ``Int64`` (``UInt64``, Python's own) if floats would not be exact.
    """
    kind = column.dtype
    # pyarrow's name for categories. Their order counts, and astype("category") fails on missing ones
    if isinstance(kind, pd.ArrowDtype) and str(kind).startswith("dictionary"):
        made = cast(Any, column.array).__arrow_array__().unify_dictionaries().to_pandas()
        return pd.Series(made.array, index=column.index, name=column.name)
    if is_object_dtype(kind):
        return _plain_objects(column)
    if isinstance(kind, pd.CategoricalDtype | np.dtype | pd.PeriodDtype | pd.IntervalDtype | pd.DatetimeTZDtype):
        return column
    if is_bool_dtype(kind):
        return column.astype("boolean" if column.isna().any() else bool)
    if is_integer_dtype(kind):
        return _plain_integers(column)
    if str(kind).startswith("decimal"):
        return _plain_objects(column.astype(object))
    if is_numeric_dtype(kind):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    if isinstance(kind, pd.ArrowDtype) or getattr(kind, "na_value", None) is pd.NA:  # text, dates
        return column.astype(object).where(column.notna(), None).infer_objects()
    return column


def _plain_integers(column: pd.Series) -> pd.Series:
    """Whole numbers of a nullable or Arrow dtype."""
    known = column.dropna()
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    if len(known) < len(column) and low >= -EXACT and high <= EXACT:
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    signed = high <= np.iinfo(np.int64).max
    if len(known) == len(column):
        return column.astype("int64") if signed else column.astype("uint64")
    return column.astype("Int64") if signed else column.astype("UInt64")


def _plain_objects(column: pd.Series) -> pd.Series:
    found = _elements(column)
    if found == {"truth"} and column.isna().any():
        return column.astype(object).where(column.notna(), None).astype("boolean")
    if not found <= {"truth", "number"}:
        # members of an Enum may be text as well: they are left for `unusable` to see
        return column if "enum" in found else column.infer_objects()
    known = column.dropna()
    if found == {"number"} and all(map(_is_whole, known)) and any(abs(v) > EXACT for v in known):
        return _large_integers(column)
    try:
        made = column.infer_objects()
    except OverflowError:  # some versions of pandas do not know such whole numbers
        made = column
    if not is_object_dtype(made.dtype):
        return made
    try:
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
    except OverflowError:  # whole numbers beyond all floats
        numbers = np.array([np.nan if pd.isna(v) else float(Decimal(v)) for v in column])
    return pd.Series(numbers, index=column.index, name=column.name)


def _is_whole(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and value == value.to_integral_value()
    return isinstance(value, int | np.integer)


def _large_integers(column: pd.Series) -> pd.Series:
    """Python's whole numbers in the smallest dtype that holds them."""
    there = column.notna().to_numpy()
    values = [int(value) if known else None for value, known in zip(column, there, strict=True)]
    known = [value for value in values if value is not None]
    dtypes = ("int64", "Int64") if min(known) >= -(2**63) and max(known) < 2**63 else ("uint64", "UInt64")
    if dtypes[0] == "uint64" and (min(known) < 0 or max(known) >= 2**64):
        return pd.Series(values, index=column.index, name=column.name, dtype=object)
    return pd.Series(values, index=column.index, name=column.name, dtype=dtypes[0 if there.all() else 1])


def kind_of(column: pd.Series) -> Kind:
    """What a column that `plain` made holds. Dates are told from dates with a time of day by their values."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype | pd.IntervalDtype):
        return Kind.CATEGORY
    if is_bool_dtype(kind):
        return Kind.TRUTH
    if is_numeric_dtype(kind):
        return Kind.NUMBER
    if is_object_dtype(kind):
        found = _elements(column)
        if found and found <= _DATED:
            return kind_of(_dates(column))
        if found == {"interval"}:
            return Kind.CATEGORY
        return Kind.NUMBER if found <= {"number", "truth"} else Kind.TEXT
    if isinstance(kind, pd.PeriodDtype) or kind.kind == "M":
        return Kind.DATE if _dates(column).dtype == DAYS else Kind.TIME
    return Kind.TEXT


def standard(column: pd.Series) -> pd.Series:
    """A column that `plain` made, as an analysis holds it.

    Intervals are categories. Dates are numpy's (pandas' where they have a time zone), of the dtype `DAYS` if they have no time
    of day.
    """
    kind = column.dtype
    if isinstance(kind, pd.IntervalDtype):
        return column.astype("category")
    if isinstance(kind, pd.PeriodDtype) or kind.kind == "M":
        return _dates(column)
    if is_object_dtype(kind):
        found = _elements(column)
        if found == {"interval"}:
            return column.astype("category")
        if found and found <= _DATED:
            return _dates(column)
    return column


def _dates(column: pd.Series) -> pd.Series:
    """Dates of any type as numpy's, or pandas' where they have a time zone."""
    kind = column.dtype
    if isinstance(kind, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    elif is_object_dtype(kind):
        column = _dates_of_objects(column)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column
    values = column.to_numpy()
    midnight = np.isnat(values) | (values.astype("datetime64[D]") == values)
    if midnight.all():
        return column.astype(DAYS)
    return column.astype("datetime64[us]") if column.dtype == DAYS else column


def _dates_of_objects(column: pd.Series) -> pd.Series:
    there = column.notna().to_numpy()
    known = [value.start_time if isinstance(value, pd.Period) else value for value in column[there]]
    if any(getattr(value, "tzinfo", None) is not None for value in known):
        # instants of several time zones are compared in one
        return cast(pd.Series, pd.to_datetime(column, utc=True))
    values = np.full(len(column), np.datetime64("NaT"), dtype="datetime64[us]")
    values[there] = np.array([np.datetime64(value, "us") for value in known], dtype="datetime64[us]")
    return pd.Series(values, index=column.index, name=column.name)


def in_utc(column: pd.Series) -> AnyArray:
    """Dates in the form that `standard` makes as numpy's, those of a time zone in UTC, (N,)."""
    return (column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column).to_numpy()


def since_1970(dates: AnyArray, *, days: bool) -> FloatArray:
    """R's numbers of dates (N,): days since 1970-01-01, or seconds. NaN where missing."""
    each = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[np.datetime_data(dates.dtype)[0]]
    count = np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(float))
    return np.asarray(count / (each * DAY if days else each))


def as_float(column: pd.Series) -> FloatArray | None:
    """Numbers, truth values and dates as floats (N,), NaN where missing. None for text and categories."""
    kind = kind_of(column)
    if kind.dated:
        return since_1970(in_utc(standard(column)), days=kind is Kind.DATE)
    if kind in (Kind.NUMBER, Kind.TRUTH):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return None


def complete(column: pd.Series) -> pd.Series:
    """A column without missing values in numpy's dtype, where only these asked for another one. One with some as it is."""
    if isinstance(column.dtype, np.dtype) or column.isna().any():
        return column
    if isinstance(column.dtype, pd.BooleanDtype):
        return column.astype(bool)
    if isinstance(column.dtype, pd.Int64Dtype):
        return column.astype("int64")
    if isinstance(column.dtype, pd.UInt64Dtype):
        return column.astype("uint64")
    return column


def zero_one(column: pd.Series) -> pd.Series | None:
    """The numbers 0 and 1 of a column that writes them as text or as the two levels of an unordered category.

    None for every other column. False and True are such levels too.
    """
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        if kind.ordered or len(kind.categories) != 2:
            return None
        numbers = [_zero_or_one(level) for level in kind.categories]
        if set(numbers) != {0.0, 1.0}:
            return None
        values = np.array([*cast(list[float], numbers), np.nan])[column.cat.codes.to_numpy()]
        return pd.Series(values, index=column.index, name=column.name)
    if kind_of(column) is not Kind.TEXT:
        return None
    codes, found = pd.factorize(column)
    numbers = [_zero_or_one(level) for level in found]
    if not numbers or None in numbers:
        return None
    # code -1, missing, takes the last element
    return pd.Series(
        np.array([*cast(list[float], numbers), np.nan])[codes], index=column.index, name=column.name, dtype=float
    )


def _zero_or_one(level: Hashable) -> float | None:
    if isinstance(level, str):
        return {"0": 0.0, "1": 1.0}.get(level)
    return float(level) if isinstance(level, Real | np.bool_) and level in (0, 1) else None


def unusable(column: pd.Series) -> Unusable | None:
    """What no role can use in a column: which rows, what they hold, and what to do. None if there is nothing."""
    kind, name = column.dtype, str(column.name)
    if isinstance(kind, pd.CategoricalDtype):
        found = unusable(pd.Series(kind.categories.to_numpy(), name=name))
        if found is None:
            return None
        # code -1, missing, takes the last element
        return np.append(found[0], False)[column.cat.codes.to_numpy()], f"categories that are {found[1]}", found[2]
    if kind.kind == "c":
        return _unusable(column, "complex", np.asarray(column.notna()))
    if kind.kind == "m":
        return _unusable(column, "duration", np.asarray(column.notna()))
    if not is_object_dtype(kind):
        return None
    words = _elements(column)
    bad = words - set(_USABLE)
    if not bad:
        mixed = words & _DATED and words - _DATED
        return _mixed(column) if mixed else None
    row = _words(column)
    word = next(word for word in row if word in bad)
    return _unusable(column, word, np.asarray(row == word))


def _words(column: pd.Series) -> AnyArray:
    """For each row what it holds, empty where missing, (N,)."""
    missing = column.isna().to_numpy()
    return np.array(["" if gone else _element(type(v)) for v, gone in zip(column, missing, strict=True)], dtype=object)


def _unusable(column: pd.Series, word: str, rows: BoolArray) -> Unusable:
    if word in _ADVICE:
        what, advice = _ADVICE[word]
        return rows, what, advice.format(column.name)
    first = column[rows].iloc[0]
    kind = type(first).__name__
    if isinstance(first, Iterable):
        return rows, f"a {kind}", "a row must hold one number or text: spread its elements over several columns"
    return rows, f"{kind} objects", f"make text of them, data['{column.name}'].map(str, na_action='ignore'), or numbers"


def _mixed(column: pd.Series) -> Unusable:
    rows = np.asarray([word not in _DATED and word != "" for word in _words(column)])
    found = ", ".join(repr(value) for value in column[rows].unique()[:3])
    return (
        rows,
        f"dates, and {found}",
        f"make all of them dates, pd.to_datetime(data['{column.name}'], errors='coerce')",
    )
