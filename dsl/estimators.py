"""The blocks of the named estimators: what each makes of gold labels and predictions.

All solve sum_i psi_i = 0 with psi_i a weighting of a row's gold and predicted versions, so they share
the engine and differ only in the block that they hand to it.
"""

from collections.abc import Mapping

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.absorb import Absorber
from dsl.formula import Design
from dsl.frame import Sample
from dsl.moments import Block, pseudo_values

ESTIMATORS = ("dsl", "gold_only", "naive")


class Blocks:
    """Makes the blocks of one analysis; what no split changes is computed once.

    Parameters
    ----------
    design : Design
    sample : Sample
    """

    def __init__(self, design: Design, sample: Sample) -> None:
        self._design = design
        self._sample = sample
        self._gold_rows: IntArray = np.flatnonzero(sample.labeled)
        self._weight = sample.weight
        self._absorber = Absorber(sample.absorbed) if sample.absorbed else None
        self._absorbed_fixed: FloatArray | None = None

    @property
    def absorbed_rank(self) -> int:
        """Number of free parameters in the fixed effects."""
        return 0 if self._absorber is None else self._absorber.rank

    def dsl(self, values: Mapping[str, FloatArray]) -> Block:
        """All rows, the predicted variables at out-of-fold predictions `values`, each (N,)."""
        design, weight, rows = self._design, self._weight, self._gold_rows
        predicted, outcome = design.covariates.at(values), design.outcome_at(values)
        absorbed, absorbed_outcome = None, None
        if self._absorber is not None:
            pseudo = pseudo_values(predicted, design.gold, rows, weight)
            absorbed = np.hstack([self._fixed_projection(self._absorber), self._absorber.project(pseudo)])
            pseudo_outcome = pseudo_values(outcome, design.gold_outcome, rows, weight)
            absorbed_outcome = self._absorber.project(pseudo_outcome)
        return Block(
            fixed=design.covariates.fixed,
            predicted=predicted,
            outcome=outcome,
            gold_rows=rows,
            gold=design.gold,
            gold_outcome=design.gold_outcome,
            weight=weight,
            offset=design.offset,
            absorbed=absorbed,
            absorbed_outcome=absorbed_outcome,
        )

    def gold_only(self) -> Block:
        """The labelled rows alone, for `dsl.moments.gold_weights`: inverse-probability weighting."""
        design, sample, rows = self._design, self._sample, self._gold_rows
        fixed = design.covariates.fixed[rows]
        absorbed, absorbed_outcome = None, None
        if sample.absorbed:
            codes = [np.unique(factor[rows], return_inverse=True)[1] for factor in sample.absorbed]
            absorber = Absorber(codes, self._weight)
            absorbed = absorber.project(np.hstack([fixed, design.gold]))
            absorbed_outcome = absorber.project(design.gold_outcome)
        return Block(
            fixed=fixed,
            predicted=design.gold,
            outcome=design.gold_outcome,
            gold_rows=np.arange(len(rows)),
            gold=design.gold,
            gold_outcome=design.gold_outcome,
            weight=self._weight,
            offset=None if design.offset is None else design.offset[rows],
            absorbed=absorbed,
            absorbed_outcome=absorbed_outcome,
        )

    def naive(self, values: Mapping[str, FloatArray]) -> Block:
        """All rows with surrogates `values` taken for the truth and gold labels ignored."""
        design = self._design
        predicted, outcome = design.covariates.at(values), design.outcome_at(values)
        absorbed, absorbed_outcome = None, None
        if self._absorber is not None:
            absorbed = np.hstack([self._fixed_projection(self._absorber), self._absorber.project(predicted)])
            absorbed_outcome = self._absorber.project(outcome)
        return Block(
            fixed=design.covariates.fixed,
            predicted=predicted,
            outcome=outcome,
            gold_rows=np.empty(0, dtype=np.int64),
            gold=np.empty((0, predicted.shape[1])),
            gold_outcome=np.empty(0),
            weight=np.empty(0),
            offset=design.offset,
            absorbed=absorbed,
            absorbed_outcome=absorbed_outcome,
        )

    def _fixed_projection(self, absorber: Absorber) -> FloatArray:
        if self._absorbed_fixed is None:
            self._absorbed_fixed = absorber.project(self._design.covariates.fixed)
        return self._absorbed_fixed
