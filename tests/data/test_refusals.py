"""Missing predictions: refused with the remedy, or an indicator and a fill that bias nothing; and who needs no predictions."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dsl
from dsl.cli import main
from dsl.exceptions import ArgumentError, DroppedRowsWarning, LeakError, PredictionError
from tests.command_line import QUICK, read_json
from tests.posts import ROWS, posts, run

REFUSED = np.random.default_rng(8).random(ROWS) < 0.15


def table(kind: str = "number") -> pd.DataFrame:
    data = posts()
    if kind == "text":
        data = data.assign(llm=data["llm"].map({0.0: "no", 1.0: "yes"}))
    return data.assign(llm=data["llm"].mask(REFUSED))


def by_hand() -> pd.DataFrame:
    """The same by hand: the mean in the gaps, and where these were."""
    data = table()
    return data.assign(llm=data["llm"].fillna(data["llm"].mean()), gap=REFUSED.astype(float))


@pytest.mark.parametrize("kind", ["number", "text"])
@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
def test_the_error_names_the_remedy(estimator: str, kind: str) -> None:
    with pytest.raises(PredictionError) as error:
        run(table(kind), estimator=estimator)
    said = str(error.value)
    assert f"prediction 'llm' is missing in {int(REFUSED.sum())} rows (first: " in said
    assert "refusals='indicator' keeps these rows" in said


@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
@pytest.mark.parametrize("container", ["pandas", "nullable", "polars", "dict"])
def test_an_indicator_and_a_fill(container: str, estimator: str) -> None:
    made: Any = {
        "pandas": table(),
        "nullable": table().convert_dtypes(),
        "polars": pl.from_pandas(table()),
        "dict": {str(name): column.to_numpy() for name, column in table().items()},
    }[container]
    found = run(made, estimator=estimator, refusals="indicator")
    expected = run(by_hand(), estimator=estimator, prediction="llm", feature="gap")
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-10)
    np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-10)
    assert found.nobs == ROWS
    assert f"'llm' is missing in {int(REFUSED.sum())} rows: the learner sees an indicator of them" in found.sample.notes
    assert found.call.refusals == "indicator"


def test_categories_of_their_own() -> None:
    """A text prediction that is missing is a category of its own, and one indicator serves two outputs of a model."""
    found = run(
        table("text").assign(second=posts()["llm"].mask(REFUSED)), prediction=["llm", "second"], refusals="indicator"
    )
    own = table("text").assign(llm=lambda d: d["llm"].fillna("refused"), second=by_hand()["llm"])
    np.testing.assert_allclose(found.params, run(own, prediction=["llm", "second"]).params, rtol=1e-8)


def test_features() -> None:
    """Rows with missing features are left out with a warning, and stay with an indicator."""
    data = posts().assign(score=lambda d: d["z"].astype(float).mask(REFUSED))
    with pytest.warns(DroppedRowsWarning, match="'score'"):
        assert run(data, feature="score").nobs == ROWS - int(REFUSED.sum())
    found = run(data, feature="score", refusals="indicator")
    filled = data.assign(score=data["score"].fillna(data["score"].mean()), gap=REFUSED.astype(float))
    np.testing.assert_allclose(found.params, run(filled, feature=["score", "gap"]).params, rtol=1e-10)
    assert found.nobs == ROWS


def test_a_covariate_is_no_prediction() -> None:
    """A column of the formula is needed, whatever else it is."""
    data = posts().assign(score=lambda d: d["z"].astype(float).mask(REFUSED))
    with pytest.warns(DroppedRowsWarning, match="'score'"):
        found = run(data, "y ~ x + score", prediction=["llm", "score"], refusals="indicator")
    assert found.nobs == ROWS - int(REFUSED.sum())


@pytest.mark.parametrize("prediction", ["llm", None])
@pytest.mark.parametrize("refusals", ["raise", "indicator"])
def test_gold_only_needs_no_predictions(prediction: str | None, refusals: str) -> None:
    found = run(table(), estimator="gold_only", prediction=prediction, refusals=refusals)
    expected = run(posts(), estimator="gold_only")
    pd.testing.assert_series_equal(found.params, expected.params, check_exact=True)
    pd.testing.assert_series_equal(found.bse, expected.bse, check_exact=True)
    assert found.nobs == ROWS


@pytest.mark.parametrize("kind", ["number", "text"])
@pytest.mark.parametrize("refusals", ["raise", "indicator"])
@pytest.mark.parametrize("estimator", ["naive", "ppi", "ppi++", "cdi"])
def test_who_takes_predictions_as_they_are(estimator: str, refusals: str, kind: str) -> None:
    data = table(kind)
    if kind == "text":
        data = data.assign(y=data["y"].map({0.0: "no", 1.0: "yes"}))
    with pytest.raises(
        PredictionError,
        match=r"is missing in .* it is taken as it is here, .*fill it with any value.*refusals='indicator'",
    ):
        run(data, "x ~ y", estimator=estimator, refusals=refusals)


def test_comparison_and_refits() -> None:
    """Estimators that cannot do without are left out, with the reason. Refits of a fit keep what it does."""
    given = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, "refusals": "indicator"}
    found = dsl.compare("y ~ x", table(), **given)
    assert list(found.fits) == ["gold_only", "dsl", "dsl+"]
    assert "'llm' is missing in" in found.failed["naive"]
    fit = run(table(), refusals="indicator")
    again = fit.compare(table(), estimators=("naive", "gold_only", "dsl+"))
    np.testing.assert_allclose(again.fits["dsl+"].params, found.fits["dsl+"].params, rtol=1e-12)
    assert "is missing in" in fit.diagnostics(table()).skipped["surrogate of y"]
    with pytest.raises(PredictionError, match="refusals='indicator'"):
        dsl.compare("y ~ x", table(), **{**given, "refusals": "raise"})
    # a fit without predictions does not hand them on
    gold = run(table(), estimator="gold_only")
    assert set(gold.compare(table(), estimators=("dsl", "naive")).failed) == {"dsl", "naive"}


def test_saved_and_reported(tmp_path: Path) -> None:
    fit = run(table(), refusals="indicator")
    fit.save(tmp_path / "fit.dsl")
    assert type(fit).load(tmp_path / "fit.dsl").call.refusals == "indicator"
    fit.report(tmp_path / "page.html", table())
    assert "refusals=" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_proportions() -> None:
    found = dsl.proportions(table(), gold="y", prediction="llm", refusals="indicator", sl_method="lm", sample_split=1)
    expected = run(by_hand(), "y ~ 1", feature="gap")
    np.testing.assert_allclose(found.table["share"], expected.params, rtol=1e-10)
    for call in (dsl.ppi_quantile, lambda data, **more: dsl.aggregate(data, unit="cl", **more)):
        with pytest.raises(PredictionError, match=r"'llm' is missing in .*data\['llm'\]\.fillna"):
            call(table(), gold="y", prediction="llm")


def test_copies_are_still_found() -> None:
    data = posts().assign(copy=lambda d: d["y"])
    with pytest.raises(LeakError, match="'copy'"):
        run(data, prediction="copy", refusals="indicator")


def test_unknown_choice() -> None:
    with pytest.raises(ArgumentError, match="unknown refusals 'drop': use one of raise, indicator"):
        run(table(), refusals="drop")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.csv"
    table().to_csv(path, index=False)
    assert main(["fit", str(path), "y ~ x", *QUICK]) == 2
    assert "--refusals" in capsys.readouterr().err
    assert main(["fit", str(path), "y ~ x", *QUICK, "--refusals", "indicator", "--json", str(tmp_path / "f.json")]) == 0
    record = read_json(str(tmp_path / "f.json"))
    assert record["call"]["refusals"] == "indicator"
    np.testing.assert_allclose(
        [row["estimate"] for row in record["tidy"]], run(table(), refusals="indicator").params, rtol=1e-12
    )


def test_nothing_biased() -> None:
    """Refusals that depend on the truth: the mean over draws is the truth within Monte Carlo error."""
    rng, estimates = np.random.default_rng(4), []
    for _ in range(60):
        x = rng.normal(size=600)
        truth = (rng.random(600) < 1.0 / (1.0 + np.exp(-x))).astype(float)
        llm = np.where(rng.random(600) < 0.85, truth, 1.0 - truth)
        refused = rng.random(600) < np.where(truth == 1.0, 0.4, 0.05)
        data = pd.DataFrame(
            {"y": pd.Series(truth).where(rng.random(600) < 0.3), "llm": pd.Series(llm).mask(refused), "x": x}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit = run(data, "y ~ 1", refusals="indicator")
        estimates.append((float(fit.params.iloc[0]), float(fit.bse.iloc[0]), truth.mean()))
    gap = np.array([estimate - mean for estimate, _, mean in estimates])
    assert abs(gap.mean()) < 4.0 * gap.std(ddof=1) / np.sqrt(len(gap))
    # complete cases would be off by this much
    assert abs(gap.mean()) < 0.02


def test_truth_values_with_gaps_are_no_copy_of_the_labels() -> None:
    """Nullable truth values: what is missing equals nothing, first or later."""
    data = table()
    for first in (True, None):
        values = pd.Series([True, False] * (len(data) // 2), index=data.index, dtype="boolean")
        values = values.mask(np.arange(len(data)) % 5 == 1)
        values.iloc[np.flatnonzero(data["y"].isna())[0]] = first
        with pytest.raises(PredictionError, match="is missing in"):
            run(data.assign(llm=values))
        run(data.assign(llm=values), refusals="indicator")
