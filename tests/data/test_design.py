"""A labelling design matched to the rows of a table, wherever a call takes one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.data.columns import Columns
from dsl.data.design import aligned
from dsl.data.sample import prepare
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DataError
from dsl.sampling import LabelDesign

ROWS = pd.Index(["a", "b", "c", "d"])


def design() -> LabelDesign:
    return LabelDesign(
        kind="two_stage",
        rows=ROWS,
        prob=np.array([0.5, 0.4, 0.3, 0.2]),
        drawn=np.array([True, False, True, False]),
        fixed_size=True,
        stratum=np.array([0, 0, 1, 1]),
        unit=np.array([0, 1, 2, 3]),
        unit_prob=np.array([0.9, 0.8, 0.7, 0.6]),
    )


def assert_same(one: Labeling, two: Labeling) -> None:
    assert one.fixed_size == two.fixed_size
    for name in ("prob", "drawn", "stratum", "unit", "unit_prob", "kept"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_every_array_follows_the_table() -> None:
    found = aligned(design(), pd.Index(["d", "a", "c", "b"]))
    assert type(found) is Labeling
    assert_same(found, design().at(np.array([3, 0, 2, 1])))
    assert found.prob.tolist() == [0.2, 0.5, 0.3, 0.4]
    assert found.drawn.tolist() == [False, True, True, False]
    assert found.stratum is not None
    assert found.stratum.tolist() == [1, 0, 1, 0]
    assert found.unit_prob is not None
    assert found.unit_prob.tolist() == [0.6, 0.9, 0.7, 0.8]


def test_absent_arrays_stay_absent() -> None:
    plain = Labeling(prob=np.array([0.5, 0.25]), drawn=np.array([True, False]), fixed_size=False).at(np.array([1]))
    assert (plain.stratum, plain.unit, plain.unit_prob, plain.fixed_size) == (None, None, None, False)
    assert plain.prob.tolist() == [0.25]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", "b", "c", "c"], "row labels are not unique"),
        (
            ["a", "b", "c", "e"],
            r"1 row \(first: e\) of the data are not in .*1 row \(first: d\) of the design are not in the data",
        ),
        (
            ["a", "b"],
            r"4 rows and the data 2; 2 rows \(first: c, d\) of the design.*design=design\.subset\(data\.index\)",
        ),
        ([0, 1], r"design\.subset\(mask, renumber=True\) with the mask that made the part"),
        (
            ["a", "b", "c", "d", "e"],
            r"1 row \(first: e\) of the data are not in the design\. Leave .*data\.loc\[design\.rows\]",
        ),
    ],
)
def test_other_rows_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        aligned(design(), pd.Index(labels))


def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=60), "unit": np.arange(60) % 9})
    frame["llm"] = (frame["x"] + rng.normal(size=60) > 0).astype(float)
    frame["y"] = np.where(np.arange(60) < 30, frame["llm"], np.nan)
    frame.loc[::4, "y"] = np.where(np.arange(0, 60, 4) < 30, 1 - frame.loc[::4, "llm"], np.nan)
    return frame


CALLS: dict[str, Callable[..., Any]] = {
    "dsl": lambda d, **a: dsl.dsl("y ~ x", d, predicted_var="y", prediction="llm", **a),
    "proportions": lambda d, **a: dsl.proportions(d, gold="y", prediction="llm", **a),
    "aggregate": lambda d, **a: dsl.aggregate(d, unit="unit", gold="y", prediction="llm", **a),
    "ppi_quantile": lambda d, **a: dsl.ppi_quantile(d, gold="x", prediction="llm", **a),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_design_is_refused_by_name(call: str) -> None:
    with pytest.raises(ArgumentError, match=r"design must be a dsl\.sampling\.LabelDesign; found str"):
        CALLS[call](data(), design="pilot.npz")


COLUMNS = Columns(formula=("x",), predicted=("y",), prediction=("llm",))


def test_labeling_without_a_design() -> None:
    """A simple random sample of the labelled rows, at exactly the share of them, whatever was dropped."""
    frame = data()
    frame.loc[[0, 59], "x"] = np.nan
    sample = prepare(frame, COLUMNS)
    assert sample.labeling.fixed_size
    np.testing.assert_array_equal(sample.labeling.prob, np.full(58, 29 / 58))
    np.testing.assert_array_equal(sample.labeling.drawn, sample.labeled)
    unequal = Columns(formula=("x",), predicted=("y",), prediction=("llm",), sample_prob="p")
    prob = np.linspace(0.2, 0.9, 60)
    sample = prepare(frame.assign(p=prob), unequal)
    assert not sample.labeling.fixed_size
    np.testing.assert_array_equal(sample.labeling.prob, prob[1:59])  # as they were; `sample_prob` is rescaled
    assert sample.sample_prob.mean() == pytest.approx(29 / 58)


def test_labeling_of_a_design_when_rows_are_dropped() -> None:
    frame = data()
    made = LabelDesign(
        kind="stratified",
        rows=frame.index[::-1],
        prob=np.linspace(0.3, 0.7, 60),
        drawn=np.arange(60) >= 30,
        fixed_size=True,
        stratum=np.arange(60) // 20,
    )
    frame.loc[[5, 40], "x"] = np.nan
    sample = prepare(frame, COLUMNS, made)
    assert_same(sample.labeling, made.at(59 - np.delete(np.arange(60), [5, 40])))


def test_the_remedy_of_the_message_works() -> None:
    frame = data()
    made = dsl.sampling.stratified(frame, 55, by="unit", seed=1)
    frame["y"] = (frame["x"] > 0).astype(float).where(made.drawn)
    part = frame[frame["x"] > -0.5]
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "estimator": "gold_only"}
    with pytest.raises(DataError, match=r"of the design are not in the data.*design\.subset\(data\.index\)"):
        dsl.dsl("y ~ 1", part, design=made, **call)
    fit = dsl.dsl("y ~ 1", part, design=made.subset(part.index), **call)
    same = dsl.dsl("y ~ 1", part, design=made.subset(frame["x"] > -0.5), **call)
    assert fit.params.equals(same.params)
    for anew in (part.reset_index(drop=True), pl.from_pandas(part), pa.Table.from_pandas(part, preserve_index=False)):
        with pytest.raises(DataError, match=r"design\.subset\(mask, renumber=True\)"):
            dsl.dsl("y ~ 1", anew, design=made, **call)
        again = dsl.dsl("y ~ 1", anew, design=made.subset(frame["x"] > -0.5, renumber=True), **call)
        assert again.params.equals(fit.params)
        assert again.bse.equals(fit.bse)


def test_a_part_is_what_dropping_rows_for_missing_values_leaves() -> None:
    frame = data()
    made = dsl.sampling.stratified(frame, 55, by="unit", seed=1)
    frame["y"] = (frame["x"] > 0).astype(float).where(made.drawn)
    gone = (np.arange(60) % 7 == 0) & (np.arange(60) > 10)
    with pytest.warns(dsl.exceptions.DroppedRowsWarning):
        fit = dsl.dsl(
            "y ~ x",
            frame.assign(x=frame["x"].mask(gone)),
            predicted_var="y",
            prediction="llm",
            estimator="gold_only",
            design=made,
            target="finite",
        )
    part = dsl.dsl(
        "y ~ x",
        frame[~gone],
        predicted_var="y",
        prediction="llm",
        estimator="gold_only",
        design=made.subset(~gone),
        target="finite",
    )
    np.testing.assert_allclose(part.params, fit.params, rtol=1e-12)
    np.testing.assert_allclose(part.bse, fit.bse, rtol=1e-12)
