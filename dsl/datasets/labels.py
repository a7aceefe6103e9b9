"""Which rows show their gold values: the labelling designs shared by real and simulated tables."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray
from dsl.data.arguments import check_count
from dsl.exceptions import ArgumentError
from dsl.sampling.draw import draw_simple

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
    return draw_simple(n_rows, size, rng)


def hide_gold(frame: pd.DataFrame, *, gold: Sequence[str], shown: BoolArray) -> None:
    """Set the gold columns of `frame`, in place, to float64 with NaN on the rows that are not shown."""
    for name in gold:
        # integers cannot be missing, so that gold columns become float64 even where nothing is hidden
        frame[name] = np.where(shown, frame[name].to_numpy(dtype=np.float64), np.nan)
