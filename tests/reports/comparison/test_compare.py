"""Estimators side by side: the naive bias against stacked regressions by hand, sentences, calls and errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit

import dsl
from dsl.analyses.compare import compare
from dsl.estimators.again import analysis_of
from dsl.exceptions import ArgumentError, CallError, DroppedRowsWarning, SeparationError
from dsl.reports.comparison import Comparison, compare_fit
from dsl.reports.comparison.conclusions import conclude
from dsl.reports.comparison.difference import difference, influences, wald_test
from dsl.reports.comparison.results import worth
from tests.fixed import Fixed
from tests.posts import posts, run

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROOT = 1e-6
"""Relative: variances at parameters that are off by the solver's tolerance."""
QUICK: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 2}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Posts with two predicted categories besides."""
    d = posts()
    rng = np.random.default_rng(0)
    for name, seen in (("t", "tl"), ("v", "vl")):
        code = (d["llm"] + rng.integers(0, 2, len(d))).astype(int)
        d[seen] = np.array(["a", "b", "c"])[code]
        gold = np.array(["a", "b", "c"])[np.clip(code + rng.choice([0, 0, 0, 1], len(d)), 0, 2)]
        d[name] = np.where(d["lab"] == 1, gold, None)
    d["ul"] = rng.integers(0, 9, len(d))
    d["u"] = np.where(d["lab"] == 1, (d["ul"] + rng.integers(0, 2, len(d))) % 9, np.nan)
    return d


ESTIMATORS: dict[str, dict[str, Any]] = {
    "naive": {"estimator": "naive"},
    "gold_only": {"estimator": "gold_only"},
    "dsl": {},
    "coef": {"tune": "coef"},
    "scalar": {"tune": "scalar"},
    "matrix": {"tune": "matrix"},
    "fixed lambda": {"tune": 0.7},
    "dsl+": {"estimator": "dsl+"},
    "cdi": {"estimator": "cdi"},
    "ppi": {"estimator": "ppi"},
    "ppi++": {"estimator": "ppi++"},
}
PAIRED = {"predicted_var": {"t": "tl", "v": "vl"}, "prediction": None}
CALLS: dict[str, dict[str, Any]] = {
    "logit": {"formula": "y ~ x + z", "model": "logit"},
    "HC1": {"formula": "y ~ x", "vcov": "HC1"},
    "predicted covariate": {"formula": "x ~ y * z", "sample_prob": "pi"},
    "fixed effects": {"formula": "x ~ y + words | cl + g", "model": "felm", "cluster": "cl"},
    "far from zero": {"formula": "y ~ I(x + 2000)"},
    "several equations": {"formula": "t ~ x", "predicted_var": "t", "prediction": "tl"},
    "number as categories": {"formula": "x ~ factor(u)", "predicted_var": "u", "prediction": "ul"},
    "count": {"formula": "x ~ u", "predicted_var": "u", "prediction": "ul"},
    "joint categories": {"formula": "x ~ t + v", **PAIRED},
}


def check_influences(fit: Any, data: pd.DataFrame) -> None:
    """Sum of squares: the covariance of each split, or its variances where it leaves units out; sum: zero."""
    for own, vcov in zip(influences(fit.core, analysis_of(fit.core, data)), fit.splits.vcovs, strict=True):
        if fit.call.leave_out is not None:
            np.testing.assert_allclose((own**2).sum(axis=0), np.diag(vcov), rtol=ROOT)
            continue
        np.testing.assert_allclose(own.T @ own, vcov, rtol=ROOT, atol=ROOT * np.abs(vcov).max())


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("clusters", [False, True])
def test_influences_make_the_covariance_of_every_estimator(data: pd.DataFrame, name: str, clusters: bool) -> None:
    grouped = {"cluster": "cl", "vcov": "CR1"} if clusters else {}
    check_influences(run(data, "y ~ x + z", **{**QUICK, **ESTIMATORS[name], **grouped}), data)


@pytest.mark.filterwarnings("ignore:fewer than 8 labelled rows:dsl.exceptions.FewLabelsWarning")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "naive"])
def test_influences_make_the_covariance_of_every_model(data: pd.DataFrame, name: str, estimator: str) -> None:
    check_influences(run(data, **{**QUICK, "sample_split": 1, **CALLS[name], "estimator": estimator}), data)


@pytest.mark.parametrize("cluster", [None, "cl"])
def test_bias_is_the_regression_of_surrogate_less_pseudo_outcome(data: pd.DataFrame, cluster: str | None) -> None:
    """In a linear model with one split: naive less DSL is OLS of llm - y~ on x, with its sandwich."""
    fit = run(data, "y ~ x + z", cluster=cluster)
    found = compare_fit(fit, data, estimators="naive")
    gap = data["llm"] - fit.pseudo_outcomes["y"]
    covariance: dict[str, Any] = {"cov_type": "HC0"}
    if cluster:
        covariance = {"cov_type": "cluster", "cov_kwds": {"groups": data["cl"], "use_correction": False}}
    truth = sm.OLS(gap, sm.add_constant(data[["x", "z"]])).fit(**covariance, use_t=False)
    assert found.bias is not None
    np.testing.assert_allclose(found.bias["difference"], truth.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(found.bias["std_error"], truth.bse, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(found.bias["p_value"], truth.pvalues, rtol=ROOT)
    joint = truth.wald_test(np.eye(3), use_f=False, scalar=True)
    assert found.hausman is not None
    assert found.hausman.df == 3
    assert found.hausman.statistic == pytest.approx(float(joint.statistic), rel=SAME_ALGEBRA)
    assert found.hausman.p_value == pytest.approx(float(joint.pvalue), rel=ROOT)


def test_bias_in_a_logit_by_stacked_scores(data: pd.DataFrame) -> None:
    fit = run(data, "y ~ x", model="logit", sample_prob="pi")
    naive = run(data, "y ~ x", model="logit", sample_prob="pi", estimator="naive")
    x = sm.add_constant(data[["x"]]).to_numpy()
    parts = []
    for params, outcome in ((naive.params, data["llm"]), (fit.params, fit.pseudo_outcomes["y"])):
        mean = expit(x @ params.to_numpy())
        bread = np.linalg.inv((x * (mean * (1 - mean))[:, None]).T @ x)
        parts.append((x * (outcome - mean).to_numpy()[:, None]) @ bread)
    gap = parts[0] - parts[1]
    found = difference(naive.core, fit.core, data)
    np.testing.assert_allclose(found.vcov, gap.T @ gap, rtol=ROOT)
    np.testing.assert_allclose(found.estimate, naive.params - fit.params)


def test_splits_of_the_difference_combine_as_those_of_the_estimate(data: pd.DataFrame) -> None:
    fit = run(data, "y ~ x", sample_split=5)
    naive = run(data, "y ~ x", estimator="naive")
    first = next(influences(naive.core, analysis_of(naive.core, data)))
    gaps = [first - own for own in influences(fit.core, analysis_of(fit.core, data))]
    each = naive.params.to_numpy() - fit.split_params.to_numpy()
    centre = np.median(each, axis=0)
    variance = np.median([(gap**2).sum(axis=0) + (b - centre) ** 2 for gap, b in zip(gaps, each, strict=True)], axis=0)
    found = difference(naive.core, fit.core, data)
    np.testing.assert_allclose(found.estimate, centre)
    np.testing.assert_allclose(np.diag(found.vcov), variance)


def test_a_perfect_surrogate_has_no_bias() -> None:
    d = posts()
    d["llm"] = d["y"].fillna(d["llm"])
    found = compare("y ~ x", d, estimators=("naive", "gold_only", "dsl"), **QUICK)
    assert found.bias is not None
    assert (found.bias[["difference", "std_error", "statistic"]] == 0.0).all(axis=None)
    assert (found.bias["p_value"] == 1.0).all()
    assert found.hausman is not None
    assert (found.hausman.statistic, found.hausman.df, found.hausman.p_value) == (0.0, 0, 1.0)
    assert all(sentence.endswith("The two estimates are the same.") for sentence in found.sentences)


def test_finite_population_the_naive_estimate_is_a_constant(data: pd.DataFrame) -> None:
    found = compare("y ~ x", data, estimators=("naive", "gold_only", "dsl"), target="finite", **QUICK)
    assert found.bias is not None
    np.testing.assert_allclose(found.bias["std_error"], found.fits["dsl"].bse)
    assert found.fits["naive"].call.target == "superpopulation"
    assert any("superpopulation" in note for note in found.notes)
    assert (found.effective_labels <= 200).all(axis=None)
    wider = compare("y ~ x", data, estimators=("naive", "dsl"), **QUICK)
    assert wider.bias is not None
    assert (found.bias["std_error"] < wider.bias["std_error"]).all()


def test_table_is_that_of_the_fits(data: pd.DataFrame) -> None:
    found = compare("y ~ x + z", data, model="logit", alpha=0.1, **QUICK)
    assert list(found.fits) == ["naive", "gold_only", "dsl", "dsl+"]
    assert list(found.table["term"].unique()) == ["Intercept", "x", "z"]
    for name, fit in found.fits.items():
        own = found.table[found.table["estimator"] == name].reset_index(drop=True)
        assert np.isinf(own["df"]).all() == (name != "dsl+")
        shown = own[["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]]
        pd.testing.assert_frame_equal(shown, fit.tidy(alpha=0.1)[shown.columns])
    alone = run(data, "y ~ x + z", model="logit", sample_split=2)
    pd.testing.assert_series_equal(found.fits["dsl"].params, alone.params)
    gold = found.fits["gold_only"]
    labels = 80 * (gold.bse / found.fits["dsl+"].bse) ** 2
    np.testing.assert_allclose(found.effective_labels["dsl+"], labels)
    assert found.effective_labels.columns.tolist() == ["gold_only", "dsl", "dsl+"]
    np.testing.assert_allclose(found.effective_labels["gold_only"], 80)
    assert found.table.loc[found.table["estimator"] == "naive", "effective_labels"].isna().all()


def test_labels_worth_in_a_finite_population(data: pd.DataFrame) -> None:
    """SRS: variance goes with 1/n - 1/N, so that the standard error at n' is that of n' labels."""
    gold = run(data, "y ~ 1", estimator="gold_only", target="finite")
    more = run(data, "y ~ 1", target="finite")
    labels = worth(more, gold)
    ratio = (more.bse / gold.bse) ** 2
    np.testing.assert_allclose(1 / labels - 1 / 200, ratio * (1 / 80 - 1 / 200))


def test_a_fit_and_a_formula_give_the_same_comparison(data: pd.DataFrame) -> None:
    names = ("naive", "gold_only", "dsl", "tuned", "dsl+")
    call = {"model": "logit", "cluster": "cl", "sample_prob": "pi", **QUICK}
    one = compare("y ~ x", data, estimators=names, **call)
    other = compare_fit(dsl.dsl("y ~ x", data, **call), data, estimators=names)
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.bias, other.bias)
    assert one.hausman == other.hausman
    assert one.sentences == other.sentences
    assert one.notes == other.notes
    assert any(
        note.startswith("Effective labels of tuned less those of dsl (80 rows") and "Intercept" not in note
        for note in one.notes
    )


def test_a_naive_fit_is_judged_by_another(data: pd.DataFrame) -> None:
    found = compare_fit(run(data, "y ~ x", estimator="naive"), data, estimators=("gold_only", "dsl"))
    assert found.reference == "dsl"
    assert found.bias is not None
    assert [sentence.split(":")[0] for sentence in found.sentences] == ["x"]  # nobody concludes from an intercept


def test_dropped_rows_and_functions_of_the_caller(data: pd.DataFrame) -> None:
    def doubled(values: Any) -> Any:
        return 2.0 * values

    d = data.copy()
    d.loc[[3, 8], "x"] = np.nan
    formula = "y ~ doubled(x) + np.log1p(words)"
    with pytest.warns(DroppedRowsWarning) as caught:
        found = compare(formula, d, estimators=("naive", "gold_only", "dsl"), **QUICK)
    assert [w.filename for w in caught] == [__file__]  # once for all fits
    with pytest.warns(DroppedRowsWarning):
        fit = dsl.dsl(formula, d, **QUICK)
    again = compare_fit(fit, d, estimators=("naive", "gold_only"))
    pd.testing.assert_frame_equal(found.table, again.table)
    pd.testing.assert_frame_equal(found.bias, again.bias)


def test_a_dot_stands_for_what_it_did_in_the_fit(data: pd.DataFrame) -> None:
    d = data[["y", "llm", "x", "z", "lab"]]
    fit = dsl.dsl("y ~ .", d, labeled="lab", **QUICK)
    found = compare_fit(fit, d, estimators="naive")
    assert list(found.table["term"].unique()) == ["Intercept", "x", "z"]


def test_own_estimators_and_names(data: pd.DataFrame) -> None:
    mine = {"raw": "naive", "labels": "gold_only", "half": {"estimator": "dsl", "tune": 0.5}}
    found = compare("y ~ x", data, estimators=mine, **QUICK)
    assert (found.reference, list(found.fits)) == ("half", ["raw", "labels", "half"])
    assert "by half (" in found.sentences[0]
    other = compare("y ~ x", data, estimators=mine, reference="labels", **QUICK)
    assert other.bias is not None
    naive, gold = other.fits["raw"], other.fits["labels"]
    np.testing.assert_allclose(other.bias["difference"], naive.params - gold.params)
    assert not np.allclose(other.bias["std_error"], np.hypot(naive.bse, gold.bse))


@pytest.mark.parametrize(
    ("naive", "corrected", "change", "words"),
    [
        ((2.0, 0.001), (1.5, 0.002), "same", "the conclusion holds. Positive with surrogates"),
        ((2.0, 0.001), (-1.5, 0.002), "reverses", "the conclusion reverses. Positive with"),
        ((-2.0, 0.001), (-0.1, 0.8), "vanishes", "the conclusion does not hold. Negative with"),
        ((0.1, 0.6), (-1.5, 0.002), "appears", "the conclusion changes. It cannot be told from zero at the 5% level with"),
        ((0.1, 0.6), (-0.1, 0.7), "same", "neither with surrogates taken for the truth (0.100, p = 0.600) nor by dsl"),
    ],
)  # fmt: skip
def test_sentences(naive: tuple[float, float], corrected: tuple[float, float], change: str, words: str) -> None:
    rows = [("naive", *naive), ("dsl", *corrected)]
    table = pd.DataFrame(rows, columns=["estimator", "estimate", "p_value"]).assign(term="x")
    bias = pd.DataFrame({"difference": [0.5], "std_error": [0.1], "p_value": [0.0001]}, index=["x"])
    found = conclude(table, bias, "naive", "dsl", 0.05).loc["x"]
    assert found["change"] == change
    assert found["sentence"].startswith("x: ")
    assert words in found["sentence"]
    assert "too high by 0.500 (SE 0.100, p < 0.001)" in found["sentence"]
    unbiased = conclude(table, bias.assign(p_value=0.2, difference=-0.1), "naive", "dsl", 0.05).loc["x", "sentence"]
    assert unbiased.endswith("No bias of the naive estimate can be shown: -0.100 (SE 0.100, p = 0.200).")


def test_wald_test_leaves_out_directions_without_variance() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(3, 3))
    vcov, estimate = half @ half.T, rng.normal(size=3)
    statistic = estimate @ np.linalg.solve(vcov, estimate)
    found = wald_test(estimate, vcov, np.sqrt(np.diag(vcov)))
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 3))
    twice = np.vstack([np.eye(3), [1.0, 1.0, 0.0]])  # a fourth number that the first two make
    wide = wald_test(twice @ estimate, twice @ vcov @ twice.T, np.ones(4))
    assert (wide.df, wide.statistic) == (3, pytest.approx(statistic))
    scaled = wald_test(
        estimate * [1e6, 1, 1e-6], vcov * np.outer([1e6, 1, 1e-6], [1e6, 1, 1e-6]), np.array([1e6, 1, 1e-6])
    )
    assert scaled.statistic == pytest.approx(statistic)


def test_an_estimator_without_solution_is_named() -> None:
    d = posts()
    d["rare"] = ((d.index < 40) & (d["y"].fillna(1.0) == 1.0)) * 1.0
    call = {"model": "logit", **QUICK}
    with pytest.raises(SeparationError):
        run(d, "y ~ rare", model="logit", estimator="gold_only")
    found = compare("y ~ rare", d, estimators=("naive", "gold_only"), reference="naive", **call)
    assert found.failed["gold_only"].startswith("SeparationError: ")
    assert found.bias is None
    assert found.table["effective_labels"].isna().all()
    assert "gold_only has no estimate: SeparationError" in " ".join(str(found).split())
    with pytest.raises(ArgumentError, match="nothing to conclude without 'naive'"):
        _ = found.sentences
    with pytest.raises(SeparationError):
        compare("y ~ rare", d, estimators=("naive", "gold_only"), **call)


def test_without_surrogates_there_is_no_naive_estimate(data: pd.DataFrame) -> None:
    call = {**QUICK, "prediction": None, "feature": "words"}
    found = compare("y ~ x", data, **call)
    assert "naive" not in found.fits
    assert found.bias is None
    assert "No naive estimate" in str(found)
    again = compare_fit(dsl.dsl("y ~ x", data, **call), data)
    assert list(again.fits) == ["gold_only", "dsl", "dsl+"]


def test_several_surrogates_of_one_variable(data: pd.DataFrame) -> None:
    d = data.assign(other=1 - data["llm"])
    call = {**QUICK, "prediction": ["llm", "other"]}
    with pytest.raises(ArgumentError, match="which prediction stands for 'y'"):
        compare("y ~ x", d, **call)
    found = compare("y ~ x", d, **{**call, "predicted_var": {"y": "other"}, "prediction": ["llm"]})
    fit = dsl.dsl("y ~ x", d, **{**call, "predicted_var": {"y": "other"}, "prediction": ["llm"]})
    again = compare_fit(fit, d)
    pd.testing.assert_frame_equal(found.bias, again.bias)


def test_prints_as_text_html_and_latex(data: pd.DataFrame) -> None:
    found = compare("y ~ x + z", data, **QUICK)
    assert repr(found) == "<Comparison y ~ x + z: naive, gold_only, dsl, dsl+; reference dsl>"
    text = str(found)
    for part in (
        "Estimators side by side",
        "200 (80 labelled)",
        "eff. labels",
        "naive less dsl",
        "chi2(3)",
        "z: the",
    ):
        assert part in text, part
    assert max(map(len, text.splitlines())) <= 110
    assert "<table" in found._repr_html_()
    assert r"\begin{tabular}" in found.summary().as_latex()
    assert isinstance(found, Comparison)


def test_arguments(data: pd.DataFrame) -> None:
    for words, arguments in (
        ("did you mean 'naive'", {"estimators": ["naiv", "dsl"]}),
        ("for one estimator", {"estimator": "dsl"}),
        ("for one estimator", {"tune": "coef"}),
        ("'cdi' is not among the estimators naive, gold_only", {"reference": "cdi"}),
        ("nothing to be judged by", {"estimators": "naive"}),
        ("alpha must lie between", {"alpha": 5}),
    ):
        with pytest.raises(ArgumentError, match=words):
            compare("y ~ x", data, **QUICK, **arguments)
    with pytest.raises(CallError, match="did you mean 'prediction'"):
        compare("y ~ x", data, surrogate="llm", **QUICK)
    with pytest.raises(ArgumentError, match="'short' has coefficients"):
        compare("y ~ x", data, estimators={"dsl": "dsl", "short": {"formula": "y ~ 1"}}, **QUICK)


def test_other_data_are_refused(data: pd.DataFrame) -> None:
    fit = run(data, "y ~ x")
    for words, other in (
        ("they have 199 rows, and it was given 200", data.drop(index=data.index[data["lab"] == 0][0])),
        ("the same in another order", data.sort_values("x")),
        ("column 'x' holds other values", data.assign(x=data["x"] + data["z"])),
        ("used column 'llm', which they do not have", data.drop(columns="llm")),
    ):
        with pytest.raises(ArgumentError, match=words):
            compare_fit(fit, other, estimators="naive")
    fit.remove_data()
    with pytest.raises(ArgumentError, match="remove_data"):
        compare_fit(fit, data, estimators="naive")


def test_a_learner_of_the_users_is_remembered(data: pd.DataFrame, tmp_path: Path) -> None:
    learner = Fixed(lambda x: np.full(len(x), 0.4))
    fit = run(data, "y ~ x", sl_method=learner)
    found = compare_fit(fit, data, estimators=("naive", "dsl+"))
    assert found.bias is not None
    direct = run(data, "y ~ x", sl_method=learner, estimator="dsl+", folds=fit.folds)
    np.testing.assert_allclose(found.fits["dsl+"].params, direct.params, rtol=1e-12)
    joint = run(data, "x ~ t + v", **PAIRED, sl_method=learner)
    assert compare_fit(joint, data, estimators="naive").bias is not None
    fit.save(str(tmp_path / "fit.pkl"))  # a lambda, which pickle cannot store
    read = dsl.DSLResults.load(str(tmp_path / "fit.pkl"))
    assert compare_fit(read, data, estimators="naive").bias is not None
    with pytest.raises(ArgumentError, match="could not hold its learner"):
        compare_fit(read, data, estimators="dsl+")


def test_a_design_is_remembered(data: pd.DataFrame) -> None:
    rng = np.random.default_rng(5)
    truth = data["y"].fillna(data["llm"])
    unequal = dsl.sampling.bernoulli(data, prob=np.where(data["x"] > 0, 0.6, 0.3), seed=rng)
    strata = dsl.sampling.stratified(data, by="g", n_labels=90, seed=rng)
    for design, target in ((unequal, "superpopulation"), (strata, "finite")):
        d = data.assign(y=truth.where(design.drawn))
        call = {**QUICK, "design": design, "target": target}
        fit = dsl.dsl("y ~ x", d, **call)
        found = compare_fit(fit, d, estimators=("naive", "gold_only"))
        other = compare("y ~ x", d, estimators=("naive", "gold_only", "dsl"), **call)
        pd.testing.assert_frame_equal(found.table, other.table)
        pd.testing.assert_frame_equal(found.bias, other.bias)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimator": "dls"}, "did you mean 'dsl'"),
        ({"vcov": "HC9"}, "unknown vcov"),
        ({"vcov": "CR1"}, "needs clusters"),
        ({"sl_method": "nothing"}, "unknown sl_method"),
        ({"formula": "y ~ z"}, "'formula' cannot be changed on the rows of a fit"),
        ({"cluster": "cl"}, "'cluster' cannot be changed"),
    ],
)
def test_options_of_other_estimators_are_checked(data: pd.DataFrame, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        compare_fit(run(data, "y ~ x"), data, estimators={"other": {"estimator": "dsl", **options}})


def test_ratios_and_effects(data: pd.DataFrame) -> None:
    """Exponentiated in the table alone; effects of every estimator over the same rows."""
    plain = compare("y ~ x + g", data, model="logit", **QUICK)
    found = compare("y ~ x + g", data, model="logit", exponentiate=True, margins=True, **QUICK)
    ends = ["estimate", "conf_low", "conf_high"]
    np.testing.assert_allclose(found.table[ends], np.exp(plain.table[ends]), rtol=1e-12)
    pd.testing.assert_frame_equal(found.table.drop(columns=ends), plain.table.drop(columns=ends))
    assert found.sentences == plain.sentences
    assert found.scale == "odds ratio"
    for name, fit in found.fits.items():
        mine = found.margins[found.margins["estimator"] == name].drop(columns="estimator").reset_index(drop=True)
        expected = fit.get_margeff().tidy()[list(mine)]
        pd.testing.assert_frame_equal(mine, expected)
    assert list(found.margins["term"].unique()) == ["x", "g[T.b]", "g[T.c]"]
    text = str(found)
    for part in ("odds ratio", "Average marginal effects", "by estimator: odds ratios"):
        assert part in text
    assert plain.margins is None
    again = found.fits["dsl"].compare(margins=True)
    pd.testing.assert_frame_equal(
        again.margins[again.margins["estimator"] == "dsl"].reset_index(drop=True),
        found.margins[found.margins["estimator"] == "dsl"].reset_index(drop=True),
    )


def test_scales_that_there_are_not(data: pd.DataFrame) -> None:
    with pytest.raises(ArgumentError, match="no ratios in model='lm'"):
        run(data).compare(exponentiate=True)
    with pytest.raises(ArgumentError, match="margins must be True or False"):
        compare("y ~ x", data, margins="yes", **QUICK)
