"""Estimates of the two-sample form: least squares in closed form, else Newton's method."""

from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.checks import check_order
from dsl.engine.fit import fit_split, moment_size, rough_start
from dsl.engine.moments import Weights, counted
from dsl.engine.solve import is_singular, newton
from dsl.engine.streamed import Rows
from dsl.engine.sums import Problem, column_scale, moment_sums, parameter_scale, shared_gram
from dsl.engine.two_sample.sums import Means, Samples, Sums, gold_version, gram_means, mean_scores, sums_at
from dsl.exceptions import EstimationError, SingularJacobianError

ROUGH = 1e-8
"""Largest mean moment, columns scaled, from which the step that comes with the scores finishes the work."""
CLOSE = 1e-6
"""The same, from which one more step with a Jacobian that works leaves less than `NEGLIGIBLE` to do."""
NEGLIGIBLE = 1e-6
"""A step of Newton's method, columns scaled, that leaves an error of its square, and standard errors as they are."""
NO_WEIGHT = 1e-6
"""Sum of the measures' weights from which on their Jacobians say nothing."""
ROUNDING = 1e-13
"""Share of a column's sum of squares that rounding may leave of a difference of sums that is zero."""
MAX_STEPS = 8
WEAK = 1e-4
"""Singular value of a scaled Jacobian below which the engine looks for what is wrong."""
THIN = 50_000
"""Unlabelled rows that Newton's method looks at first, where there are many times more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An estimate, and the sums at parameters that differ from it negligibly."""

    params: FloatArray  # (k,)
    sums: Sums
    norm: float  # largest mean moment left at the sums' parameters, columns scaled to root mean square one
    iterations: int


def solve(samples: Samples, lam: float, near: Root | None = None) -> Root:
    """Estimate at `lam`.

    Parameters
    ----------
    samples : Samples
    lam : float
    near : Root, optional
        The estimate at another lam, to start from.

    Returns
    -------
    Root

    Raises
    ------
    SeparationError, SingularJacobianError, ConvergenceError
    """
    scale = _scale(samples)
    params, iterations = (_regressions if samples.closed_form else _rough)(samples, lam, near)
    for _ in range(MAX_STEPS):
        sums = sums_at(samples, params)
        step = _step(samples, sums.jacobians, sums.scores, lam)
        params, iterations = params + step, iterations + 1
        if samples.closed_form or np.abs(step / scale).max() <= NEGLIGIBLE:
            break
    check_order(params, samples.problem)
    norm = float(np.abs(scale * (hessian(samples, sums.jacobians, lam) @ step)).max())
    return Root(params=params, sums=sums, norm=norm, iterations=iterations)


def hessian(samples: Samples, jacobians: Means, lam: float) -> FloatArray:
    """H: over all rows where it depends on known covariates alone, else the derivative of the moment equation, (k, k)."""
    if not (samples.known and samples.problem.link.canonical):
        return jacobians.at(lam)
    # Gram matrices have no weights of measures in them
    total = 1.0 if samples.closed_form else samples.total
    if lam == 0.0 or abs(total) < NO_WEIGHT:
        return jacobians.gold
    n, n_unlabeled = samples.n, samples.n_unlabeled
    return np.asarray((n * jacobians.hat + n_unlabeled * jacobians.unlabeled) / (n + n_unlabeled) / total)


def _step(samples: Samples, jacobians: Means, scores: Means, lam: float) -> FloatArray:
    """From parameters with these mean scores to the estimate: exactly in linear models, else Newton's step."""
    if not samples.closed_form:
        return np.asarray(np.linalg.solve(jacobians.at(lam), scores.at(lam)))
    # OLS(X_L, y) - theta and OLS(X_L, f) - theta: scores are x (y - x'theta) and x (f - x'theta), the Gram matrix one
    labeled = np.linalg.solve(jacobians.gold, np.column_stack([scores.gold, scores.hat]))
    if lam == 0.0:
        return np.asarray(labeled[:, 0])
    return np.asarray(labeled[:, 0] + lam * (np.linalg.solve(jacobians.unlabeled, scores.unlabeled) - labeled[:, 1]))


def _size(block: Rows, problem: Problem) -> float:
    """What moments are relative to. Linear equations are solved exactly, whatever it is."""
    return 1.0 if problem.link.slope is None else moment_size(block, problem.link)


def _scale(samples: Samples) -> FloatArray:
    return samples.problem.spread(column_scale(samples.block, samples.gram))


def _regressions(samples: Samples, lam: float, near: Root | None) -> tuple[FloatArray, int]:
    """Least squares from the Gram matrices."""
    jacobians = gram_means(samples)
    _check_each(samples, jacobians, lam)
    if near is not None:
        return near.sums.params + _step(samples, jacobians, near.sums.scores, lam), 0
    zero = np.zeros(samples.k)
    return _step(samples, jacobians, mean_scores(samples, zero), lam), 0


def _check_each(samples: Samples, jacobians: Means, lam: float) -> None:
    """Raise SingularJacobianError unless both samples have a regression of their own."""
    parts = [("labelled", samples.n, jacobians.gold)]
    if lam != 0.0:
        parts.append(("unlabelled", samples.n_unlabeled, jacobians.unlabeled))
    whole = sum(count * np.diag(gram) for _, count, gram in parts)
    for what, count, gram in parts:
        # the unlabelled rows' sums are differences of sums, of which zeros are left with rounding
        square = np.diag(gram)
        size = np.sqrt(np.where(count * square > ROUNDING * whole, square, 0.0))
        names = [name for name, s in zip(samples.problem.names, size, strict=True) if s <= 0.0]
        if not names and not is_singular(gram / size[:, None] / size):
            continue
        zero = f": {', '.join(repr(name) for name in names)} zero in all of them" if names else ""
        raise SingularJacobianError(
            f"the {count} {what} rows alone do not determine {samples.k} coefficients{zero}; merge rare categories, take columns "
            f"out of the formula, or {'label more rows' if what == 'labelled' else 'leave more rows unlabelled'}"
        )


def _rough(samples: Samples, lam: float, near: Root | None) -> tuple[FloatArray, int]:
    """Newton's method, on many rows with a Jacobian from elsewhere as long as that works."""
    jacobian: FloatArray | None
    if near is not None:
        jacobian = near.sums.jacobians.at(lam)
        # the first step from another lam needs no pass: scores and Jacobians are linear in lam
        start = near.sums.params + np.linalg.solve(jacobian, near.sums.scores.at(lam))
    else:
        start, jacobian = _start(samples, lam)
    if jacobian is not None:
        found = _simplified_newton(samples, lam, start, jacobian)
        if found is not None:
            return found
    params, _, iterations = _newton(samples, lam, start)
    return params, iterations


def _simplified_newton(
    samples: Samples, lam: float, start: FloatArray, jacobian: FloatArray
) -> tuple[FloatArray, int] | None:
    """Newton's method with one Jacobian for all steps, which takes few cheap passes if it is a good one. None if not."""
    params, scale, last = start, _scale(samples), np.inf
    size = _size(samples.block, samples.problem)
    for steps in range(MAX_STEPS):
        moment = mean_scores(samples, params).at(lam)
        norm = float(np.abs(moment * scale).max()) / size
        # a step should leave a tenth at most. A Jacobian that does worse (or gives NaN) saves nothing.
        if not norm < max(0.1 * last, ROUGH):
            return None
        params, last = params + np.linalg.solve(jacobian, moment), norm
        if norm <= CLOSE:
            return params, steps + 1
    return None


def _start(samples: Samples, lam: float) -> tuple[FloatArray, FloatArray | None]:
    """Where to begin: the labelled rows' estimate or, on many rows, the estimate from some of them and its Jacobian."""
    problem = Problem(link=samples.problem.link, names=samples.problem.names, weights=gold_version)
    start = rough_start(samples.labeled, problem)
    jacobian: FloatArray | None = None
    try:
        start, _, _ = _newton_on(samples.labeled, problem, parameter_scale(samples.labeled, problem), start)
        if isinstance(samples.block, Block) and samples.n_unlabeled > 4 * THIN:
            start, jacobian, _ = _newton(_thinned(samples, samples.block), lam, start)
    except EstimationError:
        return start, None
    return start, jacobian


def _thinned(samples: Samples, block: Block) -> Samples:
    """The labelled rows of the block and about `THIN` of the unlabelled ones."""
    chosen = np.zeros(len(block.outcome), dtype=bool)
    # evenly spaced rows rather than random ones: the same estimate in every run, without a seed
    chosen[:: samples.n_unlabeled // THIN] = True
    chosen[block.gold_rows] = True
    rows = np.flatnonzero(chosen)
    few = replace(
        block,
        fixed=block.fixed[rows],
        predicted=block.predicted[rows],
        outcome=block.outcome[rows],
        gold_rows=np.searchsorted(rows, block.gold_rows),
        row_weight=None if block.row_weight is None else block.row_weight[rows],
        offset=None if block.offset is None else block.offset[rows],
        imputed=tuple(version.rows(rows) for version in block.imputed),
    )
    return replace(samples, block=few, gram=shared_gram(few.fixed, few.row_weight))


def _newton(samples: Samples, lam: float, start: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Root of mean_L g + lam (mean_U h - mean_L h), mean Jacobian there, number of steps."""
    n, n_unlabeled = samples.n, samples.n_unlabeled
    rows = n + n_unlabeled

    def weights(block: Block) -> Weights:
        # moments are divided by N: means over the samples are weights of lam N / N' for h on U, and on L of
        # -lam N / n for h and N / n for g
        predicted = np.full(len(block.outcome), lam * rows / n_unlabeled)
        predicted[block.gold_rows] = -lam * rows / n
        return counted(block, predicted, np.full(len(block.weight), rows / n))

    problem = Problem(link=samples.problem.link, names=samples.problem.names, weights=weights)
    return _newton_on(samples.block, problem, _scale(samples), start)


def _newton_on(
    block: Rows, problem: Problem, scale: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Root by Newton's method. What it cannot solve, the engine tries in more ways, and names what is wrong."""
    n = block.shape[0]

    def evaluate(params: FloatArray) -> tuple[FloatArray, FloatArray]:
        moment, jacobian = moment_sums(block, problem, params * scale)
        return moment * scale / n, jacobian * scale[:, None] * scale / n

    size = _size(block, problem)
    root = newton(evaluate, start / scale, tolerance=ROUGH * size)
    if root.problem is None and np.linalg.svd(root.jacobian, compute_uv=False)[-1] > WEAK * size:
        return root.params * scale, root.jacobian / scale[:, None] / scale, root.iterations
    fit = fit_split(block, problem, start=start)
    return fit.params, fit.jacobian / n, root.iterations + fit.iterations
