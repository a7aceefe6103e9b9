"""Sums over units of the scores' parts at one estimate, from which every Lambda follows to first order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.engine.blocks import Block
from dsl.engine.checks import check_order
from dsl.engine.covariance import inverse, sandwich, solve
from dsl.engine.fit import SplitFit
from dsl.engine.labeling import finite_meat
from dsl.engine.lambdas import best_tuning, even
from dsl.engine.moments import augmentation_weights
from dsl.engine.streamed import Rows, Streamed, in_memory
from dsl.engine.sums import (
    Problem,
    all_part_sums,
    draw_sums,
    drawn_parts,
    drawn_scores,
    label_meat,
    label_scores,
    part_scores,
    take_up,
    unit_scores,
)
from dsl.engine.two_way import positive_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The chosen Lambda, and what the alternatives would have given, in the reported coefficients."""

    lambdas: FloatArray
    """(k,) diagonal of J^-1 Lambda J: how much each coefficient relies on the predictions."""
    plain: FloatArray | None
    """(k,) variances at Lambda = I, or None where they were not computed."""
    without: FloatArray | None
    """(k,) variances at Lambda = 0, to first order."""
    tuning: FloatArray | None = None
    """(k, k) Lambda, in the block's parameters."""
    at: FloatArray | None = None
    """(k,) the block's parameters at which the scores were taken."""
    corrected: FloatArray | None = None
    """(G, k) scores of the units as a covariance that leaves one out has them, with Lambda chosen without it too. None for the
    plain covariance, and where Lambda was not chosen."""
    each: FloatArray | None = None
    """(J, k) the part of each of several measures in `lambdas`. Lambda is then (k, J k). None for one measure."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """Sums over units of the scores' parts g + sum_j Lambda_j h_j at one estimate, h_j = (1 - w) m_hat_j of each of J measures.

    g is what is left of the score at Lambda_j = I / J without these. They are kept apart, since their sum would lose the digits
    of g where predictions are on a scale far from that of the gold values.
    """

    block: Rows
    problem: Problem
    fit: SplitFit
    basis: FloatArray  # (k, k) takes the block's parameters to the reported ones
    few: BoolArray  # (k,) coefficients that choose no Lambda
    total: FloatArray  # ((1 + J) k,) sum of (g, h_1, ..., h_J)
    second: FloatArray  # ((1 + J) k, (1 + J) k) variance of these sums
    units: FloatArray  # (G, (1 + J) k) the units' parts, where they are to be left out, less what a draw makes known
    lost: FloatArray  # (., (1 + J) k) deviations whose squares are what a draw's centres cost

    @classmethod
    def at(cls, block: Rows, problem: Problem, fit: SplitFit, basis: FloatArray, few: BoolArray) -> "Pilot":
        """The sums at an estimate."""
        params, problem = fit.params, replace(problem, tuning=None)
        if problem.leave_out is not None and not isinstance(block, Streamed):
            rows = part_scores(block, problem, params, problem.weights, augmentation_weights)
            total, units, lost = _of_units(rows, block, problem, params)
            return cls(block, problem, fit, basis, few, total, units.T @ units + lost.T @ lost, units, lost)
        if problem.draw is None:
            total, second = all_part_sums(block, problem, params)
        else:
            on_labels = label_parts(block, problem, params)
            total, second = draw_sums(block, problem, problem.draw, params, on_labels, parts=True)
        if problem.across is not None:
            second = positive_part(second)  # no Lambda may make a variance negative
        if problem.labeling is not None:
            second = finite_meat(label_parts(block, problem, params), problem.labeling)
        none = np.empty((0, len(total)))
        return cls(block, problem, fit, basis, few, total, second, none, none)

    @property
    def whole(self) -> Block:
        """The block, where all its rows are in memory. Raises NeedsAllRowsError where they are not."""
        return in_memory(self.block)

    @property
    def bread(self) -> FloatArray:
        """Takes scores to influences on the reported coefficients, (k, k)."""
        return np.asarray(self.basis @ inverse(self.fit.jacobian))

    @property
    def centre(self) -> FloatArray:
        """Takes the reported coefficients to those of columns less their means, so that no origin counts, (k, k)."""
        return at_means(self.block, self.problem, self.basis)

    def best(self, tune: str) -> FloatArray:
        """The best Lambdas side by side, (k, J k)."""
        return best_tuning(tune, self.second, self.bread, self.few, self.centre)

    def meat(self, tuning: FloatArray) -> FloatArray:
        """Meat at Lambda."""
        # psi = g + sum_j Lambda_j h_j = [I, Lambda_1, ..., Lambda_J] (g, h_1, ..., h_J)
        both = np.hstack([np.eye(len(tuning)), tuning])
        return np.asarray(both @ self.second @ both.T)

    def step(self, tuning: FloatArray) -> SplitFit:
        """The fit at Lambda, to first order from this one."""
        both = np.hstack([np.eye(len(tuning)), tuning])
        problem, meat = replace(self.problem, tuning=tuning), self.meat(tuning)
        block, at = self.block, self.fit.params
        on_labels = label_scores(block, problem, at)
        # (1 - w) m_hat has expectation zero at every theta, its Jacobian too: the pilot's serves every Lambda
        params = at + solve(self.fit.jacobian, both @ self.total)
        check_order(params, problem)
        return replace(
            self.fit,
            params=params,
            vcov=sandwich(self.fit.jacobian, meat),
            meat=meat,
            label_scores=on_labels,
            label_meat=label_meat(block, problem, on_labels),
            stage_scores=None
            if isinstance(block, Streamed) or block.staged is None
            else drawn_scores(block, problem, at),
        )

    def tuned(self, tuning: FloatArray) -> Tuned:
        """What Lambda amounts to, and the variances at both ends."""
        k, bread, count = len(tuning), self.bread, self.block.n_measures
        # Lambda acts on moments, J^-1 Lambda J on coefficients
        parts = np.split(tuning, count, axis=1)
        each = np.stack([np.diag(bread @ part @ inverse(bread)) for part in parts])
        ends = (even(k, count), np.zeros_like(tuning))
        plain, without = (np.diag(bread @ self.meat(end) @ bread.T) for end in ends)
        return Tuned(
            lambdas=each.sum(axis=0),
            plain=plain,
            without=without,
            tuning=tuning,
            at=self.fit.params,
            each=each if count > 1 else None,
        )


def _of_units(
    rows: Iterable[FloatArray], block: Block, problem: Problem, params: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sum of the rows' parts, the units' parts given the draw, and deviations whose squares are what its centres cost."""
    total = np.zeros((1 + block.n_measures) * len(params))

    def counted() -> Iterator[FloatArray]:
        for piece in rows:
            np.add(total, piece.sum(axis=0), out=total)
            yield piece

    if problem.draw is None:
        lost, parts = np.empty((0, len(total))), unit_scores(counted(), problem)
    else:
        centred = problem.draw.about(label_parts(block, problem, params))
        lost, parts = centred.lost, centred.units(counted())
    if problem.cluster is not None:
        return total, np.concatenate([*parts]), lost
    # written at once where they stay: with many rows, new memory takes longer than the sums
    n = block.shape[0] if problem.draw is None else len(problem.draw.labeling.drawn)
    units, first = np.empty((n, len(total))), 0
    for piece in parts:
        units[first : first + len(piece)] = piece
        first += len(piece)
    return total, units[:first], lost


def label_parts(block: Rows, problem: Problem, params: FloatArray) -> FloatArray:
    """What the labelled rows add to the parts, w m and -w m_hat_j, (m, (1 + J) k), as `dsl.engine.sums.drawn_scores`."""
    parts = drawn_parts(block, problem, params)
    return np.concatenate([score for part, *rules in parts for score in part_scores(part, problem, params, *rules)])


def at_means(block: Rows, problem: Problem, basis: FloatArray) -> FloatArray:
    """Takes the reported coefficients to those of columns less their means, so that no origin counts, (k, k)."""
    k = len(problem.parameters)
    if "Intercept" not in problem.names:
        return np.eye(k)
    if isinstance(block, Streamed):
        means = [block.facts.means]
    else:
        rows, parts = block.row_weight, (block.fixed, block.predicted)
        means = [part.mean(axis=0) if rows is None else rows @ part / rows.sum() for part in parts]
    # reported coefficients belong to the columns as they were: theta_c = basis^-1 theta, and both differ from the identity
    # by what squares to zero
    identity = 2.0 * np.eye(k)
    return (identity - take_up(np.concatenate(means), problem)) @ (identity - basis)
