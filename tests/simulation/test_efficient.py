"""Tuned DSL and dsl+: never worse than what they combine, at nominal coverage."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl
from tests.simulation.replicate import coverage_error, replicate, score

pytestmark = pytest.mark.slow

REPLICATIONS = 1000
WORSE = 1.03
"""RMSE against the better of gold-only and plain DSL: choosing lambda from the labels costs a little."""
FAMILY = 3.0
"""Monte Carlo standard errors allowed where many coverages are judged at once (two would reject one in twenty)."""
WIDE = """Intervals are a little too wide with the best surrogate: two thousand replications cover X4 in .965, X2 in .963 and the
intercept in .961, and the standard error of X1 is 8% larger than its standard deviation."""
SKEWED, SKEWED_COVERAGE = "I(X1 ** 2)", 0.92
"""About 14 of 500 labels carry this coefficient of simulation A where the surrogate is a coin toss: t intervals cover it in
92.9% of 1000 replications, and in 93.9 to 94.7% where the surrogate is better (normal ones: 92 to 93.5%). The labelled rows
alone have 93.4%. The summary's caution names the coefficient."""


def covers(coverage: pd.Series, replications: int) -> bool:
    """Whether all coverages are .95 up to Monte Carlo error."""
    return bool((np.abs(coverage - 0.95) <= FAMILY * coverage_error(replications)).all())


@cache
def simulation_a(accuracy: float) -> pd.DataFrame:
    """Section 8 A: N = 5000, n = 500."""
    example = dsl.datasets.simulate_appendix_e(seed=0)
    truth = pd.Series(example.attrs["truth"])

    def draw(seed: int) -> pd.DataFrame:
        return dsl.datasets.simulate_appendix_e(n=5000, n_labels=500, accuracy=accuracy, seed=seed)

    call = example.attrs["call"] | {"sample_split": 3}
    return score(replicate(draw, truth, range(REPLICATIONS), call, ("gold_only", "dsl", "tuned")))


@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.9, 0.95])
def test_tuned_is_as_precise_as_the_better_of_both(accuracy: float) -> None:
    rmse = simulation_a(accuracy)["rmse"]
    best = np.minimum(rmse["gold_only"], rmse["dsl"])
    assert (rmse["tuned"] <= WORSE * best).all(), rmse


@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.9, 0.95])
def test_tuned_covers_no_less(accuracy: float) -> None:
    coverage = simulation_a(accuracy).loc["tuned", "coverage"]
    if accuracy == 0.5:
        coverage = coverage.drop(SKEWED)
    assert (coverage >= 0.95 - FAMILY * coverage_error(REPLICATIONS)).all(), coverage


@pytest.mark.parametrize(
    "accuracy", [0.5, 0.7, 0.9, pytest.param(0.95, marks=pytest.mark.xfail(strict=True, reason=WIDE))]
)
def test_tuned_covers(accuracy: float) -> None:
    coverage = simulation_a(accuracy).loc["tuned", "coverage"]
    if accuracy == 0.5:
        assert coverage.pop(SKEWED) >= SKEWED_COVERAGE
    assert covers(coverage, REPLICATIONS), coverage


def trial(seed: int, model: str, accuracy: float, effect: float) -> pd.DataFrame:
    """A predicted binary covariate: N = 5000, n = 500, surrogate right with probability `accuracy`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=5000)
    d = (rng.random(5000) < expit(0.5 * x - 1)).astype(float)
    mean = 0.2 + effect * d - 0.5 * x
    y = mean + rng.normal(size=5000) if model == "lm" else (rng.random(5000) < expit(mean)).astype(float)
    surrogate = np.where(rng.random(5000) < accuracy, d, 1 - d)
    shown = np.zeros(5000, dtype=bool)
    shown[rng.choice(5000, 500, replace=False)] = True
    return pd.DataFrame({"Y": y, "X": x, "D": np.where(shown, d, np.nan), "S": surrogate})


def drawn_covariate(
    model: str, accuracy: float, effect: float, replications: int, estimators: tuple[str, ...]
) -> pd.DataFrame:
    truth = pd.Series({"Intercept": 0.2, "D": effect, "X": -0.5})
    call = {
        "formula": "Y ~ D + X",
        "predicted_var": "D",
        "prediction": "S",
        "model": model,
        "sl_method": "logit",
        "sample_split": 2,
    }

    def draw(seed: int) -> pd.DataFrame:
        return trial(seed, model, accuracy, effect)

    return score(replicate(draw, truth, range(replications), call, estimators))


@cache
def covariate(model: str, accuracy: float, effect: float) -> pd.DataFrame:
    return drawn_covariate(model, accuracy, effect, REPLICATIONS, ("gold_only", "dsl", "dsl+"))


LINEAR, LOGISTIC = ("lm", 0.6, 2.0), ("logit", 0.7, 1.5)


def test_dsl_plus_is_worth_more_than_twice_the_labels() -> None:
    """Expected about .063 for the predicted covariate, against .104 for plain DSL and .100 for gold only."""
    rmse = covariate(*LINEAR)["rmse"]
    assert rmse["dsl+", "D"] <= 0.066
    assert rmse["dsl", "D"] == pytest.approx(0.104, rel=0.1)
    assert rmse["gold_only", "D"] == pytest.approx(0.100, rel=0.1)


def test_dsl_plus_covers() -> None:
    coverage = covariate(*LINEAR).loc["dsl+", "coverage"]
    assert (np.abs(coverage - 0.95) <= 2 * coverage_error(REPLICATIONS)).all(), coverage


def test_dsl_plus_covers_in_the_logit() -> None:
    """Thousands of replications: of D in the first one 93.6%, in the next two 95.1 and 95.5%."""
    coverage = drawn_covariate(*LOGISTIC, 3000, ("dsl+",)).loc["dsl+", "coverage"]
    assert (np.abs(coverage - 0.95) <= 2 * coverage_error(3000)).all(), coverage


@pytest.mark.parametrize("design", [LINEAR, LOGISTIC])
def test_dsl_plus_is_not_wider_than_dsl(design: tuple[str, float, float]) -> None:
    width = covariate(*design)["bse"]
    assert (width["dsl+"] <= WORSE * width["dsl"]).all(), width


@cache
def real(surrogate: str) -> pd.DataFrame:
    """1000 of the bundled ratings; the truth is the estimate from all of them, and only the labelling is random."""
    formula = "human_positive ~ negation + hedge + first_person_plural + np.log1p(n_words) + source"
    call = {"formula": formula, "model": "logit", "predicted_var": "human_positive", "prediction": surrogate}
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        truth = dsl.dsl(data=dsl.datasets.load_sentiment(), **call).params

    def draw(seed: int) -> pd.DataFrame:
        return dsl.datasets.load_sentiment(n_labels=1000, seed=seed)

    quick = {"sl_method": "logit", "sample_split": 2, "target": "finite"}
    return score(replicate(draw, truth, range(300), call | quick, ("gold_only", "dsl", "tuned", "dsl+")))


@pytest.mark.parametrize("surrogate", ["vader_positive", "textblob_positive"])
def test_real_data(surrogate: str) -> None:
    scores = real(surrogate)
    rmse, width = scores["rmse"], scores["bse"]
    assert (rmse["tuned"] <= WORSE * np.minimum(rmse["gold_only"], rmse["dsl"])).all(), rmse
    assert (width["dsl+"] <= WORSE * width["dsl"]).all(), width
    for estimator in ("tuned", "dsl+"):
        assert covers(scores.loc[estimator, "coverage"], 300), scores


def test_one_lambda_for_all_loses_a_predicted_covariate() -> None:
    """Raw surrogates: other coefficients gain from them, at the expense of the covariate's own. One for each loses nothing."""
    kinds = {"gold_only": {"estimator": "gold_only"}, "scalar": {"tune": "scalar"}, "coef": {}}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in kinds}
    for seed in range(300):
        data = trial(seed, "logit", accuracy=0.6, effect=1.5)
        for name, kind in kinds.items():
            call = {"estimator": "cdi", **kind}
            fit = dsl.dsl("Y ~ D + X", data, predicted_var="D", prediction="S", model="logit", **call)
            errors[name].append(fit.params.to_numpy() - np.array([0.2, 1.5, -0.5]))
    square = {name: (np.array(each) ** 2).mean(axis=0) for name, each in errors.items()}
    labels = {name: 500 * square["gold_only"] / each for name, each in square.items()}
    assert labels["scalar"][1] < 400, labels
    assert (labels["coef"] > 480).all(), labels
    assert (labels["coef"] >= labels["scalar"] * 0.97).all(), labels
