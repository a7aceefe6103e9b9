"""Python's functions that any formula may call: some of numpy's and formulaic's, through which nothing else can be reached.

A formula that a caller wrote in Python may call whatever that caller can (`dsl.data.formula.caller`). One that comes from a
shell, a file or a log finds these functions and R's, and nothing else: it is no way to run code.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from formulaic.transforms import TRANSFORMS

from dsl.data.formula.rlang.syntax import Call

PythonFunction: TypeAlias = Callable[..., Any]
"""A function of numbers, texts, lists and columns, as Python has them."""

PREFIXES = ("np", "numpy")
ONE = (
    "abs", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "deg2rad",
    "exp", "exp2", "expm1", "fabs", "floor", "log", "log10", "log1p", "log2", "rad2deg", "rint", "sign", "sin", "sinh", "sqrt",
    "square", "tan", "tanh", "trunc",
)  # fmt: skip
TWO = ("arctan2", "fmax", "fmin", "float_power", "hypot", "isin", "maximum", "minimum", "mod", "power")
# how many arguments come before numpy's `out`, into which it would write
NUMPY: Mapping[str, int] = {
    **dict.fromkeys(ONE, 1),
    **dict.fromkeys(TWO, 2),
    "clip": 3,
    "round": 2,
    "where": 3,
}
"""Functions of numpy's, each row by itself, and the largest number of their arguments."""
KEYWORDS = {"a", "a_max", "a_min", "decimals", "max", "min"}
FORMULAIC: Mapping[str, PythonFunction] = {
    name: function for name, function in TRANSFORMS.items() if callable(function) and name not in ("lag", "hashed")
}
"""Formulaic's functions."""


def numpy_name(function: str) -> str:
    """The function of numpy's that ``np.log`` names, empty if it names none that any formula may call."""
    prefix, _, name = function.partition(".")
    return name if prefix in PREFIXES and name in NUMPY else ""


def plain_numpy(node: Call) -> bool:
    """Whether a call is one of a function of numpy's that any formula may make."""
    name = numpy_name(node.function)
    labels = {label for label, _ in node.args if label is not None}
    return bool(name) and len(node.args) <= NUMPY[name] and labels <= KEYWORDS


def python_function(name: str) -> PythonFunction | None:
    """The function that any formula may call by this name, if there is one."""
    if name in FORMULAIC:
        return FORMULAIC[name]
    found: PythonFunction | None = getattr(np, numpy_name(name)) if numpy_name(name) else None
    return found
