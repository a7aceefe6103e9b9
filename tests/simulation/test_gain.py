"""Score imputation with a predicted covariate against the augmentation that knows the conditional mean of the score.

With D a 0/1 covariate, S its surrogate, X and Y known, p(D | S, X, Y) is proportional to p(D | X) p(S | D, X) p(Y | D, X), all of
which the simulation knows. The augmentation with E[score | S, X, Y] has the least variance there is (Robins, Rotnitzky and Zhao
1994); `dsl+` has to learn it from the labels.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.special import expit

import dsl
from dsl._typing import FloatArray

pytestmark = pytest.mark.slow

ROWS, LABELED, DRAWS = 4000, 500, 300
SHARE = 0.8
"""Of the effective labels of the augmentation that knows."""
LEVELS = ["low", "mid", "high"]
TRUTH = {"poisson": np.array([0.2, 0.8, -0.4]), "ologit": np.array([1.0, -0.6, -0.5, 1.0])}
NAMES = {"poisson": ["Intercept", "D", "X"], "ologit": ["D", "X", "low|mid", "mid|high"]}


def poisson_likelihood(y: FloatArray, d: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
    """p(y | d, x), (n,)."""
    return np.asarray(stats.poisson.pmf(y, np.exp(theta[0] + theta[1] * d + theta[2] * x)))


def poisson_score(y: FloatArray, d: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
    """x (y - mu), (n, 3)."""
    design = np.column_stack([np.ones(len(x)), d, x])
    return np.asarray(design * (y - np.exp(design @ theta))[:, None])


def _ends(y: FloatArray, d: FloatArray, x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """F at both ends of each row's class, (n,)."""
    ends = np.array([-np.inf, theta[2], theta[3], np.inf])
    eta, code = theta[0] * d + theta[1] * x, y.astype(int)
    return expit(ends[code + 1] - eta), expit(ends[code] - eta)


def ordered_likelihood(y: FloatArray, d: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
    """p(y | d, x), (n,)."""
    high, low = _ends(y, d, x, theta)
    return high - low


def ordered_score(y: FloatArray, d: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
    """(d, x) (F(u) + F(v) - 1), and f / P at the thresholds, (n, 4)."""
    high, low = _ends(y, d, x, theta)
    upper, lower = high * (1.0 - high) / (high - low), low * (1.0 - low) / (high - low)
    slope = high + low - 1.0
    first = np.where(y == 0.0, upper, 0.0) - np.where(y == 1.0, lower, 0.0)
    second = np.where(y == 1.0, upper, 0.0) - np.where(y == 2.0, lower, 0.0)
    return np.column_stack([d * slope, x * slope, first, second])


Part = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
PARTS: dict[str, tuple[Part, Part]] = {
    "poisson": (poisson_likelihood, poisson_score),
    "ologit": (ordered_likelihood, ordered_score),
}


def draw(model: str, seed: int) -> tuple[pd.DataFrame, FloatArray]:
    """A table with every D, and P(D = 1 | S, X, Y) of each row."""
    rng = np.random.default_rng(seed)
    theta, (likelihood, _) = TRUTH[model], PARTS[model]
    x = rng.normal(size=ROWS)
    prior = expit(0.5 * x - 0.5)
    d = (rng.random(ROWS) < prior).astype(float)
    if model == "poisson":
        y = rng.poisson(np.exp(theta[0] + theta[1] * d + theta[2] * x)).astype(float)
    else:
        y = np.digitize(theta[0] * d + theta[1] * x + rng.logistic(size=ROWS), theta[2:]).astype(float)
    right = np.where(x > 0.0, 0.75, 0.85)
    s = np.where(rng.random(ROWS) < right, d, 1.0 - d)
    one, zero = (
        share * np.where(s == value, right, 1.0 - right) * likelihood(y, np.full(ROWS, value), x, theta)
        for value, share in ((1.0, prior), (0.0, 1.0 - prior))
    )
    return pd.DataFrame({"Y": y, "D": d, "X": x, "S": s}), one / (one + zero)


def augmented(model: str, data: pd.DataFrame, shown: FloatArray, p: FloatArray) -> FloatArray:
    """Root of sum m_hat + w (m - m_hat), with m_hat the mean of the score over D given `p`, (k,). Of labels alone if p is NaN."""
    score = PARTS[model][1]
    y, d, x = (data[name].to_numpy() for name in ("Y", "D", "X"))
    w = (shown * ROWS / LABELED)[:, None]

    def equation(theta: FloatArray) -> FloatArray:
        m = w * score(y, d, x, theta)
        if not np.isnan(p).any():
            hats = [score(y, np.full(ROWS, value), x, theta) for value in (0.0, 1.0)]
            m = m + (1.0 - w) * ((1.0 - p)[:, None] * hats[0] + p[:, None] * hats[1])
        return np.asarray(m.mean(axis=0))

    found = optimize.root(equation, TRUTH[model], tol=1e-9)
    assert np.abs(equation(found.x)).max() < 1e-6, found.message
    return np.asarray(found.x)


@cache
def errors(model: str, learner: str = "auto", draws: int = DRAWS) -> dict[str, FloatArray]:
    """Errors (draws, k) of labels alone, of the augmentation that knows, and of dsl+."""
    out: dict[str, list[FloatArray]] = {"labels": [], "known": [], "dsl+": []}
    for seed in range(draws):
        data, p = draw(model, seed)
        shown = np.zeros(ROWS)
        shown[np.random.default_rng([seed, 1]).choice(ROWS, LABELED, replace=False)] = 1.0
        out["labels"].append(augmented(model, data, shown, np.full(ROWS, np.nan)))
        out["known"].append(augmented(model, data, shown, p))
        table = data.assign(D=data["D"].where(shown == 1.0))
        if model == "ologit":
            table["Y"] = pd.Categorical.from_codes(table["Y"].astype(int), LEVELS, ordered=True)
        fit = dsl.dsl(
            "Y ~ D + X", table, model=model, predicted_var="D", prediction="S", estimator="dsl+", sl_method=learner,
            sample_split=1, seed=seed,
        )  # fmt: skip
        out["dsl+"].append(fit.params[NAMES[model]].to_numpy())
    return {name: np.array(rows) - TRUTH[model] for name, rows in out.items()}


def effective_labels(found: dict[str, FloatArray]) -> pd.DataFrame:
    """Labels alone that would have the standard deviation, by estimator and coefficient."""
    spread = {name: rows.std(axis=0) for name, rows in found.items()}
    return pd.DataFrame({name: LABELED * (spread["labels"] / spread[name]) ** 2 for name in ("known", "dsl+")})


@pytest.mark.parametrize("model", list(TRUTH))
def test_effective_labels(model: str) -> None:
    table = effective_labels(errors(model)).set_axis(NAMES[model])
    assert table.loc["D", "known"] > 1.3 * LABELED
    assert (table["dsl+"] >= SHARE * table["known"]).all(), table
