"""Negative binomial regression against statsmodels' `NegativeBinomial`."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl.engine.models.negbin import NEGATIVE_BINOMIAL
from tests.engine.models.likelihood import maximum, negative_binomial
from tests.engine.models.truth import ROOT, Maximum, assert_equal_on_labelled_data, design, rows

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.AllLabeledWarning")]
ALPHA = 0.7


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    def draw(eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = 1.0 / ALPHA
        return rng.negative_binomial(size, size / (size + np.exp(0.5 + eta))).astype(float)

    return rows(draw)


def theirs(data: pd.DataFrame, offset: pd.Series | None = None) -> Maximum:
    """statsmodels at its maximum, in log alpha: at a score of zero the Hessian changes by the slope of log alpha alone."""
    model = sm.NegativeBinomial(data["y"], design(data), offset=offset)
    params = np.asarray(model.fit(disp=0, method="bfgs", maxiter=500).params)
    for _ in range(20):
        params = params - np.linalg.solve(model.hessian(params), model.score(params))
    # (beta, alpha) to (beta, log alpha)
    slope = np.diag([1.0, 1.0, 1.0, params[-1]])
    scores = model.score_obs(params) @ slope
    return Maximum(np.append(params[:-1], np.log(params[-1])), scores, -slope @ model.hessian(params) @ slope)


def test_fully_labelled(counts: pd.DataFrame) -> None:
    truth = maximum(negative_binomial, theirs(counts).params, design(counts), counts["y"].to_numpy())
    np.testing.assert_allclose(truth.params, theirs(counts).params, rtol=ROOT)
    assert_equal_on_labelled_data("negbin", counts, truth)


def test_offset(counts: pd.DataFrame) -> None:
    fit = dsl.dsl(
        "y ~ x + d + offset(log_size)",
        counts,
        predicted_var="y",
        prediction="llm",
        model="negbin",
        estimator="gold_only",
    )
    np.testing.assert_allclose(fit.params, theirs(counts, counts["log_size"]).params, rtol=ROOT)
    found = fit.predict(counts)
    np.testing.assert_allclose(
        np.log(found), design(counts) @ fit.params[:3].to_numpy() + counts["log_size"], rtol=1e-12
    )
    assert list(fit.params.index) == ["Intercept", "x", "d", "log(alpha)"]
    assert fit.df_model == 2


def test_counts_far_from_the_start() -> None:
    """Large means, next to no overdispersion, and much of it."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=800)
    for alpha, shift in ((0.02, 6.0), (4.0, 0.0), (1.0, -1.0)):
        y = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * np.exp(shift + 0.8 * x))).astype(float)
        data = pd.DataFrame({"y": y, "x": x, "d": 0.0 + (rng.random(800) < 0.5), "llm": y})
        fit = dsl.dsl("y ~ x + d", data, predicted_var="y", prediction="llm", model="negbin", estimator="gold_only")
        np.testing.assert_allclose(fit.params, theirs(data).params, rtol=1e-6)


def test_counts_that_occur_often_are_evaluated_once() -> None:
    """Many rows and one alpha: exactly the numbers of each row alone, with counts that are none too."""
    y = np.repeat([0.0, 1.0, 2.0, 7.0], 5)
    eta = np.stack([np.linspace(-1.0, 2.0, 20), np.full(20, -0.4)])
    for part in (NEGATIVE_BINOMIAL.score, NEGATIVE_BINOMIAL.slope):
        alone = [part(y[[i]], eta[:, [i]]) for i in range(20)]
        np.testing.assert_allclose(part(y, eta), np.concatenate(alone, axis=-1), rtol=1e-13)
        between = part(np.append(y, 0.5), np.column_stack([eta, eta[:, -1]]))
        np.testing.assert_allclose(between[..., :20], part(y, eta), rtol=1e-13)
