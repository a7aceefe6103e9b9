"""Codebooks: what they refuse, their YAML, and that coders' sheets and adaptive designs take them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.annotation import Codebook
from dsl.annotation.codebook import codebook_in, plain, yaml_text
from dsl.exceptions import ArgumentError, CoderFileError, FileError, LabelError, MissingDependencyError

BOOK = Codebook(
    question="Is it positive?",
    labels={1: "joy or praise", 0: "anything else"},
    examples=[("I love it", 1), ("It opens at nine", 0)],
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"question": " "}, "question must be a text that is not empty"),
        ({"question": None}, "question must be a text"),
        ({"labels": ["yes"]}, "at least two labels; found 1"),
        ({"labels": {}}, "at least two labels; found 0"),
        ({"labels": "yes"}, "labels must be a dict"),
        ({"labels": 3}, "labels must be a dict"),
        ({"labels": [0, 1.5]}, "text or whole numbers; found 1.5"),
        ({"labels": [True, False]}, "text or whole numbers; found True"),
        ({"labels": ["Yes", "yes"]}, "'Yes' and 'yes' differ by case"),
        ({"labels": ["1", 1]}, "'1' and 1 differ by case"),
        ({"labels": ["yes", '"yes"']}, "differ by case or quotation marks"),
        ({"labels": ["yes", ""]}, "'' is empty"),
        ({"labels": ["yes", " no"]}, "blanks around it"),
        ({"labels": ["yes", "n\no"]}, "line break"),
        ({"labels": {"yes": 3, "no": ""}}, "definition of 'yes' must be a text; found 3"),
        ({"examples": [("text", "maybe")]}, "'maybe', which is not in the codebook: 'yes', 'no'"),
        ({"examples": [("", "yes")]}, "example must be a text that is not empty"),
        ({"examples": [("a", "yes"), ("a", "no")]}, "'a' is there twice"),
        ({"examples": ["ab"]}, r"list of \(text, label\); found 'ab'"),
        ({"examples": {"a": "yes"}}, r"list of \(text, label\)"),
        ({"labels": [0, 1], "examples": [("a", "1")]}, "label '1', which is not in the codebook: 0, 1"),
        ({"labels": [0, 1], "examples": [("a", True)]}, "text or whole numbers; found True"),
    ],
)
def test_what_is_no_codebook(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Codebook(**{"question": "Is it?", "labels": ["yes", "no"], **change})


def test_labels_of_numpy_are_plain() -> None:
    book = Codebook("Is it?", list(np.array([0, 1])), [("a", np.int64(1))])  # type: ignore[list-item]
    assert book.codes == (0, 1)
    assert type(book.codes[0]) is int
    assert book.examples == (("a", 1),)
    assert book.words == ("0", "1")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hate speech", "hate speech"),
        (" Hate  Speech.\n", "hate speech"),
        ("**other**", "other"),
        ('"Other".', "other"),
        ("otherwise", None),
        ("other, hate speech", None),
        ("hate", None),
        ("", None),
        (".", None),
    ],
)
def test_only_a_label_is_a_label(said: str, code: str | None) -> None:
    assert Codebook("Which?", ["hate speech", "other"]).code_of(said) == code


def test_numbers_are_compared_as_they_are_said() -> None:
    book = Codebook("Which?", [-1, 0, 10])
    assert [book.code_of(said) for said in ("-1", "0", "10.", "1", "0.0", "+10")] == [-1, 0, 10, None, None, None]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
LABELS = st.lists(
    TEXTS.map(str.strip).filter(lambda t: plain(t) and "\n" not in t) | st.integers(-99, 99),
    min_size=2,
    max_size=4,
    unique_by=lambda code: plain(str(code)),
)


@settings(max_examples=60, deadline=None)
@given(TEXTS.filter(str.strip), LABELS, st.lists(TEXTS.filter(str.strip), max_size=2, unique=True), TEXTS)
def test_yaml_gives_back_what_it_got(question: str, labels: list[str | int], texts: list[str], about: str) -> None:
    book = Codebook(question, dict.fromkeys(labels, about), [(text, labels[0]) for text in texts])
    again = codebook_in(yaml_text(book), where="here")
    assert again == book
    assert [type(code) for code in again.codes] == [type(code) for code in book.codes]


HAND = """\
# by hand
question: Does it speak of war?
labels:
  yes: War, "battle", troops
  no:
  010: a code with a zero
  3: a number
examples:
  - {text: "Troops left: today", label: yes}
  - text: >
      a long
      line
    label: 3
"""


def test_yaml_by_hand(tmp_path: Path) -> None:
    """Readers of YAML 1.1 make true, false and 8 of yes, no and 010."""
    path = tmp_path / "book.yaml"
    path.write_text("\ufeff" + HAND, encoding="utf-8")
    book = Codebook.from_yaml(path)
    assert dict(book.labels) == {"yes": 'War, "battle", troops', "no": "", "010": "a code with a zero", 3: "a number"}
    assert book.examples == (("Troops left: today", "yes"), ("a long line\n", 3))


def test_yaml_is_read_by_other_readers_too(tmp_path: Path) -> None:
    Codebook("Is it?", ["yes", "no", "1", 2]).to_yaml(tmp_path / "book.yaml")
    other = yaml.safe_load((tmp_path / "book.yaml").read_text(encoding="utf-8"))
    assert list(other["labels"]) == ["yes", "no", "1", 2]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("", ArgumentError, "is no codebook: it needs the keys question, labels, examples; found None"),
        ("just a text", ArgumentError, "is no codebook"),
        ("question: a\nlabels: [a, b]\nlabel: c\n", ArgumentError, "found question, labels, label"),
        ("question: a\n", ArgumentError, "must have the keys question and labels"),
        ("question: a\nlabels: {a: x, a: y}\n", ArgumentError, "key 'a' twice in line 2"),
        ("question: a\nlabels: [a, b]\nexamples: [{text: a}]\n", ArgumentError, "keys text and label"),
        ("question: a\nlabels: [a, b]\nexamples: [c]\n", ArgumentError, "keys text and label"),
        ("question: a\nlabels: [a\n", FileError, "cannot be read as a codebook in YAML"),
        ("question: !!python/object:os.system a\nlabels: [a, b]\n", FileError, "cannot be read as a codebook"),
        ("question: a\nlabels: {[a]: b, c: d}\n", FileError, "cannot be read as a codebook"),
    ],
)
def test_yaml_that_is_no_codebook(tmp_path: Path, content: str, error: type[Exception], words: str) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(error, match=words):
        Codebook.from_yaml(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        Codebook.from_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(FileError, match="there is no folder"):
        BOOK.to_yaml(tmp_path / "no" / "book.yaml")


def test_without_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    for call in (BOOK.to_yaml, Codebook.from_yaml):
        with pytest.raises(MissingDependencyError, match=r"pip install 'dsl\[llm\]'"):
            call(tmp_path / "book.yaml")


POSTS = pd.DataFrame({"text": [f"post {i}" for i in range(90)]}, index=[f"p{i}" for i in range(90)])


def test_coders_get_the_same_codebook(tmp_path: Path) -> None:
    """Labels, and what they mean, in a sheet; a label outside it is an error; definitions that are alike or empty do no harm."""
    from openpyxl import load_workbook

    book = Codebook("Which?", {"pos": "praise", "neg": "blame", "none": "", "both": ""})
    design = dsl.sampling.simple_random(POSTS, n_labels=4, seed=1)
    design.to_coder(tmp_path / "coder.xlsx", POSTS, columns="text", codebook=book)
    explained = load_workbook(tmp_path / "coder.xlsx")["codebook"]
    assert [[cell.value or "" for cell in row] for row in explained.iter_rows(min_row=2, max_col=2)] == [
        ["pos", "praise"],
        ["neg", "blame"],
        ["none", ""],
        ["both", ""],
    ]
    asked = design.to_coder(tmp_path / "coder.csv", POSTS, columns="text", codebook=book)
    for typed, error in (("POS", None), ("positive", CoderFileError)):
        sheet = pd.read_csv(tmp_path / "coder.csv", dtype=str)
        sheet["gold"] = ["praise", "neg", "none", typed]
        sheet.to_csv(tmp_path / "filled.csv", index=False)
        if error:
            with pytest.raises(error, match=r"'positive' \(1\)"):
                design.from_coder(tmp_path / "filled.csv", POSTS, codebook=book)
        else:
            out = design.from_coder(tmp_path / "filled.csv", POSTS, codebook=book)
            assert out.loc[asked.index, "gold"].tolist() == ["pos", "neg", "none", "pos"]


def adaptive(codebook: Any) -> dsl.AdaptiveDesign:
    data = POSTS.assign(y=np.nan, x=np.arange(90.0) % 7, llm=np.arange(90) % 2)
    return dsl.AdaptiveDesign(
        "y ~ x", data, predicted_var="y", prediction="llm", n_labels=40, batch_size=20, codebook=codebook, seed=1
    )


def test_adaptive_designs_take_it() -> None:
    for codebook in (BOOK, {"y": BOOK}):
        design = adaptive(codebook)
        batch = design.next_batch()
        with pytest.raises(LabelError, match="outside the codebook: 2"):
            design.add_labels(pd.Series(2.0, index=batch.index))
    with pytest.raises(ArgumentError, match=r"codebook of 'y' must be a list of numbers.*\['a', 'b'\]"):
        adaptive(Codebook("Which?", ["a", "b"]))
