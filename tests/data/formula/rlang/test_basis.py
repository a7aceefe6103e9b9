"""Splines against the numbers that R 4.2.2 prints, at the rows of the analysis and at others."""

from typing import Any

import numpy as np
import pytest

from dsl.data.formula.rlang.basis import bs, ns
from dsl.exceptions import FormulaError

PRINTED = 2e-14
"""Fifteen digits of numbers up to two."""
X = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
YES = np.array([True])


def number(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def rows(text: str) -> np.ndarray:
    return np.array([[float(value) for value in line.split()] for line in text.strip().split("\n")])


@pytest.mark.parametrize(
    ("function", "arguments", "printed"),
    [
        # bs(x, df = 5)
        (bs, {"df": number(5)}, """
            0 0 0 0 0
            0.672 0.252 0.012 0 0
            0.096 0.6312 0.26256 0.01024 0
            0 0.1536 0.50688 0.33152 0.008
            0 0 0 0 1
        """),
        # bs(x, knots = 3, degree = 2, intercept = TRUE)
        (bs, {"knots": number(3), "degree": number(2), "intercept": YES}, """
            1 0 0 0
            0.25 0.7 0.05 0
            0 0.6125 0.371875 0.015625
            0 0.2 0.55 0.25
            0 0 0 1
        """),
        # bs(x, df = 4, Boundary.knots = c(0, 12))
        (bs, {"df": number(4), "Boundary_knots": number(0, 12)}, """
            0.522569444444444 0.0538194444444444 0.00173611111111111 0
            0.680555555555556 0.180555555555556 0.0138888888888889 0
            0.444444444444444 0.444444444444444 0.111111111111111 0
            0.108506944444444 0.401475694444444 0.437282986111111 0.052734375
            0.000868055555555556 0.0282118055555556 0.300998263888889 0.669921875
        """),
        # ns(x, df = 3)
        (ns, {"df": number(3)}, """
            0 0 0
            -0.112581022118933 0.332216058983821 -0.207635036864888
            0.0483278912087504 0.581525623443332 -0.357053514652083
            0.49513585010321 0.362837733058106 -0.0115735831613165
            -0.153061224489796 0.408163265306123 0.744897959183673
        """),
        # ns(x, df = 4, intercept = TRUE)
        (ns, {"df": number(4), "intercept": YES}, """
            -0.196116135138184 -0.237728655525098 0.633943081400262 -0.396214425875164
            0.298435819375283 -0.136460080477682 0.395893547940485 -0.247433467462803
            0.625214101518734 0.204606704058974 0.164782122509402 -0.0965888265683764
            0.149880606768922 0.535785292107144 0.254439221047616 0.0561754868452401
            0 -0.153061224489796 0.408163265306123 0.744897959183673
        """),
        # ns(x, knots = c(3, 5), Boundary.knots = c(2, 10))
        (ns, {"knots": number(3, 5), "Boundary_knots": number(2, 10)}, """
            0.246398779091599 -0.591357069819837 0.344958290728238
            0 0 0
            -0.00315448010449698 0.621856466536507 -0.356797224527248
            0.43956851870395 0.359321269396233 0.104681640471245
            -0.422018348623853 0.412844036697248 1.00917431192661
        """),
    ],
)  # fmt: skip
def test_splines(function: Any, arguments: dict[str, Any], printed: str) -> None:
    made = function({}, X, **arguments)
    np.testing.assert_allclose(made.values, rows(printed), atol=PRINTED)
    assert made.suffixes == tuple(str(j + 1) for j in range(made.values.shape[1]))


@pytest.mark.parametrize(
    ("function", "arguments", "new", "printed"),
    [
        # predict(ns(x, df = 3), c(0, 3, 13)): straight lines beyond the boundary knots
        (ns, {"df": number(3)}, number(0, 3, 13), """
            0.132298908538507 -0.352797089436018 0.220498180897511
            -0.108216574415801 0.542177531775469 -0.338760957359668
            -0.630612244897959 0.481632653061225 1.14897959183673
        """),
        # predict(bs(x, df = 5), c(1.5, 3, 10))
        (bs, {"df": number(5)}, number(1.5, 3, 10), """
            0.579 0.0765 0.0015 0 0
            0.324 0.5808 0.09504 0.000160000000000001 0
            0 0.0024 0.06192 0.42368 0.512
        """),
    ],
)  # fmt: skip
def test_splines_at_other_values(function: Any, arguments: dict[str, Any], new: np.ndarray, printed: str) -> None:
    state: dict[str, Any] = {}
    function(state, X, **arguments)
    np.testing.assert_allclose(function(state, new, **arguments).values, rows(printed), atol=PRINTED)


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (bs, {"df": number(2)}, r"df of bs\(\) is too small; it must be at least 3"),
        (bs, {"df": number(3), "intercept": YES}, r"df of bs\(\) is too small; it must be at least 4"),
        (ns, {"df": number(0)}, r"df of ns\(\) is too small; it must be at least 1"),
        (ns, {"df": number(1), "intercept": YES}, r"df of ns\(\) is too small; it must be at least 2"),
    ],
)
def test_too_few_degrees_of_freedom(function: Any, arguments: dict[str, Any], words: str) -> None:
    """R uses the least number instead, with a warning."""
    with pytest.raises(FormulaError, match=words):
        function({}, X, **arguments)


def test_a_constant_has_no_splines() -> None:
    with pytest.raises(FormulaError, match="needs a variable with different values"):
        ns({}, np.ones(5), df=number(3))
