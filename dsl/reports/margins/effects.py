"""From a fit to the marginal effects of its variables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import Names, as_names, check_choice, check_flags
from dsl.data.formula.rlang.matrix import check_finite
from dsl.data.tables import TableLike
from dsl.engine.margins import Mean, RowEffects, change_effects, delta_covariance, drawn_average, slope_effects
from dsl.engine.models.linear import LINEAR
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.margins.points import Point, Rows, points, rows_of
from dsl.reports.margins.results import METHODS, MarginalEffects
from dsl.reports.margins.variables import Variable, chosen_variables, column_slopes, find_variables, set_values
from dsl.reports.predictions import mean_function

AT = ("overall", "mean", "median", "zero", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is differentiated, and how."""

    fit: Fit
    mean: Mean | None
    method: str

    @property
    def log(self) -> bool:
        """Whether effects are on the logarithm of the mean."""
        return self.method.startswith("ey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Effects at one point, or on a part of the rows."""

    effect: FloatArray = field(repr=False)
    """(n, m)"""
    gradient: FloatArray = field(repr=False)
    """(m, k) of their weighted sum."""


def marginal_effects(
    fit: Fit,
    data: TableLike,
    *,
    at: str = "overall",
    method: str = "dydx",
    atexog: Mapping[str, object] | None = None,
    dummy: bool = True,
    count: bool = False,
    variables: Names | None = None,
) -> MarginalEffects:
    """Marginal effects of a fit's variables. See ``fit.get_margeff``."""
    check_choice("at", at, AT)
    check_choice("method", method, METHODS)
    check_flags(dummy=dummy, count=count)
    task = Task(fit=fit, mean=_mean(fit, method), method=method)
    rows = rows_of(fit, data)
    every = find_variables(fit.predictor.spec, rows.frame, dummy=dummy, count=count)
    chosen = chosen_variables(every, as_names(variables, "variables"), method)
    rows = replace(rows, frame=set_values(rows.frame, atexog, fit.predictor.spec.required))
    labels = tuple(label for each in chosen for label in each.labels)
    effects, gradient = _collect(task, rows, at, every, chosen, atexog or {})
    fixed = MarginalEffects(
        terms=labels,
        outcomes=fit.predictor.columns("mean"),
        margeff=np.empty(0),
        cov=None,
        df=np.full(gradient.shape[0], np.inf),
        method=method,
        at=at,
        rows=rows.words,
        outcome=fit.outcome,
    )
    return _finished(fixed, fit, rows, effects, gradient)


def _mean(fit: Fit, method: str) -> Mean | None:
    """The mean as a function of the linear predictors, None for the identity."""
    if fit.call.index and fit.model.link is LINEAR and method.startswith("dy"):
        return None  # a difference of means is free of the absorbed effects
    return mean_function(fit)


def _collect(
    task: Task,
    rows: Rows,
    at: str,
    every: Mapping[str, Variable],
    chosen: Sequence[Variable],
    fixed: Mapping[str, object],
) -> tuple[FloatArray, FloatArray]:
    """Effects on all points (n, v, m), and the gradient of their weighted sum (m v, k), by outcome first."""
    # a typical point counts in full
    share = rows.weight / rows.weight.sum() if at in ("overall", "all") else np.ones(1)
    effects, gradient, start = [], [], 0
    for point in points(rows, at, every, fixed):
        found = [each for variable in chosen for each in _of_variable(task, point, variable, share[start:])]
        effects.append(np.stack([each.effect for each in found], axis=1))
        gradient.append(np.stack([each.gradient for each in found], axis=1))
        start += len(point.frame)
    total = np.sum(gradient, axis=0)
    return np.concatenate(effects), total.reshape(-1, total.shape[-1])


def _of_variable(task: Task, point: Point, variable: Variable, share: FloatArray) -> Iterator[Found]:
    """The effects of a variable: one, or one of each level but the first."""
    if not variable.discrete and variable.kind != "count":
        yield _slope(task, point, variable, share)
        return
    if variable.kind == "count":
        values = point.frame[variable.name].to_numpy(dtype=float)
        sides = [point.frame.assign(**{variable.name: values + step}) for step in (1.0, -1.0)]
        yield _change(task, point, sides[0], sides[1], share, 0.5)
        return
    n = len(point.frame)
    first, *others = (
        point.frame.assign(**{variable.name: variable.examples_of(np.full(n, level))})
        for level in range(len(variable.levels))
    )
    for other in others:
        yield _change(task, point, other, first, share, 1.0)


def _slope(task: Task, point: Point, variable: Variable, share: FloatArray) -> Found:
    predictor, params = task.fit.predictor, task.fit.params
    x, offset = _design(task, point, point.frame)
    columns, part = column_slopes(predictor.spec, point.frame, variable)
    dx, none = point.mixed(columns), np.zeros((1, columns.shape[1]))
    rise = predictor.linear(params, dx, None if part is None else point.mixed(part)) - predictor.linear(params, none)
    eta = predictor.linear(params, x, offset)
    found = slope_effects(task.mean, eta, rise, log=task.log)
    if task.method.endswith("ex"):
        factor = point.mixed(point.frame[variable.name].to_numpy(dtype=float))
        found = RowEffects(
            effect=found.effect * factor[:, None], parts=tuple(part * factor[:, None, None] for part in found.parts)
        )
    # a constant in a linear predictor (a threshold) has no slope: the gradient without columns is taken off again
    without = -_summed(task, np.zeros_like(dx), found.parts[1], share)
    return Found(effect=found.effect, gradient=_gradient(task, (x, dx), found, share) + without)


def _change(
    task: Task, point: Point, above: pd.DataFrame, below: pd.DataFrame, share: FloatArray, factor: float
) -> Found:
    predictor, params = task.fit.predictor, task.fit.params
    designs = [_design(task, point, frame) for frame in (above, below)]
    eta = [predictor.linear(params, x, offset) for x, offset in designs]
    found = change_effects(task.mean, *eta, log=task.log)
    gradient = _gradient(task, [x for x, _ in designs], found, share)
    return Found(effect=factor * found.effect, gradient=factor * gradient)


def _design(task: Task, point: Point, frame: pd.DataFrame) -> tuple[FloatArray, FloatArray | None]:
    spec = task.fit.predictor.spec
    x, offset = point.design(spec, frame)
    check_finite(x, spec.column_names, pd.RangeIndex(len(x)))
    return x, offset


def _gradient(task: Task, designs: Sequence[FloatArray], found: RowEffects, share: FloatArray) -> FloatArray:
    """Gradient of the weighted sum of the effects, (m, k)."""
    return np.asarray(
        sum(_summed(task, x, part, share) for x, part in zip(designs, found.parts, strict=True)),
    )


def _summed(task: Task, x: FloatArray, part: FloatArray, share: FloatArray) -> FloatArray:
    weighted = part * share[: len(x), None, None]
    return np.stack([task.fit.predictor.gradient(x, weighted[:, each]).sum(axis=0) for each in range(part.shape[1])])


def _finished(
    found: MarginalEffects, fit: Fit, rows: Rows, effects: FloatArray, gradient: FloatArray
) -> MarginalEffects:
    """Averages and covariance of effects on points (n, v, m)."""
    if not np.isfinite(effects).all():
        raise ArgumentError(
            f"method='{found.method}' needs fitted means above zero, and some of {found.outcome} with model='{fit.call.model}' "
            "are not"
            if found.method.startswith("ey")
            else f"the fitted means of {found.outcome} are not finite; look at fit.predict(which='linear')"
        )
    single = not found.outcomes
    if found.at == "all":
        return replace(found, margeff=effects[:, :, 0] if single else effects)
    # (n, m v), by outcome first, as the gradient has them
    flat = effects.transpose(0, 2, 1).reshape(len(effects), -1)
    drawn = rows.prob is not None and found.at == "overall"
    unit = fit.sample.label_cluster if drawn else None
    mean, parts = (rows.weight / rows.weight.sum()) @ flat if found.at == "overall" else flat[0], None
    scores = None
    if drawn:
        assert rows.prob is not None
        mean, parts = drawn_average(rows.weight, rows.prob, flat, unit)
        scores = fit.contributions() if fit.estimator.uses_labels else None
    return replace(
        found,
        margeff=mean if single else mean.reshape(len(found.outcomes), -1).T,
        cov=delta_covariance(gradient, fit.vcov, parts, rows.prob, scores, unit),
        df=fit.degrees_of_freedom(gradient) if fit.call.use_t else found.df,
    )
