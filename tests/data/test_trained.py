"""Rows whose labels were seen: how they are named, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data.trained import as_trained
from dsl.exceptions import ArgumentError, LabelError, LabelingWarning
from tests.posts import posts

CALL: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}


def seen(share: float = 0.4, seed: int = 1) -> pd.DataFrame:
    """Posts, of whose labelled rows a random part was seen: the predictions are the gold labels there."""
    data = posts()
    rows = np.random.default_rng(seed).permutation(data.index[data["y"].notna()])[: round(share * 80)]
    data["seen"] = data.index.isin(rows).astype(int)
    data["llm"] = data["llm"].where(data["seen"] == 0, data["y"])
    return data


@pytest.mark.parametrize(
    "name",
    [
        lambda d: "seen",
        lambda d: d["seen"].to_numpy() == 1,
        lambda d: (d["seen"] == 1).tolist(),
        lambda d: d["seen"] == 1,
        lambda d: d.index[d["seen"] == 1],
        lambda d: d.index[d["seen"] == 1].tolist(),
    ],
    ids=["column", "mask", "list", "series", "index", "labels"],
)
def test_names_of_rows(name: Any) -> None:
    data = seen().set_index(pd.Index([f"p{i}" for i in range(200)]))
    fit = dsl.dsl("y ~ x", data, **CALL, trained_on=name(data))
    by_column = dsl.dsl("y ~ x", data, **CALL, trained_on="seen")
    np.testing.assert_array_equal(fit.params, by_column.params)
    assert fit.core.sample.n_trained == 32


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (3, ArgumentError, "name of a column, a mask over the rows, or labels of rows; found 3"),
        ([], ArgumentError, "names no row"),
        ([False] * 200, ArgumentError, "True for no row"),
        ([True] * 3, ArgumentError, "mask of 3 values, and the data have 200 rows"),
        ([1000], ArgumentError, "which the data do not have"),
        ("x", ArgumentError, r"'x' \(trained_on\) must be 1 where"),
        ("zero", ArgumentError, "is 0 in every row"),
        ("all", LabelError, "names all 80 labelled rows"),
        ("unlabelled", LabelError, "without a gold label.*Supply these labels"),
    ],
)
def test_what_names_no_rows(given: Any, error: type[Exception], words: str) -> None:
    data = seen()
    data = data.assign(zero=0, all=data["y"].notna().astype(int), unlabelled=data["y"].isna().astype(int))
    with pytest.raises(error, match=words):
        dsl.dsl("y ~ x", data, **CALL, trained_on=given)


def test_labels_that_repeat() -> None:
    data = seen().set_index(pd.Index([0, *range(199)]))
    with pytest.raises(ArgumentError, match="labels, which repeat in the data"):
        dsl.dsl("y ~ x", data, **CALL, trained_on=[7])


def test_the_argument() -> None:
    assert as_trained(None) is None
    assert as_trained("seen") == "seen"
    with pytest.raises(ArgumentError, match="found ''"):
        as_trained("")


def test_a_choice_by_the_labels_is_noticed() -> None:
    """Examples that are all positive: the other labelled rows lack positives."""
    data = seen()
    positive = data.index[data["y"] == 1.0]
    data["seen"] = data.index.isin(positive[:20]).astype(int)
    with pytest.warns(
        LabelingWarning, match="trained_on do not look drawn at random.*0 of 35 labelled rows with y = 0 were seen"
    ):
        dsl.dsl("y ~ x", data, **CALL, trained_on="seen")
    # chosen before the others were drawn: nothing is assumed of the choice
    data["pi"] = np.where(data["seen"] == 1, 1.0, 60 / 180)
    fit = dsl.dsl("y ~ x", data, **CALL, trained_on="seen", sample_prob="pi")
    assert "chosen before the others were drawn" in str(fit.summary())


def test_units_are_seen_as_a_whole() -> None:
    data = posts().assign(unit=np.repeat(np.arange(40), 5))
    truth = np.random.default_rng(2).integers(0, 2, 200).astype(float)
    design = dsl.sampling.clustered(data, 16, by="unit", seed=1)
    data["y"] = np.where(design.drawn, truth, np.nan)
    drawn = np.unique(data["unit"][design.drawn])
    part = data.index[design.drawn & (data["unit"] == drawn[0])][:2]
    whole = data.index[np.isin(data["unit"], drawn[:4])]
    with pytest.raises(LabelError, match="some rows, but not all, of 1 units: each unit of the design"):
        dsl.dsl("y ~ x", data, **CALL, design=design, trained_on=part)
    assert dsl.dsl("y ~ x", data, **CALL, design=design, trained_on=whole).core.sample.n_trained == 20
    # the same draw, told by its clusters alone
    with pytest.raises(LabelError, match="each cluster of 'unit', which were labelled as a whole"):
        dsl.dsl("y ~ x", data, **CALL, cluster="unit", trained_on=part)
    two = dsl.sampling.two_stage(data, 16, 3, by="unit", seed=1)
    data["y"] = np.where(two.drawn, truth, np.nan)
    with pytest.raises(LabelError, match="design of two stages"):
        dsl.dsl("y ~ x", data, **CALL, design=two, trained_on=data.index[two.drawn][:6])


def test_missing_values_leave_something_to_correct_with() -> None:
    data = seen()
    data["w"] = np.where((data["y"].notna()) & (data["seen"] == 0), np.nan, 1.0)
    data.loc[data["y"].isna(), "w"] = np.random.default_rng(1).normal(size=120)
    with pytest.raises(LabelError, match="every labelled row that was not seen"):
        dsl.dsl("y ~ x + w", data, **CALL, trained_on="seen")
