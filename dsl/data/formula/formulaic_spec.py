"""Formulas that are formulaic's own objects: parsed, evaluated and named by formulaic.

``formulaic.Formula("y ~ x + C(g, contr.sum)")`` is fitted here, in the way of strings. Levels, scales and knots of known
columns are those of all rows, those of predicted variables come from the gold values of the labelled rows. A `ModelSpecs`
of ``formulaic.model_matrix(...)`` brings its levels, scales and knots along, and keeps them.

What is formulaic's stays so: ``I(k^2)`` is its exclusive or of whole numbers (write ``k**2``), ``.`` and ``|`` have its
meaning, and functions are Python's. Two of its habits would give wrong numbers without a word and are refused. One
is to take a missing or unknown category for the base level, the other are terms whose values depend on other rows
(``x / x.mean()``).
"""

import builtins
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from inspect import ismodule

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpec, SimpleFormula
from formulaic.errors import DataMismatchWarning, FormulaicError
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import Contrasts

from dsl._typing import FloatArray
from dsl.data.formula.formulaic_factors import factors_of, names_in
from dsl.data.formula.rlang.basis import most_columns
from dsl.data.formula.rlang.evaluate import SHORT, Functions, is_constant
from dsl.data.formula.rlang.matrix import TermBlock, check_finite
from dsl.data.formula.rlang.values import Factor as Levels
from dsl.data.formula.rlang.values import Value, column_value, level_texts
from dsl.data.formula.sides import (
    Outcome,
    ParsedFormula,
    Part,
    Rows,
    TermColumns,
    check_size,
    outcome_columns,
)
from dsl.data.formula.text import FormulaObject, Side, formula_text, side_text, structure_of, terms_of
from dsl.data.kinds import kind_of
from dsl.data.tables import is_category
from dsl.exceptions import CollinearityError, ColumnTypeError, DataError, FormulaError, InfiniteValueError

INTERCEPT = Term([Factor("1", eval_method="literal")])
CATEGORICAL = Factor.Kind.CATEGORICAL
ROUNDING = 1e-8
"""Relative difference of a row's values that computing them alone may make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaicColumns:
    """One side of a formula, fitted by formulaic, without the data."""

    model_spec: ModelSpec
    """With its structure and states."""
    columns_used: tuple[str, ...]
    """Columns of the data in the whole formula."""
    functions: Functions = field(repr=False)
    """What the formula uses of the caller's functions and numbers."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """Formulaic's names of the columns."""
        return tuple(self.model_spec.column_names)

    @property
    def r_names(self) -> tuple[str, ...]:
        """The same names: the formula is not R's."""
        return self.column_names

    @property
    def required(self) -> tuple[str, ...]:
        """Columns of the data that new rows need."""
        return tuple(sorted({name for factor in self.model_spec.factors for name in self.data_columns(factor)}))

    @property
    def kinds(self) -> Mapping[str, Levels | None]:
        """Columns that stand alone in the formula as categories, with their levels."""
        out: dict[str, Levels | None] = {}
        for factor in self.model_spec.factors:
            if factor.eval_method.value == "lookup" and self.is_category(factor):
                categories = pd.Series(self.model_spec.encoder_state[factor.expr][1]["categories"])
                texts = tuple(str(text) for text in level_texts(categories))
                out[factor.expr] = Levels(codes=np.empty(0, dtype=np.int64), levels=texts, labels=texts)
        return out

    @property
    def widths(self) -> list[int]:
        """Number of columns of each term."""
        return [len(row.columns) for row in self.model_spec.structure]

    @property
    def term_columns(self) -> tuple[TermColumns, ...]:
        """For each expression of each term: the data's columns that it uses, and whether it makes categories of them."""
        return tuple(
            tuple((self.data_columns(factor), self.is_category(factor)) for factor in factors_of([row.term]))
            for row in self.model_spec.structure
        )

    @property
    def blocks(self) -> tuple[TermBlock, ...]:
        """The terms' columns."""
        out: list[TermBlock] = []
        for row in self.model_spec.structure:
            start, name = (out[-1].stop if out else 0), "Intercept" if row.term == INTERCEPT else str(row.term)
            block = TermBlock(name=name, r_name=name, start=start, stop=start + len(row.columns))
            factors = factors_of([row.term])
            if len(factors) == 1 and self.is_category(factors[0]):
                state = self.model_spec.factor_contrasts[factors[0]]
                coding = state.get_coding_matrix(reduced_rank=len(row.columns) < len(state.levels))
                labels = tuple(map(str, state.levels))
                block = replace(block, labels=labels, coding=np.asarray(coding, dtype=float))
            out.append(block)
        return tuple(out)

    def data_columns(self, factor: Factor) -> frozenset[str]:
        """The data's columns that a factor uses."""
        known = set(self.columns_used)
        found = {v if v in known else v.root for v in self.model_spec.factor_variables.get(factor, ())}
        return frozenset(str(name) for name in {*found, *names_in(factor, factor.expr)} if name in known)

    def is_category(self, factor: Factor) -> bool:
        """Whether a factor is coded by contrasts."""
        return bool(self.model_spec.encoder_state.get(factor.expr, (None,))[0] is CATEGORICAL)

    def only(self, places: Sequence[int]) -> "FormulaicColumns":
        """Some of the terms, coded as in the whole."""
        rows = [self.model_spec.structure[t] for t in places]
        formula = SimpleFormula([row.term for row in rows])
        return replace(self, model_spec=self.model_spec.update(formula=formula, structure=rows))

    def columns(self, data: pd.DataFrame) -> FloatArray:
        """Columns on the rows of `data`, (N, k)."""
        if not sum(self.widths):
            return np.empty((len(data), 0))
        used = data[[name for name in self.columns_used if name in data.columns]]
        out, _ = _evaluate(self.model_spec, used, self.functions)
        return out

    def finite(self, data: pd.DataFrame) -> FloatArray:
        """The same. Raises InfiniteValueError if a value is infinite."""
        out = self.columns(data)
        check_finite(out, self.column_names, data.index)
        return out

    def offset(self, data: pd.DataFrame) -> FloatArray | None:
        """None: formulaic has no offsets."""
        return None


def _with_plain_text(data: pd.DataFrame) -> pd.DataFrame:
    """Rows numbered anew, text as objects: not every version of formulaic takes pandas' own text for categories."""
    text = [name for name in data.columns if isinstance(data[name].dtype, pd.StringDtype)]
    return data.reset_index(drop=True).astype(dict.fromkeys(text, object))


def _evaluate(spec: ModelSpec, data: pd.DataFrame, functions: Functions) -> tuple[FloatArray, ModelSpec]:
    """Columns (N, k) of a model specification, and the same with its states.

    Raises
    ------
    DataError
        A category that the specification does not know.
    InfiniteValueError
        A term is undefined for some rows.
    FormulaError
        Formulaic cannot evaluate it.
    """
    text = side_text(spec)
    for factor in factors_of(spec.formula):
        name = str(factor.expr)
        if factor.eval_method.value == "lookup" and name in data.columns and kind_of(data[name]).dated:
            raise ColumnTypeError(
                f"column '{name}' (formula) holds dates, of which formulaic makes no numbers; pass the formula as a string, in "
                "which they are days (with a time of day, seconds) since 1970, as in R"
            )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # formulaic warns of an unknown category, and codes it as the base level: here that is an error
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = spec.get_model_matrix(_with_plain_text(data), context=functions)
        if any(kind.kind in "mM" for kind in matrix.dtypes):
            raise TypeError("a term is dates or durations, which are no numbers; .dt.days makes numbers of durations")
    except DataMismatchWarning as problem:
        found = str(problem).partition(": ")[2].partition(".")[0]
        raise DataError(
            f"a term of '{text}' has categories that the formula was not fitted to ({found}); recode them, or fit on data that "
            "have them"
        ) from None
    except FormulaicError as error:
        power = ". '^' is Python's exclusive or there; a power is '**'" if "xor" in str(error) else ""
        raise FormulaError(f"formulaic cannot evaluate '{text}': {error}{power}") from error
    except (ValueError, TypeError) as error:
        if "null values" not in str(error):
            raise FormulaError(f"formulaic cannot evaluate '{text}': {error}") from error
        name = str(error).split("`")[1]
        raise InfiniteValueError(
            f"'{name}' is undefined in some rows; transform it so that it exists for every row, where it is predicted for "
            "every prediction too"
        ) from None
    return np.asarray(matrix, dtype=float), matrix.model_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaicFormula(ParsedFormula):
    """A formula that is one of formulaic's objects."""

    outcome: ModelSpec
    """The left-hand side, one term."""
    covariates: ModelSpec
    """The right-hand side."""
    level: str | None = None
    """The category of which the outcome is the indicator, or None for the outcome itself."""

    @property
    def outcome_name(self) -> str:
        """The left-hand side, as formulaic writes it."""
        name = side_text(self.outcome)
        return name if self.level is None else f"I({name} == {self.level!r})"

    @property
    def outcome_column(self) -> str:
        """The column of the data that is the outcome as it stands, empty if it is an expression."""
        return self._outcome_lookup if self.level is None else ""

    @property
    def _outcome_lookup(self) -> str:
        factors = factors_of(self.outcome.formula)
        return str(factors[0].expr) if factors[0].eval_method.value == "lookup" else ""

    @property
    def offset_columns(self) -> frozenset[str]:
        """None: formulaic has no offsets."""
        return frozenset()

    def indicator(self, level: str) -> "FormulaicFormula":
        """The formula with the indicator of one category of the outcome as its outcome."""
        return replace(self, level=level)

    def beside(self, predicted: Sequence[str]) -> tuple[str, ...]:
        """Variables that occur together with predicted ones and nowhere else."""
        alone, mixed = set[str](), set[str]()
        for term in self.covariates.formula:
            used = set[str]().union(*(self._columns_of(factor) for factor in term.factors))
            (mixed if used & set(predicted) else alone).update(used)
        return tuple(sorted(mixed - alone - set(predicted)))

    def _columns_of(self, factor: Factor) -> set[str]:
        return set(names_in(factor, self.text)) & set(self.variables)

    def _check_levels(self, side: ModelSpec, rows: Rows) -> None:
        """Raise FormulaError for more columns of categories than can be, before formulaic makes them."""
        levels = {factor: 1 for factor in factors_of(side.formula)}
        for factor in levels:
            names = self._columns_of(factor)
            coded = factor.expr.startswith("C(") or (len(names) == 1 and is_category(rows.data[min(names)]))
            if coded and len(names) == 1:
                levels[factor] = max(int(rows.data[min(names)].nunique()), 1)
        widths = [math.prod(levels.get(factor, 1) for factor in term.factors) for term in side.formula]
        if sum(widths) > most_columns(len(rows.data)):
            check_size(sum(widths), self.text, len(rows.data), {str(factor.expr): n for factor, n in levels.items()})

    def _fitted(self, side: ModelSpec, rows: Rows) -> FormulaicColumns:
        """A side with its levels, scales and knots, unless it has them."""
        if side.structure is None:
            self._check_levels(side, rows)
            factors, predicted = factors_of(side.formula), set(rows.predicted)
            known = [factor for factor in factors if not self._columns_of(factor) & predicted]
            if len(known) == len(factors):
                _, side = _evaluate(side, rows.filled[list(self.variables)], self.functions)
            else:
                # two passes: states of factors without predicted variables from all rows, then the others' from the
                # gold rows
                first = side.update(formula=SimpleFormula([Term([factor]) for factor in known]))
                _, first = _evaluate(first, rows.filled[list(self.variables)], self.functions)
                side = side.update(transform_state=first.transform_state, encoder_state=first.encoder_state)
                _, side = _evaluate(side, rows.data.loc[rows.labeled, list(self.variables)], self.functions)
        for name, (kind, state) in side.encoder_state.items():
            if kind is CATEGORICAL and len(state.get("categories", ("", ""))) < 2:
                raise CollinearityError(f"'{name}' has the same value in every row; take it out of the formula")
        return FormulaicColumns(model_spec=side, columns_used=self.variables, functions=self.functions)

    def fit_outcome(self, rows: Rows) -> Outcome:
        """The left-hand side, fitted."""
        if self.level is not None:
            indicator = _Indicator(column=self._outcome_lookup, level=self.level)
            return Outcome(
                name=self.outcome_name,
                variables=frozenset({indicator.column}),
                fixed=None,
                changing=indicator,
                data=rows.data,
            )
        spec = self._fitted(self.outcome, rows)
        (factor,) = factors_of(self.outcome.formula)
        if len(spec.column_names) != 1 or spec.is_category(factor):
            levels = next((found.labels for found in spec.kinds.values() if found is not None), ())
            raise outcome_columns(self.text, spec.column_names, self.outcome_column, levels)
        variables = spec.data_columns(factor)
        changes = bool(variables & set(rows.predicted))
        values = _rowwise(spec, rows.data[rows.labeled] if changes else rows.filled)
        return Outcome(
            name=self.outcome_name,
            variables=variables,
            fixed=None if changes else values,
            changing=spec.finite,
            data=rows.data,
        )

    def outcome_values(self) -> tuple[frozenset[str], Callable[[pd.DataFrame], Value]]:
        """The column that is the left-hand side, and its values on some rows."""
        column = self.outcome_column
        if not column:
            raise FormulaError(
                f"the outcome of '{self.text}' must be a column of classes as it stands; give the formula as a string, or make "
                "the column first"
            )
        return frozenset({column}), lambda data: column_value(data[column])

    def fit_covariates(self, rows: Rows, *, absorbed: bool) -> Part:
        """The right-hand side, fitted. With `absorbed`, fixed effects take the intercept's place."""
        side = self.covariates
        if absorbed and side.structure is None and INTERCEPT not in side.formula:
            # with an intercept formulaic codes categories by contrasts: full dummies would be collinear with the fixed
            # effects
            side = side.update(formula=SimpleFormula([INTERCEPT, *side.formula], _ordering="none"))
        spec = self._fitted(side, rows)
        if absorbed:
            spec = spec.only([t for t, row in enumerate(spec.model_spec.structure) if row.term != INTERCEPT])
        check_size(len(spec.column_names), self.text, len(rows.data))
        return _part(spec, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Indicator:
    """Whether a category is a given one."""

    column: str
    level: str

    def __call__(self, data: pd.DataFrame) -> FloatArray:
        column = data[self.column]
        assert is_category(column)
        return np.asarray(column.astype(str) == self.level, dtype=float)[:, None]


def _part(spec: FormulaicColumns, rows: Rows) -> Part:
    """Separate the columns that predictions change from the others."""
    predicted = set(rows.predicted)
    used = [set[str]().union(*(names for names, _ in term)) for term in spec.term_columns]
    changing = [t for t, names in enumerate(used) if names & predicted]
    constant = [t for t in range(len(used)) if t not in changing]
    starts = np.cumsum([0, *spec.widths])
    predicted_index = tuple(j for t in changing for j in range(starts[t], starts[t + 1]))
    fixed_index = tuple(j for t in constant for j in range(starts[t], starts[t + 1]))
    moving, standing = spec.only(changing), spec.only(constant)
    # for its check alone: the gold rows are where these columns have known values
    _rowwise(moving, rows.data[rows.labeled])
    coded = {
        name
        for factor in factors_of(moving.model_spec.formula)
        if spec.is_category(factor)
        for name in spec.data_columns(factor)
    }
    plain = moving.column_names
    # columns that are predicted variables as they stand need no evaluation in the splits
    simple = all(len(row.term.factors) == 1 for row in moving.model_spec.structure) and set(plain) <= predicted
    return Part(
        spec=spec,
        fixed=_rowwise(standing, rows.filled),
        fixed_index=fixed_index,
        predicted_index=predicted_index,
        direct=plain if plain and simple else None,
        coded=tuple(sorted(coded & predicted)),
        changing=lambda data, rows: moving.finite(data),
        data=rows.data,
        fixed_of=standing.finite,
        moving=moving.finite,
    )


def _rowwise(spec: FormulaicColumns, data: pd.DataFrame) -> FloatArray:
    """Columns on the rows of `data`. Raises FormulaError if a row's values depend on which other rows are there.

    The rows with the smallest and the largest value of each column of the data show it, each taken alone.
    """
    whole = spec.finite(data)
    numeric = [name for name in spec.required if pd.api.types.is_numeric_dtype(data[name].dtype)]
    extremes = {int(place(data[name].to_numpy())) for name in numeric for place in (np.argmin, np.argmax)}
    for row in sorted(extremes):
        try:
            alone = spec.columns(data.iloc[[row]])[0]
        except InfiniteValueError:
            # undefined on its own, such as x / x.std(): NaN is close to nothing
            alone = np.full(whole.shape[1], np.nan)
        off = ~np.isclose(alone, whole[row], rtol=ROUNDING, atol=ROUNDING * np.abs(whole).max(axis=0))
        if off.any():
            raise FormulaError(
                f"'{spec.column_names[int(off.argmax())]}' of a row depends on which other rows are there, so that it means "
                "something else for predictions and new data: use center(), scale() or another of formulaic's functions that "
                "keep their state, or compute the column first"
            )
    return whole


def parse_object(formula: FormulaObject, columns: Sequence[str], caller: Functions) -> FormulaicFormula:
    """Read one of formulaic's objects (see `dsl.data.formula.matrices.parse`)."""
    text = formula_text(formula)
    outcome, covariates = _sides(formula, text)
    variables, functions = _resolve(factors_of([*outcome.formula, *covariates.formula]), columns, caller, text)
    return FormulaicFormula(text=text, variables=variables, functions=functions, outcome=outcome, covariates=covariates)


def _sides(formula: FormulaObject, text: str) -> tuple[ModelSpec, ModelSpec]:
    """Outcome and covariates, as specifications of our own."""
    parts = structure_of(formula)
    other = sorted(set(parts) - {"lhs", "rhs"})
    if other:
        raise FormulaError(
            f"formula '{text}' has the part(s) {', '.join(other)}; it must have two sides, as 'y ~ x1 + x2'"
        )
    if "lhs" not in parts:
        whole = (
            ""
            if isinstance(formula, Formula)
            else ", and the specification of both sides: model_matrix('y ~ x', data).model_spec"
        )
        raise FormulaError(f"formula '{text}' has no outcome; pass one with two sides, as 'y ~ x1 + x2'{whole}")
    if len(parts.get("rhs", ())) != 1:
        raise FormulaError(
            f"formula '{text}' must have one right-hand side; what is behind '|' in a string, name in index: "
            "model='felm', index='unit'"
        )
    if len(parts["lhs"]) != 1 or len(factors_of(terms_of(parts["lhs"][0]))) != 1 or len(terms_of(parts["lhs"][0])) != 1:
        raise FormulaError(
            f"formula '{text}' must have one outcome on the left of '~'; for the sum of columns write {{y + x}}"
        )
    return _own(parts["lhs"][0]), _own(parts["rhs"][0])


def _own(part: Side) -> ModelSpec:
    """A specification for pandas frames whose states are nobody else's."""
    spec = part if isinstance(part, ModelSpec) else ModelSpec(formula=part)
    return spec.update(
        output="pandas",
        materializer="pandas",
        materializer_params={},
        na_action="raise",
        # formulaic writes into these while it fits: the user's object must not change
        transform_state=deepcopy(spec.transform_state),
        encoder_state=deepcopy(spec.encoder_state),
    )


def _resolve(
    factors: Sequence[Factor], columns: Sequence[str], caller: Functions, text: str
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Columns that factors need, and what they use of the caller's functions and numbers."""
    known, variables, functions = set(columns), set[str](), dict[str, object]()
    for factor in factors:
        for name, called in names_in(factor, text).items():
            formulaics = name in TRANSFORMS and caller.get(name, TRANSFORMS[name]) is TRANSFORMS[name]
            if called and formulaics:  # scale(x), whatever column is called scale
                continue
            if name in known or factor.eval_method.value == "lookup":
                variables.add(name)
            elif formulaics:
                continue
            elif name in caller and (called or _is_ingredient(caller[name])):
                functions[name] = caller[name]
            elif name in TRANSFORMS or hasattr(builtins, name):
                continue
            elif called:
                raise FormulaError(
                    f"formula '{text}' calls '{name}', which formulaic does not know; define it before the call, compute the "
                    "column first, or, for R's functions such as offset() and factor(), pass the formula as a string"
                )
            else:
                variables.add(name)
    return tuple(sorted(variables)), functions


def _is_ingredient(value: object) -> bool:
    """Whether a value of the caller's is part of an expression, rather than a variable that the data lack."""
    small = isinstance(value, np.ndarray) and value.size <= SHORT
    return small or is_constant(value) or callable(value) or ismodule(value) or isinstance(value, Mapping | Contrasts)
