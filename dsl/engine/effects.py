r"""Absorbed fixed effects of models with mean exp(eta): multipliers, which the coefficients determine.

With pseudo-means m_i(b) = (1 - w_i) exp(x_hat_i'b) + w_i exp(x_i'b) and pseudo-outcomes y~_i, the multiplier of a level g of
one factor solves sum_g (y~ - a_g m) = 0, hence

    a_g = sum_g y~ / sum_g m(b).

The moment that is left for b is sum_i psi_i with these multipliers. Their estimation takes x_bar_g r_i off row i's score, with
r the pseudo-residual and x_bar_g = sum_g grad m / sum_g m, and sum_g x_bar x_bar' a m off the Jacobian: what dummies give,
exactly. Where no covariate is predicted, x_bar does not depend on labels and the moment is linear in y~, so that it has
expectation zero however few labels a level has. A multiplier may then be zero or negative, and the level counts all the same
(of labels alone, a level whose outcomes are all zero counts nothing).

Several factors have multipliers that are products. They are fitted in turns, as are the projections x_bar (iterated
proportional fitting, and Gauss and Seidel's method), until they no longer change.

References
----------
Hausman, Hall and Griliches, Econometrica 52 (1984), on the conditional likelihood of one factor. Correia, Guimaraes and Zylkin,
"Fast Poisson estimation with high-dimensional fixed effects", Stata Journal 20 (2020).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import scipy.sparse as sp

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block, Effects
from dsl.engine.levels import LevelSums, Lookup
from dsl.engine.models.model import Link
from dsl.engine.moments import Means, Weights, fitted_means, imputed_weights
from dsl.engine.several import Several
from dsl.engine.streamed import Rows, Streamed
from dsl.exceptions import ConvergenceError

STILL = 1e-13
"""Relative change of multipliers, and of projections, that counts as none."""
MOST_TURNS = 20_000


@overload
def with_effects(block: Block, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]) -> Block: ...
@overload
def with_effects(block: Rows, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]) -> Rows: ...
def with_effects(block: Rows, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]) -> Rows:
    """The block with the multipliers that fit best at `params`, and the projections that their estimation takes off.

    Unchanged without factors.
    """
    if not block.multiplies:
        return block
    if isinstance(block, Streamed):
        return _streamed(block, link, params, rule)
    assert block.effects is not None
    factors, alone = block.effects.factors, block.effects.alone
    within = None if block.within is None else with_effects(block.within, link, params, rule)
    # any constant is part of the effects: without it exp() stays in range where columns lie far from zero
    eta = _eta(block, params)
    plain = replace(_plain(block, eta - eta.mean(), params), within=within)
    mean, outcome, columns = _parts(plain, link, params, imputed_weights if alone else rule)
    dummies = [_dummies(codes) for codes in factors]
    multiplier = _multipliers(dummies, factors, mean, outcome)
    if len(factors) > 1:  # of one factor they cancel, where some are zero too
        mean, columns = mean * multiplier, columns * multiplier[:, None]
    found = replace(plain, multiplier=multiplier, absorbed=_projections(dummies, mean, columns))
    return _centred(found, params) if alone else found


def multiplied(block: Block, factors: Sequence[IntArray], *, tuned: bool, counts: tuple[int, ...] = ()) -> Block:
    """The block with effects that multiply means, of factors with these level codes (n,).

    `tuned` is whether Lambda is to be chosen, and `counts` the levels of each factor, where these rows are a part of all.
    """
    out = replace(block, effects=Effects(tuple(factors), counts=counts))
    alone = replace(out, absorbed=None, effects=Effects(tuple(factors), alone=True, counts=counts))
    return replace(out, within=alone if tuned else None)


def _eta(block: Block, params: FloatArray) -> FloatArray:
    """The part of the linear predictor that all versions share, (n,)."""
    eta = block.fixed @ params[: block.fixed.shape[1]]
    return eta if block.offset is None else eta + block.offset


def _plain(block: Block, eta: FloatArray, params: FloatArray) -> Block:
    """The block without effects, with `eta` (n,) in the place of `_eta`."""
    offset = eta - block.fixed @ params[: block.fixed.shape[1]]
    return replace(block, effects=None, absorbed=None, absorbed_outcome=None, within=None, offset=offset)


def _parts(
    plain: Block, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pseudo-means and pseudo-outcomes (n,), and the derivative (n, k) of the former."""
    weights, means = rule(plain), fitted_means(plain, params, link)
    assert isinstance(means, Means)  # of one linear predictor
    outcomes = tuple(version.outcome for version in plain.versions)
    return (
        _total(plain, weights, means.predicted, means.gold),
        _total(plain, weights, outcomes, plain.gold_outcome),
        _columns(plain, weights, means),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByLevel:
    """What all rows of a level of one factor share, at some parameters."""

    params: FloatArray
    constant: float
    """What is taken off linear predictors."""
    of_levels: Lookup
    """Multiplier and projection, (levels, 1 + k)."""
    within: "_ByLevel | None" = None

    def on(self, block: Block) -> Block:
        """Some rows, as `with_effects` has them."""
        assert block.effects is not None
        plain = _plain(block, _eta(block, self.params) - self.constant, self.params)
        found = self.of_levels.at(block.effects.factors)
        within = None if block.within is None or self.within is None else self.within.on(block.within)
        out = replace(plain, multiplier=found[:, 0], absorbed=found[:, 1:], within=within)
        return _centred(out, self.params) if block.effects.alone else out


def _streamed(rows: Streamed, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]) -> Streamed:
    """`with_effects` of one factor, from sums over its levels, which takes a pass."""
    assert rows.own.effects is not None
    counts = rows.own.effects.counts
    eta = _eta(rows.own, params)
    # any constant would do: of the labelled rows, which are in memory
    constant = (
        float(eta.mean())
        if len(eta)
        else float(rows.facts.means[: rows.own.fixed.shape[1]] @ params[: rows.own.fixed.shape[1]])
    )
    own, alone = LevelSums(counts), LevelSums(counts)
    for block in rows.blocks():
        assert block.effects is not None
        plain = _plain(block, _eta(block, params) - constant, params)
        own.add(block.effects.factors, _side_by_side(plain, link, params, rule))
        if block.within is not None:
            plain = _plain(block.within, _eta(block.within, params) - constant, params)
            alone.add(block.effects.factors, _side_by_side(plain, link, params, imputed_weights))
    within = None
    if rows.own.within is not None:
        within = _ByLevel(params=params, constant=constant, of_levels=_of_levels(alone))
    return rows.changed(
        _ByLevel(params=params, constant=constant, of_levels=_of_levels(own), within=within).on, rows.known
    )


def _side_by_side(
    plain: Block, link: Link | Several, params: FloatArray, rule: Callable[[Block], Weights]
) -> FloatArray:
    mean, outcome, columns = _parts(plain, link, params, rule)
    return np.hstack([mean[:, None], outcome[:, None], columns])


def _of_levels(sums: LevelSums) -> Lookup:
    """Multiplier and projection of each level, from sums of means, outcomes and derivatives."""
    (total,) = sums.of_factors
    mean = total[:, :1]
    # a level whose mean is zero has no weight, and any projection will do
    return Lookup([np.hstack([total[:, 1:2] / mean, total[:, 2:] / np.where(mean == 0.0, 1.0, mean)])])


def _centred(block: Block, params: FloatArray) -> Block:
    """Columns less their projections, at the same linear predictors of the predicted versions."""
    projection, offset, f = block.absorbed, block.offset, block.fixed.shape[1]
    assert projection is not None
    assert offset is not None
    return replace(
        block,
        fixed=block.fixed - projection[:, :f],
        predicted=block.predicted - projection[:, f:],
        imputed=tuple(replace(version, predicted=version.predicted - projection[:, f:]) for version in block.imputed),
        offset=offset + projection @ params,
        absorbed=None,
    )


def level_sums(block: Block, rule: Callable[[Block], Weights]) -> list[FloatArray]:
    """Sum of the pseudo-outcomes of each level of each factor, (levels,) each."""
    outcomes = tuple(version.outcome for version in block.versions)
    outcome = _total(block, rule(block), outcomes, block.gold_outcome)
    factors = () if block.effects is None else block.effects.factors
    return [np.asarray(np.bincount(codes, outcome), dtype=float) for codes in factors]


def _total(block: Block, weights: Weights, predicted: tuple[FloatArray, ...], gold: FloatArray) -> FloatArray:
    """Weighted sum of both versions of each row, (n,)."""
    out = np.zeros(len(block.outcome))
    for version, values in zip(block.versions, predicted, strict=True):
        out += weights.predicted * values if version.share is None else weights.predicted * version.share * values
    out[block.gold_rows] += weights.gold * gold
    return out


def _columns(block: Block, weights: Weights, means: Means) -> FloatArray:
    """Derivative of the pseudo-means in the parameters, (n, k)."""
    f = block.fixed.shape[1]
    out = np.zeros(block.shape)
    np.multiply(block.fixed, _total(block, weights, means.predicted, means.gold)[:, None], out=out[:, :f])
    for version, mean in zip(block.versions, means.predicted, strict=True):
        share = weights.predicted if version.share is None else weights.predicted * version.share
        out[:, f:] += version.predicted * (share * mean)[:, None]
    out[block.gold_rows, f:] += block.gold * (weights.gold * means.gold)[:, None]
    return out


def _dummies(codes: IntArray) -> sp.csr_matrix:
    n = len(codes)
    return sp.csr_matrix((np.ones(n), codes, np.arange(n + 1)), shape=(n, int(codes.max()) + 1))


def _multipliers(
    dummies: list[sp.csr_matrix], factors: tuple[IntArray, ...], mean: FloatArray, outcome: FloatArray
) -> FloatArray:
    """Each row's product of multipliers, (n,)."""
    sums = [each.T @ outcome for each in dummies]
    parts = [np.ones(len(total)) for total in sums]
    if len(dummies) == 1:
        return np.asarray((sums[0] / (dummies[0].T @ mean))[factors[0]])
    for _ in range(MOST_TURNS):
        change = 0.0
        for j, each in enumerate(dummies):
            others = mean.copy()
            for h, codes in enumerate(factors):
                if h != j:
                    others *= parts[h][codes]
            new = sums[j] / (each.T @ others)
            change = max(change, float(np.abs(new - parts[j]).max() / np.abs(new).max()))
            parts[j] = new
        if not change > STILL:  # NaN too: no such parameters
            return np.asarray(np.prod([part[codes] for part, codes in zip(parts, factors, strict=True)], axis=0))
    raise _too_slow()


def _projections(dummies: list[sp.csr_matrix], mean: FloatArray, columns: FloatArray) -> FloatArray:
    """Regression on the dummies of columns / mean with the weights `mean`, (n, k)."""
    # a level whose multiplier is zero has no weight, and any projection will do
    totals = [np.where(total == 0.0, 1.0, total) for total in (each.T @ mean for each in dummies)]
    sums = [np.asarray(each.T @ columns) for each in dummies]
    if len(dummies) == 1:
        return np.asarray(dummies[0] @ (sums[0] / totals[0][:, None]))
    cross = [[each.T @ sp.diags(mean) @ other for other in dummies] for each in dummies]
    parts = [np.zeros_like(each) for each in sums]
    size = max(float(np.abs(each / total[:, None]).max(initial=0.0)) for each, total in zip(sums, totals, strict=True))
    for _ in range(MOST_TURNS):
        change = 0.0
        for j, own in enumerate(parts):
            rest = sums[j].copy()
            for h, other in enumerate(parts):
                if h != j:
                    rest -= cross[j][h] @ other
            parts[j] = rest / totals[j][:, None]
            change = max(change, float(np.abs(parts[j] - own).max(initial=0.0)))
        if not change > STILL * size:
            return np.asarray(sum(each @ part for each, part in zip(dummies, parts, strict=True)))
    raise _too_slow()


def _too_slow() -> ConvergenceError:
    return ConvergenceError(
        f"the fixed effects of several factors did not settle in {MOST_TURNS:,} turns: their levels are too weakly connected, or "
        "the design-adjusted sums of outcomes of too many are below zero; use fewer factors, combine rare levels, or label more "
        "rows"
    )
