"""Spreadsheets: tables of text cells to and from CSV and XLSX files."""

import csv
import datetime
import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from dsl.data.files import read_from
from dsl.data.kinds import EXACT
from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, CoderFileError, DataError, MissingDependencyError
from dsl.sampling.coding.codebook import GUARDED, UNPRINTABLE, Codebook, is_number, unguarded
from dsl.sampling.coding.exchange import KEY, ROW, CoderFormat, Incoming, Outgoing

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell

CELL = 32_767
"""Characters that a spreadsheet cell holds."""
WIDTHS = {KEY: 28, ROW: 12}
"""Columns' widths, less than that of text."""


def cell_text(value: object) -> str:
    """A value as the coder sees it: numbers without needless decimals, missing values empty."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(cast(str, value))):  # a scalar of any type
        return ""
    if isinstance(value, float):
        # whole numbers in full, as far as a float holds them
        return f"{value:.0f}" if value.is_integer() and abs(value) < EXACT else f"{value:.12g}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return UNPRINTABLE.sub(" ", text)


def write_sheet(path: Path, frame: pd.DataFrame, *, label: str, codebook: Codebook | None) -> None:
    """Write a table of text, the row labels first."""
    table = frame.reset_index()
    if path.suffix.lower() == ".csv":
        # an apostrophe keeps spreadsheets from running the text as a formula. `canonical` takes it off again
        guarded = table.map(_guarded).rename(columns=_guarded)
        # the byte order mark tells Excel that the file is UTF-8
        guarded.to_csv(path, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    else:
        _write_xlsx(path, table, frame.index, label=label, codebook=codebook)


def heading(name: str) -> str:
    """A column's name as headings are compared: without blanks around it, and without a guard against formulas."""
    return unguarded(name.strip())


def _guarded(text: str) -> str:
    return f"'{text}" if _formula_like(text) else text


def _formula_like(text: str) -> bool:
    """Whether a spreadsheet would run the text, or one of ours was guarded against that before."""
    start = text.lstrip()
    return bool(start) and (start[0] in "=+-@" or bool(GUARDED.match(start))) and not is_number(text)


def _write_xlsx(path: Path, table: pd.DataFrame, rows: pd.Index, *, label: str, codebook: Codebook | None) -> None:
    require_excel()
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    for name in table.columns:
        long = (table[name].str.len() > CELL).to_numpy()
        if long.any():
            raise DataError(
                f"column '{name}' has more than {CELL} characters, which no spreadsheet cell holds, in {first_rows(long, rows)}; "
                "write a .csv file, or shorten the text before the design is drawn"
            )
    book = Workbook()
    sheet = book.active
    sheet.title = "labels"
    for j, name in enumerate(table.columns, start=1):
        _fill(sheet.cell(1, j), name)
        sheet.cell(1, j).font = Font(bold=True)
        shown = name not in (label, *WIDTHS)
        sheet.column_dimensions[get_column_letter(j)].width = 60 if shown else WIDTHS.get(name, 14)
        for i, text in enumerate(table[name], start=2):
            cell = sheet.cell(i, j)
            cell.number_format = "@"  # text: nothing typed becomes a date
            if text:
                _fill(cell, text)
            if shown:
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A2"
    if codebook is not None:
        _add_codebook(book, codebook, column=list(table.columns).index(label) + 1, last=len(table) + 1)
    packed = io.BytesIO()
    book.save(packed)
    path.write_bytes(packed.getvalue())


def _fill(cell: "Cell", text: str) -> None:
    """Put a text into a cell, as text."""
    # data type "s": openpyxl would take a text that begins with "=" for a formula
    cell.value, cell.data_type, cell.quotePrefix = text, "s", _formula_like(text)


def _add_codebook(book: "Workbook", codebook: Codebook, *, column: int, last: int) -> None:
    """A second sheet with the labels and what they mean, offered in each cell of the label column."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    explained = book.create_sheet("codebook")
    explained.append(["label", "meaning"])
    for i, code in enumerate(codebook.codes, start=2):
        _fill(explained.cell(i, 1), cell_text(code))
        if codebook.meanings:
            _fill(explained.cell(i, 2), codebook.meanings[i - 2])
    offer = DataValidation(type="list", formula1=f"codebook!$A$2:$A${len(codebook.codes) + 1}", allow_blank=True)
    offer.showErrorMessage = True
    offer.error = "This label is not in the codebook (second sheet)."
    letter = get_column_letter(column)
    offer.add(f"{letter}2:{letter}{last}")
    book.active.add_data_validation(offer)


def require_excel() -> None:
    """Raise MissingDependencyError unless openpyxl is installed."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            'XLSX files need openpyxl, which is not installed: pip install "dsl[excel]", or use a .csv file'
        ) from None


def read_sheet(path: Path, encoding: str) -> pd.DataFrame:
    """All cells of a file as text, empty where blank. Rows without anything in them are left out."""
    again = "a coder's file (save it again from the spreadsheet, as .xlsx or .csv)"
    with read_from(path, again, CoderFileError) as target:
        cells = _xlsx_cells(target) if path.suffix.lower() == ".xlsx" else _csv_cells(target, encoding)
    filled = [row for row in cells if any(row)]
    if not filled:
        raise CoderFileError(f"'{path.name}' is empty")
    names = [heading(name) for name in filled[0]]
    width = max(len(row) for row in filled)
    # spreadsheets drop trailing empty cells, so that rows may differ in width
    names += [f"unnamed {j + 1}" for j in range(len(names), width)]
    return pd.DataFrame([[*row, *[""] * (width - len(row))] for row in filled[1:]], columns=names, dtype=object)


def _csv_cells(path: Path, encoding: str) -> list[list[str]]:
    raw = path.read_bytes()
    used = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding  # what spreadsheets call Unicode text
    try:
        text = raw.decode(used)
    except LookupError:
        raise ArgumentError(f"unknown encoding {encoding!r}; try 'utf-8-sig' or 'cp1252'") from None
    except UnicodeDecodeError as error:
        raise CoderFileError(
            f"'{path.name}' is not {used} (byte {raw[error.start]:#04x} at position {error.start}): the spreadsheet saved it in "
            "another encoding. Save it as 'CSV UTF-8', or pass encoding='cp1252' (Windows, western Europe) or the one used"
        ) from None
    header = text.split("\n", 1)[0]
    # whichever delimiter the header has most of: it depends on the spreadsheet's language
    delimiter = max(",;\t", key=header.count)
    # texts may be longer than Python's default limit of a cell
    csv.field_size_limit(2**31 - 1)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CoderFileError(
            f"'{path.name}' cannot be read as CSV ({error}); save it again from the spreadsheet"
        ) from None


def _xlsx_cells(path: Path) -> list[list[str]]:
    require_excel()
    from openpyxl import load_workbook

    # opened here: some versions of openpyxl leave a file open that they cannot read
    with path.open("rb") as file:
        book = load_workbook(file, read_only=True, data_only=True)
        try:
            sheet = book["labels"] if "labels" in book.sheetnames else book.worksheets[0]
            # cells are read as they are asked for
            return [[cell_text(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        finally:
            book.close()


def write(path: Path, outgoing: Outgoing) -> None:
    """Write a sheet with an empty column of labels."""
    sheet = outgoing.texts.assign(**{outgoing.label: "", KEY: list(outgoing.keys)}).rename_axis(ROW)
    write_sheet(path, sheet, label=outgoing.label, codebook=outgoing.codebook)


def read(path: Path, label: str, encoding: str) -> list[Incoming]:
    """Read a sheet, which is one coder's."""
    cells = read_sheet(path, encoding)
    # lines from 2, below the header, as spreadsheets count them
    return [Incoming(cells=cells, places=pd.RangeIndex(2, len(cells) + 2))]


CSV = CoderFormat(name="csv", write=write, read=read, writes=(".csv",), reads=(".csv", ".txt", ".tsv"))
XLSX = CoderFormat(name="xlsx", write=write, read=read, writes=(".xlsx",), reads=(".xlsx",))
