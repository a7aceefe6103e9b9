"""Several coders' labels of a row put together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dsl.data.arguments import check_choice
from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, CoderFileError
from dsl.sampling.coding.codebook import quoted

RULES, TIES = ("majority", "mean"), ("raise", "first")


def combine(given: Sequence[pd.Series], *, rows: pd.Index, rule: str, ties: str) -> pd.Series:
    """One label for each row that at least one coder labelled.

    Parameters
    ----------
    given : sequence of Series
        Each coder's labels by position in the design.
    rows : Index, (N,)
        The design's row labels, for messages.
    rule : {"majority", "mean"}
    ties : {"raise", "first"}

    Returns
    -------
    Series
        By position in the design.
    """
    check_choice("rule", rule, RULES)
    check_choice("ties", ties, TIES)
    if len(given) == 1:
        return given[0]
    every = pd.concat(given)
    if rule == "mean":
        if any(labels.dtype == object for labels in given):
            raise ArgumentError("rule='mean' needs numbers for labels; use rule='majority'")
        means: pd.Series = every.groupby(level=0).mean()
        return means
    # votes of each (row, label) pair, and the most that any label of the row has
    votes = every.groupby([every.index, every], sort=False).size().rename_axis(["row", "label"])
    most = votes.groupby("row").transform("max")
    leading = votes[votes == most].reset_index("label")["label"]
    # two labels with the most votes: no majority
    tied = leading.index.duplicated(keep=False)
    if tied.any() and ties == "raise":
        where = pd.unique(leading.index[tied])
        labels = rows[np.asarray(where, dtype=int)]
        example = " and ".join(quoted(label) for label in leading[[where[0]]])
        raise CoderFileError(
            f"coders disagree without a majority in {first_rows(np.ones(len(labels), dtype=bool), labels)}: the first was given "
            f"{example}. Settle them (a third coder's file will do), or pass ties='first' to follow the file named first, or "
            "rule='mean'"
        )
    # among the leading labels, the first in the order of the files
    allowed = set(leading.items())
    kept = every[[vote in allowed for vote in every.items()]]  # in the order of the files
    first: pd.Series = kept[~kept.index.duplicated()]
    return first
