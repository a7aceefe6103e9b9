"""One split from its rows to estimate and covariance: moments -> sums -> solve -> covariance.

Arrays in, arrays out. The rows come as one `Block`, whose pieces are summed one after the other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from dsl._typing import FloatArray, IntArray
from dsl.covariance import cluster_sums, sandwich
from dsl.exceptions import CollinearityError, ConvergenceError, SeparationError, SingularJacobianError
from dsl.moments import (
    Block,
    Link,
    Weights,
    correction_weights,
    design_weights,
    fitted_means,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    pseudo_values,
    scores,
)
from dsl.solve import TOLERANCE, Evaluate, Root, closed_form, newton

DEPENDENT = 1e-9
"""Relative size of a column's own part, given the others, below which it is a linear combination."""
PINNED = 1e-7
"""Distance of a fitted probability from 0 or 1 at which a logit has run away."""

MAX_REFINEMENTS = 4
NEGLIGIBLE = 1e-9
"""A refinement step, in standard errors, after which there is nothing left to refine."""

WeightRule = Callable[[Block], Weights]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is the same in every split."""

    link: Link
    names: tuple[str, ...]
    """(k,) column names in the block's order, for messages."""
    weights: WeightRule = design_weights
    label_weights: WeightRule = correction_weights
    """Weights of the part of the moments that more labels would make smaller."""
    cluster: IntArray | None = None
    """(n,) codes 0, 1, ..."""
    n_clusters: int | None = None
    fixed_gram: FloatArray | None = None
    """(f, f) sum of x x' over the fixed columns, where the model is linear (`shared_gram`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFit:
    """Estimate of one split."""

    params: FloatArray  # (k,)
    vcov: FloatArray  # (k, k), no small-sample factor
    jacobian: FloatArray  # (k, k), summed over rows
    meat: FloatArray  # (k, k), summed over rows or clusters
    label_meat: FloatArray  # (k, k), the part of it that shrinks with more labels
    moment_norm: float  # largest mean moment at the solver's last check, scaled columns
    iterations: int
    positive_definite: bool


def shared_gram(fixed: FloatArray) -> FloatArray:
    """Sum of x x' over the columns that no split changes; (f, f)."""
    return np.asarray(fixed.T @ fixed)


def fit_split(block: Block, problem: Problem, start: FloatArray | None = None) -> SplitFit:
    """Solve the design-adjusted moment equation on `block` and estimate the covariance.

    Parameters
    ----------
    block : Block
        All rows of one split.
    problem : Problem
    start : (k,) array, optional
        Where Newton's method begins; zero by default.

    Returns
    -------
    SplitFit

    Raises
    ------
    SeparationError, SingularJacobianError, ConvergenceError
    """
    n = len(block.outcome)
    scale = column_scale(block, problem.fixed_gram)
    tolerance = _tolerance(block, problem.link)
    root = _solve(block, problem, scale, start, tolerance)
    _check_root(block, problem, root, scale)
    refined, scaled_vcov, norm, meat = _refine(block, problem, root, scale, tolerance)
    params, vcov = refined * scale, scaled_vcov * scale[:, None] * scale
    if not np.all(np.diag(vcov) >= 0.0):
        raise SingularJacobianError(
            f"the covariance of {len(problem.names)} coefficients is lost in rounding error: {len(block.gold_rows)} labelled "
            "rows do not tell them apart; take columns out of the formula, or label more rows"
        )
    return SplitFit(
        params=params,
        vcov=vcov,
        jacobian=root.jacobian * n / scale[:, None] / scale,
        meat=meat,
        label_meat=label_meat(block, problem, params),
        moment_norm=norm,
        iterations=root.iterations,
        positive_definite=bool(np.linalg.eigvalsh(root.jacobian)[0] > 0.0),
    )


def column_scale(block: Block, fixed_gram: FloatArray | None = None) -> FloatArray:
    """1 / root mean square of each column, over predicted and gold versions; (k,)."""
    rows = len(block.outcome) + len(block.gold)
    fixed = (_squares(block.fixed) if fixed_gram is None else np.diag(fixed_gram)) / len(block.outcome)
    predicted = (_squares(block.predicted) + _squares(block.gold)) / rows
    square = np.concatenate([fixed, predicted])
    return np.asarray(1.0 / np.sqrt(np.where(square > 0.0, square, 1.0)))


def _squares(x: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->j", x, x))


def moment_sums(block: Block, problem: Problem, params: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Moment sum (k,) and Jacobian sum (k, k) at `params`, piece by piece."""
    k = len(params)
    moment, jacobian = np.zeros(k), np.zeros((k, k))
    gram = None if problem.fixed_gram is None else np.zeros_like(problem.fixed_gram)
    for piece in block.pieces():
        means = fitted_means(piece, params, problem.link)
        weights = problem.weights(piece)
        moment += moment_sum(piece, means, weights)
        jacobian += jacobian_sum(piece, means, weights, problem.link, gram)
    if problem.fixed_gram is not None:
        f = len(problem.fixed_gram)
        jacobian[:f, :f] += problem.fixed_gram
    return moment, jacobian


def unit_scores(block: Block, problem: Problem, params: FloatArray, weights: WeightRule) -> Iterator[FloatArray]:
    """Scores at `params` of the independent units: rows, piece by piece, or clusters, all at once."""
    total = None if problem.cluster is None else np.zeros((problem.n_clusters or 0, len(params)))
    first = 0
    for piece in block.pieces():
        part = scores(piece, fitted_means(piece, params, problem.link), weights(piece))
        if problem.cluster is None or total is None:
            yield part
        else:
            total += cluster_sums(part, problem.cluster[first : first + len(part)], len(total))
        first += len(part)
    if total is not None:
        yield total


def score_sums(units: Iterable[FloatArray], k: int) -> tuple[FloatArray, FloatArray]:
    """Sum of the units' scores (k,), and of score score' (k, k): moment and meat in one pass."""
    moment, meat = np.zeros(k), np.zeros((k, k))
    for part in units:
        moment += part.sum(axis=0)
        meat += part.T @ part
    return moment, meat


def label_meat(block: Block, problem: Problem, params: FloatArray) -> FloatArray:
    """Part of the meat that shrinks in proportion as more rows are labelled: sum of c c', c = w (m - m_hat); (k, k)."""
    rows = block.gold_rows
    on_labels = replace(problem, cluster=None if problem.cluster is None else problem.cluster[rows])
    return score_sums(unit_scores(block.labeled(), on_labels, params, problem.label_weights), len(params))[1]


def _tolerance(block: Block, link: Link) -> float:
    """Largest mean moment accepted: relative to the outcome's size where the model is linear."""
    size = float(np.sqrt(_squares(block.outcome[:, None])[0] / len(block.outcome))) if link.slope is None else 1.0
    return TOLERANCE * (size or 1.0)


def _solve(block: Block, problem: Problem, scale: FloatArray, start: FloatArray | None, tolerance: float) -> Root:
    """Closed form or Newton's method, in columns of root mean square one.

    Without a start that works, Newton's method begins again from the fit on the predictions alone, whose
    Jacobian is positive definite.
    """
    n = len(block.outcome)

    def evaluator(problem: Problem) -> Evaluate:
        def evaluate(params: FloatArray) -> tuple[FloatArray, FloatArray]:
            moment, jacobian = moment_sums(block, problem, params * scale)
            return moment * scale / n, jacobian * scale[:, None] * scale / n

        return evaluate

    k = len(scale)
    if problem.link.slope is None:
        return closed_form(evaluator(problem), k)
    root = newton(evaluator(problem), np.zeros(k) if start is None else start / scale, tolerance=tolerance)
    if root.problem is None:
        return root
    first = newton(evaluator(replace(problem, weights=imputed_weights)), np.zeros(k), tolerance=1e-6)
    return root if first.problem else newton(evaluator(problem), first.params, tolerance=tolerance)


def _refine(
    block: Block, problem: Problem, root: Root, scale: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    """Iterative refinement with the Jacobian at hand: parameters and covariance (scaled), moment norm, meat.

    The pass that sums the scores for the meat gives the moment too, and with it a last step. It is repeated while that
    step is not negligible, which takes an ill-conditioned design.
    """
    params, n = root.params, len(block.outcome)
    for _ in range(MAX_REFINEMENTS):
        moment, meat = score_sums(unit_scores(block, problem, params * scale, problem.weights), len(params))
        vcov = sandwich(root.jacobian, meat * scale[:, None] * scale / n) / n
        step = np.linalg.solve(root.jacobian, moment * scale / n)
        params = params + step
        if np.all(np.abs(step) <= NEGLIGIBLE * np.sqrt(np.maximum(np.diag(vcov), 0.0))):
            break
    norm = float(np.abs(moment * scale).max(initial=0.0)) / n
    if norm > tolerance:
        raise _no_root(norm, root.iterations + MAX_REFINEMENTS, problem)
    return params, vcov, norm, meat


def _check_root(block: Block, problem: Problem, root: Root, scale: FloatArray) -> None:
    """Raise the error that says why the root cannot be used, if it cannot."""
    values, vectors = np.linalg.eigh(np.nan_to_num(root.jacobian))
    weakest = int(np.abs(values).argmin())
    runaway = root.problem is not None or abs(values[weakest]) < PINNED
    if problem.link.slope is not None and runaway:
        _check_separation(block, problem, root, scale)
    if root.problem == "singular":
        raise SingularJacobianError(
            "the Jacobian of the moment equation cannot be inverted: the labelled rows do not tell apart "
            f"{_quoted(_loading(vectors[:, weakest], problem.names))}; label more rows, or take columns "
            "out of the formula"
        )
    if root.problem is not None:
        raise _no_root(root.norm, root.iterations, problem)


def _no_root(norm: float, iterations: int, problem: Problem) -> ConvergenceError:
    return ConvergenceError(
        f"no root of the moment equation was found: its largest mean moment is still {norm:.1e} after {iterations} "
        f"iterations; the labelled sample may be too small for {len(problem.names)} coefficients, or its weights too uneven"
    )


def _check_separation(block: Block, problem: Problem, root: Root, scale: FloatArray) -> None:
    """Raise SeparationError if fitted probabilities are 0 or 1; what runs away dominates the parameters."""
    pinned = 0
    for piece in block.pieces():
        mu = fitted_means(piece, root.params * scale, problem.link).predicted
        pinned += int(np.count_nonzero(np.minimum(mu, 1.0 - mu) < PINNED))
    if pinned:
        raise SeparationError(
            f"perfect separation: {pinned} fitted probabilities are 0 or 1, so that the coefficient of "
            f"{_quoted(_loading(root.params, problem.names))} is infinite: in some group all (weighted) gold outcomes are 0 "
            "or all are 1, or too few labels make their design-adjusted mean leave [0, 1]. Label more rows of that "
            "group, merge it with another, or take the column out of the formula"
        )


def _loading(direction: FloatArray, names: tuple[str, ...]) -> list[str]:
    """Names of the columns that make up most of a direction, largest first."""
    size = np.abs(direction)
    return [names[j] for j in np.argsort(-size) if size[j] > 0.2 * size.max()]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def check_columns(block: Block, names: tuple[str, ...]) -> None:
    """Raise CollinearityError, naming columns, unless all columns are linearly independent.

    A column counts as dependent if what the others leave of it is below `DEPENDENT` of its size.
    Predicted columns are judged over predicted and gold versions together; with fixed effects, all
    are judged by what these leave.

    Parameters
    ----------
    block : Block
    names : tuple of str
        (k,) column names.
    """
    if block.absorbed is not None:
        _check_absorbed(block, names)
        return
    rows = block.gold_rows
    gram = _joint_gram(block.fixed, block.predicted)
    gold_fixed = block.fixed[rows]
    gram = gram + _joint_gram(gold_fixed, block.gold)
    norm = np.sqrt(np.diag(gram))
    if np.any(norm == 0.0):
        zero = [name for name, size in zip(names, norm, strict=True) if size == 0.0]
        raise CollinearityError(f"column(s) {_quoted(zero)} are zero in every row; take them out")
    if np.linalg.eigvalsh(gram / norm[:, None] / norm)[0] > len(norm) * DEPENDENT:
        return
    # the Gram matrix squares the condition number: look again at the columns themselves
    columns = np.vstack([np.hstack([block.fixed, block.predicted]), np.hstack([gold_fixed, block.gold])])
    triangle = scipy.linalg.qr(columns / norm, mode="r")[0][: len(norm)]
    _, sizes, directions = np.linalg.svd(triangle)
    sizes = np.pad(sizes, (0, len(norm) - len(sizes)))
    if sizes[-1] <= DEPENDENT:
        _raise_dependent(directions[sizes <= DEPENDENT], names, columns)


def _joint_gram(fixed: FloatArray, predicted: FloatArray) -> FloatArray:
    """Gram matrix of [fixed, predicted]."""
    cross = fixed.T @ predicted
    return np.block([[shared_gram(fixed), cross], [cross.T, predicted.T @ predicted]])


def _raise_dependent(null: FloatArray, names: tuple[str, ...], columns: FloatArray) -> None:
    involved = [j for j in range(len(names)) if np.abs(null[:, j]).max() > 1e-6]
    constant = [j for j in involved if np.ptp(columns[:, j]) == 0.0]
    if len(constant) == len(null) + 1:
        extra = [names[j] for j in constant if names[j] != "Intercept"]
        raise CollinearityError(
            f"column(s) {_quoted(extra)} are constant, which the intercept is already; take them out of the formula"
        )
    raise CollinearityError(
        f"{len(null)} of the columns {_quoted(names[j] for j in involved)} are linear combinations of the "
        f"others; take {len(null)} out of the formula (for a full set of categories, write '- 1' instead)"
    )


def _check_absorbed(block: Block, names: tuple[str, ...]) -> None:
    k = len(names)
    within, before = np.zeros((k, k)), np.zeros(k)
    for piece in block.pieces():
        predicted = pseudo_values(piece.predicted, piece.gold, piece.gold_rows, piece.weight)
        columns = np.hstack([piece.fixed, predicted])
        before += _squares(columns)
        columns -= piece.absorbed
        within += columns.T @ columns
    norm = np.sqrt(np.diag(within))
    lost = [name for name, left, size in zip(names, norm, np.sqrt(before), strict=True) if left <= DEPENDENT * size]
    if lost:
        raise CollinearityError(
            f"column(s) {_quoted(lost)} do not vary within the fixed effects, which absorb them; take them out"
        )
    values, vectors = np.linalg.eigh(within / norm[:, None] / norm)
    if values[0] <= 1e-13 * k:
        raise CollinearityError(
            f"within the fixed effects, the columns {_quoted(_loading(vectors[:, 0], names))} are linear "
            "combinations of each other; take one out of the formula"
        )
