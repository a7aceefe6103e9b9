"""A small table of posts, some of them labelled, and a quick call, for the tests of this folder."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import dsl

ROWS, LABELED = 200, 80


def posts() -> pd.DataFrame:
    """200 posts in 20 clusters; `y` (0/1) is gold on 80 random rows, `llm` is right on four in five."""
    return _posts().copy()


@cache
def _posts() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=ROWS), rng.integers(0, 3, ROWS)
    truth = (rng.random(ROWS) < 1 / (1 + np.exp(-x))).astype(float)
    llm = np.where(rng.random(ROWS) < 0.8, truth, 1 - truth)
    lab = np.zeros(ROWS, dtype=int)
    lab[rng.choice(ROWS, LABELED, replace=False)] = 1
    return pd.DataFrame(
        {
            "y": np.where(lab == 1, truth, np.nan),
            "llm": llm,
            "x": x,
            "z": z,
            "words": rng.integers(1, 60, ROWS),
            "g": np.array(["a", "b", "c"])[z],
            "lab": lab,
            "pi": np.where(z == 0, 0.5, 0.35),
            "cl": np.arange(ROWS) // 10,
        }
    )


def run(data: Any, formula: str = "y ~ x", **arguments: Any) -> Any:
    """`dsl.dsl` with the quickest settings, unless others are given."""
    quick = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
    return dsl.dsl(formula, data, **{**quick, **arguments})
