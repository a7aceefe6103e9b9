"""Regression tables: every figure that of the fit, in every format; and the table makers of other packages on our fits."""

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col

from dsl.exceptions import ArgumentError, MissingDependencyError
from dsl.reports.escaping import latex_text
from dsl.reports.tables import RegressionTable, table
from tests.posts import posts, run


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    data = posts()
    return {
        "naive": run(data, estimator="naive"),
        "logit_z": run(data, "y ~ x + I(z^2)", model="logit"),
        "fe": run(data, "y ~ x | g", model="felm", cluster="cl", vcov="CR1"),
    }


@pytest.fixture(scope="module")
def made(fits: dict[str, Any]) -> RegressionTable:
    return table(fits, stars=True, title="Posts & more")


def test_cells_are_those_of_the_fits(fits: dict[str, Any], made: RegressionTable) -> None:
    frame = made.frame()
    assert list(frame.columns) == list(fits)
    for name, fit in fits.items():
        for term in fit.params.index:
            place = frame.index.get_loc(term)
            p = fit.pvalues[term]
            stars = "*" * sum(bool(p < level) for level in (0.05, 0.01, 0.001))
            assert frame[name].iloc[place] == f"{fit.params[term]:.3f}{stars}"
            assert frame[name].iloc[place + 1] == f"({fit.bse[term]:.3f})"
    assert frame["fe"].iloc[0] == ""  # no intercept there
    assert frame.loc["Labelled"].tolist() == ["not used", "80", "80"]
    assert frame.loc["Clusters", "fe"] == "20 (cl)"
    assert frame.loc["Std. errors"].tolist() == ["", "", "CR1"]
    assert frame.loc["Fixed effects", "fe"] == "g"
    assert made.outcomes == ("y", "y", "y")
    assert any(note.startswith("naive:") for note in made.notes)


@pytest.mark.parametrize("stat", ["se", "ci", "z", "p"])
def test_what_stands_below(stat: str, fits: dict[str, Any]) -> None:
    fit = fits["logit_z"]
    frame = table(fit, stat=stat, digits=4, alpha=0.1).frame()
    low, high = fit.conf_int(0.1).loc["x"]
    expected = {
        "se": f"({fit.bse['x']:.4f})",
        "ci": f"[{low:.4f}, {high:.4f}]",
        "z": f"({fit.tvalues['x']:.4f})",
        "p": f"({fit.pvalues['x']:.4f})",
    }
    assert frame.iloc[frame.index.get_loc("x") + 1, 0] == expected[stat]
    if stat == "ci":
        assert table(fit, stat=stat, alpha=0.1).notes[0] == "90% confidence intervals in brackets."


def test_small_p_values_are_not_zero(fits: dict[str, Any]) -> None:
    assert "(<0.001)" in table(fits["naive"], stat="p").as_text()
    assert "($<$0.001)" in table(fits["naive"], stat="p").as_latex()


def test_small_figures_keep_digits() -> None:
    data = posts().assign(big=lambda d: d["x"] * 1000)
    fit = run(data, "y ~ big")
    assert table(fit).frame().loc["big", "(1)"] == f"{fit.params['big']:#.3g}"


def test_terms_are_chosen_and_renamed(fits: dict[str, Any]) -> None:
    chosen = table(fits, terms={"x": "Exposure"})
    assert chosen.frame().index[:2].tolist() == ["Exposure", ""]
    assert "Not shown: Intercept, I(z ** 2)." in chosen.notes


def test_beside_an_ordinary_regression(fits: dict[str, Any]) -> None:
    ordinary = smf.ols("y ~ x", posts().dropna()).fit()
    frame = table([fits["naive"], ordinary], names=["ours", "OLS"]).frame()
    assert frame.loc["x", "OLS"] == f"{ordinary.params['x']:.3f}"
    assert frame.loc["Model"].tolist() == ["lm", "OLS"]
    assert frame.loc["Rows", "OLS"] == "80"


def test_text_is_aligned(made: RegressionTable) -> None:
    lines = made.as_text().splitlines()
    assert lines[0] == "Posts & more"
    rule = next(line for line in lines if set(line) == {"-"})
    body = lines[1 : lines.index(made.notes[0])]
    assert max(map(len, body)) == len(rule)
    assert str(made) == made.as_text()


def test_html_holds_the_cells(made: RegressionTable) -> None:
    root = ElementTree.fromstring(made.as_html())
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    cells = [row[1:] for row in rows[2:-1]]
    assert cells == [[cell.replace("-", "\N{MINUS SIGN}") for cell in row] for row in made.frame().to_numpy().tolist()]
    assert root.findtext("caption") == "Posts & more"
    assert made._repr_html_() == made.as_html()


def test_latex_is_escaped_and_even(made: RegressionTable) -> None:
    text = made.as_latex()
    assert r"\caption{Posts \& more}" in text
    assert r"logit\_z" in text
    assert latex_text(r"a^b~c\d{e}") == r"a\textasciicircum{}b\textasciitilde{}c\textbackslash{}d\{e\}"
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {3}
    assert text.count(r"\begin") == text.count(r"\end") == 2
    assert not re.search(r"-\d", text)  # minus signs, not hyphens


def test_markdown_is_even(made: RegressionTable) -> None:
    rows = [line for line in made.as_markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_word_holds_the_cells(made: RegressionTable, tmp_path: Path) -> None:
    import docx

    made.save(tmp_path / "t.docx")
    document = docx.Document(str(tmp_path / "t.docx"))
    cells = [[cell.text for cell in row.cells] for row in document.tables[0].rows]
    assert cells[0][1:] == ["naive", "logit_z", "fe"]
    assert [row[1:] for row in cells[2:]] == [
        [cell.replace("-", "\N{MINUS SIGN}") for cell in row] for row in made.frame().to_numpy().tolist()
    ]
    title = document.paragraphs[0]
    assert title.text == document.core_properties.title == "Posts & more"
    assert title.style.name == "Caption"
    assert title.paragraph_format.keep_with_next
    assert [(run.bold, str(run.font.color.rgb)) for run in title.runs] == [(True, "000000")]
    assert "python-docx" not in document.core_properties.author


def test_great_table_holds_the_cells(made: RegressionTable) -> None:
    html = made.great_table().as_raw_html()
    for cell in made.frame().to_numpy().ravel():
        assert cell.replace("-", "\N{MINUS SIGN}") in html
    assert "* p &lt; 0.05" in html


def test_files_are_of_the_kind_that_they_are_named(made: RegressionTable, tmp_path: Path) -> None:
    for name, text in (("t.txt", made.as_text()), ("t.md", made.as_markdown()), ("t.tex", made.as_latex())):
        made.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == f"{text}\n"
    made.save(tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(ArgumentError, match=r"'t\.pdf' must end in \.txt"):
        made.save(tmp_path / "t.pdf")


def test_missing_packages_are_named(made: RegressionTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    monkeypatch.setitem(sys.modules, "great_tables", None)
    with pytest.raises(MissingDependencyError, match="pip install python-docx"):
        made.save(tmp_path / "t.docx")
    with pytest.raises(MissingDependencyError, match="pip install great_tables"):
        made.great_table()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fits": []}, "fits is empty"),
        ({"fits": {}}, "fits is empty"),
        ({"fits": [1]}, r"\(1\) is no fit.*found int"),
        ({"fits": "fit"}, "found str"),
        ({"names": ["a"]}, "1 entries for 3 fits"),
        ({"names": ["a", "b", "a"]}, "same name; found a, b, a"),
        ({"stat": "sd"}, "unknown stat 'sd'"),
        ({"fmt": "docx"}, r"use \.save\('table\.docx'\)"),
        ({"fmt": "pdf"}, "unknown fmt 'pdf'"),
        ({"digits": 0}, "digits must be"),
        ({"digits": True}, "digits must be"),
        ({"stars": [0.01, 0.05]}, "falling levels"),
        ({"stars": []}, "falling levels"),
        ({"stars": "yes"}, "falling levels"),
        ({"terms": ["zz"]}, "'zz', which no fit has; the coefficients are Intercept, x"),
        ({"terms": []}, "terms is empty"),
        ({"alpha": 5}, "alpha"),
    ],
)
def test_errors(arguments: dict[str, Any], words: str, fits: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=words):
        table(**{"fits": fits, **arguments})


@pytest.mark.parametrize(("fmt", "method"), [("md", "as_markdown"), ("latex", "as_latex"), ("html", "as_html")])
def test_print_in_a_format(fmt: str, method: str, fits: dict[str, Any]) -> None:
    made = table(fits, fmt=fmt)
    assert str(made) == getattr(made, method)()
    assert repr(made) == "<RegressionTable of 3: naive, logit_z, fe>"


def figures(cells: Any) -> list[float]:
    """The first number of every cell that has one."""
    found = [re.search(r"-?\d+\.\d+", str(cell)) for cell in cells]
    return [float(one.group()) for one in found if one is not None]


HALF_DIGIT = {3: 5.01e-4, 4: 5.01e-5}
"""Rounding to so many decimals."""


def test_summary_col(fits: dict[str, Any]) -> None:
    """statsmodels' own table."""
    found = summary_col(list(fits.values()), model_names=list(fits), stars=True).tables[0]
    for name, fit in fits.items():
        expected = np.column_stack([fit.params, fit.bse]).ravel()
        np.testing.assert_allclose(figures(found[name]), expected, atol=HALF_DIGIT[4])


def test_stargazer(fits: dict[str, Any]) -> None:
    from stargazer.stargazer import Stargazer

    fit = fits["logit_z"]
    maker = Stargazer([fit])
    maker.covariate_order(list(fit.params.index))
    html = maker.render_html()
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", html)]
    assert figures(cells)[:6] == pytest.approx(
        np.column_stack([fit.params, fit.bse]).ravel().tolist(), abs=HALF_DIGIT[3]
    )
    assert "Observations" in html


def test_maketables(fits: dict[str, Any]) -> None:
    from maketables import ETable

    fit = fits["logit_z"]
    found = ETable([fit]).df.iloc[:, 0]
    for term in fit.params.index:
        value, error = re.findall(r"-?\d+\.\d+", str(found.loc[("coef", term)]))
        assert [float(value), float(error)] == pytest.approx([fit.params[term], fit.bse[term]], abs=HALF_DIGIT[3])


def test_frame_is_plain(made: RegressionTable) -> None:
    assert isinstance(made.frame(), pd.DataFrame)
    assert made.frame().map(lambda cell: isinstance(cell, str)).all(axis=None)


def test_ratios_and_effects() -> None:
    """Odds ratios and average marginal effects in the place of coefficients, for results of statsmodels too."""
    data = posts()
    fit, other = run(data, "y ~ x + z", model="logit"), smf.logit("llm ~ x + z", data).fit(disp=0)
    made = table({"ours": fit, "theirs": other}, exponentiate=True, stat="ci", digits=6)
    for name, each in (("ours", fit), ("theirs", other)):
        assert made.frame()[name].loc["x"] == f"{np.exp(each.params['x']):.6f}"
        low, high = np.exp(each.conf_int().loc["x"])
        assert f"[{low:.6f}, {high:.6f}]" in made.frame()[name].to_list()
    assert made.notes[0] == "Odds ratios, Exponentiated coefficients."
    errors = table(fit, exponentiate=True, digits=6)
    assert f"({fit.bse['x']:.6f})" in errors.as_text()
    assert "not of their exponentials" in errors.as_text()
    effects = table({"ours": fit, "theirs": other}, margins=True, digits=6)
    for name, each in (("ours", fit), ("theirs", other)):
        frame = each.get_margeff(dummy=True).summary_frame()
        assert effects.frame()[name].loc["x"] == f"{frame.loc['x', 'dy/dx']:.6f}"
        assert f"({frame.loc['x', 'Std. Err.']:.6f})" in effects.frame()[name].to_list()
    assert effects.notes[0] == "Average marginal effects."
    assert "Intercept" not in effects.frame().index
    assert table(fit, margins=True, terms={"x": "X"}).frame().index[0] == "X"


def test_scales_that_a_table_cannot_have() -> None:
    data = posts()
    fit = run(data, "y ~ x", model="logit")
    with pytest.raises(ArgumentError, match="make one of each"):
        table(fit, exponentiate=True, margins=True)
    with pytest.raises(ArgumentError, match="no ratios in model='lm'"):
        table([fit, run(data)], exponentiate=True)
    with pytest.raises(ArgumentError, match=r"has no get_margeff\(\)"):
        table(smf.ols("x ~ z", data).fit(), margins=True)
    with pytest.raises(ArgumentError, match="exponentiate must be True or False"):
        table(fit, exponentiate="yes")
