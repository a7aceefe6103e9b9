"""What each labelled row adds to a variance, parts of the rows, and the bootstrap of a design."""

from typing import Any

import numpy as np
import pytest

from dsl.engine.labeling import Labeling, bootstrap_weights, finite_meat, finite_shares

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
N = 120

PLACES = np.repeat([2, 5, 7], [3, 4, 5])
LABELINGS = {
    "simple": Labeling(prob=np.full(12, 0.4), drawn=np.ones(12, dtype=bool), fixed_size=True),
    "independent": Labeling(prob=np.linspace(0.1, 1.0, 12), drawn=np.ones(12, dtype=bool), fixed_size=False),
    "stratified": Labeling(
        prob=np.repeat([0.2, 0.6], [5, 7]),
        drawn=np.ones(12, dtype=bool),
        fixed_size=True,
        stratum=np.repeat([3, 8], [5, 7]),
    ),
    "clusters": Labeling(
        prob=np.full(12, 0.3), drawn=np.ones(12, dtype=bool), fixed_size=True, unit=PLACES, unit_prob=np.full(12, 0.3)
    ),
    "two stages": Labeling(
        prob=np.full(12, 0.1), drawn=np.ones(12, dtype=bool), fixed_size=True, unit=PLACES, unit_prob=np.full(12, 0.5)
    ),
}


@pytest.mark.parametrize("name", LABELINGS)
def test_shares_of_the_rows_add_up_to_the_variance(name: str) -> None:
    scores = np.random.default_rng(4).normal(loc=[3.0, 0.0], size=(12, 2))
    shares = finite_shares(scores, LABELINGS[name])
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(shares.sum(axis=0), np.diag(finite_meat(scores, LABELINGS[name])), rtol=SAME_ALGEBRA)


def test_shares_of_a_simple_random_sample_are_those_of_the_textbook() -> None:
    """(1 - f) n / (n - 1) (c - mean)^2: what all scores have in common has no share."""
    scores = np.random.default_rng(5).normal(size=(12, 1)) + 100.0
    expected = (1 - 0.4) * 12 / 11 * (scores - scores.mean()) ** 2
    np.testing.assert_allclose(finite_shares(scores, LABELINGS["simple"]), expected, rtol=SAME_ALGEBRA)


def test_shares_within_a_unit_follow_the_squared_scores() -> None:
    scores = np.zeros((12, 1))
    scores[[0, 1]] = [[2.0], [-4.0]]
    scores -= scores.mean()
    shares = finite_shares(scores, LABELINGS["clusters"])[:, 0]
    np.testing.assert_allclose(shares[:3] / shares[0], (scores[:3, 0] / scores[0, 0]) ** 2, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("name", LABELINGS)
def test_rows_that_were_not_drawn_and_their_order_change_nothing(name: str) -> None:
    """Arrays over all rows of the table, in any order: the variance is that of the labelled rows."""
    rng, small = np.random.default_rng(6), LABELINGS[name]
    scores, place = rng.normal(size=(12, 2)), np.sort(rng.choice(40, 12, replace=False))
    source = rng.integers(0, 12, 40)
    source[place] = order = rng.permutation(12)
    every = small.at(source)
    large = Labeling(
        prob=every.prob,
        drawn=np.isin(np.arange(40), place),
        fixed_size=every.fixed_size,
        stratum=every.stratum,
        unit=every.unit,
        unit_prob=every.unit_prob,
    )
    np.testing.assert_allclose(
        finite_meat(scores[order], large), finite_meat(scores, small), rtol=SAME_ALGEBRA, atol=1e-12
    )


def cut(seed: int) -> tuple[Labeling, Any]:
    """A stratified draw of 60 of 120 rows, and a part that cuts its strata."""
    rng = np.random.default_rng(seed)
    stratum = np.repeat([0, 1, 2], [60, 40, 20])
    drawn = np.zeros(N, dtype=bool)
    for code, size in ((0, 12), (1, 30), (2, 18)):
        drawn[rng.choice(np.flatnonzero(stratum == code), size, replace=False)] = True
    prob = np.array([0.2, 0.75, 0.9])[stratum]
    return Labeling(prob=prob, drawn=drawn, fixed_size=True, stratum=stratum), rng.random(N) < 0.4


@pytest.mark.parametrize("seed", range(4))
def test_a_part_has_the_variance_of_all_rows_with_scores_of_zero_outside(seed: int) -> None:
    """Sarndal, Swensson and Wretman (1992), section 10.3: domains of a stratified sample."""
    labeling, part = cut(seed)
    drawn = labeling.drawn
    scores = np.random.default_rng(seed).normal(size=(N, 2)) + 2.0 * labeling.stratum[:, None]  # type: ignore[index]
    scores -= scores[drawn & part].mean(axis=0)
    inside = labeling.at(part)
    found = finite_meat(scores[part & drawn], inside)
    outside = np.where(part[:, None], scores, 0.0)[drawn]
    np.testing.assert_allclose(found, finite_meat(outside, labeling), rtol=SAME_ALGEBRA)
    by_hand = np.zeros((2, 2))
    for code, prob in enumerate((0.2, 0.75, 0.9)):
        c = np.where(part[:, None], scores, 0.0)[drawn & (labeling.stratum == code)]
        by_hand += (1 - prob) * len(c) * np.cov(c.T)
    np.testing.assert_allclose(found, by_hand, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(
        finite_shares(scores[part & drawn], inside).sum(axis=0), np.diag(found), rtol=SAME_ALGEBRA
    )
    # as positions, in any order
    order = np.random.default_rng(seed).permutation(np.flatnonzero(part))
    shuffled = labeling.at(order)
    np.testing.assert_allclose(finite_meat(scores[order][drawn[order]], shuffled), found, rtol=SAME_ALGEBRA)


def test_whole_strata_are_as_fixed_in_a_part_as_in_all_rows() -> None:
    labeling, _ = cut(1)
    assert labeling.at(labeling.stratum != 1).kept is None  # type: ignore[operator]
    assert labeling.at(labeling.drawn).kept is None
    assert labeling.at(np.random.default_rng(1).permutation(N)).kept is None


def test_the_bootstrap_of_a_part_has_the_parts_variance() -> None:
    labeling, part = cut(2)
    inside = labeling.at(part)
    drawn = inside.drawn
    scores = np.random.default_rng(5).normal(size=int(drawn.sum())) + 2.0 * inside.stratum[drawn]  # type: ignore[index]
    scores -= scores.mean()
    rng = np.random.default_rng(6)
    sums = [float(bootstrap_weights(inside, rng) @ scores) for _ in range(8000)]
    # 8,000 draws know a variance to 1.6%
    assert np.var(sums) == pytest.approx(finite_meat(scores[:, None], inside)[0, 0], rel=0.06)


def test_units_that_are_cut() -> None:
    """Rows within a unit: as if those of its drawn rows that are elsewhere had scores of zero."""
    unit = np.repeat(np.arange(6), 10)
    rng = np.random.default_rng(3)
    drawn = np.zeros(60, dtype=bool)
    for code in range(6):
        drawn[rng.choice(np.flatnonzero(unit == code), 5, replace=False)] = True
    whole = Labeling(prob=np.full(60, 0.25), drawn=drawn, fixed_size=True, unit=unit, unit_prob=np.full(60, 0.5))
    part = np.arange(60) % 3 > 0
    scores = rng.normal(size=60) + unit
    scores -= scores[drawn & part].mean()
    outside = np.where(part, scores, 0.0)[drawn]
    found = finite_meat(scores[part & drawn][:, None], whole.at(part))
    np.testing.assert_allclose(found, finite_meat(outside[:, None], whole), rtol=SAME_ALGEBRA)
