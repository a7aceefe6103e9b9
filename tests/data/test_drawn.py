"""The test of the labels that every call makes: what it finds, what it lets pass, and what it says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.exceptions import DroppedRowsWarning, DSLWarning, LabelingWarning

ROWS = 4000
CALL: dict[str, Any] = {
    "formula": "y ~ x + g",
    "predicted_var": "y",
    "prediction": "llm",
    "estimator": "cdi",
    "tune": 1.0,
}


def table(seed: int = 0) -> pd.DataFrame:
    """Everything known, and columns of all kinds besides."""
    rng = np.random.default_rng(seed)
    y = (rng.random(ROWS) < 0.4) * 1.0
    return pd.DataFrame(
        {
            "y": y,
            "llm": np.where(rng.random(ROWS) < 0.85, y, 1.0 - y),
            "x": rng.normal(size=ROWS),
            "g": rng.choice(["a", "b", "c", "d"], ROWS, p=[0.4, 0.3, 0.2, 0.1]),
            "conf": rng.beta(4.0, 2.0, ROWS),
            "source": np.where(rng.random(ROWS) < 0.3, "tweets", "nyt"),
            "cl": rng.permutation(np.arange(ROWS) % 200),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 600, ROWS), unit="D"),
            "text": [f"text {j}" for j in range(ROWS)],
        }
    )


def some(data: pd.DataFrame, rows: Any, size: int = 400, seed: int = 1) -> np.ndarray:
    """Labelled rows: a simple random sample of those where `rows` is true."""
    drawn = np.zeros(len(data), dtype=bool)
    drawn[np.random.default_rng(seed).choice(np.flatnonzero(rows), size, replace=False)] = True
    return drawn


def hidden(data: pd.DataFrame, drawn: np.ndarray) -> pd.DataFrame:
    return data.assign(y=data["y"].where(drawn))


def said(call: Callable[[], object]) -> str:
    with pytest.warns(LabelingWarning) as caught:
        call()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return str(caught[0].message)


CASES: dict[str, tuple[Callable[[pd.DataFrame], np.ndarray], str]] = {
    "first rows": (
        lambda d: np.arange(ROWS) < 500,
        r"500 of the 600 rows 1 to 600 of the data are labelled \(expected about 75\)",
    ),
    "one prediction": (
        lambda d: some(d, d["llm"] == 1.0),
        r"no labelled row has llm = 0 \(expected about 2\d\d of its 2,\d+ rows\)",
    ),
    "confident": (lambda d: some(d, d["conf"] > 0.8), r"no labelled row has conf up to 0\.\d+ \(expected about"),
    "a group": (lambda d: some(d, d["g"] != "c"), r"no labelled row has g = c \(expected about"),
    "oversampled": (
        lambda d: np.random.default_rng(3).random(ROWS) < np.where(d["source"] == "tweets", 0.6, 0.08),
        r"of [\d,]+ rows with source = (tweets|nyt) are labelled \(expected about",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_five_cases_are_found(case: str) -> None:
    """Confidence and source are outside the formula."""
    draw, words = CASES[case]
    data = table()
    shown = hidden(data, draw(data))
    with pytest.warns(LabelingWarning, match=words) as caught:
        fit = dsl.dsl(data=shown, **CALL)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "label a random sample of the other rows, or analyse only the rows from which they were drawn" in message
    assert ("The call does not name" in message) is (case in ("confident", "oversampled"))
    assert ("shuffle" in message) is (case == "first rows")
    assert "labelled rows do not look drawn as stated" in str(fit.summary())


def test_unequal_probabilities_pass_once_they_are_stated() -> None:
    data = table()
    prob = np.where(data["source"] == "tweets", 0.6, 0.08)
    shown = hidden(data, np.random.default_rng(3).random(ROWS) < prob).assign(prob=prob)
    dsl.dsl(data=shown, sample_prob="prob", **CALL)
    wrong = said(lambda: dsl.dsl(data=shown.assign(prob=prob[::-1]), sample_prob="prob", **CALL))
    assert "rows with prob = 0.08 are labelled" in wrong
    # only their ratios count
    dsl.dsl(data=shown.assign(prob=prob * 0.4), sample_prob="prob", **CALL)


DESIGNS: dict[str, Callable[[pd.DataFrame, int], Any]] = {
    "srs": lambda d, s: dsl.sampling.simple_random(d, 300, seed=s),
    "bernoulli": lambda d, s: dsl.sampling.bernoulli(d, prob=np.where(d["conf"] > 0.8, 0.3, 0.02), seed=s),
    "stratified": lambda d, s: dsl.sampling.stratified(d, 300, by=["g", "llm"], allocation="equal", seed=s),
    "pps": lambda d, s: dsl.sampling.proportional_to_size(d, 300, measure=1.0 - d["conf"], floor=0.02, seed=s),
    "cluster": lambda d, s: dsl.sampling.clustered(d, 15, by="cl", seed=s),
    "two_stage": lambda d, s: dsl.sampling.two_stage(d, 40, 8, by="cl", seed=s),
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_designs_pass(kind: str) -> None:
    """Whatever is drawn, with what is recorded of it or with its probabilities alone."""
    data = table()
    # other seeds than the table's: the same random numbers would tie the draw to its values
    for seed in (11, 12, 13):
        design = DESIGNS[kind](data, seed)
        shown = hidden(data, design.drawn)
        dsl.dsl(data=shown, design=design, **CALL)
        clustered = design.unit is not None
        dsl.dsl(data=shown.assign(p=design.prob), sample_prob="p", cluster="cl" if clustered else None, **CALL)


def test_a_design_knows_the_order_of_its_draw() -> None:
    """Labelled rows put on top of the table after they were drawn."""
    data = table()
    design = dsl.sampling.simple_random(data, 300, seed=4)
    shown = hidden(data, design.drawn)
    holes = shown.assign(x=shown["x"].where(np.arange(ROWS) % 2 == 0))
    with pytest.warns(DroppedRowsWarning):
        fit = dsl.dsl(data=holes, design=design, **CALL)
    assert any(each.role == "order" and each.rows < ROWS for each in fit.sample.looked)
    top = pd.concat([shown[design.drawn], shown[~design.drawn]])
    assert "rows 1 to 400 of the data are labelled" in said(lambda: dsl.dsl(data=top, **CALL))
    dsl.dsl(data=top, design=design, **CALL)


def test_a_seed_used_twice_is_found() -> None:
    """The numbers that made a column of the table draw the rows, too: no random sample of these values."""
    data = table().assign(tie=np.random.default_rng(1).random(ROWS))
    design = dsl.sampling.simple_random(data, 300, seed=1)
    assert "no labelled row has tie" in said(
        lambda: dsl.dsl(data=hidden(data, design.drawn), design=design, **{**CALL, "formula": "y ~ x + tie"})
    )


def test_every_call_says_so() -> None:
    data = table()
    shown = hidden(data, some(data, data["llm"] == 1.0))
    words = {"gold": "y", "prediction": "llm"}
    calls: list[Callable[[], object]] = [
        lambda: dsl.proportions(shown, by="g", **words),
        lambda: dsl.ppi_quantile(shown.assign(y=shown["y"] + 1.0 * shown["x"]), **words),
        lambda: dsl.ppi_statistic(lambda f, w: np.average(f["y"], weights=w), shown, n_boot=50, **words),
        lambda: dsl.aggregate(shown, unit="cl", **words),
        lambda: dsl.compare(data=shown, formula="y ~ x", predicted_var="y", prediction="llm", estimators=["naive", "gold_only"]),
    ]  # fmt: skip
    for call in calls:
        assert "no labelled row has llm = 0" in said(call)


def test_proportions_name_groups_and_columns_outside_the_call() -> None:
    data = table()
    words = {"gold": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
    shown = hidden(data, some(data, (data["g"] != "c") | (np.arange(ROWS) < 1600), 800))
    assert "rows with g = c are labelled" in said(lambda: dsl.proportions(shown, by="g", **words))
    shown = hidden(data, some(data, data["source"] == "nyt"))
    assert "no labelled row has source = tweets" in said(lambda: dsl.proportions(shown, by="g", **words))


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas, lambda d: {n: d[n].to_numpy() for n in d}])
def test_any_container(make: Callable[[pd.DataFrame], Any]) -> None:
    data = table()
    shown = hidden(data, some(data, data["source"] == "nyt"))
    assert "no labelled row has source = tweets" in said(lambda: dsl.dsl(data=make(shown), **CALL))
    dsl.dsl(data=make(hidden(data, some(data, data["x"] < 99.0))), **CALL)


ROLES: dict[str, dict[str, Any]] = {
    "covariate": {"formula": "y ~ source"},
    "outcome": {"formula": "x ~ y + source"},
    "feature": {"feature": "source", "estimator": "dsl", "tune": None, "sl_method": "lm", "sample_split": 1},
    "fixed effect": {"formula": "y ~ x | source", "model": "felm"},
    "cluster": {"cluster": "source"},
}


@pytest.mark.parametrize("kind", ["object", "category", "bool", "Int64", "string"])
@pytest.mark.parametrize("role", ROLES)
def test_every_role_and_kind(role: str, kind: str) -> None:
    data = table()
    drawn = some(data, (data["source"] == "nyt") | (np.arange(ROWS) < 60))
    if kind in ("bool", "Int64"):
        data["source"] = data["source"] == "tweets"
    data["source"] = data["source"].astype(kind)
    shown = hidden(data, drawn)
    assert "rows with source = " in said(lambda: dsl.dsl(data=shown, **{**CALL, **ROLES[role]}))


def test_columns_made_from_the_labels_are_no_evidence() -> None:
    data = table()
    drawn = some(data, data["x"] < 99.0)
    rng = np.random.default_rng(5)
    shown = hidden(data, drawn).assign(
        is_labeled=drawn,
        coder=np.where(drawn, rng.choice(["ann", "bob"], ROWS), ""),
        remark=np.where(drawn, "clear", None),
        final=np.where(drawn, data["y"], data["llm"]),
        other_gold=np.where(drawn & (rng.random(ROWS) < 0.5), data["x"], np.nan),
        weight=np.where(drawn, 10.0, 0.0),
        coded_on=pd.Series(pd.Timestamp("2024-05-01"), index=data.index).where(drawn),
        pilot=(drawn & (np.arange(ROWS) < 700)).astype(int),
    )
    dsl.dsl(data=shown, **CALL)


def test_strange_columns_outside_the_call_do_no_harm() -> None:
    data = table()
    shown = hidden(data, some(data, data["x"] < 99.0)).assign(
        lists=[[1, 2]] * ROWS,
        dicts=[{"a": 1}] * ROWS,
        mixed=[1, "a", None, 2.5] * (ROWS // 4),
        empty=np.nan,
        nothing=None,
        infinite=np.inf,
        constant=1,
        complex=1j,
        period=pd.period_range("2000-01", periods=ROWS, freq="h"),
        interval=pd.cut(data["x"], 5),
        delta=pd.to_timedelta(np.arange(ROWS), unit="s"),
        big=np.arange(ROWS, dtype=np.uint64) + 2**63,
        zoned=data["day"].dt.tz_localize("UTC"),
    )
    twice = pd.concat([shown, shown[["conf"]]], axis=1)
    dsl.dsl(data=twice, **CALL)
    table_of = {name: shown[name].to_numpy() for name in ("y", "x", "g", "llm")}
    dsl.dsl(data={**table_of, "short": [1, 2], "scalar": 3, "none": None}, **CALL)


def test_missing_values_decide_the_rows_not_the_draw() -> None:
    """Labels drawn among complete rows are as good as labels drawn among all."""
    data = table()
    data.loc[data["conf"] < 0.5, "x"] = np.nan
    for rows in (data["x"].notna(), data["g"] != ""):
        with pytest.warns(DSLWarning) as caught:
            dsl.dsl(data=hidden(data, some(data, rows)), **CALL)
        assert [each.category.__name__ for each in caught] == ["DroppedRowsWarning"]
    # a column outside the call is judged on the rows where it is known
    part = data.assign(x=0.0 + np.arange(ROWS) % 7, source=data["source"].where(np.arange(ROWS) % 2 == 0))
    assert "source = tweets" in said(lambda: dsl.dsl(data=hidden(part, some(data, data["source"] == "nyt")), **CALL))


def test_fixed_effects_whose_labels_are_gathered_in_few() -> None:
    data = table()
    call = {**CALL, "formula": "y ~ x | cl", "model": "felm"}
    design = dsl.sampling.clustered(data, 15, by="cl", seed=1)
    shown = hidden(data, design.drawn)
    assert "labelled rows lie in 15 of 200 levels of 'cl' (expected about 15" in said(
        lambda: dsl.dsl(data=shown, **call)
    )
    dsl.dsl(data=shown, cluster="cl", **call)


def test_clusters_labelled_in_the_order_of_the_table() -> None:
    """Without a design, but with the clusters: whole ones, and parts of them."""
    data = table().sort_values("cl", ignore_index=True)
    for drawn in (data["cl"] < 20, (data["cl"] < 40) & (np.arange(ROWS) % 20 < 10)):
        message = said(lambda drawn=drawn: dsl.dsl(data=hidden(data, drawn.to_numpy()), cluster="cl", **CALL))
        assert "rows 1 to" in message


def test_refits_do_not_repeat_it() -> None:
    data = table()
    shown = hidden(data, some(data, data["llm"] == 1.0))
    with pytest.warns(LabelingWarning):
        fit = dsl.dsl(data=shown, **CALL)
    found = fit.diagnostics(shown)
    assert found.alarms["check"].tolist()[0] == "balance" or "balance" in found.alarms["check"].tolist()
    assert "no labelled row has llm = 0" in str(found)
    fit.compare(shown, estimators=["gold_only"])


def test_columns_made_from_the_labels_are_told_by_their_name() -> None:
    """As `dsl.aggregate` writes them: means that labels move, where there are any."""
    data = table()
    drawn = some(data, np.ones(ROWS, dtype=bool))
    noise = np.random.default_rng(2).normal(size=ROWS) * np.where(drawn, 8.0, 1.0)
    dsl.dsl(data=hidden(data, drawn).assign(y_adjusted=data["llm"] + noise), **CALL)
    assert "'wild'" in said(lambda: dsl.dsl(data=hidden(data, drawn).assign(wild=data["llm"] + noise), **CALL))
