"""Sandwich covariances: bread, meat, clusters, small-sample factors."""

import numpy as np
import scipy.sparse as sp

from dsl._typing import FloatArray, IntArray
from dsl.exceptions import SingularJacobianError

SMALL_SAMPLE = ("robust", "HC0", "HC1", "CR0", "CR1")
"""Names understood by `small_sample_factor`."""
UNCORRECTED = ("robust", "HC0", "CR0", "design")
"""Those whose factor is one."""
BY_DESIGN, BY_DESIGN_HC3 = "design", "design+HC3"
"""Name of the covariance that allows for how the labelled rows were drawn (`dsl.engine.fixed_size`)."""

SMALL = 20_000
"""Numbers up to which sums within clusters are taken column by column."""


def cluster_sums(scores: FloatArray, cluster: IntArray, n_clusters: int) -> FloatArray:
    """Sum of the scores within each cluster.

    Parameters
    ----------
    scores : (n, k) array
    cluster : (n,) array
        Cluster codes 0, ..., n_clusters - 1.

    Returns
    -------
    (n_clusters, k) array
    """
    n = len(cluster)
    if scores.ndim == 2 and 0 < scores.size <= SMALL:
        # the same additions in the same order: making a sparse matrix takes longer than these
        columns = np.ascontiguousarray(scores.T)
        return np.column_stack([np.bincount(cluster, column, n_clusters) for column in columns])
    # each column of the (G, n) membership matrix has one entry, so that its pointers are 0, 1, ..., n
    member = sp.csc_matrix((np.ones(n), cluster, np.arange(n + 1)), shape=(n_clusters, n))
    return np.asarray(member @ scores)


def unit_sums(parts: FloatArray, unit: IntArray | None = None) -> FloatArray:
    """Sums of parts within units that are independent of each other, or the parts themselves if every row is a unit.

    Parameters
    ----------
    parts : (n,) or (n, k) array
    unit : (n,) int array, optional
        Code of each row's unit (cluster), any integers.

    Returns
    -------
    (G,) or (G, k) array
        One sum for each code that occurs, codes ascending.

    Examples
    --------
    >>> unit_sums(np.array([1.0, 2.0, 4.0]), np.array([7, 3, 7])).tolist()
    [2.0, 5.0]
    """
    if unit is None:
        return parts
    codes, place = np.unique(unit, return_inverse=True)
    sums = cluster_sums(parts.reshape(len(parts), -1), place, len(codes))
    return sums.reshape(len(codes), *parts.shape[1:])


def variance_of_sum(parts: FloatArray, unit: IntArray | None = None) -> FloatArray:
    r"""Estimated variance of a sum of parts with mean zero: the sum over units of their squared sums.

    With :math:`c_i` the parts and g the units, :math:`\sum_g (\sum_{i \in g} c_i)^2`. This is the diagonal of the meat of the
    cluster-robust covariance, without a small-sample factor.

    Parameters
    ----------
    parts : (n,) or (n, k) array
    unit : (n,) int array, optional
        Code of each row's unit. By default every row is a unit (White's estimator).

    Returns
    -------
    number, or (k,) array

    References
    ----------
    Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986).

    Examples
    --------
    >>> float(variance_of_sum(np.array([1.0, 2.0, 4.0]))), float(variance_of_sum(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0])))
    (21.0, 29.0)
    """
    return np.asarray((unit_sums(parts, unit) ** 2).sum(axis=0))


def units_of(matrix: FloatArray) -> FloatArray:
    """Powers of two (k,) that bring the diagonal of a matrix near one: scaling by them rounds nothing."""
    size = np.abs(np.diag(matrix))
    known = (size > 0.0) & np.isfinite(size)
    return np.asarray(np.exp2(-np.round(np.log2(np.where(known, size, 1.0)) / 2.0)))


def solve(jacobian: FloatArray, right: FloatArray) -> FloatArray:
    """A^-1 B, to the same accuracy in any units of the columns.

    The solver chooses its pivots by size, which units decide. It is therefore given A with a diagonal near one.

    Parameters
    ----------
    jacobian : (k, k) array
    right : (k,) or (k, q) array

    Raises
    ------
    SingularJacobianError

    Examples
    --------
    >>> solve(np.diag([4.0, 1e-20]), np.array([2.0, 1e-20]))
    array([0.5, 1. ])
    """
    units = units_of(jacobian)
    across = units if right.ndim == 1 else units[:, None]
    try:
        # S (S A S)^-1 S B
        return np.asarray(across * np.linalg.solve(jacobian * units[:, None] * units, across * right))
    except np.linalg.LinAlgError:
        raise SingularJacobianError(
            "the Jacobian of the moment equation cannot be inverted: the labelled rows do not tell the coefficients apart; label "
            "more rows, or take columns out of the formula"
        ) from None


def inverse(jacobian: FloatArray) -> FloatArray:
    """A^-1, as `solve` has it."""
    return solve(jacobian, np.eye(len(jacobian)))


def sandwich(jacobian: FloatArray, meat: FloatArray) -> FloatArray:
    """A^-1 B A^-T for the summed Jacobian A and the summed meat B.

    Sums rather than means: the powers of N cancel. For the means J = A/N and Omega = B/N this is
    J^-1 Omega J^-T / N.

    Parameters
    ----------
    jacobian, meat : (k, k) arrays

    Returns
    -------
    (k, k) symmetric array
    """
    # A^-1 B, then A^-1 (A^-1 B)' = A^-1 B A^-T, as B is symmetric. The mean with the transpose takes off rounding.
    half = solve(jacobian, meat)
    vcov = solve(jacobian, half.T)
    out: FloatArray = (vcov + vcov.T) / 2.0
    return out


def small_sample_factor(vcov: str, *, n: int, k: int, n_clusters: int | None) -> float:
    """Factor on the covariance matrix.

    One for ``"robust"``, ``"HC0"`` and ``"CR0"`` (as the reference), n/(n-k) for ``"HC1"``, and
    G/(G-1) (n-1)/(n-k) for ``"CR1"`` with G clusters. `k` counts absorbed fixed effects too.
    """
    if vcov == "HC1":
        return n / (n - k)
    if vcov == "CR1":
        assert n_clusters is not None
        return n_clusters / (n_clusters - 1) * (n - 1) / (n - k)
    return 1.0
