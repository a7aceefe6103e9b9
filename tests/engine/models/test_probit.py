"""Probit regression against statsmodels, in the tails too."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import log_ndtr

from dsl import dsl
from dsl import exceptions as e
from dsl.engine.models.probit import FAR, NORMAL
from tests.engine.models.truth import (
    assert_equal_on_labelled_data,
    assert_slope_is_the_derivative,
    design,
    maximum,
    residual,
    rows,
)

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    return rows(lambda eta, rng: (eta + rng.normal(size=len(eta)) > 0.0).astype(float))


@pytest.mark.parametrize("outcome", [0.0, 1.0, 0.3])
def test_slope(outcome: float) -> None:
    # where the outcome is what eta says, the residual and its derivative vanish as phi does: no difference shows them
    eta = np.array([-30.0, -8.0, -2.0, 0.0, 2.0, 8.0, 30.0])
    sign = 0.0 if outcome == 0.3 else 1.0 - 2.0 * outcome
    assert_slope_is_the_derivative(NORMAL, outcome, eta[sign * eta >= -2.0])


@pytest.mark.parametrize("eta", [-35.0, -10.0, -1.0, 0.0, 3.0])
def test_residual_is_the_derivative_of_the_log_likelihood(eta: float) -> None:
    step = 1e-3
    near, far = (log_ndtr(eta + s * step) - log_ndtr(eta - s * step) for s in (1, 2))
    derivative = (8.0 * near - far) / (12.0 * step)
    for outcome, side in ((1.0, 1.0), (0.0, -1.0)):
        found = residual(NORMAL, np.array([outcome]), np.array([side * eta]))
        np.testing.assert_allclose(found, side * derivative, rtol=1e-7)


def test_far_tails() -> None:
    """r ~ -(eta + 1/eta) and the slope ~ 1 - 1/eta^2 for y = 0 at a large eta; both parts of the slope meet."""
    zero, eta = np.zeros(1), np.array([1e6])
    np.testing.assert_allclose(residual(NORMAL, zero, eta), -(eta + 1 / eta), rtol=1e-15)
    slope = NORMAL.slope
    assert slope is not None
    np.testing.assert_allclose(slope(zero, eta, zero + 1), 1 - 1e-12, rtol=1e-15)
    edge = np.array([np.nextafter(FAR, 0), np.nextafter(FAR, 99)])
    low, high = slope(np.zeros(2), edge, np.ones(2))
    np.testing.assert_allclose(low, high, rtol=1e-12)


def test_fully_labelled(votes: pd.DataFrame) -> None:
    assert_equal_on_labelled_data("probit", votes, maximum(sm.Probit(votes["y"], design(votes))))


def test_offset(votes: pd.DataFrame) -> None:
    theirs = sm.Probit(votes["y"], design(votes), offset=votes["log_size"].to_numpy())
    assert_equal_on_labelled_data("probit", votes, maximum(theirs), "y ~ x + d + offset(log_size)")


def test_separation_names_the_column(votes: pd.DataFrame) -> None:
    data = votes.assign(g=(np.arange(len(votes)) % 3 == 0).astype(float))
    data["y"] = data["y"].where(data["g"] == 0.0, 1.0)
    with pytest.warns(e.AllLabeledWarning), pytest.raises(e.SeparationError, match=r"perfect separation.*'g'"):
        dsl("y ~ x + g", data, model="probit", predicted_var="y", prediction="llm", sl_method="lm")


def test_other_outcomes_are_refused(votes: pd.DataFrame) -> None:
    data = votes.assign(y=2.0 * votes["y"], llm=2.0 * votes["llm"])
    with (
        pytest.warns(e.AllLabeledWarning),
        pytest.raises(e.OutcomeError, match=r"model='probit' needs an outcome of 0 and 1"),
    ):
        dsl("y ~ x", data, model="probit", predicted_var="y", prediction="llm", sl_method="lm")
