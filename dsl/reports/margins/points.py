"""Where marginal effects are taken: on rows, or at typical values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.formula.sides import CovariateSpec
from dsl.data.tables import to_pandas
from dsl.estimators.again import analysis_of
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.margins.variables import Variable

CHUNK = 32_768
"""Rows whose design matrices are made at a time."""
MOST_COMBINATIONS = 10_000
"""Combinations of categories whose shares make a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows that effects are averaged over."""

    frame: pd.DataFrame = field(repr=False)
    """Variables of the right-hand side."""
    weight: FloatArray = field(repr=False)
    """(n,)"""
    prob: FloatArray | None = field(repr=False)
    """(n,) their probabilities of being drawn, where they are the labelled ones."""

    @property
    def words(self) -> str:
        """Which rows these are."""
        if self.prob is None:
            return f"{len(self.frame):,} rows"
        return f"{len(self.frame):,} labelled rows, weighted"


def rows_of(fit: Fit, data: object) -> Rows:
    """The rows of the fit, or the labelled ones where a covariate is predicted: only these show its values."""
    analysis = analysis_of(fit, data)  # type: ignore[arg-type]
    sample = analysis.sample if fit.estimator.uses_surrogates else analysis.sample.as_stated()
    spec = fit.predictor.spec
    frame = to_pandas(sample.data, list(spec.required))
    counted = np.ones(len(frame)) if sample.row_weight is None else sample.row_weight
    if not set(fit.call.predicted_var) & set(spec.required):
        return Rows(frame=frame, weight=counted, prob=None)
    if not fit.whole:
        raise ArgumentError(
            "remove_data() dropped the labelled rows' scores, which say how the average over predicted covariates goes with the "
            "estimates; take marginal effects before that"
        )
    labeled = sample.labeled
    weight = sample.weight * counted[labeled]
    return Rows(frame=frame[labeled], weight=weight, prob=sample.sample_prob[labeled])


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Rows at which a prediction is taken, with their design matrix."""

    frame: pd.DataFrame = field(repr=False)
    """(c,) as they go into the formula."""
    shares: FloatArray | None = field(repr=False, default=None)
    """(1, c) what makes one row of the design matrix of them, or None for themselves."""

    def mixed(self, columns: FloatArray) -> FloatArray:
        """Columns on the rows (c, ...) as the prediction has them."""
        return columns if self.shares is None else self.shares @ columns

    def design(self, spec: CovariateSpec, frame: pd.DataFrame) -> tuple[FloatArray, FloatArray | None]:
        """Design matrix and offset, with `frame` in the place of the point's own."""
        offset = spec.offset(frame)
        return self.mixed(spec.columns(frame)), None if offset is None else self.mixed(offset)


def points(rows: Rows, at: str, every: Mapping[str, Variable], fixed: Mapping[str, object]) -> Iterator[Point]:
    """The rows in parts, or one point at typical values.

    Parameters
    ----------
    rows : Rows
        With the variables in `fixed` at their one value.
    at : {"overall", "all", "mean", "median", "zero"}
    every : mapping of str to Variable
        All variables of the right-hand side.
    fixed : mapping of str to object
        Values that were given.
    """
    if at in ("overall", "all"):
        for start in range(0, len(rows.frame), CHUNK):
            yield Point(frame=rows.frame.iloc[start : start + CHUNK].reset_index(drop=True))
        return
    own = [each for each in every.values() if each.name not in fixed]
    mixed = [each for each in own if at == "mean" and each.coded]
    count = int(np.prod([len(each.levels) for each in mixed]))
    if count > MOST_COMBINATIONS:
        raise ArgumentError(
            f"at='mean' mixes {count:,} combinations of categories, and {MOST_COMBINATIONS:,} are the most; use at='overall', or "
            "set some by atexog"
        )
    columns = {name: rows.frame[name].iloc[:1] for name in fixed}
    columns |= {each.name: _typical(rows, at, each) for each in own if each not in mixed}
    once = np.zeros(count, dtype=np.int64)
    frame = pd.DataFrame({name: column.iloc[once].reset_index(drop=True) for name, column in columns.items()})
    shares = np.ones(count)
    # (combinations, categories)
    chosen = np.array(list(product(*(range(len(each.levels)) for each in mixed))), dtype=np.int64)
    for j, each in enumerate(mixed):
        frame[each.name] = each.examples_of(chosen[:, j])
        shares *= _shares(rows, each)[chosen[:, j]]
    yield Point(frame=frame, shares=shares[None, :] if mixed else None)


def _typical(rows: Rows, at: str, variable: Variable) -> pd.Series:
    """The value of a variable at a typical point, alone in a column."""
    column = rows.frame[variable.name]
    if variable.kind == "date":
        raise ArgumentError(f"'{variable.name}' holds dates, which at='{at}' has no value for; set one by atexog")
    if variable.coded:
        place = 0 if at == "zero" else int(_shares(rows, variable).argmax())
        return variable.examples_of(np.array([place]))
    values = column.to_numpy(dtype=float)
    typical = {"mean": _mean, "median": _median}
    return pd.Series([typical[at](values, rows.weight) if at in typical else 0.0], name=variable.name)


def _shares(rows: Rows, variable: Variable) -> FloatArray:
    """Weighted share of each level, (levels,)."""
    assert variable.examples is not None
    column = rows.frame[variable.name]
    found = np.array([rows.weight[(column == value).to_numpy()].sum() for value in variable.examples])
    return np.asarray(found / found.sum())


def _mean(values: FloatArray, weights: FloatArray) -> float:
    return float(weights @ values / weights.sum())


def _median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    # between two values where exactly half lies below
    middle = [int(np.searchsorted(below, 0.5 - 1e-12)), int(np.searchsorted(below, 0.5 + 1e-12))]
    return float(values[order[middle]].mean())
