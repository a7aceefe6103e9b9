"""Coverage with few labels: the table of the page "Few labels", and that defaults hold their level.

`python -m tests.simulation.test_few_labels` prints the table.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl

pytestmark = pytest.mark.slow

REPLICATIONS, ROWS = 200, 1_000
TRUTH = pd.Series({"Intercept": 0.2, "X": -0.4, "D": 0.8})
FAMILY = 3.0
"""Monte Carlo standard errors allowed."""
CALLS: dict[str, dict[str, Any]] = {
    "gold_only": {"estimator": "gold_only"},
    "gold_only, HC2 with t": {"estimator": "gold_only", "vcov": "HC2", "use_t": True},
    "dsl": {},
    "dsl with t": {"use_t": True},
    **{
        f"{name}, {vcov}": {"estimator": estimator, "tune": "coef", "vcov": vcov}
        for name, estimator in (("tuned", "dsl"), ("dsl+", "dsl+"))
        for vcov in ("robust", "PRESS", "HC3", "jackknife", "design", "design+HC3")
    },
}
"""Chosen lambdas have t by default."""
MODELS = ("lm", "logit", "poisson")


def draw(seed: int, model: str, n_labels: int, predicted: str) -> pd.DataFrame:
    """A predicted 0/1 covariate whose surrogate errs more where the outcome is small, or a predicted outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=ROWS)
    d = (rng.random(ROWS) < (expit(0.5 * x - 0.5) if predicted == "D" else 0.1)).astype(float)
    eta = TRUTH["Intercept"] + TRUTH["X"] * x + TRUTH["D"] * d
    if model == "lm":
        y = eta + rng.normal(size=ROWS)
    else:
        y = (rng.random(ROWS) < expit(eta)) * 1.0 if model == "logit" else rng.poisson(np.exp(eta)) * 1.0
    if predicted == "D":
        surrogate = np.where(rng.random(ROWS) < 0.75 + 0.15 * (y > np.median(y)), d, 1.0 - d)
    elif model == "logit":
        surrogate = np.where(rng.random(ROWS) < 0.8 + 0.1 * d, y, 1.0 - y)
    else:
        surrogate = y + 0.7 * rng.normal(size=ROWS) + 0.3 * d
    shown = rng.permutation(ROWS) < n_labels
    table = pd.DataFrame({"Y": y, "X": x, "D": d, "S": surrogate})
    table[predicted] = table[predicted].where(shown)
    return table


def covered(seed: int, model: str, n_labels: int, predicted: str, calls: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Whether each call's intervals hold the truth, (calls, coefficients), missing where there is no fit."""
    data = draw(seed, model, n_labels, predicted)
    out = {}
    for name, call in calls.items():
        try:
            fit = dsl.dsl(
                "Y ~ X + D",
                data,
                model=model,
                predicted_var=predicted,
                prediction="S",
                sl_method="ridge",
                sample_split=1,
                seed=seed,
                **call,
            )
        except dsl.exceptions.EstimationError:
            continue
        ends = fit.conf_int().loc[TRUTH.index]
        out[name] = TRUTH.between(ends[0], ends[1])
    return pd.DataFrame(out, dtype=float).T


@cache
def coverage(n_labels: int, names: tuple[str, ...], replications: int = REPLICATIONS) -> pd.DataFrame:
    """Mean coverage over models, both predicted variables and coefficients, with Monte Carlo errors over replications."""
    calls = {name: CALLS[name] for name in names}
    each = []
    for seed in range(replications):
        parts = [covered(seed, model, n_labels, predicted, calls) for model in MODELS for predicted in ("D", "Y")]
        each.append(pd.concat(parts).groupby(level=0).mean().mean(axis=1))
    means = pd.DataFrame(each)[list(names)]
    return pd.DataFrame({"coverage": means.mean(), "error": means.std() / np.sqrt(means.count())})


DEFAULTS = ("dsl with t", "tuned, design+HC3", "dsl+, design+HC3")


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
@pytest.mark.parametrize("n_labels", [50, 100, 200])
def test_defaults_cover_with_few_labels(n_labels: int) -> None:
    found = coverage(n_labels, DEFAULTS)
    assert (np.abs(found["coverage"] - 0.95) <= 0.01 + FAMILY * found["error"]).all(), found


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    tables = {n: coverage(n, tuple(CALLS)) for n in (50, 100, 200)}
    print(pd.concat(tables, axis=1).round(3).to_string())
