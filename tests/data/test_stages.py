"""Columns of stages: what is read, and every mistake by name."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.data.columns import Columns, StageColumns
from dsl.data.stages import as_stages, read_stages


def rows() -> pd.DataFrame:
    """Eight rows: a crowd's labels on the first six, gold labels on the first three."""
    return pd.DataFrame(
        {
            "y": [1.0, 0.0, 1.0, *[np.nan] * 5],
            "crowd": [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, np.nan, np.nan],
            "p": [0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5, 0.5],
        },
        index=[f"row{j}" for j in range(8)],
    )


def read(frame: pd.DataFrame, labels: dict[str, str] | None = None, prob: float = 0.2) -> Any:
    labeled = frame["y"].notna().to_numpy()
    return read_stages(frame, columns(labels or {"y": "crowd"}), labeled, np.full(len(frame), prob))


def columns(labels: dict[str, str]) -> Columns:
    stages = (StageColumns(labels=labels, prob="p"),)
    return Columns(formula=("y",), predicted=("y",), prediction=(), stages=stages)


def test_labels_and_weights() -> None:
    (stage,) = read(rows())
    assert stage.whole
    assert stage.reached.tolist() == [True] * 6 + [False] * 2
    # probabilities scaled to six of eight rows on average
    np.testing.assert_allclose(stage.weight[:6] * np.array([0.5] * 5 + [1.0]), 4.5 / 6)
    assert stage.weight[6:].tolist() == [0.0, 0.0]
    over = stage.over({"y": np.full(8, 0.3)})
    assert over["y"].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.3, 0.3]


def test_categories() -> None:
    frame = rows().assign(
        y=lambda t: pd.Categorical(t["y"].map({1.0: "war", 0.0: "art"})),
        crowd=lambda t: t["crowd"].map({1.0: "war", 0.0: "art"}),
    )
    (stage,) = read(frame)
    other = pd.Categorical.from_codes(np.zeros(8, dtype=int), dtype=frame["y"].dtype)
    assert list(stage.over({"y": other})["y"]) == ["war", "war", "war", "art", "art", "war", "art", "art"]
    with pytest.raises(e.LabelError, match=r"'crowd' \(stages\) has 'War' in 1 row.*row3.*art, war"):
        read(frame.assign(crowd=lambda t: t["crowd"].where(t.index != "row3", "War")))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"crowd": np.nan}, e.LabelError, r"row1.* have a gold label and none at the stage before \(crowd\)"),
        ({"p": 0.1}, e.SampleProbabilityError, "'p' is below that of the gold label in 1 row.*row1"),
        ({"p": 0.0}, e.SampleProbabilityError, r"'p' \(stages\) is outside \(0, 1\] in 1 row.*row1"),
        ({"p": np.nan}, e.SampleProbabilityError, r"'p' \(stages\) is missing in 1 row.*row1"),
    ],
)
def test_mistakes_name_their_rows(change: dict[str, float], error: type[Exception], message: str) -> None:
    frame = rows()
    for name, value in change.items():
        frame.loc["row1", name] = value
    with pytest.raises(error, match=message):
        read(frame)


def test_stages_without_labels_or_with_some() -> None:
    with pytest.raises(e.LabelError, match="no row has a label of the stage crowd"):
        read_stages(rows().assign(crowd=np.nan), columns({"y": "crowd"}), np.zeros(8, dtype=bool), np.full(8, 0.2))
    frame = rows().assign(z=lambda t: t["y"], z_crowd=lambda t: t["crowd"].where(t.index != "row4"))
    known = columns({"y": "crowd", "z": "z_crowd"})
    with pytest.raises(e.LabelError, match=r"row4.* have some of the labels crowd, z_crowd of a stage but not all"):
        read_stages(frame, known, frame["y"].notna().to_numpy(), np.full(8, 0.2))


def test_the_argument() -> None:
    one, two = as_stages([("crowd", "p1"), ({"y": "expert"}, "p2")], ["y"])
    assert (one, two) == (
        StageColumns(labels={"y": "crowd"}, prob="p1"),
        StageColumns(labels={"y": "expert"}, prob="p2"),
    )
    assert as_stages(None, ["y"]) == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "stages must be a list of pairs"),
        ("crowd", "stages must be a list of pairs"),
        ({"crowd": "p"}, "stages must be a list of pairs"),
        (["crowd"], "stages must be a list of pairs.*found 'crowd'"),
        ([("crowd", 0.5)], r"stages must be a list of pairs.*found \('crowd', 0.5\)"),
        ([("crowd", "p")], "stages has 'crowd' for 2 predicted variables"),
        ([({"d": "crowd"}, "p")], "stages names 'd', which is not among predicted_var"),
        ([({"y": "y"}, "p")], "stages names 'y', whose values are the gold labels: pass a copy"),
    ],
)
def test_no_stages(given: Any, message: str) -> None:
    with pytest.raises(e.ArgumentError, match=message):
        as_stages(given, ["y", "z"])
