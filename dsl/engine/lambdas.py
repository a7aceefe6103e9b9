r"""Lambdas that make variances smallest: of one measure (surrogate), and of several with a Lambda each.

With G stacking the :math:`(1 - w)\, \hat m_j` of J measures,

.. math:: \psi = w\, m + \sum_j \Lambda_j (1 - w)\, \hat m_j, \qquad
          (\Lambda_1, \dots, \Lambda_J) = -\mathrm{Cov}(w m, G)\, \mathrm{Var}(G)^{-1}

makes the variance smallest. As any :math:`\Lambda_j` may be zero, it is at most that with the best of the measures alone, and
with none (Robins, Rotnitzky and Zhao 1994). Measures that say the same share their weight: the inverse is Moore and Penrose's,
which takes the smallest Lambdas. ``"matrix"`` is the formula above, ``"coef"`` a number for each coefficient and measure,
``"scalar"`` a number for each measure.
"""

import numpy as np
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.covariance import solve

NOTHING = 1e-20
"""Variance of what useless predictions add, relative to that of the rest, that rounding can make."""
DEGENERATE = 1e-10
"""Eigenvalue of a correlation matrix, relative to the largest, below which a direction is none."""
KINDS = ("scalar", "coef", "matrix")
"""One number for all coefficients, one for each, or a full matrix."""


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
    """Lambdas that make the variance of g + sum_j Lambda_j h_j smallest, side by side, (k, J k).

    ``"matrix"``: minus the regression of g on all h, in coefficients. ``"coef"``: the same for each coefficient's influence alone
    (`best_each`). ``"scalar"``: one number for each measure, for the sum of the variances, each relative to its value at the mean
    over measures.

    Parameters
    ----------
    tune : {"scalar", "coef", "matrix"}
    second : ((1 + J) k, (1 + J) k) array
        Sum over units of (g, h_1, ..., h_J)(g, h_1, ..., h_J)', h_j = (1 - w) m_hat_j and g the rest of the score.
    bread : (k, k) array
        Takes scores to the influence on the reported coefficients.
    few : (k,) bool array, optional
        Coefficients that are left at the mean over measures, Lambda = 1 / J each, and that choose nothing for others.
    centre : (k, k) array, optional
        Takes the coefficients to those whose variances ``"scalar"`` adds up.
    """
    k = len(bread)
    count = len(second) // k - 1
    few = np.zeros(k, dtype=bool) if few is None else few
    out, kept = even(k, count), np.flatnonzero(~few)
    if not len(kept):
        return out
    if tune == "matrix":
        parts = _influences(second, bread)
        columns = np.concatenate([kept + j * k for j in range(count)])
        rest, added = np.ix_(kept, k + columns), np.ix_(k + columns, k + columns)
        out[np.ix_(kept, columns)] = _smallest(parts[rest], parts[added], out[np.ix_(kept, columns)])
    elif tune == "coef":
        out = np.hstack([np.diag(each) for each in best_each(second, bread, few)])
    else:
        turn = np.eye(k) if centre is None else centre
        weights = _together(_influences(second, turn @ bread), kept, k)
        out = np.hstack([np.diag(np.where(few, 1.0 / count, weight)) for weight in weights])
        if not few.any():
            return out
    # in coefficients so far, J Lambda J^-1 in scores: each coefficient's influence has its own
    return np.hstack([solve(bread, part @ bread) for part in np.split(out, count, axis=1)])


def best_each(second: FloatArray, bread: FloatArray, few: BoolArray) -> FloatArray:
    """Lambdas of each coefficient for itself, (J, k). Arguments as in `best_tuning`.

    Rows of `bread` may be those of different Jacobians, as each coefficient takes its own alone.
    """
    k = len(bread)
    count = len(second) // k - 1
    parts = second.reshape(1 + count, k, 1 + count, k)
    # (1 + J, 1 + J, k) covariances of the parts of each coefficient's influence
    moments = np.einsum("ca,iajb,cb->ijc", bread, parts, bread, optimize=True)
    if count == 1:
        found = best_lambda(moments[0, 0], moments[0, 1], moments[1, 1], useless=1.0)[None]
    else:
        found = np.column_stack([_weights_of(moments[:, :, c]) for c in range(k)])
    return np.asarray(np.where(few, 1.0 / count, found))


def _influences(second: FloatArray, bread: FloatArray) -> FloatArray:
    """`second` of the influences on coefficients."""
    every = np.kron(np.eye(len(second) // len(bread)), bread)
    return np.asarray(every @ second @ every.T)


def _together(second: FloatArray, kept: IntArray, k: int) -> FloatArray:
    """One weight for each measure, which make the sum of the coefficients' variances smallest, (J,)."""
    count = len(second) // k - 1
    level = np.r_[1.0, np.full(count, 1.0 / count)]
    total = np.zeros((1 + count, 1 + count))
    for c in kept:
        places = c + k * np.arange(1 + count)
        part = second[np.ix_(places, places)]
        # each variance relative to that of the mean over measures
        size = float(level @ part @ level)
        total += part / (size if size > 0.0 else 1.0)
    return _weights_of(total)


def _weights_of(second: FloatArray) -> FloatArray:
    """`best_weights` from the variance of (g, h_1, ..., h_J) of one number."""
    return best_weights(float(second[0, 0]), second[0, 1:], second[1:, 1:])


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
