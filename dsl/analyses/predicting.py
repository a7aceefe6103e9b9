"""Predictions of results, for new rows and for the rows of the fit."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from dsl.analyses.adapter import adapter_of
from dsl.data.arguments import Names
from dsl.data.columns import quoted
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike
from dsl.estimators.again import analysis_of, check_has_rows
from dsl.estimators.predictor import check_missing
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.margins import MarginalEffects, marginal_effects
from dsl.reports.predictions import Predictions, mean_function, predictions

BLOCK = 262_144
"""Rows predicted at a time, where they come in blocks."""


class Predicting:
    """What results say about rows."""

    _core: Fit
    _data: TableLike | None

    def predict(
        self, data: DataLike | None = None, which: str = "mean", missing: str = "raise"
    ) -> pd.Series | pd.DataFrame:
        """Fitted means, for new rows or those of the fit.

        Parameters
        ----------
        data : data frame, optional
            All variables of the right-hand side, predicted ones at the values to evaluate. By default the rows of the fit, if it
            was made in this session (files of results hold no data). A source of blocks of rows, as `dsl.dsl` takes it, is read
            in blocks, and rows are numbered.
        which : {"mean", "linear"}
            Fitted means, or linear predictors (with absorbed fixed effects, without these, the only choice).
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
        mean_function(self._core, which)
        core, source = self._core, None if data is None else as_source(data)
        if source is not None:
            # one number for each row, whatever the columns take
            blocks = source.frames(core.predictor.spec.required, BLOCK)
            return pd.concat([core.predictor(core.params, block, which, missing) for block in blocks])
        found: pd.Series | pd.DataFrame = core.predictor(
            core.params, self._own(missing) if data is None else cast(TableLike, data), which, missing
        )
        return found

    def get_prediction(self, data: TableLike | None = None, which: str = "mean", missing: str = "raise") -> Predictions:
        """Fitted means with standard errors and intervals, as statsmodels' GLM has them.

        Parameters
        ----------
        data, which, missing
            As in `predict`.

        Returns
        -------
        Predictions
            ``summary_frame(alpha)`` has the columns ``mean``, ``mean_se`` (delta method), ``mean_ci_lower`` and ``mean_ci_upper``
            (the ends of the linear predictor's interval, taken to the scale of the mean, so that they stay within its range;
            ``method="delta"`` has the mean less and plus standard errors).

        Notes
        -----
        The interval is that of the mean, not of an outcome. Student's t with ``use_t``.
        """
        return predictions(self._core, self._own(missing) if data is None else data, which=which, missing=missing)

    def get_margeff(
        self,
        at: str = "overall",
        method: str = "dydx",
        atexog: Mapping[str, object] | None = None,
        dummy: bool = True,
        count: bool = False,
        *,
        variables: Names | None = None,
        data: TableLike | None = None,
    ) -> MarginalEffects:
        r"""Marginal effects of the variables on the fitted mean, with standard errors by the delta method.

        Parameters
        ----------
        at : {"overall", "mean", "median", "zero", "all"}
            Averages of the effects on the rows of the fit; effects at the variables' means (categories at their shares), medians
            (categories at the most frequent one) or zero (at the first); or the effects on each row, without standard errors.
        method : {"dydx", "eyex", "dyex", "eydx"}
            Derivatives :math:`\partial \mu / \partial x`, elasticities :math:`\partial \ln \mu / \partial \ln x`, and those with
            one logarithm.
        atexog : dict of str to value, optional
            Variables that have one value in all rows, before `at` is looked at.
        dummy : bool
            Whether numbers that are 0 or 1 go from 0 to 1 instead of having a derivative. Categories always go from their first
            level to each other one.
        count : bool
            Whether whole numbers from zero on go up and down by one.
        variables : str or list of str, optional
            Columns of the data. All of the right-hand side by default.
        data : data frame, optional
            The data of the fit, for results from a file.

        Returns
        -------
        MarginalEffects
            ``margeff``, ``margeff_se``, ``pvalues``, ``conf_int()``, ``summary()``, ``summary_frame()``, ``tidy()``.

        Raises
        ------
        ArgumentError
            A variable has no derivative (a step of it is in the formula, a date), an elasticity is asked of a category, or means
            are not known (models with absorbed effects that are not linear).

        Notes
        -----
        Effects are those of variables, not of columns: a variable that occurs in ``log(x)``, ``poly(x, 2)`` or ``x:z`` changes in
        all of these at once, and a category goes from one level to another in all its columns. statsmodels' ``get_margeff`` moves
        one column and leaves the others: the two agree where every variable is one column.

        Averages are over the rows as they are, as in statsmodels: their standard errors are about the estimates alone. A
        predicted covariate is known on labelled rows only. Effects are then averaged over these, weighted by the inverse of their
        probability of being labelled (naive estimates too), and the standard errors count that others might have been drawn, and
        how that goes with the estimates (`dsl.engine.margins.delta_covariance`).

        Derivatives are taken numerically, of the formula's columns by `dsl.engine.margins.derivative` and of the mean by
        `dsl.engine.margins.along`, to about ten digits.

        Examples
        --------
        >>> import dsl
        >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
        >>> fit = dsl.dsl("human_positive ~ negation + log(n_words)", tweets, model="logit", predicted_var="human_positive",
        ...               prediction="vader_positive", sl_method="lm", sample_split=2)
        >>> fit.get_margeff().tidy()["term"].tolist()
        ['negation', 'n_words']
        >>> at_ten = fit.get_margeff(at="mean", atexog={"n_words": 10})
        >>> at_ten.margeff.shape, at_ten.conf_int().shape
        ((2,), (2, 2))
        """
        return marginal_effects(
            self._core,
            self._rows(data),
            at=at,
            method=method,
            atexog=atexog,
            dummy=dummy,
            count=count,
            variables=variables,
        )

    def to_marginaleffects(self, data: TableLike | None = None) -> Any:
        """The results as a model of the Python package marginaleffects: slopes, comparisons, predictions, hypotheses, plots.

        Parameters
        ----------
        data : data frame, optional
            The data of the fit, for results from a file.

        Returns
        -------
        marginaleffects.classes.ModelAbstract
            For ``avg_slopes``, ``avg_comparisons``, ``predictions`` and the package's other functions. Its data are the variables
            of the right-hand side on the rows of the fit, and its covariance is that of the fit.

        Raises
        ------
        MissingDependencyError
            The package is not installed (``pip install "dsl[marginaleffects]"``: version 0.6, with polars before 2).
        ArgumentError
            Fitted means are not known (absorbed effects), or a covariate is predicted: see `get_margeff`.

        Notes
        -----
        Its intervals are normal. Its averages are about rows that count alike: with ``weights=`` in the fit, give its functions
        ``wts`` too.
        """
        return adapter_of(self._core, self._rows(data))

    def _rows(self, data: TableLike | None) -> TableLike:
        """The data given, or those of the call."""
        check_has_rows(self._core)
        found = self._data if data is None else data
        if found is None:
            raise ArgumentError("the data are not at hand (files of results do not hold them): pass those of the fit")
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
