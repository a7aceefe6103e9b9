"""Results in the package marginaleffects. `make test-marginaleffects` has an environment for it: it needs an older polars."""

import sys

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError, MissingDependencyError
from tests.posts import posts, run

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore:.*get_categories:DeprecationWarning")]

ONCE, TWICE = 1e-5, 2e-3
"""Relative errors of the one-sided differences that the package takes derivatives by, and derivatives of derivatives."""
try:
    import marginaleffects as me
except ImportError:
    me = None
needs = pytest.mark.skipif(me is None, reason="marginaleffects 0.6 and polars 2 exclude each other")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return posts().assign(flag=lambda d: d["words"] > 30, h=lambda d: d["g"].astype("category"))


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> dsl.DSLResults:
    return run(data, "y ~ x * h + log(words) + flag", model="logit")


@needs
def test_slopes(fit: dsl.DSLResults) -> None:
    found = me.avg_slopes(fit.to_marginaleffects(), variables=["x", "words"], eps_vcov=1e-3).sort("term")
    ours = fit.get_margeff(variables=["words", "x"])
    np.testing.assert_allclose(found["estimate"], ours.margeff, rtol=ONCE)
    np.testing.assert_allclose(found["std_error"], ours.margeff_se, rtol=TWICE)


@needs
def test_comparisons(fit: dsl.DSLResults, data: pd.DataFrame) -> None:
    """The delta method by hand: differences of average predictions and their gradients."""
    found = me.avg_comparisons(fit.to_marginaleffects(), variables={"h": "reference", "flag": "reference"})
    ours = fit.get_margeff(variables=["flag", "h"])
    found = found.sort("term", "contrast")
    np.testing.assert_allclose(found["estimate"], ours.margeff, rtol=1e-10)
    x = [fit.core.predictor.rows(data.assign(h=level)).x for level in "ac"]
    p = [1.0 / (1.0 + np.exp(-each @ fit.params.to_numpy())) for each in x]
    gradient = ((p[1] * (1 - p[1])) @ x[1] - (p[0] * (1 - p[0])) @ x[0]) / len(data)
    last = found.filter(found["contrast"] == "c - a")
    assert last["estimate"].item() == pytest.approx(float((p[1] - p[0]).mean()), rel=1e-12)
    se = float(np.sqrt(gradient @ fit.core.vcov @ gradient))
    assert last["std_error"].item() == pytest.approx(se, rel=ONCE)


@needs
def test_predictions(fit: dsl.DSLResults, data: pd.DataFrame) -> None:
    model, ours = fit.to_marginaleffects(), fit.get_prediction()
    found = me.predictions(model)
    np.testing.assert_allclose(found["estimate"], fit.predict(), rtol=1e-12)
    np.testing.assert_allclose(found["std_error"], ours.se, rtol=ONCE)
    by = me.avg_predictions(model, by="h").sort("h")
    expected = fit.predict().groupby(data["g"].to_numpy()).mean()
    np.testing.assert_allclose(by["estimate"], expected, rtol=1e-12)
    assert me.avg_predictions(model, vcov=False)["estimate"].item() == pytest.approx(fit.predict().mean())


@needs
def test_categories_of_the_outcome() -> None:
    data = posts()
    data["topic"] = data["g"].where(data["lab"] == 1)
    fit = run(data, "topic ~ x", predicted_var="topic", prediction="llm", model="multinom", sample_split=2)
    found = me.avg_slopes(fit.to_marginaleffects()).sort("group")
    np.testing.assert_allclose(found["estimate"], fit.get_margeff().margeff[0], rtol=ONCE)
    np.testing.assert_allclose(found["std_error"], fit.get_margeff().margeff_se[0], rtol=TWICE)


@needs
def test_what_cannot_be_handed_on(fit: dsl.DSLResults) -> None:
    with pytest.raises(ArgumentError, match="known on labelled rows only"):
        run(posts(), "x ~ y").to_marginaleffects()
    with pytest.raises(ArgumentError, match="vcov must be True, False or a matrix"):
        me.avg_slopes(fit.to_marginaleffects(), variables="x", vcov="HC3")
    data = dsl.datasets.simulate_panel(seed=3)
    panel = dsl.dsl(data=data, sample_split=1, sl_method="lm", **data.attrs["call"])
    with pytest.raises(ArgumentError, match="keeps no fixed effects"):
        panel.to_marginaleffects()


def test_without_the_package(fit: dsl.DSLResults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "marginaleffects", None)
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dsl\[marginaleffects\]'"):
        fit.to_marginaleffects()
