"""Covariates cut into groups: how many, how small, and their names."""

import numpy as np
import pandas as pd
import pytest

from dsl.reports.diagnostics.case import LEAST, MISSING, MOST_GROUPS, OTHER, groups, is_discrete, text_of


def counts(column: pd.Series, labeled: np.ndarray | None = None) -> dict[str, int]:
    every = np.ones(len(column), dtype=bool) if labeled is None else labeled
    return groups(column, every).value_counts().to_dict()


def levels(rows: list[int]) -> pd.Series:
    """Levels a, b, ... with so many rows each."""
    return pd.Series(np.repeat([chr(ord("a") + j) for j in range(len(rows))], rows))


def test_small_groups_are_merged() -> None:
    """A group of just enough rows stands alone."""
    assert counts(levels([50, LEAST, LEAST - 1, 3])) == {"a": 50, "b": LEAST, OTHER: LEAST + 2}


@pytest.mark.parametrize("more", [0, 1, 5])
def test_there_are_never_too_many_groups(more: int) -> None:
    """Ten groups in all, the merged one among them."""
    rows = [100 - j for j in range(MOST_GROUPS + more)]
    found = counts(levels(rows))
    assert len(found) == MOST_GROUPS
    assert found.get(OTHER, 0) == (sum(rows[MOST_GROUPS - 1 :]) if more else 0)


def test_only_labelled_rows_count() -> None:
    column = levels([40, 40])
    assert counts(column, np.arange(80) % 2 == 0) == {"a": 20, "b": 20}


def test_numbers_are_cut_at_the_thirds_of_all_rows() -> None:
    column = pd.Series(np.arange(1.0, 301.0))
    labeled = np.arange(300) >= 100
    assert counts(column) == {"up to 101": 100, "101 to 200": 100, "above 200": 100}
    assert counts(column, labeled) == {"101 to 200": 100, "above 200": 100}


def test_missing_values_are_a_group() -> None:
    column = levels([30, 30]).where(np.arange(60) % 3 > 0)
    assert counts(column) == {"a": 20, "b": 20, MISSING: 20}


def test_few_values_are_categories() -> None:
    assert is_discrete(pd.Series(np.arange(60) % 6))
    assert not is_discrete(pd.Series(np.arange(70) % 7))
    assert is_discrete(pd.Series([True, False]))
    assert is_discrete(pd.Series(["x", "y"]))
    assert [text_of(value) for value in (2.0, 0.25, True, "x", np.float64(3.0))] == ["2", "0.25", "True", "x", "3"]
