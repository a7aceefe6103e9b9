"""Predictions of results, for new rows and for the rows of the fit."""

import pandas as pd

from dsl.data.columns import quoted
from dsl.data.tables import TableLike
from dsl.estimators.again import analysis_of
from dsl.estimators.predictor import check_missing
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError


class Predicting:
    """What results say about rows."""

    _core: Fit
    _data: TableLike | None

    def predict(
        self, data: TableLike | None = None, which: str = "mean", missing: str = "raise"
    ) -> pd.Series | pd.DataFrame:
        """Fitted means, for new rows or those of the fit.

        Parameters
        ----------
        data : data frame, optional
            All variables of the right-hand side, predicted ones at the values to evaluate. By default the rows of the fit, if it
            was made in this session (files of results hold no data).
        which : {"mean", "linear"}
            Fitted means, or linear predictors (for ``felm`` without the fixed effects, the only choice).
        missing : {"raise", "nan"}
            Rows in which a variable is missing: an error that counts them, or NaN.

        Returns
        -------
        Series, (rows,)
            Indexed like `data`. A data frame with a column for each category, where the outcome has several: probabilities of the
            classes in ``multinom``, ``ologit`` and ``oprobit``, as in statsmodels. Linear predictors are those of all classes
            but the first in ``multinom``, and x'b without the thresholds in ``ologit`` and ``oprobit``.

        Raises
        ------
        ArgumentError
            There are no data, or a covariate is predicted, which the rows of the fit have on the labelled ones only
            (``missing="nan"`` predicts these).
        DataError
            Variables are missing, or have categories that the analysis did not have.

        Examples
        --------
        >>> import dsl
        >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
        >>> fit = dsl.dsl("Y ~ X1 + X2", posts, predicted_var="Y", prediction="pred_Y", sl_method="lm", sample_split=2)
        >>> len(fit.predict()), len(fit.predict(posts.head(3)))
        (1000, 3)
        >>> fit.predict({"X1": [0.0, None], "X2": [1.0, 1.0]}, missing="nan").isna().tolist()
        [False, True]
        """
        if which == "mean" and not self._core.predictor.has_means:
            raise ArgumentError(
                f"a fit with model='{self._core.call.model}' keeps no fixed effects, which fitted means need; which='linear' "
                "gives the linear predictor without them"
            )
        found: pd.Series | pd.DataFrame = self._core.predictor(
            self._core.params, self._own(missing) if data is None else data, which, missing
        )
        return found

    def _own(self, missing: str) -> pd.DataFrame:
        """The rows of the fit, with predicted variables on the labelled ones."""
        check_missing(missing)
        if self._data is None:
            raise ArgumentError(
                "without data, predict() and get_prediction() are about the rows of the fit, which are not at hand (files of "
                "results do not hold them): pass rows with values of every variable of the right-hand side"
            )
        hidden = [name for name in self._core.call.predicted_var if name in self._core.predictor.spec.required]
        if hidden and missing == "raise":
            raise ArgumentError(
                f"the rows of the fit have no fitted values: of the right-hand side {quoted(hidden)} is known on labelled rows "
                "only; pass rows with values of every variable, or missing='nan' for the labelled rows alone"
            )
        return analysis_of(self._core, self._data).sample.data
