"""The frozen result from the fits of all splits."""

from dataclasses import replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.combine import combine_splits
from dsl.engine.covariance import small_sample_factor
from dsl.engine.intervals import kish
from dsl.engine.models.family import Family
from dsl.estimators.analysis import Analysis
from dsl.estimators.blocks import Blocks
from dsl.estimators.call import Call
from dsl.estimators.estimator import Estimation
from dsl.estimators.predictor import Predictor
from dsl.estimators.quality import fit_quality, rmse
from dsl.estimators.records import InstrumentFacts, SampleFacts, Splits, Tuning
from dsl.estimators.result import Fit, degrees_of_estimates


def assemble(analysis: Analysis, estimation: Estimation, call: Call, facts: SampleFacts | None = None) -> Fit:
    """Combine the splits, and bring coefficients into the formula's order.

    `facts` are of all rows, where those of the analysis are a part of them.
    """
    design, order = analysis.design, _order(analysis)
    # one factor for all splits: it depends on n, k and G only
    factor = _small_sample(analysis, estimation, call.vcov)
    facts = facts or facts_of(analysis, estimation)
    splits = _splits(estimation, order, factor)
    if facts.trained is not None and len(splits.label_scores):
        splits.label_scores[facts.trained[facts.labeled]] = 0.0
    estimate, vcov = combine_splits(splits.params, splits.vcovs)
    quality, errors = None, None
    if estimation.targets is not None:
        # (S, n, q): only labelled rows have a truth to compare with, and those that were seen tell nothing about others
        found = estimation.targets.cross_fit.predictions
        out_of_fold = found if estimation.on_labels else found[:, facts.judged]
        errors = rmse(out_of_fold, facts.judged_gold, splits.targets)
        quality = fit_quality(out_of_fold, facts.judged_gold, splits.targets, splits.learners)
    fit = Fit(
        names=_each_equation(analysis, design.covariates.names, "[{}]:"),
        names_r=_names_r(analysis),
        outcome=analysis.outcome,
        params=estimate,
        vcov=vcov,
        df=np.full(len(estimate), np.nan),
        call=replace(call, index=tuple(analysis.columns.absorbed)),
        sample=facts,
        splits=splits,
        predictor=_predictor(analysis),
        fit_quality=quality,
        rmse=errors,
    )
    # degrees of freedom follow from the fit's own contributions, hence in a second step
    return replace(fit, df=degrees_of_estimates(fit))


def _splits(estimation: Estimation, order: IntArray, factor: float) -> Splits:
    fits, targets, folds = estimation.fits, estimation.targets, estimation.folds
    fitted = None if targets is None else targets.cross_fit
    degrees = [fit.df for fit in fits if fit.df is not None]
    return Splits(
        # (S, k): splits first, coefficients in the formula's order from here on
        params=np.stack([fit.params for fit in fits])[:, order],
        vcovs=factor * _in_order([fit.vcov for fit in fits], order),
        jacobians=_in_order([fit.jacobian for fit in fits], order),
        meats=_in_order([fit.meat for fit in fits], order),
        label_meats=_in_order([fit.label_meat for fit in fits], order),
        # (n, k): linear in the scores, so that the mean over splits is all that influences need
        label_scores=np.mean([fit.label_scores for fit in fits], axis=0)[:, order],
        behind=estimation.behind[order],
        df=np.stack(degrees)[:, order] if degrees else None,
        tuning=_tuning(estimation, order, factor),
        instruments=_instruments(estimation),
        moment_norms=np.array([fit.moment_norm for fit in fits]),
        iterations=np.array([fit.iterations for fit in fits]),
        folds=folds,
        n_folds=estimation.n_folds if folds is None else int(folds.max()) + 1,
        targets=() if targets is None else targets.names,
        predictions=None if fitted is None or estimation.on_labels else fitted.predictions,
        averaged=estimation.averaged,
        learners=() if fitted is None else fitted.learners,
        learner_reasons=() if fitted is None else fitted.reasons,
    )


def _order(analysis: Analysis) -> IntArray:
    """Positions that bring the block's columns into the formula's order, equation after equation."""
    own = analysis.order
    # every equation has the same k columns: its positions are those of the first, shifted by k
    return np.concatenate([own + j * len(own) for j in range(len(analysis.designs))])


def _each_equation(analysis: Analysis, names: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Names of the coefficients of all equations, or of all linear predictors."""
    if analysis.several is not None:
        return analysis.several.named(names, analysis.outcome + prefix)
    if not analysis.levels:
        return names
    return tuple(f"{analysis.outcome}{prefix.format(level)}{name}" for level in analysis.levels for name in names)


def _names_r(analysis: Analysis) -> tuple[str, ...]:
    """R's names of the coefficients: of several linear predictors as ``nnet::multinom`` and ``MASS::polr`` have them."""
    if analysis.several is not None:
        return analysis.several.named(analysis.design.r_names, "{}:")
    return _each_equation(analysis, analysis.design.r_names, "{}:")


def _predictor(analysis: Analysis) -> Predictor:
    spec, link = analysis.design.covariates.spec, analysis.model.link
    if isinstance(link, Family):
        return Predictor(spec, None, several=analysis.several)
    # without the fixed effects the linear predictor lacks a part: a mean of it would be wrong
    return Predictor(spec, None if analysis.absorbed else link.mean, analysis.levels)


def _in_order(matrices: list[FloatArray], order: IntArray) -> FloatArray:
    """Stack (k, k) matrices in block order into (S, k, k) in the formula's order."""
    return np.stack(matrices)[:, order][:, :, order]


def _tuning(estimation: Estimation, order: IntArray, factor: float) -> Tuning | None:
    """Lambdas and variances of all splits, in the formula's order."""
    if not estimation.tuned:
        return None
    # an estimator fills each of these in every split or in none
    plain = [tuned.plain for tuned in estimation.tuned if tuned.plain is not None]
    without = [tuned.without for tuned in estimation.tuned if tuned.without is not None]
    matrices = [tuned.tuning for tuned in estimation.tuned if tuned.tuning is not None]
    at = [tuned.at for tuned in estimation.tuned if tuned.at is not None]
    each = [tuned.each for tuned in estimation.tuned if tuned.each is not None]
    return Tuning(
        lambdas=np.stack([tuned.lambdas for tuned in estimation.tuned])[:, order],
        plain=factor * np.stack(plain)[:, order] if plain else None,
        without=factor * np.stack(without)[:, order] if without else None,
        matrices=_side_by_side(matrices, order) if matrices else None,
        at=np.stack(at)[:, order] if at else None,
        each=np.stack(each)[:, :, order] if each else None,
    )


def _side_by_side(matrices: list[FloatArray], order: IntArray) -> FloatArray:
    """Stack Lambdas, (k, k) or those of J measures side by side, in the formula's order."""
    parts = [np.split(each, each.shape[1] // len(each), axis=1) for each in matrices]
    return np.concatenate([_in_order(list(part), order) for part in zip(*parts, strict=True)], axis=2)


def _instruments(estimation: Estimation) -> InstrumentFacts | None:
    """Tests of the instruments in all splits."""
    tests = estimation.instruments
    if not tests:
        return None
    return InstrumentFacts(
        endogenous=tests[0].endogenous,
        f=np.stack([each.f for each in tests]),
        df=np.array(tests[0].df),
        over=np.array([each.over for each in tests]),
        over_df=tests[0].over_df,
    )


def facts_of(analysis: Analysis, estimation: Estimation) -> SampleFacts:
    """The rows behind an estimation."""
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
        label_across=None if sample.across is None else sample.across[sample.labeled],
        n_across=None if sample.across is None else int(sample.across.max()) + 1,
        fingerprint=sample.fingerprint,
        row_weight=sample.row_weight,
        effective_rows=None if sample.row_weight is None else float(kish(sample.row_weight)),
        n_trained=int(sample.trained.sum()),
        trained=sample.trained if sample.trained.any() else None,
        looked=analysis.looked,
    )


def _small_sample(analysis: Analysis, estimation: Estimation, vcov: str) -> float:
    # the rank of the fixed effects costs a decomposition, and only these factors count it among the parameters
    corrected = vcov in ("HC1", "CR1")
    absorbed = estimation.absorbed_rank
    if absorbed is None:
        absorbed = Blocks(analysis.design, analysis.sample).absorbed_rank if corrected else 0
    k = len(analysis.places) + absorbed
    counts = [estimation.n_clusters, None if analysis.sample.across is None else int(analysis.sample.across.max()) + 1]
    # of clusters in two ways the fewer
    fewest = min((count for count in counts if count is not None), default=None)
    return small_sample_factor(vcov, n=estimation.n, k=k, n_clusters=fewest)
