"""Isotonic regression on the first surrogate: the calibration of a score."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import expit

import dsl
from dsl.learners.names import make_learner

SAME_ALGEBRA = 1e-10  # the same equations solved by another routine


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_isotonic_is_scipys_and_sees_the_first_column_alone(sign):
    rng = np.random.default_rng(4)
    score = np.round(rng.random(300), 2)
    y = (rng.random(300) < score**3).astype(float)
    x = np.column_stack([sign * score, y, rng.normal(size=300)])  # gold itself stands behind it, unseen
    fitted = make_learner("isotonic", family="binomial").fit(x, y)
    levels, place, count = np.unique(sign * score, return_inverse=True, return_counts=True)
    means = np.bincount(place, y) / count
    expected = isotonic_regression(means, weights=count, increasing=sign > 0).x
    np.testing.assert_allclose(fitted.predict(x), expected[place], atol=SAME_ALGEBRA)
    # a straight line between labelled rows, constant beyond them
    new = np.column_stack([[levels[0] - 1.0, (levels[3] + levels[4]) / 2, levels[-1] + 1.0], np.zeros((3, 2))])
    between = [expected[0], (expected[3] + expected[4]) / 2, expected[-1]]
    np.testing.assert_allclose(fitted.predict(new), between, atol=SAME_ALGEBRA)


def test_isotonic_without_a_first_column_that_varies_is_the_mean():
    y = np.array([0.0, 1.0, 1.0, 0.0])
    fitted = make_learner("isotonic").fit(np.column_stack([np.ones(4), y]), y)
    np.testing.assert_array_equal(fitted.predict(np.zeros((2, 2))), [0.5, 0.5])


@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
def test_isotonic_calibrates_a_score(estimator):
    """Out of fold, a distorted probability comes close to the true one, where a straight line does not."""
    rng = np.random.default_rng(5)
    n = 4000
    x = rng.normal(size=n)
    p = expit(3.0 * x + rng.normal(size=n))
    y = (rng.random(n) < p).astype(float)
    table = pd.DataFrame(
        {"x": x, "score": p**4, "noise": rng.normal(size=n), "y": np.where(rng.permutation(n) < 1500, y, np.nan)}
    )
    call = {"predicted_var": "y", "prediction": ["score", "noise"], "estimator": estimator, "sample_split": 2}
    error = {}
    for method in ("isotonic", "lm"):
        fit = dsl.dsl("y ~ x", table, sl_method=method, **call)
        error[method] = np.sqrt(np.mean((fit.predictions[0, :, 0] - p) ** 2))
        assert fit.core.fit_quality["learner"].tolist() == [method]
    assert error["isotonic"] < 0.05
    assert estimator == "dsl+" or error["lm"] > 2 * error["isotonic"]
    order = np.argsort(table["score"].to_numpy())
    kept = dsl.dsl("y ~ x", table, sl_method="isotonic", **call)
    for fold in range(5):
        rows = order[kept.folds[0][order] == fold]
        assert (np.diff(kept.predictions[0, rows, 0]) >= -SAME_ALGEBRA).all()
