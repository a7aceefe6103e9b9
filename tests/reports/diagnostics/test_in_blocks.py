"""Diagnostics and the report of a fit of rows that come in blocks."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.data import scan

from ...streams import Again, table, tried

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 2, "cross_fit": 2, "sl_method": "lm"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "logit": ("y ~ x + g", {"model": "logit", "sample_prob": "pi"}),
    "predicted covariate": ("I(z > 1) ~ y * g", {"model": "logit", "cluster": "cl"}),
    "dsl+": (
        "z ~ kind + x",
        {"estimator": "dsl+", "predicted_var": "kind", "prediction": "kind_llm", "vcov": "design"},
    ),
    "fixed effects": ("z ~ y + x | g", {"model": "felm"}),
    "instruments": ("z ~ x | y ~ score", {"model": "iv"}),
    "gold_only": ("y ~ x + g", {"estimator": "gold_only"}),
}


SLOW = {"instruments", "predicted covariate", "dsl+", "gold_only"}


@pytest.mark.parametrize("name", tried(CALLS, SLOW))
def test_where_all_rows_are_kept_checks_are_those_of_memory(name: str) -> None:
    data = table()
    formula, changes = CALLS[name]
    source = Again(data, [0, 300, 0, 900])
    fit, known = (dsl.dsl(formula, rows, **{**BASE, **changes}) for rows in (source, data))
    found, expected = fit.diagnostics(source, by="year"), known.diagnostics(by="year")
    assert found.skipped == expected.skipped
    # in memory the balance is also that of columns which the call does not name
    one, other = (
        each.checks.query("check != 'balance'").set_index(["check", "about"])["value"] for each in (found, expected)
    )
    assert set(one.index) == set(other.index)
    pd.testing.assert_series_equal(one[other.index], other, rtol=1e-7, atol=1e-9)
    assert list(found.details) == list(expected.details)
    for part, frame in expected.details.items():
        if part != "balance":
            pd.testing.assert_frame_equal(found.details[part], frame, check_dtype=False, rtol=1e-6, atol=1e-9)
    assert set(found.details["balance"]["column"]) < set(expected.details["balance"]["column"])


def test_what_needs_all_rows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "SAMPLED", 60)
    data = table()
    source = Again(data, 250)
    call = {**BASE, "model": "logit", "sample_prob": "pi"}
    fit, known = (dsl.dsl("I(z > 1) ~ y + x + g", rows, **call) for rows in (source, data))
    found, expected = fit.diagnostics(source), known.diagnostics()
    checks = set(expected.checks["check"]) | set(expected.skipped)
    # nothing is silently absent
    assert set(found.checks["check"]) | set(found.skipped) >= checks
    assert "would be counted on all" in found.skipped["outcomes per coefficient"]
    assert "how many rows a cell has" in found.skipped["rows of cells"]
    assert "were looked at" in found.title
    assert "outcomes per coefficient (rows were read in blocks" in str(found).replace("\n    ", " ")
    # what labelled rows alone tell is exact
    exact = {
        "labels",
        "weights",
        "smallest probability",
        "labels per coefficient",
        "separation",
        "labels behind",
        "influence",
    }
    exact |= {"jacobian", "splits", "surrogate", "learner", "calibration", "labels per cell", "folds"}
    values = found.checks.set_index(["check", "about"])["value"]
    for key, value in expected.checks.set_index(["check", "about"])["value"].items():
        if key[0] in exact:  # type: ignore[index]
            assert values[key] == pytest.approx(value, rel=1e-7, abs=1e-9), key


def test_the_page_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scan, "SAMPLED", 60)
    source = Again(table(), 450)
    fit = dsl.dsl("I(z > 1) ~ y + x", source, **{**BASE, "model": "logit", "sample_split": 1})
    path = fit.report(tmp_path / "fit.html", source, estimators=["naive"], by="year")
    text = path.read_text(encoding="utf-8")
    for words in (
        "would be counted on all",
        "Plots of calibration and weights left out",
        "fingerprint of the data left out",
    ):
        assert words in text
    assert "Estimators side by side" in text


def test_other_data_are_refused() -> None:
    data = table()
    fit = dsl.dsl("y ~ x", Again(data, 300), **BASE)
    with pytest.raises(e.ArgumentError, match=r"fit.diagnostics\(source\)"):
        fit.diagnostics()
    with pytest.raises(e.ArgumentError, match="out-of-fold errors differ"):
        fit.diagnostics(Again(data.assign(llm=data["other"]), 300))
    with pytest.raises(e.ArgumentError, match="by names 'nothing'"):
        fit.diagnostics(Again(data, 300), by="nothing")
    with pytest.raises(e.NeedsAllRowsError, match="read in blocks"):
        fit.diagnostics(data)
    with pytest.raises(e.NeedsAllRowsError, match="margins="):
        fit.report("never.html", Again(data, 300), margins=True)
