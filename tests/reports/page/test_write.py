"""The report: sound markup, the fit's own numbers, code that gives them again, the right sources, nothing private."""

import datetime
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.reports.comparison import compare_fit
from dsl.reports.diagnostics import diagnose
from dsl.reports.page import data_fingerprint, markup, methods, report_html, write_report
from tests.pages import Page
from tests.posts import posts, run

DATE = "2026-01-31"
POSTS = posts()


def doubled(values: pd.Series) -> pd.Series:
    """For formulas."""
    return 2 * values


@pytest.fixture(scope="module")
def fit() -> Any:
    return run(POSTS, "y ~ x + g", model="logit", cluster="cl", sample_prob="pi", sample_split=2)


@pytest.fixture(scope="module")
def whole(fit: Any) -> Page:
    return Page(report_html(fit, POSTS, date=DATE))


@pytest.fixture(scope="module")
def bare(fit: Any) -> str:
    """Without data: quick."""
    return report_html(fit, date=DATE)


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick pictures, for tests that are not about them."""
    monkeypatch.setattr("dsl.reports.page.figures._svg", lambda draw, size, salt: "PHN2Zy8+")


quickly = pytest.mark.usefixtures("no_drawing")


def numbers(page: Page, table: str) -> np.ndarray:
    """Values behind a table's number cells, in full."""
    return np.array([[float(v or "nan") for _, v in row if v is not None] for row in page.tables[table][1:]])


# --- what the page shows


def test_page_is_sound_and_has_every_section(whole: Page) -> None:
    assert [s["id"] for s in whole.of("section")] == [
        "design",
        "estimates",
        "comparison",
        "diagnostics",
        "methods",
        "rerun",
    ]
    assert len(whole.of("img")) == 4  # estimates, comparison, calibration, weights
    assert {given["href"] for given in whole.of("a")} == {"#content", *(f"#{s['id']}" for s in whole.of("section"))}


def test_estimates_are_those_of_the_fit(whole: Page, fit: Any) -> None:
    expected = fit.tidy()[["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]]
    np.testing.assert_array_equal(numbers(whole, "estimates-table"), expected)
    assert [row[0][0] for row in whole.tables["estimates-table"][1:]] == fit.params.index.tolist()


def test_comparison_is_that_of_compare_fit(whole: Page, fit: Any) -> None:
    found = compare_fit(fit, POSTS)
    columns = ["estimate", "std_error", "p_value", "conf_low", "conf_high", "effective_labels"]
    np.testing.assert_array_equal(numbers(whole, "comparison-table"), found.table[columns])
    assert all(sentence in whole.words for sentence in found.sentences)
    assert str(found.hausman) in whole.words


def test_diagnostics_are_those_of_diagnose(whole: Page, fit: Any) -> None:
    found = diagnose(fit, POSTS)
    np.testing.assert_array_equal(numbers(whole, "checks-table"), found.checks[["value", "threshold"]])
    for row in found.checks[found.checks["status"] != "ok"].itertuples():
        assert row.remedy in whole.words
    assert {f"detail-{name}" for name in found.details} <= set(whole.tables)


@quickly
def test_other_scales_have_tables(fit: Any) -> None:
    page = Page(report_html(fit, POSTS, exponentiate=True, margins=True, compare=False, diagnose=False))
    columns = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    np.testing.assert_array_equal(numbers(page, "ratios-table"), fit.tidy(exponentiate=True)[columns])
    effects = fit.get_margeff(data=POSTS)
    np.testing.assert_array_equal(numbers(page, "margins-table"), effects.tidy()[columns])
    assert "Odds ratios" in page.words
    assert [row[0][0] for row in page.tables["margins-table"][1:]] == list(effects.terms)
    with pytest.raises(e.ArgumentError, match="margins needs the data"):
        report_html(fit, margins=True)
    with pytest.raises(e.ArgumentError, match="no ratios in model='lm'"):
        report_html(run(POSTS), exponentiate=True)


@quickly
def test_alpha_moves_intervals(fit: Any) -> None:
    page = Page(report_html(fit, alpha=0.1))
    np.testing.assert_array_equal(numbers(page, "estimates-table")[:, -2:], fit.conf_int(0.1))
    assert "90% confidence intervals" in page.words


@quickly
def test_tuned_fit_shows_lambda(fit: Any) -> None:
    tuned = run(POSTS, "y ~ x", tune="coef")
    page = Page(report_html(tuned))
    np.testing.assert_array_equal(numbers(page, "tuning-table"), tuned.tuning)


@quickly
def test_naive_fit_says_that_it_is_not_valid() -> None:
    page = Page(report_html(run(POSTS, estimator="naive"), POSTS, estimators="gold_only"))
    assert "Not a valid analysis" in page.words
    assert "they make no errors" in page.words.lower()


@quickly
@pytest.mark.parametrize("estimator", ["gold_only", "dsl+", "ppi", "ppi++", "cdi"])
def test_every_estimator_has_a_page(estimator: str) -> None:
    page = Page(report_html(run(POSTS, "y ~ x", estimator=estimator), POSTS, estimators=["naive", "gold_only"]))
    assert {"comparison-table", "checks-table"} <= set(page.tables)


@quickly
def test_categories() -> None:
    names = {0.0: "no & <b>never</b>", 1.0: 'yes "always"'}
    data = POSTS.assign(y=POSTS["y"].map(names).astype("category"), llm=POSTS["llm"].map(names).astype("category"))
    fit = run(data, "x ~ y + g")
    page = Page(report_html(fit, data, compare=False))
    assert [row[0][0] for row in page.tables["estimates-table"][1:]] == fit.params.index.tolist()
    assert any('yes "always"' in name for name in fit.params.index)


# --- nothing from outside gets in as markup, nothing private gets out


def test_markup_in_texts_is_shown_not_run(fit: Any) -> None:
    page = Page(report_html(fit, title='<script>alert("x")</script> & more', date="<img src=x>"))
    assert '<script>alert("x")</script> & more' in page.words
    assert len(page.of("script")) == 1
    assert len(page.of("img")) == 3  # estimates, calibration, weights


def test_policy_lets_in_only_the_page_s_own_style_and_script(whole: Page) -> None:
    policy = next(m["content"] for m in whole.of("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert policy.count("sha256-") == 2
    assert "unsafe" not in policy


@quickly
def test_no_paths(fit: Any, tmp_path: Path) -> None:
    text = write_report(fit, tmp_path / "report.html", POSTS, compare=False).read_text(encoding="utf-8")
    for private in (tmp_path, Path.cwd(), Path(dsl.__file__).parent, Path(sys.prefix), Path(__file__).parent):
        assert str(private) not in text


def test_the_same_but_for_the_date(fit: Any, bare: str, whole: Page) -> None:
    assert report_html(fit, POSTS, date=DATE) == whole.source
    assert report_html(fit, date=datetime.date(2026, 2, 28)) == bare.replace(DATE, "2026-02-28")
    assert report_html(fit, date="") == bare.replace(f", {DATE}", "")
    assert f"{datetime.date.today().year}-" in Page(report_html(fit)).words


# --- code


CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cluster, learner, folds": {"cluster": "cl", "sl_method": "ridge", "cross_fit": 4, "sample_split": 2, "seed": 7},
    "sampling probability": {"sample_prob": "pi", "model": "logit", "vcov": "HC1"},
    "labelled column": {"labeled": "lab", "feature": ["words", "z"]},
    "fixed effects by index": {"formula": "y ~ x", "model": "felm", "index": ["g", "cl"], "fixed_effect": "twoways"},
    "fixed effects by formula": {"formula": "y ~ x | g + z", "model": "felm"},
    "stack": {"sl_method": ["lm", "knn"], "feature": "words"},
    "dsl+": {"formula": "x ~ y + words", "estimator": "dsl+"},
    "number for lambda": {"tune": 0.5},
    "ppi++": {"estimator": "ppi++"},
    "finite": {"target": "finite", "estimator": "gold_only"},
    "auto": {"sl_method": "auto", "family": "binomial"},
}


@quickly
@pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS)
def test_code_gives_the_same_numbers(arguments: dict[str, Any]) -> None:
    fit = run(POSTS, **arguments)
    again = executed(report_html(fit, POSTS, compare=False, diagnose=False), POSTS)
    pd.testing.assert_series_equal(again.params, fit.params, check_exact=True)
    pd.testing.assert_series_equal(again.bse, fit.bse, check_exact=True)


def executed(source: str, data: Any, **yours: Any) -> Any:
    """The fit that the page's code makes, once its placeholders are filled."""
    code = Page(source).code
    names: dict[str, Any] = {}
    for name in ("data", *yours):
        assert f"\n{name} = ...  # " in code
        code = code.replace(f"\n{name} = ...", f"\n{name} = given[{name!r}]")
    assert "= ..." not in code
    exec(code.replace("print(fit.summary())", ""), names | {"given": {"data": data, **yours}}, names)
    return names["fit"]


@quickly
def test_code_names_what_must_be_supplied() -> None:
    from sklearn.linear_model import LinearRegression

    shift, rng = 3.0, np.random.default_rng(0)
    folds = rng.permutation(np.arange(len(POSTS)) % 4)[None]
    learner = LinearRegression()
    formula = "y ~ doubled(x) + I(words * shift)"
    fit = dsl.dsl(formula, POSTS, predicted_var="y", prediction="llm", sl_method=learner, folds=folds)
    page = report_html(fit, POSTS, compare=False, diagnose=False)
    assert "shift = 3.0" in Page(page).code
    again = executed(page, POSTS, doubled=doubled, learner=learner, folds=folds)
    pd.testing.assert_series_equal(again.params, fit.params, check_exact=True)
    assert shift == 3.0


@quickly
@pytest.mark.parametrize("estimator", ["dsl", "ppi"])
def test_code_with_more_surrogates_than_variables(estimator: str) -> None:
    data = POSTS.assign(second=1 - POSTS["llm"])
    which = {"y": "llm"}
    fit = run(data, predicted_var=which, prediction=["second", "llm"], estimator=estimator)
    page = report_html(fit, data, estimators="naive", diagnose=False)
    pd.testing.assert_series_equal(executed(page, data).params, fit.params, check_exact=True)


@quickly
def test_design_in_text_and_code() -> None:
    truth = POSTS.assign(y=POSTS["llm"])
    design = dsl.sampling.bernoulli(truth, prob="pi", seed=4)
    data = truth.assign(y=truth["y"].where(design.drawn))
    fit = run(data, design=design, target="finite", feature="x", estimator="gold_only")
    page = report_html(fit, data, estimators=["dsl"])
    assert "drawn independently of each other with known probabilities" in Page(page).words
    again = executed(page, data, design=design)
    pd.testing.assert_series_equal(again.bse, fit.bse, check_exact=True)


@quickly
def test_code_checks_the_data() -> None:
    source = report_html(run(POSTS), POSTS, compare=False, diagnose=False)
    with pytest.raises(AssertionError):
        executed(source, POSTS.assign(x=POSTS["x"] + 1e-9))
    executed(source, POSTS.assign(words=0))  # no part of the analysis


def test_fingerprint_is_that_of_the_columns() -> None:
    columns = ["y", "llm", "g"]
    first = data_fingerprint(POSTS, columns)
    assert first == data_fingerprint(POSTS[["g", "llm", "y", "x"]].copy(), columns)
    assert first != data_fingerprint(POSTS, columns[::-1])
    assert first != data_fingerprint(POSTS.set_axis(POSTS.index + 1), columns)


# --- methods


CITED = {
    "dsl": {"DSL-2023", "DSL-2024", "DML"},
    "dsl+": {"DSL-2023", "DSL-2024", "DML", "RRZ", "PPI++", "ALLEN", "MW", "HAJEK", "SAT"},
    "ppi": {"PPI"},
    "ppi++": {"PPI", "PPI++"},
    "cdi": {"CDI", "PPI++", "ALLEN", "MW", "HAJEK", "SAT"},
    "gold_only": {"HT"},
    "naive": set(),
}


@pytest.mark.parametrize("estimator", CITED)
def test_methods_cite_what_was_used_and_nothing_else(estimator: str) -> None:
    fit = run(POSTS, estimator=estimator, sample_split=2)
    found = methods.describe(fit.core, alpha=0.05, comparison=None, version="1")
    assert set(found.references) == {methods.SOURCES[key].full for key in CITED[estimator]}
    for reference in found.references:  # every one of them is in the text, by name and year
        assert reference.split(",")[0] in found.paragraphs[0]
        assert reference.split("(")[1][:4] in found.paragraphs[0]


def test_methods_have_the_numbers_of_the_analysis(fit: Any) -> None:
    data = POSTS.assign(x=POSTS["x"].mask(POSTS.index < 3))
    with pytest.warns(e.DroppedRowsWarning):
        short = run(data, "y ~ x", cross_fit=4, sample_split=3)
    words = methods.describe(short.core, alpha=0.05, comparison=None, version="0.1.0").paragraphs[0]
    labels = short.n_labeled
    for part in (
        "on 197 rows (3 of 200 rows left out; missing values per column: 'x' (3))",
        f"labelled by experts on {labels} of them ({labels / 197:.1%})",
        "taken for a simple random sample",
        "4 folds; this was repeated with 3 divisions",
        "version 0.1.0 (seed 1234)",
    ):
        assert part in words
    clustered = methods.describe(fit.core, alpha=0.05, comparison=None, version="1")
    assert "clustered by cl (20 clusters; Liang and Zeger, 1986)" in clustered.paragraphs[0]
    low, high = fit.sample.sample_prob.min(), fit.sample.sample_prob.max()
    assert f"known probabilities (pi) between {low:.3g} and {high:.3g}" in clustered.paragraphs[0]
    assert f"SE {fit.bse['x']:.3f}" in clustered.paragraphs[1]


@quickly
def test_strata_are_named_and_fixed_sizes_are_not_called_rescaled() -> None:
    truth = POSTS.assign(y=(POSTS["x"] > 0) * 1.0, late=POSTS["words"] > 30).drop(columns="pi")
    design = dsl.sampling.stratified(truth, 60, by=["g", "late"], allocation="equal", seed=4)
    data = truth.assign(y=truth["y"].where(design.drawn))
    fit = run(data, design=design)
    page = Page(report_html(fit, data, compare=False, diagnose=False))
    rows = {cells[0][0]: [value for _, value in cells[1:]] for cells in page.tables["strata-table"][1:]}
    sizes = truth.groupby(["g", "late"]).size()
    assert list(rows) == [f"{g}, {late}" for g, late in sizes.index]
    assert [[float(value or "nan") for value in row] for row in rows.values()] == [
        [size, 10.0, pytest.approx(10 / size)] for size in sizes
    ]
    assert "Strata by" in page.words
    assert "g, late" in page.words
    assert "with known probabilities between" in page.words
    assert "rescaled" not in page.words
    # a part of the rows has a random number of labels, and so have rows whose probabilities are stated alone
    part = data[data["words"] > 20]
    for other in (run(part, design=design.subset(part.index)), run(POSTS, sample_prob="pi")):
        assert "rescaled so that" in methods.labelling(other.core)[0]


def test_finite_population_is_said() -> None:
    found = methods.describe(run(POSTS, target="finite").core, alpha=0.05, comparison=None, version="1")
    assert "these 200 rows as a finite population" in found.paragraphs[0]


# --- what is not there


def test_without_data_it_says_so(bare: str) -> None:
    page = Page(bare)
    assert page.words.count("it needs the data") == 2
    assert "comparison-table" not in page.tables
    assert "fingerprint" not in page.words.lower()


@quickly
def test_after_remove_data_it_says_so(tmp_path: Path) -> None:
    fit = run(POSTS, "y ~ x")
    fit.remove_data()
    page = Page(report_html(fit, POSTS))
    assert page.words.count("remove_data() dropped the rows") == 2
    assert "Fingerprint" in page.words


@quickly
def test_sections_that_are_not_wanted(fit: Any) -> None:
    page = Page(report_html(fit, POSTS, compare=False, diagnose=False))
    assert [s["id"] for s in page.of("section")] == ["design", "estimates", "methods", "rerun"]


def test_without_matplotlib(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = Page(report_html(fit, POSTS, compare=False))
    assert page.words.count('pip install "dsl[plot]"') == 3
    assert not page.of("img")


def test_unwrapped_results_do_as_well(fit: Any, bare: str) -> None:
    assert report_html(fit._results, date=DATE) == bare


def test_long_tables_are_cut_and_say_so() -> None:
    frame = pd.DataFrame({"n": range(markup.MOST_ROWS + 1), "yes": True, "x": np.nan, "name": None})
    page = markup.frame_table("t", "Rows", frame)
    assert page.count("<tr>") == markup.MOST_ROWS + 1
    assert f"first {markup.MOST_ROWS} of 101 rows" in page


# --- errors


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "path is no page": ({"path": "report.pdf"}, "must end in .html"),
    "path is no path": ({"path": 3}, "found int"),
    "no folder": ({"path": "nowhere/report.html"}, "no folder 'nowhere'"),
    "other data": ({"data": POSTS.iloc[:-1]}, "not the data of the fit"),
    "alpha": ({"alpha": 2}, "alpha"),
    "date": ({"date": 2026}, "found int"),
    "estimators without data": ({"data": None, "estimators": "naive"}, "estimators is for sections that need the data"),
    "by without diagnostics": ({"by": "z", "diagnose": False}, "pass diagnose=True, or leave by out"),
    "by unknown": ({"by": "zz"}, "'zz'"),
    "unknown option": ({"colour": "red"}, "has no argument 'colour'"),
}


@quickly
@pytest.mark.parametrize(("changed", "message"), BAD.values(), ids=BAD)
def test_errors(fit: Any, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(e.ArgumentError, match=message.replace("(", r"\(")):
        write_report(**{"fit": fit, "path": tmp_path / "report.html", "data": POSTS, **changed})
    assert not list(tmp_path.iterdir())


def test_fit_must_be_one() -> None:
    with pytest.raises(e.ArgumentError, match=r"what dsl\.dsl returns; found DataFrame"):
        report_html(POSTS)
    with pytest.raises(e.ArgumentError, match="no argument 'titel'"):
        report_html(POSTS, titel="x")


def test_older_page_is_replaced_as_a_whole_or_stays(fit: Any, bare: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(e.ArgumentError):
        write_report(fit, path, POSTS.iloc[:-1])
    assert path.read_text(encoding="utf-8") == "old"
    assert write_report(fit, str(path), date=DATE) == path
    assert path.read_text(encoding="utf-8") == bare
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</main>", ""),
        ('id="methods"', 'id="design"'),
        ('href="#methods"', 'href="#method"'),
        ("data:image/svg+xml;base64,", "https://example.org/"),
    ],
)
def test_the_check_of_pages_finds_mistakes(bare: str, old: str, new: str) -> None:
    assert old in bare
    with pytest.raises(AssertionError):
        Page(bare.replace(old, new, 1))
