r"""Clusters in two ways, such as authors and days: rows are dependent if they share either.

The meat of the sums over the first clusters, plus that over the second, counts rows that share both twice, and the meat of the
combinations is taken off:

.. math:: \Omega_a + \Omega_b - \Omega_{ab} .

The covariance that this makes need not be positive semi-definite. Negative eigenvalues of its correlations, on which no units
count, are then set to zero.

References
----------
Cameron, Gelbach and Miller, "Robust inference with multiway clustering", Journal of Business and Economic Statistics 29 (2011).
"""

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import unit_sums


def two_way_meat(scores: FloatArray, cluster: IntArray, across: IntArray) -> FloatArray:
    """Meat of rows' scores with clusters in two ways, which need not be positive semi-definite.

    Parameters
    ----------
    scores : (n, k) array
    cluster, across : (n,) int arrays
        Codes 0, 1, ... of the two clusters of each row.

    Returns
    -------
    (k, k) array

    Examples
    --------
    >>> scores = np.array([[1.0], [2.0], [4.0], [-3.0]])
    >>> two_way_meat(scores, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))  # 9 + 1 + 25 + 1 - 30
    array([[6.]])
    """
    if not len(scores):
        return np.zeros((scores.shape[1], scores.shape[1]))
    both = cluster.astype(np.int64) * (int(across.max(initial=0)) + 1) + across
    one, other, common = (part.T @ part for part in (unit_sums(scores, codes) for codes in (cluster, across, both)))
    return np.asarray(one + other - common)


def positive_part(vcov: FloatArray) -> FloatArray:
    """The covariance with negative eigenvalues, of its correlations, set to zero, (k, k)."""
    size = np.sqrt(np.abs(np.diag(vcov)))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(vcov / size[:, None] / size)
    if values[0] >= 0.0:
        return vcov
    root = size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(root @ root.T)
