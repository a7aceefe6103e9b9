"""A small archive of posts whose gold labels are all known, and a quick evaluation, for the tests of `dsl.evaluate`."""

from typing import Any

import numpy as np
import pandas as pd

from dsl.planning.evaluation import EvaluationResults, evaluate

POSTS = 400


def archive() -> pd.DataFrame:
    """400 posts; `y` (0/1) is gold, `llm` is right on four in five, `score` is continuous gold."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=POSTS)
    y = (rng.random(POSTS) < 1 / (1 + np.exp(-x))).astype(float)
    return pd.DataFrame(
        {
            "y": y,
            "score": 1.0 + 0.5 * x + rng.normal(size=POSTS),
            "llm": np.where(rng.random(POSTS) < 0.8, y, 1 - y),
            "x": x,
            "rare": (np.arange(POSTS) % 40 == 0).astype(float),
            "g": np.array(["a", "b"])[rng.integers(0, 2, POSTS)],
        },
        index=[f"post{j}" for j in range(POSTS)],
    )


def quick(data: Any = None, formula: str = "y ~ x", **arguments: Any) -> EvaluationResults:
    """`dsl.evaluate` with the quickest settings, unless others are given."""
    settings = {
        "predicted_var": "y",
        "prediction": "llm",
        "n_labels": 100,
        "replications": 4,
        "sl_method": "lm",
        "sample_split": 1,
    }
    return evaluate(formula, archive() if data is None else data, **{**settings, **arguments})
