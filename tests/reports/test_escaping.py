"""Names of columns and categories are text, wherever they are shown as markup."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.reports.escaping import html_text, latex_text, markdown_text

HTML = "<script>alert('1')</script>"
LATEX = r"\input{/etc/passwd}"
MARKDOWN = "[x](javascript:alert)"
QUOTED = 'a" onload="b'


def data() -> tuple[pd.DataFrame, str]:
    rng = np.random.default_rng(0)
    n = 600
    truth = rng.integers(0, 2, n)
    columns = {name: rng.normal(size=n) for name in (HTML, LATEX, MARKDOWN, QUOTED)}
    frame = pd.DataFrame(
        {
            "y": pd.Series(truth * 1.0).where(rng.random(n) < 0.5),
            "llm": np.where(rng.random(n) < 0.1, 1 - truth, truth),
            "g": np.array(["<b>one</b>", "<i>two</i>", "\\three"])[rng.integers(0, 3, n)],
            **columns,
        }
    )
    escaped = [re.sub(r"([\\`])", r"\\\1", name) for name in columns]
    return frame, "y ~ g + " + " + ".join(f"`{name}`" for name in escaped)


CALL: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 2}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    frame, formula = data()
    fit = dsl.dsl(formula, frame, **CALL)
    return {
        "fit": fit,
        "frame": frame,
        "compare": dsl.compare(formula, frame, **CALL),
        "power": dsl.power_dsl(fit, labeled_size=[400]),
        "diagnostics": fit.diagnostics(frame),
        "table": dsl.table({f"fit {HTML}": fit}, title=HTML),
    }


SHOWN_AS_HTML: dict[str, Callable[[dict[str, Any]], str]] = {
    "summary": lambda made: made["fit"].summary(title=HTML).as_html(),
    "summary in R's names": lambda made: made["fit"].summary(names="r").as_html(),
    "summary2": lambda made: made["fit"].summary2(title=HTML).as_html(),
    "fit in a notebook": lambda made: made["fit"]._repr_html_(),
    "compare": lambda made: made["compare"]._repr_html_(),
    "compare's summary": lambda made: made["compare"].summary().as_html(),
    "power's summary": lambda made: made["power"].summary().as_html(),
    "diagnostics": lambda made: made["diagnostics"]._repr_html_(),
    "table": lambda made: made["table"].as_html(),
    "table in a notebook": lambda made: made["table"]._repr_html_(),
}


@pytest.mark.parametrize("name", SHOWN_AS_HTML)
def test_html(made: dict[str, Any], name: str) -> None:
    shown = SHOWN_AS_HTML[name](made)
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown
    for live in ("<b>one", "<i>two", 'a" onload="b'):
        assert live not in shown


def test_page(made: dict[str, Any], tmp_path: Path) -> None:
    page = made["fit"].report(tmp_path / "page.html", made["frame"], title=HTML).read_text(encoding="utf-8")
    # the page's own script is the only one
    assert re.findall(r"<script[^>]*>", page) == ["<script>"]
    assert "&lt;script&gt;alert" in page
    assert "<b>one" not in page


def test_saved_table(made: dict[str, Any], tmp_path: Path) -> None:
    made["table"].save(tmp_path / "t.html")
    assert "<script" not in (tmp_path / "t.html").read_text(encoding="utf-8")


def test_great_table(made: dict[str, Any]) -> None:
    shown = made["table"].great_table().as_raw_html()
    assert "<script>alert" not in shown
    assert "<b>one" not in shown
    assert "&lt;script&gt;alert" in shown


SHOWN_AS_LATEX: dict[str, Callable[[dict[str, Any]], str]] = {
    **{name: lambda made, name=name: made[name].summary().as_latex() for name in ("fit", "compare", "power")},
    "table": lambda made: made["table"].as_latex(),
    "summary2": lambda made: made["fit"].summary2().as_latex(),
}


@pytest.mark.parametrize("name", SHOWN_AS_LATEX)
def test_latex(made: dict[str, Any], name: str) -> None:
    shown = SHOWN_AS_LATEX[name](made)
    assert r"\input" not in shown
    assert r"\textbackslash{}input\{/etc/passwd\}" in shown
    # an escape that was escaped again would show the first one's sign
    assert r"\textbackslash{}textbackslash" not in shown
    assert r"\\_" not in shown


def test_markdown(made: dict[str, Any]) -> None:
    shown = made["table"].as_markdown()
    assert "[x](" not in shown
    assert r"\[x\](" in shown
    assert "<script" not in shown.replace(r"\<", "")
    # one row for each line: no name breaks the table
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_texts() -> None:
    assert html_text('<a href="x">&') == "&lt;a href=&quot;x&quot;&gt;&amp;"
    assert latex_text("a\nb_$%#&{}~^\\<>|") == (
        r"a b\_\$\%\#\&\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}$<$$>$$|$"
    )
    assert markdown_text("a|b\nc") == r"a\|b c"


def test_plain_summaries_are_as_statsmodels_writes_them(made: dict[str, Any]) -> None:
    """Escaping changes a copy: the text is the same before and after."""
    summary = made["fit"].summary()
    before = str(summary)
    summary.as_html()
    summary.as_latex()
    assert str(summary) == before
    assert HTML in before
