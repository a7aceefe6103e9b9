"""The frozen result of a call: numbers, the call itself, facts about rows and splits."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import check_flags
from dsl.data.columns import quoted
from dsl.engine.combine import median_bread
from dsl.engine.covariance import UNCORRECTED, sandwich, unit_sums
from dsl.engine.intervals import degrees_of_freedom, wald_interval, wald_pvalue
from dsl.engine.models import MODELS, Model
from dsl.engine.moments import pseudo_values
from dsl.estimators.call import Call
from dsl.estimators.estimator import Estimator
from dsl.estimators.names import ESTIMATORS
from dsl.estimators.predictor import Predictor
from dsl.estimators.records import InstrumentFacts, SampleFacts, Splits
from dsl.exceptions import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """What a call found. Everything that shows, compares or plans reads it.

    `dsl.DSLResults` is its face: the same numbers as a statsmodels results object.
    """

    names: tuple[str, ...]
    """(k,) coefficients."""
    names_r: tuple[str, ...] = field(repr=False)
    """(k,) the same as R names them."""
    outcome: str
    params: FloatArray
    """(k,) estimates: roots of sum psi = 0 (DSL-2024, eq. 8), medians over splits (`dsl.engine.combine.combine_splits`)."""
    vcov: FloatArray = field(repr=False)
    """(k, k) their covariance: J^-1 Omega J^-T / N in every split (`dsl.engine.covariance.sandwich`), and the median over
    splits of V_s + (theta_s - theta)(theta_s - theta)' (`dsl.engine.combine.combine_splits`)."""
    df: FloatArray = field(repr=False)
    """(k,) degrees of freedom of the standard errors (`dsl.engine.intervals.degrees_of_freedom`, for HC2, CR2, HC3 and CR3 those
    of `dsl.engine.leave_out.satterthwaite`, median over splits)."""
    call: Call
    sample: SampleFacts = field(repr=False)
    splits: Splits = field(repr=False)
    predictor: Predictor = field(repr=False)
    """Fitted means of new rows."""
    fit_quality: pd.DataFrame | None = field(repr=False)
    """(q, .) learner, out-of-fold R2 and accuracy of each predicted variable (`dsl.estimators.quality.fit_quality`), or None
    without a learner."""
    rmse: pd.DataFrame | None = field(repr=False)
    """(S, q) out-of-fold root mean squared errors (`dsl.estimators.quality.rmse`), or None without a learner."""

    @property
    def estimator(self) -> Estimator:
        """The registry's entry of the call's estimator."""
        return ESTIMATORS[self.call.estimator]

    @property
    def model(self) -> Model:
        """The registry's entry of the call's model."""
        return MODELS[self.call.model]

    @property
    def bse(self) -> FloatArray:
        """Standard errors: roots of the diagonal of `vcov` (`dsl.engine.covariance.sandwich`), (k,)."""
        return np.asarray(np.sqrt(np.diag(self.vcov)))

    @property
    def zvalues(self) -> FloatArray:
        """Estimates over standard errors, roots of the diagonal of `dsl.engine.covariance.sandwich`, (k,)."""
        # nothing is random where all of a finite population is labelled: standard errors of zero
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.params / self.bse)

    @property
    def first_stage(self) -> pd.DataFrame:
        """F statistics of the excluded instruments for each endogenous covariate (`dsl.engine.instruments.tests_of`).

        Medians over splits. Raises ArgumentError without instruments.
        """
        facts = self._instruments()
        f = np.median(facts.f, axis=0)
        table = {"statistic": f, "df_num": facts.df[0], "df_denom": facts.df[1], "p_value": fdtrc(*facts.df, f)}
        return pd.DataFrame(table, index=pd.Index(facts.endogenous, name="term"))

    @property
    def overidentification(self) -> pd.Series:
        """Test that all instruments are valid (`dsl.engine.instruments.tests_of`): statistic, df, p_value.

        Median over splits, missing without spare instruments. Raises ArgumentError without instruments.
        """
        facts = self._instruments()
        over = float(np.median(facts.over))
        p_value = float(chdtrc(facts.over_df, over)) if facts.over_df else np.nan
        return pd.Series({"statistic": over, "df": facts.over_df, "p_value": p_value})

    def _instruments(self) -> InstrumentFacts:
        if self.splits.instruments is None:
            raise ArgumentError(f"model='{self.call.model}' has no instruments; use model='iv', 'y ~ x | d ~ z'")
        return self.splits.instruments

    @property
    def slopes(self) -> tuple[str, ...]:
        """Coefficients that are neither intercepts nor thresholds nor dispersions. All, where there are no others."""
        several = self.predictor.several
        if several is None:
            mine = [name for name in self.names if name.rpartition(":")[2] != "Intercept"]
        else:
            mine = [name for name, is_slope in zip(self.names, several.slopes, strict=True) if is_slope]
        return tuple(mine) or self.names

    @property
    def nobs(self) -> int:
        """Rows of the analysis."""
        return self.sample.nobs

    @property
    def n_labeled(self) -> int:
        """Labelled rows among them."""
        return self.sample.n_labeled

    @property
    def n_dropped(self) -> int:
        """Rows left out for missing values."""
        return self.sample.n_input - self.sample.nobs

    @property
    def folds(self) -> IntArray | None:
        """Cross-fitting folds 0, 1, ..., (S, N)."""
        return self.splits.folds

    @property
    def predictions(self) -> FloatArray | None:
        """Out-of-fold predictions (`dsl.learners.crossfit.cross_predict`), (S, N, q)."""
        return self.splits.predictions

    @property
    def cross_fit(self) -> int | None:
        """Number of cross-fitting folds, or None without cross-fitting."""
        return self.splits.n_folds

    @property
    def whole(self) -> bool:
        """Whether everything of length N is there: ``remove_data()`` drops it."""
        return len(self.sample.labeled) == self.sample.nobs

    @property
    def split_bse(self) -> FloatArray:
        """Standard errors of each split: roots of the diagonal of `dsl.engine.covariance.sandwich`, (S, k)."""
        return np.asarray(np.sqrt(np.diagonal(self.splits.vcovs, axis1=1, axis2=2)))

    def correction(self, split: int) -> FloatArray:
        """Variances of a split over those without a small-sample correction (`dsl.engine.covariance.sandwich`), (k,)."""
        splits = self.splits
        if self.call.vcov in UNCORRECTED:
            return np.ones(len(self.params))
        plain = np.diag(sandwich(splits.jacobians[split], splits.meats[split]))
        return np.asarray(np.diag(splits.vcovs[split]) / np.where(plain > 0.0, plain, 1.0))

    @property
    def reference(self) -> FloatArray | float:
        """Degrees of freedom (`dsl.engine.intervals.degrees_of_freedom`) that tests refer to, infinitely many for normal ones."""
        return self.df if self.call.use_t else np.inf

    def need_predictions(self) -> FloatArray:
        """Out-of-fold predictions (`dsl.learners.crossfit.cross_predict`), (S, N, q).

        Raises
        ------
        ArgumentError
            The estimator makes none, or ``remove_data()`` dropped them.
        """
        if self.splits.predictions is None:
            gone = "remove_data() dropped them, or rows were read in blocks (fit.write_pseudo_outcomes)"
            why = gone if self.rmse is not None else "this estimator makes none"
            raise ArgumentError(f"there are no out-of-fold predictions: {why}")
        return self.splits.predictions

    @property
    def pseudo_outcomes(self) -> pd.DataFrame:
        """Design-adjusted values g + w (gold - g) (`dsl.engine.moments.pseudo_values`), mean over splits, (N, q)."""
        rows = np.flatnonzero(self.sample.labeled)
        # E[R / pi] = 1, so that g + (R / pi) (gold - g) has the gold value's expectation whatever g is
        weight = 1.0 / self.sample.sample_prob[rows]
        values = pseudo_values(self.need_predictions().mean(axis=0), self.sample.gold, rows, weight)
        return pd.DataFrame(values, index=self.sample.labels, columns=list(self.splits.targets))

    @property
    def tuning(self) -> pd.DataFrame:
        """How much each coefficient relies on the predictions, and the gain: medians over splits.

        Columns ``lambda`` (0: labelled rows alone, 1: plain DSL, by `dsl.engine.lambdas.best_tuning`), ``se_without`` and
        ``se_plain`` (standard errors at 0 and 1), ``se``, all without corrections that leave units out, and ``effective_labels``:
        how many labels without predictions the estimate is worth, n (se_without / se)^2. For ``"ppi"`` and ``"ppi++"`` the lambda
        alone. Several surrogates have one each, ``lambda[name]``, and ``lambda`` is their sum
        (`dsl.engine.tuning.fit_tuned`).
        """
        tuning = self.splits.tuning
        if tuning is None:
            raise ArgumentError(
                f"nothing was tuned: estimator='{self.call.estimator}', tune={self.call.tune!r}; pass tune='coef'"
            )
        table = pd.DataFrame({"lambda": np.median(tuning.lambdas, axis=0)}, index=list(self.names))
        if tuning.each is not None:
            for name, part in zip(self.call.measures, np.median(tuning.each, axis=0), strict=True):
                table[f"lambda[{name}]"] = part
        if tuning.without is None or tuning.plain is None:
            return table
        table["se_without"] = np.sqrt(np.median(tuning.without, axis=0))
        table["se_plain"] = np.sqrt(np.median(tuning.plain, axis=0))
        # medians of the splits' own variances, as above: without the spread between splits, which is in `bse`
        own = np.diagonal(self.splits.vcovs, axis1=1, axis2=2)
        if self.call.leave_out is not None:
            # all three are without the corrections that leave a unit out
            own = own / np.stack([self.correction(split) for split in range(len(own))])
        table["se"] = np.sqrt(np.median(own, axis=0))
        # a variance goes with 1 / n: se^2 is that of n (se_without / se)^2 labels without predictions
        # rows that were seen hardly count in it: without predictions the others stand for all other rows
        table["effective_labels"] = (self.n_labeled - self.sample.n_trained) * (table["se_without"] / table["se"]) ** 2
        return table

    @property
    def labels_behind(self) -> pd.Series:
        """How many labelled rows are behind each coefficient, (k,).

        The effective number of those that have what the other columns leave of its own
        (`dsl.engine.behind.labels_behind`): of a 0/1 covariate about the labelled rows with the rarer value. Zero without labels.
        """
        return pd.Series(self.splits.behind, index=list(self.names))

    def contributions(self) -> FloatArray:
        """What each labelled row adds to the estimates' errors, J^-1 w (m - Lambda m_hat), mean over splits, (n, k).

        Scores of `dsl.engine.sums.label_scores`, bread of `dsl.engine.combine.median_bread`.
        """
        # (n, k) scores times J^-T: row i is J^-1 times the score of row i
        return np.asarray(self.splits.label_scores @ median_bread(self.splits.jacobians).T)

    def degrees_of_freedom(self, combinations: FloatArray) -> FloatArray:
        """Degrees of freedom of the standard errors of linear combinations (q, k) of the estimates, (q,).

        See `dsl.engine.intervals.degrees_of_freedom`. Those of HC2, CR2, HC3 and CR3 (`dsl.engine.leave_out.satterthwaite`) are
        kept for single coefficients: a combination has the fewest of the coefficients in it.
        """
        if self.splits.df is not None:
            own = np.median(self.splits.df, axis=0)
            return np.asarray(np.where(combinations != 0.0, own, np.inf).min(axis=1))
        if self.estimator.uses_labels and not len(self.splits.label_scores):
            raise ArgumentError(
                "remove_data() dropped the labelled rows' scores, from which the degrees of freedom of a combination follow; "
                "test it before that, or with use_t=False"
            )
        return _degrees(self, combinations)

    def conf_int(self, alpha: float = 0.05, alternative: str = "two-sided") -> FloatArray:
        """Confidence intervals (`dsl.engine.intervals.wald_interval`), (k, 2)."""
        return wald_interval(self.params, self.bse, alpha, alternative, self.reference)

    def pvalues(self, alternative: str = "two-sided") -> FloatArray:
        """P values of the estimates against zero (`dsl.engine.intervals.wald_pvalue`), (k,)."""
        return wald_pvalue(self.params, self.bse, alternative, df=self.reference)

    def ratio(self) -> str:
        """What exponentiated coefficients are, for headings: "odds ratio", or "exponentiated coefficient".

        Raises
        ------
        ArgumentError
            They are nothing of their own in this model.
        """
        if self.model.ratio is None:
            known = quoted(name for name, model in MODELS.items() if model.ratio is not None)
            raise ArgumentError(
                f"exponentiated coefficients are no ratios in model='{self.call.model}', as they are in {known}; for an outcome "
                "that is a logarithm, np.exp(fit.params) has them"
            )
        return self.model.ratio or "exponentiated coefficient"

    def ratios(self) -> str:
        """The same for several of them, at the beginning of a heading: "Odds ratios"."""
        name = self.ratio()
        several = name.replace("ratio", "ratios", 1) if "ratio" in name else f"{name}s"
        return several.capitalize()

    def tidy(
        self,
        conf_int: bool = True,
        alpha: float = 0.05,
        alternative: str = "two-sided",
        exponentiate: bool = False,
    ) -> pd.DataFrame:
        """One row per coefficient: term, estimate, std_error, statistic, p_value, conf_low, conf_high, and df with ``use_t``.

        With `exponentiate` estimates and ends of intervals are exponentiated, and nothing else.
        """
        check_flags(conf_int=conf_int, exponentiate=exponentiate)
        table = pd.DataFrame(
            {
                "term": self.names,
                "estimate": self.params,
                "std_error": self.bse,
                "statistic": self.zvalues,
                "p_value": self.pvalues(alternative),
            }
        )
        if self.call.use_t:
            table.insert(4, "df", self.df)
        if conf_int:
            table[["conf_low", "conf_high"]] = self.conf_int(alpha, alternative)
        return self.exponentiated(table) if exponentiate else table

    def exponentiated(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of coefficients with estimates and ends of intervals exponentiated. Raises ArgumentError as `ratio` does."""
        self.ratio()
        names = [name for name in ("estimate", "conf_low", "conf_high") if name in table]
        # an end beyond the largest number is infinite, as it is where an interval is open
        with np.errstate(over="ignore"):
            return table.assign(**{name: np.exp(table[name]) for name in names})

    def without_rows(self) -> "Fit":
        """The fit without everything of length N (folds, predictions, row labels, the design), for a small file."""
        sample = replace(
            self.sample,
            labels=self.sample.labels[:0],
            labeled=self.sample.labeled[:0],
            trained=None if self.sample.trained is None else self.sample.trained[:0],
            gold=self.sample.gold[:0],
            row_weight=None,
            # the range of the weights is all that summaries say about them
            sample_prob=np.array(self.sample.prob_range),
        )
        scores = self.splits.label_scores[:0]
        splits = replace(self.splits, folds=None, predictions=None, label_scores=scores)
        return replace(self, sample=sample, splits=splits, call=replace(self.call, design=None, folds=None))


def degrees_of_estimates(fit: Fit) -> FloatArray:
    """Degrees of freedom of each standard error of a fit in the making, (k,)."""
    return _degrees(fit, np.eye(len(fit.params)))


def _degrees(fit: Fit, combinations: FloatArray) -> FloatArray:
    if fit.splits.df is not None:
        return np.asarray(np.median(fit.splits.df, axis=0))
    sample = fit.sample
    # units less one: rows, or clusters where these are what is independent
    counts = [count for count in (sample.n_clusters, sample.n_across) if count is not None]
    rest = max(min(counts, default=sample.nobs) - 1.0, 1.0)
    if not fit.estimator.uses_labels:
        return np.full(len(combinations), rest)
    own = fit.contributions() @ combinations.T
    superpopulation = fit.call.target != "finite"  # of a finite one, labelled rows are all that is random
    variance = np.diag(combinations @ fit.vcov @ combinations.T) * superpopulation
    # (units, q): contributions to the combinations, summed within clusters. Of clusters in two ways the fewer degrees count
    ways = [sample.label_cluster] if sample.label_across is None else [sample.label_cluster, sample.label_across]
    each = [degrees_of_freedom(unit_sums(own, codes), variance, rest) for codes in ways]
    return np.asarray(np.minimum(np.min(each, axis=0), rest) if len(ways) > 1 else each[0])


class HasFit(Protocol):
    """Results of ``dsl.dsl``, as what stands below them sees them."""

    @property
    def core(self) -> Fit:
        """The frozen fit behind them."""


def fit_of(results: object) -> Fit:
    """The frozen fit behind results.

    Raises
    ------
    ArgumentError
        They are none of ``dsl.dsl``.
    """
    core = results if isinstance(results, Fit) else getattr(results, "core", None)
    if not isinstance(core, Fit):
        raise ArgumentError(f"fit must be what dsl.dsl returns; found {type(results).__name__}")
    return core
