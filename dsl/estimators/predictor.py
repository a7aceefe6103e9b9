"""Fitted means for new rows, from the covariate side of a formula without the analysis data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import check_choice
from dsl.data.columns import Columns, check_columns_exist
from dsl.data.formula.rlang.values import level_texts
from dsl.data.formula.sides import CovariateSpec
from dsl.data.messages import each_value
from dsl.data.tables import TableLike, as_numbers, column_names, first_rows, to_pandas
from dsl.exceptions import ArgumentError, DataError


@dataclass(frozen=True, slots=True)
class Predictor:
    """Fitted means for new rows: the covariate side of a formula without the analysis data."""

    spec: CovariateSpec
    mean: Callable[[FloatArray], FloatArray] | None
    """Mean function of the linear predictor, elementwise, or None where only the linear predictor is known."""
    levels: tuple[str, ...] = ()
    """Categories of the outcome, each with its own parameters."""

    def __call__(self, params: FloatArray, data: TableLike, which: str) -> pd.Series | pd.DataFrame:
        """Fitted means (``which="mean"``) or linear predictors (``"linear"``) of the rows of `data`, a column per category."""
        check_choice("which", which, ("mean", "linear"))
        mean = self.mean if which == "mean" else _same
        if mean is None:
            raise ArgumentError(
                "with absorbed fixed effects only which='linear' (without the effects) can be predicted"
            )
        needed = list(self.spec.required)
        check_columns_exist(Columns(formula=self.spec.required, predicted=()), column_names(data))
        frame = to_pandas(data, needed)
        missing = frame.isna().any(axis=1).to_numpy()
        if missing.any():
            raise DataError(f"new data have missing values in {first_rows(missing, frame.index)}; fill or drop them")
        self._adopt_kinds(frame)
        rows = frame.reset_index(drop=True)
        # (rows, equations): the parameters of the equations stand one after the other
        eta = self.spec.columns(rows) @ params.reshape(max(len(self.levels), 1), -1).T
        # an offset is part of every equation
        offset = self.spec.offset(rows)
        eta = eta if offset is None else eta + offset[:, None]
        values = mean(eta)
        if self.levels:
            return pd.DataFrame(values, index=frame.index, columns=list(self.levels))
        return pd.Series(values[:, 0], index=frame.index)

    def _adopt_kinds(self, frame: pd.DataFrame) -> None:
        """Make categories of the columns that were categories in the analysis, and numbers of those that were numbers."""
        for name, levels in self.spec.kinds.items():
            if name not in frame.columns:
                continue
            if levels is None:
                frame[name] = as_numbers(frame[name], "data")
            else:
                _check_levels(frame[name], levels.levels)


def _same(eta: FloatArray) -> FloatArray:
    return eta


def _check_levels(column: pd.Series, known: tuple[str, ...]) -> None:
    new = ~np.isin(level_texts(column), known)
    if new.any():
        raise DataError(
            f"column '{column.name}' has categories that the analysis did not have: {each_value(column[new])}; it had "
            f"{', '.join(map(repr, known[:6]))}{', ...' if len(known) > 6 else ''}"
        )
