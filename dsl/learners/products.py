"""Products of surrogates: what a linear learner cannot make of a label and the confidence in it.

A label s of 0 or 1 with confidence c says more of the gold value where c is high, on either side: (2s - 1) c. A learner that is
linear in s and c misses it. So with several surrogates that agree or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from dsl._typing import BoolArray, FloatArray

MOST = 6
"""Columns of surrogates up to which there are products: fifteen columns more."""
TAKEN = ("auto", "ridge")
"""Learners that see them: those that are ours to choose, and shrink what does not help. Others are the reference's, or make
their own."""


def takes_products(sl_method: object) -> bool:
    """Whether a learner sees products of the surrogates."""
    return isinstance(sl_method, str) and sl_method.strip().casefold() in TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """Which products of surrogates there are, and about what."""

    label: BoolArray
    """(q,) surrogates that are 0 or 1 in every row."""
    mean: FloatArray
    """(q,)"""
    pairs: tuple[tuple[int, int], ...]
    """(r,) surrogates of each product."""

    @classmethod
    def of(cls, blocks: Iterable[FloatArray]) -> "Products":
        """Of surrogates (., q) that come in blocks of rows, before constant products are left out (`varying`)."""
        label, total, together, count = np.ones(0, dtype=bool), np.zeros(0), np.zeros((0, 0), dtype=bool), 0
        for rows in blocks:
            if not count:
                q = rows.shape[1]
                label, total, together = np.ones(q, dtype=bool), np.zeros(q), np.zeros((q, q), dtype=bool)
            label &= np.isin(rows, (0.0, 1.0)).all(axis=0)
            total += rows.sum(axis=0)
            there = (rows != 0.0).astype(float)
            together |= there.T @ there > 0.0
            count += len(rows)
        q = len(label)
        pairs = combinations(range(q), 2) if 2 <= q <= MOST else ()
        return cls(
            label=label,
            mean=total / max(count, 1),
            # dummies of one variable are never both one: their signs' product is a sum of them
            pairs=tuple((i, j) for i, j in pairs if not (label[i] and label[j]) or together[i, j]),
        )

    @property
    def sums(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """All of it as numbers, as `of_sums` takes them."""
        return self.label.astype(float), self.mean, np.array(self.pairs, dtype=float).reshape(-1, 2)

    @classmethod
    def of_sums(cls, sums: Sequence[FloatArray]) -> "Products":
        """From its numbers."""
        label, mean, pairs = sums
        return cls(label=label > 0.0, mean=mean, pairs=tuple((int(i), int(j)) for i, j in pairs))

    def on(self, surrogates: FloatArray) -> FloatArray:
        """The products of some rows, (n, r)."""
        if not self.pairs:
            return np.empty((len(surrogates), 0))
        label = self.label
        signed = np.where(label, 2.0 * surrogates - 1.0, surrogates)
        centred = surrogates - self.mean
        out = [
            signed[:, i] * signed[:, j] if label[i] or label[j] else centred[:, i] * centred[:, j]
            for i, j in self.pairs
        ]
        return np.column_stack(out)

    def varying(self, surrogates: FloatArray) -> "Products":
        """Those that are not the same in all of these rows."""
        found = self.on(surrogates)
        kept = np.ptp(found, axis=0) > 0.0 if found.size else np.zeros(len(self.pairs), dtype=bool)
        return replace(self, pairs=tuple(pair for pair, keep in zip(self.pairs, kept, strict=True) if keep))


def products_of(surrogates: FloatArray) -> FloatArray:
    """Products of pairs of columns (N, q): those of 0 and 1 count as -1 and 1, others about their mean unless beside such.

    Parameters
    ----------
    surrogates : (N, q) array

    Returns
    -------
    (N, r) array
        Without constant columns. No column for more than `MOST` surrogates.

    Examples
    --------
    >>> products_of(np.array([[1.0, 0.9], [0.0, 0.9], [0.0, 0.6]])).ravel().tolist()
    [0.9, -0.9, -0.6]
    """
    return Products.of([surrogates]).varying(surrogates).on(surrogates)
