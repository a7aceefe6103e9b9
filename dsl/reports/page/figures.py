"""Plots as pictures inside the page."""

import warnings
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

from dsl.exceptions import PlotWarning
from dsl.reports.page.markup import Html, element, joined, left_out, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw: TypeAlias = "Callable[[Axes], object]"
"""Draws into the axes that it is given."""


def picture(ident: str, draw: Draw, *, size: tuple[float, float], alt: str, caption: str) -> Html:
    """A plot as an SVG picture in a data URI, or a remark where matplotlib is missing.

    Parameters
    ----------
    ident : str
        Id of the figure on the page.
    draw : callable
        Draws into matplotlib axes.
    size : (float, float)
        Inches.
    alt, caption : str
        What is to be seen, for those who do not see it, and below the picture.
    """
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            source = _svg(draw, size, ident)
    except ModuleNotFoundError as error:
        # another module that is missing is a mistake, not a missing extra
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        return left_out("Plot", 'plots need matplotlib; pip install "dsl[plot]" and write the report again.')
    for each in said:
        if not issubclass(each.category, PlotWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    lacking = next((str(each.message) for each in said if issubclass(each.category, PlotWarning)), "")
    if lacking:
        # whoever reads the page cannot see the warning
        caption += f" {lacking[:1].upper()}{lacking[1:]}."
    width, height = (f"{96 * side:.0f}" for side in size)
    image = f'<img src="data:image/svg+xml;base64,{source}" alt="{text(alt)}" width="{width}" height="{height}">'
    return element("figure", joined([Html(image), element("figcaption", text(caption))]), id=ident)


def _svg(draw: Draw, size: tuple[float, float], salt: str) -> str:
    """The plot in base64, the same in every session, whatever the user's settings of matplotlib."""
    # imported here: matplotlib is an optional dependency
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.style import context

    with context("default"), matplotlib.rc_context({"svg.hashsalt": salt}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        out = BytesIO()
        # no date: two runs write the same bytes
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return b64encode(out.getvalue()).decode("ascii")
