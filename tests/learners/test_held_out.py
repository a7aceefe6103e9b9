"""Learners that are kept predict what cross-fitting does."""

import numpy as np
import pytest

from dsl.learners.crossfit import cross_predict, draw_folds
from dsl.learners.held_out import HeldOut, Training

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("method", "distinct"), [("auto", True), ("ridge", True), ("ridge", False)])
def test_the_predictions_of_cross_fitting_in_blocks(method: str, distinct: bool) -> None:
    rng = np.random.default_rng(0)
    n, labels = 400, rng.random(400) < 0.4
    x = rng.integers(0, 3, (n, 2)).astype(float) if distinct else rng.normal(size=(n, 2))
    gold = np.column_stack([x[:, 0] + rng.normal(size=n), x @ [1.0, -1.0] + rng.normal(size=n)])[labels]
    folds = draw_folds(labels, None, cross_fit=3, sample_split=2, rng=rng)
    known = cross_predict(x, gold, labels, folds, sl_method=method, family="gaussian", seed=7)
    how = Training(sl_method=method, seed=7, groups=None, n_rows=n)
    held = HeldOut.train(x[labels], gold, folds[:, labels], family="gaussian", how=how)
    assert held.learners == known.learners
    for rows in (slice(0, 1), slice(1, 250), slice(250, n)):
        np.testing.assert_allclose(held.predictions(x[rows], folds[:, rows]), known.predictions[:, rows], rtol=1e-10)
