"""An estimator is one entry of the registry: a toy one runs through everything that a fit can do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.engine.blocks import Block
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.names import ESTIMATORS
from dsl.estimators.raw import CDI, adjusted
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from tests.posts import posts, run


def fit_half(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Raw surrogates, counted by half."""
    solved = fit_splits(analysis.problem(), [adjusted(analysis, call)], 0.5)
    n, n_clusters = len(analysis.sample.data), analysis.sample.n_clusters
    return Estimation(fits=solved.fits, n=n, n_clusters=n_clusters, behind=solved.behind, tuned=solved.tuned)


def half_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """The same blocks."""
    yield adjusted(analysis, call)


TOY = Estimator(
    name="half",
    title="Half of confidence-driven inference",
    fit=fit_half,
    blocks=half_again,
    words="Estimates are by half of confidence-driven inference ({CDI})",
    default_tune=0.5,
    kinds=(),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one registry line."""
    monkeypatch.setitem(ESTIMATORS, TOY.name, TOY)


@pytest.fixture
def data() -> pd.DataFrame:
    return posts()


def test_it_is_what_it_says(data: pd.DataFrame) -> None:
    ours, theirs = run(data, "y ~ x", estimator="half"), run(data, "y ~ x", estimator="cdi", tune=0.5)
    np.testing.assert_array_equal(ours.params, theirs.params)
    np.testing.assert_array_equal(ours.bse, theirs.bse)


def test_it_goes_everywhere(data: pd.DataFrame, tmp_path: Path) -> None:
    fit = run(data, "y ~ x", estimator="half")
    assert "Half of confidence-driven inference" in str(fit.summary())
    found = fit.compare(estimators=("naive", "gold_only"))
    assert found.reference.startswith("half")
    assert found.bias is not None
    assert fit.diagnostics().skipped["learner"] == "estimator='half' has no learner"
    assert dsl.power_dsl(fit).predicted_se.notna().all(axis=None)
    assert "Gligori" in fit.report(tmp_path / "report.html", compare=False).read_text(encoding="utf-8")
    with pytest.raises(dsl.exceptions.ArgumentError, match="tune='coef'"):
        run(data, "y ~ x", estimator="half", tune="coef")


def test_its_restrictions_are_told(data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ESTIMATORS, "half", replace(TOY, no_power="halves do not add up"))
    with pytest.raises(dsl.exceptions.ArgumentError, match="halves do not add up"):
        dsl.power_dsl(run(data, "y ~ x", estimator="half"))
    assert CDI.no_power == ""


def test_student_s_intervals_where_a_lambda_was_chosen(data: pd.DataFrame) -> None:
    """Unless the entry says otherwise; a fixed Lambda leaves them normal."""
    chosen = {name: run(data, "y ~ x", estimator=name).use_t for name in ("dsl+", "cdi", "ppi++", "half", "dsl")}
    assert chosen == {"dsl+": True, "cdi": True, "ppi++": False, "half": False, "dsl": False}
