"""Multiplicative fixed effects against dense dummies and numerical derivatives."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dsl.engine import effects
from dsl.engine.blocks import Block, Effects, Version
from dsl.engine.effects import level_sums, with_effects
from dsl.engine.models.poisson import LOG
from dsl.engine.moments import augmentation_weights, design_weights, fitted_means, gold_weights, imputed_weights
from dsl.engine.sums import Problem, label_scores, moment_sums, row_scores
from dsl.exceptions import ConvergenceError

pytestmark = pytest.mark.numeric

N, F, P = 200, 2, 1
DERIVATIVE = 1e-7
"""Relative to the largest entry: central differences with steps of 1e-5."""
SETTLED = 1e-11
"""Turns end at relative changes of 1e-13."""
NAMES = ("x", "z", "d")
PARAMS = np.array([0.3, -0.2, 0.4])


def block(*, factors: int = 1, versions: int = 1, weighted: bool = False) -> Block:
    """Labelled rows have another value of the predicted column and of the outcome than their prediction."""
    rng = np.random.default_rng(5)
    rows = np.flatnonzero(rng.random(N) < 0.6)
    predicted, outcome = rng.normal(size=(N, P)), rng.gamma(2.0, 1.0, N)
    share = rng.dirichlet(np.ones(versions), N)
    imputed = [
        Version(predicted=rng.normal(size=(N, P)), outcome=rng.gamma(2.0, 1.0, N), share=share[:, j])
        for j in range(versions)
    ]
    return Block(
        fixed=rng.normal(size=(N, F)),
        predicted=predicted,
        outcome=outcome,
        gold_rows=rows,
        gold=predicted[rows] + 0.3 * rng.normal(size=(len(rows), P)),
        gold_outcome=rng.poisson(1.5, len(rows)).astype(float),
        weight=1.0 / rng.uniform(0.5, 0.7, len(rows)),
        row_weight=rng.uniform(0.5, 2.0, N) if weighted else None,
        offset=rng.normal(size=N) / 3.0,
        imputed=tuple(imputed) if versions > 1 else (),
        effects=Effects(tuple(rng.integers(0, levels, N) for levels in (5, 4, 3)[:factors])),
    )


def factors_of(given: Block) -> tuple[np.ndarray, ...]:
    assert given.effects is not None
    return given.effects.factors


CASES: list[dict[str, Any]] = [
    {"factors": factors, "versions": versions, "weighted": weighted}
    for factors, versions, weighted in [(1, 1, False), (1, 2, True), (2, 1, True), (3, 2, False)]
]


def pseudo(given: Block) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-means and pseudo-outcomes (N,), row by row."""
    at = with_effects(given, LOG, PARAMS, design_weights)
    means, weights = fitted_means(at, PARAMS, LOG), design_weights(at)
    mean, outcome = np.zeros(N), np.zeros(N)
    for version, mu in zip(at.versions, means.predicted, strict=True):
        share = weights.predicted * (1.0 if version.share is None else version.share)
        mean, outcome = mean + share * mu, outcome + share * version.outcome
    mean[at.gold_rows] += weights.gold * means.gold
    outcome[at.gold_rows] += weights.gold * at.gold_outcome
    return mean, outcome


@pytest.mark.parametrize("case", CASES)
def test_levels_have_the_sums_of_their_outcomes(case: dict[str, Any]) -> None:
    given = block(**case)
    mean, outcome = pseudo(given)
    for codes, total in zip(factors_of(given), level_sums(given, design_weights), strict=True):
        np.testing.assert_allclose(np.bincount(codes, mean), total, rtol=SETTLED)
        np.testing.assert_allclose(np.bincount(codes, outcome), total, rtol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_projections_are_weighted_least_squares_on_dummies(case: dict[str, Any]) -> None:
    """Of the derivative over the mean, with the means (some negative) as weights: normal equations of dense dummies."""
    given = block(**case)
    at, (mean, _) = with_effects(given, LOG, PARAMS, design_weights), pseudo(given)
    dummies = np.hstack([np.eye(int(codes.max()) + 1)[codes] for codes in factors_of(given)])
    step = 1e-6
    columns = np.empty((N, 3))
    for j in range(3):  # of the means at fixed multipliers
        up, down = (_means(at, PARAMS + side * step * np.eye(3)[j]) for side in (1, -1))
        columns[:, j] = (up - down) / (2.0 * step)
    expected = dummies @ np.linalg.lstsq((dummies * mean[:, None]).T @ dummies, dummies.T @ columns, rcond=1e-12)[0]
    assert at.absorbed is not None
    np.testing.assert_allclose(at.absorbed, expected, atol=1e-7)


def _means(at: Block, params: np.ndarray) -> np.ndarray:
    means, weights = fitted_means(at, params, LOG), design_weights(at)
    out = sum(
        weights.predicted * (1.0 if version.share is None else version.share) * mu
        for version, mu in zip(at.versions, means.predicted, strict=True)
    )
    out[at.gold_rows] += weights.gold * means.gold
    return np.asarray(out)


@pytest.mark.parametrize("case", CASES)
def test_jacobian_is_the_derivative_of_what_the_effects_leave(case: dict[str, Any]) -> None:
    given, problem, step = block(**case), Problem(link=LOG, names=NAMES), 1e-5
    _, jacobian = moment_sums(given, problem, PARAMS)
    for j in range(3):
        up, down = (moment_sums(given, problem, PARAMS + side * step * np.eye(3)[j])[0] for side in (1, -1))
        np.testing.assert_allclose(
            jacobian[:, j], -(up - down) / (2.0 * step), atol=DERIVATIVE * np.abs(jacobian).max()
        )


@pytest.mark.parametrize("size", [64, 1000])
def test_scores_sum_to_the_moment_in_any_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Residuals of a level add up to zero, so that what is taken off for the effects does too."""
    monkeypatch.setattr("dsl.engine.blocks.BLOCK_VALUES", 3 * size)
    given, problem = block(factors=2, weighted=True), Problem(link=LOG, names=NAMES)
    rows = np.concatenate([*row_scores(given, problem, PARAMS, design_weights, imputed_weights)])
    np.testing.assert_allclose(rows.sum(axis=0), moment_sums(given, problem, PARAMS)[0], rtol=1e-9)
    # of label scores the effects come from all rows, and not from the labelled ones
    on_labels = label_scores(given, problem, PARAMS)
    without = replace(with_effects(given, LOG, PARAMS, design_weights).labeled())
    np.testing.assert_allclose(on_labels, label_scores(without, problem, PARAMS), rtol=1e-12)


def test_columns_far_from_zero_do_not_overflow() -> None:
    given, problem = block(), Problem(link=LOG, names=NAMES)
    far = replace(given, fixed=given.fixed + np.array([1e4, 0.0]))
    moment, jacobian = moment_sums(far, problem, PARAMS)
    near, same = moment_sums(given, problem, PARAMS)
    np.testing.assert_allclose(moment[1:], near[1:], rtol=1e-9)
    np.testing.assert_allclose(jacobian, same, rtol=1e-6)


def test_a_level_of_labels_that_are_all_zero_counts_nothing() -> None:
    """Its multiplier is zero, as if its rows were not there."""
    given = block()
    own = given.labeled()
    own = replace(
        own, outcome=own.gold_outcome, predicted=own.gold, effects=Effects((factors_of(given)[0][given.gold_rows],))
    )
    (codes,) = factors_of(own)
    level = codes == 2
    zero = replace(own, gold_outcome=np.where(level, 0.0, own.gold_outcome))
    problem = Problem(link=LOG, names=NAMES, weights=gold_weights)
    left = np.flatnonzero(~level)
    less = replace(
        own,
        fixed=own.fixed[left],
        predicted=own.predicted[left],
        outcome=own.outcome[left],
        gold_rows=np.arange(len(left)),
        gold=own.gold[left],
        gold_outcome=own.gold_outcome[left],
        weight=own.weight[left],
        offset=None if own.offset is None else own.offset[left],
        effects=Effects((np.unique(codes[left], return_inverse=True)[1],)),
    )
    for found, expected in zip(moment_sums(zero, problem, PARAMS), moment_sums(less, problem, PARAMS), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("part", ["multipliers", "projections"])
def test_factors_that_never_settle_are_an_error(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if part == "projections":
        monkeypatch.setattr(effects, "_multipliers", lambda *given: np.ones(N))
    monkeypatch.setattr(effects, "MOST_TURNS", 1)
    with pytest.raises(ConvergenceError, match="did not settle in 1 turns"):
        with_effects(block(factors=2), LOG, PARAMS, design_weights)


@pytest.mark.parametrize("case", CASES)
def test_what_tuning_scales_has_expectation_zero(case: dict[str, Any]) -> None:
    """Half of the rows labelled, or the other half: (1 - w) m_hat of the two add up to zero in every row, and to the moments."""
    given, problem = block(**case), Problem(link=LOG, names=NAMES)
    alone = replace(given, effects=Effects(factors_of(given), alone=True))
    total, rule = np.zeros((N, 3)), augmentation_weights
    for start in (0, 1):
        rows = np.arange(start, N, 2)
        gold = given.predicted[rows] + 1.0
        half = replace(
            alone, gold_rows=rows, gold=gold, gold_outcome=np.ones(len(rows)), weight=np.full(len(rows), 2.0)
        )
        scores = np.concatenate([*row_scores(half, problem, PARAMS, rule, rule)])
        total += scores
        moment, jacobian = moment_sums(half, replace(problem, weights=rule), PARAMS)
        np.testing.assert_allclose(scores.sum(axis=0), moment, atol=1e-11 * N)
        assert np.isfinite(jacobian).all()
    np.testing.assert_allclose(total, 0.0, atol=1e-13)
