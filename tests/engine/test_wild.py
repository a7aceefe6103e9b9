"""The wild score bootstrap against residuals with signs, refitted one by one."""

from itertools import product

import numpy as np
import pytest

from dsl.engine.wild import WildParts, draw, interval

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same algebra in another order."""


class Clustered:
    """Least squares of 60 rows in 8 clusters on three columns, with cluster-robust t statistics."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
        self.y = self.x @ [1.0, 0.3, 0.0] + rng.normal(size=60)
        self.cluster = np.arange(60) % 8
        self.bread = np.linalg.inv(self.x.T @ self.x)
        self.params = self.fit(self.y)
        self.row = np.array([0.0, 1.0, -0.5])

    def fit(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.bread @ self.x.T @ y)

    def sums(self, values: np.ndarray) -> np.ndarray:
        out = np.zeros((8, *values.shape[1:]))
        np.add.at(out, self.cluster, values)
        return out

    def statistic(self, y: np.ndarray, null: float) -> float:
        params = self.fit(y)
        scores = self.sums(self.x * (y - self.x @ params)[:, None]) @ self.bread @ self.row
        return float((params @ self.row - null) / np.sqrt(scores @ scores))

    def refitted(self, null: float) -> np.ndarray:
        """T statistics with the restricted residuals under all signs of the clusters."""
        direction = self.bread @ self.row
        restricted = self.params - direction * (self.params @ self.row - null) / (self.row @ direction)
        mean = self.x @ restricted
        signs = np.array(list(product([-1.0, 1.0], repeat=8)))
        return np.array([self.statistic(mean + (self.y - mean) * each[self.cluster], null) for each in signs])

    def parts(self) -> WildParts:
        direction = self.bread @ self.row
        jacobians = self.sums(self.x[:, :, None] * self.x[:, None, :])
        return WildParts(
            score=self.sums(self.x * (self.y - self.x @ self.params)[:, None]) @ self.bread,
            shift=jacobians @ (direction / (self.row @ direction)) @ self.bread,
            row=self.row,
            slope=np.einsum("i,gij->gj", direction, jacobians),
        )


@pytest.fixture(scope="module")
def clustered() -> Clustered:
    return Clustered()


@pytest.mark.parametrize("null", [0.0, 0.1, -0.7])
@pytest.mark.parametrize("at_once", [False, True])
def test_all_signs_are_the_wild_cluster_bootstrap_of_restricted_residuals(
    clustered: Clustered, null: float, at_once: bool
) -> None:
    gap, expected = float(clustered.params @ clustered.row) - null, clustered.refitted(null)
    drawn = draw(clustered.parts(), np.random.default_rng(0), draws=256, delta=gap if at_once else None)
    assert drawn.exact
    np.testing.assert_allclose(np.sort(drawn.statistics(gap)), np.sort(expected), rtol=SAME_ALGEBRA, atol=1e-10)
    found = clustered.statistic(clustered.y, null)
    assert drawn.statistic(gap) == pytest.approx(found, rel=SAME_ALGEBRA)
    for alternative, as_far in (
        ("two-sided", np.abs(expected) >= abs(found) - 1e-9),
        ("larger", expected >= found - 1e-9),
        ("smaller", expected <= found + 1e-9),
    ):
        assert drawn.p_value(gap, alternative) == as_far.mean()


def test_sampled_signs_come_near_all_of_them(clustered: Clustered) -> None:
    gap = float(clustered.params @ clustered.row)
    every = draw(clustered.parts(), np.random.default_rng(0), draws=256)
    some = draw(clustered.parts(), np.random.default_rng(1), draws=255)
    assert not some.exact
    p = every.p_value(gap)
    assert abs(some.p_value(gap) - p) < 4.0 * np.sqrt(p * (1.0 - p) / 255)


def test_six_values_have_mean_zero_and_variance_one(clustered: Clustered) -> None:
    drawn = draw(clustered.parts(), np.random.default_rng(3), draws=20_000, weights="webb")
    score = clustered.parts().score
    np.testing.assert_allclose(
        drawn.moved[:, 0].mean(axis=0), 0.0, atol=4.0 * np.sqrt((score**2).sum(axis=0) / 20_000).max()
    )
    np.testing.assert_allclose(
        drawn.moved[:, 0].T @ drawn.moved[:, 0] / 20_000, score.T @ score, atol=0.05 * (score**2).sum()
    )
    np.testing.assert_allclose(drawn.square[:, 0, 0].mean(), drawn.variance, rtol=0.05)


def test_single_precision_is_enough() -> None:
    """As many draws and units as are summed in single precision: the same draws as in double precision."""
    rng = np.random.default_rng(5)
    score = rng.normal(size=(20_000, 2)) / 20_000
    parts = WildParts(score=score, shift=score[::-1], row=np.array([1.0, 0.0]), slope=np.abs(score))
    single = draw(parts, np.random.default_rng(1), draws=5_008, delta=0.01)
    double = draw(parts, np.random.default_rng(1), draws=4_992, delta=0.01)
    np.testing.assert_allclose(single.statistics(0.01)[:4_800], double.statistics(0.01)[:4_800], atol=1e-4)


def test_ends_of_intervals_are_just_not_rejected(clustered: Clustered) -> None:
    drawn = draw(clustered.parts(), np.random.default_rng(1), draws=256)
    se = float(np.sqrt(drawn.variance))
    below, above = interval(drawn, se, 0.1)
    assert above < 0.0 < below
    for edge in (below, above):
        assert drawn.p_value(edge) > 0.1
        assert drawn.p_value(edge + np.sign(edge) * 2e-3 * se) <= 0.1
    # one-sided at half the level, and open on the other side
    one, other = interval(drawn, se, 0.1, "larger"), interval(drawn, se, 0.1, "smaller")
    assert one[1] == -np.inf
    assert other[0] == np.inf
    # of four units no sign vector is rare enough
    few = WildParts(
        score=np.ones((4, 1)) * [[1.0], [-2.0], [0.5], [0.5]],
        shift=np.full((4, 1), 0.25),
        row=np.ones(1),
        slope=np.full((4, 1), 0.25),
    )
    assert interval(draw(few, np.random.default_rng(1), draws=99), 1.0, 0.05) == (np.inf, -np.inf)
