"""An outcome of classes as codes 0, 1, ...: of models with a probability for each class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.formula.rlang.matrix import TwoLevels
from dsl.data.formula.rlang.values import Factor, Matrix, Quantity, Value, as_factor, matched
from dsl.data.formula.sides import Outcome, ParsedFormula, Rows
from dsl.exceptions import FormulaError, OutcomeError

MOST_CLASSES = 40
"""Classes of an outcome. One with more is a number, or free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of a fitted outcome."""

    known: Factor
    """Levels in order, without rows."""
    in_order: bool
    """Whether their order means something: that of an ordered category, or of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codes:
    """Codes of the outcome on rows of the analysis data, (rows, 1)."""

    values: Callable[[pd.DataFrame], Value]
    known: Factor
    name: str

    def __call__(self, data: pd.DataFrame) -> FloatArray:
        found = as_factor(self.values(data))
        # the same levels in the same order: codes need no translation
        if found.levels != self.known.levels:
            found = matched(found.text(), self.known, f"the outcome '{self.name}'")
        return found.codes.astype(float)[:, None]


def fit_classes(
    parsed: ParsedFormula, rows: Rows, *, model: str, ordered: bool, two_levels: TwoLevels
) -> tuple[Outcome, tuple[str, ...]]:
    """The left-hand side as codes of classes, fitted, and the names of the classes.

    Parameters
    ----------
    parsed : ParsedFormula
    rows : Rows
    model : str
        As messages name it.
    ordered : bool
        Whether the model's classes have an order.
    two_levels : mapping of str to (str, str)
        R's two levels of columns that are 0 and 1 here.

    Raises
    ------
    FormulaError
        It is not one column.
    OutcomeError
        There is one class, or there are too many, or they have no order where the model needs one.
    """
    variables, values = parsed.outcome_values()
    changes = bool(variables & set(rows.predicted))
    value = values(rows.data[rows.labeled] if changes else rows.filled)
    name = parsed.outcome_name
    found = _classes(value, name)
    _check(found, parsed, model, ordered)
    codes = _Codes(values=values, known=found.known, name=name)
    outcome = Outcome(
        name=name,
        variables=variables,
        fixed=None if changes else codes(rows.filled),
        changing=codes,
        data=rows.data,
    )
    levels = found.known.levels
    # what is 0 and 1 here may be FALSE and TRUE in R
    return outcome, two_levels.get(parsed.outcome_column, levels) if levels == ("0", "1") else levels


def _classes(value: Value, name: str) -> Classes:
    if isinstance(value, Matrix) or value is None:
        raise FormulaError(f"the outcome '{name}' must be one column of classes")
    factor = as_factor(value).used()
    numbers = isinstance(value, Quantity) or (isinstance(value, np.ndarray) and value.dtype.kind in "bif")
    return Classes(known=factor.without_rows(), in_order=numbers or factor.ordered or _ascending(factor.levels))


def _ascending(levels: tuple[str, ...]) -> bool:
    """Whether levels are numbers from the smallest to the largest, as in factor(stars)."""
    size = pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce").to_numpy(dtype=float)
    return bool(np.all(np.diff(size) > 0.0)) and bool(np.isfinite(size).all())


def _check(found: Classes, parsed: ParsedFormula, model: str, ordered: bool) -> None:
    name, levels = parsed.outcome_name, found.known.levels
    shown = ", ".join(levels[:6]) + (", ..." if len(levels) > 6 else "")
    if len(levels) < 2:
        raise OutcomeError(
            f"the outcome '{name}' is {shown} in every row whose class is known: there is nothing to explain; label more rows, "
            "or look for a mistake in coding it"
        )
    if len(levels) > MOST_CLASSES:
        raise OutcomeError(
            f"model='{model}' needs an outcome of classes, and '{name}' has {len(levels)} different values ({shown}); merge "
            "classes, as in cut(y, 5), or use model='lm' for a number"
        )
    if ordered and not found.in_order:
        column = parsed.outcome_column or "column"
        raise OutcomeError(
            f"model='{model}' needs classes in order, and those of '{name}' ({shown}) have none: "
            f"data['{column}'] = pd.Categorical(data['{column}'], {list(levels)[:6]!r}, ordered=True) with the levels from the "
            f"lowest to the highest, or ordered({column}, levels = c(...)) ~ ... in the formula; for classes without order use "
            "model='multinom'"
        )
