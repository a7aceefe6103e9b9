"""Distributions of predicted variables for rows that come in blocks (`dsl.learners.distribution`)."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.learners.distribution import Distribution, Support, members, normalised
from dsl.learners.held_out import HeldOut, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDistribution:
    """Fitted learners of the cells and of the continuous variables."""

    support: Support
    cells: HeldOut | None
    continuous: HeldOut | None
    gold: FloatArray = field(repr=False)
    """(n, c) gold values of the continuous variables."""
    residuals: FloatArray = field(repr=False)
    """(S, n, c) these less their out-of-fold means."""

    @classmethod
    def train(
        cls, support: Support, gold: pd.DataFrame, evidence: FloatArray, folds: IntArray, family: str, how: Training
    ) -> "HeldDistribution":
        """Train on the labelled rows: gold values (n, q), evidence (n, p), folds (S, n)."""
        cells = (
            HeldOut.train(evidence, members(support), folds, family="binomial", how=how)
            if len(support.cells) > 1
            else None
        )
        numbers = gold[list(support.continuous)].to_numpy(dtype=float)
        continuous = HeldOut.train(evidence, numbers, folds, family=family, how=how) if support.continuous else None
        residuals = np.empty((*folds.shape, 0))
        if continuous is not None:
            residuals = numbers - continuous.predictions(evidence, folds)
        return cls(support=support, cells=cells, continuous=continuous, gold=numbers, residuals=residuals)

    def on(self, evidence: FloatArray, folds: IntArray) -> Distribution:
        """The distribution of some rows: evidence (rows, p), folds (S, rows)."""
        every = [held for held in (self.cells, self.continuous) if held is not None]
        shares, means = np.ones((*folds.shape, 1)), np.empty((*folds.shape, 0))
        if self.cells is not None:
            shares = normalised(self.cells.predictions(evidence, folds))
        if self.continuous is not None:
            means = self.continuous.predictions(evidence, folds)
        return Distribution(
            support=self.support,
            shares=shares,
            means=means,
            labeled=np.zeros(len(evidence), dtype=bool),
            gold=self.gold,
            learners=tuple(name for held in every for name in held.learners),
            reasons=tuple(reason for held in every for reason in held.reasons),
            residuals=self.residuals,
        )
