"""A fit's analysis again, from its call and its data: what results do not keep.

A fit holds its call, folds, predictions and sums over rows, but no rows. Whoever needs rows passes the data again. They are
compared with the fit's fingerprint, so that other data are refused rather than mixed with its predictions.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from dsl.data.fingerprint import column_fingerprints
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.engine.blocks import Block
from dsl.estimators.analysis import Analysis, prepare_analysis
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError, NeedsAllRowsError


def analysis_of(fit: Fit, data: TableLike) -> Analysis:
    """The analysis of `fit`.

    Parameters
    ----------
    fit : Fit
    data : data frame
        The data that it was fitted to.

    Raises
    ------
    ArgumentError
        They are not: the message names the columns that differ.
    """
    check_same_data(fit, data)
    analysis = prepare_analysis(
        fit.call, data, fit.predictor.spec.functions, known=list(fit.sample.fingerprint), quiet=True
    )
    # labels were looked at when the fit was made, with columns that may have changed since
    return replace(analysis, looked=fit.sample.looked)


def check_has_rows(fit: Fit) -> None:
    """Raise NeedsAllRowsError for a fit of data that were read in blocks, which has no rows to go back to."""
    if not fit.sample.fingerprint:
        raise NeedsAllRowsError(
            "this needs the rows of the fit in memory, and they were read in blocks; fit a table for it, with all labelled "
            "rows and a sample of the others"
        )


def check_same_data(fit: Fit, data: TableLike) -> None:
    """Raise ArgumentError unless `data` hold the values that the fit was made from, row by row."""
    check_has_rows(fit)
    kept = fit.sample.fingerprint
    there = set(column_names(data))
    gone = [name for name in kept if name not in there]
    if gone:
        raise ArgumentError(
            f"these are not the data of the fit: it used column '{gone[0]}', which they do not have; pass the table "
            "that was fitted"
        )
    frame = to_pandas(data, list(kept))
    if len(frame) != fit.sample.n_input:
        raise ArgumentError(
            f"these are not the data of the fit: they have {len(frame)} rows, and it was given {fit.sample.n_input}; pass the "
            "table that was fitted, whole"
        )
    other = changed_columns(fit, frame)
    if other:
        more = "" if len(other) == 1 else f" (and {len(other) - 1} more: {', '.join(other[1:6])})"
        raise ArgumentError(
            f"these are not the data of the fit: column '{other[0]}'{more} holds other values, or the same in another order; "
            "pass the table that was fitted"
        )


def changed_columns(fit: Fit, frame: pd.DataFrame) -> list[str]:
    """Columns of the analysis that hold other values than the fit was made from, or the same in another order."""
    kept = fit.sample.fingerprint
    found = column_fingerprints(frame[list(kept)])
    return [name for name in kept if found[name] != kept[name]]


def split_blocks(fit: Fit, analysis: Analysis) -> Iterator[list[Block]]:
    """What the fit solved in each split: a block for each equation.

    Raises
    ------
    ArgumentError
        ``remove_data()`` dropped the predictions.
    """
    own = analysis if fit.estimator.uses_surrogates else analysis.as_stated()
    return fit.estimator.blocks(own, fit.call, fit.splits)
