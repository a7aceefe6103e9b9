"""A model is one entry of the registry: a toy one runs through everything that a fit can do, and no file knows its name."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl._typing import FloatArray
from dsl.engine.models import MODELS, Model
from dsl.engine.models.model import Link

pytestmark = pytest.mark.numeric

ROOT = 1e-8
"""Relative: both solvers stop at a gradient of zero, statsmodels' by its `tol`."""
N, LABELS = 2000, 400
CALL: dict[str, Any] = {"model": "gaussian-log", "predicted_var": "y", "prediction": "llm", "sl_method": "lm"}


def residual(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    """Score of a normal outcome with mean exp(eta), in eta."""
    return mean * (outcome - mean)


def slope(outcome: FloatArray, eta: FloatArray, mean: FloatArray) -> FloatArray:
    """Minus its derivative."""
    return mean * (2.0 * mean - outcome)


POISSON = Link(name="log", mean=np.exp, slope=lambda outcome, eta, mean: mean)
"""The same mean; its moment x (y - mu) has one root."""
TOY = Model(
    name="gaussian-log",
    title="normal regression with a log link",
    link=Link(name="gaussian-log", mean=np.exp, slope=slope, residual=residual, pilot=POISSON, degree=2),
    outcomes=(0.0, np.inf),
    needs="an outcome of zero or more",
    sources=("McCullagh, P., and Nelder, J. A. (1989). Generalized Linear Models. Chapman and Hall.",),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one registry line."""
    monkeypatch.setitem(MODELS, TOY.name, TOY)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """A positive outcome and a surrogate that errs more where x is large."""
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=(2, N))
    y = np.maximum(np.exp(0.2 + 0.3 * x - 0.2 * z) + rng.normal(scale=0.3, size=N), 0.0)
    return pd.DataFrame({"x": x, "z": z, "y": y, "llm": y * (1.1 + 0.1 * (x > 0)) + rng.normal(scale=0.4, size=N)})


@pytest.fixture(scope="module")
def data(truth: pd.DataFrame) -> pd.DataFrame:
    shown = np.zeros(N, dtype=bool)
    shown[np.random.default_rng(9).permutation(N)[:LABELS]] = True
    return truth.assign(y=truth["y"].where(shown))


@pytest.fixture
def fit(data: pd.DataFrame) -> dsl.DSLResults:
    return dsl.dsl("y ~ x + z", data, **CALL)


def test_fully_labelled_data_give_the_maximum_likelihood_estimate(truth: pd.DataFrame) -> None:
    with pytest.warns(e.AllLabeledWarning):
        ours = dsl.dsl("y ~ x + z", truth, **CALL)
    design = sm.add_constant(truth[["x", "z"]].to_numpy())
    family = sm.families.Gaussian(sm.families.links.Log())
    theirs = sm.GLM(truth["y"].to_numpy(), design, family=family).fit(tol=1e-14, maxiter=200)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=ROOT)
    eta = design @ theirs.params  # HC0 with the exact derivative of the score
    at = (truth["y"].to_numpy(), eta, np.exp(eta))
    bread = np.linalg.inv((design * slope(*at)[:, None]).T @ design)
    half = bread @ (design * residual(*at)[:, None]).T
    np.testing.assert_allclose(ours.bse, np.sqrt(np.diag(half @ half.T)), rtol=1e-7)


def test_it_recovers_the_population(fit: dsl.DSLResults) -> None:
    assert (np.abs((fit.params - [0.2, 0.3, -0.2]) / fit.bse) < 4.0).all()


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "cdi", "ppi", "ppi++", "gold_only", "naive"])
def test_every_estimator(data: pd.DataFrame, estimator: str) -> None:
    fit = dsl.dsl("y ~ x + z", data, estimator=estimator, sample_split=2, **CALL)
    assert np.isfinite(fit.bse).all()
    assert (fit.bse > 0.0).all()


def test_summary_and_prediction(fit: dsl.DSLResults, data: pd.DataFrame) -> None:
    assert "gaussian-log" in str(fit.summary())
    linear = fit.params["Intercept"] + data[["x", "z"]].to_numpy() @ fit.params[["x", "z"]].to_numpy()
    np.testing.assert_allclose(fit.predict(data), np.exp(linear), rtol=1e-12)


def test_compare(fit: dsl.DSLResults) -> None:
    found = fit.compare()
    assert list(found.fits) == ["naive", "gold_only", "dsl", "dsl+"]
    assert found.hausman is not None
    assert found.hausman.p_value < 0.01  # the surrogate's error depends on x


def test_diagnostics(fit: dsl.DSLResults) -> None:
    found = fit.diagnostics()
    assert found.skipped["separation"] == "only for models of probabilities"
    assert {"surrogate", "labels", "weights"} & set(found.checks["check"])


def test_power(fit: dsl.DSLResults) -> None:
    se = dsl.power_dsl(fit, labeled_size=[LABELS, 2 * LABELS]).predicted_se
    np.testing.assert_allclose(se.loc[LABELS], fit.bse, rtol=1e-12)
    assert (se.loc[2 * LABELS] < se.loc[LABELS]).all()


def test_report(fit: dsl.DSLResults, tmp_path: Path) -> None:
    text = fit.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "normal regression with a log link" in text
    assert "McCullagh" in text


def test_targeted_sampling(fit: dsl.DSLResults, data: pd.DataFrame) -> None:
    design = dsl.sampling.targeted(fit, data, 100, coefficient="x", error_model="lm", seed=1)
    assert design.n_drawn == LABELS + 100


def test_outcomes_out_of_range_are_refused(data: pd.DataFrame) -> None:
    with pytest.raises(e.OutcomeError, match="needs an outcome of zero or more"):
        dsl.dsl("y ~ x", data.assign(y=data["y"] - 5.0), **CALL)


def test_units_of_the_outcome_are_an_offset(data: pd.DataFrame, fit: dsl.DSLResults) -> None:
    """Moments grow with the square of the outcome's size, and so does what the solver accepts as a root."""
    large = data.assign(y=1e4 * data["y"], llm=1e4 * data["llm"], size=np.log(1e4))
    again = dsl.dsl("y ~ x + z + offset(size)", large, **CALL)
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(again.bse, fit.bse, rtol=1e-6)
