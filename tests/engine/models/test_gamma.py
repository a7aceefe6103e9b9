"""Gamma regression with a log link against statsmodels with the exact derivative of the score."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl.engine.fit import fit_split
from dsl.engine.models.gamma import GAMMA_LOG
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
    "model": "gamma",
    "predicted_var": "y",
    "prediction": "llm",
    "sl_method": "lm",
    "sample_split": 2,
}
FAMILY = sm.families.Gamma(sm.families.links.Log())


@pytest.fixture(scope="module")
def amounts() -> pd.DataFrame:
    return rows(lambda eta, rng: rng.gamma(2.0, np.exp(eta) / 2.0))


@pytest.mark.parametrize("outcome", [1e-3, 1.0, 50.0])
def test_slope(outcome: float) -> None:
    assert_slope_is_the_derivative(GAMMA_LOG, outcome, np.array([-2.0, 0.0, 1.0, 3.0]))


def test_fully_labelled(amounts: pd.DataFrame) -> None:
    # scale=1: dispersion divides scores and Hessian alike, and leaves the sandwich as it is
    assert_equal_on_labelled_data(
        "gamma", amounts, maximum(sm.GLM(amounts["y"], design(amounts), family=FAMILY), scale=1.0)
    )


def test_offset(amounts: pd.DataFrame) -> None:
    theirs = sm.GLM(amounts["y"], design(amounts), family=FAMILY, offset=amounts["log_size"].to_numpy())
    assert_equal_on_labelled_data("gamma", amounts, maximum(theirs, scale=1.0), "y ~ x + d + offset(log_size)")


@pytest.mark.parametrize("size", [1e-6, 1e9])
def test_units_of_the_outcome(amounts: pd.DataFrame, size: float) -> None:
    shown = np.random.default_rng(3).permutation(len(amounts)) < 150
    data = amounts.assign(y=amounts["y"].where(shown))
    fit, other = (dsl.dsl("y ~ x + d", data.assign(y=s * data["y"], llm=s * data["llm"]), **CALL) for s in (1, size))
    np.testing.assert_allclose(other.params - [np.log(size), 0.0, 0.0], fit.params, atol=1e-8)
    np.testing.assert_allclose(other.bse, fit.bse, rtol=1e-7)


def test_zeros_are_refused(amounts: pd.DataFrame) -> None:
    data = amounts.assign(y=amounts["y"].where(np.arange(len(amounts)) >= 3, 0.0))
    with (
        pytest.warns(e.AllLabeledWarning),
        pytest.raises(
            e.OutcomeError, match=r"model='gamma' needs an outcome above zero; 'y' is 0 in 3 rows .first: 0, 1, 2"
        ),
    ):
        dsl.dsl("y ~ x", data, **CALL)


def test_a_design_adjusted_sum_below_zero() -> None:
    """No mean makes (sum y~) / mu equal to a number of rows where that sum is negative: mu runs to infinity."""
    link = GAMMA_LOG
    with pytest.raises(e.SeparationError, match=r"fitted means run to infinity, .*coefficient of 'g' is infinite"):
        fit_split(poor_surrogates(gold=0.1), Problem(link=link, names=("Intercept", "g")))
