"""Which terms a formula has, against ``colnames(model.matrix(formula, data))`` in R 4.2.2."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.formula.matrices import build, parse
from dsl.data.formula.strings import parse_string
from dsl.exceptions import FormulaError

J = np.arange(24)
DATA = pd.DataFrame({"y": J, "a": J % 2, "b": J // 2 % 2, "c": J // 4 % 2, "d": J % 3})


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("(a + b + c)^2", ["a", "b", "c", "a:b", "a:c", "b:c"]),
        ("(a + b + c)^3", ["a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"]),
        ("(a + b)^4", ["a", "b", "a:b"]),
        ("(a + b + c)^2 - a:b", ["a", "b", "c", "a:c", "b:c"]),
        ("(a + b + c + d)^2", ["a", "b", "c", "d", "a:b", "a:c", "a:d", "b:c", "b:d", "c:d"]),
        ("a * b * c - a:b:c", ["a", "b", "c", "a:b", "a:c", "b:c"]),
        ("a / b", ["a", "a:b"]),
        ("(a + b) / c", ["a", "b", "a:b:c"]),
        ("(a + b) %in% c", ["a:c", "b:c"]),
        ("(a + b):(a + c)", ["a", "a:c", "a:b", "b:c"]),
        ("c + a:b + b + a", ["c", "b", "a", "a:b"]),
    ],
)
def test_columns(side: str, expected: list[str]) -> None:
    made = build(parse(f"y ~ {side}", list(DATA.columns), {}), DATA, np.ones(len(DATA), dtype=bool), ())
    assert list(made.covariates.names) == ["Intercept", *expected]


@pytest.mark.long
def test_thousands_of_terms_written_out() -> None:
    names = [f"x{j}" for j in range(5000)]
    parsed = parse_string(f"y ~ {' + '.join(names)}", ["y", *names], {}, outside_dot=())
    assert len(parsed.covariates.terms) == 5000
    assert parsed.variables == tuple(sorted(["y", *names]))


@pytest.mark.parametrize("right", ["(" * 3000 + "x" + ")" * 3000, f"I({'+'.join(['x'] * 3000)})", "!" * 3000 + "x"])
def test_too_deep_a_formula_is_an_error_of_the_formula(right: str) -> None:
    with pytest.raises(FormulaError, match="nested too deeply"):
        parse_string(f"y ~ {right}", ["y", "x"], {}, outside_dot=())
