"""Calls made on the user's behalf: with the functions that the user's formula names, also in another process."""

import builtins
import re
from collections.abc import Callable, Container, Mapping
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np

R = TypeVar("R")


def used_functions(formula: str, columns: Container[str], caller: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's functions, modules and constants named in a formula.

    Examples
    --------
    >>> used_functions("y ~ np.log(x) + shifted(z, by)", ["y", "x", "z"], {"np": np, "by": 2.0, "x": 1, "w": 3})
    {'by': 2.0, 'np': <module 'numpy' ...>}
    """
    names = sorted(set(re.findall(r"[^\W\d]\w*", formula)))
    found = {name: caller[name] for name in names if name in caller and name not in columns}
    kinds = (ModuleType, str, int, float, np.generic)
    return {name: value for name, value in found.items() if callable(value) or isinstance(value, kinds)}


def call_among(functions: Mapping[str, Any], target: Callable[..., R], arguments: Mapping[str, Any]) -> R:
    """``target(**arguments)``, called where `functions` are the globals.

    `dsl.dsl` looks the functions of a formula up where it is called from.
    """
    own = {"__builtins__": builtins, "__name__": __name__, "_target": target}
    inside = FunctionType(_call.__code__, {**functions, **own})
    result: R = inside(arguments)
    return result


def _call(_arguments: Mapping[str, Any]) -> Any:
    return _target(**_arguments)  # type: ignore[name-defined]  # noqa: F821
