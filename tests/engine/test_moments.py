"""Moments, scores and Jacobians of a block against loops over its rows and numerical derivatives."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from dsl.engine.blocks import Block, Version
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.models.model import Link
from dsl.engine.moments import (
    augmentation_weights,
    correction_weights,
    design_weights,
    fitted_means,
    gold_weights,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    pseudo_values,
    removed_weights,
    scores,
)

SAME_ALGEBRA = 1e-12
"""Of values of order one: the same sums in another order."""
DERIVATIVE = 1e-7
"""Central differences with steps of 1e-5."""
N, F, P = 9, 2, 2
RULES: dict[str, tuple[Any, Any, Any]] = {
    # what a row's imputed versions and its gold version count for, as functions of w = R / pi
    "design": (design_weights, lambda w: 1 - w, lambda w: w),
    "gold": (gold_weights, lambda w: 0 * w, lambda w: w),
    "imputed": (imputed_weights, lambda w: 1 + 0 * w, lambda w: 0 * w),
    "correction": (correction_weights, lambda w: -w, lambda w: w),
    "augmentation": (augmentation_weights, lambda w: 1 - w, lambda w: 0 * w),
    "removed": (removed_weights, lambda w: -w, lambda w: 0 * w),
}


def block(*, versions: int, offset: bool) -> Block:
    rng = np.random.default_rng(3)
    rows = np.array([1, 4, 5, 8])
    share = rng.dirichlet(np.ones(versions), N)
    imputed = tuple(
        Version(predicted=rng.normal(size=(N, P)), outcome=rng.random(N), share=share[:, j]) for j in range(versions)
    )
    made = Block(
        fixed=rng.normal(size=(N, F)),
        predicted=rng.normal(size=(N, P)),
        outcome=rng.random(N),
        gold_rows=rows,
        gold=rng.normal(size=(len(rows), P)),
        gold_outcome=rng.random(len(rows)),
        weight=1 / rng.uniform(0.3, 1.0, len(rows)),
        offset=rng.normal(size=N) if offset else None,
    )
    return replace(made, imputed=imputed) if versions > 1 else made


def by_rows(given: Block, params: np.ndarray, link: Link, hat: Any, gold: Any) -> np.ndarray:
    """sum_d p(d) a m(d) + b m, m = x (y - mu(x'theta)), row by row; (N, F + P)."""
    mu = expit if link is LOGISTIC else lambda eta: eta
    out = np.zeros((N, F + P))
    for i in range(N):
        labelled = np.flatnonzero(given.gold_rows == i)
        w = given.weight[labelled[0]] if len(labelled) else 0.0
        more = 0.0 if given.offset is None else given.offset[i]

        def moment(x: np.ndarray, y: float, more: float = more) -> np.ndarray:
            return x * (y - mu(x @ params + more))

        for version in given.versions:
            share = 1.0 if version.share is None else version.share[i]
            x = np.concatenate([given.fixed[i], version.predicted[i]])
            out[i] += share * hat(w) * moment(x, version.outcome[i])
        if len(labelled):
            x = np.concatenate([given.fixed[i], given.gold[labelled[0]]])
            out[i] += gold(w) * moment(x, given.gold_outcome[labelled[0]])
    return out


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("link", [LINEAR, LOGISTIC], ids=["linear", "logistic"])
@pytest.mark.parametrize("versions", [1, 3])
@pytest.mark.parametrize("offset", [True, False])
def test_sums_row_by_row(rule: str, link: Link, versions: int, offset: bool) -> None:
    given, (weigh, hat, gold) = block(versions=versions, offset=offset), RULES[rule]
    for params in (np.zeros(F + P), np.array([0.3, -0.5, 0.8, 0.1])):
        expected = by_rows(given, params, link, hat, gold)
        means, weights = fitted_means(given, params, link), weigh(given)
        np.testing.assert_allclose(scores(given, means, weights), expected, atol=SAME_ALGEBRA)
        np.testing.assert_allclose(moment_sum(given, means, weights), expected.sum(axis=0), atol=SAME_ALGEBRA)
        jacobian = jacobian_sum(given, means, weights)
        for j, step in enumerate(1e-5 * np.eye(F + P)):
            up, down = (by_rows(given, params + side * step, link, hat, gold).sum(axis=0) for side in (1, -1))
            np.testing.assert_allclose(jacobian[:, j], -(up - down) / 2e-5, atol=DERIVATIVE)


def test_gram_at_hand() -> None:
    """In the linear model the fixed columns' part of the Jacobian is their Gram matrix, whatever the labels."""
    given, params = block(versions=1, offset=False), np.zeros(F + P)
    means, weights = fitted_means(given, params, LINEAR), design_weights(given)
    alone = jacobian_sum(given, means, weights)
    np.testing.assert_allclose(alone[:F, :F], given.fixed.T @ given.fixed, atol=SAME_ALGEBRA)
    np.testing.assert_allclose(
        jacobian_sum(given, means, weights, given.fixed.T @ given.fixed), alone, atol=SAME_ALGEBRA
    )


@pytest.mark.parametrize("columns", [(), (2,)])
def test_pseudo_values(columns: tuple[int, ...]) -> None:
    """g + w (y - g) on the labelled rows, g elsewhere; what is given stays as it is."""
    hat, gold = np.zeros((3, *columns)) + 0.5, np.ones((1, *columns))
    made = pseudo_values(hat, gold, np.array([1]), np.array([4.0]))
    np.testing.assert_array_equal(made[[0, 2]], 0.5)
    np.testing.assert_array_equal(made[1], 2.5)
    np.testing.assert_array_equal(hat, 0.5)
