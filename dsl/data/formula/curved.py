"""Which predicted numbers a formula bends: steps, powers, logarithms, whose mean is not their value at the mean.

The columns are looked at rather than the text: they are evaluated at values that the variable takes, everything else as it
is, and are straight lines in it or are not.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.formula.sides import Outcome, Part, Values
from dsl.exceptions import DataError, FormulaError

GRID = 20
"""Values of the variable at which columns are evaluated: all of them, or quantiles where there are more."""
ROWS = 200
"""Labelled rows on which they are."""
STRAIGHT = 1e-9
"""Distance from a straight line, relative to the column's size, that rounding makes."""


def curved_variables(
    covariates: Part,
    outcome: Outcome,
    data: pd.DataFrame,
    labeled: BoolArray,
    numbers: Sequence[str],
    *,
    plain: bool,
    coded: Collection[str] = (),
) -> tuple[str, ...]:
    """The predicted `numbers` in which some column of the covariates or the outcome is not affine.

    A variable with two values is affine in everything. So is, in one variable, a product with others. Of the numbers of which
    terms make categories, those that may have any value (``price > 100``, not ``factor(price)``) count as well.

    Parameters
    ----------
    covariates, outcome : Part, Outcome
        Both sides, fitted.
    data : DataFrame
        (N rows) of the analysis.
    labeled : (N,) bool array
    numbers : sequence of str
        Predicted variables that are numbers, not categories.
    plain : bool
        Whether the outcome is a number as it stands.
    coded : collection of str
        Numbers of which the outcome makes classes.
    """
    # columns that are the variables as they stand are straight lines, and need no look
    inside = bool(covariates.predicted_index) and covariates.direct is None
    left = outcome.fixed is None and not plain
    if not inside and not left:
        return ()
    rows = np.zeros(len(data), dtype=bool)
    places = np.flatnonzero(labeled)
    rows[places[np.linspace(0, len(places) - 1, min(ROWS, len(places))).astype(int)]] = True
    out = []
    for name in numbers:
        values = np.unique(data[name].to_numpy(dtype=float)[labeled])
        if len(values) > GRID:
            values = values[np.linspace(0, len(values) - 1, GRID).astype(int)]
        category = name in covariates.coded or name in coded
        if category:
            # between those that were seen: factor(price) has no such level
            values = (values[1:] + values[:-1]) / 2.0
        try:
            curve = np.stack([_columns(covariates, outcome, rows, {name: at}, inside, left) for at in values])
        except (DataError, FormulaError):
            # not a value of a category, or undefined beside the other variables of a row whose own is another
            continue
        if category or not _straight(values, curve):
            out.append(name)
    return tuple(out)


def _columns(
    covariates: Part, outcome: Outcome, rows: BoolArray, at: dict[str, float], inside: bool, left: bool
) -> FloatArray:
    """Columns that hold predicted variables with one of these at a number, and the others at their gold values, (rows, .)."""
    values: Values = {name: np.full(int(rows.sum()), value) for name, value in at.items()}
    parts = [covariates.at(values, rows)] if inside else []
    parts += [outcome.at(values, rows)] if left else []
    return np.hstack(parts)


def _straight(values: FloatArray, curve: FloatArray) -> bool:
    """Whether a `curve` (values, rows, columns) over at least one value is a straight line everywhere."""
    if len(values) <= 2:
        return True
    share = (values - values[0]) / (values[-1] - values[0])
    line = curve[0] + share[:, None, None] * (curve[-1] - curve[0])
    return bool(np.all(np.abs(curve - line) <= STRAIGHT * np.abs(curve).max(axis=(0, 1))))
