"""What `dsl.dsl` returns: a statsmodels results object that also knows the design."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults, LikelihoodResultsWrapper

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import ArgumentError
from dsl.moments import pseudo_values

Predictor = Any
"""Callable (params, data, which) -> Series of fitted means or linear predictors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """The call, resolved."""

    formula: str
    model: str
    estimator: str
    predicted_var: tuple[str, ...]
    prediction: tuple[str, ...]
    feature: tuple[str, ...]
    sample_prob: str | None
    cluster: str | None
    index: tuple[str, ...]
    family: str
    cross_fit: int | None
    sample_split: int
    seed: int
    vcov: str
    learners: tuple[str, ...]
    """(q,) learner used for each predicted variable; empty without cross-fitting."""
    learner_reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """The rows behind the estimate."""

    n_input: int
    nobs: int
    n_labeled: int
    n_clusters: int | None
    dropped: Mapping[str, int]
    notes: tuple[str, ...]
    equal_prob: bool
    labels: pd.Index = field(repr=False)
    """(N,) the rows' labels in the input."""
    labeled: BoolArray = field(repr=False)
    """(N,)"""
    sample_prob: FloatArray = field(repr=False)
    """(N,) rescaled to mean n_labeled / N."""
    gold: FloatArray = field(repr=False)
    """(n, q) gold values of the labelled rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Estimates of the repeated splits."""

    params: FloatArray = field(repr=False)
    """(S, k)"""
    vcovs: FloatArray = field(repr=False)
    """(S, k, k)"""
    moment_norms: FloatArray
    """(S,) largest mean moment at the solver's last check, columns scaled to root mean square one."""
    iterations: IntArray
    """(S,)"""
    folds: IntArray | None = field(repr=False)
    """(S, N)"""
    predictions: FloatArray | None = field(repr=False)
    """(S, N, q) out-of-fold predictions."""


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
    ``cov_params``, ``t_test``, ``wald_test``, ``save``), with normal-theory inference, and what is
    listed below.

    Attributes
    ----------
    params, bse, zvalues, pvalues : Series, (k,)
        Estimates, standard errors, z values, two-sided p values.
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
        outcome: str,
        params: FloatArray,
        vcov: FloatArray,
        specification: Specification,
        sample: SampleFacts,
        splits: Splits,
        predictor: Predictor,
    ) -> None:
        model = DSLModel(names, outcome, predictor)
        super().__init__(model, params, normalized_cov_params=vcov, scale=1.0)
        self.specification = specification
        self.sample = sample
        self.splits = splits
        self.nobs = sample.nobs
        self.df_model = len(params)
        self.df_resid = sample.nobs - len(params)
        self.converged = True
        self.cov_type = specification.vcov

    @property
    def n_labeled(self) -> int:
        """Number of labelled rows."""
        return self.sample.n_labeled

    @property
    def dropped(self) -> dict[str, int]:
        """Rows with missing values, per column."""
        return dict(self.sample.dropped)

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.sample.n_input - self.sample.nobs

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
            why = "they were removed" if self.specification.estimator == "dsl" else "this estimator makes none"
            raise ArgumentError(f"there are no out-of-fold predictions: {why}")
        return self.splits.predictions

    @property
    def pseudo_outcomes(self) -> pd.DataFrame:
        """Design-adjusted values g + w (gold - g) of each predicted variable, averaged over splits; (N, q)."""
        rows = np.flatnonzero(self.sample.labeled)
        weight = 1.0 / self.sample.sample_prob[rows]
        mean = self._need_predictions().mean(axis=0)
        values = pseudo_values(mean, self.sample.gold, rows, weight)
        return pd.DataFrame(values, index=self.sample.labels, columns=list(self.specification.predicted_var))

    @property
    def rmse(self) -> pd.DataFrame:
        """Out-of-fold root mean squared errors on the labelled rows; (S, q)."""
        error = self._need_predictions()[:, self.sample.labeled] - self.sample.gold
        index = pd.RangeIndex(1, len(error) + 1, name="split")
        values = np.sqrt(np.mean(error**2, axis=1))
        return pd.DataFrame(values, index=index, columns=list(self.specification.predicted_var))

    @property
    def fit_quality(self) -> pd.DataFrame:
        """Learner, out-of-fold R2 and (0/1 gold values) accuracy of each predicted variable, over all splits."""
        out = self._need_predictions()[:, self.sample.labeled]
        rows = []
        for v, name in enumerate(self.specification.predicted_var):
            gold = self.sample.gold[:, v]
            spread = float(np.var(gold))
            r2 = 1.0 - float(np.mean((out[:, :, v] - gold) ** 2)) / spread if spread > 0.0 else np.nan
            binary = bool(np.isin(gold, (0.0, 1.0)).all())
            accuracy = float(np.mean((out[:, :, v] > 0.5) == (gold > 0.5))) if binary else np.nan
            rows.append({"variable": name, "learner": self.specification.learners[v], "r2": r2, "accuracy": accuracy})
        return pd.DataFrame(rows).set_index("variable")

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

    def tidy(self, conf_int: bool = True, alpha: float = 0.05) -> pd.DataFrame:
        """One row per coefficient: term, estimate, std_error, statistic, p_value, conf_low, conf_high."""
        table = pd.DataFrame(
            {
                "term": self.model.exog_names,
                "estimate": self.params,
                "std_error": self.bse,
                "statistic": self.tvalues,
                "p_value": self.pvalues,
            }
        )
        if conf_int:
            table[["conf_low", "conf_high"]] = self.conf_int(alpha)
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
                "cross_fit": [spec.cross_fit],
                "sample_split": [spec.sample_split],
                "vcov": [spec.vcov],
                "converged": [self.converged],
            }
        )

    def summary(self, alpha: float = 0.05, title: str | None = None) -> Any:
        """Summary of the design and the coefficients.

        Parameters
        ----------
        alpha : float
            One minus the level of the confidence intervals.
        title : str, optional

        Returns
        -------
        statsmodels.iolib.summary.Summary
            Prints as text; ``as_html()``, ``as_latex()``, ``as_csv()``; shown as HTML in notebooks.
        """
        from dsl.summary import summarize

        return summarize(self, alpha=alpha, title=title)

    def remove_data(self) -> None:
        """Drop everything of length N (folds, predictions, row labels), to save a small file."""
        self.splits = replace(self.splits, folds=None, predictions=None)
        self.sample = replace(
            self.sample,
            labels=self.sample.labels[:0],
            labeled=self.sample.labeled[:0],
            gold=self.sample.gold[:0],
            sample_prob=np.array([self.sample.sample_prob.min(), self.sample.sample_prob.max()]),
        )


class DSLResults(LikelihoodResultsWrapper):  # type: ignore[misc]  # noqa: D101
    __doc__ = DSLEstimates.__doc__
    _wrap_attrs: ClassVar[dict[str, str]] = {**LikelihoodResultsWrapper._wrap_attrs, "zvalues": "columns"}

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals at level 1 - `alpha`; (k, 2), columns 0 and 1."""
        return pd.DataFrame(self._results.conf_int(alpha), index=self._results.model.exog_names)

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
