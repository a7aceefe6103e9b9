"""What a formula takes from the code around it, and what functions there are given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.data.formula.matrices import build, parse
from dsl.exceptions import FormulaError

DATA = pd.DataFrame(
    {"y": np.arange(30.0), "x": np.arange(30.0) % 7 + 1, "g": np.array(["a", "b", "c"])[np.arange(30) % 3]}
)


def columns(side: str, **caller: Any) -> np.ndarray:
    made = build(parse(f"y ~ {side}", list(DATA.columns), caller), DATA, np.ones(len(DATA), dtype=bool), ())
    return np.asarray(made.covariates.fixed[:, 1:])


@pytest.mark.parametrize("knots", [[4.0], (4.0,), np.array([4.0]), 4.0])
def test_one_knot(knots: Any) -> None:
    np.testing.assert_array_equal(columns("bs(x, knots = where)", where=knots), columns("bs(x, knots = 4)"))


def test_arguments_of_a_function_in_the_callers_code() -> None:
    """Columns as Series, numbers as numbers, lists as lists, whole numbers as int."""
    seen: list[Any] = []

    def look(*given: Any, power: Any) -> Any:
        seen.extend([*given, power])
        return given[0] ** 2

    np.testing.assert_array_equal(
        columns("look(x, 3, c(5, 6), -2, I(x + 1), power = 0.5)", look=look)[:, 0], DATA["x"] ** 2
    )
    column, three, several, minus, more, power = seen[:6]
    pd.testing.assert_series_equal(column, DATA["x"], check_names=False)
    pd.testing.assert_series_equal(more, DATA["x"] + 1, check_names=False)
    assert (three, several, minus, power) == (3, [5.0, 6.0], -2.0, 0.5)
    assert isinstance(three, int)


def test_a_function_that_fails() -> None:
    def fails(column: Any) -> Any:
        raise ZeroDivisionError("nothing\n   to divide")

    with pytest.raises(FormulaError, match=r"`fails\(x\)`: nothing to divide; compute the column first"):
        columns("x + fails(x)", fails=fails)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ("factor(cbind(x, x))", "a matrix or NULL cannot be turned into a factor"),
        ("I(seq(5, 1, by = 2))", "by of seq() has the wrong sign"),
        ("I(seq(1, 5, by = 0))", "by of seq() has the wrong sign"),
    ],
)
def test_refusals(side: str, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        columns(side)
    assert words in str(caught.value)


def test_sequences() -> None:
    """``cut(x, seq(0, 8, by = 2))``, ``seq(8, 0, by = -2)``, ``seq(0, 8, length.out = 5)``: the same breaks."""
    expected = columns("cut(x, c(0, 2, 4, 6, 8))")
    for breaks in ("seq(0, 8, by = 2)", "seq(8, 0, by = -2)", "seq(0, 8, length.out = 5)", "2 * 0:4"):
        np.testing.assert_array_equal(columns(f"cut(x, {breaks})"), expected)


def test_names_of_bound_columns() -> None:
    """``colnames(model.matrix(~ cbind(x, z = x^2)))`` and ``~ cbind(poly(x, 2), x)`` in R 4.2.2."""
    for side, expected in (
        ("cbind(x, z = x^2)", ["cbind(x, z = x^2)x", "cbind(x, z = x^2)z"]),
        ("cbind(poly(x, 2), x)", ["cbind(poly(x, 2), x)1", "cbind(poly(x, 2), x)2", "cbind(poly(x, 2), x)x"]),
    ):
        made = build(parse(f"y ~ {side}", list(DATA.columns), {}), DATA, np.ones(len(DATA), dtype=bool), ())
        assert list(made.r_names) == ["(Intercept)", *expected]
