"""Analysis weights: what each row counts for, as survey weights do. They are no probabilities of being labelled."""

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.tables import as_numbers, first_rows
from dsl.exceptions import ArgumentError, WeightError

SAME = 1e-9
"""Relative spread of a ratio that rounding makes."""
NOT_LABELS = (
    "`weights` are what rows count for in the analysis (survey weights). How likely a row was to be labelled is another matter: "
    "that is sample_prob, the probability, 1 / weight"
)


def row_weights(frame: pd.DataFrame, name: str | None, sample_prob: str | None = None) -> FloatArray | None:
    """What each row counts for, (N,), or None where no column says so.

    Parameters
    ----------
    frame : DataFrame
        (N rows)
    name : str or None
        Column of the weights.
    sample_prob : str, optional
        Column of the probabilities of being labelled.

    Raises
    ------
    WeightError
        Weights are missing, infinite, zero or negative.
    ArgumentError
        They are the inverse of the sampling probabilities, which count already.
    """
    if name is None:
        return None
    values = np.asarray(as_numbers(frame[name], "weights").to_numpy(), dtype=float)
    for bad, what in (
        (np.isnan(values), "missing"),
        (np.isinf(values), "infinite"),
        (values < 0.0, "negative"),
        (values == 0.0, "zero"),
    ):
        if bad.any():
            raise WeightError(
                f"the weight '{name}' is {what} in {first_rows(bad, frame.index)}; every row counts for something: fill it, "
                f"or leave these rows out. {NOT_LABELS}"
            )
    if sample_prob is not None:
        product = values * frame[sample_prob].to_numpy(dtype=float)
        if np.ptp(values) > 0.0 and np.ptp(product) <= SAME * np.abs(product).max():
            raise ArgumentError(
                f"weights='{name}' is the inverse of sample_prob='{sample_prob}', by which labelled rows are weighted already; "
                f"leave it out. {NOT_LABELS}"
            )
    return values


def relative(weights: FloatArray | None) -> FloatArray | None:
    """The same with mean one, which changes no estimate and no standard error, only the size of sums."""
    return None if weights is None else np.asarray(weights / weights.mean())
