"""Ordered regression against statsmodels' `OrderedModel`, and its derivatives in the tails."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm
from statsmodels.miscmodels.ordinal_model import OrderedModel

import dsl
from dsl.engine.models.ordered import ORDERED_LOGIT, ORDERED_PROBIT, logistic_ends, normal_ends
from tests.engine.models.likelihood import LIKELIHOODS, codes, maximum
from tests.engine.models.truth import assert_equal_on_labelled_data, design, rows

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.AllLabeledWarning")]
LEVELS = ["no", "some", "much"]


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    data = rows(lambda eta, rng: codes(eta, rng).astype(float))
    data["y"] = pd.Categorical.from_codes(data["y"].astype(int), LEVELS, ordered=True)
    return data.assign(llm=data["y"])


@pytest.mark.parametrize(("model", "distr"), [("ologit", "logit"), ("oprobit", "probit")])
def test_fully_labelled(model: str, distr: str, ratings: pd.DataFrame) -> None:
    y, x = ratings["y"].cat.codes.to_numpy(dtype=float), design(ratings)
    truth = maximum(LIKELIHOODS[model], np.array([0.0, 0.0, -0.4, 0.9]), x, y)
    # the likelihood that was maximised is statsmodels', whose thresholds are the first and logs of the steps
    theirs = OrderedModel(ratings["y"].cat.codes, x[:, 1:], distr=distr)
    at = np.array([*truth.params[:3], np.log(truth.params[3] - truth.params[2])])
    np.testing.assert_allclose(theirs.loglikeobs(at), LIKELIHOODS[model](truth.params, x, y), rtol=1e-10)
    np.testing.assert_allclose(theirs.fit(disp=0, method="bfgs").params, at, atol=1e-3)
    assert_equal_on_labelled_data(model, ratings, truth)


def test_signs_and_names(ratings: pd.DataFrame) -> None:
    """A positive coefficient makes higher classes likelier; thresholds are named as in polr."""
    fit = dsl.dsl("y ~ x + d", ratings, predicted_var="y", prediction="llm", model="ologit", estimator="gold_only")
    assert list(fit.params.index) == ["x", "d", "no|some", "some|much"]
    high = fit.predict(pd.DataFrame({"x": [-1.0, 1.0], "d": 0}))
    assert list(high.columns) == LEVELS
    assert fit.params["x"] > 0.0
    assert high["much"][1] > high["much"][0]
    index = fit.predict(pd.DataFrame({"x": [-1.0, 1.0], "d": 0}), which="linear")
    np.testing.assert_allclose(index, fit.params["x"] * np.array([-1.0, 1.0]))
    zeta = fit.params[["no|some", "some|much"]].to_numpy()
    below = expit(zeta[:, None] - index.to_numpy()).T
    np.testing.assert_allclose(np.cumsum(high.to_numpy(), axis=1)[:, :2], below, rtol=1e-12)


@pytest.mark.parametrize("shift", [-700.0, -40.0, 40.0, 700.0])
def test_logistic_tails(shift: float) -> None:
    """Between u = shift + 1 and v = shift: log P ~ const -+ shift, so that A - B is 1 - F(u) - F(v)."""
    ends = logistic_ends(np.array([shift + 1.0]), np.array([shift]))
    np.testing.assert_allclose(ends.upper - ends.lower, -np.sign(shift), rtol=1e-14)
    # A = f(u) / P with f ~ e^-|u| in the tail
    far = 1.0 / np.expm1(1.0) if shift > 0 else 1.0 / -np.expm1(-1.0)
    np.testing.assert_allclose(ends.upper, far, rtol=1e-12)
    assert np.all(ends.upper_slope > 0.0)


@pytest.mark.parametrize("shift", [-30.0, -8.0, 8.0, 30.0])
def test_normal_tails(shift: float) -> None:
    """Against P by a series in the tail: P = phi(v) / v (1 - 1/v^2 + 3/v^4 ...) less the same at u."""
    low, high = (shift, shift + 1.0) if shift > 0 else (-shift - 1.0, -shift)
    ends = normal_ends(np.array([shift + 1.0]), np.array([shift]))
    log_p = norm.logsf(low) + np.log1p(-np.exp(norm.logsf(high) - norm.logsf(low)))
    np.testing.assert_allclose(np.log(ends.upper), norm.logpdf(shift + 1.0) - log_p, rtol=1e-12)
    np.testing.assert_allclose(np.log(ends.lower), norm.logpdf(shift) - log_p, rtol=1e-12)


@pytest.mark.parametrize("family", [ORDERED_LOGIT, ORDERED_PROBIT], ids=["logit", "probit"])
def test_thresholds_out_of_order_have_no_score(family: object) -> None:
    score, slope = family.score, family.slope  # type: ignore[attr-defined]
    eta = np.array([0.0, 1.0, 0.5])[:, None] * np.ones(3)
    with np.errstate(all="raise"):
        found, curved = score(np.arange(3.0), eta), slope(np.arange(3.0), eta)
    # the class between them is the middle one
    assert np.isnan(found[:, 1]).any()
    assert np.isnan(curved[..., 1]).any()
    assert np.isfinite(found[:, [0, 2]]).all()
