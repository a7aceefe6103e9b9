"""From columns to different items, and from outcomes to columns."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dsl.annotation import collect
from dsl.annotation.asking import Asking, Patience
from dsl.annotation.cache import Cache
from dsl.annotation.collect import Gathered, Items, count_reasons, gather
from dsl.annotation.exchange import Answer, Item, Outcome, Request
from dsl.exceptions import ServerError


def test_equal_texts_are_one_item() -> None:
    texts = pd.Series(["a", "b", None, "a", "  ", "", np.nan, "A"])
    items = Items.of(texts, None)
    np.testing.assert_array_equal(items.rows, [0, 1, -1, 0, -1, -1, -1, 2])
    assert [item.text for item in items] == ["a", "b", "A"]
    assert all(item.image is None for item in items)


def test_pairs_of_text_and_image() -> None:
    texts, images = pd.Series(["a", "a", "a", None]), pd.Series(["x.png", "y.png", "x.png", "x.png"])
    items = Items.of(texts, images)
    np.testing.assert_array_equal(items.rows, [0, 1, 0, -1])
    assert list(items) == [Item(text="a", image="x.png"), Item(text="a", image="y.png")]
    alone = Items.of(None, images)
    assert (len(alone), alone[1]) == (2, Item(image="y.png"))


def test_texts_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, images = pd.Series(["a", "b", "a", None, "b", "c"]), pd.Series(["x", "x", "x", "x", "y", "x"])
    expected = Items.of(texts, images)
    np.testing.assert_array_equal(expected.rows, [0, 1, 0, -1, 2, 3])
    monkeypatch.setattr(collect, "_hash", lambda text: 7)
    np.testing.assert_array_equal(Items.of(texts, images).rows, expected.rows)
    assert list(Items.of(texts, images)) == list(expected)


def outcome(label: str | int | None, share: float = math.nan, **more: object) -> Outcome:
    return Outcome(label=label, probabilities=(share, 1.0 - share), confidence=share, **more)  # type: ignore[arg-type]


def test_columns() -> None:
    found = Gathered(3, ["yes", "no"])
    found.put(2, outcome("no", 0.25, mass=0.9, censored=True))
    found.put(0, outcome("yes", 0.75, mass=0.8, verbal=0.6, said="60 %"))
    found.put(1, outcome(None, reason="refusal"))
    table = found.table(np.array([2, -1, 0, 1, 0]), "llm", "both")
    assert list(table) == Gathered.names(["yes", "no"], "llm", "both")
    assert table["llm"].tolist()[::2] == ["no", "yes", "yes"]
    assert table["llm"].isna().tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(table["llm_yes"], [0.25, np.nan, 0.75, np.nan, 0.75])
    np.testing.assert_array_equal(table["llm_no"], [0.75, np.nan, 0.25, np.nan, 0.25])
    np.testing.assert_array_equal(table["llm_mass"], [0.9, np.nan, 0.8, np.nan, 0.8])
    assert table["llm_censored"].tolist() == [True, False, False, False, False]
    assert table["llm_said"].tolist() == ["", "", "60 %", "", "60 %"]
    assert table["llm_reason"].tolist() == ["", "no text", "", "refusal", ""]
    assert count_reasons(table, "llm") == {"no text": 1, "refusal": 1}


def test_whole_numbers_stay_whole() -> None:
    found = Gathered(2, [1, 0])
    found.put(0, outcome(1, 0.75))
    found.put(1, outcome(0, 0.25))
    whole, gaps = found.labels(np.array([0, 1])), found.labels(np.array([1, -1]))
    assert (whole.tolist(), whole.dtype.kind) == ([1, 0], "i")
    np.testing.assert_array_equal(gaps, [0.0, np.nan])
    assert list(found.table(np.array([0]), "y", "repeat")) == ["y", "y_1", "y_0", "y_confidence", "y_reason"]


class Once:
    """One question, whose answer is the label."""

    def questions(self, item: Item, answers: Sequence[Answer]) -> tuple[Request, ...]:
        return () if answers else (Request(model="m", prompt=f"{item.text}"),)

    def outcome(self, answers: Sequence[Answer]) -> Outcome:
        return outcome(answers[0].text, 0.75)


def test_unanswered_items_have_a_reason(tmp_path: Path) -> None:
    def ask(request: Request) -> Answer:
        if request.prompt == "b":
            raise ServerError("request 17 failed", status=500, retry=True)
        if request.prompt == "c":
            raise ServerError("connection lost", retry=True)
        return Answer(text="yes")

    steps: list[int] = []
    items = Items.of(pd.Series(["a", "b", "c", "d", "a"]), None)
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        asking = Asking(ask, cache, patience=Patience(max_retries=1, first=0.001), threads=4)
        found = gather(items, Once(), asking, ["yes", "no"], concurrency=2, step=lambda: steps.append(1))
    assert len(steps) == 4
    table = found.table(items.rows, "llm", "logprobs")
    assert table["llm_reason"].tolist() == ["", "no answer (status 500)", "no answer (connection lost)", "", ""]
    assert table["llm_yes"].isna().tolist() == [False, True, True, False, False]


def test_an_error_of_ours_is_not_hidden(tmp_path: Path) -> None:
    def ask(request: Request) -> Answer:
        raise ZeroDivisionError

    items = Items.of(pd.Series(["a"]), None)
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        asking = Asking(ask, cache, patience=Patience())
        with pytest.raises(ZeroDivisionError):
            gather(items, Once(), asking, ["yes", "no"], concurrency=2, step=lambda: None)
