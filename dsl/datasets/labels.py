"""Which rows show their gold values: the labelling designs shared by real and simulated tables."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray
from dsl.data.arguments import check_count
from dsl.exceptions import ArgumentError
from dsl.sampling.draw import draw_simple

Labeled: TypeAlias = int | Literal["all"]


def draw_fixed(*, n_rows: int, labeled: Labeled, rng: np.random.Generator) -> BoolArray:
    """A simple random sample of exactly `labeled` rows, or all: mask of shape (n_rows,)."""
    if isinstance(labeled, str):
        if labeled != "all":
            raise ArgumentError(f'labeled must be a number of rows or "all", not {labeled!r}.')
        return np.ones(n_rows, dtype=bool)
    size = check_count(labeled, name="labeled")
    if size > n_rows:
        raise ArgumentError(f'labeled is {size}, but the table has {n_rows} rows; lower it, or use "all".')
    return draw_simple(n_rows, size, rng)


def hide_gold(frame: pd.DataFrame, *, gold: Sequence[str], shown: BoolArray) -> None:
    """Set the gold columns of `frame`, in place, to float64 with NaN on the rows that are not shown."""
    for name in gold:
        frame[name] = np.where(shown, frame[name].to_numpy(dtype=np.float64), np.nan)
