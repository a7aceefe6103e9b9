"""Sums over levels against numpy's, and levels looked up."""

import numpy as np
import pytest

from dsl.engine.levels import LevelSums, Lookup

pytestmark = pytest.mark.numeric

N = 300


def test_sums_of_few_rows_and_many_levels() -> None:
    rng = np.random.default_rng(1)
    codes, values, weight = rng.integers(0, 50, N), rng.normal(size=(N, 3)), rng.uniform(1.0, 2.0, N)
    sums, expected = LevelSums([50]), np.zeros((50, 3))
    for start, stop in ((0, 0), (0, 20), (20, N)):
        here = slice(start, stop)
        sums.add([codes[here]], values[here], weight[here])
        np.add.at(expected, codes[here], values[here] * weight[here, None])
    np.testing.assert_allclose(sums.of_factors[0], expected, rtol=1e-13)


def test_rows_are_looked_up_by_their_levels() -> None:
    found = Lookup([np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]])])
    first, second = np.array([0, 1, 1]), np.array([1, 1, 0])
    for _ in range(2):
        assert found.at([first, second])[:, 0].tolist() == [21.0, 22.0, 12.0]
    assert found.at([second, first])[:, 0].tolist() == [12.0, 22.0, 21.0]
