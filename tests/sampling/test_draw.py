"""Draws: exact sizes, exact probabilities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.exceptions import ArgumentError
from dsl.sampling.draw import ONE, draw_fixed_size, draw_within
from dsl.sampling.probability import scale_probabilities

DRAWS = 20_000
FREQUENCY = 4.5  # standard errors of a frequency, over a hundred or so frequencies


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 200), st.data(), st.integers(0, 2**31))
def test_sizes_are_exact(n: int, data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = data.draw(st.integers(1, n))
    prob = scale_probabilities(rng.lognormal(0.0, data.draw(st.floats(0.0, 4.0)), n), size)
    drawn = draw_fixed_size(prob, rng)
    assert drawn.sum() == size
    assert drawn[prob == 1.0].all()


def frequencies(prob: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of rows (N,) and of pairs (N, N)."""
    rng = np.random.default_rng(seed)
    drawn = np.stack([draw_fixed_size(prob, rng) for _ in range(DRAWS)]).astype(float)
    return drawn.mean(axis=0), drawn.T @ drawn / DRAWS


def test_probabilities_are_exact() -> None:
    prob = scale_probabilities(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 30.0]), 3)
    rows, pairs = frequencies(prob, 1)
    error = np.sqrt(prob * (1.0 - prob) / DRAWS)
    assert (np.abs(rows - prob) <= FREQUENCY * error + 1e-12).all()
    assert (pairs > 0.0).all()  # an estimable variance


def test_equal_probabilities_are_simple_random_sampling() -> None:
    n, size = 9, 4
    rows, pairs = frequencies(np.full(n, size / n), 2)
    joint = size * (size - 1) / (n * (n - 1))
    off = ~np.eye(n, dtype=bool)
    assert np.abs(rows - size / n).max() <= FREQUENCY * np.sqrt(size / n * (1 - size / n) / DRAWS)
    assert np.abs(pairs[off] - joint).max() <= FREQUENCY * np.sqrt(joint * (1 - joint) / DRAWS)


def test_joint_probabilities_are_close_to_hartley_and_rao() -> None:
    """Randomised systematic sampling: pi_i pi_j (n - 1) / n and two more terms (Hartley and Rao 1962)."""
    rng = np.random.default_rng(3)
    n = 10
    prob = scale_probabilities(rng.uniform(1.0, 2.0, 40), n)
    _, pairs = frequencies(prob, 4)
    i, j = np.triu_indices(40, 1)
    square = prob @ prob
    first = (n - 1) / n * prob[i] * prob[j]
    second = (n - 1) / n**2 * (prob[i] ** 2 * prob[j] + prob[i] * prob[j] ** 2)
    third = (n - 1) / n**3 * prob[i] * prob[j] * square
    expected = first + second - third
    error = (pairs[i, j] - expected) / np.sqrt(expected / DRAWS)
    assert abs(error.mean()) < 0.2
    assert 0.8 < error.std() < 1.2


def test_fractional_sums_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"sum to 1\.5"):
        draw_fixed_size(np.array([0.5, 0.5, 0.5]), np.random.default_rng(0))
    with pytest.raises(ArgumentError, match=r"run from -0\.5 to 1\.5"):
        draw_fixed_size(np.array([1.5, -0.5, 1.0]), np.random.default_rng(0))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 2**31))
def test_groups_get_their_sizes(rows: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(rows)), rows))
    sizes = rng.integers(0, np.array(rows) + 1)
    drawn = draw_within(codes, sizes, rng)
    np.testing.assert_array_equal(np.bincount(codes[drawn], minlength=len(rows)), sizes)


def test_rows_of_a_group_are_alike() -> None:
    rng = np.random.default_rng(5)
    codes, sizes = np.array([0, 1, 0, 1, 1, 0, 1]), np.array([1, 3])
    rows = np.mean([draw_within(codes, sizes, rng) for _ in range(DRAWS)], axis=0)
    expected = np.array([1 / 3, 3 / 4])[codes]
    assert (np.abs(rows - expected) <= FREQUENCY * np.sqrt(expected * (1 - expected) / DRAWS)).all()


def test_rounding_is_spread_over_rows_that_are_not_certain() -> None:
    """Thirds are no whole numbers of units; rows of probability one and zero keep theirs."""
    prob = np.array([1.0, 0.0, 1 / 3, 1 / 3, 1 / 3, 0.0, 1.0])
    rng = np.random.default_rng(5)
    for _ in range(200):
        drawn = draw_fixed_size(prob, rng)
        assert drawn[[0, 6]].all()
        assert not drawn[[1, 5]].any()
        assert drawn.sum() == 3


class Chosen:
    """Rows in their own order, and a start that is given."""

    def __init__(self, start: int) -> None:
        self.start = start

    def permutation(self, n: int) -> np.ndarray:
        return np.arange(n)

    def integers(self, high: int) -> int:
        assert 0 <= self.start < high
        return self.start


@pytest.mark.parametrize("start", [0, 1, ONE // 2, ONE - 2, ONE - 1])
@pytest.mark.parametrize("share", [1 / 3, 2 / 3])
def test_certain_rows_are_certain_at_every_start(share: float, start: int) -> None:
    """Thirds leave one unit of 2**-36 too few or too many. It must not go to rows whose probability is zero or one."""
    size = round(3 * share)
    for first, expected in ((0.0, False), (1.0, True)):
        rng: Any = Chosen(start)
        drawn = draw_fixed_size(np.array([first, share, share, share, first]), rng)
        assert drawn[[0, 4]].tolist() == [expected, expected]
        assert drawn[1:4].sum() == size
