"""Whose functions a formula may use: those of the code that it is written in, or none.

A formula in a Python call is part of the caller's code, and may call whatever that code can. A formula from a shell, a file or a
log is data: it is evaluated with the names `NOBODY`, among which R's functions and a list of numpy's
(`dsl.data.formula.rlang.python.NUMPY`) are all that it finds. `call_among` makes calls on the user's behalf with either, also in
another process.
"""

import re
import sys
from collections.abc import Callable, Container, Mapping
from contextvars import ContextVar
from types import FrameType, ModuleType
from typing import NoReturn, TypeVar

import numpy as np

from dsl._typing import Arguments
from dsl.data.formula.text import FormulaLike, check_formula, formula_text
from dsl.exceptions import FormulaError

R = TypeVar("R")

NOBODY: Mapping[str, object] = {}
"""Names for a formula that nobody vouches for."""
_NAMES: ContextVar[Mapping[str, object] | None] = ContextVar("names of the formula's functions", default=None)


def names_at(caller: FrameType) -> dict[str, object]:
    """What a formula written there may use."""
    return {**caller.f_globals, **caller.f_locals}


def formula_names(depth: int) -> Mapping[str, object]:
    """What a formula may use: the names given to `call_among`, else those `depth` calls above the function that asks."""
    given = _NAMES.get()
    return names_at(sys._getframe(depth + 1)) if given is None else given


class Absent:
    """In the place of a function (or module) of a caller's that a file of results does not hold."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, attribute: str) -> "Absent":
        """Whatever is asked of a module that is not there is not there either."""
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return self

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Raise FormulaError."""
        raise FormulaError(
            f"the fit was read from a file, which holds no functions, and its formula uses '{self.name}': where that is defined, "
            "DSLResults.load(path, trusted=True) lets the formula call it"
        )


def used_functions(formula: FormulaLike, columns: Container[str], caller: Mapping[str, object]) -> dict[str, object]:
    """The caller's functions, modules and constants named in a formula.

    Examples
    --------
    >>> used_functions("y ~ np.log(x) + shifted(z, by)", ["y", "x", "z"], {"np": np, "by": 2.0, "x": 1, "w": 3})
    {'by': 2.0, 'np': <module 'numpy' ...>}
    """
    check_formula(formula)
    names = sorted(set(re.findall(r"[^\W\d]\w*", formula_text(formula))))
    found = {name: caller[name] for name in names if name in caller and name not in columns}
    kinds = (ModuleType, str, int, float, np.generic)
    return {name: value for name, value in found.items() if callable(value) or isinstance(value, kinds)}


def call_among(functions: Mapping[str, object], target: Callable[..., R], arguments: Arguments) -> R:
    """``target(**arguments)``, where formulas find `functions` as if they were written there."""
    token = _NAMES.set(functions)
    try:
        return target(**arguments)
    finally:
        _NAMES.reset(token)
