"""A further draw on top of earlier ones: probabilities of being drawn by either, aimed at coefficients.

Targeted sampling draws once after a pilot, an adaptive design in every batch. Both are this.
"""

from dataclasses import dataclass

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.sampling.probability import compromise, targeted_probabilities

CRITERION = "worst"
ERROR_MODEL = "ridge"
TAU = 0.1
ROBUST = True
"""Defaults of everything that aims. With several coefficients none is left behind, and the error model is one that few labels
can carry. A tenth of the labels is spread evenly, and estimated errors are believed as far as the labels advise."""
LEAST_VARIANCE = 1e-9
"""Share of the mean to which variances are raised, so that a budget close to all rows can be spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherDraw:
    """How many rows to draw now, and what was drawn before."""

    size: int
    """Rows to draw now, none of those drawn before among them."""
    before: FloatArray
    """(N,) probability of having been drawn earlier."""
    labeled: BoolArray
    """(N,) rows drawn earlier."""
    floor: float
    """Smallest probability of having been drawn by the end."""

    @property
    def total(self) -> float:
        """Rows drawn by the end."""
        return self.size + float(self.labeled.sum())

    @property
    def weight(self) -> FloatArray:
        """(N,) what a row's probability of being drawn by the end counts for among the rows to draw now: 1 / (1 - before)."""
        # rows drawn before count for nothing, and the 1 avoids their division by zero
        rest = np.where(self.labeled, 1.0, 1.0 - self.before)
        return np.where(self.labeled, 0.0, 1.0 / rest)

    @property
    def budget(self) -> float:
        """Sum of weight x probability at which the rows to draw now are `size`."""
        # now_i = (p_i - before_i) w_i sums to `size` where sum w_i p_i = size + sum w_i before_i
        return self.size + float(self.weight @ self.before)

    @property
    def floors(self) -> FloatArray:
        """(N,) smallest probabilities, or those before where the floor alone would take more than there is."""
        floors = np.maximum(self.floor, self.before)
        return self.before if float(self.weight @ floors) >= self.budget else floors

    def aimed(self, variance: FloatArray, *, tau: float, criterion: str) -> FloatArray:
        r"""Probabilities of being drawn by the end, with which all draws together come closest to the best design, (N,).

        These are :math:`p_i = \mathrm{clip}(\lambda q_i, p_i^{before}, 1)` with
        :math:`q_i = (1 - \tau) u_i / \bar u + \tau` and :math:`u_i = \sqrt{v_i}`. What was drawn evenly before counts, and
        the draw now adds what lacks (Zrnic and Candes, "Active statistical inference", 2024).

        Parameters
        ----------
        variance : (N, c) array
            v_ij, expected squared influence of row i's error on coefficient j.
        tau : float
            Share of the design that is even.
        criterion : {"worst", "mean"}
            As in `dsl.sampling.probability.compromise`, for several coefficients.
        """
        # no v_ij of exactly zero: such rows would get no probability at all, and the budget might not be spent
        some = np.maximum(variance, LEAST_VARIANCE * variance.mean(axis=0))
        floors = self.floors
        measure = (
            np.sqrt(some[:, 0])
            if some.shape[1] == 1
            # one coefficient has u = sqrt(v). Several have the probabilities of their compromise for u
            else compromise(some, max(self.total, float(floors.sum())), floor=floors, criterion=criterion)
        )
        return targeted_probabilities(measure, self.budget, tau=tau, floor=floors, weight=self.weight)

    def now(self, total: FloatArray) -> FloatArray:
        """Probabilities of this draw, (p - before) / (1 - before), of rows not drawn before, (N,)."""
        left = 1.0 - self.before
        # p = 1 - (1 - before) (1 - now), solved for now. Zero where a row was certain before
        share = np.divide(total - self.before, left, out=np.zeros(len(left)), where=left > 0.0)
        return np.asarray(np.clip(share, 0.0, 1.0))
