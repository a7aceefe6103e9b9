"""Standard errors at other numbers of labels: V(c) = shrinking / c + staying, by hand."""

import numpy as np
import pytest

from dsl.planning.power.curve import VarianceCurve, variance_curve

ARITHMETIC = 1e-14


def curve(shrinking: list[float], staying: list[float], n_labeled: int = 100) -> VarianceCurve:
    """One coefficient in as many splits as numbers."""
    return VarianceCurve(
        shrinking=np.array(shrinking)[:, None], staying=np.array(staying)[:, None], n_labeled=n_labeled
    )


def test_by_hand() -> None:
    """Splits with variances 4 / c + 5 and 1 / c + 3, at c = 1/4, 1, 4: the median of two is their mean."""
    sizes = np.array([25.0, 100.0, 400.0])
    made = curve([4.0, 1.0], [5.0, 3.0])
    np.testing.assert_allclose(made.variances(sizes)[:, :, 0], [[21.0, 7.0], [9.0, 4.0], [6.0, 3.25]], rtol=ARITHMETIC)
    expected = (np.sqrt([21.0, 9.0, 6.0]) + np.sqrt([7.0, 4.0, 3.25])) / 2
    np.testing.assert_allclose(made.se(sizes)[:, 0], expected, rtol=ARITHMETIC)


@pytest.mark.parametrize("size", [1.0, 100.0, 10_000.0])
def test_rounding_errors_are_zero(size: float) -> None:
    """Where every row of a finite population is labelled, the two parts cancel but for rounding, at any size."""
    part = 100.0 / size
    assert curve([1.0], [-part * (1 + 1e-13)]).se(np.array([size]))[0, 0] == 0.0
    assert curve([1.0], [-part * (1 - 1e-13)]).se(np.array([size]))[0, 0] == 0.0


@pytest.mark.parametrize("size", [1.0, 100.0, 10_000.0])
def test_small_variances_are_kept(size: float) -> None:
    """Ten digits less than the part that shrinks are no rounding error."""
    part = 100.0 / size
    found = curve([1.0], [-part * (1 - 1e-10)]).se(np.array([size]))[0, 0]
    assert found == pytest.approx(np.sqrt(part * 1e-10), rel=1e-5)  # what the difference leaves of sixteen digits


def test_splits_without_variance_are_left_out() -> None:
    made = curve([1.0, 1.0, 1.0], [3.0, 8.0, -2.0])
    assert made.se(np.array([100.0]))[0, 0] == pytest.approx((2.0 + 3.0) / 2)
    assert np.isnan(curve([1.0], [-2.0]).se(np.array([100.0]))[0, 0])


def test_curve_of_a_fit() -> None:
    """J^-1 M J^-T of the two parts of the meat, by dense inverses; the factor on both."""
    rng = np.random.default_rng(0)
    jacobians = rng.normal(size=(3, 2, 2)) + 4 * np.eye(2)
    label = np.array([a @ a.T for a in rng.normal(size=(3, 2, 2))])
    rest = np.array([a @ a.T for a in rng.normal(size=(3, 2, 2))])
    made = variance_curve(jacobians=jacobians, meats=label + rest, label_meats=label, n_labeled=50, factor=1.5)
    for s in range(3):
        bread = np.linalg.inv(jacobians[s])
        for c in (0.5, 2.0):
            expected = 1.5 * np.diag(bread @ (label[s] / c + rest[s]) @ bread.T)
            np.testing.assert_allclose(made.variances(np.array([50 * c]))[0, s], expected, rtol=1e-12)
    second = made.of([1])
    np.testing.assert_array_equal(second.se(np.array([70.0])), made.se(np.array([70.0]))[:, 1:])
