"""Category shares over time or groups, from imperfect labels of all rows and gold labels of some."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from dsl._typing import Arguments, BoolArray, FloatArray, IntArray
from dsl.analyses.cells import Cells, labeled_rows, roles_of
from dsl.analyses.held import Held, as_read, first_recorded, labels_of, read_call
from dsl.analyses.regression import dsl
from dsl.analyses.results import DSLResults
from dsl.data.arguments import Names, as_name, as_names, check_choice, explain_calls, warn_caller
from dsl.data.design import SamplingDesign
from dsl.data.drawn import asked
from dsl.data.recorded import warn_if_unused
from dsl.data.refusals import REFUSALS
from dsl.data.source import MEMORY, DataLike, as_source
from dsl.data.tables import TableLike, is_category
from dsl.engine.intervals import check_alpha, kish, share_intervals, wald_interval, wald_pvalue
from dsl.estimators.analysis import EFFECTIVE_LABELS
from dsl.estimators.names import known_estimator
from dsl.exceptions import ArgumentError, CodingWarning, DroppedRowsWarning, FewLabelsWarning
from dsl.learners.auto import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVALS = ("logit", "normal")
EMPTY = ("raise", "blank")
FEWEST = 20
"""Degrees of freedom of a share's standard error (`DSLResults.df`) below which its interval is doubtful. Where one
error of the surrogate is to be expected in the sample, one sample in three has none, and an interval that is far too short."""
FEW, BLANK, EDGE = "few labels", "no labelled rows", "near 0 or 1"
"""What `note` says."""


@explain_calls
def proportions(
    data: DataLike,
    *,
    gold: str,
    prediction: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    time: str | None = None,
    labeled: str | None = None,
    sample_prob: str | None = None,
    design: SamplingDesign | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    feature: str | Sequence[str] | None = None,
    text: str | None = None,
    refusals: str = "raise",
    estimator: str = "dsl",
    tune: str | float | None = None,
    target: str = "superpopulation",
    alpha: float = 0.05,
    interval: str = "logit",
    empty: str = "raise",
    sl_method: Method = "auto",
    cross_fit: int = 5,
    sample_split: int | None = None,
    seed: int = 1234,
    vcov: str | None = None,
    use_t: bool | None = None,
    n_jobs: int = 1,
    progress: bool = False,
    memory: int | str = MEMORY,
) -> "Proportions":
    """Shares of categories in every group and period, repaired with the gold labels of a random subsample.

    The regression ``gold ~ 0 + cell`` of `dsl.dsl`, with a cell for each combination of `by` and `time` that has rows and an
    equation for each category. Every share is that of all rows of its cell, not of the labelled ones only, and all come with
    their joint covariance.

    Parameters
    ----------
    data : data frame, or source of blocks of rows
        pandas, polars, pyarrow, or a dict of columns, or what `dsl.dsl` reads in blocks. Of the latter the columns of the call
        are in memory in a few bytes a row (text as codes), and gold labels are 0/1 or of two categories.
    gold : str
        Column with the expert labels, missing where not labelled: 0/1, or categories (text, or up to 20 whole numbers).
    prediction : str or list of str, optional
        Columns with the surrogates, for every row. Not needed by ``estimator="gold_only"``.
    by : str or list of str, optional
        Columns whose values make groups.
    time : str, optional
        Column with periods: years, months, waves. The plot's horizontal axis.
    labeled, sample_prob, design, cluster, weights
        As in ``dsl.dsl``.
    feature : str or list of str, optional
        Further columns for the learner. It sees time (in order) and groups (up to 20 in a column) in any case, since
        surrogates err more in some periods than in others.
    text, refusals, estimator, tune, target
        As in ``dsl.dsl``. ``target="finite"`` is for an archive: shares of these very rows.
    alpha : float
        One minus the level of the intervals.
    interval : {"logit", "normal"}
        ``"logit"``: symmetric on the log-odds scale, better where a share is small or large. ``"normal"``: share plus and
        minus standard errors. Both stay within [0, 1].
    empty : {"raise", "blank"}
        What to do about cells without labelled rows, for which predictions alone would stand uncorrected: raise, or leave
        their shares missing.
    sl_method, cross_fit, sample_split, seed, vcov, use_t, n_jobs, progress, memory
        As in ``dsl.dsl``.

    Returns
    -------
    Proportions
        ``table``, ``plot()``, ``difference(a, b)``.

    Raises
    ------
    LabelError
        Cells without labelled rows.
    OutcomeError
        Gold labels that are no categories.
    DSLError
        Named subclasses, as ``dsl.dsl`` raises for the same arguments.

    Warns
    -----
    FewLabelsWarning
        Shares that rest on few labels: fewer than 30 labelled rows count in the cell, or the standard error has fewer than 20
        degrees of freedom (most rows being predicted without error). Their intervals are too short, and `note` marks them.

    Notes
    -----
    DSL shares are means of design-adjusted values. They are unbiased and may therefore leave [0, 1] by chance where labels are
    few. Such a share keeps its value. A share within one standard error of 0 or 1 has no usable log-odds and gets the normal
    interval, cut at 0 and 1. The shares of exclusive categories sum to one but for the medians over splits (some 1e-3).

    Logit intervals are those of R's ``survey::svyciprop(method="logit")``, with the normal quantile unless ``use_t``.

    Examples
    --------
    >>> import dsl
    >>> from dsl.analyses.proportions import proportions
    >>> posts = dsl.datasets.simulate_yearly(n=900, n_labels=300, n_years=3, seed=1)
    >>> shares = proportions(posts, gold="Y", prediction="pred_Y", time="year")
    >>> shares
    <Proportions of 'Y' by year (dsl): 3 shares, 900 rows, 300 labelled>
    >>> rise = shares.difference({"year": 2012}, {"year": 2010})
    >>> bool(rise["conf_low"].iloc[0] > 0)
    True
    """
    _check_options(alpha, interval, empty, refusals)
    groups, extra, predictions = as_names(by, "by"), as_names(feature, "feature"), as_names(prediction, "prediction")
    single = _single(cluster=cluster, sample_prob=sample_prob, labeled=labeled, time=time, text=text, weights=weights)
    several = {"feature": extra, "prediction": predictions, "by": groups}
    source = as_source(data)
    frame = read_call(data, gold, single, several, design, blocks=source is not None)
    # refused features are no missing ones
    needed = () if refusals == "indicator" else extra
    cells = Cells.of(frame, gold, (*groups, *as_names(time, "time")), optional=needed, cluster=cluster)
    marked, entry = labeled_rows(frame, gold, labeled, design), known_estimator(estimator)
    used = cells.with_labels(marked, empty) if entry.uses_labels else np.ones(len(cells.values), dtype=bool)
    if entry.uses_labels and not marked.all():
        clusters, seen = target != "finite", cast(TableLike, data) if source is None else first_recorded(source)
        warn_if_unused(seen, gold=(gold,), design=design, sample_prob=sample_prob, cluster=cluster, clusters=clusters)
    learnt = cells.features(time) if entry.learns else {}
    # of rows in blocks a part is looked at, beside which the user's table cannot be laid
    own = asked(cast(TableLike, data), roles_of(gold, single, several)) if source is None else nullcontext()
    with own:
        arguments = {
            "predicted_var": {gold: list(predictions)},
            "feature": [*extra, *learnt, *(cells.marker(used, refusals) if used.sum() == 1 else ())],
            "text": text,
            "refusals": refusals,
            "labeled": labeled,
            "sample_prob": sample_prob,
            "design": design,
            "cluster": cluster,
            "weights": weights,
            "estimator": estimator,
            "tune": tune,
            "target": target,
            "sl_method": sl_method,
            "cross_fit": cross_fit,
            "sample_split": sample_split,
            "seed": seed,
            "vcov": vcov,
            "use_t": use_t,
            "n_jobs": n_jobs,
            "progress": progress,
            "memory": memory,
        }
        fit = _regression(gold, frame.assign(**learnt), cells, used, arguments, blocks=source is not None)
    labels = labels_of(fit, frame, marked, cells, used, arguments)
    if source is not None:
        cells = replace(cells, values=as_read(cells.values, source))
    shares = _Shares.of(fit, frame[gold], cells, used, labels)
    table = shares.table(cells, fit, alpha=alpha, interval=interval)
    if entry.uses_labels:
        _warn_if_few(table, cells)
    return Proportions(
        table=table,
        vcov=shares.vcov,
        combinations=shares.combinations,
        fit=fit,
        gold=gold,
        by=groups,
        time=time,
        alpha=alpha,
        interval=interval,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Proportions:
    """What `proportions` returns.

    Attributes
    ----------
    table : DataFrame
        One row per cell and category, cells in order: the columns of `by` and `time`, ``category`` (for 0/1 labels gold's
        name), ``share``, ``std_error``, ``conf_low``, ``conf_high``, ``n`` (rows of the cell), ``n_labeled``,
        ``n_effective`` (Kish's effective number of labelled rows, fewer if weights are uneven: `dsl.engine.intervals.kish`),
        ``note``: "few labels", "near 0 or 1" (normal interval, cut), "no labelled rows".
    vcov : array, (k, k)
        Covariance of the shares, in the table's order.
    combinations : array, (k, p)
        What makes the shares, up to constants, of the regression's p coefficients.
    fit : DSLResults
        The regression behind them.
    gold, by, time, alpha, interval
        As in the call.
    """

    table: pd.DataFrame
    vcov: FloatArray = field(repr=False)
    combinations: FloatArray = field(repr=False)
    fit: DSLResults = field(repr=False)
    gold: str
    by: tuple[str, ...]
    time: str | None
    alpha: float
    interval: str

    def __repr__(self) -> str:
        """One line: what, how many, from how many labels."""
        cells = ", ".join((*self.by, *as_names(self.time, "time")))
        return (
            f"<Proportions of '{self.gold}'{' by ' if cells else ''}{cells} ({self.fit.call.estimator}): "
            f"{len(self.table)} shares, {self.fit.nobs} rows, {self.fit.n_labeled} labelled>"
        )

    def difference(
        self, a: Mapping[str, object], b: Mapping[str, object], *, alpha: float | None = None
    ) -> pd.DataFrame:
        """Shares in one place less those in another, with the standard error that their covariance gives.

        Parameters
        ----------
        a, b : dict
            Column of `by` or `time` (all of them) to value. With ``"category"`` in both, the difference is between these
            two shares, otherwise one for each category.
        alpha : float, optional
            One minus the level of the intervals. By default that of the call.

        Returns
        -------
        DataFrame
            One row per category: category, estimate, std_error, statistic, p_value (two-sided), conf_low, conf_high.

        Raises
        ------
        ArgumentError
            A place that is not in the table, or that fits several of its rows.

        Examples
        --------
        >>> import dsl
        >>> from dsl.analyses.proportions import proportions
        >>> texts = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
        >>> shares = proportions(texts, gold="human_positive", prediction="vader_positive", by="source")
        >>> gap = shares.difference({"source": "tweets"}, {"source": "nyt"})
        >>> bool(gap["conf_low"].iloc[0] > 0)
        True
        """
        first, second = self._places(a, "a"), self._places(b, "b")
        if len(first) != len(second):
            raise ArgumentError("name a 'category' in both a and b, or in neither")
        # contrast (m, k): each row is +1 at its share of a, -1 at that of b. `add.at`, so that a = b cancels
        contrast = np.zeros((len(first), len(self.table)))
        rows = np.arange(len(first))
        np.add.at(contrast, (rows, first), 1.0)
        np.add.at(contrast, (rows, second), -1.0)
        share = self.table["share"].to_numpy()
        estimate = share[first] - share[second]
        used = np.where(np.isnan(share), 0.0, 1.0)  # a blank share makes its own differences missing, and no others
        # sqrt(diag(C V C')), cut at zero against rounding where a = b
        spread = np.sqrt(
            np.maximum(np.diag(contrast @ np.where(np.outer(used, used), self.vcov, 0.0) @ contrast.T), 0.0)
        )
        std_error = np.where(np.isnan(estimate), np.nan, spread)
        names = self.table["category"].astype(str).to_numpy()
        same = names[first] == names[second]
        # degrees of freedom belong to the combination of coefficients, not to a table's row
        own = contrast * used @ self.combinations
        df = self.fit.degrees_of_freedom(own) if self.fit.call.use_t else np.inf
        ends = wald_interval(estimate, std_error, self.alpha if alpha is None else alpha, df=df)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = estimate / std_error
        return pd.DataFrame(
            {
                "category": np.where(same, names[first], names[first] + " - " + names[second]),
                "estimate": estimate,
                "std_error": std_error,
                "statistic": statistic,
                "p_value": wald_pvalue(estimate, std_error, df=df),
                "conf_low": ends[:, 0],
                "conf_high": ends[:, 1],
            }
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        categories: Names | None = None,
        groups: Names | None = None,
        label: str | None = None,
    ) -> "Axes":
        """Shares with their intervals: over time if there is a `time`, else by group. See `dsl.plotting.proportions`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        categories, groups : str or list of str, optional
        label : str, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ArgumentError, MissingDependencyError
        """
        from dsl.reports.plots.shares import proportions as draw

        return draw(self, ax, categories=categories, groups=groups, label=label)

    def _places(self, where: Mapping[str, object], argument: str) -> IntArray:
        """Rows of the table that `where` names: one, or one for each category."""
        columns = (*self.by, *as_names(self.time, "time"))
        if not isinstance(where, Mapping) or set(where) - {"category"} != set(columns):
            example = ", ".join(f"'{name}': ..." for name in columns) or "'category': ..."
            raise ArgumentError(f"{argument} must be a dict that names a cell, {{{example}}}; found {where!r}")
        found = np.ones(len(self.table), dtype=bool)
        for name, value in where.items():
            here = (self.table[name] == value).to_numpy()
            if not here.any():
                known = ", ".join(str(known) for known in self.table[name].unique()[:20])
                raise ArgumentError(f"{argument} names {name}={value!r}, which is not in the table; there are {known}")
            found &= here
        if not found.any():
            raise ArgumentError(f"{argument} names {dict(where)!r}, a combination without rows")
        return np.flatnonzero(found)


def _regression(
    gold: str, frame: pd.DataFrame, cells: Cells, used: BoolArray, arguments: Arguments, *, blocks: bool
) -> DSLResults:
    """The regression of the gold label on the cells in use."""
    # one cell: an intercept, as a factor of one level has no contrast
    cell = "1" if used.sum() == 1 else f"0 + factor(`{cells.column}`)"
    with warnings.catch_warnings():
        _keep_quiet(cells.column)
        frame = frame.assign(**{cells.column: cells.factor(used)})
        return dsl(f"`{gold}` ~ {cell}", Held(frame) if blocks else frame, **arguments)


def _keep_quiet(column: str) -> None:
    """Ignore what the call says itself: of rows in blank cells, of shares with few labels, of columns before they are recoded."""
    warnings.filterwarnings("ignore", rf".*per column: '{column}' \(\d+\)\.", DroppedRowsWarning)
    warnings.filterwarnings("ignore", "fewer than .* labelled rows are behind", FewLabelsWarning)
    warnings.simplefilter("ignore", CodingWarning)


def _single(**columns: object) -> dict[str, str | None]:
    """The one column that each argument may name."""
    return {role: as_name(name, role) for role, name in columns.items()}


def _check_options(alpha: float, interval: str, empty: str, refusals: str) -> None:
    check_alpha(alpha)
    given = (("interval", interval, INTERVALS), ("empty", empty, EMPTY), ("refusals", refusals, REFUSALS))
    for name, value, known in given:
        check_choice(name, value, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shares:
    """Estimates of all cells and categories, cell after cell."""

    categories: tuple[str, ...]
    share: FloatArray = field(repr=False)
    """(C K,) missing in cells that were not used."""
    vcov: FloatArray = field(repr=False)
    """(C K, C K)"""
    combinations: FloatArray = field(repr=False)
    """(C K, k) what makes the shares of the coefficients, zero in cells that were not used."""
    n: IntArray = field(repr=False)
    """(C,) rows."""
    n_labeled: IntArray = field(repr=False)
    n_effective: FloatArray = field(repr=False)

    @classmethod
    def of(
        cls, fit: DSLResults, gold: pd.Series, cells: Cells, used: BoolArray, labels: tuple[IntArray, FloatArray]
    ) -> "_Shares":
        """From the coefficients, equation after equation, to shares, cell after cell. `labels` are their cells and weights."""
        categories, spread, base = _categories(gold, fit, int(used.sum()))
        # places of the used cells' shares among all C K. The others stay missing
        places = np.flatnonzero(np.repeat(used, len(categories)))
        share = np.full(len(used) * len(categories), np.nan)
        vcov = np.full((len(share), len(share)), np.nan)
        combinations = np.zeros((len(share), len(fit.params)))
        # share = base + spread b, hence vcov = spread V spread'
        share[places] = base + spread @ fit.params.to_numpy()
        vcov[np.ix_(places, places)] = spread @ np.asarray(fit.cov_params()) @ spread.T
        combinations[places] = spread
        code, weight = labels
        return cls(
            categories=categories,
            share=share,
            vcov=vcov,
            combinations=combinations,
            n=cells.counts(cells.complete),
            n_labeled=np.bincount(code, minlength=len(used)),
            n_effective=kish(weight, code, len(used)),
        )

    def table(self, cells: Cells, fit: DSLResults, *, alpha: float, interval: str) -> pd.DataFrame:
        """The tidy table."""
        per = len(self.categories)
        out = cells.values.loc[cells.values.index.repeat(per)].reset_index(drop=True)
        # cut at zero: a variance of exactly zero may be rounded below it
        std_error = np.sqrt(np.maximum(np.diag(self.vcov), 0.0))
        known = fit.degrees_of_freedom(self.combinations)
        df = known if fit.call.use_t else np.inf
        ends, edge = share_intervals(self.share, std_error, alpha=alpha, interval=interval, df=df)
        out["category"] = pd.Categorical(self.categories * len(cells.values), self.categories)
        out["share"], out["std_error"] = self.share, std_error
        out["conf_low"], out["conf_high"] = ends[:, 0], ends[:, 1]
        for name in ("n", "n_labeled", "n_effective"):
            out[name] = np.repeat(getattr(self, name), per)
        few = (out["n_effective"].to_numpy() < EFFECTIVE_LABELS) | (known < FEWEST)
        few &= fit.core.estimator.uses_labels
        out["note"] = np.select([np.isnan(self.share), few & edge, few, edge], [BLANK, f"{FEW}; {EDGE}", FEW, EDGE], "")
        return out


def _categories(gold: pd.Series, fit: DSLResults, cells: int) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Names (K,), and the matrix (cells K, k) and constant (cells K,) that make shares of the coefficients."""
    k = len(fit.params)
    if not is_category(gold) and pd.api.types.is_numeric_dtype(gold.dtype):
        return (str(gold.name),), np.eye(k), np.zeros(k)
    labels = gold.dropna().astype("category").cat.remove_unused_categories()
    names = tuple(str(level) for level in labels.cat.categories)
    # the first category's share is 1 less the second's: share = (1, 0) + (-1, 1) b
    if len(names) == 2:  # an equation for the second
        return names, np.asarray(np.kron(np.eye(k), [[-1.0], [1.0]]), dtype=np.float64), np.tile([1.0, 0.0], k)
    # coefficients come equation by equation (K, cells), shares cell by cell: the transpose of the order
    return names, np.eye(k)[np.arange(k).reshape(-1, cells).T.ravel()], np.zeros(k)


def _warn_if_few(table: pd.DataFrame, cells: Cells) -> None:
    few = table["note"].str.startswith(FEW).to_numpy()
    if few.any():
        per = len(table) // len(cells.values)
        first = "; ".join(dict.fromkeys(cells.name(row // per) for row in np.flatnonzero(few)[: 3 * per]))
        warn_caller(
            FewLabelsWarning,
            f"{few.sum()} of {len(table)} shares rest on few labels (first: {first}): fewer than {EFFECTIVE_LABELS} labelled "
            f"rows count in the cell, or the standard error has fewer than {FEWEST} degrees of freedom. Their intervals may be "
            "too short; take broader groups or periods, draw more labels there (dsl.sampling.stratified), or let intervals "
            "allow for it (use_t=True)",
        )
