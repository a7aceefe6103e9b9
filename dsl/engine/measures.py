r"""Several measures (surrogates) of the same variables, each with a Lambda of its own.

With G stacking the :math:`(1 - w)\, \hat m_j` of J measures,

.. math:: \psi = w\, m + \sum_j \Lambda_j (1 - w)\, \hat m_j, \qquad
          (\Lambda_1, \dots, \Lambda_J) = -\mathrm{Cov}(w m, G)\, \mathrm{Var}(G)^{-1}

makes the variance smallest. As any :math:`\Lambda_j` may be zero, it is at most that with the best of the measures alone, and
with none (Robins, Rotnitzky and Zhao 1994). Measures that say the same share their weight: the inverse is Moore and Penrose's,
which takes the smallest Lambdas. What `dsl.engine.tuning` does for one measure is done here for J of them: ``"matrix"`` is the
formula above, ``"coef"`` a number for each coefficient and measure, ``"scalar"`` a number for each measure.
"""

from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.checks import check_order
from dsl.engine.covariance import inverse, sandwich, solve
from dsl.engine.effects import with_effects
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.labeling import finite_meat
from dsl.engine.moments import augmentation_weights, removed_weights
from dsl.engine.sums import Problem, label_meat, label_scores, part_scores, row_sums
from dsl.engine.tuning import DEGENERATE, FAR, NOTHING, Tuned, at_means, distance
from dsl.engine.two_way import positive_part
from dsl.exceptions import EstimationError

LEAST = 0.1
"""Sum of the measures' weights below which they say nothing about a pilot."""


def even(k: int, count: int) -> FloatArray:
    """Lambda of the mean over measures, I / J for each, (k, J k)."""
    return np.tile(np.eye(k) / count, count)


def best_weights(own: float, cross: FloatArray, added: FloatArray) -> FloatArray:
    """Weights l that make the variance of a + l'b smallest, of least norm about 1 / J each.

    Parameters
    ----------
    own : float
        Var(a).
    cross : (J,) array
        Cov(a, b).
    added : (J, J) array
        Var(b).

    Returns
    -------
    (J,) array

    Examples
    --------
    >>> best_weights(4.0, np.array([-1.0, -1.0]), np.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [0.5, 0.25]

    The same measure twice counts once:

    >>> best_weights(4.0, np.array([-1.0, -1.0]), np.array([[2.0, 2.0], [2.0, 2.0]])).round(12).tolist()
    [0.25, 0.25]
    """
    plain = np.full((1, len(cross)), 1.0 / len(cross))
    return np.asarray(_smallest(cross[None], added, plain, floor=NOTHING * own)[0])


def _smallest(cross: FloatArray, added: FloatArray, plain: FloatArray, floor: float = 0.0) -> FloatArray:
    """Minus Cov(g, h) Var(h)^-1, and `plain` in directions in which h does not vary."""
    square = np.diag(added)
    size = np.sqrt(np.where(square > floor, square, 1.0))
    # of the correlations: which directions are none must not depend on units
    inside = np.where(square > floor, 1.0, 0.0)
    correlation = added / size[:, None] / size * inside[:, None] * inside
    inner = np.linalg.pinv(correlation, rcond=DEGENERATE, hermitian=True)
    away = plain * size
    # least change from `plain`, in which h is on one scale
    return np.asarray((away - (cross / size + away @ correlation) @ inner) / size)


@dataclass(frozen=True, slots=True)
class _Pilot:
    """Sums over units of the scores' parts g + sum_j Lambda_j h_j at one estimate."""

    block: Block
    problem: Problem
    fit: SplitFit
    basis: FloatArray
    few: BoolArray
    total: FloatArray  # ((1 + J) k,)
    second: FloatArray  # ((1 + J) k, (1 + J) k) variance of these sums

    @classmethod
    def at(cls, block: Block, problem: Problem, fit: SplitFit, basis: FloatArray, few: BoolArray) -> "_Pilot":
        size = (1 + block.n_measures) * len(fit.params)
        plain = replace(problem, tuning=None)
        rows = part_scores(block, plain, fit.params, problem.weights, augmentation_weights)
        if problem.draw is None:
            total, second = row_sums(rows, plain, size)
        else:
            total, second = problem.draw.sums(rows, _on_labels(block, plain, fit.params))
        if problem.across is not None:
            second = positive_part(second)
        if problem.labeling is not None:
            second = finite_meat(_on_labels(block, plain, fit.params), problem.labeling)
        return cls(block, plain, fit, basis, few, total, second)

    @property
    def bread(self) -> FloatArray:
        return np.asarray(self.basis @ inverse(self.fit.jacobian))

    def meat(self, tuning: FloatArray) -> FloatArray:
        both = np.hstack([np.eye(len(tuning)), tuning])
        return np.asarray(both @ self.second @ both.T)

    def choose(self, tune: str) -> tuple[SplitFit, Tuned]:
        """The fit at the best Lambda, to first order from this one."""
        tuning = self.best(tune)
        return self.step(tuning), self.tuned(tuning)

    def best(self, tune: str) -> FloatArray:
        """The Lambdas side by side, (k, J k)."""
        k, count = len(self.few), self.block.n_measures
        bread, plain = self.bread, even(k, count)
        every = np.kron(np.eye(1 + count), bread)
        second = every @ self.second @ every.T
        kept = np.flatnonzero(~self.few)
        out = plain.copy()
        if tune == "matrix":
            columns = np.concatenate([kept + j * k for j in range(count)])
            rest, parts = np.ix_(kept, k + columns), np.ix_(k + columns, k + columns)
            out[np.ix_(kept, columns)] = _smallest(second[rest], second[parts], plain[np.ix_(kept, columns)])
        elif tune == "coef":
            for c in kept:
                places = c + k * np.arange(1 + count)
                out[c, places[1:] - k] = _weights_of(second[np.ix_(places, places)])
        elif len(kept):
            one = self._together(second, kept)
            for c in kept:
                out[c, c + k * np.arange(count)] = one
        # in coefficients so far, J Lambda J^-1 in scores
        return np.hstack([solve(bread, part @ bread) for part in np.split(out, count, axis=1)])

    def _together(self, second: FloatArray, kept: IntArray) -> FloatArray:
        """One weight for each measure, which make the sum of the variances smallest, (J,). `second` is in coefficients."""
        k, count = len(self.few), self.block.n_measures
        turn = np.kron(np.eye(1 + count), at_means(self.block, self.problem, self.basis))
        turned = turn @ second @ turn.T
        level = np.r_[1.0, np.full(count, 1.0 / count)]
        total = np.zeros((1 + count, 1 + count))
        for c in kept:
            places = c + k * np.arange(1 + count)
            part = turned[np.ix_(places, places)]
            # each variance relative to that of the mean over measures
            size = float(level @ part @ level)
            total += part / (size if size > 0.0 else 1.0)
        return _weights_of(total)

    def nearer(self) -> "_Pilot":
        """The estimate at the measures' weights, made to sum to one as those of their mean do: useless measures leave the pilot.

        This one where the weights sum to little, as nothing says then which measures are better.
        """
        tuning = self.best("scalar")
        k, count = len(self.few), self.block.n_measures
        weights = np.array([np.trace(part) / k for part in np.split(tuning, count, axis=1)])
        if self.few.any() or weights.sum() < LEAST:
            return self
        scaled = np.hstack([weight * np.eye(k) for weight in weights / weights.sum()])
        try:
            fit = fit_split(self.block, replace(self.problem, tuning=scaled), start=self.fit.params)
        except EstimationError:
            return self
        return _Pilot.at(self.block, self.problem, fit, self.basis, self.few)

    def step(self, tuning: FloatArray) -> SplitFit:
        """The fit at Lambda, to first order from this one."""
        both = np.hstack([np.eye(len(tuning)), tuning])
        problem, meat = replace(self.problem, tuning=tuning), self.meat(tuning)
        on_labels = label_scores(self.block, problem, self.fit.params)
        params = self.fit.params + solve(self.fit.jacobian, both @ self.total)
        check_order(params, problem)
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
        parts = np.split(tuning, self.block.n_measures, axis=1)
        each = np.stack([np.diag(bread @ part @ inverse(bread)) for part in parts])
        ends = (even(k, len(parts)), np.zeros_like(tuning))
        plain, without = (np.diag(bread @ self.meat(end) @ bread.T) for end in ends)
        return Tuned(
            lambdas=each.sum(axis=0), plain=plain, without=without, tuning=tuning, at=self.fit.params, each=each
        )


def _on_labels(block: Block, problem: Problem, params: FloatArray) -> FloatArray:
    """What the labelled rows add to the parts, w m and -w m_hat_j, (m, (1 + J) k)."""
    labels = with_effects(block, problem.link, params, problem.weights).labeled()
    return np.concatenate([*part_scores(labels, problem, params, problem.label_weights, removed_weights)])


def _weights_of(second: FloatArray) -> FloatArray:
    """`best_weights` from the variance of (g, h_1, ..., h_J) of one number."""
    return best_weights(float(second[0, 0]), second[0, 1:], second[1:, 1:])


def fit_measures(
    block: Block,
    problem: Problem,
    tune: str | float,
    start: FloatArray | None = None,
    basis: FloatArray | None = None,
    few: BoolArray | None = None,
) -> tuple[SplitFit, Tuned]:
    """Solve at a pilot estimate, choose the Lambdas there, and take one step to the root of the moment at these.

    The pilot is the estimate with the mean over the measures, weighted by what they are worth, or that of the labelled rows alone
    where it has none.

    Parameters
    ----------
    block : Block
        With several measures.
    problem, tune, start, basis, few
        As in `dsl.engine.tuning.fit_tuned`. A number counts for the mean over the measures.

    Returns
    -------
    SplitFit, Tuned
    """
    k, count = len(problem.parameters), block.n_measures
    basis = np.eye(k) if basis is None else basis
    few = np.zeros(k, dtype=bool) if few is None else few
    if not isinstance(tune, str):
        tuning = tune * even(k, count)
        fit = fit_split(block, replace(problem, tuning=tuning), start=start)
        return fit, _Pilot.at(block, problem, fit, basis, few).tuned(tuning)
    found = None
    try:
        found = _Pilot.at(block, problem, fit_split(block, problem, start=start), basis, few).nearer().choose(tune)
        if distance(*found, problem.slopes) <= FAR:
            return found
    except EstimationError:
        pass
    try:
        alone = fit_split(block, replace(problem, tuning=np.zeros((k, k * count))))
        return _Pilot.at(block, problem, alone, basis, few).choose(tune)
    except EstimationError:
        # labelled rows alone need not determine the coefficients, where a pilot far away is better than none
        if found is None:
            raise
        return found
