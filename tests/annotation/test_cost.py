"""Tokens and dollars, reckoned by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dsl.annotation.cache import Cache
from dsl.annotation.cost import IMAGE, CostEstimate, Price, Rates, count, length
from dsl.annotation.exchange import Answer, Item, Outcome, Request
from dsl.exceptions import ArgumentError


class Twice:
    """A label, then how sure it is, which names the label."""

    def questions(self, item: Item, answers: Sequence[Answer]) -> tuple[Request, ...]:
        said = "".join(answer.text for answer in answers)
        if len(answers) == 2:
            return ()
        return (Request(model="m", prompt=f"{item.text}{said}", parameters={"max_tokens": 5}),)

    def outcome(self, answers: Sequence[Answer]) -> Outcome:
        return Outcome(label=answers[0].text, probabilities=(1.0,))


def test_prices() -> None:
    assert Price.of((2, 8.0)).dollars(1_000_000, 500_000) == 6.0
    assert Price.of([0, 0]).dollars(10, 10) == 0.0
    for wrong in (1.0, (1.0,), (1.0, 2.0, 3.0), ("1", "2"), "12", (-1.0, 1.0), (float("nan"), 1.0), (True, 1.0), None):
        with pytest.raises(ArgumentError, match="price must be two numbers"):
            Price.of(wrong)


def test_lengths() -> None:
    assert length(Request(model="m", prompt="four")) == 4
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    chat = Request(
        model="m",
        messages=(
            {"role": "system", "content": "12345"},
            {"role": "user", "content": [{"type": "text", "text": "678"}, image]},
        ),
    )
    assert length(chat) == 8 + 4 * IMAGE


def test_rates_are_measured_once_there_are_answers() -> None:
    rates = Rates()
    asked = Request(model="m", prompt="x" * 40, parameters={"max_tokens": 7})
    assert rates.expected(asked) == (10.0, 7.0)
    rates.learn(asked, Answer(text="", prompt_tokens=0, completion_tokens=9))
    assert rates.expected(asked) == (10.0, 7.0)
    rates.learn(asked, Answer(text="", prompt_tokens=20, completion_tokens=3))
    assert rates.expected(Request(model="m", prompt="x" * 10)) == (5.0, 3.0)


def test_a_dry_run_imagines_what_follows(tmp_path: Path) -> None:
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        stored = Answer(text="longlabel", prompt_tokens=2, completion_tokens=1)
        cache.add(Request(model="m", prompt="text", parameters={"max_tokens": 5}).key(), stored.to_json())
        found, rates = count([Item(text="text"), Item(text="another")], Twice(), cache, "yes")
    assert (found.requests, found.cached, found.left) == (4, 1, 3)
    assert found.characters == len("textlonglabel") + len("another") + len("anotheryes")
    assert rates.answers == 1


def test_estimates_add_up() -> None:
    one = CostEstimate(
        texts=3,
        distinct=2,
        without_text=1,
        requests=2,
        cached=1,
        prompt_tokens=10.0,
        completion_tokens=1.0,
        measured=True,
        cost=0.5,
    )
    two = one + one
    assert (two.texts, two.distinct, two.requests, two.cached, two.prompt_tokens, two.cost) == (3, 2, 4, 2, 20.0, 1.0)
    assert "3 rows with 2 different texts, 1 without a text" in str(two)
    assert "about $1.00" in str(two)
