"""The covariance given the draw (`dsl.engine.fixed_size`): as wide as needed, in every design."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl
from dsl.sampling import LabelDesign
from tests.simulation.replicate import coverage_error
from tests.simulation.test_efficient import trial

pytestmark = pytest.mark.slow

REPLICATIONS = 300
ROWS, LABELS = 4000, 400
WIDTH_ERROR = 1 / np.sqrt(2 * REPLICATIONS)
"""Monte Carlo standard error of a standard deviation, relative."""
TRUTH = pd.Series({"Intercept": 0.2, "d": 1.0, "x": -0.5})
DESIGNS: dict[str, Callable[[pd.DataFrame, int], LabelDesign]] = {
    "simple": lambda data, seed: dsl.sampling.simple_random(data, LABELS, seed=seed),
    "stratified": lambda data, seed: dsl.sampling.stratified(
        data, by="part", allocation={0: 80, 1: 120, 2: 200}, seed=seed
    ),
    "clusters": lambda data, seed: dsl.sampling.clustered(data, 100, by="thread", seed=seed),
    "two stages": lambda data, seed: dsl.sampling.two_stage(data, 200, 2, by="thread", seed=seed),
    "one by one": lambda data, seed: dsl.sampling.bernoulli(data, prob="chance", seed=seed),
}


def people(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows in threads of four; a surrogate `llm` of `d` that says 1 too often, and more so in later parts."""
    rng = np.random.default_rng(seed)
    thread = np.repeat(np.arange(ROWS // 4), 4)
    x, part = rng.normal(size=ROWS), np.repeat(rng.integers(0, 3, ROWS // 4), 4)
    d = (rng.random(ROWS) < expit(0.5 * x - 1)).astype(float)
    y = 0.2 + d - 0.5 * x + 0.5 * rng.normal(size=ROWS // 4)[thread] + rng.normal(size=ROWS)
    llm = np.where(rng.random(ROWS) < 0.1 + 0.15 * part, 1.0, d)
    chance = LABELS / ROWS * (0.5 + expit(x))
    return pd.DataFrame({"y": y, "x": x, "llm": llm, "part": part, "thread": thread, "chance": chance}), d


@pytest.mark.parametrize("draw", DESIGNS)
def test_as_wide_as_needed(draw: str) -> None:
    """Raw surrogates, lambda of one or chosen: standard errors are the estimates' standard deviation, coverage is nominal."""
    calls = {"robust": {"tune": 1.0}, "design": {"tune": 1.0, "vcov": "design"}, "coef": {"tune": "coef"}}
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in calls}
    for seed in range(REPLICATIONS):
        data, d = people(seed)
        design = DESIGNS[draw](data, seed)
        table = data.assign(d=np.where(design.drawn, d, np.nan))
        for name, call in calls.items():
            fit = dsl.dsl(
                "y ~ d + x",
                table,
                predicted_var="d",
                prediction="llm",
                estimator="cdi",
                design=design,
                cluster="thread",
                **call,
            )
            found[name].append(fit.tidy().set_index("term"))
    width, coverage = {}, {}
    for name, tables in found.items():
        estimates = np.array([table["estimate"] for table in tables])
        error = np.array([table["std_error"] for table in tables])
        width[name] = np.sqrt((error**2).mean(axis=0)) / estimates.std(axis=0)
        inside = [(table["conf_low"] <= TRUTH) & (table["conf_high"] >= TRUTH) for table in tables]
        coverage[name] = np.mean(inside, axis=0)
    for name in ("design", "coef"):
        assert (np.abs(width[name] - 1) <= 3 * WIDTH_ERROR + 0.02).all(), (width, coverage)
        assert (np.abs(coverage[name] - 0.95) <= 3 * coverage_error(REPLICATIONS)).all(), (width, coverage)
    # what there is to gain differs between designs, and robust errors are nowhere narrower
    assert (width["robust"] >= width["design"] * 0.99).all(), width


def test_predicted_covariate() -> None:
    """A moment at the conditional mean of a covariate is off in the mean: robust standard errors are a sixth too wide."""
    calls = {"robust": {}, "design": {"vcov": "design"}, "coef": {"tune": "coef"}}
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in calls}
    for seed in range(REPLICATIONS):
        data = trial(seed, "lm", accuracy=0.6, effect=2.0)
        for name, call in calls.items():
            fit = dsl.dsl(
                "Y ~ D + X",
                data,
                predicted_var="D",
                prediction="S",
                feature=["Y", "X"],
                sl_method="lm",
                sample_split=1,
                **call,
            )
            found[name].append(fit.tidy().set_index("term").loc["D"])
    tables = {name: pd.DataFrame(rows) for name, rows in found.items()}
    width = {name: np.sqrt((each["std_error"] ** 2).mean()) / each["estimate"].std() for name, each in tables.items()}
    coverage = {name: ((each["conf_low"] <= 2) & (each["conf_high"] >= 2)).mean() for name, each in tables.items()}
    assert width["robust"] > 1.15, width
    for name in ("design", "coef"):
        assert abs(width[name] - 1) <= 3 * WIDTH_ERROR + 0.02, width
        assert abs(coverage[name] - 0.95) <= 3 * coverage_error(REPLICATIONS), coverage
