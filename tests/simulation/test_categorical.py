"""Categories as predicted variables: intervals that cover, and what score imputation gains, with known truth."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl

from .replicate import coverage_error

pytestmark = pytest.mark.slow

ROWS, LABELED, REPLICATIONS = 2000, 300, 200
TOPICS = np.array(["art", "sport", "war"])
EFFECT = np.array([0.0, 1.0, -0.5])
SLOPE = 0.5
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "covariate": ("y ~ topic + x", {}),
    "outcome": ("topic ~ x", {"model": "logit"}),
}
ESTIMATORS = ["dsl", "dsl+", "cdi", "gold_only", "naive"]


def population(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """Topics whose odds depend on `x`; surrogates that are right on two in three, and never say "war" for "art"."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    odds = np.exp(np.column_stack([np.zeros(rows), 0.5 * x, -0.7 * x]))
    topic = (rng.random(rows)[:, None] > np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    wrong = np.where(topic == 0, 1, rng.integers(0, 3, rows))
    said = np.where(rng.random(rows) < 0.67, topic, wrong)
    y = EFFECT[topic] + SLOPE * x + rng.normal(size=rows)
    return pd.DataFrame({"x": x, "y": y, "topic": TOPICS[topic], "llm": TOPICS[said]})


@pytest.fixture(scope="module")
def truth() -> dict[str, pd.Series]:
    """Coefficients in a population so large that its error does not count."""
    everyone = population(10**6, 400_000)
    out = {}
    for case, (formula, call) in CALLS.items():
        fit = dsl.dsl(
            formula, everyone.assign(llm=everyone["topic"]).assign(topic=_shown(everyone)), **_given(call, "naive")
        )
        out[case] = fit.params
    return out


def _shown(data: pd.DataFrame, seed: int = 0) -> pd.Series:
    rows = np.random.default_rng(seed).permutation(len(data)) < LABELED
    return data["topic"].where(rows)


def _given(call: dict[str, Any], estimator: str) -> dict[str, Any]:
    quick = {"predicted_var": "topic", "prediction": "llm", "sl_method": "logit", "sample_split": 1}
    return {**quick, **call, "estimator": estimator}


@pytest.fixture(scope="module", params=list(CALLS))
def results(request: pytest.FixtureRequest, truth: dict[str, pd.Series]) -> tuple[str, pd.DataFrame]:
    """Error, standard error and coverage of every replication, estimator and coefficient."""
    formula, call = CALLS[request.param]
    parts = []
    for seed in range(REPLICATIONS):
        data = population(seed)
        data["topic"] = _shown(data, seed)
        for estimator in ESTIMATORS:
            fit = dsl.dsl(formula, data, seed=seed, **_given(call, estimator))
            error = fit.params - truth[request.param]
            low, high = fit.conf_int().sub(truth[request.param], axis=0).to_numpy().T
            parts.append(
                pd.DataFrame(
                    {"estimator": estimator, "error": error, "bse": fit.bse, "covered": (low < 0) & (high > 0)}
                )
            )
    return request.param, pd.concat(parts).rename_axis("term").reset_index()


def test_coverage(results: tuple[str, pd.DataFrame]) -> None:
    _, table = results
    covered = table.groupby(["estimator", "term"])["covered"].mean().unstack("estimator")
    valid = covered[["dsl", "dsl+", "cdi", "gold_only"]]
    assert (np.abs(valid - 0.95) <= 3 * coverage_error(REPLICATIONS)).all().all(), covered
    assert covered["naive"].min() < 0.5, covered


def test_standard_errors(results: tuple[str, pd.DataFrame]) -> None:
    """Mean of the reported against the spread of the estimates; unbiased within Monte Carlo error."""
    _, table = results
    groups = table[table["estimator"] != "naive"].groupby(["estimator", "term"])
    spread = groups["error"].std()
    np.testing.assert_allclose(groups["bse"].mean() / spread, 1.0, atol=4 / np.sqrt(2 * REPLICATIONS))
    assert (groups["error"].mean().abs() < 4 * spread / np.sqrt(REPLICATIONS)).all()


def test_precision(results: tuple[str, pd.DataFrame]) -> None:
    """Score imputation is the best of them where the topic is a covariate, and no worse than its rivals as an outcome."""
    case, table = results
    spread = table.groupby(["estimator", "term"])["error"].std().unstack("estimator")
    topics = spread[spread.index.str.contains("topic")]
    relative = topics["dsl+"] / topics[["dsl", "cdi", "gold_only"]].min(axis=1)
    assert relative.mean() < (0.95 if case == "covariate" else 1.03), spread
