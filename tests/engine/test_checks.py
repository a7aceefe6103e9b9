"""Columns at fault are named, and no others."""

from typing import Any

import numpy as np
import pytest

from dsl.engine.absorb import Absorber
from dsl.engine.blocks import Block
from dsl.engine.checks import check_columns, check_size
from dsl.exceptions import CollinearityError, InfiniteValueError

ROWS, GOLD = 30, np.arange(0, 30, 3)
X, Z, D = np.random.default_rng(0).normal(size=(3, ROWS))
ONE = np.ones(ROWS)


def block(*fixed: np.ndarray, predicted: np.ndarray = D, gold: np.ndarray | None = None, **more: Any) -> Block:
    return Block(
        fixed=np.column_stack(fixed),
        predicted=predicted[:, None],
        outcome=X,
        gold_rows=GOLD,
        gold=(predicted[GOLD] if gold is None else gold)[:, None],
        gold_outcome=X[GOLD],
        weight=np.full(len(GOLD), 3.0),
        **more,
    )


@pytest.mark.parametrize(
    ("given", "names", "words"),
    [
        (block(ONE, X, 2 * X + 1), "iabd", r"1 of the columns 'i', 'a', 'b' are linear combinations.* take 1 out"),
        (block(ONE, X, X, 3 * X), "iabcd", r"2 of the columns 'a', 'b', 'c' are linear combinations.* take 2 out"),
        (block(ONE, X, predicted=X), "iad", r"1 of the columns 'a', 'd' are linear"),
        (block(ONE, X, 5 * ONE), "iabd", r"column\(s\) 'i', 'b' are constant, which the intercept is already"),
        (block(ONE, 0 * X), "iad", r"column\(s\) 'a' are zero in every row"),
        (block(ONE, X, predicted=0 * X), "iad", r"column\(s\) 'd' are zero in every row"),
        (block(ONE, X, X + 1e-10 * Z), "iabd", r"1 of the columns 'a', 'b' are linear"),
        (block(ONE, 1e8 * X, 1e-8 * X), "iabd", r"1 of the columns 'a', 'b' are linear"),
    ],
)
def test_dependent_columns(given: Block, names: str, words: str) -> None:
    with pytest.raises(CollinearityError, match=words):
        check_columns(given, tuple(names))
    with pytest.raises(CollinearityError, match=words):
        check_columns(given, tuple(names), given.fixed.T @ given.fixed)


@pytest.mark.parametrize(
    "given",
    [
        block(ONE, X, Z),
        block(ONE, X, X + 1e-7 * Z),
        block(ONE, 1e8 * X, 1e-8 * Z),
        block(ONE, X, predicted=X, gold=Z[GOLD]),  # predictions alone say nothing new, the gold values do
    ],
)
def test_independent_columns(given: Block) -> None:
    check_columns(given, ("a", "b", "c", "d")[: given.shape[1]])


def within(*fixed: np.ndarray, predicted: np.ndarray = D) -> Block:
    """With the effects of ten units of three rows."""
    absorber = Absorber([np.arange(ROWS) // 3])
    columns = np.column_stack([*fixed, predicted])
    return block(*fixed, predicted=predicted, absorbed=absorber.project(columns), absorbed_outcome=absorber.project(X))


UNIT = (np.arange(ROWS) // 3) * 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (within(X, UNIT), r"column\(s\) 'b' do not vary within the fixed effects"),
        (within(X, UNIT**2, predicted=UNIT), r"column\(s\) 'b', 'd' do not vary within the fixed effects"),
        (
            within(X, X + UNIT),
            r"within the fixed effects, the columns '[ab]', '[ab]' are linear combinations of each other",
        ),
        (within(X, predicted=UNIT - 2 * X), r"within the fixed effects, the columns '[ad]', '[ad]' are linear"),
    ],
)
def test_dependent_within_fixed_effects(given: Block, words: str) -> None:
    names = ("a", "b", "d") if given.shape[1] == 3 else ("a", "d")
    with pytest.raises(CollinearityError, match=words):
        check_columns(given, names)


def test_independent_within_fixed_effects() -> None:
    check_columns(within(X, X + UNIT + 1e-4 * Z), ("a", "b", "d"))


@pytest.mark.parametrize("n", [1, 3, 50])
def test_size_beside_missing_values_of_r(n: int) -> None:
    """R's NA is a signalling NaN, which numpy's nanmax takes for the largest value."""
    missing = np.repeat(np.array([0x7FF00000000007A2], dtype=np.uint64).view(float), n)
    for values in (np.concatenate([missing, np.ones(n)]), np.concatenate([np.ones(n), missing])[::-1], missing):
        check_size(values, "column 'x'")
    with pytest.raises(InfiniteValueError, match="too large"):
        check_size(np.concatenate([missing, [1e200]]), "column 'x'")
