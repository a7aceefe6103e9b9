"""R's functions that make factors: ``factor``, ``relevel``, ``cut``, ``interaction`` and their relatives."""

import math
from itertools import pairwise

import numpy as np

from dsl.data.formula.rlang.basis import State
from dsl.data.formula.rlang.syntax import r_number
from dsl.data.formula.rlang.values import (
    Factor,
    Value,
    Vector,
    as_factor,
    characters,
    is_dates,
    matched,
    numbers,
    one,
    whole,
)
from dsl.exceptions import FormulaError

MOST_LEVELS = 1_000_000
"""Levels that a factor may have before those without rows are left out."""


def factor(
    state: State, x: Value, levels: Value = None, labels: Value = None, exclude: Value = None, ordered: Value = None
) -> Factor:
    """R's ``factor``: without unused levels. Numbers are sorted by size, text as in R's usual locales."""
    if exclude is not None:
        raise FormulaError("exclude in factor() cannot be used; leave these rows out of the data")
    if "factor" in state and "labels" not in state:
        return matched(characters(x), state["factor"], "factor()")
    found = as_factor(x)
    if "source" in state:
        known = matched(characters(x), state["source"], "factor()")
        return _labelled(known, state["labels"], state["ordered"])
    in_order = found.ordered if ordered is None else bool(one(ordered, "ordered in factor()"))
    if levels is not None:
        wanted = list(characters(levels))
        missing = [level for level in found.used().levels if level not in wanted]
        if missing:
            raise FormulaError(
                f"levels of factor() leave out {missing[0]!r}, which occurs in the data; list it, or leave its rows out"
            )
        places = [found.levels.index(level) for level in wanted if level in found.levels]
        found = found.relevelled(places)
    found = found.used() if isinstance(x, Factor) or levels is not None else found
    found = Factor(codes=found.codes, levels=found.levels, labels=found.labels, ordered=in_order)
    if labels is None:
        state["factor"] = found.without_rows()
        return found
    names = list(characters(labels))
    if levels is not None and len(names) == len(characters(levels)):
        names = [name for name, level in zip(names, characters(levels), strict=True) if level in found.levels]
    if len(names) == 1 and len(found.levels) > 1:
        # one label for several levels: R numbers it
        names = [f"{names[0]}{j + 1}" for j in range(len(found.levels))]
    if len(names) != len(found.levels):
        raise FormulaError(f"factor() has {len(names)} labels for {len(found.levels)} levels")
    # new rows are matched with the levels as they were before labels renamed them
    state.update(source=found.without_rows(), labels=names, ordered=in_order)
    return _labelled(found, names, in_order)


def _labelled(source: Factor, names: list[str], ordered: bool) -> Factor:
    """The factor with other names. Levels of the same name become one."""
    levels = tuple(dict.fromkeys(names))
    merge = np.array([levels.index(name) for name in names])
    return Factor(codes=merge[source.codes], levels=levels, labels=levels, ordered=ordered)


def ordered(state: State, x: Value, levels: Value = None, labels: Value = None) -> Factor:
    """R's ``ordered``."""
    return factor(state, x, levels, labels, ordered=np.array([True]))


def keep_factor(state: State, x: Value) -> Factor:
    """R's ``as.factor``: a factor stays as it is."""
    return x if isinstance(x, Factor) else factor(state, x)


def keep_ordered(state: State, x: Value) -> Factor:
    """R's ``as.ordered``."""
    return x if isinstance(x, Factor) and x.ordered else ordered(state, x)


def relevel(state: State, x: Value, ref: Value) -> Factor:
    """R's ``relevel``: `ref`, a level or its number, becomes the first level."""
    found = x if isinstance(x, Factor) else factor(state, x)
    if found.ordered:
        raise FormulaError("relevel() is for factors without an order; factor(x, ordered = FALSE) removes it")
    wanted = one(ref, "ref in relevel()")
    place = int(wanted) - 1 if not isinstance(wanted, str) else None
    if place is None:
        if wanted not in found.levels:
            raise FormulaError(f"relevel() does not find {wanted!r} among the levels {', '.join(found.levels[:8])}")
        place = found.levels.index(wanted)
    if not 0 <= place < len(found.levels):
        raise FormulaError(f"relevel() has ref = {wanted!r}, but there are {len(found.levels)} levels")
    return found.relevelled([place, *(j for j in range(len(found.levels)) if j != place)])


def cut(
    state: State,
    x: Value,
    breaks: Value,
    labels: Value = None,
    include_lowest: Value = None,
    right: Value = None,
    dig_lab: Value = None,
    ordered_result: Value = None,
) -> Factor | Vector:
    """R's ``cut``: intervals between `breaks`, or that many of equal width."""
    if is_dates(x):
        raise FormulaError(
            "cut() of dates cannot be used; factor(format(day, '%Y-%m')) is a category for each month, and cut(as.numeric(day), "
            "...) cuts days since 1970"
        )
    values = numbers(x, "cut()")
    closed_right = right is None or bool(one(right, "right in cut()"))
    if not state:
        state["breaks"] = _breaks(values, numbers(breaks, "breaks of cut()"))
    at = state["breaks"]
    # (a, b] holds b: the first break that is not below the value. [a, b) holds a: the first above it.
    codes = np.searchsorted(at, values, side="left" if closed_right else "right") - 1
    if include_lowest is not None and one(include_lowest, "include.lowest in cut()"):
        edge = at[0] if closed_right else at[-1]
        codes[values == edge] = 0 if closed_right else len(at) - 2
    outside = (codes < 0) | (codes >= len(at) - 1)
    if outside.any():
        raise FormulaError(
            f"cut() leaves out {int(outside.sum())} rows (the first has the value {r_number(float(values[outside][0]))}): the "
            "breaks must span all values, as in c(-Inf, 0, Inf); include.lowest = TRUE takes in the smallest"
        )
    if labels is not None and isinstance(labels, np.ndarray) and labels.dtype.kind == "b" and not labels.any():
        return codes + 1
    low = include_lowest is not None and bool(one(include_lowest, "include.lowest in cut()"))
    if labels is None or labels_are_default(labels):
        names = _intervals(at, closed_right, low, 3 if dig_lab is None else whole(dig_lab, "dig.lab"))
    else:
        names = list(characters(labels))
        if len(names) != len(at) - 1:
            raise FormulaError(f"cut() has {len(names)} labels for {len(at) - 1} intervals")
    in_order = ordered_result is not None and bool(one(ordered_result, "ordered_result in cut()"))
    return Factor(codes=codes, levels=tuple(names), labels=tuple(names), ordered=in_order)


def labels_are_default(labels: Value) -> bool:
    """Whether labels = TRUE was given."""
    return isinstance(labels, np.ndarray) and labels.dtype.kind == "b"


def _breaks(x: Vector, breaks: Vector) -> Vector:
    if breaks.size > 1:
        out = np.sort(breaks)
        if (np.diff(out) == 0.0).any():
            raise FormulaError("the breaks of cut() must differ; quantiles coincide where many values are equal")
        return out
    count = int(breaks.item())
    if count < 2:
        raise FormulaError("cut() needs at least 2 intervals")
    if count > max(len(x), MOST_LEVELS):
        raise FormulaError(f"cut() is asked for {count:,} intervals of {len(x):,} rows; ask for fewer")
    low, high = float(x.min()), float(x.max())
    width = high - low or abs(low) or 1.0
    if high == low:
        return np.linspace(low - width / 1000, high + width / 1000, count + 1)
    out = np.linspace(low, high, count + 1)
    # R moves the ends out by a thousandth of the range, so that the extremes lie inside
    out[[0, -1]] = low - width / 1000, high + width / 1000
    return out


def _intervals(at: Vector, closed_right: bool, low: bool, digits: int) -> list[str]:
    # more digits until all breaks are told apart
    for precision in range(digits, max(16, digits) + 1):
        edges = [_general(float(b), precision) for b in at]
        if len(set(edges)) == len(edges):
            break
    left, right = ("(", "]") if closed_right else ("[", ")")
    names = [f"{left}{a},{b}{right}" for a, b in pairwise(edges)]
    if low and closed_right:
        names[0] = "[" + names[0][1:]
    elif low:
        names[-1] = names[-1][:-1] + "]"
    return names


def _general(value: float, digits: int) -> str:
    if math.isinf(value):
        return " Inf" if value > 0 else "-Inf"  # the blank is R's
    return format(value + 0.0, f".{digits}g")


def interaction(*factors: Value, sep: Value = None, drop: Value = None, lex_order: Value = None) -> Factor:
    """R's ``interaction``: all combinations of levels, the first factor's varying fastest."""
    del drop  # combinations without rows are left out in any case
    between = "." if sep is None else str(one(sep, "sep in interaction()"))
    parts = [as_factor(part) for part in factors]
    slow_last = lex_order is None or not one(lex_order, "lex.order in interaction()")
    out = parts[0]
    for part in parts[1:]:
        count, more = len(out.levels), len(part.levels)
        if count * more > MOST_LEVELS:
            raise FormulaError(
                f"interaction() makes {count * more:,} combinations of levels, and {MOST_LEVELS:,} are the most; merge levels, "
                "or absorb them as fixed effects, model='felm' with 'y ~ x | a^b'"
            )
        # pairs of codes as one number: position in the list of combinations
        codes = out.codes + count * part.codes if slow_last else out.codes * more + part.codes
        pairs = (
            [(a, b) for b in range(more) for a in range(count)]
            if slow_last
            else [(a, b) for a in range(count) for b in range(more)]
        )
        out = Factor(
            codes=codes,
            levels=tuple(f"{out.levels[a]}{between}{part.levels[b]}" for a, b in pairs),
            labels=tuple(f"{out.labels[a]}{between}{part.labels[b]}" for a, b in pairs),
        )
    return out
