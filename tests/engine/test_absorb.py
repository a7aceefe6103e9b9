"""Projection on dummies against dense dummies: rank and fitted values, by every way to solve the system."""

import numpy as np
import pytest

from dsl.engine import absorb
from dsl.engine.absorb import DENSE_LEVELS, Absorber

SAME_ALGEBRA = 1e-9
"""Of values of order one: the iterative solver stops at 1e-12."""


def factors(seed: int, count: int, parts: int) -> list[np.ndarray]:
    """Codes of `count` factors; levels of one part never occur with levels of another."""
    rng = np.random.default_rng(seed)
    part = np.arange(120) % parts
    return [np.unique(part * 10 + rng.integers(0, 5, 120), return_inverse=True)[1] for _ in range(count)]


def dummies(codes: list[np.ndarray]) -> np.ndarray:
    return np.hstack([np.eye(int(one.max()) + 1)[one] for one in codes])


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("count", "parts"), [(1, 3), (2, 1), (2, 3), (2, 4), (3, 1)])
def test_rank_and_projection(
    count: int, parts: int, weighted: bool, dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absorb, "DENSE_LEVELS", DENSE_LEVELS if dense else 0)
    codes = factors(parts, count, parts)
    columns = dummies(codes)
    rng = np.random.default_rng(9)
    weight = rng.uniform(0.5, 2.0, len(columns)) if weighted else None
    absorber = Absorber(codes, weight)
    assert absorber.rank == np.linalg.matrix_rank(columns)
    values, root = rng.normal(size=(len(columns), 2)), np.sqrt(np.ones(len(columns)) if weight is None else weight)
    effects = np.linalg.lstsq(columns * root[:, None], values * root[:, None], rcond=None)[0]
    np.testing.assert_allclose(absorber.project(values), columns @ effects, atol=SAME_ALGEBRA)
    np.testing.assert_allclose(absorber.project(values[:, 0]), columns @ effects[:, 0], atol=SAME_ALGEBRA)


def test_rank_of_two_large_factors_in_parts() -> None:
    """As many levels as both have, less one for each part that the data do not connect."""
    parts = DENSE_LEVELS // 2 + 50
    part, first, second = (grid.ravel() for grid in np.meshgrid(np.arange(parts), [0, 1], [0, 1]))
    assert Absorber([2 * part + first, 2 * part + second]).rank == 4 * parts - parts
