"""False alarms of the scale check on clean gold labels and surrogates of many kinds: under 1 in 1,000, each kind."""

from collections.abc import Callable

import numpy as np
import pytest

from dsl._typing import FloatArray
from dsl.data.scales import scale_problem

pytestmark = [pytest.mark.slow, pytest.mark.numeric]

DRAWS = 5000
MOST = 5
"""Alarms in 5,000 draws: one in a thousand."""
Kind = Callable[[np.random.Generator, int], tuple[FloatArray, FloatArray]]


def _flipped(share: float, error: float) -> Kind:
    def draw(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        truth = rng.random(n) < share
        return truth.astype(float), (truth ^ (rng.random(n) < error)).astype(float)

    return draw


def _probability(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    p = rng.beta(0.5, 4.0, n)
    return (rng.random(n) < p).astype(float), p


def _fitted(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    """A linear model's predictions of a 0/1 label, some of them outside [0, 1]."""
    x = rng.normal(size=n)
    return (rng.random(n) < np.clip(0.3 + 0.2 * x, 0.0, 1.0)).astype(float), 0.3 + 0.2 * x


def _scale_points(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    gold = np.clip(np.round(rng.normal(3.0, 1.2, n)), 1, 5)
    return gold, np.clip(gold + rng.integers(-1, 2, n), 1, 5)


def _skewed_points(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    """Nearly always the lowest point, and a surrogate that is one too high in a third of the rows."""
    gold = 1.0 + np.minimum(rng.poisson(0.1, n), 4)
    return gold, np.minimum(gold + (rng.random(n) < 0.3), 5.0)


def _counts(mean: float) -> Kind:
    def draw(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        rate = mean * rng.gamma(0.5, 2.0, n)
        return rng.poisson(rate).astype(float), rng.poisson(1.5 * rate).astype(float)

    return draw


def _inflated(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    some = rng.random(n) < 0.1
    amount = np.where(some, rng.lognormal(3.0, 1.0, n), 0.0)
    return amount, np.where(rng.random(n) < 0.9, amount * rng.lognormal(0.0, 0.3, n), 0.0)


def _normal(noise: float, slope: float = 1.0, shift: float = 0.0) -> Kind:
    def draw(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        gold = rng.normal(10.0, 2.0, n)
        return gold, 10.0 + slope * (gold - 10.0) + shift + rng.normal(0.0, noise, n)

    return draw


def _lognormal(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    gold = rng.lognormal(0.0, 1.5, n)
    return gold, gold * rng.lognormal(0.2, 0.8, n)


def _cauchy(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    gold = rng.standard_cauchy(n)
    return gold, gold + rng.standard_cauchy(n)


def _heavy_noise(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    gold = rng.normal(size=n)
    return gold, gold + 0.5 * rng.standard_t(2, n)


KINDS: dict[str, Kind] = {
    "even": _flipped(0.5, 0.2),
    "rare": _flipped(0.03, 0.05),
    "probability": _probability,
    "linear": _fitted,
    "points": _scale_points,
    "skewed points": _skewed_points,
    "few counts": _counts(0.1),
    "counts": _counts(3.0),
    "many counts": _counts(40.0),
    "inflated": _inflated,
    "normal": _normal(1.0),
    "noisy": _normal(6.0),
    "shrunk": _normal(0.01, slope=0.02),
    "biased": _normal(1.0, shift=2.0),
    "lognormal": _lognormal,
    "cauchy": _cauchy,
    "heavy noise": _heavy_noise,
}


@pytest.mark.parametrize("n", [10, 30, 100, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms(kind: str, n: int) -> None:
    """Gold labels on n of 5n rows."""
    rng = np.random.default_rng([n, list(KINDS).index(kind)])
    alarms = 0
    for _ in range(DRAWS):
        gold, surrogate = KINDS[kind](rng, 5 * n)
        alarms += bool(scale_problem(gold[:n], surrogate))
    assert alarms <= MOST, alarms


OTHER: dict[str, Kind] = {
    "0 to 100": lambda rng, n: (lambda t: (t, np.round(100 * np.clip(0.8 * t + 0.1 + rng.normal(0, 0.1, n), 0, 1))))(
        (rng.random(n) < 0.3).astype(float)
    ),
    "0 to 5": lambda rng, n: (lambda t: (t, np.clip(4 * t + 0.5 + rng.normal(0, 0.5, n), 0, 5)))(
        (rng.random(n) < 0.3).astype(float)
    ),
    "1 and 2": lambda rng, n: (lambda t: (t, t + 1.0))((rng.random(n) < 0.3).astype(float)),
    "-1, 0, 1": lambda rng, n: (lambda t: (t, np.where(t > 0, 1.0, rng.integers(-1, 1, n))))(
        (rng.random(n) < 0.3).astype(float)
    ),
    "points, 0 to 1": lambda rng, n: (lambda t: (t, (t - 1.0) / 4.0))(rng.integers(1, 6, n).astype(float)),
    "points, 0 to 10": lambda rng, n: (lambda t: (t, 2.5 * (t - 1.0)))(rng.integers(1, 6, n).astype(float)),
    "points, 0 to 100": lambda rng, n: (lambda t: (t, 25.0 * (t - 1.0)))(rng.integers(1, 6, n).astype(float)),
    "percent": lambda rng, n: (lambda t: (t, 100.0 * t))(rng.random(n)),
    "share of percent": lambda rng, n: (lambda t: (100.0 * t, t))(rng.random(n)),
    "thousands": lambda rng, n: (lambda t: (t, 1000.0 * t))(rng.lognormal(10.0, 1.0, n)),
}


@pytest.mark.parametrize("kind", OTHER)
def test_power(kind: str) -> None:
    """Other scales are found with 100 labels nearly always."""
    rng = np.random.default_rng([7, list(OTHER).index(kind)])
    found = 0
    for _ in range(500):
        gold, surrogate = OTHER[kind](rng, 500)
        found += bool(scale_problem(gold[:100], surrogate))
    assert found >= 495, found
