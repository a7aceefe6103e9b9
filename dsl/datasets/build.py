"""Pieces shared by the simulated tables: checked numbers, binary draws, surrogate errors, the frame."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import Arguments, BoolArray, FloatArray, IntArray
from dsl.datasets.labels import hide_gold
from dsl.exceptions import ArgumentError


def check_number(value: object, *, name: str, least: float = -np.inf, most: float = np.inf) -> float:
    """Return `value` as a finite float between `least` and `most`, which the error calls `name`."""
    # bool is a subclass of int: True is no number here
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    number = float(value) if isinstance(value, int | float | np.integer | np.floating) else math.nan
    if not (is_number and math.isfinite(number)):
        raise ArgumentError(f"{name} must be a finite number, not {value!r}.")
    if not least <= number <= most:
        raise ArgumentError(f"{name} is {value}; it must be between {least:g} and {most:g}.")
    return number


def check_accuracy(accuracy: object) -> float:
    """Return `accuracy` as a float in [0.5, 1]: below one half, a binary surrogate is worse than a coin."""
    return check_number(accuracy, name="accuracy", least=0.5, most=1)


def draw_binary(prob: float | FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Draw zeros and ones that are 1 with probability `prob` (a number or shape (n,)): shape (n,)."""
    return (rng.random(n) < prob).astype(np.int64)


def flip(truth: IntArray, *, prob: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return a binary surrogate that is wrong with probability `prob`, both of shape (n,)."""
    wrong = rng.random(len(truth)) < prob
    return np.where(wrong, 1 - truth, truth)


def finish(
    columns: Mapping[str, ArrayLike | pd.Series],
    *,
    gold: Sequence[str],
    shown: BoolArray,
    truth: Mapping[str, float],
    call: Arguments,
) -> pd.DataFrame:
    """Assemble a simulated table: hide the gold values not shown, attach the truth and the call."""
    frame = pd.DataFrame(dict(columns))
    hide_gold(frame, gold=gold, shown=shown)
    # attrs travel with the frame, so that the truth is at hand wherever it is analysed
    frame.attrs = {"truth": dict(truth), "call": dict(call)}
    return frame
