"""Whose functions a formula finds: the caller's, or nobody's."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.data.formula.caller import NOBODY, call_among, formula_names
from dsl.data.formula.matrices import build, parse
from dsl.data.formula.rlang.python import KEYWORDS, NUMPY

DATA = pd.DataFrame({"y": np.arange(1.0, 13.0), "x": np.linspace(0.1, 0.9, 12), "z": np.linspace(2.0, 3.0, 12) ** 2})


def columns(side: str, caller: Any = NOBODY) -> np.ndarray:
    made = build(parse(f"y ~ {side}", list(DATA.columns), caller), DATA, np.ones(len(DATA), dtype=bool), ())
    return np.asarray(made.covariates.fixed[:, 1:])


def test_nobody_vouches() -> None:
    assert call_among(NOBODY, lambda: formula_names(0), {}) == {}
    assert "np" in formula_names(0)


@pytest.mark.parametrize("name", sorted(name for name, most in NUMPY.items() if most == 1))
def test_numpy_of_one_column(name: str) -> None:
    for prefix in ("np", "numpy"):
        side = f"{prefix}.{name}(z)" if name == "arccosh" else f"{prefix}.{name}(x)"
        wanted = getattr(np, name)(DATA["z" if name == "arccosh" else "x"].to_numpy())
        if np.ptp(wanted) > 0:  # floors and signs are the same in every row
            np.testing.assert_array_equal(columns(side)[:, 0], wanted)
            np.testing.assert_array_equal(columns(side, {"np": np, "numpy": np}), columns(side))


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("np.where(x > 0.5, z, 1)", np.where(DATA["x"] > 0.5, DATA["z"], 1)),
        ("np.clip(x, 0.2, 0.6)", np.clip(DATA["x"], 0.2, 0.6)),
        ("np.clip(x, a_min=0.2, a_max=0.6)", np.clip(DATA["x"], 0.2, 0.6)),
        ("np.round(x, decimals=1)", np.round(DATA["x"], 1)),
        ("np.maximum(x, z / 8)", np.maximum(DATA["x"], DATA["z"] / 8)),
        ("np.isin(y, [1, 5])", np.isin(DATA["y"], [1, 5])),
        ("np.power(x, 3)", np.power(DATA["x"], 3)),
    ],
)
def test_numpy_of_several(call: str, wanted: Any) -> None:
    np.testing.assert_array_equal(columns(call)[:, 0], np.asarray(wanted, dtype=float))
    np.testing.assert_array_equal(columns(call, {"np": np}), columns(call))


@pytest.mark.parametrize(
    "side",
    [
        "np.f2py.os.system('true')",
        "np.log.reduce(x)",
        "np.log.__class__(x)",
        "np.load('file.npy')",
        "np.fromfile('file')",
        "np.ctypeslib.load_library('c', '.')",
        "np.log(x, x)",  # numpy's second argument is where it writes
        "np.log(x, out=x)",
        "np.clip(x, 0, 1, x)",
        "numpy.save('file', x)",
        "np::f2py(x)",
        "contr.treatment.__init__(x)",
        "cr.__globals__.get('os')",
        "x.to_csv('file')",
        "data.to_csv('file')",
        "os.system('true')",
        "eval('1')",
        "__import__('os')",
        "open('file', 'w')",
        "getattr(x, 'to_csv')",
    ],
)
def test_nothing_else_is_reached(side: str) -> None:
    with pytest.raises(e.FormulaError):
        columns(side)
    with pytest.raises(e.FormulaError):
        columns(f"I({side})")


def test_lists_of_numpy_hold_functions_of_rows_alone() -> None:
    """No function on the list reads, writes, or returns anything but numbers, and none is given a place to write to."""
    assert "out" not in KEYWORDS
    for name, most in NUMPY.items():
        function = getattr(np, name)
        if isinstance(function, np.ufunc):
            assert most == function.nin


def test_a_name_of_numpy_that_is_something_else() -> None:
    class Mine:
        @staticmethod
        def log(x: pd.Series) -> pd.Series:
            return x + 100

    np.testing.assert_array_equal(columns("np.log(x)", {"np": Mine})[:, 0], DATA["x"] + 100)


def test_methods_of_a_variable_that_is_called_like_a_column() -> None:
    """A column's name means the column: the caller's series of that name may have other values."""
    with pytest.raises(e.FormulaError, match="uses attributes of the column 'x'"):
        columns("x.abs()", {"x": -DATA["x"] * 5})
    assert columns("lags.abs()", {"lags": DATA["x"]}).shape == (12, 1)
