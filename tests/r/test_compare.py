"""Our terms beside R's, without R: names that look alike, words that only Python has, every frozen case."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dsl.engine.combine import combine_splits
from dsl.exceptions import DSLError
from dsl.r import ReferenceResult, compare
from dsl.r.compare import pair_terms
from dsl.r.reference import r_formula, r_words, reference_dsl
from dsl.r.verdict import AGREES, DIFFERS, EARLY, KNOWN
from tests.learners.text.words import worded
from tests.posts import posts, run
from tests.r import seeds
from tests.reference.cases import NAMES, load_expected
from tests.reference.test_reference import Stage


@pytest.mark.parametrize("twin", ["xfactor", "factorx", "as_x", "x_", "x.", "Cx"])
def test_columns_whose_names_look_alike_stay_apart(twin: str) -> None:
    """Both used to be paired with the last of the two, silently."""
    assert pair_terms(["(Intercept)", "x", twin], ["(Intercept)", "x", twin]) == [0, 1, 2]
    assert pair_terms(["(Intercept)", twin, "x"], ["(Intercept)", "x", twin]) == [0, 2, 1]


def test_a_fit_with_such_columns() -> None:
    data = posts()
    fit = run(data.assign(xfactor=data["x"] ** 3), "y ~ x + xfactor + C(g) + I(x**2)")
    theirs = ["(Intercept)", "x", "xfactor", "as.factor(g)b", "as.factor(g)c", "I(x^2)"]
    assert pair_terms(fit.names_r, theirs) == list(range(6))


def test_a_level_that_looks_like_a_call_is_left_alone() -> None:
    assert pair_terms(["factor(g)C(x)", "factor(g)a**b"], ["factor(g)a**b", "factor(g)C(x)"]) == [1, 0]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["x", "z"], ["x"]),
        (["x", "z"], ["x", "factor(z)"]),
        (["x", "x"], ["x", "x"]),
        (["C(g)b", "as_factor(g)b"], ["as.factor(g)b", "z"]),
    ],
    ids=["fewer", "another", "twice", "one and the same in R"],
)
def test_other_terms_are_refused(ours: list[str], theirs: list[str]) -> None:
    with pytest.raises(DSLError, match="the formula has other terms in R"):
        pair_terms(ours, theirs)


def test_models_that_the_reference_lacks() -> None:
    """Said before R is looked for."""
    data = posts()
    fit = run(data, "y ~ x", model="poisson")
    with pytest.raises(DSLError, match="the reference has no model 'poisson', only lm, logit, felm"):
        compare.cross_check(fit, data)
    with pytest.raises(DSLError, match="poisson"):
        reference_dsl("y ~ x", data, predicted_var="y", prediction="llm", model="poisson")


@pytest.mark.parametrize("name", NAMES)
def test_terms_of_the_frozen_cases(name: str) -> None:
    terms = load_expected(name)["term_names"]
    assert pair_terms(Stage(name, 0).design.covariates.r_names, terms) == list(range(len(terms)))


def test_words_of_the_formula_and_of_its_terms_are_the_same() -> None:
    assert r_formula("y ~ C(g) + as_factor(h) + I(x**2) | unit + year")[0] == "y ~ as.factor(g) + as.factor(h) + I(x^2)"
    assert r_words("C(g)b") == r_words("as_factor(g)b") == "as.factor(g)b"
    assert r_words("AC(g) + has_factor(h)") == "AC(g) + has_factor(h)"


CALLS = [(model, seed) for model in seeds.MODELS for seed in seeds.SEEDS]


def checked(monkeypatch: pytest.MonkeyPatch, model: str, seed: int, result: ReferenceResult) -> pd.DataFrame:
    """The cross-check of a fit against `result`, in the place of R."""
    monkeypatch.setattr(compare, "reference_dsl", lambda *_, **__: result)
    return compare.cross_check(seeds.fitted(model, seed), seeds.table(seed), show=False)


def moved(result: ReferenceResult, distance: float, term: int) -> ReferenceResult:
    """The same with a coefficient that is off in every split, and so together, by standard errors."""
    splits = []
    for split in result.splits:
        params = split.params.copy()
        params[term] += distance * split.bse[term]
        splits.append(replace(split, params=params))
    estimate, vcov = combine_splits(np.stack([s.params for s in splits]), np.stack([s.vcov for s in splits]))
    terms = result.params.index
    return replace(
        result,
        splits=tuple(splits),
        params=pd.Series(estimate, terms),
        bse=pd.Series(np.sqrt(np.diag(vcov)), terms),
    )


@cache
def early(model: str, seed: int) -> pd.DataFrame:
    """The verdict on R's own results."""
    with pytest.MonkeyPatch.context() as patch:
        return checked(patch, model, seed, seeds.reference(model, seed))


@pytest.mark.parametrize(("model", "seed"), CALLS)
def test_an_early_stop_is_no_difference(model: str, seed: int) -> None:
    table = early(model, seed)
    assert set(table["verdict"]) <= {AGREES, EARLY}, table
    assert (table["moment_ours"] <= table["moment_r"]).all()
    assert (table["moment_r"] <= 1e-4).all()


def test_distances_do_not_tell() -> None:
    """Early stops move estimates and standard errors by more than the real differences that the next test finds."""
    tables = [early(*call) for call in CALLS]
    assert max(table["se_difference"].abs().max() for table in tables) > 1e-4
    assert max(table["worst_split_se"].max() for table in tables) > 2e-3


@pytest.mark.parametrize(("model", "seed"), CALLS)
def test_a_real_difference_is_found(monkeypatch: pytest.MonkeyPatch, model: str, seed: int) -> None:
    """One coefficient of R's is off by .001 standard errors, less than in most early stops: each term of every call."""
    for term in range(6):
        table = checked(monkeypatch, model, seed, moved(seeds.reference(model, seed), 1e-3, term))
        assert table["verdict"].iloc[term] == DIFFERS, table
        assert "different equations" in table["reason"].iloc[term]


def test_results_that_are_not_those_of_the_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    result = seeds.reference("logit", 0)
    off = replace(result, params=result.params + 1e-5 * result.bse)
    table = checked(monkeypatch, "logit", 0, off)
    assert (table["verdict"] == DIFFERS).all()
    assert table["reason"].str.contains("combines its splits otherwise").all()
    table = checked(monkeypatch, "logit", 0, replace(off, nearest=True))
    assert (table["verdict"] == KNOWN).all()
    assert table["reason"].str.contains("nearPD").all()


def test_other_predictions_are_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference's parameters belong to its predictions: those of one row are off by a tenth."""
    result = seeds.reference("lm", 3)
    values = result.splits[0].predictions["y"].copy()
    values[0] += 0.1
    first = replace(result.splits[0], predictions={"y": values})
    table = checked(monkeypatch, "lm", 3, replace(result, splits=(first, *result.splits[1:])))
    assert (table["verdict"] == DIFFERS).all()


def test_moments_are_printed_beside_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "reference_dsl", lambda *_, **__: seeds.reference("logit", 1))
    table = compare.cross_check(seeds.fitted("logit", 1), seeds.table(1))
    printed = capsys.readouterr().out.splitlines()
    assert re.search(r"moment ours +moment R +verdict", printed[1])
    row = next(line for line in printed if line.startswith("partyleft"))
    assert f"{table.loc['partyleft', 'moment_r']:.0e}" in row
    assert EARLY in row
    (reason,) = (line for line in printed if line.startswith("- R's optimiser"))
    assert f"{table['moment_r'].max():.1e}" in reason
    assert f"{table['moment_ours'].max():.1e}" in reason
    assert "please report" not in "\n".join(printed)


def test_names_where_logicals_are_numbers() -> None:
    flags = {"g": ("FALSE", "TRUE"), "f": ("0", "1")}
    names = ["(Intercept)", "gTRUE", "x:gTRUE", "f1:gTRUE", "bTRUE", "gg"]
    assert compare._number_names(names, flags) == ["(Intercept)", "g", "x:g", "f:g", "bTRUE", "gg"]
    assert compare._number_names(names, {}) == names


def test_the_reference_reads_no_texts() -> None:
    data = worded()
    with pytest.raises(DSLError, match="the reference reads no texts; refit without text='body'"):
        compare.cross_check(run(data, text="body", sl_method="tfidf"), data)
