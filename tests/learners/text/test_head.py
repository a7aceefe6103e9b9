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
    """Embeddings with no column above the median deviation, and numbers with deviation one, have the same variance in all."""
    return np.hstack(
        [scaled_text(text, TEXT), (numbers - NUMBERS.mean(axis=0)) / NUMBERS.std(axis=0) * np.sqrt(SIZE / 2)]
    )


def scaled_text(text: np.ndarray, train: np.ndarray) -> np.ndarray:
    deviation = train.std(axis=0)
    down = np.minimum(1.0, np.median(deviation) / deviation)
    return (text - train.mean(axis=0)) * down * np.sqrt(SIZE / ((train * down).var(axis=0)).sum())


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
            scaled_text(text, text[rows]),
            (numbers - centre) / spread * np.sqrt(SIZE / 2),
        ]
    )
    theirs = LogisticRegression(C=2.0 / SIZE, tol=1e-10, max_iter=10_000).fit(scaled[rows], gold)
    np.testing.assert_allclose(mine.predict(text, numbers), theirs.predict_proba(scaled)[:, 1], atol=SOLVER)


def test_counts_are_scaled_as_a_whole() -> None:
    """Sparse columns keep their relative sizes, and need no centring. Those that no training row has count for nothing."""
    counts = np.where(TEXT - 2.0 > 0.5, TEXT, 0.0)
    counts[:, 5] = 0.0
    whole = counts * np.sqrt(SIZE / counts.var(axis=0).sum())
    numbers = (NUMBERS - NUMBERS.mean(axis=0)) / NUMBERS.std(axis=0) * np.sqrt(SIZE / 2)
    theirs = RidgeCV(PENALTIES).fit(np.hstack([whole, numbers]), Y)
    ours = Head().fit(sparse.csr_matrix(counts), NUMBERS, Y)
    found = ours.predict(sparse.csr_matrix(counts), NUMBERS)
    np.testing.assert_allclose(found, theirs.predict(np.hstack([whole, numbers])), atol=CLOSED_FORM)
    counts[:, 5] = 100.0
    np.testing.assert_array_equal(ours.predict(sparse.csr_matrix(counts), NUMBERS), found)


def test_columns_that_vary_far_more_than_others_do_not_rule() -> None:
    """As in the hidden states of language models: a column a thousand times as wide that says nothing."""
    wide = np.column_stack([TEXT, 1000.0 * RNG.normal(size=90)])
    loose, tight = (np.corrcoef(Head().fit(x, NUMBERS, Y).predict(x, NUMBERS), Y)[0, 1] for x in (wide, TEXT))
    assert loose > 0.97 * tight


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
