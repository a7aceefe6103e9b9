"""What the learners of a score imputation see, and the values that it averages over."""

import numpy as np

from dsl._typing import FloatArray
from dsl.data.kinds import as_float
from dsl.estimators.analysis import Analysis
from dsl.learners.distribution import Support, find_support


def evidence_of(analysis: Analysis) -> FloatArray:
    """What the learners of a score imputation see: the features and the observed variables of the analysis, (N, p)."""
    columns = observed(analysis)
    # constant columns (the intercept) say nothing, and some learners divide by their spread
    return np.asarray(columns[:, np.ptp(columns, axis=0) > 0.0])


def observed(analysis: Analysis) -> FloatArray:
    """The same with constant columns."""
    design = analysis.design
    # blocks of columns with N rows. Any of them may be evidence: validity does not depend on what the learner sees.
    parts = [analysis.sample.features, design.covariates.fixed]
    if design.instruments is not None:
        parts.append(design.instruments.fixed)
    # an observed outcome tells about a predicted covariate
    if not design.outcome.predicted_index:
        parts.append(design.outcome_at({})[:, None])
    data = analysis.sample.data
    # variables that stand next to predicted ones only (as z in d:z) are in no fixed column
    numbers = [values for values in (as_float(data[name]) for name in design.beside) if values is not None]
    return np.hstack([*parts, *(values[:, None] for values in numbers)])


def support_of(analysis: Analysis) -> Support:
    """The values of the predicted variables over which moments are averaged."""
    design = analysis.design
    # a category that may come of any number (price > 100) does not need those that were seen
    coded = {*design.coded, *design.coded_outcome} - set(design.curved)
    return find_support(analysis.gold_to_learn, linear=design.linear, coded=sorted(coded), curved=design.curved)
