"""How the labelled rows were drawn, and the meat that only this draw makes (finite population)."""

from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import cluster_sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeling:
    """How the labelled rows were drawn; what a finite-population variance needs to know."""

    prob: FloatArray
    """(m,) probability of each labelled row."""
    fixed_size: bool
    """Whether the number drawn was fixed in advance (within each stratum, if there are any)."""
    stratum: IntArray | None = None
    """(m,) codes of the strata."""
    unit: IntArray | None = None
    """(m,) codes of the primary units, where whole clusters, or rows within drawn clusters, were drawn."""
    unit_prob: FloatArray | None = None
    """(m,) probability that the row's primary unit was drawn."""


def finite_meat(label_scores: FloatArray, labeling: Labeling) -> FloatArray:
    r"""Variance of the sum of the labelled rows' scores over repeated labelling of the same rows.

    Independent draws: sum of (1 - pi) c c' with c = w (m - Lambda m_hat), that is R (1 - pi) / pi^2 d d'. Draws of a fixed
    size: c less its mean in the stratum, weighted by 1 - pi, times n/(n - 1) (Hajek 1964; exact for simple random and
    stratified sampling). Two stages: the units' sums by the same rule, plus the rows' within each unit.

    Parameters
    ----------
    label_scores : (m, k) array
    labeling : Labeling

    Returns
    -------
    (k, k) array
    """
    return np.asarray(sum(part.T @ part for part in finite_deviations(label_scores, labeling)))


def finite_deviations(label_scores: FloatArray, labeling: Labeling) -> list[FloatArray]:
    """Weighed deviations of rows, and of primary units if there are any, whose squares add up to `finite_meat`; (., k) each."""
    m = len(label_scores)
    label_scores = label_scores - label_scores.mean(axis=0)  # a ratio estimator: weights are scaled to the number drawn
    stratum = np.zeros(m, dtype=np.int64) if labeling.stratum is None else labeling.stratum
    if labeling.unit is None or labeling.unit_prob is None:
        return [_one_stage(label_scores, labeling.prob, stratum if labeling.fixed_size else None)]
    _, first, unit = np.unique(labeling.unit, return_index=True, return_inverse=True)
    totals = cluster_sums(label_scores, unit, len(first))
    between = _one_stage(totals, labeling.unit_prob[first], stratum[first] if labeling.fixed_size else None)
    given = np.minimum(labeling.prob / labeling.unit_prob, 1.0)  # probability of the row once its unit is drawn
    inner = label_scores * np.sqrt(labeling.unit_prob)[:, None]
    return [between, _one_stage(inner, given, unit if labeling.fixed_size else None)]


def _one_stage(scores: FloatArray, prob: FloatArray, stratum: IntArray | None) -> FloatArray:
    """sqrt(1 - pi) c; with strata of fixed size, c less its mean there and n/(n - 1)."""
    left = np.maximum(1.0 - prob, 0.0)
    if stratum is None:
        return np.asarray(scores * np.sqrt(left)[:, None])
    _, code = np.unique(stratum, return_inverse=True)
    count = np.bincount(code).astype(float)
    total = np.maximum(np.bincount(code, left), np.finfo(float).tiny)
    centre = cluster_sums(scores * left[:, None], code, len(count)) / total[:, None]
    centre[count < 2] = 0.0  # one row shows no spread: keep all of it, which errs on the wide side
    factor = np.where(count > 1, count / np.maximum(count - 1.0, 1.0), 1.0)
    return np.asarray((scores - centre[code]) * np.sqrt(left * factor[code])[:, None])
