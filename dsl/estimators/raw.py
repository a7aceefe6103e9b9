"""Raw surrogates in m_hat, without a learner: ``cdi``, confidence-driven inference (Gligoric et al. 2025)."""

from collections.abc import Iterator

from dsl.engine.blocks import Block
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from dsl.estimators.surrogates import raw_versions


def fit_raw(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Solve sum w m + Lambda (1 - w) m_hat = 0 at the raw surrogates."""
    solved = fit_splits(analysis.problem(), [adjusted(analysis, call)], call.tune)
    n, n_clusters = len(analysis.sample.data), analysis.sample.n_clusters
    return Estimation.of(solved, n=n, n_clusters=n_clusters)


def raw_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """Gold values and raw surrogates."""
    yield adjusted(analysis, call)


def adjusted(analysis: Analysis, call: Call) -> list[Block]:
    """Each equation's block: gold values and raw surrogates."""
    raw = raw_versions(analysis, call.pairs, call.estimator)
    return [
        blocks.adjusted([blocks.version(*each) for each in raw])
        for blocks in analysis.blocks(tuned=call.tune is not None)
    ]


CDI = Estimator(
    name="cdi",
    title="Confidence-driven inference (CDI)",
    fit=fit_raw,
    blocks=raw_again,
    words="Estimates are by confidence-driven inference (CDI; {CDI}): prediction-powered inference with labelled rows weighted "
    "by the inverse of their probabilities",
    default_tune="coef",
)
