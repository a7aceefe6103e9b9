"""Measures of an evaluation against the number of labels, readable in black and white."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.exceptions import ArgumentError
from dsl.reports.plots.lettering import write_title
from dsl.reports.plots.style import COLORS, MARKERS, given_axes, legend_outside, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {
    "coverage": "coverage of {level:g}% intervals",
    "effective": "effective labels",
    "rmse": "root mean squared error",
    "width": "mean width of {level:g}% intervals",
}
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
FEW = "few replications"
"""Name of the rings around effective labels that `dsl.planning.evaluation.results` marks."""
SHIFT = 0.012
"""Distance between neighbouring lines' points, so that error bars do not hide each other, as a share of the axis."""


def plot_measure(table: pd.DataFrame, *, kind: str, alpha: float, ax: "Axes | None" = None) -> "Axes":
    """Lines of one measure of one coefficient.

    Parameters
    ----------
    table : DataFrame
        The rows of `EvaluationResults.summary` of one term.
    kind : {"coverage", "effective", "rmse", "width"}
    alpha : float
        One minus the nominal level.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArgumentError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
    ax = given_axes(ax)
    if ax is None:
        ax = new_axes()
    counts = sorted(table["n_labels"].unique())
    groups = table.groupby(["design", "estimator"], sort=False)
    lines = {(str(design), str(estimator)): line.sort_values("n_labels") for (design, estimator), line in groups}
    designs, estimators = (list(dict.fromkeys(names[j] for names in lines)) for j in (0, 1))
    shown = [names for names, line in lines.items() if line[kind].notna().any()]
    # one number of labels alone: the step is a share of it
    step = SHIFT * (counts[-1] - counts[0] or counts[0])
    if kind == "coverage":
        ax.axhline(1 - alpha, color="0.6", linewidth=1.0, zorder=0)
    doubtful: list[tuple[float, float]] = []
    for j, names in enumerate(shown):
        line, design, estimator = lines[names], designs.index(names[0]), estimators.index(names[1])
        color = COLORS[estimator % len(COLORS)]
        # around the number of labels, so that error bars stand side by side
        place = line["n_labels"] + step * (j - (len(shown) - 1) / 2)
        if kind == "effective":
            few = line["note"] != ""
            doubtful += zip(place[few], line.loc[few, kind], strict=True)
        ax.errorbar(
            place,
            line[kind],
            yerr=_bars(line, kind),
            marker=MARKERS[estimator % len(MARKERS)],
            color=color,
            # estimators by marker and colour, designs by line and filling
            linestyle=LINES[(design if len(designs) > 1 else estimator) % len(LINES)],
            markerfacecolor=color if design == 0 else "white",
            label=_label(names, designs, estimators),
            linewidth=1.2,
            markersize=5,
            capsize=2.5,
        )
    if doubtful:
        x, y = zip(*doubtful, strict=True)
        ax.scatter(x, y, s=90, facecolors="none", edgecolors="0.6", label=FEW)
    _finish(ax, kind, alpha, counts, str(table["term"].iloc[0]))
    return ax


def _bars(line: pd.DataFrame, kind: str) -> FloatArray:
    """Lengths (2, counts) of two Monte Carlo errors down and up, no further than the measure can go."""
    value, half = line[kind].to_numpy(dtype=float), 2 * line[f"{kind}_se"].to_numpy(dtype=float)
    # coverage cannot exceed 1, and no measure is below 0
    up = np.minimum(half, 1.0 - value) if kind == "coverage" else half
    return np.stack([np.minimum(half, value), up])


def _label(names: tuple[str, str], designs: list[str], estimators: list[str]) -> str:
    if len(designs) == 1:
        return names[1]
    return names[0] if len(estimators) == 1 else f"{names[1]}, {names[0]}"


def _finish(ax: "Axes", kind: str, alpha: float, counts: list[int], term: str) -> None:
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.set_xlabel("labels")
    ax.set_ylabel(KINDS[kind].format(level=100 * (1 - alpha)))
    write_title(ax, term)
    if kind != "coverage":
        ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    legend_outside(ax)
