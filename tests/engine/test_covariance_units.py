"""Sums within clusters, and the variances made of them, against statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from dsl.engine.covariance import cluster_sums, unit_sums, variance_of_sum

SAME_SUMS = 1e-12
"""Sums of the same terms in another order."""


@given(st.integers(0, 100), st.integers(1, 30))
def test_sums_within_units(seed: int, rows: int) -> None:
    """Loops over the codes that occur, which need be neither consecutive nor positive."""
    rng = np.random.default_rng(seed)
    parts, unit = rng.normal(size=(rows, 2)), rng.integers(-4, 9, rows)
    expected = np.array([parts[unit == code].sum(axis=0) for code in sorted(set(unit))])
    np.testing.assert_allclose(unit_sums(parts, unit), expected, atol=SAME_SUMS)
    np.testing.assert_allclose(unit_sums(parts[:, 0], unit), expected[:, 0], atol=SAME_SUMS)
    np.testing.assert_allclose(cluster_sums(parts, unit + 4, 13)[np.unique(unit) + 4], expected, atol=SAME_SUMS)


def test_every_row_is_a_unit_by_default() -> None:
    parts = np.random.default_rng(0).normal(size=(20, 3))
    assert unit_sums(parts) is parts
    np.testing.assert_allclose(variance_of_sum(parts), np.diag(parts.T @ parts), rtol=SAME_SUMS)


@pytest.mark.parametrize("clustered", [False, True])
def test_variance_of_a_mean_is_that_of_statsmodels(clustered: bool) -> None:
    rng = np.random.default_rng(1)
    unit = rng.integers(0, 12, 90) * 5
    y = rng.normal(size=90) + 0.4 * unit
    given = (
        {"cov_type": "cluster", "cov_kwds": {"groups": unit, "use_correction": False}}
        if clustered
        else {"cov_type": "HC0"}
    )
    theirs = sm.OLS(y, np.ones(90)).fit(**given).bse[0]
    ours = np.sqrt(variance_of_sum((y - y.mean()) / 90, unit if clustered else None))
    assert ours == pytest.approx(theirs, rel=1e-10)
