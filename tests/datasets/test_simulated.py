"""The tables that users try first: their facts, their labelling designs and their known truths."""

import gzip
import hashlib
import json
import pickle
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from formulaic import model_matrix

from dsl import datasets
from dsl.datasets.real import SENTIMENT_GOLD
from dsl.exceptions import ArgumentError, SampleProbabilityError

PUBLISHED = 6e-4  # facts printed with three digits
SAMPLING = 4.0  # standard errors; seeds are fixed
CLEARLY_BIASED = 8.0  # standard errors

SIMULATORS = [getattr(datasets, name) for name in datasets.__all__ if name.startswith("simulate_")]
WITH_SURROGATE = [f for f in SIMULATORS if f is not datasets.simulate_features_only]
LARGE = {  # about 100,000 rows, except where fixed effects are fitted as dummies
    "simulate_panel": {"n_units": 120, "n_years": 10},
    "simulate_nested": {"n_candidates": 4000, "n_posts": 20},
}


def names(simulators):
    return [f.__name__ for f in simulators]


def large(simulate, **options):
    return simulate(**LARGE.get(simulate.__name__, {"n": 100_000}), n_labels="all", seed=7, **options)


def ordinary_fit(frame, *, use_surrogate=False):
    """Coefficients and robust standard errors of the call's model, fitted by statsmodels."""
    call = frame.attrs["call"]
    if use_surrogate:
        pairs = zip(call["predicted_var"], call["prediction"], strict=True)
        frame = frame.assign(**{gold: frame[surrogate] for gold, surrogate in pairs})
    left, right = model_matrix(call["formula"], frame)
    y, x = left.to_numpy(dtype=float).ravel(), pd.DataFrame(right).astype(float)
    if call["model"] == "felm":
        unit, year = (pd.get_dummies(frame[name], dtype=float).to_numpy() for name in call["index"])
        effects, _ = np.linalg.qr(np.hstack([unit, year[:, 1:]]))
        x = x.drop(columns="Intercept")
        x, y = x - effects @ (effects.T @ x.to_numpy()), y - effects @ (effects.T @ y)
    model = sm.Logit(y, x) if call["model"] == "logit" else sm.OLS(y, x)
    robust = (
        {"cov_type": "cluster", "cov_kwds": {"groups": frame[call["cluster"]].to_numpy()}}
        if "cluster" in call
        else {"cov_type": "HC1"}
    )
    options = {"disp": 0} if call["model"] == "logit" else {}
    fit = model.fit(**robust, **options)
    kept = list(frame.attrs["truth"])
    return fit.params[kept], fit.bse[kept]


# --- real data -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tweets():
    return datasets.load_sentiment()


def test_sentiment_has_the_rows_it_says(tweets):
    assert tweets.shape == (9390, 26)
    assert tweets["source"].value_counts().to_dict() == {"nyt": 5190, "tweets": 4200}
    assert tweets.loc[tweets["source"] == "nyt", "doc_id"].nunique() == 498
    assert tweets["doc_id"].nunique() == 498 + 4200
    assert tweets["snippet_id"].is_unique
    assert not tweets.isna().any().any()
    assert tweets["n_raters"].min() == 20


def test_sentiment_columns_have_plain_types(tweets):
    assert all(tweets[name].dtype == np.float64 for name in SENTIMENT_GOLD)
    whole = ["n_words", "n_exclaim", "n_question", "negation", "hedge", "vader_positive", "textblob_positive"]
    assert all(tweets[name].dtype == np.int64 for name in whole)
    assert all(pd.api.types.is_string_dtype(tweets[name]) for name in ["source", "doc_id", "snippet_id"])


def test_sentiment_binary_labels_are_their_scores_cut(tweets):
    assert tweets["human_positive"].eq(tweets["human_rating"] > 0.5).all()
    assert tweets["vader_positive"].eq(tweets["vader_compound"] >= 0.05).all()
    assert tweets["textblob_positive"].eq(tweets["textblob_polarity"] > 0.05).all()


@pytest.mark.parametrize(
    ("label", "words", "source"),
    [("human", 0.124, 1.604), ("vader", 0.444, 1.365), ("textblob", 0.542, 0.840)],
)
def test_sentiment_regressions_of_the_readme(tweets, label, words, source):
    x = tweets[["hedge", "negation", "first_person_plural", "n_question"]].astype(float)
    x = sm.add_constant(x.assign(words=np.log1p(tweets["n_words"]), tweets=tweets["source"].eq("tweets") * 1.0))
    fit = sm.Logit(tweets[f"{label}_positive"], x).fit(disp=0)
    assert fit.params["words"] == pytest.approx(words, abs=PUBLISHED)
    assert fit.params["tweets"] == pytest.approx(source, abs=PUBLISHED)


@pytest.mark.parametrize(
    ("label", "accuracy"),
    [("vader", {"tweets": 0.859, "nyt": 0.720}), ("textblob", {"tweets": 0.794, "nyt": 0.652})],
)
def test_sentiment_accuracies_of_the_readme(tweets, label, accuracy):
    right = tweets[f"{label}_positive"] == tweets["human_positive"]
    assert right.groupby(tweets["source"]).mean().to_dict() == pytest.approx(accuracy, abs=PUBLISHED)


def test_sentiment_file_is_the_documented_one():
    folder = files("dsl.datasets") / "data"
    packed = (folder / "sentiment_tweets_nyt.csv.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0", "the gzip header must carry no time stamp"
    digest = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert digest in readme
    assert "vaderSentiment 3.3.2" in readme
    assert "C.J. Hutto" in (folder / "LICENSE-vaderSentiment.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("n_labels", [0, 1, 1000, 9390])
def test_sentiment_shows_exactly_the_rows_asked_for(tweets, n_labels):
    drawn = datasets.load_sentiment(n_labels, seed=3)
    shown = drawn["human_positive"].notna()
    assert shown.sum() == n_labels
    assert all(drawn[name].notna().equals(shown) for name in SENTIMENT_GOLD)
    pd.testing.assert_frame_equal(drawn[shown], tweets[shown])
    others = [name for name in tweets if name not in SENTIMENT_GOLD]
    pd.testing.assert_frame_equal(drawn[others], tweets[others])


def test_sentiment_simple_random_sample_is_even_over_rows():
    draws = sum(datasets.load_sentiment(3000, seed=s)["human_positive"].notna().to_numpy() * 1.0 for s in range(40))
    rate = 3000 / 9390
    variance = 40 * rate * (1 - rate)
    # Every row has this variance, so the Pearson statistic has mean 9390 (its standard deviation: chi-squared).
    pearson = ((draws - 40 * rate) ** 2).sum() / variance
    assert abs(pearson - 9390) < SAMPLING * np.sqrt(2 * 9390)


def test_sentiment_probabilities_are_kept_and_used():
    drawn = datasets.load_sentiment(sample_prob=lambda d: d["source"].map({"tweets": 0.2, "nyt": 0.05}), seed=11)
    assert drawn.groupby("source")["sample_prob"].unique().map(list).to_dict() == {
        "tweets": [0.2],
        "nyt": [0.05],
    }
    shown = drawn["human_positive"].notna()
    for _, rows in shown.groupby(drawn["source"]):
        prob = drawn.loc[rows.index[0], "sample_prob"]
        assert abs(rows.mean() - prob) < SAMPLING * np.sqrt(prob * (1 - prob) / len(rows))
    assert all(drawn[name].notna().equals(shown) for name in SENTIMENT_GOLD)


def test_sentiment_weighted_labels_estimate_the_full_mean(tweets):
    prob = np.where(tweets["vader_positive"] == 1, 0.4, 0.1)
    drawn = datasets.load_sentiment(sample_prob=prob, seed=2)
    y, shown = tweets["human_positive"].to_numpy(), drawn["human_positive"].notna().to_numpy()
    error = np.sqrt((y**2 * (1 - prob) / prob).sum()) / len(y)
    assert abs((y * shown / prob).mean() - y.mean()) < SAMPLING * error
    assert y[shown].mean() - y.mean() > SAMPLING * error, "unweighted labels must be biased in this design"


def test_sentiment_probability_may_be_one_number_or_certain():
    assert datasets.load_sentiment(sample_prob=1)["human_positive"].notna().all()
    assert datasets.load_sentiment(sample_prob=0.1)["sample_prob"].eq(0.1).all()


def test_sentiment_probability_function_never_sees_gold():
    seen = []
    datasets.load_sentiment(sample_prob=lambda d: seen.extend(d.columns) or 0.5)
    assert seen
    assert not set(seen) & set(SENTIMENT_GOLD)


def test_sentiment_probability_array_stays_the_users():
    prob = np.full(9390, 0.5)
    drawn = datasets.load_sentiment(sample_prob=prob)
    drawn.loc[0, "sample_prob"] = 0.25
    assert prob[0] == 0.5


@pytest.mark.parametrize("n_labels", [-1, 9391, 10.0, 0.5, True, "some", None])
def test_sentiment_refuses_a_wrong_number_of_labels(n_labels):
    with pytest.raises(ArgumentError, match="n_labels"):
        datasets.load_sentiment(n_labels)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.01, np.nan, np.inf])
def test_sentiment_refuses_impossible_probabilities(value):
    prob = np.full(9390, 0.5)
    prob[[4, 9]] = value
    with pytest.raises(SampleProbabilityError, match=r"^2 values of sample_prob .* \(row 4: "):
        datasets.load_sentiment(sample_prob=prob)


@pytest.mark.parametrize("prob", [[0.5, 0.5], np.full((9390, 1), 0.5), "n_words", ["a"] * 9390])
def test_sentiment_refuses_probabilities_of_another_kind(prob):
    with pytest.raises(ArgumentError, match="sample_prob"):
        datasets.load_sentiment(sample_prob=prob)


def test_sentiment_refuses_two_designs():
    with pytest.raises(ArgumentError, match="not both"):
        datasets.load_sentiment(100, sample_prob=0.1)


# --- seeds -----------------------------------------------------------------------------------------------


def test_rows_of_a_seed_stay_the_same():
    """Figures in the documentation rest on them: the first rows of numpy's permutation."""
    frame = datasets.load_sentiment(n_labels=1000, seed=1)
    expected = np.sort(np.random.default_rng(1).permutation(9390)[:1000])
    np.testing.assert_array_equal(np.flatnonzero(frame["human_positive"].notna()), expected)


@pytest.mark.parametrize("load", [datasets.load_sentiment, *SIMULATORS], ids=lambda f: f.__name__)
def test_seeds_decide_everything(load):
    first = load(n_labels=200, seed=5)
    pd.testing.assert_frame_equal(first, load(n_labels=200, seed=5))
    pd.testing.assert_frame_equal(first, load(n_labels=200, seed=np.random.default_rng(5)))
    gold = [name for name in first if first[name].isna().any()]
    assert gold
    other = load(n_labels=200, seed=6)
    assert set(first.index[first[gold[0]].notna()]) != set(other.index[other[gold[0]].notna()])


@pytest.mark.parametrize("load", [datasets.load_sentiment, *SIMULATORS], ids=lambda f: f.__name__)
def test_the_global_random_state_is_neither_used_nor_moved(load):
    before = np.random.get_state()[1].copy()
    load(n_labels=50, seed=1)
    assert (np.random.get_state()[1] == before).all()


def test_a_generator_moves_on():
    rng = np.random.default_rng(5)
    first, second = datasets.load_sentiment(500, seed=rng), datasets.load_sentiment(500, seed=rng)
    assert not first["human_positive"].equals(second["human_positive"])


@pytest.mark.parametrize("seed", [-1, 1.5, None, "1"])
def test_wrong_seeds_are_refused(seed):
    with pytest.raises(ArgumentError, match="seed"):
        datasets.simulate_linear(seed=seed)


# --- simulated data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("simulate", SIMULATORS, ids=names(SIMULATORS))
def test_simulated_truth_is_recovered_from_full_labels(simulate):
    frame = large(simulate)
    params, bse = ordinary_fit(frame)
    gap = (params - pd.Series(frame.attrs["truth"])) / bse
    assert gap.abs().max() < SAMPLING, gap


def test_unbalanced_panel_recovers_the_truth():
    frame = large(datasets.simulate_panel, balanced=False)
    params, bse = ordinary_fit(frame)
    assert ((params - pd.Series(frame.attrs["truth"])) / bse).abs().max() < SAMPLING


@pytest.mark.parametrize("simulate", WITH_SURROGATE, ids=names(WITH_SURROGATE))
def test_simulated_surrogates_bias_the_naive_estimate(simulate):
    frame = large(simulate)
    params, bse = ordinary_fit(frame, use_surrogate=True)
    gap = (params - pd.Series(frame.attrs["truth"])) / bse
    assert gap.abs().max() > CLEARLY_BIASED, gap


@pytest.mark.parametrize("simulate", SIMULATORS, ids=names(SIMULATORS))
def test_simulated_frames_are_ready_for_their_call(simulate):
    frame = simulate(n_labels=150, seed=1)
    call = frame.attrs["call"]
    gold = call["predicted_var"]
    used = gold + call.get("prediction", []) + call.get("feature", []) + call.get("index", [])
    used += [call[key] for key in ("cluster", "sample_prob") if key in call]
    assert set(used) <= set(frame)
    shown = frame[gold[0]].notna()
    assert all(frame[name].dtype == np.float64 and frame[name].notna().equals(shown) for name in gold)
    assert not frame.drop(columns=gold).isna().any().any()
    if "sample_prob" not in call:
        assert shown.sum() == 150
    assert frame.index.equals(pd.RangeIndex(len(frame)))


@pytest.mark.parametrize("simulate", SIMULATORS, ids=names(SIMULATORS))
def test_truth_and_call_survive_pandas_and_are_plain(simulate):
    frame = simulate(n_labels=150, seed=1)
    assert json.loads(json.dumps(frame.attrs)) == frame.attrs
    for changed in (frame.copy(), frame.iloc[:50], frame.assign(extra=1), pickle.loads(pickle.dumps(frame))):
        assert changed.attrs == frame.attrs
    frame.attrs["truth"].clear()
    assert simulate(n_labels=150, seed=1).attrs["truth"], "attrs must not be shared between frames"


@pytest.mark.parametrize("simulate", SIMULATORS, ids=names(SIMULATORS))
def test_the_population_does_not_depend_on_how_many_are_labelled(simulate):
    few, full = simulate(n_labels=100, seed=8), simulate(n_labels="all", seed=8)
    known = [name for name in few if not few[name].isna().any() and name != "sample_prob"]
    pd.testing.assert_frame_equal(few[known], full[known])
    gold = few.attrs["call"]["predicted_var"]
    shown = few[gold[0]].notna()
    pd.testing.assert_frame_equal(few.loc[shown, gold], full.loc[shown, gold])


@pytest.mark.parametrize("simulate", SIMULATORS, ids=names(SIMULATORS))
@pytest.mark.parametrize("n_labels", [-1, 10**7, 12.5, "half", None])
def test_simulators_refuse_a_wrong_number_of_labels(simulate, n_labels):
    with pytest.raises(ArgumentError, match="n_labels"):
        simulate(n_labels=n_labels)


@pytest.mark.parametrize(
    ("simulate", "options", "message"),
    [
        (datasets.simulate_linear, {"n": 0}, "n is 0"),
        (datasets.simulate_linear, {"bias": np.nan}, "bias must be a finite number"),
        (datasets.simulate_linear, {"bias": "big"}, "bias must be a finite number"),
        (datasets.simulate_logit, {"accuracy": 0.4}, "accuracy is 0.4"),
        (datasets.simulate_unequal, {"accuracy": 1.1}, "accuracy is 1.1"),
        (datasets.simulate_appendix_e, {"accuracy": None}, "accuracy must be a finite number"),
        (datasets.simulate_features_only, {"noise": -1}, "noise is -1"),
        (datasets.simulate_panel, {"n_units": 1}, "n_units is 1"),
        (datasets.simulate_panel, {"n_years": 2, "balanced": False}, "n_years is 2"),
        (datasets.simulate_nested, {"n_candidates": 1}, "n_candidates is 1"),
        (datasets.simulate_nested, {"n_posts": 0}, "n_posts is 0"),
        (datasets.simulate_yearly, {"n": 5, "n_years": 6}, "n is 5"),
    ],
)
def test_simulators_refuse_impossible_options(simulate, options, message):
    with pytest.raises(ArgumentError, match=message):
        simulate(n_labels="all", **options)


@pytest.mark.parametrize("accuracy", [0.7, 0.9])
@pytest.mark.parametrize(
    "simulate",
    [
        datasets.simulate_logit,
        datasets.simulate_unequal,
        datasets.simulate_yearly,
        datasets.simulate_appendix_e,
    ],
    ids=lambda f: f.__name__,
)
def test_accuracy_is_the_average_accuracy(simulate, accuracy):
    frame = large(simulate, accuracy=accuracy)
    call = frame.attrs["call"]
    for gold, surrogate in zip(call["predicted_var"], call["prediction"], strict=True):
        right = (frame[gold] == frame[surrogate]).mean()
        assert abs(right - accuracy) < SAMPLING * np.sqrt(accuracy * (1 - accuracy) / len(frame))


@pytest.mark.parametrize(
    "simulate",
    [
        datasets.simulate_logit,
        datasets.simulate_unequal,
        datasets.simulate_yearly,
        datasets.simulate_appendix_e,
    ],
    ids=lambda f: f.__name__,
)
def test_a_surrogate_of_accuracy_one_is_the_gold(simulate):
    frame = simulate(n_labels="all", accuracy=1)
    call = frame.attrs["call"]
    assert (frame[call["predicted_var"]].to_numpy() == frame[call["prediction"]].to_numpy()).all()


def test_linear_naive_coefficients_are_as_documented():
    frame = large(datasets.simulate_linear, bias=0.3)
    params, bse = ordinary_fit(frame, use_surrogate=True)
    documented = pd.Series({"Intercept": 0.5, "X1": 0.7, "X2": -0.2})
    assert ((params - documented) / bse).abs().max() < SAMPLING


def test_unequal_probabilities_are_exact_and_used():
    frame = datasets.simulate_unequal(n=50_000, n_labels=10_000, seed=4)
    assert frame["sample_prob"].sum() == pytest.approx(10_000)
    by_surrogate = frame.groupby("pred_Y")["sample_prob"].agg(["nunique", "first", "size"])
    assert by_surrogate["nunique"].eq(1).all()
    assert by_surrogate.loc[1, "first"] == pytest.approx(4 * by_surrogate.loc[0, "first"])
    rate = frame["Y"].notna().groupby(frame["pred_Y"]).mean()
    prob = by_surrogate["first"]
    assert ((rate - prob).abs() < SAMPLING * np.sqrt(prob * (1 - prob) / by_surrogate["size"])).all()


def test_unequal_labels_are_biased_without_their_probabilities():
    frame = datasets.simulate_unequal(n=50_000, n_labels=10_000, seed=4)
    labelled = frame[frame["Y"].notna()]
    params, bse = ordinary_fit(labelled)
    assert ((params - pd.Series(frame.attrs["truth"])) / bse).abs().max() > CLEARLY_BIASED


def test_balanced_panel_has_every_unit_in_every_year():
    frame = datasets.simulate_panel(n_units=30, n_years=5, n_labels=50)
    assert pd.crosstab(frame["unit"], frame["year"]).eq(1).all().all()


def test_unbalanced_panel_is_truly_unbalanced():
    frame = datasets.simulate_panel(balanced=False)
    table = pd.crosstab(frame["unit"], frame["year"])
    assert table.shape == (200, 10)
    assert table.isin([0, 1]).all().all()
    assert table.sum(axis=1).nunique() > 3
    assert table.sum(axis=1).min() >= 2
    assert 0.3 < table.to_numpy().mean() < 0.8
    # Subtracting unit and year means once is exact on balanced panels only; here it must be visibly wrong.
    x = frame.assign(x=datasets.simulate_panel(balanced=False, n_labels="all")["x"])[["y", "x", "z"]]
    once = x - x.groupby(frame["unit"]).transform("mean") - x.groupby(frame["year"]).transform("mean") + x.mean()
    additive = sm.OLS(once["y"], once[["x", "z"]]).fit().params["x"]
    exact, bse = ordinary_fit(datasets.simulate_panel(balanced=False, n_labels="all"))
    assert abs(additive - exact["x"]) > bse["x"]


def test_panel_needs_its_fixed_effects():
    frame = datasets.simulate_panel(n_labels="all", seed=2)
    pooled = sm.OLS(frame["y"], sm.add_constant(frame[["x", "z"]])).fit()
    assert pooled.params["x"] - 1 > CLEARLY_BIASED * pooled.bse["x"]


def test_nested_posts_are_unevenly_spread_and_correlated_in_candidates():
    frame = large(datasets.simulate_nested)
    assert frame["post"].is_unique
    assert frame.groupby("candidate").size().nunique() > 5
    assert frame.groupby("candidate")["incumbent"].nunique().eq(1).all()
    _, clustered = ordinary_fit(frame)
    x = sm.add_constant(frame[["incumbent", "economy"]])
    independent = sm.OLS(frame["tone"], x).fit(cov_type="HC1").bse
    assert clustered["incumbent"] > 1.5 * independent["incumbent"]


def test_years_are_evenly_filled():
    frame = datasets.simulate_yearly(n=1003, n_years=4, n_labels=100)
    assert frame["year"].value_counts().sort_index().to_dict() == {2010: 251, 2011: 251, 2012: 251, 2013: 250}


def test_features_only_has_no_surrogate_but_features_that_predict():
    frame = large(datasets.simulate_features_only)
    assert "prediction" not in frame.attrs["call"]
    fit = sm.OLS(frame["Y"], sm.add_constant(frame[["W1", "W2", "W3", "W4"]])).fit()
    assert 0.3 < fit.rsquared < 0.9
    assert abs(fit.tvalues["W4"]) < SAMPLING


def test_appendix_e_covariates_are_as_published():
    frame = large(datasets.simulate_appendix_e)
    x = frame[[f"X{j}" for j in range(1, 11) if j != 2]]
    correlation = x.corr().to_numpy()
    assert np.abs(correlation[~np.eye(9, dtype=bool)] - 0.3).max() < 0.02
    assert np.abs(x.std() - 1).max() < 0.02
    assert set(frame["X2"].unique()) == {0.0, 1.0}
    assert frame["X2"].mean() == pytest.approx(0.2, abs=0.006)


def test_appendix_e_truth_is_near_the_published_one():
    published = {"Intercept": 0.202, "X1": 1.075, "I(X1 ** 2)": 0.098, "X2": 0.806, "X4": 0.276}
    truth = datasets.simulate_appendix_e(n=10, n_labels="all").attrs["truth"]
    assert truth == pytest.approx(published, abs=0.004)
