"""Predicted numbers inside steps and powers: found by their columns' values, whatever the formula is written like."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data.formula.curved import GRID
from dsl.data.formula.matrices import build, parse

RECODED = 1.05
"""Standard error of a step relative to that of the variable recoded before: learners differ, methods do not."""


def reviews(n: int = 400, seed: int = 3) -> pd.DataFrame:
    """Reviews with 1 to 5 stars, and a price; gold values of these on half of the rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    stars = np.clip(np.round(3 + 1.2 * x + rng.normal(size=n)), 1, 5)
    lab = rng.random(n) < 0.5
    out = pd.DataFrame({"x": x, "z": x + rng.normal(size=n), "g": np.arange(n) % 3})
    out["stars"], out["price"] = pd.Series(stars).where(lab), pd.Series(np.exp(rng.normal(size=n))).where(lab)
    out["bit"] = (pd.Series(stars) > 3).astype(float).where(lab)
    return out.assign(lab=lab)


def design(formula: str, *predicted: str) -> Any:
    data = reviews()
    return build(parse(formula, list(data.columns)), data, data["lab"].to_numpy(), predicted)


@pytest.mark.parametrize(
    "formula",
    [
        "I(stars >= 4) ~ x",
        "stars == 5 ~ x",
        "I(stars^2) ~ x",
        "stars %in% c(4, 5) ~ x",
        "ifelse(stars > 2, 1, 0) ~ x",
        "I(factor(stars) == '2') ~ x",
        "factor(stars) %in% c(2, 3) ~ x",
        "x ~ I(stars > 2)",
        "x ~ log(stars) + z",
        "x ~ stars + I(stars^2)",
        "x ~ poly(stars, 2)",
        "x ~ stars + z:I(stars == 1)",
        "x ~ factor(g):I(stars == 1)",
        "x ~ np.sqrt(stars)",
        "I(pmax(stars, 2)) ~ x",
        "x ~ cut(stars, c(0, 2, 5))",
    ],
)
def test_steps_and_powers(formula: str) -> None:
    found = design(formula, "stars")
    assert found.curved == ("stars",)
    assert found.averaged


@pytest.mark.parametrize(
    "formula",
    [
        "stars ~ x",
        "x ~ stars",
        "x ~ stars * z",
        "x ~ I(2 * stars + 1)",
        "I((stars - 1) / 4) ~ x",
        "I(stars - z) ~ x",
        "x ~ scale(stars) + factor(g):stars",
        "stars ~ x + I(x^2) + log(abs(z))",
    ],
)
def test_straight_lines_are_none(formula: str) -> None:
    found = design(formula, "stars")
    assert found.curved == ()
    assert not found.averaged


@pytest.mark.parametrize("formula", ["I(bit >= 1) ~ x", "x ~ I(bit^2) + log(bit + 1)", "ifelse(bit == 1, 3, 0) ~ x"])
def test_two_values_are_a_straight_line_in_everything(formula: str) -> None:
    assert not design(formula, "bit").averaged


@pytest.mark.parametrize(
    ("formula", "curved"),
    [
        ("x ~ factor(stars)", ()),
        ("x ~ factor(stars) + I(price > 1)", ("price",)),
        ("x ~ cut(price, c(0, 1, 99))", ("price",)),
    ],
)
def test_only_a_factor_needs_the_values_that_were_seen(formula: str, curved: tuple[str, ...]) -> None:
    found = design(formula, *(name for name in ("stars", "price") if name in formula))
    assert (found.curved, found.averaged) == (curved, True)


def test_each_variable_by_itself() -> None:
    assert design("x ~ stars:price", "stars", "price").curved == ()
    assert design("log(price) ~ stars", "stars", "price").curved == ("price",)
    assert reviews()["price"].nunique() > GRID


@pytest.mark.parametrize("formula", ["I(log(price - 0.9 * stars + 9)) ~ x", "I(1 / (stars - price > -99)) ~ x"])
def test_other_rows_values_may_be_undefined(formula: str) -> None:
    """A look at values that the row does not have raises nothing."""
    design(formula, "stars", "price")


def stars_and_recoded() -> tuple[pd.DataFrame, dict[str, Any]]:
    rng = np.random.default_rng(3)
    n = 2000
    x = rng.normal(size=n)
    stars = np.clip(np.round(3 + 1.2 * x + rng.normal(size=n)), 1, 5)
    llm = np.where(rng.random(n) < 0.15, np.clip(stars + rng.choice([-1, 1], n), 1, 5), stars)
    lab = rng.random(n) < 0.15
    data = pd.DataFrame({"x": x, "llm": llm, "stars": pd.Series(stars).where(lab)})
    for name, step in (("high", 4.0), ("top", 5.0)):
        data[name], data[f"llm_{name}"] = (data["stars"] >= step).astype(float).where(lab), (llm >= step).astype(float)
    return data, {"sample_split": 1}


@pytest.mark.parametrize(
    ("outcome", "recoded"),
    [("I(stars >= 4)", "high"), ("stars == 5", "top"), ("I(factor(stars) == '5')", "top"), ("stars %in% 4:5", "high")],
)
def test_no_worse_than_recoding_before(outcome: str, recoded: str) -> None:
    data, call = stars_and_recoded()
    step = dsl.dsl(f"{outcome} ~ x", data, predicted_var="stars", prediction="llm", **call)
    before = dsl.dsl(f"{recoded} ~ x", data, predicted_var=recoded, prediction=f"llm_{recoded}", **call)
    assert step.bse["x"] < RECODED * before.bse["x"]
    assert abs(step.params["x"] - before.params["x"]) < 2 * before.bse["x"]


def test_a_step_of_a_covariate_with_many_values() -> None:
    """Joint values need not be few where a category may come of any number."""
    rng = np.random.default_rng(5)
    n = 600
    price = np.exp(rng.normal(size=n))
    data = pd.DataFrame({"y": (price > 1) + rng.normal(size=n), "llm": price * np.exp(0.1 * rng.normal(size=n))})
    data["price"] = pd.Series(price).where(rng.random(n) < 0.4)
    fit = dsl.dsl("y ~ I(price > 1)", data, predicted_var="price", prediction="llm", sl_method="lm", sample_split=1)
    assert abs(fit.params.iloc[1] - 1.0) < 3 * fit.bse.iloc[1]


def test_draws_keep_to_the_gold_values() -> None:
    """The logarithm of a predicted number with many values: no draw below the smallest price."""
    rng = np.random.default_rng(5)
    n = 1500
    x = rng.normal(size=n)
    price = np.exp(0.3 * x + rng.normal(size=n))
    data = pd.DataFrame({"x": x, "llm": price * np.exp(0.3 * rng.normal(size=n)), "price": price})
    data["price"] = data["price"].where(rng.random(n) < 0.2)
    call = {"formula": "log(price) ~ x", "data": data, "predicted_var": "price", "prediction": "llm", "sl_method": "lm"}
    fit, alone = dsl.dsl(**call, sample_split=1), dsl.dsl(**call, estimator="gold_only")
    assert abs(fit.params["x"] - 0.3) < 3 * fit.bse["x"]
    assert np.isfinite(fit.bse).all()
    assert fit.bse["x"] < 1.1 * alone.bse["x"]
