"""The blocks of the named estimators: what each makes of gold labels and predictions.

All solve sum_i psi_i = 0 with psi_i a weighting of a row's gold and predicted versions, so they share
the engine and differ only in the block that they hand to it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import warn_caller
from dsl.data.formula.matrices import Design
from dsl.data.formula.sides import Values
from dsl.data.sample import Sample
from dsl.engine.absorb import Absorber, Projections, projected
from dsl.engine.blocks import Block, Instruments, Staged, Version
from dsl.engine.effects import level_sums, multiplied
from dsl.engine.instruments import instrumented, unstaged
from dsl.engine.moments import design_weights, gold_weights, imputed_weights, pseudo_values
from dsl.engine.sums import WeightRule
from dsl.estimators.stages import staged_of, staged_shares, staged_values
from dsl.exceptions import FewLabelsWarning


class Blocks:
    """Makes the blocks of one analysis. What no split changes is computed once.

    Parameters
    ----------
    design : Design
    sample : Sample
    tuned : bool
        Whether Lambda is to be chosen, for which absorbed fixed effects need more.
    factors : sequence of tuples of str
        Columns of each absorbed factor, in models whose effects multiply means. Empty in linear models.
    part : bool
        Whether these rows are a part of all, so that what needs sums over all is left for later.
    """

    def __init__(
        self,
        design: Design,
        sample: Sample,
        *,
        tuned: bool = False,
        factors: Sequence[tuple[str, ...]] = (),
        part: bool = False,
    ) -> None:
        self._factors = tuple(factors)
        self._said = set[tuple[str, ...]]()
        self._design = design
        self._tuned = tuned
        self._sample = sample
        self._gold_rows: IntArray = np.flatnonzero(sample.labeled)
        self._weight = sample.weight
        self._row_weight = sample.row_weight
        whole = bool(sample.absorbed) and not part
        self._absorber = Absorber(sample.absorbed, sample.row_weight) if whole else None
        self._part, self._levels = part, sample.absorbed if part else ()
        self._absorbed_fixed: FloatArray | None = None

    @property
    def sample(self) -> Sample:
        """Rows of the analysis."""
        return self._sample

    @property
    def absorbed_rank(self) -> int:
        """Number of free parameters in the fixed effects."""
        return 0 if self._absorber is None else self._absorber.rank

    def version(self, values: Values, share: FloatArray | None = None) -> Version:
        """All rows with the predicted variables at `values`, each (N,), and the probability of these."""
        outcome = self._design.outcome_at(values)
        part = self._design.instruments
        instruments = None if part is None else part.at(values)
        return Version(
            predicted=self._design.covariates.at(values), outcome=outcome, share=share, instruments=instruments
        )

    def dsl(self, values: Values) -> Block:
        """All rows, the predicted variables at predictions `values`, each (N,)."""
        return self.averaged([values], [None])

    def averaged(self, versions: Sequence[Values], shares: Sequence[FloatArray | None]) -> Block:
        """All rows, the predicted moment averaged over `versions` of the predicted variables, and over stages."""
        values, parts = staged_values(self._sample, versions), staged_shares(self._sample, shares)
        found = [self.version(*each) for each in zip(values, parts, strict=True)]
        return self.adjusted(found, staged=staged_of(self._sample, shares))

    def adjusted(
        self, versions: Sequence[Version], measures: Sequence[int] = (), staged: Staged | None = None
    ) -> Block:
        """All rows, the predicted moment averaged over `versions`, each of one of several `measures` if there are more."""
        design, weight, rows, imputed = self._design, self._weight, self._gold_rows, tuple(versions)
        predicted, outcome = _mean(imputed)
        block = Block(
            fixed=design.covariates.fixed,
            predicted=predicted,
            outcome=outcome,
            gold_rows=rows,
            gold=design.gold,
            gold_outcome=design.gold_outcome,
            weight=weight,
            row_weight=self._row_weight,
            offset=design.offset,
            imputed=imputed if len(imputed) > 1 else (),
            measures=tuple(measures),
            staged=staged,
            levels=self._levels,
        )
        if self._absorber is not None:
            block = self._absorb(block, self._absorber)
        return self._with_instruments(block, imputed, design_weights, self._absorber)

    def _with_instruments(
        self, block: Block, versions: tuple[Version, ...], rule: WeightRule, absorber: Absorber | None
    ) -> Block:
        """The block with its instruments, where there are any, whose first stage counts rows by `rule`."""
        design, part = self._design, self._design.instruments
        if part is None or design.gold_instruments is None:
            return block
        # of labelled rows alone, and of all
        fixed = part.fixed if len(part.fixed) == len(block.outcome) else part.fixed[self._gold_rows]
        gold = design.gold_instruments[: len(block.gold_rows)]
        each = [each.instruments for each in versions if each.instruments is not None]
        absorbed, centres = None, None
        if absorber is not None:
            mean = sum(
                (one if v.share is None else v.share[:, None] * one) for one, v in zip(each, versions, strict=True)
            )
            pseudo = pseudo_values(np.asarray(mean), gold, block.gold_rows, block.weight)
            absorbed = absorber.project(np.hstack([fixed, pseudo]))
            centres = None if block.within is None else absorber.project(np.hstack([fixed, np.asarray(mean)]))
        z = Instruments(
            names=design.instrument_names,
            excluded=np.array([name not in design.block_names for name in design.instrument_names]),
            endogenous=tuple(j for j, name in enumerate(design.block_names) if name not in design.instrument_names),
            versions=tuple(np.hstack([fixed, one]) for one in each),
            gold=np.hstack([fixed[block.gold_rows], gold]),
            absorbed=absorbed,
            centres=centres,
        )
        return unstaged(block, z) if self._part else instrumented(block, z, rule(block))

    def _absorb(self, block: Block, absorber: Absorber) -> Block:
        """The block with its fixed effects: projections of the pseudo-values and, for tuning, the predicted versions within."""
        # effects absorb x~ = x_hat + w (x - x_hat) and y~, which are unbiased for the gold values on every row. Gold
        # values alone would leave the effects of levels without labelled rows undetermined.
        predicted = pseudo_values(block.predicted, block.gold, block.gold_rows, block.weight)
        outcome = pseudo_values(block.outcome, block.gold_outcome, block.gold_rows, block.weight)
        if self._factors:
            absorbed = np.hstack([self._fixed_projection(absorber), absorber.project(predicted)])
            return self._multiplied(replace(block, absorbed=absorbed), self._sample.absorbed, design_weights)
        hats = (absorber.project(block.predicted), absorber.project(block.outcome)) if self._tuned else None
        return projected(
            block,
            Projections(
                fixed=self._fixed_projection(absorber),
                predicted=absorber.project(predicted),
                outcome=absorber.project(outcome),
                within=hats,
            ),
        )

    def _multiplied(self, block: Block, factors: Sequence[IntArray], rule: WeightRule) -> Block:
        """The block with effects that multiply means. `absorbed` stays for the checks of columns."""
        out = multiplied(block, factors, tuned=self._tuned)
        for columns, codes, sums in zip(self._factors, factors, level_sums(out, rule), strict=True):
            # pseudo-outcomes of few labels can have a sum below zero
            bad = np.flatnonzero(sums <= 0.0)
            if len(bad) and columns not in self._said:
                self._said.add(columns)
                self._warn_of_levels(columns, codes, bad, len(sums), rows=len(block.outcome))
        return out

    def _warn_of_levels(self, columns: tuple[str, ...], codes: IntArray, bad: IntArray, levels: int, rows: int) -> None:
        data = self._sample.data if rows == len(self._sample.data) else self._sample.data[self._sample.labeled]
        first = [data[list(columns)].iloc[int(np.argmax(codes == level))] for level in bad[:3]]
        warn_of_levels("^".join(columns), ["^".join(map(str, each)) for each in first], len(bad), levels)

    def gold_only(self) -> Block:
        """The labelled rows alone, for `dsl.engine.moments.gold_weights`: inverse-probability weighting."""
        design, sample, rows = self._design, self._sample, self._gold_rows
        fixed = design.covariates.fixed[rows]
        absorbed, absorbed_outcome, absorber = None, None, None
        codes: list[IntArray] = []
        row_weight = None if self._row_weight is None else self._row_weight[rows]
        if sample.absorbed:
            # levels without labelled rows have no effect to estimate: codes are closed up, as every level must occur
            codes = [np.unique(factor[rows], return_inverse=True)[1] for factor in sample.absorbed]
            absorber = Absorber(codes, self._weight if row_weight is None else row_weight * self._weight)
            absorbed = absorber.project(np.hstack([fixed, design.gold]))
            absorbed_outcome = absorber.project(design.gold_outcome)
        block = Block(
            fixed=fixed,
            predicted=design.gold,
            outcome=design.gold_outcome,
            gold_rows=np.arange(len(rows)),
            gold=design.gold,
            gold_outcome=design.gold_outcome,
            weight=self._weight,
            row_weight=row_weight,
            offset=None if design.offset is None else design.offset[rows],
            absorbed=absorbed,
            absorbed_outcome=absorbed_outcome,
        )
        if self._factors:
            return self._multiplied(replace(block, absorbed_outcome=None), codes, gold_weights)
        own = Version(predicted=design.gold, outcome=design.gold_outcome, instruments=design.gold_instruments)
        return self._with_instruments(block, (own,), gold_weights, absorber)

    def naive(self, versions: Sequence[Version]) -> Block:
        """All rows with surrogates taken for the truth and gold labels ignored."""
        imputed = tuple(versions)
        predicted, outcome = _mean(imputed)
        absorbed, absorbed_outcome = None, None
        if self._absorber is not None:
            absorbed = np.hstack([self._fixed_projection(self._absorber), self._absorber.project(predicted)])
            absorbed_outcome = self._absorber.project(outcome)
        block = Block(
            fixed=self._design.covariates.fixed,
            predicted=predicted,
            outcome=outcome,
            # no gold version of any row: psi is m_hat at the surrogates
            gold_rows=np.empty(0, dtype=np.int64),
            gold=np.empty((0, predicted.shape[1])),
            gold_outcome=np.empty(0),
            weight=np.empty(0),
            row_weight=self._row_weight,
            offset=self._design.offset,
            absorbed=absorbed,
            absorbed_outcome=absorbed_outcome,
            imputed=imputed if len(imputed) > 1 else (),
            levels=self._levels,
        )
        if self._factors and not self._part:
            return self._multiplied(replace(block, absorbed_outcome=None), self._sample.absorbed, imputed_weights)
        return self._with_instruments(block, imputed, imputed_weights, self._absorber)

    def _fixed_projection(self, absorber: Absorber) -> FloatArray:
        # the same in every split, and the widest part of what is projected
        if self._absorbed_fixed is None:
            self._absorbed_fixed = absorber.project(self._design.covariates.fixed)
        return self._absorbed_fixed


def warn_of_levels(effect: str, first: Sequence[str], bad: int, levels: int) -> None:
    """Warn of levels of a fixed effect whose outcomes have a sum of zero or less, of which `first` are named."""
    warn_caller(
        FewLabelsWarning,
        f"{bad} of {levels} levels of '{effect}' (first: {', '.join(first)}) have a (design-adjusted) sum of outcomes "
        "of zero or less: they have no effect whose exponential could be fitted. Coefficients use them all the same, as "
        "their moments need the sums alone; label more rows of these levels if their means matter",
    )


def _mean(versions: tuple[Version, ...]) -> tuple[FloatArray, FloatArray]:
    """Predicted columns and outcome averaged over the versions."""
    first = versions[0]
    if first.share is None:
        return first.predicted, first.outcome
    predicted, outcome = np.zeros_like(first.predicted), np.zeros_like(first.outcome)
    for version in versions:
        # sum_d p(d) x(d) and sum_d p(d) y(d), row by row
        share = np.asarray(version.share)
        predicted += share[:, None] * version.predicted
        outcome += share * version.outcome
    return predicted, outcome
