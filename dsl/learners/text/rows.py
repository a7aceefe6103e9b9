"""What a learner that reads texts is, and the rows that it sees: texts, and the numbers beside them.

A text learner is a scikit-learn estimator with one method more. Before any fold is fitted, `represent` makes of all texts
whatever costs most and needs no labels (a matrix of word counts, embeddings, token numbers), once for all folds and splits.
As no label enters, no row's prediction depends on its own label, which is all that cross-fitting has to see to. `fit` and
`predict` then get the rows of a fold as `TextRows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, BoolArray, FloatArray, IntArray
from dsl.data.texts import Texts, check_texts
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from dsl.learners.auto import Method

Picked: TypeAlias = "IntArray | BoolArray | slice"
"""Which rows: positions, a mask, or a slice."""


class Represented(Protocol):
    """What is made of texts, a row each: an array, or a sparse matrix of scipy's."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""

    def __getitem__(self, rows: Any, /) -> Any:
        """The same of some rows."""


@dataclass(frozen=True, slots=True, eq=False)
class TextRows:
    """Rows as a text learner sees them. Indexing picks rows, as it does of an array."""

    numbers: FloatArray
    """(n, p) predictions and features. p may be 0."""
    texts: AnyArray
    """(n,) objects, all ``str``."""
    represented: Represented | None = None
    """(n, ...) what the learner's `represent` made of them. None where it was not asked, as outside `dsl.dsl`."""
    made: Mapping[str, Represented] = field(default_factory=dict)
    """The same by the learner's key, of all learners of a call."""

    def __len__(self) -> int:
        """Number of rows n."""
        return len(self.texts)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of numbers: (n, p)."""
        return len(self.texts), self.numbers.shape[1]

    def __getitem__(self, rows: Picked) -> TextRows:
        """Some of the rows."""
        own = None if self.represented is None else self.represented[rows]
        made = {key: matrix[rows] for key, matrix in self.made.items()}
        return TextRows(self.numbers[rows], self.texts[rows], own, made)

    def seen_by(self, key: str) -> TextRows:
        """The rows as the learner with this key sees them."""
        return TextRows(self.numbers, self.texts, self.made[key])

    def columns(self, which: BoolArray) -> TextRows:
        """The rows with some columns of numbers, (p,)."""
        return replace(self, numbers=self.numbers[:, which])


class TextLearner(Protocol):
    """A learner that reads texts.

    It has ``get_params`` and ``set_params`` too, as every estimator of scikit-learn, since each fold fits a clone. Two
    parameters are set for it where they are None: ``random_state``, to the fold's seed, and ``family``, to that of the call
    (``"binomial"``: gold values lie in [0, 1]). A classifier (of scikit-learn's kind) predicts by ``predict_proba`` and is fitted
    to 0/1, a regressor by ``predict``.
    """

    def represent(self, texts: Texts, /) -> Represented:
        """What is made of the texts of all rows, (N, ...): once for a call, without labels, and by the unfitted learner.

        An array of objects with the texts themselves (``texts.values``) serves where there is nothing to be made.
        """
        ...

    def fit(self, x: TextRows, y: AnyArray, /) -> object:
        """Learn from labelled rows and their gold values y (n,)."""
        ...

    def predict(self, x: TextRows, /) -> ArrayLike:
        """Predict rows: an array (m,)."""
        ...


Rows: TypeAlias = FloatArray | TextRows
"""What learners are fitted to and predict."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A learner of the user, and the key under which `TextRows.made` has what it made of the texts."""

    learner: Method
    key: str


class ReadsTexts:
    """Says to scikit-learn that an estimator takes texts, not tables of numbers. Stands first among an estimator's bases."""

    def __sklearn_tags__(self) -> Any:
        """Tags, of scikit-learn 1.6 and later."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


def is_text_learner(estimator: object) -> TypeGuard[TextLearner]:
    """Whether an estimator reads texts."""
    return not isinstance(estimator, type) and hasattr(estimator, "represent")


def as_rows(x: TextRows | Sequence[str] | AnyArray | pd.Series) -> TextRows:
    """Rows of texts alone, or those that came.

    Raises
    ------
    ArgumentError
        Neither.

    Examples
    --------
    >>> as_rows(["first text", "second"]).shape
    (2, 0)
    """
    if isinstance(x, TextRows):
        return x
    if isinstance(x, str) or np.ndim(x) != 1:
        raise ArgumentError(
            f"a learner that reads texts takes a list of texts, or TextRows(numbers, texts); found {type(x).__name__} of shape "
            f"{np.shape(x)}"
        )
    texts = pd.Series(x, name="x", dtype=object)
    check_texts(texts)
    return TextRows(np.zeros((len(texts), 0)), texts.to_numpy())


def numbers_of(x: Rows) -> FloatArray:
    """What a learner that reads no texts sees of rows."""
    return x.numbers if isinstance(x, TextRows) else x
