"""Columns far from zero are centred, and the fit is told in their own units: two fits that must be the same."""

from dataclasses import replace

import numpy as np
import pytest

from dsl.engine.blocks import Block
from dsl.engine.centre import FAR, centre, shared_columns
from dsl.engine.fit import fit_split
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.models.model import Link
from dsl.engine.sums import Problem

SAME_ALGEBRA = 1e-7
"""Relative to the largest: sums whose columns lie a hundred standard deviations from zero lose their squares, four digits."""
ROWS = 80


def block(seed: int = 0) -> Block:
    """An intercept that is not the first column, a column far from zero, one near it, and one that is predicted."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(ROWS, 50, replace=False))
    y, d = (rng.random(ROWS) < 0.5) * 1.0, rng.normal(size=ROWS)
    return Block(
        fixed=np.column_stack([100 + rng.normal(size=ROWS), np.ones(ROWS), rng.normal(size=ROWS)]),
        predicted=d[:, None] + 0.3 * rng.normal(size=(ROWS, 1)),
        outcome=y,
        gold_rows=rows,
        gold=d[rows, None],
        gold_outcome=y[rows],
        weight=np.full(50, ROWS / 50),
    )


@pytest.mark.parametrize("link", [LINEAR, LOGISTIC], ids=["linear", "logistic"])
def test_the_fit_is_that_of_the_columns_as_they_were(link: Link) -> None:
    given, problem = block(), Problem(link=link, names=("far", "Intercept", "x", "d"))
    gram, centring = shared_columns(given, problem)
    assert centring is not None
    np.testing.assert_allclose(centring.means, [given.fixed[:, 0].mean(), 0.0, 0.0])
    np.testing.assert_allclose(centring.fixed.mean(axis=0)[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(gram, centring.fixed.T @ centring.fixed)
    plain, centred = fit_split(given, problem), centring.undo(fit_split(centring.apply(given), problem))
    for name in ("params", "vcov", "jacobian", "meat", "label_scores", "label_meat"):
        expected = getattr(plain, name)
        np.testing.assert_allclose(
            getattr(centred, name), expected, atol=SAME_ALGEBRA * np.abs(expected).max(), err_msg=name
        )


def test_several_equations_change_one_by_one() -> None:
    """Two equal fits side by side."""
    given, problem = block(), Problem(link=LINEAR, names=("far", "Intercept", "x", "d"))
    centring = shared_columns(given, problem)[1]
    assert centring is not None
    one = fit_split(centring.apply(given), problem)
    two = replace(one, params=np.tile(one.params, 2), label_scores=np.tile(one.label_scores, 2))
    two = replace(
        two, **{name: np.kron(np.eye(2), getattr(one, name)) for name in ("vcov", "jacobian", "meat", "label_meat")}
    )
    back, both = centring.undo(one), centring.undo(two, equations=2)
    np.testing.assert_allclose(both.params, np.tile(back.params, 2))
    for name in ("vcov", "jacobian", "meat"):
        np.testing.assert_allclose(getattr(both, name), np.kron(np.eye(2), getattr(back, name)), atol=1e-9)


def test_columns_that_are_left_as_they_are() -> None:
    """Nothing far from zero, or no intercept to take up the means."""
    rng = np.random.default_rng(1)
    near = np.column_stack([np.ones(ROWS), rng.normal(size=ROWS)])
    assert centre(near, near.T @ near, 0) is None
    far = near + np.array([0.0, 1e4])
    assert centre(far, far.T @ far, None) is None
    assert centre(far, far.T @ far, 0) is not None
    z = near[:, 1] - near[:, 1].mean()
    z /= z.std()
    for mean, centred in ((1.01 * FAR, True), (0.99 * FAR, False)):
        column = np.column_stack([np.ones(ROWS), z + mean])
        assert (centre(column, column.T @ column, 0) is not None) is centred
