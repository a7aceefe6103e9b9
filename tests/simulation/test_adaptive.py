"""Adaptive labelling: how many uniform labels its labels are worth, coverage, robustness, bias.

On the real data all human labels are known, and the truth is the estimate from all of them. The value of a design is judged
in two ways. By its *labelling variance*, sum (1 - p) / p (h'x e)^2 with e the errors of predictions that all labels taught:
exact given the probabilities p, so that few designs tell much. And by the errors of estimates themselves, with their Monte Carlo
noise.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl
from dsl.datasets.real import SENTIMENT_GOLD
from dsl.sampling import LabelDesign

from .replicate import coverage_error

pytestmark = pytest.mark.slow

FORMULA = "human_positive ~ negation + hedge + first_person_plural + np.log1p(n_words) + source"
CALL: dict[str, Any] = {
    "predicted_var": "human_positive",
    "prediction": "vader_positive",
    "model": "logit",
    "sl_method": "lm",
}
LABELS = 1000
DESIGNS = 30
"""Designs whose labelling variance is averaged; it differs little from one to the next."""
REPLICATIONS = 200


@pytest.fixture(scope="module")
def tweets() -> pd.DataFrame:
    """The ratings with the surrogate's confidence."""
    return dsl.datasets.load_sentiment().assign(confidence=lambda d: d["vader_compound"].abs())


@pytest.fixture(scope="module")
def truth(tweets: pd.DataFrame) -> pd.Series:
    """The estimate from all human labels."""
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        fit = dsl.dsl(FORMULA, tweets, estimator="gold_only", predicted_var="human_positive", model="logit")
    return pd.Series(fit.params)


@pytest.fixture(scope="module")
def influence(tweets: pd.DataFrame) -> pd.DataFrame:
    """(N, k) squared influences (h'x e)^2, with out-of-fold predictions that all labels taught."""
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        fit = dsl.dsl(FORMULA, tweets, feature=["vader_compound", "confidence"], sample_split=1, **CALL)
    x = fit.model._predictor.spec.columns(tweets)
    inverse = np.linalg.inv(fit.splits.jacobians[0])
    error = tweets["human_positive"].to_numpy() - fit.predictions[0, :, 0]
    return pd.DataFrame((x @ inverse.T) ** 2 * error[:, None] ** 2, columns=fit.params.index)


def effective(influence: pd.DataFrame, designs: list[LabelDesign]) -> pd.Series:
    """Uniform labels that one label is worth, for each coefficient."""
    share = LABELS / len(influence)
    uniform = influence.sum() * (1 - share) / share
    spent = [influence.mul((1 - design.prob) / design.prob, axis=0).sum() for design in designs]
    return uniform / pd.concat(spent, axis=1).mean(axis=1)


def adaptive(data: pd.DataFrame, gold: pd.Series, seed: int, **arguments: Any) -> dsl.AdaptiveDesign:
    call = {"feature": "vader_compound", "confidence": "confidence", **CALL, **arguments}
    design = dsl.AdaptiveDesign(FORMULA, data, n_labels=LABELS, seed=seed, **call)
    return design.run(lambda batch: gold[batch.index])


def hidden(tweets: pd.DataFrame) -> pd.DataFrame:
    return tweets.drop(columns=list(SENTIMENT_GOLD))


@pytest.mark.parametrize(("coefficient", "least"), [("hedge", 2.5), ("first_person_plural", 2.5)])
def test_one_coefficient_gains_at_least_two_and_a_half_times(
    coefficient: str, least: float, tweets: pd.DataFrame, influence: pd.DataFrame
) -> None:
    data, gold = hidden(tweets), tweets["human_positive"]
    designs = [adaptive(data, gold, seed, coefficient=coefficient).design() for seed in range(DESIGNS)]
    assert effective(influence, designs)[coefficient] >= least


def test_aimed_at_all_coefficients_none_is_much_worse_than_uniform(
    tweets: pd.DataFrame, influence: pd.DataFrame
) -> None:
    data, gold = hidden(tweets), tweets["human_positive"]
    found = effective(influence, [adaptive(data, gold, seed).design() for seed in range(DESIGNS)])
    assert found.min() >= 0.9, found
    assert found.drop("Intercept").min() >= 1.05, found


def test_useless_confidences_lose_nothing(tweets: pd.DataFrame, influence: pd.DataFrame) -> None:
    """Confidences shuffled, and nothing else known but the surrogate: no coefficient is worse off by more than 5%."""
    gold, designs = tweets["human_positive"], []
    for seed in range(DESIGNS):
        order = np.random.default_rng(seed).permutation(len(tweets))
        data = hidden(tweets).assign(confidence=lambda d, order=order: d["confidence"].to_numpy()[order])
        designs.append(adaptive(data, gold, seed, feature=None).design())
    found = effective(influence, designs)
    assert found.min() >= 0.95, found


@pytest.fixture(scope="module")
def estimates(tweets: pd.DataFrame, truth: pd.Series) -> dict[str, dict[str, pd.DataFrame]]:
    """Errors and standard errors, uniform and aimed at `hedge`: (replications, k) each."""
    data, gold = hidden(tweets), tweets["human_positive"]
    common = {
        "feature": ["vader_compound", "confidence"],
        "sample_split": 1,
        "tune": "coef",
        "target": "finite",
        **CALL,
    }

    def uniform(seed: int) -> Any:
        design = dsl.sampling.simple_random(data, LABELS, seed=seed)
        shown = tweets.assign(human_positive=gold.where(design.drawn))
        return dsl.dsl(FORMULA, shown, design=design, seed=seed, **common)

    def aimed(seed: int) -> Any:
        return adaptive(data, gold, seed, coefficient="hedge").estimate(sample_split=1, target="finite")

    out = {}
    for name, fitted in {"uniform": uniform, "aimed": aimed}.items():
        fits = [fitted(seed) for seed in range(REPLICATIONS)]
        out[name] = {
            "error": pd.DataFrame([fit.params - truth for fit in fits]),
            "bse": pd.DataFrame([fit.bse for fit in fits]),
        }
    return out


def test_errors_of_the_estimates_agree(estimates: dict[str, dict[str, pd.DataFrame]]) -> None:
    """What the labelling variance promises is there in the estimates."""
    squares = {name: (table["error"] ** 2).mean() for name, table in estimates.items()}
    assert squares["uniform"]["hedge"] / squares["aimed"]["hedge"] >= 2.5


def test_intervals_cover(estimates: dict[str, dict[str, pd.DataFrame]]) -> None:
    for table in estimates.values():
        covered = (table["error"].abs() <= 1.96 * table["bse"]).mean()
        assert (covered >= 0.95 - 3 * coverage_error(REPLICATIONS)).all(), covered
        assert covered.mean() == pytest.approx(0.95, abs=0.02)


def test_no_bias(estimates: dict[str, dict[str, pd.DataFrame]]) -> None:
    error = estimates["aimed"]["error"]
    assert (error.mean().abs() <= 4 * error.std() / np.sqrt(REPLICATIONS)).all()


def confidence_analogue(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Simulation C: a rare covariate, surrogates right with probability .9 on one half of the rows and .62 on the other."""
    rng, n = np.random.default_rng([seed, 1]), 5480  # not the numbers that draw labels
    x = (rng.random(n) < 0.1) * 1.0
    y = (rng.random(n) < expit(0.1 + 0.7 * x)) * 1.0
    accuracy = np.where(rng.random(n) < 0.5, 0.9, 0.62)
    llm = np.where(rng.random(n) < accuracy, y, 1 - y)
    data = pd.DataFrame({"x": x, "llm": llm, "confidence": accuracy + rng.normal(0, 0.05, n)})
    return data, pd.Series(y, name="y")


def test_simulation_c() -> None:
    """About 1450 effective labels of 500 by confidence and leverage."""
    squares: dict[str, list[float]] = {"gold": [], "adaptive": []}
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "model": "logit", "sl_method": "lm"}
    for seed in range(REPLICATIONS):
        data, gold = confidence_analogue(seed)
        drawn = dsl.sampling.simple_random(data, 500, seed=seed)
        shown = data.assign(y=gold.where(pd.Series(drawn.drawn)))
        alone = dsl.dsl("y ~ x", shown, predicted_var="y", model="logit", estimator="gold_only", design=drawn)
        found = dsl.AdaptiveDesign(
            "y ~ x", data, confidence="confidence", coefficient="x", n_labels=500, seed=seed, **call
        )
        fit = found.run(lambda batch, gold=gold: gold[batch.index]).estimate(sample_split=1)
        for name, one in (("gold", alone), ("adaptive", fit)):
            squares[name].append(float((one.params["x"] - 0.7) ** 2))
    ratio = float(np.mean(squares["gold"]) / np.mean(squares["adaptive"]))
    noise = ratio * np.sqrt(2 * 2 / REPLICATIONS)  # two mean squares of normal errors
    assert 500 * ratio >= 1450 - 2 * 500 * noise


def skewed(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Few rows, many small batches, large rare errors: where a bias of order 1/n would show."""
    rng, n = np.random.default_rng(seed), 600
    confidence, x = rng.random(n), rng.normal(size=n)
    y = (rng.random(n) < np.where(confidence > 0.6, 0.03, 0.35)) * (1 + 3 * rng.random(n))
    return pd.DataFrame({"confidence": confidence, "x": x, "llm": (rng.random(n) < 0.1) * 1.0}), pd.Series(y, name="y")


def test_small_batches_and_a_flexible_error_model_leave_no_bias() -> None:
    """The mean of 600 rows from 30 + 5 x 24 labels. A model that saw the row's own label makes a bias of .65 standard errors."""
    data, gold = skewed(0)
    errors, bses = [], []
    for seed in range(REPLICATIONS):
        found = dsl.AdaptiveDesign(
            "y ~ 1",
            data,
            predicted_var="y",
            prediction="llm",
            confidence="confidence",
            sl_method="lm",
            error_model="knn",
            n_labels=150,
            burn_in=30,
            batches=6,
            seed=seed,
        )
        fit = found.run(lambda batch: gold[batch.index]).estimate(tune=None, sample_split=1, target="finite")
        errors.append(fit.params["Intercept"] - gold.mean())
        bses.append(fit.bse["Intercept"])
    spread = np.std(errors)
    assert abs(np.mean(errors)) <= (0.1 + 3 / np.sqrt(REPLICATIONS)) * spread
    assert np.mean(bses) / spread == pytest.approx(1, abs=0.15)


def refusing(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Posts of which the model refuses every third positive one and hardly any other, with its confidence."""
    rng, n = np.random.default_rng([seed, 2]), 3000
    x = rng.normal(size=n)
    y = (rng.random(n) < expit(x)) * 1.0
    refused = rng.random(n) < np.where(y == 1, 0.33, 0.03)
    llm = np.where(rng.random(n) < 0.8, y, 1 - y)
    data = pd.DataFrame({"x": x, "llm": llm, "confidence": rng.uniform(0.5, 1.0, n)})
    data.loc[refused, ["llm", "confidence"]] = np.nan
    return data, pd.Series(y, name="y")


def test_refusals_that_depend_on_the_label_bias_nothing() -> None:
    """Against the fit to all labels: errors centred at zero, intervals that cover. Rows left out would be biased by far."""
    errors, covered, left_out = [], [], []
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "error_model": "lm"}
    for seed in range(REPLICATIONS):
        data, gold = refusing(seed)
        design = dsl.AdaptiveDesign(
            "y ~ x", data, **call, confidence="confidence", refusals="indicator", n_labels=300, batches=3, seed=seed
        ).run(lambda batch, gold=gold: gold[batch.index])
        fit = design.estimate(sample_split=1, target="finite")
        slope, level = np.polyfit(data["x"], gold, 1)
        known = data["llm"].notna()
        left_out.append(np.polyfit(data["x"][known], gold[known], 1)[1] - level)
        error = fit.params - np.array([level, slope])
        errors.append(error)
        covered.append(error.abs() <= 1.96 * fit.bse)
    error = pd.DataFrame(errors)
    assert (error.mean().abs() <= 4 * error.std() / np.sqrt(REPLICATIONS)).all(), error.mean()
    assert abs(np.mean(left_out)) > 5 * error["Intercept"].std() / np.sqrt(REPLICATIONS)
    rate = pd.DataFrame(covered).mean()
    assert (rate >= 0.95 - 3 * coverage_error(REPLICATIONS)).all(), rate
