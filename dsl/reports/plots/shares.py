"""Category shares over time, or by group."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, FloatArray
from dsl.data.arguments import Names, as_names, check_texts, explain_calls
from dsl.exceptions import ArgumentError
from dsl.reports.plots.lettering import lines_of, write_label, write_names
from dsl.reports.plots.style import MARKERS, dress, given_axes, legend_outside, look, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHIFT = 0.08
"""Distance between neighbouring lines' points, so that intervals do not hide each other, as a share of a period."""
MOST_TICKS = 12
"""Periods that all get a tick of their own."""


class Shares(Protocol):
    """What is read of `dsl.proportions`' results."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per cell and category."""

    @property
    def gold(self) -> str:
        """The gold column."""

    @property
    def by(self) -> tuple[str, ...]:
        """Columns of the groups."""

    @property
    def time(self) -> str | None:
        """Column of the periods."""


@explain_calls
def proportions(
    shares: Shares,
    ax: "Axes | None" = None,
    *,
    categories: Names | None = None,
    groups: Names | None = None,
    label: str | None = None,
) -> "Axes":
    """Shares with their intervals: lines over time if there is a `time`, else a row for each group.

    Parameters
    ----------
    shares : Proportions
        Of ``dsl.proportions``.
    ax : matplotlib Axes, optional
        Where to draw, a new figure by default. In axes that hold shares already, these are added in the next looks.
    categories, groups : str or list of str, optional
        What to draw, all by default. Several columns' groups go by "north, 2" and the like.
    label : str, optional
        Put before the names in the legend, to tell several results in the same axes apart.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        Unknown categories or groups, or more lines than can be told apart.
    MissingDependencyError
        matplotlib is missing: ``pip install 'dsl[plot]'``.

    Examples
    --------
    >>> import dsl, matplotlib
    >>> matplotlib.use("Agg")
    >>> from dsl.analyses.proportions import proportions
    >>> posts = dsl.datasets.simulate_yearly(n=900, n_labels=300, n_years=3, seed=1)
    >>> ax = proportions(posts, gold="Y", prediction="pred_Y", time="year").plot()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('year', 'share of Y')
    """
    if not isinstance(getattr(shares, "table", None), pd.DataFrame):
        raise ArgumentError(f"shares must be what dsl.proportions returns; found {type(shares).__name__}")
    check_texts(label=label)
    ax = given_axes(ax)
    table = _chosen(shares, categories, groups)
    # results that the axes hold already have taken the first looks
    before = 0 if ax is None else len(ax.containers)
    lines = list(_lines(table, shares, label))
    if before + len(lines) > len(MARKERS):
        raise ArgumentError(
            f"{before + len(lines)} lines cannot be told apart (at most {len(MARKERS)} can); choose some with categories= or "
            "groups=, or draw them in several axes"
        )
    draw = _by_group if shares.time is None else _over_time
    return draw(shares, table, lines, ax, before)


def _chosen(shares: Shares, categories: Names | None, groups: Names | None) -> pd.DataFrame:
    """The table's rows to draw, with a column for the group's name."""
    table = shares.table.copy()
    names = [table[name].astype(str) for name in shares.by]
    table["_group"] = names[0].str.cat(names[1:], sep=", ") if names else ""  # type: ignore[arg-type]  # lists will do
    for column, argument, wanted in (("category", "categories", categories), ("_group", "groups", groups)):
        asked, known = as_names(wanted, argument), table[column].astype(str)
        unknown = [name for name in asked if name not in set(known)]
        if unknown:
            raise ArgumentError(f"{argument} names '{unknown[0]}'; there are {', '.join(known.unique()[:20])}")
        if asked:
            table = table[known.isin(asked)]
    return table


def _lines(table: pd.DataFrame, shares: Shares, label: str | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Label and rows of what is drawn in one look: a group's category over time, or a category of all groups."""
    keys = ["category"] if shares.time is None else ["_group", "category"]
    # only what differs is named
    several = [key for key in keys if table[key].nunique() > 1]
    for names, line in table.groupby(keys, sort=False, observed=True):
        own = [str(name) for key, name in zip(keys, names, strict=True) if key in several]
        yield ", ".join([*([label] if label else []), *own]) or str(line["category"].iloc[0]), line


def _over_time(
    shares: Shares, table: pd.DataFrame, lines: list[tuple[str, pd.DataFrame]], ax: "Axes | None", before: int
) -> "Axes":
    ax = new_axes() if ax is None else ax
    assert shares.time is not None
    place, ticks = _time_axis(table[shares.time])
    # shifts are a share of the distance between periods, however these are measured
    spacing = np.diff(np.unique(place)).min() if len(np.unique(place)) > 1 else 1.0
    for j, (label, line) in enumerate(lines):
        # around the period for the first results, to its right for further ones
        shift = SHIFT * spacing * (j - (len(lines) - 1) / 2 if before == 0 else before + j)
        x = place[table.index.get_indexer(line.index)] + shift
        ax.errorbar(x, line["share"], yerr=_whiskers(line), label=label, **look(before + j))
    if ticks is not None:
        write_names(ax, "x", [float(value) for value in ticks[0]], ticks[1])
    if pd.api.types.is_datetime64_any_dtype(table[shares.time]) or isinstance(table[shares.time].dtype, pd.PeriodDtype):
        ax.xaxis_date()
    write_label(ax, "x", shares.time)
    write_label(ax, "y", _share_of(shares, table))
    _finish(ax, table, axis="y")
    return ax


def _time_axis(column: pd.Series) -> tuple[FloatArray, tuple[AnyArray, list[str]] | None]:
    """Positions of the periods, and ticks with their names (None: those of matplotlib)."""
    # periods are drawn where they begin
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(column):
        from matplotlib.dates import date2num

        return np.asarray(date2num(column.to_numpy()), dtype=np.float64), None  # type: ignore[no-untyped-call]
    if pd.api.types.is_numeric_dtype(column):
        values = np.unique(column.to_numpy(dtype=float))
        each = (values, [f"{value:g}" for value in values]) if len(values) <= MOST_TICKS else None
        return column.to_numpy(dtype=float), each
    codes, known = pd.factorize(column)  # the table is in order
    # rounded up: every step-th name, at most MOST_TICKS of them
    step = -(-len(known) // MOST_TICKS)
    return codes.astype(float), (np.arange(len(known))[::step], [str(value) for value in known[::step]])


def _by_group(
    shares: Shares, table: pd.DataFrame, lines: list[tuple[str, pd.DataFrame]], ax: "Axes | None", before: int
) -> "Axes":
    """Groups from top to bottom, or, without groups, categories."""
    names = table["_group"] if shares.by else table["category"].astype(str)
    order = pd.Series(range(names.nunique()), index=names.unique(), dtype=float)
    if ax is None:
        more = lines_of(list(order.index)) - len(order)
        ax = new_axes(height=1.2 + 0.15 * more + 0.25 * len(order) * max(1.0, 0.6 * len(lines)))
    together = len(lines) if shares.by else 1
    for j, (label, line) in enumerate(lines):
        shift = 0.7 * (j - (together - 1) / 2) / together if shares.by and before == 0 else 0.12 * before
        y = order[names[line.index]].to_numpy() + shift
        style = {**look(before + (j if shares.by else 0)), "linestyle": "none"}
        ax.errorbar(line["share"], y, xerr=_whiskers(line), label=label, **style)
    write_names(ax, "y", list(order), [str(name) for name in order.index])
    # reversed: the first group on top
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    write_label(ax, "x", _share_of(shares, table))
    if shares.by:
        write_label(ax, "y", ", ".join(shares.by))
    _finish(ax, table, axis="x", legend=bool(shares.by) or before > 0)
    return ax


def _whiskers(line: pd.DataFrame) -> FloatArray:
    """Lengths (2, points) down and up. A share outside [0, 1] lies outside its interval, which is cut."""
    down, up = line["share"] - line["conf_low"], line["conf_high"] - line["share"]
    return np.asarray(np.maximum(np.stack([down, up]), 0.0))


def _share_of(shares: Shares, table: pd.DataFrame) -> str:
    category = table["category"].astype(str).unique()
    if len(category) > 1 or category[0] == shares.gold:
        return f"share of {shares.gold}" if len(category) == 1 else f"share ({shares.gold})"
    return f"share of {shares.gold} = {category[0]}"


def _finish(ax: "Axes", table: pd.DataFrame, *, axis: Literal["x", "y"], legend: bool = True) -> None:
    """Shares from 0, as percentages, and a legend where there is something to tell apart."""
    if table["share"].min() > 0.0:
        (ax.set_xlim if axis == "x" else ax.set_ylim)(0.0)
    (ax.xaxis if axis == "x" else ax.yaxis).set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    dress(ax, grid=axis)
    if legend and len(ax.containers) > 1:
        legend_outside(ax)
