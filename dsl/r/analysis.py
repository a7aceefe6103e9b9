"""A fit's analysis again, from its call and its data: what results do not keep."""

from dataclasses import dataclass
from typing import Any

from dsl.engine import Problem
from dsl.exceptions import ArgumentError
from dsl.formula import Design, build, parse
from dsl.frame import Columns, Sample, prepare
from dsl.moments import LINEAR, LOGISTIC
from dsl.tables import column_names

LINKS = {"lm": LINEAR, "logit": LOGISTIC, "felm": LINEAR}


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Columns, rows, design and moment problem of a fit."""

    columns: Columns
    sample: Sample
    design: Design
    problem: Problem


def rebuild(fit: Any, data: Any) -> Rebuilt:
    """The analysis of `fit`.

    Raises
    ------
    ArgumentError
        `data` are not those of the fit.
    """
    spec = fit.specification
    single = {"sample_prob": spec.sample_prob, "cluster": spec.cluster}
    outside = {*spec.prediction, *spec.index, *filter(None, single.values())}
    parsed = parse(spec.formula, column_names(data), outside_dot=outside)
    columns = Columns(
        formula=parsed.variables,
        predicted=spec.predicted_var,
        prediction=spec.prediction,
        feature=spec.feature,
        absorbed=spec.index,
        **single,
    )
    sample = prepare(data, columns)
    if len(sample.data) != fit.nobs or sample.n_labeled != fit.n_labeled:
        raise ArgumentError(
            f"these are not the data of the fit: {len(sample.data)} rows with {sample.n_labeled} labelled, but the fit "
            f"used {fit.nobs} with {fit.n_labeled}"
        )
    design = build(parsed, sample.data, sample.labeled, columns.predicted, absorbed=bool(columns.absorbed))
    problem = Problem(
        link=LINKS[spec.model], names=design.block_names, cluster=sample.cluster, n_clusters=sample.n_clusters
    )
    return Rebuilt(columns, sample, design, problem)
