"""How well gold values are predicted out of fold."""

import numpy as np
import pandas as pd

from dsl._typing import FloatArray


def rmse(out_of_fold: FloatArray, gold: FloatArray, names: tuple[str, ...]) -> pd.DataFrame:
    """Root mean squared errors (S, q) of predictions (S, n, q) of gold values (n, q)."""
    index = pd.RangeIndex(1, len(out_of_fold) + 1, name="split")
    return pd.DataFrame(np.sqrt(np.mean((out_of_fold - gold) ** 2, axis=1)), index=index, columns=list(names))


def fit_quality(
    out_of_fold: FloatArray, gold: FloatArray, names: tuple[str, ...], learners: tuple[str, ...]
) -> pd.DataFrame:
    """One row per predicted variable: learner, R2, accuracy (NaN where gold values are not 0/1)."""
    r2, accuracy = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for v in range(len(names)):
        spread = float(np.var(gold[:, v]))
        # over rows and splits together
        error = float(np.mean((out_of_fold[:, :, v] - gold[:, v]) ** 2))
        binary = bool(np.isin(gold[:, v], (0.0, 1.0)).all())
        right = float(np.mean((out_of_fold[:, :, v] > 0.5) == (gold[:, v] > 0.5)))
        # out of fold, so that it is negative where predictions are worse than the mean
        r2[v] = 1.0 - error / spread if spread > 0.0 else np.nan
        accuracy[v] = right if binary else np.nan
    index = pd.Index(names, name="variable")
    return pd.DataFrame({"learner": list(learners), "r2": r2, "accuracy": accuracy}, index=index)
