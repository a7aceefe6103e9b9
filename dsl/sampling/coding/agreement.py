"""Several coders: one label per row, and how far they agree."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from dsl.data.design import SamplingDesign
from dsl.exceptions import ArgumentError
from dsl.sampling.coding.codebook import Codebook, CodebookLike
from dsl.sampling.coding.files import path_list
from dsl.sampling.coding.opened import given_labels, open_coder_file


def agreement_table(
    design: SamplingDesign,
    paths: Sequence[str | Path],
    *,
    label: str,
    codebook: CodebookLike | None,
    encoding: str,
    format: str | None,
) -> pd.DataFrame:
    """Agreement of each pair of coders. See `LabelDesign.agreement`."""
    book = None if codebook is None else Codebook.of(codebook)
    labels: list[tuple[str, pd.Series]] = []
    for file in path_list(paths):
        sheets = open_coder_file(design, file, label=label, encoding=encoding, format=format)
        # a file's parts in which nobody labelled anything are no coder's
        typed = [sheet for sheet in sheets if sheet.labelled(label)] or sheets
        names = [sheet.name.replace("'", "") for sheet in typed]
        labels += zip(names, given_labels(typed, label=label, codebook=book), strict=True)
    if len(labels) < 2:
        raise ArgumentError(
            "agreement needs the labels of two coders at least: two coders' files, or one file with both"
        )
    rows = []
    for (first, one), (second, two) in combinations(labels, 2):
        # rows that both have labelled
        both = pd.concat([one, two], axis=1, keys=["first", "second"]).dropna()
        rows.append(
            {
                "first": first,
                "second": second,
                "n": len(both),
                "agreement": float((both["first"] == both["second"]).mean()) if len(both) else np.nan,
                "kappa": cohen_kappa(both["first"], both["second"]),
            }
        )
    return pd.DataFrame(rows)


def cohen_kappa(first: pd.Series, second: pd.Series) -> float:
    """Cohen's kappa: agreement beyond chance, as a share of what chance leaves. NaN where chance leaves nothing.

    Examples
    --------
    >>> round(cohen_kappa(pd.Series([0, 0, 1, 1]), pd.Series([0, 0, 1, 0])), 3)
    0.5
    """
    if not len(first):
        return float("nan")
    # shares of each label, by coder
    one, two = first.value_counts(normalize=True), second.value_counts(normalize=True)
    # p_e = sum over labels of p_1 p_2, and kappa = (p_o - p_e) / (1 - p_e)
    chance = float((one * two.reindex(one.index).fillna(0.0)).sum())
    agreed = float((first == second).mean())
    return float("nan") if chance >= 1.0 else (agreed - chance) / (1.0 - chance)
