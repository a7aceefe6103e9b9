"""What stands on top of represented texts: a ridge on their columns and on the numbers beside them."""

from typing import Self

import numpy as np
from scipy import sparse
from scipy.special import expit

from dsl._typing import FloatArray
from dsl.learners.library import fit_logistic
from dsl.learners.predicted import zero_one
from dsl.learners.ridge import MOST, PENALTIES, Matrix, decomposed, fit_ridge

SIZE = 100.0
"""Mean squared length of either part after scaling, for which `PENALTIES` range from hardly any to nearly all shrinkage."""
VARIANCE = 4.0
"""Prior variance of the log odds, all parts together, as in the ridge of the named learners (`dsl.learners.library`)."""
BLOCK = 20_000
"""Rows predicted at a time, so that embeddings of four bytes a number are not all made longer at once."""


class Head:
    """Ridge on columns of texts and numbers, either part scaled as a whole; logistic where gold values are 0 and 1.

    One penalty serves both parts. Scaled so, either may explain as much as the other before it is shrunk, however many columns
    it has. The linear ridge chooses its penalty by leaving one out. The logistic one has a prior variance of 4 of the log odds,
    shared by the parts: on real tweets (embeddings and word counts, 150 to 1,600 labels) its squared error was below that of the
    linear one, and close to that of the best penalty.

    Parameters
    ----------
    family : {None, "gaussian", "binomial"}
        With ``"binomial"`` it is logistic for shares between 0 and 1 too.
    """

    def __init__(self, family: str | None = None) -> None:
        self.family = family

    def fit(self, text: Matrix, numbers: FloatArray, y: FloatArray) -> Self:
        """Fit to columns of texts (n, d) and numbers (n, p), and gold values y (n,)."""
        # most words of a vocabulary are in no labelled text: they count for nothing, and cost time
        used = np.unique(text.indices) if isinstance(text, sparse.csr_matrix) else np.arange(text.shape[1])
        kept: list[Matrix] = [text[:, used] if isinstance(text, sparse.csr_matrix) else text, numbers]
        parts = [_Part(kept[0]), _Part(kept[1], each=True)]
        columns = _side_by_side([part.scaled(x) for part, x in zip(parts, kept, strict=True)])
        if (self.family == "binomial" or zero_one(y)) and y.min() < y.max() and any(part.varies for part in parts):
            count = sum(part.varies for part in parts)
            coef, intercept = _logistic(columns, y, VARIANCE / (count * SIZE))
            self.logistic_ = True
        else:
            found = fit_ridge(columns, y, np.asarray(PENALTIES))
            coef, intercept, self.logistic_ = found.coef, found.intercept, False
        own, beside = np.split(coef, [len(used)])
        # back to the columns as they came
        self.text_coef_, self.number_coef_ = np.zeros(text.shape[1]), beside * parts[1].scale
        self.text_coef_[used] = own * parts[0].scale
        self.intercept_ = intercept - float(
            parts[0].centre @ self.text_coef_[used] + parts[1].centre @ self.number_coef_
        )
        return self

    def predict(self, text: Matrix, numbers: FloatArray) -> FloatArray:
        """Predict rows: (m,)."""
        out = self.intercept_ + numbers @ self.number_coef_
        for start in range(0, len(out), BLOCK):
            out[start : start + BLOCK] += text[start : start + BLOCK] @ self.text_coef_
        return np.asarray(expit(out) if self.logistic_ else out)


class _Part:
    """Columns of one kind, scaled so that their variances add up to `SIZE`.

    Numbers (`each`) have variance one before. Of embeddings the columns above the median deviation are brought down to it: those
    of language models have a few columns that vary a hundred times as much as others and say little (on tweets, an R2 of .50
    instead of .44). Counts are scaled as a whole, stay sparse, and are not centred.
    """

    def __init__(self, x: Matrix, *, each: bool = False) -> None:
        counts = isinstance(x, sparse.csr_matrix)
        mean = np.asarray(x.mean(axis=0), dtype=np.float64).ravel()
        squares = x.multiply(x) if isinstance(x, sparse.csr_matrix) else np.square(x, dtype=np.float64)
        raw = np.asarray(squares.mean(axis=0)).ravel()
        # what rounding leaves of a constant column is no variance
        real = raw - mean**2 > 1e-12 * raw
        deviation = np.sqrt(np.where(real, raw - mean**2, 1.0))
        self.varies = bool(real.any())
        self.centre = np.zeros_like(mean) if counts else mean
        if each:
            scale = 1.0 / deviation
        elif counts or not self.varies:
            scale = np.ones_like(deviation)
        else:
            scale = np.minimum(1.0, np.median(deviation[real]) / deviation)
        scale = np.where(real, scale, 0.0)
        total = float(np.sum((scale * deviation) ** 2))
        self.scale = scale * np.sqrt(SIZE / total) if total > 0.0 else scale

    def scaled(self, x: Matrix) -> Matrix:
        """The columns, centred where they are dense, and scaled."""
        if isinstance(x, sparse.csr_matrix):
            return sparse.csr_matrix(x @ sparse.diags(self.scale))
        return np.asarray((x - self.centre) * self.scale)


def _logistic(x: Matrix, y: FloatArray, variance: float) -> tuple[FloatArray, float]:
    """Coefficients and intercept of a logistic ridge on columns x (n, d), with a prior variance of a coefficient.

    Of more columns than rows only the directions of the rows count: X = U S V', and b = V c with c the ridge on U S.
    """
    if len(y) > min(x.shape[1], MOST):
        model = fit_logistic(x, y, variance)
        return np.ravel(model.coef_), float(model.intercept_[0])
    centre = np.asarray(x.mean(axis=0)).ravel()
    squares, u = decomposed(x, centre)
    size = np.sqrt(squares)
    model = fit_logistic(u * size, y, variance)
    dual = u @ (np.ravel(model.coef_) / size)
    coef = np.asarray(x.T @ dual).ravel() - centre * dual.sum()
    return coef, float(model.intercept_[0]) - float(centre @ coef)


def _side_by_side(parts: list[Matrix]) -> Matrix:
    if any(isinstance(part, sparse.csr_matrix) for part in parts):
        return sparse.csr_matrix(sparse.hstack(parts, format="csr"))
    return np.hstack(parts)
