"""Ridge regression with the penalty chosen by leaving one row out, from one eigendecomposition for all penalties.

With columns centred, X = U S V' and H(a) = 1/n + U S^2 (S^2 + a)^-1 U', the error of predicting row i without it is
(y_i - y_hat_i) / (1 - H_ii) exactly (Allen's PRESS, Technometrics 1974; Golub, Heath and Wahba, Technometrics 1979). U and S^2
come from the smaller of X X' and X'X, which costs least where there are more columns than labels (word counts) and where there
are fewer (embeddings). Penalties then cost next to nothing.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse

from dsl._typing import FloatArray

PENALTIES = tuple(float(each) for each in np.logspace(-1, 4, 16))
"""For columns with variance one, or whose variances add up to tens or hundreds."""
MOST = 2000
"""Rows and columns from which on a decomposition takes tens of seconds: the penalty is then chosen on so many rows."""
Matrix: TypeAlias = "FloatArray | sparse.csr_matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """A fitted ridge regression."""

    coef: FloatArray
    """(d,)"""
    intercept: float
    penalty: float
    errors: FloatArray
    """Mean squared error of each row predicted without it, at every penalty."""

    def predict(self, x: Matrix) -> FloatArray:
        """Predictions of rows x (m, d): (m,)."""
        return np.asarray(self.intercept + x @ self.coef, dtype=np.float64)


def fit_ridge(x: Matrix, y: FloatArray, penalties: FloatArray) -> Ridge:
    """Minimise sum (y - a - x b)^2 + penalty b'b, at the penalty with the smallest leave-one-out error.

    Parameters
    ----------
    x : (n, d) array or sparse matrix
    y : (n,) array
    penalties : (c,) array
        Above zero.

    Notes
    -----
    With more than 2,000 rows and as many columns, the penalty is chosen on 2,000 rows, evenly spaced, and the equations are
    solved step by step. The penalty is the variance of the errors over that of the coefficients, whatever the number of rows.
    """
    if min(x.shape) > MOST:
        return _fit_large(x, y, penalties)
    centre, level = np.asarray(x.mean(axis=0)).ravel(), float(y.mean())
    rest = y - level
    squares, u = decomposed(x, centre)
    inside = u.T @ rest
    # (r, c): how much of each direction is kept at each penalty
    kept = squares[:, None] / (squares[:, None] + penalties)
    left = rest[:, None] - u @ (kept * inside[:, None])
    leverage = 1.0 / len(y) + (u * u) @ kept
    errors = np.mean((left / (1.0 - leverage)) ** 2, axis=0)
    penalty = float(penalties[np.argmin(errors)])
    # b = X'(X X' + a)^-1 y
    dual = u @ (inside / (squares + penalty))
    coef = np.asarray(x.T @ dual).ravel() - centre * dual.sum()
    return Ridge(coef=coef, intercept=level - float(centre @ coef), penalty=penalty, errors=errors)


def _fit_large(x: Matrix, y: FloatArray, penalties: FloatArray) -> Ridge:
    from sklearn import linear_model

    rows = np.linspace(0, len(y) - 1, MOST).astype(np.int64)
    some = fit_ridge(x[rows], y[rows], penalties)
    model = linear_model.Ridge(some.penalty, solver="sparse_cg", tol=1e-8).fit(x, y)
    return Ridge(
        coef=np.ravel(model.coef_), intercept=float(model.intercept_), penalty=some.penalty, errors=some.errors
    )


def decomposed(x: Matrix, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared singular values (r,) and left singular vectors (n, r) of the columns of x (n, d), less `centre` (d,)."""
    n, d = x.shape
    if n <= d:
        gram = _dense(x @ x.T)
        across = gram.mean(axis=0)
        values, vectors = np.linalg.eigh(gram - across - across[:, None] + across.mean())
    else:
        dense = _dense(x) - centre
        values, vectors = np.linalg.eigh(dense.T @ dense)
    # directions that rounding made
    real = values > np.finfo(float).eps * max(n, d) * values.max(initial=0.0)
    values, vectors = values[real], vectors[:, real]
    return values, vectors if n <= d else dense @ (vectors / np.sqrt(values))


def _dense(x: Matrix) -> FloatArray:
    return np.asarray(x.toarray() if isinstance(x, sparse.csr_matrix | sparse.csr_array) else x)
