"""From checked data to results: fit the named estimator in every split and put the splits together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.arguments import as_rectangle, warn_caller
from dsl.centre import Centring, shared_columns
from dsl.combine import combine_splits
from dsl.covariance import finite_meat, sandwich, small_sample_factor
from dsl.crossfit import check_folds, cross_predict, draw_folds
from dsl.engine import Problem, SplitFit, check_columns, fit_split, label_scores, row_scores, shared_gram
from dsl.equations import join
from dsl.estimators import Blocks
from dsl.exceptions import ArgumentError, JacobianWarning
from dsl.formula import Design
from dsl.frame import Sample, check_folds_possible
from dsl.imputation import Distribution, Targets, cross_fit_distribution, find_support
from dsl.moments import Block, Link, Version, augmentation_weights, design_weights, gold_weights
from dsl.ppi import TwoSampleFit, two_sample
from dsl.predictor import Predictor
from dsl.records import SampleFacts, Specification, Splits, Tuning
from dsl.results import DSLEstimates, DSLResults
from dsl.surrogates import raw_versions
from dsl.tuning import KINDS, Tuned, fit_tuned, side_by_side


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What every estimator works on."""

    sample: Sample
    designs: tuple[Design, ...]
    """One for each equation: a categorical outcome has one for each category, else there is one."""
    link: Link
    predicted: tuple[str, ...]
    """The predicted variables."""
    absorbed: bool
    """Whether fixed effects are absorbed."""
    outcome: str = ""
    """The formula's left-hand side."""
    levels: tuple[str, ...] = ()
    """Categories of the outcome, if it has an equation for each."""
    finite: bool = False
    """Whether the rows are the population, and only the labelling is random."""

    @property
    def design(self) -> Design:
        """The first equation's, whose covariates are those of all."""
        return self.designs[0]

    def blocks(self, *, tuned: bool = False) -> list[Blocks]:
        """What makes the blocks of each equation."""
        return [Blocks(design, self.sample, tuned=tuned) for design in self.designs]

    @property
    def gold(self) -> pd.DataFrame:
        """Gold values of the labelled rows; (n, q)."""
        return self.sample.data.loc[self.sample.labeled, list(self.predicted)]

    def problem(self, **details: Any) -> Problem:
        """The engine's problem; `details` replace what all rows would give."""
        common = {
            "link": self.link,
            "names": self.design.block_names,
            "cluster": self.sample.cluster,
            "n_clusters": self.sample.n_clusters,
            "labeling": self.sample.labeling if self.finite else None,
        }
        return Problem(**{**common, **details})


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


DEFAULT_TUNE: dict[str, str | float | None] = {
    "dsl": None,
    "dsl+": "coef",
    "cdi": "scalar",
    "ppi": 1.0,
    "ppi++": "scalar",
}


def resolve_tune(estimator: str, tune: Any) -> str | float | None:
    """What `tune` means for the estimator.

    Raises
    ------
    ArgumentError
        The estimator has nothing to tune in this way.
    """
    number = isinstance(tune, int | float | np.number) and not isinstance(tune, bool) and np.isfinite(tune)
    if tune is not None and not number and not (isinstance(tune, str) and tune in KINDS):
        raise ArgumentError(f"tune must be None, {', '.join(map(repr, KINDS))} or a number; found {tune!r}")
    if tune is None:
        return DEFAULT_TUNE.get(estimator)
    if estimator in ("gold_only", "naive"):
        raise ArgumentError(f"estimator='{estimator}' has no lambda to tune; leave tune out, or use estimator='dsl'")
    if estimator == "ppi++":
        raise ArgumentError("estimator='ppi++' chooses its own lambda; for a fixed one use estimator='ppi', tune=0.5")
    if estimator == "ppi" and not number:
        raise ArgumentError(f"estimator='ppi' has a fixed lambda; with tune={tune!r} use estimator='ppi++' or 'cdi'")
    return float(tune) if number else str(tune)


def resolve_use_t(estimator: str, tune: str | float | None, use_t: Any = None) -> bool:
    """Whether intervals are Student's; `tune` is resolved.

    Raises
    ------
    ArgumentError
        Neither None nor a bool.
    """
    if use_t is None:
        return isinstance(tune, str) and estimator != "ppi++"
    if not isinstance(use_t, bool | np.bool_):
        raise ArgumentError(f"use_t must be True, False or None (by the estimator); found {use_t!r}")
    return bool(use_t)


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


def evidence_of(analysis: Analysis) -> FloatArray:
    """What the learners of a score imputation see: the features and the observed variables of the analysis; (N, p)."""
    design = analysis.design
    parts = [analysis.sample.features, design.covariates.fixed]
    if not design.outcome.predicted_index:
        parts.append(design.outcome_at({})[:, None])
    data = analysis.sample.data
    numbers = [name for name in design.beside if pd.api.types.is_numeric_dtype(data[name].dtype)]
    columns = np.hstack([*parts, data[numbers].to_numpy(dtype=float)])
    return np.asarray(columns[:, np.ptp(columns, axis=0) > 0.0])


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


def results_of(analysis: Analysis, estimation: Estimation, specification: Specification) -> DSLResults:
    """Combine the splits, bring coefficients into the formula's order, and wrap them."""
    design, order, fits = analysis.design, _order(analysis), estimation.fits
    params = np.stack([fit.params for fit in fits])[:, order]
    factor = _small_sample(analysis, estimation, specification.vcov)
    vcovs = factor * _in_order([fit.vcov for fit in fits], order)
    estimate, vcov = combine_splits(params, vcovs)
    part, targets = design.covariates, estimation.targets
    fitted = None if targets is None else targets.cross_fit
    return DSLResults(
        DSLEstimates(
            names=_each_equation(analysis, part.names, "[{}]:"),
            names_r=_each_equation(analysis, design.r_names, "{}:"),
            outcome=analysis.outcome,
            params=estimate,
            vcov=vcov,
            specification=specification,
            sample=_facts(analysis, estimation),
            splits=Splits(
                params=params,
                vcovs=vcovs,
                jacobians=_in_order([fit.jacobian for fit in fits], order),
                meats=_in_order([fit.meat for fit in fits], order),
                label_meats=_in_order([fit.label_meat for fit in fits], order),
                label_scores=np.mean([fit.label_scores for fit in fits], axis=0)[:, order],
                tuning=_tuning(estimation, order, factor),
                moment_norms=np.array([fit.moment_norm for fit in fits]),
                iterations=np.array([fit.iterations for fit in fits]),
                folds=estimation.folds,
                targets=() if targets is None else targets.names,
                predictions=None if fitted is None else fitted.predictions,
                learners=() if fitted is None else fitted.learners,
                learner_reasons=() if fitted is None else fitted.reasons,
            ),
            predictor=Predictor(part.spec, None if analysis.absorbed else analysis.link.mean, analysis.levels),
        )
    )


def _order(analysis: Analysis) -> IntArray:
    """Positions that bring the block's columns into the formula's order, equation after equation."""
    own = analysis.design.order
    return np.concatenate([own + j * len(own) for j in range(len(analysis.designs))])


def _each_equation(analysis: Analysis, names: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Names of the coefficients of all equations."""
    if not analysis.levels:
        return names
    return tuple(f"{analysis.outcome}{prefix.format(level)}{name}" for level in analysis.levels for name in names)


def _in_order(matrices: list[FloatArray], order: IntArray) -> FloatArray:
    """Stack (k, k) matrices in block order into (S, k, k) in the formula's order."""
    return np.stack(matrices)[:, order][:, :, order]


def _tuning(estimation: Estimation, order: IntArray, factor: float) -> Tuning | None:
    """Lambdas and variances of all splits, in the formula's order."""
    if not estimation.tuned:
        return None
    lambdas = np.stack([tuned.lambdas for tuned in estimation.tuned])[:, order]
    plain, without = (
        [value for tuned in estimation.tuned if (value := getattr(tuned, name)) is not None]
        for name in ("plain", "without")
    )
    return Tuning(
        lambdas=lambdas,
        plain=factor * np.stack(plain)[:, order] if plain else None,
        without=factor * np.stack(without)[:, order] if without else None,
    )


def _facts(analysis: Analysis, estimation: Estimation) -> SampleFacts:
    sample, targets = analysis.sample, estimation.targets
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
        gold=analysis.gold.to_numpy() if targets is None else targets.gold,
        label_cluster=None if sample.cluster is None else sample.cluster[sample.labeled],
    )


def _small_sample(analysis: Analysis, estimation: Estimation, vcov: str) -> float:
    corrected = vcov in ("HC1", "CR1")
    absorbed = Blocks(analysis.design, analysis.sample).absorbed_rank if corrected else 0
    k = len(analysis.design.block_names) + absorbed
    return small_sample_factor(vcov, n=estimation.n, k=k, n_clusters=estimation.n_clusters)
