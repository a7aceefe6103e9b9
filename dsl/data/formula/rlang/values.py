"""R's vectors on numpy: numbers, logicals, text, factors and matrices, and their conversions.

A vector is an array: float64 (numeric), int64 (integer), bool (logical) or object (character). It has one
element per row, or one element, which is recycled. Nothing is missing: rows with missing values are left
out before a formula is evaluated. Dates and long whole numbers are a `Quantity`: a number in arithmetic, exact as a level.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, FloatArray, IntArray
from dsl.data.formula.rlang.collate import collation_key
from dsl.data.formula.rlang.contrasts import POLYNOMIAL, TREATMENT, Contrast
from dsl.data.formula.rlang.syntax import r_number
from dsl.data.kinds import DAYS, complete, in_utc, since_1970, standard
from dsl.exceptions import ColumnTypeError, DataError, FormulaError

Vector = AnyArray
DIGITS = 10**15
"""Whole numbers up to which R's 15 digits tell all apart."""
LARGEST_INTEGER = 2**31 - 1
"""R's integers have 32 bits. Larger whole numbers are doubles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A categorical vector."""

    codes: IntArray
    """(N,) positions among the levels, -1 where there is none."""
    levels: tuple[str, ...]
    labels: tuple[str, ...]
    """Levels as Python writes them (2001.0 for 2001), in coefficients' names."""
    ordered: bool = False
    contrast: Contrast | None = None

    @property
    def coding(self) -> Contrast:
        """The contrasts asked for, or R's default ones."""
        return self.contrast or (POLYNOMIAL if self.ordered else TREATMENT)

    def text(self) -> Vector:
        """Level of each row, (N,) of text."""
        # code -1 takes the last element, None
        return np.array([*self.levels, None], dtype=object)[self.codes]

    def without_rows(self) -> "Factor":
        """The levels alone."""
        return replace(self, codes=self.codes[:0])

    def used(self) -> "Factor":
        """The factor without levels that no row has."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))
        if counts.all():
            return self
        kept = np.flatnonzero(counts)
        return self.relevelled([int(j) for j in kept])

    def relevelled(self, order: Sequence[int]) -> "Factor":
        """The factor with its levels in another order, or fewer of them."""
        # one more than there are levels, so that code -1 stays -1
        new = np.full(len(self.levels) + 1, -1)
        new[list(order)] = np.arange(len(order))
        return replace(
            self,
            codes=new[self.codes],
            levels=tuple(self.levels[j] for j in order),
            labels=tuple(self.labels[j] for j in order),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Several numeric columns that one expression makes."""

    values: FloatArray
    """(N, p)"""
    suffixes: tuple[str, ...]
    """(p,) what R appends to the expression for each column's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Numbers that are written in another way than R writes doubles: dates, and whole numbers of more than 15 digits."""

    exact: AnyArray
    """(N,) numpy's dates, or whole numbers."""
    days: bool = False
    """Whether they are dates without a time of day."""
    zone: datetime.tzinfo | None = None
    """Time zone in which dates with a time of day are written. The exact values are in UTC."""

    @property
    def dates(self) -> bool:
        """Whether these are dates, with or without a time of day."""
        return self.exact.dtype.kind == "M"

    @property
    def values(self) -> FloatArray:
        """As numbers (N,): days since 1970, seconds since 1970, or the nearest doubles."""
        return since_1970(self.exact, days=self.days) if self.dates else self.exact.astype(float)

    def clock(self) -> pd.DatetimeIndex:
        """The dates as they are read in their time zone."""
        out = pd.DatetimeIndex(self.exact)
        return out if self.zone is None else out.tz_localize("UTC").tz_convert(self.zone)

    def without_rows(self) -> "Quantity":
        """The unit alone."""
        return replace(self, exact=self.exact[:0])

    def factor(self) -> Factor:
        """The values as levels, in their order."""
        codes, found = pd.factorize(self.exact, sort=True)
        levels = replace(self, exact=np.asarray(found))._written()
        return Factor(codes=codes.astype(np.int64), levels=levels, labels=levels)

    def _written(self) -> tuple[str, ...]:
        if not self.dates:
            return tuple(str(value) for value in self.exact.tolist())
        if self.days:
            return tuple(str(day) for day in self.exact.astype("datetime64[D]"))
        texts = [str(time.replace(tzinfo=None)) for time in self.clock()]
        # an hour that a clock shows twice has the distance from UTC with it
        return tuple(texts if len(set(texts)) == len(texts) else map(str, self.clock()))


Value = Vector | Factor | Matrix | Quantity | None


def column_value(column: pd.Series, known: Factor | Quantity | None = None) -> Value:
    """A column of a data frame as R's ``data.frame`` would hold it.

    Parameters
    ----------
    column : Series
        Without missing values.
    known : Factor or Quantity, optional
        What this column was when the formula was fitted: the levels or the unit to use.
    """
    kind = column.dtype
    if isinstance(known, Quantity):
        return _like(column, known)
    if isinstance(kind, pd.CategoricalDtype):
        categories = pd.Series(column.cat.categories)
        if isinstance(categories.dtype, pd.IntervalDtype):
            categories = categories.map(str)
        texts = level_texts(categories)
        codes = column.cat.codes.to_numpy().astype(np.int64)
        if known is not None:
            if (codes < 0).any() or len(column) < len(texts):
                return matched(texts[codes], known, str(column.name))
            # categories that no row has may be new ones
            used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
            place = np.zeros(len(texts), dtype=np.int64)
            place[used] = matched(texts[used], known, str(column.name)).codes
            return replace(known, codes=place[codes])
        labels = texts if is_dates(column_value(standard(categories))) else map(str, categories)
        return Factor(codes=codes, levels=tuple(texts), labels=tuple(labels), ordered=bool(column.cat.ordered))
    if known is not None:
        return matched(level_texts(column), known, str(column.name))
    if kind.kind == "M":
        return _dates(column)
    values = complete(column).to_numpy()
    if values.dtype.kind in "iu" and values.size and max(abs(int(values.min())), abs(int(values.max()))) > DIGITS:
        return Quantity(exact=values)
    if values.dtype == object and values.size and all(type(value) is int for value in values):
        return Quantity(exact=values)
    return plain_vector(values)


def _dates(column: pd.Series) -> Quantity:
    values = in_utc(column)
    return Quantity(exact=values, days=values.dtype == DAYS, zone=column.dt.tz)


def _like(column: pd.Series, known: Quantity) -> Value:
    """A column of new rows in the unit that it had when the formula was fitted."""
    value = column_value(standard(column))
    if not known.dates:
        return value
    if not is_dates(value):
        raise ColumnTypeError(
            f"column '{column.name}' (data) must hold dates, as in the analysis; found {column.dtype} values such as "
            f"{column.iloc[0]!r}: make dates of them, pd.to_datetime(data['{column.name}'])"
        )
    assert isinstance(value, Quantity)
    # a date is its midnight, and a date with a time of day a fraction of a day
    return replace(value, days=known.days, zone=known.zone or value.zone)


def is_dates(value: Value) -> bool:
    """Whether a vector holds dates."""
    return isinstance(value, Quantity) and value.dates


def plain_vector(values: ArrayLike) -> Vector:
    """An array of numbers, logicals or text with one of the four types of this module."""
    out = np.asarray(values)
    if out.dtype.kind == "b":
        return out
    if out.dtype.kind in "iu":
        whole: Vector = out.astype(np.int64)
        # beyond R's integers: doubles, as R reads them
        small = not whole.size or bool(np.abs(whole).max() <= LARGEST_INTEGER)
        return whole if small else whole.astype(float)
    if out.dtype.kind == "f":
        return out.astype(float, copy=False)
    if out.dtype.kind in "OUST":
        return out.astype(object)
    raise ColumnTypeError(f"values of type {out.dtype} cannot be used in a formula")


def matched(texts: Vector, known: Factor, name: str) -> Factor:
    """Texts as a factor with the levels of `known`. Raises DataError if there are others."""
    codes = pd.Index(known.levels, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    if (codes < 0).any():
        new = sorted({str(text) for text in texts[codes < 0]})[:4]
        raise DataError(
            f"{name} has categories outside those of the analysis: {', '.join(new)}; it had "
            f"{', '.join(known.levels[:8])}{', ...' if len(known.levels) > 8 else ''}"
        )
    return replace(known, codes=codes.astype(np.int64))


def level_texts(column: pd.Series) -> Vector:
    """Levels of a column's rows, as text."""
    return characters(column_value(standard(column)))


def characters(value: Value) -> Vector:
    """R's ``as.character``."""
    if isinstance(value, Quantity):
        value = value.factor()
    if isinstance(value, Factor):
        return value.text()
    if not isinstance(value, np.ndarray):
        raise FormulaError("a matrix or NULL cannot be turned into text")
    if value.dtype.kind == "b":
        return np.where(value, "TRUE", "FALSE").astype(object)
    if value.dtype.kind == "f":
        distinct, position = np.unique(value, return_inverse=True)
        return np.array([r_number(float(v)) for v in distinct], dtype=object)[position]
    if value.dtype.kind == "i":
        distinct, position = np.unique(value, return_inverse=True)
        return np.array([str(v) for v in distinct], dtype=object)[position]
    return np.array([v if isinstance(v, str) else str(v) for v in value], dtype=object)


def numbers(value: Value, what: str = "arithmetic") -> FloatArray:
    """A vector as float64. Raises FormulaError for text and factors, as R does."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "bif":
        return value.astype(float, copy=False)
    if isinstance(value, Quantity):
        return value.values
    if isinstance(value, Factor):
        raise FormulaError(
            f"{what} needs numbers, found a factor (levels {', '.join(value.levels[:4])}); if the levels are numbers, "
            "as.numeric(as.character(x)) turns them back"
        )
    if isinstance(value, np.ndarray):
        found = ", ".join(repr(v) for v in dict.fromkeys(value[:50]))[:60]
        raise FormulaError(
            f"{what} needs numbers, found text ({found}); compute the column first, or check that it holds numbers"
        )
    raise FormulaError(f"{what} needs one column of numbers, found {'NULL' if value is None else 'a matrix'}")


def logicals(value: Value, what: str) -> Vector:
    """A vector of conditions as bool."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return value
    return np.asarray(numbers(value, what) != 0.0)


def as_factor(value: Value) -> Factor:
    """A vector as a factor: numbers sorted by size, text as R does in its usual locales (`collate`)."""
    if isinstance(value, Quantity):
        return value.factor()
    if isinstance(value, Factor):
        return value
    if not isinstance(value, np.ndarray):
        raise FormulaError("a matrix or NULL cannot be turned into a factor")
    if value.dtype.kind == "O":
        # distinct texts are sorted, not rows: comparing by R's order is slow
        codes, found = pd.factorize(np.asarray(value), use_na_sentinel=False)
        order = sorted(range(len(found)), key=lambda j: collation_key(str(found[j])))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        levels = tuple(str(found[j]) for j in order)
        return Factor(codes=rank[codes], levels=levels, labels=levels)
    distinct, codes = np.unique(value, return_inverse=True)
    text = characters(distinct)
    if len(set(text)) < len(text):  # doubles that agree in 15 digits
        levels = tuple(dict.fromkeys(text))
        codes = np.array([levels.index(t) for t in text])[codes]
        return Factor(codes=codes, levels=levels, labels=levels)
    return Factor(codes=codes.astype(np.int64), levels=tuple(text), labels=tuple(str(v) for v in distinct))


def one(value: Value, what: str) -> str | float:
    """The single element of an argument such as a degree. Raises FormulaError if it is not single."""
    if isinstance(value, np.ndarray) and value.size == 1:
        single: str | float = value.item()
        return single
    raise FormulaError(f"{what} must be a single number, text, TRUE or FALSE")


def whole(value: Value, what: str) -> int:
    """A single whole number."""
    found = one(value, what)
    if isinstance(found, str) or float(found) != int(found):
        raise FormulaError(f"{what} must be a whole number; found {found!r}")
    return int(found)
