"""What cannot be read is refused, with the place at which it stops."""

import pytest

from dsl.data.formula.rlang.syntax import names, parse_expression, python_text, r_text
from dsl.exceptions import FormulaError


@pytest.mark.parametrize(
    "text", ["f(x y)", "f(x, y z)", "c(1 2)", "(x", "f(x", "x +", "x + * y", "[1 2]", ")", "x y", "`x", "'x"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(FormulaError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "r", "python"),
    [
        ("x^2^3", "x^2^3", "x ** 2 ** 3"),
        ("-x^2", "-x^2", "-x ** 2"),
        ("(a+b)*c", "(a + b) * c", "(a + b) * c"),
        ("f( x,k=2 )", "f(x, k = 2)", "f(x, k=2)"),
        ("!a&b", "!a & b", "!a & b"),
        ("1e5", "1e+05", "100000"),
    ],
)
def test_written_again(text: str, r: str, python: str) -> None:
    """``deparse(quote(...))`` in R 4.2.2, and the name of a column in Python."""
    assert r_text(parse_expression(text)) == r
    assert python_text(parse_expression(text)) == python


def test_names() -> None:
    assert names(parse_expression("f(x, g(y), k = z) + Q('my var') + x")) == ["x", "y", "z", "my var"]
