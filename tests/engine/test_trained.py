"""The draw given the rows whose labels were seen, against all draws that there can be."""

from itertools import combinations, product

import numpy as np
import pytest

from dsl._typing import BoolArray, FloatArray
from dsl.engine.labeling import Labeling
from dsl.engine.trained import after_training, is_given

pytestmark = pytest.mark.numeric
RNG = np.random.default_rng(1)


def mask(rows: tuple[int, ...], n: int) -> BoolArray:
    return np.isin(np.arange(n), rows)


def corrected(labeling: Labeling, trained: BoolArray, gold: FloatArray, predicted: FloatArray) -> float:
    """The sum that estimates are made from: gold where it was seen, else predictions and their errors on labelled rows."""
    after = after_training(labeling, trained)
    weight = after.drawn / after.prob
    return float(np.sum(predicted + weight * (gold - predicted)))


def test_simple_random_samples() -> None:
    """Given the rows seen, the mean over all samples that hold them is the sum of gold, whatever the predictions."""
    n, size = 7, 4
    gold = RNG.normal(size=n)
    draws = [mask(rows, n) for rows in combinations(range(n), size)]
    for seen in combinations(range(n), 2):
        trained, predicted = mask(seen, n), RNG.normal(size=n)
        own = [each for each in draws if (each & trained).sum() == 2]
        made = [Labeling(prob=np.full(n, size / n), drawn=each, fixed_size=True) for each in own]
        sums = [corrected(each, trained, gold, predicted) for each in made]
        assert np.mean(sums) == pytest.approx(gold.sum(), abs=1e-12)


def test_strata() -> None:
    stratum, sizes = np.array([0, 0, 0, 0, 1, 1, 1]), (3, 2)
    gold, prob = RNG.normal(size=7), np.array([3 / 4] * 4 + [2 / 3] * 3)
    draws = [
        mask(one + two, 7)
        for one, two in product(combinations(range(4), sizes[0]), combinations(range(4, 7), sizes[1]))
    ]
    for seen in [(0,), (1, 2), (0, 5), (4,)]:
        trained, predicted = mask(seen, 7), RNG.normal(size=7)
        own = [each for each in draws if each[list(seen)].all()]
        made = [Labeling(prob=prob, drawn=each, fixed_size=True, stratum=stratum) for each in own]
        assert np.mean([corrected(each, trained, gold, predicted) for each in made]) == pytest.approx(gold.sum())


def test_independent_draws() -> None:
    """By Bayes: rows drawn one by one, each of which was seen with probability q."""
    prob, q = np.array([0.2, 0.5, 0.9, 0.4]), 0.5
    drawn = np.array([True, True, False, True])
    trained = np.array([True, False, False, False])  # one of three: q is estimated by the share
    found = after_training(Labeling(prob=prob, drawn=drawn, fixed_size=False), trained).prob
    share = 1 / 3
    np.testing.assert_allclose(found[1:], prob[1:] * (1 - share) / (prob[1:] * (1 - share) + 1 - prob[1:]))
    assert found[0] == 1.0
    # P(drawn | not seen), counted
    rng = np.random.default_rng(3)
    draws = rng.random((200_000, 4)) < prob
    seen = draws & (rng.random((200_000, 4)) < q)
    counted = (draws & ~seen).sum(axis=0) / (~seen).sum(axis=0)
    np.testing.assert_allclose(counted, prob * (1 - q) / (1 - q * prob), atol=0.005)


def test_whole_units() -> None:
    """Two of four units were drawn, one of which was seen: given it, one of the other three."""
    unit = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    labeling = Labeling(
        prob=np.full(8, 0.5), drawn=np.isin(unit, (0, 3)), fixed_size=True, unit=unit, unit_prob=np.full(8, 0.5)
    )
    after = after_training(labeling, unit == 0)
    assert after.unit_prob is not None
    np.testing.assert_allclose(after.prob, np.where(unit == 0, 1.0, 1 / 3))
    np.testing.assert_allclose(after.unit_prob, after.prob)


def test_rows_chosen_beforehand_change_nothing_for_others() -> None:
    prob = np.array([1.0, 1.0, 0.3, 0.3, 0.6])
    trained = np.array([True, True, False, False, False])
    labeling = Labeling(prob=prob, drawn=np.array([True, True, True, False, True]), fixed_size=False)
    assert is_given(labeling, trained)
    np.testing.assert_array_equal(after_training(labeling, trained).prob, prob)


def test_rows_seen_must_not_be_taken_for_unlabelled_ones() -> None:
    """The bias of probabilities pi (1 - q), as the module says: t times the difference of mean errors outside and in T."""
    n, size, t = 7, 4, 2
    gold, q = RNG.normal(size=n), t / size
    trained = mask((0, 3), n)
    predicted = np.where(trained, gold, gold + 1.0 + 0.1 * RNG.normal(size=n))  # learnt by heart, and wrong elsewhere
    sums = []
    for rows in combinations(range(n), size):
        drawn = mask(rows, n)
        if (drawn & trained).sum() == t:
            weight = (drawn & ~trained) / (size / n * (1.0 - q))
            sums.append(np.sum(predicted + weight * (gold - predicted)))
    error = gold - predicted
    bias = t * (error[~trained].mean() - error[trained].mean())
    assert np.mean(sums) - gold.sum() == pytest.approx(bias)
    assert bias < -1.5
