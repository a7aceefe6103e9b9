"""Poisson regression against statsmodels, and where no finite estimate exists."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl.engine.fit import fit_split
from dsl.engine.models.poisson import LOG
from dsl.engine.sums import Problem
from tests.engine.models.truth import (
    assert_equal_on_labelled_data,
    assert_slope_is_the_derivative,
    design,
    maximum,
    poor_surrogates,
    rows,
)

pytestmark = pytest.mark.numeric

CALL: dict[str, Any] = {
    "model": "poisson",
    "predicted_var": "y",
    "prediction": "llm",
    "sl_method": "lm",
    "sample_split": 2,
}


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    return rows(lambda eta, rng: rng.poisson(np.exp(eta)).astype(float))


def hide(data: pd.DataFrame, labels: int = 150, seed: int = 3) -> pd.DataFrame:
    shown = np.zeros(len(data), dtype=bool)
    shown[np.random.default_rng(seed).permutation(len(data))[:labels]] = True
    return data.assign(y=data["y"].where(shown))


@pytest.mark.parametrize("outcome", [0.0, 3.0, 400.0])
def test_slope(outcome: float) -> None:
    assert_slope_is_the_derivative(LOG, outcome, np.array([-6.0, -1.0, 0.0, 2.0, 5.0, 9.0]))


def test_fully_labelled(counts: pd.DataFrame) -> None:
    family = sm.families.Poisson()
    assert_equal_on_labelled_data(
        "poisson", counts, maximum(sm.GLM(counts["y"], design(counts), family=family), scale=1.0)
    )


def test_offset(counts: pd.DataFrame) -> None:
    exposed = counts.assign(size=np.exp(counts["log_size"]))
    theirs = sm.GLM(exposed["y"], design(exposed), family=sm.families.Poisson(), offset=exposed["log_size"].to_numpy())
    assert_equal_on_labelled_data("poisson", exposed, maximum(theirs, scale=1.0), "y ~ x + d + offset(log(size))")


@pytest.mark.parametrize("size", [1e-6, 1e9])
def test_any_size_of_the_mean(counts: pd.DataFrame, size: float) -> None:
    """exp(1e9), which a step from zero would reach, is no number. Units of the outcome move the intercept alone."""
    data = hide(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fit, large = (
            dsl.dsl("y ~ x + d", data.assign(y=s * data["y"], llm=s * data["llm"]), **CALL) for s in (1, size)
        )
    np.testing.assert_allclose(large.params - [np.log(size), 0.0, 0.0], fit.params, atol=1e-8)
    np.testing.assert_allclose(large.bse, fit.bse, rtol=1e-7)


def test_no_start_on_the_scale_of_the_columns(counts: pd.DataFrame) -> None:
    """From theta = 0 the first step overflows. The estimate is that of the column in other units."""
    data = hide(counts).assign(wide=lambda d: 1e5 * d["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        wide, fit = (dsl.dsl(f"y ~ {name} + d", data.assign(y=1e7 * data["y"]), **CALL) for name in ("wide", "x"))
    np.testing.assert_allclose(wide.params.to_numpy() * [1.0, 1e5, 1.0], fit.params, rtol=1e-7)


def test_a_group_whose_gold_counts_are_all_zero(counts: pd.DataFrame) -> None:
    data = counts.assign(g=np.where(np.arange(len(counts)) % 4 == 0, "b", "a"))
    data.loc[data["g"] == "b", "y"] = 0.0
    with pytest.raises(e.SeparationError, match=r"\d+ fitted means run to 0.* 'g\[T\.b\]'"):
        dsl.dsl("y ~ x + g", hide(data), estimator="gold_only", **{**CALL, "sl_method": "auto"})


def test_a_design_adjusted_sum_below_zero() -> None:
    """Gold counts of 0 and surrogates of 5: the design-adjusted sum of few labels is negative."""
    link = LOG
    with pytest.raises(e.SeparationError, match=r"fitted means run to 0, .*coefficient of 'g' is infinite"):
        fit_split(poor_surrogates(gold=0.0), Problem(link=link, names=("Intercept", "g")))


def test_counts_below_zero_are_refused(counts: pd.DataFrame) -> None:
    data = hide(counts)
    labelled = data.index[data["y"].notna()]
    data.loc[labelled[:2], "y"] = -1.0
    with pytest.raises(
        e.OutcomeError, match=f"model='poisson' needs an outcome of zero or more; 'y' is -1 in 2 rows.*{labelled[0]}"
    ):
        dsl.dsl("y ~ x", data, **CALL)


def test_predictions_below_zero_break_nothing(counts: pd.DataFrame) -> None:
    """Out-of-fold means of rare counts by least squares are negative for some rows; the moment is linear in them."""
    rng = np.random.default_rng(5)
    data = counts.assign(y=rng.poisson(0.3 * np.exp(counts["x"])), llm=lambda d: d["y"] + rng.normal(size=len(d)))
    fit = dsl.dsl("y ~ x", hide(data.assign(y=data["y"].astype(float)), labels=300), **CALL)
    assert fit.core.splits.predictions is not None
    assert (fit.core.splits.predictions < 0.0).any()
    assert (np.abs((fit.params - [np.log(0.3), 1.0]) / fit.bse) < 4.0).all()
