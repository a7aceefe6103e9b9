"""One split from its rows to estimate and covariance: moments -> sums -> solve -> covariance.

Arrays in, arrays out. The rows come as one `Block`, whose pieces are summed one after the other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from dsl._typing import FloatArray, IntArray
from dsl.covariance import Labeling, cluster_sums, finite_meat, sandwich
from dsl.exceptions import CollinearityError, ConvergenceError, SeparationError, SingularJacobianError
from dsl.moments import (
    Block,
    Link,
    Weights,
    augmentation_weights,
    correction_weights,
    design_weights,
    fitted_means,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    pseudo_values,
    removed_weights,
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
    tuning: FloatArray | None = None
    """(k, k) Lambda in psi = w m + Lambda (1 - w) m_hat; None for the identity."""
    labeling: Labeling | None = None
    """How the labelled rows were drawn, if only that is random (finite population); None for a superpopulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFit:
    """Estimate of one split."""

    params: FloatArray  # (k,)
    vcov: FloatArray  # (k, k), no small-sample factor
    jacobian: FloatArray  # (k, k), summed over rows
    meat: FloatArray  # (k, k), summed over rows or clusters
    label_scores: FloatArray  # (m, k), w (m - Lambda m_hat) of the labelled rows
    label_meat: FloatArray  # (k, k), the part of the superpopulation's meat that shrinks with more labels
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
    jacobian = root.jacobian * n / scale[:, None] / scale
    on_labels = label_scores(block, problem, params)
    if problem.labeling is not None:
        meat = finite_meat(on_labels, problem.labeling)
        vcov = sandwich(jacobian, meat)
    if not np.all(np.diag(vcov) >= 0.0):
        raise SingularJacobianError(
            f"the covariance of {len(problem.names)} coefficients is lost in rounding error: {len(block.gold_rows)} labelled "
            "rows do not tell them apart; take columns out of the formula, or label more rows"
        )
    return SplitFit(
        params=params,
        vcov=vcov,
        jacobian=jacobian,
        meat=meat,
        label_scores=on_labels,
        label_meat=label_meat(block, problem, on_labels),
        moment_norm=norm,
        iterations=root.iterations,
        positive_definite=bool(np.linalg.eigvalsh(root.jacobian + root.jacobian.T)[0] > 0.0),
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
    change = None if problem.tuning is None else problem.tuning - np.eye(k)
    for piece in block.pieces():
        part, slope = _piece_sums(piece, problem.link, params, problem.weights, gram)
        moment += part
        jacobian += slope
        if change is not None:
            part, slope = _piece_sums(piece.within or piece, problem.link, params, augmentation_weights)
            moment += change @ part
            jacobian += change @ slope
    if problem.fixed_gram is not None:
        f = len(problem.fixed_gram)
        jacobian[:f, :f] += problem.fixed_gram
    return moment, jacobian


def _piece_sums(
    piece: Block, link: Link, params: FloatArray, rule: WeightRule, gram: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    means, weights = fitted_means(piece, params, link), rule(piece)
    return moment_sum(piece, means, weights), jacobian_sum(piece, means, weights, link, gram)


def _piece_scores(piece: Block, link: Link, params: FloatArray, rule: WeightRule) -> FloatArray:
    return scores(piece, fitted_means(piece, params, link), rule(piece))


def row_scores(
    block: Block, problem: Problem, params: FloatArray, rule: WeightRule, tuned_rule: WeightRule
) -> Iterator[FloatArray]:
    """Scores at `params` row by row, in pieces; `tuned_rule` weighs the part that Lambda scales."""
    change = None if problem.tuning is None else problem.tuning - np.eye(len(params))
    for piece in block.pieces():
        part = _piece_scores(piece, problem.link, params, rule)
        if change is not None:
            part += _piece_scores(piece.within or piece, problem.link, params, tuned_rule) @ change.T
        yield part


def unit_scores(rows: Iterable[FloatArray], problem: Problem) -> Iterator[FloatArray]:
    """Scores of the independent units: the rows' as they come, or their sums over clusters, all at once."""
    if problem.cluster is None:
        yield from rows
        return
    total, first = None, 0
    for part in rows:
        cluster = problem.cluster[first : first + len(part)]
        sums = cluster_sums(part, cluster, problem.n_clusters or 0)
        total = sums if total is None else total + sums
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


def label_scores(block: Block, problem: Problem, params: FloatArray) -> FloatArray:
    """What each labelled row adds, w (m - Lambda m_hat); (m, k)."""
    labels = row_scores(block.labeled(), problem, params, problem.label_weights, removed_weights)
    return np.concatenate([*labels])


def label_meat(block: Block, problem: Problem, on_labels: FloatArray) -> FloatArray:
    """Part of the meat that shrinks in proportion as more rows are labelled: sum of c c', c = w (m - m_hat); (k, k)."""
    cluster = None if problem.cluster is None else problem.cluster[block.gold_rows]
    return score_sums(unit_scores([on_labels], replace(problem, cluster=cluster)), on_labels.shape[1])[1]


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
    imputed = replace(problem, weights=imputed_weights, tuning=None)
    first = newton(evaluator(imputed), np.zeros(k), tolerance=1e-6)
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
        rows = row_scores(block, problem, params * scale, problem.weights, augmentation_weights)
        moment, meat = score_sums(unit_scores(rows, problem), len(params))
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
    _, values, directions = np.linalg.svd(np.nan_to_num(root.jacobian))
    runaway = root.problem is not None or values[-1] < PINNED
    if problem.link.slope is not None and runaway:
        _check_separation(block, problem, root, scale)
    if root.problem == "singular":
        raise SingularJacobianError(
            "the Jacobian of the moment equation cannot be inverted: the labelled rows do not tell apart "
            f"{_quoted(_loading(directions[-1], problem.names))}; label more rows, or take columns "
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
        for mu in fitted_means(piece, root.params * scale, problem.link).predicted:
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


def check_columns(block: Block, names: tuple[str, ...], fixed_gram: FloatArray | None = None) -> None:
    """Raise CollinearityError, naming columns, unless all columns are linearly independent.

    A column counts as dependent if what the others leave of it is below `DEPENDENT` of its size.
    Predicted columns are judged over predicted and gold versions together; with fixed effects, all
    are judged by what these leave.

    Parameters
    ----------
    block : Block
    names : tuple of str
        (k,) column names.
    fixed_gram : (f, f) array, optional
        `shared_gram` of the fixed columns, where the caller has it.
    """
    if block.absorbed is not None:
        _check_absorbed(block, names)
        return
    rows = block.gold_rows
    gram = _joint_gram(block.fixed, block.predicted, fixed_gram)
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


def _joint_gram(fixed: FloatArray, predicted: FloatArray, fixed_gram: FloatArray | None = None) -> FloatArray:
    """Gram matrix of [fixed, predicted]."""
    cross = fixed.T @ predicted
    own = shared_gram(fixed) if fixed_gram is None else fixed_gram
    return np.block([[own, cross], [cross.T, predicted.T @ predicted]])


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
