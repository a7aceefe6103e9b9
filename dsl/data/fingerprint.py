"""What an evaluation is made of, as text that is the same in every session: to tell whether a checkpoint belongs to it."""

import json
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from inspect import getclosurevars
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import numpy as np
import pandas as pd

from dsl.data.kinds import EXACT, standard

DEEPEST = 12
"""Levels of nested objects looked at."""


def fingerprint(value: object) -> str:
    """Hash of a value: of numbers, text, tables, containers, functions (their code and what they enclose) and objects.

    Examples
    --------
    >>> fingerprint({"seed": 1, "n_labels": (100, 200)}) == fingerprint({"n_labels": [100, 200], "seed": 1})
    True
    >>> fingerprint(lambda n: n + 1) == fingerprint(lambda n: n + 2)
    False
    """
    return _hash(json.dumps(_describe(value, 0), sort_keys=True))


def table_fingerprint(table: pd.DataFrame) -> str:
    """Hash of a table: names, types, row labels and values."""
    return _hash(json.dumps([_column(table.index.to_series()), *([str(n), _column(table[n])] for n in table.columns)]))


def column_fingerprints(table: pd.DataFrame) -> dict[str, str]:
    """Hash of each column's values, row by row: the same for every container and dtype that holds the same values.

    Numbers are compared as floats, truth values apart from them, everything else as categories.

    Examples
    --------
    >>> whole = column_fingerprints(pd.DataFrame({"x": [1, 2], "g": ["a", None]}))
    >>> other = column_fingerprints(pd.DataFrame({"x": [1.0, 2.0], "g": pd.Categorical(["a", None])}))
    >>> whole == other
    True
    """
    return {str(name): _values_hash(table[name]) for name in table.columns}


def _values_hash(column: pd.Series) -> str:
    column = standard(column)
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
        letter = "b" if pd.api.types.is_bool_dtype(kind) else "n"
        values = column.to_numpy(dtype=float, na_value=np.nan)
        missing = np.isnan(values)
        # beyond 2^53 neighbours would be the same float: these are hashed as integers
        if pd.api.types.is_integer_dtype(kind) and np.abs(values[~missing]).max(initial=0.0) > EXACT:
            width = np.uint64 if values[~missing].max(initial=0.0) >= 2.0**63 else np.int64
            gone = column.isna().to_numpy()
            whole = column.to_numpy(dtype=width, na_value=0)
            return "i" + _hash(whole.tobytes() + (gone.tobytes() if gone.any() else b""))
        # one bit pattern for missing, whatever R or Arrow put into it (adding to R's NA would signal), then one for zero
        values = (np.where(missing, np.nan, values) if missing.any() else values) + 0.0
        return letter + _hash(np.ascontiguousarray(values).data)
    # in order of appearance, whatever order a category type has: the values count, not how they are stored
    codes, levels = pd.factorize(column)
    text = json.dumps([f"{type(level).__name__}:{level}" for level in levels])
    return "c" + _hash(codes.astype(np.int64).tobytes() + text.encode())


def _hash(text: str | bytes | memoryview) -> str:
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:32]


def _column(column: pd.Series) -> list[str]:
    try:
        values = pd.util.hash_pandas_object(column, index=False).to_numpy()
    except TypeError:  # lists and arrays in the cells
        return [str(column.dtype), _hash(json.dumps([_describe(cell, 0) for cell in column]))]
    return [str(column.dtype), _hash(values.tobytes())]


def _describe(value: object, depth: int) -> object:
    """The value as JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item() if isinstance(value.item(), bool | int | float | str) else repr(value)
    if isinstance(value, pd.DataFrame):
        return table_fingerprint(value)
    if isinstance(value, pd.Series | pd.Index):
        return _column(pd.Series(value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value.dtype.str, list(value.shape), _hash(np.ascontiguousarray(value).tobytes())]
    if depth == DEEPEST:
        return _name(value)
    if isinstance(value, Mapping):
        return {str(key): _describe(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_describe(inner, depth + 1) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_describe(inner, depth + 1), sort_keys=True) for inner in value)
    return _describe_object(value, depth)


def _describe_object(value: object, depth: int) -> object:
    if isinstance(value, CodeType):
        constants = [_describe(inner, depth + 1) for inner in value.co_consts]
        # bytecode refers to names and constants by position, hence these as well
        return [_hash(value.co_code), list(value.co_names), constants]
    if isinstance(value, FunctionType):
        # what a function reads from around it decides what it returns
        enclosed = list(getclosurevars(value).nonlocals.values())
        parts = (value.__code__, value.__defaults__, value.__kwdefaults__, enclosed)
        return [value.__module__, value.__qualname__, *(_describe(part, depth + 1) for part in parts)]
    if isinstance(value, partial):
        return [_describe(part, depth + 1) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [_describe(value.__func__, depth + 1), _describe(value.__self__, depth + 1)]
    if isinstance(value, type | ModuleType | BuiltinFunctionType):
        return _name(value)
    state = dict(getattr(value, "__dict__", {}))
    # slots of all bases: each class lists its own only
    for kind in type(value).__mro__:
        names = getattr(kind, "__slots__", ())
        state |= {n: getattr(value, n) for n in ([names] if isinstance(names, str) else names) if hasattr(value, n)}
    if not state:  # dates, paths, bytes
        return [_name(type(value)), "" if " at 0x" in repr(value) else repr(value)]
    return [_name(type(value)), {name: _describe(inner, depth + 1) for name, inner in sorted(state.items())}]


def _name(value: object) -> str:
    kind = value if hasattr(value, "__name__") else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind.__name__)}"
