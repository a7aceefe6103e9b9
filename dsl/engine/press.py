r"""What a chosen Lambda hides of its own variance: each unit's influence, had Lambda been chosen without the unit.

Lambda is the coefficient of a regression without an intercept, of the rest of each unit's influence on its part b that Lambda
scales. Its residuals are the influences c, which are too small, as all residuals are. Without the unit they are those of PRESS,

.. math:: c_g / (1 - h_g), \qquad h_g = b_g^2 / \sum b_g^2 ,

for one Lambda for each coefficient, with :math:`h_g = b_g' (\sum b b')^{-1} b_g` for a matrix. This is exact: no unit's Lambda is
computed anew.

References
----------
Allen, "The relationship between variable selection and data augmentation and a method for prediction", Technometrics 16 (1974).
"""

import numpy as np

from dsl._typing import BoolArray, FloatArray

DEGENERATE = 1e-10
"""Eigenvalue of a correlation matrix, relative to the largest, below which a direction is none."""
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
    added : (G, k) array
        b, the influence of (1 - w) m_hat.
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
    k = influence.shape[1]
    kept = np.ones(k, dtype=bool) if few is None else ~few
    out = influence.copy()
    if tune == "scalar":
        turn = np.eye(k) if turn is None else turn
        scale = np.ones(k) if relative is None else np.where(relative > 0.0, relative, 1.0)
        own, part = (influence @ turn.T)[:, kept], (added @ turn.T)[:, kept]
        square = (part**2 / scale[kept]).sum(axis=1)
        cross = (part * own / scale[kept]).sum(axis=1)
        change = cross / _left(square)
        # the turned influences change by `change` times the turned part, of the coefficients that have a Lambda
        out[:, kept] += change[:, None] * added[:, kept]
        return out
    part = added[:, kept]
    if tune == "matrix":
        size = np.sqrt((part**2).sum(axis=0))
        part = part / np.where(size > 0.0, size, 1.0)
        inner = np.linalg.pinv(part.T @ part, rcond=DEGENERATE, hermitian=True)
        share = np.einsum("gi,ij,gj->g", part, inner, part)[:, None]
        out[:, kept] /= np.maximum(1.0 - share, ALL)
        return out
    square = part**2
    out[:, kept] *= np.where(square.sum(axis=0) > 0.0, square.sum(axis=0) / _left(square), 1.0)
    return out


def _left(square: FloatArray) -> FloatArray:
    """Sum of the squares of all other units, (G,) or (G, k)."""
    total = square.sum(axis=0)
    left = np.maximum(total - square, ALL * total)
    return np.asarray(np.where(left > 0.0, left, 1.0))
