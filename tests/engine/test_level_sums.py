"""Projections of rows in blocks against dense dummies."""

from collections.abc import Iterator

import numpy as np
import pytest

from dsl.engine import level_sums
from dsl.engine.blocks import Block
from dsl.engine.level_sums import Normal, absorb, rank_of
from dsl.engine.moments import pseudo_values
from dsl.engine.passes import Maker, Passes
from dsl.engine.streamed import Streamed

pytestmark = pytest.mark.numeric

N = 300
SAME_ALGEBRA = 1e-9
"""Of values of order one."""


def factors(count: int, seed: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.unique(rng.integers(0, levels, N), return_inverse=True)[1] for levels in (40, 7, 5)[:count]]


def dummies(codes: list[np.ndarray]) -> np.ndarray:
    return np.hstack([np.eye(int(one.max()) + 1)[one] for one in codes])


def block(codes: list[np.ndarray], split: int, *, weighted: bool) -> Block:
    rng = np.random.default_rng(8)
    fixed, weight = rng.normal(size=(N, 2)), rng.uniform(0.5, 2.0, N)
    labeled = np.flatnonzero(rng.random(N) < 0.4)
    rng = np.random.default_rng(9 + split)
    predicted = rng.normal(size=(N, 1))
    return Block(
        fixed=fixed,
        predicted=predicted,
        outcome=rng.normal(size=N),
        gold_rows=labeled,
        gold=predicted[labeled] + 1.0,
        gold_outcome=rng.normal(size=len(labeled)),
        weight=np.full(len(labeled), 2.5),
        row_weight=weight if weighted else None,
        levels=tuple(codes),
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_projections_are_weighted_least_squares_on_dummies(
    count: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(level_sums, "MERGED", 50)
    codes = factors(count)
    rows = [block(codes, split, weighted=weighted) for split in range(2)]

    def read() -> Iterator[Maker[Block]]:
        for start, stop in ((0, 1), (1, 1), (1, 90), (90, N)):
            yield lambda split, a=start, b=stop: rows[split]._cut(slice(a, b))  # type: ignore[misc]

    passes = Passes(read)
    streamed = [
        Streamed(
            again=lambda split=split: passes.blocks(split),  # type: ignore[misc]
            own=own.labeled(),
            gold_rows=own.gold_rows,
            rows=N,
        )
        for split, own in enumerate(rows)
    ]
    found, outcomes = absorb(passes, streamed, [int(one.max()) + 1 for one in codes], tuned=True)
    assert passes.count == min(count, 2)
    root = np.sqrt(np.ones(N) if rows[0].row_weight is None else rows[0].row_weight)[:, None]
    columns = dummies(codes)

    def projection(values: np.ndarray) -> np.ndarray:
        values = values.reshape(N, -1)
        return np.asarray(columns @ np.linalg.lstsq(columns * root, values * root, rcond=1e-12)[0])

    for number, (own, each) in enumerate(zip(rows, found, strict=True)):
        pseudo = pseudo_values(own.predicted, own.gold, own.gold_rows, own.weight)
        outcome = pseudo_values(own.outcome, own.gold_outcome, own.gold_rows, own.weight)
        blocks = passes.run([lambda split: list(found[split].blocks())] * 2)[number]
        absorbed = np.concatenate([part.absorbed for part in blocks])
        np.testing.assert_allclose(absorbed, projection(np.hstack([own.fixed, pseudo])), atol=SAME_ALGEBRA)
        ys = np.concatenate([part.absorbed_outcome for part in blocks])
        np.testing.assert_allclose(ys, projection(outcome)[:, 0], atol=SAME_ALGEBRA)
        within = np.concatenate([part.within.predicted for part in blocks if part.within is not None])
        np.testing.assert_allclose(within, own.predicted - projection(own.predicted), atol=SAME_ALGEBRA)
        left = np.concatenate([part.within.outcome for part in blocks if part.within is not None])
        np.testing.assert_allclose(left, own.outcome - projection(own.outcome)[:, 0], atol=SAME_ALGEBRA)
        for one, sums in zip(codes, outcomes[number], strict=True):
            np.testing.assert_allclose(sums, np.bincount(one, root[:, 0] ** 2 * outcome), atol=SAME_ALGEBRA)
        assert each.own.absorbed is not None
        np.testing.assert_allclose(each.own.absorbed, absorbed[own.gold_rows], atol=0.0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rank(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level_sums, "MERGED", 70)
    codes = factors(count)
    counts = [int(one.max()) + 1 for one in codes]
    assert rank_of(codes, counts) == np.linalg.matrix_rank(dummies(codes))
    normal = Normal(counts)
    normal.add(codes, np.random.default_rng(0).uniform(1.0, 2.0, N))
    assert normal.system.rank == rank_of(codes, counts)
