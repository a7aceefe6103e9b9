"""Cells of text as plain text, Markdown, LaTeX and HTML."""

import re
from dataclasses import dataclass

from dsl.reports.escaping import html_text, latex_text, markdown_text

Line = tuple[str, ...]

NEGATIVE = re.compile(r"(?<![\w.])-(?=\d)")
"""A minus sign, in cells of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Lines of the table, each with a label and one cell per fit."""

    heads: list[Line]
    body: list[Line]
    facts: list[Line]
    notes: list[str]
    title: str


def as_text(grid: Grid) -> str:
    """Labels to the left, cells to the right."""
    lines = [*grid.heads, *grid.body, *grid.facts]
    # as wide as the widest cell of each column
    widths = [max(len(line[j]) for line in lines) for j in range(len(lines[0]))]

    def write(line: Line) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return "  ".join([line[0].ljust(widths[0]), *cells]).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    parts = [*map(write, grid.heads), rule, *map(write, grid.body), rule, *map(write, grid.facts), rule, *grid.notes]
    return "\n".join(([grid.title] if grid.title else []) + parts)


def as_markdown(grid: Grid) -> str:
    """A pipe table. The second head is a line of the body, since these tables have one head."""

    def write(line: Line) -> str:
        return "| " + " | ".join(map(markdown_text, line)) + " |"

    first, *more = grid.heads
    rule = "|:---|" + "---:|" * (len(first) - 1)
    lines = [write(first), rule, *(write(line) for line in [*more, *grid.body, *grid.facts])]
    title = [f"**{markdown_text(grid.title)}**", ""] if grid.title else []
    return "\n".join([*title, *lines, "", " ".join(map(markdown_text, grid.notes))])


def as_latex(grid: Grid) -> str:
    r"""A ``table`` with booktabs' rules."""

    def write(line: Line, number: bool = False) -> str:
        cells = [line[0], *line[1:]]
        texts = [latex_text(cells[0]), *(_latex_number(c) if number else latex_text(c) for c in cells[1:])]
        return " & ".join(texts) + r" \\"

    width = len(grid.heads[0])
    out = [r"\begin{table}[!htbp]", r"\centering"]
    out += [rf"\caption{{{latex_text(grid.title)}}}"] if grid.title else []
    out += [rf"\begin{{tabular}}{{l{'c' * (width - 1)}}}", r"\toprule", *(write(line) for line in grid.heads)]
    out += [r"\midrule", *(write(line, number=True) for line in grid.body)]
    out += [r"\midrule", *(write(line) for line in grid.facts), r"\bottomrule"]
    out += [rf"\multicolumn{{{width}}}{{l}}{{\footnotesize {latex_text(note)}}} \\" for note in grid.notes]
    return "\n".join([*out, r"\end{tabular}", r"\end{table}"])


def _latex_number(cell: str) -> str:
    """A number, or two in brackets, with real minus signs and raised stars."""
    # stars are raised, the number before them is set as one
    stars = len(cell) - len(cell.rstrip("*"))
    body = NEGATIVE.sub("$-$", cell.rstrip("*")).replace("<", "$<$")
    return f"{body}$^{{{'*' * stars}}}$" if stars else body


def as_html(grid: Grid) -> str:
    """A table that carries its own few styles."""
    rule = "border-top:1px solid currentColor"

    def write(line: Line, tag: str = "td", style: str = "") -> str:
        cells = "".join(
            f'<{tag} style="text-align:center;padding:0 .8em;{style}">{html_text(minus(cell))}</{tag}>'
            for cell in line[1:]
        )
        label = f'<th style="text-align:left;font-weight:normal;padding:0 .8em;{style}">{html_text(line[0])}</th>'
        return f"<tr>{label}{cells}</tr>"

    def block(lines: list[Line], tag: str = "td") -> list[str]:
        return [write(line, tag, rule if j == 0 else "") for j, line in enumerate(lines)]

    title = [f"<caption>{html_text(grid.title)}</caption>"] if grid.title else []
    notes = "<br/>".join(html_text(note) for note in grid.notes)
    foot = f'<tr><td colspan="{len(grid.heads[0])}" style="{rule};text-align:left;font-size:smaller">{notes}</td></tr>'
    parts = ["<thead>", *block(grid.heads, "th"), "</thead>", "<tbody>", *block(grid.body), *block(grid.facts)]
    table = '<table class="dsl-table" style="border-collapse:collapse">'
    return "\n".join([table, *title, *parts, "</tbody>", "<tfoot>", foot, "</tfoot>", "</table>"])


def minus(cell: str) -> str:
    """A cell of numbers with a real minus sign."""
    return NEGATIVE.sub("\N{MINUS SIGN}", cell)
