"""Cluster sums, sandwiches and small-sample factors against sums written out and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm

from dsl.engine.covariance import SMALL, cluster_sums, sandwich, small_sample_factor

SAME_ALGEBRA = 1e-12
"""Relative: the same sums in another order."""


def test_sums_of_clusters_in_any_order() -> None:
    """Also of clusters without rows, the last one among them."""
    scores = np.arange(10.0).reshape(5, 2)
    sums = cluster_sums(scores, np.array([0, 2, 0, 2, 2]), 4)
    assert sums.tolist() == [[4.0, 6.0], [0.0, 0.0], [16.0, 19.0], [0.0, 0.0]]


@pytest.mark.parametrize("rows", [50, SMALL // 2 + 1])
def test_few_and_many_rows_add_up_alike(rows: int) -> None:
    """To the last digit, in the order of the rows."""
    rng = np.random.default_rng(0)
    scores, cluster = rng.normal(size=(rows, 2)), rng.integers(0, 7, rows)
    by_hand = np.zeros((8, 2))
    np.add.at(by_hand, cluster, scores)
    np.testing.assert_array_equal(cluster_sums(scores, cluster, 8), by_hand)
    assert cluster_sums(scores[:, :0], cluster, 8).shape == (8, 0)


def test_sandwich_of_a_jacobian_that_is_not_symmetric() -> None:
    rng = np.random.default_rng(0)
    jacobian, root = rng.normal(size=(4, 4)) + 3 * np.eye(4), rng.normal(size=(4, 4))
    bread = np.linalg.inv(jacobian)
    made = sandwich(jacobian, root @ root.T)
    np.testing.assert_allclose(made, bread @ (root @ root.T) @ bread.T, rtol=1e-10)
    np.testing.assert_array_equal(made, made.T)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "CR0", "CR1"])
def test_factors_are_those_of_statsmodels(kind: str) -> None:
    """Covariances of a regression of 40 rows in 8 clusters on 3 columns, relative to those without a factor."""
    rng = np.random.default_rng(1)
    x, y, groups = sm.add_constant(rng.normal(size=(40, 2))), rng.normal(size=40), np.arange(40) % 8
    model = sm.OLS(y, x)
    if kind.startswith("HC"):
        one, other = model.fit(cov_type=kind), model.fit(cov_type="HC0")
    else:
        one, other = (
            model.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": used})
            for used in (kind == "CR1", False)
        )
    expected = (one.cov_params() / other.cov_params())[0, 0]
    assert small_sample_factor(kind, n=40, k=3, n_clusters=8) == pytest.approx(expected, rel=SAME_ALGEBRA)
    assert small_sample_factor("robust", n=40, k=3, n_clusters=None) == 1.0
