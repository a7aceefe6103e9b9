"""The one runner: from a call and its analysis to the frozen fit."""

from dataclasses import fields, replace

import numpy as np

from dsl._typing import Arguments, Record
from dsl.data.refusals import check_not_refused
from dsl.data.sample import Sample, notes_on_training
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3
from dsl.engine.level_sums import rank_of
from dsl.estimators.analysis import Analysis
from dsl.estimators.assemble import assemble, facts_of
from dsl.estimators.call import Call, Execution, Lost
from dsl.estimators.estimator import Estimation
from dsl.estimators.names import ESTIMATORS, known_estimator, resolve_tune, resolve_use_t, resolve_vcov
from dsl.estimators.options import OPTIONS, check_options, check_stages, plain_vcov, vcov_for
from dsl.estimators.records import SampleFacts
from dsl.estimators.result import Fit
from dsl.estimators.streaming import INSTEAD, Streaming
from dsl.exceptions import ArgumentError, EstimationError, NeedsAllRowsError
from dsl.learners.splits import notes_on_splits

FIXED = (
    "formula",
    "model",
    "predicted_var",
    "prediction",
    "pairs",
    "labeled",
    "sample_prob",
    "design",
    "cluster",
    "across",
    "weights",
    "index",
    "refusals",
    "text",
    "stages",
    "trained_on",
)
"""What decides the analysis: refits on the same rows cannot change it."""


ADVICE = "give columns units in which their values are neither huge nor tiny, label more rows, or take columns out of the formula"


def run(call: Call, analysis: Analysis, execution: Execution | None = None) -> Fit:
    """Fit the named estimator in every split and put the splits together.

    Raises
    ------
    EstimationError
        No estimate, or one that is not a number.
    """
    entry = ESTIMATORS[call.estimator]
    _check_left_out(call, analysis)
    analysis = replace(analysis, leave_out=call.leave_out, by_design=call.vcov in (BY_DESIGN, BY_DESIGN_HC3))
    check_stages(call)
    if not entry.uses_surrogates:
        analysis = analysis.as_stated()
    if entry.learns and call.refusals == "raise":
        sample = analysis.sample
        check_not_refused(sample.refused, sample.labeled, sample.labels)
    if entry.learns and call.folds is None:
        analysis = analysis.noted(notes_on_splits(call.learner, call.sample_split))
    if entry.uses_labels:
        analysis = analysis.noted(notes_on_training(analysis.sample))
    try:
        # what overflows or is undefined is found in the numbers themselves
        with np.errstate(all="ignore"):
            fit = assemble(analysis, entry.fit(analysis, call, execution or Execution()), call)
    except (np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError, OverflowError) as error:
        raise EstimationError(f"the computation broke down ({error}); {ADVICE}") from error
    _check_numbers(fit)
    return fit


def _check_left_out(call: Call, analysis: Analysis) -> None:
    """Raise ArgumentError where a covariance would leave units out of absorbed fixed effects."""
    if analysis.absorbed and call.leave_out not in (None, "PRESS", BY_DESIGN_HC3):
        raise ArgumentError(
            f"vcov='{call.vcov}' does not leave units out of absorbed fixed effects (model='{call.model}'); write them as "
            f"dummies where the model can have them ('y ~ x + factor(unit)'), or use {plain_vcov(call.cluster)}"
        )


def run_streaming(call: Call, streaming: Streaming, execution: Execution) -> Fit:
    """As `run`, for rows that come in blocks.

    Raises
    ------
    NeedsAllRowsError
        The estimator needs all rows at once.
    """
    entry = ESTIMATORS[call.estimator]
    if entry.streamed is None:
        able = ", ".join(f"'{each.name}'" for each in ESTIMATORS.values() if each.streamed is not None)
        raise NeedsAllRowsError(
            f"estimator='{call.estimator}' cannot be had yet where data are read in blocks; use {able}, or {INSTEAD}"
        )
    _check_left_out(call, streaming.analysis)
    analysis = replace(streaming.analysis, leave_out=call.leave_out, by_design=call.vcov in (BY_DESIGN, BY_DESIGN_HC3))
    if entry.learns and call.folds is None:
        analysis = analysis.noted(notes_on_splits(call.learner, call.sample_split))
    streaming = replace(streaming, analysis=analysis)
    try:
        with np.errstate(all="ignore"):
            estimation = entry.streamed(streaming, call, execution)
            if analysis.absorbed and call.vcov in ("HC1", "CR1"):
                rank = rank_of(streaming.scan.absorbed, streaming.scan.n_levels)
                estimation = replace(estimation, absorbed_rank=rank)
            fit = assemble(streaming.analysis, estimation, call, streamed_facts(streaming, estimation))
    except (np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError, OverflowError) as error:
        raise EstimationError(f"the computation broke down ({error}); {ADVICE}") from error
    _check_numbers(fit)
    return fit


def streamed_facts(streaming: Streaming, estimation: Estimation) -> SampleFacts:
    """The rows behind an estimation, without anything of length N, as after ``remove_data()``."""
    own, sample, found = facts_of(streaming.analysis, estimation), streaming.analysis.sample, streaming.scan
    prob = sample.sample_prob
    if found.prob is not None and not sample.equal_prob:
        low, high, total = found.prob
        prob = np.array([low, high]) * (len(found.gold_rows) / total)
    return replace(
        own,
        nobs=found.rows,
        labels=own.labels[:0],
        labeled=own.labeled[:0],
        sample_prob=np.array([prob.min(), prob.max()]),
        row_weight=None,
        effective_rows=found.effective_rows,
    )


def _check_numbers(fit: Fit) -> None:
    """Raise EstimationError unless every number of the fit is one."""
    variance = np.diag(fit.vcov)
    bad = ~(np.isfinite(fit.params) & np.isfinite(fit.vcov).all(axis=1) & (variance >= 0.0) & np.isfinite(fit.df))
    if bad.any():
        names = ", ".join(f"'{name}'" for name, each in zip(fit.names, bad, strict=True) if each)
        raise EstimationError(f"no finite estimate and variance of {names} can be computed; {ADVICE}")
    # all of a finite population labelled: nothing is random
    known = fit.call.target == "finite" and fit.n_labeled == fit.nobs
    if (variance == 0.0).all() and not known:
        raise EstimationError(
            "all standard errors are zero: the outcome or its predictions are the same in all rows, or follow from the "
            "covariates without any error; look for a mistake in coding them"
        )


def rerun(fit: Fit, analysis: Analysis, arguments: Arguments, execution: Execution | None = None) -> Fit:
    """Another estimator, or other options, on the rows, folds and probabilities of a fit.

    Parameters
    ----------
    fit : Fit
    analysis : Analysis
        The fit's (`dsl.estimators.again.analysis_of`).
    arguments : mapping
        Arguments of ``dsl.dsl`` that differ from the fit's call.
    execution : Execution, optional
    """
    call = changed(fit, arguments, analysis.sample)
    return run(call, replace(analysis, finite=call.target == "finite"), execution)


def changed(fit: Fit, arguments: Arguments, sample: Sample | None = None) -> Call:
    """The fit's call with other arguments, on its folds. Those of rows in blocks follow from the call.

    Raises
    ------
    ArgumentError
        An argument is unknown, or decides which rows are analysed.
    """
    own, known = fit.call, [each.name for each in fields(Call)]
    for name in arguments:
        if name not in known or name in FIXED:
            free = ", ".join(each for each in known if each not in FIXED)
            raise ArgumentError(f"'{name}' cannot be changed on the rows of a fit; what can be is {free}")
    estimator = str(arguments.get("estimator", own.estimator))
    known_estimator(estimator)
    tune = resolve_tune(estimator, arguments.get("tune"))
    # only what the user asked for counts. Where the fit has its estimator's default, the other has its own
    asked = None if own.use_t == resolve_use_t(own.estimator, own.tune) else own.use_t
    settled: Record = {
        "estimator": estimator,
        "tune": tune,
        "use_t": resolve_use_t(estimator, tune, arguments.get("use_t", asked)),
    }
    if "vcov" not in arguments:
        target = str(arguments.get("target", own.target))
        usual = resolve_vcov(own.estimator, own.tune, own.target, across=own.across)
        kept = None if own.vcov == usual else vcov_for(own.vcov, estimator=estimator, target=target, tune=tune)
        settled["vcov"] = resolve_vcov(estimator, tune, target, kept, own.across)
    if ESTIMATORS[own.estimator].several:
        # all predictions stand for the variable, of which others take the first
        settled["pairs"] = own.surrogates
    if sample is not None and fit.splits.folds is not None and "folds" not in arguments:
        # folds are given for the rows of the data: those that were left out get any number, as nobody looks at it
        folds = np.zeros((len(fit.splits.folds), sample.n_input), dtype=np.int64)
        folds[:, sample.rows] = fit.splits.folds
        settled["folds"] = folds
    call = replace(own, **{**arguments, **settled})
    learner = "auto" if isinstance(call.sl_method, Lost) else call.sl_method  # whoever needs a lost one says so
    check_options(**{**{name: getattr(call, name) for name in OPTIONS}, "sl_method": learner})
    return call
