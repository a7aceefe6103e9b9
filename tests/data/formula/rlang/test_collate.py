"""Text in the order of R's usual locales (en_US.UTF-8)."""

import random

import pytest

from dsl.data.formula.rlang.collate import in_order


@pytest.mark.parametrize(
    "expected",
    [
        ["cote", "Cote", "coté", "côte", "côté", "coteau"],
        ["e", "é", "è", "ê", "ë", "ē\u0330", "f"],  # accents in root order, rarer ones behind them
        ["_x", "10", "9", "a b", "a-b", "ab", "alpha", "beta", "Beta", "Zeta"],
        ["apfel", "Apfel", "äpfel", "Äpfel", "apfelsine"],
    ],
)
def test_order(expected: list[str]) -> None:
    shuffled = random.Random(1).sample(expected, len(expected))
    assert in_order(shuffled) == expected


def test_a_rare_accent_sorts_behind_the_plain_letter() -> None:
    """Whatever the accent; and before the next letter."""
    for accent in ("\u0317", "\u0330", "\u0345", "\u035d", "\u1dc4"):
        assert in_order(["b", f"a{accent}", "a"]) == ["a", f"a{accent}", "b"], hex(ord(accent))
