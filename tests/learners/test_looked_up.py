"""Predictions that are looked up are those that the learners make."""

import numpy as np
import pytest

from dsl._typing import FloatArray
from dsl.learners.crossfit import draw_folds
from dsl.learners.held_out import HeldOut, Training
from dsl.learners.looked_up import LookedUp

pytestmark = pytest.mark.numeric
BLOCKS = [slice(0, 1), slice(1, 900), slice(900, 2_000), slice(2_000, 2_003)]


def trained(x: FloatArray, n_folds: int = 3) -> tuple[HeldOut, FloatArray]:
    rng = np.random.default_rng(1)
    gold = np.column_stack([x[:, 0] + rng.normal(size=len(x)), rng.normal(size=len(x))])
    labels = np.arange(len(x)) < 300
    folds = draw_folds(labels, None, cross_fit=n_folds, sample_split=2, rng=rng)
    how = Training(sl_method="lm", seed=7, groups=None, n_rows=len(x))
    return HeldOut.train(x[labels], gold[labels], folds[:, labels], family="gaussian", how=how), folds


@pytest.mark.parametrize("values", [2, 400])
@pytest.mark.parametrize("order", [1, -1])
def test_every_pass_has_the_predictions_of_the_learners(values: int, order: int) -> None:
    x = np.random.default_rng(0).integers(0, values, (2_003, 1)).astype(float)
    held, folds = trained(x)
    looked = LookedUp(held, len(x), 10_000)
    for again in range(3):
        for rows in BLOCKS[::order]:
            known = np.empty((2, rows.stop - rows.start, 2))
            for s in range(2):
                for j, row in enumerate(x[rows]):
                    fold = folds[s, rows][j]
                    known[s, j] = [learner.predict(row[None])[0] for learner in held.fitted[s][fold]]
            # features are not looked at once they are known
            found = looked.predictions(x[rows] if not again else np.full_like(x[rows], np.nan), folds[:, rows], rows)()
            np.testing.assert_allclose(found, known, rtol=1e-12)


@pytest.mark.parametrize(("values", "memory"), [(2, 1_000), (400, 3_000), (1e9, 10_000)])
def test_without_the_memory_or_with_many_values_learners_predict_again(values: float, memory: int) -> None:
    x = np.random.default_rng(0).integers(0, int(values), (2_003, 1)).astype(float)
    held, folds = trained(x)
    looked = LookedUp(held, len(x), memory)
    for _ in range(2):
        for rows in BLOCKS:
            found = looked.predictions(x[rows], folds[:, rows], rows)()
            np.testing.assert_allclose(found, held.predictions(x[rows], folds[:, rows]), rtol=1e-12)
