"""The ridge on texts and numbers, against scikit-learn on columns that are scaled by hand."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, RidgeCV

from dsl.learners.ridge import PENALTIES
from dsl.learners.text.head import SIZE, Head

pytestmark = pytest.mark.numeric

CLOSED_FORM = 1e-8  # another factorisation of the same equations
SOLVER = 1e-3  # scikit-learn's own stopping rule, in probabilities

RNG = np.random.default_rng(0)
TEXT = RNG.normal(size=(90, 30)) * np.linspace(1, 0.1, 30) + 2.0
NUMBERS = np.column_stack([RNG.normal(size=90) * 1000, RNG.integers(0, 2, 90)]).astype(float)
Y = TEXT[:, 0] + NUMBERS[:, 0] / 500 + NUMBERS[:, 1] + RNG.normal(size=90)
NEW = RNG.normal(size=(20, 30)) + 2.0, np.column_stack([RNG.normal(size=20) * 1000, RNG.integers(0, 2, 20)])


def by_hand(text: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Text as a whole, numbers each and then as a whole, have variances that add up to the same."""
    whole = (text - TEXT.mean(axis=0)) * np.sqrt(SIZE / TEXT.var(axis=0).sum())
    return np.hstack([whole, (numbers - NUMBERS.mean(axis=0)) / NUMBERS.std(axis=0) * np.sqrt(SIZE / 2)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_linear_ridge_is_scikit_learns(dtype: type) -> None:
    theirs = RidgeCV(PENALTIES).fit(by_hand(TEXT, NUMBERS), Y)
    ours = Head().fit(TEXT.astype(dtype), NUMBERS, Y)
    tolerance = CLOSED_FORM if dtype is np.float64 else 1e-4  # the columns themselves are rounded
    np.testing.assert_allclose(ours.predict(*NEW), theirs.predict(by_hand(*NEW)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("wide", [False, True])
def test_logistic_ridge_is_scikit_learns(wide: bool) -> None:
    """With more columns than rows it is fitted on the directions of the rows, which is the same."""
    text, numbers = (TEXT, NUMBERS)
    rows = np.arange(25) if wide else np.arange(90)
    gold = (np.median(Y) < Y).astype(float)[rows]
    mine = Head().fit(text[rows], numbers[rows], gold)
    centre, spread = numbers[rows].mean(axis=0), numbers[rows].std(axis=0)
    scaled = np.hstack(
        [
            (text - text[rows].mean(axis=0)) * np.sqrt(SIZE / text[rows].var(axis=0).sum()),
            (numbers - centre) / spread * np.sqrt(SIZE / 2),
        ]
    )
    theirs = LogisticRegression(C=2.0 / SIZE, tol=1e-10, max_iter=10_000).fit(scaled[rows], gold)
    np.testing.assert_allclose(mine.predict(text, numbers), theirs.predict_proba(scaled)[:, 1], atol=SOLVER)


def test_sparse_columns_and_dense_ones_agree() -> None:
    """Columns that no training row has count for nothing. Sparse columns are scaled by their variance, not centred."""
    counts = np.where(TEXT - 2.0 > 0.5, TEXT, 0.0)
    counts[:, 5] = 0.0
    one, two = (Head().fit(x, NUMBERS, Y) for x in (counts, sparse.csr_matrix(counts)))
    np.testing.assert_allclose(
        two.predict(sparse.csr_matrix(counts), NUMBERS), one.predict(counts, NUMBERS), atol=CLOSED_FORM
    )


def test_shares_are_logistic_in_a_binomial_call_only() -> None:
    shares = 1 / (1 + np.exp(-Y))
    bounded = Head("binomial").fit(TEXT, NUMBERS, shares).predict(TEXT, 10 * NUMBERS)
    assert 0.0 <= bounded.min() <= bounded.max() <= 1.0
    free = Head("gaussian").fit(TEXT, NUMBERS, shares).predict(TEXT, 10 * NUMBERS)
    assert free.min() < 0.0 or free.max() > 1.0


@pytest.mark.parametrize("gold", [np.ones(6), np.arange(6.0), np.array([0.0, 1, 0, 1, 0, 1])])
def test_nothing_to_learn_from(gold: np.ndarray) -> None:
    head = Head().fit(np.zeros((6, 0)), np.zeros((6, 0)), gold)
    np.testing.assert_allclose(head.predict(np.zeros((2, 0)), np.zeros((2, 0))), gold.mean())
    constant = Head().fit(np.full((6, 3), 7.0), np.full((6, 1), 2.0), gold)
    np.testing.assert_allclose(constant.predict(np.full((2, 3), 9.0), np.full((2, 1), 5.0)), gold.mean())
