"""Weighted counts of words and parts of words, and a ridge on them."""

from typing import Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import check_is_fitted

from dsl._typing import AnyArray, FloatArray
from dsl.data.texts import Texts
from dsl.exceptions import ArgumentError
from dsl.learners.text.head import Head
from dsl.learners.text.memory import remembered
from dsl.learners.text.rows import ReadsTexts, TextRows, as_rows

LONG = 20_000_000
"""Characters in all texts together from which parts of words are left out: their counts would take gigabytes."""


class Tfidf(ReadsTexts, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Weighted counts of words and of parts of words, the numbers beside the text, and a ridge on both.

    Counts are those of words and pairs of words, and of runs of three to five characters within words, damped by logarithms,
    weighted by how few texts have them, and scaled to length one for each text (scikit-learn's ``TfidfVectorizer``). The
    vocabulary and its weights use no labels: in `dsl.dsl` they come from all texts, labelled or not, once for all folds.

    Parameters
    ----------
    words : int
        Longest run of words. 0 leaves words out.
    characters : int
        Longest run of characters. 0 leaves them out, and so are they where texts have more than 20 million characters.
    least : int
        Texts that must have a run for it to count.
    family : {None, "gaussian", "binomial"}
        With ``"binomial"`` predictions are those of a logistic ridge. None: as the call says, or gaussian.

    Attributes
    ----------
    head_ : Head
        The fitted ridge.

    Examples
    --------
    >>> texts = ["a good day", "good food", "a bad day", "bad food"] * 5
    >>> Tfidf().fit(texts, [1.0, 1.0, 0.0, 0.0] * 5).predict(["good", "bad"]).round() + 0.0
    array([1., 0.])
    """

    def __init__(self, *, words: int = 2, characters: int = 5, least: int = 2, family: str | None = None) -> None:
        self.words = words
        self.characters = characters
        self.least = least
        self.family = family

    def represent(self, texts: Texts) -> sparse.csr_matrix:
        """Counts of all texts: a sparse matrix (N, d)."""
        made = f"{type(self).__name__} {self.words} {self.characters} {self.least}"
        return remembered(
            made,
            None,
            texts.values,
            lambda: _counts(self._vectorizers(texts.values), texts.values, fit=True),
            lambda counts: int(counts.data.nbytes + counts.indices.nbytes),
        )

    def fit(self, x: TextRows | AnyArray, y: FloatArray) -> Self:
        """Fit to rows of texts and numbers, or to a list of texts, and gold values y (n,)."""
        rows, gold = as_rows(x), np.asarray(y, dtype=np.float64)
        counts = rows.represented
        if counts is None:
            self.vectorizers_ = self._vectorizers(rows.texts)
            counts = _counts(self.vectorizers_, rows.texts, fit=True)
        self.head_ = Head(self.family).fit(counts, rows.numbers, gold)
        return self

    def predict(self, x: TextRows | AnyArray) -> FloatArray:
        """Predict rows of texts and numbers, or texts: (m,)."""
        check_is_fitted(self, "head_")
        rows = as_rows(x)
        counts = rows.represented
        if counts is None:
            check_is_fitted(self, "vectorizers_")
            counts = _counts(self.vectorizers_, rows.texts, fit=False)
        return self.head_.predict(counts, rows.numbers)

    def _vectorizers(self, texts: AnyArray) -> list[TfidfVectorizer]:
        if min(self.words, self.characters) < 0 or not (self.words or self.characters):
            raise ArgumentError(
                f"words={self.words!r} and characters={self.characters!r} must be 0 or more, and one of them above 0"
            )
        common = {"sublinear_tf": True, "min_df": min(self.least, len(texts))}
        out = [TfidfVectorizer(ngram_range=(1, self.words), **common)] if self.words else []
        if self.characters and (not self.words or sum(map(len, texts)) <= LONG):
            shortest = min(3, self.characters)
            out.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(shortest, self.characters), **common))
        return out


def _counts(vectorizers: list[TfidfVectorizer], texts: AnyArray, *, fit: bool) -> sparse.csr_matrix:
    """Weighted counts by all vectorizers, side by side (n, d)."""
    parts = []
    for each in vectorizers:
        if fit:
            try:
                parts.append(each.fit_transform(texts))
            except ValueError as error:
                # no run of words is in enough texts: nothing to count
                if "vocabulary" not in str(error) and "terms remain" not in str(error):
                    raise
        elif hasattr(each, "vocabulary_"):
            parts.append(each.transform(texts))
    return sparse.csr_matrix(sparse.hstack(parts) if parts else (len(texts), 0))
