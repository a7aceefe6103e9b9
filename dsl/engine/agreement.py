"""Agreement of any number of coders: Krippendorff's alpha."""

from collections.abc import Iterable

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.exceptions import ArgumentError

METRICS = ("nominal", "ordinal", "interval")
"""How far two labels are apart: different or not, in ranks, in values."""


def check_distances(labels: Iterable[object], metric: str, where: str) -> None:
    """Raise ArgumentError where labels are text and the metric needs numbers. `where` begins the message."""
    text = [label for label in labels if isinstance(label, str)]
    if metric != "nominal" and text:
        raise ArgumentError(
            f"{where} the label {text[0]!r}; metric={metric!r} needs numbers: recode labels to 1, 2, 3 in their order, or use "
            "metric='nominal'"
        )


def label_counts(codes: IntArray, k: int) -> FloatArray:
    """How many coders gave a row each of k labels, (n, k), from their codes (n, coders), negative where there is none."""
    rows, coders = np.nonzero(codes >= 0)
    cells = rows * k + codes[rows, coders]
    return np.bincount(cells, minlength=len(codes) * k).reshape(len(codes), k).astype(float)


def krippendorff(
    counts: FloatArray, values: FloatArray, metric: str = "nominal", weight: FloatArray | None = None
) -> tuple[float, FloatArray]:
    r"""Krippendorff's alpha, one minus the disagreement found as a share of that expected by chance, and its influence values.

    A row that m > 1 coders labelled, :math:`n_c` of them with label c, has the coincidences
    :math:`o_{ck} = (n_c n_k - [c = k]\, n_c) / (m - 1)`. Summed over rows, with :math:`n_c = \sum_k o_{ck}` and
    :math:`n = \sum_c n_c`,

    .. math:: \alpha = 1 - (n - 1) \frac{\sum_{c,k} o_{ck}\, \delta_{ck}^2}{\sum_{c,k} n_c n_k\, \delta_{ck}^2}

    with :math:`\delta_{ck}` one for different labels (nominal), the difference of their mid-ranks among all labels given
    (ordinal) or of their values (interval). Rows with one label or none tell nothing and are left out.

    Parameters
    ----------
    counts : (n, k) array
        Coders that gave each row each label.
    values : (k,) array
        The labels as numbers, in increasing order. Only interval looks at them.
    metric : {"nominal", "ordinal", "interval"}
    weight : (n,) array, optional
        What rows stand for, one over their probabilities. The scale does not matter: the weighted number of labels is made equal
        to their number.

    Returns
    -------
    float
        Alpha. NaN where no row has two labels, or all labels are the same.
    (n,) array
        Influence values: derivatives of alpha by each row's weight, times the weight. Zero in rows left out.

    References
    ----------
    Krippendorff, "Computing Krippendorff's alpha-reliability" (2011); *Content Analysis*, 4th edition (2019), section 12.3.

    Examples
    --------
    >>> counts = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> round(krippendorff(counts, np.array([0.0, 1.0]))[0], 4)
    0.5333
    """
    number = counts.sum(axis=1)
    rows = number > 1.0
    psi = np.zeros(len(counts))
    if not rows.any():
        return np.nan, psi
    each = counts[rows]
    share = np.ones(len(each)) if weight is None else weight[rows]
    # (k, k) of all rows. Of one row it is (c c' - diag c) / (m - 1)
    part = share * number[rows].sum() / (share @ number[rows]) / (number[rows] - 1.0)
    coincidences = (each * part[:, None]).T @ each - np.diag(part @ each)
    marginal = coincidences.sum(axis=1)
    n = marginal.sum()
    found, expected, slope = _disagreement(coincidences, marginal, values, metric)
    if expected <= 0.0:
        return np.nan, psi
    # alpha = 1 - (n - 1) / n R with R = n found / expected, which no scale of the weights changes; the factor counts as fixed
    gradient = -(n - 1.0) * (found / n + slope) / expected
    psi[rows] = part * ((each @ gradient * each).sum(axis=1) - each @ np.diag(gradient))
    return float(1.0 - (n - 1.0) * found / expected), psi


def _disagreement(
    o: FloatArray, marginal: FloatArray, values: FloatArray, metric: str
) -> tuple[float, float, FloatArray]:
    """Sums of o d^2 and of n n' d^2, and the derivative by o of the former less that of the latter times their ratio, (k, k)."""
    k = len(marginal)
    # mid-ranks r = L n
    below = np.tril(np.ones((k, k)), -1) + 0.5 * np.eye(k)
    at = below @ marginal if metric == "ordinal" else values
    square = 1.0 - np.eye(k) if metric == "nominal" else (at[:, None] - at) ** 2
    found, expected = float((o * square).sum()), float(marginal @ square @ marginal)
    ratio = found / expected if expected > 0.0 else 0.0
    # marginals are row sums of o: their derivatives are the same in a row
    by_marginal = -2.0 * ratio * (square @ marginal)
    if metric == "ordinal":
        gap = at[:, None] - at
        by_rank = 4.0 * ((o * gap).sum(axis=1) - ratio * marginal * (gap @ marginal))
        by_marginal = by_marginal + below.T @ by_rank
    return found, expected, square + by_marginal[:, None]
