"""``cut`` and its relatives against what R 4.2.2 prints."""

from typing import Any

import numpy as np
import pytest

from dsl.data.formula.rlang.factors import cut, interaction
from dsl.exceptions import FormulaError


def shown(x: list[float], breaks: Any, **given: Any) -> tuple[list[str], list[int]]:
    """``levels(cut(x, breaks, ...))`` and ``as.integer(cut(x, breaks, ...))``."""
    made = cut({}, np.array(x, dtype=float), np.array(breaks, dtype=float), **given)
    return list(made.levels), (made.codes + 1).tolist()


@pytest.mark.parametrize(
    ("x", "breaks", "given", "levels", "codes"),
    [
        ([1, 2, 3, 4], [0, 2, 4], {}, ["(0,2]", "(2,4]"], [1, 1, 2, 2]),
        ([1, 2, 3, 4], [3], {}, ["(0.997,2]", "(2,3]", "(3,4]"], [1, 1, 2, 3]),
        ([1, 2.5, 3, 4], [1, 2, 4], {"include_lowest": True}, ["[1,2]", "(2,4]"], [1, 2, 2, 2]),
        ([1, 2.5, 3, 4], [1, 2, 5], {"right": False}, ["[1,2)", "[2,5)"], [1, 2, 2, 2]),
        ([1, 2, 3, 4], [0, 2, 4], {"right": False, "include_lowest": True}, ["[0,2)", "[2,4]"], [1, 2, 2, 2]),
        ([0, 100000.4], [2], {}, ["(-100,5e+04]", "(5e+04,1e+05]"], [1, 2]),
        # constants: the width is taken from the value, or one at zero
        ([5, 5, 5], [2], {}, ["(4.995,5]", "(5,5.005]"], [1, 1, 1]),
        ([5, 5, 5], [3], {}, ["(4.995,4.998]", "(4.998,5.002]", "(5.002,5.005]"], [2, 2, 2]),
        ([-2, -2], [4], {}, ["(-2.002,-2.001]", "(-2.001,-2]", "(-2,-1.999]", "(-1.999,-1.998]"], [2, 2]),
        ([0, 0, 0], [2], {}, ["(-0.001,0]", "(0,0.001]"], [1, 1, 1]),
    ],
)
def test_cut(x: list[float], breaks: list[float], given: dict[str, bool], levels: list[str], codes: list[int]) -> None:
    assert shown(x, breaks, **{name: np.array([value]) for name, value in given.items()}) == (levels, codes)


def test_cut_with_labels() -> None:
    """``as.character(cut(c(1, 2, 3, 4), c(0, 2, 4), labels = c("few", "many")))``: few few many many."""
    words = np.array(["few", "many"], dtype=object)
    assert shown([1, 2, 3, 4], [0, 2, 4], labels=words) == (["few", "many"], [1, 1, 2, 2])
    with pytest.raises(FormulaError, match="3 labels for 2 intervals"):
        shown([1, 2, 3, 4], [0, 2, 4], labels=np.array(["few", "many", "all"], dtype=object))


def test_cut_into_numbers() -> None:
    """``cut(c(1, 2, 3, 4), c(0, 2, 4), labels = FALSE)``: 1 1 2 2."""
    found = cut({}, np.arange(1.0, 5.0), np.array([0.0, 2.0, 4.0]), labels=np.array([False]))
    np.testing.assert_array_equal(found, [1, 1, 2, 2])


def test_intervals_are_remembered() -> None:
    """Other rows are cut at the same places."""
    state: dict[str, Any] = {}
    cut(state, np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0]))
    again = cut(state, np.array([2.5, 2.5]), np.array([3.0]))
    assert list(again.levels) == ["(0.997,2]", "(2,3]", "(3,4]"]
    assert again.codes.tolist() == [1, 1]


def test_interaction() -> None:
    """``levels(interaction(c("u", "v"), c("p", "q"), sep = "-"))``: the first varies fastest."""
    first, second = np.array(["u", "v"], dtype=object), np.array(["p", "q"], dtype=object)
    found = interaction(first, second, sep=np.array(["-"], dtype=object))
    assert list(found.levels) == ["u-p", "v-p", "u-q", "v-q"]
    assert found.codes.tolist() == [0, 3]
