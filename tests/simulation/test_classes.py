"""Classes and overdispersed counts of known parameters: intervals that cover, and errors no larger than of labels alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from .replicate import coverage_error, replicate, score

pytestmark = pytest.mark.slow

ROWS, LABELED, REPLICATIONS = 1500, 300, 1000
LEVELS = ["low", "mid", "high"]
SIZE = 2.0
"""1 / alpha."""
ESTIMATORS = ("dsl", "tuned", "dsl+", "gold_only")
TRUTH: dict[str, dict[str, float]] = {
    "multinom": {
        "y[mid]:Intercept": 0.2,
        "y[mid]:x": 0.5,
        "y[mid]:d": 0.8,
        "y[high]:Intercept": -0.3,
        "y[high]:x": -0.5,
        "y[high]:d": 1.0,
    },
    "ologit": {"x": 0.6, "d": 1.0, "low|mid": -0.5, "mid|high": 1.0},
    "oprobit": {"x": 0.4, "d": 0.6, "low|mid": -0.3, "mid|high": 0.6},
    "negbin": {"Intercept": 0.3, "x": 0.4, "d": 0.5, "log(alpha)": -np.log(SIZE)},
}


def population(model: str, seed: int) -> pd.DataFrame:
    """Everything known: outcomes of the model itself, and surrogates of the outcome and of d that err in one of five rows."""
    rng = np.random.default_rng(seed)
    x, d = rng.normal(size=ROWS), (rng.random(ROWS) < 0.4).astype(float)
    truth = np.array(list(TRUTH[model].values()))
    if model == "negbin":
        mean = np.exp(truth[0] + truth[1] * x + truth[2] * d)
        y = rng.negative_binomial(SIZE, SIZE / (SIZE + mean)).astype(float)
        llm = np.maximum(y + rng.integers(-1, 2, ROWS), 0.0)
        return pd.DataFrame({"x": x, "d": d, "y": y, "llm_y": llm, "llm_d": _wrong(d, 1.0 - d, rng)})
    if model == "multinom":
        columns = np.column_stack([np.ones(ROWS), x, d])
        eta = np.column_stack([np.zeros(ROWS), columns @ truth[:3], columns @ truth[3:]])
        code = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    else:
        noise = rng.logistic(size=ROWS) if model == "ologit" else rng.normal(size=ROWS)
        code = np.digitize(truth[0] * x + truth[1] * d + noise, truth[2:])
    said = _wrong(code, rng.integers(0, 3, ROWS), rng)
    y, llm = (pd.Categorical.from_codes(each, LEVELS, ordered=True) for each in (code, said))
    return pd.DataFrame({"x": x, "d": d, "y": y, "llm_y": llm, "llm_d": _wrong(d, 1.0 - d, rng)})


def _wrong(values: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(ROWS) < 0.2, others, values)


def study(model: str, predicted: str, replications: int = REPLICATIONS) -> pd.DataFrame:
    """Coverage, bias, RMSE of every estimator and parameter, with one variable labelled on a simple random sample."""

    def draw(seed: int) -> pd.DataFrame:
        data = population(model, seed)
        shown = np.random.default_rng([seed, 1]).permutation(ROWS) < LABELED
        return data.assign(**{predicted: data[predicted].where(shown)})

    call: dict[str, Any] = {
        "formula": "y ~ x + d",
        "model": model,
        "predicted_var": {predicted: f"llm_{predicted}"},
        "sl_method": "lm",
        "sample_split": 1,
    }
    return score(replicate(draw, pd.Series(TRUTH[model]), range(replications), call, ESTIMATORS))


@pytest.mark.parametrize("predicted", ["y", "d"])
@pytest.mark.parametrize("model", list(TRUTH))
def test_known_parameters(model: str, predicted: str) -> None:
    table = study(model, predicted)
    coverage = table["coverage"].unstack("estimator")
    error = coverage_error(REPLICATIONS)
    # a few dozen intervals are looked at, each above two errors once in twenty: their mean must be within two, each within four
    assert (np.abs(coverage.mean() - 0.95) <= 2 * error).all(), coverage
    assert (np.abs(coverage - 0.95) <= 4 * error).all(axis=None), coverage
    rmse = table["rmse"].unstack("estimator")
    relative = rmse[["tuned", "dsl+"]].div(rmse["gold_only"], axis=0)
    assert (relative <= 1.03).all(axis=None), relative
