"""What the labels so far tell about where the next ones are needed."""

from dataclasses import dataclass, field

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.sums import Problem
from dsl.estimators.blocks import Blocks
from dsl.exceptions import EstimationError, SingularJacobianError
from dsl.learners.crossfit import cross_predict
from dsl.sampling.adaptive.archive import Population
from dsl.sampling.adaptive.probabilities import shrunk_errors
from dsl.sampling.design import LabelDesign
from dsl.sampling.influence import Pilot, influence_variances


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the labels so far say about where labels tell most."""

    variance: FloatArray = field(repr=False)
    """(N, c) expected squared influence of each row's error on each coefficient aimed at."""
    rho: dict[str, float]
    """How far the expected errors of each predicted variable were drawn towards their mean."""
    note: str
    """What went otherwise than planned, usually empty."""


def evidence_of(people: Population, gold: FloatArray, design: LabelDesign) -> Evidence:
    """Fit the analysis and the error model to the labels so far.

    Parameters
    ----------
    people : Population
    gold : (N, q) array
        Gold labels, NaN where there are none.
    design : LabelDesign
        The rows labelled, and each row's probability of that.

    Raises
    ------
    EstimationError
        The labels are too few for the analysis, or all in one fold.
    """
    settings = people.settings
    pilot, note = _pilot(people, gold, design)
    known = pilot.predictions
    # (q,) predicted variables with 0/1 labels: p (1 - p) is what the squared error should be if p is right
    binary = np.isin(pilot.analysis.gold.to_numpy(), (0.0, 1.0)).all(axis=0)
    doubt = known[:, binary] * (1.0 - known[:, binary])
    # squared errors (n, q) regressed on features, predictions and doubt, each fold predicted from the others
    learnt = cross_predict(
        np.hstack([pilot.sample.features, known, doubt]),
        pilot.errors,
        pilot.sample.labeled,
        people.folds[None, :],
        sl_method=settings.error_model,
        family="gaussian",
        seed=settings.seed,
        groups=pilot.sample.cluster,
    ).predictions[0]
    # positions (n,) of the labelled rows among all
    past = np.flatnonzero(pilot.sample.labeled)
    errors, rho = np.empty_like(learnt), {}
    for j, name in enumerate(settings.predicted):
        errors[:, j], rho[name] = shrunk_errors(
            learnt[:, j],
            past=past,
            observed=pilot.errors[:, j],
            weight=1.0 / pilot.prob[past],
            robust=settings.robust,
        )
    return Evidence(variance=influence_variances(pilot, errors, people.chosen), rho=rho, note=note)


def _pilot(people: Population, gold: FloatArray, labels: LabelDesign) -> tuple[Pilot, str]:
    """The analysis at the labels so far, predictions of each fold learnt from the others."""
    settings, names = people.settings, people.settings.predicted
    analysis = people.analysis(gold, labels)
    sample = analysis.sample
    _check_folds(people.folds, sample.labeled)
    values = gold[sample.labeled]
    predictions = cross_predict(
        sample.features,
        values,
        sample.labeled,
        people.folds[None, :],
        sl_method=settings.sl_method,
        family=settings.family,
        seed=settings.seed,
        texts=sample.texts,
        groups=sample.cluster,
    ).predictions[0]
    (blocks,), order = analysis.blocks(), analysis.order
    # at the cross-fitted predictions: a row's own label moves no prediction of its own
    fit, note = _fit(blocks, dict(zip(names, predictions.T, strict=True)), analysis.problem())
    return Pilot(
        names=people.names,
        params=fit.params[order],
        # the Jacobian of the mean moment (k, k): that of the sum over N
        inverse=_inverse(fit.jacobian[np.ix_(order, order)] / len(people)),
        analysis=analysis,
        predictions=predictions,
        errors=(predictions[sample.labeled] - values) ** 2,
        label_scores=fit.label_scores[:, order],
    ), note


def _inverse(jacobian: FloatArray) -> FloatArray:
    try:
        # one inverse serves all N rows and all coefficients. Rows of it are the h in x_i'h
        inverse = np.linalg.inv(jacobian)
    except np.linalg.LinAlgError:
        inverse = np.full_like(jacobian, np.nan)
    if not np.isfinite(inverse).all():
        raise SingularJacobianError("the Jacobian cannot be inverted at the labels so far")
    return np.asarray(inverse)


def _check_folds(folds: IntArray, labeled: BoolArray) -> None:
    if len(np.unique(folds[labeled])) < 2:
        raise EstimationError("all labelled rows are in one fold, so that no learner can be cross-fitted")


def _fit(blocks: Blocks, values: dict[str, FloatArray], problem: Problem) -> tuple[SplitFit, str]:
    """Design-adjusted fit, or, where the labels are too few, the fit to predictions alone, which aims nearly as well."""
    try:
        return fit_split(blocks.dsl(values), problem), ""
    except EstimationError as error:
        fit = fit_split(blocks.naive([blocks.version(values)]), problem)
        return fit, f"aimed by the predictions alone ({type(error).__name__})"
