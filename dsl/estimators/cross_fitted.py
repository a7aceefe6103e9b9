"""Design-based supervised learning with cross-fitted predictions: ``dsl``, and ``dsl+`` (score imputation)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import as_rectangle
from dsl.data.kinds import as_float
from dsl.data.sample import Sample, check_folds_possible
from dsl.data.tables import is_category
from dsl.engine.blocks import Block, Version
from dsl.estimators.analysis import Analysis
from dsl.estimators.blocks import Blocks
from dsl.estimators.call import Call, Execution
from dsl.estimators.estimator import Estimation, Estimator
from dsl.estimators.evidence import evidence_of, support_of
from dsl.estimators.records import Splits
from dsl.estimators.splits import fit_splits
from dsl.estimators.stages import staged_of, staged_shares, staged_values
from dsl.estimators.streamed import stream_imputed, stream_means
from dsl.exceptions import ArgumentError
from dsl.learners.crossfit import Learning, check_folds, cross_predict, draw_folds
from dsl.learners.distribution import Distribution, Support, Targets, cross_fit_distribution
from dsl.learners.products import products_of, takes_products


def folds_of(sample: Sample, call: Call) -> IntArray:
    """Folds supplied by the user and checked, or drawn ones, (S, N)."""
    if call.folds is not None:
        return check_folds(as_rectangle(call.folds), sample.rows, sample.n_input, sample.judged, sample.cluster)
    check_folds_possible(sample.judged, sample.cluster, call.cross_fit)
    rng = np.random.default_rng(call.seed)
    return draw_folds(sample.judged, sample.cluster, cross_fit=call.cross_fit, sample_split=call.sample_split, rng=rng)


def fit_means(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """Moments at cross-fitted predictions. Those of categories and steps are averaged over cross-fitted probabilities."""
    if analysis.design.averaged:
        return _fit_distribution(analysis, call, execution, _seen(analysis, call))
    sample, folds = analysis.sample, folds_of(analysis.sample, call)
    options = _learning(analysis, call, execution)
    learnt = analysis.gold_numbers(sample.judged)
    fitted = cross_predict(_seen(analysis, call), learnt, sample.judged, folds, family=call.family, **options)
    targets = Targets(names=analysis.predicted, gold=analysis.gold_numbers(sample.labeled), cross_fit=fitted)
    equations = analysis.blocks(tuned=call.tune is not None)
    solved = fit_splits(analysis.problem(), _at_means(analysis, equations, fitted.predictions), call.tune)
    return Estimation.of(
        solved,
        n=len(sample.data),
        n_clusters=sample.n_clusters,
        folds=folds,
        targets=targets,
    )


def fit_imputed(analysis: Analysis, call: Call, execution: Execution) -> Estimation:
    """The moment averaged over the cross-fitted distribution of the predicted variables, given all that is observed."""
    return _fit_distribution(analysis, call, execution, _evidence(analysis, call))


def _seen(analysis: Analysis, call: Call) -> FloatArray:
    """What learners see: predictions and features, and products of predictions where the learner takes them, (N, p)."""
    return np.hstack([analysis.sample.features, _products(analysis, call)])


def _evidence(analysis: Analysis, call: Call) -> FloatArray:
    """The same with the observed variables of the analysis."""
    return np.hstack([evidence_of(analysis), _products(analysis, call)])


def _products(analysis: Analysis, call: Call) -> FloatArray:
    sample, width = analysis.sample, 0
    if takes_products(call.sl_method):
        columns = [sample.data[name] for name in dict.fromkeys(analysis.columns.prediction)]
        # predictions come first, categories as dummies without the first level
        width = sum(1 if as_float(each) is not None else each.nunique() - 1 for each in columns)
    return products_of(sample.features[:, :width])


def _fit_distribution(analysis: Analysis, call: Call, execution: Execution, features: FloatArray) -> Estimation:
    sample, gold, folds = analysis.sample, analysis.gold, folds_of(analysis.sample, call)
    options = _learning(analysis, call, execution)
    found = cross_fit_distribution(
        support_of(analysis), analysis.gold_to_learn, features, sample.judged, folds, family=call.family, **options
    )
    equations = analysis.blocks(tuned=call.tune is not None)
    solved = fit_splits(analysis.problem(), _imputed(equations, found), call.tune)
    return Estimation.of(
        solved,
        n=len(sample.data),
        n_clusters=sample.n_clusters,
        folds=folds,
        targets=found.targets(gold),
        averaged=found.support.size > 1,
    )


def _learning(analysis: Analysis, call: Call, execution: Execution) -> Learning:
    """What learners are told besides the data and the family."""
    return {
        "sl_method": call.learner,
        "seed": call.seed,
        "texts": analysis.sample.texts,
        "groups": analysis.sample.cluster,
        "n_jobs": execution.n_jobs,
        "progress": execution.progress,
    }


def _at_means(analysis: Analysis, equations: list[Blocks], predictions: FloatArray) -> Iterator[list[Block]]:
    """Blocks of every split, at predictions (S, N, q)."""
    # (N, q): one column for each predicted variable
    for split in predictions:
        values = dict(zip(analysis.predicted, split.T, strict=True))
        yield [blocks.dsl(values) for blocks in equations]


def _imputed(equations: list[Blocks], found: Distribution) -> Iterator[list[Block]]:
    """Blocks of every split, averaged over the distribution. What no split changes is evaluated once."""
    points: list[list[Version]] = []
    for split in range(len(found.shares)):
        # where nothing is continuous only probabilities differ between splits: the design matrices at the values serve
        # all
        if not points or not found.constant:
            values = staged_values(equations[0].sample, found.values(split))
            points = [[blocks.version(each) for each in values] for blocks in equations]
        sample, plain = equations[0].sample, found.probabilities(split)
        shares, staged = staged_shares(sample, plain), staged_of(sample, plain)
        yield [
            blocks.adjusted(
                [replace(point, share=share) for point, share in zip(own, shares, strict=True)], staged=staged
            )
            for blocks, own in zip(equations, points, strict=True)
        ]


def means_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """Blocks of `fit_means` from the predictions that a fit keeps."""
    if analysis.design.averaged:
        return _distribution_again(analysis, call, splits, _seen(analysis, call))
    return _at_means(analysis, analysis.blocks(tuned=call.tune is not None), _kept(splits))


def imputed_again(analysis: Analysis, call: Call, splits: Splits) -> Iterator[list[Block]]:
    """Blocks of `fit_imputed` from the predictions that a fit keeps."""
    return _distribution_again(analysis, call, splits, _evidence(analysis, call))


def _kept(splits: Splits) -> FloatArray:
    if splits.predictions is None:
        raise ArgumentError("remove_data() dropped the fit's predictions, which this needs; use the fit before that")
    return splits.predictions


def _distribution_again(analysis: Analysis, call: Call, splits: Splits, features: FloatArray) -> Iterator[list[Block]]:
    """From the predictions if they say it all. Several categories' joint probabilities are learnt again."""
    predictions, folds = _kept(splits), splits.folds
    assert folds is not None
    gold, labeled, support = analysis.gold_to_learn, analysis.sample.judged, support_of(analysis)
    shares = _shares(support, gold, splits, predictions)
    if shares is None:
        options = _learning(analysis, call, Execution())
        found = cross_fit_distribution(support, gold, features, labeled, folds, family=call.family, **options)
    else:
        continuous = [splits.targets.index(name) for name in support.continuous]
        found = Distribution(
            support=support,
            shares=shares,
            means=predictions[:, :, continuous],
            labeled=labeled,
            gold=gold[list(support.continuous)].to_numpy(dtype=float),
            learners=(),
            reasons=(),
        )
    return _imputed(analysis.blocks(tuned=call.tune is not None), found)


def _shares(support: Support, gold: pd.DataFrame, splits: Splits, predictions: FloatArray) -> FloatArray | None:
    """Probabilities of the cells (S, N, C) where means and shares of single categories give them, else None."""
    cells = support.cells
    # nothing discrete: one cell, for certain
    if len(cells) == 1:
        return np.ones((*predictions.shape[:2], 1))
    # the kept predictions are marginal, and the joint distribution of several variables does not follow from them
    if len(support.discrete) > 1:
        return None
    name = support.discrete[0]
    if is_category(gold[name]):
        places = [splits.targets.index(f"{name}[{level}]") for level in cells[name]]
        return np.asarray(predictions[:, :, places])
    if len(cells) > 2:
        return None
    # E[D] = low + (high - low) P(D = high), solved for the probability
    low, high = cells[name].to_numpy(dtype=float)
    second = (predictions[:, :, splits.targets.index(name)] - low) / (high - low)
    return np.stack([1.0 - second, second], axis=2)


DSL = Estimator(
    name="dsl",
    title="Design-based supervised learning",
    fit=fit_means,
    streamed=stream_means,
    blocks=means_again,
    words="Estimates are by design-based supervised learning (DSL; {DSL}): the model's moment equation is evaluated at "
    "cross-fitted predictions on all rows, and corrected by how far it is off on the labelled rows, weighted by the inverse of "
    "their probabilities of being labelled",
    learns=True,
)
DSL_PLUS = Estimator(
    name="dsl+",
    title="Design-based supervised learning with score imputation (dsl+)",
    fit=fit_imputed,
    streamed=stream_imputed,
    blocks=imputed_again,
    words="Estimates are by design-based supervised learning ({DSL}) with score imputation: the model's moment equation is "
    "averaged over the cross-fitted distribution of the predicted variables given the predictions, further features and the "
    "observed variables of the analysis, the augmentation of {RRZ}, and corrected by how far it is off on the labelled rows, "
    "weighted by the inverse of their probabilities of being labelled",
    learns=True,
    imputes=True,
    default_tune="coef",
)
