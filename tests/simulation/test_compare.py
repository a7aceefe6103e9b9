"""The bias of the naive estimate: intervals that cover it, a Hausman-type test that rejects as often as it says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from dsl.analyses.compare import compare
from dsl.reports.diagnostics.case import LEAST
from dsl.reports.diagnostics.limits import DIFFERENTIAL
from dsl.reports.diagnostics.tests import score_test
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS = 400
LEVEL = 0.05
QUICK: dict[str, Any] = {"predicted_var": "y", "prediction": "s", "sl_method": "lm", "sample_split": 2, "cross_fit": 3}


def linear(seed: int, *, bias: float = 0.0, n: int = 2000, labeled: int = 300, groups: int = 0) -> pd.DataFrame:
    """Y = .5 + x - .5 g + e; the surrogate's error is noise, plus `bias` (g - x); with `groups`, clusters share part of all."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % groups if groups else np.arange(n)
    shared = rng.normal(size=(3, cluster.max() + 1))[:, cluster] * (0.7 if groups else 0.0)
    x, g = rng.normal(size=n) + shared[0], (rng.random(n) < 0.4) * 1.0
    y = 0.5 + x - 0.5 * g + rng.normal(size=n) + shared[1]
    s = y + bias * (g - x) + 0.7 * rng.normal(size=n) + shared[2]
    lab = np.zeros(n, dtype=bool)
    lab[rng.choice(n, labeled, replace=False)] = True
    return pd.DataFrame({"y": np.where(lab, y, np.nan), "s": s, "x": x, "g": g, "cl": cluster})


def replicate(draw: Callable[[int], pd.DataFrame], judge: str = "dsl", **call: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """Bias tables of all replications, and the p values of the joint tests."""
    tables, joint = [], []
    for seed in range(REPLICATIONS):
        found = compare("y ~ x + g", draw(seed), estimators=("naive", judge), seed=seed, **{**QUICK, **call})
        assert found.bias is not None
        assert found.hausman is not None
        tables.append(found.bias.reset_index())
        joint.append(found.hausman.p_value)
    return pd.concat(tables, ignore_index=True), np.array(joint)


CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "dsl": ({}, "dsl", {}),
    "dsl+": ({}, "dsl+", {}),
    "tuned": ({}, "tuned", {}),
    "ppi++": ({}, "ppi++", {}),
    "clusters": ({"groups": 150}, "dsl", {"cluster": "cl"}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_unbiased_surrogate_is_rejected_as_often_as_the_level_says(name: str) -> None:
    drawn, judge, call = CASES[name]
    table, joint = replicate(lambda seed: linear(seed, **drawn), judge, **call)
    error = coverage_error(REPLICATIONS)
    each = (table["p_value"] < LEVEL).groupby(table["term"]).mean()
    assert (np.abs(each - LEVEL) <= 3 * error).all(), each
    assert abs((joint < LEVEL).mean() - LEVEL) <= 3 * error, (joint < LEVEL).mean()


@pytest.mark.parametrize("name", CASES)
def test_intervals_cover_the_bias_of_a_biased_surrogate(name: str) -> None:
    """Bias (g - x) moves the coefficients of x and g by -bias and bias."""
    drawn, judge, call = CASES[name]
    table, joint = replicate(lambda seed: linear(seed, bias=0.3, **drawn), judge, **call)
    truth = table["term"].map({"Intercept": 0.0, "x": -0.3, "g": 0.3})
    covered = ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).groupby(table["term"]).mean()
    assert (np.abs(covered - 0.95) <= 3 * coverage_error(REPLICATIONS)).all(), covered
    assert (joint < LEVEL).mean() > 0.9


def test_standard_errors_know_that_both_estimates_share_rows() -> None:
    """Mean standard error against the spread of the differences; taking the two for independent would be far too wide."""
    table, _ = replicate(linear)
    spread = table.groupby("term")["difference"].std()
    mean = table.groupby("term")["std_error"].mean()
    relative = mean / spread
    assert (np.abs(relative - 1.0) <= 3 / np.sqrt(2 * REPLICATIONS)).all(), relative


def test_finite_population_intervals_cover_the_bias_in_these_rows() -> None:
    """The rows stay, only labels are drawn anew; truth: naive less the regression of all gold values."""
    rows = linear(1, bias=0.3, labeled=2000)
    truth = smf.ols("s ~ x + g", rows).fit().params - smf.ols("y ~ x + g", rows).fit().params

    def draw(seed: int) -> pd.DataFrame:
        shown = np.random.default_rng(seed).choice(len(rows), 600, replace=False)
        return rows.assign(y=rows["y"].where(rows.index.isin(shown)))

    table, _ = replicate(draw, target="finite")
    expected = table["term"].map(truth)
    covered = ((table["conf_low"] <= expected) & (expected <= table["conf_high"])).groupby(table["term"]).mean()
    assert (np.abs(covered - 0.95) <= 3 * coverage_error(REPLICATIONS)).all(), covered


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5])
def test_differential_error_is_found_by_chance_at_most_as_often_as_the_level_says(rate: float) -> None:
    """Error rates from low to high, weights of 1 and 4, groups down to the smallest that are not merged, clusters."""
    groups = np.repeat(np.arange(6), [150, 150, 100, 60, LEAST, LEAST])
    tested, n = (groups[:, None] == np.arange(1, 6)).astype(float), len(groups)
    p_values = []
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        unit, weight = rng.integers(0, 200, n), rng.choice([1.0, 4.0], n)
        own = np.clip(rate * rng.gamma(2.0, 0.5, 200), 0.0, 0.95)  # clusters err at rates of their own
        error = (rng.random(n) < own[unit]) * 1.0
        p_values.append(
            score_test(response=error, null=np.ones((n, 1)), tested=tested, weight=weight, unit=unit).p_value
        )
    for level in (LEVEL, DIFFERENTIAL.note):
        rejected = float(np.mean(np.array(p_values) < level))
        assert rejected <= level + 3 * coverage_error(2000, 1 - level), rejected
