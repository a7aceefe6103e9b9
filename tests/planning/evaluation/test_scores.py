"""Measures and their Monte Carlo errors: closed forms, the jackknife, and errors that are as large as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.planning.evaluation import scores

EXACT = 1e-12
"""The same arithmetic, in another order."""
LARGE_SAMPLE = 0.03
"""Moments of 200,000 draws against those of the distribution they come from."""
CALIBRATION = 0.1
"""Standard deviations over 2,000 repetitions (error 1/sqrt(4000) = .016), delta method at R = 200 (terms of order 1/R)."""


def correlated(rng: np.random.Generator, size: int | tuple[int, ...], rho: float) -> tuple[np.ndarray, np.ndarray]:
    first, second = rng.normal(size=size), rng.normal(size=size)
    return first, rho * first + np.sqrt(1 - rho**2) * second


def test_coverage_by_hand() -> None:
    low, high = np.array([0.0, 1.0, 2.0, 0.5]), np.array([1.0, 2.0, 3.0, 0.9])
    measure = scores.coverage(low=low, high=high, truth=1.0)
    assert measure.value == 0.5  # ends count
    assert measure.error == pytest.approx(np.sqrt(0.25 / 4), abs=EXACT)


@pytest.mark.parametrize("held", [0, 200])
def test_coverage_has_an_error_at_the_boundary(held: int) -> None:
    measure = scores.coverage(low=np.full(200, -1.0), high=np.full(200, 1.0), truth=0.0 if held else 2.0)
    assert measure.value == held / 200
    assert measure.error == pytest.approx(np.sqrt(202 / 204 * 2 / 204 / 200), abs=EXACT)  # two more of each kind


def test_coverage_error_is_as_large_as_it_says() -> None:
    rng = np.random.default_rng(1)
    high = np.where(rng.random((2000, 200)) < 0.95, 1.0, -1.0)
    measures = [scores.coverage(low=np.full(200, -2.0), high=row, truth=0.0) for row in high]
    spread = np.std([m.value for m in measures])
    assert np.mean([m.error for m in measures]) == pytest.approx(spread, rel=CALIBRATION)


def test_rmse_of_normal_errors() -> None:
    R, sigma = 200_000, 1.7
    measure = scores.rmse(np.random.default_rng(2).normal(scale=sigma, size=R))
    assert measure.value == pytest.approx(sigma, rel=LARGE_SAMPLE)
    assert measure.error == pytest.approx(sigma / np.sqrt(2 * R), rel=LARGE_SAMPLE)
    assert scores.rmse(np.zeros(5)) == scores.Measure(0.0, 0.0)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_effective_of_normal_estimates(rho: float) -> None:
    """corr(x^2, y^2) = rho^2 for normal x, y, and a squared deviation in units of its mean has variance 2."""
    R = 200_000
    base, other = correlated(np.random.default_rng(3), R, rho)
    paired = scores.effective(estimates=other / 2, baseline=base, n_labels=100, paired=np.ones(R, dtype=bool))
    assert paired.value == pytest.approx(400, rel=LARGE_SAMPLE)
    assert paired.error == pytest.approx(400 * np.sqrt(4 * (1 - rho**2) / R), rel=LARGE_SAMPLE)
    apart = scores.effective(estimates=other / 2, baseline=base, n_labels=100)
    assert apart.error == pytest.approx(400 * np.sqrt(4 / R), rel=LARGE_SAMPLE)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_effective_error_is_that_of_the_jackknife(rho: float) -> None:
    R = 500
    base, other = correlated(np.random.default_rng(4), R, rho)
    every = np.ones(R, dtype=bool)
    measure = scores.effective(estimates=other, baseline=base, n_labels=100, paired=every)
    left_out = [
        scores.effective(estimates=other, baseline=base, n_labels=100, paired=every & (np.arange(R) != j)).value
        for j in range(R)
    ]
    jackknife = np.sqrt((R - 1) * np.var(left_out))
    assert measure.error == pytest.approx(jackknife, rel=10 / R)  # they differ by terms of order 1/R


@pytest.mark.parametrize("paired", [True, False])
def test_effective_error_is_as_large_as_it_says(paired: bool) -> None:
    base, other = correlated(np.random.default_rng(5), (2000, 200), 0.7)
    base = base if paired else base[::-1]
    every = np.ones(200, dtype=bool) if paired else None
    measures = [
        scores.effective(estimates=e, baseline=b, n_labels=1, paired=every) for e, b in zip(other, base, strict=True)
    ]
    spread = np.std([np.log(m.value) for m in measures])
    assert np.mean([m.error / m.value for m in measures]) == pytest.approx(spread, rel=CALIBRATION)


def test_effective_uses_draws_that_both_had() -> None:
    rng = np.random.default_rng(6)
    base, other = rng.normal(size=50), rng.normal(size=50)
    there = np.arange(50) >= 10
    expected = scores.effective(estimates=other[10:], baseline=base[10:], n_labels=9, paired=there[10:])
    spoilt = np.where(there, other, np.nan)
    assert scores.effective(estimates=spoilt, baseline=base, n_labels=9, paired=there) == expected


@pytest.mark.parametrize("estimates", [np.full(9, 0.1 + 0.2), np.array([1.0]), np.array([])])
def test_nothing_to_compare(estimates: np.ndarray) -> None:
    measure = scores.effective(estimates=estimates, baseline=np.arange(9.0), n_labels=10)
    assert np.isnan(measure.value)
    assert np.isnan(measure.error)


def test_no_replication_left() -> None:
    empty = np.array([])
    for measure in (scores.coverage(low=empty, high=empty, truth=0.0), scores.mean(empty), scores.rmse(empty)):
        assert np.isnan(measure.value)
        assert np.isnan(measure.error)


@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    n_labels=st.integers(1, 10**6),
)
def test_effective_is_free_of_units(scale: float, shift: float, n_labels: int) -> None:
    base, other = correlated(np.random.default_rng(7), 40, 0.5)
    every = np.ones(40, dtype=bool)
    plain = scores.effective(estimates=other, baseline=base, n_labels=n_labels, paired=every)
    changed = scores.effective(
        estimates=scale * other + shift, baseline=scale * base + shift, n_labels=n_labels, paired=every
    )
    ROUNDING = 1e-6  # of values up to 1e6 times their spread
    assert changed.value == pytest.approx(plain.value, rel=ROUNDING)
    assert changed.error == pytest.approx(plain.error, rel=ROUNDING)
