"""Sentences about the rows of an analysis that warnings, errors, summaries and reports share."""

from collections.abc import Mapping


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
