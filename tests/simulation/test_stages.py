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


def slopes() -> dict[str, float]:
    """Regressions of the mean over coders, and of the majority, on x, with t = 1.2 x + e normal and E[x | t] = 1.2 t / s^2."""
    s = np.sqrt(1.2**2 + 1.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    mean = weights @ (1.2 / s * nodes * expit(0.3 + s * nodes)) / weights.sum()
    # E[t 1{.3 + t > 0}] = s phi(.3 / s)
    majority = 1.2 / s * np.exp(-0.5 * (0.3 / s) ** 2) / np.sqrt(2.0 * np.pi)
    return {"mean": float(mean), "majority": float(majority)}


def draw(seed: int) -> pd.DataFrame:
    """Texts on which a share of coders says yes. One coder on 1,500, the majority on 300 of these."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    share = expit(0.3 + 1.2 * x + rng.normal(size=N))
    majority, single = (share > 0.5) * 1.0, (rng.random(N) < share) * 1.0
    order = rng.permutation(N)
    one, many = np.isin(np.arange(N), order[:SINGLE]), np.isin(np.arange(N), order[:MAJORITIES])
    return pd.DataFrame(
        {
            "x": x,
            "llm": np.where(rng.random(N) < 0.75, majority, 1.0 - majority),
            "single": np.where(one, single, np.nan),
            "majority": np.where(many, majority, np.nan),
            "p_single": SINGLE / N,
            "p_majority": MAJORITIES / N,
        }
    )


def test_stages_repair_single_coders() -> None:
    call: dict[str, Any] = {"prediction": "llm", "estimator": "dsl+", "sl_method": "lm", "sample_split": 1}
    staged: dict[str, Any] = {"stages": [("single", "p_single")], "sample_prob": "p_majority"}
    truth = slopes()
    fits: dict[str, list[Any]] = {"single": [], "majority": [], "stages": []}
    for seed in range(REPLICATIONS):
        data = draw(seed)
        fits["single"].append(dsl.dsl("single ~ x", data, predicted_var="single", **call))
        fits["majority"].append(dsl.dsl("majority ~ x", data, predicted_var="majority", **call))
        fits["stages"].append(dsl.dsl("majority ~ x", data, predicted_var="majority", **call, **staged))
    error = {name: np.array([fit.params["x"] for fit in each]) - truth["majority"] for name, each in fits.items()}
    ends = {name: np.array([fit.conf_int().loc["x"] for fit in each]) for name, each in fits.items()}

    def covered(name: str, target: str) -> float:
        return float(((ends[name][:, 0] <= truth[target]) & (truth[target] <= ends[name][:, 1])).mean())

    # single coders are coders in the mean, and not their majority
    assert covered("single", "majority") < 0.2
    for name, target in (("single", "mean"), ("majority", "majority"), ("stages", "majority")):
        assert abs(covered(name, target) - 0.95) <= 3 * coverage_error(REPLICATIONS), (name, covered(name, target))
    for name in ("majority", "stages"):
        assert abs(error[name].mean()) < 4 * error[name].std() / np.sqrt(REPLICATIONS), error[name].mean()
        # given how each stage was drawn, standard errors are as wide as estimates vary
        width = np.mean([fit.bse["x"] for fit in fits[name]]) / error[name].std()
        assert 0.88 < width < 1.15, (name, width)
    # the single coders are worth labels: a ratio of spreads from the same draws
    assert error["stages"].std() < 0.97 * error["majority"].std(), {name: each.std() for name, each in error.items()}
