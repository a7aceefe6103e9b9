"""Surrogates taken for the truth: ``naive``, for comparison only."""

from collections.abc import Iterator

from dsl.engine.blocks import Block
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from dsl.estimators.streamed import stream_naive
from dsl.estimators.surrogates import raw_versions


def fit_naive(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Solve sum m_hat = 0 at the raw surrogates."""
    solved = fit_splits(analysis.problem(), [_blocks(analysis, call)])
    n, n_clusters = len(analysis.sample.data), analysis.sample.n_clusters
    return Estimation.of(solved, n=n, n_clusters=n_clusters)


def naive_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """All rows at the raw surrogates."""
    yield _blocks(analysis, call)


def _blocks(analysis: Analysis, call: Call) -> list[Block]:
    raw = raw_versions(analysis, call.pairs, call.estimator)
    return [blocks.naive([blocks.version(*each) for each in raw]) for blocks in analysis.blocks()]


NAIVE = Estimator(
    name="naive",
    title="Predictions taken for the truth (naive; not valid unless they make no errors)",
    fit=fit_naive,
    streamed=stream_naive,
    blocks=naive_again,
    words="Estimates take the predictions for the truth. They are shown for comparison: unless the predictions make no errors, "
    "the estimates are biased and their intervals do not cover",
    uses_labels=False,
    kinds=(),
    numbers=False,
    advice="estimator='naive' has no lambda to tune; leave tune out, or use estimator='dsl'",
    no_power="its standard errors do not depend on expert labels; use a fit with estimator='dsl'",
)
