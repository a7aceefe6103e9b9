"""Embeddings of texts, from wherever they come, and a ridge on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from dsl._typing import AnyArray, FloatArray
from dsl.data.arguments import check_count
from dsl.data.files import PathLike, read_from
from dsl.data.tables import first_rows
from dsl.data.texts import Texts
from dsl.exceptions import ArgumentError, DataError, MissingDependencyError
from dsl.learners.text.endpoint import server_embeddings
from dsl.learners.text.head import Head
from dsl.learners.text.memory import remembered
from dsl.learners.text.rows import ReadsTexts, TextRows, as_rows
from dsl.learners.text.vectors import Make, stored_vectors

Source: TypeAlias = Callable[[list[str]], AnyArray] | FloatArray | pd.DataFrame | PathLike
"""Where embeddings come from."""
NEAR = 0.1
"""Distance of two embeddings of one text, relative to their length, from which they are not of the same text."""


class Embedding(ReadsTexts, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Embeddings of the texts, the numbers beside them, and a ridge on both.

    In `dsl.dsl` every text is embedded once, for all folds and splits: no label is needed for it. Gold values of 0 and 1 are
    predicted by a logistic ridge, others by a linear one with its penalty chosen by leaving one out, in closed form
    (`dsl.learners.text.head.Head`).

    Parameters
    ----------
    source : callable, array, data frame, str or Path, optional
        - A function from a list of texts to an array (N, d), a row each.
        - A matrix of embeddings with one row for each row of the data, in their order: an array, the path of an ``.npy`` file,
          or a data frame with the row labels of the data, which then are compared. Texts that are the same must have the same
          embedding, which finds many matrices in another order.
        - The name of a model of ``sentence-transformers``, or the folder of one.
    model : str, optional
        Instead of `source`, a model of a server that speaks OpenAI's protocol. The key comes from ``OPENAI_API_KEY``.
    base_url : str, optional
        The server's address, such as ``http://127.0.0.1:8080/v1``. By default ``OPENAI_BASE_URL``, or OpenAI's.
    cache : str or Path, optional
        A file that keeps embeddings by the hash of their text, so that none is computed or paid for again, whatever the order
        of the rows. It holds no text, and only grows. Of matrices there is nothing to keep.
    batch_size : int
        Texts that a server, a model or (with a cache) a function gets at a time.
    family : {None, "gaussian", "binomial"}
        With ``"binomial"`` the ridge is logistic for shares between 0 and 1 too. None: as the call says, or gaussian.

    Attributes
    ----------
    head_ : Head
        The fitted ridge.

    Raises
    ------
    ArgumentError
        Source and model are both given, or neither, or a matrix does not have a row for each row of the data.
    DataError
        Embeddings are missing, infinite, or (in a matrix) of other rows.
    MissingDependencyError
        The package that embeds is not installed.
    ServerError
        A server could not be asked.
    CacheError
        The file holds embeddings of another model.

    Examples
    --------
    >>> def lengths(texts):
    ...     return np.array([[len(text), text.count("!")] for text in texts])
    >>> Embedding(lengths).fit(["no", "yes!", "so", "ha!!"] * 5, [0.0, 2.0, 0.0, 3.0] * 5).predict(["oh", "oh!"]).round(1) + 0.0
    array([0. , 1.5])
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        model: str | None = None,
        base_url: str | None = None,
        cache: PathLike | None = None,
        batch_size: int = 64,
        family: str | None = None,
    ) -> None:
        self.source = source
        self.model = model
        self.base_url = base_url
        self.cache = cache
        self.batch_size = batch_size
        self.family = family

    def represent(self, texts: Texts) -> FloatArray:
        """Embeddings of all texts, (N, d)."""
        self._check()
        matrix = _matrix(self.source)
        if matrix is not None:
            return _rows_of(matrix, texts)
        # an id stands for a function as long as it is kept beside what it made
        maker = f"{self._maker} {id(self.source) if callable(self.source) else ''} {self.cache} {self.batch_size}"
        return remembered(
            maker, self.source, texts.values, lambda: self._embedded(texts.values), lambda made: made.nbytes
        )

    def fit(self, x: TextRows | AnyArray, y: FloatArray) -> Self:
        """Fit to rows of texts and numbers, or to a list of texts, and gold values y (n,)."""
        rows = as_rows(x)
        self.head_ = Head(self.family).fit(self._vectors(rows), rows.numbers, np.asarray(y, dtype=np.float64))
        return self

    def predict(self, x: TextRows | AnyArray) -> FloatArray:
        """Predict rows of texts and numbers, or texts: (m,)."""
        check_is_fitted(self, "head_")
        rows = as_rows(x)
        return self.head_.predict(self._vectors(rows), rows.numbers)

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy with the same source, of which every fold would otherwise have a copy of its own."""
        return type(self)(**self.get_params(deep=False))

    @property
    def words(self) -> str:
        """What it is, in a sentence of a paper."""
        what = "given as a matrix" if _matrix_like(self.source) else self._maker
        return f"ridge regression on embeddings ({what})"

    @property
    def _maker(self) -> str:
        """What embeds, by name."""
        if self.model is not None:
            return self.model
        if callable(self.source):
            kind = type(self.source)
            return str(getattr(self.source, "__qualname__", kind.__qualname__))
        return str(self.source)

    def _vectors(self, rows: TextRows) -> FloatArray:
        made = rows.represented
        return self.represent(Texts.of(rows.texts)) if made is None else np.asarray(made)

    def _check(self) -> None:
        if (self.source is None) == (self.model is None):
            raise ArgumentError(
                "Embedding needs either source= (a function, a matrix, or a model of sentence-transformers) or model= of a server"
            )
        if self.base_url is not None and self.model is None:
            raise ArgumentError("base_url= is a server's address, and no model= of it is named")
        if self.cache is not None and _matrix_like(self.source):
            raise ArgumentError("cache= keeps what was computed, and a matrix was computed before: leave it out")
        check_count(self.batch_size, name="batch_size", least=1)

    def _embedded(self, texts: AnyArray) -> FloatArray:
        """Embeddings of texts (N,), each different one made once."""
        codes, different = pd.factorize(texts)
        make = partial(self._made_by, self._function())
        if self.cache is not None:
            vectors = stored_vectors(self.cache, self._maker, list(different), make, self.batch_size)
        elif callable(self.source):
            vectors = make(list(different))
        else:
            starts = range(0, len(different), self.batch_size)
            vectors = np.vstack([make(list(different[i : i + self.batch_size])) for i in starts])
        return np.asarray(vectors[codes])

    def _function(self) -> Make:
        """What makes embeddings of a few texts."""
        if self.model is not None:
            return server_embeddings(self.model, self.base_url)
        return self.source if callable(self.source) else _sentence_transformer(str(self.source))

    def _made_by(self, function: Make, texts: list[str]) -> AnyArray:
        """Embeddings of a few texts, checked, (m, d)."""
        vectors = np.asarray(function(texts), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise DataError(
                f"{self._maker} made an array of shape {vectors.shape} of {len(texts)} texts; it must have a row for each"
            )
        _check_finite(vectors, pd.RangeIndex(len(texts)), "text")
        return vectors


def _matrix_like(source: object) -> bool:
    if isinstance(source, str | os.PathLike):
        return Path(source).suffix == ".npy"
    return source is not None and not callable(source)


def _matrix(source: object) -> FloatArray | pd.DataFrame | None:
    """The matrix that a source is, or None."""
    if not _matrix_like(source):
        return None
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, str | os.PathLike):
        with read_from(source, "an array of numpy's") as path:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    return np.asarray(source)


def _rows_of(matrix: FloatArray | pd.DataFrame, texts: Texts) -> FloatArray:
    """Rows of a matrix that are those of the texts, checked as far as can be."""
    values = matrix.to_numpy() if isinstance(matrix, pd.DataFrame) else matrix
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise ArgumentError(
            f"embeddings must be a matrix of numbers, a row for each row of the data; found shape {values.shape} of "
            f"{values.dtype}"
        )
    if len(values) != texts.n_input:
        raise ArgumentError(
            f"the embeddings have {len(values)} rows, and the data {texts.n_input}: one row for each is needed, in their order. "
            "Embedding(function, cache='vectors.bin') goes by the text instead"
        )
    if isinstance(matrix, pd.DataFrame) and not matrix.index[texts.rows].equals(texts.labels):
        other = np.array(
            [mine != theirs for mine, theirs in zip(matrix.index[texts.rows], texts.labels, strict=True)], dtype=bool
        )
        raise DataError(
            f"the embeddings have other row labels than the data in {first_rows(other, texts.labels)}; bring them into the order "
            "of the data, embeddings.loc[data.index]"
        )
    own = np.asarray(values[texts.rows])
    _check_finite(own, texts.labels, "row")
    codes, different = pd.factorize(texts.values)
    first = np.full(len(different), -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    apart = np.linalg.norm(own - own[first[codes]], axis=1) > NEAR * np.linalg.norm(own, axis=1)
    if apart.any():
        raise DataError(
            f"the embeddings are not those of these texts in their order: {first_rows(apart, texts.labels)} have another "
            "embedding than an earlier row with the same text; make them anew from the column as it is"
        )
    return own


def _check_finite(vectors: AnyArray, labels: pd.Index, what: str) -> None:
    bad = np.asarray(~np.isfinite(vectors).all(axis=1), dtype=bool)
    if bad.any():
        raise DataError(f"embeddings are missing or infinite in {first_rows(bad, labels, what)}; make them anew")


def _sentence_transformer(name: str) -> Make:
    """What makes embeddings by a model of sentence-transformers, which is loaded when the first text comes."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingDependencyError(
            f"Embedding({name!r}) needs the package sentence-transformers, which is not installed: pip install 'dsl[text]'"
        ) from error
    loaded: list[SentenceTransformer] = []

    def make(texts: list[str]) -> AnyArray:
        if not loaded:
            loaded.append(SentenceTransformer(name))
        return np.asarray(loaded[0].encode(texts, show_progress_bar=False))

    return make
