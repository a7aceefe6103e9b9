"""Predictions are not shown to coders unless that is asked for."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling import simple_random
from dsl.sampling.coding.hidden import check_hidden, names_made

SUSPECT = [
    "llm",
    "llm_label",
    "LLM",
    "gpt",
    "predicted_y",
    "y.pred",
    "confidence",
    "y_conf",
    "labelConfidence",
    "prob_1",
]
INNOCENT = ["text", "problem", "conference", "predicate", "improbable", "hellm", "body", "title", "confident"]


@pytest.mark.parametrize("name", SUSPECT)
def test_names_that_tell(name: str) -> None:
    with pytest.raises(
        e.ArgumentError, match=rf"'{name}', which looks like a prediction .*anchoring.*show_predictions=True"
    ):
        check_hidden(["text", name], {})


@pytest.mark.parametrize("name", INNOCENT)
def test_names_that_do_not(name: str) -> None:
    check_hidden([name], {})


def test_what_the_design_names() -> None:
    for settings in ({"prediction": ["vader"]}, {"confidence": "vader"}):
        with pytest.raises(e.ArgumentError, match="'vader', by which the rows were drawn: "):
            check_hidden(["text", "vader"], settings)


def test_what_a_model_made(tmp_path: Path) -> None:
    data = pd.DataFrame({"text": list("abcd"), "gemma": [0, 1, 0, 1], "gemma_pos": 0.5, "gemmas": "x"})
    data.attrs["annotation"] = {"format": 1, "made_by": "dsl.annotate", "trails": [{"name": "gemma"}]}
    design = simple_random(data, 2, seed=1)
    for name in ("gemma", "gemma_pos"):
        with pytest.raises(e.ArgumentError, match=rf"'{name}', which a model made \(dsl.annotate\)"):
            design.to_coder(tmp_path / "a.csv", data, columns=["text", name])
    design.to_coder(tmp_path / "a.csv", data, columns=["text", "gemmas"])
    for odd in (None, 3, {"trails": 3}, {"trails": [3, {}, {"name": 3}]}):
        data.attrs["annotation"] = odd
        assert names_made(data) == []


def test_shown_where_asked(tmp_path: Path) -> None:
    data = pd.DataFrame({"text": list("abcd"), "llm": [0, 1, 0, 1]})
    design = simple_random(data, 2, seed=1)
    with pytest.raises(e.ArgumentError, match="names 'llm'"):
        design.to_coder(tmp_path / "a.csv", data, columns=["text", "llm"])
    asked = design.to_coder(tmp_path / "a.csv", data, columns=["text", "llm"], show_predictions=True)
    assert "llm" in asked
    with pytest.raises(e.ArgumentError, match="'text', by which"):
        replace(design, settings={"prediction": "text"}).to_coder(tmp_path / "b.csv", data, columns="text")
