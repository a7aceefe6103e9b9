"""Fits of models of classes, made again by hand from the class probabilities that they report."""

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl._typing import FloatArray
from tests.engine.models.likelihood import CLASSES, LIKELIHOODS, codes, hessian, scores

pytestmark = pytest.mark.numeric
N, LABELED = 300, 120
LEVELS = ["no", "some", "much"]
SAME_EQUATION = 1e-7
"""Relative to a standard error: the solver stops at a mean moment of 1e-10."""


@pytest.fixture(scope="module")
def posts() -> pd.DataFrame:
    """Classes labelled with unequal probabilities, in clusters, and surrogates that err."""
    rng = np.random.default_rng(6)
    x, d = rng.normal(size=N), (rng.random(N) < 0.5) * 1.0
    y = codes(0.7 * x - 0.5 * d, rng)
    pi = np.where(x > 0.0, 0.5, 0.3)
    labeled = rng.random(N) < pi
    llm = np.where(rng.random(N) < 0.75, y, rng.integers(0, CLASSES, N))
    return pd.DataFrame(
        {
            "x": x,
            "d": d,
            "y": pd.Categorical.from_codes(np.where(labeled, y, -1), LEVELS, ordered=True),
            "llm": pd.Categorical.from_codes(llm, LEVELS, ordered=True),
            "pi": pi,
            "cluster": rng.integers(0, 50, N),
        }
    )


def psi(model: str, data: pd.DataFrame, fit: dsl.DSLResults, lam: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """w m + lam (1 - w) m_hat of every row (N, k), and minus its mean derivative (k, k), class by class."""
    x = np.column_stack([np.ones(N), data["x"], data["d"]])
    gold = data["y"].cat.codes.to_numpy()
    weight = (gold >= 0) / fit.core.sample.sample_prob
    theta, loglike = fit.split_params.iloc[0].to_numpy(), LIKELIHOODS[model]
    total, slope = np.zeros((N, len(theta))), np.zeros((len(theta), len(theta)))
    assert fit.predictions is not None
    for k in range(CLASSES):
        share = weight * (gold == k) + lam * (1.0 - weight) * fit.predictions[0, :, k]
        own = np.full(N, float(k))
        total += share[:, None] * scores(loglike, theta, x, own)
        slope += np.einsum("i,ijk->jk", share, hessian(loglike, theta, x, own))
    return total, slope


@pytest.mark.parametrize("tune", [None, 0.4])
@pytest.mark.parametrize("cluster", [None, "cluster"])
@pytest.mark.parametrize("model", ["multinom", "ologit", "oprobit"])
def test_by_hand(model: str, cluster: str | None, tune: float | None, posts: pd.DataFrame) -> None:
    fit = dsl.dsl(
        "y ~ x + d", posts, predicted_var="y", prediction="llm", model=model, sample_prob="pi", cluster=cluster, tune=tune,
        sl_method="lm", sample_split=1, use_t=False,
    )  # fmt: skip
    rows, slope = psi(model, posts, fit, 1.0 if tune is None else tune)
    bread = np.linalg.inv(slope)
    se = fit.bse.to_numpy()
    assert (np.abs(bread @ rows.sum(axis=0)) <= SAME_EQUATION * se).all()
    units = rows if cluster is None else pd.DataFrame(rows).groupby(posts["cluster"].to_numpy()).sum().to_numpy()
    vcov = bread @ units.T @ units @ bread.T
    np.testing.assert_allclose(fit.cov_params(), vcov, rtol=1e-6, atol=1e-6 * np.outer(se, se).max())


def test_class_probabilities_add_up(posts: pd.DataFrame) -> None:
    fit = dsl.dsl(
        "y ~ x + d", posts, predicted_var="y", prediction="llm", model="ologit", sample_prob="pi", sl_method="lm"
    )
    assert fit.predictions is not None
    np.testing.assert_allclose(fit.predictions.sum(axis=2), 1.0, rtol=1e-12)
    assert list(fit.core.splits.targets) == [f"y[{level}]" for level in LEVELS]
