"""What follows a fit with formulaic's objects: refits, diagnostics, reports, planning; and where strings are needed."""

from typing import Any

import formulaic
import numpy as np
import pytest
from formulaic import Formula

import dsl
from dsl.exceptions import FormulaError
from tests.posts import posts, run

QUICK: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
STRING = "x ~ y * C(g, contr.sum) + words"
OBJECT = Formula(STRING)


@pytest.mark.parametrize("fitted", [False, True], ids=["Formula", "ModelSpecs"])
def test_refits_keep_the_object(fitted: bool) -> None:
    formula = formulaic.model_matrix(STRING, posts().assign(y=1.0)).model_spec if fitted else OBJECT
    fit, string = run(posts(), formula), run(posts(), STRING)
    assert fit.call.formula_text == "x ~ 1 + y + C(g, contr.sum) + words + y:C(g, contr.sum)"
    assert fit.call.formula is formula
    ours, theirs = string.compare(posts()), fit.compare(posts())
    np.testing.assert_allclose(
        theirs.table.select_dtypes("number").sort_index(), ours.table.select_dtypes("number").sort_index(), rtol=1e-8
    )
    assert "C(g, contr.sum)" in repr(theirs.summary())
    checks = fit.diagnostics(posts())
    assert list(checks.details["cells"]["cell"]) == list(string.diagnostics(posts()).details["cells"]["cell"])
    assert {"g = a", "g = b", "g = c"} <= set(checks.details["cells"]["cell"])


def test_comparison_from_the_start() -> None:
    found = dsl.compare(OBJECT, posts(), estimators=["gold_only", "dsl"], **QUICK)
    assert found.formula == "x ~ 1 + y + C(g, contr.sum) + words + y:C(g, contr.sum)"


@pytest.mark.long
def test_report_shows_code_that_makes_the_same_fit(tmp_path: Any) -> None:
    fit = run(posts(), OBJECT)
    fit.report(str(tmp_path / "report.html"), posts())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "import formulaic" in page
    assert "formulaic.Formula(&#x27;x ~ 1 + y + C(g, contr.sum) + words + y:C(g, contr.sum)&#x27;)" in page


def test_planning() -> None:
    fit, string = run(posts(), OBJECT), run(posts(), STRING)
    ours, theirs = dsl.power_dsl(string), dsl.power_dsl(fit)
    assert theirs.study.formula == fit.call.formula_text
    np.testing.assert_allclose(theirs.predicted_se, ours.predicted_se, rtol=1e-8)
    made = dsl.power_dsl(OBJECT, data=posts(), **QUICK)
    np.testing.assert_array_equal(made.predicted_se, theirs.predicted_se)


def test_evaluation_in_several_processes() -> None:
    data = posts().assign(y=lambda d: d["llm"])
    asked: dict[str, Any] = {**QUICK, "n_labels": 60, "replications": 2, "estimators": "gold_only"}
    string = dsl.evaluate(data=data, formula=STRING, **asked)
    found = dsl.evaluate(data=data, formula=OBJECT, n_jobs=2, **asked)
    assert found.formula == "x ~ 1 + y + C(g, contr.sum) + words + y:C(g, contr.sum)"
    np.testing.assert_allclose(found.replications["estimate"], string.replications["estimate"], rtol=1e-8)


def test_checkpoint_belongs_to_one_formula(tmp_path: Any) -> None:
    data = posts().assign(y=lambda d: d["llm"])
    asked: dict[str, Any] = {
        **QUICK, "n_labels": 60, "replications": 2, "estimators": "gold_only", "checkpoint": tmp_path / "c.jsonl"
    }  # fmt: skip
    first = dsl.evaluate(data=data, formula=OBJECT, **asked)
    again = dsl.evaluate(data=data, formula=Formula(STRING), **asked)
    np.testing.assert_array_equal(first.replications["estimate"], again.replications["estimate"])
    with pytest.raises(dsl.exceptions.DSLError, match="formula"):
        dsl.evaluate(data=data, formula=Formula("x ~ y + words"), **asked)


def test_targeted_sampling_reads_the_pilot_again() -> None:
    fit = run(posts(), OBJECT)
    design = dsl.sampling.targeted(fit, posts(), coefficient="y", n_labels=20, seed=1)
    assert design.n_drawn == 100


def test_logs_keep_text() -> None:
    with pytest.raises(FormulaError, match=r"AdaptiveDesign, whose log.*as a string"):
        dsl.AdaptiveDesign(
            data=posts().drop(columns="y"), formula=OBJECT, predicted_var="y", prediction="llm", n_labels=50
        )
