"""Sums over the same rows for all splits at once, where splits differ in their predicted outcomes alone.

Then all have the same columns x. Linear predictors of S splits are one product of matrices, (S, k) with (k, n). So are the
moments sum x r', with residuals r (S, n), and all sums of s x x' with weights s of each split: the k (k + 1) / 2 products of
columns are made once, and multiplied with the weights. Solvers, one for each split, ask for such sums (`Ask`) and wait. A pass
over the rows serves all that wait (`dsl.engine.passes`).

Rows are counted at their predicted version here, by their analysis weights, as if none had a label. What labels change is a sum
over the labelled rows, which are in memory (`dsl.engine.sums`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.models.model import Link
from dsl.engine.streamed import Ask, Sums, add_products

VALUES = 98_304
"""Numbers of one kind that are handled at a time: temporary arrays stay in the processor's cache."""
LEAST = 512
"""Fewest rows handled at a time."""
ALONE = 250_000
"""Multiplications up to which BLAS keeps a product of matrices in one thread."""
WIDE = 3
"""Columns for each split from which products of columns do not pay: each split's weighted columns are multiplied instead."""

Make = Callable[[int], Block]
"""Makes a block of rows as one split has it."""


class Stacked:
    """What makes a block of rows split by split, and the predicted outcomes of several splits at once."""

    def __init__(self, make: Make, outcomes: Callable[[Sequence[int]], FloatArray] | None = None) -> None:
        self._make, self._outcomes = make, outcomes

    def __call__(self, split: int) -> Block:
        """The block of one split."""
        return self._make(split)

    def outcomes(self, splits: Sequence[int]) -> FloatArray:
        """Predicted outcomes, (S, n)."""
        if self._outcomes is not None:
            return self._outcomes(splits)
        return np.stack([self._make(split).outcome for split in splits])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Some rows, as S splits have them."""

    columns: FloatArray
    """(k, n)"""
    outcomes: FloatArray
    """(S, n)"""
    row_weight: FloatArray | None = None
    """(n,) as in a `Block`."""
    offset: FloatArray | None = None
    """(n,)"""

    @classmethod
    def of(cls, made: Make, tasks: Sequence[int], first: Ask) -> "Stack":
        """The rows of a block, after the changes that were asked for, which are of columns alone."""
        block = made(tasks[0])
        several = (
            made.outcomes(tasks) if isinstance(made, Stacked) else np.stack([made(task).outcome for task in tasks])
        )
        for change in first.changes:
            block = change(block)
        return cls(columns=block.fixed.T, outcomes=several, row_weight=block.row_weight, offset=block.offset)

    def pieces(self) -> Iterator["Stack"]:
        """Runs of rows, whose number depends on nothing but numbers of columns and splits."""
        (k, n), splits = self.columns.shape, len(self.outcomes)
        size = max(min(VALUES // (k + 2 * splits), ALONE // (k * splits)), LEAST)
        for start in range(0, n, size):
            rows = slice(start, start + size)
            yield Stack(
                columns=np.ascontiguousarray(self.columns[:, rows]),
                outcomes=self.outcomes[:, rows],
                row_weight=None if self.row_weight is None else self.row_weight[rows],
                offset=None if self.offset is None else self.offset[rows],
            )

    def counted(self, values: FloatArray) -> FloatArray:
        """Values (S, n), each row's times its analysis weight."""
        return values if self.row_weight is None else values * self.row_weight

    def residuals(self, link: Link, params: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Residuals (S, n) at `params` (k, S), and slopes of the means, None where they are one."""
        eta = params.T @ self.columns
        if self.offset is not None:
            eta += self.offset
        mean = link.mean(eta)
        residual = self.outcomes - mean if link.residual is None else link.residual(self.outcomes, eta, mean)
        slope = None if link.slope is None else link.slope(self.outcomes, eta, mean)
        return residual, slope


def moments(stack: Stack, ask: Ask, params: FloatArray) -> Sums:
    """Sums of x r, (k, S), and of slopes times the products of columns, (p, S), empty where slopes are one."""
    sloped = ask.link.slope is not None
    moment, slopes = np.zeros(params.shape), np.zeros((triangle(len(params)) if sloped else 0, params.shape[1]))
    for piece in stack.pieces():
        residual, slope = piece.residuals(ask.link, params)
        moment += piece.columns @ piece.counted(residual).T
        if slope is not None:
            slopes += weighted_products(piece.columns, piece.counted(slope))
    return moment, slopes


def squares(stack: Stack, ask: Ask, params: FloatArray) -> Sums:
    """Sums of x r, (k, S), and of r^2 times the products of columns, (p, S)."""
    moment, meat = np.zeros(params.shape), np.zeros((triangle(len(params)), params.shape[1]))
    for piece in stack.pieces():
        residual = piece.counted(piece.residuals(ask.link, params)[0])
        moment += piece.columns @ residual.T
        meat += weighted_products(piece.columns, np.square(residual, out=residual))
    return moment, meat


def facts(stack: Stack, ask: Ask, params: FloatArray) -> Sums:
    """What `dsl.engine.streamed.Facts` has.

    Sums of products of the columns about a point (2, k, k), of these columns (2, k), and of rows (2,), without weights and with
    them. Sums of squares and of positive values of the outcomes, (2, S). Minus the smallest and the largest value of each
    column (2, k), and of outcomes (2, S).
    """
    k, splits = params.shape
    inner, total, count, outcome = np.zeros((2, k, k)), np.zeros((2, k)), np.zeros(2), np.zeros((2, splits))
    extreme, range_of = np.full((2, k), -np.inf), np.full((2, splits), -np.inf)
    for piece in stack.pieces():
        y = piece.outcomes
        outcome += np.einsum("ij,ij->i", y, y), np.maximum(y, 0.0).sum(axis=1)
        for known, values in ((extreme, piece.columns), (range_of, y)):
            np.maximum(known, (-values.min(axis=1), values.max(axis=1)), out=known)
        add_products((inner, total, count), piece.columns - params[:, :1], piece.row_weight)
    return inner, total, count, outcome, extreme, range_of


def triangle(k: int) -> int:
    """Number p of different products of k columns."""
    return k * (k + 1) // 2


def weighted_products(columns: FloatArray, weights: FloatArray) -> FloatArray:
    """Sums of weights (S, n) times the products of columns (k, n), each product once, (p, S).

    Examples
    --------
    >>> weighted_products(np.array([[1.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 10.0]])).ravel().tolist()
    [11.0, 32.0, 94.0]
    """
    k, splits = len(columns), len(weights)
    out = np.empty((triangle(k), splits))
    if k > WIDE * splits:
        places = np.triu_indices(k)
        for split, weight in enumerate(weights):
            out[:, split] = ((columns * weight) @ columns.T)[places]
        return out
    first = 0
    for j in range(k):
        np.matmul(columns[j:] * columns[j], weights.T, out=out[first : first + k - j])
        first += k - j
    return out


def whole(products: FloatArray, k: int) -> FloatArray:
    """The symmetric matrix (k, k) of its different elements (p,)."""
    out = np.empty((k, k))
    rows, columns = np.triu_indices(k)
    out[rows, columns] = out[columns, rows] = products
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What can be asked for."""

    sums: Callable[[Stack, Ask, FloatArray], Sums]
    """Over a block, for splits with the same ask but other parameters (k, S)."""
    own: Callable[[Sums, int, int], Sums]
    """Those of one split, given its place and k."""
    largest: int = 0
    """Number of arrays, the last ones, of which the largest values are taken and no sums."""


def _symmetric(sums: Sums, place: int, k: int) -> Sums:
    moment, products = sums
    return moment[:, place].copy(), whole(products[:, place], k) if len(products) else np.zeros((k, k))


def _facts(sums: Sums, place: int, k: int) -> Sums:
    inner, total, count, outcome, extreme, range_of = sums
    return inner, total, count, outcome[:, place], np.column_stack([extreme, range_of[:, place]])


KINDS = {
    "moments": Kind(sums=moments, own=_symmetric),
    "squares": Kind(sums=squares, own=_symmetric),
    "facts": Kind(sums=facts, own=_facts, largest=2),
}


class Gathering:
    """Sums that several tasks have asked for, block by block.

    Parameters
    ----------
    asks : mapping of int to Ask
        By task.
    """

    def __init__(self, asks: Mapping[int, Ask]) -> None:
        self._asks = asks
        self._groups: list[list[int]] = []
        self._sums: list[list[FloatArray]] = []
        for task in sorted(asks):
            mine = next((group for group in self._groups if asks[group[0]].like(asks[task])), None)
            if mine is None:
                self._groups.append([task])
            else:
                mine.append(task)

    def part(self, made: Make) -> Callable[[], None]:
        """Take the sums over one block, for each group of tasks that ask for the same, and return what adds them."""
        out = list[Sums]()
        with np.errstate(all="ignore"):
            for group in self._groups:
                first = self._asks[group[0]]
                stack = Stack.of(made, group, first)
                params = np.column_stack([self._asks[task].params for task in group])
                out.append(KINDS[first.what].sums(stack, first, params))
        return partial(self._add, out)

    def _add(self, part: Sequence[Sums]) -> None:
        if not self._sums:
            self._sums = [list(sums) for sums in part]
            return
        for group, known, new in zip(self._groups, self._sums, part, strict=True):
            last = len(known) - KINDS[self._asks[group[0]].what].largest
            for place, (total, each) in enumerate(zip(known, new, strict=True)):
                (np.add if place < last else np.maximum)(total, each, out=total)

    def answers(self) -> dict[int, Sums]:
        """By task."""
        out: dict[int, Sums] = {}
        for group, sums in zip(self._groups, self._sums, strict=True):
            first = self._asks[group[0]]
            for place, task in enumerate(group):
                out[task] = KINDS[first.what].own(tuple(sums), place, len(first.params))
        return out
