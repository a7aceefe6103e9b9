"""`fit.wild_test` and `fit.wild_interval`: for every estimator, read from files, and refused with the reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsl
from dsl.estimators.again import analysis_of
from dsl.estimators.units import wild_parts
from dsl.exceptions import ArgumentError
from tests.posts import posts, run

CALLS: dict[str, dict[str, Any]] = {
    "dsl": {},
    "clusters": {"cluster": "cl"},
    "gold_only": {"estimator": "gold_only", "cluster": "cl", "sample_prob": "pi"},
    "naive": {"estimator": "naive"},
    "tuned": {"tune": "coef", "vcov": "robust"},
    "dsl+": {"estimator": "dsl+", "cluster": "cl", "formula": "x ~ y + z", "vcov": "robust"},
    "logit": {"model": "logit", "sample_split": 3},
}


@pytest.mark.parametrize("name", CALLS)
def test_scores_are_those_of_the_covariance(name: str) -> None:
    data = posts()
    fit = run(data, **{"formula": "y ~ x + z", **CALLS[name]})
    row = np.array([0.0, 1.0, 0.0])
    parts = wild_parts(fit.core, analysis_of(fit.core, data), row)
    if len(fit.splits.params) == 1:
        np.testing.assert_allclose(parts.score.T @ parts.score, fit.cov_params(), rtol=1e-6, atol=1e-9)
    # all units together: the restricted estimate is one away in the combination, and nothing is left of it
    whole = parts.shift.sum(axis=0)
    if CALLS[name].get("tune") is None and name != "dsl+":
        assert row @ whole == pytest.approx(1.0, rel=1e-5)
        np.testing.assert_allclose(parts.slope.sum(axis=0), row, atol=1e-5)


@pytest.mark.parametrize("name", CALLS)
def test_tests_and_intervals_go_together(name: str) -> None:
    fit = run(posts(), **{"formula": "y ~ x + z", **CALLS[name]})
    term = fit.params.index[1]
    low, high = fit.wild_interval(term, seed=3, draws=499)
    assert low < fit.params[term] < high
    for end, outside in ((low, -1.0), (high, 1.0)):
        near = fit.wild_test(f"{term} = {end + outside * 0.02 * fit.bse[term]}", seed=3, draws=499)
        assert near.p_value <= 0.05
    normal = fit.conf_int().loc[term]
    assert 0.7 < (high - low) / (normal[1] - normal[0]) < 1.6


def test_what_a_test_says(tmp_path: Path) -> None:
    data = posts()
    fit = run(data, "y ~ x + z", cluster="cl")
    found = fit.wild_test("x - 2*z = 0.1", seed=1, draws=199, weights="webb", alternative="larger")
    assert found.estimate == pytest.approx(fit.params["x"] - 2.0 * fit.params["z"])
    assert found.null == 0.1
    assert (found.draws, found.units, found.exact) == (199, 20, False)
    assert "20 units, 199 draws (webb)" in str(found)
    assert fit.wild_test([0, 1, -2], seed=1, draws=199).hypothesis == "x + -2 * z = 0"
    same = fit.wild_test("x = 0", seed=np.random.default_rng(7), draws=199)
    fit.save(tmp_path / "fit.pickle")
    again = dsl.DSLResults.load(tmp_path / "fit.pickle")
    assert again.wild_test("x = 0", seed=7, draws=199, data=data) == same
    with pytest.raises(ArgumentError, match="pass those of the fit"):
        again.wild_test("x = 0", seed=7)


@pytest.mark.parametrize(
    ("call", "arguments", "words"),
    [
        ({}, {"hypothesis": "x = 0, z = 0"}, "wald_test"),
        ({}, {"hypothesis": "w = 0"}, "cannot be read"),
        ({}, {"hypothesis": [0.0, 0.0, 0.0]}, "about no coefficient"),
        ({}, {"weights": "mammen"}, "rademacher, webb"),
        ({}, {"draws": 10}, "at least 99"),
        ({}, {"draws": 10**7}, "at most 1,000,000"),
        ({}, {"seed": None}, "seed"),
        ({}, {"alternative": "greater"}, "did you mean 'larger'"),
        ({"estimator": "ppi++"}, {}, "two samples"),
        ({"target": "finite"}, {}, "superpopulation"),
        ({"model": "felm", "formula": "y ~ x | cl"}, {"hypothesis": "x = 0"}, "factor"),
    ],
)
def test_refusals(call: dict[str, Any], arguments: dict[str, Any], words: str) -> None:
    fit = run(posts(), **{"formula": "y ~ x + z", **call})
    with pytest.raises(ArgumentError, match=words):
        fit.wild_test(**{"hypothesis": "x = 0", "seed": 1, "draws": 99, **arguments})
