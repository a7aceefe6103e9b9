"""Sums over rows that come in pieces."""

import numpy as np
import pytest

from dsl.engine.blocks import Block
from dsl.engine.streamed import Streamed, facts_of, in_memory, triangle_of
from dsl.exceptions import NeedsAllRowsError

pytestmark = pytest.mark.numeric
rng = np.random.default_rng(4)


def block(n: int = 300, m: int = 60, weighted: bool = True) -> Block:
    x = np.column_stack([np.ones(n), rng.normal(2000.0, 1.0, n)])
    d = rng.normal(size=(n, 1))
    rows = np.sort(rng.choice(n, m, replace=False))
    return Block(
        fixed=x,
        predicted=d,
        outcome=rng.normal(size=n),
        gold_rows=rows,
        gold=d[rows] + 0.1,
        gold_outcome=rng.normal(size=m),
        weight=np.full(m, n / m),
        row_weight=rng.uniform(0.5, 1.5, n) if weighted else None,
    )


@pytest.mark.parametrize("weighted", [True, False])
def test_facts_are_sums_over_all_rows(weighted: bool) -> None:
    rows = block(weighted=weighted)
    streamed = Streamed(
        again=lambda: rows.pieces(7), own=rows.labeled(), gold_rows=rows.gold_rows, rows=300
    ).with_facts()
    facts, x = streamed.facts, np.hstack([rows.fixed, rows.predicted])
    weights = np.ones(300) if rows.row_weight is None else rows.row_weight
    np.testing.assert_allclose(facts.gram, x.T @ x, rtol=1e-12)
    np.testing.assert_allclose(facts.counted, x.T @ (x * weights[:, None]), rtol=1e-12)
    np.testing.assert_allclose(facts.largest[:-1], np.abs(x).max(axis=0))
    np.testing.assert_allclose(facts.outcome_square, rows.outcome @ rows.outcome)
    # about other origins no digits are lost, though means dwarf spreads
    means = np.array([0.0, x[:, 1].mean(), 0.0])
    np.testing.assert_allclose(facts.moved(means).gram, (x - means).T @ (x - means), rtol=1e-9, atol=1e-9)
    assert streamed.shape == rows.shape


def test_changes_reach_every_piece() -> None:
    rows = block()
    streamed = Streamed(again=lambda: rows.pieces(50), own=rows.labeled(), gold_rows=rows.gold_rows, rows=300)
    from dataclasses import replace

    doubled = streamed.changed(lambda piece: replace(piece, outcome=2.0 * piece.outcome))
    total = sum(float(piece.outcome.sum()) for piece in doubled.pieces())
    assert total == pytest.approx(2.0 * rows.outcome.sum())
    assert doubled.labeled().outcome.sum() == pytest.approx(2.0 * rows.outcome[rows.gold_rows].sum())


def test_what_needs_all_rows_is_refused() -> None:
    rows = block()
    assert in_memory(rows) is rows
    with pytest.raises(NeedsAllRowsError, match="all rows"):
        in_memory(Streamed(again=lambda: rows.pieces(), own=rows.labeled(), gold_rows=rows.gold_rows, rows=300))


def test_triangles() -> None:
    x = rng.normal(size=(50, 3))
    found = triangle_of(iter([x[:1], x[1:3], x[3:]]), 3)
    np.testing.assert_allclose(found.T @ found, x.T @ x)


def test_no_rows() -> None:
    assert facts_of(iter([]), 2).gram.tolist() == [[0.0, 0.0], [0.0, 0.0]]
