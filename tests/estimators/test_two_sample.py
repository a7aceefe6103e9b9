"""Prediction-powered inference where the rows are the population."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.estimators.result import fit_of

N, LABELED = 7, 3
RNG = np.random.default_rng(5)
TRUTH = RNG.normal(size=N)
SURROGATE = 0.5 * TRUTH + RNG.normal(size=N)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_variance_over_all_draws(lam: float) -> None:
    """The mean of the reported variances of all 35 draws of three rows is the variance of the 35 estimates."""
    estimates, variances = [], []
    for rows in combinations(range(N), LABELED):
        gold = np.full(N, np.nan)
        gold[list(rows)] = TRUTH[list(rows)]
        data = pd.DataFrame({"y": gold, "f": SURROGATE})
        fit = dsl.dsl("y ~ 1", data, predicted_var="y", prediction="f", estimator="ppi", tune=lam, target="finite")
        rest = np.setdiff1d(np.arange(N), rows)
        mean = TRUTH[list(rows)].mean() + lam * (SURROGATE[rest].mean() - SURROGATE[list(rows)].mean())
        np.testing.assert_allclose(fit.params, [mean], rtol=1e-9)
        estimates.append(mean)
        variances.append(fit_of(fit).vcov[0, 0])
    np.testing.assert_allclose(np.mean(variances), np.var(estimates), rtol=1e-9)
