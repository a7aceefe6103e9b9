"""Model matrices: which coding each factor gets in each term, the columns, and their names in R and in Python.

The coding rule is R's (Chambers and Hastie 1992, "Statistical Models in S", p. 38). A factor in a term has
contrasts if the term without it is empty or part of an earlier term, and one column per level otherwise. Without an
intercept the first factor of the first term that has one gets all its levels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.rlang.contrasts import TREATMENT, Contrast
from dsl.data.formula.rlang.evaluate import Columns, Evaluator, Functions, States, column_key
from dsl.data.formula.rlang.syntax import Call, Name, Node, names, python_text, r_text
from dsl.data.formula.rlang.terms import Terms
from dsl.data.formula.rlang.values import Factor, Matrix, Quantity, Value, as_factor, is_dates, matched, numbers
from dsl.data.tables import first_rows
from dsl.exceptions import CollinearityError, FormulaError, InfiniteValueError

Fitted = FloatArray | Factor
"""Values of a variable: (N, p) numbers, or a factor with the fitted levels."""
TwoLevels: TypeAlias = Mapping[str, tuple[str, str]]
"""R's two levels of columns that are 0 and 1 here."""
NO_LEVELS: TwoLevels = {}
FACTOR_OF = ("factor", "as.factor", "as_factor", "C")
_PYTHON = {"FALSE": "False", "TRUE": "True"}
CHUNK = 32_768
"""Rows handled at a time: few enough that temporary arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One expression of a formula, fitted."""

    node: Node
    levels: Factor | None
    """Levels and contrasts if it is categorical."""
    logical: bool
    suffixes: tuple[str, ...]
    """What R appends to the name of each of its numeric columns."""
    two: tuple[str, str] | None = None
    """R's two levels, where it is a column of 0 and 1 that is logical or a category in R, or the factor of one. Without
    `levels` it is the number, which stands for the second: terms are linear in it, so that a mean can be plugged in."""

    @property
    def categorical(self) -> bool:
        """Whether R codes it by contrasts."""
        return self.levels is not None or self.two is not None

    @property
    def r_name(self) -> str:
        """The expression in R."""
        return r_text(self.node)

    @property
    def python_name(self) -> str:
        """The expression in Python."""
        return python_text(self.node)

    def r_names(self, full: bool) -> list[str]:
        """R's names of the columns, with all levels (`full`) or contrasts."""
        if not self.categorical:
            return [self.r_name + suffix for suffix in (self.suffixes if len(self.suffixes) > 1 else ("",))]
        # factor(d) of such a number has the levels 0 and 1 here
        known = self.two or (self.levels.levels if self.levels else ())
        ends = known if full else self._contrast.r_names(known)
        return [self.r_name + end for end in ends]

    def python_names(self, full: bool) -> list[str]:
        """Formulaic's names of the columns."""
        if self.levels is None and self.two is not None and full:
            return [f"{self.python_name}[{_PYTHON.get(level, level)}]" for level in self.two]
        if self.levels is None:
            return [self.python_name + (f"[{suffix}]" if suffix else "") for suffix in self.suffixes]
        if self.logical and not full:
            return [self.python_name]
        labels = self.levels.labels
        ends = [f"[{label}]" for label in labels] if full else self.levels.coding.python_names(labels)
        return [self.python_name + end for end in ends]

    def coding(self, full: bool) -> FloatArray | None:
        """What stands for each level, (levels, columns). None for numbers."""
        if not self.categorical:
            return None
        count = 2 if self.levels is None else len(self.levels.levels)
        return np.eye(count) if full else self._contrast.matrix(count)

    @property
    def _contrast(self) -> Contrast:
        return TREATMENT if self.levels is None else self.levels.coding


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term: its variables, and which of them have all their levels."""

    variables: tuple[int, ...]
    full: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermBlock:
    """The columns that one term makes."""

    name: str
    """In Python's spelling, as the coefficients' names begin."""
    r_name: str
    """The same in R."""
    start: int
    stop: int
    """Places of its columns among all: from `start` up to, but not including, `stop`."""
    labels: tuple[str, ...] = ()
    """Categories, of a term that is a single category variable."""
    coding: FloatArray | None = field(default=None, repr=False)
    """(categories, columns) what stands for each of them."""


def coded_terms(terms: Terms, categorical: Sequence[bool], *, intercept: bool) -> tuple[Term, ...]:
    """Coding of every factor in every term."""
    sets = [frozenset(term) for term in terms.terms]
    out = []
    free = not intercept
    for t, term in enumerate(terms.terms):
        full = []
        for j in term:
            # the term without the factor. Once its columns are there, all levels would be collinear with them.
            margin = sets[t] - {j}
            contrasts = not (categorical[j] and margin) or any(margin <= earlier for earlier in sets[:t])
            full.append(not contrasts)
        # no intercept yet: the first factor in sight spans it with all its levels
        first = next((p for p, j in enumerate(term) if categorical[j]), None)
        if free and first is not None:
            full[first] = True
            free = False
        out.append(Term(variables=term, full=tuple(full)))
    return tuple(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The right-hand side (or the outcome) of a formula, fitted: levels, contrasts and knots are fixed."""

    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]
    intercept: bool
    offsets: tuple[Node, ...] = ()
    columns_used: tuple[str, ...]
    """Columns of the data in the whole formula."""
    functions: Functions = field(repr=False)
    states: States = field(repr=False)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names, as formulaic writes them."""
        return self._names("Intercept", Variable.python_names)

    @property
    def r_names(self) -> tuple[str, ...]:
        """Column names, as R's ``model.matrix`` writes them."""
        return self._names("(Intercept)", Variable.r_names)

    def _names(self, intercept: str, names_of: object) -> tuple[str, ...]:
        out = [intercept] if self.intercept else []
        for term in self.terms:
            parts = [names_of(self.variables[j], full) for j, full in _places(term)]  # type: ignore[operator]
            # the first variable's columns change fastest, as in `_product`
            out += [":".join(reversed(choice)) for choice in product(*reversed(parts))]
        return tuple(out)

    def widths(self) -> list[int]:
        """Number of columns of each term."""
        return [math.prod(len(self.variables[j].r_names(full)) for j, full in _places(term)) for term in self.terms]

    @property
    def blocks(self) -> tuple[TermBlock, ...]:
        """The terms' columns, the intercept's first."""
        out = [TermBlock(name="Intercept", r_name="(Intercept)", start=0, stop=1)] if self.intercept else []
        for term, width in zip(self.terms, self.widths(), strict=True):
            start = out[-1].stop if out else 0
            parts = [self.variables[j] for j in term.variables]
            # one variable alone: what each level stands for says which combinations compare two levels
            alone = parts[0].levels if len(parts) == 1 else None
            out.append(
                TermBlock(
                    name=":".join(part.python_name for part in parts),
                    r_name=":".join(part.r_name for part in parts),
                    start=start,
                    stop=start + width,
                    labels=() if alone is None else alone.labels,
                    coding=None if alone is None else parts[0].coding(term.full[0]),
                )
            )
        return tuple(out)

    def names_of(self, term: Term) -> set[str]:
        """Columns of the data, and constants, that a term uses."""
        return {name for j in term.variables for name in names(self.variables[j].node)}

    @property
    def required(self) -> tuple[str, ...]:
        """Columns of the data that new rows need."""
        used = {name for term in self.terms for name in self.names_of(term)}
        used |= {name for node in self.offsets for name in names(node)}
        return tuple(sorted(used & set(self.columns_used)))

    @property
    def kinds(self) -> dict[str, Factor | None]:
        """Columns that stand alone in the formula, with their levels (None for numbers). Dates are known by their states."""
        alone = {v.node.id: v for v in self.variables if isinstance(v.node, Name) and (v.levels or v.suffixes)}
        dates = {name for name in alone if is_dates(self.states.get(column_key(name)))}
        return {name: variable.levels for name, variable in alone.items() if name not in dates}

    @property
    def term_columns(self) -> tuple[tuple[tuple[frozenset[str], bool], ...], ...]:
        """For each expression of each term: the data's columns that it uses, and whether it makes categories of them."""
        each = [
            (frozenset(names(variable.node)) & set(self.columns_used), variable.levels is not None)
            for variable in self.variables
        ]
        return tuple(tuple(each[j] for j in term.variables) for term in self.terms)

    def evaluator(self, data: pd.DataFrame) -> Evaluator:
        """Evaluator of this formula's expressions on the rows of `data`."""
        return Evaluator(Columns(data), len(data), self.functions, self.states)

    def columns(
        self,
        data: pd.DataFrame,
        places: Sequence[int] | None = None,
        intercept: bool | None = None,
        known: Mapping[int, Fitted] | None = None,
    ) -> FloatArray:
        """Columns of some terms (all by default) on the rows of `data`. (N, columns) array.

        `known` holds values of variables, by position, where the caller has them already.
        """
        evaluate = self.evaluator(data)
        chosen = self.terms if places is None else [self.terms[t] for t in places]
        values = dict(known or {})
        for j in sorted({j for term in chosen for j in term.variables} - set(values)):
            values[j] = fitted_value(self.variables[j], evaluate(self.variables[j].node))
        codings = [[self.variables[j].coding(full) for j, full in _places(term)] for term in chosen]
        widths = [int(self.intercept if intercept is None else intercept)]
        widths += [math.prod(self._width(j, full) for j, full in _places(term)) for term in chosen]
        ends = np.cumsum(widths)
        # one column after the other: products of rows and their sums then run along the memory (`dsl.engine.weighted`)
        out = np.empty((len(data), int(ends[-1])), order="F")
        out[:, : widths[0]] = 1.0
        for start in range(0, len(data), CHUNK):
            rows = slice(start, start + CHUNK)
            for term, coding, end, width in zip(chosen, codings, ends[1:], widths[1:], strict=True):
                out[rows, end - width : end] = _product(term, coding, values, rows)
        return out

    def _width(self, j: int, full: bool) -> int:
        return len(self.variables[j].r_names(full))

    def offset(self, data: pd.DataFrame) -> FloatArray | None:
        """Sum of the offsets on the rows of `data`, or None if there are none."""
        if not self.offsets:
            return None
        evaluate = self.evaluator(data)
        parts = [numbers(evaluate(node), f"offset({r_text(node)})") for node in self.offsets]
        total = np.asarray(np.sum(parts, axis=0))
        check_finite(total[:, None], [f"offset({python_text(node)})" for node in self.offsets], data.index)
        return total


def _places(term: Term) -> list[tuple[int, bool]]:
    return list(zip(term.variables, term.full, strict=True))


def fit_variables(
    terms: Terms, evaluators: Sequence[Evaluator], two_levels: TwoLevels
) -> tuple[tuple[Variable, ...], dict[int, Fitted]]:
    """Kind, levels and contrasts of every variable, each seen by its own evaluator, and its values there."""
    used = {j for term in terms.terms for j in term}
    variables, values = [], dict[int, Fitted]()
    for j, (node, evaluate) in enumerate(zip(terms.variables, evaluators, strict=True)):
        if j not in used:
            variables.append(Variable(node=node, levels=None, logical=False, suffixes=("",)))
            continue
        value = evaluate(node)
        variable = fit_variable(node, value, two_levels)
        if variable.levels is not None and not isinstance(value, Factor):
            value = as_factor(value)
        variables.append(variable)
        values[j] = fitted_value(variable, value)
    return tuple(variables), values


def fit_variable(node: Node, value: Value, two_levels: TwoLevels = NO_LEVELS) -> Variable:
    """Kind, levels and contrasts of an expression's value."""
    two = two_levels.get(_column_of(node))
    if isinstance(value, Matrix):
        return Variable(node=node, levels=None, logical=False, suffixes=value.suffixes)
    if value is None:
        raise FormulaError(f"'{python_text(node)}' has no values")
    if isinstance(value, Quantity):
        return Variable(node=node, levels=None, logical=False, suffixes=("",))
    logical = not isinstance(value, Factor) and value.dtype.kind == "b"
    if not isinstance(value, Factor) and value.dtype.kind in "if":
        return Variable(node=node, levels=None, logical=False, suffixes=("",), two=two)
    levels = as_factor(value).used()
    if len(levels.levels) < 2:
        raise CollinearityError(f"'{python_text(node)}' has the same value in every row; take it out of the formula")
    two = two if levels.levels == ("0", "1") else None
    return Variable(node=node, levels=levels.without_rows(), logical=logical, suffixes=(), two=two)


def _column_of(node: Node) -> str:
    """The column that an expression is, or is the factor of; empty if it is another one."""
    if isinstance(node, Call) and node.function in FACTOR_OF and len(node.args) == 1:
        node = node.args[0][1]
    return node.id if isinstance(node, Name) else ""


def fitted_value(variable: Variable, value: Value) -> Fitted:
    """A value as the fitted variable has it: (N, p) numbers, or a factor with the fitted levels."""
    name = variable.python_name
    if variable.levels is None:
        if isinstance(value, Matrix):
            return value.values
        return numbers(value, f"'{name}'")[:, None]
    # a condition in the data that was fitted may come as 0 and 1 in new data
    if variable.logical and isinstance(value, np.ndarray) and value.dtype.kind in "if":
        value = value != 0
    found = as_factor(value)
    # the same levels in the same order: codes need no translation
    if found.levels == variable.levels.levels:
        return found
    return matched(found.text(), variable.levels, name)


def rows_of(value: Fitted, rows: BoolArray) -> Fitted:
    """Values on some rows."""
    return value[rows] if isinstance(value, np.ndarray) else replace(value, codes=value.codes[rows])


def _product(term: Term, codings: Sequence[FloatArray | None], values: Mapping[int, Fitted], rows: slice) -> FloatArray:
    """Products of the columns of a term's variables, the first variable's changing fastest. (rows, columns) array."""
    out: FloatArray | None = None
    for j, coding in zip(term.variables, codings, strict=True):
        value = values[j]
        if isinstance(value, np.ndarray):
            # of two levels the number is the share of the second
            block = value[rows] if coding is None else coding[0] + value[rows] * (coding[1] - coding[0])
        else:
            assert coding is not None
            block = np.take(coding, value.codes[rows], axis=0)
        # (rows, new, 1) times (rows, 1, old): the old columns change fastest
        out = block if out is None else (block[:, :, None] * out[:, None, :]).reshape(len(block), -1)
    assert out is not None
    return out


def check_finite(matrix: FloatArray, column_names: Sequence[str], index: pd.Index) -> None:
    """Raise InfiniteValueError if a column is infinite or undefined."""
    # one pass without a mask for the common case. A sum that overflows is looked at below.
    if np.isfinite(matrix.sum()):
        return
    bad = ~np.isfinite(matrix)
    if bad.any():
        column = int(bad.any(axis=0).argmax())
        raise InfiniteValueError(
            f"'{column_names[column]}' is infinite or undefined in {first_rows(bad[:, column], index)}; transform it so that it "
            "exists for every row (log1p for counts), where it is predicted for every prediction too"
        )
