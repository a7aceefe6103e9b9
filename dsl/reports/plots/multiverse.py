"""One coefficient with the labels of many models."""

from typing import TYPE_CHECKING

import numpy as np

from dsl.data.arguments import explain_calls
from dsl.exceptions import ArgumentError
from dsl.reports.plots.coefficients import ESTIMATORS, LOOKS
from dsl.reports.plots.lettering import lines_of, write_label, write_names
from dsl.reports.plots.style import REFERENCE, dress, given_axes, legend_outside, look, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dsl.reports.multiverse.results import Multiverse


@explain_calls
def multiverse(found: "Multiverse", ax: "Axes | None" = None, *, term: str | None = None) -> "Axes":
    """Naive and corrected estimates of a coefficient, one line for each set of labels, in the order of the naive ones.

    Parameters
    ----------
    found : Multiverse
        What `dsl.multiverse` returned.
    ax : matplotlib Axes, optional
        Where to draw, a new figure by default.
    term : str, optional
        The coefficient, by default the first that is no intercept.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        `term` is no coefficient.
    MissingDependencyError
        matplotlib is missing: ``pip install 'dsl[plot]'``.
    """
    known = found.terms
    shown = next((name for name in known if name != "Intercept"), known[0]) if term is None else term
    if shown not in known:
        raise ArgumentError(f"term={shown!r} is no coefficient; they are {', '.join(known)}")
    rows = found.table[found.table["term"] == shown]
    rows = rows.sort_values(["naive_estimate", "estimate"], ascending=False, kind="stable")
    ax = given_axes(ax)
    if ax is None:
        ax = new_axes(height=1.4 + 0.27 * len(rows) + 0.15 * lines_of(list(rows["universe"])))
    # the largest naive estimate on top
    place = np.arange(len(rows))[::-1].astype(float)
    ax.axvline(0.0, **REFERENCE)
    series = (("naive", "naive_", 0.13), (found.estimator, "", -0.13))
    for j, (name, before, shift) in enumerate(series):
        middle = rows[f"{before}estimate"].to_numpy()
        ends = rows[[f"{before}conf_low", f"{before}conf_high"]].to_numpy()
        ax.errorbar(
            middle,
            place + shift,
            xerr=np.abs(ends.T - middle),
            label=ESTIMATORS.get(name, name),
            **{**look(j), **LOOKS.get(name, {}), "linestyle": "none"},
        )
    write_names(ax, "y", list(place), list(rows["universe"]))
    ax.set_ylim(-0.6, len(rows) - 0.4)
    write_label(ax, "x", f"{shown}, {100 * (1 - found.alpha):g}% confidence interval")
    dress(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    legend_outside(ax)
    return ax
