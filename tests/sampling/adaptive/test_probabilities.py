"""Numbers behind the batches: probabilities, shrunk errors, schedules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dsl.exceptions import ArgumentError
from dsl.sampling.adaptive.probabilities import (
    LEAST_ERROR,
    aimed_probabilities,
    combined,
    draw,
    even_probabilities,
    shrunk_errors,
)
from dsl.sampling.adaptive.settings import LEAST_BURN_IN, schedule
from dsl.sampling.probability import MIXTURES, relative_variance

WHOLE = 1e-6
"""Distance from a whole number that a draw of fixed size accepts."""
BISECTION = 1e-9
"""Relative error of the multiplier that meets the budget."""


def history(seed: int, n: int = 200, first: int = 20) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Generator, probabilities before, and rows drawn with them: an even batch, then an uneven one."""
    rng = np.random.default_rng(seed)
    even = even_probabilities(size=first, before=np.zeros(n), labeled=np.zeros(n, dtype=bool))
    labeled = np.zeros(n, dtype=bool)
    labeled[draw(even.now, labeled, rng)] = True
    second = aimed_probabilities(
        rng.exponential(size=(n, 1)) ** 3,
        size=first,
        before=even.total,
        labeled=labeled,
        tau=0.1,
        floor=0.1,
        criterion="worst",
    )
    labeled[draw(second.now, labeled, rng)] = True
    return rng, second.total, labeled


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 150),
    k=st.integers(1, 3),
    tau=st.floats(0.01, 1),
    floor=st.floats(0.01, 1),
)
def test_a_batch_meets_its_size_exactly(seed: int, size: int, k: int, tau: float, floor: float) -> None:
    rng, before, labeled = history(seed)
    variance = rng.exponential(size=(200, k)) ** 4 * (rng.random((200, k)) < 0.7)
    found = aimed_probabilities(
        variance, size=size, before=before, labeled=labeled, tau=tau, floor=floor, criterion="worst"
    )
    assert ((found.now >= 0) & (found.now <= 1)).all()
    assert found.now[~labeled].sum() == pytest.approx(size, abs=WHOLE)
    np.testing.assert_allclose(found.total, combined(before, found.now), rtol=1e-12)
    assert (found.total >= before - 1e-12).all()
    drawn = draw(found.now, labeled, rng)
    assert len(drawn) == len(set(drawn)) == size
    assert not labeled[drawn].any()


def test_batches_add_up_to_the_best_design() -> None:
    """After an even burn-in the next batch makes up the difference: as if all labels had been aimed from the beginning."""
    rng = np.random.default_rng(1)
    n, first, more = 1000, 50, 150
    even = even_probabilities(size=first, before=np.zeros(n), labeled=np.zeros(n, dtype=bool))
    labeled = np.zeros(n, dtype=bool)
    labeled[draw(even.now, labeled, rng)] = True
    u = rng.uniform(0.5, 1.5, n)
    found = aimed_probabilities(
        u[:, None] ** 2,
        size=more,
        before=even.total,
        labeled=labeled,
        tau=1e-12,
        floor=0.01,
        criterion="worst",
    )
    ratio = found.total / u
    np.testing.assert_allclose(ratio, ratio[0], rtol=BISECTION)
    assert ratio[0] * u.sum() == pytest.approx(first + more, rel=0.02)  # the rows drawn first are a sample


def test_what_was_drawn_before_is_never_taken_back() -> None:
    """Rows that got more than their share keep it; the others share the rest by their measure."""
    n = 100
    before = np.where(np.arange(n) < 10, 0.9, 0.05)
    labeled = np.zeros(n, dtype=bool)
    labeled[:9] = True
    found = aimed_probabilities(
        np.ones((n, 1)), size=20, before=before, labeled=labeled, tau=0.1, floor=0.1, criterion="worst"
    )
    np.testing.assert_allclose(found.total[:10], 0.9)
    assert np.ptp(found.total[10:]) < 1e-12
    assert found.now[~labeled].sum() == pytest.approx(20, abs=WHOLE)


def test_probabilities_of_labelled_rows_follow_the_same_formula() -> None:
    """Two rows alike but for one being labelled already have the same probability in the next batch."""
    rng, before, labeled = history(3)
    twin = int(np.flatnonzero(~labeled)[0])
    other = int(np.flatnonzero(labeled)[0])
    variance = rng.exponential(size=(200, 2))
    variance[twin], before[twin] = variance[other], before[other]
    found = aimed_probabilities(
        variance, size=30, before=before, labeled=labeled, tau=0.1, floor=0.1, criterion="worst"
    )
    assert found.now[twin] == pytest.approx(found.now[other], rel=1e-12)


def test_no_coefficient_is_worse_off_than_with_even_labels() -> None:
    rng, _, _ = history(4)
    n = 200
    labeled = np.zeros(n, dtype=bool)
    labeled[rng.choice(n, 20, replace=False)] = True
    variance = rng.exponential(size=(n, 4)) ** 2
    for criterion in ("worst", "mean"):
        found = aimed_probabilities(
            variance,
            size=60,
            before=np.full(n, 0.1),
            labeled=labeled,
            tau=0.05,
            floor=0.1,
            criterion=criterion,
        )
        assert relative_variance(variance, found.total).max() < 1.0


def test_the_unconditional_probability_of_two_batches() -> None:
    """Simulated: rows are drawn by either batch as often as their combined probability says."""
    n, rounds = 40, 1500
    rng = np.random.default_rng(0)
    u = np.linspace(0.2, 2, n)[:, None] ** 2
    even = even_probabilities(size=8, before=np.zeros(n), labeled=np.zeros(n, dtype=bool))
    weight, count = np.zeros(n), np.zeros(n)
    for _ in range(rounds):
        labeled = np.zeros(n, dtype=bool)
        labeled[draw(even.now, labeled, rng)] = True
        found = aimed_probabilities(
            u, size=12, before=even.total, labeled=labeled, tau=0.1, floor=0.1, criterion="worst"
        )
        labeled[draw(found.now, labeled, rng)] = True
        weight += labeled / found.total
        count += labeled
    error = np.sqrt(1 / found.total / rounds)  # Monte Carlo error of a mean of R / pi
    assert (np.abs(weight / rounds - 1) < 4 * error).all()
    assert count.sum() == 20 * rounds


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shrunk_errors_have_the_best_score(seed: int) -> None:
    """rho against a direct search of the score; the mean against the labelled rows' own errors."""
    rng = np.random.default_rng(seed)
    errors = rng.exponential(size=300) + 0.1
    past = rng.choice(300, 80, replace=False)
    observed = errors[past] ** rng.uniform(0, 1.5) * rng.chisquare(1, 80)
    weight = rng.uniform(1, 10, 80)
    found, rho = shrunk_errors(errors, past=past, observed=observed, weight=weight, robust=True)
    assert found.min() > 0
    assert np.average(found[past], weights=weight) == pytest.approx(np.average(observed, weights=weight))

    def score(share: float) -> float:
        raised = np.maximum(errors, LEAST_ERROR * np.average(observed, weights=weight))[past] ** (1 - share)
        scaled = raised * np.average(observed, weights=weight) / np.average(raised, weights=weight)
        return float(weight @ (np.log(scaled) + observed / scaled))

    best = minimize_scalar(score, bounds=(0, 1), method="bounded")
    assert abs(rho - best.x) <= MIXTURES[1] or score(rho) <= best.fun + 1e-3 * abs(best.fun)


def test_shrunk_errors_without_any_error() -> None:
    found, rho = shrunk_errors(np.zeros(5), past=np.arange(2), observed=np.zeros(2), weight=np.ones(2), robust=True)
    assert (found == 1).all()
    assert rho == 1.0


def test_negative_estimates_of_errors_are_raised() -> None:
    past, observed, weight = np.arange(3), np.ones(3), np.ones(3)
    found, _ = shrunk_errors(np.array([-1.0, 1.0, 3.0]), past=past, observed=observed, weight=weight, robust=False)
    np.testing.assert_allclose(found, np.array([LEAST_ERROR, 1, 3]) * 3 / (LEAST_ERROR + 4))


@settings(max_examples=100, deadline=None)
@given(
    n_labels=st.integers(LEAST_BURN_IN + 1, 5000),
    burn_in=st.none() | st.integers(LEAST_BURN_IN, 300),
    size=st.none() | st.integers(1, 400),
    batches=st.none() | st.integers(2, 12),
)
def test_schedules_are_as_long_as_asked(
    n_labels: int, burn_in: int | None, size: int | None, batches: int | None
) -> None:
    if size is not None:
        batches = None
    try:
        sizes = schedule(n_labels, burn_in=burn_in, batch_size=size, batches=batches, least=10)
    except ArgumentError:
        assert max(burn_in or 0, size or 0, LEAST_BURN_IN) >= n_labels
        return
    assert sum(sizes) == n_labels
    assert min(sizes) > 0
    assert burn_in is None or sizes[0] == burn_in
    if size is not None:
        assert set(sizes[1:-1]) <= {size}
        assert sizes[-1] <= size
    elif n_labels - sizes[0] >= (batches or 4) - 1:  # a row for each of the others
        assert len(sizes) == (batches or 4)
        assert max(sizes[1:]) - min(sizes[1:]) <= 1
