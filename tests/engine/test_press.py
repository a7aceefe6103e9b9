"""Influences with Lambda chosen without each unit, against regressions with each unit left out."""

import numpy as np
import pytest

from dsl.engine.lambdas import best_lambda
from dsl.engine.press import press

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same algebra in another order."""


@pytest.fixture
def parts() -> tuple[np.ndarray, np.ndarray]:
    """Influences (a, b) of 30 units on 3 coefficients."""
    rng = np.random.default_rng(2)
    b = rng.normal(size=(30, 3)) * [1.0, 5.0, 0.2]
    return rng.normal(size=(30, 3)) - 0.4 * b, b


def test_one_lambda_for_each(parts: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = parts
    few = np.array([False, True, False])
    lam = np.where(few, 1.0, -(a * b).sum(axis=0) / (b**2).sum(axis=0))
    found = press("coef", a + lam * b, b, few)
    for i in range(30):
        rest = np.arange(30) != i
        again = -(a[rest] * b[rest]).sum(axis=0) / (b[rest] ** 2).sum(axis=0)
        np.testing.assert_allclose(found[i], a[i] + np.where(few, 1.0, again) * b[i], rtol=SAME_ALGEBRA)


def test_one_lambda_for_all(parts: tuple[np.ndarray, np.ndarray]) -> None:
    """Of turned coefficients, each relative to a variance."""
    a, b = parts
    turn, relative, few = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([3.0, 1.0, 2.0]), None

    def lam(rows: np.ndarray) -> float:
        one, other = a[rows] @ turn.T, b[rows] @ turn.T
        sums = ((one**2).sum(axis=0), (one * other).sum(axis=0), (other**2).sum(axis=0))
        return float(best_lambda(*sums, together=True, relative=relative))

    found = press("scalar", a + lam(np.arange(30)) * b, b, few, turn, relative)
    for i in range(30):
        np.testing.assert_allclose(found[i], a[i] + lam(np.delete(np.arange(30), i)) * b[i], rtol=SAME_ALGEBRA)


def test_a_matrix(parts: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = parts
    slope = np.linalg.lstsq(b, -a, rcond=None)[0]
    found = press("matrix", a + b @ slope, b)
    for i in range(30):
        rest = np.arange(30) != i
        again = np.linalg.lstsq(b[rest], -a[rest], rcond=None)[0]
        np.testing.assert_allclose(found[i], a[i] + b[i] @ again, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_several_measures(tune: str, same: bool) -> None:
    """Regressions with each unit left out, on all measures, also where one of them is another again."""
    rng = np.random.default_rng(3)
    b = rng.normal(size=(30, 3, 2)) * [2.0, 0.3]
    b[:, 2] = b[:, 0] if same else b[:, 2]
    a, scale = rng.normal(size=(30, 2)) - b[:, 0] + 0.5 * b[:, 1], np.sqrt([3.0, 0.5])

    def at(rows: np.ndarray, where: np.ndarray) -> np.ndarray:
        if tune == "matrix":
            slope = np.linalg.lstsq(b[rows].reshape(len(rows), -1), -a[rows], rcond=1e-10)[0]
            return np.asarray(a[where] + b[where].reshape(len(where), -1) @ slope)
        if tune == "scalar":
            stacked = (b[rows] / scale).transpose(0, 2, 1).reshape(-1, 3)
            slope = np.linalg.lstsq(stacked, -(a[rows] / scale).ravel(), rcond=1e-10)[0]
            return np.asarray(a[where] + np.einsum("gjc,j->gc", b[where], slope))
        slopes = [np.linalg.lstsq(b[rows][:, :, c], -a[rows, c], rcond=1e-10)[0] for c in range(2)]
        return np.column_stack([a[where, c] + b[where][:, :, c] @ slopes[c] for c in range(2)])

    every = np.arange(30)
    found = press(tune, at(every, every), b, None, None, scale**2)
    for i in range(30):
        np.testing.assert_allclose(found[i], at(np.delete(every, i), every[i : i + 1])[0], rtol=1e-8)


@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_predictions_that_add_nothing(tune: str) -> None:
    """No Lambda is chosen, and nothing is hidden."""
    a = np.random.default_rng(1).normal(size=(10, 2))
    np.testing.assert_array_equal(press(tune, a, np.zeros((10, 2))), a)
