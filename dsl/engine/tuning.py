"""How much to rely on the predictions: Lambda in psi = w m + Lambda (1 - w) m_hat.

(1 - w) m_hat has expectation zero over the labelling whatever m_hat is, because the sampling probabilities are known. Any
Lambda is therefore valid, and the one that makes the variance smallest is a regression coefficient: that of the rest of
the score on this part. Lambda = 0 leaves the labelled rows alone, Lambda = I is plain DSL. The minimum is at most the
smaller of both (Robins, Rotnitzky and Zhao 1994, and for one scalar PPI++ by Angelopoulos, Duchi and Zrnic 2023).

With fixed effects the part that is scaled is (1 - w) m_hat of the predictions within the effects. Its expectation is zero
however short the panel, unlike that of the gold-only moment, whose effects rest on a few labelled rows each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray
from dsl.engine.blocks import Block
from dsl.engine.checks import check_order
from dsl.engine.covariance import BY_DESIGN_HC3, inverse, sandwich, solve
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.labeling import finite_meat
from dsl.engine.leave_out import (
    jackknifed,
    left_out_scores,
    leverage_by_coefficient,
    leverage_of_labels,
    unit_jacobians,
)
from dsl.engine.moments import augmentation_weights
from dsl.engine.press import press
from dsl.engine.sums import Problem, label_meat, label_scores, row_scores, row_sums, take_up, unit_scores
from dsl.engine.two_way import positive_part
from dsl.exceptions import EstimationError

FAR = 1.0
"""Distance of the tuned estimate from the pilot, in its standard errors (root mean square over slopes), from which
another pilot is taken. A surrogate that is a coin toss (simulation A) never came so far in 300 draws."""
NOTHING = 1e-20
"""Variance of what useless predictions add, relative to that of the rest, that rounding can make."""
DEGENERATE = 1e-10
"""Eigenvalue of a correlation matrix, relative to the largest, below which a direction is none."""
MOST_LEFT_OUT = 1_000
"""Labelled units up to which a jackknife chooses Lambda anew without each. Beyond, `dsl.engine.press` is close enough."""
KINDS = ("scalar", "coef", "matrix")
"""One number for all coefficients, one for each, or a full matrix."""


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


def fit_tuned(
    block: Block,
    problem: Problem,
    tune: str | float,
    start: FloatArray | None = None,
    basis: FloatArray | None = None,
    few: BoolArray | None = None,
) -> tuple[SplitFit, Tuned]:
    """Solve at a pilot estimate, choose Lambda there, and take one step to the root of the moment at this Lambda.

    The pilot is the estimate at Lambda = I. With very poor predictions it does not exist, or lies farther
    from the tuned estimate than `FAR`, and says nothing about Lambda. The estimate of the labelled rows alone then takes its
    place. The variance is at most that at Lambda = I and at Lambda = 0, all taken at the pilot. A number for Lambda is
    solved for exactly.

    Parameters
    ----------
    block : Block
    problem : Problem
    tune : {"scalar", "coef", "matrix"} or float
        What to choose. A number is Lambda itself, times the identity.
    start : (k,) array, optional
        Where Newton's method begins.
    basis : (k, k) array, optional
        Matrix that takes the block's parameters to the reported ones (`dsl.engine.centre`), the identity by default.
    few : (k,) bool array, optional
        Coefficients with too few labelled rows behind them (`dsl.engine.behind`) to show a variance, whose Lambda stays 1.

    Returns
    -------
    SplitFit, Tuned
    """
    k = len(problem.parameters)
    basis = np.eye(k) if basis is None else basis
    few = np.zeros(k, dtype=bool) if few is None else few
    if not isinstance(tune, str):
        fit = fit_split(block, replace(problem, tuning=tune * np.eye(k)), start=start)
        problem = replace(problem, leave_out=None)
        pilot = _Pilot.at(block, problem, fit, basis, few)
        return fit, replace(pilot.tuned(tune * np.eye(k)), at=fit.params)
    found, plain = None, replace(problem, leave_out=None, draw=None)
    try:
        found = _Pilot.at(block, problem, fit_split(block, plain, start=start), basis, few).choose(tune)
        if distance(*found, problem.slopes) <= FAR:
            return found
    except EstimationError:
        pass
    try:
        alone = fit_split(block, replace(plain, tuning=np.zeros((k, k))))
        return _Pilot.at(block, problem, alone, basis, few).choose(tune)
    except EstimationError:
        # labelled rows alone need not determine the coefficients, where a pilot far away is better than none
        if found is None:
            raise
        return found


def distance(fit: SplitFit, choice: Tuned, slopes: BoolArray) -> float:
    """Root mean square distance of the tuned estimate from the pilot, in standard errors of their combinations.

    That of the slopes: an intercept is another quantity, with another Lambda, where a column has another origin.
    """
    assert choice.at is not None
    if not slopes.any():
        slopes = np.ones(len(slopes), dtype=bool)
    step, vcov = (fit.params - choice.at)[slopes], fit.vcov[np.ix_(slopes, slopes)]
    se = np.sqrt(np.maximum(np.diag(vcov), 0.0))
    se = np.where(se > 0.0, se, 1.0)
    # of correlations and steps in standard errors, so that no column's units count. pinv: coefficients may move together,
    # and such directions do not count
    inner = np.linalg.pinv(vcov / se[:, None] / se, rcond=DEGENERATE, hermitian=True)
    square = float((step / se) @ inner @ (step / se))
    return float(np.sqrt(max(square, 0.0) / len(step)))


@dataclass(frozen=True, slots=True)
class _Pilot:
    """Sums over units of the scores' parts g + Lambda h, with the augmentation h = (1 - w) m_hat, at one estimate.

    g is what is left of the score at Lambda = I without h. It and h are kept apart, since their sum would lose the digits of g
    where predictions are on a scale far from that of the gold values.
    """

    block: Block
    problem: Problem
    fit: SplitFit
    basis: FloatArray
    few: BoolArray
    total: FloatArray  # (2k,) sum of (g, h)
    second: FloatArray  # (2k, 2k) variance of these sums
    rows: tuple[FloatArray, ...]  # (., 2k) the rows' parts in pieces, where units are to be left out

    @classmethod
    def at(cls, block: Block, problem: Problem, fit: SplitFit, basis: FloatArray, few: BoolArray) -> "_Pilot":
        k, params = len(fit.params), fit.params
        rows: Iterable[FloatArray] = _rows(block, problem, params)
        if problem.leave_out is not None:
            rows = tuple(rows)  # for `_left_out`
        if problem.draw is None:
            total, second = row_sums(rows, problem, 2 * k)
        else:
            total, second = problem.draw.sums(rows, _on_labels(block, problem, params))
        if problem.across is not None:
            second = positive_part(second)  # no Lambda may make a variance negative
        if problem.labeling is not None:
            second = finite_meat(_on_labels(block, problem, params), problem.labeling)
        return cls(block, problem, fit, basis, few, total, second, rows if isinstance(rows, tuple) else ())

    @property
    def bread(self) -> FloatArray:
        return np.asarray(self.basis @ inverse(self.fit.jacobian))

    def choose(self, tune: str) -> tuple[SplitFit, Tuned]:
        """The fit at the best Lambda, to first order from this one."""
        tuning = best_tuning(tune, self.second, self.bread, self.few, self._centre())
        fit, choice = self.step(tuning), self.tuned(tuning)
        if self.problem.leave_out is None:
            return fit, choice
        units = self._left_out(tune, tuning)
        return replace(fit, vcov=sandwich(fit.jacobian, units.T @ units)), replace(choice, corrected=units)

    def _left_out(self, tune: str, tuning: FloatArray) -> FloatArray:
        """Scores of the units as `Problem.leave_out` has them, with Lambda chosen without each, (G, k)."""
        k, bread, problem, at = len(tuning), self.bread, self.problem, self.fit.params
        lost = np.zeros((0, 2 * k))
        if problem.draw is None:
            parts = np.concatenate([*unit_scores(self.rows, problem)])
        else:
            centred = problem.draw.about(_on_labels(self.block, problem, at))
            parts, lost = np.concatenate([*centred.units(self.rows)]), centred.lost
        added = parts[:, k:] @ bread.T
        # influences on the reported coefficients, and the part of them that Lambda scales
        influence = (parts[:, :k] + parts[:, k:] @ tuning.T) @ bread.T
        own = press(tune, influence, added, self.few, *self._weighed()) @ inverse(bread).T
        if problem.leave_out == "PRESS":
            return np.asarray(own)
        tuned = replace(problem, tuning=tuning)
        if problem.leave_out == BY_DESIGN_HC3:
            # effects that are absorbed have no leverage that is known
            if self.block.absorbed is None and self.block.effects is None:
                if tune == "coef":
                    own = self._by_coefficient(parts, added, tuning) @ inverse(bread).T
                else:
                    own = leverage_of_labels(self.block, tuned, at, self.fit.jacobian, own)
            return np.vstack([own, lost[:, :k] + lost[:, k:] @ tuning.T])
        if problem.leave_out != "jackknife":
            return left_out_scores(self.block, tuned, at, self.fit.jacobian, own)
        own = left_out_scores(self.block, replace(tuned, leave_out="HC3"), at, self.fit.jacobian, own)
        return jackknifed(self._without_each(tune, tuned, parts, own))

    def _by_coefficient(self, parts: FloatArray, added: FloatArray, tuning: FloatArray) -> FloatArray:
        """Influences (G, k) corrected for leverage and for the choice of Lambda, each coefficient's at its own Lambda."""
        bread = self.bread
        corrected = leverage_by_coefficient(
            self.block,
            self.problem,
            self.fit.params,
            self.fit.jacobian,
            bread=bread,
            parts=parts,
            lambdas=np.diag(bread @ tuning @ inverse(bread)),
        )
        return corrected * press("coef", np.ones_like(added), added, self.few)

    def _without_each(self, tune: str, tuned: Problem, parts: FloatArray, own: FloatArray) -> FloatArray:
        """Scores A (theta - theta without the unit) of labelled units, whose Lambda is chosen anew. Others' are `own`, (G, k)."""
        jacobian, out, first = self.fit.jacobian, own.copy(), 0
        step, centre = solve(jacobian, self._root(tuned.tuning, self.total)), self._centre()
        labeled = self.block.gold_rows if tuned.cluster is None else np.unique(tuned.cluster[self.block.gold_rows])
        if len(labeled) > MOST_LEFT_OUT:
            return out
        for jacobians in unit_jacobians(self.block, tuned, self.fit.params):
            for unit in labeled[(labeled >= first) & (labeled < first + len(jacobians))]:
                part, left = parts[unit], jacobian - jacobians[unit - first]
                second = self.second - part[:, None] * part
                again = best_tuning(tune, second, self.basis @ inverse(left), self.few, centre)
                out[unit] = jacobian @ (step - solve(left, self._root(again, self.total - part)))
            first += len(jacobians)
        return out

    @staticmethod
    def _root(tuning: FloatArray | None, total: FloatArray) -> FloatArray:
        """Moment at Lambda, from the sums (2k,) of its parts, (k,)."""
        assert tuning is not None
        return np.asarray(np.hstack([np.eye(len(tuning)), tuning]) @ total)

    def _weighed(self) -> tuple[FloatArray, FloatArray]:
        """Takes the coefficients to those whose variances ``"scalar"`` adds up (k, k), and what each is divided by (k,)."""
        k, turn = len(self.few), self._centre()
        both = turn @ self.bread @ np.hstack([np.eye(k), np.eye(k)])
        return turn, np.einsum("ij,jl,il->i", both, self.second, both)

    def _centre(self) -> FloatArray:
        """Takes the reported coefficients to those of columns less their means, so that no origin counts, (k, k)."""
        return at_means(self.block, self.problem, self.basis)

    def meat(self, tuning: FloatArray) -> FloatArray:
        """Meat at Lambda."""
        # psi = g + Lambda h = [I, Lambda] (g, h), (k, 2k) times (2k,)
        both = np.hstack([np.eye(len(tuning)), tuning])
        return np.asarray(both @ self.second @ both.T)

    def step(self, tuning: FloatArray) -> SplitFit:
        """The fit at Lambda, to first order from this one."""
        both = np.hstack([np.eye(len(tuning)), tuning])
        problem = replace(self.problem, tuning=tuning)
        meat = self.meat(tuning)
        on_labels = label_scores(self.block, problem, self.fit.params)
        # (1 - w) m_hat has expectation zero at every theta, its Jacobian too: the pilot's serves every Lambda
        params = self.fit.params + solve(self.fit.jacobian, both @ self.total)
        check_order(params, self.problem)
        return replace(
            self.fit,
            params=params,
            vcov=sandwich(self.fit.jacobian, meat),
            meat=meat,
            label_scores=on_labels,
            label_meat=label_meat(self.block, problem, on_labels),
        )

    def tuned(self, tuning: FloatArray) -> Tuned:
        """What Lambda amounts to, and the variances at both ends."""
        k, bread = len(tuning), self.bread
        plain, without = (np.diag(bread @ self.meat(end) @ bread.T) for end in (np.eye(k), np.zeros((k, k))))
        return Tuned(
            # Lambda acts on moments, J^-1 Lambda J on coefficients
            lambdas=np.diag(bread @ tuning @ inverse(bread)),
            plain=plain,
            without=without,
            tuning=tuning,
            at=self.fit.params,
        )


def _rows(block: Block, problem: Problem, params: FloatArray) -> Iterator[FloatArray]:
    """Rows' parts (g, h) of the scores g + Lambda h, in pieces, (., 2k)."""
    within = block if block.within is None else block.within
    rows = zip(
        row_scores(block, problem, params, problem.weights, augmentation_weights),
        row_scores(within, problem, params, augmentation_weights, augmentation_weights),
        strict=True,
    )
    return (np.hstack([score - own, own]) for score, own in rows)


def _on_labels(block: Block, problem: Problem, params: FloatArray) -> FloatArray:
    """The labelled rows' parts of (g, h), (m, 2k): w m, and -w m_hat = w (m - m_hat) - w m."""
    k = len(params)
    own = label_scores(block, problem, params)
    gold = label_scores(block, replace(problem, tuning=np.zeros((k, k))), params)
    return np.hstack([gold, own - gold])


def at_means(block: Block, problem: Problem, basis: FloatArray) -> FloatArray:
    """Takes the reported coefficients to those of columns less their means, so that no origin counts, (k, k)."""
    k = len(problem.parameters)
    if "Intercept" not in problem.names:
        return np.eye(k)
    rows = block.row_weight
    means = [part.mean(axis=0) if rows is None else rows @ part / rows.sum() for part in (block.fixed, block.predicted)]
    # reported coefficients belong to the columns as they were: theta_c = basis^-1 theta, and both differ from the identity
    # by what squares to zero
    identity = 2.0 * np.eye(k)
    return (identity - take_up(np.concatenate(means), problem)) @ (identity - basis)


def side_by_side(choices: Sequence[Tuned]) -> Tuned:
    """The choices of several equations in one."""

    def every(name: str) -> FloatArray | None:
        values = [getattr(choice, name) for choice in choices]
        return None if any(value is None for value in values) else np.concatenate(values)

    matrices = [choice.tuning for choice in choices if choice.tuning is not None]
    # of several measures: those of the first in all equations, then of the second
    parts = zip(*(np.split(each, each.shape[1] // len(each), axis=1) for each in matrices), strict=True)
    each = [choice.each for choice in choices if choice.each is not None]
    return Tuned(
        lambdas=np.concatenate([choice.lambdas for choice in choices]),
        plain=every("plain"),
        without=every("without"),
        tuning=np.hstack([scipy.linalg.block_diag(*part) for part in parts]) if len(matrices) == len(choices) else None,
        at=every("at"),
        each=np.hstack(each) if each else None,
    )


def best_lambda(
    variance: ArrayLike,
    covariance: ArrayLike,
    added: ArrayLike,
    *,
    together: bool = False,
    relative: FloatArray | None = None,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    useless: float = 0.0,
) -> FloatArray:
    r"""Lambda that makes the variance of a + Lambda b smallest.

    .. math:: \Lambda = -\mathrm{Cov}(a, b) / \mathrm{Var}(b)

    Here a is an estimate (its error, or a row's score), and b is what the predictions can take from it or add to it, which has
    expectation zero. Every choice of Lambda in the package is a case of this, with its own a and b:

    - `best_tuning`: b the influence of (1 - w) m_hat on a coefficient, a that of the rest of the score. Without bounds. Its
      ``"matrix"`` is the same for vectors a and b, where Var(b) is a matrix to be solved.
    - `dsl.engine.two_sample.fit.best_lam`: a and b the means of the two samples' scores, and each variance the trace of the
      covariance matrix of the coefficients. In [0, 1].
    - `dsl.engine.quantile`: a the share of gold values up to t, b the difference of the two shares of surrogates. In [0, 1].
    - `dsl.ppi_statistic`: a and b the statistic of the gold values and the difference of the two statistics of the
      surrogates, over the bootstrap draws. In [0, 1].

    Parameters
    ----------
    variance, covariance, added : (k,) arrays, or numbers
        Var(a), Cov(a, b) and Var(b) of each of k estimates.
    together : bool
        One Lambda for all estimates, which makes the sum of their variances smallest, each relative to its Var(a).
    relative : (k,) array, optional
        What they are relative to instead.
    bounds : (float, float)
        Where Lambda must lie: the variance is a parabola in it, so that the nearest bound is best if the vertex lies outside.
    useless : float
        Lambda where Var(b) is no more than rounding makes of nothing.

    Returns
    -------
    (k,) array, or a number for numbers and with `together`
        Within the bounds.

    References
    ----------
    Robins, Rotnitzky and Zhao, JASA 89 (1994). Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference"
    (2023), section 6.

    Examples
    --------
    >>> best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5])).tolist()
    [0.5, 1.2]
    >>> best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5]), bounds=(0.0, 1.0)).tolist()
    [0.5, 1.0]
    >>> float(best_lambda(np.array([4.0, 1.0]), np.array([-1.0, -0.6]), np.array([2.0, 0.5]), together=True))
    0.85
    """
    own, cross, square = (np.asarray(part, dtype=float) for part in (variance, covariance, added))
    if together:
        scale = own if relative is None else relative
        scale = np.where(scale > 0.0, scale, 1.0)
        own, cross, square = ((part / scale).sum() for part in (own, cross, square))
    useful = square > NOTHING * own
    # where(useful, square, 1): the other branch is computed too, and must not divide by zero
    vertex = np.where(useful, -cross / np.where(useful, square, 1.0), useless)
    return np.asarray(np.clip(vertex, *bounds) + 0.0)  # no minus zero


def best_tuning(
    tune: str, second: FloatArray, bread: FloatArray, few: BoolArray | None = None, centre: FloatArray | None = None
) -> FloatArray:
    """Lambda that makes the variance of g + Lambda h smallest, by `best_lambda` but for a matrix. (k, k) array.

    ``"matrix"``: minus the regression of g on h, in coefficients. ``"coef"``: the same for each coefficient's influence alone.
    ``"scalar"``: one number, for the sum of the variances, each relative to its value at Lambda = I.

    Parameters
    ----------
    tune : {"scalar", "coef", "matrix"}
    second : (2k, 2k) array
        Sum over units of (g, h)(g, h)', h = (1 - w) m_hat and g the rest of the score.
    bread : (k, k) array
        Takes scores to the influence on the reported coefficients.
    few : (k,) bool array, optional
        Coefficients that are left at Lambda = 1, and that choose nothing for others.
    centre : (k, k) array, optional
        Takes the coefficients to those whose variances ``"scalar"`` adds up.
    """
    k = len(bread)
    few = np.zeros(k, dtype=bool) if few is None else few
    if few.all():
        return np.eye(k)
    parts = (second[:k, :k], second[:k, k:], second[k:, k:])
    own, cross, added = (bread @ part @ bread.T for part in parts)
    if tune == "matrix":
        out = np.eye(k)
        kept = np.ix_(~few, ~few)
        out[kept] = _regression(cross[kept], added[kept])
    elif tune == "coef":
        each = best_lambda(np.diag(own), np.diag(cross), np.diag(added), useless=1.0)
        out = np.diag(np.where(few, 1.0, each))
    else:
        turn = np.eye(k) if centre is None else centre
        a, b, c = (np.diag(turn @ part @ turn.T)[~few] for part in (own, cross, added))
        one = best_lambda(a, b, c, together=True, relative=a + 2.0 * b + c, useless=1.0)
        if not few.any():
            return np.eye(k) * one
        out = np.diag(np.where(few, 1.0, one))
    # in coefficients so far, J diag(c) J^-1 in scores: each coefficient's influence has its own c
    return np.asarray(solve(bread, out @ bread))


def _regression(cross: FloatArray, added: FloatArray) -> FloatArray:
    """Minus Cov(g, h) Var(h)^-1. In directions in which h does not vary (useless predictions) the identity."""
    size = np.sqrt(np.diag(added))
    size = np.where(size > 0.0, size, 1.0)
    # of the correlations: which directions are none must not depend on units
    inner = np.linalg.pinv(added / size[:, None] / size, rcond=DEGENERATE, hermitian=True)
    slope = -(cross / size) @ inner / size
    idle = np.eye(len(size)) - (added / size[:, None] / size) @ inner
    return np.asarray(slope + size[:, None] * idle / size)
