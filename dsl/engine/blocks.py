"""Blocks of rows: predicted and gold versions, as the moments need them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray

BLOCK_VALUES = 262_144
"""Values of x handled at a time. Temporary arrays then stay in the processor's cache. Products are too small for the linear
algebra library to share among threads, which on a busy machine would take many times longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One imputed version of the rows, and what it counts for."""

    predicted: FloatArray
    """(n, p) the predicted columns."""
    outcome: FloatArray
    """(n,)"""
    share: FloatArray | None = None
    """(n,) probability of this version, or None for one."""
    instruments: FloatArray | None = None
    """(n, .) predicted columns of the instruments, None without."""

    def rows(self, rows: slice | IntArray) -> "Version":
        """Some of the rows."""
        share = None if self.share is None else self.share[rows]
        return Version(predicted=self.predicted[rows], outcome=self.outcome[rows], share=share)


@dataclass(frozen=True, slots=True)
class Effects:
    """Factors whose effects multiply means."""

    factors: tuple[IntArray, ...]
    """(n,) level codes 0, 1, ... of each. Every level occurs."""
    alone: bool = False
    """Whether the predicted versions alone determine the effects, and columns count less their projections: what tuning
    scales, whose expectation over the labelling is then zero at every level."""
    counts: tuple[int, ...] = ()
    """Levels of each factor among all rows, where these are a part of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """Columns z of a block's rows."""

    names: tuple[str, ...]
    """(q,)"""
    excluded: BoolArray
    """(q,) those that are no covariates."""
    versions: tuple[FloatArray, ...]
    """(n, q) at each version of the rows."""
    gold: FloatArray
    """(m, q) at the gold values of the labelled rows."""
    absorbed: FloatArray | None = None
    """(n, q) projection of the pseudo-columns on the fixed effects (`dsl.engine.absorb`)."""
    centres: FloatArray | None = None
    """(n, q) projection of the predicted columns' means, by which all versions are centred within the fixed effects."""
    endogenous: tuple[int, ...] = ()
    """Places of the covariates that are no instruments, in the block's order."""

    def rows(self, rows: slice | IntArray, gold: slice) -> "Instruments":
        """Of some of the rows, and of the labelled ones."""
        return replace(
            self,
            versions=tuple(each[rows] for each in self.versions),
            gold=self.gold[gold],
            absorbed=_rows_of(self.absorbed, rows),
            centres=_rows_of(self.centres, rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What stands on the left of the moments in the place of the columns (`dsl.engine.instruments`)."""

    predicted: tuple[FloatArray, ...]
    """(n, k) at each version of the rows."""
    gold: FloatArray
    """(m, k) at the gold values of the labelled rows."""
    absorbed: FloatArray | None
    """(n, k) projection on the fixed effects."""
    first: FloatArray
    """(q, k) coefficients of the first stages, by which it was made of the instruments."""
    instruments: Instruments | None
    """What it was made of, None within fixed effects."""

    def rows(self, rows: slice | IntArray, gold: slice) -> "Left":
        """Some of the rows, and of the labelled ones."""
        return Left(
            predicted=tuple(each[rows] for each in self.predicted),
            gold=self.gold[gold],
            absorbed=_rows_of(self.absorbed, rows),
            first=self.first,
            instruments=None if self.instruments is None else self.instruments.rows(rows, gold),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Stages in which labels come (`dsl.engine.stages`), of a block with all rows."""

    level: tuple[int, ...]
    """Stage whose labels each imputed version has, 0 for predictions."""
    plain: tuple[FloatArray | None, ...]
    """(n,) probability of each version among those of its stage, None for one."""
    reached: tuple[FloatArray, ...]
    """(n,) R / pi of each stage before the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some rows of one split, as the moments need them.

    Parameters are ordered as the columns are: ``fixed`` first, then ``predicted``.
    """

    fixed: FloatArray
    """(n, f) columns that hold no predicted variable."""
    predicted: FloatArray
    """(n, p) the other columns, at the out-of-fold predictions."""
    outcome: FloatArray
    """(n,) the outcome, at the out-of-fold predictions if it is predicted."""
    gold_rows: IntArray
    """(m,) positions of the labelled rows in this block, ascending."""
    gold: FloatArray
    """(m, p) the predicted columns at the gold values."""
    gold_outcome: FloatArray
    """(m,) the outcome at the gold values."""
    weight: FloatArray
    """(m,) 1 / sampling probability of the labelled rows."""
    row_weight: FloatArray | None = None
    """(n,) what each row counts for in the analysis (survey weights), None for one each. They multiply moments and Jacobians."""
    offset: FloatArray | None = None
    """(n,) known part of the linear predictor, None for zero."""
    absorbed: FloatArray | None = None
    """(n, f + p) projection of the pseudo-columns on the fixed effects (`dsl.engine.absorb`)."""
    absorbed_outcome: FloatArray | None = None
    """(n,) projection of the pseudo-outcome on the fixed effects."""
    levels: tuple[IntArray, ...] = ()
    """(n,) level codes of each factor of fixed effects that are still to be absorbed (`dsl.engine.level_sums`), where rows are
    a part of all."""
    effects: "Effects | None" = None
    """Factors whose effects multiply means (`dsl.engine.effects`). All rows of a level are needed: pieces of a block have none,
    but the `multiplier` that came of them."""
    multiplier: FloatArray | None = None
    """(n,) what fitted means are multiplied by, None for one."""
    imputed: tuple[Version, ...] = ()
    """Versions whose moments are averaged. ``predicted`` and ``outcome`` are their means, and stand alone if this is empty."""
    measures: tuple[int, ...] = ()
    """Which of J measures (surrogates with a Lambda of their own) each imputed version belongs to. Their shares are those of
    the mean over measures. Empty for one."""
    left: Left | None = None
    """What moments have in the place of the columns x on their left, None for these themselves."""
    staged: Staged | None = None
    """Stages in which labels come, None for one. Parts of a block have none."""
    within: "Block | None" = None
    """The rows within the fixed effects, predicted versions only: what tuning scales. None where that is the block itself."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return len(self.outcome), self.fixed.shape[1] + self.predicted.shape[1]

    @property
    def absorbs(self) -> bool:
        """Whether columns have projections on fixed effects."""
        return self.absorbed is not None

    @property
    def multiplies(self) -> bool:
        """Whether effects multiply means."""
        return self.effects is not None

    @property
    def has_left(self) -> bool:
        """Whether moments have other columns on their left than in the linear predictor."""
        return self.left is not None

    @property
    def versions(self) -> tuple[Version, ...]:
        """The imputed versions of the rows, at least one."""
        return self.imputed or (Version(predicted=self.predicted, outcome=self.outcome),)

    @property
    def n_measures(self) -> int:
        """Number J of measures, at least one."""
        return max(self.measures, default=0) + 1

    @property
    def shown_rows(self) -> IntArray:
        """Rows with a label, of any stage, ascending."""
        return self.gold_rows if self.staged is None else np.flatnonzero(self.staged.reached[0] > 0.0)

    @property
    def scaled(self) -> tuple["Block", ...]:
        """What tuning scales: predicted versions, within the fixed effects if there are any, one block for each measure."""
        base = self if self.within is None else self.within
        return tuple(base._of_measure(j) for j in range(base.n_measures)) if base.measures else (base,)

    def _of_measure(self, measure: int) -> "Block":
        """The block with the versions of one measure."""
        mine = [place for place, each in enumerate(self.measures) if each == measure]
        own = [self.imputed[place] for place in mine]
        left = self.left and replace(self.left, predicted=tuple(self.left.predicted[place] for place in mine))
        if len(own) == 1:
            (one,) = own
            return replace(self, predicted=one.predicted, outcome=one.outcome, imputed=(), measures=(), left=left)
        # shares of the mean over J measures, back to those of this one
        return replace(self, left=left)._shared([replace(each, share=self.n_measures * _share(each)) for each in own])

    def weighted(self, weights: FloatArray) -> "Block":
        """The block with the weighted sum of the measures' moments, (J,) `weights`, in the place of their mean."""
        factors = self.n_measures * weights[list(self.measures)]
        pairs = zip(self.imputed, factors, strict=True)
        return self._shared([replace(each, share=factor * _share(each)) for each, factor in pairs])

    def _shared(self, versions: list[Version]) -> "Block":
        """The block with other versions, of one measure."""
        predicted = sum(_share(each)[:, None] * each.predicted for each in versions)
        outcome = sum(_share(each) * each.outcome for each in versions)
        return replace(
            self,
            predicted=np.asarray(predicted),
            outcome=np.asarray(outcome),
            imputed=tuple(versions),
            measures=(),
        )

    def with_left_columns(self) -> "Block":
        """The block with what stands on the left of its moments as its columns."""
        if self.left is None:
            return self
        versions = tuple(
            replace(version, predicted=own) for version, own in zip(self.versions, self.left.predicted, strict=True)
        )
        return replace(
            self,
            fixed=np.empty((len(self.outcome), 0)),
            predicted=versions[0].predicted,
            imputed=versions if len(versions) > 1 else (),
            gold=self.left.gold,
            absorbed=self.left.absorbed,
            left=None,
        )

    def pieces(self, size: int | None = None) -> Iterator["Block"]:
        """Cut into blocks of at most `size` rows, about `BLOCK_VALUES` values by default."""
        n, k = self.shape
        size = size or max(BLOCK_VALUES // max(k, 1), 2_048)
        if n <= size:
            yield self
            return
        for start in range(0, n, size):
            yield self._cut(slice(start, min(start + size, n)))

    def _cut(self, rows: slice) -> "Block":
        # gold_rows ascend, so that those of a run of rows are a run too
        gold = slice(*np.searchsorted(self.gold_rows, (rows.start, rows.stop)))
        return replace(
            self,
            fixed=self.fixed[rows],
            predicted=self.predicted[rows],
            outcome=self.outcome[rows],
            gold_rows=self.gold_rows[gold] - rows.start,
            gold=self.gold[gold],
            gold_outcome=self.gold_outcome[gold],
            weight=self.weight[gold],
            row_weight=_rows_of(self.row_weight, rows),
            offset=_rows_of(self.offset, rows),
            absorbed=_rows_of(self.absorbed, rows),
            absorbed_outcome=_rows_of(self.absorbed_outcome, rows),
            levels=tuple(codes[rows] for codes in self.levels),
            effects=None,
            multiplier=_rows_of(self.multiplier, rows),
            imputed=tuple(version.rows(rows) for version in self.imputed),
            left=None if self.left is None else self.left.rows(rows, gold),
            staged=None,
            within=None if self.within is None else self.within._cut(rows),
        )

    def labeled(self) -> "Block":
        """The rows with gold labels alone."""
        return self.at(self.gold_rows)

    def at(self, rows: IntArray) -> "Block":
        """Some rows, ascending, all with gold labels among them."""
        return replace(
            self,
            fixed=self.fixed[rows],
            predicted=self.predicted[rows],
            outcome=self.outcome[rows],
            gold_rows=np.searchsorted(rows, self.gold_rows),
            row_weight=_rows_of(self.row_weight, rows),
            offset=_rows_of(self.offset, rows),
            absorbed=_rows_of(self.absorbed, rows),
            absorbed_outcome=_rows_of(self.absorbed_outcome, rows),
            levels=tuple(codes[rows] for codes in self.levels),
            effects=None,
            multiplier=_rows_of(self.multiplier, rows),
            imputed=tuple(version.rows(rows) for version in self.imputed),
            left=None if self.left is None else self.left.rows(rows, slice(None)),
            staged=None,
            within=None if self.within is None else self.within.at(rows),
        )


def _share(version: Version) -> FloatArray:
    """Probability of one of several versions, (n,)."""
    assert version.share is not None
    return version.share


def _rows_of(array: FloatArray | None, rows: slice | IntArray) -> FloatArray | None:
    return None if array is None else array[rows]
