"""Designs in repeated use: exact probabilities, unbiased totals, and targeted labels whose intervals are shorter and cover."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import sampling
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

N = 4000
DRAWS = 3000
REPLICATIONS = 300
LARGEST = 4.5  # standard errors: largest of a few hundred normal deviates
SLOPE, RARE = 0.5, 0.6


def population(seed: int, rows: int = N) -> pd.DataFrame:
    """A rare group, and surrogates that are far off in hard texts."""
    rng = np.random.default_rng(seed)
    x, rare = rng.normal(size=rows), (rng.random(rows) < 0.05).astype(float)
    hard = (rng.random(rows) < 0.3).astype(float)
    y = 0.3 + SLOPE * x + RARE * rare + rng.normal(size=rows)
    return pd.DataFrame(
        {
            "truth": y,
            "llm": y + rng.normal(size=rows) * np.where(hard == 1, 2.0, 0.3),
            "hard": hard,
            "x": x,
            "rare": rare,
            "author": rng.integers(0, 40, rows),
        }
    )


SCHEMES: dict[str, Callable[[pd.DataFrame, int], sampling.LabelDesign]] = {
    "srs": lambda d, s: sampling.simple_random(d, 40, seed=s),
    "bernoulli": lambda d, s: sampling.bernoulli(d, prob=0.1 + 0.3 * d["hard"], seed=s),
    "stratified": lambda d, s: sampling.stratified(
        d, 40, by="hard", allocation="neyman", spread={0: 0.3, 1: 2.0}, seed=s
    ),
    "pps": lambda d, s: sampling.proportional_to_size(d, 40, measure=np.exp(d["x"]), floor=0.05, seed=s),
    "cluster": lambda d, s: sampling.clustered(d, 8, by="author", seed=s),
    "two_stage, by size": lambda d, s: sampling.two_stage(d, 10, 3, by="author", seed=s),
    "two_stage, equal": lambda d, s: sampling.two_stage(d, 10, 3, by="author", first="equal", seed=s),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_probabilities_are_those_of_the_draw(scheme: str) -> None:
    """Frequencies of being drawn, row by row, and totals weighted by inverse probability."""
    data = population(1, rows=200)
    first = SCHEMES[scheme](data, 0)
    drawn = np.stack([SCHEMES[scheme](data, seed).drawn for seed in range(DRAWS)])
    error = np.sqrt(first.prob * (1.0 - first.prob) / DRAWS)
    assert (np.abs(drawn.mean(axis=0) - first.prob) <= LARGEST * error + 1e-12).all()
    totals = (drawn / first.prob) @ data["truth"].to_numpy()
    assert abs(totals.mean() - data["truth"].sum()) <= LARGEST * totals.std() / np.sqrt(DRAWS)


def fit(data: pd.DataFrame, seed: int, design: sampling.LabelDesign, **arguments: Any) -> Any:
    """DSL of the true labels on the rows drawn."""
    labelled = data.assign(y=data["truth"].where(design.drawn))
    return dsl.dsl(
        "y ~ x + rare",
        labelled,
        predicted_var="y",
        prediction="llm",
        feature=["hard", "x", "rare"],
        sl_method="lm",
        sample_split=1,
        seed=seed,
        design=design,
        **arguments,
    )


def replicated(draw: Callable[[pd.DataFrame, int], sampling.LabelDesign]) -> pd.DataFrame:
    """Error of the rare group's coefficient against the regression on all true labels, and its standard error."""
    rows = []
    for seed in range(REPLICATIONS):
        data = population(seed)
        x = np.column_stack([np.ones(len(data)), data["x"], data["rare"]])
        truth = np.linalg.lstsq(x, data["truth"], rcond=None)[0][2]
        result = fit(data, seed, draw(data, seed), target="finite")
        rows.append({"error": result.params["rare"] - truth, "bse": result.bse["rare"]})
    return pd.DataFrame(rows)


def with_pilot(**arguments: Any) -> Callable[[pd.DataFrame, int], sampling.LabelDesign]:
    def draw(data: pd.DataFrame, seed: int) -> sampling.LabelDesign:
        first = sampling.simple_random(data, 200, seed=seed)
        pilot = fit(data, seed, first)
        labelled = data.assign(y=data["truth"].where(first.drawn))
        return sampling.targeted(
            pilot, labelled, coefficient="rare", error_model="knn", seed=seed, **{"n_labels": 400, **arguments}
        )

    return draw


@pytest.fixture(scope="module")
def results() -> dict[str, pd.DataFrame]:
    return {
        "even": replicated(lambda data, seed: sampling.simple_random(data, 600, seed=seed)),
        "targeted": replicated(with_pilot(robust=False)),
        "robust": replicated(with_pilot(robust=True)),
        "anew": replicated(with_pilot(n_labels=600, keep_pilot=False, robust=False)),
    }


@pytest.mark.parametrize("design", ["even", "targeted", "robust", "anew"])
def test_targeted_intervals_cover(results: dict[str, pd.DataFrame], design: str) -> None:
    """These rows are the population, so that nothing but the draw is random."""
    error, bse = results[design]["error"], results[design]["bse"]
    covered = (error.abs() <= 1.959964 * bse).mean()
    assert abs(covered - 0.95) <= 3 * coverage_error(REPLICATIONS), covered
    assert abs(error.mean()) <= 3 * error.std() / np.sqrt(REPLICATIONS)
    assert bse.mean() == pytest.approx(error.std(), rel=0.15)  # Monte Carlo error .04


@pytest.mark.parametrize("design", ["targeted", "robust", "anew"])
def test_targeted_labels_are_worth_more(results: dict[str, pd.DataFrame], design: str) -> None:
    """Expected: root mean squared errors of .033 against .126."""

    def rmse(name: str) -> float:
        return float(np.sqrt(np.mean(results[name]["error"] ** 2)))

    assert rmse(design) < 0.4 * rmse("even")
    assert results[design]["bse"].mean() < 0.4 * results["even"]["bse"].mean()
