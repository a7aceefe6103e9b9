"""Sums for all splits at once: those that a block of each split has by itself."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.centre import centre
from dsl.engine.models.gamma import GAMMA
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.models.model import Link, Model
from dsl.engine.models.probit import PROBIT
from dsl.engine.moments import design_weights, gold_weights, imputed_weights
from dsl.engine.passes import Maker, Passes
from dsl.engine.stack import Gathering, Stacked, weighted_products, whole
from dsl.engine.streamed import Ask, Facts, Streamed, Sums, facts_of
from dsl.engine.sums import Problem, all_row_sums, moment_sums, shared_gram

pytestmark = pytest.mark.numeric
SPLITS = 3


def link_of(model: Link | Model) -> Link:
    link = model.link if isinstance(model, Model) else model
    assert isinstance(link, Link)
    return link


def blocks(k: int, *, weighted: bool, n: int = 5_000) -> list[Block]:
    """The same rows in several splits, in the first place as one block each."""
    rng = np.random.default_rng(k)
    fixed = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))]))
    rows = np.sort(rng.choice(n, 300, replace=False))
    gold = rng.integers(0, 2, len(rows)).astype(float)
    return [
        Block(
            fixed=fixed,
            predicted=fixed[:, :0],
            outcome=rng.uniform(0.1, 0.9, n),
            gold_rows=rows,
            gold=np.empty((len(rows), 0)),
            gold_outcome=gold,
            weight=np.full(len(rows), n / len(rows)),
            row_weight=np.linspace(0.5, 2.0, n) if weighted else None,
            offset=np.linspace(-0.1, 0.1, n) if weighted else None,
        )
        for _ in range(SPLITS)
    ]


def streams(every: list[Block], threads: int) -> tuple[Passes[Block, Ask, Sums], list[Streamed]]:
    def read() -> Iterator[Maker[Block]]:
        for cut in (slice(0, 1), slice(1, 2_900), slice(2_900, 5_000)):
            yield Stacked(lambda split, cut=cut: every[split]._cut(cut))  # type: ignore[misc]

    passes: Passes[Block, Ask, Sums] = Passes(read, Gathering, threads)
    return passes, [
        Streamed(
            again=partial(passes.blocks, split),
            own=block.labeled(),
            gold_rows=block.gold_rows,
            rows=len(block.outcome),
            ask=partial(passes.ask, split),
        )
        for split, block in enumerate(every)
    ]


@pytest.mark.parametrize("k", [3, 14])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("model", [LINEAR, LOGISTIC, PROBIT, GAMMA], ids=lambda each: each.name)
@pytest.mark.parametrize("tuning", [None, 0.4])
def test_sums_are_those_of_each_split(k: int, weighted: bool, model: Link | Model, tuning: float | None) -> None:
    every = blocks(k, weighted=weighted)
    names = ("Intercept", *(f"x{j}" for j in range(1, k)))
    params = np.random.default_rng(1).normal(scale=0.1, size=(SPLITS, k))
    passes, rows = streams(every, 2)
    rows = passes.run([lambda split: rows[split].with_facts()] * SPLITS)
    for rule in (design_weights, imputed_weights, gold_weights):
        lam = None if tuning is None else tuning * np.eye(k)
        problem = Problem(link=link_of(model), names=names, weights=rule, tuning=lam)

        def ask(split: int, problem: Problem = problem) -> tuple[FloatArray, ...]:
            return *moment_sums(rows[split], problem, params[split]), *all_row_sums(rows[split], problem, params[split])

        for split, found in enumerate(passes.run([ask] * SPLITS)):
            known = (
                *moment_sums(every[split], problem, params[split]),
                *all_row_sums(every[split], problem, params[split]),
            )
            for own, other in zip(found, known, strict=True):
                np.testing.assert_allclose(own, other, rtol=1e-11, atol=1e-11 * np.abs(other).max())


@pytest.mark.parametrize("weighted", [True, False])
def test_facts_are_those_of_each_split(weighted: bool) -> None:
    every = blocks(4, weighted=weighted)
    passes, rows = streams(every, 1)
    for split, found in enumerate(passes.run([lambda split: rows[split].with_facts().facts] * SPLITS)):
        known: Facts = facts_of(every[split].pieces(), 4)
        for name in ("gram", "counted", "means", "least", "most", "outcome_square", "outcome_above"):
            np.testing.assert_allclose(getattr(found, name), getattr(known, name), rtol=1e-11, atol=1e-11)
    assert passes.count == 1


def test_no_number_depends_on_threads() -> None:
    every, params = blocks(5, weighted=False), np.random.default_rng(0).normal(size=(SPLITS, 5))

    def asked(threads: int) -> list[Sums]:
        passes, rows = streams(every, threads)
        made = passes.run([lambda split: rows[split].with_facts()] * SPLITS)
        problem = Problem(link=LOGISTIC, names=("Intercept", "a", "b", "c", "d"))
        return passes.run([lambda split: moment_sums(made[split], problem, params[split])] * SPLITS)

    for one, four in zip(asked(1), asked(4), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, four, strict=True))


def test_columns_far_from_zero_are_centred_in_every_block() -> None:
    every = blocks(3, weighted=False)
    passes, rows = streams(every, 2)
    rows = passes.run([lambda split: rows[split].with_facts()] * SPLITS)
    years = every[0].fixed + np.array([0.0, 2_000.0, 0.0])
    centring = centre(None, shared_gram(years), 0)
    assert centring is not None
    problem = Problem(link=LOGISTIC, names=("Intercept", "year", "x"))
    params = np.array([0.2, 0.1, -0.1])
    made = [centring.apply(each) for each in rows]
    for split, found in enumerate(passes.run([lambda split: moment_sums(made[split], problem, params)] * SPLITS)):
        known = moment_sums(centring.centred(every[split]), problem, params)
        for own, other in zip(found, known, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-10 * np.abs(other).max())


@pytest.mark.parametrize("splits", [1, 4])
def test_products_of_columns(splits: int) -> None:
    rng = np.random.default_rng(0)
    columns, weights = rng.normal(size=(6, 50)), rng.normal(size=(splits, 50))
    for weight, found in zip(weights, weighted_products(columns, weights).T, strict=True):
        np.testing.assert_allclose(whole(found, 6), np.einsum("in,jn,n->ij", columns, columns, weight), rtol=1e-12)
