"""Tokens and dollars, reckoned by hand."""

import pytest

from dsl.annotation.cost import IMAGE, Price, Rates, length
from dsl.annotation.exchange import Answer, Request
from dsl.exceptions import ArgumentError


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
