"""A Word document with the table (python-docx)."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from dsl.data.files import written_aside
from dsl.exceptions import MissingDependencyError
from dsl.reports.tables.render import Grid, minus

if TYPE_CHECKING:
    from docx.table import _Cell
    from docx.text.paragraph import Paragraph


def write_word(grid: Grid, path: Path) -> None:
    """Write the table to a ``.docx`` file, with rules above and below the heads, the facts and the whole."""
    try:
        from docx import Document
        from docx.enum.text import WD_ALIGN_PARAGRAPH
    except ImportError as error:
        raise MissingDependencyError("a Word table needs python-docx: pip install python-docx") from error
    document = Document()
    # the template's own say that it was made for python-docx
    document.core_properties.title, document.core_properties.author = grid.title, ""
    if grid.title:
        _title(document.add_paragraph(grid.title, style="Caption"))
    lines = [*grid.heads, *grid.body, *grid.facts]
    table = document.add_table(rows=len(lines), cols=len(lines[0]))
    # lines of the table with a rule above: heads, coefficients, facts
    ruled = {0, len(grid.heads), len(grid.heads) + len(grid.body)}
    for i, line in enumerate(lines):
        cells = table.rows[i].cells
        for j, text in enumerate(line):
            paragraph = cells[j].paragraphs[0]
            paragraph.add_run(minus(text) if j else text)
            # no space below a line, whatever the document's style has
            paragraph.paragraph_format.space_after = 0
            if j:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
            _rule(cells[j], above=i in ruled, below=i == len(lines) - 1)
    for note in grid.notes:
        document.add_paragraph(note)
    packed = BytesIO()
    document.save(packed)
    with written_aside(path) as draft:
        draft.write_bytes(packed.getvalue())


def _title(paragraph: "Paragraph") -> None:
    """Bold and black, on the page of its table. The style stays Word's caption, which its lists of tables look for."""
    from docx.shared import Pt, RGBColor

    paragraph.paragraph_format.keep_with_next = True
    paragraph.paragraph_format.space_after = Pt(6)
    for run in paragraph.runs:
        run.font.bold, run.font.size, run.font.color.rgb = True, Pt(11), RGBColor(0, 0, 0)


def _rule(cell: "_Cell", *, above: bool, below: bool) -> None:
    """Lines at a cell's edges, which python-docx has no call for."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    borders = OxmlElement("w:tcBorders")
    # the order in which Word's schema has the edges
    for edge, wanted in (("top", above), ("bottom", below)):
        if wanted:
            line = OxmlElement(f"w:{edge}")
            # size in eighths of a point
            for key, value in (("val", "single"), ("sz", "6"), ("space", "0"), ("color", "auto")):
                line.set(qn(f"w:{key}"), value)
            borders.append(line)
    cell._tc.get_or_add_tcPr().append(borders)
