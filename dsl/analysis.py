"""From checked data to results: fit the named estimator in every split and put the splits together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.arguments import as_rectangle, warn_caller
from dsl.centre import Centring, shared_columns
from dsl.combine import combine_splits
from dsl.covariance import small_sample_factor
from dsl.crossfit import CrossFit, check_folds, cross_predict, draw_folds
from dsl.engine import Problem, SplitFit, check_columns, fit_split
from dsl.estimators import Blocks
from dsl.exceptions import ArgumentError, JacobianWarning
from dsl.formula import Design
from dsl.frame import Sample, check_folds_possible
from dsl.moments import Block, Link, gold_weights
from dsl.predictor import Predictor
from dsl.results import DSLEstimates, DSLResults, SampleFacts, Specification, Splits
from dsl.tables import as_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What every estimator works on."""

    sample: Sample
    design: Design
    link: Link
    predicted: tuple[str, ...]
    """The predicted variables."""
    absorbed: bool
    """Whether fixed effects are absorbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """Fits of all splits (one for an estimator that does not split) and the rows they rest on."""

    fits: list[SplitFit]
    n: int
    """Rows that enter the moments."""
    n_clusters: int | None
    folds: IntArray | None = None
    cross_fit: CrossFit | None = None


def folds_for(sample: Sample, folds: Any, *, cross_fit: int, sample_split: int, seed: int) -> IntArray:
    """Folds supplied by the user, checked, or drawn ones; (S, N)."""
    if folds is not None:
        return check_folds(as_rectangle(folds), sample.rows, sample.n_input, sample.labeled, sample.cluster)
    check_folds_possible(sample.labeled, sample.cluster, cross_fit)
    rng = np.random.default_rng(seed)
    return draw_folds(sample.labeled, sample.cluster, cross_fit=cross_fit, sample_split=sample_split, rng=rng)


def fit_cross_fitted(
    analysis: Analysis, folds: IntArray, *, sl_method: Any, family: str, seed: int, n_jobs: int, progress: bool
) -> Estimation:
    """Design-based supervised learning: cross-fitted predictions, then one fit per split.

    Every split begins where the first one ended.
    """
    sample, design = analysis.sample, analysis.design
    fitted = cross_predict(
        sample.features,
        sample.data[list(analysis.predicted)].to_numpy()[sample.labeled],
        sample.labeled,
        folds,
        sl_method=sl_method,
        family=family,
        seed=seed,
        groups=sample.cluster,
        n_jobs=n_jobs,
        progress=progress,
    )
    blocks = Blocks(design, sample)
    gram, centring = _shared_columns(design.covariates.fixed, design.block_names)
    problem = Problem(
        link=analysis.link,
        names=design.block_names,
        cluster=sample.cluster,
        n_clusters=sample.n_clusters,
        fixed_gram=gram if analysis.link.slope is None else None,
    )
    fits: list[SplitFit] = []
    for split in fitted.predictions:
        block = blocks.dsl(dict(zip(analysis.predicted, split.T, strict=True)))
        if not fits:
            check_columns(block, problem.names)
        block = block if centring is None else centring.apply(block)
        fits.append(fit_split(block, problem, start=fits[0].params if fits else None))
    fits = fits if centring is None else [centring.undo(fit) for fit in fits]
    _warn_if_weak(fits)
    n = len(sample.data)
    return Estimation(fits=fits, n=n, n_clusters=sample.n_clusters, folds=folds, cross_fit=fitted)


def _shared_columns(fixed: FloatArray, names: tuple[str, ...]) -> tuple[FloatArray, Centring | None]:
    return shared_columns(fixed, names.index("Intercept") if "Intercept" in names else None)


def _fit_once(block: Block, problem: Problem) -> SplitFit:
    """Fit of an estimator that does not split."""
    check_columns(block, problem.names)
    _, centring = _shared_columns(block.fixed, problem.names)
    if centring is None:
        return fit_split(block, problem)
    return centring.undo(fit_split(centring.apply(block), problem))


def _warn_if_weak(fits: list[SplitFit]) -> None:
    weak = [str(s + 1) for s, fit in enumerate(fits) if not fit.positive_definite]
    if weak:
        warn_caller(
            JacobianWarning,
            f"the Jacobian of the moment is not positive definite in {len(weak)} of {len(fits)} splits ({', '.join(weak)}): "
            "the labelled sample is small for these predicted covariates, and the estimates may be far off; label more rows",
        )


def fit_gold_only(analysis: Analysis) -> Estimation:
    """Labelled rows alone, weighted by inverse probability."""
    sample, names = analysis.sample, analysis.design.block_names
    block = Blocks(analysis.design, sample).gold_only()
    cluster, n_clusters = None, None
    if sample.cluster is not None:
        labels, cluster = np.unique(sample.cluster[sample.labeled], return_inverse=True)
        n_clusters = len(labels)
    problem = Problem(
        link=analysis.link,
        names=names,
        weights=gold_weights,
        label_weights=gold_weights,
        cluster=cluster,
        n_clusters=n_clusters,
    )
    return Estimation(fits=[_fit_once(block, problem)], n=sample.n_labeled, n_clusters=n_clusters)


def fit_naive(analysis: Analysis, pairs: Mapping[str, str]) -> Estimation:
    """Surrogates taken for the truth; `pairs` says which stands for which predicted variable."""
    sample, names = analysis.sample, analysis.design.block_names
    unpaired = [name for name in analysis.predicted if name not in pairs]
    if unpaired:
        raise ArgumentError(
            f"estimator='naive' needs to know which prediction stands for '{unpaired[0]}': pass "
            f"predicted_var={{'{unpaired[0]}': 'its_prediction'}}, or as many predictions as predicted variables"
        )
    values = {gold: as_numbers(sample.data[pairs[gold]], "prediction").to_numpy() for gold in analysis.predicted}
    block = Blocks(analysis.design, sample).naive(values)
    problem = Problem(link=analysis.link, names=names, cluster=sample.cluster, n_clusters=sample.n_clusters)
    return Estimation(fits=[_fit_once(block, problem)], n=len(sample.data), n_clusters=sample.n_clusters)


def results_of(analysis: Analysis, estimation: Estimation, specification: Specification) -> DSLResults:
    """Combine the splits, bring coefficients into the formula's order, and wrap them."""
    design, order, fits = analysis.design, analysis.design.order, estimation.fits
    params = np.stack([fit.params for fit in fits])[:, order]
    factor = _small_sample(analysis, estimation, specification.vcov)
    vcovs = factor * _in_order([fit.vcov for fit in fits], order)
    estimate, vcov = combine_splits(params, vcovs)
    part, fitted = design.covariates, estimation.cross_fit
    return DSLResults(
        DSLEstimates(
            names=part.names,
            names_r=design.r_names,
            outcome=design.outcome.names[0],
            params=estimate,
            vcov=vcov,
            specification=specification,
            sample=_facts(analysis),
            splits=Splits(
                params=params,
                vcovs=vcovs,
                jacobians=_in_order([fit.jacobian for fit in fits], order),
                meats=_in_order([fit.meat for fit in fits], order),
                label_meats=_in_order([fit.label_meat for fit in fits], order),
                moment_norms=np.array([fit.moment_norm for fit in fits]),
                iterations=np.array([fit.iterations for fit in fits]),
                folds=estimation.folds,
                predictions=None if fitted is None else fitted.predictions,
                learners=() if fitted is None else fitted.learners,
                learner_reasons=() if fitted is None else fitted.reasons,
            ),
            predictor=Predictor(part.spec, None if analysis.absorbed else analysis.link.mean),
        )
    )


def _in_order(matrices: list[FloatArray], order: IntArray) -> FloatArray:
    """Stack (k, k) matrices in block order into (S, k, k) in the formula's order."""
    return np.stack(matrices)[:, order][:, :, order]


def _facts(analysis: Analysis) -> SampleFacts:
    sample = analysis.sample
    return SampleFacts(
        n_input=sample.n_input,
        nobs=len(sample.data),
        n_labeled=sample.n_labeled,
        n_clusters=sample.n_clusters,
        dropped=sample.dropped,
        notes=sample.notes,
        equal_prob=sample.equal_prob,
        labels=sample.labels,
        labeled=sample.labeled,
        sample_prob=sample.sample_prob,
        gold=sample.data[list(analysis.predicted)].to_numpy()[sample.labeled],
    )


def _small_sample(analysis: Analysis, estimation: Estimation, vcov: str) -> float:
    corrected = vcov in ("HC1", "CR1")
    absorbed = Blocks(analysis.design, analysis.sample).absorbed_rank if corrected else 0
    k = len(analysis.design.block_names) + absorbed
    return small_sample_factor(vcov, n=estimation.n, k=k, n_clusters=estimation.n_clusters)
