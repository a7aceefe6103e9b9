"""Inclusion probabilities against optimisers, brute force and their own definitions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from dsl.exceptions import ArgumentError
from dsl.sampling.probability import (
    MIXTURES,
    allocate,
    compromise,
    relative_variance,
    robust_mixture,
    scale_probabilities,
    targeted_probabilities,
)

BUDGET = 1e-9  # rounding of a sum of probabilities
OPTIMISER = 1e-4  # SLSQP and `compromise` both stop near the optimum

sizes = arrays(float, st.integers(1, 40), elements=st.one_of(st.just(0.0), st.floats(1e-6, 1e6)))


@settings(max_examples=200, deadline=None)
@given(sizes, st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_scaled_probabilities_meet_the_budget_between_floor_and_cap(
    measure: np.ndarray, share: float, high: float, seed: int
) -> None:
    floor = high * np.random.default_rng(seed).random(len(measure))
    top = np.where(measure > 0.0, 1.0, floor) if measure.any() else np.ones(len(measure))
    budget = float(floor.sum() + share * (top.sum() - floor.sum()))
    assume(budget > 0.0)
    prob = scale_probabilities(measure, budget, floor=floor)
    assert abs(prob.sum() - budget) <= BUDGET * max(1.0, budget)
    assert (prob >= floor).all()
    assert (prob <= 1.0).all()
    free = (prob > floor * (1 + 1e-9)) & (prob < 1.0 - 1e-9) & (measure > 0.0)
    if measure.any() and free.sum() > 1:
        ratio = prob[free] / measure[free]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_a_million_rows_meet_the_budget() -> None:
    measure = np.random.default_rng(0).lognormal(0.0, 2.0, 1_000_000)
    for floor in (0.0, 0.01, 0.09):
        assert abs(scale_probabilities(measure, 100_000, floor=floor).sum() - 100_000) < BUDGET


def test_scaled_probabilities_with_weights() -> None:
    """Weighted rows: sum of weight x probability is the budget."""
    rng = np.random.default_rng(1)
    measure, weight = rng.lognormal(size=50), rng.integers(0, 3, 50).astype(float)
    prob = scale_probabilities(measure, 9.0, floor=0.02, weight=weight)
    assert abs(weight @ prob - 9.0) < BUDGET
    free = (prob > 0.02) & (prob < 1.0)
    np.testing.assert_allclose(prob[free] / measure[free], (prob / measure)[free][0], rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Values in x were outside bounds:RuntimeWarning")  # scipy 1.13, of its optimiser
def test_scaled_probabilities_minimise_the_variance() -> None:
    """Against a general optimiser: least sum of s^2 / pi."""
    rng = np.random.default_rng(2)
    measure, n, budget, floor = rng.lognormal(0.0, 1.5, 10), 10, 3.0, 0.05

    def variance(prob: np.ndarray) -> float:
        return float((measure**2 / prob).sum())

    found = minimize(
        variance,
        np.full(n, budget / n),
        bounds=[(floor, 1.0)] * n,
        constraints={"type": "eq", "fun": lambda prob: prob.sum() - budget},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-13},
    )
    ours = scale_probabilities(measure, budget, floor=floor)
    assert variance(ours) <= found.fun * (1 + 1e-9)  # SLSQP misses the sum by as much
    np.testing.assert_allclose(ours, found.x, atol=OPTIMISER)


@pytest.mark.parametrize(
    ("measure", "budget", "floor", "words"),
    [
        ([1.0, 2.0], 3.0, 0.0, "sum to 3 labels.*2 at most"),
        ([1.0, 2.0], 0.5, 0.4, "floor 0.4.*0.8 at least"),
        ([0.0, 2.0], 1.5, 0.1, "1 of 2 rows have size measure zero"),
        ([1.0, -2.0], 1.0, 0.0, r"1 of 2 size measures are negative.*position 1, -2"),
        ([1.0, np.nan], 1.0, 0.0, "missing"),
    ],
)
def test_impossible_budgets(measure: list[float], budget: float, floor: float, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        scale_probabilities(np.array(measure), budget, floor=floor)


def test_zero_measures_count_alike() -> None:
    np.testing.assert_allclose(scale_probabilities(np.zeros(4), 1.0), 0.25)


def brute_force(size: int, strata: np.ndarray, spread: np.ndarray, least: int) -> float:
    """Smallest variance over all whole allocations."""
    low = np.minimum(least, strata)
    best = np.inf
    for counts in product(*(range(a, b + 1) for a, b in zip(low, strata, strict=True))):
        if sum(counts) == size:
            best = min(best, float(((strata * spread) ** 2 / np.array(counts)).sum()))
    return best


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 10.0)), min_size=1, max_size=4), st.integers(1, 3), st.data()
)
def test_allocation_is_the_best_whole_one(table: list[tuple[int, float]], least: int, data: st.DataObject) -> None:
    strata, spread = np.array([n for n, _ in table]), np.array([s for _, s in table])
    low = int(np.minimum(least, strata).sum())
    size = data.draw(st.integers(low, int(strata.sum())))
    counts = allocate(size, strata, spread, least=least)
    assert counts.sum() == size
    assert (counts >= np.minimum(least, strata)).all()
    assert (counts <= strata).all()
    variance = float(((strata * spread) ** 2 / counts).sum())
    assert variance == pytest.approx(brute_force(size, strata, spread, least), rel=1e-12)


def test_proportional_allocation_by_hand() -> None:
    """Equal proportions: 100 labels for 5000, 3000 and 1999 rows; Neyman with spread 1, 2, 3 is 5000 : 6000 : 5997."""
    rows = np.array([5000, 3000, 1999])
    np.testing.assert_array_equal(allocate(100, rows, np.ones(3)), [50, 30, 20])
    np.testing.assert_array_equal(allocate(1700, rows, np.array([1.0, 2.0, 3.0])), [500, 600, 600])
    np.testing.assert_array_equal(allocate(9000, rows, np.array([1.0, 2.0, 9.0])), [4001, 3000, 1999])  # strata full


def test_allocation_of_a_stratum_without_spread() -> None:
    np.testing.assert_array_equal(allocate(10, np.array([100, 100]), np.array([0.0, 1.0]), least=2), [2, 8])


def test_impossible_allocation() -> None:
    with pytest.raises(ArgumentError, match=r"n_labels=3 cannot be spread over 2 strata with at least 2.*takes 4"):
        allocate(3, np.array([50, 50]), np.ones(2), least=2)
    with pytest.raises(ArgumentError, match="there are 100 rows"):
        allocate(101, np.array([50, 50]), np.ones(2))


def test_targeted_probabilities_by_the_formula() -> None:
    """Where nothing is clipped: (1 - tau) b u / mean(u) + tau b."""
    u = np.random.default_rng(3).uniform(0.5, 2.0, 100)
    prob = targeted_probabilities(u, 20.0, tau=0.3, floor=0.01)
    np.testing.assert_allclose(prob, 0.7 * 0.2 * u / u.mean() + 0.3 * 0.2, rtol=1e-12)
    np.testing.assert_allclose(targeted_probabilities(u, 20.0, tau=1.0), 0.2, rtol=1e-12)


def test_relative_variance_by_hand() -> None:
    variance = np.array([[1.0, 0.0], [3.0, 0.0]])
    np.testing.assert_allclose(
        relative_variance(variance, np.array([0.25, 0.75])), [(4 + 4) / (4 / 0.5), 1.0], rtol=1e-14
    )


def skewed(seed: int, n: int = 12, k: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0.0, 1.5, (n, k))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("criterion", ["mean", "worst"])
def test_compromise_is_the_optimum(seed: int, criterion: str) -> None:
    """Against a general optimiser."""
    variance, budget, floor = skewed(seed), 4.0, 0.05
    n, k = variance.shape
    even = np.full(n, budget / n)
    bounds = [(floor, 1.0)] * n
    total = {"type": "eq", "fun": lambda z: z[:n].sum() - budget}
    options = {"maxiter": 3000, "ftol": 1e-13}
    if criterion == "mean":
        limits = {"type": "ineq", "fun": lambda z: 1.0 - relative_variance(variance, z)}
        found = minimize(
            lambda z: relative_variance(variance, z).mean(),
            even,
            bounds=bounds,
            constraints=[total, limits],
            method="SLSQP",
            options=options,
        )
    else:
        limits = {"type": "ineq", "fun": lambda z: z[n] - relative_variance(variance, z[:n])}
        found = minimize(
            lambda z: z[n],
            np.append(even, 1.0),
            bounds=[*bounds, (0.0, 2.0)],
            constraints=[total, limits],
            method="SLSQP",
            options=options,
        )
    assert found.success
    prob = compromise(variance, budget, floor=floor, criterion=criterion, tolerance=1e-6, most=20_000)
    ratio = relative_variance(variance, prob)
    reached = ratio.mean() if criterion == "mean" else ratio.max()
    assert reached == pytest.approx(found.fun, abs=OPTIMISER)
    assert k == len(ratio)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 5), st.floats(0.05, 0.9), st.floats(0.0, 1.0))
def test_no_coefficient_is_worse_off(seed: int, n: int, k: int, share: float, low: float) -> None:
    variance, budget = skewed(seed, n, k), share * n
    for criterion in ("mean", "worst"):
        prob = compromise(variance, budget, floor=low * share, criterion=criterion)
        assert (relative_variance(variance, prob) <= 1.0 + 1e-9).all()
        assert abs(prob.sum() - budget) < BUDGET
        assert (prob >= low * share - BUDGET).all()


def test_one_coefficient_gets_its_own_best() -> None:
    variance = skewed(0, 50, 1)
    for criterion in ("mean", "worst"):
        np.testing.assert_allclose(
            compromise(variance, 5.0, floor=0.01, criterion=criterion),
            scale_probabilities(np.sqrt(variance[:, 0]), 5.0, floor=0.01),
            rtol=1e-9,
        )


@pytest.mark.parametrize("criterion", ["mean", "worst"])
def test_rows_that_no_coefficient_needs(criterion: str) -> None:
    """They get a probability too, small enough to cost the others next to nothing.

    Best without them: pi proportional to sqrt(v), so that the ratio is (sum sqrt(v))^2 / (N sum v) = 9 / 20.
    """
    variance = np.array([[4.0], [1.0], [0.0], [0.0]])
    prob = compromise(variance, 1.0, criterion=criterion)
    assert (prob > 0.0).all()
    assert prob.sum() == pytest.approx(1.0, abs=BUDGET)
    (ratio,) = relative_variance(variance, prob)
    assert 9 / 20 <= ratio <= 9 / 20 * 1.002  # a thousandth of the budget goes to even probabilities


def test_compromise_without_anything_to_gain() -> None:
    np.testing.assert_allclose(compromise(np.ones((10, 3)), 2.0), 0.2, rtol=1e-9)
    np.testing.assert_allclose(compromise(np.zeros((10, 2)), 2.0), 0.2, rtol=1e-9)
    with pytest.raises(ArgumentError, match="unknown criterion 'best'"):
        compromise(np.ones((10, 2)), 2.0, criterion="best")


def test_robust_mixture_follows_the_past() -> None:
    """Influences equal to those assumed keep the probabilities; unrelated ones lead to even probabilities."""
    rng = np.random.default_rng(4)
    u = rng.lognormal(0.0, 1.0, 2000)
    prob = targeted_probabilities(u, 200.0, tau=0.0, floor=0.001)
    past = rng.choice(2000, 500, replace=False)
    right = robust_mixture(
        prob, 200.0, past=past, past_variance=u[past, None] ** 2, past_weight=np.full(500, 4.0), floor=0.001
    )
    assert right.rho == 0.0
    np.testing.assert_allclose(right.prob, prob, rtol=1e-9)
    wrong = robust_mixture(prob, 200.0, past=past, past_variance=1.0 / u[past, None], past_weight=np.full(500, 4.0))
    assert wrong.rho == 1.0
    np.testing.assert_allclose(wrong.prob, 0.1, rtol=1e-9)
    assert right.relative.shape == MIXTURES.shape
    assert right.relative[-1] == 1.0
    assert abs(right.prob.sum() - 200.0) < BUDGET


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_of_the_influences_do_not_matter(unit: float) -> None:
    """Variances relative to the even design by hand: (1/.8 + 16/.2) / (1/.5 + 16/.5) for one coefficient, for the other even."""
    prob, past = np.array([0.8, 0.2]), np.array([0, 1])
    found = robust_mixture(
        prob, 1.0, past=past, past_variance=unit * np.array([[1.0, 1.0], [16.0, 1.0]]), past_weight=np.ones(2)
    )
    first, second = (1 / 0.8 + 16 / 0.2) / 34.0, (1 / 0.8 + 1 / 0.2) / 4.0
    np.testing.assert_allclose(found.relative[[0, -1]], [(first + second) / 2, 1.0], rtol=1e-12)
    assert found.rho == 1.0


def test_a_coefficient_without_error_has_no_say() -> None:
    """Its variance is zero under every design, so that it counts as even throughout."""
    prob, past = np.array([0.1, 0.1, 0.4, 0.4]), np.array([0, 3])
    error = np.array([[1.0], [16.0]])
    one, two = (
        robust_mixture(prob, 1.0, past=past, past_variance=each, past_weight=np.ones(2))
        for each in (error, np.hstack([error, np.zeros((2, 1))]))
    )
    assert two.rho == one.rho == 0.0
    np.testing.assert_allclose(two.relative, (one.relative + 1.0) / 2.0, rtol=1e-12)
