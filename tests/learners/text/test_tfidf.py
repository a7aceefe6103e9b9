"""Words and parts of words."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from dsl.data.texts import Texts
from dsl.exceptions import ArgumentError
from dsl.learners.text import TextRows, Tfidf
from tests.learners.text.words import worded

DATA = worded()
TEXTS, GOLD = DATA["body"].to_numpy(dtype=object), DATA["truth"].to_numpy()


def test_counts_are_scikit_learns() -> None:
    made = Tfidf(words=2, characters=0, least=2).represent(Texts.of(TEXTS))
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit_transform(TEXTS)
    np.testing.assert_allclose(made.toarray(), theirs.toarray())


def test_on_its_own_it_learns_its_vocabulary_where_it_is_fitted() -> None:
    learner = Tfidf().fit(TEXTS[:100], GOLD[:100])
    right = (learner.predict(TEXTS[100:]) > 0.5) == GOLD[100:]
    assert right.mean() > 0.95
    unknown = learner.predict(["zzz", ""])
    np.testing.assert_allclose(unknown, unknown[0])  # nothing known in either


def test_numbers_count_beside_the_text() -> None:
    rng = np.random.default_rng(2)
    number = rng.normal(size=(len(GOLD), 1))
    alone, both = (
        np.corrcoef(Tfidf().fit(TextRows(x, TEXTS), GOLD + 3 * number[:, 0]).predict(TextRows(x, TEXTS)), number[:, 0])
        for x in (number[:, :0], number)
    )
    assert both[0, 1] > 0.95 > 0.5 > alone[0, 1]


@pytest.mark.parametrize("texts", [["", "", "", ""], ["a", "b", "c", "d"], ["one word", "two", "three", "four"]])
def test_texts_without_anything_to_count(texts: list[str]) -> None:
    predicted = Tfidf().fit(texts, np.arange(4.0)).predict(texts)
    np.testing.assert_allclose(predicted, 1.5)


def test_arguments_and_clones() -> None:
    assert clone(Tfidf(words=1, least=3)).get_params() == {"words": 1, "characters": 5, "least": 3, "family": None}
    with pytest.raises(ArgumentError, match="words=0 and characters=0 must be 0 or more, and one of them above 0"):
        Tfidf(words=0, characters=0).fit(TEXTS, GOLD)
