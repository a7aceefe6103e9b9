"""Rows of texts and numbers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator

from dsl.exceptions import ArgumentError, ColumnTypeError, TextError
from dsl.learners.text import Embedding, TextRows, Tfidf
from dsl.learners.text.rows import as_rows

TEXTS = np.array(["a", "b", "c"], dtype=object)


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True]), slice(0, 2)])
def test_everything_is_picked_alike(rows: object) -> None:
    made = {"dense": np.arange(6).reshape(3, 2), "sparse": sparse.csr_matrix(np.eye(3))}
    picked = TextRows(np.arange(3.0)[:, None], TEXTS, made["dense"], made)[rows]  # type: ignore[index]
    np.testing.assert_array_equal(picked.texts, TEXTS[rows])  # type: ignore[index]
    np.testing.assert_array_equal(picked.numbers[:, 0], np.arange(3.0)[rows])  # type: ignore[index]
    assert picked.represented is not None
    np.testing.assert_array_equal(picked.represented, made["dense"][rows])  # type: ignore[index]
    np.testing.assert_array_equal(picked.seen_by("sparse").represented.toarray(), np.eye(3)[rows])  # type: ignore[index,union-attr]
    sent = pickle.loads(pickle.dumps(picked))  # as to another process
    np.testing.assert_array_equal(sent.represented, picked.represented)
    assert len(picked) == picked.shape[0] == 2


@pytest.mark.parametrize("texts", [list(TEXTS), TEXTS, pd.Series(TEXTS, dtype="string")])
def test_lists_of_texts_are_rows_without_numbers(texts: list[str]) -> None:
    rows = as_rows(texts)
    assert rows.shape == (3, 0)
    assert list(rows.texts) == ["a", "b", "c"]
    assert as_rows(rows) is rows


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("one text", ArgumentError, "takes a list of texts"),
        (np.zeros((3, 2)), ArgumentError, r"found ndarray of shape \(3, 2\)"),
        ([1.0, 2.0], ColumnTypeError, "something other than text in 2 rows"),
        (["a", None], TextError, "missing in 1 row"),
    ],
)
def test_what_is_no_list_of_texts(given: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        as_rows(given)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(BaseEstimator, "__sklearn_tags__"), reason="scikit-learn before 1.6 knows no such tags")
@pytest.mark.filterwarnings("ignore:Can't test estimator:UserWarning")
@pytest.mark.parametrize("learner", [Tfidf(), Embedding(len)])
def test_scikit_learns_checks_as_far_as_they_apply(learner: BaseEstimator) -> None:
    """Cloning is checked. All other checks fit numbers, and the tags say that these are none of this estimator's."""
    check_estimator(learner)
