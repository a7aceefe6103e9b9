"""Factors of formulaic's terms, and the names in them."""

import ast
from collections.abc import Iterable

from formulaic.parser.types import Factor, Term
from formulaic.utils.code import sanitize_variable_names

from dsl.exceptions import FormulaError


def factors_of(terms: Iterable[Term]) -> list[Factor]:
    """Factors of terms but for numbers, each once."""
    return [f for f in dict.fromkeys(f for term in terms for f in term.factors) if f.eval_method.value != "literal"]


def names_in(factor: Factor, text: str) -> dict[str, bool]:
    """All names in a factor, before it is fitted, and whether they are called (or have an attribute that is).

    `Factor.required_variables` leaves some out: those in ``bs(x)`` and ``(x + z).abs()``.
    """
    if factor.eval_method.value == "literal":
        return {}
    if factor.eval_method.value == "lookup":
        return {str(factor.expr): False}
    aliases: dict[str, str] = {}
    try:
        tree = ast.parse(sanitize_variable_names(factor.expr, {}, aliases).strip(), mode="eval")
    except SyntaxError as error:
        raise FormulaError(
            f"formula '{text}': '{factor.expr}' is not an expression of Python's ({error.msg})"
        ) from None
    nodes = list(ast.walk(tree))
    # arguments of lambdas and variables of comprehensions are the expression's own
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    called = {root_of(node.func) for node in nodes if isinstance(node, ast.Call)}
    read = {node.id for node in nodes if isinstance(node, ast.Name)} - own
    return {aliases.get(name, name): name in called for name in sorted(read)}


def root_of(node: ast.expr) -> str:
    """The name that an expression such as ``np.linalg.norm`` starts with, empty if it is none."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
