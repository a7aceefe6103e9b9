"""What statsmodels' results need of a model, and what results of ours lack."""

import pandas as pd

from dsl._typing import FloatArray
from dsl.data.formula.rlang.matrix import TermBlock
from dsl.data.tables import TableLike
from dsl.estimators.predictor import Predictor

_LIKELIHOOD = (
    "the estimates solve moment equations and maximise no likelihood; compare models by wald_test(), estimators by "
    "fit.compare()"
)
_ROWS = (
    "outcome or covariates are known on labelled rows only; see pseudo_outcomes and predictions, and predict() for fitted "
    "means of rows whose covariates are known"
)
_SHARE = "of variables that are known in part no share of variance is explained; fit_quality has the learner's out-of-fold R2"
LACKING: dict[str, str] = {
    **dict.fromkeys(
        ("llf", "llnull", "llr", "llr_pvalue", "aic", "aicc", "bic", "deviance", "null_deviance"), _LIKELIHOOD
    ),
    **dict.fromkeys(("fittedvalues", "resid", "wresid", "resid_response", "resid_pearson", "ssr", "mse_resid"), _ROWS),
    **dict.fromkeys(("rsquared", "rsquared_adj", "prsquared", "pseudo_rsquared"), _SHARE),
    **dict.fromkeys(("fvalue", "f_pvalue"), "wald_test() and wald_test_terms() make the joint test"),
}
"""What other results of statsmodels have and these have not, and why."""


class _Names:
    """Labels for statsmodels' wrapper and tests."""

    def __init__(self, names: tuple[str, ...], outcome: str) -> None:
        self.xnames = self.param_names = self.cov_names = list(names)
        self.ynames = outcome

    def wrap_output(
        self, values: FloatArray, how: str = "columns", names: object = None
    ) -> pd.Series | pd.DataFrame | FloatArray:
        if how == "cov":
            return pd.DataFrame(values, index=self.xnames, columns=self.xnames)
        if how == "columns":
            return pd.Series(values, index=self.xnames)
        return values


def holds_intercept(block: TermBlock) -> bool:
    """Whether a term's columns add up to one: the intercept, or a category with all its levels."""
    return block.name == "Intercept" or (block.coding is not None and block.coding.shape[0] == block.coding.shape[1])


def count_slopes(predictor: Predictor, parameters: int, intercepts: int) -> int:
    """Number of parameters that are no intercept: neither thresholds nor dispersions count."""
    if predictor.several is None:
        return parameters - intercepts * max(len(predictor.levels), 1)
    slopes, equations = predictor.several.slopes, predictor.several.equations
    count = sum(int(slopes[part].sum()) for _, part, _ in equations)
    # a category with all its levels holds an intercept too
    return count if predictor.several.intercept is not None else count - intercepts * len(equations)


class DSLModel:
    """The part of a statsmodels model that results need: names and a predictor."""

    def __init__(self, names: tuple[str, ...], outcome: str, predictor: Predictor) -> None:
        self.exog_names = list(names)
        self.endog_names = outcome
        self.data = _Names(names, outcome)
        self._predictor = predictor

    def predict(self, params: FloatArray, data: TableLike, which: str = "mean") -> pd.Series | pd.DataFrame:
        """Fitted means (or linear predictors) for new rows."""
        return self._predictor(params, data, which)
