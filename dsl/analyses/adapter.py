"""Results as a model of the Python package marginaleffects."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import foreign_errors
from dsl.data.formula.rlang.values import level_texts
from dsl.data.tables import TableLike, is_category
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError, MissingDependencyError
from dsl.reports.margins.points import rows_of
from dsl.reports.predictions import mean_function

if TYPE_CHECKING:
    import polars as pl

NEEDED = "to_marginaleffects() needs the package marginaleffects: pip install 'dsl[marginaleffects]'"


def adapter_of(fit: Fit, data: TableLike) -> Any:
    """The model of a fit. See ``fit.to_marginaleffects``."""
    with foreign_errors(NEEDED, MissingDependencyError, (ImportError,)):
        import polars as pl
        from marginaleffects.classes import ModelAbstract, ModelVault
    mean_function(fit)  # refuses models whose fitted means are not known
    rows = rows_of(fit, data)
    if rows.prob is not None:
        raise ArgumentError(
            "a covariate is predicted and known on labelled rows only: averages over rows need weights and a standard error that "
            "marginaleffects does not take from a model. fit.get_margeff() has them"
        )

    class Model(ModelAbstract):  # type: ignore[misc]
        """A fit with the methods that marginaleffects asks for."""

        def get_vcov(self, vcov: bool = True) -> FloatArray | None:
            """Covariance of the estimates, the only one that there is."""
            if not isinstance(vcov, bool):
                raise ArgumentError(
                    f"vcov must be True, False or a matrix: dsl.dsl(vcov=) chose the covariance; found {vcov!r}"
                )
            return fit.vcov if vcov else None

        def get_predict(self, params: FloatArray, newdata: "pl.DataFrame") -> "pl.DataFrame":
            """Fitted means of rows, category after category if the outcome has several."""
            means = fit.predictor(np.asarray(params), newdata, "mean")
            table = means.to_frame("") if isinstance(means, pd.Series) else means
            ids = np.arange(len(table), dtype=np.int32)
            parts = {
                str(name): pl.DataFrame({"rowid": ids, "estimate": table[name].to_numpy()}) for name in table.columns
            }
            return pl.concat(
                part.with_columns(pl.lit(name).alias("group")) if name else part for name, part in parts.items()
            )

    columns = {str(name): _column(rows.frame[name]) for name in rows.frame.columns}
    vault = ModelVault(
        coef=fit.params,
        coefnames=np.array(fit.names),
        # a function in the place of a formula, which the package would read in another language: rows stay as they are
        formula=lambda newdata: (None, newdata),
        modeldata=pl.DataFrame(columns),
        variable_names=[fit.outcome, *columns],
        package="dsl",
    )
    return Model(fit, vault)


def _column(column: pd.Series) -> "pl.Series":
    """A column as polars has it, texts and categories with their levels in order."""
    import polars as pl

    kind = column.dtype
    if not is_category(column) and (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)):
        return pl.Series(column.to_numpy())
    texts = level_texts(column)
    order = level_texts(pd.Series(column.cat.categories)) if is_category(column) else np.unique(texts.astype(str))
    return pl.Series(texts.tolist(), dtype=pl.Enum(order.tolist()))
