"""Formulas -> design matrices for gold and for predicted values.

R's formula language is read and evaluated by `dsl.data.formula.rlang`; this module decides which columns hold predicted
variables, fits the formula once and evaluates these columns again for every split.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.formula.rlang.evaluate import Evaluator, Functions, resolve
from dsl.data.formula.rlang.matrix import (
    Fitted,
    Spec,
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
from dsl.data.tables import is_category
from dsl.exceptions import ArgumentError, FormulaError


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFormula:
    """A formula as written, and what it means."""

    text: str
    outcome: Node
    """The left-hand side."""
    covariates: Terms
    """The right-hand side."""
    absorbed: tuple[str, ...]
    """Columns after ``|``."""
    variables: tuple[str, ...]
    """Data columns of outcome, covariates and offsets."""
    functions: Functions = field(repr=False)
    """What the formula uses of the caller's functions and numbers."""

    @property
    def outcome_name(self) -> str:
        """The left-hand side in Python's spelling."""
        return python_text(self.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The covariates, fitted: levels, contrasts and knots are those of the analysis data."""

    spec: Spec
    """All columns."""
    fixed: FloatArray = field(repr=False)
    """(N, f) columns without predicted variables."""
    fixed_index: tuple[int, ...]
    """Their places among all columns."""
    predicted_index: tuple[int, ...]
    """Places of the other p columns."""
    changing: tuple[int, ...]
    """The terms that make these."""
    direct: tuple[str, ...] | None
    """The predicted variables that these columns are, where they are just that."""
    coded: tuple[str, ...]
    """Predicted variables of which these terms make categories."""
    known: Mapping[int, Fitted] = field(repr=False)
    """Values of the other variables in these terms."""
    data: pd.DataFrame = field(repr=False)
    """Analysis data."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns in the formula's order (which is R's), in Python's spelling."""
        return self.spec.column_names

    @property
    def r_names(self) -> tuple[str, ...]:
        """The names that R's ``model.matrix`` gives the same columns."""
        return self.spec.r_names

    def at(self, values: Mapping[str, FloatArray], rows: BoolArray | None = None) -> FloatArray:
        """Predicted columns with the predicted variables at `values`, on `rows` (all by default); (rows, p)."""
        if self.direct is not None:
            return np.column_stack([values[name] for name in self.direct])
        if not self.changing:
            return np.empty((len(self.data) if rows is None else int(rows.sum()), 0))
        data = (self.data if rows is None else self.data[rows]).assign(**values)
        known = self.known if rows is None else {j: rows_of(value, rows) for j, value in self.known.items()}
        out = self.spec.columns(data, self.changing, intercept=False, known=known)
        check_finite(out, [self.names[j] for j in self.predicted_index], data.index)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The left-hand side, fitted."""

    spec: Spec
    node: Node
    fixed: FloatArray | None = field(repr=False)
    """(N, 1) the outcome if it holds no predicted variable."""
    data: pd.DataFrame = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, alone in a tuple."""
        return (python_text(self.node),)

    @property
    def predicted_index(self) -> tuple[int, ...]:
        """``(0,)`` if it holds a predicted variable, else empty."""
        return (0,) if self.fixed is None else ()

    def at(self, values: Mapping[str, FloatArray], rows: BoolArray | None = None) -> FloatArray:
        """The outcome with the predicted variables at `values`, on `rows` (all by default); (rows, 1)."""
        data = (self.data if rows is None else self.data[rows]).assign(**values)
        out = fitted_value(self.spec.variables[0], _as_number(self.spec.evaluator(data)(self.node)))
        assert not isinstance(out, Factor)
        check_finite(out, self.names, data.index)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Both sides of the formula, and what the labelled rows show."""

    covariates: Part
    outcome: Outcome
    gold: FloatArray = field(repr=False)
    """(n, p) predicted covariate columns at the gold values."""
    gold_outcome: FloatArray = field(repr=False)
    """(n,) outcome on the labelled rows."""
    offset: FloatArray | None = field(repr=False, default=None)
    """(N,) sum of the formula's offsets; None if there are none."""
    categorical: bool = False
    """Whether a predicted variable is a category, in the data or in the formula: it has no mean to plug in."""
    beside: tuple[str, ...] = ()
    """Other variables that occur in terms of predicted ones or as offsets only, so that no fixed column shows them."""
    linear: tuple[str, ...] = ()
    """The predicted variable that is the outcome as it stands, in which the moment is linear."""

    @property
    def order(self) -> IntArray:
        """Positions that bring columns ordered as fixed, predicted into the formula's order."""
        return np.argsort([*self.covariates.fixed_index, *self.covariates.predicted_index])

    @property
    def block_names(self) -> tuple[str, ...]:
        """Column names ordered as fixed, predicted."""
        names = self.covariates.names
        return tuple(names[j] for j in (*self.covariates.fixed_index, *self.covariates.predicted_index))

    @property
    def r_names(self) -> tuple[str, ...]:
        """R's names of the columns, in the formula's order."""
        return self.covariates.r_names

    def outcome_at(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Outcome with the predicted variables at `values`; (N,)."""
        return (self.outcome.at(values) if self.outcome.fixed is None else self.outcome.fixed)[:, 0]


def parse(
    formula: str,
    columns: Sequence[str],
    caller: Mapping[str, Any] | None = None,
    *,
    outside_dot: Container[str] = (),
) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    formula : str
        ``y ~ x + factor(z)`` as R reads it, with ``| unit + year`` behind it for fixed effects.
    columns : sequence of str
        Names of the data's columns.
    caller : mapping, optional
        The caller's variables, among which functions and constants named in the formula are looked up.
    outside_dot : container of str
        Columns with another part in the design (surrogates, probabilities), which ``.`` does not stand for.

    Raises
    ------
    FormulaError
        It does not parse, has no left-hand side, or uses something that has no meaning here.

    Examples
    --------
    >>> parsed = parse("y ~ log(x) + I(z^2) | unit", ["y", "x", "z", "unit"])
    >>> parsed.variables, parsed.absorbed
    (('x', 'y', 'z'), ('unit',))
    """
    if not isinstance(formula, str):
        raise ArgumentError(f"formula must be a string such as 'y ~ x1 + x2'; found {type(formula).__name__}")
    stripped = formula.strip()
    if not stripped or stripped.startswith("~") or stripped.endswith("~"):
        raise FormulaError(
            f"formula '{formula}' must have one outcome on the left of '~' and terms on its right, as in 'y ~ x1 + x2'"
        )
    if stripped.endswith("|"):
        raise FormulaError(
            f"formula '{formula}' has nothing behind '|'; name fixed effects, as in 'y ~ x | unit + year'"
        )
    outcome, right, absorbed = split_formula(parse_expression(formula), formula)
    _check_outcome(outcome, formula)
    covariates = expand(right, [name for name in columns if name not in outside_dot], outcome, formula)
    used = {j for term in covariates.terms for j in term}
    expressions = [outcome, *(covariates.variables[j] for j in sorted(used)), *covariates.offsets]
    variables, functions = resolve(expressions, columns, caller or {}, formula)
    return ParsedFormula(
        text=formula,
        outcome=outcome,
        covariates=covariates,
        absorbed=absorbed,
        variables=variables,
        functions=functions,
    )


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


def build(
    parsed: ParsedFormula, data: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str], *, absorbed: bool = False
) -> Design:
    """Fit both sides of the formula to the data and evaluate what no split changes.

    Parameters
    ----------
    parsed : ParsedFormula
    data : DataFrame
        (N rows) complete but for the predicted variables, which are NaN off the labelled rows.
    labeled : (N,) bool array
    predicted : sequence of str
        The predicted variables.
    absorbed : bool
        Whether fixed effects take the intercept's place.

    Raises
    ------
    FormulaError
        No or several outcome columns, a predicted variable used as a category, a call that fails.
    InfiniteValueError
        A term is infinite or undefined for some rows.
    """
    absent = [name for name in predicted if name not in parsed.variables]
    if absent:
        raise FormulaError(
            f"predicted variable '{absent[0]}' does not occur in the formula '{parsed.text}'; add it, or take it "
            "out of predicted_var"
        )
    offset_names = {name for node in parsed.covariates.offsets for name in names(node)} & set(predicted)
    if offset_names:
        raise FormulaError(
            f"'{min(offset_names)}' is predicted and cannot be an offset: an offset must be known for every row"
        )
    if absorbed and parsed.covariates.offsets:
        raise FormulaError(
            f"offset() cannot be combined with fixed effects (formula '{parsed.text}'); subtract it from the outcome, as in "
            "'I(y - z) ~ x | unit'"
        )
    filled = _filled(data, set(predicted) & set(parsed.variables))
    outcome = _fit_outcome(parsed, data, filled, labeled, predicted)
    covariates = _fit_covariates(parsed, data, filled, labeled, predicted, absorbed=absorbed)
    gold = {name: _gold_values(data[name], labeled) for name in predicted}
    plain = isinstance(parsed.outcome, Name) and parsed.outcome.id in predicted
    return Design(
        covariates=covariates,
        outcome=outcome,
        gold=covariates.at(gold, labeled),
        gold_outcome=(outcome.at(gold, labeled) if outcome.fixed is None else outcome.fixed[labeled])[:, 0],
        offset=covariates.spec.offset(filled),
        categorical=bool(covariates.coded) or any(is_category(data[name]) for name in predicted),
        beside=_beside(parsed.covariates, set(predicted)),
        linear=tuple(names(parsed.outcome)) if plain else (),
    )


def _beside(terms: Terms, predicted: set[str]) -> tuple[str, ...]:
    """Variables that occur together with predicted ones, or as offsets, and nowhere else."""
    alone: set[str] = set()
    mixed = {name for node in terms.offsets for name in names(node)}
    for term in terms.terms:
        used = {name for j in term for name in names(terms.variables[j])}
        (mixed if used & predicted else alone).update(used)
    return tuple(sorted(mixed - alone - predicted))


def build_each(
    parsed: ParsedFormula, data: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str], *, absorbed: bool = False
) -> tuple[tuple[Design, ...], tuple[str, ...]]:
    """Designs of all equations and, where the outcome is a predicted category, its categories.

    As `build`, with an equation for the indicator of each category; of two categories, for the second alone (as R's
    ``glm`` has it).
    """
    name = parsed.outcome.id if isinstance(parsed.outcome, Name) else ""
    if name not in predicted or not is_category(data[name]):
        return (build(parsed, data, labeled, predicted, absorbed=absorbed),), ()
    levels = [str(level) for level in data[name].cat.categories]
    indicators = [Call("I", ((None, Binary("==", parsed.outcome, String(level))),)) for level in levels]
    each = [replace(parsed, outcome=node) for node in indicators]
    if len(levels) <= 2:
        return (build(each[-1], data, labeled, predicted, absorbed=absorbed),), ()
    first = build(each[0], data, labeled, predicted, absorbed=absorbed)
    filled = _filled(data, set(predicted) & set(parsed.variables))
    gold = {name: _gold_values(data[name], labeled) for name in predicted}
    designs = [first]
    for other in each[1:]:
        outcome = _fit_outcome(other, data, filled, labeled, predicted)
        designs.append(replace(first, outcome=outcome, gold_outcome=outcome.at(gold, labeled)[:, 0]))
    return tuple(designs), tuple(levels)


def _gold_values(column: pd.Series, labeled: BoolArray) -> Any:
    return column[labeled].array if is_category(column) else column.to_numpy()[labeled]


def _filled(data: pd.DataFrame, used: set[str]) -> pd.DataFrame:
    """Data with the mean gold value (the first category) wherever a predicted variable is unknown."""
    return data.assign(**{name: data[name].fillna(_filler(data[name])) for name in used}) if used else data


def _filler(column: pd.Series) -> Any:
    return column.cat.categories[0] if is_category(column) else column.mean()


def _as_number(value: Value) -> Value:
    """A condition as 0 and 1."""
    return value.astype(float) if isinstance(value, np.ndarray) and value.dtype.kind == "b" else value


def _evaluator(data: pd.DataFrame, functions: Functions, states: dict[str, Any]) -> Evaluator:
    return Evaluator({str(name): data[name] for name in data.columns}, len(data), functions, states)


def _fit_outcome(
    parsed: ParsedFormula, data: pd.DataFrame, filled: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str]
) -> Outcome:
    node, states = parsed.outcome, dict[str, Any]()
    changes = bool(set(names(node)) & set(predicted))
    value = _as_number(_evaluator(data[labeled] if changes else filled, parsed.functions, states)(node))
    if isinstance(value, Factor) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
        columns = [f"{python_text(node)}[{label}]" for label in as_factor(value).used().labels]
    else:
        columns = list(value.suffixes) if isinstance(value, Matrix) else [python_text(node)]
    if len(columns) != 1 or isinstance(value, Factor):
        example = f"; for one category, I({python_text(node)} == '...') ~ ..." if isinstance(node, Name) else ""
        raise FormulaError(
            f"the outcome of '{parsed.text}' makes {len(columns)} columns ({', '.join(columns[:4])}); it must "
            f"be one column of numbers: recode categories as 0/1{example}"
        )
    variable = fit_variable(node, value)
    fixed = fitted_value(variable, value)
    assert not isinstance(fixed, Factor)
    if not changes:
        check_finite(fixed, columns, filled.index)
    spec = Spec(
        variables=(variable,),
        terms=(),
        intercept=False,
        columns_used=parsed.variables,
        functions=parsed.functions,
        states=states,
    )
    return Outcome(spec=spec, node=node, fixed=None if changes else fixed, data=data)


def _fit_covariates(
    parsed: ParsedFormula,
    data: pd.DataFrame,
    filled: pd.DataFrame,
    labeled: BoolArray,
    predicted: Sequence[str],
    *,
    absorbed: bool,
) -> Part:
    """Fit the covariates: means, scales and knots of predicted terms come from the gold values of the labelled rows."""
    terms, states = parsed.covariates, dict[str, Any]()
    used = {j for term in terms.terms for j in term}
    changed = {j for j in used if set(names(terms.variables[j])) & set(predicted)}
    gold = _evaluator(data[labeled], parsed.functions, states)
    known = _evaluator(filled, parsed.functions, states)
    variables, values = fit_variables(terms, [gold if j in changed else known for j in range(len(terms.variables))])
    coded = coded_terms(
        terms, [variable.levels is not None for variable in variables], intercept=terms.intercept or absorbed
    )
    spec = Spec(
        variables=variables,
        terms=coded,
        intercept=terms.intercept and not absorbed,
        offsets=terms.offsets,
        columns_used=parsed.variables,
        functions=parsed.functions,
        states=states,
    )
    _check_size(spec, parsed.text, len(data))
    return _part(spec, data, filled, changed, predicted, values)


def _check_size(spec: Spec, text: str, rows: int) -> None:
    count = int(spec.intercept) + sum(spec.widths())
    if not count:
        raise FormulaError(f"formula '{text}' has no columns on its right-hand side")
    if count >= rows:
        raise FormulaError(
            f"formula '{text}' makes {count} coefficients for {rows} rows; leave terms out, or merge categories"
        )


def _part(
    spec: Spec,
    data: pd.DataFrame,
    filled: pd.DataFrame,
    changed: set[int],
    predicted: Sequence[str],
    values: Mapping[int, Fitted],
) -> Part:
    """Separate the columns that predictions change from the others."""
    starts = int(spec.intercept) + np.cumsum([0, *spec.widths()])
    changing = tuple(t for t, term in enumerate(spec.terms) if changed & set(term.variables))
    constant = tuple(t for t in range(len(spec.terms)) if t not in changing)
    predicted_index = [j for t in changing for j in range(starts[t], starts[t + 1])]
    fixed_index = [j for j in range(starts[-1]) if j not in set(predicted_index)]
    known = {j: value for j, value in values.items() if j not in changed}
    fixed = spec.columns(filled, constant, known=known)
    check_finite(fixed, [spec.column_names[j] for j in fixed_index], filled.index)
    plain = [spec.column_names[j] for j in predicted_index]
    coded = {name for j in changed if spec.variables[j].levels is not None for name in names(spec.variables[j].node)}
    simple = all(len(spec.terms[t].variables) == 1 for t in changing) and set(plain) <= set(predicted)
    return Part(
        spec=spec,
        fixed=fixed,
        fixed_index=tuple(fixed_index),
        predicted_index=tuple(predicted_index),
        changing=changing,
        direct=tuple(plain) if changing and simple else None,
        coded=tuple(sorted(coded & set(predicted))),
        known={j: known[j] for t in changing for j in spec.terms[t].variables if j in known},
        data=data,
    )
