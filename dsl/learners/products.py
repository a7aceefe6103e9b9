"""Products of surrogates: what a linear learner cannot make of a label and the confidence in it.

A label s of 0 or 1 with confidence c says more of the gold value where c is high, on either side: (2s - 1) c. A learner that is
linear in s and c misses it. So with several surrogates that agree or not.
"""

from itertools import combinations

import numpy as np

from dsl._typing import FloatArray

MOST = 6
"""Columns of surrogates up to which there are products: fifteen columns more."""
TAKEN = ("auto", "ridge")
"""Learners that see them: those that are ours to choose, and shrink what does not help. Others are the reference's, or make
their own."""


def takes_products(sl_method: object) -> bool:
    """Whether a learner sees products of the surrogates."""
    return isinstance(sl_method, str) and sl_method.strip().casefold() in TAKEN


def products_of(surrogates: FloatArray) -> FloatArray:
    """Products of pairs of columns (N, q): those of 0 and 1 count as -1 and 1, others about their mean unless beside such.

    Parameters
    ----------
    surrogates : (N, q) array

    Returns
    -------
    (N, r) array
        Without constant columns. No column for more than `MOST` surrogates.

    Examples
    --------
    >>> products_of(np.array([[1.0, 0.9], [0.0, 0.9], [0.0, 0.6]])).ravel().tolist()
    [0.9, -0.9, -0.6]
    """
    n, q = surrogates.shape
    if q < 2 or q > MOST:
        return np.empty((n, 0))
    label = np.asarray(np.isin(surrogates, (0.0, 1.0)).all(axis=0))
    signed = np.where(label, 2.0 * surrogates - 1.0, surrogates)
    centred = surrogates - surrogates.mean(axis=0)
    out = [
        signed[:, i] * signed[:, j] if label[i] or label[j] else centred[:, i] * centred[:, j]
        for i, j in combinations(range(q), 2)
        # dummies of one variable are never both one: their signs' product is a sum of them
        if not (label[i] and label[j]) or (surrogates[:, i] * surrogates[:, j]).any()
    ]
    columns = np.column_stack(out) if out else np.empty((n, 0))
    return np.asarray(columns[:, np.ptp(columns, axis=0) > 0.0])
