"""Rows that are not in memory: blocks of them, read again for every pass, and what is known of all of them beforehand.

Labelled rows are in memory. Of the others the engine sees sums only, piece by piece. `Streamed` stands in the place of a `Block`
wherever sums are all that is needed. It has no columns of all rows that anything could take by mistake.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.linalg import qr

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.model import Link
from dsl.exceptions import NeedsAllRowsError

Sums = tuple[FloatArray, ...]
"""What one pass over all rows adds up."""
Keep = Callable[[str, Callable[[], Sums]], Sums]
"""Gives the sums of the pass that a function of this name makes: as it makes them, or as they were kept."""


def as_made(name: str, make: Callable[[], Sums]) -> Sums:
    """Sums as the pass makes them."""
    return make()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """Sums over all rows at their predicted versions, where splits differ in outcomes alone (`dsl.engine.stack`)."""

    what: Literal["facts", "moments", "squares"]
    params: FloatArray
    """(k,) parameters of moments, or the point that facts are about."""
    link: Link = LINEAR
    changes: tuple[Callable[[Block], Block], ...] = ()
    """What is done to every block: to its columns, whatever the outcomes are."""

    def like(self, other: "Ask") -> bool:
        """Whether both ask for the same but for parameters and outcomes."""
        same = self.what == other.what and self.link is other.link and self.changes == other.changes
        return same and (self.what != "facts" or np.array_equal(self.params, other.params))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Products:
    """Sums of products of k columns about a point near their means, so that none lose digits where means dwarf spreads."""

    about: FloatArray
    """(k,) the point c."""
    inner: FloatArray
    """(k, k) sum of (x - c)(x - c)'."""
    total: FloatArray
    """(k,) sum of x - c."""
    weight: float
    """Number of rows, or sum of their weights."""

    def at(self, origin: FloatArray) -> FloatArray:
        """Sum of (x - o)(x - o)' for another point o (k,), (k, k)."""
        step = self.about - origin
        cross = self.total[:, None] * step
        return np.asarray(self.inner + cross + cross.T + self.weight * step[:, None] * step)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """Sums and extremes over all rows, columns at their predicted versions. k = f + p columns, fixed ones first."""

    plain: Products
    counted_products: Products
    """The same, rows counted by their analysis weights."""
    least: FloatArray
    """(k + 1,) smallest value of each column, and of the outcome."""
    most: FloatArray
    """(k + 1,) largest."""
    outcome_square: float
    """Sum of squares of the outcome."""
    outcome_above: float
    """Sum of the outcome's values above zero."""
    origin: FloatArray
    """(k,) what was taken off the columns."""

    @property
    def gram(self) -> FloatArray:
        """Sum of x x', (k, k)."""
        return self.plain.at(self.origin)

    @property
    def counted(self) -> FloatArray:
        """The same, rows counted by their analysis weights."""
        return self.counted_products.at(self.origin)

    @property
    def squares(self) -> FloatArray:
        """Sum of squares of each column, (k,)."""
        return np.diag(self.gram)

    @property
    def largest(self) -> FloatArray:
        """Largest absolute value of each column, and of the outcome, (k + 1,)."""
        return np.asarray(np.maximum(np.abs(self.least), np.abs(self.most)))

    @property
    def means(self) -> FloatArray:
        """Mean of each column, rows counted by their analysis weights, (k,)."""
        sums = self.counted_products
        return np.asarray(sums.about - self.origin + sums.total / (sums.weight or 1.0))

    @property
    def sums(self) -> Sums:
        """All numbers, as `of_sums` takes them."""
        both = [(p.about, p.inner, p.total, np.array([p.weight])) for p in (self.plain, self.counted_products)]
        return *both[0], *both[1], self.least, self.most, np.array([self.outcome_square, self.outcome_above])

    @classmethod
    def of_sums(cls, sums: Sums) -> "Facts":
        """Those of the columns as they are."""
        plain, counted = (
            Products(about=about, inner=inner, total=total, weight=float(weight[0]))
            for about, inner, total, weight in (sums[:4], sums[4:8])
        )
        least, most, (square, above) = sums[8:]
        return cls(
            plain=plain,
            counted_products=counted,
            least=least,
            most=most,
            outcome_square=float(square),
            outcome_above=float(above),
            origin=np.zeros(len(least) - 1),
        )

    def moved(self, means: FloatArray) -> "Facts":
        """Those of the columns less `means`, (k,)."""
        step = np.append(means, 0.0)
        return replace(self, origin=self.origin + means, least=self.least - step, most=self.most - step)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streamed:
    """All rows of one split in blocks that are made again for every pass, beside the labelled rows in memory."""

    again: Callable[[], Iterator[Block]]
    """One pass: blocks in the order of the rows."""
    own: Block
    """The labelled rows alone, as `Block.labeled` has them."""
    gold_rows: IntArray
    """(m,) positions of the labelled rows among all, ascending."""
    rows: int
    """N"""
    known: Facts | None = None
    """Of the rows as they are, after `changes`."""
    changes: tuple[Callable[[Block], Block], ...] = field(default=(), repr=False)
    """What is done to every block."""
    ask: Callable[[Ask], Sums] | None = field(default=None, repr=False)
    """Gives sums that are taken for all splits at once, where splits differ in outcomes alone."""
    keep: Keep = field(default=as_made, repr=False)
    """Gives the sums of its passes (`dsl.engine.one_pass`)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return self.rows, self.own.shape[1]

    @property
    def facts(self) -> Facts:
        """Sums over all rows."""
        assert self.known is not None
        return self.known

    @property
    def gold(self) -> FloatArray:
        """(m, p) the predicted columns at the gold values."""
        return self.own.gold

    @property
    def gold_outcome(self) -> FloatArray:
        """(m,) the outcome at the gold values."""
        return self.own.gold_outcome

    @property
    def weight(self) -> FloatArray:
        """(m,) 1 / sampling probability of the labelled rows."""
        return self.own.weight

    @property
    def n_measures(self) -> int:
        """Number of measures, at least one."""
        return self.own.n_measures

    @property
    def absorbs(self) -> bool:
        """Whether columns have projections on fixed effects."""
        return self.own.absorbs

    @property
    def multiplies(self) -> bool:
        """Whether effects multiply means."""
        return self.own.multiplies

    @property
    def has_left(self) -> bool:
        """Whether moments have other columns on their left than in the linear predictor."""
        return self.own.has_left

    def blocks(self) -> Iterator[Block]:
        """One pass over all rows, in the blocks in which they come."""
        yield from map(self.made, self.again())

    def made(self, block: Block) -> Block:
        """A block after all `changes`."""
        for change in self.changes:
            block = change(block)
        return block

    def pieces(self, size: int | None = None) -> Iterator[Block]:
        """The same in pieces as `Block.pieces` has them."""
        for block in self.blocks():
            yield from block.pieces(size)

    def labeled(self) -> Block:
        """The labelled rows alone."""
        return self.own

    def changed(self, change: Callable[[Block], Block], known: Facts | None = None) -> "Streamed":
        """The same with something done to every block, after which all rows have the sums `known`.

        They are None where outcomes change: then each split sees the rows for itself.
        """
        ask = None if known is None else self.ask
        return replace(self, own=change(self.own), changes=(*self.changes, change), known=known, ask=ask)

    def with_facts(self) -> "Streamed":
        """The same with its `facts`, which takes a pass."""
        return replace(self, known=Facts.of_sums(self.keep("facts", lambda: self._facts().sums)))

    def _facts(self) -> Facts:
        labels = self.own.fixed
        if self.ask is None or not len(labels):
            return facts_of(self.pieces(), self.shape[1])
        # near the means: of the labelled rows
        about = labels.mean(axis=0)
        return _facts_at_once(about, self.ask(Ask(what="facts", params=about)))


Rows = Block | Streamed
"""All rows of one split, in memory or not."""


def add_products(sums: tuple[FloatArray, FloatArray, FloatArray], x: FloatArray, row_weight: FloatArray | None) -> None:
    """Add columns (k, n) of some rows to sums of x x' (2, k, k), of x (2, k) and of rows (2,), without weights and with them."""
    inner, total, count = sums
    parts = [(x, float(x.shape[1]))]
    if row_weight is not None:
        parts.append((x * row_weight, float(row_weight.sum())))
    for place, (weighted, rows) in enumerate(parts):
        inner[place] += weighted @ x.T
        total[place] += weighted.sum(axis=1)
        count[place] += rows


def facts_of(pieces: Iterator[Block], k: int) -> Facts:
    """Sums over pieces with k columns."""
    about: FloatArray | None = None
    inner, total, count = np.zeros((2, k, k)), np.zeros((2, k)), np.zeros(2)
    least, most = np.full(k + 1, np.inf), np.full(k + 1, -np.inf)
    square, above = 0.0, 0.0
    for piece in pieces:
        if not len(piece.outcome):
            continue
        # a row for each column: numbers that are reduced stand next to each other
        x, y = np.concatenate([piece.fixed.T, piece.predicted.T]), piece.outcome
        least[:k], most[:k] = np.minimum(least[:k], x.min(axis=1)), np.maximum(most[:k], x.max(axis=1))
        least[k], most[k] = min(least[k], y.min()), max(most[k], y.max())
        square += float(y @ y)
        above += float(y[y > 0.0].sum())
        # near the means: of the first rows
        about = x.mean(axis=1) if about is None else about
        x -= about[:, None]
        add_products((inner, total, count), x, piece.row_weight)
    about = np.zeros(k) if about is None else about
    plain, counted = (Products(about=about, inner=inner[j], total=total[j], weight=float(count[j])) for j in range(2))
    return Facts(
        plain=plain,
        counted_products=counted if count[1] else plain,
        least=least,
        most=most,
        outcome_square=square,
        outcome_above=above,
        origin=np.zeros(k),
    )


def _facts_at_once(about: FloatArray, sums: Sums) -> Facts:
    """From the sums of `dsl.engine.stack.facts`."""
    inner, total, count, outcome, (low, high) = sums
    plain, counted = (Products(about=about, inner=inner[j], total=total[j], weight=float(count[j])) for j in range(2))
    return Facts(
        plain=plain,
        counted_products=counted if count[1] else plain,
        least=-low,
        most=high,
        outcome_square=float(outcome[0]),
        outcome_above=float(outcome[1]),
        origin=np.zeros(len(about)),
    )


def in_memory(block: Rows) -> Block:
    """The rows as one block, where something needs all of them at once. Raises NeedsAllRowsError if they are elsewhere."""
    if isinstance(block, Streamed):
        raise NeedsAllRowsError(
            "this covariance, or this model without gold labels, needs all rows in memory at once, and the data are read in "
            "blocks; use vcov='robust' ('HC1', with clusters 'CR1'), or fit a sample of the rows in memory"
        )
    return block


def columns_of(block: Block) -> FloatArray:
    """All columns at the predicted version, (n, k)."""
    return np.hstack([block.fixed, block.predicted]) if block.predicted.shape[1] else block.fixed


def triangle_of(pieces: Iterator[FloatArray], k: int) -> FloatArray:
    """R of the QR decomposition of rows that come in pieces, (k, k): that of the rows so far stands for them.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 6.0]])
    >>> found = triangle_of(iter([x[:1], x[1:]]), 2)
    >>> bool(np.allclose(found.T @ found, x.T @ x))
    True
    """
    triangle = np.zeros((0, k))
    for piece in pieces:
        rows = np.vstack([triangle, piece])
        # old versions of scipy refuse a matrix without rows or columns
        triangle = qr(rows, mode="r")[0][:k] if rows.size else triangle
    return np.asarray(triangle)
