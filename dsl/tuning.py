"""How much to rely on the predictions: Lambda in psi = w m + Lambda (1 - w) m_hat.

(1 - w) m_hat has expectation zero over the labelling whatever m_hat is, because the sampling probabilities are known. Any
Lambda is therefore valid, and the one that makes the variance smallest is a regression coefficient: that of the rest of
the score on this part. Lambda = 0 leaves the labelled rows alone, Lambda = I is plain DSL; the minimum is at most the
smaller of both (Robins, Rotnitzky and Zhao 1994; for one scalar PPI++, Angelopoulos, Duchi and Zrnic 2023).

With fixed effects the part that is scaled is (1 - w) m_hat of the predictions within the effects: unlike the gold-only
moment, whose effects rest on a few labelled rows each, its expectation is zero however short the panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray
from dsl.covariance import finite_meat, sandwich
from dsl.engine import Problem, SplitFit, fit_split, label_meat, label_scores, row_scores, score_sums, unit_scores
from dsl.moments import Block, augmentation_weights

KINDS = ("scalar", "coef", "matrix")
"""One number for all coefficients, one for each, or a full matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The chosen Lambda, and what the alternatives would have given; in the reported coefficients."""

    lambdas: FloatArray
    """(k,) diagonal of J^-1 Lambda J: how much each coefficient relies on the predictions."""
    plain: FloatArray | None
    """(k,) variances at Lambda = I; None where they were not computed."""
    without: FloatArray | None
    """(k,) variances at Lambda = 0, to first order."""
    tuning: FloatArray | None = None
    """(k, k) Lambda, in the block's parameters."""
    at: FloatArray | None = None
    """(k,) the block's parameters at which the scores were taken."""


def fit_tuned(
    block: Block,
    problem: Problem,
    tune: str | float,
    start: FloatArray | None = None,
    basis: FloatArray | None = None,
) -> tuple[SplitFit, Tuned]:
    """Solve at Lambda = I, choose Lambda there, and change the estimate by what it says.

    A chosen Lambda is applied to the augmentation at the plain estimate, theta + J^-1 (Lambda - I) sum h: to first order the
    root of the moment at Lambda, but its Jacobian still rests on all rows, and its variance is at most that of the plain
    estimate and of Lambda = 0. A number for Lambda is solved for exactly.

    Parameters
    ----------
    block : Block
    problem : Problem
    tune : {"scalar", "coef", "matrix"} or float
        What to choose; a number is Lambda itself, times the identity.
    start : (k,) array, optional
        Where Newton's method begins.
    basis : (k, k) array, optional
        Matrix that takes the block's parameters to the reported ones (`dsl.centre`); the identity by default.

    Returns
    -------
    SplitFit, Tuned
    """
    plain = fit_split(block, problem, start=start)
    k = len(plain.params)
    basis = np.eye(k) if basis is None else basis
    bread = basis @ np.linalg.inv(plain.jacobian)
    pair = _pair(block, problem, plain.params)
    if isinstance(tune, str):
        tuning = np.eye(k) + best_change(tune, pair.second, bread)
        fit = _changed(block, replace(problem, tuning=tuning), plain, pair)
    else:
        tuning = tune * np.eye(k)
        fit = fit_split(block, replace(problem, tuning=tuning), start=plain.params)
    alone = _changed(block, replace(problem, tuning=np.zeros((k, k))), plain, pair)
    return fit, Tuned(
        lambdas=np.diag(bread @ tuning @ np.linalg.inv(bread)),
        plain=np.diag(basis @ plain.vcov @ basis.T),
        without=np.diag(basis @ alone.vcov @ basis.T),
        tuning=tuning,
        at=plain.params if isinstance(tune, str) else fit.params,
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Sums over units of the plain scores s and of the augmentation h = (1 - w) m_hat."""

    augmentation: FloatArray  # (k,) sum of h
    second: FloatArray  # (2k, 2k) sum of (s, h)(s, h)'


def _pair(block: Block, problem: Problem, params: FloatArray) -> _Pair:
    within = block if block.within is None else block.within
    rows = zip(
        row_scores(block, problem, params, problem.weights, augmentation_weights),
        row_scores(within, problem, params, augmentation_weights, augmentation_weights),
        strict=True,
    )
    k = len(params)
    total, second = score_sums(unit_scores((np.hstack(pair) for pair in rows), problem), 2 * k)
    return _Pair(total[k:], second)


def _changed(block: Block, problem: Problem, plain: SplitFit, pair: _Pair) -> SplitFit:
    """The fit at ``problem.tuning``, to first order from the plain one."""
    k = len(plain.params)
    change = np.asarray(problem.tuning) - np.eye(k)
    both = np.hstack([np.eye(k), change])
    on_labels = label_scores(block, problem, plain.params)
    meat = both @ pair.second @ both.T if problem.labeling is None else finite_meat(on_labels, problem.labeling)
    return replace(
        plain,
        params=plain.params + np.linalg.solve(plain.jacobian, change @ pair.augmentation),
        vcov=sandwich(plain.jacobian, meat),
        meat=meat,
        label_scores=on_labels,
        label_meat=label_meat(block, problem, on_labels),
    )


def side_by_side(choices: Sequence[Tuned]) -> Tuned:
    """The choices of several equations in one."""

    def every(name: str) -> FloatArray | None:
        values = [getattr(choice, name) for choice in choices]
        return None if any(value is None for value in values) else np.concatenate(values)

    return Tuned(
        lambdas=np.concatenate([choice.lambdas for choice in choices]), plain=every("plain"), without=every("without")
    )


def best_change(tune: str, second: FloatArray, bread: FloatArray) -> FloatArray:
    """Lambda - I that makes the variance of s + (Lambda - I) h smallest; (k, k).

    ``"matrix"``: minus the regression of s on h. ``"coef"``: the same for each coefficient's influence alone.
    ``"scalar"``: one number, for the sum of the variances, each relative to its value at Lambda = I.

    Parameters
    ----------
    tune : {"scalar", "coef", "matrix"}
    second : (2k, 2k) array
        Sum over units of (s, h)(s, h)', s the scores at Lambda = I and h = (1 - w) m_hat.
    bread : (k, k) array
        Takes scores to the influence on the reported coefficients.
    """
    k = len(bread)
    if tune == "matrix":
        return np.asarray(-np.linalg.lstsq(second[k:, k:], second[k:, :k], rcond=None)[0].T)
    variance, covariance, own = (
        np.diag(bread @ part @ bread.T) for part in (second[:k, :k], second[:k, k:], second[k:, k:])
    )
    if tune == "scalar":
        total = float((own / variance).sum())
        return np.eye(k) * (-float((covariance / variance).sum()) / total if total > 0.0 else 0.0)
    each = -covariance / np.where(own > 0.0, own, 1.0)
    return np.asarray(np.linalg.solve(bread, each[:, None] * bread))
