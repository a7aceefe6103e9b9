"""Coders' files that went through a spreadsheet: values written in its way, identifiers, and headings."""

import csv
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dsl import exceptions as e
from dsl.sampling import LabelDesign, simple_random

ROWS, SIZE = 300, 40
FIRST = 1_200_000_000_000_000_001


def posts() -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=ROWS)
    rows = np.arange(ROWS)
    return pd.DataFrame(
        {
            "date": days.strftime("%Y-%m-%d"),
            "seen": (days + pd.to_timedelta(rows * 977, unit="s")).strftime("%Y-%m-%d %H:%M:%S"),
            "likes": rows * 1234.5,
            "code": [f"{row:05d}" for row in rows],
            "reply": rows % 3 == 0,
            "text": [f"post {row}" for row in rows],
        }
    )


SHOWN = ["date", "seen", "likes", "code", "reply", "text"]


def sent(folder: Path, data: Any, columns: Any = tuple(SHOWN), name: str = "coder.csv") -> tuple[LabelDesign, Path]:
    design = simple_random(data, SIZE, seed=1)
    design.to_coder(folder / name, data, columns=list(columns), label="hate", codebook=[0, 1])
    return design, folder / name


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def rewrite(path: Path, change: Callable[[str, str], str], delimiter: str = ",") -> None:
    """Fill in the labels and change cells by column and text, as a spreadsheet does that opens the file and saves it."""
    head, *rows = cells(path)
    out = io.StringIO(newline="")
    filled = [
        ["1" if name == "hate" else change(name, text) for name, text in zip(head, row, strict=True)] for row in rows
    ]
    csv.writer(out, delimiter=delimiter).writerows([head, *filled])
    path.write_text(out.getvalue(), encoding="utf-8-sig")


def american(name: str, text: str) -> str:
    if name in ("date", "seen"):
        moment = datetime.datetime.fromisoformat(text)
        day = f"{moment.month}/{moment.day}/{moment.year}"
        return day if name == "date" else f"{day} {moment.hour}:{moment.minute:02d}"
    if name == "likes":
        return f"{float(text):,.2f}"
    return {"code": text.lstrip("0") or "0", "reply": text.upper()}.get(name, text)


def german(name: str, text: str) -> str:
    if name in ("date", "seen"):
        moment = datetime.datetime.fromisoformat(text)
        return f"{moment:%d.%m.%Y}" if name == "date" else f"{moment:%d.%m.%Y %H:%M}"
    if name == "likes":
        return f"{float(text):,.1f}".translate(str.maketrans(",.", ".,"))
    return {"code": text.lstrip("0") or "0", "reply": {"True": "WAHR", "False": "FALSCH"}.get(text, text)}.get(
        name, text
    )


def british(name: str, text: str) -> str:
    if name == "date":
        return f"{datetime.date.fromisoformat(text):%d/%m/%y}"
    return american(name, text) if name != "seen" else text


CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda d: d,
    "nullable": lambda d: d.convert_dtypes(),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "pyarrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "dict": lambda d: {str(name): d[name].tolist() for name in d},
}


def labels_in(table: Any) -> int:
    return int(pd.Series(list(np.asarray(table["hate"])), dtype=float).notna().sum())


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("country", "delimiter"), [(american, ","), (german, ";"), (british, ",")])
def test_values_in_the_spreadsheets_own_spelling(
    tmp_path: Path, container: str, country: Callable[[str, str], str], delimiter: str
) -> None:
    data = CONTAINERS[container](posts())
    design, path = sent(tmp_path, data)
    rewrite(path, country, delimiter)
    assert labels_in(design.from_coder(path, data, label="hate", codebook=[0, 1])) == SIZE


def test_a_csv_file_saved_as_xlsx(tmp_path: Path) -> None:
    """Cells are dates, numbers and truth values there."""
    design, path = sent(tmp_path, posts())
    book = openpyxl.Workbook()
    head, *rows = cells(path)
    read: dict[str, Callable[[str], Any]] = {
        "date": datetime.datetime.fromisoformat,
        "seen": datetime.datetime.fromisoformat,
        "likes": float,
        "code": int,
        "reply": lambda text: text == "True",
        "hate": lambda text: 1,
    }
    book.active.append(head)
    for row in rows:
        book.active.append([read.get(name, str)(text) for name, text in zip(head, row, strict=True)])
    book.save(tmp_path / "saved.xlsx")
    assert labels_in(design.from_coder(tmp_path / "saved.xlsx", posts(), label="hate", codebook=[0, 1])) == SIZE


@pytest.mark.parametrize("name", ["date", "seen", "likes", "code", "reply"])
def test_other_values_are_still_refused(tmp_path: Path, name: str) -> None:
    design, path = sent(tmp_path, posts())
    head, *rows = cells(path)
    place = head.index(name)
    # sorted without the other columns, then written as a spreadsheet does
    table = [
        [*row[:place], other, *row[place + 1 :]]
        for row, other in zip(rows, sorted(r[place] for r in rows), strict=True)
    ]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([head, *table])
    path.write_text(out.getvalue(), encoding="utf-8-sig")
    rewrite(path, american)
    with pytest.raises(e.CoderFileError, match=rf"other texts than were sent out in \d+ rows.*'{name}' was"):
        design.from_coder(path, posts(), label="hate", codebook=[0, 1])


def numbered(gaps: bool) -> pd.DataFrame:
    """Posts of users whose identifiers floats do not tell apart, perhaps with one missing."""
    users = pd.array(np.arange(ROWS) + FIRST, dtype="Int64")
    if gaps:
        users[7] = pd.NA
    return pd.DataFrame({"user": users, "x": np.arange(ROWS)})


IDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    **{name: change for name, change in CONTAINERS.items() if name != "dict"},
    "objects": lambda d: d.astype({"user": object}),
    "dict": lambda d: {"user": [None if v is pd.NA else int(v) for v in d["user"]], "x": d["x"].tolist()},
    "text": lambda d: d.astype({"user": str}),
}


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize("container", IDS)
@pytest.mark.parametrize("gaps", [False, True])
def test_identifiers_are_shown_in_full_and_told_apart(tmp_path: Path, container: str, gaps: bool, suffix: str) -> None:
    data = IDS[container](numbered(gaps))
    design = simple_random(data, ROWS, seed=1)
    path = tmp_path / f"coder{suffix}"
    sheet = design.to_coder(path, data, columns="user", label="hate", codebook=[0, 1])
    known = sheet["user"][sheet["user"].str.fullmatch(r"\d{19}")]
    assert known.nunique() == ROWS - gaps
    book = openpyxl.load_workbook(path) if suffix == ".xlsx" else None
    table = [[cell.value for cell in row] for row in book["labels"].iter_rows()] if book else cells(path)
    head, *rows = table
    filled = [[1 if name == "hate" else text for name, text in zip(head, row, strict=True)] for row in rows]

    def save(lines: list[list[Any]]) -> Path:
        if suffix == ".csv":
            out = io.StringIO(newline="")
            csv.writer(out).writerows([head, *lines])
            path.write_text(out.getvalue(), encoding="utf-8-sig")
            return path
        new = openpyxl.Workbook()
        for line in [head, *lines]:
            new.active.append(line)
        new.save(path)
        return path

    assert labels_in(design.from_coder(save(filled), data, label="hate")) == ROWS
    # two neighbours exchanged: floats would not notice
    place = head.index("user")
    one, two = (i for i, row in enumerate(filled) if row[place] in (str(FIRST), str(FIRST + 1)))
    filled[one][place], filled[two][place] = filled[two][place], filled[one][place]
    with pytest.raises(e.CoderFileError, match=r"other texts than were sent out in 2 rows \(first:.*'user' was '12000"):
        design.from_coder(save(filled), data, label="hate")


@pytest.mark.parametrize("text", ["1.20000000000000E+18", "1,2E+18", "1200000000000000000"])
def test_identifiers_that_a_spreadsheet_has_rounded(tmp_path: Path, text: str) -> None:
    design, path = sent(tmp_path, numbered(False), ["user", "x"])
    rewrite(path, lambda name, was: text if name == "user" else was)
    with pytest.raises(e.CoderFileError) as caught:
        design.from_coder(path, numbered(False), label="hate")
    for word in (f"has rounded numbers in {SIZE} rows", f"is {text}", "keeps 15 digits", "column as text", ".xlsx"):
        assert word in str(caught.value)


def test_row_labels_beyond_the_digits_of_floats(tmp_path: Path) -> None:
    data = posts().set_index(pd.Index(np.arange(ROWS) + FIRST, dtype="Int64"))
    design, path = sent(tmp_path, data, ["text"])
    # the rows' own column may be rounded: rows are found by their key
    rewrite(path, lambda name, text: "1.2E+18" if name == "row" else text)
    out = design.from_coder(path, data, label="hate")
    assert out.index.equals(data.index)
    np.testing.assert_array_equal(out["hate"].notna(), design.drawn)
    design.save(tmp_path / "design.npz")
    assert LabelDesign.load(tmp_path / "design.npz").rows.tolist() == data.index.tolist()
    # but not those of the data
    for labels in (["1.20000000000000E+18"] * ROWS, np.full(ROWS, 1.2e18)):
        with pytest.raises(e.DesignError, match=r"identifiers that a spreadsheet has rounded.*read them as text"):
            design.from_coder(path, data.set_axis(pd.Index(labels)), label="hate")


def test_labels_beyond_the_digits_of_floats(tmp_path: Path) -> None:
    design, path = sent(tmp_path, posts(), ["text"])
    lines = iter(range(ROWS))

    def labelled(name: str, text: str) -> str:
        return text

    rewrite(path, labelled)
    head, *rows = cells(path)
    place = head.index("hate")
    table = [[*row[:place], str(FIRST + next(lines) % 3), *row[place + 1 :]] for row in rows]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([head, *table])
    path.write_text(out.getvalue(), encoding="utf-8-sig")
    assert set(design.from_coder(path, posts(), label="hate")["hate"].dropna()) == {str(FIRST + j) for j in range(3)}
    book = [FIRST + j for j in range(3)]
    assert set(design.from_coder(path, posts(), label="hate", codebook=book)["hate"].dropna()) == set(book)
    with pytest.raises(e.CoderFileError, match=rf"'{FIRST + 2}' .* Allowed are {FIRST}, {FIRST + 1}"):
        design.from_coder(path, posts(), label="hate", codebook=book[:2])


HEADINGS = ["=SUM(A1)", "+cmd", "-x", "@user", "'=guarded", "-5", "plain"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_no_heading_is_run_as_a_formula(tmp_path: Path, suffix: str) -> None:
    data = pd.DataFrame({name: [f"{name} {row}" for row in range(20)] for name in HEADINGS})
    design = simple_random(data, 20, seed=1)
    path = tmp_path / f"coder{suffix}"
    design.to_coder(path, data, columns=HEADINGS, label="=gold", codebook=["=a", "@b"])
    if suffix == ".csv":
        head, *rows = cells(path)
        assert head == ["row", "'=SUM(A1)", "'+cmd", "'-x", "'@user", "''=guarded", "-5", "plain", "'=gold", "key"]
        out = io.StringIO(newline="")
        csv.writer(out).writerows([head, *([*row[:-2], "=a", row[-1]] for row in rows)])
        path.write_text(out.getvalue(), encoding="utf-8-sig")
    else:
        book = openpyxl.load_workbook(path)
        for sheet in book:
            assert all(cell.data_type == "s" for row in sheet.iter_rows() for cell in row if cell.value is not None)
        assert [bool(cell.quotePrefix) for cell in book["labels"][1]] == [False, *[True] * 5, False, False, True, False]
        place = [cell.value for cell in book["labels"][1]].index("=gold") + 1
        for row in range(2, 22):
            cell = book["labels"].cell(row, place)
            cell.value, cell.data_type = "=a", "s"
        book.save(path)
    out_table = design.from_coder(path, data, label="=gold", codebook=["=a", "@b"])
    assert (out_table["=gold"] == "=a").all()
    assert out_table[HEADINGS].equals(data)
    with pytest.raises(e.CoderFileError, match="the data have changed"):
        design.from_coder(path, data.assign(plain="other"), label="=gold")
    with pytest.raises(e.ArgumentError, match="' =gold' and '=gold' are the same heading in a spreadsheet; rename one"):
        design.to_coder(tmp_path / "two.csv", data.assign(**{" =gold": "x"}), columns=[" =gold"], label="=gold")
