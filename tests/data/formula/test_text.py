"""What a formula may be, and how it is printed."""

import formulaic
import pandas as pd
import pytest
from formulaic import Formula

from dsl.data.fingerprint import fingerprint
from dsl.data.formula.text import formula_code, formula_identity, formula_text, is_formula, require_text
from dsl.exceptions import FormulaError

TABLE = pd.DataFrame({"y": [1.0, 0.0, 1.0, 2.0], "x": [1.0, 2.0, 4.0, 8.0], "g": list("abab")})


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ x | unit", "y ~ x | unit"),
        (Formula("y ~ x * C(g, contr.sum)"), "y ~ 1 + x + C(g, contr.sum) + x:C(g, contr.sum)"),
        (Formula("y ~ 0 + x"), "y ~ 0 + x"),
        (Formula("y ~ 1"), "y ~ 1"),
        (Formula("y ~ x | g"), "y ~ 1 + x | 1 + g"),
        (Formula("x + z"), "~ 1 + x + z"),
        (formulaic.model_matrix("y ~ scale(x)", TABLE).model_spec, "y ~ 1 + scale(x)"),
        (formulaic.model_matrix("x", TABLE).model_spec, "~ 1 + x"),
        (Formula(lhs="y", rhs="x", weights="z"), "y ~ 0 + x; weights: z"),
    ],
)
def test_text_is_one_line(formula: object, text: str) -> None:
    assert is_formula(formula)
    assert formula_text(formula) == text


def test_other_things_are_no_formulas() -> None:
    for other in (None, 3, ["y ~ x"], formulaic.model_matrix("y ~ x", TABLE)):
        assert not is_formula(other)


def test_code_makes_the_same_formula_or_asks_for_it() -> None:
    assert formula_code("y ~ x") == ([], "'y ~ x'")
    whole = Formula("y ~ x:C(g, contr.sum) + x - 1")
    lines, expression = formula_code(whole)
    assert lines == ["import formulaic"]
    assert eval(expression, {"formulaic": formulaic}) == whole
    for asked in (formulaic.model_matrix("y ~ scale(x)", TABLE).model_spec, Formula("y ~ `my col`")):
        lines, expression = formula_code(asked)
        assert expression == "formula"
        assert lines == [f"formula = ...  # your formulaic {type(asked).__name__}: {formula_text(asked)}"]


def test_identity_is_the_text_and_the_states() -> None:
    def of(formula: object) -> str:
        return fingerprint(formula_identity(formula))  # type: ignore[arg-type]

    assert of(Formula("y ~ x")) == of(Formula("y ~ 1 + x"))
    assert of(Formula("y ~ x")) != of("y ~ 1 + x")
    fitted = formulaic.model_matrix("y ~ scale(x)", TABLE).model_spec
    assert of(fitted) == of(formulaic.model_matrix("y ~ scale(x)", TABLE).model_spec)
    assert of(fitted) != of(formulaic.model_matrix("y ~ scale(x)", TABLE.assign(x=[1.0, 2.0, 4.0, 9.0])).model_spec)
    fitted.rhs.column_names  # noqa: B018  # what formulaic caches is no part of it
    assert of(fitted) == of(formulaic.model_matrix("y ~ scale(x)", TABLE).model_spec)


def test_text_can_be_required() -> None:
    assert require_text("y ~ x", "R") == "y ~ x"
    with pytest.raises(
        FormulaError, match=r"R needs the formula as a string in R's language, not formulaic's 'y ~ 1 [+] x'"
    ):
        require_text(Formula("y ~ x"), "R")
