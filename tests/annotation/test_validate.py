"""Agreement with gold labels from a table: whose rows count, by group, of which label, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import metrics

import dsl
from dsl import exceptions as e
from dsl.annotation import Validation, validate
from dsl.engine.agreement import METRICS, krippendorff, label_counts

pytestmark = pytest.mark.numeric

SAME = 1e-12
N = 600


@pytest.fixture(scope="module")
def posts() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.5, N).round(3)
    y = (rng.random(N) < p).astype(float)
    pi = np.where(np.arange(N) % 3 == 0, 0.9, 0.3)
    lab = rng.random(N) < pi
    data = pd.DataFrame({"y": np.where(lab, y, np.nan), "llm": (p > 0.5) * 1.0, "llm_p": p, "pi": pi})
    data["party"] = np.where(rng.random(N) < 0.4, "left", "right")
    data["year"] = 2020 + np.arange(N) % 2
    return data


def named(posts: pd.DataFrame) -> pd.DataFrame:
    """The same with text labels."""
    words = {0.0: "no", 1.0: "yes"}
    llm = pd.DataFrame({"gold": posts["y"].map(words), "llm": posts["llm"].map(words), "llm_yes": posts["llm_p"]})
    return llm.assign(llm_no=1.0 - llm["llm_yes"], pi=posts["pi"], party=posts["party"])


def value(found: Validation, measure: str, label: object = "", row: int = 0) -> float:
    return float(found.get(measure, label)["estimate"].iloc[row])


def test_the_labelled_rows_by_their_probabilities(posts: pd.DataFrame) -> None:
    found = validate(posts, gold="y", prediction="llm", probability="llm_p", sample_prob="pi")
    rows = posts.dropna(subset="y")
    weight = 1.0 / rows["pi"]
    assert found.n == len(rows)
    assert value(found, "accuracy") == pytest.approx(
        metrics.accuracy_score(rows["y"], rows["llm"], sample_weight=weight)
    )
    assert value(found, "recall", 1) == pytest.approx(
        metrics.recall_score(rows["y"], rows["llm"], sample_weight=weight)
    )
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(rows["y"], rows["llm_p"], sample_weight=weight))
    assert value(found, "auc", 0) == pytest.approx(value(found, "auc", 1), abs=SAME)
    assert value(found, "brier") == pytest.approx(
        metrics.brier_score_loss(rows["y"], rows["llm_p"], sample_weight=weight)
    )
    assert set(found.table["n"]) == {len(rows)}
    accuracy = found.get("accuracy").iloc[0]
    assert accuracy["conf_low"] < accuracy["estimate"] < accuracy["conf_high"] < 1.0


def test_groups(posts: pd.DataFrame) -> None:
    """All rows first, then each group as if it were alone; the rows of a calibration table are those of one group."""
    found = validate(posts, gold="y", prediction="llm", probability="llm_p", sample_prob="pi", by=["party", "year"])
    shown = found.get("accuracy")
    assert shown[["party", "year"]].to_numpy().tolist() == [
        ["(all)", "(all)"],
        ["left", 2020],
        ["left", 2021],
        ["right", 2020],
        ["right", 2021],
    ]
    part = posts[(posts["party"] == "left") & (posts["year"] == 2021)]
    alone = validate(part, gold="y", prediction="llm", probability="llm_p", sample_prob="pi")
    for measure in ("accuracy", "kappa", "krippendorff_alpha", "f1", "brier", "auc", "calibration_error"):
        assert value(found, measure, row=2) == pytest.approx(value(alone, measure), abs=SAME)
    bins = found.calibration
    mine = bins[(bins["party"] == "left") & (bins["year"] == 2021)]
    pd.testing.assert_frame_equal(
        mine.drop(columns=["party", "year"]).reset_index(drop=True), alone.calibration, check_dtype=False
    )
    assert mine["n"].sum() == part["y"].notna().sum()


def test_text_labels_are_those_of_numbers(posts: pd.DataFrame) -> None:
    texts = named(posts)
    numbers = validate(posts, gold="y", prediction="llm", probability="llm_p", sample_prob="pi")
    for probability in ("llm_yes", "llm_no", {"yes": "llm_yes", "no": "llm_no"}, {"no": "llm_no"}):
        found = validate(texts, gold="gold", prediction="llm", probability=probability, sample_prob="pi")
        assert found.labels == ("no", "yes")
        np.testing.assert_allclose(found.table["estimate"], numbers.table["estimate"], atol=SAME)
        assert set(found.calibration["label"]) == {"yes"}


def test_kinds_of_tables(posts: pd.DataFrame) -> None:
    whole = validate(posts, gold="y", prediction="llm", sample_prob="pi").table
    words = posts.assign(y=posts["y"].map({0.0: "0", 1.0: "1"}), llm=posts["llm"].astype(bool))
    for table in (pl.from_pandas(posts), {name: posts[name].to_numpy() for name in posts}, words):
        pd.testing.assert_frame_equal(validate(table, gold="y", prediction="llm", sample_prob="pi").table, whole)


def test_krippendorff_alpha(posts: pd.DataFrame) -> None:
    """By the metric, by the design's weights, and with an interval that may reach below zero."""
    stars = posts.assign(y=posts["y"] + 1.0, llm=np.where(posts["llm_p"] > 0.9, 3, posts["llm"] + 1))
    rows = stars.dropna(subset="y")
    counts = label_counts(rows[["y", "llm"]].to_numpy(dtype=int) - 1, 3)
    for metric in METRICS:
        found = validate(stars, gold="y", prediction="llm", sample_prob="pi", metric=metric)
        expected, _ = krippendorff(counts, np.array([1.0, 2.0, 3.0]), metric, (1.0 / rows["pi"]).to_numpy())
        assert value(found, "krippendorff_alpha") == pytest.approx(expected, abs=SAME)
        assert found.metric == metric
    row = found.get("krippendorff_alpha").iloc[0]
    assert row["conf_high"] - row["estimate"] == pytest.approx(row["estimate"] - row["conf_low"])
    assert "krippendorff_alpha" in found.summary()
    with pytest.raises(e.ArgumentError, match="unknown metric 'ratio': use one of nominal, ordinal, interval"):
        validate(posts, gold="y", prediction="llm", metric="ratio")
    with pytest.raises(e.ArgumentError, match=r"'gold' and 'llm' hold the label 'no'; metric='interval' needs numbers"):
        validate(named(posts), gold="gold", prediction="llm", metric="interval")


def test_three_labels() -> None:
    rng = np.random.default_rng(3)
    p = rng.dirichlet([1, 1, 1], 300)
    names = np.array(["a", "b", "c"])
    gold = names[[rng.choice(3, p=each) for each in p]]
    data = pd.DataFrame(p, columns=["llm_a", "llm_b", "llm_c"]).assign(gold=gold, llm=names[p.argmax(axis=1)])
    found = validate(data, gold="gold", prediction="llm", probability={each: f"llm_{each}" for each in names})
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(gold, p, multi_class="ovr", average="macro"))
    assert value(found, "brier") == pytest.approx(((p - (gold[:, None] == names)) ** 2).sum(axis=1).mean() / 2)
    assert list(dict.fromkeys(found.calibration["label"])) == ["a", "b", "c"]
    one = validate(data, gold="gold", prediction="llm", probability="llm_b")
    assert "brier" not in set(one.table["measure"])
    assert value(one, "auc") == value(found, "auc", "b")
    assert "<Validation of 'llm' against 'gold': 300 rows, 3 labels>" in found.summary()


def test_rows_without_a_label_of_the_model_are_counted(posts: pd.DataFrame) -> None:
    data = named(posts)
    lost = np.flatnonzero(data["gold"].notna())[:7]
    data.loc[lost, "llm"] = None
    data.loc[lost[:3], "llm_yes"] = np.nan
    found = validate(data, gold="gold", prediction="llm", probability="llm_yes", sample_prob="pi")
    labelled = int(data["gold"].notna().sum())
    assert (found.n, found.n_missing) == (labelled, 7)
    assert "7 without a label" in repr(found)
    assert found.get("accuracy")["n"].item() == labelled - 7
    assert found.get("brier")["n"].item() == labelled - 3


def test_designs(posts: pd.DataFrame) -> None:
    """The draw's probabilities without naming them, and clusters that were drawn together."""
    design = dsl.sampling.bernoulli(posts, prob="pi", seed=3)
    data = posts.assign(y=(posts["llm_p"] > 0.4) * 1.0)
    data.loc[~design.drawn, "y"] = np.nan
    found = validate(data, gold="y", prediction="llm", design=design)
    named_prob = validate(data.assign(prob=design.prob), gold="y", prediction="llm", sample_prob="prob")
    pd.testing.assert_frame_equal(found.table, named_prob.table)
    units = posts.assign(unit=np.arange(N) // 6, y=data["llm_p"].gt(0.4) * 1.0)
    clusters = dsl.sampling.clustered(units, by="unit", n_clusters=40, seed=1)
    units.loc[~clusters.drawn, "y"] = np.nan
    drawn = validate(units, gold="y", prediction="llm", design=clusters)
    asked = validate(units.assign(p=clusters.prob), gold="y", prediction="llm", sample_prob="p", cluster="unit")
    pd.testing.assert_frame_equal(drawn.table, asked.table)


def test_a_design_that_is_not_used_is_said(posts: pd.DataFrame) -> None:
    data = posts.rename(columns={"pi": "sample_prob"})
    with pytest.warns(e.UnusedDesignWarning, match="sample_prob"):
        validate(data, gold="y", prediction="llm")


def test_perfect_agreement_has_no_interval(posts: pd.DataFrame) -> None:
    found = validate(posts.assign(llm=posts["y"].fillna(0.0)), gold="y", prediction="llm", sample_prob="pi")
    row = found.get("accuracy").iloc[0]
    assert row["estimate"] == 1.0
    assert np.isnan(row["conf_low"])
    assert found.get("kappa")["estimate"].item() == pytest.approx(1.0)


def test_summary(posts: pd.DataFrame) -> None:
    found = validate(posts, gold="y", prediction="llm", probability="llm_p", sample_prob="pi", by="party", bins=5)
    text = found.summary()
    assert "by party" in text
    assert f"{value(found, 'accuracy'):.3f} ({found.get('accuracy')['std_error'].iloc[0]:.3f})" in text
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["party", "(all)", "left", "right"]
    assert sum("0.800" in line for line in lines) >= 1


def wrong(**columns: Any) -> Any:
    return lambda d: d.assign(**{name: each(d) if callable(each) else each for name, each in columns.items()})


def test_leaks_are_not_looked_for(posts: pd.DataFrame) -> None:
    """A copy of the gold labels is the user's business here: nothing is estimated from it."""
    assert (
        value(validate(posts.assign(llm=posts["y"]), gold="y", prediction="llm", sample_prob="pi"), "accuracy") == 1.0
    )


REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no such column": (wrong(), {"prediction": "gpt"}, e.MissingColumnError, "'gpt', named in prediction"),
    "no prediction": (wrong(), {"prediction": None}, e.ArgumentError, "prediction must be the name"),
    "probabilities as labels": (wrong(), {"prediction": "llm_p"}, e.OutcomeError, "probabilities go into probability="),
    "many labels": (
        wrong(y=lambda d: np.arange(N), llm=lambda d: np.arange(N)),
        {},
        e.OutcomeError,
        "600 different values",
    ),
    "text against numbers": (
        wrong(llm=lambda d: d["llm"].map({0.0: "no", 1.0: "yes"})),
        {},
        e.ColumnTypeError,
        r"both must be numbers, or both text",
    ),
    "no gold": (wrong(y=np.nan), {}, e.LabelError, "no labelled rows"),
    "no labels": (wrong(llm=np.nan), {}, e.LabelError, "'llm' is missing in all"),
    "percentages": (
        wrong(q=lambda d: 100 * d["llm_p"]),
        {"probability": "q"},
        e.DataError,
        "divide percentages by 100",
    ),
    "unknown label": (wrong(), {"probability": {"maybe": "llm_p"}}, e.ArgumentError, "names the label 'maybe'"),
    "no mapping": (wrong(), {"probability": {}}, e.ArgumentError, "empty mapping"),
    "whose probability": (
        lambda d: named(d).rename(columns={"gold": "y", "llm_yes": "score"}),
        {"probability": "score"},
        e.ArgumentError,
        "not known of which label 'score' is the probability; pass probability={'no': 'score'}",
    ),
    "a missing group": (
        wrong(party=lambda d: d["party"].where(d.index > 3)),
        {"by": "party"},
        e.DataError,
        r"'party' \(by\) is missing in 4 rows",
    ),
    "a missing cluster": (
        wrong(c=np.nan),
        {"cluster": "c"},
        e.DataError,
        r"'c' \(cluster\) is missing",
    ),
    "gold missing where labelled": (
        wrong(lab=1),
        {"labeled": "lab"},
        e.LabelError,
        "'y' is missing in .* said to be labelled",
    ),
    "probability of zero": (
        wrong(pi=0.0),
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        "zero in",
    ),
    "one bin": (wrong(), {"bins": 1}, e.ArgumentError, "bins is 1; it must be at least 2"),
    "level": (wrong(), {"alpha": 5}, e.ArgumentError, "alpha must lie between"),
    "no such argument": (wrong(), {"predictions": "llm"}, e.CallError, "predictions"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(posts: pd.DataFrame, case: str) -> None:
    change, arguments, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        validate(change(posts), **{"gold": "y", "prediction": "llm", **arguments})


def test_measures_that_are_not_there(posts: pd.DataFrame) -> None:
    found = validate(posts, gold="y", prediction="llm", sample_prob="pi")
    assert found.calibration.empty
    with pytest.raises(
        e.ArgumentError,
        match=r"no measure 'auc' of the label ''; measures are accuracy, kappa, krippendorff_alpha, f1, precision",
    ):
        found.get("auc")
    design = dsl.sampling.bernoulli(posts, prob="pi", seed=3)
    with pytest.raises(e.ArgumentError, match="design says which rows are labelled"):
        validate(posts, gold="y", prediction="llm", design=design, sample_prob="pi")
