"""Tests of terms against statsmodels: with every row labelled by itself, the naive fit is a regression with HC0."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from formulaic import Formula

import dsl
from dsl.exceptions import ArgumentError
from tests.posts import run

pytestmark = pytest.mark.numeric
ROUNDING = 1e-6  # chi-squares of sandwich covariances that two packages build


def parties() -> pd.DataFrame:
    """300 rows whose surrogate is taken for the truth."""
    rng = np.random.default_rng(8)
    party, x = rng.choice(["left", "mid", "right"], 300), rng.normal(size=300)
    llm = (x + (party == "mid") + rng.normal(size=300) > 0.3).astype(float)
    y = pd.Series(llm).where(rng.random(300) < 0.4)
    return pd.DataFrame({"y": y, "llm": llm, "x": x, "party": party, "year": rng.integers(2001, 2005, 300)})


FORMULAS = [
    ("y ~ x + party", "y ~ x + party", "party"),
    ("y ~ x * C(party, contr.sum)", "y ~ x * C(party, Sum)", "C(party, contr.sum)"),
    ("y ~ 0 + party + x", "y ~ 0 + party + x", "party"),
    ("y ~ x + factor(year)", "y ~ x + C(year)", "factor(year)"),
    ("y ~ x + C(party, contr.helmert)", "y ~ x + C(party, Helmert)", "C(party, contr.helmert)"),
]


def pairs(formula: str, theirs: str) -> Iterator[tuple[object, object]]:
    data = parties()
    truth = data.assign(y=data["llm"])
    yield run(data, formula, estimator="naive"), smf.ols(theirs, truth).fit(cov_type="HC0")


@pytest.mark.parametrize(("formula", "theirs", "term"), FORMULAS)
def test_terms_are_tested_as_statsmodels_does(formula: str, theirs: str, term: str) -> None:
    for fit, other in pairs(formula, theirs):
        ours, reference = fit.wald_test_terms().table, other.wald_test_terms().table
        assert len(ours) == len(reference)
        ours, reference = (t.sort_values("statistic").to_numpy(dtype=float) for t in (ours, reference))
        np.testing.assert_allclose(ours, reference, rtol=ROUNDING, atol=1e-12)
        assert fit.df_model == other.df_model
        found = fit.t_test_pairwise(term, method=["hs", "bonferroni"])
        name = next(t for t in other.wald_test_terms().table.index if t.startswith(("party", "C(")))
        expected = other.t_test_pairwise(name, method=["hs", "bonferroni"])
        assert list(found.result_frame.index) == list(expected.result_frame.index)
        assert list(found.result_frame) == list(expected.result_frame)
        np.testing.assert_allclose(
            found.result_frame.to_numpy(dtype=float),
            expected.result_frame.to_numpy(dtype=float),
            rtol=ROUNDING,
            atol=1e-9,
        )


def test_formulaics_objects_have_terms_too() -> None:
    data = parties()
    ours = run(data, Formula("y ~ x + C(party, contr.sum)"), estimator="naive")
    same = run(data, "y ~ x + C(party, contr.sum)", estimator="naive")
    pd.testing.assert_frame_equal(ours.wald_test_terms().table, same.wald_test_terms().table)
    name = "C(party, contr.sum)"
    pd.testing.assert_frame_equal(ours.t_test_pairwise(name).result_frame, same.t_test_pairwise(name).result_frame)


def test_options() -> None:
    fit = run(parties(), "y ~ x * party", use_t=True)
    table = fit.wald_test_terms(
        skip_single=True, combine_terms=["x"], extra_constraints=[("both", np.eye(6)[[1, 2]])]
    ).table
    assert list(table.index) == ["party", "x:party", "x", "both"]
    assert table["df_constraint"].tolist() == [2, 2, 3, 2]
    assert (table["df_denom"] < 300).all()
    frame = fit.t_test_pairwise("party", alpha=0.5, factor_labels=["L", "M", "R"]).result_frame
    assert list(frame.index) == ["M-L", "R-L", "R-M"]
    half = fit.t_test_pairwise("party", alpha=0.05).result_frame
    assert (frame["Conf. Int. Upp."].to_numpy() < half["Conf. Int. Upp."].to_numpy()).all()


def test_a_categorical_outcome_has_terms_for_each_category() -> None:
    data = parties()
    data["topic"] = data["party"].where(data["y"].notna())
    data["z"] = np.where(data["x"] > 0.5, "u", np.where(data["x"] > -0.5, "v", "w"))
    fit = run(data, "topic ~ z", predicted_var="topic", prediction="party")
    table = fit.wald_test_terms(skip_single=True).table
    assert list(table.index) == ["topic[left]:z", "topic[mid]:z", "topic[right]:z"]
    mid = fit.t_test_pairwise("topic[mid]:z")
    np.testing.assert_allclose(mid.result_frame["coef"].iloc[0], fit.params["topic[mid]:z[T.v]"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: f.t_test_pairwise("x"), "'x' is no category by itself.*the terms with categories are 'party'"),
        (lambda f: f.t_test_pairwise("x:party"), "'x:party' is no category by itself"),
        (lambda f: f.t_test_pairwise("Party"), "'Party' is no term"),
        (lambda f: f.t_test_pairwise("party", method="tukey"), "method 'tukey'.*bonferroni"),
        (lambda f: f.t_test_pairwise("party", alpha=2), "alpha must lie between 0 and 1"),
        (lambda f: f.t_test_pairwise("party", factor_labels=["a"]), "1 labels; 'party' has 3 categories"),
        (lambda f: f.wald_test_terms(combine_terms=["q"]), "no term has 'q' in its name"),
        (lambda f: f.wald_test_terms(extra_constraints=[("a", np.eye(3))]), "matrix with 6 columns"),
    ],
)
def test_what_cannot_be_tested_is_said(call: object, words: str) -> None:
    fit = run(parties(), "y ~ x * party")
    with pytest.raises(ArgumentError, match=words):
        call(fit)  # type: ignore[operator]


def test_numbers_alone_have_no_pairs() -> None:
    fit: dsl.DSLResults = run(parties())
    with pytest.raises(ArgumentError, match="the formula has no term with categories"):
        fit.t_test_pairwise("party")
