"""The labelled rows alone, weighted by inverse probability: ``gold_only`` (Horvitz and Thompson, JASA 1952)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dsl.engine.blocks import Block
from dsl.engine.moments import gold_weights
from dsl.engine.sums import Problem
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from dsl.estimators.streaming import Streaming


def fit_gold_only(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Solve sum w m = 0."""
    return _fit(analysis, analysis.problem())


def _fit(analysis: Analysis, problem: Problem) -> Estimation:
    sample = analysis.sample
    cluster, n_clusters, across = None, None, None
    if sample.cluster is not None:
        # clusters without labelled rows have no score: G counts those that have
        labels, cluster = np.unique(sample.cluster[sample.labeled], return_inverse=True)
        n_clusters = len(labels)
    if sample.across is not None:
        across = np.unique(sample.across[sample.labeled], return_inverse=True)[1]
    problem = replace(
        problem,
        weights=gold_weights,
        label_weights=gold_weights,
        cluster=cluster,
        n_clusters=n_clusters,
        across=across,
    )
    solved = fit_splits(problem, [[blocks.gold_only() for blocks in analysis.blocks()]])
    return Estimation.of(solved, n=sample.n_labeled, n_clusters=n_clusters)


def stream_gold_only(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """The same for rows that come in blocks: labelled rows are in memory."""
    return _fit(streaming.analysis, streaming.problem())


def gold_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """The labelled rows."""
    yield [blocks.gold_only() for blocks in analysis.blocks()]


GOLD_ONLY = Estimator(
    name="gold_only",
    title="Labelled rows only (inverse-probability weighted)",
    fit=fit_gold_only,
    streamed=stream_gold_only,
    blocks=gold_again,
    words="Estimates rest on the labelled rows alone, weighted by the inverse of their probabilities ({HT}); the predictions are "
    "not used",
    weights=gold_weights,
    uses_surrogates=False,
    kinds=(),
    numbers=False,
    advice="estimator='gold_only' has no lambda to tune; leave tune out, or use estimator='dsl'",
)
