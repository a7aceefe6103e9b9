"""Raw surrogates in m_hat, without a learner: ``cdi``, confidence-driven inference (Gligoric et al. 2025)."""

from collections.abc import Iterator

import numpy as np

from dsl.engine.blocks import Block
from dsl.engine.passes import Maker
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.lockstep import solve_streamed
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from dsl.estimators.streaming import Chunk, Streaming
from dsl.estimators.surrogates import raw_measures, raw_versions
from dsl.exceptions import ArgumentError


def fit_raw(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Solve sum w m + Lambda (1 - w) m_hat = 0 at the raw surrogates."""
    blocks = adjusted(analysis, call)
    solved = fit_splits(analysis.problem(), [blocks], call.tune)
    return Estimation.of(solved, n=len(analysis.sample.data), n_clusters=analysis.sample.n_clusters)


def stream_raw(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """The same for rows that come in blocks."""
    adjusted(streaming.analysis, call)  # scales are compared on the rows of the anchor

    def make(chunk: Chunk) -> Maker[Block]:
        return adjusted(chunk.analysis, call, checked=True).__getitem__

    own = adjusted(streaming.labels, call, checked=True)
    solved = solve_streamed(streaming, streaming.problem(), own, make, call.tune)
    return Estimation.of(solved, n=streaming.n, n_clusters=streaming.scan.n_clusters)


def raw_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """Gold values and raw surrogates."""
    yield adjusted(analysis, call)


def adjusted(analysis: Analysis, call: Call, *, several: bool = True, checked: bool = False) -> list[Block]:
    """Each equation's block: gold values and raw surrogates, the first of each variable or all of them.

    `checked` is whether these are a part of rows whose scales have been compared before.
    """
    every = analysis.blocks(tuned=call.tune is not None, part=checked)
    found = raw_measures(analysis, call.surrogates, call.estimator, checked=checked) if several else []
    if len(found) < 2:
        raw = found[0] if found else raw_versions(analysis, call.pairs, call.estimator, checked=checked)
        values, shares = [each for each, _ in raw], [share for _, share in raw]
        return [blocks.averaged(values, shares) for blocks in every]
    if call.stages:
        raise ArgumentError(
            f"estimator='{call.estimator}' takes one surrogate where labels come in stages, and there are {len(found)} "
            f"({'; '.join(call.measures)}); name one of them, or use estimator='dsl', whose learner sees all"
        )
    # the mean over the measures, to begin with
    n = len(analysis.sample.data)
    versions = [
        (values, (np.ones(n) if share is None else share) / len(found), j)
        for j, raw in enumerate(found)
        for values, share in raw
    ]
    measures = [j for _, _, j in versions]
    return [
        blocks.adjusted([blocks.version(values, share) for values, share, _ in versions], measures) for blocks in every
    ]


CDI = Estimator(
    name="cdi",
    title="Confidence-driven inference (CDI)",
    fit=fit_raw,
    streamed=stream_raw,
    blocks=raw_again,
    words="Estimates are by confidence-driven inference (CDI; {CDI}): prediction-powered inference with labelled rows weighted "
    "by the inverse of their probabilities",
    several=True,
    default_tune="coef",
)
