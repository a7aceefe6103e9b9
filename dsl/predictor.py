"""Fitted means for new rows, from the covariate side of a formula without the analysis data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dsl._typing import FloatArray
from dsl.exceptions import ArgumentError, DataError
from dsl.formula import Functions, evaluate, variables_in
from dsl.frame import Columns, check_columns_exist
from dsl.tables import as_numbers, column_names, first_rows, to_pandas


@dataclass(frozen=True, slots=True)
class Predictor:
    """Fitted means for new rows: the covariate side of a formula without the analysis data."""

    spec: Any
    functions: Functions
    mean: Any
    """Mean function of the linear predictor, elementwise; None where only the linear predictor is known."""

    def __call__(self, params: FloatArray, data: Any, which: str) -> pd.Series:
        """Fitted means (``which="mean"``) or linear predictors (``"linear"``) of the rows of `data`."""
        if which not in ("mean", "linear"):
            raise ArgumentError(f"which must be 'mean' or 'linear'; found {which!r}")
        if which == "mean" and self.mean is None:
            raise ArgumentError(
                "with absorbed fixed effects only which='linear' (without the effects) can be predicted"
            )
        needed = sorted(variables_in(self.spec.terms))
        check_columns_exist(Columns(formula=tuple(needed), predicted=()), column_names(data))
        frame = to_pandas(data, needed)
        missing = frame.isna().any(axis=1).to_numpy()
        if missing.any():
            raise DataError(f"new data have missing values in {first_rows(missing, frame.index)}; fill or drop them")
        self._adopt_kinds(frame)
        eta = evaluate(self.spec, frame.reset_index(drop=True), self.functions) @ params
        return pd.Series(self.mean(eta) if which == "mean" else eta, index=frame.index)

    def _adopt_kinds(self, frame: pd.DataFrame) -> None:
        """Make categories of the columns that were categories in the analysis, and numbers of those that were numbers."""
        for name, (kind, state) in self.spec.encoder_state.items():
            if name not in frame.columns:
                continue
            if kind.value == "numerical":
                frame[name] = as_numbers(frame[name], "data")
            else:
                _check_levels(frame[name], state["categories"])
                frame[name] = frame[name].astype("category")


def _check_levels(column: pd.Series, known: Iterable[Any]) -> None:
    levels = [str(level) for level in known]
    new = ~column.isin(list(known)).to_numpy()
    if new.any():
        raise DataError(
            f"column '{column.name}' is '{column[new].iloc[0]}' in {first_rows(new, column.index)}, a category that the "
            f"analysis did not have; it had {', '.join(levels[:6])}"
        )
