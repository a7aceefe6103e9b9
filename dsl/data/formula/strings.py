"""Formulas written as strings: R's language, fitted to the data.

R's formula language is read and evaluated by `dsl.data.formula.rlang`. This module decides which columns hold predicted
variables, fits the formula once and evaluates these columns again for every split.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.rlang.evaluate import Columns, Evaluator, Functions, States, resolve
from dsl.data.formula.rlang.matrix import (
    Fitted,
    Spec,
    Variable,
    check_finite,
    coded_terms,
    fit_variable,
    fit_variables,
    fitted_value,
    rows_of,
)
from dsl.data.formula.rlang.syntax import Binary, Call, Name, Node, String, names, parse_expression, python_text, r_text
from dsl.data.formula.rlang.terms import Terms, expand, split_formula
from dsl.data.formula.rlang.values import Factor, Matrix, Value, as_factor
from dsl.data.formula.sides import Outcome, ParsedFormula, Part, Rows, check_size, outcome_columns
from dsl.exceptions import FormulaError


@dataclass(frozen=True, slots=True, kw_only=True)
class RFormula(ParsedFormula):
    """A formula in R's language."""

    outcome: Node
    """The left-hand side."""
    covariates: Terms
    """The right-hand side."""
    instruments: Terms | None = None
    """What stands on the left of the moments: exogenous covariates and instruments."""

    @property
    def outcome_name(self) -> str:
        """The left-hand side in Python's spelling."""
        return python_text(self.outcome)

    @property
    def outcome_column(self) -> str:
        """The column of the data that is the outcome as it stands, empty if it is an expression."""
        return self.outcome.id if isinstance(self.outcome, Name) else ""

    @property
    def offset_columns(self) -> frozenset[str]:
        """Names in the offsets."""
        return frozenset(name for node in self.covariates.offsets for name in names(node))

    def indicator(self, level: str) -> "RFormula":
        """The formula with the indicator of one category of the outcome as its outcome."""
        return replace(self, outcome=Call("I", ((None, Binary("==", self.outcome, String(level))),)))

    @property
    def instrumented(self) -> bool:
        """Whether there are instruments."""
        return self.instruments is not None

    def beside(self, predicted: Sequence[str]) -> tuple[str, ...]:
        """Variables that occur together with predicted ones, or as offsets, and nowhere else."""
        alone, mixed = set[str](), set(self.offset_columns)
        for side in filter(None, (self.covariates, self.instruments)):
            for term in side.terms:
                used = {name for j in term for name in names(side.variables[j])}
                (mixed if used & set(predicted) else alone).update(used)
        return tuple(sorted((mixed - alone - set(predicted)) & set(self.variables)))

    def fit_outcome(self, rows: Rows) -> Outcome:
        """The left-hand side, fitted."""
        node = self.outcome
        states: States = {}
        changes = bool(set(names(node)) & set(rows.predicted))
        value = _as_number(
            _evaluator(rows.data[rows.labeled] if changes else rows.filled, self.functions, states)(node)
        )
        self._check_one_column(value)
        variable = fit_variable(node, value)
        fixed = fitted_value(variable, value)
        assert not isinstance(fixed, Factor)
        if not changes:
            check_finite(fixed, [self.outcome_name], rows.filled.index)
        return Outcome(
            name=self.outcome_name,
            variables=frozenset(names(node)),
            fixed=None if changes else fixed,
            changing=_OutcomeValues(variable=variable, functions=self.functions, states=states),
            data=rows.data,
            direct=node.id if changes and isinstance(node, Name) and variable.levels is None else None,
        )

    def outcome_values(self) -> tuple[frozenset[str], Callable[[pd.DataFrame], Value]]:
        """Columns of the data in the left-hand side, and its values on some rows."""
        states: States = {}
        return frozenset(names(self.outcome)), lambda data: _evaluator(data, self.functions, states)(self.outcome)

    def expressions(self, predicted: Sequence[str]) -> tuple[tuple[str, Callable[[pd.DataFrame], Value]], ...]:
        """What the formula is made of besides predicted variables: each expression in words, and its values on some rows."""
        sides = [self.covariates, *filter(None, [self.instruments])]
        nodes = [self.outcome, *(each for side in sides for each in _expressions(side))]
        chosen = {r_text(node): node for node in nodes if not set(names(node)) & set(predicted)}
        functions = self.functions

        def values_of(node: Node) -> Callable[[pd.DataFrame], Value]:
            return lambda data: _evaluator(data, functions, {})(node)

        return tuple((text, values_of(node)) for text, node in chosen.items())

    def made_levels(self, labeled: pd.DataFrame, predicted: Sequence[str]) -> tuple[str, ...]:
        """Categories that the left-hand side makes of predicted numbers on the labelled rows, empty where it makes none."""
        variables, values = self.outcome_values()
        if not variables & set(predicted):
            return ()
        value = values(labeled)
        return value.used().levels if isinstance(value, Factor) else ()

    def _check_one_column(self, value: Value) -> None:
        levels: tuple[str, ...] = ()
        if isinstance(value, Factor) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
            levels = as_factor(value).used().labels
            columns = [f"{self.outcome_name}[{label}]" for label in levels]
        else:
            columns = list(value.suffixes) if isinstance(value, Matrix) else [self.outcome_name]
        if len(columns) != 1 or levels:
            raise outcome_columns(self.text, columns, self.outcome_column, levels)

    def fit_covariates(self, rows: Rows, *, absorbed: bool) -> Part:
        """The right-hand side, fitted. With `absorbed`, fixed effects take the intercept's place."""
        return self._fit(self.covariates, rows, absorbed=absorbed)

    def fit_instruments(self, rows: Rows, *, absorbed: bool) -> Part | None:
        """Exogenous covariates and instruments, fitted, or None where there are no instruments."""
        return None if self.instruments is None else self._fit(self.instruments, rows, absorbed=absorbed)

    def _fit(self, terms: Terms, rows: Rows, *, absorbed: bool) -> Part:
        states: States = {}
        used = {j for term in terms.terms for j in term}
        changed = {j for j in used if set(names(terms.variables[j])) & set(rows.predicted)}
        # states (means, knots, levels) of terms with predicted variables come from gold values, the others' from all
        # rows
        gold = _evaluator(rows.data[rows.labeled], self.functions, states)
        known = _evaluator(rows.filled, self.functions, states)
        seen = [gold if j in changed else known for j in range(len(terms.variables))]
        variables, values = fit_variables(terms, seen, rows.two_levels)
        # coded as if there were an intercept: its column is in the span of the fixed effects
        coded = coded_terms(
            terms, [variable.categorical for variable in variables], intercept=terms.intercept or absorbed
        )
        spec = Spec(
            variables=variables,
            terms=coded,
            intercept=terms.intercept and not absorbed,
            offsets=terms.offsets,
            columns_used=self.variables,
            functions=self.functions,
            states=states,
        )
        levels = {v.r_name: len(v.levels.levels) for v in variables if v.levels is not None}
        check_size(int(spec.intercept) + sum(spec.widths()), self.text, len(rows.data), levels)
        return _part(spec, rows, changed, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutcomeValues:
    """The outcome on rows of the analysis data."""

    variable: Variable
    functions: Functions
    states: States

    def __call__(self, data: pd.DataFrame) -> FloatArray:
        value = _evaluator(data, self.functions, self.states)(self.variable.node)
        out = fitted_value(self.variable, _as_number(value))
        assert not isinstance(out, Factor)
        check_finite(out, [self.variable.python_name], data.index)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changing:
    """Columns of the terms that hold predicted variables."""

    spec: Spec
    terms: tuple[int, ...]
    column_names: tuple[str, ...]
    known: Mapping[int, Fitted] = field(repr=False)
    """Values of the other variables in these terms."""

    def __call__(self, data: pd.DataFrame, rows: BoolArray | None) -> FloatArray:
        known = self.known if rows is None else {j: rows_of(value, rows) for j, value in self.known.items()}
        out = self.spec.columns(data, self.terms, intercept=False, known=known)
        check_finite(out, self.column_names, data.index)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """Columns of some terms on any rows."""

    spec: Spec
    terms: tuple[int, ...]
    column_names: tuple[str, ...]
    intercept: bool | None = None

    def __call__(self, data: pd.DataFrame) -> FloatArray:
        out = self.spec.columns(data, self.terms, intercept=self.intercept)
        check_finite(out, self.column_names, data.index)
        return out


def _part(spec: Spec, rows: Rows, changed: set[int], values: Mapping[int, Fitted]) -> Part:
    """Separate the columns that predictions change from the others."""
    predicted = set(rows.predicted)
    # (terms + 1,) first column of each term, and the end of the last
    starts = int(spec.intercept) + np.cumsum([0, *spec.widths()])
    changing = tuple(t for t, term in enumerate(spec.terms) if changed & set(term.variables))
    constant = tuple(t for t in range(len(spec.terms)) if t not in changing)
    predicted_index = [j for t in changing for j in range(starts[t], starts[t + 1])]
    taken, every = set(predicted_index), spec.column_names
    fixed_index = [j for j in range(starts[-1]) if j not in taken]
    known = {j: value for j, value in values.items() if j not in changed}
    fixed = spec.columns(rows.filled, constant, known=known)
    check_finite(fixed, [every[j] for j in fixed_index], rows.filled.index)
    plain = tuple(every[j] for j in predicted_index)
    coded = {name for j in changed if spec.variables[j].levels is not None for name in names(spec.variables[j].node)}
    # columns that are predicted variables as they stand need no evaluation in the splits
    simple = all(len(spec.terms[t].variables) == 1 for t in changing) and set(plain) <= predicted
    return Part(
        spec=spec,
        fixed=fixed,
        fixed_index=tuple(fixed_index),
        predicted_index=tuple(predicted_index),
        direct=plain if changing and simple else None,
        coded=tuple(sorted(coded & predicted)),
        changing=_Changing(
            spec=spec,
            terms=changing,
            column_names=plain,
            known={j: known[j] for t in changing for j in spec.terms[t].variables if j in known},
        ),
        data=rows.data,
        fixed_of=_Standing(spec=spec, terms=constant, column_names=tuple(every[j] for j in fixed_index)),
        moving=_Standing(spec=spec, terms=changing, column_names=plain, intercept=False),
    )


def parse_string(formula: str, columns: Sequence[str], caller: Functions, *, outside_dot: Container[str]) -> RFormula:
    """Read a formula in R's language (see `dsl.data.formula.matrices.parse`)."""
    stripped = formula.strip()
    if not stripped or stripped.startswith("~") or stripped.endswith("~"):
        raise FormulaError(
            f"formula '{formula}' must have one outcome on the left of '~' and terms on its right, as in 'y ~ x1 + x2'"
        )
    if stripped.endswith("|"):
        raise FormulaError(
            f"formula '{formula}' has nothing behind '|'; name fixed effects, as in 'y ~ x | unit + year'"
        )
    try:
        return _parsed(formula, columns, caller, outside_dot)
    except RecursionError:
        raise FormulaError(
            f"formula '{formula[:60]}...' is nested too deeply to be read; compute what is in its innermost parentheses as a "
            "column first"
        ) from None


def _parsed(formula: str, columns: Sequence[str], caller: Functions, outside_dot: Container[str]) -> RFormula:
    sides = split_formula(parse_expression(formula), formula)
    outcome, dot = sides.outcome, [name for name in columns if name not in outside_dot]
    _check_outcome(outcome, formula)
    covariates = expand(sides.covariates, dot, outcome, formula)
    instruments = None if sides.instruments is None else expand(sides.instruments, dot, outcome, formula)
    expressions = [outcome, *_expressions(covariates), *([] if instruments is None else _expressions(instruments))]
    variables, functions = resolve(expressions, columns, caller, formula)
    return RFormula(
        text=formula,
        outcome=outcome,
        covariates=covariates,
        instruments=instruments,
        absorbed=sides.absorbed,
        variables=variables,
        functions=functions,
    )


def _expressions(side: Terms) -> list[Node]:
    used = {j for term in side.terms for j in term}
    return [*(side.variables[j] for j in sorted(used)), *side.offsets]


def _check_outcome(outcome: Node, formula: str) -> None:
    if isinstance(outcome, Binary) and outcome.op == "+":
        raise FormulaError(
            f"formula '{formula}' must have one outcome on the left of '~'; for the sum of columns write I({r_text(outcome)})"
        )
    if isinstance(outcome, Call) and outcome.function == "cbind":
        raise FormulaError(
            f"formula '{formula}' must have one outcome on the left of '~': fit one model for each column of cbind(), and for "
            "successes and failures use a data frame with a row for each trial"
        )


def _as_number(value: Value) -> Value:
    """A condition as 0 and 1."""
    return value.astype(float) if isinstance(value, np.ndarray) and value.dtype.kind == "b" else value


def _evaluator(data: pd.DataFrame, functions: Functions, states: States) -> Evaluator:
    return Evaluator(Columns(data), len(data), functions, states)
