"""Sandwich covariances: bread, meat, clusters, small-sample factors."""

import numpy as np
import scipy.sparse as sp

from dsl._typing import FloatArray, IntArray

SMALL_SAMPLE = ("robust", "HC0", "HC1", "CR0", "CR1")
"""Names understood by `small_sample_factor`."""


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
    member = sp.csc_matrix((np.ones(n), cluster, np.arange(n + 1)), shape=(n_clusters, n))
    return np.asarray(member @ scores)


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
    half = np.linalg.solve(jacobian, meat)
    vcov = np.linalg.solve(jacobian, half.T)
    out: FloatArray = (vcov + vcov.T) / 2.0
    return out


def small_sample_factor(vcov: str, *, n: int, k: int, n_clusters: int | None) -> float:
    """Factor on the covariance matrix.

    One for ``"robust"``, ``"HC0"`` and ``"CR0"`` (as the reference); n/(n-k) for ``"HC1"``;
    G/(G-1) (n-1)/(n-k) for ``"CR1"``, with G clusters. `k` counts absorbed fixed effects too.
    """
    if vcov == "HC1":
        return n / (n - k)
    if vcov == "CR1":
        assert n_clusters is not None
        return n_clusters / (n_clusters - 1) * (n - 1) / (n - k)
    return 1.0
