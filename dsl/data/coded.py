"""Columns cut into few parts, each with its name in words, whatever the columns hold."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.tables import is_category

MOST_LEVELS = 20
"""Levels of a category that make parts of their own. Rarer ones are one part."""
FEW_VALUES = 12
"""Distinct numbers up to which each makes a part of its own."""
SHARES = (0.05, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.95)
"""Quantiles at which other numbers are cut."""
STRETCHES = 20
"""Parts of the order of the rows."""
LOOKED_AT = 4096
"""Rows, evenly spaced, that quantiles are taken of. Any cut will do that does not know the labels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A column in parts."""

    name: str
    code: IntArray = field(repr=False)
    """(N,) part of each row, -1 where the value is missing."""
    parts: tuple[str, ...]
    """(C,) the parts in words: ``llm = 0``, ``age above 60``."""
    upto: tuple[str, ...] = ()
    """(C - 3,) the first two parts in words, the first three, ..., where parts have an order."""
    ordered: bool = False
    """Whether they have."""

    @property
    def words(self) -> tuple[str, ...]:
        """Of each test that `dsl.engine.drawn.part_tests` makes."""
        return (*self.parts, *self.upto)


def coded(name: str, column: pd.Series) -> Coded | None:
    """The column in parts, or None for one that has no values of a kind that can be cut, or only one."""
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) and not is_category(column):
        codes = column.astype("boolean").astype("Int8").fillna(-1).to_numpy(dtype=np.int64)
        return _used(name, codes, [f"{name} = False", f"{name} = True"])
    if pd.api.types.is_datetime64_any_dtype(kind):
        seconds = column.to_numpy(dtype="datetime64[s]")
        return _numbers(name, np.where(np.isnat(seconds), np.nan, seconds.astype(np.float64)), time=True)
    if pd.api.types.is_numeric_dtype(kind):
        if pd.api.types.is_complex_dtype(kind):
            return None
        return _numbers(name, column.to_numpy(dtype=float, na_value=np.nan))
    try:
        codes, levels = pd.factorize(column)
    except TypeError:  # lists and other values without a hash
        return None
    return _levels(name, np.asarray(codes, dtype=np.int64), [str(level) for level in levels])


def _levels(name: str, codes: IntArray, levels: list[str]) -> Coded | None:
    words = [f"{name} = {_short(level)}" for level in levels]
    if len(levels) > MOST_LEVELS:
        count = np.bincount(codes[codes >= 0], minlength=len(levels))
        # the most frequent levels, whoever was labelled
        most = np.argsort(-count, kind="stable")[: MOST_LEVELS - 1]
        place = np.full(len(levels) + 1, MOST_LEVELS - 1)
        place[most], place[-1] = np.arange(len(most)), -1
        codes, words = (
            place[codes],
            [*(words[j] for j in most), f"{name} one of its {len(levels) - len(most):,} rarer levels"],
        )
    return _used(name, codes, words)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _used(name: str, codes: IntArray, words: list[str]) -> Coded | None:
    return Coded(name=name, code=codes, parts=tuple(words)) if len(words) > 1 else None


def _numbers(name: str, values: FloatArray, *, time: bool = False) -> Coded | None:
    """Numbers, or moments of time in seconds, each by itself if there are few, else cut at quantiles."""
    missing = np.isnan(values)
    complete = not missing.any()
    known = values if complete else values[~missing]
    if not len(known):
        return None
    sample = np.sort(known[:: max(1, len(known) // LOOKED_AT)])
    found = _few(known, sample)
    if found is not None:
        cuts, words = found[:-1], [f"{name} = {_number(value, time)}" for value in found]
    else:
        cuts = np.unique(sample[[int(share * (len(sample) - 1)) for share in SHARES]])
        inner = [f"{name} above {_number(low, time)} and up to {_number(high, time)}" for low, high in pairwise(cuts)]
        words = [f"{name} up to {_number(cuts[0], time)}", *inner, f"{name} above {_number(cuts[-1], time)}"]
    if len(words) < 2:
        return None
    code = np.zeros(len(values), dtype=np.int8)
    for cut in cuts:
        # truth values as the bytes that they are, which are added without a conversion
        code += (values > cut).view(np.int8)
    if not complete:
        code[missing] = -1
    upto = tuple(f"{name} up to {_number(cut, time)}" for cut in cuts[1:-1])
    return Coded(name=name, code=code.astype(np.int64), parts=tuple(words), upto=upto, ordered=True)


def _few(known: FloatArray, sample: FloatArray) -> FloatArray | None:
    """The distinct values, if they are few."""
    # a sample tells of most columns with many values, without a look at all rows
    if int((sample[1:] != sample[:-1]).sum()) >= FEW_VALUES:
        return None
    found = np.sort(np.asarray(pd.unique(known), dtype=np.float64))
    return found if len(found) <= FEW_VALUES else None


def _number(value: float, time: bool) -> str:
    return str(np.datetime64(int(value), "s")).replace("T00:00:00", "") if time else f"{value:.6g}"


def coded_order(place: IntArray, where: str) -> Coded:
    """The order of the rows in stretches of equal length. `where` says whose order it is."""
    n = len(place)
    stretches = min(STRETCHES, n)
    ends = [-(-n * j // stretches) for j in range(stretches + 1)]
    words = tuple(f"{low + 1:,} to {high:,} {where}" for low, high in pairwise(ends))
    upto = tuple(f"1 to {high:,} {where}" for high in ends[2:-2])
    return Coded(name="", code=place * stretches // n, parts=words, upto=upto, ordered=True)


def coded_within(place: IntArray, group: IntArray, kind: str) -> Coded:
    """The order of the rows within each group 0, 1, ..., in tenths. `kind` is what the groups are."""
    order = np.lexsort((place, group))
    count = np.bincount(group)
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
    words = tuple(f"in the {_TENTHS[j]} tenth of their {kind}" for j in range(10))
    upto = tuple(f"in the first {_COUNTS[j]} tenths of their {kind}" for j in range(7))
    return Coded(name="", code=rank * 10 // count[group], parts=words, upto=upto, ordered=True)


_TENTHS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "last")
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight")
