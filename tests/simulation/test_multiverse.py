"""The joint test of a multiverse: it rejects as often as it says where labels were drawn as stated, and finds what was not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from dsl.analyses.multiverse import multiverse
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS = 100
LEVEL = 0.05
NAMES = {"a": "a", "b": "b", "score": "s"}


def draw(seed: int, labels: int = 300, biased: bool = False) -> pd.DataFrame:
    """Two models' labels and a score, whose errors depend on x and y. Biased: gold labels mostly where the first model says 1."""
    rng = np.random.default_rng(seed)
    n = 2000
    x, z = rng.normal(size=n), (rng.random(n) < 0.4) * 1.0
    p = expit(0.3 + 0.8 * x - 0.6 * z)
    y = (rng.random(n) < p) * 1.0
    out = {"x": x, "z": z}
    for name, right in (("a", 0.9), ("b", 0.75)):
        wrong = rng.random(n) > right - 0.15 * (x > 0) * (y == 0)
        out[name] = np.where(wrong, 1.0 - y, y)
    out["s"] = np.clip(0.5 * p + 0.3 * y + 0.1 * rng.normal(size=n), 0.0, 1.0)
    odds = np.where(out["a"] == 1.0, 1.0, 0.4) if biased else np.ones(n)
    chosen = rng.choice(n, labels, replace=False, p=odds / odds.sum())
    return pd.DataFrame({**out, "y": np.where(np.isin(np.arange(n), chosen), y, np.nan)})


def p_values(model: str, splits: int, replications: int = REPLICATIONS, biased: bool = False) -> np.ndarray:
    """Of the terms, and of all together, (replications, 4)."""
    call: dict[str, Any] = {"predicted_var": "y", "predictions": NAMES, "thresholds": [0.3, 0.6], "sl_method": "lm"}
    rows = []
    for seed in range(replications):
        found = multiverse("y ~ x + z", draw(seed, biased=biased), model=model, sample_split=splits, **call)
        rows.append(found.agreement["p_value"].to_numpy())
    return np.array(rows)


@pytest.mark.parametrize(("model", "splits"), [("lm", 1), ("logit", 2)])
def test_size(model: str, splits: int) -> None:
    rejected = (p_values(model, splits) < LEVEL).mean(axis=0)
    # to the sides of simulation error, a little more where 9 to 12 directions rest on 300 labels
    assert (np.abs(rejected - LEVEL) <= 3 * coverage_error(REPLICATIONS) + 0.015).all(), rejected


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")
def test_labels_that_were_not_drawn_as_stated_are_found() -> None:
    rejected = (p_values("lm", 1, replications=30, biased=True) < LEVEL).mean(axis=0)
    assert rejected[-1] > 0.5, rejected
