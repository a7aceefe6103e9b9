"""Predicted standard errors against those of really labelling that many, on the bundled ratings (200 replications)."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl.planning.power import plan_dsl, power_dsl

pytestmark = pytest.mark.slow

REPLICATIONS = 200
START = 1_000
LARGER = (2_000, 4_000)
PREDICTED = 0.05
"""Relative: learners that improve with labels, and Monte Carlo error (about 0.5%)."""
CALL: dict[str, Any] = {
    "formula": "human_positive ~ negation + hedge + np.log1p(n_words) + source",
    "model": "logit",
    "predicted_var": "human_positive",
    "prediction": "vader_positive",
}


def compare(call: dict[str, Any], replications: int = REPLICATIONS) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Mean predicted standard errors at larger sizes, mean standard errors there, standard deviations of estimates."""
    predicted, reached, estimates = [], [], []
    for seed in range(replications):
        fit = dsl.dsl(data=dsl.datasets.load_sentiment(n_labels=START, seed=seed), seed=seed, **call)
        predicted.append(power_dsl(fit).at(LARGER).predicted_se)
        # other labels: what is predicted and what is reached are then independent
        later = [
            dsl.dsl(data=dsl.datasets.load_sentiment(n_labels=n, seed=10_000 + seed), seed=seed, **call) for n in LARGER
        ]
        reached.append(pd.DataFrame([fit.bse for fit in later], index=LARGER))
        estimates.append(pd.DataFrame([fit.params for fit in later], index=LARGER))
    means = [pd.concat(parts).groupby(level=0).mean() for parts in (predicted, reached)]
    return means[0], means[1], pd.concat(estimates).groupby(level=0).std()


@pytest.mark.parametrize(
    "more",
    [{}, {"cluster": "doc_id"}, {"estimator": "gold_only"}, {"estimator": "cdi"}],
    ids=["rows", "clusters", "gold_only", "cdi"],
)
def test_twice_and_four_times_the_labels(more: dict[str, Any]) -> None:
    predicted, reached, _ = compare({**CALL, **more})
    gap = predicted / reached - 1
    assert (gap.abs() <= PREDICTED).all(axis=None), gap


def test_score_imputation() -> None:
    """Slower fits, so that there are fewer: the Monte Carlo error is about 1%."""
    predicted, reached, _ = compare({**CALL, "estimator": "dsl+", "sample_split": 2}, replications=30)
    gap = predicted / reached - 1
    assert (gap.abs() <= PREDICTED).all(axis=None), gap


def test_finite_population() -> None:
    """Here the rows are the population, so that the estimates' own spread can be looked at too."""
    predicted, reached, spread = compare({**CALL, "target": "finite"})
    assert ((predicted / reached - 1).abs() <= PREDICTED).all(axis=None), predicted / reached
    monte_carlo = 1 / np.sqrt(2 * REPLICATIONS)
    assert ((predicted / spread - 1).abs() <= PREDICTED + 3 * monte_carlo).all(axis=None), predicted / spread


def test_whole_clusters() -> None:
    """Editorials drawn whole, two and four times as many."""
    editorials = dsl.datasets.load_sentiment().query("source == 'nyt'").reset_index(drop=True)
    call = {**CALL, "formula": "human_positive ~ negation + hedge + np.log1p(n_words)", "cluster": "doc_id"}

    def fit(clusters: int, seed: int) -> Any:
        design = dsl.sampling.clustered(editorials, clusters, by="doc_id", seed=seed)
        shown = editorials.assign(human_positive=editorials["human_positive"].where(design.drawn))
        return dsl.dsl(data=shown, seed=seed, **call)

    predicted, reached = [], []
    for seed in range(REPLICATIONS):
        start = fit(80, seed)
        sizes = [2 * start.n_labeled, 4 * start.n_labeled]
        predicted.append(power_dsl(start, drawn="clusters").at(sizes).predicted_se.to_numpy())
        reached.append([fit(clusters, 10_000 + seed).bse.to_numpy() for clusters in (160, 320)])
    gap = np.mean(predicted, axis=0) / np.mean(reached, axis=0) - 1
    assert (np.abs(gap) <= PREDICTED).all(), gap


def test_gold_only_and_full_labelling_follow_from_one_fit() -> None:
    """What `worth` derives: White's standard errors with every row labelled, and those of the labelled rows alone."""
    white = smf.logit(CALL["formula"], dsl.datasets.load_sentiment()).fit(disp=0, cov_type="HC0").bse
    everything, alone, gold = [], [], []
    for seed in range(REPLICATIONS):
        data = dsl.datasets.load_sentiment(n_labels=START, seed=seed)
        power = power_dsl(dsl.dsl(data=data, seed=seed, **CALL)).at(len(data))
        everything.append(power.predicted_se.iloc[0])
        alone.append(power.study.gold_only.se(np.array([float(START)]))[0])
        gold.append(dsl.dsl(data=data, estimator="gold_only", **CALL).bse)
    full = white[everything[0].index]
    np.testing.assert_allclose(np.mean(everything, axis=0), full, rtol=PREDICTED)
    np.testing.assert_allclose(np.mean(alone, axis=0), np.mean(gold, axis=0), rtol=PREDICTED)


def test_plan_from_the_surrogates_true_accuracy() -> None:
    """VADER's real predictive values: overall, as if errors had nothing to do with the covariates, and as they are."""
    truth = dsl.datasets.load_sentiment()
    right = (truth["human_positive"] == truth["vader_positive"]) * 1.0
    overall = right.groupby(truth["vader_positive"]).mean()
    cells = [*(truth[name] for name in ("vader_positive", "negation", "hedge", "source")), pd.qcut(truth["n_words"], 4)]
    hidden = dsl.datasets.load_sentiment(n_labels=0)
    hidden["right"] = right.groupby(cells, observed=True).transform("mean")
    call = {"data": hidden, "labeled_size": START, **CALL}
    plans = [plan_dsl(accuracy=assumed, **call) for assumed in ({0: overall[0.0], 1: overall[1.0]}, "right")]
    fits = [
        dsl.dsl(data=dsl.datasets.load_sentiment(n_labels=START, seed=seed), seed=seed, **CALL) for seed in range(100)
    ]
    reached = np.mean([fit.bse for fit in fits], axis=0)
    independent, real = (plan.predicted_se.loc[START] / reached - 1 for plan in plans)
    assert (real.abs() <= 2 * PREDICTED).all(), real
    assert ((independent > -0.25) & (independent < 0.0)).all(), independent  # as the docstring of plan_dsl warns
