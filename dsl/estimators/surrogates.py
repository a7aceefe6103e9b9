"""Raw surrogates in the place of predicted variables, for the estimators that use no learner."""

from collections.abc import Mapping
from itertools import product
from typing import Protocol

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.sides import Values
from dsl.data.kinds import as_float
from dsl.data.labels import category_codes
from dsl.data.messages import each_value
from dsl.data.refusals import check_as_is
from dsl.data.sample import Sample
from dsl.data.scales import by_case_only, case_message, scale_advice, scale_problem
from dsl.data.tables import as_numbers, categorical_dtype, first_rows, is_category
from dsl.exceptions import ArgumentError, PredictionError, ScaleError

SUM_TOLERANCE = 0.005 + 1e-9
"""Rounding of each of a row's probabilities, two decimals, up to which they may miss one in sum."""

Raw = tuple[Values, FloatArray | None]
"""Values (N,) of the predicted variables and their probability (N,), or None for one."""


class HasSample(Protocol):
    """What is needed of an analysis."""

    @property
    def sample(self) -> Sample:
        """Rows of the analysis."""

    @property
    def predicted(self) -> tuple[str, ...]:
        """The predicted variables."""


def raw_versions(
    analysis: HasSample, pairs: Mapping[str, tuple[str, ...]], estimator: str, *, checked: bool = False
) -> list[Raw]:
    """The surrogates as values of the predicted variables.

    One version of the rows where every variable has one surrogate (the first of several). Where a category's surrogates are
    probabilities, one version for each category, weighted by them. `checked` is whether scales have been compared before.

    Raises
    ------
    ArgumentError
        A variable without surrogate of its own, or with several that are not the probabilities of its categories.
    PredictionError
        Missing values, labels that the gold values do not have, probabilities outside [0, 1] or that do not sum to one.
    ScaleError
        Numbers on another scale than the gold values, or labels that differ from them by case or blanks only.
    """
    sample = analysis.sample
    # versions so far: each variable with probabilities multiplies their number by that of its categories
    out: list[Raw] = [({}, None)]
    for gold in analysis.predicted:
        column, names = sample.data[gold], pairs.get(gold, ())
        category = is_category(column)
        if len(_each_surrogate(sample.data, gold, names)) == len(names) > 0:
            one = _labels(sample.data[names[0]], column, sample.labeled, checked)
            out = [({**values, gold: one}, share) for values, share in out]
        elif names and len(names) == len(column.cat.categories):
            for name in names:
                check_as_is(sample.data[name], sample.labeled)
            each = _probabilities(sample.data[list(names)], column)
            out = [
                # product of the probabilities: nothing is known about how the errors in two variables go together
                ({**values, gold: level}, weight if share is None else share * weight)
                for (values, share), (level, weight) in product(out, each)
            ]
        else:
            raise ArgumentError(
                f"estimator='{estimator}' needs to know which prediction stands for '{gold}': pass "
                f"predicted_var={{'{gold}': 'its_prediction'}}, or as many predictions as predicted variables"
                + (f"; or one probability for each of {', '.join(map(str, column.cat.categories))}" if category else "")
            )
    return out


def raw_measures(
    analysis: HasSample, pairs: Mapping[str, tuple[str, ...]], estimator: str, *, checked: bool = False
) -> list[list[Raw]]:
    """The same with every surrogate: `raw_versions` of each of J measures.

    The j-th surrogates of all variables go together. A variable that has one surrogate has it in all measures.

    Raises
    ------
    ArgumentError
        As `raw_versions`, or variables have different numbers of surrogates.
    """
    data = analysis.sample.data
    listed = {gold: _each_surrogate(data, gold, pairs.get(gold, ())) for gold in analysis.predicted}
    counts = {gold: len(each) for gold, each in listed.items() if len(each) > 1}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"'{gold}' {count}" for gold, count in counts.items())
        raise ArgumentError(
            f"estimator='{estimator}' takes the first surrogates of all variables together, then the second: each needs the same "
            f"number of them, or one; found {said}"
        )
    out = []
    for j in range(max(counts.values(), default=1)):
        own = {gold: each[j] if len(each) > 1 else pairs.get(gold, ()) for gold, each in listed.items()}
        out.append(raw_versions(analysis, own, estimator, checked=checked))
    return out


def _each_surrogate(data: pd.DataFrame, gold: str, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Columns of each surrogate of a variable: one, or a category's probabilities together."""
    if len(names) > 1 and is_category(data[gold]) and any(as_float(data[name]) is not None for name in names):
        return [names]
    return [(name,) for name in names]


def _labels(surrogate: pd.Series, gold: pd.Series, labeled: BoolArray, checked: bool) -> FloatArray | pd.Categorical:
    """One surrogate column in the kind of the gold values, (N,)."""
    check_as_is(surrogate, labeled)
    if not is_category(gold):
        numbers = np.asarray(as_numbers(surrogate, "prediction"), dtype=float)
        if not checked:
            _check_scale(gold[labeled], numbers, str(surrogate.name))
        return numbers
    codes = category_codes(surrogate, gold)
    known = codes >= 0
    if not known.all():
        unknown = surrogate[~known].unique()
        other = by_case_only(unknown, gold.cat.categories)
        if len(other) == len(unknown):
            raise ScaleError(case_message(surrogate, str(gold.name), other))
        raise PredictionError(
            f"prediction '{surrogate.name}' has values that are no category of the gold values of '{gold.name}': "
            f"{each_value(surrogate[~known])}; the gold values have {', '.join(repr(str(c)) for c in gold.cat.categories)}. "
            "Write both alike"
        )
    return pd.Categorical.from_codes(codes, dtype=categorical_dtype(gold))


def _check_scale(gold: pd.Series, surrogate: FloatArray, name: str) -> None:
    """Raise ScaleError unless a surrogate that is used as it is has the scale of the gold labels."""
    labels = gold.to_numpy(dtype=float)
    found = scale_problem(labels, surrogate)
    if found:
        raise ScaleError(
            f"prediction '{name}' is on another scale than '{gold.name}', whose place it takes as it is: {found}. "
            f"{scale_advice(labels, surrogate, name)}"
        )


def _probabilities(columns: pd.DataFrame, gold: pd.Series) -> list[tuple[pd.Categorical, FloatArray]]:
    """Each category (N,) and its probability (N,), from one column each."""
    values = np.column_stack([as_numbers(columns[name], "prediction").to_numpy() for name in columns])
    outside = np.asarray(((values < 0.0) | (values > 1.0)).any(axis=1))
    # each of a row's probabilities may be rounded, and the roundings add up
    off = np.asarray(np.abs(values.sum(axis=1) - 1.0) > SUM_TOLERANCE * values.shape[1])
    for bad, what in ((outside, "outside [0, 1]"), (off, "not one in sum")):
        if bad.any():
            raise PredictionError(
                f"the probabilities {', '.join(map(str, columns))} of '{gold.name}' are {what} in "
                f"{first_rows(bad, columns.index)}; pass one probability for each category"
            )
    levels = _levels_of([str(name) for name in columns], gold)
    # what rounding left is spread in proportion, so that m_hat is a proper average
    shares = values / values.sum(axis=1, keepdims=True)
    n = len(values)
    return [
        (pd.Categorical.from_codes(np.full(n, level), dtype=categorical_dtype(gold)), share)
        for level, share in zip(levels, shares.T, strict=True)
    ]


def _levels_of(names: list[str], gold: pd.Series) -> list[int]:
    """Which category each column is for: the one that its name ends with."""
    categories = [str(category) for category in gold.cat.categories]
    found = [[j for j, category in enumerate(categories) if name.endswith(category)] for name in names]
    # the longest match: "p_not_toxic" ends with "toxic" as well as with "not_toxic"
    best = [max(options, key=lambda j: len(categories[j])) if options else -1 for options in found]
    if sorted(best) != list(range(len(categories))):
        raise ArgumentError(
            f"which category of '{gold.name}' each of {', '.join(names)} is for cannot be told: name each column so that it "
            f"ends with its category ({', '.join(categories)})"
        )
    return best
