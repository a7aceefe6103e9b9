"""Simulated tables for the benchmarks: gold values on a random sample, surrogates on every row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

COVARIATES = tuple(f"x{j}" for j in range(1, 11))
TEN = " + ".join(COVARIATES)
GENERALISED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "poisson": lambda eta, rng: rng.poisson(np.exp(eta)).astype(float),
    "probit": lambda eta, rng: (rng.random(len(eta)) < ndtr(eta)).astype(float),
    "cloglog": lambda eta, rng: (rng.random(len(eta)) < -np.expm1(-np.exp(eta))).astype(float),
    "gamma": lambda eta, rng: rng.gamma(2.0, np.exp(eta) / 2.0),
}
"""Outcomes of a linear predictor, by model."""
CLASSES = ["low", "mid", "high"]


def regression_table(n_rows: int, n_labeled: int, *, model: str = "lm", n_columns: int = 10) -> pd.DataFrame:
    """Outcome ``y`` seen on `n_labeled` rows, ``truth`` and continuous surrogate ``s`` on all, numeric covariates."""
    rng = np.random.default_rng(n_rows + n_labeled)
    x = rng.normal(size=(n_rows, n_columns))
    index = 0.5 + x @ np.linspace(0.4, -0.3, n_columns)
    if model in GENERALISED:
        truth = GENERALISED[model](index / 2.0, rng)
        noise = rng.normal(size=n_rows)
        # 0/1 outcomes: right nine times in ten
        surrogate = truth + 0.3 * noise if model in ("poisson", "gamma") else np.where(noise < 1.28, truth, 1.0 - truth)
    elif model == "logit":
        truth = (rng.random(n_rows) < expit(index)).astype(float)
        surrogate = np.clip(truth + 0.3 * rng.normal(size=n_rows), -1.0, 2.0)
    else:
        truth = index + rng.normal(size=n_rows)
        surrogate = truth + 0.7 * rng.normal(size=n_rows)
    table = pd.DataFrame(x, columns=list(COVARIATES[:n_columns]))
    return table.assign(truth=truth, s=surrogate, y=_on_sample(truth, n_labeled, rng))


def several_table(n_rows: int, n_labeled: int, *, model: str) -> pd.DataFrame:
    """The same for models with several linear predictors: three classes (and their ``code``), or overdispersed counts.

    The surrogate is right in about eight rows of ten.
    """
    rng = np.random.default_rng(n_rows + n_labeled)
    x = rng.normal(size=(n_rows, 10))
    index = 0.25 + x @ np.linspace(0.2, -0.15, 10)
    table = pd.DataFrame(x, columns=list(COVARIATES))
    labeled = ~np.isnan(_on_sample(index, n_labeled, rng))
    if model == "negbin":
        code = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(index)))
        said = np.maximum(code + rng.integers(-1, 2, n_rows) * (rng.random(n_rows) < 0.3), 0)
        return table.assign(code=code, s=said, y=np.where(labeled, code, np.nan))
    if model == "multinom":
        eta = np.column_stack([np.zeros(n_rows), index, x @ np.linspace(-0.2, 0.2, 10)])
        code = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    else:
        noise = rng.logistic(size=n_rows) if model == "ologit" else rng.normal(size=n_rows)
        code = np.digitize(index + noise, [-0.3, 1.0])
    said = np.where(rng.random(n_rows) < 0.7, code, rng.integers(0, 3, n_rows))
    classes = [pd.Categorical.from_codes(each, CLASSES, ordered=True) for each in (said, np.where(labeled, code, -1))]
    return table.assign(code=code, s=classes[0], y=classes[1])


def count_panel(n_rows: int, n_labeled: int, n_levels: int) -> pd.DataFrame:
    """Counts with three covariates and one factor ``unit``."""
    rng = np.random.default_rng(n_levels)
    x, unit = rng.normal(size=(n_rows, 3)), rng.integers(n_levels, size=n_rows)
    truth = rng.poisson(np.exp(0.3 + x @ [0.3, -0.2, 0.1] + 0.3 * rng.normal(size=n_levels)[unit])).astype(float)
    table = pd.DataFrame(x, columns=list(COVARIATES[:3]))
    return table.assign(
        unit=unit, truth=truth, s=truth + 0.3 * rng.normal(size=n_rows), y=_on_sample(truth, n_labeled, rng)
    )


def binary_table(n_rows: int, n_labeled: int) -> pd.DataFrame:
    """One binary surrogate, right nine times out of ten, of a binary outcome with three covariates."""
    rng = np.random.default_rng(n_rows)
    x = rng.normal(size=(n_rows, 3))
    truth = (rng.random(n_rows) < expit(x @ [0.8, -0.5, 0.2])).astype(float)
    surrogate = np.where(rng.random(n_rows) < 0.9, truth, 1.0 - truth)
    return pd.DataFrame(x, columns=["x1", "x2", "x3"]).assign(s=surrogate, y=_on_sample(truth, n_labeled, rng))


def panel_table(n_rows: int, n_labeled: int, n_levels: int) -> pd.DataFrame:
    """A linear outcome with three covariates and one factor ``unit``, spelled as integers."""
    table = regression_table(n_rows, n_labeled, n_columns=3)
    rng = np.random.default_rng(n_levels)
    unit = rng.integers(n_levels, size=n_rows)
    effect = rng.normal(size=n_levels)[unit]
    return table.assign(unit=unit, **{name: table[name] + effect for name in ("truth", "s", "y")})


def embedded_table(n_rows: int, n_labeled: int, n_columns: int) -> pd.DataFrame:
    """Columns ``e0``, ``e1``, ... of length one together, as sentence embeddings are, and a number ``y`` that depends on them."""
    rng = np.random.default_rng(n_columns)
    e = rng.normal(size=(n_rows, n_columns)) * np.linspace(2.0, 0.3, n_columns)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    x = rng.normal(size=n_rows)
    truth = 2.0 * e @ rng.normal(size=n_columns) + 0.3 * x + rng.normal(size=n_rows)
    table = pd.DataFrame(e, columns=[f"e{j}" for j in range(n_columns)])
    return table.assign(x=x, y=_on_sample(truth, n_labeled, rng))


def _on_sample(truth: np.ndarray, n_labeled: int, rng: np.random.Generator) -> np.ndarray:
    """`truth` on a simple random sample, NaN elsewhere."""
    out = np.full(len(truth), np.nan)
    rows = rng.choice(len(truth), n_labeled, replace=False)
    out[rows] = truth[rows]
    return out
