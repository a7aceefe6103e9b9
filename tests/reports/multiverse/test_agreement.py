"""Agreement of estimates with different labels: closed forms, contrasts, estimates that are one."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from dsl._typing import FloatArray
from dsl.reports.multiverse.agreement import Stacked

pytestmark = pytest.mark.numeric

SAME = 1e-9
"""The same algebra by another inverse."""


def stacked(units: FloatArray, estimates: FloatArray) -> Stacked:
    """From influences (units, M, k) and estimates (M, k)."""
    return Stacked.of([(estimates[[j]], [units[:, j]]) for j in range(len(estimates))])


@pytest.fixture(scope="module")
def four() -> tuple[FloatArray, FloatArray]:
    """Four estimates of two coefficients on different scales, correlated through the units."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(500, 1, 2))
    units = (shared + 0.5 * rng.normal(size=(500, 4, 2))) * np.array([1e-3, 50.0])
    return units, np.array([[0.10, 900.0], [0.11, 1900.0], [0.08, 1200.0], [0.13, 400.0]])


@pytest.mark.parametrize("term", [None, 0, 1])
def test_the_test_is_that_of_the_differences_to_the_first(
    four: tuple[FloatArray, FloatArray], term: int | None
) -> None:
    units, estimates = four
    if term is not None:
        units, estimates = units[:, :, [term]], estimates[:, [term]]
    gaps = (units[:, 1:] - units[:, :1]).reshape(len(units), -1)
    gap = (estimates[1:] - estimates[:1]).ravel()
    statistic = gap @ np.linalg.solve(gaps.T @ gaps, gap)
    whole = stacked(*four)
    found = (whole if term is None else whole.of_term(term)).agreement()
    assert found.df == len(gap)
    assert found.statistic == pytest.approx(statistic, rel=SAME)
    assert found.p_value == pytest.approx(chi2.sf(statistic, len(gap)), rel=1e-6)


def test_estimates_that_are_one_do_not_count(four: tuple[FloatArray, FloatArray]) -> None:
    units, estimates = four
    twice = [0, 1, 1, 2, 3, 0]
    once, again = stacked(units, estimates), stacked(units[:, twice], estimates[twice])
    assert again.agreement().df == once.agreement().df == 6
    assert again.agreement().statistic == pytest.approx(once.agreement().statistic, rel=SAME)
    np.testing.assert_array_equal(again.pair_errors()[1, 2], 0.0)
    same = stacked(units[:, [1, 1]], estimates[[1, 1]]).agreement()
    assert (same.statistic, same.df, same.p_value) == (0.0, 0, 1.0)


def test_pairs(four: tuple[FloatArray, FloatArray]) -> None:
    units, estimates = four
    found = stacked(units, estimates)
    for a, b in ((0, 1), (2, 3)):
        np.testing.assert_allclose(
            found.pair_errors()[a, b], np.sqrt(((units[:, a] - units[:, b]) ** 2).sum(axis=0)), rtol=SAME
        )
    worst = found.pair_errors().max(axis=(0, 1))
    # found with probability .8: P(|Z + d / se| > 1.96) = .8, but for the other side
    gap = found.detectable(0.05) / worst
    np.testing.assert_allclose(norm.sf(norm.isf(0.025) - gap), 0.8, atol=1e-12)


def test_splits_are_averaged(four: tuple[FloatArray, FloatArray]) -> None:
    units, estimates = four
    shift = np.random.default_rng(2).normal(size=units.shape) * units.std(axis=0)
    split = Stacked.of(
        [
            (np.stack([estimates[j] - 1.0, estimates[j] + 1.0]), [units[:, j] + shift[:, j], units[:, j] - shift[:, j]])
            for j in range(4)
        ]
    )
    once = stacked(units, estimates)
    np.testing.assert_allclose(split.estimates, once.estimates, rtol=SAME)
    np.testing.assert_allclose(split.vcov, once.vcov, rtol=1e-6, atol=1e-12 * np.abs(once.vcov).max())
