"""Several coders: one label per row, and how far they agree."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray, Record
from dsl.data.arguments import check_choice
from dsl.data.design import SamplingDesign
from dsl.engine.agreement import METRICS, check_distances, krippendorff, label_counts
from dsl.exceptions import ArgumentError
from dsl.sampling.coding.codebook import Codebook, CodebookLike
from dsl.sampling.coding.files import path_list
from dsl.sampling.coding.opened import given_labels, open_coder_file

ALL = "(all)"
"""In the place of names: all coders."""


def agreement_table(
    design: SamplingDesign,
    paths: Sequence[str | Path],
    *,
    label: str,
    codebook: CodebookLike | None,
    metric: str,
    encoding: str,
    format: str | None,
) -> pd.DataFrame:
    """Agreement of each pair of coders, and of all. See `LabelDesign.agreement`."""
    check_choice("metric", metric, METRICS)
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
    codes, values = _coded([given for _, given in labels], metric)
    rows = []
    for (i, (first, one)), (j, (second, two)) in combinations(enumerate(labels), 2):
        # rows that both have labelled
        both = pd.concat([one, two], axis=1, keys=["first", "second"]).dropna()
        pair = _of_coders(codes[:, [i, j]], values, metric)
        rows.append({"first": first, "second": second, **pair, "kappa": cohen_kappa(both["first"], both["second"])})
    if len(labels) > 2:
        rows.append({"first": ALL, "second": ALL, **_of_coders(codes, values, metric), "kappa": np.nan})
    return pd.DataFrame(rows)[["first", "second", "n", "agreement", "kappa", "krippendorff_alpha"]]


def _coded(given: Sequence[pd.Series], metric: str) -> tuple[IntArray, FloatArray]:
    """Places of the labels in their order, (rows, coders), -1 where there is none, and the labels as numbers."""
    values = sorted(pd.unique(pd.concat(given)), key=lambda value: (isinstance(value, str), value))
    check_distances(values, metric, "coders gave")
    places = {value: place for place, value in enumerate(values)}
    codes = pd.concat([labels.map(places) for labels in given], axis=1).fillna(-1).to_numpy(dtype=int)
    return codes, np.array([float(place if isinstance(value, str) else value) for value, place in places.items()])


def _of_coders(codes: IntArray, values: FloatArray, metric: str) -> Record:
    """Rows that two of the coders labelled, share of equal labels among the pairs of a row, and alpha."""
    counts = label_counts(codes, len(values))
    number = counts.sum(axis=1)
    counts, number = counts[number > 1.0], number[number > 1.0]
    equal = (counts * (counts - 1.0)).sum(axis=1) / (number * (number - 1.0))
    return {
        "n": len(counts),
        "agreement": float(equal.mean()) if len(counts) else np.nan,
        "krippendorff_alpha": krippendorff(counts, values, metric)[0],
    }


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
