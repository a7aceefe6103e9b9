"""Moments of models with several linear predictors against loops over rows, with scores by likelihoods of single rows."""

from dataclasses import replace

import numpy as np
import pytest

from dsl._typing import FloatArray
from dsl.engine.blocks import Block, Version
from dsl.engine.centre import shared_columns
from dsl.engine.checks import check_order
from dsl.engine.fit import fit_split
from dsl.engine.models import MODELS
from dsl.engine.models.family import Family
from dsl.engine.moments import (
    Weights,
    augmentation_weights,
    correction_weights,
    design_weights,
    fitted_means,
    gold_weights,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    scores,
)
from dsl.engine.several import Several
from dsl.engine.sums import Problem, moment_sums, row_scores, take_up
from dsl.exceptions import ConvergenceError, SeparationError
from tests.engine.models.likelihood import LIKELIHOODS, codes
from tests.engine.models.likelihood import scores as likelihood_scores

pytestmark = pytest.mark.numeric
SAME_ALGEBRA = 1e-12
"""Of values of order one: the same sums in another order."""
N = 12
COLUMNS = ("x", "Intercept", "d", "x:d")
LEVELS = ("a", "b", "c")
ROWS = np.array([1, 4, 5, 8, 11])
START = {
    "multinom": [0.3, -0.2, 0.5, 0.1, -0.4, 0.6, 0.2, -0.3],
    "ologit": [0.4, -0.3, 0.2, -0.6, 0.8],
    "oprobit": [0.4, -0.3, 0.2, -0.6, 0.8],
    "negbin": [0.3, 0.2, -0.4, 0.1, -0.5],
}


def link_of(model: str) -> Several:
    family = MODELS[model].link
    assert isinstance(family, Family)
    return Several.on(family, COLUMNS, LEVELS if family.classes else (), prefix="y[{}]:")


def block(model: str, *, versions: int, seed: int = 3) -> Block:
    """Two fixed columns, the intercept not the first, and two predicted ones. Outcomes differ between versions."""
    rng = np.random.default_rng(seed)
    top = 3 if link_of(model).family.classes else 6
    share = rng.dirichlet(np.ones(versions), N)
    imputed = tuple(
        Version(predicted=rng.normal(size=(N, 2)), outcome=rng.integers(0, top, N).astype(float), share=share[:, j])
        for j in range(versions)
    )
    return Block(
        fixed=np.column_stack([rng.normal(size=N), np.ones(N)]),
        predicted=rng.normal(size=(N, 2)),
        outcome=rng.integers(0, top, N).astype(float),
        gold_rows=ROWS,
        gold=rng.normal(size=(len(ROWS), 2)),
        gold_outcome=rng.integers(0, top, len(ROWS)).astype(float),
        weight=1 / rng.uniform(0.3, 1.0, len(ROWS)),
        row_weight=rng.uniform(0.5, 2.0, N),
        imputed=imputed if versions > 1 else (),
    )


def by_hand(model: str, given: Block, params: FloatArray, weights: Weights) -> FloatArray:
    """Scores (N, k): one row after the other, one version after the other, by the likelihood of that row."""
    order = [1, 0, 2, 3]  # the likelihood has the intercept first

    def of(fixed: FloatArray, predicted: FloatArray, outcome: float) -> FloatArray:
        x = np.concatenate([fixed, predicted])[order][None]
        return likelihood_scores(LIKELIHOODS[model], to_likelihood(model, params), x, np.array([outcome]))[0]

    out = np.zeros((N, len(params)))
    for i in range(N):
        for version in given.versions:
            share = 1.0 if version.share is None else version.share[i]
            own = of(given.fixed[i], version.predicted[i], version.outcome[i])
            out[i] += weights.predicted[i] * share * own
        if i in ROWS:
            g = int(np.flatnonzero(i == ROWS)[0])
            out[i] += weights.gold[g] * of(given.fixed[i], given.gold[g], given.gold_outcome[g])
    return out[:, places(model)]


def places(model: str) -> list[int]:
    """Where the block's parameters are among the likelihood's."""
    each = {"multinom": [1, 0, 2, 3, 5, 4, 6, 7], "negbin": [1, 0, 2, 3, 4]}
    return each.get(model, [0, 1, 2, 3, 4])


def to_likelihood(model: str, params: FloatArray) -> FloatArray:
    out = np.empty_like(params)
    out[places(model)] = params
    return out


@pytest.mark.parametrize("versions", [1, 3])
@pytest.mark.parametrize("model", LIKELIHOODS)
def test_psi_by_hand(model: str, versions: int) -> None:
    given, params, link = block(model, versions=versions), np.array(START[model]), link_of(model)
    for rule in (design_weights, gold_weights, imputed_weights, correction_weights, augmentation_weights):
        weights, means = rule(given), fitted_means(given, params, link)
        expected = by_hand(model, given, params, weights)
        np.testing.assert_allclose(scores(given, means, weights), expected, atol=SAME_ALGEBRA)
        np.testing.assert_allclose(moment_sum(given, means, weights), expected.sum(axis=0), atol=10 * SAME_ALGEBRA)


@pytest.mark.parametrize("versions", [1, 3])
@pytest.mark.parametrize("model", LIKELIHOODS)
def test_the_jacobian_is_the_derivative(model: str, versions: int) -> None:
    given, params, link = block(model, versions=versions), np.array(START[model]), link_of(model)
    weights, step = design_weights(given), 1e-3

    def at(theta: FloatArray) -> FloatArray:
        return moment_sum(given, fitted_means(given, theta, link), weights)

    found = jacobian_sum(given, fitted_means(given, params, link), weights)
    for j, unit in enumerate(np.eye(len(params))):
        near, far = (at(params + s * step * unit) - at(params - s * step * unit) for s in (1, 2))
        np.testing.assert_allclose(found[:, j], -(8.0 * near - far) / (12.0 * step), atol=1e-8)


@pytest.mark.parametrize("model", LIKELIHOODS)
def test_tuned_scores_and_pieces(model: str) -> None:
    """psi = w m + Lambda (1 - w) m_hat by hand, and sums of pieces."""
    given, params = block(model, versions=3), np.array(START[model])
    k = len(params)
    tuning = np.random.default_rng(8).normal(size=(k, k))
    problem = Problem(link=link_of(model), names=COLUMNS, tuning=tuning)
    found = np.concatenate([*row_scores(given, problem, params, design_weights, augmentation_weights)])
    gold = by_hand(model, given, params, gold_weights(given))
    hat = by_hand(model, given, params, counted_augmentation(given))
    np.testing.assert_allclose(found, gold + hat @ tuning.T, atol=SAME_ALGEBRA)
    whole = moment_sums(given, problem, params)
    parts = [moment_sums(piece, problem, params) for piece in given.pieces(5)]
    for j in (0, 1):
        np.testing.assert_allclose(whole[j], np.sum([part[j] for part in parts], axis=0), atol=10 * SAME_ALGEBRA)


def counted_augmentation(given: Block) -> Weights:
    """(1 - w) times the analysis weight, as design weights have it."""
    return Weights(predicted=design_weights(given).predicted, gold=np.zeros(len(ROWS)))


def test_names() -> None:
    assert link_of("multinom").names == tuple(f"y[{level}]:{name}" for level in "bc" for name in COLUMNS)
    assert link_of("oprobit").names == ("x", "d", "x:d", "a|b", "b|c")
    assert link_of("negbin").names == (*COLUMNS, "log(alpha)")
    assert link_of("negbin").slopes.tolist() == [True, False, True, True, True]
    assert link_of("ologit").slopes.tolist() == [True, True, True, False, False]


def study(model: str, *, n: int = 400, labeled: int = 150, far: float = 0.0) -> tuple[Block, Problem]:
    """A fit that exists: one column (around `far`), an intercept, one predicted column of 0 and 1, two versions of it."""
    rng = np.random.default_rng(4)
    x, d = rng.normal(size=n), (rng.random(n) < 0.5) * 1.0
    index = 0.8 * x - 0.5 * d
    y = (
        codes(index, rng).astype(float)
        if model != "negbin"
        else rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(index)))
    )
    rows = np.sort(rng.choice(n, labeled, replace=False))
    share = np.where(d == 1.0, 0.8, 0.2)
    given = Block(
        fixed=np.column_stack([x + far, np.ones(n)]),
        predicted=share[:, None],
        outcome=y * 1.0,
        gold_rows=rows,
        gold=d[rows, None],
        gold_outcome=y[rows] * 1.0,
        weight=np.full(labeled, n / labeled),
        imputed=tuple(
            Version(predicted=np.full((n, 1), value), outcome=y * 1.0, share=p)
            for value, p in ((0.0, 1 - share), (1.0, share))
        ),
    )
    names = ("x", "Intercept", "d")
    family = MODELS[model].link
    assert isinstance(family, Family)
    return given, Problem(link=Several.on(family, names, LEVELS if family.classes else ()), names=names)


@pytest.mark.parametrize("model", LIKELIHOODS)
def test_the_root_and_columns_far_from_zero(model: str) -> None:
    """The estimate solves the moment equation, and is that of the same columns moved by 50, told in the moved ones' terms."""
    given, problem = study(model)
    fit = fit_split(given, problem)
    moment, jacobian = moment_sums(given, problem, fit.params)
    np.testing.assert_allclose(moment / len(given.outcome), 0.0, atol=1e-9)
    np.testing.assert_allclose(fit.jacobian, jacobian, rtol=1e-5, atol=1e-6 * np.abs(jacobian).max())
    moved, _ = study(model, far=50.0)
    _, centring = shared_columns(moved, problem)
    assert centring is not None
    back = centring.undo(fit_split(centring.apply(moved), problem))
    assert isinstance(problem.link, Several)
    expected = problem.link.back(np.array([50.0, 0.0, 0.0])) @ fit.params
    np.testing.assert_allclose(back.params, expected, rtol=1e-7)
    np.testing.assert_allclose(moment_sums(moved, problem, back.params)[0] / 400, 0.0, atol=1e-6)
    # slopes and dispersion keep their meaning
    slopes = problem.slopes
    np.testing.assert_allclose(back.params[slopes], fit.params[slopes], rtol=1e-7)
    np.testing.assert_allclose(back.vcov[np.ix_(slopes, slopes)], fit.vcov[np.ix_(slopes, slopes)], rtol=1e-6)
    np.testing.assert_allclose(
        take_up(np.array([50.0, 9.0, 0.0]), problem), problem.link.back(np.array([50.0, 0.0, 0.0]))
    )


def test_thresholds_out_of_order() -> None:
    given, problem = study("ologit")
    with pytest.raises(ConvergenceError, match="class 'b' are out of order"):
        check_order(np.array([0.1, 0.2, 1.0, 0.5]), problem)
    check_order(np.array([0.1, 0.2, 0.5, 1.0]), problem)
    assert given.shape == (400, 3)


@pytest.mark.parametrize("model", ["multinom", "ologit"])
def test_a_class_without_probability(model: str) -> None:
    """The labelled rows' surrogates are all of a class that no gold label has: less than none of it are left."""
    given, problem = study(model)
    outcome = given.outcome.copy()
    outcome[outcome == 2.0] = 1.0
    gold = outcome[given.gold_rows]
    hat = outcome.copy()
    hat[given.gold_rows] = 2.0
    versions = tuple(replace(version, outcome=hat) for version in given.imputed)
    bad = replace(given, outcome=hat, gold_outcome=gold, imputed=versions)
    with pytest.raises(SeparationError, match="'c' of the outcome"):
        fit_split(bad, problem)


def test_counts_that_are_not_overdispersed() -> None:
    given, problem = study("negbin", labeled=400)
    y = np.tile([1.0, 2.0], 200)
    versions = tuple(replace(version, outcome=y) for version in given.imputed)
    with pytest.raises(ConvergenceError, match="not overdispersed"):
        fit_split(replace(given, outcome=y, gold_outcome=y[given.gold_rows], imputed=versions), problem)


def test_perfect_separation_names_the_coefficient() -> None:
    given, problem = study("multinom", labeled=400)
    y = (given.fixed[:, 0] > 0.0) * 1.0 + (given.fixed[:, 0] > 1.0)
    versions = tuple(replace(version, outcome=y) for version in given.imputed)
    with pytest.raises(SeparationError, match="no \\(weighted\\) gold outcome is of some class"):
        fit_split(replace(given, outcome=y, gold_outcome=y[given.gold_rows], imputed=versions), problem)
