"""What the argument `formula` may be, and how it is printed: a string, or an object of formulaic's."""

from typing import TypeAlias, TypeGuard

from formulaic import Formula, ModelSpec, ModelSpecs, SimpleFormula, StructuredFormula
from formulaic.errors import FormulaicError
from formulaic.parser.types import Term

from dsl.exceptions import ArgumentError, FormulaError

FormulaObject: TypeAlias = Formula | ModelSpec | ModelSpecs
FormulaLike: TypeAlias = str | FormulaObject
"""What the argument `formula` may be."""
Side: TypeAlias = SimpleFormula | ModelSpec
"""One side of a formula, fitted or not."""


def is_formulaic(formula: object) -> TypeGuard[FormulaObject]:
    """Whether a formula is one of formulaic's objects."""
    return isinstance(formula, Formula | ModelSpec | ModelSpecs)


def is_formula(value: object) -> TypeGuard[FormulaLike]:
    """Whether a value can be the argument `formula`."""
    return isinstance(value, str) or is_formulaic(value)


def check_formula(formula: object) -> None:
    """Raise ArgumentError unless a value can be the argument `formula`."""
    if is_formula(formula):
        return
    found = f"found {type(formula).__name__}" + ("; pass its .model_spec" if hasattr(formula, "model_spec") else "")
    raise ArgumentError(
        f"formula must be a string such as 'y ~ x1 + x2', or formulaic's Formula or ModelSpecs; {found}"
    )


def formula_text(formula: FormulaLike) -> str:
    """A formula in one line, as printed: a string as it is.

    Examples
    --------
    >>> formula_text(Formula("y ~ x * C(g, contr.sum)"))
    'y ~ 1 + x + C(g, contr.sum) + x:C(g, contr.sum)'
    >>> formula_text("y ~ x")
    'y ~ x'
    """
    if isinstance(formula, str):
        return formula
    parts = structure_of(formula)
    outcome = " ".join(side_text(part) for part in parts.pop("lhs", ()))
    others = [side_text(part) or "1" for part in parts.pop("rhs", ())]
    right = " | ".join(text if text.startswith("1") else f"0 + {text}" for text in others)
    extra = "".join(f"; {name}: {' | '.join(map(side_text, each))}" for name, each in parts.items())
    return f"{outcome} ~ {right}".strip() + extra


def formula_code(formula: FormulaLike) -> tuple[list[str], str]:
    """Lines that a script needs before it can name the formula, and the expression that stands for it.

    Examples
    --------
    >>> formula_code(Formula("y ~ x"))
    (['import formulaic'], "formulaic.Formula('y ~ 1 + x')")
    """
    if isinstance(formula, str):
        return [], repr(formula)
    text = formula_text(formula)
    if isinstance(formula, Formula):
        try:
            if Formula(text) == formula:
                return ["import formulaic"], f"formulaic.Formula({text!r})"
        except FormulaicError:  # names that need quotes
            pass
    # in one line, so that no name of a column ends the comment
    return [f"formula = ...  # your formulaic {type(formula).__name__}: {' '.join(text.split())}"], "formula"


def formula_identity(formula: FormulaLike) -> object:
    """What tells two formulas apart, as plain values: the text, and the states of a specification of formulaic's."""
    if isinstance(formula, str):
        return formula
    sides = [side for part in structure_of(formula).values() for side in part if isinstance(side, ModelSpec)]
    # two specifications of the same text can have knots and levels from different data
    states = [[side.transform_state, side.encoder_state, side.ensure_full_rank, str(side.cluster_by)] for side in sides]
    return [type(formula).__name__, formula_text(formula), states]


def require_text(formula: FormulaLike, what: str) -> str:
    """The formula, if it is a string.

    Raises
    ------
    FormulaError
        It is one of formulaic's objects, which `what` cannot use.
    """
    if isinstance(formula, str):
        return formula
    raise FormulaError(
        f"{what} needs the formula as a string in R's language, not formulaic's '{formula_text(formula)}'"
    )


def structure_of(formula: FormulaObject) -> dict[str, tuple[Side, ...]]:
    """Parts of a formula by name, ``rhs`` alone if it has one side."""
    if isinstance(formula, SimpleFormula | ModelSpec):
        return {"rhs": (formula,)}
    assert isinstance(formula, StructuredFormula | ModelSpecs)
    return {
        name: part if isinstance(part, tuple) else (part,) for name, part in formula._to_dict(recurse=False).items()
    }


def side_text(part: Side) -> str:
    """One side in one line."""
    return " + ".join(str(term) for term in terms_of(part))


def terms_of(part: Side) -> list[Term]:
    """Terms of one side."""
    return list(part.formula if isinstance(part, ModelSpec) else part)
