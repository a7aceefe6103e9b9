"""R's functions on the vectors of `dsl.rlang.values`.

``PLAIN`` functions depend on their arguments only. ``STATEFUL`` ones take a dict first, empty when the formula
is fitted, and keep in it what they must do again to other rows: means, break points, levels.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from dsl.exceptions import FormulaError
from dsl.rlang import basis
from dsl.rlang.basis import State
from dsl.rlang.syntax import r_number
from dsl.rlang.values import (
    LARGEST_INTEGER,
    Factor,
    Matrix,
    Value,
    Vector,
    as_factor,
    characters,
    logicals,
    matched,
    numbers,
    one,
    whole,
)


def arithmetic(op: str, left: Value, right: Value) -> Vector:
    """R's arithmetic: in doubles, so that nothing overflows and ``/`` is never whole; %% has the divisor's sign."""
    x, y = numbers(left, f"'{op}'"), numbers(right, f"'{op}'")
    with np.errstate(all="ignore"):
        match op:
            case "+":
                out = x + y
            case "-":
                out = x - y
            case "*":
                out = x * y
            case "/":
                return np.asarray(x / y)
            case "^":
                return np.asarray(np.power(x, y))
            case "%%":
                out = np.mod(x, y)
            case _:
                out = np.floor_divide(x, y)
    whole_numbers = all(isinstance(v, np.ndarray) and v.dtype.kind in "bi" for v in (left, right))
    if whole_numbers and np.isfinite(out).all() and np.abs(out).max(initial=0) <= LARGEST_INTEGER:
        return np.asarray(out.astype(np.int64))
    return np.asarray(out)


def _is_text(value: Value) -> bool:
    return isinstance(value, Factor) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}


def compare(op: str, left: Value, right: Value) -> Vector:
    """R's comparisons: as text if one side is text or a factor, by level if it is an ordered factor."""
    if not (_is_text(left) or _is_text(right)):
        return np.asarray(COMPARE[op](numbers(left, f"'{op}'"), numbers(right, f"'{op}'")))
    if op not in ("==", "!="):
        for side in (left, right):
            if isinstance(side, Factor):
                return _compare_levels(op, left, right, side)
    if isinstance(left, Factor) and isinstance(right, np.ndarray) and right.size == 1:
        equal = np.array([level == characters(right)[0] for level in (*left.levels, None)])[left.codes]
        return equal if op == "==" else ~equal
    return np.asarray(COMPARE[op](characters(left), characters(right)), dtype=bool)


def _compare_levels(op: str, left: Value, right: Value, factor: Factor) -> Vector:
    if not factor.ordered:
        raise FormulaError(f"'{op}' is not meaningful for factors without an order; compare with '==' or '%in%'")
    sides = [matched(characters(side), factor, f"'{op}'").codes for side in (left, right)]
    return np.asarray(COMPARE[op](*sides))


def is_in(left: Value, right: Value) -> Vector:
    """R's ``%in%``."""
    if _is_text(left) or _is_text(right):
        wanted = set(characters(right))
        if isinstance(left, Factor):
            return np.array([level in wanted for level in (*left.levels, None)])[left.codes]
        return np.array([text in wanted for text in characters(left)])
    return np.isin(numbers(left, "'%in%'"), numbers(right, "'%in%'"))


def span(left: Value, right: Value) -> Vector:
    """R's ``from:to``."""
    low, high = float(numbers(left, "':'").item()), float(numbers(right, "':'").item())
    out = low + np.arange(int(abs(high - low) + 1e-10) + 1) * (1.0 if high >= low else -1.0)
    return out.astype(np.int64) if low.is_integer() else out


def log(x: Value, base: Value = None) -> Vector:
    """Natural logarithm, or that to `base`."""
    out = np.log(numbers(x, "log()"))
    return out if base is None else out / np.log(numbers(base, "log()"))


def _elementwise(name: str, function: Callable[[Any], Any]) -> Callable[[Value], Vector]:
    def applied(x: Value) -> Vector:
        return np.asarray(function(numbers(x, f"{name}()")))

    return applied


def rounded(x: Value, digits: Value = None) -> Vector:
    """R's ``round``: halves to even."""
    return np.asarray(np.round(numbers(x, "round()"), 0 if digits is None else whole(digits, "digits of round()")))


def ifelse(test: Value, yes: Value, no: Value) -> Vector:
    """R's ``ifelse``: factors give their codes."""
    condition = logicals(test, "the test of ifelse()")
    sides: list[Value] = [side.codes + 1 if isinstance(side, Factor) else side for side in (yes, no)]
    if any(_is_text(side) for side in sides):
        return np.asarray(np.where(condition, characters(sides[0]), characters(sides[1])))
    if all(isinstance(side, np.ndarray) and side.dtype.kind == "b" for side in sides):
        return np.where(condition, logicals(sides[0], "ifelse()"), logicals(sides[1], "ifelse()"))
    return np.where(condition, numbers(sides[0], "ifelse()"), numbers(sides[1], "ifelse()"))


def as_numeric(x: Value) -> Vector:
    """R's ``as.numeric``: codes 1, 2, ... of a factor, numbers written as text."""
    if isinstance(x, Factor):
        return np.asarray(x.codes + 1.0)
    if isinstance(x, np.ndarray) and x.dtype.kind == "O":
        try:
            return np.asarray([float(text) for text in x])
        except ValueError as error:
            raise FormulaError(
                f"as.numeric() finds text that is no number ({error}); as.numeric(factor(x)) numbers the categories"
            ) from None
    return numbers(x, "as.numeric()")


def as_integer(x: Value) -> Vector:
    """R's ``as.integer``: the part before the decimal point."""
    return np.asarray(np.trunc(as_numeric(x)).astype(np.int64))


def as_logical(x: Value) -> Vector:
    """R's ``as.logical``."""
    if not _is_text(x):
        return logicals(x, "as.logical()")
    known = {
        "TRUE": True,
        "T": True,
        "True": True,
        "true": True,
        "FALSE": False,
        "F": False,
        "False": False,
        "false": False,
    }
    texts = characters(x)
    other = [text for text in dict.fromkeys(texts) if text not in known]
    if other:
        raise FormulaError(f"as.logical() does not understand {other[0]!r}")
    return np.array([known[text] for text in texts])


def factor(
    state: State, x: Value, levels: Value = None, labels: Value = None, exclude: Value = None, ordered: Value = None
) -> Factor:
    """R's ``factor``: unused levels go; numbers are sorted by size, text as in R's usual locales."""
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
        names = [f"{names[0]}{j + 1}" for j in range(len(found.levels))]
    if len(names) != len(found.levels):
        raise FormulaError(f"factor() has {len(names)} labels for {len(found.levels)} levels")
    state.update(source=found.without_rows(), labels=names, ordered=in_order)
    return _labelled(found, names, in_order)


def _labelled(source: Factor, names: list[str], ordered: bool) -> Factor:
    """The factor with other names; levels of the same name become one."""
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
    values = numbers(x, "cut()")
    closed_right = right is None or bool(one(right, "right in cut()"))
    if not state:
        state["breaks"] = _breaks(values, numbers(breaks, "breaks of cut()"))
    at = state["breaks"]
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
    low, high = float(x.min()), float(x.max())
    width = high - low or abs(low)
    if high == low:
        return np.linspace(low - width / 1000, high + width / 1000, count + 1)
    out = np.linspace(low, high, count + 1)
    out[[0, -1]] = low - width / 1000, high + width / 1000
    return out


def _intervals(at: Vector, closed_right: bool, low: bool, digits: int) -> list[str]:
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


def paste(*parts: Value, sep: Value = None) -> Vector:
    """R's ``paste``."""
    between = " " if sep is None else str(one(sep, "sep in paste()"))
    texts = np.broadcast_arrays(*(characters(part) for part in parts))
    return np.array([between.join(row) for row in zip(*texts, strict=True)], dtype=object)


def _text_function(function: Callable[[str], Any]) -> Callable[[Value], Vector]:
    def applied(x: Value) -> Vector:
        out = [function(text) for text in characters(x)]
        return np.array(out, dtype=object if out and isinstance(out[0], str) else None)

    return applied


def substr(x: Value, start: Value, stop: Value) -> Vector:
    """R's ``substr``."""
    first, last = whole(start, "start of substr()"), whole(stop, "stop of substr()")
    return np.array([text[max(first - 1, 0) : last] for text in characters(x)], dtype=object)


def combine(*values: Value) -> Vector:
    """R's ``c``."""
    if not values:
        raise FormulaError("c() is empty")
    if any(_is_text(value) for value in values):
        return np.concatenate([characters(value) for value in values])
    return np.concatenate([value if isinstance(value, np.ndarray) else numbers(value, "c()") for value in values])


def seq(start: Value, to: Value, by: Value = None, length_out: Value = None) -> Vector:
    """R's ``seq(from, to, by)`` or ``seq(from, to, length.out = )``."""
    low, high = (float(numbers(v, "seq()").item()) for v in (start, to))
    if length_out is not None:
        return np.linspace(low, high, whole(length_out, "length.out of seq()"))
    if by is None:
        return span(start, to)
    step = float(numbers(by, "by of seq()").item())
    if step == 0.0 or (high - low) / step < 0.0:
        raise FormulaError("by of seq() has the wrong sign")
    return low + step * np.arange(int((high - low) / step + 1e-10) + 1)


def _extreme(choose: Callable[[Any, Any], Any], name: str) -> Callable[..., Vector]:
    def applied(*values: Value) -> Vector:
        out = numbers(values[0], f"{name}()")
        for value in values[1:]:
            out = choose(out, numbers(value, f"{name}()"))
        return np.asarray(out)

    return applied


def _summary(name: str, function: Callable[[Any], Any]) -> Callable[..., Vector]:
    def applied(state: State, x: Value, na_rm: Value = None) -> Vector:
        del na_rm  # nothing is missing
        if not state:
            state["value"] = np.array([float(function(numbers(x, f"{name}()")))])
        return np.asarray(state["value"])

    return applied


def quantile(state: State, x: Value, probs: Value = None, na_rm: Value = None) -> Vector:
    """R's ``quantile``, type 7."""
    del na_rm
    if not state:
        at = np.linspace(0.0, 1.0, 5) if probs is None else numbers(probs, "probs of quantile()")
        state["value"] = np.quantile(numbers(x, "quantile()"), at)
    return np.asarray(state["value"])


def identity(x: Value) -> Value:
    """R's ``I``."""
    return x


def xor(x: Value, y: Value) -> Vector:
    """R's ``xor``."""
    return np.asarray(logicals(x, "xor()") ^ logicals(y, "xor()"))


def bind_columns(names: list[str], *parts: Value) -> Matrix:
    """R's ``cbind``; `names` are those of the arguments that are single columns."""
    columns = [part.values if isinstance(part, Matrix) else numbers(part, "cbind()")[:, None] for part in parts]
    suffixes: list[str] = []
    for name, part in zip(names, parts, strict=True):
        suffixes += part.suffixes if isinstance(part, Matrix) else [name]
    rows = max(len(column) for column in columns)
    values = np.hstack([np.broadcast_to(column, (rows, column.shape[1])) for column in columns])
    return Matrix(values=values, suffixes=tuple(suffixes))


MATHS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "expm1": np.expm1, "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt,
    "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "floor": np.floor,
    "ceiling": np.ceil, "trunc": np.trunc, "sign": np.sign, "exp2": np.exp2, "exp10": lambda x: 10.0**x,
}  # fmt: skip

PLAIN: dict[str, Callable[..., Value]] = {
    **{name: _elementwise(name, function) for name, function in MATHS.items()},
    "I": identity, "identity": identity, "log": log, "round": rounded, "ifelse": ifelse, "xor": xor,
    "as.numeric": as_numeric, "as.double": as_numeric, "as.integer": as_integer, "as.logical": as_logical,
    "as.character": characters, "interaction": interaction, "paste": paste, "c": combine, "seq": seq,
    "paste0": lambda *parts: paste(*parts, sep=np.array([""], dtype=object)),
    "nchar": _text_function(len), "toupper": _text_function(str.upper), "tolower": _text_function(str.lower),
    "trimws": _text_function(str.strip), "substr": substr,
    "pmin": _extreme(np.minimum, "pmin"), "pmax": _extreme(np.maximum, "pmax"),
}  # fmt: skip

STATEFUL: dict[str, Callable[..., Value]] = {
    "factor": factor, "as.factor": keep_factor, "ordered": ordered, "as.ordered": keep_ordered,
    "droplevels": factor, "relevel": relevel, "cut": cut, "quantile": quantile,
    "poly": basis.poly, "bs": basis.bs, "ns": basis.ns, "scale": basis.scale, "center": basis.center,
    "standardize": basis.standardize,
    "mean": _summary("mean", np.mean), "median": _summary("median", np.median), "min": _summary("min", np.min),
    "max": _summary("max", np.max), "sum": _summary("sum", np.sum),
    "sd": _summary("sd", lambda x: np.std(x, ddof=1)), "var": _summary("var", lambda x: np.var(x, ddof=1)),
}  # fmt: skip

PACKAGES = {"base", "stats", "splines", "utils", "np", "numpy"}
"""Packages that may stand before ``::``."""

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        ["lag", "lead", "L", "F", "D", "diff", "shift"],
        "lags depend on the order of rows; compute the column first: data.groupby('unit')['x'].shift(1)",
    ),
    **dict.fromkeys(
        ["Surv", "strata", "frailty", "tt", "cluster", "ridge"],
        "survival models cannot be estimated; models are lm, logit and felm, and clusters are named by cluster=",
    ),
    **dict.fromkeys(
        ["s", "te", "ti", "t2", "lo", "smooth"],
        "penalised smooths cannot be estimated; ns(x, 4) or bs(x, 6) are splines with fixed degrees of freedom",
    ),
    **dict.fromkeys(["Error", "random", "re", "us", "ar1"], "error strata and random effects cannot be estimated"),
    **dict.fromkeys(
        ["i", "sw", "sw0", "csw", "csw0", "fe"],
        "this is fixest's; write factor(g) for dummies, factor(g):x for slopes, 'y ~ x | g' for fixed effects",
    ),
    "is.na": "rows with missing values are left out before the formula is evaluated; compute the column first",
    "rms": "compute the column first",
    "rcs": "restricted cubic splines are ns(x, df)",
    "polym": "polynomials of several variables cannot be used; write (poly(x, 2) + poly(z, 2))^2",
    "mo": "monotonic effects cannot be estimated; use an ordered factor",
    "hashed": "hashed categories cannot be used; compute the column first",
    "case_when": "write nested ifelse(), or compute the column first with np.select",
    "if_else": "write ifelse(test, yes, no)",
    "fct_relevel": "write relevel(x, ref = 'level')",
    "reorder": "compute the column first, as an ordered pandas categorical",
    "log1pexp": "compute the column first",
    "weights": "weights cannot be given in the formula; sample_prob= holds the sampling probabilities",
}
"""Functions that R scripts use in formulas, and why they are refused."""
