"""What `dsl.dsl` returns: a statsmodels results object that also knows the design."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults, LikelihoodResultsWrapper

from dsl._typing import FloatArray, IntArray
from dsl.engine.combine import median_bread
from dsl.engine.covariance import unit_sums
from dsl.engine.intervals import degrees_of_freedom, kish, wald_interval, wald_pvalue
from dsl.engine.moments import pseudo_values
from dsl.estimators.call import Specification
from dsl.estimators.quality import fit_quality, rmse
from dsl.estimators.records import SampleFacts, Splits
from dsl.exceptions import ArgumentError

Predictor = Any
"""Callable (params, data, which) -> Series of fitted means or linear predictors."""


class _Names:
    """Labels for statsmodels' wrapper and tests."""

    def __init__(self, names: tuple[str, ...], outcome: str) -> None:
        self.xnames = self.param_names = self.cov_names = list(names)
        self.ynames = outcome

    def wrap_output(self, values: Any, how: str = "columns", names: Any = None) -> Any:
        if how == "cov":
            return pd.DataFrame(values, index=self.xnames, columns=self.xnames)
        if how == "columns":
            return pd.Series(values, index=self.xnames)
        return values


class DSLModel:
    """The part of a statsmodels model that results need: names and a predictor."""

    def __init__(self, names: tuple[str, ...], outcome: str, predictor: Predictor) -> None:
        self.exog_names = list(names)
        self.endog_names = outcome
        self.data = _Names(names, outcome)
        self._predictor = predictor

    def predict(self, params: FloatArray, data: Any, which: str = "mean") -> pd.Series:
        """Fitted means (or linear predictors) for new rows."""
        return self._predictor(params, data, which)


class DSLEstimates(LikelihoodModelResults):  # type: ignore[misc]
    """Results of `dsl.dsl`.

    Everything that statsmodels results offer (``params``, ``bse``, ``tvalues``, ``pvalues``, ``conf_int``,
    ``cov_params``, ``t_test``, ``wald_test``, ``save``), and what is listed below. Intervals and tests are normal, or, with
    ``use_t``, those of Student's distribution with the degrees of freedom `df`.

    Attributes
    ----------
    params, bse, zvalues, pvalues : Series, (k,)
        Estimates, standard errors, z values, two-sided p values.
    df : Series, (k,)
        Degrees of freedom of the standard errors.
    params_r : Series, (k,)
        The estimates under R's names.
    nobs, n_labeled, n_dropped : int
        Rows used, labelled rows among them, rows left out for missing values.
    dropped : dict
        Rows with missing values, per column.
    converged : bool
        Whether every split's moment equation was solved (a failure raises).
    split_params, split_bse : DataFrame, (S, k)
        Estimates and standard errors of each split.
    folds : array, (S, N)
        Cross-fitting folds; None for estimators without cross-fitting.
    predictions : array, (S, N, q)
        Out-of-fold predictions of the predicted variables.
    pseudo_outcomes : DataFrame, (N, q)
        Design-adjusted values g + w (y - g) of each predicted variable, averaged over splits.
    rmse : DataFrame, (S, q)
        Out-of-fold root mean squared error on the labelled rows.
    fit_quality : DataFrame, (q, .)
        Learner, out-of-fold R2 and, for 0/1 gold values, accuracy.
    specification, sample, splits
        The call, the rows and the splits in full.
    """

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        names_r: tuple[str, ...],
        outcome: str,
        params: FloatArray,
        vcov: FloatArray,
        specification: Specification,
        sample: SampleFacts,
        splits: Splits,
        predictor: Predictor,
    ) -> None:
        model = DSLModel(names, outcome, predictor)
        super().__init__(model, params, normalized_cov_params=vcov, scale=1.0, use_t=specification.use_t)
        self.names_r = names_r
        self.specification = specification
        self.sample = sample
        self.splits = splits
        self.nobs = sample.nobs
        self.df_model = len(params)
        self.df_resid = sample.nobs - len(params)
        self.converged = True
        self.cov_type = specification.vcov
        self._df: FloatArray | None = None
        self._cross_fit = None if splits.folds is None else int(splits.folds.max()) + 1
        self._source: tuple[Any, Any] = (None, None)
        self._rmse: pd.DataFrame | None = None
        self._fit_quality: pd.DataFrame | None = None
        if splits.predictions is not None:
            out_of_fold = splits.predictions[:, sample.labeled]
            self._rmse = rmse(out_of_fold, sample.gold, splits.targets)
            self._fit_quality = fit_quality(out_of_fold, sample.gold, splits.targets, splits.learners)

    @property
    def n_labeled(self) -> int:
        """Number of labelled rows."""
        return self.sample.n_labeled

    @property
    def cross_fit(self) -> int | None:
        """Number of cross-fitting folds; None without cross-fitting."""
        return self._cross_fit

    @property
    def dropped(self) -> dict[str, int]:
        """Rows with missing values, per column."""
        return dict(self.sample.dropped)

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.sample.n_input - self.sample.nobs

    @property
    def params_r(self) -> pd.Series:
        """Estimates under the names that R gives the same coefficients; (k,)."""
        return pd.Series(self.params, index=list(self.names_r))

    @property
    def zvalues(self) -> FloatArray:
        """Estimates over standard errors; (k,)."""
        return np.asarray(self.tvalues)

    @property
    def folds(self) -> IntArray | None:
        """Cross-fitting folds 0, 1, ...; (S, N)."""
        return self.splits.folds

    @property
    def predictions(self) -> FloatArray | None:
        """Out-of-fold predictions; (S, N, q)."""
        return self.splits.predictions

    @property
    def split_params(self) -> pd.DataFrame:
        """Estimates of each split; (S, k)."""
        return self._per_split(self.splits.params)

    @property
    def split_bse(self) -> pd.DataFrame:
        """Standard errors of each split; (S, k)."""
        return self._per_split(np.sqrt(np.diagonal(self.splits.vcovs, axis1=1, axis2=2)))

    def _per_split(self, values: FloatArray) -> pd.DataFrame:
        index = pd.RangeIndex(1, len(values) + 1, name="split")
        return pd.DataFrame(values, index=index, columns=self.model.exog_names)

    def _need_predictions(self) -> FloatArray:
        if self.splits.predictions is None:
            why = "remove_data() dropped them" if self._rmse is not None else "this estimator makes none"
            raise ArgumentError(f"there are no out-of-fold predictions: {why}")
        return self.splits.predictions

    @property
    def pseudo_outcomes(self) -> pd.DataFrame:
        """Design-adjusted values g + w (gold - g) of each predicted variable, averaged over splits; (N, q)."""
        rows = np.flatnonzero(self.sample.labeled)
        weight = 1.0 / self.sample.sample_prob[rows]
        mean = self._need_predictions().mean(axis=0)
        values = pseudo_values(mean, self.sample.gold, rows, weight)
        return pd.DataFrame(values, index=self.sample.labels, columns=list(self.splits.targets))

    @property
    def rmse(self) -> pd.DataFrame:
        """Out-of-fold root mean squared errors on the labelled rows; (S, q)."""
        return self._per_learner(self._rmse)

    @property
    def fit_quality(self) -> pd.DataFrame:
        """Learner, out-of-fold R2 and (0/1 gold values) accuracy of each predicted variable, over all splits."""
        return self._per_learner(self._fit_quality)

    def _per_learner(self, table: pd.DataFrame | None) -> pd.DataFrame:
        if table is None:
            raise ArgumentError(f"estimator='{self.specification.estimator}' makes no out-of-fold predictions")
        return table

    @property
    def tuning(self) -> pd.DataFrame:
        """How much each coefficient relies on the predictions, and the gain: medians over splits.

        Columns ``lambda`` (0: labelled rows alone, 1: plain DSL), ``se_without`` and ``se_plain`` (standard errors
        at 0 and 1), ``se``, and ``effective_labels``: how many labels without predictions the estimate is worth.
        For ``"ppi"`` and ``"ppi++"`` the lambda alone.
        """
        tuning = self.splits.tuning
        if tuning is None:
            raise ArgumentError(
                f"nothing was tuned: estimator='{self.specification.estimator}', tune={self.specification.tune!r}; "
                "pass tune='coef'"
            )
        table = pd.DataFrame({"lambda": np.median(tuning.lambdas, axis=0)}, index=self.model.exog_names)
        if tuning.without is None or tuning.plain is None:
            return table
        table["se_without"] = np.sqrt(np.median(tuning.without, axis=0))
        table["se_plain"] = np.sqrt(np.median(tuning.plain, axis=0))
        table["se"] = np.sqrt(np.median(np.diagonal(self.splits.vcovs, axis1=1, axis2=2), axis=0))
        table["effective_labels"] = self.n_labeled * (table["se_without"] / table["se"]) ** 2
        return table

    @property
    def labels_behind(self) -> pd.Series:
        """How many labelled rows carry the variance of each coefficient; (k,).

        (sum c^2)^2 / sum c^4 over the rows' contributions c: their number if all contribute alike, few where some
        dominate. Normal intervals need a few dozen; `df` is what t intervals make of them.
        """
        square = self._contributions() ** 2
        return pd.Series(kish(square), index=self.model.exog_names)

    def _contributions(self) -> FloatArray:
        """What each labelled row adds to the estimates' errors, mean over splits; (n, k)."""
        return np.asarray(self.splits.label_scores @ median_bread(self.splits.jacobians).T)

    @property
    def df(self) -> FloatArray:
        """Degrees of freedom of each standard error: how well the labelled rows show it; (k,).

        They count for intervals and tests with ``use_t``, and are few where few labelled rows carry an estimate's variance
        (`dsl.engine.intervals.degrees_of_freedom`).
        """
        if self._df is None:
            self._df = self.degrees_of_freedom(np.eye(len(self.params)))
        return self._df

    @property
    def _reference(self) -> FloatArray | float:
        """Degrees of freedom of the reference distribution: infinitely many for the normal one."""
        return self.df if self.use_t else np.inf

    @property
    def df_resid_inference(self) -> FloatArray:
        """The same under statsmodels' name."""
        return self.df

    def degrees_of_freedom(self, combinations: FloatArray) -> FloatArray:
        """Degrees of freedom of the standard errors of linear combinations (q, k) of the estimates; (q,)."""
        sample, spec = self.sample, self.specification
        rest = max((sample.nobs if sample.n_clusters is None else sample.n_clusters) - 1.0, 1.0)
        if spec.estimator == "naive":  # labelled rows add nothing
            return np.full(len(combinations), rest)
        if not len(self.splits.label_scores):
            raise ArgumentError(
                "remove_data() dropped the labelled rows' scores, from which the degrees of freedom of a combination follow; "
                "test it before that, or with use_t=False"
            )
        parts = self._contributions() @ combinations.T
        parts = unit_sums(parts, sample.label_cluster)
        superpopulation = spec.target != "finite"  # of a finite one, labelled rows are all that is random
        variance = np.diag(combinations @ self.normalized_cov_params @ combinations.T) * superpopulation
        return degrees_of_freedom(parts, variance, rest)

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None) -> Any:
        """Tests of linear combinations, as in statsmodels; with ``use_t`` each has degrees of freedom of its own."""
        return self._with_degrees(r_matrix, np.asarray, use_t).t_test(r_matrix, cov_p, use_t)

    def wald_test(self, r_matrix: Any, *args: Any, use_f: bool | None = None, **kwargs: Any) -> Any:
        """Joint test, as in statsmodels; an F test has the fewest degrees of freedom of its combinations."""
        return self._with_degrees(r_matrix, np.min, use_f).wald_test(r_matrix, *args, use_f=use_f, **kwargs)

    def _with_degrees(
        self, r_matrix: Any, choose: Callable[[FloatArray], Any], use_t: bool | None
    ) -> LikelihoodModelResults:
        """Plain statsmodels results with the degrees of freedom of these combinations, if they are asked for."""
        plain = LikelihoodModelResults(self.model, self.params, self.normalized_cov_params, 1.0, use_t=self.use_t)
        plain.df_resid = self.df_resid
        if self.use_t if use_t is None else use_t:
            rows = []
            for unit in np.eye(len(self.params)):  # combinations are linear, however they are spelt
                plain.params = unit
                rows.append(plain.t_test(r_matrix, use_t=False).effect)
            plain.params = self.params
            plain.df_resid_inference = choose(self.degrees_of_freedom(np.stack(rows, axis=1)))
        return plain

    def predict(self, data: Any, which: str = "mean") -> pd.Series:
        """Fitted means for new rows.

        Parameters
        ----------
        data : data frame
            All variables of the right-hand side, predicted ones at the values to evaluate.
        which : {"mean", "linear"}
            Fitted means, or linear predictors (for ``felm`` without the fixed effects, the only choice).

        Returns
        -------
        Series, (rows,)
            Indexed like `data`.
        """
        return self.model.predict(self.params, data, which)

    def conf_int(self, alpha: float = 0.05, cols: Any = None, alternative: str = "two-sided") -> FloatArray:
        """Confidence intervals at level 1 - `alpha`; (k, 2).

        Parameters
        ----------
        alpha : float
        cols : list of int, optional
            Coefficients to show.
        alternative : {"two-sided", "larger", "smaller"}
            ``"larger"``: bounded from below only; ``"smaller"``: from above only.
        """
        out = wald_interval(np.asarray(self.params), np.asarray(self.bse), alpha, alternative, self._reference)
        return out if cols is None else out[np.asarray(cols)]

    def tidy(self, conf_int: bool = True, alpha: float = 0.05, alternative: str = "two-sided") -> pd.DataFrame:
        """One row per coefficient: term, estimate, std_error, statistic, p_value, conf_low, conf_high; df with ``use_t``.

        `alternative` is that of the p values and intervals: ``"two-sided"``, ``"larger"`` or ``"smaller"`` than zero.
        """
        table = pd.DataFrame(
            {
                "term": self.model.exog_names,
                "estimate": self.params,
                "std_error": self.bse,
                "statistic": self.tvalues,
                "p_value": wald_pvalue(self.params, self.bse, alternative, df=self._reference),
            }
        )
        if self.use_t:
            table.insert(4, "df", self.df)
        if conf_int:
            table[["conf_low", "conf_high"]] = self.conf_int(alpha, alternative=alternative)
        return table

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis."""
        spec, sample = self.specification, self.sample
        return pd.DataFrame(
            {
                "model": [spec.model],
                "estimator": [spec.estimator],
                "nobs": [sample.nobs],
                "n_labeled": [sample.n_labeled],
                "n_dropped": [self.n_dropped],
                "n_clusters": [sample.n_clusters],
                "sample_prob_min": [float(sample.sample_prob.min())],
                "sample_prob_max": [float(sample.sample_prob.max())],
                "cross_fit": [self.cross_fit],
                "sample_split": [len(self.splits.params)],
                "tune": [spec.tune],
                "target": [spec.target],
                "vcov": [spec.vcov],
                "use_t": [spec.use_t],
                "converged": [self.converged],
            }
        )

    def summary(self, alpha: float = 0.05, title: str | None = None, names: str = "python") -> Any:
        """Summary of the design and the coefficients.

        Parameters
        ----------
        alpha : float
            One minus the level of the confidence intervals.
        title : str, optional
        names : {"python", "r"}
            Spelling of the coefficients' names: ``source[T.tweets]``, or R's ``sourcetweets``.

        Returns
        -------
        statsmodels.iolib.summary.Summary
            Prints as text; ``as_html()``, ``as_latex()``, ``as_csv()``; shown as HTML in notebooks.
        """
        from dsl.reports.summary import summarize

        if names not in ("python", "r"):
            raise ArgumentError(f"names must be 'python' or 'r'; found {names!r}")
        terms = self.model.exog_names if names == "python" else list(self.names_r)
        return summarize(self, alpha=alpha, title=title, terms=terms)

    def remember(self, data: Any, design: Any = None) -> None:
        """Keep the user's table and labelling design at hand (by reference, and not in files) for the methods below."""
        self._source = data, design

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: everything but the user's data."""
        return {**self.__dict__, "_source": (None, None)}

    def _rows(self, data: Any, options: dict[str, Any]) -> Any:
        """The data given, or those of the call; the design of the call goes into `options`."""
        own, design = self._source
        if data is None and own is None:
            raise ArgumentError("the data are not at hand (files of results do not hold them): pass those of the fit")
        if design is not None:
            options.setdefault("design", design)
        return own if data is None else data

    def compare(self, data: Any = None, **options: Any) -> Any:
        """Other estimators on the same rows beside this one. See `dsl.reports.comparison.compare_fit`."""
        data = self._rows(data, options)
        return import_module("dsl.reports.comparison").compare_fit(DSLResults(self), data, **options)

    def diagnostics(self, data: Any = None, **options: Any) -> Any:
        """What to look at before believing the fit. See `dsl.reports.diagnostics.diagnose`."""
        data = self._rows(data, options)
        return import_module("dsl.reports.diagnostics").diagnose(DSLResults(self), data, **options)

    def report(self, path: Any, data: Any = None, **options: Any) -> Any:
        """Write one self-contained page about the fit. See `dsl.reports.page.write_report`."""
        own, _ = self._source
        data = self._rows(data, options) if data is not None or own is not None else None
        return import_module("dsl.reports.page").write_report(DSLResults(self), path, data, **options)

    def remove_data(self) -> None:
        """Drop everything of length N (folds, predictions, row labels), to save a small file."""
        self._source = (None, None)
        self._df = self.df  # while the scores are there
        scores = self.splits.label_scores[:0]
        self.splits = replace(self.splits, folds=None, predictions=None, label_scores=scores)
        self.sample = replace(
            self.sample,
            labels=self.sample.labels[:0],
            labeled=self.sample.labeled[:0],
            gold=self.sample.gold[:0],
            sample_prob=np.array([self.sample.sample_prob.min(), self.sample.sample_prob.max()]),
        )


class DSLResults(LikelihoodResultsWrapper):  # type: ignore[misc]  # noqa: D101
    __doc__ = DSLEstimates.__doc__
    _wrap_attrs: ClassVar[dict[str, str]] = {
        **LikelihoodResultsWrapper._wrap_attrs,
        "zvalues": "columns",
        "df": "columns",
    }

    def conf_int(self, alpha: float = 0.05, cols: Any = None, alternative: str = "two-sided") -> pd.DataFrame:
        """Confidence intervals at level 1 - `alpha`, two-sided or one-sided; (k, 2), columns 0 and 1."""
        names = self._results.model.exog_names
        index = names if cols is None else [names[j] for j in cols]
        return pd.DataFrame(self._results.conf_int(alpha, cols, alternative), index=index)

    def cov_params(self, *args: Any, **kwargs: Any) -> Any:
        """Covariance matrix of the estimates (k, k), or of linear combinations of them."""
        values = self._results.cov_params(*args, **kwargs)
        if args or kwargs:
            return values
        return self._results.model.data.wrap_output(values, "cov")

    def __repr__(self) -> str:
        """One line: model, estimator, rows."""
        spec, sample = self._results.specification, self._results.sample
        return (
            f"<DSLResults {spec.model} ({spec.estimator}): {spec.formula}; "
            f"{sample.nobs} rows, {sample.n_labeled} labelled>"
        )
