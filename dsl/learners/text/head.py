"""What stands on top of represented texts: a ridge on their columns and on the numbers beside them."""

from typing import Self

import numpy as np
from scipy import sparse

from dsl._typing import FloatArray
from dsl.learners.ridge import PENALTIES, Matrix, fit_ridge

SIZE = 100.0
"""Mean squared length of a text's columns after scaling, for which `PENALTIES` range from hardly any to nearly all shrinkage."""
WEIGHT = 1.0
"""The same of the numbers, over that of the text."""


class Head:
    """Ridge, or logistic ridge, on columns of texts and numbers, each part scaled as a whole.

    One penalty serves both parts. Scaled so, either part may explain as much of the gold values as the other before it is
    shrunk, however many columns it has.

    Parameters
    ----------
    logistic : bool
        Whether gold values lie in [0, 1] and predictions are probabilities.
    """

    def __init__(self, *, logistic: bool = False) -> None:
        self.logistic = logistic

    def fit(self, text: Matrix, numbers: FloatArray, y: FloatArray) -> Self:
        """Fit to columns of texts (n, d) and numbers (n, p), and gold values y (n,)."""
        self.text_scale_ = _scale(text, SIZE)
        self.centre_ = numbers.mean(axis=0)
        spread = numbers.std(axis=0)
        self.spread_ = np.where(spread > 0.0, spread, 1.0)
        self.number_scale_ = np.sqrt(WEIGHT * SIZE / max(numbers.shape[1], 1))
        self.ridge_ = fit_ridge(self._columns(text, numbers), y, np.asarray(PENALTIES))
        return self

    def predict(self, text: Matrix, numbers: FloatArray) -> FloatArray:
        """Predict rows: (m,)."""
        return self.ridge_.predict(self._columns(text, numbers))

    def _columns(self, text: Matrix, numbers: FloatArray) -> Matrix:
        scaled = (numbers - self.centre_) / self.spread_ * self.number_scale_
        if isinstance(text, sparse.csr_matrix):
            return sparse.hstack([text * self.text_scale_, scaled], format="csr")
        return np.hstack([text * self.text_scale_, scaled])


def _scale(x: Matrix, size: float) -> float:
    """What makes the columns' variances add up to `size`."""
    mean = np.asarray(x.mean(axis=0)).ravel()
    squares = np.sum(x.data**2 if isinstance(x, sparse.csr_matrix) else x * x)
    total = float(squares) / max(x.shape[0], 1) - float(mean @ mean)
    return float(np.sqrt(size / total)) if total > 1e-12 else 1.0
