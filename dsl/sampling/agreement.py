"""Several coders: one label per row, and how far they agree."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsl.exceptions import ArgumentError, CoderFileError
from dsl.sampling.codebook import Codebook, quoted
from dsl.tables import first_rows

if TYPE_CHECKING:
    from dsl.sampling.design import LabelDesign

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
    if rule not in RULES or ties not in TIES:
        raise ArgumentError(
            f"rule must be one of {', '.join(RULES)} and ties one of {', '.join(TIES)}; found {rule!r} and {ties!r}"
        )
    if len(given) == 1:
        return given[0]
    every = pd.concat(given)
    if rule == "mean":
        if any(labels.dtype == object for labels in given):
            raise ArgumentError("rule='mean' needs numbers for labels; use rule='majority'")
        return every.groupby(level=0).mean()
    votes = every.groupby([every.index, every], sort=False).size().rename_axis(["row", "label"])
    most = votes.groupby("row").transform("max")
    leading = votes[votes == most].reset_index("label")["label"]
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
    allowed = set(leading.items())
    kept = every[[vote in allowed for vote in every.items()]]  # in the order of the files
    return kept[~kept.index.duplicated()]


def agreement_table(
    design: "LabelDesign",
    paths: Sequence[str | Path],
    *,
    label: str,
    codebook: Sequence[Any] | Mapping[Any, str] | None,
    encoding: str,
) -> pd.DataFrame:
    """Agreement of each pair of coders; see `LabelDesign.agreement`."""
    from dsl.sampling.coder import open_coder_file, path_list, sheet_labels

    files = path_list(paths)
    if len(files) < 2:
        raise ArgumentError("agreement needs the files of two coders at least")
    book = None if codebook is None else Codebook.of(codebook)
    labels = {
        str(file): sheet_labels(
            open_coder_file(design, file, label=label, encoding=encoding), label=label, codebook=book
        )
        for file in files
    }
    rows = []
    for first, second in combinations(labels, 2):
        both = pd.concat([labels[first], labels[second]], axis=1, keys=["first", "second"]).dropna()
        rows.append(
            {
                "first": Path(first).name,
                "second": Path(second).name,
                "n": len(both),
                "agreement": float((both["first"] == both["second"]).mean()) if len(both) else np.nan,
                "kappa": cohen_kappa(both["first"], both["second"]),
            }
        )
    return pd.DataFrame(rows)


def cohen_kappa(first: pd.Series, second: pd.Series) -> float:
    """Cohen's kappa: agreement beyond chance, as a share of what chance leaves; NaN where chance leaves nothing.

    Examples
    --------
    >>> round(cohen_kappa(pd.Series([0, 0, 1, 1]), pd.Series([0, 0, 1, 0])), 3)
    0.5
    """
    if not len(first):
        return float("nan")
    one, two = first.value_counts(normalize=True), second.value_counts(normalize=True)
    chance = float((one * two.reindex(one.index).fillna(0.0)).sum())
    agreed = float((first == second).mean())
    return float("nan") if chance >= 1.0 else (agreed - chance) / (1.0 - chance)
