"""Quantiles and any statistic of the rows themselves: coverage over repeated labelling by several designs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.sampling import LabelDesign
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

ROWS = 2000
DESIGNS: dict[str, Callable[[pd.DataFrame, int], LabelDesign]] = {
    "simple": lambda data, seed: dsl.sampling.simple_random(data, 400, seed=seed),
    "stratified": lambda data, seed: dsl.sampling.stratified(
        data, by="part", allocation={0: 60, 1: 140, 2: 200}, seed=seed
    ),
    "proportional": lambda data, seed: dsl.sampling.proportional_to_size(data, 400, measure="size", seed=seed),
    "clusters": lambda data, seed: dsl.sampling.clustered(data, 60, by="thread", seed=seed),
    "two stages": lambda data, seed: dsl.sampling.two_stage(data, 100, 4, by="thread", seed=seed),
}
WIDE = {"two stages": 0.99}
"""The bootstrap counts no correction for the share of units drawn where rows are drawn within them."""


def population() -> pd.DataFrame:
    """200 threads of ten posts, a rating with thread effects and its surrogate."""
    rng = np.random.default_rng(0)
    thread = np.repeat(np.arange(200), 10)
    y = rng.normal(size=ROWS) + 0.5 * rng.normal(size=200)[thread]
    f = 0.8 * y + 0.6 * rng.normal(size=ROWS) + 0.3
    return pd.DataFrame({"y": y, "f": f, "thread": thread, "part": np.arange(ROWS) % 3, "size": 1 + np.abs(f)})


def shares(draw: str, replications: int, covered: Callable[[pd.DataFrame, LabelDesign, int], np.ndarray]) -> Any:
    """Coverage over labellings of the same rows."""
    base, found = population(), []
    for seed in range(10_000, 10_000 + replications):
        design = DESIGNS[draw](base, seed)
        found.append(covered(base.assign(y=base["y"].where(design.drawn)), design, seed))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("draw", DESIGNS)
def test_quantiles_of_these_rows_cover(draw: str) -> None:
    levels = [0.25, 0.5, 0.8]
    truth = np.quantile(population()["y"], levels, method="inverted_cdf")

    def covered(data: pd.DataFrame, design: LabelDesign, seed: int) -> np.ndarray:
        found = dsl.ppi_quantile(data, gold="y", prediction="f", q=levels, design=design, target="finite")
        return np.asarray((found["conf_low"] <= truth) & (truth <= found["conf_high"]))

    coverage = shares(draw, 600, covered)
    assert (np.abs(coverage - 0.95) <= 3 * coverage_error(600)).all(), coverage


def spread(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
    """Mean and standard deviation."""
    mean = np.average(frame["y"], weights=weights)
    return pd.Series({"mean": mean, "sd": np.sqrt(np.average((frame["y"] - mean) ** 2, weights=weights))})


@pytest.mark.parametrize("draw", DESIGNS)
def test_statistics_of_these_rows_cover(draw: str) -> None:
    truth = spread(population(), np.ones(ROWS))

    def covered(data: pd.DataFrame, design: LabelDesign, seed: int) -> np.ndarray:
        given = {"gold": "y", "prediction": "f", "design": design, "target": "finite", "n_boot": 150, "seed": seed}
        ends = dsl.ppi_statistic(spread, data, **given).conf_int(method="normal")
        return np.asarray((ends["conf_low"] <= truth) & (truth <= ends["conf_high"]))

    coverage = shares(draw, 600, covered)
    error = 3 * coverage_error(600)
    assert (coverage >= 0.95 - error).all(), coverage
    assert (coverage <= WIDE.get(draw, 0.95 + error)).all(), coverage
