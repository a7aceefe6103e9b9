"""Ridge with the penalty by leaving one out, against scikit-learn's and against leaving one out by hand."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge, RidgeCV

from dsl.learners.ridge import PENALTIES, fit_ridge

pytestmark = pytest.mark.numeric

CLOSED_FORM = 1e-8  # another factorisation of the same equations


def drawn(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(1.0, 0.05, d) + rng.normal(size=d)
    return x, x[:, : min(d, 5)].sum(axis=1) + rng.normal(size=n) + 3.0


@pytest.mark.parametrize(("n", "d"), [(80, 5), (60, 40), (50, 50), (40, 200), (6, 1)])
def test_scikit_learn_finds_the_same(n: int, d: int) -> None:
    x, y = drawn(n, d)
    theirs = RidgeCV(PENALTIES).fit(x, y)
    for matrix in (x, sparse.csr_matrix(x)):
        ours = fit_ridge(matrix, y, np.array(PENALTIES))
        assert ours.penalty == theirs.alpha_
        np.testing.assert_allclose(ours.coef, theirs.coef_, rtol=CLOSED_FORM, atol=CLOSED_FORM)
        np.testing.assert_allclose(ours.predict(matrix), theirs.predict(x), rtol=CLOSED_FORM, atol=CLOSED_FORM)


def test_errors_are_those_of_leaving_each_row_out() -> None:
    x, y = drawn(12, 20)
    penalties = np.array([0.1, 10.0])
    by_hand = [
        np.mean(
            [(y[i] - Ridge(a).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[[i]])[0]) ** 2 for i in range(len(y))]
        )
        for a in penalties
    ]
    np.testing.assert_allclose(fit_ridge(x, y, penalties).errors, by_hand, rtol=CLOSED_FORM)


def test_no_columns_and_collinear_ones() -> None:
    x, y = drawn(30, 3)
    np.testing.assert_allclose(fit_ridge(x[:, :0], y, np.ones(1)).predict(x[:, :0]), y.mean())
    twice = fit_ridge(np.hstack([x, x]), y, np.array(PENALTIES))
    np.testing.assert_allclose(twice.coef[:3], twice.coef[3:], atol=CLOSED_FORM)
