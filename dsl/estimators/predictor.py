"""Fitted means for new rows, from the covariate side of a formula without the analysis data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.arguments import check_choice
from dsl.data.columns import Columns, check_columns_exist
from dsl.data.formula.rlang.values import level_texts
from dsl.data.formula.sides import CovariateSpec
from dsl.data.messages import each_value
from dsl.data.tables import TableLike, as_numbers, column_names, first_rows, to_pandas
from dsl.engine.several import Several, predictors_at
from dsl.exceptions import ArgumentError, DataError

MISSING = ("raise", "nan")
"""What to do with rows to predict in which covariates are missing."""
WHICH = ("mean", "linear")
"""What can be predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """Rows to predict, as a design matrix."""

    x: FloatArray
    """(n, p) the columns of one equation, on the rows without missing values."""
    offset: FloatArray | None
    """(n,) sum of the formula's offsets, or None if there are none."""
    index: pd.Index
    """(N,) labels of all rows."""
    complete: BoolArray
    """(N,) the n rows without missing values."""

    def spread(self, values: FloatArray) -> FloatArray:
        """Values of the complete rows (n, ...) on all rows, NaN on the others, (N, ...)."""
        if self.complete.all():
            return values
        out = np.full((len(self.complete), *values.shape[1:]), np.nan)
        out[self.complete] = values
        return out


@dataclass(frozen=True, slots=True)
class Predictor:
    """Fitted means for new rows: the covariate side of a formula without the analysis data."""

    spec: CovariateSpec
    mean: Callable[[FloatArray], FloatArray] | None
    """Mean function of the linear predictor, elementwise, or None where only the linear predictor is known."""
    levels: tuple[str, ...] = ()
    """Categories of the outcome, each with its own parameters."""
    several: Several | None = None
    """The model on the formula's columns, where it has several linear predictors."""

    def __call__(
        self, params: FloatArray, data: TableLike, which: str, missing: str = "raise"
    ) -> pd.Series | pd.DataFrame:
        """Fitted means (``which="mean"``) or linear predictors (``"linear"``) of the rows of `data`, a column per category."""
        mean = self.function(which)
        rows = self.rows(data, missing)
        values = rows.spread(mean(self.linear(params, rows.x, rows.offset)))
        columns = self.columns(which)
        if columns:
            return pd.DataFrame(values, index=rows.index, columns=list(columns))
        return pd.Series(values[:, 0], index=rows.index)

    @property
    def has_means(self) -> bool:
        """Whether fitted means are known: not without the fixed effects."""
        return self.mean is not None or self.several is not None

    def columns(self, which: str) -> tuple[str, ...]:
        """Names of the columns of what is predicted: categories. Empty where there is one column."""
        if self.several is None:
            return self.levels
        if which == "mean":
            return self.several.levels
        labels = tuple(label for label, _, _ in self.several.equations)
        return labels if any(labels) else ()

    def function(self, which: str) -> Callable[[FloatArray], FloatArray]:
        """What is predicted, as a function of the linear predictors (n, equations)."""
        check_choice("which", which, WHICH)
        several = self.several
        if several is not None:
            own = [j for j, places in enumerate(several.places) if places is not None]
            # of the linear predictors those that are no constants
            return (lambda eta: several.family.mean(eta.T).T) if which == "mean" else (lambda eta: eta[:, own])
        if which == "linear":
            return _same
        if self.mean is None:
            raise ArgumentError(
                "with absorbed fixed effects only which='linear' (without the effects) can be predicted"
            )
        return self.mean

    def rows(self, data: TableLike, missing: str = "raise") -> NewRows:
        """The rows of `data` as a design matrix.

        Raises
        ------
        MissingColumnError, DataError
            A variable of the right-hand side is not there, has values that the analysis did not have, or (unless `missing` is
            ``"nan"``) is missing in some rows.
        """
        check_missing(missing)
        needed = list(self.spec.required)
        check_columns_exist(Columns(formula=self.spec.required, predicted=()), column_names(data))
        frame = to_pandas(data, needed)
        lacking = frame.isna().any(axis=1).to_numpy()
        if lacking.any() and missing == "raise":
            raise DataError(
                f"new data have missing values in {first_rows(lacking, frame.index)}; fill or drop them, or pass missing='nan' "
                "for predictions that are missing there"
            )
        whole = frame.loc[~lacking] if lacking.any() else frame
        self._adopt_kinds(whole := whole.copy(deep=False))
        rows = whole.reset_index(drop=True)
        # no row is left where all miss something
        x = self.spec.columns(rows) if len(rows) else np.empty((0, len(self.spec.column_names)))
        offset = self.spec.offset(rows) if len(rows) else None
        return NewRows(x=x, offset=offset, index=frame.index, complete=~lacking)

    def linear(self, params: FloatArray, x: FloatArray, offset: FloatArray | None = None) -> FloatArray:
        """Linear predictors of rows with the columns `x` (n, p), (n, equations), or (n, J) with all constant ones."""
        if self.several is not None:
            return predictors_at(x, params, self.several, offset).T
        # the parameters of the equations stand one after the other
        eta = x @ params.reshape(max(len(self.levels), 1), -1).T
        # an offset is part of every equation
        return np.asarray(eta if offset is None else eta + offset[:, None])

    def gradient(self, x: FloatArray, weights: FloatArray) -> FloatArray:
        """Derivatives of sums of the linear predictors with weights (n, equations), in the parameters, (n, k)."""
        places = [slice(None)] * weights.shape[1] if self.several is None else self.several.places
        # of a constant linear predictor there is one parameter, and no column
        columns = (np.ones((len(x), 1)) if own is None else x[:, own] for own in places)
        return np.hstack([each * weights[:, [j]] for j, each in enumerate(columns)])

    def _adopt_kinds(self, frame: pd.DataFrame) -> None:
        """Make categories of the columns that were categories in the analysis, and numbers of those that were numbers."""
        for name, levels in self.spec.kinds.items():
            if name not in frame.columns:
                continue
            if levels is None:
                frame[name] = as_numbers(frame[name], "data")
            else:
                _check_levels(frame[name], levels.levels)


def check_missing(missing: object) -> None:
    """Raise ArgumentError unless it is one of `MISSING`."""
    check_choice("missing", missing, MISSING)


def _same(eta: FloatArray) -> FloatArray:
    return eta


def _check_levels(column: pd.Series, known: tuple[str, ...]) -> None:
    new = ~np.isin(level_texts(column), known)
    if new.any():
        raise DataError(
            f"column '{column.name}' has categories that the analysis did not have: {each_value(column[new])}; it had "
            f"{', '.join(map(repr, known[:6]))}{', ...' if len(known) > 6 else ''}"
        )
