"""Scores and second derivatives of all families against those of their log-likelihoods, and against closed forms."""

import numpy as np
import pytest
from scipy.special import expit

from dsl._typing import FloatArray
from dsl.engine.models import MODELS
from dsl.engine.models.family import Family, class_shares
from tests.engine.models.likelihood import CLASSES, LIKELIHOODS, hessian, scores

pytestmark = pytest.mark.numeric
EXACT, DIFFERENCE = 1e-12, 1e-9
"""Relative: derivatives by steps in the imaginary direction, and fourth-order differences of these."""
ETAS = {
    "multinom": [(0.0, 0.0), (1.3, -0.7), (-4.0, 3.0)],
    "ologit": [(0.0, -1.0, 0.5), (2.0, -1.0, 0.5), (-3.0, -0.2, 0.1)],
    "oprobit": [(0.0, -1.0, 0.5), (1.5, -1.0, 0.5), (-1.5, -0.2, 0.1)],
    "negbin": [(0.0, 0.0), (1.5, -1.0), (-1.0, 0.8)],
}
CASES = [(name, eta) for name, etas in ETAS.items() for eta in etas]


def family_of(name: str) -> Family:
    family = MODELS[name].link
    assert isinstance(family, Family)
    return family


def outcomes(name: str) -> FloatArray:
    return np.array([0.0, 1.0, 2.0] if family_of(name).classes else [0.0, 1.0, 5.0])


def as_model(name: str, eta: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Parameters and columns of one row whose linear predictors these are."""
    y = outcomes(name)
    if name in ("ologit", "oprobit"):
        return np.array(eta), np.ones((len(y), 2))
    return np.array(eta), np.ones((len(y), 1))


@pytest.mark.parametrize(("name", "eta"), CASES)
def test_scores(name: str, eta: tuple[float, ...]) -> None:
    params, x = as_model(name, eta)
    y = outcomes(name)
    ours = family_of(name).score(y, np.tile(np.array(eta)[:, None], len(y)))
    np.testing.assert_allclose(ours.T, scores(LIKELIHOODS[name], params, x, y), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(("name", "eta"), CASES)
def test_slopes(name: str, eta: tuple[float, ...]) -> None:
    params, x = as_model(name, eta)
    y = outcomes(name)
    ours = family_of(name).slope(y, np.tile(np.array(eta)[:, None], len(y)))
    theirs = hessian(LIKELIHOODS[name], params, x, y)
    np.testing.assert_allclose(np.moveaxis(ours, 2, 0), theirs, rtol=DIFFERENCE, atol=DIFFERENCE)


@pytest.mark.parametrize("name", ["multinom", "ologit", "oprobit"])
def test_class_probabilities(name: str) -> None:
    """They add up to one, are those of the log-likelihood, and the scores have mean zero under them."""
    family, y = family_of(name), outcomes(name)
    for eta in ETAS[name]:
        params, x = as_model(name, eta)
        p = family.mean(np.array(eta)[:, None])[:, 0]
        np.testing.assert_allclose(p, np.exp(LIKELIHOODS[name](params, x, y)), rtol=1e-12)
        np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-14)
        score = family.score(y, np.tile(np.array(eta)[:, None], CLASSES))
        np.testing.assert_allclose(score @ p, 0.0, atol=1e-14)
        # the information equality: E H = E r r'
        slope = family.slope(y, np.tile(np.array(eta)[:, None], CLASSES))
        np.testing.assert_allclose(slope @ p, (score * p) @ score.T, atol=1e-13)


def test_shares_of_classes() -> None:
    outcome, weight = np.array([0.0, 2.0, 2.0]), np.array([1.0, 1.0, 2.0])
    np.testing.assert_allclose(class_shares(outcome[:2], weight[:2], 2 + 1)[[0, 2]], 0.5 / (1 + 1 / 300))
    np.testing.assert_allclose(class_shares(np.array([0.0, 1.0, 1.0]), weight, 2), [0.25, 0.75])


def test_two_classes_are_a_logit() -> None:
    eta = np.array([-3.0, 0.2, 5.0])
    for y in (0.0, 1.0):
        outcome = np.full(3, y)
        np.testing.assert_allclose(family_of("multinom").score(outcome, eta[None]), (y - expit(eta))[None], rtol=1e-13)
        # P(y = 1) = 1 - F(zeta - x'b) = expit(x'b - zeta)
        ordered = family_of("ologit").score(outcome, np.stack([eta, np.zeros(3)]))
        np.testing.assert_allclose(ordered, np.stack([y - expit(eta), expit(eta) - y]), rtol=1e-13)
