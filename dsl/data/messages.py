"""Sentences about the rows of an analysis that warnings, errors, summaries and reports share."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dsl.data.tables import first_rows

MOST_VALUES = 3
"""Values that a message counts one by one."""


def missing_per_column(dropped: Mapping[str, int]) -> str:
    """Columns with missing values, each with its number of rows.

    Parameters
    ----------
    dropped : mapping
        Rows left out, per column with missing values (`dsl.data.sample.Sample.dropped`).

    Examples
    --------
    >>> missing_per_column({"age": 12, "party": 1030})
    "'age' (12), 'party' (1,030)"
    """
    return ", ".join(f"'{name}' ({count:,})" for name, count in dropped.items())


def rows_left_out(n_input: int, n_used: int, dropped: Mapping[str, int]) -> str:
    """How many rows were left out, and which columns' missing values are why, without a full stop.

    Parameters
    ----------
    n_input, n_used : int
        Rows of the data, and of the analysis.
    dropped : mapping
        As for `missing_per_column`. A row counts for each column in which it has no value.

    Examples
    --------
    >>> rows_left_out(5000, 4960, {"age": 38, "party": 4})
    "40 of 5,000 rows left out; missing values per column: 'age' (38), 'party' (4)"
    """
    return (
        f"{n_input - n_used:,} of {n_input:,} rows left out; missing values per column: {missing_per_column(dropped)}"
    )


def each_value(values: pd.Series) -> str:
    """The values of a column's rows, each with its own number of rows, the most frequent first.

    Parameters
    ----------
    values : Series
        The rows that the message is about, under their labels.

    Examples
    --------
    >>> each_value(pd.Series(["hate", "no", "hate", "hate"]))
    "'hate' in 3 rows (first: 0, 2, 3), 'no' in 1 row (first: 1)"
    """
    # missing values are a value here: they too have rows
    codes, found = pd.factorize(values, use_na_sentinel=False)
    counts = np.bincount(codes, minlength=len(found))
    order = np.argsort(-counts, kind="stable")
    shown = [f"{_written(found[j])} in {first_rows(codes == j, values.index)}" for j in order[:MOST_VALUES]]
    rest = order[MOST_VALUES:]
    if len(rest):
        shown.append(f"{len(rest)} other value{'s' if len(rest) > 1 else ''} in {int(counts[rest].sum())} rows")
    return ", ".join(shown)


def _written(value: object) -> str:
    """A value as messages write it: 2 and 0.5 rather than 2.0 and np.float64(0.5)."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if isinstance(value, float | np.floating):
        return f"{value:g}"
    return repr(value.item() if isinstance(value, np.generic) else value)
