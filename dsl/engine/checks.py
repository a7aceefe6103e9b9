"""Checks of columns and roots, whose errors name the columns at fault."""

from collections.abc import Iterable
from itertools import chain

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.engine.blocks import Block
from dsl.engine.moments import fitted_means, pseudo_values
from dsl.engine.one_pass import one_pass
from dsl.engine.several import Several
from dsl.engine.solve import Root
from dsl.engine.streamed import Rows, Streamed, columns_of, triangle_of
from dsl.engine.sums import Problem, column_squares, shared_gram
from dsl.engine.weighted import shares_of
from dsl.exceptions import (
    CollinearityError,
    ConvergenceError,
    InfiniteValueError,
    SeparationError,
    SingularJacobianError,
)

DEPENDENT = 1e-9
"""Relative size of a column's own part, given the others, below which it is a linear combination."""


PINNED = 1e-7
"""Distance of a fitted probability from 0 or 1, or ratio of a fitted mean to the outcome's, at which it has run away."""


CHUNK = 32_768
"""Rows decomposed at a time."""
VANISHED = 1e-4
"""An alpha of the negative binomial model below which it has run to zero."""


def check_root(block: Rows, problem: Problem, root: Root, scale: FloatArray, size: float = 1.0) -> None:
    """Raise the error that says why the root cannot be used, if it cannot. Moments are relative to `size`."""
    # the right singular vector of the smallest singular value is the combination of columns that the rows leave open
    _, values, directions = np.linalg.svd(np.nan_to_num(root.jacobian))
    runaway = root.problem is not None or values[-1] < PINNED * size
    if isinstance(problem.link, Several) and problem.link.levels and runaway:
        _check_classes(block, problem, problem.link)
    if isinstance(problem.link, Several) and problem.link.family.dispersion is not None and runaway:
        _check_dispersion(root)
    if problem.link.probability and runaway:
        _check_separation(block, problem, root, scale)
    if problem.link.positive and runaway:
        _check_vanished(block, problem, root, scale, directions[-1])
    if root.problem == "singular":
        raise SingularJacobianError(
            "the Jacobian of the moment equation cannot be inverted: the labelled rows do not tell apart "
            f"{_quoted(_loading(directions[-1], problem.parameters))}; label more rows, or take columns "
            "out of the formula"
        )
    if root.problem is not None:
        raise no_root(root.norm, root.iterations, problem)


def no_root(norm: float, iterations: int, problem: Problem) -> ConvergenceError:
    """The error of a solver that did not arrive."""
    return ConvergenceError(
        f"no root of the moment equation was found: its largest mean moment is still {norm:.1e} after {iterations} "
        f"iterations; the labelled sample may be too small for {len(problem.parameters)} coefficients, or its weights too uneven"
    )


def _check_separation(block: Rows, problem: Problem, root: Root, scale: FloatArray) -> None:
    """Raise SeparationError if fitted probabilities are 0 or 1. The coefficient that runs away dominates."""
    pinned = 0
    for piece in block.pieces():
        for mu in fitted_means(piece, root.params * scale, problem.link).predicted:
            pinned += int(np.count_nonzero(np.minimum(mu, 1.0 - mu) < PINNED))
    if pinned:
        raise SeparationError(
            f"perfect separation: {pinned} fitted probabilities are 0 or 1, so that the coefficient of "
            f"{_quoted(_loading(root.params, problem.parameters))} is infinite: in some group {_alike(problem)}, or too few "
            "labels make their design-adjusted mean leave [0, 1]. Label more rows of that group, merge it with another, or take "
            "the column out of the formula"
        )


def _alike(problem: Problem) -> str:
    """What perfect separation is."""
    if isinstance(problem.link, Several):
        return "no (weighted) gold outcome is of some class"
    return "all (weighted) gold outcomes are 0 or all are 1"


def _check_classes(block: Rows, problem: Problem, link: Several) -> None:
    """Raise SeparationError if the design-adjusted number of rows of some class is not positive."""
    counts = np.zeros(len(link.levels))
    for piece in block.pieces():
        weights = problem.weights(piece)
        for version in piece.versions:
            counts += np.bincount(
                version.outcome.astype(int),
                weights=shares_of(weights.predicted, version),
                minlength=len(counts),
            )
        counts += np.bincount(piece.gold_outcome.astype(int), weights=weights.gold, minlength=len(counts))
    empty = [level for level, count in zip(link.levels, counts, strict=True) if count <= 0.0]
    if empty:
        raise SeparationError(
            f"class(es) {_quoted(empty)} of the outcome: the design-adjusted number of rows is not positive, so that the class "
            "has no probability; label more rows of it, or merge it with another class"
        )


def _check_dispersion(root: Root) -> None:
    """Raise ConvergenceError if the dispersion, the last parameter, vanishes."""
    if root.params[-1] < np.log(VANISHED):
        raise ConvergenceError(
            "the counts are not overdispersed: given the covariates their (weighted, corrected) variance is "
            "not above their mean, so that log(alpha) runs to minus infinity; use model='poisson', whose standard errors are "
            "right whatever the variance is, or label more rows"
        )


def check_order(params: FloatArray, problem: Problem) -> None:
    """Raise ConvergenceError unless thresholds ascend."""
    place = problem.link.disorder(params) if isinstance(problem.link, Several) else None
    if place is not None and isinstance(problem.link, Several):
        level = problem.link.levels[place]
        raise ConvergenceError(
            f"the thresholds below and above class '{level}' are out of order: its design-adjusted probability is negative; "
            "label more rows of it, merge it with another class, or rely less on predictions (tune=0, estimator='gold_only')"
        )


def _check_vanished(block: Rows, problem: Problem, root: Root, scale: FloatArray, direction: FloatArray) -> None:
    """Raise SeparationError if fitted means run to 0 or to infinity, in which the rows leave `direction` open."""
    if isinstance(block, Streamed) and not len(block.gold_outcome):
        mean = block.facts.outcome_above / block.rows
    else:
        known = block.labeled() if isinstance(block, Streamed) else block
        mean = float(np.maximum(block.gold_outcome if len(block.gold_outcome) else known.outcome, 0.0).mean())
    usual = np.log(mean) if mean > 0.0 else 0.0
    low, high = 0, 0
    for piece in block.pieces():
        for eta in fitted_means(piece, root.params * scale, problem.link).predicted_eta:
            # log of a row's mean over the usual one, its exposure left out
            ratio = eta - usual - (0.0 if piece.offset is None else piece.offset)
            low += int(np.count_nonzero(ratio < np.log(PINNED)))
            high += int(np.count_nonzero(ratio > -np.log(PINNED)))
    if low or high:
        where = f"{low} fitted means run to 0" if low >= high else f"{high} fitted means run to infinity"
        raise SeparationError(
            f"no finite estimate: {where}, so that the coefficient of {_quoted(_loading(direction, problem.parameters))} is "
            "infinite: in some group all (weighted) gold outcomes are 0, or too few labels make the design-adjusted sum of its "
            "outcomes zero or negative. Label more rows of that group, merge it with another, or take the column out of the "
            "formula"
        )


def _loading(direction: FloatArray, names: tuple[str, ...]) -> list[str]:
    """Names of the columns that make up most of a direction, largest first."""
    size = np.abs(direction)
    return [names[j] for j in np.argsort(-size) if size[j] > 0.2 * size.max()]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


SIZES = (1e-60, 1e60)
"""Largest values of a column between which squares of products neither overflow nor vanish."""


def check_size(values: FloatArray, what: str, *more: FloatArray) -> None:
    """Raise InfiniteValueError unless the largest of some finite (or missing) values is of a size to compute with. Zeros pass."""
    size = max(map(_largest, (values, *more)))
    if size == 0.0 or SIZES[0] <= size <= SIZES[1]:
        return
    raise InfiniteValueError(
        f"{what} has values of up to {size:.1e}, too {'small' if size < 1.0 else 'large'} to be computed with; give it other "
        "units, or standardise it"
    )


def _largest(values: FloatArray) -> float:
    """Largest absolute value, missing ones apart."""
    # two passes without a copy
    size = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    # not nanmax: R's NA is a signalling NaN, from which the maximum of two numbers is NaN on some machines
    return float(np.abs(values[~np.isnan(values)]).max(initial=0.0)) if np.isnan(size) else size


def _check_sizes(block: Rows, names: tuple[str, ...], fixed_gram: FloatArray | None) -> None:
    """`check_size` of all columns and the outcome."""
    if isinstance(block, Streamed):
        gold = np.hstack([block.own.fixed, block.gold, block.gold_outcome[:, None]])
        for j, name in enumerate((*names, "")):
            check_size(np.append(gold[:, j], block.facts.largest[j]), f"'{name}'" if name else "the outcome")
        return
    count = block.fixed.shape[1]
    usual = np.zeros(count, dtype=bool) if fixed_gram is None else _usual(fixed_gram, block)
    for j, name in enumerate(names):
        if j >= count:
            check_size(block.predicted[:, j - count], f"'{name}'", block.gold[:, j - count])
        elif not usual[j]:
            check_size(block.fixed[:, j], f"'{name}'")
    check_size(block.outcome, "the outcome", block.gold_outcome)


def _usual(fixed_gram: FloatArray, block: Block) -> BoolArray:
    """Fixed columns (f,) whose sums of squares show that their largest values are of a size to compute with."""
    square, rows = np.diag(fixed_gram), len(block.outcome)
    # the largest square is at most their sum, and at least their mean. Weights would come between
    low, high = rows * (2.0 * SIZES[0]) ** 2, (0.5 * SIZES[1]) ** 2
    return np.asarray((square >= low) & (square <= high) & (block.row_weight is None))


def check_columns(block: Rows, names: tuple[str, ...], fixed_gram: FloatArray | None = None) -> None:
    """Raise CollinearityError, naming columns, unless all columns are linearly independent.

    A column counts as dependent if what the others leave of it is below `DEPENDENT` of its size.
    Predicted columns are judged over predicted and gold versions together. With fixed effects, all
    are judged by what these leave.

    Parameters
    ----------
    block : Block
    names : tuple of str
        (k,) column names.
    fixed_gram : (f, f) array, optional
        `shared_gram` of the fixed columns, where the caller has it.
    """
    _check_sizes(block, names, fixed_gram)
    if block.absorbs:
        _check_absorbed(block, names)
        return
    if isinstance(block, Streamed):
        gold_fixed = block.own.fixed
        gram = block.facts.gram + _joint_gram(gold_fixed, block.gold)
    else:
        gold_fixed = block.fixed[block.gold_rows]
        gram = _joint_gram(block.fixed, block.predicted, fixed_gram) + _joint_gram(gold_fixed, block.gold)
    # columns of length one: the smallest eigenvalue is then free of units
    norm = np.sqrt(np.diag(gram))
    if np.any(norm == 0.0):
        zero = [name for name, size in zip(names, norm, strict=True) if size == 0.0]
        raise CollinearityError(f"column(s) {_quoted(zero)} are zero in every row; take them out")
    if np.linalg.eigvalsh(gram / norm[:, None] / norm)[0] > len(norm) * DEPENDENT:
        return
    # the Gram matrix squares the condition number: look again at the columns themselves
    labels = np.hstack([gold_fixed, block.gold])
    # R of X = QR has the singular values of X, and as few rows as X has columns
    (triangle,) = _triangle(block, labels, norm)
    _, sizes, directions = np.linalg.svd(triangle)
    sizes = np.pad(sizes, (0, len(norm) - len(sizes)))
    if sizes[-1] <= DEPENDENT:
        _raise_dependent(directions[sizes <= DEPENDENT], names, _constant(block, labels))


@one_pass
def _triangle(block: Rows, labels: FloatArray, norm: FloatArray) -> tuple[FloatArray]:
    """R of the columns over their norms, of labelled rows `labels` (m, k) and of all rows, (k, k)."""
    rows = (columns_of(piece) / norm for piece in block.pieces(CHUNK))
    return (triangle_of(chain([labels / norm], rows), len(norm)),)


def _joint_gram(fixed: FloatArray, predicted: FloatArray, fixed_gram: FloatArray | None = None) -> FloatArray:
    """Gram matrix of [fixed, predicted]."""
    cross = fixed.T @ predicted
    own = shared_gram(fixed) if fixed_gram is None else fixed_gram
    return np.block([[own, cross], [cross.T, predicted.T @ predicted]])


def _constant(block: Rows, labels: FloatArray) -> BoolArray:
    """Columns that are the same in all rows, at predicted and gold values, (k,)."""
    least, most = labels.min(axis=0, initial=np.inf), labels.max(axis=0, initial=-np.inf)
    for piece in block.pieces(CHUNK):
        columns = columns_of(piece)
        least, most = np.minimum(least, columns.min(axis=0)), np.maximum(most, columns.max(axis=0))
    return np.asarray(least == most)


def _raise_dependent(null: FloatArray, names: tuple[str, ...], same: BoolArray) -> None:
    involved = [j for j in range(len(names)) if np.abs(null[:, j]).max() > 1e-6]
    constant = [j for j in involved if same[j]]
    # c constant columns make c - 1 dependencies: if there are no others, the constants alone are at fault
    if len(constant) == len(null) + 1:
        extra = [names[j] for j in constant if names[j] != "Intercept"]
        raise CollinearityError(
            f"column(s) {_quoted(extra)} are constant, which the intercept is already; take them out of the formula"
        )
    raise CollinearityError(
        f"{len(null)} of the columns {_quoted(names[j] for j in involved)} are linear combinations of the "
        f"others; take {len(null)} out of the formula (for a full set of categories, write '- 1' instead)"
    )


@one_pass
def _within(block: Rows, k: int) -> tuple[FloatArray, FloatArray]:
    """Sum of x x' within the fixed effects (k, k), and squares of the columns as they are (k,)."""
    within, before = np.zeros((k, k)), np.zeros(k)
    for piece in block.pieces():
        predicted = pseudo_values(piece.predicted, piece.gold, piece.gold_rows, piece.weight)
        columns = np.hstack([piece.fixed, predicted])
        before += column_squares(columns)
        # what the fixed effects leave of each column
        columns -= piece.absorbed
        within += columns.T @ columns
    return within, before


def _check_absorbed(block: Rows, names: tuple[str, ...]) -> None:
    k = len(names)
    within, before = _within(block, k)
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
