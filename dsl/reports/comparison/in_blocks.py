"""Estimators side by side on rows that come in blocks: each is a fit of the source, and differences take one pass more.

What every row adds to each of two estimates is made from the same block, so that squares of the differences are sums over
blocks. Clusters take k numbers each.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import tee

import numpy as np

from dsl._typing import Arguments, FloatArray, IntArray
from dsl.data.source import Source
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3, cluster_sums
from dsl.engine.moments import augmentation_weights
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


def fit_again(fit: Fit, source: Source, arguments: Arguments, execution: Execution) -> Fit:
    """Another estimator on the rows of a fit, as `dsl.estimators.run.rerun`."""
    call = changed(fit, arguments)
    return run_streaming(call, streaming_of(fit, source, execution, call), execution)


def difference_in_blocks(fit: Fit, other: Fit, source: Source, execution: Execution) -> Difference:
    """As `dsl.reports.comparison.difference.difference`, of fits of rows that come in blocks.

    Raises
    ------
    NeedsAllRowsError
        An estimator takes labelled and other rows for two samples.
    ArgumentError
        The rows are not those of the fits.
    """

    def squared() -> FloatArray:
        streaming = streaming_of(other, source, execution)
        first, second = (_Rows(each, streaming, execution) for each in (fit, other))

        def read() -> Iterator[Maker[tuple[Scores, Scores]]]:
            for chunk in streaming.chunks():
                yield _both(first.scores(chunk)(0), second.scores(chunk))

        passes = Passes(read)
        task: Callable[[int], FloatArray] = lambda split: _squares(passes.blocks(split), first, second, split)  # noqa: E731
        return np.stack(passes.run([task] * len(other.splits.params)))

    return over_splits(fit, other, squared)


def _both(mine: Scores, other: Callable[[int], Scores]) -> Maker[tuple[Scores, Scores]]:
    return lambda split: (mine, other(split))


class _Rows:
    """What rows add to the estimates of a fit."""

    def __init__(self, fit: Fit, streaming: Streaming, execution: Execution) -> None:
        if fit.estimator.two_sample:
            raise NeedsAllRowsError(
                f"estimator='{fit.call.estimator}' takes labelled and other rows for two samples, and its difference from the "
                "naive estimate cannot be had yet where data are read in blocks; leave 'naive' out, or compare with 'dsl'"
            )
        self.fit, self.problem, self.order = fit, streaming.problem(), streaming.analysis.order
        self.own, self.make = blocks_of(fit, streaming, execution)
        self.points = [point_of(fit, streaming.analysis, split, 0) for split in range(len(fit.splits.params))]
        self.by_design = fit.call.vcov in (BY_DESIGN, BY_DESIGN_HC3)

    def scores(self, chunk: Chunk) -> Callable[[int], Scores]:
        """Scores of a chunk's rows in each split. Rows that a gold-only fit leaves out count nothing."""
        made, sample = self.make(chunk), chunk.analysis.sample

        def of(split: int) -> Scores:
            point = self.points[split]
            parts = row_scores(made(split), point.problem, point.params, point.problem.weights, augmentation_weights)
            found = [*parts]
            own = np.concatenate(found)[:, self.order] if found else np.zeros((0, len(self.order)))
            if len(own) == len(sample.data):
                return own
            every = np.zeros((len(sample.data), own.shape[1]))
            every[sample.labeled] = own
            return every

        return of

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


def _squares(pairs: Iterator[tuple[Scores, Scores]], first: _Rows, second: _Rows, split: int) -> FloatArray:
    """Sum over rows, or clusters, of squared differences of what they add, (k, k)."""
    problem, k = second.problem, len(second.order)
    left, right = tee(pairs)
    mine = first.influences((pair[0] for pair in left), 0)
    theirs = second.influences((pair[1] for pair in right), split)
    gaps, own = _Sums(problem.cluster, problem.n_clusters, k), _Sums(problem.cluster, problem.n_clusters, k)
    pairs_of_parts = zip(mine, theirs, strict=True)
    before = next(pairs_of_parts)
    for pair in pairs_of_parts:
        gaps.add(before[0] - before[1])
        own.add(before[1])
        before = pair
    # the last of each is what centres lose: it belongs to no row
    gaps.lost += before[0].T @ before[0] + before[1].T @ before[1]
    own.lost += before[1].T @ before[1]
    check_reproduced(own.total, own.squares(), second.fit.splits.vcovs[split], second.fit)
    return gaps.squares()


class _Sums:
    """Squares of rows' parts, or of their sums over clusters."""

    def __init__(self, cluster: IntArray | None, n_clusters: int | None, k: int) -> None:
        self.cluster, self.first = cluster, 0
        self.total, self.lost, self._squares = np.zeros(k), np.zeros((k, k)), np.zeros((k, k))
        self.sums = np.zeros((n_clusters or 0, k)) if cluster is not None else None

    def add(self, part: FloatArray) -> None:
        """The next rows."""
        self.total += part.sum(axis=0)
        if self.cluster is None or self.sums is None:
            self._squares += part.T @ part
        else:
            self.sums += cluster_sums(part, self.cluster[self.first : self.first + len(part)], len(self.sums))
        self.first += len(part)

    def squares(self) -> FloatArray:
        """Sum of squares (k, k)."""
        own = self._squares if self.sums is None else self.sums.T @ self.sums
        return np.asarray(own + self.lost)
