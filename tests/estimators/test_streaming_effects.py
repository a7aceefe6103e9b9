"""Fixed effects of rows in blocks: the numbers of the same rows in memory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {
    "model": "felm",
    "predicted_var": "y",
    "prediction": "llm",
    "sample_split": 2,
    "cross_fit": 3,
    "sl_method": "lm",
}
COVARIATE: dict[str, Any] = {"sample_prob": "pi", "cluster": "cl"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "one way": ("y ~ x | cl", {"sample_prob": "pi"}),
    "levels that come late": ("y ~ x + year | late", {}),
    "clusters, weights": ("z ~ y + x | unit", {**COVARIATE, "weights": "w", "vcov": "CR1"}),
    "two ways": ("z ~ y * x | unit + year", {**COVARIATE}),
    "two ways, factors": ("y ~ x | unit + year", {"vcov": "HC1", "weights": "w"}),
    "three ways": ("y ~ x | cl + year + g", {"vcov": "HC1"}),
    "interacted": ("y ~ x | g^year", {}),
    "index": ("y ~ x", {"index": ["unit", "year"], "fixed_effect": "twoways"}),
    "a category": ("z ~ kind + x | year + g", {"predicted_var": "kind", "prediction": "kind_llm", "sample_prob": "pi"}),
    "dsl+": ("z ~ y + x | cl", {"estimator": "dsl+", "sample_prob": "pi"}),
    "scalar": ("z ~ y + x | cl + year", {"tune": "scalar", "vcov": "design", "weights": "w"}),
    "coef": ("y ~ x | cl + year", {"tune": "coef", "vcov": "PRESS"}),
    "cdi": ("z ~ y + x | cl", {"estimator": "cdi", "sample_prob": "pi"}),
    "cdi, two surrogates": (
        "y ~ x | year",
        {"estimator": "cdi", "predicted_var": {"y": ["llm", "other"]}, "prediction": None, "vcov": "design"},
    ),
    "finite": ("y ~ x | year", {"target": "finite", "sample_prob": "pi"}),
    "naive": ("z ~ y + x | unit + year", {"estimator": "naive", "cluster": "cl", "vcov": "CR1"}),
    "gold_only": ("y ~ x | year", {"estimator": "gold_only", "sample_prob": "pi", "vcov": "HC1"}),
}

COUNTS: dict[str, Any] = {"model": "poisson", "predicted_var": "k", "prediction": "guess"}
CALLS |= {
    "poisson": ("k ~ x | year", {**COUNTS, "sample_prob": "pi", "cluster": "cl", "vcov": "CR1"}),
    "poisson, offset": ("k ~ x + offset(log(w)) | unit", {**COUNTS, "weights": "w"}),
    "poisson, predicted covariate": ("count ~ y * x | g", {"model": "poisson"}),
    "poisson, a category": ("count ~ kind | year", {**COUNTS, "predicted_var": "kind", "prediction": "kind_llm"}),
    "poisson, tuned": ("k ~ x | year", {**COUNTS, "tune": "scalar", "vcov": "design"}),
    "poisson, coef": ("count ~ y + x | g^year", {"model": "poisson", "tune": "coef"}),
    "poisson, dsl+": ("count ~ y + x | g", {"model": "poisson", "estimator": "dsl+", "vcov": "robust"}),
    "poisson, naive": ("k ~ x | year", {**COUNTS, "estimator": "naive"}),
    "poisson, gold_only": ("k ~ x | year", {**COUNTS, "estimator": "gold_only"}),
}


def panel(rows: int = 900) -> pd.DataFrame:
    """Posts of authors, some of whom are missing in one block alone."""
    data = table(rows)
    data["unit"] = np.random.default_rng(4).permutation(rows) % 60
    data["unit"] = data["unit"].map("u{}".format)
    data["unit"] = data["unit"].mask((data.index > 30) & (data.index < 36))
    return data


MORE = {
    "poisson, a category",
    "poisson, coef",
    "poisson, dsl+",
    "poisson, naive",
    "poisson, gold_only",
    "poisson, offset",
    "clusters, weights",
    "three ways",
    "index",
    "coef",
    "cdi",
    "cdi, two surrogates",
    "a category",
    "gold_only",
    "two ways, factors",
    "interacted",
    "dsl+",
    "finite",
    "poisson, predicted covariate",
    "levels that come late",
}
"""What is tried with the simulations."""


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = panel()
    formula, changes = CALLS[name]
    given = {**BASE, **changes}
    found, known = dsl.dsl(formula, uneven(data), **given), dsl.dsl(formula, data, **given)
    same(found, known)


@pytest.mark.parametrize(("size", "rows"), [(1, 24), (64, 250)])
def test_sizes_of_blocks_change_nothing(size: int, rows: int) -> None:
    data = panel().head(rows)
    same(*(dsl.dsl("y ~ x | g + year", given, **BASE) for given in (Again(data, size), data)))


def test_levels_that_no_kept_row_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most rows are in no memory: sums and ranks are those of all rows."""
    monkeypatch.setattr("dsl.data.scan.SAMPLED", 20)
    data = panel()
    data["unit"] = data["unit"].mask(data["y"].isna(), "own" + (data.index % 97).astype(str))
    data["part"] = data["unit"].str[:1]
    given = {**BASE, "vcov": "HC1"}
    for formula in ("y ~ x | unit", "y ~ x | unit + part^year"):
        same(dsl.dsl(formula, Again(data, 200), **given), dsl.dsl(formula, data, **given))


def test_columns_that_effects_absorb_are_named() -> None:
    data = panel().assign(size=lambda d: d["year"] % 7)
    with pytest.raises(e.CollinearityError, match="'size'"):
        dsl.dsl("y ~ x + size | year", Again(data, 300), **BASE)


def test_levels_without_an_effect_are_named() -> None:
    data = panel()
    data["k"] = data["k"].mask(data["k"].notna() & (data["year"] == 2003), 0.0)
    data["guess"] = data["guess"].mask(data["year"] == 2003, 0.0)
    for rows in (data, Again(data, 300)):
        with pytest.warns(e.FewLabelsWarning, match=r"1 of 4 levels of 'year' \(first: 2003\)"):
            dsl.dsl("k ~ x | year", rows, **{**BASE, **COUNTS, "estimator": "naive"})


def test_several_effects_that_multiply_need_all_rows() -> None:
    with pytest.raises(e.NeedsAllRowsError, match="several fixed effects of model='poisson'"):
        dsl.dsl("k ~ x | year + g", Again(panel(), 300), **{**BASE, **COUNTS})
