"""From checked data to results: fit the named estimator in every split and put the splits together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import as_rectangle, warn_caller
from dsl.data.sample import Sample, check_folds_possible
from dsl.engine.blocks import Block, Version
from dsl.engine.centre import Centring, shared_columns
from dsl.engine.checks import check_columns
from dsl.engine.covariance import sandwich
from dsl.engine.equations import join
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.labeling import finite_meat
from dsl.engine.moments import augmentation_weights, design_weights, gold_weights
from dsl.engine.sums import Problem, label_scores, row_scores, shared_gram
from dsl.engine.tuning import Tuned, fit_tuned, side_by_side
from dsl.engine.two_sample import TwoSampleFit, two_sample
from dsl.estimators.analysis import Analysis, evidence_of
from dsl.estimators.blocks import Blocks
from dsl.estimators.surrogates import raw_versions
from dsl.exceptions import ArgumentError, JacobianWarning
from dsl.learners.crossfit import check_folds, cross_predict, draw_folds
from dsl.learners.distribution import Distribution, Targets, cross_fit_distribution, find_support


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """Fits of all splits (one for an estimator that does not split) and the rows they rest on."""

    fits: list[SplitFit]
    n: int
    """Rows that enter the moments."""
    n_clusters: int | None
    tuned: list[Tuned] = field(default_factory=list)
    folds: IntArray | None = None
    targets: Targets | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How predictions are learnt; see ``dsl.dsl``."""

    sl_method: Any
    family: str
    seed: int
    n_jobs: int
    progress: bool


def estimate(
    analysis: Analysis,
    estimator: str,
    tune: str | float | None,
    pairs: Mapping[str, tuple[str, ...]],
    learning: Learning,
    folds: Callable[[], IntArray],
) -> Estimation:
    """Fit the named estimator; `folds` draws the cross-fitting folds where they are needed."""
    if estimator == "gold_only":
        return fit_gold_only(analysis)
    if estimator == "naive":
        return fit_naive(analysis, pairs)
    if estimator in ("ppi", "ppi++"):
        return fit_two_sample(analysis, pairs, estimator, tune)
    if estimator == "cdi":
        return fit_raw(analysis, pairs, estimator=estimator, tune=tune)
    plus = estimator == "dsl+"
    impute = plus or analysis.design.categorical
    return fit_cross_fitted(analysis, folds(), learning, impute=impute, evidence=plus, tune=tune)


def folds_for(sample: Sample, folds: Any, *, cross_fit: int, sample_split: int, seed: int) -> IntArray:
    """Folds supplied by the user, checked, or drawn ones; (S, N)."""
    if folds is not None:
        return check_folds(as_rectangle(folds), sample.rows, sample.n_input, sample.labeled, sample.cluster)
    check_folds_possible(sample.labeled, sample.cluster, cross_fit)
    rng = np.random.default_rng(seed)
    return draw_folds(sample.labeled, sample.cluster, cross_fit=cross_fit, sample_split=sample_split, rng=rng)


def fit_cross_fitted(
    analysis: Analysis, folds: IntArray, learning: Learning, *, impute: bool, evidence: bool, tune: str | float | None
) -> Estimation:
    """Cross-fitted predictions of the variables or of their distribution (`impute`), then one fit per split.

    With `evidence` the learners see the observed variables of the analysis too.
    """
    sample, gold = analysis.sample, analysis.gold
    options = {**asdict(learning), "groups": sample.cluster}
    features = evidence_of(analysis) if evidence else sample.features
    equations = analysis.blocks(tuned=tune is not None)
    if impute:
        support = find_support(gold, linear=analysis.design.linear, coded=analysis.design.covariates.coded)
        found = cross_fit_distribution(support, gold, features, sample.labeled, folds, **options)
        targets, splits = found.targets(gold), _imputed(equations, found)
    else:
        fitted = cross_predict(features, gold.to_numpy(), sample.labeled, folds, **options)
        targets = Targets(names=analysis.predicted, gold=gold.to_numpy(), cross_fit=fitted)
        values = (dict(zip(analysis.predicted, split.T, strict=True)) for split in fitted.predictions)
        splits = ([blocks.dsl(each) for blocks in equations] for each in values)
    fits, tuned = _fit_splits(analysis.problem(), splits, tune)
    return Estimation(
        fits=fits, n=len(sample.data), n_clusters=sample.n_clusters, tuned=tuned, folds=folds, targets=targets
    )


def _imputed(equations: list[Blocks], found: Distribution) -> Iterator[list[Block]]:
    """The equations' blocks in every split; what no split changes is evaluated once."""
    points: list[list[Version]] = []
    for split in range(len(found.shares)):
        if not points or not found.constant:
            values = found.values(split)
            points = [[blocks.version(each) for each in values] for blocks in equations]
        shares = found.probabilities(split)
        yield [
            blocks.adjusted([replace(point, share=share) for point, share in zip(own, shares, strict=True)])
            for blocks, own in zip(equations, points, strict=True)
        ]


def _fit_splits(
    problem: Problem, splits: Iterable[Sequence[Block]], tune: str | float | None = None
) -> tuple[list[SplitFit], list[Tuned]]:
    """Fit the equations of every split, each from where the first split's ended."""
    fits: list[SplitFit] = []
    tuned: list[Tuned] = []
    starts: list[FloatArray | None] = []
    centring: Centring | None = None
    for blocks in splits:
        if not fits:
            own_gram = shared_gram(blocks[0].fixed)
            check_columns(blocks[0], problem.names, own_gram)
            intercept = problem.names.index("Intercept") if "Intercept" in problem.names else None
            gram, centring = shared_columns(blocks[0].fixed, intercept, own_gram)
            if problem.link.slope is None and problem.weights is design_weights:
                problem = replace(problem, fixed_gram=gram)
            starts = [None] * len(blocks)
        own = blocks if centring is None else [centring.apply(block) for block in blocks]
        basis = None if centring is None else centring.back(len(problem.names))
        each = [_fit(block, problem, tune, start, basis) for block, start in zip(own, starts, strict=True)]
        rows = [_scores(block, problem, *fitted) for block, fitted in zip(own, each, strict=True)]
        joint = join([fit for fit, _ in each], rows, own[0], problem)
        starts = [fit.params for fit, _ in each] if not fits else starts
        fits.append(joint if centring is None else centring.undo(joint, len(blocks)))
        if tune is not None:
            tuned.append(side_by_side([choice for _, choice in each if choice is not None]))
    _warn_if_weak(fits)
    return fits, tuned


def _fit(
    block: Block, problem: Problem, tune: str | float | None, start: FloatArray | None, basis: FloatArray | None
) -> tuple[SplitFit, Tuned | None]:
    if tune is None:
        return fit_split(block, problem, start=start), None
    return fit_tuned(block, problem, tune, start=start, basis=basis)


def _scores(block: Block, problem: Problem, fit: SplitFit, choice: Tuned | None) -> Iterator[FloatArray]:
    """Scores of a fit, row by row in pieces."""
    at = fit.params if choice is None or choice.at is None else choice.at
    tuned = replace(problem, tuning=None if choice is None else choice.tuning)
    return row_scores(block, tuned, at, problem.weights, augmentation_weights)


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
    sample = analysis.sample
    cluster, n_clusters = None, None
    if sample.cluster is not None:
        labels, cluster = np.unique(sample.cluster[sample.labeled], return_inverse=True)
        n_clusters = len(labels)
    problem = analysis.problem(weights=gold_weights, label_weights=gold_weights, cluster=cluster, n_clusters=n_clusters)
    fits, _ = _fit_splits(problem, [[blocks.gold_only() for blocks in analysis.blocks()]])
    return Estimation(fits=fits, n=sample.n_labeled, n_clusters=n_clusters)


def fit_naive(analysis: Analysis, pairs: Mapping[str, tuple[str, ...]]) -> Estimation:
    """Surrogates taken for the truth; `pairs` says which stand for which predicted variable."""
    sample, raw = analysis.sample, raw_versions(analysis, pairs, "naive")
    split = [blocks.naive([blocks.version(*each) for each in raw]) for blocks in analysis.blocks()]
    fits, _ = _fit_splits(analysis.problem(), [split])
    return Estimation(fits=fits, n=len(sample.data), n_clusters=sample.n_clusters)


def fit_raw(
    analysis: Analysis, pairs: Mapping[str, tuple[str, ...]], *, estimator: str, tune: str | float | None
) -> Estimation:
    """Raw surrogates in m_hat, without a learner: confidence-driven inference."""
    sample, raw = analysis.sample, raw_versions(analysis, pairs, estimator)
    split = [blocks.adjusted([blocks.version(*each) for each in raw]) for blocks in analysis.blocks(tuned=True)]
    fits, tuned = _fit_splits(analysis.problem(), [split], tune)
    return Estimation(fits=fits, n=len(sample.data), n_clusters=sample.n_clusters, tuned=tuned)


def fit_two_sample(
    analysis: Analysis, pairs: Mapping[str, tuple[str, ...]], estimator: str, tune: str | float | None
) -> Estimation:
    """Prediction-powered inference: raw surrogates of the unlabelled rows, corrected on the labelled ones."""
    sample = analysis.sample
    if len(analysis.designs) > 1:
        raise ArgumentError(
            f"estimator='{estimator}' has one outcome at a time; for all categories together use estimator='cdi', tune='coef'"
        )
    blocks = Blocks(analysis.design, sample)
    block = blocks.adjusted([blocks.version(*raw) for raw in raw_versions(analysis, pairs, estimator)])
    problem = analysis.problem()
    gram = shared_gram(block.fixed)
    check_columns(block, problem.names, gram)
    lam = None if isinstance(tune, str) else tune
    fit = two_sample(
        block, problem.names, problem.link, lam=lam, cluster=problem.cluster, n_clusters=problem.n_clusters, gram=gram
    )
    chosen = Tuned(lambdas=np.full(len(fit.params), fit.lam), plain=None, without=None)
    if problem.labeling is not None:
        fit = _finite_two_sample(block, problem, fit)
    return Estimation(fits=[fit], n=len(sample.data), n_clusters=sample.n_clusters, tuned=[chosen])


def _finite_two_sample(block: Block, problem: Problem, fit: TwoSampleFit) -> TwoSampleFit:
    """The fit with the covariance that the choice of the labelled rows alone gives.

    With the unlabelled rows the complement of the labelled ones, lam (mean_U h - mean_L h) is a constant less
    lam / (1 - pi) mean_L h: the moment at Lambda = lam / (1 - pi).
    """
    assert problem.labeling is not None
    share = len(block.gold_rows) / len(block.outcome)
    tuning = fit.lam / (1.0 - share) * np.eye(len(fit.params))
    on_labels = label_scores(block, replace(problem, tuning=tuning), fit.params)
    meat = finite_meat(on_labels, problem.labeling)
    return replace(fit, label_scores=on_labels, meat=meat, vcov=sandwich(fit.jacobian, meat))
