"""The reference R package, run live on every case: against the frozen files, and against ours stage by stage.

Run by ``make test-r-dsl``. Needs the R package ``dsl``; where it cannot be reached, these tests fail.
"""

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dsl
from dsl.engine.combine import combine_splits
from dsl.engine.sums import moment_sums
from dsl.estimators.again import analysis_of
from dsl.estimators.blocks import Blocks
from dsl.exceptions import ArgumentError, DSLWarning
from dsl.r import ReferenceResult, RLearner, cross_check, from_r, reference_dsl, to_r
from dsl.r.session import run
from dsl.r.verdict import AGREES, DIFFERS, EARLY, KNOWN
from tests.live_r.r import r
from tests.r import seeds
from tests.reference.cases import (
    CASES,
    NAMES,
    R_OPTIM,
    R_OPTIM_SE,
    SAME_ALGEBRA,
    arguments,
    load_expected,
    load_table,
    meat_parts,
)

pytestmark = pytest.mark.live_r_dsl

BY_NAME = {case["name"]: case for case in CASES}
LEAST_SQUARES = [name for name in NAMES if BY_NAME[name]["sl_method"] == "lm"]
DRIFT = 1e-8
"""Relative: the same package, R and data; another BLAS adds in another order."""
DRIFT_OPTIMISER = 1e-6
"""The same for what an optimiser that stops early returns, in standard errors or relative."""
SLIGHTLY = 1e-3
"""Standard errors."""
POWER = 2e-3
"""Predicted standard errors, relative, from Jacobians at parameters that are off by `R_OPTIM`."""


@cache
def live(name: str) -> ReferenceResult:
    """The reference's result on a case, with its power analysis."""
    case = BY_NAME[name]
    return reference_dsl(data=load_table(case["data"]), power=True, **arguments(case))


@cache
def fitted(name: str) -> dsl.DSLResults:
    """Ours on a case, with the folds that the reference drew."""
    case = BY_NAME[name]
    given = {key: value for key, value in arguments(case).items() if key not in ("cross_fit", "sample_split")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DSLWarning)
        return dsl.dsl(data=load_table(case["data"]), folds=live(name).folds, **given)


def assert_close(found: Any, expected: Any, tolerance: float, what: str = "") -> None:
    """Largest difference relative to the largest expected value."""
    a, b = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert a.size == b.size, what
    gap = np.abs(a.ravel() - b.ravel()).max()
    assert gap <= tolerance * np.abs(b).max(), f"{what}: off by {gap:.2e}"


def assert_same_split(found: Any, stored: dict[str, Any], what: str) -> None:
    """One live split against a frozen one."""
    bse = np.atleast_1d(np.asarray(stored["standard_errors"], dtype=float))
    assert np.abs((found.params - np.atleast_1d(stored["coefficients"])) / bse).max() <= DRIFT_OPTIMISER, what
    assert_close(found.bse, bse, DRIFT_OPTIMISER, what)
    assert_close(found.vcov, stored["vcov"], DRIFT_OPTIMISER, what)
    if "row_id" not in stored:
        return
    order = np.argsort(stored["row_id"])
    assert (np.asarray(stored["fold"])[order] - 1 == found.folds).all(), what
    for variable, values in stored["g_hat"].items():
        assert_close(found.predictions[variable], np.asarray(values, dtype=float)[order], DRIFT, f"{what}, {variable}")
    for mine, theirs in (("jacobian", "jacobian"), ("meat_1", "meat_main_1"), ("meat_23", "meat_main_23")):
        if stored[theirs] is not None:
            assert_close(getattr(found, mine), stored[theirs], DRIFT_OPTIMISER, f"{what}, {mine}")
    assert_close(found.rescale, stored["rescale_D"], DRIFT, f"{what}, rescale")


@pytest.mark.parametrize("name", NAMES)
def test_no_drift_from_the_frozen_files(name: str) -> None:
    found, expected = live(name), load_expected(name)
    what = f"{name}; now {dict(found.versions)}, frozen {expected['provenance']}"
    bse = np.atleast_1d(np.asarray(expected["standard_errors"], dtype=float))
    assert list(found.params.index) == list(np.atleast_1d(expected["term_names"])), what
    assert np.abs((found.params - np.atleast_1d(expected["coefficients"])) / bse).max() <= DRIFT_OPTIMISER, what
    assert_close(found.bse, bse, DRIFT_OPTIMISER, what)
    assert_close(found.vcov, expected["vcov"], DRIFT_OPTIMISER, what)
    assert_close(found.rmse.T, expected["rmse"], DRIFT, what)
    assert_close(found.sample_prob, expected["sample_prob_used"], DRIFT, what)
    assert (found.nobs, found.n_labeled, found.equal_prob) == tuple(
        expected[key] for key in ("n_obs", "n_labeled", "equal_prob")
    )
    assert found.summary.splitlines() == expected["summary_text"], what
    assert_close(found.power.index, expected["power"]["labeled_size"], DRIFT, what)
    assert_close(found.power, expected["power"]["predicted_se"], DRIFT_OPTIMISER, what)
    assert len(found.splits) == len(expected["splits"])
    for s, (split, stored) in enumerate(zip(found.splits, expected["splits"], strict=True)):
        assert_same_split(split, stored, f"split {s + 1} of {what}")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("felm")])
def test_jacobian_and_meat_at_the_references_parameters(name: str) -> None:
    """Our sums on its predictions, in its standardised columns. (For felm, tests/reference compares those of dummies.)"""
    theirs, analysis = live(name), analysis_of(fitted(name).core, load_table(BY_NAME[name]["data"]))
    problem = replace(analysis.problem(), labeling=None)
    blocks, order = Blocks(analysis.design, analysis.sample), analysis.design.order
    for split in theirs.splits:
        block = blocks.dsl(split.predictions)
        params = np.empty(len(order))
        params[order] = split.params
        _, jacobian = moment_sums(block, problem, params)
        meats = meat_parts(block, problem, params)
        for ours, stage in zip((jacobian, *meats), (split.jacobian, split.meat_1, split.meat_23), strict=True):
            scaled = split.rescale.T @ ours[np.ix_(order, order)] @ split.rescale / theirs.nobs
            assert_close(scaled, stage, SAME_ALGEBRA)


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_end_to_end_given_folds(name: str) -> None:
    """From the table to the answer, every split, with nothing from R but its folds."""
    theirs, ours = live(name), fitted(name)
    for s, split in enumerate(theirs.splits):
        for v, values in enumerate(split.predictions.values()):
            assert_close(ours.predictions[s, :, v], values, SAME_ALGEBRA)
        assert np.abs((ours.split_params.iloc[s] - split.params) / split.bse).max() <= R_OPTIM
        assert np.abs(ours.split_bse.iloc[s] / split.bse - 1).max() <= R_OPTIM_SE
    assert np.abs((ours.params.to_numpy() - theirs.params.to_numpy()) / theirs.bse.to_numpy()).max() <= R_OPTIM
    assert np.abs(ours.bse.to_numpy() / theirs.bse.to_numpy() - 1).max() <= R_OPTIM_SE


@pytest.mark.parametrize("name", NAMES)
def test_combination(name: str) -> None:
    theirs = live(name)
    splits = theirs.splits
    estimate, vcov = combine_splits(np.stack([s.params for s in splits]), np.stack([s.vcov for s in splits]))
    assert_close(estimate, theirs.params, 1e-12)
    assert_close(vcov, theirs.vcov, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_cross_check_agrees(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = cross_check(fitted(name), load_table(BY_NAME[name]["data"]))
    assert set(table["verdict"]) <= {AGREES, EARLY}, table
    assert (table["moment_ours"] <= table["moment_r"]).all()
    assert list(table.index) == list(live(name).params.index)
    np.testing.assert_allclose(table["r"], live(name).params, rtol=DRIFT)
    printed = capsys.readouterr().out
    assert all(term in printed for term in table.index)
    assert "one-sided" in printed
    if name == "lm_outcome_mean":
        assert "split 1, fold 2" in printed
        assert "splits 2 to 4 are one and the same" in printed
    if name == "lm_outcome_grf":
        assert "all 2 splits are one and the same" in printed


def test_cross_check_of_a_call_in_our_words() -> None:
    """Formula in Python's spelling, polars, a mapping, clusters with a factor, a learner that R has not."""
    data = load_table("clustered").assign(group=lambda d: np.where(d.index % 3 == 0, "b", "a"))
    frame = pl.from_pandas(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DSLWarning)
        fit = dsl.dsl("human_rating ~ C(group) + I(log_words**2)", frame, predicted_var={"human_rating": "vader_compound"},
                      cluster="doc_id", sl_method="ridge", sample_split=2, vcov="CR1")  # fmt: skip
    table = cross_check(fit, frame, show=False)
    assert list(table.index) == ["(Intercept)", "as.factor(group)b", "I(log_words^2)"]
    assert set(table["verdict"]) <= {AGREES, EARLY}, table
    notes = " ".join(table.attrs["notes"])
    assert "ridge; R: lm" in notes
    assert "CR1 factor is left out" in notes


def test_cross_check_names_a_known_difference() -> None:
    """Two-way effects on an unbalanced panel: the reference's additive means are not dummies."""
    panel = load_table("panel").drop(index=range(0, 480, 7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DSLWarning)
        fit = dsl.dsl("y ~ x1 + z | unit + year", panel, model="felm", predicted_var="x1", prediction="pred_x1",
                      sl_method="lm", sample_split=2)  # fmt: skip
    table = cross_check(fit, panel, show=False)
    assert (table["verdict"] == "known difference").any()
    assert table.loc[table["verdict"] == "known difference", "reason"].str.contains("balanced").all()


def test_cross_check_sees_a_wrong_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is able to fail: estimates that are off by less than early stops are not agreed with."""
    from dsl.r import compare

    right = compare.fit_splits

    def wrong(problem: Any, blocks: Any) -> Any:
        solved = right(problem, blocks)
        fits = [replace(fit, params=fit.params + SLIGHTLY * np.sqrt(np.diag(fit.vcov))) for fit in solved.fits]
        return replace(solved, fits=fits)

    monkeypatch.setattr(compare, "fit_splits", wrong)
    name = "logit_cluster_lm"
    table = cross_check(fitted(name), load_table(BY_NAME[name]["data"]), show=False)
    assert (table["verdict"] == DIFFERS).all()


def logicals() -> pd.DataFrame:
    """A predicted logical, and the same as 0 and 1 in other types; a logical covariate, days, levels that are numbers."""
    rng = np.random.default_rng(1)
    rows, x = 800, rng.normal(size=800)
    truth = rng.random(rows) < 0.3
    data = pd.DataFrame(
        {"x": x, "b": x > 0, "llm": truth ^ (rng.random(rows) < 0.1), "y": truth + rng.normal(size=rows)}
    )
    data["g"] = pd.Series(truth, dtype="boolean").where(rng.random(rows) < 0.4)
    data["f"] = data["g"].astype("Int64").astype("category")
    data["level"] = pd.Categorical(rng.choice(["3", "1", "2"], rows), ["3", "1", "2"])
    data["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, rows), unit="D")
    data["month"] = rng.integers(1, 13, rows)
    return data


@pytest.mark.parametrize(
    ("formula", "terms", "more"),
    [
        ("y ~ g * x", ["(Intercept)", "gTRUE", "x", "gTRUE:x"], {}),
        ("y ~ as.numeric(g) + b", ["(Intercept)", "as.numeric(g)", "bTRUE"], {}),
        ("y ~ g * b", ["(Intercept)", "gTRUE", "bTRUE", "gTRUE:bTRUE"], {}),
        ("y ~ g * level", ["(Intercept)", "gTRUE", "level1", "level2", "gTRUE:level1", "gTRUE:level2"], {}),
        ("g ~ x + b", ["(Intercept)", "x", "bTRUE"], {"model": "logit"}),
        ("y ~ f + x", ["(Intercept)", "f1", "x"], {"predicted_var": "f"}),
        ("y ~ g + day", ["(Intercept)", "gTRUE", "day"], {}),
        ("y ~ g + b | month", ["g", "bTRUE"], {"model": "felm"}),
        ("y ~ x + b", ["(Intercept)", "x", "bTRUE"], {"predicted_var": "y", "prediction": "b"}),
    ],
)
def test_cross_check_of_logicals_categories_and_days(formula: str, terms: list[str], more: dict[str, Any]) -> None:
    data = logicals()
    if more.get("predicted_var") == "y":
        data["y"] = data["y"].where(data["g"].notna())
    call = {"predicted_var": "g", "prediction": "llm", "sl_method": "lm", "sample_split": 2} | more
    table = cross_check(dsl.dsl(formula, data, **call), data, show=False)
    assert list(table.index) == terms
    assert set(table["verdict"]) <= {AGREES, EARLY}, table


def test_cross_check_says_where_the_reference_never_left_its_start() -> None:
    """A year and its square: its optimiser stops .3 standard errors from the root of the equation that both have."""
    rng = np.random.default_rng(1)
    data = logicals().assign(year=rng.integers(2000, 2010, 800))
    fit = dsl.dsl("y ~ g + year + I(year^2)", data, predicted_var="g", prediction="llm", sl_method="lm", sample_split=2)
    table = cross_check(fit, data, show=False)
    assert (table["difference_se"].abs() > 0.1).any()
    assert set(table["verdict"]) <= {EARLY, KNOWN}, table
    assert table["reason"].str.contains("optimiser stopped").all()


@pytest.mark.parametrize("model", seeds.MODELS)
def test_seeds_are_as_frozen(model: str) -> None:
    """What the tests without R take for the reference's results, predictions included."""
    for seed in list(seeds.SEEDS)[:2]:
        found = reference_dsl(seeds.FORMULA, seeds.table(seed), model=model, sample_split=seeds.SPLITS, **seeds.CALL)
        frozen = seeds.reference(model, seed)
        for live_split, split in zip(found.splits, frozen.splits, strict=True):
            assert (live_split.folds == split.folds).all()
            assert_close(live_split.predictions["y"], split.predictions["y"], DRIFT)
            assert np.abs((live_split.params - split.params) / split.bse).max() <= DRIFT_OPTIMISER
            assert_close(live_split.vcov, split.vcov, DRIFT_OPTIMISER)


def test_cross_check_refuses_what_r_cannot_do() -> None:
    table = load_table("srs_outcome")
    gold = dsl.dsl("human_rating ~ hedge", table, predicted_var="human_rating", estimator="gold_only")
    with pytest.raises(ArgumentError, match="no estimator 'gold_only'"):
        cross_check(gold, table)
    with pytest.raises(ArgumentError, match="not the data of the fit"):
        cross_check(fitted("lm_outcome_lm"), table.iloc[:-1])


@pytest.mark.parametrize("name", ["lm_cluster_lm", "logit_two_predicted_lm", "felm_twoways_cluster_lm", "lm_groups_lm"])
def test_results_as_an_object_of_r(name: str) -> None:
    ours, theirs = fitted(name), live(name)
    given = to_r(ours)
    text = run("function(x) { loadNamespace('dsl'); summary(x) }", given).printed
    expected = theirs.summary.splitlines()
    assert [line.split()[0] for line in text if line.split()] == [line.split()[0] for line in expected if line.split()]
    power = from_r(run("dsl::power_dsl", dsl_out=given).value)
    assert list(power["labeled_size"]) == theirs.power.index.tolist()
    assert list(power["predicted_se"].columns) == list(theirs.params.index)
    assert_close(power["predicted_se"].iloc[0], ours.bse, DRIFT)
    np.testing.assert_allclose(power["predicted_se"].to_numpy(), theirs.power.to_numpy(), rtol=POWER)


def test_the_package_is_left_as_it_was() -> None:
    code = "function() { e <- asNamespace('dsl'); list(deparse(e$fit_test), deparse(e$dsl_general_moment_est)) }"
    before = [list(part) for part in r(code)]
    reference_dsl(data=load_table("clustered"), **arguments(BY_NAME["lm_cluster_lm"]) | {"sample_split": 1})
    assert [list(part) for part in r(code)] == before


@pytest.mark.parametrize("learner", ["grf", "SL.glmnet", ["SL.lm", "SL.mean"]])
def test_learners_of_r_in_our_crossfitting(learner: Any) -> None:
    data = load_table("srs_outcome").iloc[:1500]
    options = {"num.trees": 100} if learner == "grf" else None
    call = {"predicted_var": "human_rating", "prediction": "vader_compound", "feature": "log_words", "sample_split": 1}
    fit = dsl.dsl("human_rating ~ hedge", data, sl_method=RLearner(learner, options=options), **call)
    again = dsl.dsl("human_rating ~ hedge", data, sl_method=RLearner(learner, options=options), **call)
    plain = dsl.dsl("human_rating ~ hedge", data, sl_method="lm", **call)
    pd.testing.assert_series_equal(fit.params, again.params)
    assert np.abs((fit.params - plain.params) / plain.bse).max() < 1.0
    assert fit.fit_quality["r2"].iloc[0] > 0.0


@pytest.mark.parametrize("stage", ["params", "bse", "vcov", "folds", "predictions", "jacobian", "meat_1", "meat_23"])
def test_a_perturbed_value_fails(stage: str) -> None:
    """The comparison with the frozen files is able to fail: ten times the tolerance is seen in every stage."""
    from dataclasses import replace

    name = "logit_outcome_lm"
    split, stored = live(name).splits[0], load_expected(name)["splits"][0]
    assert_same_split(split, stored, name)
    value = getattr(split, stage)
    if stage == "predictions":
        moved: Any = {key: g + 10 * DRIFT * np.abs(g).max() for key, g in value.items()}
    elif stage == "folds":
        moved = np.roll(value, 1)
    elif stage == "params":
        moved = value + 10 * DRIFT_OPTIMISER * split.bse
    else:
        moved = value + 10 * DRIFT_OPTIMISER * np.abs(value).max()
    with pytest.raises(AssertionError):
        assert_same_split(replace(split, **{stage: moved}), stored, name)
