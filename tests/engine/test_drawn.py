"""Tests of a draw against exact distributions: hypergeometric, binomial, their sums, and all draws of small tables."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from dsl._typing import FloatArray
from dsl.engine.drawn import bounded_tail, hypergeometric_tail, part_tests, reach_test, stages_of
from dsl.engine.labeling import Labeling

pytestmark = pytest.mark.numeric

ROUNDING = 1e-8
"""Relative: logarithms of factorials of large numbers, subtracted."""


def two_sided(pmf: FloatArray, count: int) -> float:
    """Twice the smaller tail of a distribution on 0, 1, ..."""
    return float(min(1.0, 2.0 * min(pmf[: count + 1].sum(), pmf[count:].sum())))


@pytest.mark.parametrize(
    ("total", "part", "drawn"), [(60, 20, 10), (5000, 250, 500), (90, 80, 30), (10**6, 3 * 10**5, 400)]
)
def test_hypergeometric_tail_is_exact_where_it_matters(total: int, part: int, drawn: int) -> None:
    count = np.arange(max(0, drawn + part - total), min(drawn, part) + 1).astype(float)
    found = hypergeometric_tail(count, np.array([float(total)]), np.array([float(part)]), np.array([float(drawn)]))
    law = stats.hypergeom(total, part, drawn)
    exact = np.minimum(2.0 * np.minimum(law.cdf(count), law.sf(count - 1)), 1.0)
    seen = (exact < 0.05) & (exact > 1e-290)
    assert seen.sum() >= 5
    np.testing.assert_allclose(found[seen], exact[seen], rtol=1e-6)
    assert (found >= exact * (1.0 - 1e-6)).all()


def poisson_binomial(prob: FloatArray) -> FloatArray:
    pmf = np.ones(1)
    for each in prob:
        pmf = np.convolve(pmf, [1.0 - each, each])
    return pmf


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_for_independent_rows_and_are_not_idle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prob = rng.beta(0.5, 2.0, 60) if seed % 2 else rng.uniform(0.01, 0.3, 60)
    pmf, count = poisson_binomial(prob), np.arange(61)
    exact = np.array([two_sided(pmf, k) for k in count])
    parts = [np.full(61, value) for value in (prob.sum(), (prob * (1.0 - prob)).sum(), 60.0)]
    found = bounded_tail(count.astype(float), *parts)
    assert (found >= exact * (1.0 - ROUNDING)).all()
    # a deviation of one in a million is found at one in ten thousand at the latest
    assert found[exact < 1e-6].max() < 1e-4


def test_equal_probabilities_have_the_binomial_tail() -> None:
    found = bounded_tail(np.array([0.0, 30.0]), np.full(2, 10.0), np.full(2, 8.0), np.full(2, 50.0))
    law = stats.binom(50, 0.2)
    # Bennett's bound is the larger one
    np.testing.assert_allclose(found, [2.0 * law.cdf(0), 2.0 * law.sf(29)], rtol=ROUNDING)


def test_parts_of_a_simple_random_sample() -> None:
    """Every value, and all values up to each but those that say the same."""
    code = np.repeat(np.arange(5), [10, 20, 30, 25, 15])
    drawn = np.zeros(100, dtype=bool)
    drawn[:12] = True
    stage = stages_of(Labeling(prob=np.full(100, 0.12), drawn=drawn, fixed_size=True))[0]
    found = part_tests(stage, code, 5, ordered=True)
    assert found.rows.tolist() == [10, 20, 30, 25, 15, 30, 60]
    assert found.labeled.tolist() == [10, 2, 0, 0, 0, 12, 12]
    np.testing.assert_allclose(found.expected, 0.12 * found.rows)
    law = stats.hypergeom(100, 60, 12)
    assert found.p_value[-1] == pytest.approx(2.0 * law.sf(11))
    # rows of which nothing is known are left out, with the labels among them
    some = part_tests(stage, np.where(np.arange(100) < 5, -1, code), 5, ordered=False)
    assert (some.rows[0], some.labeled[0]) == (5, 5)
    assert some.p_value[0] == pytest.approx(2.0 * stats.hypergeom(95, 5, 7).sf(4))


def test_strata_say_nothing_about_themselves() -> None:
    """Sums of hypergeometric numbers, convolved exactly."""
    stratum, value = np.repeat([0, 1, 2], [40, 30, 30]), np.tile([0, 0, 1], 34)[:100]
    sizes = np.array([4, 12, 30])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = np.zeros(100, dtype=bool)
        for h, size in enumerate(sizes):
            rows = np.flatnonzero(stratum == h)
            # half of the time labels go to value 1 where they can
            rows = rows[np.argsort(-value[rows], kind="stable")] if seed % 2 else rng.permutation(rows)
            drawn[rows[:size]] = True
        labeling = Labeling(
            prob=(sizes / np.array([40, 30, 30]))[stratum], drawn=drawn, fixed_size=True, stratum=stratum
        )
        stage = stages_of(labeling)[0]
        itself = part_tests(stage, stratum, 3, ordered=False)
        np.testing.assert_allclose(itself.expected, sizes)
        assert (itself.p_value == 1.0).all()
        found = part_tests(stage, value, 2, ordered=False)
        pmf = np.ones(1)
        for h, size in enumerate(sizes):
            law = stats.hypergeom((stratum == h).sum(), ((stratum == h) & (value == 1)).sum(), size)
            pmf = np.convolve(pmf, law.pmf(np.arange(size + 1)))
        exact = two_sided(pmf, int(found.labeled[1]))
        assert found.p_value[1] >= exact * (1.0 - ROUNDING)
        assert (found.p_value[1] < 0.01) == bool(seed % 2)


def test_certain_rows_carry_no_information() -> None:
    prob = np.where(np.arange(200) < 50, 1.0, np.where(np.arange(200) % 3 == 0, 0.1, 0.2))
    drawn = prob == 1.0
    drawn[50:75] = True
    code = (np.arange(200) % 2).astype(np.int64)
    stage = stages_of(Labeling(prob=prob, drawn=drawn, fixed_size=False))[0]
    found = part_tests(stage, code, 2, ordered=False)
    rest = stages_of(Labeling(prob=prob[50:], drawn=drawn[50:], fixed_size=False))[0]
    alone = part_tests(rest, code[50:], 2, ordered=False)
    np.testing.assert_allclose(found.p_value, alone.p_value)
    np.testing.assert_allclose(found.expected, alone.expected + 25.0)


def test_clusters_drawn_whole_are_the_pieces() -> None:
    """All draws of 4 of 12 clusters: at no level are there more rejections than that level."""
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    value = np.where(rng.random(len(unit)) < 0.8, unit % 2, 1 - unit % 2)
    inner = np.where(unit < 3, 0, 1)
    least: dict[str, list[float]] = {"rows": [], "clusters": []}
    for chosen in combinations(range(12), 4):
        drawn = np.isin(unit, chosen)
        prob = np.full(len(unit), 4.0 / 12.0)
        stages = stages_of(Labeling(prob=prob, drawn=drawn, fixed_size=True, unit=unit, unit_prob=prob))
        assert len(stages) == 1
        least["rows"].append(float(part_tests(stages[0], value, 2, ordered=False).p_value.min()))
        constant = part_tests(stages[0], inner, 2, ordered=False)
        least["clusters"].append(float(constant.p_value.min()))
        # a value that clusters share counts clusters: three of twelve, four drawn
        count = sum(c < 3 for c in chosen)
        exact = two_sided(stats.hypergeom(12, 3, 4).pmf(np.arange(5)), count)
        assert constant.p_value[0] == pytest.approx(exact)
    for level in (0.01, 0.05, 0.1, 0.2):
        assert np.mean(np.array(least["rows"]) <= level) <= level
    assert min(least["rows"]) < 1.0


def test_two_stages() -> None:
    unit = np.repeat(np.arange(10), 6)
    unit_prob, prob = np.full(60, 0.5), np.full(60, 0.5 / 3.0)
    drawn = np.isin(unit, range(5)) & (np.arange(60) % 6 < 2)
    stages = stages_of(Labeling(prob=prob, drawn=drawn, fixed_size=True, unit=unit, unit_prob=unit_prob))
    assert [stage.whole for stage in stages] == [True, False]
    order = (np.arange(60) % 6 < 2).astype(np.int64)
    first, second = (part_tests(stage, order, 2, ordered=False) for stage in stages)
    # every unit has a third of its rows there; within the five units drawn, all labels are
    assert (first.p_value == 1.0).all()
    assert second.labeled.tolist() == [0, 10]
    assert second.p_value[1] >= 2.0 * (1.0 / 15.0) ** 5
    assert second.p_value[1] < 2e-3
    by_unit = part_tests(stages[0], (unit >= 5).astype(np.int64), 2, ordered=False)
    assert by_unit.p_value[0] == pytest.approx(2.0 / 252.0)


def test_labels_gathered_in_clusters_are_told_from_rows_drawn_one_by_one() -> None:
    cluster = np.repeat(np.arange(50), 10)
    rng = np.random.default_rng(2)
    alone = np.zeros(500, dtype=bool)
    alone[rng.choice(500, 60, replace=False)] = True
    together = np.isin(cluster, rng.choice(50, 6, replace=False))
    partly = np.isin(cluster, rng.choice(50, 12, replace=False)) & (np.arange(500) % 10 < 5)
    kinds = []
    for drawn in (alone, together, partly):
        labeling = Labeling(prob=np.full(500, drawn.mean()), drawn=drawn, fixed_size=True)
        kinds.append([stage.whole for stage in stages_of(labeling, cluster)])
    assert kinds == [[False], [True], [True, False]]
    # the first half of each cluster was labelled: found within the clusters
    inner = part_tests(stages_of(labeling, cluster)[1], (np.arange(500) % 10 < 5).astype(np.int64), 2, ordered=False)
    assert inner.p_value[0] < 1e-6


def test_reach_is_bounded_by_all_draws() -> None:
    """Levels reached by draws of 4 of 12 rows, enumerated."""
    code = np.repeat(np.arange(6), 2)
    prob = np.full(12, 1.0 / 3.0)
    reached, found = [], []
    for chosen in combinations(range(12), 4):
        drawn = np.isin(np.arange(12), chosen)
        count, expected, p_value = reach_test(prob, drawn, code)
        reached.append(count)
        found.append(p_value)
        assert count == len(set(code[list(chosen)]))
        assert expected == pytest.approx(6.0 - 6.0 * (2.0 / 3.0) ** 2)
    reached, found = np.array(reached), np.array(found)
    for count in (2, 3):
        assert found[reached == count].min() >= np.mean(reached <= count)
    assert (found[reached == 4] == 1.0).all()


def test_only_ratios_of_probabilities_count() -> None:
    """Rows drawn one by one, given their number, have the inclusion probabilities of conditional Poisson sampling."""
    prob = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.2, 0.1, 0.3, 0.4])
    drawn = np.arange(10) < 4
    weight = {
        chosen: float(np.prod(np.where(np.isin(np.arange(10), chosen), prob, 1.0 - prob)))
        for chosen in combinations(range(10), 4)
    }
    exact = np.array([sum(w for c, w in weight.items() if j in c) for j in range(10)]) / sum(weight.values())
    stage = stages_of(Labeling(prob=prob, drawn=drawn, fixed_size=False))[0]
    assert stage.fixed
    assert stage.prob.sum() == pytest.approx(4.0, rel=1e-5)
    # close: first order in one over the variance of the number
    np.testing.assert_allclose(stage.prob, exact, atol=0.03)
    far = Labeling(prob=np.tile(prob, 100), drawn=np.arange(1000) < 30, fixed_size=False)
    stage = stages_of(far)[0]
    np.testing.assert_allclose(stage.prob, 30.0 * far.prob / far.prob.sum())
    # a probability of one that is relative, too
    relative = Labeling(
        prob=np.where(np.arange(1000) < 500, 1.0, 0.5), drawn=np.arange(1000) % 20 == 0, fixed_size=False
    )
    assert part_tests(stages_of(relative)[0], np.arange(1000) // 500, 2, ordered=False).expected[0] == pytest.approx(
        100 / 3
    )
