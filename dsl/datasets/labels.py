"""Which rows show their gold values: the labelling designs shared by real and simulated tables."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.exceptions import ArgumentError, SampleProbabilityError

Seed: TypeAlias = int | np.random.Generator
Labeled: TypeAlias = int | Literal["all"]


def check_count(value: object, *, name: str, least: int = 0) -> int:
    """Return `value` as an int of at least `least`; `name` is the argument named in the error."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a whole number, not {value!r}.")
    if value < least:
        raise ArgumentError(f"{name} is {value}; it must be at least {least}.")
    return int(value)


def random_generator(seed: Seed) -> np.random.Generator:
    """Return the generator itself, or a new one started from an integer."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(check_count(seed, name="seed"))


def draw_fixed(*, n_rows: int, labeled: Labeled, rng: np.random.Generator) -> BoolArray:
    """Draw a simple random sample of exactly `labeled` rows, or take all: mask of shape (n_rows,)."""
    if isinstance(labeled, str):
        if labeled != "all":
            raise ArgumentError(f'labeled must be a number of rows or "all", not {labeled!r}.')
        return np.ones(n_rows, dtype=bool)
    size = check_count(labeled, name="labeled")
    if size > n_rows:
        raise ArgumentError(f'labeled is {size}, but the table has {n_rows} rows; lower it, or use "all".')
    chosen = np.zeros(n_rows, dtype=bool)
    chosen[rng.permutation(n_rows)[:size]] = True
    return chosen


def draw_bernoulli(*, prob: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Label each row with its own probability, independently of the others: mask of shape (n_rows,)."""
    return rng.random(len(prob)) < prob


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


def check_probabilities(prob: object, *, n_rows: int) -> FloatArray:
    """Return one number or one number per row as an array of shape (n_rows,), all in (0, 1]."""
    try:
        values = np.asarray(prob, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"sample_prob must be a number or one number per row, not {prob!r}.") from None
    if values.ndim == 0:
        values = np.full(n_rows, float(values))
    if values.shape != (n_rows,):
        raise ArgumentError(f"sample_prob has shape {values.shape}; give one number or shape ({n_rows},).")
    bad = np.flatnonzero(~((values > 0) & (values <= 1)))
    if bad.size:
        first = ", ".join(f"row {i}: {values[i]:g}" for i in bad[:3])
        raise SampleProbabilityError(
            f"{bad.size} values of sample_prob are missing or outside (0, 1] ({first}); every row needs a "
            "known, positive probability of being labelled."
        )
    return values


def hide_gold(frame: pd.DataFrame, *, gold: Sequence[str], shown: BoolArray) -> None:
    """Set the gold columns of `frame`, in place, to float64 with NaN on the rows that are not shown."""
    for name in gold:
        frame[name] = np.where(shown, frame[name].to_numpy(dtype=np.float64), np.nan)
