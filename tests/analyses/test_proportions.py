"""`proportions`: worked examples, the regression it stands for, intervals against survey formulas, what it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dsl
from dsl import exceptions as e
from dsl.analyses.proportions import Proportions, proportions

EXACT = 1e-10  # same algebra
MEDIANS = 3e-3  # shares of exclusive categories are medians over splits, each of which sums to one

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*rest on few labels", "ignore:4 labelled rows count", "ignore:the labelled rows do not look drawn"
)
QUICK = {"sl_method": "lm", "sample_split": 2}


def posts(rows: int = 600, labels: int = 300, seed: int = 4) -> pd.DataFrame:
    """Posts of two sides in three waves, with a 0/1 label, a topic, and surrogates of both."""
    rng = np.random.default_rng(seed)
    side, wave = rng.integers(0, 2, rows), rng.integers(1, 4, rows)
    toxic = (rng.random(rows) < 0.2 + 0.2 * side + 0.1 * wave).astype(float)
    topic = np.array(["economy", "other", "war"])[np.minimum(rng.integers(0, 3, rows) + (wave == 3), 2)]
    labeled = np.isin(np.arange(rows), rng.permutation(rows)[:labels])
    guess = np.where(rng.random(rows) < 0.8, topic, "other")
    return pd.DataFrame(
        {
            "side": np.array(["left", "right"])[side],
            "wave": wave,
            "toxic": np.where(labeled, toxic, np.nan),
            "llm": np.where(rng.random(rows) < 0.8, toxic, 1 - toxic),
            "topic": pd.Series(topic).where(labeled),
            "llm_topic": guess,
            "user": np.arange(rows) // 6,
            "pi": np.where(side == 1, 0.6, 0.4),
        }
    )


TOXIC = {"gold": "toxic", "prediction": "llm"}
TOPIC = {"gold": "topic", "prediction": "llm_topic"}

# Worked by hand.


def small() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "year": [1, 1, 1, 1, 2, 2, 2, 2],
            "toxic": [1.0, 0.0, np.nan, np.nan, 1.0, 1.0, np.nan, np.nan],
            "llm": [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
        }
    )


def test_worked_example() -> None:
    """Raw surrogates, half of the rows labelled: share = mean(llm) + 2 mean of the errors, in each year."""
    shares = proportions(small(), **TOXIC, time="year", estimator="cdi", tune=1.0)
    np.testing.assert_allclose(shares.table["share"], [3 / 4 - 2 / 4, 2 / 4 + 2 / 4], atol=EXACT)
    adjusted = np.array([[1, -1, 0, 1], [1, 2, 0, 1]])  # llm + 2 (toxic - llm) where labelled
    error = np.sqrt(((adjusted - adjusted.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)) / 4
    np.testing.assert_allclose(shares.table["std_error"], error, atol=EXACT)
    np.testing.assert_allclose(shares.table[["n", "n_labeled"]], [[4, 2], [4, 2]])
    assert shares.table["note"].tolist() == ["few labels; near 0 or 1"] * 2
    change = shares.difference({"year": 2}, {"year": 1})
    assert change["estimate"].item() == pytest.approx(1 - 1 / 4)
    assert change["std_error"].item() == pytest.approx(np.hypot(*error))


def test_worked_example_gold_only() -> None:
    """The labelled rows' weighted means, by hand and by survey formula."""
    data = small().assign(pi=[0.5, 0.25] * 4, year=[1] * 8)
    table = proportions(data, gold="toxic", by="year", sample_prob="pi", estimator="gold_only", interval="normal").table
    w, y = np.array([2.0, 4, 2, 4]), np.array([1.0, 0, 1, 1])
    share = (w @ y) / w.sum()
    error = np.sqrt(((w * (y - share)) ** 2).sum()) / w.sum()
    assert table["share"].item() == pytest.approx(share)
    assert table["std_error"].item() == pytest.approx(error)
    assert table["n_effective"].item() == pytest.approx(w.sum() ** 2 / (w**2).sum())
    ends = np.clip(stats.norm.interval(0.95, share, error), 0, 1)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].iloc[0], ends)


def test_fully_labelled_shares_are_a_cross_table() -> None:
    data = posts(labels=600)
    with pytest.warns(e.AllLabeledWarning):
        table = proportions(data, **TOPIC, by="side", time="wave", **QUICK).table
    counts = pd.crosstab([data["side"], data["wave"]], data["topic"], normalize="index")
    np.testing.assert_allclose(table["share"], counts.to_numpy().ravel(), atol=EXACT)
    assert table[["side", "wave", "category"]].astype(str).agg(" ".join, axis=1).tolist() == [
        f"{side} {wave} {topic}" for side, wave in counts.index for topic in counts
    ]
    n = data.groupby(["side", "wave"]).size().to_numpy().repeat(3)
    p = counts.to_numpy().ravel()
    np.testing.assert_allclose(table["std_error"], np.sqrt(p * (1 - p) / n), atol=EXACT)
    assert table["n"].tolist() == n.tolist()


# The regression behind it.


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "gold_only", "cdi", "ppi", "ppi++", "naive"])
@pytest.mark.parametrize("cluster", [None, "user"])
def test_shares_are_coefficients(estimator: str, cluster: str | None) -> None:
    data = posts()
    shares = proportions(data, **TOXIC, time="wave", cluster=cluster, estimator=estimator, **QUICK)
    feature = "wave" if estimator in ("dsl", "dsl+") else None
    fit = dsl.dsl(
        "toxic ~ 0 + factor(wave)",
        data,
        predicted_var="toxic",
        prediction="llm",
        feature=feature,
        cluster=cluster,
        estimator=estimator,
        **QUICK,
    )
    np.testing.assert_allclose(shares.table["share"], fit.params, atol=1e-8)
    np.testing.assert_allclose(shares.vcov, fit.cov_params(), atol=1e-8)
    first = shares.difference({"wave": 3}, {"wave": 1}).iloc[0]
    contrast = fit.t_test("factor(wave)[3] - factor(wave)[1] = 0")
    assert first["estimate"] == pytest.approx(contrast.effect.item(), abs=1e-8)
    assert first["std_error"] == pytest.approx(contrast.sd.item(), abs=1e-8)
    assert first["p_value"] == pytest.approx(contrast.pvalue.item(), abs=1e-8)


def test_arguments_reach_the_regression() -> None:
    data = posts()
    base = proportions(data, **TOXIC, by="side", **QUICK)
    for other in (
        {"tune": "coef"},
        {"target": "finite"},
        {"vcov": "HC1"},
        {"seed": 9},
        {"cross_fit": 3},
        {"feature": "user"},
    ):
        changed = proportions(data, **TOXIC, by="side", **{**QUICK, **other})
        assert not np.allclose(changed.table["std_error"], base.table["std_error"], rtol=1e-9), other
    weighted = proportions(data, **TOXIC, by="side", sample_prob="pi", **QUICK)
    assert not np.allclose(weighted.table["share"], base.table["share"], rtol=1e-9)
    assert weighted.fit.call.sample_prob == "pi"
    wide = proportions(data, **TOXIC, by="side", alpha=0.5, **QUICK)
    assert (
        (wide.table["conf_high"] - wide.table["conf_low"]) < (base.table["conf_high"] - base.table["conf_low"])
    ).all()
    lab = data.assign(lab=data["toxic"].notna().astype(int))
    pd.testing.assert_frame_equal(proportions(lab, **TOXIC, by="side", labeled="lab", **QUICK).table, base.table)


def test_a_design_says_which_rows_were_drawn() -> None:
    data = posts(labels=600)
    design = dsl.sampling.stratified(data, 240, by=["side", "wave"], allocation="equal", seed=1)
    seen = data.assign(toxic=data["toxic"].where(design.drawn))
    shares = proportions(seen, **TOXIC, by=["side", "wave"], design=design, target="finite", **QUICK)
    assert shares.table["n_labeled"].tolist() == [40] * 6
    np.testing.assert_allclose(shares.table["n_effective"], 40.0)


def test_the_learner_sees_groups_and_time() -> None:
    """A surrogate that is useless in one wave and perfect in the other: only a learner that knows the wave is right in both."""
    rng = np.random.default_rng(1)
    wave, truth = np.arange(2000) % 2, (rng.random(2000) < 0.5).astype(float)
    data = pd.DataFrame({"wave": wave, "llm": np.where(wave == 1, truth, rng.integers(0, 2, 2000))})
    data["y"] = np.where(rng.random(2000) < 0.3, truth, np.nan)
    shares = proportions(data, gold="y", prediction="llm", time="wave", sample_split=1)
    predicted = shares.fit.predictions.mean(axis=0)[:, 0]
    assert np.abs(predicted - truth)[wave == 1].max() < 0.05
    assert np.abs(predicted - 0.5)[wave == 0].max() < 0.2
    text = proportions(
        data.assign(wave=np.where(wave == 1, "b", "a")), gold="y", prediction="llm", by="wave", sample_split=1
    )
    np.testing.assert_allclose(text.table["share"], shares.table["share"], atol=1e-8)


# Categories.


def test_exclusive_categories_sum_to_one() -> None:
    shares = proportions(posts(), **TOPIC, by="side", **QUICK)
    total = shares.table.groupby("side")["share"].sum()
    np.testing.assert_allclose(total, 1.0, atol=MEDIANS)
    assert shares.table["category"].tolist() == ["economy", "other", "war"] * 2
    assert repr(shares) == "<Proportions of 'topic' by side (dsl): 6 shares, 600 rows, 300 labelled>"


def test_two_categories_mirror_each_other() -> None:
    data = posts()
    words = {0.0: "fine", 1.0: "toxic"}
    both = proportions(
        data.assign(toxic=data["toxic"].map(words), llm=data["llm"].map(words)), **TOXIC, time="wave", **QUICK
    )
    first, second = (both.table[both.table["category"] == name].reset_index() for name in ("fine", "toxic"))
    np.testing.assert_allclose(first["share"], 1 - second["share"], atol=EXACT)
    np.testing.assert_allclose(first["std_error"], second["std_error"], atol=EXACT)
    np.testing.assert_allclose(first["conf_low"], 1 - second["conf_high"], atol=EXACT)
    gap = both.difference({"wave": 1, "category": "toxic"}, {"wave": 1, "category": "fine"}).iloc[0]
    assert gap["category"] == "toxic - fine"
    assert gap["estimate"] == pytest.approx(2 * second["share"][0] - 1)
    assert gap["std_error"] == pytest.approx(2 * second["std_error"][0])


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.map({"economy": 10, "other": 2, "war": 7}),
        lambda s: s.map({"economy": "10", "other": "2", "war": "7"}),
    ],
)
def test_whole_numbers_are_categories_in_their_order(make: Callable[[pd.Series], pd.Series]) -> None:
    data = posts()
    coded = proportions(
        data.assign(topic=make(data["topic"]), llm_topic=make(data["llm_topic"])), **TOPIC, by="side", estimator="cdi"
    )
    text = proportions(data, **TOPIC, by="side", estimator="cdi")
    assert coded.table["category"].tolist() == ["2", "7", "10"] * 2
    order = [1, 2, 0, 4, 5, 3]
    np.testing.assert_allclose(coded.table["share"], text.table["share"].to_numpy()[order], atol=EXACT)


def test_class_probabilities_as_predictions() -> None:
    data = posts()
    for name in ("economy", "other", "war"):
        data[f"p_{name}"] = np.where(data["llm_topic"] == name, 0.8, 0.1)
    shares = proportions(data, gold="topic", prediction=["p_economy", "p_other", "p_war"], by="side", estimator="naive")
    expected = data.groupby("side")[["p_economy", "p_other", "p_war"]].mean().to_numpy().ravel()
    np.testing.assert_allclose(shares.table["share"], expected, atol=EXACT)
    assert set(shares.table["note"]) == {""}
    coded = data.assign(topic=data["topic"].map({"economy": 1, "other": 2, "war": 3}))
    for code, name in enumerate(("economy", "other", "war"), start=1):
        coded[f"p_{code}"] = (coded["llm_topic"] == name).astype(float)
    shares = proportions(coded, gold="topic", prediction=["p_1", "p_2", "p_3"], by="side", estimator="naive")
    expected = coded.groupby("side")[["p_1", "p_2", "p_3"]].mean().to_numpy().ravel()
    np.testing.assert_allclose(shares.table["share"], expected, atol=EXACT)


def test_differences_between_all_categories_and_within_one() -> None:
    shares = proportions(posts(), **TOPIC, by="side", time="wave", **QUICK)
    change = shares.difference({"side": "left", "wave": 3}, {"side": "left", "wave": 1})
    assert change["category"].tolist() == ["economy", "other", "war"]
    assert change["estimate"].sum() == pytest.approx(0.0, abs=2 * MEDIANS)
    contrast = np.zeros(18)
    contrast[[8, 2]] = 1, -1  # war in (left, 3) and (left, 1)
    assert change["std_error"].iloc[2] == pytest.approx(np.sqrt(contrast @ shares.vcov @ contrast))
    half = stats.norm.ppf(0.95) * change["std_error"]
    narrow = shares.difference({"side": "left", "wave": 3}, {"side": "left", "wave": 1}, alpha=0.1)
    np.testing.assert_allclose(narrow["conf_high"], change["estimate"] + half)


# Cells.


def test_without_groups_there_is_one_share() -> None:
    table = proportions(posts(), **TOXIC, **QUICK).table
    assert table.columns[:2].tolist() == ["category", "share"]
    assert table["category"].tolist() == ["toxic"]
    assert table["n"].item() == 600


def test_cells_are_sorted_in_their_own_order() -> None:
    data = posts()
    order = pd.CategoricalDtype(["right", "left"], ordered=True)
    month = pd.to_datetime("2024-01-15") + pd.to_timedelta(31 * data["wave"], unit="D")
    data = data.assign(side=data["side"].astype(order), month=month, quarter=month.dt.to_period("Q"))
    assert proportions(data, **TOXIC, by="side", **QUICK).table["side"].tolist() == ["right", "left"]
    months = proportions(data, **TOXIC, time="month", **QUICK).table["month"]
    assert months.is_monotonic_increasing
    quarters = proportions(data, **TOXIC, by="side", time="quarter", **QUICK).table
    assert quarters["quarter"].astype(str).tolist() == ["2024Q1", "2024Q2"] * 2
    only = data[~((data["side"] == "left") & (data["wave"] == 1))]
    assert len(proportions(only, **TOXIC, by="side", time="wave", **QUICK).table) == 5


def test_other_tables_and_awkward_names() -> None:
    import polars as pl

    data = posts().rename(columns={"toxic": "is toxic?", "side": "_cell"})
    call = {"gold": "is toxic?", "prediction": "llm", "by": "_cell", **QUICK}
    plain = proportions(posts(), **TOXIC, by="side", **QUICK).table["share"]
    np.testing.assert_allclose(proportions(data, **call).table["share"], plain)
    np.testing.assert_allclose(proportions(pl.from_pandas(data), **call).table["share"], plain)


def test_cells_without_labels_raise_or_stay_blank() -> None:
    data = posts()
    data.loc[(data["side"] == "left") & (data["wave"] == 2), "toxic"] = np.nan
    call = {**TOXIC, "by": "side", "time": "wave", **QUICK}
    with pytest.raises(
        e.LabelError, match=r"1 of 6 cells have no labelled rows \(first: side=left, wave=2\).*empty='blank'"
    ):
        proportions(data, **call)
    for estimator in ("dsl", "gold_only"):
        shares = proportions(data, **call, empty="blank", estimator=estimator)
        row = shares.table.iloc[1]
        assert row["note"] == "no labelled rows"
        assert row[["share", "std_error", "conf_low", "conf_high"]].isna().all()
        assert row["n"] == ((data["side"] == "left") & (data["wave"] == 2)).sum()
        assert shares.table["share"].notna().sum() == 5
        assert shares.fit.nobs == 600 - row["n"]
        assert shares.difference({"side": "left", "wave": 2}, {"side": "left", "wave": 1})["estimate"].isna().all()
        assert shares.difference({"side": "left", "wave": 3}, {"side": "left", "wave": 1})["std_error"].notna().all()
    naive = proportions(data, **call, estimator="naive")
    assert naive.table["share"].notna().all()


def test_one_cell_with_labels_among_blank_ones() -> None:
    data = posts()
    data.loc[data["wave"] != 2, "toxic"] = np.nan
    alone = proportions(data[data["wave"] == 2], **TOXIC, estimator="gold_only").table["share"].item()
    for estimator in ("gold_only", "dsl"):
        table = proportions(data, **TOXIC, time="wave", empty="blank", estimator=estimator, **QUICK).table
        assert table["note"].str.startswith("no labelled").tolist() == [True, False, True]
        assert table["share"].iloc[1] == pytest.approx(alone, abs=0.1)


def test_cells_in_full_or_not_at_all_need_no_predictions() -> None:
    data = posts(labels=600)
    data.loc[data["wave"] != 2, "toxic"] = np.nan
    with pytest.raises(e.DataError, match=r"labelled in full.*tabulate"):
        proportions(data, **TOXIC, time="wave", empty="blank", **QUICK)


def test_rows_without_features_are_left_out_and_counted() -> None:
    data = posts().assign(words=np.arange(600.0))
    data.loc[data["wave"] == 1, "words"] = np.nan
    with pytest.warns(e.DroppedRowsWarning, match=r"'words'"):
        table = proportions(data, **TOXIC, time="wave", feature="words", **QUICK).table
    assert table["wave"].tolist() == [2, 3]
    assert table["n"].sum() == (data["wave"] != 1).sum()


def test_warning_of_few_labels() -> None:
    data = posts(rows=300, labels=150)
    data.loc[data.index[(data["side"] == "left") & data["toxic"].notna()][12:], "toxic"] = np.nan
    with pytest.warns(
        e.FewLabelsWarning, match=r"1 of 2 shares rest on few labels \(first: side=left\): fewer than 30"
    ) as caught:
        table = proportions(data, **TOXIC, by="side", **QUICK).table
    # most labels of one side were taken away, which has a warning of its own
    assert [warning.filename for warning in caught] == [__file__] * 2
    assert table["note"].tolist() == ["few labels", ""]


def test_few_errors_are_few_labels_too() -> None:
    """A surrogate with one error among 200 labels: the standard error rests on that one."""
    rng = np.random.default_rng(2)
    truth = (rng.random(4000) < 0.5).astype(float)
    data = pd.DataFrame({"y": np.where(np.arange(4000) < 200, truth, np.nan), "llm": truth})
    data.loc[[7, 1000, 2000, 3000], "llm"] = 1 - data.loc[[7, 1000, 2000, 3000], "llm"]
    call = {"gold": "y", "prediction": "llm", "estimator": "cdi", "tune": 1.0}
    assert proportions(data, **call, target="finite").table["note"].item() == "few labels"
    data.loc[:20, "llm"] = 1 - truth[:21]
    assert proportions(data, **call, target="finite").table["note"].item() == ""


# Intervals.


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = {
    "interval": ({}, {"interval": "wilson"}, e.ArgumentError, "'wilson'.*logit, normal"),
    "empty": ({}, {"empty": "drop"}, e.ArgumentError, "'drop'.*raise, blank"),
    "alpha": ({}, {"alpha": 95}, e.ArgumentError, "alpha.*95"),
    "several golds": ({}, {"gold": ["toxic", "topic"]}, e.ArgumentError, "gold must be the name"),
    "by twice": ({}, {"by": "side", "time": "side"}, e.ArgumentError, "different columns.*side, side, toxic"),
    "unknown by": ({}, {"by": "sides"}, e.MissingColumnError, "'sides', named in by.*'side'"),
    "by missing": ({"side": None}, {"by": "side"}, e.DataError, r"'side' \(by\) is missing in 600 rows"),
    "means": ({"toxic": np.linspace(0, 1, 600)}, {}, e.OutcomeError, "600 different numbers.*factor"),
    "no labels": ({"toxic": np.nan}, {}, e.LabelError, "no labelled rows"),
    "constant": ({"toxic": [1.0] * 300 + [np.nan] * 300}, {}, e.OutcomeError, "is 1 in all 300 labelled"),
    "copy": ({}, {"prediction": "toxic"}, e.LeakError, "'toxic'"),
    "no prediction": ({}, {"prediction": None}, e.ArgumentError, "neither prediction nor feature"),
    "call": ({}, {"group": "side"}, e.CallError, "no argument 'group'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_teach(case: str) -> None:
    columns, arguments, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        proportions(posts().assign(**columns), **{**TOXIC, **QUICK, **arguments})


def test_differences_that_name_no_cell() -> None:
    shares = proportions(posts(), **TOXIC, by="side", time="wave", **QUICK)
    place = {"side": "left", "wave": 1}
    for wrong, message in (
        ({"side": "left"}, r"a must be a dict that names a cell, \{'side': ..., 'wave': ...\}"),
        ("left", "a must be a dict"),
        ({"side": "left", "wave": 9}, "wave=9, which is not in the table; there are 1, 2, 3"),
        ({**place, "topic": "war"}, "a must be a dict"),
    ):
        with pytest.raises(e.ArgumentError, match=message):
            shares.difference(wrong, place)
    with pytest.raises(e.ArgumentError, match="'category' in both"):
        proportions(posts(), **TOPIC, by="side", **QUICK).difference(
            {"side": "left", "category": "war"}, {"side": "right"}
        )


def test_results_are_frozen() -> None:
    shares = proportions(posts(), **TOXIC, **QUICK)
    assert isinstance(shares, Proportions)
    with pytest.raises(AttributeError):
        shares.alpha = 0.1  # type: ignore[misc]
