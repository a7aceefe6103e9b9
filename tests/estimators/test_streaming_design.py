"""Labelling designs of rows in blocks: the numbers of the same rows in memory, and what is looked at."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl import sampling
from dsl.sampling import LabelDesign

from ..streams import Again, same, sources, table

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 1, "cross_fit": 3, "sl_method": "lm"}
DESIGNS: dict[str, Callable[[pd.DataFrame], LabelDesign]] = {
    "simple": lambda d: sampling.simple_random(d, 300, seed=1),
    "one by one": lambda d: sampling.bernoulli(d, prob="pi", seed=1),
    "strata": lambda d: sampling.stratified(d, 300, by=["g", "year"], allocation="equal", seed=1),
    "by size": lambda d: sampling.proportional_to_size(d, 300, measure="w", seed=1),
    "clusters": lambda d: sampling.clustered(d, 40, by="unit", seed=1),
    "two stages": lambda d: sampling.two_stage(d, 40, 5, by="unit", seed=1),
}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "robust": ("y ~ x + g", {}),
    "design": ("z ~ y + x", {"vcov": "design"}),
    "finite": ("y ~ x", {"target": "finite", "model": "logit"}),
    "cdi, tuned": ("z ~ y + x", {"estimator": "cdi", "vcov": "design"}),
    "gold_only": ("y ~ x", {"estimator": "gold_only", "vcov": "design"}),
}
FIRST = [("strata", "design"), ("two stages", "finite"), ("by size", "cdi, tuned"), ("clusters", "robust")]
"""What is tried each time: the other pairs with the simulations."""


@cache
def population() -> pd.DataFrame:
    """Rows known by ids, in no order of these."""
    data = table().assign(unit=lambda d: np.arange(len(d)) // 9)
    ids = np.random.default_rng(2).permutation(len(data))
    return data.set_index(pd.Index([f"post {j:03d}" for j in ids], name="id"))


@cache
def drawn(name: str) -> tuple[LabelDesign, pd.DataFrame]:
    """A design, and its rows with labels, in another order than it has."""
    data = population()
    design = DESIGNS[name](data)
    truth = np.where(np.random.default_rng(3).random(len(data)) < 0.85, data["llm"], 1.0 - data["llm"])
    labelled = data.assign(y=np.where(design.drawn, truth, np.nan))
    return design, labelled.sample(frac=1.0, random_state=4)


def pairs() -> list[Any]:
    every = [(one, other) for one in DESIGNS for other in CALLS]
    return [pytest.param(*each, marks=[] if each in FIRST else [pytest.mark.slow]) for each in every]


@pytest.mark.parametrize(("name", "call"), pairs())
def test_the_numbers_are_those_of_the_rows_in_memory(name: str, call: str) -> None:
    design, data = drawn(name)
    formula, changes = CALLS[call]
    given = {**BASE, "design": design, **changes}
    # ids in a column, uneven blocks, missing values in some of them
    found = dsl.dsl(formula, Again(data.reset_index(), [0, 7, 0, 400, 900]), **given)
    same(found, dsl.dsl(formula, data, **given))


@pytest.mark.slow
def test_every_source_and_size_of_blocks_gives_the_same(tmp_path: Path) -> None:
    design, data = drawn("strata")
    given = {**BASE, "design": design, "vcov": "design"}
    known = dsl.dsl("z ~ y + x", data, **given)
    more: dict[str, Any] = {"one row": Again(data, 1), "all": [data]}
    for source in {**sources(data.reset_index(), tmp_path), **more}.values():
        same(dsl.dsl("z ~ y + x", source, **given), known)


def test_a_saved_design_and_a_part_of_it(tmp_path: Path) -> None:
    design, data = drawn("strata")
    design.save(tmp_path / "design.npz")
    part = data[data["x"] > -0.5]
    part.to_parquet(tmp_path / "part.parquet")
    read = LabelDesign.load(tmp_path / "design.npz").subset(part.index)
    given = {**BASE, "design": read, "target": "finite"}
    same(dsl.dsl("y ~ x", tmp_path / "part.parquet", **given), dsl.dsl("y ~ x", part, **given))


def test_rows_known_by_their_numbers() -> None:
    data = table()
    design = sampling.simple_random(data, 300, seed=1)
    data["y"] = data["llm"].where(design.drawn)
    data.loc[design.drawn_rows[:40], "y"] = 1.0
    given = {**BASE, "design": design, "vcov": "design"}
    same(dsl.dsl("y ~ x", Again(data, 250), **given), dsl.dsl("y ~ x", data, **given))
    with pytest.raises(e.LabelError, match="not drawn by the design"):
        dsl.dsl("z ~ y", [data.assign(y=0.0)], **given)
    with pytest.raises(e.LabelError, match="drawn by the design; supply"):
        dsl.dsl("z ~ y", [data.assign(y=np.nan)], **given)


def test_labels_are_looked_at_within_strata() -> None:
    data = pd.concat([table(2_000, seed) for seed in range(8)], ignore_index=True).dropna(subset="x")
    design = sampling.stratified(data, 1_500, by="g", allocation={"a": 1_100, "b": 300, "c": 100}, seed=1)
    data["y"] = np.where(np.random.default_rng(5).random(len(data)) < 0.8, data["llm"], 1.0 - data["llm"])
    data["y"] = data["y"].where(design.drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("error", e.LabelingWarning)
        fit = dsl.dsl("y ~ x + g", Again(data, 5_000), **BASE, design=design)
    assert any("10,000 of the others" in note for note in fit.sample.notes)
    assert "design" in {tested.role for tested in fit.core.sample.looked}
    # labels that were moved to rows with large x, within their strata
    order = data.assign(drawn=design.drawn).sort_values(["g", "x"])["drawn"]
    counts = data.assign(drawn=design.drawn).groupby("g")["drawn"].transform("sum").loc[order.index]
    top = data.loc[order.index].groupby("g")["x"].rank(ascending=False) <= counts
    moved = top.reindex(data.index).to_numpy()
    wrong = LabelDesign(
        kind="stratified",
        rows=design.rows,
        prob=design.prob,
        drawn=moved,
        fixed_size=True,
        stratum=design.stratum,
    )
    with pytest.warns(e.LabelingWarning, match="x"):
        dsl.dsl("y ~ g", Again(data.assign(y=data["llm"].where(moved)), 5_000), **BASE, feature="x", design=wrong)
