"""The nearest covariance matrix: published examples and a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from dsl.engine.combine import nearest_covariance

PRINTED = 5e-5
"""Four digits."""
FLOOR = 1e-5
"""Eigenvalues are kept above a small share of the largest, which moves entries as much; the optimiser stops as near."""


def test_the_example_of_higham() -> None:
    """The correlation matrix nearest to ones on three diagonals (Higham 2002, section 6; MATLAB's and NAG's example)."""
    given = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    expected = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    np.testing.assert_allclose(nearest_covariance(given), expected, atol=PRINTED)


def random_target(seed: int, k: int) -> np.ndarray:
    """Pairwise correlations that no four variables have."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(-1.0, 1.0, (k, k)), 1)
    return upper + upper.T + np.eye(k)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_no_correlation_matrix_is_nearer(seed: int) -> None:
    """Against the best L L' with rows of length one; variances stay as they are."""
    target, k = random_target(seed, 4), 4
    assert np.linalg.eigvalsh(target)[0] < -0.05

    def correlation(flat: np.ndarray) -> np.ndarray:
        rows = flat.reshape(k, k)
        rows = rows / np.linalg.norm(rows, axis=1)[:, None]
        return rows @ rows.T

    def distance(flat: np.ndarray) -> float:
        return float(((correlation(flat) - target) ** 2).sum())

    starts = np.random.default_rng(0).normal(size=(5, k * k))
    best = min((minimize(distance, start, tol=1e-14) for start in starts), key=lambda found: found.fun)
    found = nearest_covariance(target)
    np.testing.assert_allclose(((found - target) ** 2).sum(), best.fun, rtol=FLOOR)
    np.testing.assert_allclose(found, correlation(best.x), atol=1e-3)  # the optimum is flat
    scale = np.array([1.0, 10.0, 0.1, 3.0])
    np.testing.assert_allclose(
        nearest_covariance(target * scale[:, None] * scale), found * scale[:, None] * scale, rtol=1e-10
    )


def test_a_covariance_stays_as_it_is() -> None:
    given = np.array([[4.0, 1.0], [1.0, 9.0]])
    np.testing.assert_array_equal(nearest_covariance(given), given)
    no_variance = np.array([[1.0, 2.0], [2.0, 0.0]])
    np.testing.assert_array_equal(nearest_covariance(no_variance), no_variance)
