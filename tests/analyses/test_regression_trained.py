"""Predictions whose maker has seen some gold labels (`trained_on`): no estimate rests on what they learnt by heart."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError
from dsl.planning.power import power_dsl

CALL: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 2}
TRUTH = np.array([1.0, 0.5])


def table(seed: int, n: int = 1500, labels: int = 200, seen: int = 80, **more: Any) -> pd.DataFrame:
    """`y` is 1 + x / 2 and noise; `llm` is far from it, but knows the labels that it has seen by heart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = TRUTH[0] + TRUTH[1] * x + rng.normal(size=n)
    drawn = rng.permutation(n)[:labels]
    at = np.isin(np.arange(n), drawn[:seen])
    llm = np.where(at, y, 0.6 * y + 1.0 + 0.4 * x + 0.8 * rng.normal(size=n))
    shown = np.where(np.isin(np.arange(n), drawn), y, np.nan)
    return pd.DataFrame({"y": shown, "x": x, "llm": llm, "seen": at.astype(int), **more})


DATA = table(1)


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"tune": "coef"},
        {"estimator": "dsl+"},
        {"estimator": "cdi"},
        {"target": "finite"},
        {"sl_method": "auto"},
        {"formula": "I(y > 1) ~ x"},
    ],
    ids=lambda own: str(own),
)
def test_predictions_of_rows_that_were_seen_are_nowhere_used(own: dict[str, Any]) -> None:
    other = DATA.assign(llm=DATA["llm"].where(DATA["seen"] == 0, 1.7))
    call = {"formula": "y ~ x", **CALL, "trained_on": "seen", **own}
    one, same = (dsl.dsl(data=data, **call) for data in (DATA, other))
    np.testing.assert_allclose(same.params, one.params, rtol=1e-10)
    np.testing.assert_allclose(same.bse, one.bse, rtol=1e-10)
    assert one.core.sample.n_trained == 80


def test_labels_alone_are_nobodys_secret() -> None:
    """The labelled rows alone are a random sample, whoever has seen them."""
    plain, told = (dsl.dsl("y ~ x", DATA, **CALL, estimator="gold_only", trained_on=given) for given in (None, "seen"))
    np.testing.assert_array_equal(told.params, plain.params)
    np.testing.assert_array_equal(told.bse, plain.bse)
    assert "were seen" not in str(told.summary())
    # chosen beforehand they are no random part: they count once, the others for all other rows
    data = DATA.assign(pi=np.where(DATA["seen"] == 1, 1.0, 120 / 1420))
    chosen = dsl.dsl("y ~ x", data, **CALL, estimator="gold_only", trained_on="seen", sample_prob="pi")
    weight = np.where(data["seen"] == 1, 1.0, 1420 / 120)[data["y"].notna()]
    known = data[data["y"].notna()]
    design = np.column_stack([np.ones(len(known)), known["x"]])
    expected = np.linalg.solve(design.T @ (weight[:, None] * design), design.T @ (weight * known["y"]))
    np.testing.assert_allclose(chosen.params, expected)


@pytest.mark.parametrize("estimator", ["ppi", "ppi++"])
def test_estimators_that_cannot(estimator: str) -> None:
    with pytest.raises(
        ArgumentError, match=rf"estimator='{re.escape(estimator)}' takes all rows .* use estimator='cdi'"
    ):
        dsl.dsl("y ~ x", DATA, **CALL, estimator=estimator, trained_on="seen")


def test_an_estimate_by_hand() -> None:
    """Without a learner: the mean of gold where it was seen, of surrogates corrected by 120 of the other 1,420 elsewhere."""
    fit = dsl.dsl("y ~ 1", DATA, **CALL, estimator="cdi", tune=1.0, trained_on="seen")
    other = DATA[DATA["seen"] == 0]
    error = (other["y"] - other["llm"]).dropna()
    total = DATA.loc[DATA["seen"] == 1, "y"].sum() + other["llm"].sum() + len(other) * error.mean()
    assert len(error) == 120
    assert fit.params["Intercept"] == pytest.approx(total / 1500)
    # and its variance over all choices of the 120: N^2 (1 - f) s^2 / n of a simple random sample
    finite = dsl.dsl("y ~ 1", DATA, **CALL, estimator="cdi", tune=1.0, trained_on="seen", target="finite")
    variance = (1420 / 1500) ** 2 * (1 - 120 / 1420) * error.var() / 120
    assert finite.bse["Intercept"] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_effective_labels_are_those_of_the_labelled_rows_alone() -> None:
    """Predictions that say nothing are worth nothing: as many labels as there are besides those that were seen."""
    noise = DATA.assign(llm=np.random.default_rng(3).normal(size=len(DATA)))
    fit = dsl.dsl("y ~ x", noise, **CALL, tune="coef", trained_on="seen")
    np.testing.assert_allclose(fit.tuning["effective_labels"], 120, rtol=0.1)


def test_whoever_refits_keeps_it(tmp_path: Path) -> None:
    fit = dsl.dsl("y ~ x", DATA, **CALL, trained_on="seen")
    found = fit.compare(DATA, estimators=("naive", "gold_only", "cdi"))
    alone = dsl.dsl("y ~ x", DATA, **CALL, estimator="cdi", trained_on="seen")
    table_ = found.table.set_index(["estimator", "term"])["estimate"]
    np.testing.assert_allclose(table_["cdi"], alone.params)
    np.testing.assert_allclose(table_["gold_only"], dsl.dsl("y ~ x", DATA, **CALL, estimator="gold_only").params)
    checks = fit.diagnostics(DATA)
    # predictions are judged by the 120 other rows: learnt by heart they would correlate by .9
    quality = checks.detail("surrogates")
    assert quality.loc[quality["covariate"] == "", "n"].tolist() == [120]
    assert checks.checks.query("check == 'labels'")["value"].iloc[0] == pytest.approx(120)
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl")
    assert again.core.call.trained_on == "seen"
    later = again.compare(DATA, estimators=("cdi",)).table.query("estimator == 'cdi'")["estimate"]
    np.testing.assert_array_equal(later, alone.params)
    rows = dsl.dsl("y ~ x", DATA, **CALL, trained_on=DATA.index[DATA["seen"] == 1])
    rows.save(tmp_path / "rows.dsl")
    assert (
        dsl.DSLResults.load(tmp_path / "rows.dsl").core.call.trained_on.tolist()
        == DATA.index[DATA["seen"] == 1].tolist()
    )
    with pytest.raises(ArgumentError, match="80 rows that the predictions' maker has seen"):
        dsl.sampling.targeted(fit, DATA, 100, coefficient="x", seed=1)


def test_more_labels_are_planned_given_those_that_were_seen() -> None:
    """With many labels the predicted standard error is what a fit with as many has."""
    for target in ("superpopulation", "finite"):
        call = {**CALL, "trained_on": "seen", "target": target}
        small, large = (table(5, n=8000, labels=labels, seen=100) for labels in (500, 1300))
        power = power_dsl(dsl.dsl("y ~ x", small, **call), labeled_size=[1200])
        assert power.predicted_se.index.tolist() == [400.0, 1200.0]
        got = dsl.dsl("y ~ x", large, **call).bse
        np.testing.assert_allclose(power.predicted_se.loc[1200.0], got, rtol=0.12)


def test_pages_say_it(tmp_path: Path) -> None:
    fit = dsl.dsl("y ~ x", DATA, **CALL, trained_on="seen")
    assert "80 of the 200 labelled rows were seen by whoever made the predictions" in str(fit.summary())
    fit.report(tmp_path / "page.html", DATA)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Whoever made the predictions had seen 80 of these rows with their labels" in page
    assert "trained_on" in page


@pytest.mark.filterwarnings("ignore:the labelled rows do not look drawn:dsl.exceptions.LabelingWarning")
@pytest.mark.long
def test_bias_of_labels_learnt_by_heart() -> None:
    """Few replications, of a bias of several standard errors; `tests.simulation.test_trained` has more."""
    found: dict[str, list[np.ndarray]] = {"ignored": [], "declared": []}
    for seed in range(24):
        data = table(seed)
        for name, given in (("ignored", None), ("declared", "seen")):
            fit = dsl.dsl("y ~ x", data, **{**CALL, "sample_split": 1}, trained_on=given)
            found[name].append((fit.params.to_numpy() - TRUTH) / fit.bse.to_numpy())
    ignored, declared = (np.array(found[name]) for name in ("ignored", "declared"))
    assert np.mean(ignored[:, 0]) > 2.0
    assert abs(np.mean(declared[:, 0])) < 3.0 / np.sqrt(24)
    assert abs(np.mean(declared[:, 1])) < 3.0 / np.sqrt(24)
