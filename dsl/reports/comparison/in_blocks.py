"""Estimators side by side on rows that come in blocks: each is a fit of the source, and differences take one pass more.

What every row adds to each of two estimates is made from the same block, so that squares of the differences are sums over
blocks. Clusters take k numbers each.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import tee

import numpy as np

from dsl._typing import Arguments, FloatArray, IntArray
from dsl.data.source import Source
from dsl.engine.blocks import Block
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3, cluster_sums
from dsl.engine.moments import Weights, augmentation_weights
from dsl.engine.passes import Maker, Passes
from dsl.engine.sums import drawn_scores, row_scores
from dsl.estimators.call import Execution
from dsl.estimators.remade import blocks_of, streaming_of
from dsl.estimators.result import Fit
from dsl.estimators.run import changed, run_streaming
from dsl.estimators.streaming import Chunk, Streaming
from dsl.exceptions import NeedsAllRowsError
from dsl.reports.comparison.difference import Difference, check_reproduced, over_splits, point_of

Scores = FloatArray
"""(rows of a chunk, k) scores of all of its rows, in the formula's order."""


def check_no_effects(fit: Fit, estimators: Iterable[str]) -> None:
    """Raise NeedsAllRowsError for the bias of the naive estimate where fixed effects are absorbed, or with instruments."""
    if "naive" not in estimators or not (fit.call.index or fit.model.instruments):
        return
    what, more = "with instruments", ""
    if fit.call.index:
        what = f"under absorbed fixed effects ({', '.join(fit.call.index)})"
        more = ", or write the effects as dummies, factor(unit)"
    raise NeedsAllRowsError(
        f"the bias of the naive estimate {what} cannot be had yet where data are read in blocks; leave 'naive' out "
        f"(estimators=){more}"
    )


def fit_again(fit: Fit, source: Source, arguments: Arguments, execution: Execution) -> Fit:
    """Another estimator on the rows of a fit, as `dsl.estimators.run.rerun`."""
    call = changed(fit, arguments)
    return run_streaming(call, streaming_of(fit, source, execution, call), execution)


def difference_in_blocks(fit: Fit, other: Fit, source: Source, execution: Execution) -> Difference:
    """As `dsl.reports.comparison.difference.difference`, of fits of rows that come in blocks.

    Raises
    ------
    NeedsAllRowsError
        Fixed effects are absorbed.
    ArgumentError
        The rows are not those of the fits.
    """
    check_no_effects(other, ["naive"])

    def squared() -> FloatArray:
        streaming = streaming_of(other, source, execution)
        first, second = (_Rows(each, streaming, execution) for each in (fit, other))

        def read() -> Iterator[Maker[tuple[Scores, Scores]]]:
            for chunk in streaming.chunks():
                yield _both(first.scores(chunk)(0), second.scores(chunk))

        passes: Passes[tuple[Scores, Scores], None, None] = Passes(read)

        def task(split: int) -> FloatArray:
            return _squares(passes.blocks(split), first, second, streaming.scan.gold_rows, split)

        return np.stack(passes.run([task] * len(other.splits.params)))

    return over_splits(fit, other, squared)


def _both(mine: Scores, other: Callable[[int], Scores]) -> Maker[tuple[Scores, Scores]]:
    return lambda split: (mine, other(split))


class _Rows:
    """What rows add to the estimates of a fit."""

    def __init__(self, fit: Fit, streaming: Streaming, execution: Execution) -> None:
        self.fit, self.problem, self.order = fit, streaming.problem(), streaming.analysis.order
        self.own, self.make = blocks_of(fit, streaming, execution)
        self.points = [point_of(fit, streaming.analysis, split, 0) for split in range(len(fit.splits.params))]
        self.by_design = fit.call.vcov in (BY_DESIGN, BY_DESIGN_HC3)
        self.n_labeled, self.rows = len(streaming.scan.gold_rows), streaming.n

    def scores(self, chunk: Chunk) -> Callable[[int], Scores]:
        """Scores of a chunk's rows in each split. Rows that a gold-only fit leaves out count nothing."""
        made, sample = self.make(chunk), chunk.analysis.sample
        own = self._of_two_samples if self.fit.estimator.two_sample else self._own

        def of(split: int) -> Scores:
            found = own(made(split), split)[:, self.order]
            if len(found) == len(sample.data):
                return found
            every = np.zeros((len(sample.data), found.shape[1]))
            every[sample.labeled] = found
            return every

        return of

    def _own(self, block: Block, split: int) -> Scores:
        point = self.points[split]
        parts = row_scores(block, point.problem, point.params, point.problem.weights, augmentation_weights)
        return np.concatenate([np.zeros((0, len(self.order))), *parts])

    def _of_two_samples(self, block: Block, split: int) -> Scores:
        """As `dsl.reports.comparison.difference.influences` has them, but for the samples' means."""
        point, tuning = self.points[split], self.fit.splits.tuning
        lam = 1.0
        if tuning is not None and tuning.each is None:
            lam = float(tuning.lambdas[0, 0])
        elif tuning is not None and tuning.each is not None:
            block = block.weighted(tuning.each[0, :, 0])
        n, others = self.n_labeled, self.rows - self.n_labeled

        def weights(piece: Block) -> Weights:
            predicted = np.full(len(piece.outcome), lam / others)
            predicted[piece.gold_rows] = -lam / n
            return Weights(predicted=predicted, gold=np.full(len(piece.gold_rows), 1.0 / n))

        parts = row_scores(block, point.problem, point.params, weights, augmentation_weights)
        out = self.rows * np.concatenate([np.zeros((0, len(self.order))), *parts])
        labels = self.own[split]
        ddof = 0 if labels.shape[1] == 1 and not np.ptp(labels.fixed) else 1  # as `dsl.engine.two_sample`
        factor = np.full(len(out), np.sqrt(others / (others - ddof)))
        factor[block.gold_rows] = np.sqrt(n / (n - ddof))
        return np.asarray(factor[:, None] * out)

    def influences(self, scores: Iterable[Scores], split: int) -> Iterator[FloatArray]:
        """What rows add to an estimate of a split, (rows, k) in the pieces of `scores`, and in the end what its centres lose."""
        fit = self.fit
        factor, jacobian = np.sqrt(fit.correction(split)), fit.splits.jacobians[split]
        centred = None
        if self.by_design and self.problem.draw is not None:
            point = self.points[split]
            labels = drawn_scores(self.own[split], point.problem, point.params)[:, self.order]
            centred = self.problem.draw.about(labels)
        for part in scores if centred is None else centred.rows(scores):
            yield factor * np.linalg.solve(jacobian, part.T).T
        lost = np.zeros((0, len(jacobian))) if centred is None else centred.lost
        yield factor * np.linalg.solve(jacobian, lost.T).T


def _squares(
    pairs: Iterator[tuple[Scores, Scores]], first: _Rows, second: _Rows, gold_rows: IntArray, split: int
) -> FloatArray:
    """Sum over rows, or clusters, of squared differences of what they add, (k, k)."""
    problem, k = second.problem, len(second.order)
    left, right = tee(pairs)
    mine = first.influences((pair[0] for pair in left), 0)
    theirs = second.influences((pair[1] for pair in right), split)
    gaps, own = (_Sums(problem.cluster, problem.n_clusters, gold_rows, k) for _ in range(2))
    pairs_of_parts = zip(mine, theirs, strict=True)
    before = next(pairs_of_parts)
    for pair in pairs_of_parts:
        gaps.add(before[0] - before[1])
        own.add(before[1])
        before = pair
    # the last of each is what centres lose: it belongs to no row
    gaps.lost += before[0].T @ before[0] + before[1].T @ before[1]
    own.lost += before[1].T @ before[1]
    # rows of two samples count about the mean of their own
    centres = own.means() if second.fit.estimator.two_sample else np.zeros((2, k))
    made = own.squares(-centres)
    check_reproduced(own.total(-centres), made, second.fit.splits.vcovs[split], second.fit)
    return gaps.squares(centres)


class _Sums:
    """Squares of rows' parts, or of their sums over clusters, where labelled and other rows may be moved afterwards."""

    def __init__(self, cluster: IntArray | None, n_clusters: int | None, gold_rows: IntArray, k: int) -> None:
        self.cluster, self.gold_rows, self.first = cluster, gold_rows, 0
        self.lost, self._squares = np.zeros((k, k)), np.zeros((k, k))
        self._totals, self._counts = np.zeros((2, k)), np.zeros(2)
        groups = n_clusters or 0 if cluster is not None else 0
        self._sums, self._members = np.zeros((groups, k)), np.zeros((groups, 2))

    def add(self, part: FloatArray) -> None:
        """The next rows."""
        here = slice(self.first, self.first + len(part))
        self.first += len(part)
        low, high = np.searchsorted(self.gold_rows, (here.start, here.stop))
        # labelled rows in the first column, others in the second
        sample = np.column_stack([np.zeros(len(part)), np.ones(len(part))])
        sample[self.gold_rows[low:high] - here.start] = (1.0, 0.0)
        self._totals += sample.T @ part
        self._counts += sample.sum(axis=0)
        if self.cluster is None:
            self._squares += part.T @ part
        else:
            cluster = self.cluster[here]
            self._sums += cluster_sums(part, cluster, len(self._sums))
            self._members += cluster_sums(sample, cluster, len(self._sums))

    def means(self) -> FloatArray:
        """Means of labelled and of other rows, (2, k)."""
        return np.asarray(self._totals / np.maximum(self._counts, 1.0)[:, None])

    def total(self, shift: FloatArray) -> FloatArray:
        """Sum over rows (k,), labelled and other ones moved by `shift` (2, k)."""
        return np.asarray(self._totals.sum(axis=0) + self._counts @ shift)

    def squares(self, shift: FloatArray) -> FloatArray:
        """Sum of squares (k, k) of the same."""
        if self.cluster is not None:
            sums = self._sums + self._members @ shift
            return np.asarray(sums.T @ sums + self.lost)
        # sum (g + c)(g + c)' = sum g g' + sum g c' + c sum g' + n c c', sample by sample
        cross = self._totals.T @ shift
        return np.asarray(self._squares + cross + cross.T + (shift * self._counts[:, None]).T @ shift + self.lost)
