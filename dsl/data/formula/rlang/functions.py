"""R's functions on the vectors of `dsl.data.formula.rlang.values`.

``PLAIN`` functions depend on their arguments only. ``STATEFUL`` ones take a dict first, empty when the formula
is fitted, and keep in it what they must do again to other rows: means, break points, levels.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from dsl._typing import AnyArray
from dsl.data.formula.rlang import basis, dates, factors
from dsl.data.formula.rlang.basis import State
from dsl.data.formula.rlang.values import (
    LARGEST_INTEGER,
    Factor,
    Matrix,
    Value,
    Vector,
    characters,
    is_dates,
    logicals,
    matched,
    numbers,
    one,
    whole,
)
from dsl.exceptions import FormulaError


def arithmetic(op: str, left: Value, right: Value) -> Vector:
    """R's arithmetic: in doubles, so that nothing overflows and ``/`` is never whole. %% has the divisor's sign."""
    if is_dates(left) or is_dates(right):
        return dates.difference(op, left, right)
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
                # numpy's mod has the sign of the divisor, as R's %% does
                out = np.mod(x, y)
            case _:
                out = np.floor_divide(x, y)
    # integers stay integers while R's 32 bits hold them: names of levels made of them have no decimals
    whole_numbers = all(isinstance(v, np.ndarray) and v.dtype.kind in "bi" for v in (left, right))
    if whole_numbers and np.isfinite(out).all() and np.abs(out).max(initial=0) <= LARGEST_INTEGER:
        return np.asarray(out.astype(np.int64))
    return np.asarray(out)


def _is_text(value: Value) -> bool:
    return isinstance(value, Factor) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


Ufunc: TypeAlias = Callable[[AnyArray], AnyArray | np.floating | float]
Ufunc2: TypeAlias = Callable[[AnyArray, AnyArray], AnyArray]

COMPARE: Mapping[str, Ufunc2] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}


def compare(op: str, left: Value, right: Value) -> Vector:
    """R's comparisons: as dates if one side is dates, as text if one is text or a factor, by level of an ordered factor."""
    if is_dates(left) or is_dates(right):
        return np.asarray(COMPARE[op](*dates.same_unit(left, right, f"'{op}'")))
    if not (_is_text(left) or _is_text(right)):
        return np.asarray(COMPARE[op](numbers(left, f"'{op}'"), numbers(right, f"'{op}'")))
    if op not in ("==", "!="):
        for side in (left, right):
            if isinstance(side, Factor):
                return _compare_levels(op, left, right, side)
    if isinstance(left, Factor) and isinstance(right, np.ndarray) and right.size == 1:
        # one comparison for each level instead of each row. None stands for code -1.
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
    if is_dates(left) or is_dates(right):
        return np.isin(*dates.same_unit(left, right, "'%in%'"))
    if _is_text(left) or _is_text(right):
        wanted = set(characters(right))
        if isinstance(left, Factor):
            return np.array([level in wanted for level in (*left.levels, None)])[left.codes]
        return np.array([text in wanted for text in characters(left)])
    return np.isin(numbers(left, "'%in%'"), numbers(right, "'%in%'"))


MOST_VALUES = 1_000_000
"""Values that a list in a formula may have."""


def _check_length(count: float, what: str) -> None:
    # NaN, too
    if not count <= MOST_VALUES:
        raise FormulaError(f"{what} makes a list of {count:.6g} values, and {MOST_VALUES:,} are the most")


def span(left: Value, right: Value) -> Vector:
    """R's ``from:to``."""
    low, high = float(numbers(left, "':'").item()), float(numbers(right, "':'").item())
    _check_length(abs(high - low), "':'")
    # R's fuzz of 1e-10, for ends that rounding moved
    out = low + np.arange(int(abs(high - low) + 1e-10) + 1) * (1.0 if high >= low else -1.0)
    return out.astype(np.int64) if low.is_integer() else out


def log(x: Value, base: Value = None) -> Vector:
    """Natural logarithm, or that to `base`."""
    out = np.log(numbers(dates.refused(x, "log"), "log()"))
    return out if base is None else out / np.log(numbers(base, "log()"))


def _elementwise(name: str, function: Ufunc) -> Callable[[Value], Vector]:
    def applied(x: Value) -> Vector:
        return np.asarray(function(numbers(dates.refused(x, name), f"{name}()")))

    return applied


def rounded(x: Value, digits: Value = None) -> Vector:
    """R's ``round``: halves to even."""
    return np.asarray(np.round(numbers(x, "round()"), 0 if digits is None else whole(digits, "digits of round()")))


def ifelse(test: Value, yes: Value, no: Value) -> Vector:
    """R's ``ifelse``: factors give their codes."""
    condition = logicals(test, "the test of ifelse()")
    # as in R, where ifelse() drops attributes and leaves the codes
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


def paste(*parts: Value, sep: Value = None) -> Vector:
    """R's ``paste``."""
    between = " " if sep is None else str(one(sep, "sep in paste()"))
    texts = np.broadcast_arrays(*(characters(part) for part in parts))
    return np.array([between.join(row) for row in zip(*texts, strict=True)], dtype=object)


def _text_function(function: Callable[[str], str | int]) -> Callable[[Value], Vector]:
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
        count = whole(length_out, "length.out of seq()")
        _check_length(count, "seq()")
        return np.linspace(low, high, count)
    if by is None:
        return span(start, to)
    step = float(numbers(by, "by of seq()").item())
    if step == 0.0 or (high - low) / step < 0.0:
        raise FormulaError("by of seq() has the wrong sign")
    _check_length((high - low) / step, "seq()")
    # R's fuzz of 1e-10: 0.3 / 0.1 is a little less than 3
    return low + step * np.arange(int((high - low) / step + 1e-10) + 1)


def _extreme(choose: Ufunc2, name: str) -> Callable[..., Vector]:
    def applied(*values: Value) -> Vector:
        out = numbers(values[0], f"{name}()")
        for value in values[1:]:
            out = choose(out, numbers(value, f"{name}()"))
        return np.asarray(out)

    return applied


def _summary(name: str, function: Ufunc) -> Callable[..., Vector]:
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
    """R's ``cbind``. `names` are those of the arguments that are single columns."""
    columns = [part.values if isinstance(part, Matrix) else numbers(part, "cbind()")[:, None] for part in parts]
    suffixes: list[str] = []
    for name, part in zip(names, parts, strict=True):
        suffixes += part.suffixes if isinstance(part, Matrix) else [name]
    rows = max(len(column) for column in columns)
    values = np.hstack([np.broadcast_to(column, (rows, column.shape[1])) for column in columns])
    return Matrix(values=values, suffixes=tuple(suffixes))


MATHS: dict[str, Ufunc] = {
    "exp": np.exp, "expm1": np.expm1, "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt,
    "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "floor": np.floor,
    "ceiling": np.ceil, "trunc": np.trunc, "sign": np.sign, "exp2": np.exp2, "exp10": lambda x: 10.0**x,
}  # fmt: skip

PLAIN: dict[str, Callable[..., Value]] = {
    **{name: _elementwise(name, function) for name, function in MATHS.items()},
    "I": identity, "identity": identity, "log": log, "round": rounded, "ifelse": ifelse, "xor": xor,
    "as.numeric": as_numeric, "as.double": as_numeric, "as.integer": as_integer, "as.logical": as_logical,
    "as.character": characters, "interaction": factors.interaction, "paste": paste, "c": combine, "seq": seq,
    "paste0": lambda *parts: paste(*parts, sep=np.array([""], dtype=object)),
    "nchar": _text_function(len), "toupper": _text_function(str.upper), "tolower": _text_function(str.lower),
    "trimws": _text_function(str.strip), "substr": substr,
    "as.Date": dates.as_date, "format": dates.formatted, "weekdays": dates.weekdays, "months": dates.months,
    "quarters": dates.quarters,
    "pmin": _extreme(np.minimum, "pmin"), "pmax": _extreme(np.maximum, "pmax"),
}  # fmt: skip

STATEFUL: dict[str, Callable[..., Value]] = {
    "factor": factors.factor, "as.factor": factors.keep_factor, "ordered": factors.ordered, "as.ordered": factors.keep_ordered,
    "droplevels": factors.factor, "relevel": factors.relevel, "cut": factors.cut, "quantile": quantile,
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
        "survival models cannot be estimated (model='cloglog' is for events in grouped time), and clusters are named by cluster=",
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
