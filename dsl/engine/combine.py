"""Estimates of repeated sample splits combined into one (Egami et al. 2024, by medians over splits)."""

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.covariance import inverse


def combine_splits(params: FloatArray, vcovs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Combine the splits' estimates by medians.

    theta = median_s theta_s and V = median_s [ V_s + (theta_s - theta)(theta_s - theta)' ], element
    by element, so that the squared standard errors are medians too. A median matrix need not be
    positive definite. If it is not, the nearest positive definite matrix with the same diagonal is
    returned.

    Parameters
    ----------
    params : (S, k) array
        Estimates, one row per split.
    vcovs : (S, k, k) array
        Their covariance matrices.

    Returns
    -------
    (k,) array, (k, k) array
        Combined estimate and covariance matrix.
    """
    center: FloatArray = np.median(params, axis=0)
    # (S, k): the second term of V adds the spread between splits to the covariance within them
    gap = params - center
    vcov = np.median(vcovs + gap[:, :, None] * gap[:, None, :], axis=0)
    return center, nearest_covariance((vcov + vcov.T) / 2.0)


def median_bread(jacobians: FloatArray) -> FloatArray:
    """Inverse of the element-wise median over splits of the Jacobians, which takes scores to influences on the estimate.

    The estimate and its covariance are medians over splits (`combine_splits`), and so is the Jacobian that goes with them.
    One split whose Jacobian is nearly singular then moves the influences no more than it moves the estimate. A mean would be
    drawn along by that split. All splits have the same Jacobian, and both are the same, where a linear model has no predicted
    covariate.

    Parameters
    ----------
    jacobians : (S, k, k) array
        Summed over rows.

    Returns
    -------
    (k, k) array
        Its row j times a row's score is that row's influence on coefficient j.
    """
    return inverse(np.median(jacobians, axis=0))


def nearest_covariance(vcov: FloatArray, *, floor: float = 1e-8, max_iterations: int = 1000) -> FloatArray:
    """Nearest positive definite matrix with the same diagonal, or `vcov` itself if it is one.

    Alternating projections with Dykstra's correction on the correlation matrix (Higham 2002, IMA
    Journal of Numerical Analysis 22, algorithm 3.3), eigenvalues kept above `floor` times the largest.

    Parameters
    ----------
    vcov : (k, k) symmetric array with a positive diagonal

    Returns
    -------
    (k, k) array
    """
    if not np.all(np.diag(vcov) > 0.0):
        return vcov
    sd = np.sqrt(np.diag(vcov))
    target = vcov / sd[:, None] / sd
    if np.linalg.eigvalsh(target)[0] > 0.0:
        return vcov
    current, correction = target, np.zeros_like(target)
    for _ in range(max_iterations):
        # Higham's R_k = Y_{k-1} - dS_{k-1}, projected on the positive definite matrices, dS_k = X_k - R_k
        values, vectors = np.linalg.eigh(current - correction)
        raised = (vectors * np.maximum(values, floor * values[-1])) @ vectors.T
        correction = raised - (current - correction)
        previous, current = current, raised.copy()
        # projection on the matrices with a unit diagonal, which needs no correction: they are an affine space
        np.fill_diagonal(current, 1.0)
        if np.abs(current - previous).max() < 1e-12:
            break
    values, vectors = np.linalg.eigh(current)
    # the last projection left the definite matrices by a little: end inside them, and restore the diagonal exactly
    current = (vectors * np.maximum(values, floor * values[-1])) @ vectors.T
    rescale = sd / np.sqrt(np.diag(current))
    out: FloatArray = current * rescale[:, None] * rescale
    return out
