"""Batches to coders' files and back: what is shown, whose rows they are, what is recorded."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling.adaptive import AdaptiveDesign
from tests.sampling.adaptive.test_loop import begin, posts


def fill(path: Path, label: str = "y", **changes: Any) -> pd.DataFrame:
    """The coder at work: true labels, but for `changes` by row label."""
    sheet = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("row")
    sheet[label] = posts()[1][sheet.index].map("{:g}".format)
    for row, value in changes.items():
        sheet.loc[row, label] = value
    sheet.to_csv(path)
    return sheet


def test_a_batch_goes_out_without_predictions(tmp_path: Path) -> None:
    design = begin()
    sheet = design.to_coder(tmp_path / "one.csv", columns="text")
    assert sheet.columns.tolist() == ["text", "y", "key"]
    batch = design.next_batch()
    assert sorted(sheet.index) == sorted(batch.index)
    assert sheet.index.tolist() != batch.index.tolist()  # in random order
    for name in ("llm", "doubt"):
        with pytest.raises(e.ArgumentError, match=rf"'{name}', by which the rows were drawn: .*anchoring"):
            design.to_coder(tmp_path / "two.csv", columns=["text", name])
    assert "llm" in design.to_coder(tmp_path / "two.csv", columns=["text", "llm"], show_predictions=True)
    assert design.status().waiting == len(batch)


def test_the_loop_through_files_is_the_loop(tmp_path: Path) -> None:
    """The same design as with labels handed over, whatever the log, the day and the order of lines."""
    log = tmp_path / "log"
    design = begin(log=log, batches=3)
    for number in range(1, 4):
        path = tmp_path / f"batch-{number}.csv"
        assert design.to_coder(path, columns="text")["y"].eq("").all()
        fill(path)
        design = AdaptiveDesign.resume(log, posts()[0])  # another day
        labels = design.from_coder(path)
        pd.testing.assert_series_equal(labels["y"], posts()[1][labels.index])
    assert design.stop_reason == "n_labels"
    alone = begin(batches=3).run(lambda batch: posts()[1][batch.index])
    assert design.design().fingerprint == alone.design().fingerprint
    with pytest.raises(e.ArgumentError, match="the design is done"):
        design.to_coder(tmp_path / "more.csv", columns="text")


def test_second_reading_and_wrong_batch(tmp_path: Path) -> None:
    design, first, second = begin(), tmp_path / "one.csv", tmp_path / "two.csv"
    with pytest.raises(e.ArgumentError, match="no batch was drawn yet"):
        design.from_coder(first)
    design.to_coder(first, columns="text")
    fill(first)
    labels = design.from_coder(first)
    pd.testing.assert_frame_equal(design.from_coder(first), labels)  # nothing is recorded twice
    assert design.status().batch == 1
    fill(first, **{labels.index[0]: f"{1 - labels['y'].iloc[0]:g}"})
    with pytest.raises(
        e.CoderFileError, match=rf"1 row \(.*{labels.index[0]}\) of batch 1 have other labels .*cannot be changed"
    ):
        design.from_coder(first)
    design.to_coder(second, columns="text")
    with pytest.raises(e.CoderFileError, match=r"'one.csv' is of batch 1, .*and not of batch 2"):
        design.from_coder(first)
    fill(second)
    assert len(design.from_coder(second)) == 40
    assert design.status().batch == 2
    with pytest.raises(e.CoderFileError, match=r"'one.csv' is of batch 1"):
        design.from_coder(first)
    other = begin(seed=6)
    other.to_coder(tmp_path / "other.csv", columns="text")
    fill(tmp_path / "other.csv")
    with pytest.raises(e.CoderFileError, match="of another design"):
        design.from_coder(tmp_path / "other.csv")


def test_nothing_is_recorded_of_a_file_with_faults(tmp_path: Path) -> None:
    design, path = begin(codebook=[0, 1]), tmp_path / "one.csv"
    rows = design.to_coder(path, columns="text").index
    for change, message in (({rows[0]: ""}, "still missing in 1 row"), ({rows[0]: "2"}, "not in the codebook: '2'")):
        fill(path, **change)
        with pytest.raises(e.CoderFileError, match=message):
            design.from_coder(path)
    sheet = fill(path)
    sheet.assign(text=sheet["text"].where(sheet.index != rows[1], "edited")).to_csv(path)
    with pytest.raises(e.CoderFileError, match="other texts than were sent out"):
        design.from_coder(path)
    sheet.iloc[1:].to_csv(path)
    with pytest.raises(e.CoderFileError, match="still missing in 1 row"):
        design.from_coder(path)
    assert (design.status().batch, design.status().waiting) == (0, 40)


def test_two_coders(tmp_path: Path) -> None:
    design, paths = begin(codebook={0: "no", 1: "yes"}), [tmp_path / "ann.csv", tmp_path / "bob.csv"]
    for path in paths:
        rows = design.to_coder(path, columns="text", seed=len(path.name)).index
        fill(path)
    was = posts()[1][rows[0]]
    fill(paths[1], **{rows[0]: "no" if was else "yes"})
    with pytest.raises(e.CoderFileError, match="disagree without a majority in 1 row"):
        design.from_coder(paths)
    labels = design.from_coder(paths, rule="mean")
    assert labels.loc[rows[0], "y"] == 0.5  # which no codebook has
    assert design.status().batch == 1


@pytest.mark.parametrize("book", [{0: "no", 1: "yes"}, SimpleNamespace(labels={0: "no", 1: "yes"})])
def test_the_design_has_the_codebook(tmp_path: Path, book: Any) -> None:
    """It offers the meanings, takes them, and keeps both in its log."""
    log, path = tmp_path / "log", tmp_path / "one.json"
    begin(log=log, codebook=book)
    design = AdaptiveDesign.resume(log, posts()[0])
    assert (design.settings.codebook, design.settings.meanings) == ({"y": [0.0, 1.0]}, {"y": ["no", "yes"]})
    design.to_coder(path, columns="text", format="label_studio")
    assert '<Choice value="yes" alias="1" />' in path.with_suffix(".xml").read_text()
    tasks = json.loads(path.read_text())
    for task in tasks:
        value = {"choices": [["no", "yes"][int(posts()[1][posts()[0]["text"] == task["data"]["text"]].iloc[0])]]}
        task["annotations"] = [{"completed_by": 1, "result": [{"from_name": "y", "type": "choices", "value": value}]}]
    path.write_text(json.dumps(tasks))
    labels = design.from_coder(path, format="label_studio")
    np.testing.assert_array_equal(labels["y"], posts()[1][labels.index])


def test_several_variables(tmp_path: Path) -> None:
    data = posts()[0].assign(llm2=posts()[0]["llm"])
    call = {
        "predicted_var": {"y": "llm", "z": "llm2"},
        "prediction": None,
        "codebook": {"y": [0, 1], "z": {0: "-", 1: "+"}},
    }
    design = begin("y ~ x + z", data, **call)
    paths = {name: tmp_path / f"{name}.csv" for name in ("y", "z")}
    with pytest.raises(e.ArgumentError, match=r"label must say which predicted variable .*one of y, z; found None"):
        design.to_coder(paths["y"], columns="text")
    for name, path in paths.items():
        rows = design.to_coder(path, columns="text", label=name).index
        fill(path, name)
    fill(paths["z"], "z", **{rows[0]: "+"})
    with pytest.raises(e.ArgumentError, match=r"a file of its own: pass a dict, \{'y': path"):
        design.from_coder(paths["y"])
    with pytest.raises(e.ArgumentError, match=r"names each predicted variable once \(y, z\).*found y"):
        design.from_coder({"y": paths["y"]})
    labels = design.from_coder(paths)
    assert labels.columns.tolist() == ["y", "z"]
    assert labels.loc[rows[0], "z"] == 1
    pd.testing.assert_frame_equal(design.data.loc[labels.index, ["y", "z"]], labels)


def test_another_name_of_the_column(tmp_path: Path) -> None:
    design, path = begin(), tmp_path / "one.csv"
    design.to_coder(path, columns="text", label="is it positive")
    fill(path, "is it positive")
    with pytest.raises(e.CoderFileError, match="no column named 'y'"):
        design.from_coder(path)
    assert design.from_coder(path, label="is it positive").columns.tolist() == ["y"]
