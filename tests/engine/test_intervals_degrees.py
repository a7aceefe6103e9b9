"""Degrees of freedom of standard errors, and the t intervals and tests that use them."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

import dsl
from dsl.engine.intervals import ALTERNATIVES, degrees_of_freedom, kish, wald_interval, wald_pvalue
from dsl.exceptions import ArgumentError
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

ALGEBRA = 1e-10
"""The same sums in another order."""


@pytest.fixture(scope="module")
def tuned() -> dsl.DSLResults:
    return run(posts(), "y ~ x + z", tune="coef", sample_split=2)


# degrees of freedom of a variance


@given(arrays(float, (12, 2), elements=st.floats(-3, 3).filter(lambda v: abs(v) > 1e-3)), st.floats(0.0, 100.0))
def test_as_many_as_units_less_one_at_most_and_two_at_least(parts: np.ndarray, rest: float) -> None:
    own = (parts**2).sum(axis=0)
    alone = degrees_of_freedom(parts, np.zeros(2), np.inf)
    assert (alone >= 2.0).all()
    assert (alone <= 11.0 + ALGEBRA).all()
    np.testing.assert_allclose(degrees_of_freedom(7.0 * parts, np.zeros(2), np.inf), alone, rtol=ALGEBRA)
    more = degrees_of_freedom(parts, own + rest, np.inf)  # a part of the variance that is known
    np.testing.assert_allclose(more, alone * ((own + rest) / own) ** 2, rtol=ALGEBRA)


def test_welch() -> None:
    """Two groups, one of them the labelled rows, which contribute alike: Welch's degrees of freedom."""
    first, second, n, m = 4.0, 1.0, 25, 80
    parts = np.full((n, 1), np.sqrt(first / n))
    welch = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
    assert degrees_of_freedom(parts, np.array([first + second]), m - 1.0) == pytest.approx(welch)


def test_normal_contributions_have_those_of_chi_square() -> None:
    """Their squares add up to a chi-square variable with as many degrees of freedom as there are."""
    parts = np.random.default_rng(0).normal(size=(400, 200))
    found = degrees_of_freedom(parts, np.zeros(200), np.inf)
    assert np.median(found) == pytest.approx(400, rel=0.05)
    totals = (parts**2).sum(axis=0)
    assert 2 * totals.mean() ** 2 / totals.var() == pytest.approx(400, rel=4 * np.sqrt(2 / 200))  # Monte Carlo


def test_rare_contributions() -> None:
    """Alike where they are not zero: the variance is that of their Poisson number, which has twice as many."""
    parts = np.zeros((100_000, 1))
    parts[:25] = 0.2
    assert degrees_of_freedom(parts, np.zeros(1), np.inf)[0] == pytest.approx(50, rel=1e-3)


def test_no_contributions_leave_the_rest() -> None:
    assert degrees_of_freedom(np.zeros((5, 1)), np.zeros(1), 40.0) == 40.0


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # first rows labelled
def test_equal_labels_are_as_many_less_one() -> None:
    """The mean of as many zeros as ones: every label is half a unit off."""
    data = pd.DataFrame({"y": [0.0, 1.0] * 15 + [np.nan] * 60, "s": [0.0, 1.0] * 45})
    fit = dsl.dsl("y ~ 1", data, predicted_var="y", prediction="s", estimator="gold_only", use_t=True)
    assert fit.df["Intercept"] == pytest.approx(29.0)
    low, high = stats.t.interval(0.95, 29, fit.params["Intercept"], fit.bse["Intercept"])
    np.testing.assert_allclose(fit.conf_int().loc["Intercept"], [low, high])


@pytest.mark.parametrize("arguments", [{"estimator": "gold_only"}, {"estimator": "cdi", "tune": 1.0}])
def test_clusters_are_the_units(arguments: dict[str, Any]) -> None:
    """Every row three times: as clusters of three they have the degrees of freedom of the rows once, not of three times as
    many. Clusters of one row are rows.
    """
    data = posts()
    thrice = data.loc[np.repeat(data.index, 3)].assign(own=np.repeat(np.arange(len(data)), 3)).reset_index(drop=True)
    once = run(data, use_t=True, **arguments).df
    together = run(thrice, use_t=True, cluster="own", **arguments).df
    np.testing.assert_allclose(together, once, rtol=ALGEBRA)
    apart = run(thrice, use_t=True, **arguments).df
    assert (apart > 2.5 * once).all()  # three times, but for the one that the mean takes
    alone = run(data.assign(own=np.arange(len(data))), use_t=True, cluster="own", **arguments).df
    np.testing.assert_allclose(alone, once, rtol=ALGEBRA)


def test_finite_population_knows_no_rest() -> None:
    """Only the labelled rows are random, so that their own degrees of freedom are all there are."""
    fit = run(posts(), tune="coef", target="finite")
    n = fit.n_labeled
    expected = np.minimum(2 / (1 / kish(fit.core.contributions() ** 2) - 1 / n), n - 1)
    np.testing.assert_allclose(fit.df, expected, rtol=ALGEBRA)


def test_naive_estimates_rest_on_all_rows() -> None:
    fit = run(posts(), estimator="naive", use_t=True)
    np.testing.assert_array_equal(fit.df, fit.nobs - 1.0)


# who uses them


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, False),
        ({"tune": 0.5}, False),
        ({"tune": "scalar"}, True),
        ({"estimator": "dsl+"}, True),
        ({"estimator": "cdi"}, True),
        ({"estimator": "ppi++"}, False),  # the numbers of ppi-python
        ({"estimator": "gold_only"}, False),
        ({"tune": "coef", "use_t": False}, False),
        ({"use_t": True}, True),
        ({"estimator": "ppi++", "use_t": np.True_}, True),
    ],
)
def test_where_lambda_was_chosen(arguments: dict[str, object], expected: bool) -> None:
    fit = run(posts(), **arguments)
    assert fit.use_t is fit.call.use_t is expected
    table = fit.tidy(alpha=0.1)
    assert ("df" in table) is expected
    df = fit.df if expected else pd.Series(np.inf, index=fit.params.index)
    low, high = stats.t.interval(0.9, df, fit.params, fit.bse)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], np.column_stack([low, high]))
    np.testing.assert_allclose(table["p_value"], 2 * stats.t.sf(np.abs(fit.tvalues), df))
    np.testing.assert_allclose(fit.pvalues, table["p_value"])


@pytest.mark.parametrize("wrong", [1, "yes", 0.0])
def test_use_t_is_yes_or_no(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="use_t must be True, False or None"):
        run(posts(), use_t=wrong)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("alpha", [0.01, 0.3])
def test_interval_and_test_agree(alternative: str, alpha: float) -> None:
    df = np.array([1.5, 4.0, np.inf])
    low, high = wald_interval(np.ones(3), 0.5, alpha, alternative, df).T
    bound = high if alternative == "smaller" else low
    np.testing.assert_allclose(wald_pvalue(1.0, 0.5, alternative, null=bound, df=df), alpha)
    if alternative == "larger":
        np.testing.assert_allclose(low, 1.0 - 0.5 * stats.t.ppf(1 - alpha, df))


# tests of combinations


def test_single_coefficients_in_t_test(tuned: dsl.DSLResults) -> None:
    found = tuned.t_test(np.eye(3))
    np.testing.assert_allclose(found.df_denom, tuned.df)
    np.testing.assert_allclose(found.pvalue, tuned.pvalues)
    np.testing.assert_allclose(found.conf_int(0.1), tuned.conf_int(0.1))
    assert "P>|t|" in str(found)


def test_each_combination_has_its_own(tuned: dsl.DSLResults) -> None:
    found = tuned.t_test("x - 2 * z = 0.1")
    contrast = np.array([[0.0, 1.0, -2.0]])
    bread = np.linalg.inv(np.median(tuned.splits.jacobians, axis=0))
    c = tuned.splits.label_scores @ bread.T @ contrast[0]
    whole, own, n = float(np.squeeze(found.sd)) ** 2, (c**2).sum(), tuned.n_labeled
    part = max(((c**4).sum() - own**2 / n) / 2, own**2 / (n - 1))
    expected = whole**2 / (part + (whole - own) ** 2 / (tuned.nobs - 1))
    assert float(np.squeeze(found.df_denom)) == pytest.approx(expected)
    t = (tuned.params["x"] - 2 * tuned.params["z"] - 0.1) / np.sqrt(whole)
    assert float(found.pvalue) == pytest.approx(2 * stats.t.sf(abs(t), expected))


def test_joint_tests_take_the_fewest(tuned: dsl.DSLResults) -> None:
    found = tuned.wald_test("x = 0, z = 0", scalar=True)
    b, v = tuned.params[["x", "z"]].to_numpy(), tuned.cov_params().loc[["x", "z"], ["x", "z"]].to_numpy()
    statistic, fewest = b @ np.linalg.solve(v, b) / 2, tuned.df[["x", "z"]].min()
    assert float(found.pvalue) == pytest.approx(stats.f.sf(statistic, 2, fewest))
    assert float(tuned.f_test("x = 0, z = 0").pvalue) == pytest.approx(float(found.pvalue))
    chi2 = tuned.wald_test("x = 0, z = 0", use_f=False, scalar=True)
    assert float(chi2.pvalue) == pytest.approx(stats.chi2.sf(2 * statistic, 2))


def test_normal_tests_stay_normal(tuned: dsl.DSLResults) -> None:
    found = tuned.t_test("x = z", use_t=False)
    assert float(found.pvalue) == pytest.approx(2 * stats.norm.sf(abs(float(np.squeeze(found.statistic)))))


# what is kept and shown


def test_stored_fits_know_them(tuned: dsl.DSLResults) -> None:
    copy = pickle.loads(pickle.dumps(tuned))
    assert str(copy.t_test("x = z")) == str(tuned.t_test("x = z"))
    copy.remove_data()
    pd.testing.assert_frame_equal(copy.tidy(), tuned.tidy())
    pd.testing.assert_series_equal(copy.pvalues, tuned.pvalues)
    with pytest.raises(ArgumentError, match=r"remove_data\(\) dropped the labelled rows' scores"):
        copy.t_test("x = z")
    assert np.isfinite(float(copy.t_test("x = z", use_t=False).pvalue))


def test_summary_says_which(tuned: dsl.DSLResults) -> None:
    text = str(tuned.summary())
    assert "P>|t|" in text
    few, most = tuned.df.min(), tuned.df.max()
    assert f"Student's t with {few:,.0f} to {most:,.0f} degrees of freedom" in text
    plain = str(run(posts()).summary())
    assert "P>|z|" in plain
    assert "Student" not in plain


def test_shares_use_them_too() -> None:
    texts = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    call = {"gold": "human_positive", "prediction": "vader_positive", "by": "source", "interval": "normal"}
    found = dsl.proportions(texts, use_t=True, sl_method="lm", sample_split=2, **call)
    first, second = found.table["source"]
    share, half = found.table["share"], stats.t.ppf(0.975, found.fit.df) * found.table["std_error"]
    np.testing.assert_allclose(found.table["conf_low"], share - half)
    gap = found.difference({"source": first}, {"source": second})
    test = found.fit.t_test([[1.0, -1.0]])
    np.testing.assert_allclose(gap["p_value"], test.pvalue)
    np.testing.assert_allclose(gap[["conf_low", "conf_high"]], test.conf_int())
