"""The named estimators on rows that come in blocks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.passes import Maker
from dsl.engine.stack import Stacked
from dsl.estimators.analysis import Analysis
from dsl.estimators.blocks import Blocks
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation
from dsl.estimators.evidence import observed, support_of
from dsl.estimators.lockstep import each_equation, solve_streamed
from dsl.estimators.streaming import Chunk, Folds, Streaming
from dsl.estimators.surrogates import raw_versions
from dsl.learners.crossfit import CrossFit
from dsl.learners.distribution import Distribution, Targets
from dsl.learners.held_distribution import HeldDistribution
from dsl.learners.held_out import HeldOut, Training
from dsl.learners.looked_up import LookedUp
from dsl.learners.products import Products, takes_products

Seen = Callable[[Analysis], FloatArray]
"""What learners see of some rows, (n, p)."""
CODES = 0.1
"""Share of the memory that the codes of features may take."""


def predicted_blocks(
    streaming: Streaming, call: Call, execution: Execution, *, imputes: bool
) -> Iterator[tuple[Chunk, FloatArray]]:
    """One pass over the out-of-fold predictions (S, n, q) of each block, as `dsl.estimators.result.Fit.predictions` has them.

    `imputes` is what the estimator's entry says.
    """
    labels, folds = streaming.labels, Folds(streaming, call)
    mine, how = folds.of(streaming.scan.gold_rows), _training(streaming, call, execution)
    seen = _seen_imputed(streaming, call) if imputes else _seen(streaming, call)
    if not imputes and not labels.design.averaged:
        held = HeldOut.train(seen(labels), labels.gold.to_numpy(), mine, family=call.family, how=how)
        for chunk in streaming.chunks():
            yield chunk, held.predictions(seen(chunk.analysis), folds.of(chunk.places))
        return
    learnt = HeldDistribution.train(support_of(labels), labels.gold, seen(labels), mine, call.family, how)
    for chunk in streaming.chunks():
        found = learnt.on(seen(chunk.analysis), folds.of(chunk.places))
        yield chunk, found.targets(labels.gold).cross_fit.predictions


def label_predictions(
    streaming: Streaming, call: Call, execution: Execution, *, imputes: bool
) -> tuple[FloatArray, IntArray]:
    """The same of the labelled rows alone (S, m, q), and their folds (S, m). Of several predictions' products it takes a pass."""
    labels, folds = streaming.labels, Folds(streaming, call).of(streaming.scan.gold_rows)
    how, gold = _training(streaming, call, execution), labels.gold
    seen = (_seen_imputed(streaming, call) if imputes else _seen(streaming, call))(labels)
    if not imputes and not labels.design.averaged:
        held = HeldOut.train(seen, gold.to_numpy(), folds, family=call.family, how=how)
        return held.predictions(seen, folds), folds
    learnt = HeldDistribution.train(support_of(labels), gold, seen, folds, call.family, how)
    return learnt.on(seen, folds).targets(gold).cross_fit.predictions, folds


def _seen(streaming: Streaming, call: Call) -> Seen:
    """What learners see: features, and products of predictions."""
    products = _products(streaming, call)

    def seen(analysis: Analysis) -> FloatArray:
        features = analysis.sample.features
        return np.hstack([features, products(features)])

    return seen


def _seen_imputed(streaming: Streaming, call: Call) -> Seen:
    """The same with the observed variables of the analysis."""
    products, every = _products(streaming, call), observed(streaming.analysis)
    varying = np.ptp(every, axis=0) > 0.0

    def seen(analysis: Analysis) -> FloatArray:
        return np.hstack([observed(analysis)[:, varying], products(analysis.sample.features)])

    return seen


def stream_means(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """As `dsl.estimators.cross_fitted.fit_means`."""
    labels, seen = streaming.labels, _seen(streaming, call)
    if labels.design.averaged:
        return _stream_distribution(streaming, call, execution, seen)
    folds, names, gold = Folds(streaming, call), labels.predicted, labels.gold.to_numpy()
    mine, x = folds.of(streaming.scan.gold_rows), seen(labels)
    how = _training(streaming, call, execution)
    held = HeldOut.train(x, gold, mine, family=call.family, how=how)
    predictions = held.predictions(x, mine)
    known = LookedUp(held, streaming.n, int(CODES * execution.memory))

    def make(chunk: Chunk) -> Maker[Block]:
        found = known.predictions(seen(chunk.analysis), folds.of(chunk.places), chunk.places)
        (blocks,) = chunk.analysis.blocks(part=True)
        direct = chunk.analysis.design.outcome.direct
        made = partial(_at, blocks, names, found)
        if direct not in names:
            return Stacked(made)
        return Stacked(made, partial(_outcomes, found, names.index(direct)))

    (own,) = labels.blocks(part=True)
    at_labels = [own.dsl(dict(zip(names, split.T, strict=True))) for split in predictions]
    solved = solve_streamed(streaming, streaming.problem(), at_labels, make, call.tune)
    fitted = CrossFit(predictions=predictions, learners=held.learners, reasons=held.reasons)
    found = Estimation.of(
        solved,
        n=streaming.n,
        n_clusters=streaming.scan.n_clusters,
        targets=Targets(names=names, gold=gold, cross_fit=fitted),
    )
    return replace(found, n_folds=folds.count, on_labels=True)


Predictions = Callable[[], FloatArray]
"""Predictions of some rows, (S, n, q)."""


def _at(blocks: Blocks, names: Sequence[str], predictions: Predictions, split: int) -> Block:
    """The block of a split."""
    return blocks.dsl(dict(zip(names, predictions()[split].T, strict=True)))


def _outcomes(predictions: Predictions, variable: int, splits: Sequence[int]) -> FloatArray:
    """The predicted variable that is the outcome, (splits, n)."""
    every = predictions()[:, :, variable]
    return every if len(splits) == len(every) else every[list(splits)]


def stream_imputed(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """As `dsl.estimators.cross_fitted.fit_imputed`."""
    return _stream_distribution(streaming, call, execution, _seen_imputed(streaming, call))


def _stream_distribution(streaming: Streaming, call: Call, execution: Execution, seen: Seen) -> Estimation:
    """As `dsl.estimators.cross_fitted.fit_imputed`, given what learners see."""
    labels, folds, gold = streaming.labels, Folds(streaming, call), streaming.labels.gold
    mine, x = folds.of(streaming.scan.gold_rows), seen(labels)
    how = _training(streaming, call, execution)
    held = HeldDistribution.train(support_of(labels), gold, x, mine, call.family, how)
    known = held.on(x, mine)

    def make(chunk: Chunk) -> Maker[Block]:
        found = held.on(seen(chunk.analysis), folds.of(chunk.places))
        return each_equation([_imputed(blocks, found) for blocks in chunk.analysis.blocks(part=True)])

    makers = [_imputed(own, known) for own in labels.blocks(part=True)]
    at_labels = [maker(split) for split in range(len(mine)) for maker in makers]
    solved = solve_streamed(streaming, streaming.problem(), at_labels, make, call.tune)
    found = Estimation.of(
        solved,
        n=streaming.n,
        n_clusters=streaming.scan.n_clusters,
        targets=known.targets(gold),
        averaged=known.support.size > 1,
    )
    return replace(found, n_folds=folds.count, on_labels=True)


def _imputed(blocks: Blocks, found: Distribution) -> Maker[Block]:
    """Makes the block of a split, averaged over the distribution. What no split changes is evaluated once."""
    once = [blocks.version(each) for each in found.values(0)] if found.constant else None

    def made(split: int) -> Block:
        points = once or [blocks.version(each) for each in found.values(split)]
        shares = found.probabilities(split)
        return blocks.adjusted([replace(point, share=share) for point, share in zip(points, shares, strict=True)])

    return made


def _training(streaming: Streaming, call: Call, execution: Execution) -> Training:
    return Training(
        sl_method=call.learner,
        seed=call.seed,
        groups=streaming.labels.sample.cluster,
        n_rows=streaming.n,
        progress=execution.progress,
    )


def _products(streaming: Streaming, call: Call) -> Callable[[FloatArray], FloatArray]:
    """Products of predictions for learners that take them, which costs a pass: means, and which are 0 and 1, are of all rows."""
    width = streaming.n_surrogates if takes_products(call.sl_method) else 0
    products = Products.of([])
    if width > 1:
        surrogates = (chunk.analysis.sample.features[:, :width] for chunk in streaming.chunks())
        checkpoint = streaming.checkpoint
        of_all = Products.of_sums(checkpoint.tape("products")("products", lambda: Products.of(surrogates).sums))
        checkpoint.save(streaming.progress.count)
        # the anchor has the extremes: what is the same in all of its rows is so in all
        products = of_all.varying(streaming.analysis.sample.features[:, :width])
    return lambda features: products.on(features[:, :width])


def stream_naive(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """As `dsl.estimators.naive.fit_naive`."""
    # scales are compared on the rows of the anchor
    raw_versions(streaming.analysis, call.pairs, call.estimator)

    def make(chunk: Chunk) -> Maker[Block]:
        return _naive(chunk.analysis, call).__getitem__

    own = [block.labeled() for block in _naive(streaming.labels, call)]
    solved = solve_streamed(streaming, streaming.problem(), own, make)
    return Estimation.of(solved, n=streaming.n, n_clusters=streaming.scan.n_clusters)


def _naive(analysis: Analysis, call: Call) -> list[Block]:
    """Blocks of all equations, surrogates taken for the truth."""
    raw = raw_versions(analysis, call.pairs, call.estimator, checked=True)
    return [blocks.naive([blocks.version(*each) for each in raw]) for blocks in analysis.blocks(part=True)]
