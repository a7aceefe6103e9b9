"""Normal intervals and p values against scipy, statsmodels and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from statsmodels.stats.weightstats import _zconfint_generic, _zstat_generic

from dsl.engine.intervals import ALTERNATIVES, kish, share_intervals, tails, wald_interval, wald_pvalue
from dsl.exceptions import ArgumentError

pytestmark = pytest.mark.numeric

ESTIMATE, SE = np.array([1.0, -2.0, 0.3]), np.array([0.5, 1.5, 0.1])


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.5])
def test_statsmodels_has_the_same(alternative: str, alpha: float) -> None:
    ours = wald_interval(ESTIMATE, SE, alpha, alternative)
    for row, estimate, se in zip(ours, ESTIMATE, SE, strict=True):
        np.testing.assert_allclose(row, _zconfint_generic(estimate, se, alpha, alternative), rtol=1e-12)
    theirs = _zstat_generic(ESTIMATE, 0.0, SE, alternative, 0.2)[1]
    np.testing.assert_allclose(wald_pvalue(ESTIMATE, SE, alternative, null=0.2), theirs, rtol=1e-12)


@given(
    estimate=st.floats(-5, 5),
    se=st.floats(0.1, 3),
    null=st.floats(-5, 5),
    alpha=st.floats(0.001, 0.6),
    alternative=st.sampled_from(ALTERNATIVES),
)
def test_interval_holds_what_the_test_does_not_reject(
    estimate: float, se: float, null: float, alpha: float, alternative: str
) -> None:
    low, high = wald_interval(estimate, se, alpha, alternative)
    kept = float(wald_pvalue(estimate, se, alternative, null=null)) >= alpha
    edge = min(abs(null - low), abs(null - high)) < 1e-6
    assert edge or kept == (low <= null <= high)


def test_far_tails_keep_their_digits() -> None:
    """1 - Phi(20) would be zero."""
    assert float(wald_pvalue(20.0, 1.0, "larger")) == pytest.approx(norm.sf(20.0), rel=1e-10)
    assert float(wald_pvalue(-20.0, 1.0)) == pytest.approx(2 * norm.sf(20.0), rel=1e-10)


def test_shapes() -> None:
    assert wald_interval(1.0, 0.5).shape == (2,)
    assert wald_interval(ESTIMATE, SE).shape == (3, 2)
    assert wald_interval(np.ones((4, 3)), 1.0).shape == (4, 3, 2)
    assert wald_pvalue(ESTIMATE, SE).shape == (3,)


def test_no_spread() -> None:
    """A standard error of zero: certain, but for the null hypothesis itself, of which nothing can be said."""
    np.testing.assert_array_equal(wald_pvalue([1.0, -1.0, 0.0], 0.0), [0.0, 0.0, np.nan])
    np.testing.assert_array_equal(wald_pvalue([1.0, -1.0], 0.0, "larger"), [0.0, 1.0])
    np.testing.assert_array_equal(wald_interval(1.0, 0.0), [1.0, 1.0])


def test_tails() -> None:
    assert tails(0.05, "two-sided") == (0.025, 0.025)
    assert tails(0.05, "larger") == (0.05, 0.0)
    assert tails(0.05, "smaller") == (0.0, 0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alternative": "greater"}, ["'greater'", "did you mean 'larger'"]),
        ({"alternative": "two_sided"}, ["did you mean 'two-sided'"]),
        ({"alternative": "up"}, ["use one of two-sided, larger, smaller"]),
        ({"alpha": 0.0}, ["alpha must lie between 0 and 1", "found 0.0"]),
        ({"alpha": 95}, ["0.05 for 95%"]),
        ({"alpha": "5%"}, ["found '5%'"]),
        ({"alpha": True}, ["found True"]),
        ({"alpha": np.nan}, ["found nan"]),
    ],
)
def test_errors(arguments: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ArgumentError) as caught:
        wald_interval(1.0, 1.0, **arguments)
    for word in words:
        assert word in str(caught.value)


def test_p_value_checks_its_alternative() -> None:
    with pytest.raises(ArgumentError, match="smaller"):
        wald_pvalue(1.0, 1.0, "less")


@given(arrays(float, st.integers(1, 30), elements=st.floats(0.01, 100.0)))
def test_kish_is_the_loss_of_precision_by_weights(weight: np.ndarray) -> None:
    """The variance of a weighted mean of independent values with variance one is sum w^2 / (sum w)^2."""
    share = weight / weight.sum()
    assert kish(weight) == pytest.approx(1.0 / (share @ share))
    assert 1.0 - 1e-12 <= kish(weight) <= len(weight) * (1.0 + 1e-12)
    assert kish(7.0 * weight) == pytest.approx(float(kish(weight)))
    np.testing.assert_allclose(kish(np.column_stack([weight, weight**2])), [kish(weight), kish(weight**2)])


def test_kish_of_groups() -> None:
    rng = np.random.default_rng(0)
    weight, group = rng.random(50), rng.choice([0, 1, 3], 50)
    expected = [kish(weight[group == code]) if code != 2 else 0.0 for code in range(4)]
    np.testing.assert_allclose(kish(weight, group, 4), expected)


def test_logit_intervals_are_those_of_a_logit() -> None:
    """The delta method on the log-odds is what a logistic regression on the intercept reports."""
    import statsmodels.api as sm

    y = np.repeat([0.0, 1.0], [80, 20])
    ends = share_intervals(np.array([0.2]), np.array([np.sqrt(0.2 * 0.8 / 100)]))[0]
    fitted = sm.Logit(y, np.ones(100)).fit(disp=0).conf_int()
    np.testing.assert_allclose(ends, 1 / (1 + np.exp(-fitted)), rtol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.2, 1.2), st.floats(0.0, 0.5), st.sampled_from(["logit", "normal"]), st.floats(0.01, 0.5))
def test_intervals_lie_in_the_unit_interval_and_mirror(p: float, se: float, interval: str, alpha: float) -> None:
    ((low, high),) = share_intervals(np.array([p]), np.array([se]), alpha=alpha, interval=interval)[0]
    assert 0.0 <= low <= high <= 1.0
    if 0.0 <= p <= 1.0:
        assert low - 1e-12 <= p <= high + 1e-12
    ((other_low, other_high),) = share_intervals(np.array([1 - p]), np.array([se]), alpha=alpha, interval=interval)[0]
    if abs(abs(p - 0.5) - (0.5 - se)) > 1e-9:  # where the choice hangs on rounding
        np.testing.assert_allclose([1 - other_high, 1 - other_low], [low, high], atol=1e-9)
