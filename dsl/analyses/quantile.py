"""Quantiles of a variable known in gold on some rows and as a surrogate on all."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from scipy.special import ndtri

from dsl.analyses.held import held_table
from dsl.analyses.paired import Paired, fixed_lambda, read
from dsl.data.arguments import explain_calls, warn_caller
from dsl.data.design import SamplingDesign
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike
from dsl.engine.intervals import kish, tails
from dsl.engine.quantile import (
    Labeled,
    Rows,
    best_lambda_at,
    cdf,
    finite_best_lambda_at,
    finite_errors_near,
    interval,
    inverse,
    steps_of,
    variance,
)
from dsl.exceptions import ArgumentError, ColumnTypeError, FewLabelsWarning

FEW = 5.0
"""Labelled rows beyond a quantile, weighed, below which normal intervals of a share are doubtful."""


@explain_calls
def ppi_quantile(
    data: DataLike,
    *,
    gold: str,
    prediction: str,
    q: float | Sequence[float] = 0.5,
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | None = None,
    design: SamplingDesign | None = None,
    tune: float | str = "scalar",
    target: str = "superpopulation",
    alpha: float = 0.05,
    alternative: str = "two-sided",
) -> pd.DataFrame:
    r"""Quantiles by prediction-powered inference, with intervals.

    The share of values up to t is estimated by the surrogates of the other rows, corrected on the labelled ones,

    .. math:: F(t) = \bar w\text{-mean of } \lambda 1\{f \le t\}
              + w\text{-mean of } (1\{y \le t\} - \lambda 1\{f \le t\}),

    with weights :math:`w = R/\pi` of the labelled rows and :math:`\bar w = (1 - R)/(1 - \pi)` of the others, each
    divided by their sum. The estimate inverts F. The interval holds the values of t at which F(t) does not differ
    significantly from q, so that no density is needed.

    Parameters
    ----------
    data : data frame, or source of blocks of rows
        Of a source (`dsl.dsl`) the columns of the call are in memory, in a few bytes a row.
        pandas, polars, pyarrow, or a dict of columns.
    gold : str
        Column with the expert labels, numbers, missing where not labelled.
    prediction : str
        Column with the surrogate, a number on the same scale, for every row.
    q : float or list of float
        Levels in (0, 1).
    labeled, sample_prob, cluster, design
        As in ``dsl.dsl``. Rows of a cluster may be correlated, whether labelled or not. Not for
        ``target="finite"``, where nothing but the labelling is random.
    tune : "scalar" or float
        How much the surrogates count for, :math:`\lambda`. ``"scalar"``: the value in [0, 1] that minimises the variance of F at
        the labelled rows' own quantile, chosen for each level. A number is used as it is, and 0 leaves the labelled rows alone.
    target : {"superpopulation", "finite"}
        What the intervals are about: the population that the rows were drawn from, or the rows themselves, of which only the
        choice of the labelled ones is random. How they were chosen the `design` says, or without one the same rules as in
        ``dsl.dsl``.
    alpha : float
        One minus the level of the intervals.
    alternative : {"two-sided", "larger", "smaller"}
        ``"larger"`` gives an interval without upper end, ``"smaller"`` one without lower end.

    Returns
    -------
    DataFrame, (levels, 5)
        One row per level: ``q``, ``estimate``, ``conf_low``, ``conf_high``, ``lambda``.

    Raises
    ------
    DSLError
        Named subclasses, as ``dsl.dsl`` raises for the same arguments.

    Notes
    -----
    F need not rise everywhere. The estimate inverts the increasing rearrangement of its values at the observed y and
    f (Chernozhukov, Fernandez-Val and Galichon 2010), which is F itself where F rises. An interval ends where F is next
    observed to change: on the step function F, everything before that point is as acceptable as the last accepted
    value. Standard errors of F are those of weighted means, summed within clusters (`dsl.engine.quantile.variance`), or over
    repeated labelling of these rows (``target="finite"``, `dsl.engine.labeling.finite_meat`).

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 382 (2023), algorithm 2.
    Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference" (2023).

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> table = dsl.ppi_quantile(tweets, gold="human_rating", prediction="vader_compound", q=[0.25, 0.5, 0.75])
    >>> table.columns.tolist()
    ['q', 'estimate', 'conf_low', 'conf_high', 'lambda']
    >>> table["estimate"].round(2).tolist()
    [-0.6, 0.15, 1.0]
    """
    levels = _levels(q)
    below, above = tails(alpha, alternative)
    fixed = fixed_lambda(tune, ("scalar",))
    source = as_source(data)
    if source is not None:
        named = {
            gold: "gold",
            prediction: "prediction",
            labeled: "labeled",
            sample_prob: "sample_prob",
            cluster: "cluster",
        }
        data = held_table(source, {name: role for name, role in named.items() if name is not None})
    paired = read(
        cast(TableLike, data),
        gold=gold,
        prediction=prediction,
        labeled=labeled,
        sample_prob=sample_prob,
        cluster=cluster,
        design=design,
        target=target,
    )
    _check_one_number(paired)
    _warn_if_few(paired, levels)
    rows = rows_of(paired)
    steps = steps_of(rows)
    labels = labels_of(paired, rows) if target == "finite" else None
    # z of the farther end: beyond that many standard errors from q no interval ends
    widest = -min(ndtri(tail) for tail in (below, above) if tail)
    table = []
    for level in levels:
        if fixed is not None:
            chosen = fixed
        else:
            # the labelled rows' own quantile: F with lambda = 0
            own = inverse(steps.grid, cdf(steps.shares, 0.0), level)
            chosen = best_lambda_at(rows, steps, own) if labels is None else finite_best_lambda_at(labels, own)
        share = cdf(steps.shares, chosen)
        if labels is None:
            se = np.sqrt(variance(rows, steps, chosen))
        else:
            se = finite_errors_near(labels, steps, chosen, level, widest)
        low, high = interval(steps.grid, share, se, level, below, above)
        table.append((level, inverse(steps.grid, share, level), low, high, chosen))
    return pd.DataFrame(table, columns=["q", "estimate", "conf_low", "conf_high", "lambda"])


def _levels(q: float | Sequence[float]) -> list[float]:
    given = np.atleast_1d(np.asarray(q, dtype=object))
    bad = [
        v for v in given.ravel() if isinstance(v, bool) or not isinstance(v, int | float | np.number) or not 0 < v < 1
    ]
    if given.ndim != 1 or not len(given) or bad:
        percent = "; percentages divided by 100" if bad and all(isinstance(v, int) and 1 < v < 100 for v in bad) else ""
        raise ArgumentError(f"q must be one or more numbers between 0 and 1 (0.5 for the median){percent}; found {q!r}")
    return [float(v) for v in given]


def _check_one_number(paired: Paired) -> None:
    if len(paired.predicted) != 1:
        raise ArgumentError(f"gold names {len(paired.predicted)} columns; quantiles are of one, call once for each")
    name = paired.predicted[0]
    if not pd.api.types.is_numeric_dtype(paired.sample.data[name].dtype):
        raise ColumnTypeError(f"column '{name}' (gold) holds categories, which have no quantiles; use numbers")


def _warn_if_few(paired: Paired, levels: list[float]) -> None:
    # expected labelled rows beyond the quantile, on its thinner side, after Kish's correction for uneven weights
    effective = float(kish(paired.weight[paired.sample.labeled]))
    few = [f"{level:g}" for level in levels if effective * min(level, 1.0 - level) < FEW]
    if few:
        warn_caller(
            FewLabelsWarning,
            f"{paired.sample.n_labeled} labelled rows count for {effective:.0f}, of which fewer than {FEW:g} are expected "
            f"beyond the quantile(s) {', '.join(few)}: intervals may be too short; label more rows, or take levels nearer 0.5",
        )


def rows_of(paired: Paired) -> Rows:
    """Values and shares of all rows."""
    labeled, name = paired.labeled_rows, paired.predicted[0]
    return Rows(
        y=paired.sample.data[name].to_numpy(dtype=float)[labeled],
        f=np.asarray(paired.surrogates[name], dtype=float),
        labeled=labeled,
        # Hajek weights (N,): each set divided by its sum
        p=paired.weight / paired.weight.sum(),
        r=paired.other / paired.other.sum(),
        cluster=paired.sample.cluster,
    )


def labels_of(paired: Paired, rows: Rows) -> Labeled:
    """Values and shares of the labelled rows, where only their choice is random."""
    # what a labelled row would count for among the others if it were not labelled, nothing where pi = 1
    left = 1.0 - paired.prob[rows.labeled]
    exchanged = np.where(left > 0.0, 1.0 / np.where(left > 0.0, left, 1.0), 0.0)
    return Labeled(
        y=rows.y,
        f=rows.f[rows.labeled],
        p=rows.p[rows.labeled],
        s=exchanged / paired.other.sum(),
        labeling=paired.sample.labeling.at(rows.labeled),
    )
