"""Vectors and factors: levels in R's order, and values of other rows found among them."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.formula.rlang.values import as_factor, matched
from dsl.exceptions import DataError, FormulaError


def test_levels() -> None:
    """``levels(factor(c(10, 9, 2, 10)))`` and ``levels(factor(c("b", "B", "a", "b")))`` in R 4.2.2, en_US.UTF-8."""
    for values, levels in (([10, 9, 2, 10], ("2", "9", "10")), (["b", "B", "a", "b"], ("a", "b", "B"))):
        made = as_factor(np.array(values, dtype=object if isinstance(values[0], str) else None))
        assert made.levels == levels
        assert [levels[code] for code in made.codes] == [str(value) for value in values]
    assert as_factor(made) is made
    with pytest.raises(FormulaError, match="a matrix or NULL cannot be turned into a factor"):
        as_factor(None)


def test_other_rows_have_the_same_levels() -> None:
    known = as_factor(np.array(["a", "b", "c"], dtype=object))
    made = matched(np.array(["c", "a", "a"], dtype=object), known, "column 'g'")
    assert made.levels == ("a", "b", "c")
    assert made.codes.tolist() == [2, 0, 0]
    with pytest.raises(
        DataError, match=r"column 'g' has categories outside those of the analysis: q, z; it had a, b, c$"
    ):
        matched(np.array(["z", "a", "q", "z"], dtype=object), known, "column 'g'")


def test_many_levels_are_not_all_listed() -> None:
    known = as_factor(np.array(list("abcdefghi"), dtype=object))
    with pytest.raises(DataError, match=r"it had a, b, c, d, e, f, g, h, \.\.\.$"):
        matched(np.array(["z"], dtype=object), known, "g")
    assert pd.Series(known.codes).tolist() == list(range(9))
