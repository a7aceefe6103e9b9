"""Multinomial regression against statsmodels' `MNLogit`."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl.engine.models.multinomial import MULTINOMIAL, probabilities
from tests.engine.models.likelihood import codes, maximum, multinomial
from tests.engine.models.truth import ROOT, assert_equal_on_labelled_data, design, rows

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.AllLabeledWarning")]


@pytest.fixture(scope="module")
def topics() -> pd.DataFrame:
    data = rows(lambda eta, rng: codes(eta, rng).astype(float))
    data["y"] = pd.Categorical.from_codes(data["y"].astype(int), ["art", "law", "war"])
    return data.assign(llm=data["y"])


def test_fully_labelled(topics: pd.DataFrame) -> None:
    y, x = topics["y"].cat.codes.to_numpy(dtype=float), design(topics)
    truth = maximum(multinomial, np.zeros(6), x, y)
    theirs = sm.MNLogit(y, x).fit(disp=0, method="newton", tol=1e-14)
    np.testing.assert_allclose(truth.params, np.asarray(theirs.params).T.ravel(), rtol=ROOT)
    np.testing.assert_allclose(truth.scores, theirs.model.score_obs(np.asarray(theirs.params).ravel("F")), atol=1e-8)
    assert_equal_on_labelled_data("multinom", topics, truth)


def test_names_and_predictions(topics: pd.DataFrame) -> None:
    fit = dsl.dsl("y ~ x + d", topics, predicted_var="y", prediction="llm", model="multinom", estimator="gold_only")
    assert list(fit.params.index[:3]) == ["y[law]:Intercept", "y[law]:x", "y[law]:d"]
    assert list(fit.params_r.index[3:]) == ["war:(Intercept)", "war:x", "war:d"]
    y, x = topics["y"].cat.codes.to_numpy(dtype=float), design(topics)
    theirs = sm.MNLogit(y, x).fit(disp=0, method="newton", tol=1e-14)
    found = fit.predict(topics)
    assert list(found.columns) == ["art", "law", "war"]
    np.testing.assert_allclose(found, theirs.predict(x), rtol=1e-7)
    linear = fit.predict(topics, which="linear")
    assert list(linear.columns) == ["law", "war"]
    np.testing.assert_allclose(linear, np.log(found[["law", "war"]].div(found["art"], axis=0)), rtol=1e-10)
    assert fit.df_model == theirs.df_model


def test_extreme_linear_predictors() -> None:
    p = probabilities(np.array([[800.0, -800.0], [-800.0, -800.0]]))
    np.testing.assert_array_equal(p, [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    assert np.isfinite(MULTINOMIAL.slope(np.zeros(2), np.array([[800.0, -800.0], [0.0, 0.0]]))).all()
