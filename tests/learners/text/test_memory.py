"""What was made of texts a short while ago is not made again."""

import numpy as np
import pytest

from dsl.learners.text import memory
from dsl.learners.text.memory import remembered
from tests.learners.text.words import worded
from tests.posts import run


@pytest.fixture(autouse=True)
def _empty() -> None:
    memory.forget()


def ask(maker: str, texts: list[str], size: int = 8) -> tuple[float, bool]:
    made: list[int] = []
    value = remembered(
        maker, None, np.array(texts, dtype=object), lambda: made.append(1) or float(len(texts)), lambda _: size
    )
    return value, bool(made)


def test_the_same_texts_and_maker_only() -> None:
    assert ask("a", ["x", "yz"]) == (2.0, True)
    assert ask("a", ["x", "yz"]) == (2.0, False)
    assert ask("b", ["x", "yz"]) == (2.0, True)
    assert ask("a", ["xy", "z"]) == (2.0, True)


def test_few_and_small_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for maker in "abc":
        ask(maker, ["x"])
    assert [ask(maker, ["x"])[1] for maker in "cba"] == [False, False, True]
    monkeypatch.setattr(memory, "LARGEST", 10)
    assert [ask("large", ["x"], size=11)[1] for _ in range(2)] == [True, True]


def test_a_second_fit_counts_no_words_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from dsl.learners.text import tfidf

    counted = []
    monkeypatch.setattr(tfidf, "_counts", lambda *a, own=tfidf._counts, **k: counted.append(1) or own(*a, **k))
    one, two = (run(worded(), text="body", sl_method="tfidf").params for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert len(counted) == 1
