"""Measures against scikit-learn with sample weights, standard errors against statsmodels, the jackknife and many draws."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.inter_rater import cohens_kappa

from dsl._typing import FloatArray, IntArray
from dsl.annotation import measures
from dsl.annotation.measures import Drawn, Measure
from dsl.engine.agreement import METRICS

pytestmark = pytest.mark.numeric

SAME = 1e-12
"""The same formula."""
LINEAR = 0.03
"""Relative difference of jackknife and linearised standard errors in 400 rows: terms of the order 1 / n, times a few."""
N, K = 400, 3


def even(n: int) -> Drawn:
    return Drawn(weight=np.ones(n), cluster=np.arange(n))


@pytest.fixture(scope="module")
def rows() -> tuple[IntArray, IntArray, FloatArray, Drawn]:
    """Gold, given, probabilities (with ties) and weights."""
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([0.6] * K, size=N).round(2)
    probabilities[:, 2] = 1.0 - probabilities[:, 0] - probabilities[:, 1]
    probabilities = np.clip(probabilities, 0.0, 1.0)
    gold = np.array([rng.choice(K, p=p / p.sum()) for p in probabilities])
    weight = 1.0 / rng.uniform(0.05, 0.9, N)
    return gold, probabilities.argmax(axis=1), probabilities, Drawn(weight=weight, cluster=np.arange(N))


def test_agreement(rows: tuple[IntArray, IntArray, FloatArray, Drawn]) -> None:
    gold, given, _, drawn = rows
    weight = drawn.weight
    assert measures.accuracy(gold, given, drawn).estimate == pytest.approx(
        metrics.accuracy_score(gold, given, sample_weight=weight), abs=SAME
    )
    assert measures.kappa(gold, given, K, drawn).estimate == pytest.approx(
        metrics.cohen_kappa_score(gold, given, sample_weight=weight), abs=SAME
    )
    theirs = metrics.precision_recall_fscore_support(gold, given, sample_weight=weight)[:3]
    ours = np.array([[m.estimate for m in measures.of_label(gold == c, given == c, drawn)] for c in range(K)]).T
    np.testing.assert_allclose(ours, theirs, atol=SAME)
    macro = drawn.mean("f1", [measures.of_label(gold == c, given == c, drawn)[2] for c in range(K)])
    assert macro.estimate == pytest.approx(
        metrics.f1_score(gold, given, average="macro", sample_weight=weight), abs=SAME
    )


def test_probabilities(rows: tuple[IntArray, IntArray, FloatArray, Drawn]) -> None:
    gold, _, p, drawn = rows
    for c in range(K):
        assert measures.auc(gold == c, p[:, c], drawn).estimate == pytest.approx(
            metrics.roc_auc_score(gold == c, p[:, c], sample_weight=drawn.weight), abs=SAME
        )
    two = np.column_stack([1.0 - p[:, 1], p[:, 1]])
    assert measures.brier((gold == 1).astype(int), two, drawn).estimate == pytest.approx(
        metrics.brier_score_loss(gold == 1, p[:, 1], sample_weight=drawn.weight), abs=SAME
    )
    by_hand = np.average(((p - np.eye(K)[gold]) ** 2).sum(axis=1) / 2, weights=drawn.weight)
    assert measures.brier(gold, p, drawn).estimate == pytest.approx(by_hand, abs=SAME)


def test_calibration(rows: tuple[IntArray, IntArray, FloatArray, Drawn]) -> None:
    """Weights that are whole numbers do what copies of the rows do, and unweighted bins are scikit-learn's."""
    gold, _, p, _ = rows
    # off the edges, on whose side scikit-learn's bins differ
    score = np.clip(p[:, 0] * 0.98 + 0.003, 0.0, 1.0)
    times = np.random.default_rng(5).integers(1, 5, N)
    found = measures.calibration(gold == 0, score, Drawn(weight=times * 1.0, cluster=np.arange(N)), 10)
    copied_gold, copied_score = np.repeat(gold == 0, times), np.repeat(score, times)
    observed, predicted = calibration_curve(copied_gold, copied_score, n_bins=10)
    np.testing.assert_allclose([each.observed.estimate for each in found], observed, atol=SAME)
    np.testing.assert_allclose([each.predicted for each in found], predicted, atol=SAME)
    assert sum(each.share for each in found) == pytest.approx(1.0, abs=SAME)
    assert sum(each.observed.n for each in found) == N
    count = np.histogram(copied_score, np.linspace(0, 1, 11))[0]
    error = (count[count > 0] * np.abs(observed - predicted)).sum() / count.sum()
    assert measures.calibration_error(found) == pytest.approx(error, abs=SAME)


def test_edges_of_bins() -> None:
    found = measures.calibration(np.ones(5, dtype=bool), np.array([0.0, 0.1, 0.25, 0.5, 1.0]), even(5), 4)
    assert [(each.low, each.high, each.observed.n) for each in found] == [
        (0.0, 0.25, 2),
        (0.25, 0.5, 1),
        (0.5, 0.75, 1),
        (0.75, 1.0, 1),
    ]


def test_standard_error_of_kappa_is_that_of_fleiss_and_others(
    rows: tuple[IntArray, IntArray, FloatArray, Drawn],
) -> None:
    gold, given, _, _ = rows
    table = np.zeros((K, K))
    np.add.at(table, (gold, given), 1)
    theirs = cohens_kappa(table)
    found = measures.kappa(gold, given, K, even(N))
    assert found.estimate == pytest.approx(theirs.kappa, abs=SAME)
    assert found.std_error == pytest.approx(theirs.std_kappa * np.sqrt(N / (N - 1)), abs=SAME)


def test_standard_error_of_auc_is_delongs() -> None:
    """Four rows by hand: placements 1, 1/2 of those with the label and 1/2, 1 of those without."""
    gold, score = np.array([True, True, False, False]), np.array([4.0, 2.0, 3.0, 1.0])
    found = measures.auc(gold, score, even(4))
    assert found.estimate == 0.75
    # variances of the placements, 1/8 each, over two rows each
    assert found.std_error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2), abs=SAME)


def test_standard_error_of_a_mean() -> None:
    """Equal weights: s / sqrt(n)."""
    right = np.array([1, 1, 0, 1, 0, 1, 1])
    found = measures.accuracy(right, np.ones(7, dtype=int), even(7))
    assert found.std_error == pytest.approx(right.std(ddof=1) / np.sqrt(7), abs=SAME)


def all_measures(gold: IntArray, given: IntArray, p: FloatArray, drawn: Drawn) -> list[Measure]:
    of_labels = [measures.of_label(gold == c, given == c, drawn) for c in range(K)]
    return [
        measures.accuracy(gold, given, drawn),
        measures.kappa(gold, given, K, drawn),
        *(measures.krippendorff_alpha(gold, given, np.array([0.0, 1.0, 4.0]), drawn, metric) for metric in METRICS),
        *of_labels[0],
        drawn.mean("f1", [each[2] for each in of_labels]),
        measures.brier(gold, p, drawn),
        measures.auc(gold == 0, p[:, 0], drawn),
    ]


@pytest.mark.parametrize("size", [1, 4])
def test_standard_errors_are_those_of_the_jackknife(
    rows: tuple[IntArray, IntArray, FloatArray, Drawn], size: int
) -> None:
    """Each cluster left out in turn."""
    gold, given, p, drawn = rows
    cluster = np.arange(N) // size
    whole = all_measures(gold, given, p, Drawn(weight=drawn.weight, cluster=cluster))
    left_out = []
    for each in range(N // size):
        keep = cluster != each
        part = Drawn(weight=drawn.weight, cluster=cluster).of(keep)
        left_out.append([m.estimate for m in all_measures(gold[keep], given[keep], p[keep], part)])
    count = N // size
    jackknife = np.sqrt((count - 1) / count * ((np.array(left_out) - np.mean(left_out, axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose([m.std_error for m in whole], jackknife, rtol=LINEAR * np.sqrt(size))


def test_weights_give_the_population(rows: tuple[IntArray, IntArray, FloatArray, Drawn]) -> None:
    """Rows drawn with unequal probabilities, 400 times: estimates lie around those of all rows, as far as they say."""
    gold, given, p, _ = rows
    rng = np.random.default_rng(6)
    gold, given, p = (np.concatenate([each] * 5) for each in (gold, given, p))
    truth = np.array([m.estimate for m in all_measures(gold, given, p, even(5 * N))])
    prob = np.where(gold == given, 0.1, 0.3)
    estimates, errors = [], []
    for _ in range(400):
        keep = rng.random(5 * N) < prob
        found = all_measures(
            gold[keep], given[keep], p[keep], Drawn(weight=1.0 / prob, cluster=np.arange(5 * N)).of(keep)
        )
        estimates.append([m.estimate for m in found])
        errors.append([m.std_error for m in found])
    spread = np.std(estimates, axis=0)
    # four standard errors of a mean of 400 draws, and the bias of order 1 / n of ratios
    np.testing.assert_array_less(np.abs(np.mean(estimates, axis=0) - truth), 4 * spread / 20 + 0.002)
    # with replacement is on the safe side; a standard deviation from 400 draws is known to 3.5%
    ratio = np.mean(errors, axis=0) / spread
    assert ((ratio > 0.9) & (ratio < 1.35)).all(), ratio


def test_what_is_not_defined() -> None:
    gold, given = np.zeros(4, dtype=int), np.zeros(4, dtype=int)
    assert np.isnan(measures.kappa(gold, given, 2, even(4)).estimate)
    precision, recall, f1 = measures.of_label(gold == 0, given == 1, even(4))
    assert np.isnan(precision.estimate)
    assert (recall.estimate, f1.estimate) == (0.0, 0.0)
    nothing = measures.of_label(gold == 1, given == 1, even(4))
    assert all(np.isnan(each.estimate) and np.isnan(each.std_error) for each in nothing)
    assert np.isnan(measures.auc(gold == 0, np.arange(4.0), even(4)).estimate)
    assert np.isnan(even(4).mean("f1", nothing).estimate)
    alike = measures.auc(
        np.arange(7) % 3 == 0, np.full(7, 0.3), Drawn(weight=1 / np.arange(1.0, 8), cluster=np.arange(7))
    )
    assert (alike.estimate, alike.std_error) == (pytest.approx(0.5, abs=SAME), 0.0)
    one = measures.accuracy(gold[:1], given[:1], even(1))
    assert one.estimate == 1.0
    assert np.isnan(one.std_error)
    # of one row with the label nobody knows how others would lie
    assert np.isnan(measures.auc(np.array([True, False, False]), np.arange(3.0), even(3)).std_error)
