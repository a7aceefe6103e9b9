"""Predicted standard errors in print and in a figure. Only reads results."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary, forg
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl._typing import Record
from dsl.data.arguments import Names, as_names
from dsl.exceptions import ArgumentError, MissingDependencyError
from dsl.planning.power.study import Study
from dsl.reports.escaping import EscapedSummary
from dsl.reports.plots.lettering import write_legend
from dsl.reports.plots.style import given_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SIZES = 6
"""Sizes that a printed table has room for."""
DASHES = ("-", "--", "-.", ":", (0, (6, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GREYS = ("0.0", "0.35", "0.55")
POINTS = 200
"""Sizes at which a curve is drawn."""


def summarize(
    study: Study, predicted_se: pd.DataFrame, extrapolated: pd.DataFrame, effects: tuple[str, pd.DataFrame]
) -> Summary:
    """Design, predicted standard errors, detectable effects (title and table). Rows of the tables are sizes."""
    sizes = predicted_se.index.to_numpy(dtype=float)
    # at most MOST_SIZES of the sizes, evenly chosen, the first and last among them
    shown = np.unique(np.linspace(0, len(sizes) - 1, MOST_SIZES).round().astype(int)).tolist()
    out = EscapedSummary()
    facts = [
        ("Formula:", study.formula),
        ("Estimator:", study.estimator),
        ("Rows:", f"{study.nobs:,}"),
        ("Rests on:", study.basis),
    ]
    out.tables.append(
        SimpleTable(
            [[value] for _, value in facts],
            stubs=[name for name, _ in facts],
            title="Power of a labelling design",
            txt_fmt={"table_dec_above": "=", "table_dec_below": "=", "data_aligns": "l", "stubs_align": "l"},
        )
    )
    for title, table in (
        ("Predicted standard errors, by number of labelled rows", predicted_se),
        effects,
    ):
        body = [[_number(value) for value in table[term].iloc[shown]] for term in table]
        headers = [f"{sizes[j]:,.6g}" for j in shown]
        out.tables.append(SimpleTable(body, headers=headers, stubs=list(table), title=title, txt_fmt=fmt_params))
    notes = []
    if len(shown) < len(sizes):
        notes.append(f"{len(shown)} of {len(sizes)} sizes shown; all are in predicted_se.")
    if extrapolated.to_numpy().any():
        notes.append("Some figures are extrapolated (see `extrapolated`) and not to be relied on.")
    if sizes.max() > study.exact_to * (1.0 + 1e-9):
        notes.append(f"Approximate above {study.exact_to:,.0f} labels: probabilities would exceed one.")
    if notes:
        out.add_extra_txt(notes)
    return out


def _number(value: float) -> str:
    return str(forg(value, prec=4)).strip()


def draw(
    study: Study,
    predicted_se: pd.DataFrame,
    extrapolated: pd.DataFrame,
    *,
    ax: "Axes | None" = None,
    terms: Names | None = None,
) -> "Axes":
    """Standard errors against the number of labels, one line per coefficient, told apart without colour."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("plot() needs matplotlib: pip install 'dsl[plot]'") from error
    chosen = list(as_names(terms, "terms")) or list(study.terms)
    unknown = [term for term in chosen if term not in study.terms]
    if unknown:
        raise ArgumentError(f"terms names '{unknown[0]}', which is no coefficient; they are {', '.join(study.terms)}")
    ax = given_axes(ax)
    if ax is None:
        _, ax = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    sizes = predicted_se.index.to_numpy(dtype=float)
    # one size alone is drawn from half to twice as much, within the rows
    ends = (sizes.min(), sizes.max()) if len(sizes) > 1 else (sizes[0] / 2.0, min(2.0 * sizes[0], study.nobs))
    dense = np.linspace(*ends, POINTS)
    column = [study.terms.index(term) for term in chosen]
    curves = study.curve.of(column).se(dense)
    # extrapolated figures get no marker
    points = predicted_se[chosen].mask(extrapolated[chosen])
    for j, term in enumerate(chosen):
        style: Record = {"color": GREYS[j % len(GREYS)], "linestyle": DASHES[j % len(DASHES)]}
        ax.plot(dense, curves[:, j], linewidth=1.3, **style)
        ax.plot(sizes, points[term], MARKERS[j % len(MARKERS)], color=style["color"], markersize=4.5)
        # an empty line for the legend: line and marker in one entry
        ax.plot([], [], marker=MARKERS[j % len(MARKERS)], markersize=4.5, label=term, **style)
    _dress(ax, study.n_labeled, "labelled so far" if study.at_hand else "planned", ends)
    return ax


def _dress(ax: "Axes", n_labeled: int, what: str, ends: tuple[float, float]) -> None:
    """Axes, legend, and a mark at the number of labels that the figures start from."""
    ax.set_ylim(bottom=0.0)
    if ends[0] < n_labeled < ends[1]:
        ax.axvline(n_labeled, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
        place = (n_labeled, ax.get_ylim()[1])
        ax.annotate(f" {what}", place, va="top", fontsize="small", color="0.35")
    ax.set_xlabel("Labelled rows")
    ax.set_ylabel("Predicted standard error")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.0)
    write_legend(ax)
