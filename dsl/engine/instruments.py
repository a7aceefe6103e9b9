r"""Instrumental variables: two-stage least squares with design-adjusted sums.

A row's moments are m = z (y - x'theta), with instruments z (q) for covariates x (k), q >= k. Its columns that are exogenous are
in both. With :math:`A = \sum \psi(z x')`, :math:`S = \sum \psi(z z')` and :math:`b = \sum \psi(z y)`, where :math:`\psi` is the
design-adjusted value of a row (`dsl.engine.moments`),

.. math:: \hat\theta = (A' S^{-1} A)^{-1} A' S^{-1} b.

This is the root of the moments l (y - x'theta) with :math:`l_i = A' S^{-1} z_i`, the fitted values of the first stage. Any fixed
weights in the place of :math:`A' S^{-1}` give a valid estimate, and those that are estimated have the same covariance to first
order. So a block of a linear model needs no more than l on the *left* of its moments (`Left`), in the place of x.

References
----------
Hansen, "Econometrics" (2022), chapter 12. Wooldridge, "Econometric analysis of cross section and panel data" (2010), 5.2 and 6.3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block, Instruments, Left, Version
from dsl.engine.fit import fit_split
from dsl.engine.models.linear import LINEAR
from dsl.engine.moments import Weights, augmentation_weights, gold_weights
from dsl.engine.passes import Passes
from dsl.engine.solve import is_singular
from dsl.engine.streamed import Ask, Rows, Streamed, Sums
from dsl.engine.sums import Problem, WeightRule, row_scores, row_sums
from dsl.exceptions import CollinearityError

WEAK = 10.0
"""First-stage F below which normal intervals are doubtful (Staiger and Stock 1997)."""
DEGENERATE = 1e-9
"""Eigenvalue of the moments' covariance, relative to the largest, below which a direction is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentTests:
    """What the rows say of the instruments. e endogenous covariates."""

    endogenous: tuple[str, ...]
    f: FloatArray
    """(e,) F of the excluded instruments in the first stage of each, robust (to clusters, where there are any)."""
    df: tuple[float, float]
    """Degrees of freedom: excluded instruments, and rows (or clusters) less instruments."""
    over: float
    """Over-identification: chi-squared where all instruments are valid. NaN where none is spare."""
    over_df: int
    """Spare instruments: excluded ones less endogenous covariates."""


def instrumented(block: Block, z: Instruments, weights: Weights) -> Block:
    """The block of a linear model with instruments.

    Parameters
    ----------
    block : Block
        The covariates'.
    z : Instruments
    weights : Weights
        What versions and gold values count for in A and S: those of the estimator.

    Raises
    ------
    CollinearityError
        Instruments are linear combinations of each other.
    """
    return with_first_stage(block, z, _first_stage(z, *_sums(block, z, weights)))


def _first_stage(z: Instruments, cross: FloatArray, square: FloatArray) -> FloatArray:
    """S^-1 A (q, k). Raises as `instrumented`."""
    size = np.sqrt(np.maximum(np.diag(square), 0.0))
    zero = [name for name, each in zip(z.names, size, strict=True) if each <= 0.0]
    if zero or is_singular(square / size[:, None] / size):
        what = (
            f"{', '.join(map(repr, zero))} zero in every row" if zero else "some are linear combinations of the others"
        )
        raise CollinearityError(
            f"the instruments ({', '.join(map(repr, z.names))}) do not tell anything apart: {what}; take them out of the formula"
        )
    return np.asarray(np.linalg.solve(square / size[:, None] / size, cross / size[:, None]) / size[:, None])


def with_first_stage(block: Block, z: Instruments, first: FloatArray) -> Block:
    """The block with l = z' first, (q, k) `first`, on the left of its moments."""
    left = Left(
        predicted=tuple(each @ first for each in z.versions),
        gold=z.gold @ first,
        absorbed=None if z.absorbed is None else z.absorbed @ first,
        first=first,
        instruments=z,
    )
    block = replace(block, left=left)
    if block.within is None or z.centres is None:
        return block
    # within the effects, all versions are centred by the same projections
    centred = tuple((own - z.centres) @ first for own in z.versions)
    within = replace(left, predicted=centred, absorbed=None, instruments=None)
    return replace(block, within=replace(block.within, left=within))


def unstaged(block: Block, z: Instruments) -> Block:
    """Some rows with their instruments, whose first stage is still to come (`staged`)."""
    left = Left(predicted=z.versions, gold=z.gold, absorbed=None, first=np.eye(len(z.names)), instruments=z)
    return replace(block, left=left)


def staged(passes: Passes[Block, Ask, Sums], rows: Sequence[Streamed], rule: WeightRule) -> list[Streamed]:
    """Rows of each split with the first stage of all rows, which takes a pass.

    Parameters
    ----------
    passes : Passes
    rows : sequence of Streamed
        Whose blocks are `unstaged`.
    rule : callable
        What versions and gold values count for in A and S.

    Raises
    ------
    CollinearityError
        As `instrumented`.
    """

    def first(split: int) -> FloatArray:
        return _first_stage(_of(rows[split].own), *_total(rows[split], rule))

    def change(own: FloatArray) -> Callable[[Block], Block]:
        return lambda block: with_first_stage(block, _of(block), own)

    found = passes.run([first] * len(rows))
    return [each.changed(change(own), each.known) for each, own in zip(rows, found, strict=True)]


def mean_instruments(block: Block) -> FloatArray:
    """Instruments averaged over the versions of the rows, (n, q)."""
    z = _of(block)
    out = np.zeros_like(z.versions[0])
    for version, own in zip(block.versions, z.versions, strict=True):
        out += own if version.share is None else version.share[:, None] * own
    return out


def _of(block: Block) -> Instruments:
    assert block.left is not None
    assert block.left.instruments is not None
    return block.left.instruments


def _total(rows: Rows, rule: WeightRule) -> tuple[FloatArray, FloatArray]:
    """A (q, k) and S (q, q) of all rows."""
    blocks = rows.blocks() if isinstance(rows, Streamed) else iter([rows])
    total: tuple[FloatArray, FloatArray] | None = None
    for block in blocks:
        found = _sums(block, _of(block), rule(block))
        total = found if total is None else (total[0] + found[0], total[1] + found[1])
    assert total is not None
    return total


def _sums(block: Block, z: Instruments, weights: Weights) -> tuple[FloatArray, FloatArray]:
    """A (q, k) and S (q, q)."""
    cross, square = np.zeros((len(z.names), block.shape[1])), np.zeros((len(z.names), len(z.names)))
    for version, own in zip(block.versions, z.versions, strict=True):
        share = weights.predicted if version.share is None else weights.predicted * version.share
        counted = own * share[:, None]
        cross += counted.T @ np.hstack([block.fixed, version.predicted])
        square += counted.T @ own
    gold = z.gold * weights.gold[:, None]
    cross += gold.T @ np.hstack([block.fixed[block.gold_rows], block.gold])
    square += gold.T @ z.gold
    if z.absorbed is not None and block.absorbed is not None:
        # Z'WX - (PZ)'W(PX), as in the Jacobian of a model with fixed effects
        total = weights.predicted.copy()
        total[block.gold_rows] += weights.gold
        counted = z.absorbed * total[:, None]
        cross -= counted.T @ block.absorbed
        square -= counted.T @ z.absorbed
    return cross, square


def tests_of(block: Rows, problem: Problem, params: FloatArray) -> InstrumentTests:
    """First-stage F statistics, and the over-identification statistic at the estimate `params` (k,).

    The latter is that of all moments at the estimate, M psi(z (y - x'theta)) with M = I - A (A'S^-1 A)^-1 A'S^-1, against their
    covariance, and robust like it.
    """
    z = _of(block.own if isinstance(block, Streamed) else block)
    own = replace(problem, names=z.names, link=LINEAR, fixed_gram=None, tuning=None, labeling=None)
    units = block.shape[0] if problem.weights is not gold_weights else len(block.gold_rows)
    units = units if problem.cluster is None else int(problem.n_clusters or 0)
    count = int(z.excluded.sum())
    statistics = []
    for j in z.endogenous:
        stage = fit_split(_changed(block, partial(_on_instruments, j=j)), own)
        chosen = np.ix_(z.excluded, z.excluded)
        statistics.append(float(wald(stage.params[z.excluded], stage.vcov[chosen])) / count)
    spare = count - len(z.endogenous)
    return InstrumentTests(
        endogenous=tuple(problem.names[j] for j in z.endogenous),
        f=np.array(statistics),
        df=(float(count), float(units - len(z.names))),
        over=_over(block, own, params) if spare > 0 else np.nan,
        over_df=spare,
    )


def _changed(rows: Rows, change: Callable[[Block], Block]) -> Rows:
    return rows.changed(change).with_facts() if isinstance(rows, Streamed) else change(rows)


def _on_instruments(block: Block, j: int) -> Block:
    """The rows of the first stage of covariate j."""
    f = block.fixed.shape[1]
    hats = [block.fixed[:, j] if j < f else version.predicted[:, j - f] for version in block.versions]
    gold = block.fixed[block.gold_rows, j] if j < f else block.gold[:, j - f]
    return _stage(block, _of(block), hats, gold, None if block.absorbed is None else block.absorbed[:, j])


def _with_residuals(block: Block, params: FloatArray) -> Block:
    """The rows with the instruments as columns, and residuals at `params` as outcome."""
    f = block.fixed.shape[1]
    fixed = block.fixed @ params[:f] if block.offset is None else block.fixed @ params[:f] + block.offset
    hats = [version.outcome - fixed - version.predicted @ params[f:] for version in block.versions]
    gold = block.gold_outcome - fixed[block.gold_rows] - block.gold @ params[f:]
    absorbed = None
    if block.absorbed is not None and block.absorbed_outcome is not None:
        absorbed = block.absorbed_outcome - block.absorbed @ params
    return _stage(block, _of(block), hats, gold, absorbed)


def _stage(
    block: Block, z: Instruments, hats: Sequence[FloatArray], gold: FloatArray, absorbed: FloatArray | None
) -> Block:
    """The rows with the instruments as columns, and another outcome: (n,) at each version, and (m,) gold."""
    versions = tuple(
        Version(predicted=own, outcome=hat, share=version.share)
        for own, hat, version in zip(z.versions, hats, block.versions, strict=True)
    )
    return replace(
        block,
        fixed=np.empty((len(block.outcome), 0)),
        predicted=versions[0].predicted,
        outcome=versions[0].outcome,
        gold=z.gold,
        gold_outcome=gold,
        imputed=versions if len(versions) > 1 else (),
        absorbed=z.absorbed,
        absorbed_outcome=absorbed,
        offset=None,
        left=None,
        within=None,
    )


def _over(block: Rows, problem: Problem, params: FloatArray) -> float:
    rows = _changed(block, partial(_with_residuals, params=params))
    q = len(problem.names)
    moment, meat = row_sums(row_scores(rows, problem, np.zeros(q), problem.weights, augmentation_weights), problem, q)
    cross, square = _total(block, problem.weights)
    # units of length one, in which pinv tells directions apart
    size = np.sqrt(np.diag(square))
    cross, square, moment, meat = (
        cross / size[:, None],
        square / size[:, None] / size,
        moment / size,
        meat / size[:, None] / size,
    )
    first = np.linalg.solve(square, cross)
    maker = np.eye(len(size)) - cross @ np.linalg.solve(first.T @ cross, first.T)
    left = maker @ moment
    return float(left @ np.linalg.pinv(maker @ meat @ maker.T, rcond=DEGENERATE, hermitian=True) @ left)


def wald(estimate: FloatArray, vcov: FloatArray) -> float:
    """Wald statistic of the hypothesis that all of some parameters are zero."""
    size = np.sqrt(np.diag(vcov))
    t = estimate / size
    return float(t @ np.linalg.solve(vcov / size[:, None] / size, t))
