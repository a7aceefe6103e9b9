"""Every named diagnostic is silent on clean data and fires on data built to trigger it; its numbers are those of others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import cohen_kappa_score

import dsl
from dsl.exceptions import ArgumentError, DSLWarning, LabelingWarning
from dsl.reports.diagnostics import Diagnostics, diagnose
from dsl.reports.diagnostics import limits as limits_module
from dsl.reports.diagnostics.limits import FEW_BEHIND
from dsl.reports.diagnostics.results import STATUS, Limits
from tests.fixed import Fixed
from tests.posts import posts, run

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROWS, LABELED, CLUSTERS = 4000, 1000, 400
CALL: dict[str, Any] = {
    "formula": "y ~ d + x + g",
    "model": "logit",
    "predicted_var": ["y", "d"],
    "prediction": ["sy", "sd"],
    "cluster": "cl",
    "sl_method": "lm",
    "sample_split": 5,
}


def truth(seed: int = 1) -> pd.DataFrame:
    """Everything known: y and d are 0/1, their surrogates are wrong on one row in ten whatever the covariates."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=ROWS), rng.choice(["a", "b", "c"], ROWS)
    d = (rng.random(ROWS) < 0.5) * 1.0
    y = (rng.random(ROWS) < expit(0.8 * d + 0.5 * x - 0.3)) * 1.0
    wrong = rng.random((2, ROWS)) < 0.1
    return pd.DataFrame(
        {
            "y": y,
            "d": d,
            "sy": np.where(wrong[0], 1 - y, y),
            "sd": np.where(wrong[1], 1 - d, d),
            "x": x,
            "g": g,
            "cl": rng.permutation(np.arange(ROWS) % CLUSTERS),
            "noise": rng.normal(size=ROWS),
            "pi": LABELED / ROWS,
        }
    )


def hide(data: pd.DataFrame, shown: Any, names: tuple[str, ...] = ("y", "d")) -> pd.DataFrame:
    """Gold values on the `shown` rows only."""
    return data.assign(**{name: data[name].where(shown) for name in names})


def drawn(count: int, rows: int = ROWS, seed: int = 2) -> np.ndarray:
    """A simple random sample, as a mask."""
    out = np.zeros(rows, dtype=bool)
    out[np.random.default_rng(seed).choice(rows, count, replace=False)] = True
    return out


def labeled(count: int = LABELED, **changes: Any) -> pd.DataFrame:
    """The truth with columns changed, then gold values hidden except on a simple random sample."""
    return hide(truth().assign(**changes), drawn(count))


def by_chance(prob: np.ndarray) -> pd.DataFrame:
    """Rows labelled one by one with these probabilities, which are known."""
    return hide(truth().assign(pi=prob), np.random.default_rng(3).random(ROWS) < prob)


Trigger = Callable[[], tuple[pd.DataFrame, dict[str, Any]]]


def noisy(seed: int = 4) -> Fixed:
    rng = np.random.default_rng(seed)
    return Fixed(lambda x: rng.normal(0.5, 20.0, len(x)))


def few_in_a_level() -> tuple[pd.DataFrame, dict[str, Any]]:
    shown = drawn(LABELED)
    d = truth()
    d.loc[np.flatnonzero(shown)[:3], "g"] = "rare"
    d.loc[np.flatnonzero(~shown)[:9], "g"] = "rare"
    return hide(d, shown), {"formula": "y ~ x + g", "model": "lm", "predicted_var": "y", "prediction": "sy"}


def one_outcome_in_a_level() -> tuple[pd.DataFrame, dict[str, Any]]:
    shown = drawn(LABELED)
    d = truth()
    ones, zeros = np.flatnonzero(shown & (d["y"] == 1)), np.flatnonzero(shown & (d["y"] == 0))
    d.loc[ones[:40], "g"] = "new"
    d.loc[np.flatnonzero(~shown)[:120], "g"] = "new"
    d.loc[zeros[:2], "g"] = "new"
    return hide(d, shown), {"formula": "y ~ x + g", "predicted_var": "y", "prediction": "sy"}


def folds_by_region() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Folds are regions; in the last one surrogates are guesses."""
    d = truth()
    region = d["cl"].to_numpy() % 5
    guess = (np.random.default_rng(8).random(ROWS) < 0.5) * 1.0
    d["sy"] = np.where(region == 4, guess, d["sy"])
    return hide(d, drawn(LABELED)), {"folds": np.tile(region, (3, 1))}


def shaky_jacobian() -> tuple[pd.DataFrame, dict[str, Any]]:
    rng = np.random.default_rng(7)
    d = truth().assign(sd=lambda t: t["d"] + np.where(rng.random(ROWS) < 0.08, 15.0 * rng.normal(size=ROWS), 0.0))
    call = {
        "formula": "x ~ d",
        "model": "lm",
        "predicted_var": "d",
        "prediction": "sd",
        "estimator": "cdi",
        "tune": 1.0,
    }
    return hide(d, drawn(30), ("d",)), call


def one_row_decides() -> tuple[pd.DataFrame, dict[str, Any]]:
    shown = drawn(LABELED)
    d = truth()
    d.loc[np.flatnonzero(shown)[0], ["x", "y", "sy"]] = [60.0, 0.0, 1.0]
    return hide(d, shown), {"model": "lm", "formula": "y ~ x", "predicted_var": "y", "prediction": "sy"}


TRIGGERS: dict[str, Trigger] = {
    "surrogate": lambda: (labeled(sy=1.0 - truth()["sy"]), {}),
    "differential error": lambda: (
        labeled(sy=truth()["sy"].mask((truth()["g"] == "a") & (truth()["noise"] > 0.5), 1.0)), {}
    ),
    "learner": lambda: (labeled(sy=(truth()["noise"] > 0) * 1.0, sd=(truth()["noise"] > 0.5) * 1.0), {}),
    "learner against surrogate": lambda: (labeled(), {"sl_method": Fixed(lambda x: 0.5 + 0.1 * (x[:, 0] - 0.5))}),
    "calibration": lambda: (labeled(), {"sl_method": Fixed(lambda x: 0.5 + 0.3 * (x[:, 0] - 0.5))}),
    "labels": lambda: (labeled(40), {"formula": "y ~ x", "predicted_var": "y", "prediction": "sy", "cross_fit": 2}),
    "weights": lambda: (
        by_chance(np.where(np.arange(ROWS) % 10 == 0, 0.95, 0.03)), {"sample_prob": "pi", "cluster": None}
    ),
    "smallest probability": lambda: (by_chance(np.where(np.arange(ROWS) < 40, 0.01, 0.3)), {"sample_prob": "pi"}),
    "balance": lambda: (hide(truth(), np.random.default_rng(6).random(ROWS) < expit(truth()["x"] - 1.0)), {}),
    "clusters": lambda: (labeled(cl=np.arange(ROWS) % 12), {}),
    "labels per cell": few_in_a_level,
    "outcomes per cell": one_outcome_in_a_level,
    "labels per coefficient": lambda: (labeled(90), {"formula": "y ~ poly(x, 9)", "model": "lm"}
                                       | {"predicted_var": "y", "prediction": "sy"}),
    "outcomes per coefficient": lambda: (
        labeled(300, y=(truth()["noise"] > 1.9) * 1.0, sy=(truth()["noise"] > 1.7) * 1.0),
        {"formula": "y ~ x + g", "predicted_var": "y", "prediction": "sy"},
    ),
    "separation": lambda: (
        labeled(y=(truth()["x"] + 0.05 * truth()["noise"] > 0) * 1.0, sy=(truth()["x"] > 0) * 1.0),
        {"formula": "y ~ x", "predicted_var": "y", "prediction": "sy"},
    ),
    "labels behind": lambda: (labeled(rare=(np.arange(ROWS) % 200 == 0) * 1.0), {"formula": "y ~ d + x + rare"}),
    "influence": one_row_decides,
    "jacobian": shaky_jacobian,
    "folds": folds_by_region,
    "splits": lambda: (labeled(), {"model": "lm", "sl_method": noisy(), "formula": "y ~ x", "predicted_var": "y"}),
}  # fmt: skip


def examined(data: pd.DataFrame, changes: dict[str, Any]) -> Diagnostics:
    call = {**CALL, **changes}
    return diagnose(dsl.dsl(data=data, **call), data)


@pytest.fixture(scope="module")
def clean() -> Diagnostics:
    return examined(labeled(), {})


def test_clean_data_are_silent(clean: Diagnostics) -> None:
    assert (clean.checks["status"] == "ok").all(), clean.checks[clean.checks["status"] != "ok"]
    assert clean.skipped == {}
    assert "No alarms and no notes." in str(clean)


def test_every_check_has_a_trigger(clean: Diagnostics) -> None:
    assert set(clean.checks["check"]) == set(TRIGGERS)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
@pytest.mark.parametrize("name", TRIGGERS)
def test_every_check_fires(name: str) -> None:
    data, changes = TRIGGERS[name]()
    found = examined(data, changes)
    fired = found.checks[(found.checks["status"] != "ok") & (found.checks["check"] == name)]
    assert len(fired), found.checks[found.checks["check"] == name].T
    row = fired.iloc[0]
    for text in ("finding", "reason", "remedy"):
        assert len(row[text]) > 20
    assert f"{name}" in str(found)


@pytest.mark.parametrize("seed", range(3, 9))
def test_other_clean_data_raise_no_alarm(seed: int) -> None:
    """Notes may appear by chance: each test has one in a hundred, or in a thousand."""
    data = hide(truth(seed), drawn(LABELED, seed=seed))
    found = examined(data, {"seed": seed, "sample_split": 3})
    assert found.alarms.empty, found.alarms
    assert len(found.notes) <= 1, found.notes


def test_which_rows_are_named() -> None:
    shown = np.flatnonzero(drawn(LABELED))
    found = examined(*one_row_decides())
    alarms = found.alarms.set_index("check")
    assert set(alarms.index) == {"influence", "labels behind"}
    assert f"labelled row {shown[0]} has" in alarms.loc["influence", "finding"]
    assert found.detail("influential").index[0] == shown[0]
    assert found.detail("coefficients").loc["x", "row"] == shown[0]
    level = examined(*few_in_a_level())
    assert level.alarms.set_index("check").loc["labels per cell", "about"] == "g = rare"
    assert level.detail("cells").set_index("cell").loc["g = rare", ["rows", "n_labeled"]].tolist() == [12, 3]


def test_limits() -> None:
    low = Limits(note=10, alarm=5, below=True, reason="")
    assert [low.judge(value) for value in (12, 10, 7, 3)] == [("ok", 10), ("ok", 10), ("note", 10), ("alarm", 5)]
    high = Limits(note=0.1, below=False, reason="")
    assert [high.judge(value)[0] for value in (0.1, 5.0)] == ["ok", "note"]
    assert low.judge(3, at_most="note") == ("note", 10)
    every = [value for value in vars(limits_module).values() if isinstance(value, Limits)]
    assert len(every) >= len(TRIGGERS)
    for each in every:
        assert len(each.reason) > 40
        assert each.alarm is None or (each.alarm < each.note) == each.below


def test_quality_by_group_is_that_of_a_crosstab() -> None:
    prob = np.where(truth()["x"] > 0, 0.4, 0.2)
    data = by_chance(prob)
    fit = dsl.dsl(data=data, **{**CALL, "sample_prob": "pi", "formula": "y ~ x + g"}
                  | {"predicted_var": "y", "prediction": "sy"})  # fmt: skip
    table = diagnose(fit, data).detail("surrogates").set_index(["covariate", "group"])
    kept = data[data["y"].notna()].assign(
        w=1 / fit.sample.sample_prob[data["y"].notna()], p=lambda d: d["sy"] != d["y"]
    )
    assert table.loc[("", "(all rows)"), "n"] == len(kept)
    for level, part in kept.groupby("g"):
        row = table.loc[("g", level)]
        right, positive = part["sy"] == part["y"], part["y"] == 1
        assert row["accuracy"] == pytest.approx(np.average(right, weights=part["w"]))
        assert row["false_negative_rate"] == pytest.approx(np.average(~right[positive], weights=part["w"][positive]))
        assert row["false_positive_rate"] == pytest.approx(np.average(~right[~positive], weights=part["w"][~positive]))
        assert row["rmse"] == pytest.approx(np.sqrt(np.average((part["sy"] - part["y"]) ** 2, weights=part["w"])))
    assert sum(name == "x" for name, _ in table.index) == 3


def test_categories_and_probabilities_of_categories() -> None:
    rng = np.random.default_rng(0)
    n, levels = 1500, np.array(["left", "none", "right"])
    code = rng.integers(0, 3, n)
    seen = np.where(rng.random(n) < 0.7, code, rng.integers(0, 3, n))
    shown = drawn(500, n)
    shares = pd.DataFrame(np.eye(3)[seen] * 0.6 + 0.4 / 3, columns=[f"p_{level}" for level in levels])
    data = shares.assign(t=np.where(shown, levels[code], None), s=levels[seen], x=rng.normal(size=n))
    call: dict[str, Any] = {"data": data, "predicted_var": "t", "sl_method": "lm", "sample_split": 2}
    labels = diagnose(dsl.dsl("t ~ x", prediction="s", **call), data)
    kappa = cohen_kappa_score(levels[code][shown], levels[seen][shown])
    assert labels.checks.set_index("check").loc["surrogate", "value"] == pytest.approx(kappa)
    paired = call | {"predicted_var": {"t": list(shares.columns)}}
    probabilities = diagnose(dsl.dsl("x ~ t", **paired), data)
    assert probabilities.checks.set_index("check").loc["surrogate", "value"] == pytest.approx(kappa)
    unpaired = call | {"prediction": list(shares.columns)}
    without = diagnose(dsl.dsl("x ~ t", **unpaired), data)
    assert "pass predicted_var=" in without.skipped["surrogate of t"]


def test_numbers_are_judged_by_errors_given_the_gold_value() -> None:
    """A surrogate that compresses the scale is not differential; one whose error moves with x is."""
    rng = np.random.default_rng(1)
    n = 3000
    x = rng.normal(size=n)
    y = 5.0 + 2.0 * x + rng.normal(size=n)
    data = pd.DataFrame({"x": x, "y": np.where(drawn(800, n), y, np.nan)})
    clean, tilted = np.sqrt(y.clip(0.1)) + rng.normal(size=n), y + 0.5 * x + rng.normal(size=n)
    for surrogate, status in ((clean, "ok"), (tilted, "note")):
        each = data.assign(s=surrogate)
        fit = dsl.dsl("y ~ x", each, predicted_var="y", prediction="s", sl_method="lm", sample_split=2)
        found = diagnose(fit, each)
        assert found.checks.set_index("check").loc["differential error", "status"] == status
        row = found.detail("surrogates").set_index("covariate").loc[""]
        gap = (surrogate - data["y"]).dropna()
        assert row["bias"] == pytest.approx(gap.mean())
        assert row["rmse"] == pytest.approx(np.sqrt((gap**2).mean()))


def test_differential_error_alarms_where_surrogates_are_taken_for_the_truth() -> None:
    data, _ = TRIGGERS["differential error"]()
    status = {}
    for estimator in ("naive", "gold_only", "dsl"):
        found = examined(data, {"estimator": estimator})
        mine = found.checks[(found.checks["about"] == "y by g")].iloc[0]
        status[estimator] = mine["status"]
    assert status == {"naive": "alarm", "gold_only": "note", "dsl": "note"}


def test_by_further_columns(clean: Diagnostics) -> None:
    data = labeled(page=np.where(np.arange(ROWS) % 2, "odd", "even"), length=np.arange(ROWS) * 1.0)
    data.loc[5, "length"] = np.nan
    fit = dsl.dsl(data=data, **{**CALL, "sample_split": 2})
    found = diagnose(fit, data, by=["page", "length", "g"])
    assert found.detail("differential")["covariate"].unique().tolist() == ["g", "x", "page", "length"]
    for words, by in (("'y', a gold label", "y"), ("'pages', which is not in the data", "pages")):
        with pytest.raises(ArgumentError, match=words):
            diagnose(fit, data, by=by)
    assert clean.detail("differential")["covariate"].unique().tolist() == ["g", "x"]


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
@pytest.mark.parametrize("estimator", ["naive", "gold_only", "dsl", "dsl+", "cdi", "ppi", "ppi++"])
@pytest.mark.parametrize("target", ["superpopulation", "finite"])
def test_every_estimator_is_examined(estimator: str, target: str) -> None:
    if (estimator, target) == ("naive", "finite"):
        return  # refused by dsl.dsl
    data = posts()
    found = diagnose(run(data, "y ~ x + g", estimator=estimator, target=target, sample_split=3), data)
    learns = estimator in ("dsl", "dsl+")
    names = set(found.checks["check"]) | set(found.skipped)
    assert {"surrogate", "balance", "influence", "splits", "folds", "jacobian"} <= names
    assert ("folds" in found.skipped) is not learns
    assert ("influence" in found.skipped) is (estimator == "naive")
    assert found.checks["value"].notna().all()
    assert set(found.checks["status"]) <= set(STATUS)


def test_balance_knows_what_was_drawn_together() -> None:
    """Whole clusters that differ in x: drawn together, they are no evidence against the design."""
    d = truth()
    d["x"] = np.random.default_rng(9).normal(size=CLUSTERS)[d["cl"]] + 0.1 * d["x"]
    design = dsl.sampling.clustered(d, 60, by="cl", seed=5)
    data = hide(d, design.drawn)
    call = {**CALL, "formula": "y ~ d + x", "cluster": None, "sample_split": 2}
    known = dsl.dsl(data=data, design=design, **call)
    with pytest.warns(LabelingWarning, match="labelled rows do not look drawn as stated"):
        alone = dsl.dsl(data=data, **call)
    checks = [diagnose(fit, data).checks.set_index("check").loc["balance"] for fit in (alone, known)]
    assert [check["status"] for check in checks] == ["alarm", "ok"]


def test_influence_in_a_finite_population_is_a_share_of_its_variance() -> None:
    """Of the mean corrected by a surrogate that is too high everywhere: shares of sum (e - mean e)^2, e = y - llm."""
    data = posts()
    data["llm"] += 0.2
    fit = run(data, "y ~ 1", estimator="cdi", tune=1.0, target="finite")
    found = diagnose(fit, data).detail("influential")
    error = (data["y"] - data["llm"]).dropna()
    share = (error - error.mean()) ** 2
    expected = (share / share.sum()).loc[found.index]
    np.testing.assert_allclose(found["share"], expected, rtol=SAME_ALGEBRA)
    assert found["share"].iloc[0] == pytest.approx((share / share.sum()).max())


def test_balance_of_a_stratified_sample_is_judged_within_strata() -> None:
    """Expected numbers are sum n_h N_hj / N_h, and strata themselves show nothing."""
    d = truth()
    sizes = {"a": 200, "b": 300, "c": 500}
    design = dsl.sampling.stratified(d, by="g", allocation=sizes, seed=5)
    data = hide(d, design.drawn)
    call = {**CALL, "formula": "y ~ d + g + I(noise)", "cluster": None, "sample_split": 1}
    table = diagnose(dsl.dsl(data=data, design=design, **call), data).detail("balance").set_index("column")
    found = table.loc["sd"]
    rows = d[d["sd"] == float(found["part"].removeprefix("sd = "))]
    expected = sum(sizes[g] * (rows["g"] == g).sum() / (d["g"] == g).sum() for g in sizes)
    assert found["expected"] == pytest.approx(expected)
    assert found["n_labeled"] == design.drawn[rows.index].sum()
    assert table.loc["g", "p_adjusted"] == 1.0


def test_tuned_fits_need_more_labels_behind() -> None:
    data = posts()
    plain, tuned = (diagnose(run(data, "y ~ x", tune=tune), data).checks.set_index("check") for tune in (None, "coef"))
    assert plain.loc["labels behind", "threshold"] == limits_module.BEHIND.note
    assert limits_module.BEHIND_TUNED.note == FEW_BEHIND
    assert tuned.loc["labels behind", "threshold"] == limits_module.BEHIND_TUNED.alarm
    assert (plain.loc["labels behind", "status"], tuned.loc["labels behind", "status"]) == ("ok", "alarm")


def test_what_does_not_apply_is_skipped_with_a_reason() -> None:
    data = posts()
    found = diagnose(run(data, "y ~ x"), data)
    assert found.skipped["clusters"] == "the fit has no clusters"
    assert "sample_split=10" in found.skipped["splits"]
    assert "predicted" in found.skipped["jacobian"]
    every = data.assign(y=data["y"].fillna(data["llm"]))
    with pytest.warns(DSLWarning, match="every row is labelled"):
        fit = run(every)
    assert diagnose(fit, every).skipped["balance"] == "every row is labelled"
    with pytest.raises(ArgumentError, match="there is no table 'splits' here; there are surrogates, diff"):
        found.detail("splits")


def test_fixed_effects_and_several_equations() -> None:
    panel = dsl.datasets.simulate_panel(seed=3)
    found = diagnose(dsl.dsl(data=panel, sl_method="lm", sample_split=2, **panel.attrs["call"]), panel)
    assert "jacobian" in set(found.checks["check"]) | set(found.skipped)
    assert found.alarms.empty


def test_prints(clean: Diagnostics) -> None:
    assert repr(clean) == f"<Diagnostics: 0 alarms, 0 notes, {len(clean.checks)} ok>"
    found = examined(*few_in_a_level())
    text = str(found)
    assert "ALARM: labels per cell (g = rare)" in text
    assert "Why: threshold 5, labelled rows in a cell" in " ".join(text.split())
    assert "Skipped: " in text
    assert max(map(len, text.splitlines())) <= 100
    html = found._repr_html_()
    assert html.count("<tr") == len(found.checks) + 1
    assert found.checks["status"].tolist() == sorted(found.checks["status"], key=STATUS.index, reverse=True)


def test_other_data_and_removed_data_are_refused() -> None:
    data = posts()
    fit = run(data)
    with pytest.raises(ArgumentError, match="not the data of the fit"):
        diagnose(fit, data.iloc[:-1])
    fit.remove_data()
    with pytest.raises(ArgumentError, match="remove_data"):
        diagnose(fit, data)


def test_splits_needed() -> None:
    """As many splits as table 'splits' asks for bring the shift to the threshold."""
    data, changes = TRIGGERS["splits"]()
    found = examined(data, changes)
    row = found.detail("splits").loc["x"]
    needed = 1.2533 * row["sd"] / np.sqrt(row["splits_needed"]) / row["std_error"]
    assert needed <= limits_module.SPLITS.note
    assert row["shift"] == pytest.approx(1.2533 * row["sd"] / np.sqrt(5) / row["std_error"], rel=1e-3)
