"""Sheets as spreadsheets write them."""

import re
import zipfile
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest

from dsl.exceptions import CoderFileError
from dsl.sampling.coding.sheets import read_sheet

SHEET = "xl/worksheets/sheet1.xml"


def valued(found: re.Match[bytes]) -> bytes:
    """A formula with its value."""
    return b"<f>MOD(%s,2)</f><v>%d</v>" % (found[1], int(found[1]) % 2)


def test_computed_labels_are_read_as_the_coder_saw_them(tmp_path: Path) -> None:
    """The value of a formula counts, and not the formula."""
    book = openpyxl.Workbook()
    book.active.append(["row", "gold"])
    for i in range(5):
        book.active.append([f"p{i}", f"=MOD({i},2)"])
    book.save(tmp_path / "formulas.xlsx")
    # openpyxl writes formulas without their values, which spreadsheets put beside them
    with zipfile.ZipFile(tmp_path / "formulas.xlsx") as there, zipfile.ZipFile(tmp_path / "saved.xlsx", "w") as saved:
        for name in there.namelist():
            part = there.read(name)
            if name == SHEET:
                part, count = re.subn(rb"<f>MOD\((\d+),2\)</f><v ?/?>(</v>)?", valued, part)
                assert count == 5
            saved.writestr(name, part)
    table = read_sheet(tmp_path / "saved.xlsx", "utf-8-sig")
    assert table.to_dict("list") == {"row": ["p0", "p1", "p2", "p3", "p4"], "gold": ["0", "1", "0", "1", "0"]}


@pytest.mark.parametrize(
    "entities",
    [
        '<!ENTITY e SYSTEM "file:///etc/passwd">',
        '<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise("abcdfghije")),
    ],
    ids=["another file", "billion laughs"],
)
def test_workbooks_with_entities_are_refused(tmp_path: Path, entities: str) -> None:
    """A cell that stands for another file, or for more text than memory holds."""
    book, path = openpyxl.Workbook(), tmp_path / "coder.xlsx"
    book.active.append(["text", "gold"])
    book.active.append(["x", "1"])
    book.save(tmp_path / "plain.xlsx")
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(path, "w") as forged:
        for name in plain.namelist():
            part = plain.read(name).decode()
            if name == SHEET:
                head, _, rest = part.rpartition("<worksheet")
                part = f"{head}<!DOCTYPE worksheet [{entities}]><worksheet{rest}".replace(">x<", ">&e;<")
                assert "&e;<" in part
            forged.writestr(name, part)
    with pytest.raises(CoderFileError, match="cannot be read as a coder"):
        read_sheet(path, "utf-8")
