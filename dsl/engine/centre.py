"""Columns whose mean dwarfs their spread (a calendar year), centred before the engine sums their squares.

With an intercept in the model, centring only moves the intercept: x'theta is the same for x - m and an intercept
larger by m'theta. Sums of products of uncentred years lose as many digits as the square of mean over spread has. Those
of centred years lose none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.fit import SplitFit
from dsl.engine.pilot import Tuned
from dsl.engine.several import Several
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import Problem, shared_gram

FAR = 10.0
"""Mean over standard deviation from which a column is centred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Centring:
    """Centred columns, and the way back."""

    fixed: FloatArray | None
    """(N, f) the fixed columns less their means, None where they are not in memory."""
    means: FloatArray
    """(f,) zero for columns left as they are."""
    intercept: int
    """Position of the intercept among the fixed columns."""
    several: Several | None = None
    """The model, where it has several linear predictors."""

    @overload
    def apply(self, block: Block) -> Block: ...
    @overload
    def apply(self, block: Rows) -> Rows: ...
    def apply(self, block: Rows) -> Rows:
        """The block with centred columns."""
        if isinstance(block, Streamed):
            means = np.pad(self.means, (0, block.shape[1] - len(self.means)))
            return block.changed(self.centred, block.facts.moved(means))
        return self.centred(block) if self.fixed is None else replace(block, fixed=self.fixed)

    def centred(self, block: Block) -> Block:
        """Some rows with centred columns."""
        return replace(block, fixed=block.fixed - self.means)

    def back(self, k: int) -> FloatArray:
        """T in theta = T theta_c: the identity but for what intercepts (or thresholds) take up of the means, (k, k)."""
        if self.several is None:
            return self.back_columns(k)
        # predicted columns are not centred
        return self.several.back(np.pad(self.means, (0, self.several.width - len(self.means))))

    def back_columns(self, width: int) -> FloatArray:
        """The same for coefficients of the columns in one linear predictor, (width, width)."""
        out = np.eye(width)
        out[self.intercept, : len(self.means)] -= self.means
        return out

    def undo(self, fit: SplitFit, equations: int = 1) -> SplitFit:
        """The fit in terms of the columns as they were.

        theta = T theta_c and V = T V_c T'. Sums over rows change by the inverse, J = T^-T J_c T^-1. Several equations
        side by side change one by one.
        """
        back = np.kron(np.eye(equations), self.back(len(fit.params) // equations))
        forth = 2.0 * np.eye(len(back)) - back  # T^-1: T - I squares to zero, so that (I + A)^-1 = I - A
        return replace(
            fit,
            params=back @ fit.params,
            vcov=back @ fit.vcov @ back.T,
            jacobian=forth.T @ fit.jacobian @ forth,
            meat=forth.T @ fit.meat @ forth,
            label_scores=fit.label_scores @ forth,
            stage_scores=None if fit.stage_scores is None else fit.stage_scores @ forth,
            label_meat=forth.T @ fit.label_meat @ forth,
        )

    def undo_tuned(self, choice: Tuned, equations: int = 1) -> Tuned:
        """The choice of Lambda in terms of the columns as they were: scores change by T^-T, hence Lambda = T^-T Lambda_c T'."""
        if choice.tuning is None or choice.at is None:
            return choice
        back = np.kron(np.eye(equations), self.back(len(choice.at) // equations))
        forth = 2.0 * np.eye(len(back)) - back
        # of several measures one Lambda stands beside the other
        parts = np.split(choice.tuning, choice.tuning.shape[1] // len(choice.tuning), axis=1)
        tuning = np.hstack([forth.T @ part @ back.T for part in parts])
        return replace(choice, tuning=tuning, at=back @ choice.at)


def centre(fixed: FloatArray | None, gram: FloatArray, intercept: int | None) -> Centring | None:
    """Centre the columns that need it. None where none does, or where there is no intercept to take up the means.

    Parameters
    ----------
    fixed : (N, f) array, or None
        None where they are not in memory.
    gram : (f, f) array
        `dsl.engine.sums.shared_gram` of them.
    intercept : int or None
        Position of the column of ones.
    """
    if intercept is None:
        return None
    n = gram[intercept, intercept]  # number of rows, or sum of their weights
    # the row of the intercept in the Gram matrix holds the column sums. The variance is a rough one (it cancels where
    # the mean dwarfs it), which is enough to tell that the mean is large.
    means = gram[intercept] / n
    variance = np.diag(gram) / n - means**2
    far = means**2 > FAR**2 * np.maximum(variance, 0.0)
    far[intercept] = False
    if not far.any():
        return None
    means = np.where(far, means, 0.0)
    return Centring(fixed=None if fixed is None else fixed - means, means=means, intercept=intercept)


def place_of_intercept(names: Sequence[str]) -> int | None:
    """Position of the column of ones, None where there is none."""
    return names.index("Intercept") if "Intercept" in names else None


def shared_columns(block: Rows, problem: Problem, gram: FloatArray | None = None) -> tuple[FloatArray, Centring | None]:
    """Gram matrix of the fixed columns that the engine will see, and their centring if there is one.

    `gram` is that of the block's, where the caller has it.
    """
    gram = gram_of(block) if gram is None else gram
    # centring moves an intercept, which must be among the columns on both sides of the moments
    intercept = None if block.has_left else place_of_intercept(problem.names)
    centring = centre(None if isinstance(block, Streamed) else block.fixed, gram, intercept)
    if centring is None:
        return gram, None
    several = problem.link if isinstance(problem.link, Several) else None
    return gram_of(centring.apply(block)), replace(centring, several=several)


def gram_of(block: Rows) -> FloatArray:
    """`dsl.engine.sums.shared_gram` of the fixed columns, (f, f)."""
    if isinstance(block, Streamed):
        f = block.own.fixed.shape[1]
        return block.facts.counted[:f, :f]
    return shared_gram(block.fixed, block.row_weight)
