"""Sums over labelled and unlabelled rows."""

import numpy as np
import pytest

from dsl.engine.blocks import Block, Version
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import Problem, shared_gram
from dsl.engine.two_sample.sums import Samples, measures_spread, sums_at

pytestmark = pytest.mark.numeric
N, M, G = 200, 50, 30
AT = np.array([0.3, -0.4, 0.2])


def samples(clustered: bool, *, streamed: bool = False) -> Samples:
    """Two surrogates of a covariate and of the outcome."""
    rng = np.random.default_rng(7)
    rows = np.sort(rng.choice(N, M, replace=False))
    half = np.full(N, 0.5)
    versions = [
        Version(predicted=rng.normal(size=(N, 1)), outcome=rng.integers(0, 2, N).astype(float), share=half)
        for _ in range(2)
    ]
    block: Rows = Block(
        fixed=np.column_stack([np.ones(N), rng.normal(size=N)]),
        predicted=(versions[0].predicted + versions[1].predicted) / 2.0,
        outcome=(versions[0].outcome + versions[1].outcome) / 2.0,
        gold_rows=rows,
        gold=rng.normal(size=(M, 1)),
        gold_outcome=rng.integers(0, 2, M).astype(float),
        weight=np.full(M, N / M),
        imputed=tuple(versions),
        measures=(0, 1),
    )
    gram = shared_gram(block.fixed)
    if streamed:
        whole = block
        block = Streamed(again=lambda: whole.pieces(37), own=whole.labeled(), gold_rows=rows, rows=N).with_facts()
    cluster = rng.integers(0, G, N) if clustered else None
    problem = Problem(
        link=LOGISTIC, names=("Intercept", "x", "d"), cluster=cluster, n_clusters=G if clustered else None
    )
    return Samples(block=block, labeled=block.labeled(), problem=problem, gram=gram, ddof=1)


@pytest.mark.parametrize("clustered", [False, True])
def test_covariances_of_measures_are_those_of_their_weighted_sums(clustered: bool) -> None:
    own = samples(clustered)
    found, w = measures_spread(own, AT), np.array([0.7, -1.3])
    known = sums_at(own.weighted(w), AT).spread
    turn = np.kron(w[:, None], np.eye(3))
    np.testing.assert_allclose(found.gold, known.gold, rtol=1e-10)
    np.testing.assert_allclose(found.cross @ turn, known.cross, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(turn.T @ found.hat_pooled @ turn, known.hat_pooled, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_rows_in_blocks_have_the_same_sums(clustered: bool) -> None:
    memory, blocks = samples(clustered), samples(clustered, streamed=True)
    w = np.array([0.7, -1.3])
    assert (blocks.n, blocks.n_unlabeled, blocks.k, blocks.known) == (M, N - M, 3, False)
    for one, other in ((memory, blocks), (memory.weighted(w), blocks.weighted(w))):
        known, found = sums_at(one, AT), sums_at(other, AT)
        np.testing.assert_allclose(found.scores.unlabeled, known.scores.unlabeled, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found.jacobians.unlabeled, known.jacobians.unlabeled, rtol=1e-10)
        np.testing.assert_allclose(found.spread.hat, known.spread.hat, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(measures_spread(blocks, AT).hat, measures_spread(memory, AT).hat, rtol=1e-10, atol=1e-13)
    # scales are those of the weighted versions
    weighted, whole = blocks.weighted(w).block, memory.weighted(w).block
    assert isinstance(weighted, Streamed)
    assert isinstance(whole, Block)
    np.testing.assert_allclose(weighted.facts.squares[2], (whole.predicted**2).sum())
