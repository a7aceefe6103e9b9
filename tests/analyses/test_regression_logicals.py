"""Predicted logicals, and categories of 0 and 1: the numbers of 0 and 1, R's terms and names.

Names and numbers of columns are those of R 4.2.2: ``model.matrix(~ g * x)`` and so on, with g logical or a factor.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl

ROWS = 400


def numbers() -> pd.DataFrame:
    """A predicted covariate `g` of 0 and 1, gold on about 160 of 400 rows."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=ROWS)
    truth = (rng.random(ROWS) < 1 / (1 + np.exp(-x))).astype(float)
    llm = np.where(rng.random(ROWS) < 0.8, truth, 1 - truth)
    y = truth + 0.5 * x + rng.normal(size=ROWS)
    known = rng.random(ROWS) < 0.4
    return pd.DataFrame({"y": y, "x": x, "b": x > 0, "llm": llm, "g": pd.Series(truth).where(known)})


def fit(data: object, formula: str, **more: object) -> dsl.DSLResults:
    call = {"predicted_var": "g", "prediction": "llm", "sl_method": "lm", "sample_split": 2} | more
    return dsl.dsl(formula, data, **call)  # type: ignore[arg-type]


def flags(data: pd.DataFrame) -> pd.Series:
    return data["g"].map({0.0: False, 1.0: True}).astype("boolean")


LOGICAL: dict[str, Callable[[pd.DataFrame], object]] = {
    "nullable": lambda d: d.assign(g=flags(d)),
    "objects": lambda d: d.assign(g=flags(d).astype(object).where(d["g"].notna(), None)),
    "arrow": lambda d: d.assign(g=flags(d).astype("boolean[pyarrow]")),
    "pyarrow": lambda d: pa.Table.from_pandas(d.assign(g=flags(d))),
    "polars": lambda d: pl.from_pandas(d.assign(g=flags(d))),
    "dict": lambda d: dict(d.assign(g=flags(d))),
    "category of bool": lambda d: d.assign(g=flags(d).astype(object).astype("category")),
}


@pytest.mark.parametrize("kind", LOGICAL)
def test_a_logical_has_the_numbers_of_zero_and_one_and_its_name_in_r(kind: str) -> None:
    data = numbers()
    plain, logical = fit(data, "y ~ g * x + b"), fit(LOGICAL[kind](data), "y ~ g * x + b")
    assert list(logical.params.index) == list(plain.params.index)
    np.testing.assert_allclose(logical.params, plain.params, rtol=1e-12)
    np.testing.assert_allclose(logical.bse, plain.bse, rtol=1e-12)
    assert list(logical.params_r.index) == ["(Intercept)", "gTRUE", "x", "bTRUE", "gTRUE:x"]
    assert list(plain.params_r.index) == ["(Intercept)", "g", "x", "bTRUE", "g:x"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("category of text", ["(Intercept)", "g1", "x"]),
        ("text", ["(Intercept)", "g1", "x"]),
        ("category of numbers", ["(Intercept)", "g1", "x"]),
        ("numbers", ["(Intercept)", "g", "x"]),
    ],
)
def test_a_category_of_zero_and_one(kind: str, names: list[str]) -> None:
    data = numbers()
    text = data["g"].map({0.0: "0", 1.0: "1"})
    column = {
        "category of text": text.astype("category"),
        "text": text,
        "category of numbers": data["g"].astype("category"),
        "numbers": data["g"],
    }[kind]
    found = fit(data.assign(g=column), "y ~ g + x")
    np.testing.assert_allclose(found.params, fit(data, "y ~ g + x").params, rtol=1e-12)
    assert list(found.params_r.index) == names
    assert list(found.params.index) == ["Intercept", "g", "x"]


def test_without_an_intercept_or_a_main_effect_both_levels_have_a_column() -> None:
    """R's rule of coding. The fits are those of the same columns made by hand."""
    data = numbers()
    logical = data.assign(g=flags(data))
    both = fit(logical, "y ~ g + x - 1")
    assert list(both.params_r.index) == ["gFALSE", "gTRUE", "x"]
    assert list(both.params.index) == ["g[False]", "g[True]", "x"]
    usual = fit(data, "y ~ g + x").params
    np.testing.assert_allclose(
        both.params, [usual["Intercept"], usual["Intercept"] + usual["g"], usual["x"]], rtol=1e-9
    )
    slopes = fit(logical, "y ~ x:g")
    assert list(slopes.params_r.index) == ["(Intercept)", "x:gFALSE", "x:gTRUE"]
    by_hand = fit(data, "y ~ x + x:g").params
    np.testing.assert_allclose(slopes.params.iloc[1:], [by_hand["x"], by_hand["x"] + by_hand["x:g"]], rtol=1e-9)


def test_other_expressions_of_a_logical() -> None:
    data = numbers()
    logical = data.assign(g=flags(data))
    assert list(fit(logical, "y ~ as.numeric(g) + x").params_r.index) == ["(Intercept)", "as.numeric(g)", "x"]
    made = fit(logical, "y ~ factor(g) + x")
    assert list(made.params_r.index) == ["(Intercept)", "factor(g)TRUE", "x"]
    assert list(fit(data, "y ~ factor(g) + x").params_r.index) == ["(Intercept)", "factor(g)1", "x"]
    np.testing.assert_allclose(made.params, fit(data, "y ~ factor(g) + x").params, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["dsl+", "gold_only", "naive", "ppi++"])
def test_every_estimator(estimator: str) -> None:
    data = numbers()
    more = {} if estimator.startswith("dsl") else {"sl_method": "auto", "sample_split": None}
    more = {key: value for key, value in more.items() if value is not None}
    plain, logical = (fit(d, "y ~ g * x", estimator=estimator, **more) for d in (data, data.assign(g=flags(data))))
    np.testing.assert_allclose(logical.params, plain.params, rtol=1e-9)
    assert list(logical.params_r.index) == ["(Intercept)", "gTRUE", "x", "gTRUE:x"]


def test_new_rows_are_predicted_with_either_type() -> None:
    data = numbers()
    logical = fit(data.assign(g=flags(data)), "y ~ g * x - 1")
    new = pd.DataFrame({"g": [True, False], "x": [1.0, 2.0]})
    b = logical.params
    expected = [b["g[True]"] + b["x"] + b["g:x"], b["g[False]"] + 2 * b["x"]]
    np.testing.assert_allclose(logical.predict(new), expected, rtol=1e-12)
    np.testing.assert_allclose(logical.predict(new.astype({"g": float})), expected, rtol=1e-12)
