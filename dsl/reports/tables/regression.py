"""The table: cells of text, and how each format writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dsl.data.files import as_path, write_text
from dsl.exceptions import ArgumentError, MissingDependencyError
from dsl.reports.escaping import html_text
from dsl.reports.tables.render import Grid, as_html, as_latex, as_markdown, as_text, minus

if TYPE_CHECKING:
    from great_tables import GT

FORMATS = ("text", "md", "latex", "html")
SUFFIXES = {".txt": "text", ".md": "md", ".tex": "latex", ".html": "html", ".htm": "html"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the body."""

    label: str
    cells: tuple[str, ...]
    kind: str
    """"estimate", "below" or "fact"."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegressionTable:
    r"""A regression table of several fits, returned by `dsl.table`.

    Attributes
    ----------
    names : tuple of str
        Heads of the columns.
    outcomes : tuple of str
        The outcome of each fit.
    rows : tuple of Row
        Coefficients, what stands below them, and facts about the fits.
    notes : tuple of str
    title, fmt : str

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.tables import table
    >>> posts = dsl.datasets.simulate_linear(n=2000, n_labels=400, seed=1)
    >>> fit = dsl.dsl("Y ~ X1", posts, predicted_var="Y", prediction="pred_Y", estimator="gold_only")
    >>> made = table(fit, names=["Gold"], stars=True)
    >>> made.frame().loc["Labelled", "Gold"]
    '400'
    >>> made.as_latex().splitlines()[0]
    '\\begin{table}[!htbp]'
    """

    names: tuple[str, ...]
    outcomes: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    title: str = ""
    fmt: str = "text"

    def _grid(self) -> Grid:
        heads = [("", *self.names)]
        if any(self.outcomes):
            heads.append(("Outcome", *self.outcomes))
        body = [(row.label, *row.cells) for row in self.rows if row.kind != "fact"]
        facts = [(row.label, *row.cells) for row in self.rows if row.kind == "fact"]
        return Grid(heads=heads, body=body, facts=facts, notes=list(self.notes), title=self.title)

    def as_text(self) -> str:
        """Plain text."""
        return as_text(self._grid())

    def as_markdown(self) -> str:
        """A pipe table (GitHub, Quarto, Pandoc)."""
        return as_markdown(self._grid())

    def as_latex(self) -> str:
        r"""LaTeX, for which the document needs ``\usepackage{booktabs}``."""
        return as_latex(self._grid())

    def as_html(self) -> str:
        """An HTML table that needs no style sheet."""
        return as_html(self._grid())

    def frame(self) -> pd.DataFrame:
        """The cells as text: one row per line, one column per fit."""
        return pd.DataFrame(
            [row.cells for row in self.rows], index=[row.label for row in self.rows], columns=list(self.names)
        )

    def great_table(self) -> "GT":
        """A ``great_tables.GT`` of the same cells, to be styled further.

        Raises
        ------
        MissingDependencyError
            great_tables is not installed.
        """
        try:
            from great_tables import GT, html
        except ImportError as error:
            raise MissingDependencyError("great_table() needs great_tables: pip install great_tables") from error
        # keys of their own, as columns may be called alike
        keys = [f"fit{j}" for j in range(len(self.names))]
        cells = pd.DataFrame([[row.label, *map(minus, row.cells)] for row in self.rows], columns=["term", *keys])
        out = GT(cells).cols_label({"term": "", **dict(zip(keys, self.names, strict=True))})
        out = out.cols_align("center", columns=keys).cols_align("left", columns=["term"])
        if self.title:
            out = out.tab_header(title=html(html_text(self.title)))
        for note in self.notes:
            out = out.tab_source_note(html(html_text(note)))
        return out

    def save(self, path: str | Path) -> None:
        """Write the table to a file.

        Parameters
        ----------
        path : str or Path
            Ends in ``.txt``, ``.md``, ``.tex``, ``.html``, or ``.docx`` (Word, needs python-docx).

        Raises
        ------
        ArgumentError
            Another ending.
        MissingDependencyError
            python-docx is not installed.
        FileError
            The file cannot be written. One that was there is unchanged.
        """
        target = as_path(path)
        suffix = target.suffix.lower()
        if suffix == ".docx":
            from dsl.reports.tables.word import write_word

            return write_word(self._grid(), target)
        if suffix not in SUFFIXES:
            raise ArgumentError(f"'{target.name}' must end in {', '.join(SUFFIXES)} or .docx, which says the format")
        text = self._in(SUFFIXES[suffix])
        # a whole page, as a file is opened by itself
        if SUFFIXES[suffix] == "html":
            title = html_text(self.title or "Regression table")
            head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
            text = f'<!DOCTYPE html>\n<html lang="en">{head}<body>\n{text}\n</body></html>'
        write_text(target, text + "\n")
        return None

    def _in(self, fmt: str) -> str:
        writers: dict[str, Callable[[], str]] = {
            "text": self.as_text,
            "md": self.as_markdown,
            "latex": self.as_latex,
            "html": self.as_html,
        }
        return writers[fmt]()

    def __str__(self) -> str:
        """The table in `fmt`."""
        return self._in(self.fmt)

    def __repr__(self) -> str:
        """One line: the fits."""
        return f"<RegressionTable of {len(self.names)}: {', '.join(self.names)}>"

    def _repr_html_(self) -> str:
        return self.as_html()
