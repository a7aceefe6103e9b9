"""What no computer holds is refused before it is made, soon and in little memory."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

LETTERS = "abcdefghijklmnop"
ROWS, LEVELS = 7_200, 6_000
"""Dense, the columns of a category with so many levels are more than `MEGABYTES`."""
CALL: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
HUGE = 10**30
SECONDS, MEGABYTES = 120.0, 300.0
"""Far more than it takes, and far less than what is asked for."""


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, ROWS)
    frame = pd.DataFrame({letter: rng.normal(size=ROWS) for letter in LETTERS})
    units = np.arange(ROWS) % LEVELS
    return frame.assign(
        id=units,
        unit=pd.Series(units).map("u{}".format).astype("category"),
        llm=truth,
        y=pd.Series(truth * 1.0).where(rng.random(ROWS) < 0.3),
    )


def refused(call: Callable[[], object], error: type[Exception], match: str) -> None:
    tracemalloc.start()
    begun = time.monotonic()
    try:
        with pytest.raises(error, match=match):
            call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < SECONDS
    assert peak / 2**20 < MEGABYTES


@pytest.mark.parametrize(
    ("side", "match"),
    [
        (f"({'+'.join(LETTERS)})^20", r"makes [\d,]+ terms or more, and 10,000 are the most"),
        ("*".join(LETTERS), r"makes [\d,]+ terms or more.*\(a \+ b \+ c\)\^2 stops at pairs"),
        (f"({'+'.join(LETTERS)})^8 %in% ({'+'.join(LETTERS)})^8", "terms or more"),
        ("factor(id) + a", r"6,001 coefficients.*'factor\(id\)' has 6,000 levels.*felm.*'y ~ x \| id'"),
        ("unit", r"'unit' has 6,000 levels.*felm.*'y ~ x \| unit'"),
        ("C(unit, contr.sum):a", r"has 6,000 levels.*'y ~ x \| unit'"),
        ("factor(id):unit", "36,000,001 coefficients"),
        (":".join(["unit"] * 1 + ["factor(id)", "ordered(id)", "C(id)", "factor(id + 1)"]), "makes 7,776,000,000"),
        ("interaction(factor(id), unit)", "makes 36,000,000 combinations"),
        ("poly(a, 1000000)", "asked for 1,000,000 columns"),
        ("poly(a, 20000)", "asked for 20,000 columns"),
        ("poly(a, 1000000, raw = TRUE)", "asked for 1,000,000 columns"),
        ("bs(a, df = 1e9)", "asked for 1,000,000,000 columns"),
        ("bs(a, degree = 1e9)", "degree of bs"),
        ("ns(a, df = 1e9)", "asked for 1,000,000,000 columns"),
        ("cr(a, df = 1000000000)", "asked for 1,000,000,000 columns"),
        ("cc(a, 1000000000)", "asked for 1,000,000,000 columns"),
        ("I(a %in% 1:1e12)", r"list of 1e\+12 values"),
        ("I(a %in% seq(0, 1, 1e-15))", r"list of 1e\+15 values"),
        ("I(a %in% seq(0, 1, length.out = 1e12))", r"list of 1e\+12 values"),
        ("cut(a, 1e9)", "asked for 1,000,000,000 intervals"),
    ],
)
@pytest.mark.long
def test_formulas(data: pd.DataFrame, side: str, match: str) -> None:
    refused(lambda: dsl.dsl(f"y ~ {side}", data, **CALL), e.FormulaError, match)


@pytest.mark.parametrize("side", ["C(id)", "unit", "unit:a", "C(id):C(unit)"])
def test_formulas_of_formulaic(data: pd.DataFrame, side: str) -> None:
    formula = formulaic.Formula(f"y ~ {side}")
    refused(lambda: dsl.dsl(formula, data, **CALL), e.FormulaError, r"coefficients.*has 6,000 levels.*felm")


def test_what_is_large_and_can_be_done(data: pd.DataFrame) -> None:
    few = data.iloc[:2000]
    fit = dsl.dsl("y ~ (a + b + c + d)^99 + bs(e, df = 30) + poly(f, 4)", few, **CALL)
    assert len(fit.params) == 1 + 15 + 30 + 4
    effects = dsl.dsl("y ~ a | id", data.assign(id=data["id"] // 4), **CALL, model="felm")
    assert len(effects.params) == 1


@pytest.mark.parametrize(
    "counts",
    [{"sample_split": 10**9}, {"sample_split": HUGE}, {"cross_fit": 10**9}, {"cross_fit": HUGE}, {"n_jobs": 10**9}],
)
def test_counts_of_a_call(data: pd.DataFrame, counts: dict[str, int]) -> None:
    few = data.iloc[:500]
    name = next(iter(counts))
    refused(lambda: dsl.dsl("y ~ a", few, **{**CALL, **counts}), e.ArgumentError, f"{name} is [0-9,]+, and .* the most")


@pytest.mark.parametrize(
    "counts",
    [
        {"batches": HUGE}, {"batch_size": HUGE}, {"burn_in": HUGE}, {"n_labels": HUGE}, {"n_labels": HUGE, "batch_size": 1},
        {"n_labels": HUGE, "batches": HUGE}, {"cross_fit": HUGE},
    ],
)  # fmt: skip
def test_counts_of_an_adaptive_design(data: pd.DataFrame, counts: dict[str, int]) -> None:
    few = data.iloc[:500].drop(columns="y")
    asked = {"n_labels": 100, **counts}
    refused(
        lambda: dsl.AdaptiveDesign("y ~ a", few, predicted_var="y", prediction="llm", sl_method="lm", **asked),
        e.ArgumentError,
        r"is the most|at most|n_labels",
    )


def test_other_counts(data: pd.DataFrame) -> None:
    few = data.iloc[:500].assign(cl=np.arange(500) // 10)
    gold, free = few.assign(y=few["llm"] * 1.0), few.drop(columns="y")
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm"}
    draw = dsl.sampling
    fit = dsl.dsl("y ~ a", few, **CALL)
    calls: list[Callable[[], object]] = [
        lambda: draw.simple_random(free, HUGE),
        lambda: draw.stratified(free, by="llm", n_labels=HUGE),
        lambda: draw.clustered(free, by="cl", n_clusters=HUGE),
        lambda: dsl.evaluate("y ~ a", gold, **call, n_labels=HUGE),
        lambda: dsl.evaluate("y ~ a", gold, **call, n_labels=50, replications=HUGE),
        lambda: dsl.plan_dsl("y ~ a", free, **call, labeled_size=50, accuracy=0.8, replications=HUGE),
        lambda: dsl.power_dsl(fit, labeled_size=HUGE),
        lambda: dsl.ppi_statistic(
            lambda frame, weights: np.average(frame["y"], weights=weights), few, gold="y", prediction="llm", n_boot=HUGE
        ),
    ]
    for each in calls:
        refused(each, e.ArgumentError, "1,?000|1e\\+30")
