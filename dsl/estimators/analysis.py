"""What every estimator works on: checked rows and design matrices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import pair_surrogates, warn_caller
from dsl.data.columns import Columns
from dsl.data.formula.matrices import Design, ParsedFormula, build_each, parse
from dsl.data.messages import rows_left_out
from dsl.data.sample import Sample, prepare
from dsl.data.tables import column_names, first_rows
from dsl.engine.intervals import kish
from dsl.engine.moments import LINEAR, LOGISTIC, Link
from dsl.engine.sums import Problem
from dsl.estimators.blocks import Blocks
from dsl.exceptions import AllLabeledWarning, ArgumentError, DroppedRowsWarning, FewLabelsWarning, OutcomeError


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


MODELS = {"lm": LINEAR, "logit": LOGISTIC, "felm": LINEAR}


EFFECTIVE_LABELS = 30
"""Kish's effective size of the labelled sample below which normal intervals are doubtful."""


def _prepared(data: Any, columns: Columns, parsed: ParsedFormula, *, model: str, design: Any, finite: bool) -> Analysis:
    """Checked rows and design matrices."""
    sample = prepare(data, columns, design)
    _warn_about(sample, columns)
    absorbed = bool(columns.absorbed)
    designs, levels = build_each(parsed, sample.data, sample.labeled, columns.predicted, absorbed=absorbed)
    for each in designs:
        _check_outcome(each, sample, model)
    _check_size(designs[0], sample)
    return Analysis(
        sample=sample,
        designs=designs,
        outcome=parsed.outcome_name if levels else designs[0].outcome.names[0],
        levels=levels,
        link=MODELS[model],
        predicted=columns.predicted,
        absorbed=absorbed,
        finite=finite,
    )


def _warn_about(sample: Sample, columns: Columns) -> None:
    """Warnings about the labelled sample; each is shown at the caller's line."""
    if sample.n_input > len(sample.data):
        warn_caller(
            DroppedRowsWarning,
            f"{rows_left_out(sample.n_input, len(sample.data), sample.dropped)}. Fill them, or leave these rows out "
            "yourself, to silence this",
        )
    if sample.labeled.all():
        warn_caller(
            AllLabeledWarning, "every row is labelled: predictions are not used, this is an ordinary regression"
        )
    weight = sample.weight
    effective = float(kish(weight))
    if effective < EFFECTIVE_LABELS:
        uneven = "" if sample.equal_prob else f" (the weights vary from {weight.min():.3g} to {weight.max():.3g})"
        warn_caller(
            FewLabelsWarning,
            f"{sample.n_labeled} labelled rows count for only {effective:.1f}{uneven}: intervals that rely on large "
            f"samples may be too short; label more rows{', with less uneven probabilities' if uneven else ''}",
        )


def _check_size(design: Design, sample: Sample) -> None:
    if len(design.block_names) >= sample.n_labeled:
        warn_caller(
            FewLabelsWarning,
            f"{len(design.block_names)} coefficients rest on {sample.n_labeled} labelled rows: their standard errors cannot "
            "be trusted; label more rows, or take columns out of the formula",
        )


def _check_outcome(design: Design, sample: Sample, model: str) -> None:
    name = design.outcome.names[0]
    fixed = design.outcome.fixed
    values = design.gold_outcome if fixed is None else fixed[:, 0]
    rows = np.flatnonzero(sample.labeled) if design.outcome.predicted_index else np.arange(len(values))
    if np.ptp(values) == 0.0:
        which = f"{len(rows)} labelled" if design.outcome.predicted_index else f"{len(rows)}"
        raise OutcomeError(
            f"the outcome '{name}' is {values[0]:g} in all {which} rows: "
            "there is nothing to explain; label more rows, or look for a mistake in coding it"
        )
    if model != "logit":
        return
    bad = (values < 0.0) | (values > 1.0)
    if bad.any():
        found = ", ".join(f"{value:g}" for value in np.unique(values[bad])[:4])
        raise OutcomeError(
            f"model='logit' needs an outcome of 0 and 1 (or shares between them); '{name}' is {found} in "
            f"{first_rows(bad, sample.labels[rows])}. Recode it, or use model='lm'"
        )


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
