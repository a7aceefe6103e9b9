"""Prediction-powered versions of any statistic that takes sample weights."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import FloatArray
from dsl.analyses.bootstrap import Components, Statistic, name_of, replicates
from dsl.analyses.paired import fixed_lambda, read
from dsl.data.arguments import (
    MOST_REPLICATIONS,
    check_choice,
    check_counts,
    check_execution,
    check_most,
    explain_calls,
    warn_caller,
)
from dsl.data.design import SamplingDesign
from dsl.data.tables import TableLike
from dsl.engine.intervals import tails, wald_interval, wald_pvalue
from dsl.engine.lambdas import best_lambda
from dsl.exceptions import ArgumentError, StatisticWarning

METHODS = ("percentile", "normal")
TUNES = ("coef", "scalar")
LEAST_DRAWS = 50
VERSIONS = ("gold", "surrogate_labeled", "surrogate_other")
"""The statistic of the labelled rows' gold values, of their surrogates, and of the other rows' surrogates."""


@explain_calls
def ppi_statistic(
    fn: Statistic,
    data: TableLike,
    *,
    gold: str | Sequence[str],
    prediction: str | Sequence[str],
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | None = None,
    design: SamplingDesign | None = None,
    tune: float | str = "coef",
    target: str = "superpopulation",
    n_boot: int = 1000,
    seed: int = 1234,
    n_jobs: int = 1,
    progress: bool = False,
) -> "StatisticResults":
    r"""Prediction-powered inference for any statistic with sample weights.

    Word frequencies, odds ratios, medians, regressions, fits of scikit-learn or statsmodels: `fn` computes the statistic
    T from a table and weights, and is called on gold values and on surrogates,

    .. math:: \hat\theta = T(\text{gold}; w) + \lambda\,[T(\text{surrogate}; \bar w) - T(\text{surrogate}; w)],

    with weights :math:`w = R/\pi` of the labelled rows and :math:`\bar w = (1 - R)/(1 - \pi)` of the others. Both
    statistics of the surrogates estimate the same thing, whatever the surrogates are worth, so that their difference
    adds no bias and takes away variance. Intervals and :math:`\lambda` come from a bootstrap.

    Parameters
    ----------
    fn : callable
        ``fn(frame, weights)``, with all columns of `data`, the gold columns filled with gold values or with surrogates,
        and one weight per row of `frame`, an array. Returns a number, an array, or a Series whose index names the
        numbers. A weight of two must count as two rows.
    data : data frame
        pandas, polars, pyarrow, or a dict of columns.
    gold : str or list of str
        Columns with the expert labels, numbers or categories, missing where not labelled.
    prediction : str or list of str
        Columns with their surrogates, in the same order, for every row.
    labeled, sample_prob, cluster, design
        As in ``dsl.dsl``. With `cluster`, whole clusters are drawn in the bootstrap (not for ``target="finite"``, where the
        `design` says what is drawn).
    tune : {"coef", "scalar"} or float
        How much the surrogates count for, :math:`\lambda`. ``"coef"``: for each number that `fn` returns the value in [0, 1] that
        minimises its bootstrap variance. ``"scalar"``: one for all, that minimises the sum of their variances, each relative
        to that of the labelled rows alone. A number is used as it is, and 0 leaves the labelled rows alone.
    target : {"superpopulation", "finite"}
        What inference is about: the population that the rows were drawn from, or the rows themselves, of which only the choice
        of the labelled ones is random. Then the surrogates of all rows take the place of those of the other rows.
    n_boot : int
        Bootstrap draws, at least 50. `fn` is called three times in each.
    seed : int
        Decides the draws.
    n_jobs : int
        Parallel processes (joblib). The numbers do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    StatisticResults
        ``params``, ``bse``, ``tuning``, ``conf_int()``, ``tidy()``, ``replicates``, ...

    Raises
    ------
    StatisticError
        `fn` fails, returns missing or infinite values, or another number of values than before.
    DSLError
        Named subclasses, as ``dsl.dsl`` raises for the same arguments.

    Warns
    -----
    StatisticWarning
        `fn` returns the same numbers whatever the weights.

    Notes
    -----
    The bootstrap draws labelled and unlabelled rows separately, as many as there are (PPBoot), or clusters, each with
    all its rows. For ``target="finite"`` it draws labelled rows (or units) as the design did, within strata, and rescales their
    weights (`dsl.engine.labeling.bootstrap_weights`), which need not be whole numbers. Where labelled and other rows are
    independent, the best lambda is Cov(T_gold, T_labelled) / [Var(T_labelled) + Var(T_other)]. In general, and here, it
    is Cov(T_gold, T_labelled - T_other) / Var(T_labelled - T_other), which allows for clusters with rows of both kinds.

    References
    ----------
    Kluger, Lu, Zrnic, Wang and Bates, "Prediction-powered inference with imputed covariates and nonuniform sampling"
    (2025). Zrnic, "A note on the prediction-powered bootstrap" (2024). Rao, Wu and Yue, "Some recent work on resampling methods
    for complex surveys", Survey Methodology 18 (1992).

    Examples
    --------
    >>> import dsl
    >>> import numpy as np
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> def log_odds_ratio(frame, weights):
    ...     cell = lambda a, b: weights[(frame["human_positive"] == a) & (frame["negation"] == b)].sum()
    ...     return np.log(cell(1, 1) * cell(0, 0) / cell(1, 0) / cell(0, 1))
    >>> fit = dsl.ppi_statistic(log_odds_ratio, tweets, gold="human_positive", prediction="vader_positive", n_boot=200)
    >>> fit
    <StatisticResults log_odds_ratio: 9390 rows, 1000 labelled, 200 bootstrap draws>
    >>> bool(fit.conf_int().loc["log_odds_ratio", "conf_high"] < 0)
    True
    """
    fixed = _check_arguments(fn, tune, n_boot)
    check_counts(cross_fit=2, sample_split=1, seed=seed, n_jobs=n_jobs)
    check_execution(n_jobs, progress)
    paired = read(
        data,
        gold=gold,
        prediction=prediction,
        labeled=labeled,
        sample_prob=sample_prob,
        cluster=cluster,
        design=design,
        target=target,
    )
    finite = target == "finite"
    components = Components.of(fn, data, paired, finite=finite)
    names, whole = components.estimates()
    if components.ignores_weights(names, seed):
        warn_caller(
            StatisticWarning,
            f"{components.name} returns the same numbers for three different sets of weights: does it use them? Without them, "
            "rows drawn twice in the bootstrap count once, and standard errors are too small",
        )
    # (B, 3, k), or (B, 2, k) for a finite population
    draws = np.stack([*replicates(components, names, n_boot=n_boot, seed=seed, n_jobs=n_jobs, progress=progress)])
    if finite:  # what all rows' surrogates give does not vary
        draws = np.concatenate([draws, np.broadcast_to(whole[2:], (len(draws), 1, len(names)))], axis=1)
    chosen = np.full(len(names), fixed) if fixed is not None else tuned(draws, str(tune))
    return StatisticResults(
        names=names,
        statistic=components.name,
        components=whole,
        lambdas=chosen,
        draws=draws,
        nobs=len(paired.sample.data),
        n_labeled=paired.sample.n_labeled,
        n_clusters=paired.sample.n_clusters,
        target=target,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StatisticResults:
    """What `ppi_statistic` returns."""

    names: tuple[str, ...]
    statistic: str
    """Name of the function."""
    components: FloatArray = field(repr=False)
    """(3, k) the statistic of gold values, of the labelled rows' surrogates, of the other (or all) rows' surrogates."""
    lambdas: FloatArray
    """(k,)"""
    draws: FloatArray = field(repr=False)
    """(B, 3, k) the same in every bootstrap draw."""
    nobs: int
    n_labeled: int
    n_clusters: int | None
    target: str = "superpopulation"

    @property
    def params(self) -> pd.Series:
        """Estimates, (k,)."""
        return self._series(_combine(self.components, self.lambdas))

    @property
    def tuning(self) -> pd.DataFrame:
        """How much the surrogates count for: column ``lambda``, (k, 1)."""
        return pd.DataFrame({"lambda": self.lambdas}, index=list(self.names))

    @property
    def parts(self) -> pd.DataFrame:
        """The three statistics that the estimates are made of, (k, 3)."""
        last = "surrogate_all" if self.target == "finite" else VERSIONS[2]
        return pd.DataFrame(self.components.T, index=list(self.names), columns=[*VERSIONS[:2], last])

    @property
    def replicates(self) -> pd.DataFrame:
        """Estimates of the bootstrap draws, (B, k)."""
        # (B, 3, k) to (3, B, k): lambda (k,) then multiplies every draw
        values = _combine(np.moveaxis(self.draws, 1, 0), self.lambdas)
        return pd.DataFrame(values, columns=list(self.names)).rename_axis(index="draw")

    @property
    def bse(self) -> pd.Series:
        """Bootstrap standard errors, (k,)."""
        return self.replicates.std(ddof=1)

    def cov_params(self) -> pd.DataFrame:
        """Bootstrap covariance matrix of the estimates, (k, k)."""
        return self.replicates.cov()

    def conf_int(self, alpha: float = 0.05, alternative: str = "two-sided", method: str = "percentile") -> pd.DataFrame:
        """Confidence intervals.

        Parameters
        ----------
        alpha : float
            One minus the level.
        alternative : {"two-sided", "larger", "smaller"}
            ``"larger"``: without upper end, ``"smaller"``: without lower end.
        method : {"percentile", "normal"}
            Quantiles of the bootstrap draws, or the estimate and its standard error.

        Returns
        -------
        DataFrame, (k, 2)
            Columns ``conf_low`` and ``conf_high``.
        """
        check_choice("method", method, METHODS)
        if method == "normal":
            values = wald_interval(self.params.to_numpy(), self.bse.to_numpy(), alpha, alternative)
        else:
            below, above = tails(alpha, alternative)
            k, draws = len(self.names), self.replicates.to_numpy()
            # a tail of zero is an open end
            lower = np.quantile(draws, below, axis=0) if below else np.full(k, -np.inf)
            upper = np.quantile(draws, 1.0 - above, axis=0) if above else np.full(k, np.inf)
            values = np.column_stack([lower, upper])
        return pd.DataFrame(values, index=list(self.names), columns=["conf_low", "conf_high"])

    def pvalues(self, null: ArrayLike = 0.0, alternative: str = "two-sided") -> pd.Series:
        """P values of the estimates against `null`, a number or one for each, from their standard errors, (k,)."""
        return self._series(wald_pvalue(self.params.to_numpy(), self.bse.to_numpy(), alternative, null))

    def tidy(self, alpha: float = 0.05, alternative: str = "two-sided", method: str = "percentile") -> pd.DataFrame:
        """One row per number: term, estimate, std_error, conf_low, conf_high, lambda, and the labelled rows' own estimate."""
        interval = self.conf_int(alpha, alternative, method)
        return pd.DataFrame(
            {
                "term": list(self.names),
                "estimate": self.params.to_numpy(),
                "std_error": self.bse.to_numpy(),
                "conf_low": interval["conf_low"].to_numpy(),
                "conf_high": interval["conf_high"].to_numpy(),
                "lambda": self.lambdas,
                "gold_only": self.components[0],
            }
        )

    def _series(self, values: FloatArray) -> pd.Series:
        return pd.Series(values, index=list(self.names))

    def __repr__(self) -> str:
        """One line: function, rows, draws."""
        clusters = "" if self.n_clusters is None else f" in {self.n_clusters} clusters"
        return (
            f"<StatisticResults {self.statistic}: {self.nobs} rows{clusters}, {self.n_labeled} labelled, "
            f"{len(self.draws)} bootstrap draws>"
        )


def _combine(components: FloatArray, lam: FloatArray) -> FloatArray:
    """Estimates gold + lam (other - labelled surrogate) from components (3, ..., k)."""
    gold, labeled, other = components
    return np.asarray(gold + lam * (other - labeled))


def tuned(draws: FloatArray, tune: str) -> FloatArray:
    """Values in [0, 1] that minimise the variance over the draws (B, 3, k), by `dsl.engine.lambdas.best_lambda`, (k,)."""
    # centred, so that mean squares are variances over the draws
    gold, labeled, other = np.moveaxis(draws - draws.mean(axis=0), 1, 0)
    gap = other - labeled
    # E gold^2, E gold gap and E gap^2 of the quadratic Var(gold + lam gap), which `best_lambda` minimises
    moments = (gold**2).mean(axis=0), (gold * gap).mean(axis=0), (gap**2).mean(axis=0)
    return np.full(draws.shape[2], best_lambda(*moments, together=tune == "scalar", bounds=(0.0, 1.0)))


def _check_arguments(fn: object, tune: object, n_boot: object) -> float | None:
    """The fixed lambda, or None for the best one."""
    if not callable(fn):
        raise ArgumentError(f"fn must be a function of a data frame and weights; found {type(fn).__name__}")
    try:
        # two positional arguments, whatever they are called
        inspect.signature(fn).bind(None, None)
    except TypeError:
        raise ArgumentError(
            f"fn must take a data frame and weights, fn(frame, weights); {name_of(fn)} takes {inspect.signature(fn)}. Use the "
            "weights, as np.average(frame['y'], weights=weights) does: they make the labelled rows stand for all"
        ) from None
    except ValueError:  # written in C, without a signature
        pass
    if isinstance(n_boot, bool) or not isinstance(n_boot, int | np.integer) or n_boot < LEAST_DRAWS:
        raise ArgumentError(f"n_boot must be a whole number of at least {LEAST_DRAWS}; found {n_boot!r}")
    check_most(
        "n_boot", int(n_boot), MOST_REPLICATIONS, "a few thousand draws give an interval's ends to its third digit"
    )
    return fixed_lambda(tune, TUNES)
