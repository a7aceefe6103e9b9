"""Predictions that are missing because the model refused: an error, or an indicator and a fill for the learner.

What a learner makes of a row may be any function of what is known about it, and that the model refused is known for every row. A
refusal therefore biases nothing where labelled rows correct the learner's predictions. An estimator that takes predictions
as they are has none to take.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.columns import Columns
from dsl.data.tables import first_rows
from dsl.exceptions import PredictionError

REFUSALS = ("raise", "indicator")
"""What may be done about missing predictions."""
MISSING = "_missing"
"""What the name of an indicator ends with."""


def may_be_missing(columns: Columns) -> set[str]:
    """Columns whose missing values leave no row out: predictions, labels of stages and, with an indicator, features."""
    out = {*columns.prediction, *(columns.feature if columns.refusals == "indicator" else ())}
    out |= {name for stage in columns.stages for name in stage.labels.values()}
    return out.difference(
        columns.formula, *columns.absorbed.values(), {columns.cluster, columns.across, columns.sample_prob}
    )


def refused_rows(frame: pd.DataFrame, columns: Columns) -> dict[str, BoolArray]:
    """Rows (N,) in which each prediction or feature is missing, of those that miss any."""
    # in the order of the call
    names = [name for name in dict.fromkeys((*columns.prediction, *columns.feature)) if name in may_be_missing(columns)]
    rows = {name: frame[name].isna().to_numpy() for name in names}
    return {name: missing for name, missing in rows.items() if missing.any()}


def notes_on(refused: Mapping[str, BoolArray], columns: Columns) -> tuple[str, ...]:
    """A sentence for each column that an indicator stands for."""
    return notes_on_counts({name: int(missing.sum()) for name, missing in refused.items()}, columns)


def notes_on_counts(counts: Mapping[str, int], columns: Columns) -> tuple[str, ...]:
    """The same from the numbers of these rows."""
    if columns.refusals != "indicator":
        return ()
    return tuple(
        f"'{name}' is missing in {count:,} rows: the learner sees an indicator of them"
        for name, count in counts.items()
    )


def filled(numbers: FloatArray) -> FloatArray:
    """Numbers (N,) with their mean in the place of missing ones."""
    missing = np.isnan(numbers)
    if not missing.any():
        return numbers
    return np.where(missing, numbers[~missing].mean() if not missing.all() else 0.0, numbers)


def indicators(refused: Mapping[str, BoolArray]) -> tuple[FloatArray, tuple[str, ...]]:
    """0/1 columns (N, p) of the rows in which columns are missing, each pattern once, and their names."""
    patterns: dict[bytes, tuple[str, BoolArray]] = {}
    for name, missing in refused.items():
        # a model that refuses a row leaves all of its outputs out
        patterns.setdefault(missing.tobytes(), (name + MISSING, missing))
    if not patterns:
        return np.zeros((0, 0)), ()
    return np.column_stack([rows.astype(float) for _, rows in patterns.values()]), tuple(
        n for n, _ in patterns.values()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Rows that come in blocks in which predictions or features are missing."""

    counts: Mapping[str, int]
    """Number of rows in which each column is missing, of those that miss any."""
    flags: tuple[str, ...]
    """Columns whose missing rows have an indicator: the first of those that miss the same rows."""
    means: Mapping[str, float]
    """Of the rows in which a column of numbers is not missing."""

    def flags_on(self, frame: pd.DataFrame) -> FloatArray:
        """The indicators of some rows, (rows, p)."""
        return frame[list(self.flags)].isna().to_numpy(dtype=float)


class RefusedRows:
    """Counts missing predictions and features, block by block."""

    def __init__(self, columns: Columns) -> None:
        names = dict.fromkeys((*columns.prediction, *columns.feature)) if columns.refusals == "indicator" else ()
        allowed = may_be_missing(columns)
        self._counts = {name: 0 for name in names if name in allowed}
        self._patterns = {name: hashlib.blake2b() for name in self._counts}

    def take(self, frame: pd.DataFrame) -> list[IntArray]:
        """Complete rows of a block. First places of missing values in columns that had none before."""
        new = []
        for name, before in self._counts.items():
            missing = frame[name].isna().to_numpy()
            count = int(missing.sum())
            if count and not before:
                new.append(np.array([int(np.argmax(missing))]))
            self._counts[name] = before + count
            self._patterns[name].update(missing.tobytes())
        return new

    @property
    def counts(self) -> dict[str, int]:
        """As `Refused.counts`."""
        return {name: count for name, count in self._counts.items() if count}

    @property
    def flags(self) -> tuple[str, ...]:
        """As `Refused.flags`."""
        first: dict[bytes, str] = {}
        for name in self.counts:
            first.setdefault(self._patterns[name].digest(), name)
        return tuple(first.values())


INDICATOR = (
    "refusals='indicator' keeps these rows: the learner sees an indicator of them, which biases nothing. Otherwise get the "
    "predictions from the model"
)
"""What keeps the rows."""


def check_not_refused(refused: Mapping[str, BoolArray], labeled: BoolArray, labels: pd.Index) -> None:
    """Raise PredictionError, which says what can be done, if predictions are missing.

    Parameters
    ----------
    refused : mapping
        Rows (N,) in which each column is missing.
    labeled : (N,) bool array
    labels : Index
        The rows' labels.
    """
    for name, missing in refused.items():
        raise PredictionError(
            f"{_what(name, missing, labeled, labels)}; predictions are needed for all rows. If the model refused them, "
            f"{INDICATOR}, or leave the rows out yourself, data.dropna(subset=['{name}']), if they are no part of the population "
            "that you study"
        )


def check_as_is(prediction: pd.Series, labeled: BoolArray) -> None:
    """Raise PredictionError if a prediction that is taken as it is is missing in some rows."""
    missing = prediction.isna().to_numpy()
    if missing.any():
        name = str(prediction.name)
        raise PredictionError(
            f"{_what(name, missing, labeled, prediction.index)}, and it is taken as it is here, without a learner that could do "
            f"without it. Where labelled rows correct it, fill it with any value, e.g. data['{name}'].fillna(...) with its mean "
            "or most frequent category, which costs precision only. dsl.dsl and proportions with estimator='dsl' and "
            "AdaptiveDesign have refusals='indicator' for it"
        )


def _what(name: str, missing: BoolArray, labeled: BoolArray, labels: pd.Index) -> str:
    only = ", all of them unlabelled" if not missing[labeled].any() else ""
    return f"prediction '{name}' is missing in {first_rows(missing, labels)}{only}"
