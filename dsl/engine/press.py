r"""What a chosen Lambda hides of its own variance: each unit's influence, had Lambda been chosen without the unit.

Lambda is the coefficient of a regression without an intercept, of the rest of each unit's influence on its part b that Lambda
scales. Its residuals are the influences c, which are too small, as all residuals are. Without the unit they are those of PRESS,

.. math:: c_g / (1 - h_g), \qquad h_g = b_g^2 / \sum b_g^2 ,

for one Lambda for each coefficient, with :math:`h_g = b_g' (\sum b b')^{-1} b_g` for several measures (surrogates), and for a
matrix. This is exact: no unit's Lambda is computed anew.

References
----------
Allen, "The relationship between variable selection and data augmentation and a method for prediction", Technometrics 16 (1974).
"""

import numpy as np

from dsl._typing import BoolArray, FloatArray
from dsl.engine.lambdas import DEGENERATE

PIECE = 4096
"""Units at a time, whose numbers the processor's cache holds."""
ALL = 1e-8
"""Least part of a sum that is left without one unit: where the unit is all of it, Lambda rests on it alone."""


def press(
    tune: str,
    influence: FloatArray,
    added: FloatArray,
    few: BoolArray | None = None,
    turn: FloatArray | None = None,
    relative: FloatArray | None = None,
) -> FloatArray:
    """Influences of the units at the Lambda that is best without each of them.

    Parameters
    ----------
    tune : {"scalar", "coef", "matrix"}
    influence : (G, k) array
        c, at the Lambda that is best for all units.
    added : (G, k) or (G, J, k) array
        b, the influence of (1 - w) m_hat, of each of J measures.
    few : (k,) bool array, optional
        Coefficients that have no chosen Lambda.
    turn : (k, k) array, optional
        Takes the coefficients to those whose variances ``"scalar"`` adds up.
    relative : (k,) array, optional
        What these variances are divided by.

    Returns
    -------
    (G, k) array

    Examples
    --------
    >>> a, b = np.array([1.0, -2.0, 3.0]), np.array([1.0, 1.0, -1.0])
    >>> c = a - (a @ b) / (b @ b) * b
    >>> press("coef", c[:, None], b[:, None])[:, 0].round(3).tolist()
    [3.5, -1.0, 2.5]
    """
    units, k = influence.shape
    kept = np.ones(k, dtype=bool) if few is None else ~few
    if tune == "coef" and added.size == influence.size:
        return _over_left(influence, added.reshape(units, k), kept)
    out = influence.copy()
    if not kept.any():
        return out
    part = added.reshape(units, -1, k)[:, :, kept]
    if tune == "scalar":
        turn = np.eye(k) if turn is None else turn
        scale = np.ones(k) if relative is None else np.where(relative > 0.0, relative, 1.0)
        size = np.sqrt(scale)[kept]
        turned = (added.reshape(units, -1, k) @ turn.T)[:, :, kept] / size
        change = _change(turned, (influence @ turn.T)[:, kept] / size)
        # the turned influences change by `change` times the turned part, of the coefficients that have a Lambda
        out[:, kept] += np.einsum("gj,gjc->gc", change, part)
    elif tune == "matrix":
        out[:, kept] /= _left(part.reshape(units, -1))[:, None]
    else:
        out[:, kept] /= np.column_stack([_left(own) for own in part.transpose(2, 0, 1)])
    return out


def _over_left(influence: FloatArray, part: FloatArray, kept: BoolArray) -> FloatArray:
    """Influences (G, k) over 1 - h of a regression on each column (G, k) for itself, as they are where there is none."""
    total = np.einsum("gc,gc->c", part, part)
    share = np.where(kept & (total > 0.0), -1.0 / np.where(total > 0.0, total, 1.0), 0.0)
    out = np.empty_like(influence)
    for first in range(0, len(part), PIECE):
        rows = slice(first, first + PIECE)
        left = np.square(part[rows])
        left *= share
        left += 1.0
        np.divide(influence[rows], np.maximum(left, ALL, out=left), out=out[rows])
    return out


def _left(part: FloatArray) -> FloatArray:
    """1 - h of a regression on columns (G, q), (G,)."""
    return np.asarray(np.maximum(1.0 - ((part @ _whitening(part)) ** 2).sum(axis=1), ALL))


def _change(part: FloatArray, influence: FloatArray) -> FloatArray:
    """What leaving out each unit changes one Lambda for each measure by, (G, J).

    Several coefficients (G, J, c) are so many rows of a unit, whose Gram matrix M_g leaves I - M_g in whitened coordinates.
    """
    units, count, width = part.shape
    turn = _whitening(part.transpose(0, 2, 1).reshape(units * width, count))
    white = np.einsum("gjc,jr->grc", part, turn)
    cross = np.einsum("grc,gc->gr", white, influence)
    if turn.shape[1] == 1:
        left = np.maximum(1.0 - (white[:, 0] ** 2).sum(axis=1), ALL)[:, None]
        return np.asarray(cross / left @ turn.T)
    values, vectors = np.linalg.eigh(white @ white.transpose(0, 2, 1))
    inner = np.einsum("grs,gr->gs", vectors, cross) / np.maximum(1.0 - values, ALL)
    return np.asarray(np.einsum("grs,gs->gr", vectors, inner) @ turn.T)


def _whitening(part: FloatArray) -> FloatArray:
    """Matrix (q, r) that takes columns (n, q) to ones whose Gram matrix is the identity, without directions that are none."""
    size = np.sqrt((part**2).sum(axis=0))
    size = np.where(size > 0.0, size, 1.0)
    scaled = part / size
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    there = values > DEGENERATE * max(float(values[-1]), np.finfo(float).tiny)
    return np.asarray(vectors[:, there] / np.sqrt(values[there]) / size[:, None])
