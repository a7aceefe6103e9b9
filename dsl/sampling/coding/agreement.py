"""Several coders: one label per row, and how far they agree."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from dsl.data.design import SamplingDesign
from dsl.exceptions import ArgumentError
from dsl.sampling.coding.codebook import Codebook, CodebookLike
from dsl.sampling.coding.files import open_coder_file, path_list, sheet_labels


def agreement_table(
    design: SamplingDesign,
    paths: Sequence[str | Path],
    *,
    label: str,
    codebook: CodebookLike | None,
    encoding: str,
) -> pd.DataFrame:
    """Agreement of each pair of coders. See `LabelDesign.agreement`."""
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
        # rows that both have labelled
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
