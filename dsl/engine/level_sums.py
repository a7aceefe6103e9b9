"""Fixed effects of rows that come in blocks: sums over levels, which are all that a projection needs of the rows.

The first pass sums the columns over the levels of each factor, and the weights over pairs of levels of two. `LevelSystem` makes
the effects of them, levels x columns numbers, and later passes look a row's projection up by its levels. With several factors a
second pass sums what the projection leaves, which takes the effects to rounding error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from dsl._typing import FloatArray, IntArray
from dsl.engine.absorb import LevelSystem, Projections, pairs_of, projected
from dsl.engine.blocks import Block
from dsl.engine.effects import multiplied
from dsl.engine.instruments import mean_instruments
from dsl.engine.levels import LevelSums, Lookup
from dsl.engine.moments import pseudo_values
from dsl.engine.passes import Passes
from dsl.engine.streamed import Ask, Streamed, Sums, facts_of

MERGED = 1_000_000
"""Pairs of levels that are held in parts before these are added up."""


class Normal:
    """The normal equations of the dummies, block after block."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts, self._totals = counts, LevelSums(counts)
        self._pairs: dict[tuple[int, int], sp.csr_matrix] = {}
        self._held: list[dict[tuple[int, int], sp.csr_matrix]] = []

    def add(self, factors: Sequence[IntArray], weight: FloatArray | None = None) -> None:
        """Some rows, as `LevelSums.add`."""
        counted = np.ones(len(factors[0])) if weight is None else weight
        self._totals.add(factors, counted[:, None])
        if len(factors) > 1:
            self._held.append(pairs_of(factors, self._counts, counted))
            # as many as there are already, so that each is added few times
            if sum(map(_size, self._held)) > max(MERGED, _size(self._pairs)):
                self._merge()

    def _merge(self) -> None:
        for part in self._held:
            self._pairs = {key: own + self._pairs[key] if self._pairs else own for key, own in part.items()}
        self._held = []

    @property
    def system(self) -> LevelSystem:
        """That of all rows."""
        self._merge()
        return LevelSystem([each[:, 0] for each in self._totals.of_factors], self._pairs)


def rank_of(factors: Sequence[IntArray], counts: Sequence[int]) -> int:
    """`LevelSystem.rank` of factors with level codes (N,) of all rows.

    Examples
    --------
    >>> rank_of([np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])], [2, 2])
    3
    """
    if len(counts) == 1:
        return counts[0]
    normal = Normal(counts)
    for start in range(0, len(factors[0]), MERGED):
        normal.add([codes[start : start + MERGED] for codes in factors])
    return normal.system.rank


def _size(pairs: dict[tuple[int, int], sp.csr_matrix]) -> int:
    return sum(int(each.nnz) for each in pairs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """What puts the projections on the effects into blocks of one split."""

    fixed: Lookup = field(repr=False)
    """Of the columns that no split changes."""
    moving: Lookup = field(repr=False)
    """Of `moving_columns`."""
    tuned: bool
    multiplied: tuple[int, ...] = ()
    """Levels of each factor, where effects multiply means."""

    def on(self, block: Block) -> Block:
        """Some rows, whose level codes the block has, with their projections."""
        if self.multiplied:
            # for the checks of columns
            absorbed = np.hstack([self.fixed.at(block.levels), self.moving.at(block.levels)[:, :-1]])
            own = replace(block, absorbed=absorbed, levels=())
            return multiplied(own, block.levels, tuned=self.tuned, counts=self.multiplied)
        p = block.predicted.shape[1]
        moving = self.moving.at(block.levels)
        z = 0 if block.left is None else block.left.first.shape[0]
        widths = [p, 1, z] * (2 if self.tuned else 1)
        parts = np.split(moving, np.cumsum(widths)[:-1], axis=1)
        found = Projections(
            fixed=self.fixed.at(block.levels),
            predicted=parts[0],
            outcome=parts[1][:, 0],
            within=(parts[3], parts[4][:, 0]) if self.tuned else None,
            instruments=parts[2],
            centres=parts[5] if self.tuned else None,
        )
        return replace(projected(block, found), levels=())


def moving_columns(block: Block, *, tuned: bool) -> FloatArray:
    """Columns whose projections differ between splits: of pseudo-values, and for tuning of predicted ones, (n, .)."""
    hats = [block.predicted, block.outcome[:, None]]
    gold = [block.gold, block.gold_outcome[:, None]]
    if block.left is not None and block.left.instruments is not None:
        hats.append(mean_instruments(block))
        gold.append(block.left.instruments.gold)
    pseudo = [pseudo_values(hat, own, block.gold_rows, block.weight) for hat, own in zip(hats, gold, strict=True)]
    return np.hstack([*pseudo, *(hats if tuned else [])])


def absorb(
    passes: Passes[Block, Ask, Sums],
    rows: Sequence[Streamed],
    counts: Sequence[int],
    *,
    tuned: bool,
    multiplies: bool = False,
) -> tuple[list[Streamed], list[list[FloatArray]]]:
    """Rows of each split with their facts, and with projections on the fixed effects in every block.

    Parameters
    ----------
    passes : Passes
    rows : sequence of Streamed
        Whose blocks have `Block.levels`.
    counts : sequence of int
        Levels of each factor among all rows.
    tuned : bool
        Whether a Lambda is to be chosen.
    multiplies : bool
        Whether effects multiply means (`dsl.engine.effects`).

    Returns
    -------
    list of Streamed
    list of lists of (levels,) arrays
        Sum of the pseudo-outcomes of each level of each factor, in each split.

    Raises
    ------
    ConvergenceError
        The factors are too weakly connected.
    """
    normal = Normal(counts)

    def columns(split: int, block: Block) -> FloatArray:
        moving = moving_columns(block, tuned=tuned and not multiplies)
        # what no split changes is summed in the first
        return moving if split else np.hstack([moving, block.fixed])

    def first(split: int) -> tuple[Streamed, LevelSums]:
        own, sums = rows[split], LevelSums(counts)

        def counted() -> Iterator[Block]:
            for block in own.blocks():
                sums.add(block.levels, columns(split, block), block.row_weight)
                if split == 0:
                    normal.add(block.levels, block.row_weight)
                yield from block.pieces()

        return replace(own, known=facts_of(counted(), own.shape[1])), sums

    found = passes.run([first] * len(rows))
    system = normal.system
    sizes = [system.size(sums.of_factors) for _, sums in found]
    effects = [system.effects(sums.of_factors, size) for (_, sums), size in zip(found, sizes, strict=True)]
    if len(counts) > 1:

        def second(split: int) -> LevelSums:
            sums, known = LevelSums(counts), Lookup(effects[split])
            for block in rows[split].blocks():
                sums.add(block.levels, columns(split, block) - known.at(block.levels), block.row_weight)
            return sums

        # refinement: to rounding error
        left = [
            system.effects(sums.of_factors, size)
            for sums, size in zip(passes.run([second] * len(rows)), sizes, strict=True)
        ]
        effects = [[a + b for a, b in zip(one, more, strict=True)] for one, more in zip(effects, left, strict=True)]
    width = rows[0].own.fixed.shape[1]
    cut = effects[0][0].shape[1] - width
    fixed = Lookup([each[:, cut:] for each in effects[0]])
    effects[0] = [each[:, :cut] for each in effects[0]]
    place = rows[0].own.predicted.shape[1]
    outcomes = [[each[:, place] for each in sums.of_factors] for _, sums in found]
    levels = tuple(counts) if multiplies else ()
    return [
        own.changed(Absorbed(fixed=fixed, moving=Lookup(moving), tuned=tuned, multiplied=levels).on, own.known)
        for (own, _), moving in zip(found, effects, strict=True)
    ], outcomes
