"""Numbers of crowd and expert labels: closed forms of two-phase samples, best numbers against a search, the fit's own errors."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError
from dsl.planning.power import StagePower, plan_stages, power_stages
from dsl.sampling import nested, simple_random

N = 4_000
PRICES = {"crowd_price": 0.1, "expert_price": 2.0}


def texts() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"llm": (rng.random(N) < 0.4) * 1.0, "x": rng.normal(size=N)})


def plan(**more: Any) -> StagePower:
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "n_crowd": 1500, "n_experts": 500}
    quick = {"sl_method": "lm", "sample_split": 1, "replications": 6, "accuracy": 0.7, "crowd_accuracy": 0.9}
    return plan_stages("y ~ 1", texts(), **{**call, **quick, **more})


def test_a_mean() -> None:
    """y's variance over N, then that of y - g by 1/n_1 - 1/N and that of y - c by 1/n_2 - 1/n_1 (Sarndal et al. 1992, 9.3)."""
    data, power = texts(), plan(estimator="dsl", vcov="design", replications=20, n_crowd=2000, n_experts=1000)
    a, b = 0.7, 0.9
    rate = data["llm"].mean() * a + (1 - data["llm"].mean()) * (1 - a)
    # y - c is 1 or -1 in a tenth of the rows, and its mean is known of a fixed number
    whole, first, last = rate * (1 - rate), a * (1 - a), (1 - b) - ((1 - b) * (2 * rate - 1)) ** 2
    for n_crowd, n_experts in ((1500, 500), (3000, 300), (1000, 800)):
        exact = whole / N + first * (1 / n_crowd - 1 / N) + last * (1 / n_experts - 1 / n_crowd)
        assert power.se(n_crowd, n_experts)["Intercept"] == pytest.approx(np.sqrt(exact), rel=0.03)


def test_at_its_own_numbers_the_fit() -> None:
    data = texts()
    rng = np.random.default_rng(17)
    truth = np.where(rng.random(N) < 0.7, data["llm"], 1 - data["llm"])
    coded = np.where(rng.random(N) < 0.9, truth, 1 - truth)
    crowd = simple_random(data, 1500, seed=1)
    experts = nested(crowd, data, 300, seed=2)
    data = data.assign(y=np.where(experts.drawn, truth, np.nan), crowd=np.where(crowd.drawn, coded, np.nan))
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "design": experts, "stages": ["crowd"]}
    for estimator, model in (("cdi", "lm"), ("dsl+", "logit")):
        quick = {} if estimator == "cdi" else {"sl_method": "lm", "sample_split": 1}
        fit = dsl.dsl("y ~ x", data, estimator=estimator, model=model, **call, **quick)
        power = power_stages(fit, data)
        assert (power.n_crowd, power.n_experts, power.nobs) == (1500, 300, N)
        np.testing.assert_allclose(power.se(1500, 300), fit.bse, rtol=1e-9)
        assert (power.se(3000, 300) < fit.bse).all()
        assert (power.se(1500, 600) < fit.bse).all()


def test_best_numbers_are_those_of_a_search() -> None:
    power = StagePower(
        terms=("a", "b", "c", "d"),
        n_crowd=1000,
        n_experts=200,
        nobs=3000,
        staying=np.full(4, 1e-4),
        crowd=np.array([0.5, -0.1, 4.0, 0.002]),
        experts=np.array([0.4, 0.5, 0.01, 0.8]),
    )
    found = power.best(1000.0, **PRICES)
    n_crowd = np.arange(1, 3001)
    n_experts = np.minimum(np.floor((1000.0 - n_crowd * 0.1) / 2.0), n_crowd)
    for place, name in enumerate(power.terms):
        variance = 1e-4 + power.crowd[place] / n_crowd + power.experts[place] / np.where(n_experts >= 1, n_experts, 1.0)
        least = np.sqrt(variance[n_experts >= 1.0].min())
        row = found.loc[name]
        assert row["crowd"] * 0.1 + row["experts"] * 2.0 <= 1000.0 + 1e-6
        assert row["se"] == pytest.approx(least, rel=3e-3)
        assert row["se"] >= least * (1.0 - 1e-9)
        assert row["se_alone"] == pytest.approx(np.sqrt(1e-4 + (power.crowd + power.experts)[place] / 500.0))
    needed = power.needed(0.05, **PRICES)
    for place, name in enumerate(power.terms):
        rest = 0.05**2 - 1e-4 - power.crowd[place] / n_crowd
        experts = np.where(rest > 0, np.ceil(power.experts[place] / np.where(rest > 0, rest, 1.0)), np.inf)
        cost = np.where(experts <= n_crowd, n_crowd * 0.1 + experts * 2.0, np.inf)
        row = needed.loc[name]
        assert row["se"] <= 0.05 * (1 + 1e-9)
        assert row["cost"] == pytest.approx(cost.min(), rel=0.02)
    assert not power.best(1000.0, **PRICES).loc["b", "worth_it"]
    assert np.isnan(power.needed(0.009, **PRICES)["crowd"]).all()


def test_a_crowd_that_is_better_is_worth_more() -> None:
    good, poor = (plan(crowd_accuracy=right, estimator="dsl+").best(800.0, **PRICES).iloc[0] for right in (0.97, 0.75))
    assert good["se"] < poor["se"] < 1.05 * poor["se_alone"]
    assert good["worth_it"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"crowd_accuracy": None}, "either crowd_accuracy"),
        ({"n_experts": 2000}, "above n_crowd=1500"),
        ({"cluster": "x"}, "takes no cluster"),
        ({"accuracy": None}, "assumed accuracy"),
    ],
)
def test_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        plan(**more)


def test_refused_of_results() -> None:
    power = plan(replications=1)
    with pytest.raises(ArgumentError, match="n_crowd and experts n_experts"):
        power.se(100, 200)
    with pytest.raises(ArgumentError, match="does not pay"):
        power.best(1.0, **PRICES)
    with pytest.raises(ArgumentError, match="crowd_price must be"):
        power.best(100.0, crowd_price=0.0, expert_price=1.0)
    with pytest.raises(ArgumentError, match="se must be"):
        power.needed(0.0, **PRICES)
