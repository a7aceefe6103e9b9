"""Formulas -> design matrices for gold and for predicted values.

A formula is a string in R's language or an object of formulaic's. Both become a `ParsedFormula`, which `build` fits to the
data. The columns with predicted variables are kept apart, so that every split evaluates only these again.
"""

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import cast

import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.classes import fit_classes
from dsl.data.formula.curved import curved_variables
from dsl.data.formula.formulaic_spec import parse_object
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.rlang.matrix import NO_LEVELS, TwoLevels
from dsl.data.formula.sides import LINEAR_OUTCOME, Design, Outcome, OutcomeOf, ParsedFormula, Part, Rows
from dsl.data.formula.strings import parse_string
from dsl.data.formula.text import FormulaLike, check_formula
from dsl.data.tables import is_category
from dsl.exceptions import FormulaError

__all__ = ["Design", "Outcome", "OutcomeOf", "ParsedFormula", "Part", "build", "build_each", "parse"]


def parse(
    formula: FormulaLike,
    columns: Sequence[str],
    caller: Functions | None = None,
    *,
    outside_dot: Container[str] = (),
) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    formula : str, formulaic.Formula or formulaic.ModelSpecs
        ``y ~ x + factor(z)`` as R reads it, with ``| unit + year`` behind it for fixed effects, ``| unit^year`` for one of
        each combination. Objects of formulaic's are
        evaluated by formulaic.
    columns : sequence of str
        Names of the data's columns.
    caller : mapping, optional
        The caller's variables, among which functions and constants named in the formula are looked up.
    outside_dot : container of str
        Columns with another part in the design (surrogates, probabilities), which ``.`` does not stand for.

    Raises
    ------
    ArgumentError
        It is neither a string nor one of formulaic's objects.
    FormulaError
        It does not parse, has no left-hand side, or uses something that has no meaning here.

    Examples
    --------
    >>> parsed = parse("y ~ log(x) + I(z^2) | unit", ["y", "x", "z", "unit"])
    >>> parsed.variables, parsed.absorbed
    (('x', 'y', 'z'), {'unit': ('unit',)})
    """
    if isinstance(formula, str):
        return parse_string(formula, columns, caller or {}, outside_dot=outside_dot)
    check_formula(formula)
    return parse_object(formula, columns, caller or {})


def build(
    parsed: ParsedFormula,
    data: pd.DataFrame,
    labeled: BoolArray,
    predicted: Sequence[str],
    *,
    absorbed: bool = False,
    two_levels: TwoLevels = NO_LEVELS,
    outcome_of: OutcomeOf = LINEAR_OUTCOME,
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
    two_levels : mapping of str to (str, str)
        R's two levels of predicted variables that are 0 and 1 here, and logical or a category in R.
    outcome_of : OutcomeOf
        What the model's outcome is.

    Raises
    ------
    FormulaError
        No or several outcome columns, a predicted variable used as a category, a call that fails.
    InfiniteValueError
        A term is infinite or undefined for some rows.
    """
    _check_predicted(parsed, predicted)
    rows = _rows(parsed, data, labeled, predicted, two_levels)
    levels: tuple[str, ...] = ()
    if outcome_of.classes:
        outcome, levels = fit_classes(
            parsed, rows, model=outcome_of.model, ordered=outcome_of.ordered, two_levels=two_levels
        )
    else:
        outcome = parsed.fit_outcome(rows)
    covariates = parsed.fit_covariates(rows, absorbed=absorbed)
    gold = {name: _gold_values(data[name], labeled) for name in predicted}
    # of a moment in y the outcome's mean says it all: no distribution is needed where nothing else is predicted
    column = parsed.outcome_column if outcome_of.linear else ""
    numbers = [name for name in predicted if not is_category(data[name])]
    instruments = parsed.fit_instruments(rows, absorbed=absorbed)
    if instruments is not None:
        _check_instruments(parsed, covariates, instruments)
    sides = [covariates] if instruments is None else [covariates, instruments]
    # numbers in an outcome in which the moment is not linear
    own = {name for name in numbers if name in outcome.variables and not outcome_of.linear}
    coded = tuple(name for name in numbers if name in own and outcome_of.classes)
    bent = {
        name
        for side in sides
        for name in curved_variables(side, outcome, data, labeled, numbers, plain=bool(column), coded=coded)
    }
    curved = tuple(name for name in numbers if name in bent or (name in own and not outcome_of.classes))
    return Design(
        covariates=covariates,
        outcome=outcome,
        gold=covariates.at(gold, labeled),
        gold_outcome=(outcome.at(gold, labeled) if outcome.fixed is None else outcome.fixed[labeled])[:, 0],
        instruments=instruments,
        gold_instruments=None if instruments is None else instruments.at(gold, labeled),
        offset=covariates.spec.offset(rows.filled),
        averaged=bool(curved or own or any(side.coded for side in sides))
        or any(is_category(data[name]) for name in predicted),
        curved=curved,
        beside=parsed.beside(predicted),
        linear=(column,) if column in predicted else (),
        levels=levels,
        coded_outcome=coded,
        outcome_of=outcome_of,
    )


def _check_instruments(parsed: ParsedFormula, covariates: Part, instruments: Part) -> None:
    """Raise FormulaError unless each endogenous covariate has an instrument."""
    endogenous = [name for name in covariates.names if name not in instruments.names]
    excluded = [name for name in instruments.names if name not in covariates.names]
    if not endogenous or len(excluded) < len(endogenous):
        raise FormulaError(
            f"formula '{parsed.text}' has {len(excluded)} instruments ({', '.join(excluded) or 'none'}) for {len(endogenous)} "
            f"endogenous covariates ({', '.join(endogenous) or 'none'}); name at least as many, and at least one of each, in "
            "'| d ~ z'. Covariates that are their own instruments come first, as x in 'y ~ x | d ~ z'"
        )


def _check_predicted(parsed: ParsedFormula, predicted: Sequence[str]) -> None:
    absent = [name for name in predicted if name not in parsed.variables]
    if absent:
        raise FormulaError(
            f"predicted variable '{absent[0]}' does not occur in the formula '{parsed.text}'; add it, or take it "
            "out of predicted_var"
        )
    offset_names = parsed.offset_columns & set(predicted)
    if offset_names:
        raise FormulaError(
            f"'{min(offset_names)}' is predicted and cannot be an offset: an offset must be known for every row"
        )


def build_each(
    parsed: ParsedFormula,
    data: pd.DataFrame,
    labeled: BoolArray,
    predicted: Sequence[str],
    *,
    absorbed: bool = False,
    two_levels: TwoLevels = NO_LEVELS,
    outcome_of: OutcomeOf = LINEAR_OUTCOME,
) -> tuple[tuple[Design, ...], tuple[str, ...]]:
    """Designs of all equations and, where the outcome is a predicted category, its categories.

    As `build`, with an equation for the indicator of each category, unless the model has classes. Of two categories there is one
    for the second alone, as R's ``glm`` has it.
    """
    levels = () if outcome_of.classes else _outcome_levels(parsed, data, labeled, predicted)
    if not levels:
        whole = build(parsed, data, labeled, predicted, absorbed=absorbed, two_levels=two_levels, outcome_of=outcome_of)
        return (whole,), ()
    each = [parsed.indicator(level) for level in levels]
    # two indicators add up to one, so that two equations would say the same
    if len(levels) <= 2:
        return (build(each[-1], data, labeled, predicted, absorbed=absorbed, two_levels=two_levels),), ()
    # the covariates are fitted once: equations differ by their outcome only
    first = build(each[0], data, labeled, predicted, absorbed=absorbed, two_levels=two_levels)
    rows = _rows(parsed, data, labeled, predicted, two_levels)
    gold = {name: _gold_values(data[name], labeled) for name in predicted}
    designs = [first]
    for other in each[1:]:
        outcome = other.fit_outcome(rows)
        designs.append(replace(first, outcome=outcome, gold_outcome=outcome.at(gold, labeled)[:, 0]))
    return tuple(designs), tuple(levels)


def _outcome_levels(
    parsed: ParsedFormula, data: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str]
) -> tuple[str, ...]:
    """Categories of a predicted outcome, which may be made of numbers, as by ``factor(stars) ~ x``. Empty for numbers."""
    name = parsed.outcome_column
    if name:
        category = name in predicted and is_category(data[name])
        return tuple(str(level) for level in data[name].cat.categories) if category else ()
    return parsed.made_levels(data[labeled], predicted)


def _gold_values(column: pd.Series, labeled: BoolArray) -> FloatArray | pd.Categorical:
    return cast(pd.Categorical, column[labeled].array) if is_category(column) else column.to_numpy()[labeled]


def _rows(
    parsed: ParsedFormula, data: pd.DataFrame, labeled: BoolArray, predicted: Sequence[str], two_levels: TwoLevels
) -> Rows:
    """The rows, with the mean gold value (the first category) wherever a predicted variable is unknown."""
    used = set(predicted) & set(parsed.variables)
    # any value would do, as columns with predicted variables are taken from gold or predicted values later
    filled = data.assign(**{name: _filled(data[name]) for name in used}) if used else data
    return Rows(data=data, filled=filled, labeled=labeled, predicted=tuple(predicted), two_levels=two_levels)


def _filled(column: pd.Series) -> pd.Series:
    return column.fillna(column.cat.categories[0] if is_category(column) else column.mean())
