"""What generalised linear models are judged by: statsmodels' likelihoods, at their maxima to the last digit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.models.model import Link

ROOT = 1e-8
"""Relative to the estimate: both solvers stop at a gradient of zero."""
N, CLUSTERS = 600, 40


@dataclass(frozen=True)
class Maximum:
    """Maximum of a likelihood: scores and exact Hessian there."""

    params: FloatArray  # (k,)
    scores: FloatArray  # (n, k)
    hessian: FloatArray  # (k, k), minus second derivatives

    def vcov(self, cluster: IntArray | None = None) -> FloatArray:
        """H^-1 (sum s s') H^-1, over rows or over sums of clusters: HC0 and CR0."""
        units = self.scores if cluster is None else pd.DataFrame(self.scores).groupby(cluster).sum().to_numpy()
        bread = np.linalg.inv(self.hessian)
        return np.asarray(bread @ units.T @ units @ bread)


def maximum(model: sm.GLM | sm.Probit, **scale: float) -> Maximum:
    """The root of statsmodels' score by Newton's method with its observed Hessian."""
    observed = {"observed": True} if isinstance(model, sm.GLM) else {}
    params = np.asarray(model.fit(disp=0, maxiter=200).params)
    for _ in range(20):
        score = model.score_obs(params, **scale).sum(axis=0)
        params = params - np.linalg.solve(model.hessian(params, **scale, **observed), score)
    return Maximum(params, model.score_obs(params, **scale), -model.hessian(params, **scale, **observed))


def rows(outcome: Callable[[FloatArray, np.random.Generator], FloatArray]) -> pd.DataFrame:
    """Covariates, an exposure, clusters of rows, and outcomes of their linear predictor."""
    rng = np.random.default_rng(11)
    data = pd.DataFrame({"x": rng.normal(size=N), "d": rng.integers(0, 2, N), "log_size": rng.normal(size=N) / 2})
    data["cluster"] = rng.integers(0, CLUSTERS, N)
    shift = rng.normal(size=CLUSTERS)[data["cluster"]] / 3
    data["y"] = outcome(0.3 * data["x"].to_numpy() - 0.5 * data["d"].to_numpy() + 0.2 + shift, rng)
    data["llm"] = data["y"]
    return data


def design(data: pd.DataFrame) -> FloatArray:
    """The columns of y ~ x + d."""
    return np.column_stack([np.ones(len(data)), data["x"], data["d"]])


def assert_equal_on_labelled_data(model: str, data: pd.DataFrame, theirs: Maximum, formula: str = "y ~ x + d") -> None:
    """Parameters, robust covariance and that of clusters, all rows labelled."""
    call = {"model": model, "predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
    with pytest.warns(e.AllLabeledWarning):
        ours, clustered = (dsl.dsl(formula, data, **call, cluster=each) for each in (None, "cluster"))
    np.testing.assert_allclose(ours.params, theirs.params, rtol=ROOT)
    np.testing.assert_allclose(ours.cov_params(), theirs.vcov(), rtol=ROOT)
    np.testing.assert_allclose(clustered.cov_params(), theirs.vcov(data["cluster"].to_numpy()), rtol=ROOT)


def assert_slope_is_the_derivative(link: Link, outcome: float, eta: FloatArray, *, rtol: float = 1e-7) -> None:
    """Minus the central difference of the residual, relative to the slope itself."""
    assert link.slope is not None
    step = 1e-4 * np.maximum(1.0, np.abs(eta)) ** 0.5
    y = np.full_like(eta, outcome)
    up, down = (residual(link, y, eta + side * step) for side in (1, -1))
    # (d/d eta) r to the fourth order: (8 (r(+h) - r(-h)) - (r(+2h) - r(-2h))) / 12h
    far_up, far_down = (residual(link, y, eta + 2 * side * step) for side in (1, -1))
    derivative = (8.0 * (up - down) - (far_up - far_down)) / (12.0 * step)
    np.testing.assert_allclose(link.slope(y, eta, link.mean(eta)), -derivative, rtol=rtol)


def residual(link: Link, outcome: FloatArray, eta: FloatArray) -> FloatArray:
    """r at its eta."""
    mean = link.mean(eta)
    return outcome - mean if link.residual is None else link.residual(outcome, eta, mean)


def poor_surrogates(gold: float) -> Block:
    """Two groups of 40 rows, 10 labelled each. In the second the labelled rows' surrogates are 5, the others' and gold `gold`."""
    g, labelled = np.repeat([0.0, 1.0], 40), np.tile(np.arange(40) % 4 == 0, 2)
    outcome = np.where(g == 0.0, 1.0 + np.arange(80) % 3, np.where(labelled, 5.0, gold))
    return Block(
        fixed=np.column_stack([np.ones(80), g]),
        predicted=np.empty((80, 0)),
        outcome=outcome,
        gold_rows=np.flatnonzero(labelled),
        gold=np.empty((20, 0)),
        gold_outcome=np.where(g == 0.0, outcome, gold)[labelled],
        weight=np.full(20, 4.0),
    )
