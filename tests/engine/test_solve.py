"""Newton's method on equations whose roots are known, and on some that have none."""

import numpy as np
import pytest

from dsl.engine.solve import SINGULAR, TOLERANCE, Evaluate, closed_form, is_singular, newton

HALF = np.array([[2.0, 1.0], [0.0, 3.0]])


def linear(root: np.ndarray) -> Evaluate:
    """Moment A (root - theta), Jacobian A."""
    return lambda theta: (HALF @ (root - theta), HALF)


def scalar(moment: object, slope: object) -> Evaluate:
    return lambda theta: (np.array([moment(theta[0])]), np.array([[slope(theta[0])]]))  # type: ignore[operator]


def test_closed_form_is_the_root_of_a_linear_equation() -> None:
    root = np.array([1.0, -2.0])
    found = closed_form(linear(root), 2)
    np.testing.assert_allclose(found.params, root, rtol=1e-14)
    assert (found.iterations, found.problem) == (1, None)
    assert found.norm == 6.0  # at zero, where it began
    np.testing.assert_array_equal(found.jacobian, HALF)


def test_newton_on_a_linear_equation_takes_one_step() -> None:
    root = np.array([1.0, -2.0])
    found = newton(linear(root), np.array([5.0, 5.0]))
    np.testing.assert_allclose(found.params, root, rtol=1e-14)
    assert (found.iterations, found.problem) == (1, None)
    assert newton(linear(root), root).iterations == 0


def test_full_steps_that_lead_away_are_halved() -> None:
    """atan has its root at zero, from which Newton's full steps run away beyond 1.39."""
    found = newton(scalar(lambda t: -np.arctan(t), lambda t: 1 / (1 + t**2)), np.array([3.0]))
    assert found.problem is None
    assert abs(found.params[0]) <= TOLERANCE
    assert found.norm <= TOLERANCE
    assert 2 <= found.iterations <= 10


def test_tolerance_says_where_to_stop() -> None:
    """The square root of two by Heron's rule: 1, 3/2, 17/12, 577/408."""
    heron = scalar(lambda t: 2 - t**2, lambda t: 2 * t)
    for tolerance, expected, steps in ((1.0, 1.0, 0), (0.25, 3 / 2, 1), (0.01, 17 / 12, 2), (1e-5, 577 / 408, 3)):
        found = newton(heron, np.array([1.0]), tolerance=tolerance)
        assert found.params[0] == pytest.approx(expected, rel=1e-14)
        assert found.iterations == steps


def test_no_root() -> None:
    """1 + theta^2 is never zero: the steps stop where no step makes it smaller."""
    found = newton(scalar(lambda t: -1 - t**2, lambda t: 2 * t), np.array([1.0]))
    assert found.problem in ("stalled", "singular")
    assert found.norm >= 1.0


def test_rounds_are_limited() -> None:
    """On theta^3 each step leaves two thirds of the distance from the root."""
    cube = scalar(lambda t: -(t**3), lambda t: 3 * t**2)
    found = newton(cube, np.array([1.0]), tolerance=1e-30, max_iterations=3)
    assert (found.iterations, found.problem) == (3, "stalled")
    reached = newton(cube, np.array([1.0]), tolerance=(2 / 3) ** 9 * (1 + 1e-9), max_iterations=3)
    assert reached.problem is None
    assert reached.params[0] == pytest.approx((2 / 3) ** 3, rel=1e-12)


def test_singular_jacobians() -> None:
    assert is_singular(np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert is_singular(np.array([[1.0, np.nan], [0.0, 1.0]]))
    assert is_singular(np.array([[1.0, 0.0], [0.0, SINGULAR / 2]]))
    assert not is_singular(np.array([[1.0, 0.0], [0.0, SINGULAR * 2]]))
    assert not is_singular(-np.eye(3))
    flat: Evaluate = lambda theta: (np.ones(2), np.ones((2, 2)))  # noqa: E731
    assert closed_form(flat, 2).problem == newton(flat, np.zeros(2)).problem == "singular"
