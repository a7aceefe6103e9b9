"""What `dsl.dsl` returns: a statsmodels results object, the face of a frozen `Fit`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults, LikelihoodResultsWrapper
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.summary2 import Summary as Summary2

from dsl._typing import FloatArray, IntArray, Record
from dsl.analyses.archive import Archiving
from dsl.analyses.hypotheses import Hypotheses
from dsl.analyses.model import LACKING, DSLModel, count_slopes, holds_intercept
from dsl.analyses.predicting import Predicting
from dsl.analyses.stored import Stored
from dsl.analyses.wild import Wild
from dsl.data.arguments import check_choice, check_texts
from dsl.data.source import MEMORY, DataLike, Source, as_bytes, as_source
from dsl.data.tables import TableLike
from dsl.estimators.call import Call, Execution
from dsl.estimators.pseudo import pseudo_blocks, write_pseudo
from dsl.estimators.records import SampleFacts, Splits
from dsl.estimators.result import Fit, fit_of
from dsl.exceptions import ArgumentError, NoLikelihoodError
from dsl.reports.comparison import Comparison, compare_fit
from dsl.reports.diagnostics import Diagnostics, diagnose
from dsl.reports.page import write_report
from dsl.reports.plots import coefficients
from dsl.reports.summary import summarize, summarize_again

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class DSLEstimates(Hypotheses, Predicting, Wild, Archiving, LikelihoodModelResults):  # type: ignore[misc]
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
        Cross-fitting folds, or None for estimators without cross-fitting.
    predictions : array, (S, N, q)
        Out-of-fold predictions of the predicted variables.
    pseudo_outcomes : DataFrame, (N, q)
        Design-adjusted values g + w (y - g) of each predicted variable, averaged over splits.
    rmse : DataFrame, (S, q)
        Out-of-fold root mean squared error on the labelled rows.
    fit_quality : DataFrame, (q, .)
        Learner, out-of-fold R2 and, for 0/1 gold values, accuracy.
    call, sample, splits
        The call, the rows and the splits in full.
    core : Fit
        All of it, frozen (`dsl.estimators.result.Fit`), with where each number comes from.
    """

    def __init__(self, core: Fit, data: TableLike | None = None) -> None:
        model = DSLModel(core.names, core.outcome, core.predictor)
        # scale 1: the covariance is complete as it is, with no residual variance to multiply
        super().__init__(model, core.params, normalized_cov_params=core.vcov, scale=1.0, use_t=core.call.use_t)
        self._core = core
        self._data = data
        self.nobs = core.nobs
        # as statsmodels counts: without the intercept, which is not what a model explains with
        intercepts = int(any(holds_intercept(block) for block in core.predictor.spec.blocks))
        self.k_constant = intercepts
        self.df_model = count_slopes(core.predictor, len(core.params), intercepts)
        self.df_resid = core.nobs - len(core.params)
        # a split that does not converge raises, so that results exist only where all did
        self.converged = True
        self.cov_type = core.call.vcov

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError for what is not there: ``hasattr(fit, "llf")`` is False, and ``fit.llf`` says why."""
        if name in LACKING:
            raise NoLikelihoodError(f"results of dsl.dsl have no '{name}': {LACKING[name]}")
        raise AttributeError(f"results of dsl.dsl have no attribute '{name}'")

    @property
    def llf(self) -> float:
        """None: the estimates have no likelihood. Hides statsmodels' attribute."""
        raise AttributeError("llf")

    @property
    def call(self) -> Call:
        """The call, resolved."""
        return self._core.call

    @property
    def sample(self) -> SampleFacts:
        """The rows behind the estimates."""
        return self._core.sample

    @property
    def splits(self) -> Splits:
        """Estimates of the repeated splits."""
        return self._core.splits

    @property
    def names_r(self) -> tuple[str, ...]:
        """Names that R gives the coefficients."""
        return self._core.names_r

    @property
    def n_labeled(self) -> int:
        """Number of labelled rows."""
        return self._core.n_labeled

    @property
    def cross_fit(self) -> int | None:
        """Number of cross-fitting folds, or None without cross-fitting."""
        return self._core.cross_fit

    @property
    def dropped(self) -> dict[str, int]:
        """Rows with missing values, per column."""
        return dict(self._core.sample.dropped)

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self._core.n_dropped

    @property
    def params_r(self) -> pd.Series:
        """Estimates under the names that R gives the same coefficients, (k,)."""
        return pd.Series(self._core.params, index=list(self._core.names_r))

    @property
    def zvalues(self) -> FloatArray:
        """Estimates over standard errors, (k,)."""
        return self._core.zvalues

    @property
    def folds(self) -> IntArray | None:
        """Cross-fitting folds 0, 1, ..., (S, N)."""
        return self._core.splits.folds

    @property
    def predictions(self) -> FloatArray | None:
        """Out-of-fold predictions, (S, N, q)."""
        return self._core.splits.predictions

    @property
    def split_params(self) -> pd.DataFrame:
        """Estimates of each split, (S, k)."""
        return self._per_split(self._core.splits.params)

    @property
    def split_bse(self) -> pd.DataFrame:
        """Standard errors of each split, (S, k)."""
        return self._per_split(self._core.split_bse)

    def _per_split(self, values: FloatArray) -> pd.DataFrame:
        # splits are counted from 1, as users count them
        index = pd.RangeIndex(1, len(values) + 1, name="split")
        return pd.DataFrame(values, index=index, columns=list(self._core.names))

    @property
    def pseudo_outcomes(self) -> pd.DataFrame:
        """Design-adjusted values g + w (gold - g) of each predicted variable, averaged over splits, (N, q)."""
        return self._core.pseudo_outcomes

    @property
    def rmse(self) -> pd.DataFrame:
        """Out-of-fold root mean squared errors on the labelled rows, (S, q)."""
        return self._per_learner(self._core.rmse)

    @property
    def fit_quality(self) -> pd.DataFrame:
        """Learner, out-of-fold R2 and (0/1 gold values) accuracy of each predicted variable, over all splits."""
        return self._per_learner(self._core.fit_quality)

    def _per_learner(self, table: pd.DataFrame | None) -> pd.DataFrame:
        if table is None:
            raise ArgumentError(f"estimator='{self.call.estimator}' makes no out-of-fold predictions")
        return table.copy()

    @property
    def tuning(self) -> pd.DataFrame:
        """How much each coefficient relies on the predictions, and the gain: medians over splits.

        Columns ``lambda`` (0: labelled rows alone, 1: plain DSL), ``se_without`` and ``se_plain`` (standard errors
        at 0 and 1), ``se``, and ``effective_labels``: how many labels without predictions the estimate is worth.
        For ``"ppi"`` and ``"ppi++"`` the lambda alone.
        """
        return self._core.tuning

    @property
    def first_stage(self) -> pd.DataFrame:
        """F statistics of the excluded instruments for each endogenous covariate (``model="iv"``), medians over splits.

        Columns ``statistic``, ``df_num``, ``df_denom``, ``p_value``. Robust, or by clusters. Below about 10 normal intervals are
        doubtful (Staiger and Stock 1997).
        """
        return self._core.first_stage

    @property
    def overidentification(self) -> pd.Series:
        """Test that all instruments are valid (``model="iv"`` with more instruments than endogenous covariates).

        ``statistic`` (chi-squared, robust, or by clusters), ``df`` (spare instruments), ``p_value``: median over splits.
        """
        return self._core.overidentification

    @property
    def labels_behind(self) -> pd.Series:
        """How many labelled rows are behind each coefficient, (k,).

        The effective number of those that have what the other columns leave of its own: of a 0/1 covariate about the labelled
        rows with the rarer value. Normal intervals need a few dozen.
        """
        return self._core.labels_behind

    @property
    def df(self) -> FloatArray:
        """Degrees of freedom of each standard error: how well the labelled rows show it, (k,).

        They count for intervals and tests with ``use_t``, and are few where few labelled rows carry an estimate's variance
        (`dsl.engine.intervals.degrees_of_freedom`).
        """
        return self._core.df

    @property
    def df_resid_inference(self) -> FloatArray:
        """The same under statsmodels' name."""
        return self._core.df

    def degrees_of_freedom(self, combinations: FloatArray) -> FloatArray:
        """Degrees of freedom of the standard errors of linear combinations (q, k) of the estimates, (q,)."""
        return self._core.degrees_of_freedom(combinations)

    def conf_int(
        self, alpha: float = 0.05, cols: Sequence[int] | None = None, alternative: str = "two-sided"
    ) -> FloatArray:
        """Confidence intervals at level 1 - `alpha`, (k, 2).

        Parameters
        ----------
        alpha : float
        cols : list of int, optional
            Coefficients to show.
        alternative : {"two-sided", "larger", "smaller"}
            ``"larger"``: bounded from below only, ``"smaller"``: from above only.
        """
        out = self._core.conf_int(alpha, alternative)
        return out if cols is None else out[self._places(cols)]

    def _places(self, cols: Sequence[int]) -> list[int]:
        """Positions of coefficients, checked."""
        count = len(self._core.names)
        listed = list(cols) if isinstance(cols, Iterable) else [cols]
        if not all(isinstance(j, int | np.integer) and -count <= j < count for j in listed):
            raise ArgumentError(f"cols must be positions of coefficients, 0 to {count - 1}; found {cols!r}")
        return [int(j) for j in listed]

    def tidy(
        self,
        conf_int: bool = True,
        alpha: float = 0.05,
        alternative: str = "two-sided",
        exponentiate: bool = False,
    ) -> pd.DataFrame:
        """One row per coefficient: term, estimate, std_error, statistic, p_value, conf_low, conf_high, and df with ``use_t``.

        Parameters
        ----------
        conf_int : bool
            Whether to add the intervals.
        alpha : float
            One minus their level.
        alternative : {"two-sided", "larger", "smaller"}
            Of the p values and intervals: larger or smaller than zero.
        exponentiate : bool
            Estimates and ends of intervals as odds ratios (logit) or ratios of means and rates (log links). As in R's broom,
            ``std_error`` stays that of the coefficient, and ``statistic`` and ``p_value`` test that it is zero. Models whose
            exponentiated coefficients are no ratios are refused.

        Examples
        --------
        >>> import dsl
        >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
        >>> fit = dsl.dsl("human_positive ~ negation", tweets, model="logit", predicted_var="human_positive",
        ...               prediction="vader_positive", sl_method="lm", sample_split=2)
        >>> odds = fit.tidy(exponentiate=True).set_index("term")
        >>> bool(odds.loc["negation", "conf_high"] < 1.0)
        True
        """
        return self._core.tidy(conf_int, alpha, alternative, exponentiate)

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis."""
        call, sample = self.call, self.sample
        return pd.DataFrame(
            {
                "model": [call.model],
                "estimator": [call.estimator],
                "nobs": [sample.nobs],
                "n_labeled": [sample.n_labeled],
                "n_dropped": [self.n_dropped],
                "n_clusters": [sample.n_clusters],
                "sample_prob_min": [sample.prob_range[0]],
                "sample_prob_max": [sample.prob_range[1]],
                "cross_fit": [self.cross_fit],
                "sample_split": [len(self.splits.params)],
                "tune": [call.tune],
                "target": [call.target],
                "vcov": [call.vcov],
                "use_t": [call.use_t],
                "converged": [self.converged],
            }
        )

    def summary(self, alpha: float = 0.05, title: str | None = None, names: str = "python") -> Summary:
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
            Prints as text and is shown as HTML in notebooks. ``as_html()``, ``as_latex()`` and ``as_csv()`` export it.
        """
        check_choice("names", names, ("python", "r"))
        check_texts(title=title)
        terms = self._core.names if names == "python" else self._core.names_r
        return summarize(self._core, alpha=alpha, title=title, terms=list(terms))

    def summary2(self, title: str | None = None, alpha: float = 0.05, float_format: str = "%.4f") -> Summary2:
        """The summary as statsmodels' other kind, whose ``tables`` are data frames.

        Parameters
        ----------
        title : str, optional
        alpha : float
            One minus the level of the confidence intervals.
        float_format : str
            How numbers are written.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
        """
        check_texts(title=title, float_format=float_format)
        return summarize_again(self._core, alpha=alpha, title=title, float_format=float_format)

    def compare(self, data: DataLike | None = None, **options: Any) -> Comparison:
        """Other estimators on the same rows beside this one. See `dsl.reports.comparison.compare_fit`."""
        rows = self._source(data, "compare") or self._rows(cast(TableLike | None, data))
        return with_faces(compare_fit(self._core, rows, **options), None if isinstance(rows, Source) else rows)

    def _source(self, data: DataLike | None, name: str) -> Source | None:
        """The source of blocks of rows that was given again, None for a table. Raises where a fit of one needs it."""
        source = None if data is None else as_source(data)
        if data is None and not self._core.sample.fingerprint:
            kept = "the rows of the fit were read in blocks, and results keep none of them"
            raise ArgumentError(f"{kept}: pass their source again, fit.{name}(source)")
        return source

    def diagnostics(self, data: DataLike | None = None, **options: Any) -> Diagnostics:
        """What to look at before believing the fit. See `dsl.diagnose`."""
        source = self._source(data, "diagnostics")
        return diagnose(self._core, source or self._rows(cast(TableLike | None, data)), **options)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        terms: str | Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
        alpha: float = 0.05,
    ) -> "Axes":
        """Estimates with their confidence intervals. Takes and returns matplotlib Axes. See `dsl.plotting.coefficients`."""
        return coefficients(self._core, ax, terms=terms, truth=truth, alpha=alpha)

    def report(self, path: str | os.PathLike[str], data: DataLike | None = None, **options: Any) -> Path:
        """Write one self-contained page about the fit. See `dsl.write_report`."""
        return write_report(self._core, path, self._data if data is None else data, **options)

    def write_pseudo_outcomes(
        self,
        path: str | os.PathLike[str],
        data: DataLike | None = None,
        *,
        memory: int | str = MEMORY,
        progress: bool = False,
    ) -> int:
        """Write the pseudo-outcomes of all rows to a Parquet file, with the rows' numbers in the column ``row``.

        Parameters
        ----------
        path : str or Path
        data : data frame, or source of blocks of rows, optional
            What the fit was made from. For a fit of rows read in blocks it is needed: learners are trained again on the labelled
            rows, and the others are predicted block by block.
        memory, progress
            As in `dsl.dsl`.

        Returns
        -------
        int
            Rows written.

        Raises
        ------
        ArgumentError
            The estimator makes no out-of-fold predictions, or `data` are not those of the fit.
        """
        source = None if data is None else as_source(data)
        if source is not None:
            execution = Execution(progress=progress, memory=as_bytes(memory))
            return write_pseudo(pseudo_blocks(self._core, source, execution), path)
        values = self._core.pseudo_outcomes
        return write_pseudo(iter([values.rename_axis("row")]), path)

    def remove_data(self) -> None:
        """Drop everything of length N (folds, predictions, row labels), to save a small file."""
        self._data, self._core = None, self._core.without_rows()

    def __getstate__(self) -> Record:
        """What is saved: everything but the user's data, and a learner that cannot be stored."""
        # `portable` takes a learner that cannot be pickled out of the call
        core = replace(self._core, call=self._core.call.portable())
        return {**self.__dict__, "_data": None, "_core": core}


class DSLResults(Stored, LikelihoodResultsWrapper):  # type: ignore[misc]  # noqa: D101
    __doc__ = DSLEstimates.__doc__
    _wrap_attrs: ClassVar[dict[str, str]] = {
        **LikelihoodResultsWrapper._wrap_attrs,
        "zvalues": "columns",
        "df": "columns",
    }

    @classmethod
    def of(cls, core: Fit, data: TableLike | None = None) -> "DSLResults":
        """The face of a fit. `data`, the user's table, is kept by reference and not in files."""
        return cls(DSLEstimates(core, data))

    def conf_int(
        self, alpha: float = 0.05, cols: Sequence[int] | None = None, alternative: str = "two-sided"
    ) -> pd.DataFrame:
        """Confidence intervals at level 1 - `alpha`, two-sided or one-sided, (k, 2), columns 0 and 1."""
        names = self._results.model.exog_names
        index = names if cols is None else [names[j] for j in self._results._places(cols)]
        return pd.DataFrame(self._results.conf_int(alpha, cols, alternative), index=index)

    def cov_params(self, *args: object, **kwargs: object) -> pd.DataFrame | FloatArray:
        """Covariance matrix of the estimates (k, k), or of linear combinations of them."""
        values: pd.DataFrame | FloatArray = self._results.cov_params(*args, **kwargs)
        if not (args or kwargs):
            values = self._results.model.data.wrap_output(values, "cov")
        return values

    def _repr_html_(self) -> str:
        """The summary, as notebooks show it."""
        return str(self._results.summary().as_html())

    def __repr__(self) -> str:
        """One line: model, estimator, rows."""
        call, sample = self._results.call, self._results.sample
        rows = f"{sample.nobs} rows, {sample.n_labeled} labelled"
        return f"<DSLResults {call.model} ({call.estimator}): {call.formula_text}; {rows}>"


def with_faces(found: Comparison, data: TableLike | None) -> Comparison:
    """The comparison with results objects in the place of frozen fits."""
    return replace(found, fits={name: DSLResults.of(fit_of(fit), data) for name, fit in found.fits.items()})
