"""Exact projection on the dummies of any number of factors, without building them.

With D the dummy matrix of the factors and W the row weights, ``project`` returns
D (D'WD)^+ D'W X. Of X no more than its sums over levels D'WX is needed (`LevelSystem`), which rows that come in blocks have too
(`dsl.engine.level_sums`). The factor with most levels is eliminated by group means, which leaves a system of
the size of the other factors' levels (the Schur complement). There is none for one factor. For a panel it is small
and solved densely, beyond that it is sparse and solved by conjugate gradients. Memory stays at
rows x columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
from scipy.sparse.csgraph import connected_components

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.exceptions import ConvergenceError

DENSE_LEVELS = 1_000
"""Levels of the smaller factors up to which their system is solved densely."""
RELATIVE_RESIDUAL = 1e-12
"""Target of the iterative solver, against the size of the projected column."""

Pairs = Mapping[tuple[int, int], sp.csr_matrix]
"""For two factors i < j: sum of the weights of the rows with each pair of their levels, (levels, other levels)."""


class LevelSystem:
    """Normal equations D'WD c = D'WX of the dummies of one or more factors, in the space of their levels.

    Parameters
    ----------
    totals : sequence of (levels,) arrays
        Sum of the weights of each level, for each factor. All are positive.
    pairs : mapping
        As `Pairs`, for every two factors.
    """

    def __init__(self, totals: Sequence[FloatArray], pairs: Pairs) -> None:
        # the factor with most levels comes first: its block of D'WD is diagonal, so that eliminating it costs nothing
        self._order = sorted(range(len(totals)), key=lambda j: -len(totals[j]))
        self._totals = totals[self._order[0]]
        self._levels = [len(totals[j]) for j in self._order]
        self._overlap: sp.csr_matrix | None = None
        if len(totals) > 1:
            self._prepare(totals, pairs)

    def _prepare(self, totals: Sequence[FloatArray], pairs: Pairs) -> None:
        """System of the other factors' effects, the largest factor partialled out."""
        first, *others = self._order

        def pair(i: int, j: int) -> sp.csr_matrix:
            if i == j:
                return sp.diags(totals[i])
            return pairs[i, j] if i < j else pairs[j, i].T

        # D'WD = [[T, O], [O', I]] with T = diag(totals): the Schur complement of T is I - O' T^-1 O
        self._overlap = sp.csr_matrix(sp.hstack([pair(first, j) for j in others]))  # (levels, other levels)
        self._back = sp.csr_matrix(self._overlap.T)
        self._inner = sp.csr_matrix(sp.bmat([[pair(i, j) for j in others] for i in others]))
        self._diagonal = np.asarray(self._inner.diagonal())
        self._pseudo_inverse = None
        if len(self._diagonal) <= DENSE_LEVELS:
            # scaled to a unit diagonal, so that one threshold on the eigenvalues suits levels of any size.
            # The system is singular (each factor's dummies sum to one), hence the pseudo-inverse.
            half = 1.0 / np.sqrt(self._diagonal)
            scaled = sp.diags(1.0 / self._totals) @ self._overlap
            dense = (self._inner - self._back @ scaled).toarray() * half[:, None] * half
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
        if self._overlap is None:
            return self._levels[0]
        if self._pseudo_inverse is not None:
            return self._levels[0] + self._schur_rank
        if len(self._levels) == 2:
            # two factors: one level is redundant for each connected component of the bipartite graph of levels
            # (Abowd, Creecy and Kramarz 2002)
            graph = sp.block_array([[None, self._overlap], [self._back, None]])
            return sum(self._levels) - int(connected_components(graph, directed=False)[0])
        return sum(self._levels) - (len(self._levels) - 1)

    def size(self, sums: Sequence[FloatArray]) -> FloatArray:
        """How large columns are, by their sums: what the residuals of `effects` are small against, (columns,)."""
        square = np.zeros(sums[0].shape[1])
        for j in self._order[1:]:
            square += np.square(sums[j]).sum(axis=0)
        return np.asarray(np.sqrt(square))

    def effects(self, sums: Sequence[FloatArray], size: FloatArray) -> list[FloatArray]:
        """Coefficients c of every factor, of which a row's fitted value is the sum over its levels.

        Parameters
        ----------
        sums : sequence of (levels, columns) arrays
            D'WX of each factor.
        size : (columns,) array
            As `size` of the sums, or of those of columns that these are left of.

        Returns
        -------
        list of (levels, columns) arrays

        Raises
        ------
        ConvergenceError
        """
        first, *others = self._order
        out, overlap = list(sums), self._overlap
        if overlap is None:
            out[first] = sums[first] / self._totals[:, None]
            return out
        # block elimination: first the other factors' effects, then the largest one's from the rest
        rest = np.vstack([sums[j] for j in others]) - self._back @ (sums[first] / self._totals[:, None])
        found = self._solve(overlap, np.asarray(rest), size)
        out[first] = np.asarray(sums[first] - overlap @ found) / self._totals[:, None]
        ends = np.cumsum(self._levels[1:])[:-1]
        for j, part in zip(others, np.split(found, ends), strict=True):
            out[j] = part
        return out

    def _solve(self, overlap: sp.csr_matrix, rhs: FloatArray, size: FloatArray) -> FloatArray:
        """Effects of the other factors, each column's residual small against its `size`."""
        if self._pseudo_inverse is not None:
            return np.asarray(self._pseudo_inverse @ rhs)
        levels = len(self._diagonal)

        def product(x: FloatArray) -> FloatArray:
            # never as one matrix, which can have many more entries than the levels have pairs
            return np.asarray(self._inner @ x - self._back @ ((overlap @ x) / self._totals))

        schur = scipy.sparse.linalg.LinearOperator((levels, levels), matvec=product, dtype=np.float64)
        precondition = sp.diags(1.0 / self._diagonal)
        out = np.zeros_like(rhs)
        for j, column in enumerate(rhs.T):
            out[:, j], failed = scipy.sparse.linalg.cg(
                schur, column, rtol=0.0, atol=RELATIVE_RESIDUAL * float(size[j]), maxiter=10_000, M=precondition
            )
            if failed:
                raise ConvergenceError(
                    "the fixed effects could not be absorbed to machine precision: the factors are so "
                    f"weakly connected that {failed} iterations did not suffice; use fewer factors, or "
                    "combine rare levels"
                )
        return out


def pairs_of(
    factors: Sequence[IntArray], counts: Sequence[int], weights: FloatArray
) -> dict[tuple[int, int], sp.csr_matrix]:
    """`Pairs` of some rows, whose factors have so many levels among all rows."""
    return {
        (i, j): sp.coo_matrix((weights, (factors[i], factors[j])), shape=(counts[i], counts[j])).tocsr()
        for i, j in combinations(range(len(factors)), 2)
    }


@dataclass(frozen=True, slots=True)
class _OneFactor:
    """Sums over the levels of one factor."""

    dummies: sp.csr_matrix  # (n, levels)
    sums: sp.csr_matrix  # (levels, n), weighted
    totals: FloatArray  # (levels,)

    @classmethod
    def build(cls, codes: IntArray, weights: FloatArray) -> "_OneFactor":
        n = len(codes)
        dummies = sp.csr_matrix((np.ones(n), codes, np.arange(n + 1)), shape=(n, int(codes.max()) + 1))
        sums = sp.csr_matrix(dummies.multiply(weights[:, None]).T)
        return cls(dummies, sums, np.bincount(codes, weights).astype(float))


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
        self._parts = [_OneFactor.build(codes, w) for codes in factors]
        totals = [part.totals for part in self._parts]
        self._system = LevelSystem(totals, pairs_of(factors, list(map(len, totals)), w))

    @property
    def rank(self) -> int:
        """Rank of the dummies (`LevelSystem.rank`)."""
        return self._system.rank

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
        sums = self._sums(matrix)
        size = self._system.size(sums)
        fitted = self._fitted(self._system.effects(sums, size))
        if len(self._parts) > 1:
            # refinement: to rounding error
            fitted = fitted + self._fitted(self._system.effects(self._sums(matrix - fitted), size))
        return fitted.reshape(values.shape)

    def _sums(self, values: FloatArray) -> list[FloatArray]:
        return [np.asarray(part.sums @ values) for part in self._parts]

    def _fitted(self, effects: Sequence[FloatArray]) -> FloatArray:
        return np.asarray(sum(part.dummies @ own for part, own in zip(self._parts, effects, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Projections:
    """Projections of the columns of some rows on the fixed effects."""

    fixed: FloatArray
    """(n, f)"""
    predicted: FloatArray
    """(n, p) of the pseudo-columns."""
    outcome: FloatArray
    """(n,) of the pseudo-outcome."""
    within: tuple[FloatArray, FloatArray] | None = None
    """(n, p) and (n,) of the predicted columns and outcome, for tuning. None without."""
    instruments: FloatArray | None = None
    """(n, q) of the instruments' pseudo-columns."""
    centres: FloatArray | None = None
    """(n, q) of the instruments' predicted columns, for tuning."""


def projected(block: Block, found: Projections) -> Block:
    """The block with its fixed effects: projections of the pseudo-values and, for tuning, the predicted versions within."""
    within = None
    if found.within is not None:
        # P x_hat and P y_hat. All versions are centred by these: what differs between them stays.
        predicted, outcome = found.within
        within = replace(
            block,
            fixed=block.fixed - found.fixed,
            predicted=block.predicted - predicted,
            outcome=block.outcome - outcome,
            imputed=tuple(
                replace(version, predicted=version.predicted - predicted, outcome=version.outcome - outcome)
                for version in block.imputed
            ),
            levels=(),
        )
    left = block.left
    if left is not None and left.instruments is not None:
        z = replace(left.instruments, absorbed=found.instruments, centres=found.centres)
        left = replace(left, instruments=z)
    return replace(
        block,
        absorbed=np.hstack([found.fixed, found.predicted]),
        absorbed_outcome=found.outcome,
        left=left,
        within=within,
    )
