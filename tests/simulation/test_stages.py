"""Single coders for a majority: biased by themselves, repaired by a stage of majorities, which then needs fewer of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS = 200
N, SINGLE, MAJORITIES = 4000, 1500, 300


def draw(seed: int) -> tuple[pd.DataFrame, float]:
    """Texts on which a share of coders says yes. One coder on 1,500, the majority on 300 of these. And the slope."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    share = expit(0.3 + 1.2 * x + rng.normal(size=N))
    majority, single = (share > 0.5) * 1.0, (rng.random(N) < share) * 1.0
    order = rng.permutation(N)
    one, many = np.isin(np.arange(N), order[:SINGLE]), np.isin(np.arange(N), order[:MAJORITIES])
    data = pd.DataFrame(
        {
            "x": x,
            "llm": np.where(rng.random(N) < 0.75, majority, 1.0 - majority),
            "single": np.where(one, single, np.nan),
            "majority": np.where(many, majority, np.nan),
            "p_single": SINGLE / N,
            "p_majority": MAJORITIES / N,
        }
    )
    # E[x 1{.3 + 1.2 x + e > 0}] of normal x and e: 1.2 / s phi(.3 / s), s^2 = 1.2^2 + 1
    s = np.sqrt(1.2**2 + 1.0)
    return data, float(1.2 / s * np.exp(-0.5 * (0.3 / s) ** 2) / np.sqrt(2.0 * np.pi))


def test_stages_repair_single_coders() -> None:
    call: dict[str, Any] = {"prediction": "llm", "estimator": "dsl+", "sl_method": "lm", "sample_split": 1}
    staged: dict[str, Any] = {"stages": [("single", "p_single")], "sample_prob": "p_majority"}
    found: dict[str, list[tuple[float, bool]]] = {"single": [], "majority": [], "stages": []}
    for seed in range(REPLICATIONS):
        data, truth = draw(seed)
        for name, gold, more in (
            ("single", "single", {}),
            ("majority", "majority", {}),
            ("stages", "majority", staged),
        ):
            fit = dsl.dsl(f"{gold} ~ x", data, predicted_var=gold, **call, **more)
            low, high = fit.conf_int().loc["x"]
            found[name].append((fit.params["x"] - truth, bool(low <= truth <= high)))
    error = {name: np.array([each for each, _ in rows]) for name, rows in found.items()}
    covered = {name: np.mean([each for _, each in rows]) for name, rows in found.items()}
    assert covered["single"] < 0.2, covered
    for name in ("majority", "stages"):
        assert abs(covered[name] - 0.95) <= 3 * coverage_error(REPLICATIONS), covered
        assert abs(error[name].mean()) < 4 * error[name].std() / np.sqrt(REPLICATIONS), error[name].mean()
    # the single coders are worth labels: a ratio of spreads from the same draws
    assert error["stages"].std() < 0.97 * error["majority"].std(), {name: each.std() for name, each in error.items()}
