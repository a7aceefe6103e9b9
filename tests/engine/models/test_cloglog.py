"""Complementary log-log regression against statsmodels with the exact derivative of the score, in the tails too."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from dsl import dsl
from dsl import exceptions as e
from dsl.engine.models.cloglog import CLOGLOG_LINK, NEAR
from tests.engine.models.truth import (
    assert_equal_on_labelled_data,
    assert_slope_is_the_derivative,
    design,
    maximum,
    residual,
    rows,
)

pytestmark = pytest.mark.numeric

FAMILY = sm.families.Binomial(sm.families.links.CLogLog())


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return rows(lambda eta, rng: (rng.random(len(eta)) < -np.expm1(-np.exp(eta))).astype(float))


@pytest.mark.parametrize("outcome", [0.0, 1.0, 0.3])
def test_slope(outcome: float) -> None:
    # of an event the residual is 1 - t/2 + ... at small t, whose differences do not show a slope of t/2
    eta = np.array([-20.0, -9.0, -2.0, 0.0, 1.0, 2.0, 3.0])
    assert_slope_is_the_derivative(CLOGLOG_LINK, outcome, eta if outcome == 0.0 else eta[2:])


@pytest.mark.parametrize("eta", [-4.0, -1.0, 0.0, 1.0, 3.0])
def test_residual_is_the_derivative_of_the_log_likelihood(eta: float) -> None:
    step = 1e-3

    def event(at: float) -> float:
        return float(np.log1p(-np.exp(-np.exp(at))))

    near, far = (event(eta + s * step) - event(eta - s * step) for s in (1, 2))
    found = residual(CLOGLOG_LINK, np.ones(1), np.array([eta]))
    np.testing.assert_allclose(found, (8.0 * near - far) / (12.0 * step), rtol=1e-7)
    # log P(no event) = -exp(eta)
    np.testing.assert_allclose(residual(CLOGLOG_LINK, np.zeros(1), np.array([eta])), -np.exp(eta), rtol=1e-15)


def test_far_tails() -> None:
    slope, one = CLOGLOG_LINK.slope, np.ones(1)
    assert slope is not None
    # an event at t -> 0: r = 1 - t/2, slope = t/2 to first order; at t -> infinity both are 0
    low, high = np.array([-40.0]), np.array([6.0])
    np.testing.assert_allclose(slope(one, low, one), np.exp(low) / 2, rtol=1e-15)
    np.testing.assert_allclose(residual(CLOGLOG_LINK, one, low), 1.0, rtol=1e-15)
    t = np.exp(high)
    np.testing.assert_allclose(residual(CLOGLOG_LINK, one, high), t * np.exp(-t), rtol=1e-12)
    np.testing.assert_allclose(slope(one, high, one), t * (t - 1) * np.exp(-t), rtol=1e-12)
    np.testing.assert_array_equal(slope(one, 1e4 * one, one), 0.0)
    np.testing.assert_array_equal(residual(CLOGLOG_LINK, one, -1e4 * one), 1.0)
    edge = np.log(NEAR) + np.array([-1e-12, 1e-12])
    np.testing.assert_allclose(*slope(np.ones(2), edge, np.ones(2)), rtol=1e-11)


def test_fully_labelled(events: pd.DataFrame) -> None:
    theirs = maximum(sm.GLM(events["y"], design(events), family=FAMILY), scale=1.0)
    assert_equal_on_labelled_data("cloglog", events, theirs)


def test_offset(events: pd.DataFrame) -> None:
    theirs = sm.GLM(events["y"], design(events), family=FAMILY, offset=events["log_size"].to_numpy())
    assert_equal_on_labelled_data("cloglog", events, maximum(theirs, scale=1.0), "y ~ x + d + offset(log_size)")


def test_separation_names_the_column(events: pd.DataFrame) -> None:
    data = events.assign(g=(np.arange(len(events)) % 3 == 0).astype(float))
    data["y"] = data["y"].where(data["g"] == 0.0, 1.0)
    with pytest.warns(e.AllLabeledWarning), pytest.raises(e.SeparationError, match=r"perfect separation.*'g'"):
        dsl("y ~ x + g", data, model="cloglog", predicted_var="y", prediction="llm", sl_method="lm")


def test_other_outcomes_are_refused(events: pd.DataFrame) -> None:
    data = events.assign(y=2.0 * events["y"], llm=2.0 * events["llm"])
    with (
        pytest.warns(e.AllLabeledWarning),
        pytest.raises(e.OutcomeError, match=r"model='cloglog' needs an outcome of 0 and 1"),
    ):
        dsl("y ~ x", data, model="cloglog", predicted_var="y", prediction="llm", sl_method="lm")
