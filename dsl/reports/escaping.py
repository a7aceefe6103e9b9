"""Text from outside (names of columns, formulas, categories) on its way into HTML, LaTeX and Markdown: one function for each.

Whatever this package shows as markup goes through here.
"""

import copy
import re
from collections.abc import Callable
from html import escape

from statsmodels.iolib.summary import Summary
from statsmodels.iolib.summary2 import Summary as Summary2
from statsmodels.iolib.table import SimpleTable

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "\n": " ",
    "\r": " ",
}
HIDDEN = 0xE000
"""Where Unicode's private codes begin."""
MARKDOWN = re.compile(r"([\\|*_<>\[\]`])")
"""Signs that Markdown would take for markup."""


def html_text(value: object) -> str:
    """Text as HTML shows it, in an element or in an attribute between quotation marks.

    Examples
    --------
    >>> html_text("<script>")
    '&lt;script&gt;'
    """
    return escape(str(value), quote=True)


def latex_text(value: object) -> str:
    r"""Text with LaTeX's signs escaped.

    Examples
    --------
    >>> latex_text("I(age_2^2) & 5%")
    'I(age\\_2\\textasciicircum{}2) \\& 5\\%'
    """
    return "".join(LATEX.get(sign, sign) for sign in str(value))


def markdown_text(value: object) -> str:
    r"""Text with Markdown's signs escaped, in one line.

    Examples
    --------
    >>> markdown_text("a*b_c")
    'a\\*b\\_c'
    """
    return MARKDOWN.sub(r"\\\1", " ".join(str(value).splitlines()))


class EscapedSummary(Summary):  # type: ignore[misc]
    """A summary of statsmodels' whose names may hold any character, in HTML and LaTeX too."""

    def as_html(self) -> str:
        """The tables as HTML, with names and notes escaped."""
        notes = html_text(self.extra_txt or "").replace("\n", "<br/>")
        tables = [_mapped(table, html_text).as_html() for table in self.tables]
        return "\n".join(tables) + (f"<br/><br/>{notes}" if notes else "")

    def as_latex(self) -> str:
        """The tables as LaTeX, with names and notes escaped."""
        first, *others = (_mapped(table, latex_text) for table in self.tables)
        for other in others:
            first.extend(other)
        # not escaped twice
        whole = str(first.as_latex_tabular(replacements={}))
        notes = " \\newline\n ".join(latex_text(line) for line in (self.extra_txt or "").split("\n"))
        return whole + (f"\n\n{notes}" if notes else "")


class EscapedSummary2(Summary2):  # type: ignore[misc]
    """The same for statsmodels' other kind of summary, whose tables are data frames."""

    def as_html(self) -> str:
        """The tables as HTML, with names and notes escaped."""
        return str(self._changed(html_text).as_html())

    def as_latex(self, label: str = "") -> str:
        """The tables as LaTeX, with names and notes escaped."""
        # statsmodels replaces some signs by markup, and its markup is made of such signs: ours wait under other codes
        text = str(self._changed(_hidden).as_latex(label))
        for sign, markup in LATEX.items():
            text = text.replace(chr(HIDDEN + ord(sign)), markup)
        return text

    def _changed(self, change: Callable[[object], str]) -> Summary2:
        """A plain summary with all names, texts and notes changed."""
        out = Summary2()
        out.tables = [
            table.map(lambda cell: change(cell) if isinstance(cell, str) else cell).rename(index=change, columns=change)
            for table in self.tables
        ]
        out.settings, out.extra_txt = self.settings, [change(note) for note in self.extra_txt]
        out.title = None if self.title is None else change(self.title)
        return out


def _hidden(value: object) -> str:
    """Text with LaTeX's signs under codes that no text has."""
    return "".join(chr(HIDDEN + ord(sign)) if sign in LATEX else sign for sign in str(value))


def _mapped(table: SimpleTable, escaped: Callable[[object], str]) -> SimpleTable:
    """A copy of a table with all texts escaped."""
    # a copy: the summary as text stays as it is
    out = copy.deepcopy(table)
    for cell in (cell for row in out for cell in row):
        # statsmodels puts names into markup as they are
        cell.data = escaped(cell.data)
    out.title = escaped(out.title or "")
    return out
