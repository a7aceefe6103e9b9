r"""Influences corrected for leverage (HC3), where each coefficient has a Lambda of its own.

A coefficient's Lambda scales its influence alone. So its correction takes the scores and the Jacobians at this Lambda times the
identity: at those of all coefficients it would depend on the intercept's, which changes with the origin of a covariate. With b
the coefficient's row of :math:`A^{-1}`, its influence :math:`b' \psi_g` becomes

.. math:: e' (A - J_g)^{-1} \psi_g .

A row's Jacobian is a sum of few products, :math:`J_g = \sum_r d_r l_r x_r'`, one for the gold version and each predicted one, of
which only the weights d depend on Lambda, so that for all coefficients together

.. math:: e' (A - J_g)^{-1} \psi_g = b' \psi_g + (b' L') D (I - G D)^{-1} X A^{-1} \psi_g , \qquad G = X A^{-1} L' ,

which inverts matrices of the number of versions (Woodbury), most often one number.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import BY_DESIGN_HC3, inverse, units_of
from dsl.engine.leave_out import WHOLE, alone, unit_jacobians
from dsl.engine.moments import Means, augmentation_weights, fitted_means, weighted_slopes
from dsl.engine.several import Several
from dsl.engine.sums import Problem
from dsl.engine.weighted import total
from dsl.exceptions import SingularJacobianError


def leverage_by_coefficient(
    block: Block,
    problem: Problem,
    params: FloatArray,
    jacobian: FloatArray,
    *,
    basis: FloatArray,
    parts: FloatArray,
    lambdas: FloatArray,
    influence: FloatArray | None = None,
) -> FloatArray:
    """Influences of the units on the reported coefficients, corrected for leverage, (G, k).

    With ``"design+HC3"`` rows with labels, or all clusters, are corrected as by `dsl.engine.leave_out.leverage_of_labels`, else
    all units.

    Parameters
    ----------
    block, problem, params, jacobian
        As for `dsl.engine.leave_out.left_out_scores`. The problem's Lambda does not matter.
    basis : (k, k) array
        Takes the parameters to the reported coefficients.
    parts : (G, (1 + J) k) array
        The units' parts (g, h_1, ..., h_J) of the scores g + sum_j Lambda_j h_j, h_j = (1 - w) m_hat_j.
    lambdas : (J, k) array
        Of the reported coefficients.
    influence : (G, k) array, optional
        The influences without corrections, where they are known already. They are corrected in place.

    Raises
    ------
    SingularJacobianError
        Without some unit the coefficients cannot be told apart, unless it is ``"design+HC3"``.
    """
    k, some = len(params), problem.leave_out == BY_DESIGN_HC3
    of_labels = some and problem.cluster is None
    places = block.shown_rows if of_labels else np.arange(len(parts))
    own = block.at(places) if of_labels else block
    weights, bread = np.vstack([np.ones(k), lambdas]), basis @ inverse(jacobian)
    each = parts.reshape(len(parts), -1, k)
    # without corrections, then those of the units that have one
    if influence is None:
        influence = np.einsum("gjc,jc->gc", (parts.reshape(-1, k) @ bread.T).reshape(each.shape), weights)
    out = influence
    corrected = _of_rows if _narrow(own, problem) else _of_units
    seen = 0
    for found, bad in corrected(own, problem, params, jacobian, basis, each[places], weights):
        if bad.any() and not some:
            alone_in = bad.any(axis=1)
            raise SingularJacobianError(alone(problem, seen + int(np.argmax(alone_in)), int(alone_in.sum())))
        here = places[seen : seen + len(found)]
        out[here] = np.where(bad, out[here], found)
        seen += len(found)
    return np.asarray(out)


def _narrow(block: Block, problem: Problem) -> bool:
    """Whether Jacobians of units are sums of fewer products than there are coefficients."""
    products = 1 if not block.predicted.shape[1] and block.left is None else 1 + len(block.versions)
    return problem.cluster is None and not isinstance(problem.link, Several) and products < block.shape[1]


def _of_rows(
    block: Block,
    problem: Problem,
    params: FloatArray,
    jacobian: FloatArray,
    basis: FloatArray,
    parts: FloatArray,
    weights: FloatArray,
) -> Iterator[tuple[FloatArray, BoolArray]]:
    """Influences of rows, and those without which there is no estimate, (., k) each in pieces, by the sum of products."""
    k, inner, seen = len(params), inverse(jacobian), 0
    bread = basis @ inner
    for piece in block.pieces():
        left, right, own, added = _products(piece, problem, params)
        n, count = own.shape
        rows = parts[seen : seen + n]
        seen += n
        turned = (right.reshape(-1, k) @ inner).reshape(n, count, k)
        gram = turned @ left.swapaxes(1, 2)
        scores = turned @ rows.swapaxes(1, 2)  # X A^-1 of each part, (n, r, 1 + J)
        influence = (left.reshape(-1, k) @ bread.T).reshape(n, count, k)
        out = np.einsum("gjc,jc->gc", (rows.reshape(-1, k) @ bread.T).reshape(rows.shape), weights)
        bad = np.zeros(out.shape, dtype=bool)
        for c in range(k):
            d = own + np.tensordot(weights[1:, c], added, axes=1)
            middle = np.eye(count) - gram * d[:, None]
            size = middle[:, 0, 0] if count == 1 else np.linalg.det(middle)
            bad[:, c] = ~(size > WHOLE)
            middle[bad[:, c]] = np.eye(count)
            side = scores @ weights[:, c]
            solved = side / middle[:, 0] if count == 1 else np.linalg.solve(middle, side[..., None])[..., 0]
            out[:, c] += np.einsum("gr,gr->g", influence[:, :, c] * d, solved)
        yield out, bad


def _products(
    piece: Block, problem: Problem, params: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Factors l and x of the rows' Jacobians, (n, r, k), and their weights in g, (n, r), and in each h_j, (J, n, r)."""
    n, k = piece.shape
    means = fitted_means(piece, params, problem.link)
    assert isinstance(means, Means)  # of one linear predictor
    plain, gold = weighted_slopes(piece, means, problem.weights(piece))
    hats = weighted_slopes(piece, means, augmentation_weights(piece))[0]
    measures, count = piece.measures or (0,) * len(hats), piece.n_measures
    if not piece.predicted.shape[1] and piece.left is None:
        # the same columns in all versions
        own = total([each - hat for each, hat in zip(plain, hats, strict=True)], gold, piece.gold_rows)[:, None]
        added = np.zeros((count, n, 1))
        for hat, measure in zip(hats, measures, strict=True):
            added[measure, :, 0] += count * hat
        return piece.fixed[:, None], piece.fixed[:, None], own, added
    right, own = np.zeros((n, 1 + len(hats), k)), np.zeros((n, 1 + len(hats)))
    added = np.zeros((count, n, 1 + len(hats)))
    right[piece.gold_rows, 0] = np.hstack([piece.fixed[piece.gold_rows], piece.gold])
    own[piece.gold_rows, 0] = gold
    for place, (version, hat, measure) in enumerate(zip(piece.versions, hats, measures, strict=True), start=1):
        right[:, place] = np.hstack([piece.fixed, version.predicted])
        own[:, place] = plain[place - 1] - hat
        added[measure, :, place] = count * hat
    if piece.left is None:
        return right, right, own, added
    left = np.zeros_like(right)
    left[piece.gold_rows, 0] = piece.left.gold
    for place, each in enumerate(piece.left.predicted, start=1):
        left[:, place] = each
    return left, right, own, added


def _of_units(
    block: Block,
    problem: Problem,
    params: FloatArray,
    jacobian: FloatArray,
    basis: FloatArray,
    parts: FloatArray,
    weights: FloatArray,
) -> Iterator[tuple[FloatArray, BoolArray]]:
    """The same of units with any Jacobians."""
    seen = 0
    for jacobians in parted_jacobians(block, problem, params):
        rows = parts[seen : seen + len(jacobians)]
        seen += len(jacobians)
        out, bad = np.empty((len(rows), len(params))), np.zeros((len(rows), len(params)), dtype=bool)
        for c in range(len(params)):
            own = np.tensordot(jacobians, weights[:, c], axes=(1, 0))
            bad[:, c] = _alone_in(own, jacobian)
            own[bad[:, c]] = 0.0
            scores = np.tensordot(rows, weights[:, c], axes=(1, 0))
            out[:, c] = np.einsum("ga,ga->g", row_of_inverse(basis[c], jacobian, own), scores)
        yield out, bad


def parted_jacobians(block: Block, problem: Problem, params: FloatArray) -> Iterator[FloatArray]:
    """Jacobians of the units' parts (g, h_1, ..., h_J), (., 1 + J, k, k) in pieces."""
    plain = replace(problem, tuning=None)
    added = (unit_jacobians(each, plain, params, augmentation_weights) for each in block.scaled)
    for base, *parts in zip(unit_jacobians(block, plain, params), *added, strict=True):
        yield np.stack([base - sum(parts) / len(parts), *parts], axis=1)


def row_of_inverse(row: FloatArray, whole: FloatArray, jacobians: FloatArray) -> FloatArray:
    """A row (k,), or rows (..., k), times (A - J)^-1 for Jacobians (..., k, k). (..., k) array."""
    units = units_of(whole)
    left = (whole - jacobians) * units[:, None] * units
    right = np.broadcast_to(row * units, left.shape[:-1])[..., None]
    return np.asarray(np.linalg.solve(left.swapaxes(-1, -2), right)[..., 0] * units)


def _alone_in(jacobians: FloatArray, whole: FloatArray) -> BoolArray:
    """Which of the units' Jacobians (n, k, k) leave nothing to invert in A."""
    units = units_of(whole)
    scaled = whole * units[:, None] * units
    sign, size = np.linalg.slogdet(scaled - jacobians * units[:, None] * units)
    first, all_of_it = np.linalg.slogdet(scaled)
    return np.asarray((sign * first <= 0.0) | ~(size - all_of_it > np.log(WHOLE)))
