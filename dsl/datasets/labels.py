"""Which rows show their gold values: the labelling designs shared by real and simulated tables."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.arguments import check_count
from dsl.exceptions import ArgumentError

Labels: TypeAlias = int | Literal["all"]


def draw_fixed(*, n_rows: int, n_labels: Labels, rng: np.random.Generator) -> BoolArray:
    """Draw a simple random sample of exactly `n_labels` rows, or take all: mask of shape (n_rows,)."""
    if isinstance(n_labels, str):
        if n_labels != "all":
            raise ArgumentError(f'n_labels must be a number of rows or "all", not {n_labels!r}.')
        return np.ones(n_rows, dtype=bool)
    size = check_count(n_labels, name="n_labels")
    if size > n_rows:
        raise ArgumentError(f'n_labels is {size}, but the table has {n_rows} rows; lower it, or use "all".')
    chosen = np.zeros(n_rows, dtype=bool)
    chosen[rng.permutation(n_rows)[:size]] = True
    return chosen


def proportional_probabilities(*, size: FloatArray, total: int) -> FloatArray:
    """Return probabilities proportional to `size`, capped at 1, that sum to `total`: shape (n_rows,)."""
    capped = np.zeros(len(size), dtype=bool)
    while not capped.all():
        share = (total - capped.sum()) / size[~capped].sum()
        prob: FloatArray = np.where(capped, 1.0, share * size)
        if prob.max() <= 1:
            return prob
        capped |= prob > 1
    return np.ones(len(size))


def hide_gold(frame: pd.DataFrame, *, gold: Sequence[str], shown: BoolArray) -> None:
    """Set the gold columns of `frame`, in place, to float64 with NaN on the rows that are not shown."""
    for name in gold:
        frame[name] = np.where(shown, frame[name].to_numpy(dtype=np.float64), np.nan)
