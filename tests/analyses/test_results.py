"""The results object: statsmodels' behaviour, the design in the summary, prediction, storage."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

import dsl
from dsl.engine.models import MODELS
from tests.posts import posts, run

CALL = {
    "formula": "human_positive ~ negation + hedge + np.log1p(n_words) + source",
    "model": "logit",
    "predicted_var": "human_positive",
    "prediction": "vader_positive",
    "cluster": "doc_id",
    "sample_split": 3,
}


@pytest.fixture(scope="module")
def tweets() -> pd.DataFrame:
    return dsl.datasets.load_sentiment(n_labels=1000, seed=1)


@pytest.fixture(scope="module")
def fit(tweets: pd.DataFrame) -> dsl.DSLResults:
    return dsl.dsl(data=tweets, **CALL)


def test_labels_and_inference(fit: dsl.DSLResults) -> None:
    terms = ["Intercept", "negation", "hedge", "np.log1p(n_words)", "source[T.tweets]"]
    for values in (fit.params, fit.bse, fit.zvalues, fit.tvalues, fit.pvalues):
        assert list(values.index) == terms
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diag(fit.cov_params())))
    np.testing.assert_allclose(fit.pvalues, 2 * stats.norm.sf(np.abs(fit.params / fit.bse)))
    half = stats.norm.ppf(0.95) * fit.bse
    np.testing.assert_allclose(fit.conf_int(alpha=0.1)[0], fit.params - half)
    assert list(fit.cov_params().columns) == terms
    assert (fit.nobs, fit.n_labeled, fit.n_dropped, fit.converged) == (9390, 1000, 0, True)


def test_hypotheses_by_name(fit: dsl.DSLResults) -> None:
    single = fit.t_test("negation = hedge")
    gap = fit.params["negation"] - fit.params["hedge"]
    vcov = fit.cov_params()
    sd = np.sqrt(vcov.loc["negation", "negation"] + vcov.loc["hedge", "hedge"] - 2 * vcov.loc["negation", "hedge"])
    assert float(np.squeeze(single.effect)) == pytest.approx(gap)
    assert float(np.squeeze(single.sd)) == pytest.approx(sd)
    joint = fit.wald_test("negation = 0, hedge = 0", scalar=True)
    b = fit.params[["negation", "hedge"]].to_numpy()
    chi2 = b @ np.linalg.solve(vcov.loc[["negation", "hedge"], ["negation", "hedge"]], b)
    assert float(joint.statistic) == pytest.approx(chi2)
    assert float(joint.pvalue) == pytest.approx(stats.chi2.sf(chi2, 2))


def test_splits_combine_to_the_estimate(fit: dsl.DSLResults) -> None:
    assert fit.split_params.shape == fit.split_bse.shape == (3, 5)
    np.testing.assert_allclose(fit.params, fit.split_params.median())
    gap = fit.split_params - fit.params
    np.testing.assert_allclose(fit.bse**2, (fit.split_bse**2 + gap**2).median())
    assert len(np.unique(fit.split_params["hedge"])) == 3  # genuinely different splits
    assert (fit.splits.moment_norms <= 1e-10).all()


def test_folds_keep_clusters_and_spread_labels(fit: dsl.DSLResults, tweets: pd.DataFrame) -> None:
    assert fit.folds.shape == (3, 9390)
    labeled = tweets["human_positive"].notna().to_numpy()
    for split in fit.folds:
        assert pd.Series(split).groupby(tweets["doc_id"].to_numpy()).nunique().max() == 1
        assert np.bincount(split[labeled]).min() > 120
    assert not np.array_equal(fit.folds[0], fit.folds[1])


def test_pseudo_outcomes_average_the_truth(fit: dsl.DSLResults, tweets: pd.DataFrame) -> None:
    pseudo = fit.pseudo_outcomes["human_positive"]
    assert list(pseudo.index) == list(tweets.index)
    truth = dsl.datasets.load_sentiment()["human_positive"].mean()
    error = pseudo.std() / np.sqrt(len(pseudo))
    assert abs(pseudo.mean() - truth) < 4 * error
    hidden = tweets["human_positive"].isna()
    np.testing.assert_allclose(pseudo[hidden], fit.predictions[:, hidden, 0].mean(axis=0))


def test_summary_shows_the_design(fit: dsl.DSLResults) -> None:
    text = str(fit.summary())
    for part in (
        "Design-based supervised learning", "human_positive", "logit", "9,390", "1,000", "0.1065 (equal)",
        "4,698 (doc_id)", "5 x 3", "accuracy 0.7", "clustered", "source[T.tweets]", "[0.025",
    ):  # fmt: skip
        assert part in text, part
    assert "[0.05" in str(fit.summary(alpha=0.1))
    html, latex = fit.summary().as_html(), fit.summary().as_latex()
    assert "<table" in html
    assert "np.log1p(n_words)" in html
    assert r"\begin{tabular}" in latex
    assert r"np.log1p(n\_words)" in latex


def test_summary_of_naive_warns_in_words(tweets: pd.DataFrame) -> None:
    text = str(dsl.dsl(data=tweets, estimator="naive", **CALL).summary())
    assert "not valid" in text
    assert "bias these estimates" in text


def test_tidy_and_glance(fit: dsl.DSLResults) -> None:
    tidy = fit.tidy()
    assert list(tidy) == ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    np.testing.assert_allclose(tidy["conf_high"], fit.conf_int()[1])
    assert "conf_low" not in fit.tidy(conf_int=False)
    glance = fit.glance().iloc[0]
    assert (glance["nobs"], glance["n_labeled"], glance["n_clusters"], glance["cross_fit"]) == (9390, 1000, 4698, 5)


def test_exponentiated_as_broom_does(fit: dsl.DSLResults) -> None:
    plain, odds = fit.tidy(alpha=0.1), fit.tidy(alpha=0.1, exponentiate=True)
    ends = ["estimate", "conf_low", "conf_high"]
    np.testing.assert_allclose(odds[ends], np.exp(plain[ends]), rtol=1e-15)
    pd.testing.assert_frame_equal(odds.drop(columns=ends), plain.drop(columns=ends))
    assert list(fit.tidy(conf_int=False, exponentiate=True)) == [
        "term",
        "estimate",
        "std_error",
        "statistic",
        "p_value",
    ]
    above = fit.tidy(alternative="smaller", exponentiate=True)
    assert (above["conf_low"] == 0.0).all()


def test_what_exponentiated_coefficients_are_called() -> None:
    names = {name: model.ratio for name, model in MODELS.items()}
    assert names["logit"] == "odds ratio"
    assert names["poisson"] == "rate ratio"
    assert (names["probit"], names["lm"], names["felm"]) == (None, None, None)
    fit = run(posts(), "words ~ y", model="poisson").core
    assert fit.ratio() == "rate ratio"
    other = replace(fit, call=replace(fit.call, model="cloglog"))
    assert other.ratio() == "exponentiated coefficient"


def test_ratios_of_a_linear_model_are_refused() -> None:
    with pytest.raises(dsl.exceptions.ArgumentError, match=r"model='lm', as they are in .*'logit'"):
        run(posts()).tidy(exponentiate=True)


def test_summary2(fit: dsl.DSLResults) -> None:
    found = fit.summary2(alpha=0.1, title="Tweets")
    table = found.tables[1]
    assert list(table) == ["Coef.", "Std.Err.", "z", "P>|z|", "[0.05", "0.95]"]
    np.testing.assert_array_equal(table, fit.tidy(alpha=0.1).drop(columns="term"))
    text = str(found)
    for part in ("Tweets", "human_positive", "9,390", "5 x 3", f"{fit.params['hedge']:.4f}"):
        assert part in text
    assert f"{fit.params['hedge']:.7f}" in str(fit.summary2(float_format="%.7f"))
    with pytest.raises(dsl.exceptions.ArgumentError, match="float_format must be a format such as"):
        fit.summary2(float_format="%d%d")


def test_notebooks_show_the_summary() -> None:
    data = posts().rename(columns={"x": "a<b>"})
    fit = run(data, "y ~ `a<b>`")
    html = fit._repr_html_()
    assert html == fit.summary().as_html()
    assert "a&lt;b&gt;" in html
    for text in (html, fit.summary2().as_html()):
        assert "<b>" not in text


def test_fit_quality_and_rmse(fit: dsl.DSLResults, tweets: pd.DataFrame) -> None:
    labeled = tweets["human_positive"].notna().to_numpy()
    gold = tweets["human_positive"].to_numpy()[labeled]
    error = fit.predictions[:, labeled, 0] - gold
    np.testing.assert_allclose(fit.rmse["human_positive"], np.sqrt((error**2).mean(axis=1)))
    quality = fit.fit_quality.loc["human_positive"]
    assert quality["r2"] == pytest.approx(1 - (error**2).mean() / gold.var())
    assert quality["accuracy"] == pytest.approx(((fit.predictions[:, labeled, 0] > 0.5) == gold).mean())


def test_predict_new_rows(fit: dsl.DSLResults) -> None:
    new = pd.DataFrame({"negation": [0, 1], "hedge": 0, "n_words": [10, 20], "source": "nyt"}, index=["a", "b"])
    eta = fit.params["Intercept"] + fit.params["negation"] * new["negation"]
    eta += fit.params["np.log1p(n_words)"] * np.log1p(new["n_words"])
    pd.testing.assert_series_equal(fit.predict(new, which="linear"), eta, check_names=False)
    pd.testing.assert_series_equal(fit.predict(new), 1 / (1 + np.exp(-eta)), check_names=False)
    with pytest.raises(dsl.exceptions.MissingColumnError, match="'hedge'"):
        fit.predict(new.drop(columns="hedge"))
    with pytest.raises(dsl.exceptions.DataError, match="missing values in 1 row"):
        fit.predict(new.assign(hedge=[0, None]))
    with pytest.raises(dsl.exceptions.DataError, match="London"):
        fit.predict(new.assign(source="London"))


def test_what_these_results_lack_is_said_and_hasattr_is_false(fit: dsl.DSLResults) -> None:
    for name, words in {
        "llf": "no likelihood", "aic": "no likelihood", "bic": "no likelihood", "resid": "labelled rows only",
        "fittedvalues": "labelled rows only", "rsquared": "fit_quality", "fvalue": "wald_test_terms",
    }.items():  # fmt: skip
        assert not hasattr(fit, name)
        with pytest.raises(dsl.exceptions.NoLikelihoodError, match=rf"no '{name}': .*{words}"):
            getattr(fit, name)
    assert not hasattr(fit, "parms")
    assert (fit.df_model, fit.df_resid, fit.k_constant) == (4, 9385, 1)


@pytest.mark.parametrize("bad", ["negaton = 0", "negation = = 0", "", None, [1.0, 2.0], "negation", object()])
def test_hypotheses_that_cannot_be_read(fit: dsl.DSLResults, bad: object) -> None:
    if bad == "negation":  # patsy's shorthand for negation = 0
        assert fit.t_test(bad).pvalue == pytest.approx(fit.pvalues["negation"])
        return
    for test in (fit.t_test, fit.wald_test, fit.f_test):
        with pytest.raises(dsl.exceptions.ArgumentError, match=r"cannot be read; write it as 'x = 0'.*'negation'"):
            test(bad)


def test_predict_with_fixed_effects_is_linear_only() -> None:
    data = dsl.datasets.simulate_panel(seed=3)
    fit = dsl.dsl(data=data, sample_split=1, **data.attrs["call"])
    full = data.fillna({"x": 0.0})
    np.testing.assert_allclose(fit.predict(full, which="linear"), full[list(fit.params.index)] @ fit.params, rtol=1e-12)
    with pytest.raises(dsl.exceptions.ArgumentError, match="which='linear'"):
        fit.predict(full)


def test_save_load_and_pickle(fit: dsl.DSLResults, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.pickle")
    for copy in (dsl.DSLResults.load(tmp_path / "fit.pickle"), pickle.loads(pickle.dumps(fit))):
        assert isinstance(copy, dsl.DSLResults)
        pd.testing.assert_series_equal(copy.params, fit.params)
        assert str(copy.t_test("hedge = 0")) == str(fit.t_test("hedge = 0"))
        pd.testing.assert_frame_equal(copy.pseudo_outcomes, fit.pseudo_outcomes)


def test_remove_data_makes_a_small_file(tweets: pd.DataFrame) -> None:
    fit = dsl.dsl(data=tweets, **CALL)
    before, summary = len(pickle.dumps(fit)), str(fit.summary())
    fit.remove_data()
    assert len(pickle.dumps(fit)) < before / 20
    assert str(fit.summary()) == summary
    with pytest.raises(dsl.exceptions.ArgumentError, match="remove_data"):
        _ = fit.pseudo_outcomes


def test_summary_col_of_several_fits(fit: dsl.DSLResults, tweets: pd.DataFrame) -> None:
    gold = dsl.dsl(data=tweets, estimator="gold_only", **CALL)
    table = summary_col([gold, fit], stars=True, model_names=["gold", "dsl"]).tables[0]
    assert list(table.columns) == ["gold", "dsl"]
    assert table.loc["negation", "dsl"].startswith(f"{fit.params['negation']:.4f}")


def test_estimators_without_predictions_say_so(tweets: pd.DataFrame) -> None:
    gold = dsl.dsl(data=tweets, estimator="gold_only", **CALL)
    assert gold.folds is None
    with pytest.raises(dsl.exceptions.ArgumentError, match="makes no out-of-fold"):
        _ = gold.rmse


def test_repr_is_one_line(fit: dsl.DSLResults) -> None:
    assert repr(fit) == f"<DSLResults logit (dsl): {CALL['formula']}; 9390 rows, 1000 labelled>"


@pytest.mark.parametrize("method", ["lm", "auto", "ranger"])
@pytest.mark.long
def test_same_seed_same_numbers_whatever_n_jobs(method: str) -> None:
    data = dsl.datasets.simulate_features_only(n=400, n_labels=80, seed=5)
    splits = 1 if method == "ranger" else 2  # several folds to share out in any case
    call = {"data": data, "sl_method": method, "sample_split": splits, "cross_fit": 2, **data.attrs["call"]}
    one, again, parallel = dsl.dsl(**call), dsl.dsl(**call), dsl.dsl(n_jobs=2, **call)
    other = dsl.dsl(seed=99, **{**call, "sl_method": "lm"})  # for its folds
    pd.testing.assert_series_equal(one.params, again.params, check_exact=True)
    pd.testing.assert_series_equal(one.params, parallel.params, check_exact=True)
    np.testing.assert_array_equal(one.predictions, parallel.predictions)
    assert not np.array_equal(one.folds, other.folds)


SIMULATORS = ["linear", "logit", "unequal", "features_only", "appendix_e", "panel", "nested", "yearly"]


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_simulated_table_recovers_its_truth(name: str) -> None:
    """One draw each: within five standard errors of the true coefficients."""
    data = getattr(dsl.datasets, f"simulate_{name}")(seed=11)
    fit = dsl.dsl(data=data, sl_method="lm", sample_split=2, **data.attrs["call"])
    truth = pd.Series(data.attrs["truth"])
    assert set(fit.params.index) == set(truth.index)
    assert (((fit.params - truth[fit.params.index]) / fit.bse).abs() < 5).all()


def test_unbalanced_panel_recovers_its_truth() -> None:
    data = dsl.datasets.simulate_panel(balanced=False, seed=11)
    fit = dsl.dsl(data=data, sl_method="lm", sample_split=2, **data.attrs["call"])
    truth = pd.Series(data.attrs["truth"])
    assert (((fit.params - truth[fit.params.index]) / fit.bse).abs() < 5).all()


def test_names_as_in_r(fit: dsl.DSLResults) -> None:
    names = ["(Intercept)", "negation", "hedge", "np.log1p(n_words)", "sourcetweets"]
    assert list(fit.params_r.index) == names
    np.testing.assert_array_equal(fit.params_r, fit.params)
    assert "sourcetweets " in str(fit.summary(names="r"))
    with pytest.raises(dsl.exceptions.ArgumentError, match="unknown names"):
        fit.summary(names="stata")


def test_small_coefficients_are_shown(tweets: pd.DataFrame) -> None:
    call = CALL | {"formula": "human_positive ~ I(n_words^4)", "estimator": "gold_only"}
    fit = dsl.dsl(data=tweets, **call)
    line = next(line for line in str(fit.summary()).splitlines() if line.startswith("I(n_words"))
    assert float(line.split()[3]) == pytest.approx(fit.params.iloc[1], rel=5e-3)
    assert float(line.split()[4]) == pytest.approx(fit.bse.iloc[1], rel=5e-3)


def test_the_data_are_at_hand_but_not_in_files(tmp_path: Path) -> None:
    data = posts()
    fit = run(data, "y ~ x + g")
    pd.testing.assert_frame_equal(fit.compare().table, fit.compare(data).table)
    assert list(fit.diagnostics().checks["check"]) == list(fit.diagnostics(data).checks["check"])
    fit.save(tmp_path / "fit.pkl")
    again = dsl.DSLResults.load(tmp_path / "fit.pkl")
    with pytest.raises(dsl.exceptions.ArgumentError, match="data are not at hand"):
        again.compare()
    pd.testing.assert_frame_equal(again.compare(data).table, fit.compare().table)


def test_degrees_of_freedom_of_clusters_that_are_copies() -> None:
    """Every row twice, in clusters of two: the degrees of freedom of the rows once."""
    data = posts()
    twice = data.loc[np.repeat(data.index, 2)].assign(own=np.repeat(np.arange(len(data)), 2)).reset_index(drop=True)
    call = {"estimator": "gold_only", "use_t": True}
    np.testing.assert_allclose(run(twice, cluster="own", **call).df, run(data, **call).df, rtol=1e-10)
