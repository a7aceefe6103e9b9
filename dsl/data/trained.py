"""Rows whose gold labels the maker of the surrogates has seen: which they are, and whether what is assumed of them can be right.

What follows for them is derived in `dsl.engine.trained`.
"""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.messages import each_value
from dsl.data.tables import as_numbers, first_rows
from dsl.engine.drawn import comes_whole
from dsl.engine.labeling import WHOLE, Labeling
from dsl.exceptions import ArgumentError, LabelError

TrainedOn: TypeAlias = str | ArrayLike | pd.Series | pd.Index
"""What users pass: a column's name, a mask over the rows of the data, or labels of rows."""
Rows: TypeAlias = BoolArray | pd.Index
"""A mask over the rows of the data, or labels of rows."""


def as_trained(given: TrainedOn | None) -> str | Rows | None:
    """The argument ``trained_on``: a column's name, a mask as an array, or row labels.

    Raises
    ------
    ArgumentError
        It is none of these, or names no rows.

    Examples
    --------
    >>> as_trained(["t7", "t9"]).tolist()
    ['t7', 't9']
    >>> as_trained(pd.Series([True, False], index=["t7", "t9"])).tolist()
    ['t7']
    """
    if given is None or (isinstance(given, str) and given):
        return given
    if isinstance(given, str | bytes | pd.DataFrame) or not isinstance(given, Iterable):
        raise ArgumentError(
            f"trained_on must be the name of a column, a mask over the rows, or labels of rows; found {given!r}"
        )
    series = given if isinstance(given, pd.Series) else None
    values = pd.Index(given) if series is None else pd.Index(series)
    if series is not None and len(series) and pd.api.types.is_bool_dtype(series.dtype):
        # a mask with labels of its own: those that it is true for
        values = series.index[series.to_numpy(dtype=bool, na_value=False)]
    elif pd.api.types.is_bool_dtype(values.dtype):
        mask = np.asarray(values, dtype=bool)
        if not mask.any():
            raise ArgumentError("trained_on is a mask that is True for no row; leave it out")
        return mask
    if not len(values):
        raise ArgumentError("trained_on names no row; leave it out")
    return values


def trained_rows(given: str | Rows | None, frame: pd.DataFrame, labeled: BoolArray) -> BoolArray:
    """The rows of the data that the surrogates' maker has seen with their labels, (n_input,).

    Raises
    ------
    ArgumentError
        A mask of another length, or labels that the data do not have.
    LabelError
        Some of the rows are not labelled, or all labelled rows are among them.
    """
    if given is None:
        return np.zeros(len(frame), dtype=bool)
    out = _mask(given, frame)
    named = f"'{given}' (trained_on)" if isinstance(given, str) else "trained_on"
    if not out.any():
        raise ArgumentError(f"{named} is 0 in every row; leave trained_on out")
    if (out & ~labeled).any():
        raise LabelError(
            f"{named} names {first_rows(out & ~labeled, frame.index)} without a gold label: whoever made the predictions has "
            "seen one. Supply these labels, which then count for what they are, or leave the rows out of the data if they "
            "were drawn at random"
        )
    if (out | ~labeled).all():
        raise LabelError(
            f"{named} names all {int(labeled.sum())} labelled rows: no label is left that the predictions were not made from, "
            "and their error cannot be estimated; label a random sample of the other rows, or use estimator='gold_only' without "
            "trained_on"
        )
    return out


def _mask(given: str | Rows, frame: pd.DataFrame) -> BoolArray:
    if isinstance(given, str):
        values = as_numbers(frame[given], "trained_on").to_numpy()
        bad = ~np.isin(values, (0.0, 1.0))
        if bad.any():
            found = each_value(pd.Series(values, index=frame.index)[bad])
            raise ArgumentError(
                f"column '{given}' (trained_on) must be 1 where the predictions' maker has seen the gold label, and 0 elsewhere; "
                f"found {found}"
            )
        return np.asarray(values == 1.0)
    if not isinstance(given, pd.Index):
        if given.shape != (len(frame),):
            raise ArgumentError(
                f"trained_on is a mask of {len(given)} values, and the data have {len(frame)} rows; give one for each"
            )
        return given
    if not frame.index.is_unique:
        raise ArgumentError(
            "trained_on names rows by their labels, which repeat in the data; pass a mask, or the name of a column"
        )
    unknown = np.asarray(~given.isin(frame.index))
    if unknown.any():
        raise ArgumentError(
            f"trained_on names {first_rows(unknown, given)}, which the data do not have; pass labels of rows as in data.index, a "
            "mask, or the name of a column"
        )
    return np.asarray(frame.index.isin(given))


def check_units(trained: BoolArray, labeling: Labeling, cluster: IntArray | None, name: str | None) -> None:
    """Raise LabelError where rows were drawn in units, and only some rows of one were seen.

    Given rows seen in a unit, that unit was drawn for certain, and no unit without such rows can stand for it.
    """
    unit = labeling.unit
    if unit is not None and labeling.unit_prob is not None:
        if (labeling.prob < labeling.unit_prob * (1.0 - WHOLE)).any():
            raise LabelError(
                "trained_on cannot be used with a design of two stages: once some rows of a unit were seen, the other rows of it "
                "that were not drawn can be corrected by none. Take rows to train on from outside the gold sample, and leave "
                "them out of the data"
            )
        what = "unit of the design"
    elif cluster is not None and comes_whole(labeling, cluster):
        unit, what = cluster, f"cluster of '{name}', which were labelled as a whole,"
    else:
        return
    size = int(unit.max()) + 1
    seen, rows = np.bincount(unit, trained, minlength=size), np.bincount(unit, minlength=size)
    parts = (seen > 0) & (seen < rows)
    if parts.any():
        raise LabelError(
            f"trained_on names some rows, but not all, of {int(parts.sum())} units: each {what} is drawn or not drawn as a whole."
            " Name all rows of these units (their labels then correct nothing), or train on whole units, drawn at random"
        )


def rescaled(labeling: Labeling, trained: BoolArray) -> FloatArray:
    """Probabilities given the rows seen: one for these, others such that they add up to the labelled rows among them, (N,)."""
    others = ~trained
    factor = (labeling.drawn & others).sum() / labeling.prob[others].sum()
    return np.asarray(np.where(trained, 1.0, labeling.prob * factor))
