"""The product's promise: intervals that cover, in a simulation with known truth and on real data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from tests.simulation.replicate import coverage_error, replicate, score

pytestmark = pytest.mark.slow

REPLICATIONS = 500


@pytest.fixture(scope="module")
def appendix_e() -> pd.DataFrame:
    """Simulation A: N = 5000, n = 500, surrogate accuracy .9."""
    example = dsl.datasets.simulate_appendix_e(seed=0)

    def draw(seed: int) -> pd.DataFrame:
        return dsl.datasets.simulate_appendix_e(n=5000, n_labels=500, accuracy=0.9, seed=seed)

    truth = pd.Series(example.attrs["truth"])
    return score(replicate(draw, truth, range(REPLICATIONS), example.attrs["call"]))


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    """The bundled ratings: 1000 of 9390 gold labels shown at random; truth = all human labels."""
    formula = "human_positive ~ negation + hedge + np.log1p(n_words) + source"
    full = dsl.datasets.load_sentiment()
    truth = smf.logit(formula, full).fit(disp=0).params

    def draw(seed: int) -> pd.DataFrame:
        return dsl.datasets.load_sentiment(n_labels=1000, seed=seed)

    call = {"formula": formula, "model": "logit", "predicted_var": "human_positive", "prediction": "vader_positive"}
    return score(replicate(draw, truth, range(REPLICATIONS), call))


def test_simulation_a_dsl_covers(appendix_e: pd.DataFrame) -> None:
    coverage = appendix_e.loc["dsl", "coverage"]
    assert (np.abs(coverage - 0.95) <= 2 * coverage_error(REPLICATIONS)).all(), coverage


def test_simulation_a_naive_does_not_cover(appendix_e: pd.DataFrame) -> None:
    assert appendix_e.loc["naive", "coverage"].mean() < 0.6


def test_simulation_a_dsl_is_more_precise_than_gold_only(appendix_e: pd.DataFrame) -> None:
    """Expected about .134 against .167, mean over the coefficients."""

    def overall(estimator: str) -> float:
        return float(appendix_e.loc[estimator, "rmse"].mean())

    assert overall("dsl") < overall("gold_only")
    assert overall("dsl") == pytest.approx(0.134, rel=0.1)
    assert overall("gold_only") == pytest.approx(0.167, rel=0.1)


def test_real_data_dsl_covers_at_least_nominally(real: pd.DataFrame) -> None:
    """Superpopulation intervals for a truth that is the full table itself: they may be too wide, never too short."""
    assert (real.loc["dsl", "coverage"] >= 0.95 - 2 * coverage_error(REPLICATIONS)).all(), real


def test_real_data_naive_never_covers_three_of_five(real: pd.DataFrame) -> None:
    assert (real.loc["naive", "coverage"] == 0.0).sum() == 3, real


def test_real_data_dsl_is_more_precise(real: pd.DataFrame) -> None:
    ours, naive, gold = (real.loc[name, "rmse"] for name in ("dsl", "naive", "gold_only"))
    assert (ours < gold).all(), real
    assert ours.mean() < naive.mean(), real
