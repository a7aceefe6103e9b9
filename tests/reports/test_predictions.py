"""Predictions with intervals against statsmodels' GLM."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import dsl
from dsl.exceptions import ArgumentError
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

FAMILIES: dict[str, Any] = {
    "logit": sm.families.Binomial(),
    "probit": sm.families.Binomial(sm.families.links.Probit()),
    "poisson": sm.families.Poisson(),
    "lm": sm.families.Gaussian(),
}


def truth() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x, g = rng.normal(size=400), rng.choice(["a", "b", "c"], 400)
    y = (rng.random(400) < 1.0 / (1.0 + np.exp(-x + 0.4 * (g == "b")))) * 1.0
    return pd.DataFrame({"x": x, "g": g, "y": y, "llm": y})


def pair(model: str) -> tuple[dsl.DSLResults, Any, pd.DataFrame]:
    data = truth()
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        fit = run(data, "y ~ x * g", model=model)
    other = smf.glm("y ~ x * g", data, family=FAMILIES[model]).fit(tol=1e-14, maxiter=200, cov_type="HC0")
    return fit, other, pd.DataFrame({"x": [-1.0, 0.0, 2.5], "g": ["b", "a", "c"]}, index=["p", "q", "r"])


@pytest.mark.parametrize("model", ["logit", "poisson", "lm"])
@pytest.mark.parametrize("which", ["mean", "linear"])
def test_as_in_statsmodels(model: str, which: str) -> None:
    fit, other, new = pair(model)
    found = fit.get_prediction(new, which=which)
    if which == "mean":
        theirs = other.get_prediction(new)
        expected = theirs.summary_frame(alpha=0.1)
        np.testing.assert_allclose(found.conf_int("delta"), theirs.conf_int(method="delta"), rtol=1e-8, atol=1e-8)
    else:
        expected = other.get_prediction(new, which="linear").summary_frame(alpha=0.1)
    frame = found.summary_frame(alpha=0.1)
    assert list(frame) == list(expected)
    assert list(frame.index) == ["p", "q", "r"]
    np.testing.assert_allclose(frame, expected, rtol=1e-8, atol=1e-8)


def test_probit_by_hand() -> None:
    """statsmodels' covariance takes the expected derivative of the score here, so that ours goes into its formulas."""
    fit, other, new = pair("probit")
    theirs = other.get_prediction(new)
    x = fit.core.predictor.rows(new).x
    se = np.sqrt(np.einsum("nk,kl,nl->n", x, fit.core.vcov, x))
    link = FAMILIES["probit"].link
    frame = fit.get_prediction(new).summary_frame()
    np.testing.assert_allclose(frame["mean"], theirs.summary_frame()["mean"], rtol=1e-8)
    np.testing.assert_allclose(frame["mean_se"], se * link.inverse_deriv(x @ fit.params), rtol=1e-8)
    np.testing.assert_allclose(frame["mean_ci_upper"], link.inverse(x @ fit.params + 1.959963984540054 * se), rtol=1e-8)


def test_the_rows_of_the_fit_and_missing_values() -> None:
    fit = run(posts(), "y ~ x + offset(words / 100)", model="logit")
    own = fit.get_prediction()
    pd.testing.assert_series_equal(own.summary_frame()["mean"], fit.predict(), check_names=False)
    new = pd.DataFrame({"x": [0.0, np.nan], "words": [10.0, 20.0]})
    frame = fit.get_prediction(new, missing="nan").summary_frame()
    assert frame.isna().all(axis=1).tolist() == [False, True]
    whole = fit.get_prediction(new.iloc[:1]).summary_frame()
    pd.testing.assert_frame_equal(frame.iloc[:1], whole)
    nothing = fit.get_prediction(new.iloc[1:], missing="nan").summary_frame()
    assert nothing.isna().all(axis=None)
    assert repr(own) == "<Predictions (mean) of 200 rows>"


def test_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = run(posts(), "y ~ x + g", model="logit", tune="coef")
    whole = fit.get_prediction().summary_frame()
    monkeypatch.setattr("dsl.reports.predictions.CHUNK", 7)
    pd.testing.assert_frame_equal(fit.get_prediction().summary_frame(), whole, rtol=1e-12)


def test_students_t_has_the_degrees_of_freedom_of_the_combination() -> None:
    fit = run(posts(), "y ~ x", tune="coef")
    new = pd.DataFrame({"x": [1.5]})
    found = fit.get_prediction(new)
    test = fit.t_test(np.array([[1.0, 1.5]]))
    np.testing.assert_allclose(found.df, fit.degrees_of_freedom(np.array([[1.0, 1.5]])))
    np.testing.assert_allclose(found.conf_int(alpha=0.1), test.conf_int(alpha=0.1), rtol=1e-10)


def test_categories_of_the_outcome() -> None:
    data = posts()
    data["topic"] = data["g"].where(data["lab"] == 1)
    fit = run(data, "topic ~ x", predicted_var="topic", prediction="llm", model="logit", sample_split=2)
    found = fit.get_prediction({"x": [0.0, 1.0]})
    frame = found.summary_frame()
    assert list(frame.index) == [(row, level) for row in (0, 1) for level in "abc"]
    np.testing.assert_allclose(frame["mean"], fit.predict({"x": [0.0, 1.0]}).to_numpy().ravel(), rtol=1e-12)
    vcov = fit.cov_params()
    names = ["topic[b]:Intercept", "topic[b]:x"]
    assert fit.get_prediction({"x": [1.0]}, which="linear").se[0, 1] ** 2 == pytest.approx(
        vcov.loc[names, names].to_numpy().sum(), rel=1e-9
    )
    assert (frame["mean_ci_lower"] > 0.0).all()
    assert found.conf_int("delta").shape == (2, 3, 2)


def test_probabilities_of_classes_depend_on_all_predictors() -> None:
    data = truth()
    data["c"] = np.where(data["x"] + (data["g"] == "b") > 0.8, "v", np.where(data["y"] > 0.0, "u", "t"))
    data["c"] = data["c"].where(np.random.default_rng(2).random(400) < 0.8, "t")
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        fit = run(data, "c ~ x", predicted_var="c", model="multinom")
    new, core, h = pd.DataFrame({"x": [-1.0, 1.0]}), fit.core, 1e-5
    found = fit.get_prediction(new)
    gradient = np.stack(
        [
            (core.predictor(core.params + unit, new, "mean") - core.predictor(core.params - unit, new, "mean"))
            / (2 * h)
            for unit in h * np.eye(len(core.params))
        ],
        axis=-1,
    )
    expected = np.sqrt(np.einsum("nmk,kl,nml->nm", gradient, core.vcov, gradient))
    np.testing.assert_allclose(found.se, expected, rtol=1e-7)
    np.testing.assert_array_equal(found.conf_int(), found.conf_int("delta"))
    linear = fit.get_prediction(new, which="linear")
    assert linear.outcomes == ("u", "v")
    a, b = "c[v]:Intercept", "c[v]:x"
    vcov = fit.cov_params()
    assert linear.se[1, 1] ** 2 == pytest.approx(vcov.loc[[a, b], [a, b]].to_numpy().sum(), rel=1e-9)


def test_overdispersed_counts_have_ends_above_zero() -> None:
    data = posts()
    data["count"] = data["words"].where(data["lab"] == 1)
    fit = run(data.assign(llm=data["words"] + 1.0), "count ~ x", predicted_var="count", model="negbin")
    frame = fit.get_prediction({"x": [0.0, 3.0]}).summary_frame()
    test = fit.t_test(np.array([[1.0, 0.0, 0.0], [1.0, 3.0, 0.0]]))
    np.testing.assert_allclose(frame[["mean_ci_lower", "mean_ci_upper"]], np.exp(test.conf_int()), rtol=1e-9)
    np.testing.assert_allclose(frame["mean_se"], frame["mean"] * test.sd, rtol=1e-9)


def test_what_cannot_be_predicted() -> None:
    data = dsl.datasets.simulate_panel(seed=3)
    fit = dsl.dsl(data=data, sample_split=1, sl_method="lm", **data.attrs["call"])
    with pytest.raises(ArgumentError, match=r"model='felm' keeps no fixed effects.*which='linear'"):
        fit.get_prediction(data.fillna(0.0))
    linear = fit.get_prediction(data.fillna(0.0), which="linear")
    np.testing.assert_allclose(linear.predicted, fit.predict(data.fillna(0.0), which="linear"))
    with pytest.raises(ArgumentError, match="unknown method 'wald'"):
        linear.conf_int("wald")
