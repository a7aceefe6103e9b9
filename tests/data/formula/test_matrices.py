"""Formulas: what they accept from R, what they refuse, and what the predicted variables become."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data.formula.matrices import build, parse
from dsl.exceptions import (
    ArgumentError,
    CollinearityError,
    ColumnTypeError,
    DataError,
    FormulaError,
    InfiniteValueError,
)
from tests.posts import ROWS, posts, run

NAMES = ["y", "x", "z", "g", "my col", "a.b", "class"]


def design(formula: str, data: pd.DataFrame | None = None, predicted: tuple[str, ...] = ("y",)) -> Any:
    data = posts() if data is None else data
    return build(parse(formula, list(data.columns)), data, data["lab"].to_numpy() == 1, predicted)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ x +", ["does not parse", "+", "'y ~ x1 + x2'"]),
        ("y ~ (x", ["does not parse", "("]),
        ("y ~ x)", ["does not parse"]),
        ("y ~ x x", ["does not parse", "Missing operator", "backticks"]),
        ("y ~ log(x", ["does not parse"]),
        ("y ~ 'a", ["does not parse"]),
        ("y x", ["does not parse", "'~'"]),
        ("y = x", ["does not parse", "'~'"]),
        ("y ~ x in z", ["formula"]),
        ("y ~ ( 'a' ] y in", ["does not parse"]),
        ("", ["one outcome", "'y ~ x1 + x2'"]),
        ("y ~", ["terms on its right"]),
        ("~ x", ["one outcome"]),
        ("y + x ~ z", ["one outcome"]),
        ("y ~ x ~ z", ["formula"]),
        ("y ~ lgo(x)", ["'lgo'", "unknown", "did you mean log"]),
        ("y ~ frobnicate(x)", ["'frobnicate'", "define it before the call"]),
        ("y ~ x.mean()", ["attributes of the column 'x'"]),
        ("y ~ x | log(z)", ["behind '|'", "'y ~ x | unit + year'"]),
        ("y ~ x | z * g", ["behind '|'"]),
        ("y ~ x |", ["behind '|'"]),
    ],
)
def test_formulas_that_do_not_parse(formula: str, words: list[str]) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(formula, NAMES)
    assert repr(formula)[1:-1].strip("'") in str(caught.value).replace("\\", "")
    for word in words:
        assert word in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("formula", [None, 3, ["y ~ x"], posts()])
def test_formula_must_be_text(formula: Any) -> None:
    with pytest.raises(ArgumentError, match="formula must be a string such as 'y ~ x1"):
        run(posts(), formula)


def test_swapped_arguments() -> None:
    with pytest.raises(ArgumentError, match=r"found 'y ~ x'\. The formula comes first"):
        dsl.dsl(posts(), "y ~ x", predicted_var="y", prediction="llm")


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("x ~ log(g) + y", FormulaError, ["`log(g)`", "cannot be evaluated", "holds numbers"]),
        ("x ~ poly(z, 'a') + y", FormulaError, ["`poly(z, 'a')`", "cannot be evaluated"]),
        ("x ~ broken(z) + y", FormulaError, ["`broken(z)`", "out of order"]),
        ("g ~ y", FormulaError, ["outcome 'g'", "holds categories", "I(g == '"]),
        ("x ~ 0", FormulaError, ["'y' does not occur"]),
        ("y ~ 0", FormulaError, ["no columns on its right-hand side"]),
        ("x ~ log(y)", InfiniteValueError, ["'log(y)'", "log1p"]),
        ("x ~ y + log(words - 30)", InfiniteValueError, ["'log(words - 30)'", "infinite or undefined", "rows (first:"]),
        ("x ~ y + I(1 / z)", InfiniteValueError, ["I(1 / z)"]),
        ("x ~ y + one", CollinearityError, ["'one'", "same value"]),
    ],
)
def test_designs_that_cannot_be_built(formula: str, error: type[Exception], words: list[str]) -> None:
    def broken(_: Any) -> Any:
        raise KeyError("out of order")

    data = posts().assign(one="only", g=lambda d: d["g"].where(d["g"] != "c", "b"))
    with pytest.raises(error) as caught:
        dsl.dsl(formula, data, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("written", "python"),
    [
        ("I(words^2)", "I(words**2)"),
        ("as.factor(z)", "C(z)"),
        ("factor(z)", "C(z)"),
        ("sqrt(words)", "np.sqrt(words)"),
        ("log1p(words)", "log(words + 1)"),
        ("I(x > 0 & TRUE)", "I(x > 0)"),
        ("words * z", "words + z + words:z"),
        ("(words + z)^2", "words + z + words:z"),
        ("a.b", "words"),
        ("`my col`", "words"),
    ],
)
def test_spelt_as_in_r(written: str, python: str) -> None:
    data = posts().assign(**{"a.b": lambda d: d["words"], "my col": lambda d: d["words"]})
    first, second = design(f"y ~ {written}", data), design(f"y ~ {python}", data)
    np.testing.assert_allclose(first.covariates.fixed, second.covariates.fixed, rtol=1e-12)


def test_no_integer_xor() -> None:
    """``I(k^2)`` on whole numbers is a square, not Python's bitwise operation."""
    np.testing.assert_array_equal(design("y ~ I(z^2)").covariates.fixed[:, 1], posts()["z"] ** 2)


def test_dot_stands_for_the_other_columns_but_not_for_the_design() -> None:
    data = posts().drop(columns=["g"])
    fit = run(data, "y ~ .", sample_prob="pi", labeled="lab", cluster="cl")
    assert list(fit.params.index) == ["Intercept", "x", "z", "words"]


def test_functions_of_the_caller() -> None:
    def doubled(values: Any) -> Any:
        return 2 * values

    assert callable(doubled)
    fit = dsl.dsl("y ~ doubled(x)", posts(), predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    np.testing.assert_allclose(fit.params.iloc[1], run(posts(), "y ~ x").params.iloc[1] / 2, rtol=1e-12)


def test_columns_that_change_with_the_predictions() -> None:
    made = design("x ~ y + words + y:z + I(y^2)")
    assert set(made.covariates.names) == {"Intercept", "y", "words", "I(y ** 2)", "y:z"}
    data = posts()
    labeled = data["lab"].to_numpy() == 1
    values = {"y": np.linspace(0, 1, ROWS)}
    by_name = dict(
        zip(
            [made.covariates.names[j] for j in made.covariates.predicted_index],
            made.covariates.at(values).T,
            strict=True,
        )
    )
    np.testing.assert_allclose(by_name["y"], values["y"])
    np.testing.assert_allclose(by_name["y:z"], values["y"] * data["z"])
    assert made.gold.shape == (labeled.sum(), 3)
    assert np.isfinite(made.gold).all()
    np.testing.assert_allclose(made.covariates.fixed[:, 1], data["words"])


def test_transformed_predicted_outcome() -> None:
    made = design("log1p(y) ~ x")
    values = {"y": np.linspace(0, 1, ROWS)}
    np.testing.assert_allclose(made.outcome_at(values), np.log1p(values["y"]))
    np.testing.assert_allclose(made.gold_outcome, np.log1p(posts()["y"].dropna()))


def test_scales_come_from_gold_values() -> None:
    made = design("x ~ scale(y)")
    gold = posts()["y"].dropna()
    np.testing.assert_allclose(made.gold[:, 0], (gold - gold.mean()) / gold.std(), rtol=1e-9)


def test_fixed_effects_of_the_formula() -> None:
    assert parse("y ~ x | z + `my col`", NAMES).absorbed == {"z": ("z",), "my col": ("my col",)}
    fit = run(posts(), "y ~ x | cl", model="felm")
    np.testing.assert_allclose(fit.params, run(posts(), model="felm", index="cl").params, rtol=1e-12)
    with pytest.raises(ArgumentError, match=r"model='lm' does not have"):
        run(posts(), "y ~ x | cl")
    with pytest.raises(ArgumentError, match=r"differ; give one"):
        run(posts(), "y ~ x | cl", model="felm", index="z")


def test_prediction_for_new_rows() -> None:
    data = posts().assign(kind=lambda d: d["z"].astype("category"))
    fit = run(data, "y ~ x + kind")
    new = pd.DataFrame({"x": [0.0, 1.0], "kind": [1, 2]}, index=["a", "b"])  # numbers, as in a new csv file
    b = fit.params
    expected = [b["Intercept"] + b["kind[T.1]"], b["Intercept"] + b["x"] + b["kind[T.2]"]]
    pd.testing.assert_series_equal(fit.predict(new), pd.Series(expected, index=["a", "b"]))
    for wrong, error, words in (
        (
            new.assign(kind=[1, 7]),
            DataError,
            r"'kind' has categories .*: 7 in 1 row \(first: b\); it had '0', '1', '2'",
        ),
        (new.assign(x=["low", "high"]), ColumnTypeError, r"'x' \(data\) must hold numbers"),
        (new.drop(columns="x"), DataError, r"'x', named in formula, is not in the data"),
        (new.assign(x=[np.nan, 1]), DataError, r"missing values in 1 row \(first: a\)"),
    ):
        with pytest.raises(error, match=words):
            fit.predict(wrong)
    with pytest.raises(DataError, match="categories outside"):
        run(data, "y ~ x + factor(z)").predict(new.assign(z=[0, 9]))
    with pytest.raises(ArgumentError, match=r"unknown which .*: use one of mean, linear"):
        fit.predict(new, which="mu")
