"""Codes for missing among gold labels are errors, elsewhere warnings: kinds of codes, containers, roles and calls."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.data.codes import FEWEST, Gold, check_gold, far_codes, is_far
from dsl.data.codes import NUMBERS as CODES
from dsl.exceptions import CodingWarning, LabelError, MissingCodeError

ROWS = 400
WORDS = ("", "  ", "nan", "NA", "N/A", "n.a.", "none", "None", "NULL", "not coded", ".", "-", "unclear yet")
NUMBERS = (-99, -9, 9, 99, 999, 88, 98, 8888, -1, 0.5)


def labels(code: object, *, text: bool, share: float = 0.3) -> pd.DataFrame:
    """Gold labels on some rows and a code on the others, with surrogates right on nine in ten."""
    rng = np.random.default_rng(5)
    truth, labeled = rng.random(ROWS) < 0.4, rng.random(ROWS) < share
    llm = truth ^ (rng.random(ROWS) < 0.1)
    names = {True: "yes", False: "no"} if text else {True: 1.0, False: 0.0}
    gold = [names[bool(t)] if seen else code for t, seen in zip(truth, labeled, strict=True)]
    return pd.DataFrame(
        {
            "gold": pd.Series(gold, dtype=object if text else float),
            "llm": [names[bool(value)] for value in llm],
            "x": rng.normal(size=ROWS),
            "age": rng.integers(18, 95, ROWS).astype(float),
            "party": rng.choice(["left", "right", "none"], ROWS),
            "cl": np.arange(ROWS) // 10,
            "lab": labeled.astype(int),
        }
    )


def fit(data: Any, formula: str = "gold ~ x", **more: Any) -> Any:
    given = {"predicted_var": "gold", "prediction": "llm", "sl_method": "lm", "sample_split": 1, **more}
    return dsl.dsl(formula, data, **given)


def without(data: pd.DataFrame, code: object) -> pd.DataFrame:
    """The remedy that the message names."""
    return data.assign(gold=data["gold"].mask(data["gold"] == code))


CONTAINERS: dict[str, Callable[[pd.DataFrame], object]] = {
    "pandas": lambda data: data,
    "nullable": lambda data: data.convert_dtypes(),
    "arrow": lambda data: data.convert_dtypes(dtype_backend="pyarrow"),
    "categorical": lambda data: data.assign(gold=data["gold"].astype("category")),
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "dict": lambda data: {str(name): data[name].to_numpy() for name in data},
}


@pytest.mark.parametrize(
    ("code", "container"), [*((code, "pandas") for code in WORDS), *(("not coded", name) for name in CONTAINERS)]
)
def test_words_on_unlabelled_rows(code: str, container: str) -> None:
    data = labels(code, text=True)
    count = int((data["gold"] == code).sum())
    with pytest.raises(MissingCodeError) as error:
        fit(CONTAINERS[container](data), model="logit")
    said = str(error.value)
    assert f"column 'gold' (predicted_var) is {code!r} in {count} rows (first: " in said
    assert "Make it missing: data['gold'] = data['gold'].mask(" in said
    assert fit(CONTAINERS[container](without(data, code)), model="logit").n_labeled == ROWS - count


@pytest.mark.parametrize(
    ("code", "container"), [*((code, "pandas") for code in NUMBERS), *((-9, name) for name in CONTAINERS)]
)
def test_numbers_on_unlabelled_rows(code: float, container: str) -> None:
    data = labels(code, text=False)
    with pytest.raises(MissingCodeError, match=f"is {code:g} in {int((data['gold'] == code).sum())} rows"):
        fit(CONTAINERS[container](data))
    assert fit(CONTAINERS[container](without(data, code))).n_labeled == int(data["lab"].sum())


@pytest.mark.parametrize("code", [".", "NA", "-9"])
def test_words_among_numbers(code: str) -> None:
    """Numbers that were read as text because of the code."""
    data = labels(code, text=True).replace({"yes": "1", "no": "0"})
    with pytest.raises(MissingCodeError, match=f"is {code!r} in"):
        fit(data)


def test_as_a_covariate_and_in_a_comparison() -> None:
    data = labels("not coded", text=True)
    with pytest.raises(MissingCodeError):
        fit(data, "x ~ gold")
    with pytest.raises(MissingCodeError):
        dsl.compare("x ~ gold", data, predicted_var="gold", prediction="llm", sl_method="lm")


@pytest.mark.parametrize("code", ["NA", -9])
def test_calls_without_formula(code: object) -> None:
    data = labels(code, text=isinstance(code, str))
    calls: list[Callable[[], object]] = [
        lambda: dsl.proportions(data, gold="gold", prediction="llm"),
        lambda: dsl.aggregate(data, unit="cl", gold="gold", prediction="llm"),
        lambda: dsl.ppi_statistic(lambda frame, weights: 1.0, data, gold="gold", prediction="llm"),
        lambda: dsl.ppi_quantile(data, gold="gold", prediction="llm"),
    ]
    for call in calls:
        with pytest.raises(MissingCodeError, match=r"column 'gold' \(gold\) is"):
            call()


def test_where_labelled_rows_are_stated() -> None:
    """Any value that is on most unlabelled rows and on no labelled one. What a labelled row has too is a label."""
    data = labels("later", text=True)
    for given in ({"labeled": "lab"}, {"labeled": "lab", "estimator": "gold_only", "prediction": None}):
        with pytest.raises(MissingCodeError, match=r"is 'later' in .*, all of them unlabelled"):
            fit(data, **given)
    design = dsl.sampling.simple_random(data, 100)
    gold = pd.Series("no", index=data.index).mask(data["x"] > 0, "yes")
    with pytest.raises(MissingCodeError, match="is 7 in 300 rows"):
        fit(data.assign(gold=gold.eq("yes").astype(float).where(design.drawn, 7.0)), design=design)
    with pytest.raises(LabelError, match="not drawn by the design"):
        fit(data.assign(gold=gold), design=design, model="logit")
    every = labels("none", text=True).assign(lab=1, party="a")
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        assert fit(every, "x ~ gold", labeled="lab").n_labeled == ROWS


def test_categories_that_look_like_codes() -> None:
    """Labels that surrogates use too, and words on fewer rows than are missing."""
    rng = np.random.default_rng(1)
    for word in ("none", "None", "NA"):
        topic = rng.choice([word, "war", "peace"], ROWS, p=[0.6, 0.2, 0.2])
        llm = np.where(rng.random(ROWS) < 0.8, topic, "war")
        data = pd.DataFrame({"gold": topic, "llm": llm, "x": rng.normal(size=ROWS)})
        check_gold(Gold(data["gold"], "gold", None, [data["llm"]]))
        if word != "NA":
            fit(data.assign(gold=data["gold"].where(rng.random(ROWS) < 0.3)), "x ~ gold")
    signs = pd.Series(rng.choice(["+", "-"], ROWS))
    check_gold(Gold(signs, "gold", None, [signs]))
    check_gold(Gold(signs.where(signs == "-"), "gold", None, [signs]))


def test_codes_on_a_few_labelled_rows() -> None:
    """A word that is no label is one nowhere."""
    data = without(labels("later", text=True), "later")
    data.loc[data.index[data["lab"] == 1][:4], "gold"] = "n/a"
    with pytest.raises(MissingCodeError, match=r"is 'n/a' in 4 rows .* If it is a label, rename it"):
        fit(data, model="logit")
    numbers = without(labels(-9, text=False), -9)
    numbers.loc[numbers.index[numbers["lab"] == 1][:4], "gold"] = -99
    with pytest.warns(CodingWarning, match="'gold' .predicted_var. is -99 in 4 rows"):
        fit(numbers)


def said(data: pd.DataFrame, formula: str = "gold ~ x + age + party", **more: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(data, formula, **more)
    assert all(each.category is CodingWarning for each in found)
    assert all(each.filename == __file__ for each in found)
    return [str(each.message) for each in found]


def clean() -> pd.DataFrame:
    data = without(labels("later", text=True), "later")
    return data.assign(gold=data["gold"].map({"yes": 1.0, "no": 0.0}), llm=data["llm"].map({"yes": 1.0, "no": 0.0}))


def test_clean_data_say_nothing() -> None:
    assert said(clean(), feature="age", cluster="cl") == []


@pytest.mark.parametrize("code", [-99, -9, 999, 9999])
def test_numbers_in_covariates_and_features(code: int) -> None:
    data = clean()
    data.loc[3:33, "age"] = code
    words = f"column 'age' (formula) is {code} in 31 rows (first: 3, 4, 5), far from the other values"
    assert [each.startswith(words) for each in said(data)] == [True]
    (feature,) = said(data, "gold ~ x", feature="age")
    assert feature.startswith(words.replace("formula", "feature"))
    (prediction,) = said(data, "gold ~ x", prediction=["llm", "age"])
    assert prediction.startswith(words.replace("formula", "prediction"))


@pytest.mark.parametrize("code", ["", " ", "N/A", "nan", "NA", "."])
def test_words_in_covariates_features_and_clusters(code: str) -> None:
    data = clean()
    data.loc[:4, "party"] = code
    words = f"is {code!r} in 5 rows (first: 0, 1, 2): if this is a code for missing, it is taken for a category"
    for role, given in (("formula", {}), ("feature", {"formula": "gold ~ x", "feature": "party"})):
        (found,) = said(data, **given)
        assert found.startswith(f"column 'party' ({role}) {words}")
    (found,) = said(
        data.assign(who=data["party"] + data["cl"].astype(str)).assign(who=lambda d: d["who"].where(d.index > 4, code)),
        "gold ~ x",
        cluster="who",
    )
    assert found.startswith(f"column 'who' (cluster) {words}")


def test_words_that_may_be_categories() -> None:
    countries = clean().assign(party=np.resize(["NA", "DE", "FR", "GB", "US"], ROWS))
    assert said(countries) == []
    assert said(clean().assign(party=np.resize(["+", "-"], ROWS))) == []
    assert said(clean().assign(party=np.resize(["unknown", "missing", "a"], ROWS))) == []


def test_categories_that_differ_by_case_or_blanks() -> None:
    data = clean()
    data.loc[data["party"] == "left", "party"] = np.resize(
        ["left", "Left", "left "], int((data["party"] == "left").sum())
    )
    (found,) = said(data)
    assert "has categories that differ by case or blanks only: 'left' (" in found
    assert "'Left' (" in found
    assert "'left ' (" in found
    assert "data['party'].str.strip().str.lower()" in found
    gold = without(labels("later", text=True), "later")
    first = gold.index[gold["gold"] == "yes"]
    gold.loc[first[:20], "gold"] = "yes "
    gold.loc[first[20:30], "gold"] = "Yes"
    (found,) = said(gold, "x ~ gold")
    assert found.startswith("column 'gold' (predicted_var) has categories that differ by case or blanks only: ")


def test_said_once() -> None:
    """Neither the fits of a comparison nor diagnostics nor a report say it again."""
    data = clean()
    data.loc[3:33, "age"] = -99
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        given = {"predicted_var": "gold", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
        dsl.compare("gold ~ x + age", data, estimators=("naive", "gold_only", "dsl"), **given)
        dsl.proportions(data, gold="gold", prediction="llm", feature="age", sample_split=1, sl_method="lm")
    assert [each.category for each in found] == [CodingWarning, CodingWarning]
    with pytest.warns(CodingWarning):
        fitted = fit(data, "gold ~ x + age")
    fitted.diagnostics(data)
    fitted.compare(data, estimators=("naive",))


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (np.r_[np.arange(18.0, 96.0), [99.0] * 5], []),  # an age
        (np.r_[np.arange(18.0, 96.0), [999.0] * 5], [999.0]),
        (np.r_[np.arange(18.0, 96.0), [999.0] * 2], []),  # twice is chance
        (np.r_[np.arange(0.0, 12.0), [9.0] * 5], []),  # counts
        (np.r_[np.resize([1.0, 2, 3, 4, 5], 90), [9.0] * 5], []),  # a scale with another point?
        (np.r_[np.resize([1.0, 2, 3, 4, 5], 90), [99.0] * 5, [88.0] * 5], [88.0, 99.0]),
        (np.r_[np.resize([0.0, 1.0], 90), [9.0] * 5, [8.0] * 3], [8.0, 9.0]),
        (np.r_[np.resize([0.0, 1.0], 90), [-8.0] * 5, [-9.0] * 5], [-9.0, -8.0]),
        (np.r_[np.linspace(0.0, 1e6, 90), [-99.0] * 5], [-99.0]),
        (np.r_[np.linspace(-300.0, 300.0, 90), [-99.0] * 5], []),
        (np.r_[np.full(90, 3.0), [99.0] * 5], []),
        (np.r_[np.resize([0.0, 1.0], 90), [9.0] * 5, [20.0]], []),
        (np.array([np.nan, 1.0]), []),
    ],
)
def test_far_codes(values: Any, codes: list[float]) -> None:
    assert far_codes(values) == codes


@pytest.mark.parametrize("seed", range(60))
def test_far_codes_among_any_numbers(seed: int) -> None:
    """Against the definition: beyond all values that are no codes themselves, in three rows at least."""
    rng = np.random.default_rng(seed)
    values = rng.choice([rng.normal(size=30), rng.integers(-5, 12, 30), rng.uniform(0, 100, 30).round()])
    usual = [-999.0, -99.0, -9.0, 8.0, 9.0, 88.0, 98.0, 99.0, 999.0, 1e4, np.nan]
    found = rng.choice(usual, rng.integers(0, 4), replace=False)
    values = rng.permutation(np.concatenate([values, np.repeat(found, rng.integers(1, 6))]))
    known = values[~np.isnan(values)]
    # candidates, the nearest to zero first, each far from what lies on its inner side and is no code
    out: list[float] = []
    for code in sorted(np.unique(known[np.isin(known, CODES)]), key=abs):
        inner = known[(known < code) if code > 0 else (known > code)]
        inner = inner[~np.isin(inner, out)]
        if (known == code).sum() >= FEWEST and len(set(inner)) > 1 and is_far(float(code), inner):
            out.append(float(code))
    rest = known[~np.isin(known, out)]
    assert far_codes(values) == sorted(code for code in out if is_far(code, rest))
