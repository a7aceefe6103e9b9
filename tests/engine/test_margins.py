"""Derivatives of means against their formulas, and covariances against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, ndtr, softmax

from dsl._typing import FloatArray
from dsl.engine.margins import (
    along,
    change_effects,
    delta_covariance,
    derivative,
    drawn_average,
    slope_effects,
    slopes,
)

pytestmark = pytest.mark.numeric

DIFFERENCES = 1e-10
"""Error of the differences that derivatives of means are taken by."""


def density(eta: FloatArray) -> FloatArray:
    return np.exp(-(eta**2) / 2.0) / np.sqrt(2.0 * np.pi)


MEANS: dict[str, tuple[Callable[[FloatArray], FloatArray], ...]] = {
    "exp": (np.exp, np.exp, np.exp),
    "logit": (
        expit,
        lambda eta: expit(eta) * (1 - expit(eta)),
        lambda eta: expit(eta) * (1 - expit(eta)) * (1 - 2 * expit(eta)),
    ),
    "probit": (ndtr, density, lambda eta: -eta * density(eta)),
    "cloglog": (
        lambda eta: -np.expm1(-np.exp(eta)),
        lambda eta: np.exp(eta - np.exp(eta)),
        lambda eta: np.exp(eta - np.exp(eta)) * (1.0 - np.exp(eta)),
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_derivatives_of_means(name: str) -> None:
    mean, first, second = MEANS[name]
    eta = np.linspace(-4.0, 2.0, 40)[:, None]
    np.testing.assert_allclose(slopes(mean, eta)[:, 0], first(eta), rtol=DIFFERENCES, atol=1e-12)
    rise = np.linspace(-2.0, 2.0, 40)[:, None]
    found = slope_effects(mean, eta, rise)
    np.testing.assert_allclose(found.effect, first(eta) * rise, rtol=DIFFERENCES, atol=1e-12)
    bend, flat = (part[:, 0] for part in found.parts)
    np.testing.assert_allclose(bend, second(eta) * rise, rtol=DIFFERENCES, atol=1e-10)
    np.testing.assert_allclose(flat, first(eta), rtol=DIFFERENCES, atol=1e-12)


def test_several_linear_predictors() -> None:
    """The softmax of three: p_j (1{j = k} - p_k)."""
    eta = np.random.default_rng(0).normal(size=(20, 3))
    p = softmax(eta, axis=1)
    expected = p[:, :, None] * (np.eye(3) - p[:, None, :])
    np.testing.assert_allclose(slopes(lambda at: softmax(at, axis=1), eta), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("kind", ["slope", "change"])
@pytest.mark.parametrize("mean", [None, lambda at: softmax(at, axis=1)])
def test_gradients(mean: Callable[[FloatArray], FloatArray] | None, kind: str, log: bool) -> None:
    """Derivatives of the effects in two predictors' parameters, against differences of the effects."""
    rng = np.random.default_rng(1)
    x, dx, other = rng.uniform(0.5, 2.0, size=(3, 30, 2))
    theta = rng.uniform(0.2, 1.0, size=4)

    def effect(at: FloatArray) -> FloatArray:
        b = at.reshape(2, 2).T
        if kind == "slope":
            return slope_effects(mean, x @ b, dx @ b, log=log).effect
        return change_effects(mean, x @ b, other @ b, log=log).effect

    b = theta.reshape(2, 2).T
    found = (
        slope_effects(mean, x @ b, dx @ b, log=log)
        if kind == "slope"
        else change_effects(mean, x @ b, other @ b, log=log)
    )
    second = dx if kind == "slope" else other
    for outcome in range(2):
        gradient = sum(
            np.hstack([part[:, outcome, [e]] * columns for e in range(2)])
            for part, columns in zip(found.parts, (x, second), strict=True)
        )
        for j, unit in enumerate(np.eye(4) * 1e-5):
            slope = (effect(theta + unit) - effect(theta - unit))[:, outcome] / 2e-5
            np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-6, atol=1e-8)


def test_logarithms_of_what_is_not_above_zero() -> None:
    eta, ones = np.array([[2.0], [-1.0]]), np.ones((2, 1))
    np.testing.assert_allclose(slope_effects(None, eta, ones, log=True).effect.ravel(), [0.5, np.nan])
    np.testing.assert_allclose(change_effects(None, eta, ones, log=True).effect.ravel(), [np.log(2.0), np.nan])


def test_the_direction_counts_with_its_length() -> None:
    eta = np.zeros((3, 1))
    found = along(np.exp, eta, np.array([[0.0], [1e-8], [1e6]]))
    np.testing.assert_allclose(found.ravel(), [0.0, 1e-8, 1e6], rtol=1e-11)


def test_linear_means_are_exact_at_any_size() -> None:
    found = slope_effects(None, np.full((2, 1), 1e12), np.array([[3.0], [-2.0]]))
    assert found.effect.ravel().tolist() == [3.0, -2.0]
    assert not found.parts[0].any()


FUNCTIONS: dict[str, tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]] = {
    "line": (lambda x: 3.0 * x - 1e3, lambda x: np.full_like(x, 3.0)),
    "cube": (lambda x: x**3, lambda x: 3.0 * x**2),
    "log": (np.log, lambda x: 1.0 / x),
    "root": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "kink": (lambda x: np.maximum(x - 2.0, 0.0), lambda x: (x > 2.0) * 1.0),
    "step": (lambda x: (x > 2.0) * 1.0, np.zeros_like),
    "wave": (lambda x: np.sin(5.0 * x), lambda x: 5.0 * np.cos(5.0 * x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_columns(name: str) -> None:
    function, slope = FUNCTIONS[name]
    x = np.concatenate([np.linspace(0.1, 5.0, 60), [0.03]])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = derivative(lambda shift: function(x + shift)[:, None], np.full(len(x), 0.5))
    np.testing.assert_allclose(found[:, 0], slope(x), rtol=1e-8, atol=1e-9)


def test_no_derivative_where_there_is_no_function() -> None:
    assert np.isnan(derivative(lambda shift: np.log(-1.0 - np.abs(shift))[:, None], np.ones(1))).all()


def test_an_average_of_drawn_rows_has_the_textbook_variance() -> None:
    """(1 - n / N) s^2 / n of a simple random sample, with n in the place of n - 1."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 2))
    mean, parts = drawn_average(np.full(50, 4.0), np.full(50, 0.25), values)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(parts.T @ parts, 0.75 * np.cov(values.T, ddof=0) / 50, rtol=1e-12)
    everyone = drawn_average(np.ones(50), np.ones(50), values)[1]
    assert not everyone.any()


def test_clusters_add_up_before_they_are_squared() -> None:
    values = np.repeat(np.random.default_rng(3).normal(size=(20, 1)), 2, axis=0)
    once = drawn_average(np.full(20, 2.0), np.full(20, 0.5), values[::2])[1]
    twice = drawn_average(np.full(40, 2.0), np.full(40, 0.5), values, np.repeat(np.arange(20), 2))[1]
    np.testing.assert_allclose(twice, once, rtol=1e-12)


def test_an_average_goes_with_the_estimates() -> None:
    """An estimated mean plus an average of the same rows is the mean of the sum, whose variance is known."""
    rng = np.random.default_rng(4)
    h, y = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], size=40).T
    f = 0.3
    prob, scale = np.full(40, f), (1.0 - f) / 40
    parts = drawn_average(1.0 / prob, prob, h[:, None])[1]
    found = delta_covariance(
        np.ones((1, 1)), np.full((1, 1), scale * y.var()), parts, prob, ((y - y.mean()) / 40)[:, None]
    )
    np.testing.assert_allclose(found, [[scale * (y + h).var()]], rtol=1e-12)
    assert delta_covariance(np.full((1, 1), 3.0), np.full((1, 1), 2.0)) == 18.0
