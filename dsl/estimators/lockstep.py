"""The moment equations of every split, solved side by side over rows that come in blocks."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.blocks import Block, Effects
from dsl.engine.fit import fit_split
from dsl.engine.instruments import staged
from dsl.engine.level_sums import absorb
from dsl.engine.moments import design_weights, gold_weights
from dsl.engine.passes import Maker, Passes
from dsl.engine.stack import Gathering
from dsl.engine.streamed import Ask, Streamed, Sums
from dsl.engine.sums import Problem
from dsl.estimators.blocks import warn_of_levels
from dsl.estimators.splits import (
    Common,
    Equation,
    OneSplit,
    Solved,
    Tune,
    centred,
    fit_equation,
    fit_one,
    joined,
    scores_of,
    together,
)
from dsl.estimators.streaming import Chunk, Streaming
from dsl.exceptions import EstimationError

Make = Callable[[Chunk], Maker[Block]]
"""What makes the block of each split, and in it of each equation, from a chunk of rows."""
MOST_THREADS = 4
"""Blocks over which sums are taken at the same time: each takes memory."""


class MadeError(Exception):
    """Blocks alone were wanted (`Streaming.only_blocks`), and here is what makes them."""

    def __init__(self, own: Sequence[Block], make: Make) -> None:
        super().__init__("blocks without a solution")
        self.own, self.make = own, make


def solve_streamed(
    streaming: Streaming, problem: Problem, own: Sequence[Block], make: Make, tune: Tune = None
) -> Solved:
    """As `dsl.estimators.splits.fit_splits`, for rows that come in blocks.

    Parameters
    ----------
    streaming : Streaming
    problem : Problem
    own : sequence of Block
        The labelled rows of each split, and in it of each equation.
    make : callable
    tune : str, float or None
    """
    passes, rows = streamed_rows(streaming, own, make, tune)
    # the choice of Lambda needs the numbers of labelled rows. Otherwise they are counted in a pass of the solvers.
    one = tune is None and len(streaming.analysis.designs) == 1
    later = one and not streaming.analysis.absorbed and not streaming.analysis.model.instruments
    (common,) = passes.run([lambda split: Common.of(problem, [rows[split]], counted=not later)])
    starts = [_start(each, common) for each in rows]
    if len(streaming.analysis.designs) > 1:
        return _solve_equations(streaming, (rows, starts), make, (passes, common), tune)

    def fit(split: int) -> OneSplit:
        return fit_one([rows[split]], replace(common, starts=[starts[split]]), tune)

    def count(task: int) -> None:
        tape = streaming.checkpoint.tape("labelled rows behind coefficients")
        common.count(replace(rows[0], again=partial(passes.blocks, task, like=0), ask=None, keep=tape))

    tasks: list[Callable[[int], OneSplit | None]] = [fit] * len(rows)
    solved = passes.run([*tasks, count] if later else tasks)
    return together([each for each in solved if each is not None], common)


def _solve_equations(
    streaming: Streaming,
    each: tuple[Sequence[Streamed], Sequence[FloatArray | None]],
    make: Make,
    known: tuple[Passes[Block, Ask, Sums], Common],
    tune: Tune,
) -> Solved:
    """The same of several equations for one outcome: each by itself, then their scores side by side in one pass."""
    (rows, starts), (passes, common) = each, known
    count = len(streaming.analysis.designs)
    own = [row for row in (centred(row, common) for row in rows) if isinstance(row, Streamed)]

    def fit(number: int) -> Equation:
        return fit_equation(own[number], common, tune, starts[number])

    fits = passes.run([fit] * len(own))

    def read() -> Iterator[Maker[list[Block]]]:
        for chunk in streaming.chunks():
            yield partial(_together, make(chunk), count)

    joint: Passes[list[Block], Ask, Sums] = Passes(read)

    def scores(split: int) -> Iterator[FloatArray]:
        for blocks in joint.blocks(split):
            mine = range(split * count, (split + 1) * count)
            parts = [
                [*scores_of(own[number].made(block), common.problem, fits[number])]
                for number, block in zip(mine, blocks, strict=True)
            ]
            yield from map(np.hstack, zip(*parts, strict=True))

    def join(split: int) -> OneSplit:
        mine = slice(split * count, (split + 1) * count)
        return joined(own[mine], fits[mine], [scores(split)], common)

    return together(joint.run([join] * (len(rows) // count)), replace(common, starts=[None] * count))


def _together(maker: Maker[Block], count: int, split: int) -> list[Block]:
    """The blocks of all equations of a split."""
    return [maker(split * count + equation) for equation in range(count)]


def each_equation(makers: Sequence[Maker[Block]]) -> Maker[Block]:
    """Makes the blocks of all equations of all splits from what makes those of each: split after split."""
    return lambda number: makers[number % len(makers)](number // len(makers))


def streamed_rows(
    streaming: Streaming, own: Sequence[Block], make: Make, tune: Tune = None
) -> tuple[Passes[Block, Ask, Sums], list[Streamed]]:
    """All rows of each split with their facts, which takes a pass, and the passes that they share. As `solve_streamed`.

    Raises
    ------
    MadeError
        The blocks are wanted, and nothing that takes a pass.
    """
    if streaming.only_blocks:
        raise MadeError(own, make)

    def read() -> Iterator[Maker[Block]]:
        for chunk in streaming.chunks():
            yield make(chunk)

    checkpoint = streaming.checkpoint
    checkpoint.check_same("labelled rows", list(own))
    passes: Passes[Block, Ask, Sums] = Passes(
        read, Gathering, threads(), lambda: checkpoint.save(streaming.progress.count)
    )
    one = not streaming.analysis.absorbed and len(streaming.analysis.designs) == 1
    alike = one and _differ_in_outcomes(own)
    rows = [
        Streamed(
            again=partial(passes.blocks, split),
            own=labels,
            gold_rows=streaming.scan.gold_rows if len(labels.weight) else np.empty(0, dtype=np.int64),
            rows=streaming.n,
            ask=partial(passes.ask, split) if alike else None,
            keep=checkpoint.tape(f"split {split}"),
        )
        for split, labels in enumerate(own)
    ]
    if streaming.analysis.absorbed:
        rows = _absorbed(streaming, passes, rows, tune)
    else:
        rows = passes.run([lambda split: rows[split].with_facts()] * len(rows))
    return passes, staged(passes, rows, design_weights) if streaming.analysis.model.instruments else rows


def _absorbed(
    streaming: Streaming, passes: Passes[Block, Ask, Sums], rows: Sequence[Streamed], tune: Tune
) -> list[Streamed]:
    """The rows with their facts and fixed effects. Warns of levels without an effect, where effects multiply means."""
    analysis, effects = streaming.analysis, streaming.scan.effects
    multiplies = not analysis.model.linear
    out, outcomes = absorb(passes, rows, streaming.scan.n_levels, tuned=tune is not None, multiplies=multiplies)
    for place, name in enumerate(analysis.columns.absorbed if multiplies else ()):
        # pseudo-outcomes of few labels can have a sum below zero
        bad = next((found for each in outcomes if len(found := np.flatnonzero(each[place] <= 0.0))), None)
        if bad is not None:
            named = [effects[place].named(int(code)) for code in bad[:3]]
            warn_of_levels("^".join(analysis.columns.absorbed[name]), named, len(bad), effects[place].count)
    return out


def _differ_in_outcomes(own: Sequence[Block]) -> bool:
    """Whether outcomes are all that differs between splits, so that sums can be taken for all at once."""
    first = own[0]
    special = (first.effects, first.multiplier, first.left, first.staged, first.within)
    plain = not first.predicted.shape[1] and not first.measures and not first.absorbs
    return plain and all(part is None for part in special)


def threads() -> int:
    """Number of blocks over which sums are taken at the same time."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_THREADS)


def _start(rows: Streamed, common: Common) -> FloatArray | None:
    """The labelled rows' own solution, near which that of all is. None where they have none, or where none is needed."""
    labels, problem = rows.own, common.problem
    if problem.link.slope is None or not len(labels.weight):
        return None
    alone = replace(
        problem,
        weights=gold_weights,
        label_weights=gold_weights,
        cluster=None,
        n_clusters=None,
        fixed_gram=None,
        labeling=None,
        draw=None,
        leave_out=None,
    )
    if labels.effects is not None:
        # levels without labelled rows have no effect in them
        closed = tuple(np.unique(codes, return_inverse=True)[1] for codes in labels.effects.factors)
        labels = replace(labels, effects=Effects(closed), within=None)
    try:
        with np.errstate(all="ignore"):
            return fit_split(labels if common.centring is None else common.centring.centred(labels), alone).params
    except (EstimationError, np.linalg.LinAlgError):
        return None
