"""Krippendorff's alpha: the published examples, closed forms, derivatives."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import rankdata

from dsl._typing import FloatArray, IntArray
from dsl.engine.agreement import METRICS, check_distances, krippendorff, label_counts
from dsl.exceptions import ArgumentError

pytestmark = pytest.mark.numeric

SAME = 1e-12
"""The same formula."""
CENTRAL = 1e-7
"""Central differences with a step of 1e-5: the step squared, and rounding over the step."""

# Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), part C: four observers, twelve units
EXAMPLE_2011 = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
# that of Wikipedia, "Krippendorff's alpha": three coders, fifteen units
EXAMPLE_THREE = (
    ". . . . . 3 4 1 2 1 1 3 3 . 3",
    "1 . 2 1 3 3 4 3 . . . . . . .",
    ". . 2 1 3 4 4 . 2 1 1 3 3 . 4",
)


def coded(table: tuple[str, ...]) -> IntArray:
    """Codes 0, 1, ... of labels 1, 2, ..., (units, coders)."""
    return np.array([[-1 if cell == "." else int(cell) - 1 for cell in row.split()] for row in table]).T


@pytest.mark.parametrize(
    ("table", "metric", "published"),
    [
        (EXAMPLE_2011, "nominal", 0.743),
        (EXAMPLE_2011, "ordinal", 0.815),
        (EXAMPLE_2011, "interval", 0.849),
        (EXAMPLE_THREE, "nominal", 0.691),
        (EXAMPLE_THREE, "interval", 0.811),
    ],
)
def test_published(table: tuple[str, ...], metric: str, published: float) -> None:
    counts = label_counts(coded(table), 5)
    assert round(krippendorff(counts, np.arange(1.0, 6.0), metric)[0], 3) == published


@pytest.fixture(scope="module")
def two() -> tuple[IntArray, FloatArray]:
    """Two coders' codes of 60 rows, all there, and the labels as numbers."""
    rng = np.random.default_rng(1)
    one = rng.integers(0, 4, 60)
    return np.column_stack([one, np.where(rng.random(60) < 0.6, one, rng.integers(0, 4, 60))]), np.array(
        [0.0, 1.0, 3.0, 7.0]
    )


def by_pairs(codes: IntArray, distance: Callable[[int, int], float]) -> float:
    """Two coders, nothing missing: mean squared distance within rows over that of all pairs of labels."""
    labels = codes.ravel().tolist()
    within = np.mean([distance(a, b) for a, b in codes.tolist()])
    n = len(labels)
    between = sum(distance(labels[i], labels[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return float(1.0 - within / between)


def test_two_coders_in_closed_form(two: tuple[IntArray, FloatArray]) -> None:
    codes, values = two
    counts = label_counts(codes, 4)
    # Scott's pi with the factor (n - 1) / n of its small samples
    share = np.bincount(codes.ravel(), minlength=4) / codes.size
    observed, chance = (codes[:, 0] == codes[:, 1]).mean(), (share**2).sum()
    scott = 1.0 - (1.0 - observed) / (1.0 - chance) * (codes.size - 1) / codes.size
    assert krippendorff(counts, values)[0] == pytest.approx(scott, abs=SAME)
    rank = dict(zip(codes.ravel().tolist(), rankdata(codes.ravel()).tolist(), strict=True))
    for metric, distance in (
        ("nominal", lambda a, b: float(a != b)),
        ("interval", lambda a, b: float(values[a] - values[b]) ** 2),
        ("ordinal", lambda a, b: (rank[a] - rank[b]) ** 2),
    ):
        assert krippendorff(counts, values, metric)[0] == pytest.approx(by_pairs(codes, distance), abs=SAME)


def test_interval_is_an_intraclass_correlation(two: tuple[IntArray, FloatArray]) -> None:
    """The analysis of variance with one factor, total variance in the place of its estimate: SS_within / n to SS / (n - 1)."""
    codes, values = two
    y = values[codes]
    inside = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / len(y)
    total = ((y - y.mean()) ** 2).sum() / (y.size - 1)
    assert krippendorff(label_counts(codes, 4), values, "interval")[0] == pytest.approx(1.0 - inside / total, abs=SAME)


@pytest.mark.parametrize("metric", METRICS)
def test_influence_is_the_derivative(metric: str) -> None:
    codes, values = coded(EXAMPLE_2011), np.array([1.0, 2.0, 3.5, 4.0, 9.0])
    counts = label_counts(codes, 5)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(counts))
    value, psi = krippendorff(counts, values, metric, weight)
    slopes = []
    for row in range(len(weight)):
        step = np.zeros(len(weight))
        step[row] = 1e-5
        up, down = (krippendorff(counts, values, metric, weight + s)[0] for s in (step, -step))
        slopes.append((up - down) / 2e-5 * weight[row])
    np.testing.assert_allclose(psi, slopes, atol=CENTRAL)
    # the scale of the weights does not count
    assert psi.sum() == pytest.approx(0.0, abs=SAME)
    assert krippendorff(counts, values, metric, 7.0 * weight)[0] == pytest.approx(value, abs=SAME)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_with_one_label_tell_nothing(metric: str, two: tuple[IntArray, FloatArray]) -> None:
    codes, values = two
    more = np.vstack([codes, [[3, -1], [-1, -1], [-1, 0]]])
    value, psi = krippendorff(label_counts(more, 4), values, metric)
    assert value == krippendorff(label_counts(codes, 4), values, metric)[0]
    assert (psi[-3:] == 0.0).all()


def test_what_is_not_defined() -> None:
    values = np.arange(2.0)
    assert np.isnan(krippendorff(label_counts(np.array([[0, 0], [0, 0]]), 2), values)[0])
    assert np.isnan(krippendorff(label_counts(np.array([[0, -1], [-1, 1]]), 2), values)[0])
    assert krippendorff(label_counts(np.array([[0, 0], [1, 1]]), 2), values, "ordinal")[0] == 1.0


def test_text_has_no_distances() -> None:
    check_distances(["a", "b"], "nominal", "coders gave")
    check_distances([1.0, 2.0], "interval", "coders gave")
    with pytest.raises(
        ArgumentError, match=r"coders gave the label 'a'; metric='ordinal' needs numbers: recode labels"
    ):
        check_distances(["a", "b"], "ordinal", "coders gave")
