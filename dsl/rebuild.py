"""A fit's analysis again, from its call and its data: what results do not keep.

Results hold the call, folds, predictions and sums over rows, but no rows. Whoever needs rows passes the data again; they
are checked against the fit, so that other data are refused rather than mixed with its predictions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.analysis import Analysis, evidence_of
from dsl.api import MODELS
from dsl.arguments import pair_surrogates
from dsl.engine import Problem
from dsl.exceptions import ArgumentError
from dsl.formula import Design, build_each, parse
from dsl.frame import Columns, Sample, prepare
from dsl.imputation import Distribution, Support, cross_fit_distribution, find_support
from dsl.learners import available_method
from dsl.moments import Block
from dsl.surrogates import raw_versions
from dsl.tables import column_names, is_category

ROUNDING = 1e-9
"""Relative difference of probabilities that were rescaled once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """Columns, rows, designs and moment problem of a fit."""

    columns: Columns
    analysis: Analysis
    problem: Problem
    """For scores over a superpopulation, whatever the target."""
    pairs: Mapping[str, tuple[str, ...]]
    """Which surrogates stand for which predicted variable, where that is known."""

    @property
    def sample(self) -> Sample:
        """Rows of the analysis."""
        return self.analysis.sample

    @property
    def design(self) -> Design:
        """Design of the first equation."""
        return self.analysis.design

    @property
    def places(self) -> IntArray:
        """Positions that bring the coefficients of one equation from the formula's order into the block's; (k,)."""
        part = self.design.covariates
        return np.array([*part.fixed_index, *part.predicted_index], dtype=np.int64)


def rebuild(fit: Any, data: Any, *, predicted_var: Any = None, design: Any = None) -> Rebuilt:
    """The analysis of `fit`.

    Parameters
    ----------
    fit : DSLResults
        Of any estimator and target.
    data : data frame
        The data that it was fitted to.
    predicted_var : dict, optional
        Which surrogate stands for which predicted variable, where names in the same order do not tell.
    design : LabelDesign, optional
        The fit's, if it had one. Without it the probabilities are the fit's; strata and units are not known.

    Raises
    ------
    ArgumentError
        `data` are not those of the fit.
    """
    spec = fit.specification
    predicted, _, pairs = pair_surrogates(_with_pairs(spec, predicted_var), list(spec.prediction) or None)
    formula = fit.model._predictor.spec
    known = [name for name in column_names(data) if name in {*formula.columns_used, *spec.index}]
    parsed = parse(spec.formula, known, formula.functions)
    columns = Columns(
        formula=parsed.variables,
        predicted=predicted,
        prediction=spec.prediction,
        feature=spec.feature,
        sample_prob=None if design is not None else spec.sample_prob,
        cluster=spec.cluster,
        absorbed=spec.index,
    )
    sample = _checked(prepare(data, columns, design), fit)
    absorbed = bool(columns.absorbed)
    designs, levels = build_each(parsed, sample.data, sample.labeled, columns.predicted, absorbed=absorbed)
    analysis = Analysis(
        sample=sample,
        designs=designs,
        outcome=parsed.outcome_name if levels else designs[0].outcome.names[0],
        levels=levels,
        link=MODELS[spec.model],
        predicted=columns.predicted,
        absorbed=absorbed,
        finite=spec.target == "finite",
    )
    if len(fit.model.exog_names) != len(designs) * len(designs[0].block_names):
        raise ArgumentError(
            f"these are not the data of the fit: its formula now makes {len(designs) * len(designs[0].block_names)} "
            f"coefficients, and it had {len(fit.model.exog_names)}"
        )
    return Rebuilt(columns=columns, analysis=analysis, problem=analysis.problem(labeling=None), pairs=pairs)


def _with_pairs(spec: Any, predicted_var: Any) -> Any:
    """The predicted variables, with their surrogates where the caller says which they are."""
    if predicted_var is None:
        return list(spec.predicted_var)
    if not isinstance(predicted_var, Mapping) or set(map(str, predicted_var)) != set(spec.predicted_var):
        raise ArgumentError(
            f"predicted_var must name the surrogate of each predicted variable of the fit, as in "
            f"{{'{spec.predicted_var[0]}': 'its_prediction'}}; found {predicted_var!r}"
        )
    return {name: predicted_var[name] for name in spec.predicted_var}


def _checked(sample: Sample, fit: Any) -> Sample:
    """The sample with the fit's probabilities; raises ArgumentError unless its rows are the fit's."""
    facts = fit.sample
    if len(sample.data) != facts.nobs or sample.n_labeled != facts.n_labeled:
        raise ArgumentError(
            f"these are not the data of the fit: {len(sample.data)} rows with {sample.n_labeled} labelled, but the fit "
            f"used {facts.nobs} with {facts.n_labeled}"
        )
    if len(facts.labeled) != facts.nobs:  # remove_data()
        return sample
    if not np.array_equal(facts.labeled, sample.labeled):
        raise ArgumentError(
            f"these are not the data of the fit: {int((facts.labeled != sample.labeled).sum())} rows are labelled in one and "
            "not in the other (sorted anew?); pass the table that was fitted"
        )
    if np.allclose(facts.sample_prob, sample.sample_prob, rtol=ROUNDING, atol=0.0):
        return sample
    prob = facts.sample_prob
    labeling = replace(sample.labeling, prob=prob[sample.labeled], fixed_size=facts.equal_prob)
    return replace(sample, sample_prob=prob, equal_prob=facts.equal_prob, labeling=labeling)


def split_blocks(fit: Any, rebuilt: Rebuilt, *, sl_method: Any = None) -> Iterator[list[Block]]:
    """What the fit solved in each split: a block for each equation.

    Parameters
    ----------
    fit : DSLResults
    rebuilt : Rebuilt
    sl_method
        The fit's learner, where joint probabilities of several predicted categories must be learnt again and its name does
        not tell.

    Raises
    ------
    ArgumentError
        ``remove_data()`` dropped the predictions, or the learner is not known.
    """
    spec, analysis = fit.specification, rebuilt.analysis
    equations = analysis.blocks(tuned=spec.tune is not None)
    if spec.estimator == "gold_only":
        yield [blocks.gold_only() for blocks in equations]
    elif spec.estimator in ("naive", "cdi", "ppi", "ppi++"):
        raw = raw_versions(analysis, rebuilt.pairs, spec.estimator)
        for_all = spec.estimator == "naive"
        versions = [[blocks.version(*each) for each in raw] for blocks in equations]
        yield [(b.naive if for_all else b.adjusted)(own) for b, own in zip(equations, versions, strict=True)]
    elif fit.splits.predictions is None:
        raise ArgumentError("remove_data() dropped the fit's predictions, which this needs; use the fit before that")
    elif spec.estimator == "dsl+" or rebuilt.design.categorical:
        found = _distribution(fit, rebuilt, sl_method)
        for split in range(len(found.shares)):
            drawn = list(zip(found.values(split), found.probabilities(split), strict=True))
            yield [blocks.adjusted([blocks.version(*each) for each in drawn]) for blocks in equations]
    else:
        for predictions in fit.splits.predictions:
            values = dict(zip(analysis.predicted, predictions.T, strict=True))
            yield [blocks.dsl(values) for blocks in equations]


def _distribution(fit: Any, rebuilt: Rebuilt, sl_method: Any) -> Distribution:
    """The distribution of the predicted variables in every split: from the predictions if they say it all, else learnt again."""
    analysis, spec, splits = rebuilt.analysis, fit.specification, fit.splits
    gold = analysis.gold
    design = analysis.design
    support = find_support(gold, linear=design.linear, coded=design.covariates.coded)
    shares = _shares(support, gold, splits)
    if shares is None:
        evidence = evidence_of(analysis) if spec.estimator == "dsl+" else analysis.sample.features
        return cross_fit_distribution(
            support,
            gold,
            evidence,
            analysis.sample.labeled,
            splits.folds,
            family=spec.family,
            sl_method=learner_of(fit) if sl_method is None else sl_method,
            seed=spec.seed,
            groups=analysis.sample.cluster,
        )
    continuous = [splits.targets.index(name) for name in support.continuous]
    return Distribution(
        support=support,
        shares=shares,
        means=splits.predictions[:, :, continuous],
        labeled=analysis.sample.labeled,
        gold=gold[list(support.continuous)].to_numpy(dtype=float),
        learners=(),
        reasons=(),
    )


def _shares(support: Support, gold: pd.DataFrame, splits: Any) -> FloatArray | None:
    """Probabilities of the cells (S, N, C) where means and shares of single categories give them; else None."""
    cells = support.cells
    if len(cells) == 1:
        return np.ones((*splits.predictions.shape[:2], 1))
    if len(support.discrete) > 1:
        return None
    name = support.discrete[0]
    if is_category(gold[name]):
        places = [splits.targets.index(f"{name}[{level}]") for level in cells[name]]
        return np.asarray(splits.predictions[:, :, places])
    if len(cells) > 2:
        return None
    low, high = cells[name].to_numpy(dtype=float)
    second = (splits.predictions[:, :, splits.targets.index(name)] - low) / (high - low)
    return np.stack([1.0 - second, second], axis=2)


def learner_of(fit: Any) -> Any:
    """The fit's `sl_method`, as far as its name tells.

    Raises
    ------
    ArgumentError
        It was an estimator or a stack of the user's.
    """
    if any(fit.splits.learner_reasons) or not fit.splits.learners:
        return "auto"
    used = set(fit.splits.learners) - {"(one value)"}
    if len(used) == 1 and used <= set(available_method()["method"]):
        return used.pop()
    raise ArgumentError(
        f"the fit's learner, {', '.join(sorted(used))}, cannot be made again from its name; pass it once more, sl_method=..."
    )
