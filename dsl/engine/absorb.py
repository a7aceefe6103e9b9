"""Exact projection on the dummies of any number of factors, without building them.

With D the dummy matrix of the factors and W the row weights, ``project`` returns
D (D'WD)^+ D'W X. The factor with most levels is eliminated by group means, which leaves a system of
the size of the other factors' levels (the Schur complement). There is none for one factor. For a panel it is small
and solved densely, beyond that it is sparse and solved by conjugate gradients. Memory stays at
rows x columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
from scipy.sparse.csgraph import connected_components

from dsl._typing import FloatArray, IntArray
from dsl.exceptions import ConvergenceError

DENSE_LEVELS = 1_000
"""Levels of the smaller factors up to which their system is solved densely."""
RELATIVE_RESIDUAL = 1e-12
"""Target of the iterative solver, against the size of the projected column."""


@dataclass(frozen=True, slots=True)
class _OneFactor:
    """Group means of one factor."""

    dummies: sp.csr_matrix  # (n, levels)
    sums: sp.csr_matrix  # (levels, n), weighted
    totals: FloatArray  # (levels,)

    @classmethod
    def build(cls, codes: IntArray, weights: FloatArray) -> "_OneFactor":
        n = len(codes)
        dummies = sp.csr_matrix((np.ones(n), codes, np.arange(n + 1)), shape=(n, int(codes.max()) + 1))
        sums = sp.csr_matrix(dummies.multiply(weights[:, None]).T)
        return cls(dummies, sums, np.bincount(codes, weights).astype(float))

    def means(self, values: FloatArray) -> FloatArray:
        """Weighted mean of every level, (levels, columns)."""
        out: FloatArray = (self.sums @ values) / self.totals[:, None]
        return out

    def fitted(self, values: FloatArray) -> FloatArray:
        """Each row's level mean, (n, columns)."""
        return np.asarray(self.dummies @ self.means(values))


class Absorber:
    """Projection on the dummies of one or more factors.

    Parameters
    ----------
    factors : sequence of (n,) integer arrays
        Level codes 0, 1, ... of each factor. Every level must occur.
    weights : (n,) array, optional
        Positive row weights, one by default.
    """

    def __init__(self, factors: Sequence[IntArray], weights: FloatArray | None = None) -> None:
        w = np.ones(len(factors[0])) if weights is None else weights
        # the factor with most levels comes first: its block of D'WD is diagonal, so that eliminating it costs nothing
        order = sorted(range(len(factors)), key=lambda j: -int(factors[j].max()))
        self._largest = _OneFactor.build(factors[order[0]], w)
        self._others = None
        self._levels = [int(codes.max()) + 1 for codes in factors]
        if len(factors) > 1:
            parts = [_OneFactor.build(factors[j], w) for j in order[1:]]
            self._others = sp.csr_matrix(sp.hstack([part.dummies for part in parts]))
            self._other_sums = sp.csr_matrix(sp.vstack([part.sums for part in parts]))
            self._prepare()

    def _prepare(self) -> None:
        """System of the other factors' effects, the largest factor partialled out."""
        # D'WD = [[T, O], [O', I]] with T = diag(totals): the Schur complement of T is I - O' T^-1 O
        overlap = self._largest.sums @ self._others  # (levels, other levels)
        inner = self._other_sums @ self._others
        scaled = sp.diags(1.0 / self._largest.totals) @ overlap
        schur = sp.csr_matrix(inner - overlap.T @ scaled)
        self._diagonal = np.asarray(inner.diagonal())
        self._schur = schur
        self._pseudo_inverse = None
        if schur.shape[0] <= DENSE_LEVELS:
            # scaled to a unit diagonal, so that one threshold on the eigenvalues suits levels of any size.
            # The system is singular (each factor's dummies sum to one), hence the pseudo-inverse.
            half = 1.0 / np.sqrt(self._diagonal)
            dense = schur.toarray() * half[:, None] * half
            values, vectors = scipy.linalg.eigh(dense)
            kept = values > 1e-10  # the scaled matrix has norm of order one
            self._schur_rank = int(kept.sum())
            basis = vectors[:, kept] * half[:, None]
            self._pseudo_inverse = (basis / values[kept]) @ basis.T

    @property
    def rank(self) -> int:
        """Rank of the dummies.

        Exact for one or two factors and wherever the smaller factors' system is solved densely. Beyond that
        one redundant level per further factor is assumed, which is right if all levels are connected.
        """
        if self._others is None:
            return self._levels[0]
        if self._pseudo_inverse is not None:
            return len(self._largest.totals) + self._schur_rank
        if len(self._levels) == 2:
            overlap = self._largest.sums @ self._others
            # two factors: one level is redundant for each connected component of the bipartite graph of levels
            # (Abowd, Creecy and Kramarz 2002)
            graph = sp.block_array([[None, overlap], [overlap.T, None]])
            return sum(self._levels) - int(connected_components(graph, directed=False)[0])
        return sum(self._levels) - (len(self._levels) - 1)

    def project(self, values: FloatArray) -> FloatArray:
        """Fitted values of the regression of each column of `values` on the dummies.

        Parameters
        ----------
        values : (n,) or (n, columns) array

        Returns
        -------
        array of the same shape
        """
        matrix = values.reshape(len(values), -1)
        if self._others is None:
            fitted = self._largest.fitted(matrix)
        else:
            size = np.linalg.norm(self._other_sums @ matrix, axis=0)
            fitted = self._project_once(matrix, size)
            fitted = fitted + self._project_once(matrix - fitted, size)  # refinement: to rounding error
        return fitted.reshape(values.shape)

    def _project_once(self, values: FloatArray, size: FloatArray) -> FloatArray:
        # block elimination: first the other factors' effects, from values within the largest factor,
        # then its own from the rest
        within = values - self._largest.fitted(values)
        assert self._others is not None
        part = self._others @ self._solve(np.asarray(self._other_sums @ within), size)
        return np.asarray(part + self._largest.fitted(values - part))

    def _solve(self, rhs: FloatArray, size: FloatArray) -> FloatArray:
        """Effects of the other factors, each column's residual small against its `size`."""
        if self._pseudo_inverse is not None:
            return np.asarray(self._pseudo_inverse @ rhs)
        precondition = sp.diags(1.0 / self._diagonal)
        out = np.zeros_like(rhs)
        for j, column in enumerate(rhs.T):
            out[:, j], failed = scipy.sparse.linalg.cg(
                self._schur, column, rtol=0.0, atol=RELATIVE_RESIDUAL * float(size[j]), maxiter=10_000, M=precondition
            )
            if failed:
                raise ConvergenceError(
                    "the fixed effects could not be absorbed to machine precision: the factors are so "
                    f"weakly connected that {failed} iterations did not suffice; use fewer factors, or "
                    "combine rare levels"
                )
        return out
