"""The tests behind the diagnostics against scipy, statsmodels and formulas written out."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway

from dsl.reports.diagnostics.tests import equal_means, holm, score_test, weighted_slope

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""


def test_score_test_of_groups_is_pearsons() -> None:
    """Right or wrong by group: (n - 1)/n times Pearson's chi-squared, the Mantel-Haenszel statistic; added up over strata."""
    rng = np.random.default_rng(0)
    group, error = rng.integers(0, 4, 300), (rng.random(300) < 0.2) * 1.0
    error[group == 3] = 0.0  # a group without any error
    tested, one = (group[:, None] == [1, 2, 3]) * 1.0, np.ones((300, 1))
    pearson = stats.chi2_contingency(pd.crosstab(group, error), correction=False).statistic
    found = score_test(response=error, null=one, tested=tested, weight=np.ones(300))
    assert (found.df, found.statistic) == (3, pytest.approx(299 / 300 * pearson, rel=SAME_ALGEBRA))
    heavy = score_test(response=error, null=one, tested=tested, weight=np.full(300, 7.0))
    assert heavy.statistic == pytest.approx(found.statistic, rel=SAME_ALGEBRA)
    strata = np.repeat([0, 1], 150)
    null = (strata[:, None] == [0, 1]) * 1.0
    both = score_test(
        response=error,
        null=null,
        tested=np.hstack([tested * column[:, None] for column in null.T]),
        weight=np.ones(300),
    )
    each = [
        stats.chi2_contingency(pd.crosstab(group[own], error[own]), correction=False).statistic
        for own in (strata == 0, strata == 1)
    ]
    assert (both.df, both.statistic) == (6, pytest.approx(298 / 300 * sum(each), rel=SAME_ALGEBRA))
    nothing = score_test(response=np.zeros(300), null=one, tested=tested, weight=np.ones(300))
    assert (nothing.df, nothing.p_value) == (0, 1.0)


def test_score_test_by_hand() -> None:
    """A continuous null, weights, and clusters whose rows are copies of each other."""
    rng = np.random.default_rng(0)
    n = 300
    null, tested, weight = sm.add_constant(rng.normal(size=n)), rng.normal(size=n), rng.choice([1.0, 4.0], n)
    response = null @ [1.0, 0.5] + rng.normal(size=n) * (1 + null[:, 1] ** 2)
    u, z = (sm.WLS(v, null, weights=weight).fit().resid for v in (response, tested))
    spread = sm.WLS(u**2, null, weights=weight).fit().fittedvalues
    variance = np.maximum(spread, 1e-3 * spread.mean()) * n / (n - 2)
    statistic = (weight * u * z).sum() ** 2 / (weight**2 * variance * z**2).sum()
    found = score_test(response=response, null=null, tested=tested[:, None], weight=weight)
    assert (found.df, found.statistic) == (1, pytest.approx(statistic, rel=SAME_ALGEBRA))
    unit = rng.integers(0, 60, n)
    unit[response < 0] = unit[response < 0] // 3  # rows of a cluster resemble each other
    own = weight * u * z / np.sqrt((weight**2 * variance * z**2).sum())
    between = (np.bincount(unit, own) ** 2).sum() - (own**2).sum()
    assert between > 0.1
    clustered = score_test(response=response, null=null, tested=tested[:, None], weight=weight, unit=unit)
    assert clustered.statistic == pytest.approx(statistic / (1.0 + between), rel=SAME_ALGEBRA)
    alone = score_test(response=response, null=null, tested=tested[:, None], weight=weight, unit=np.arange(n) * 3)
    assert alone.statistic == pytest.approx(statistic, rel=SAME_ALGEBRA)
    assert score_test(response=response, null=null, tested=tested[:, None][:, :0], weight=weight).p_value == 1.0


def test_equal_means_is_welchs() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, 200)
    values = rng.normal(size=200) * (1 + group) + 0.3 * group
    other = anova_oneway(values, group, use_var="unequal")
    found = equal_means(values, group)
    assert found.statistic == pytest.approx(float(other.statistic), rel=SAME_ALGEBRA)
    assert found.p_value == pytest.approx(float(other.pvalue), rel=1e-6)
    assert equal_means(np.ones(10), np.arange(10) % 2).p_value == 1.0


def test_holm_and_slopes() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    x, weight = rng.normal(size=100), rng.choice([1.0, 3.0], 100)
    y = 0.3 * x + rng.normal(size=100)
    slope, se = weighted_slope(response=y, predictor=x, weight=weight)
    truth = sm.WLS(y, sm.add_constant(x), weights=weight).fit(cov_type="HC0")
    assert (slope, se) == (pytest.approx(truth.params[1]), pytest.approx(truth.bse[1]))
    unit = np.arange(100) // 5
    clustered = sm.WLS(y, sm.add_constant(x), weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}
    )
    assert weighted_slope(response=y, predictor=x, weight=weight, unit=unit)[1] == pytest.approx(clustered.bse[1])
