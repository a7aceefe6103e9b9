"""Prediction-powered inference in its two-sample form: ``ppi`` and ``ppi++`` (Angelopoulos et al. 2023)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.behind import FEW, labels_behind
from dsl.engine.blocks import Block
from dsl.engine.centre import gram_of, shared_columns
from dsl.engine.checks import check_columns
from dsl.engine.covariance import sandwich
from dsl.engine.labeling import finite_meat
from dsl.engine.passes import Maker
from dsl.engine.pilot import Tuned
from dsl.engine.streamed import Rows
from dsl.engine.sums import Problem, label_scores
from dsl.engine.two_sample import TwoSampleFit, two_sample
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.lockstep import streamed_rows
from dsl.estimators.raw import adjusted
from dsl.estimators.records import Splits
from dsl.estimators.streaming import Chunk, Streaming
from dsl.exceptions import ArgumentError


def fit_two_sample(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Raw surrogates of the unlabelled rows, corrected on the labelled ones."""
    _check(analysis, call)
    (block,) = _adjusted(analysis, call)
    sample = analysis.sample
    return _estimated(block, analysis.problem(), call, n=len(sample.data), n_clusters=sample.n_clusters)


def stream_two_sample(streaming: Streaming, call: Call, execution: Execution) -> Estimation:
    """The same for rows that come in blocks."""
    _check(streaming.analysis, call)
    _adjusted(streaming.analysis, call, checked=False)  # scales are compared on the rows of the anchor

    def make(chunk: Chunk) -> Maker[Block]:
        (block,) = _adjusted(chunk.analysis, call, checked=True)
        return lambda split: block

    passes, (rows,) = streamed_rows(streaming, _adjusted(streaming.labels, call, checked=True), make)
    found, problem = streaming.scan, streaming.problem()

    def fit(split: int) -> Estimation:
        return _estimated(rows, problem, call, n=streaming.n, n_clusters=found.n_clusters)

    return passes.run([fit])[0]


def _adjusted(analysis: Analysis, call: Call, *, checked: bool = False) -> list[Block]:
    # without tune: what the blocks hold for it is for Lambda in the one-sample form
    return adjusted(analysis, replace(call, tune=None), several=isinstance(call.tune, str), checked=checked)


def _check(analysis: Analysis, call: Call) -> None:
    """Raise ArgumentError for what two samples cannot have."""
    if len(analysis.designs) > 1:
        raise ArgumentError(
            f"estimator='{call.estimator}' has one outcome at a time; for all categories together use estimator='cdi', "
            "tune='coef'"
        )
    if analysis.absorbed:
        raise ArgumentError(
            f"estimator='{call.estimator}' does not absorb the fixed effects of model='{call.model}': they would be those of the "
            "labelled rows in one sum and of the others in another; write them as dummies, 'y ~ x + factor(unit)' with "
            "model='lm', or use estimator='dsl'"
        )
    if analysis.model.instruments:
        raise ArgumentError(
            f"estimator='{call.estimator}' has no instruments (model='{analysis.model.name}'); use estimator='cdi', which "
            "takes the surrogates as they are too"
        )
    if analysis.sample.trained.any():
        raise ArgumentError(
            f"estimator='{call.estimator}' takes all rows to be labelled with the same probability, and rows that the "
            "predictions' maker has seen (trained_on) are known for certain; use estimator='cdi' (or 'dsl')"
        )


def _estimated(block: Rows, problem: Problem, call: Call, *, n: int, n_clusters: int | None) -> Estimation:
    """The estimate from one block with all N rows."""
    gram = gram_of(block)
    check_columns(block, problem.names, gram)
    behind = _behind(block, problem, gram)
    lam = None if isinstance(call.tune, str) else call.tune
    if lam is None and (behind < FEW).any():
        # one lambda for all: the sum of variances that chooses it would rest on one that the labels do not show
        lam = 1.0
    fit = two_sample(
        block, problem.names, problem.link, lam=lam, cluster=problem.cluster, n_clusters=problem.n_clusters, gram=gram
    )
    k = len(fit.params)
    each = None if fit.weights is None else np.tile(fit.weights[:, None], k)
    chosen = Tuned(lambdas=np.full(k, fit.lam), plain=None, without=None, each=each)
    if problem.labeling is not None:
        fit = _finite(block, problem, fit)
    return Estimation(fits=[fit], n=n, n_clusters=n_clusters, behind=behind, tuned=[chosen])


def two_sample_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """Gold values and raw surrogates, several of them by the weights that were chosen."""
    (block,) = adjusted(analysis, call, several=isinstance(call.tune, str))
    each = None if splits.tuning is None else splits.tuning.each
    yield [block if each is None else block.weighted(each[0, :, 0])]


def _behind(block: Rows, problem: Problem, gram: FloatArray) -> FloatArray:
    gram, centring = shared_columns(block, problem, gram)
    if centring is None:
        return labels_behind(block, problem, fixed_gram=gram)
    return labels_behind(centring.apply(block), problem, centring.back_columns(len(problem.names)), gram)


def _finite(block: Rows, problem: Problem, fit: TwoSampleFit) -> TwoSampleFit:
    """The fit with the covariance that the choice of the labelled rows alone gives.

    The unlabelled rows are the complement of the labelled ones. Over repeated labelling lam (mean_U h - mean_L h) is therefore a
    constant less lam / (1 - pi) mean_L h, which is the moment at Lambda = lam / (1 - pi).
    """
    assert problem.labeling is not None
    # pi: all rows are labelled with the same probability, as `two_sample` has checked
    share = len(block.gold_rows) / block.shape[0]
    lam, labels = fit.lam, block.labeled()
    if fit.weights is not None:
        labels, lam = labels.weighted(fit.weights), 1.0
    tuning = lam / (1.0 - share) * np.eye(len(fit.params))
    on_labels = label_scores(labels, replace(problem, tuning=tuning), fit.params)
    meat = finite_meat(on_labels, problem.labeling)
    return replace(fit, label_scores=on_labels, meat=meat, vcov=sandwich(fit.jacobian, meat))


PPI = Estimator(
    name="ppi",
    title="Prediction-powered inference (PPI)",
    fit=fit_two_sample,
    streamed=stream_two_sample,
    blocks=two_sample_again,
    words="Estimates are by prediction-powered inference (PPI; {PPI}): those from the predictions on the unlabelled rows, less "
    "the error of the same on the labelled rows",
    two_sample=True,
    default_tune=1.0,
    kinds=(),
    advice="estimator='ppi' has a fixed lambda; use estimator='ppi++' or 'cdi' for a chosen one",
    no_power="each label that is added takes a row from its unlabelled sample; use estimator='cdi', tune=1.0",
)
PPI_TUNED = Estimator(
    name="ppi++",
    title="Prediction-powered inference, tuned (PPI++)",
    fit=fit_two_sample,
    streamed=stream_two_sample,
    blocks=two_sample_again,
    words="Estimates are by tuned prediction-powered inference (PPI++; {PPI}; {PPI++}): those from the predictions on the "
    "unlabelled rows, less the error of the same on the labelled rows, relied on to the extent that minimises the estimated "
    "variance",
    two_sample=True,
    several=True,
    default_tune="scalar",
    kinds=(),
    numbers=False,
    advice="estimator='ppi++' chooses its own lambda; for a fixed one use estimator='ppi', tune=0.5",
    t_if_tuned=False,
    no_power="each label that is added takes a row from its unlabelled sample; use estimator='cdi'",
)
