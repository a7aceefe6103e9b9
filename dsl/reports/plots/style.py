"""What all plots share: new axes, and looks that differ in shape as well as in colour."""

from typing import TYPE_CHECKING, Literal

from dsl._typing import Record
from dsl.exceptions import ArgumentError, MissingDependencyError
from dsl.reports.plots.lettering import write_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*")
COLORS = ("black", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "0.5")
"""Okabe and Ito's palette: told apart by the colour-blind."""
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2)), (0, (3, 1)))
REFERENCE: Record = {"color": "0.6", "linewidth": 1.0, "zorder": 0}
"""Zero lines, diagonals."""


def given_axes(ax: "Axes | None") -> "Axes | None":
    """The axes to draw on, if some were given. Raises ArgumentError for anything else."""
    if ax is None:
        return None
    try:
        from matplotlib.axes import Axes
    except ModuleNotFoundError as error:
        raise MissingDependencyError('plots need matplotlib: pip install "dsl[plot]"') from error
    if not isinstance(ax, Axes):
        raise ArgumentError(f"ax must be matplotlib Axes, such as plt.subplots() makes; found {type(ax).__name__}")
    return ax


def new_axes(width: float = 7.5, height: float = 4.2) -> "Axes":
    """Axes of a new figure of so many inches."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise MissingDependencyError('plots need matplotlib: pip install "dsl[plot]"') from error
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def look(j: int) -> Record:
    """Marker, line and colour of the j-th series. Every second marker is hollow."""
    color = COLORS[j % len(COLORS)]
    return {
        "marker": MARKERS[j % len(MARKERS)],
        "linestyle": LINES[j % len(LINES)],
        "color": color,
        "markerfacecolor": "white" if j % 2 else color,
        "markersize": 5,
        "linewidth": 1.2,
        "capsize": 2.5,
    }


def dress(ax: "Axes", *, grid: Literal["x", "y"] | None = None) -> None:
    """Open frame, and a faint grid across `grid`, "x" or "y"."""
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)


def legend_outside(ax: "Axes") -> None:
    """Legend to the right of the axes, where it hides nothing."""
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", handlelength=3.5)
    write_legend(ax)


def legend_inside(ax: "Axes") -> None:
    """Legend in the emptiest corner."""
    ax.legend(frameon=False, loc="best", fontsize="small")
    write_legend(ax)
