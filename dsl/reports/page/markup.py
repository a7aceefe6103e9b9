"""Pieces of HTML. Everything that comes from outside is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NewType

import numpy as np
import pandas as pd

from dsl.reports.escaping import html_text
from dsl.reports.text import number

Html = NewType("Html", str)
"""Text that is markup already."""
Cell = str | tuple[str, float]
"""What a cell shows, and for a number the value that it is sorted by."""
MOST_ROWS = 100
"""Rows of a table that is shown for reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page, with its entry in the table of contents."""

    ident: str
    heading: str
    body: Html


def text(value: object) -> Html:
    """Escaped text."""
    return Html(html_text(value))


def joined(parts: Iterable[Html]) -> Html:
    """One after the other."""
    return Html("\n".join(parts))


def element(tag: str, content: Html, **attributes: str) -> Html:
    """An element around markup. Attributes are escaped, ``class_`` and ``aria_label`` lose and change their underscore."""
    # class_ is class, aria_label aria-label
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{given}>{content}</{tag}>")


def paragraph(words: object, **attributes: str) -> Html:
    """A paragraph of plain text."""
    return element("p", text(words), **attributes)


def bullets(items: Iterable[object], **attributes: str) -> Html:
    """A list of plain texts, or nothing if there are none."""
    lines = joined(element("li", text(item)) for item in items)
    return element("ul", lines, **attributes) if lines else lines


def facts(pairs: Mapping[str, object]) -> Html:
    """Names and values."""
    rows = (Html(element("dt", text(name)) + element("dd", text(value))) for name, value in pairs.items())
    return element("dl", joined(element("div", row) for row in rows), class_="facts")


def figured(value: float) -> Cell:
    """A number with three significant digits, sorted by all of them."""
    if np.isnan(value):
        return "", float("nan")
    sign = "\N{MINUS SIGN}" if value < 0.0 else ""
    return sign + number(value).removeprefix("-"), float(value)


def counted(value: float) -> Cell:
    """A count with thousands separated."""
    return ("", float("nan")) if np.isnan(value) else (f"{value:,.0f}", float(value))


def table(ident: str, caption: str, header: Sequence[str], body: Sequence[Sequence[Cell]]) -> Html:
    """A table that scrolls by itself where it is wide, and that the page's script makes sortable.

    Parameters
    ----------
    ident : str
        Id of the table on the page.
    caption, header
        Texts.
    body : rows of cells
        The first cell of a row is its header.
    """
    # a column with a number in any row is aligned right
    numeric = [any(isinstance(row[j], tuple) for row in body) for j in range(len(header))]
    names = joined(
        element("th", text(name), scope="col", **({"class_": "number"} if right else {}))
        for name, right in zip(header, numeric, strict=True)
    )
    rows = joined(element("tr", joined(_cell(cell, first=j == 0) for j, cell in enumerate(row))) for row in body)
    label = f"{ident}-caption"
    inner = joined(
        [
            element("caption", text(caption), id=label),
            element("thead", element("tr", names)),
            element("tbody", rows),
        ]
    )
    whole = element("table", inner, id=ident, class_="sortable")
    # focusable, so that a wide table can be scrolled by keyboard
    return element("div", whole, class_="scroll", role="region", aria_labelledby=label, tabindex="0")


def _cell(cell: Cell, *, first: bool) -> Html:
    shown, value = cell if isinstance(cell, tuple) else (cell, None)
    attributes: dict[str, str] = {"scope": "row"} if first else {}
    if value is not None:
        # the value in full for the script that sorts, whatever is shown
        attributes |= {"class_": "number", "data_value": repr(value) if isfinite(value) else ""}
    return element("th" if first else "td", text(shown), **attributes)


def frame_table(ident: str, caption: str, frame: pd.DataFrame) -> Html:
    """A data frame as a table: its index first, if it has a name. A long one is cut, and says so."""
    shown = frame if frame.index.name is None else frame.reset_index()
    if len(shown) > MOST_ROWS:
        caption = f"{caption} (first {MOST_ROWS} of {len(shown):,} rows)"
    columns = [_cells(shown.iloc[:MOST_ROWS, j]) for j in range(shown.shape[1])]
    header = [str(name).replace("_", " ") for name in shown.columns]
    return table(ident, caption, header, list(zip(*columns, strict=True)))


def _cells(column: pd.Series) -> list[Cell]:
    if pd.api.types.is_bool_dtype(column):
        return ["yes" if value else "no" for value in column]
    if pd.api.types.is_integer_dtype(column):
        return [counted(float(value)) for value in column]
    if pd.api.types.is_float_dtype(column):
        return [figured(float(value)) for value in column]
    return ["" if pd.isna(value) else str(value) for value in column.astype(object)]


def folded(summary: str, content: Html) -> Html:
    """Content that is shown when asked for."""
    return element("details", joined([element("summary", text(summary)), content]))


def left_out(what: str, why: str) -> Html:
    """A remark in the place of something that is not here."""
    return paragraph(f"{what} left out: {why}", class_="left-out")
