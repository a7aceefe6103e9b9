"""Bias and coverage where whoever made the predictions has seen labels of the gold sample: declared (`trained_on`) and not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS, ROWS, TRUTH = 400, 4000, pd.Series({"Intercept": 1.0, "x": 0.5})


def table(seed: int, how: str) -> pd.DataFrame:
    """`y` is 1 + x / 2 and noise. `llm` is biased, but a linear smoother that knows by heart what it has seen.

    Rows are drawn at random ("equal"), one by one with probabilities that rise with x ("unequal", column `pi`), or after rows
    were chosen for their outcome ("chosen", `pi` is one there). What was seen is a random part of the first two.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=ROWS)
    y = TRUTH["Intercept"] + TRUTH["x"] * x + rng.normal(size=ROWS)
    pi = np.full(ROWS, 0.1)
    if how == "unequal":
        pi = 0.06 + 0.12 / (1.0 + np.exp(-2.0 * x))
        drawn = rng.random(ROWS) < pi
        seen = drawn & (rng.random(ROWS) < 0.4)
    else:
        order = np.argsort(-y + rng.normal(size=ROWS)) if how == "chosen" else rng.permutation(ROWS)
        seen = np.isin(np.arange(ROWS), order[:150])
        rest = np.flatnonzero(~seen)
        drawn = seen | np.isin(np.arange(ROWS), rng.choice(rest, 250, replace=False))
        pi = np.where(seen, 1.0, 250 / len(rest)) if how == "chosen" else pi
    llm = np.where(seen, y, 1.0 + 0.6 * y + 0.4 * x + 0.8 * rng.normal(size=ROWS))
    return pd.DataFrame({"y": np.where(drawn, y, np.nan), "x": x, "llm": llm, "pi": pi, "seen": seen.astype(int)})


def errors(how: str, call: dict[str, Any]) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean error, its Monte Carlo error, and coverage, each by coefficient."""
    found, covered = [], []
    for seed in range(REPLICATIONS):
        data = table(seed, how)
        given = {} if how == "equal" else {"sample_prob": "pi"}
        fit = dsl.dsl(
            "y ~ x",
            data,
            predicted_var="y",
            prediction="llm",
            sl_method="lm",
            sample_split=1,
            seed=seed,
            **given,
            **call,
        )
        found.append(fit.params - TRUTH)
        ends = fit.conf_int()
        covered.append((ends[0] <= TRUTH) & (ends[1] >= TRUTH))
    each = pd.DataFrame(found)
    return each.mean(), each.std() / np.sqrt(REPLICATIONS), pd.DataFrame(covered).mean()


@pytest.mark.parametrize("how", ["equal", "unequal", "chosen"])
@pytest.mark.parametrize(
    "call",
    [{}, {"tune": "coef"}, {"estimator": "dsl+"}, {"estimator": "cdi"}, {"estimator": "gold_only"}],
    ids=["dsl", "tuned", "dsl+", "cdi", "gold_only"],
)
def test_declared(how: str, call: dict[str, Any]) -> None:
    bias, error, coverage = errors(how, {"trained_on": "seen", **call})
    assert (np.abs(bias) < 3.5 * error).all(), (bias, error)
    assert (np.abs(coverage - 0.95) < 3.5 * coverage_error(REPLICATIONS)).all(), coverage


def test_not_declared() -> None:
    """Labels that were learnt by heart say that the predictions make fewer errors than they do."""
    bias, error, coverage = errors("equal", {})
    assert bias["Intercept"] > 20 * error["Intercept"]
    assert coverage["Intercept"] < 0.3
