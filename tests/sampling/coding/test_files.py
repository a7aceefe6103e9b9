"""Coders' files: what spreadsheets do to them without harm, and everything that must not go unnoticed."""

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import exceptions as e
from dsl.sampling import LabelDesign, simple_random
from dsl.sampling.coding.codebook import canonical

TEXTS = [
    "plain",
    'with "quotes", commas',
    "two\nlines",
    "Ünïcödé \u2013 naïve café",
    "=SUM(A1:A9)",
    "+1 for this",
    "-0.5",
    "@user hello",
    "'quoted'",
    "'=guarded before",
    "  spaces   around ",
    "007",
    "TRUE",
    "tab\there",
    "control \x07 bell",
    "semi;colon",
    "",
    "1e5",
    "NA",
    "日本語",
]
SIZE = 12


def posts() -> pd.DataFrame:
    rows = len(TEXTS)
    return pd.DataFrame(
        {
            "text": TEXTS,
            "likes": np.arange(rows) * 1234.56789,
            "posted": pd.date_range("2024-01-30", periods=rows),
            "llm": np.arange(rows) % 2,
        },
        index=[f"p{j}" for j in range(rows)],
    )


def drawn(**arguments: Any) -> LabelDesign:
    return simple_random(posts(), arguments.pop("size", SIZE), seed=1, **arguments)


def sent(tmp_path: Path, name: str = "coder.csv", **arguments: Any) -> tuple[LabelDesign, Path]:
    """A design, and the file for its coder."""
    design, path = drawn(), tmp_path / name
    columns = arguments.pop("columns", ["text", "likes", "posted"])
    design.to_coder(path, posts(), columns=columns, **arguments)
    return design, path


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def rewrite(path: Path, table: list[list[str]], *, encoding: str = "utf-8-sig", delimiter: str = ",") -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table)
    path.write_bytes(out.getvalue().encode(encoding, "replace"))


def code(path: Path, label: Callable[[int], str] = lambda i: str(i % 2)) -> list[list[str]]:
    """Fill in the label column of a CSV file, as the coder does."""
    table = cells(path)
    place = table[0].index("gold")
    for i, row in enumerate(table[1:]):
        row[place] = label(i)
    rewrite(path, table)
    return table


def labels_of(table: list[list[str]]) -> pd.Series:
    """Labels in the file by row."""
    return pd.Series({row[0]: row[table[0].index("gold")] for row in table[1:]})


@pytest.mark.parametrize("name", ["coder.csv", "coder.xlsx"])
def test_what_is_sent(tmp_path: Path, name: str) -> None:
    design, data, path = drawn(), posts(), tmp_path / name
    asked = design.to_coder(path, data, columns="text", seed=5)
    assert sorted(asked.index) == sorted(design.drawn_rows)
    assert asked.index.tolist() != design.drawn_rows.tolist()  # random order
    assert asked.columns.tolist() == ["text", "gold", "key"]
    assert (asked["gold"] == "").all()
    again = design.to_coder(tmp_path / f"again-{name}", data, columns="text", seed=5)
    pd.testing.assert_frame_equal(asked, again)
    other = design.to_coder(tmp_path / f"other-{name}", data, columns="text", seed=6)
    assert other.index.tolist() != asked.index.tolist()
    pd.testing.assert_frame_equal(other.loc[asked.index], asked)


def test_nothing_that_could_sway_the_coder(tmp_path: Path) -> None:
    _, path = sent(tmp_path, columns="text")
    assert cells(path)[0] == ["row", "text", "gold", "key"]


@pytest.mark.parametrize("name", ["coder.csv", "coder.xlsx"])
def test_no_text_is_run_as_a_formula(tmp_path: Path, name: str) -> None:
    data = posts()
    design = simple_random(data, len(data), seed=1)
    design.to_coder(tmp_path / name, data, columns="text")
    if name.endswith("csv"):
        shown = {row[0]: row[1] for row in cells(tmp_path / name)}
        assert (shown["p4"], shown["p6"], shown["p9"]) == ("'=SUM(A1:A9)", "-0.5", "''=guarded before")
        return
    sheet = openpyxl.load_workbook(tmp_path / name)["labels"]
    for row in sheet.iter_rows(min_row=2):
        assert all(cell.data_type in ("s", "n") and cell.data_type != "f" for cell in row)
        assert all(cell.data_type == "s" for cell in row if cell.value is not None)


def test_labels_come_back(tmp_path: Path) -> None:
    design, path = sent(tmp_path)
    table = code(path)
    before = posts()
    out = design.from_coder(path, before)
    assert out.index.equals(before.index)
    pd.testing.assert_frame_equal(out.drop(columns=["gold", "sample_prob"]), before)
    pd.testing.assert_series_equal(
        out["gold"].dropna().sort_index(),
        labels_of(table).astype(float).sort_index(),
        check_names=False,
        check_index_type=False,
    )
    np.testing.assert_array_equal(out["gold"].notna(), design.drawn)
    assert "gold" not in before


HARMLESS: dict[str, Callable[[list[list[str]]], list[list[str]]]] = {
    "as it was": lambda t: t,
    "sorted": lambda t: [t[0], *sorted(t[1:])],
    "columns moved": lambda t: [row[::-1] for row in t],
    "notes added": lambda t: [[*row, "note" if i else "notes"] for i, row in enumerate(t)],
    "blank rows": lambda t: [t[0], [""] * len(t[0]), *t[1:], [""] * len(t[0])],
    "spaces": lambda t: [t[0], *([f" {c} " if j != 1 else f"{c}  " for j, c in enumerate(row)] for row in t[1:])],
    "line ends": lambda t: [[c.replace("\n", "\r\n") for c in row] for row in t],
    "decimals": lambda t: [t[0], *([f"{float(c):.1f}" if c in ("0", "1") else c for c in row] for row in t[1:])],
    "rounded numbers": lambda t: [
        t[0],
        *([f"{float(c):.2f}" if "." in c[1:] and c[0].isdigit() else c for c in row] for row in t[1:]),
    ],
    "dates rewritten": lambda t: [[c.replace("2024-01-30 00:00:00", "30.01.2024") for c in row] for row in t],
    "row names mangled": lambda t: [t[0], *(["1.2E+18", *row[1:]] for row in t[1:])],
}


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes(tmp_path: Path, change: str) -> None:
    design, path = sent(tmp_path)
    table = code(path)
    rewrite(path, HARMLESS[change](table))
    out = design.from_coder(path, posts(), codebook=[0, 1])
    expected = labels_of(table).astype(float)
    assert out["gold"].dropna().to_dict() == expected.to_dict()


@pytest.mark.parametrize(
    ("encoding", "delimiter", "suffix"), [("utf-8", ";", ".csv"), ("utf-16", "\t", ".txt"), ("utf-8-sig", "\t", ".tsv")]
)
def test_spreadsheets_dialects(tmp_path: Path, encoding: str, delimiter: str, suffix: str) -> None:
    design, path = sent(tmp_path)
    table, target = code(path), tmp_path / f"saved{suffix}"
    rewrite(target, table, encoding=encoding, delimiter=delimiter)
    assert design.from_coder(target, posts())["gold"].notna().sum() == SIZE


def test_other_encodings_are_named(tmp_path: Path) -> None:
    data = posts().assign(text=lambda d: d["text"].replace("日本語", "größer"))
    design = simple_random(data, len(data), seed=1)
    path = tmp_path / "coder.csv"
    design.to_coder(path, data, columns="text")
    table = code(path)
    rewrite(path, table, encoding="cp1252")
    with pytest.raises(e.CoderFileError, match=r"'coder.csv' is not utf-8-sig \(byte 0x.*CSV UTF-8.*encoding='cp1252'"):
        design.from_coder(path, data)
    assert design.from_coder(path, data, encoding="cp1252")["gold"].notna().all()
    rewrite(path, table, encoding="utf-8")
    with pytest.raises(
        e.CoderFileError, match=r"other texts than were sent out.*Perhaps it was saved in another encoding"
    ):
        design.from_coder(path, data, encoding="cp1252")
    with pytest.raises(e.ArgumentError, match="unknown encoding 'ansi9'"):
        design.from_coder(path, data, encoding="ansi9")


def test_xlsx_round_trip(tmp_path: Path) -> None:
    design, path = sent(tmp_path, "coder.xlsx", codebook={0: "negative", 1: "positive", 2: "=neither"})
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["labels", "codebook"]
    sheet = book["labels"]
    names = [cell.value for cell in sheet[1]]
    place = names.index("gold") + 1
    assert str(sheet.data_validations.dataValidation[0].sqref) == f"E2:E{SIZE + 1}"
    assert sheet.data_validations.dataValidation[0].formula1 == "codebook!$A$2:$A$4"
    typed = [1, 0, "1", "0 ", 1.0, "positive", " Negative", "1.0", "POSITIVE", 0, 0, 1]
    for i, value in enumerate(typed, start=2):
        sheet.cell(i, place).value = value
    rows = [sheet.cell(i, 1).value for i in range(2, SIZE + 2)]
    book.save(path)
    out = design.from_coder(path, posts(), codebook={0: "negative", 1: "positive", 2: "=neither"})
    assert out.loc[rows, "gold"].tolist() == [1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1]


def test_csv_opened_and_saved_as_xlsx(tmp_path: Path) -> None:
    """Cells become numbers and truth values; labels and texts are recognised all the same."""
    design, path = sent(tmp_path, columns=["text", "likes"])
    table = code(path)
    book = openpyxl.Workbook()
    for i, row in enumerate(table, start=1):
        for j, text in enumerate(row, start=1):
            plain = canonical(text)
            number = i > 1 and plain.replace(".", "").replace("-", "").isdigit()
            cell = book.active.cell(i, j)
            cell.value = float(plain) if number else True if text == "TRUE" else text or None
            if isinstance(cell.value, str):
                cell.data_type = "s"
    book.save(tmp_path / "saved.xlsx")
    out = design.from_coder(tmp_path / "saved.xlsx", posts(), codebook=[0, 1])
    assert out["gold"].dropna().to_dict() == labels_of(table).astype(float).to_dict()


def test_text_labels(tmp_path: Path) -> None:
    design, path = sent(tmp_path)
    code(path, lambda i: ["pos", "NEG ", " neutral"][i % 3])
    with_book = design.from_coder(path, posts(), codebook=["neg", "neutral", "pos"])
    assert set(with_book["gold"].dropna()) == {"neg", "neutral", "pos"}
    free = design.from_coder(path, posts())
    assert set(free["gold"].dropna()) == {"NEG", "neutral", "pos"}


def test_other_tables(tmp_path: Path) -> None:
    data = posts().reset_index(drop=True)
    design = simple_random(data, SIZE, seed=1)
    kinds = (pd.DataFrame, pl.DataFrame, pa.Table, pd.DataFrame)
    tables = (data, pl.from_pandas(data), pa.Table.from_pandas(data), data.to_dict("list"))
    for j, (kind, table) in enumerate(zip(kinds, tables, strict=True)):
        path = tmp_path / f"{j}.csv"
        design.to_coder(path, table, columns=["text", "likes"])
        code(path)
        out = design.from_coder(path, table)
        assert isinstance(out, kind)
        values = pd.Series(list(np.asarray(out["gold"])), dtype=float)
        np.testing.assert_array_equal(values.notna(), design.drawn)
        assert np.asarray(out["sample_prob"]).tolist() == design.prob.tolist()
        # every other column is as it was, in its own type, and missing is what the table has for it
        if isinstance(table, pl.DataFrame):
            assert out.drop("gold", "sample_prob").equals(table)
            assert out["gold"].null_count() == len(data) - SIZE
        if isinstance(table, pa.Table):
            assert out.drop_columns(["gold", "sample_prob"]).equals(table)
            assert out["gold"].null_count == len(data) - SIZE


def test_columns_of_any_kind(tmp_path: Path) -> None:
    data = posts().assign(
        topic=pd.Categorical([None, *["war", "peace"] * 9, None]),
        flag=pd.array([True, None, False, True] * 5, dtype="boolean"),
        count=pd.array([1, None, 3, 4] * 5, dtype="Int64"),
        tokens=[["a", "b"]] * 20,
    )
    design = simple_random(data, len(data), seed=1)
    path = tmp_path / "coder.csv"
    shown = ["text", "topic", "flag", "count", "tokens", "posted"]
    asked = design.to_coder(path, data, columns=shown)
    assert asked.loc["p1", shown].tolist() == [data["text"].iloc[1], "war", "", "", "['a', 'b']", "2024-01-31 00:00:00"]
    code(path)
    assert design.from_coder(path, data)["gold"].notna().all()


def test_labels_of_a_pilot_are_not_asked_for_again(tmp_path: Path) -> None:
    design, path = drawn(), tmp_path / "rest.csv"
    known = design.drawn_rows[:5]
    data = posts().assign(gold=np.nan)
    data.loc[known, "gold"] = 1.0
    asked = design.to_coder(path, data, columns="text")
    assert len(asked) == SIZE - 5
    assert not asked.index.isin(known).any()
    code(path, lambda i: "0")
    out = design.from_coder(path, data)
    assert out["gold"].sum() == 5.0
    assert out["gold"].notna().sum() == SIZE
    with pytest.raises(e.ArgumentError, match=r"all 12 drawn rows have a label in 'gold' already"):
        design.to_coder(tmp_path / "none.csv", out, columns="text")
    pd.testing.assert_frame_equal(design.from_coder(path, out), out)  # read twice: no harm
    out.loc[asked.index[0], "gold"] = 1.0
    with pytest.raises(
        e.CoderFileError, match=rf"1 row \(first: {asked.index[0]}\) have another label in the data.*\(1 and 0\)"
    ):
        design.from_coder(path, out)
    stray = data.index[~design.drawn][0]
    with pytest.raises(
        e.LabelError, match=rf"'gold' has labels in 1 row \(first: {stray}\) that this design did not draw"
    ):
        design.from_coder(path, data.assign(gold=data["gold"].where(data.index != stray, 1.0)))


def replaced(place: int, text: str) -> Callable[[list[list[str]]], list[list[str]]]:
    """Text in a column of the third line."""
    return lambda t: [*t[:2], [*t[2][:place], text, *t[2][place + 1 :]], *t[3:]]


HARMFUL: dict[str, tuple[Callable[[list[list[str]]], list[list[str]]], list[str]]] = {
    "no label column": (
        lambda t: [["row", "text", "label", "key"], *t[1:]],
        ["no column named 'gold'", "'label'", "label="],
    ),
    "two label columns": (lambda t: [["row", "gold", "gold", "key"], *t[1:]], ["2 columns named 'gold'"]),
    "no key column": (lambda t: [row[:3] for row in t], ["no column named 'key'", "with all columns"]),
    "missing labels": (
        lambda t: [*t[:9], *([*row[:2], " ", row[3]] for row in t[9:])],
        ["still missing in 4 rows", "of 12 drawn"],
    ),
    "missing rows": (lambda t: t[:-2], ["still missing in 2 rows"]),
    "no labels": (lambda t: [t[0], *([*row[:2], "", row[3]] for row in t[1:])], ["no label at all", "right file"]),
    "repeated row": (lambda t: [*t, t[3]], ["rows more than once: 2 rows", "keep one line"]),
    "added row": (lambda t: [*t, ["p99", "new text", "1", ""]], ["1 line (first: 14) without a key", "not asked for"]),
    "mangled key": (replaced(3, "k12-3-4"), ["1 line (first: 3) without a key"]),
    "outside the codebook": (replaced(2, "11"), ["1 labels are not in the codebook: '11' (1)", "Allowed are 0, 1"]),
    "a date": (replaced(2, "2026-01-02 00:00:00"), ["not in the codebook", "the spreadsheet made it"]),
    "changed text": (
        replaced(1, "other"),
        ["other texts than were sent out in 1 row", "is 'other'", "Restore these texts"],
    ),
    "one column sorted": (
        lambda t: [
            t[0],
            *([row[0], text, *row[2:]] for row, text in zip(t[1:], sorted(r[1] for r in t[1:]), strict=True)),
        ],
        ["other texts than were sent out in", "labels may belong to other rows"],
    ),
    "empty file": (lambda t: [], ["'coder.csv' is empty"]),
}


@pytest.mark.parametrize("change", HARMFUL)
def test_harmful_changes(tmp_path: Path, change: str) -> None:
    design, path = sent(tmp_path, columns="text")
    alter, words = HARMFUL[change]
    rewrite(path, alter(code(path)))
    with pytest.raises(e.CoderFileError) as caught:
        design.from_coder(path, posts(), codebook=[0, 1])
    for word in words:
        assert word in str(caught.value)


def test_rows_of_another_design(tmp_path: Path) -> None:
    design, path = sent(tmp_path)
    code(path)
    other = simple_random(posts(), SIZE, seed=2)
    with pytest.raises(
        e.CoderFileError, match=rf"12 lines \(first: 2, 3, 4\) of another design \(k{design.fingerprint}"
    ):
        other.from_coder(path, posts())


def test_rows_that_were_not_drawn(tmp_path: Path) -> None:
    design, path = sent(tmp_path, columns="text")
    table = code(path)
    stray = int(np.flatnonzero(~design.drawn)[0])
    table[1][3] = f"k{design.fingerprint}-{stray}-0123456789"
    table[2][3] = f"k{design.fingerprint}-999-0123456789"
    rewrite(path, table)
    with pytest.raises(e.CoderFileError, match=r"2 lines \(first: 2, 3\) whose rows were not drawn"):
        design.from_coder(path, posts())


def test_changed_data(tmp_path: Path) -> None:
    design, path = sent(tmp_path, columns="text")
    code(path)
    data = posts()
    data.loc[design.drawn_rows[2], "text"] = "edited since"
    with pytest.raises(
        e.CoderFileError, match=rf"the data have changed.*text differ in 1 row \(first: {design.drawn_rows[2]}\)"
    ):
        design.from_coder(path, data)
    with pytest.raises(e.DesignError, match=r"drawn 1 row \(first: .*not in the data"):
        design.from_coder(path, data.drop(index=design.drawn_rows[0]))
    with pytest.raises(e.DesignError, match="row labels are missing or repeated"):
        design.from_coder(path, pd.concat([posts(), posts()]))


def test_mixed_labels_without_codebook(tmp_path: Path) -> None:
    design, path = sent(tmp_path)
    code(path, lambda i: "l" if i == 3 else "1")
    with pytest.raises(e.CoderFileError, match=r"11 labels are numbers and 1 are not \(first: 'l' in row p.*codebook="):
        design.from_coder(path, posts())


def test_a_coders_work_is_not_overwritten(tmp_path: Path) -> None:
    design, path = sent(tmp_path)
    with pytest.raises(e.CoderFileError, match="is there already and may hold a coder's labels"):
        design.to_coder(path, posts(), columns="text")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"columns": "txt"}, e.MissingColumnError, "'txt', named in columns, .* did you mean 'text'"),
        ({"columns": []}, e.ArgumentError, "columns names nothing"),
        ({"columns": "text", "label": "text"}, e.ArgumentError, "columns names 'text', which the file uses itself"),
        ({"columns": "text", "label": "key"}, e.ArgumentError, "label must name"),
        ({"columns": "text", "codebook": "01"}, e.ArgumentError, "codebook must be a list"),
        ({"columns": "text", "codebook": []}, e.ArgumentError, "codebook must be a list"),
        ({"columns": "text", "codebook": [1, "1"]}, e.ArgumentError, "ambiguous: '1' stands for both 1 and '1'"),
        ({"columns": "text", "codebook": {"a": "yes", "b": "Yes"}}, e.ArgumentError, "ambiguous: 'yes'"),
        ({"columns": "text", "codebook": [None, 1]}, e.ArgumentError, "has the label None"),
    ],
)
def test_what_cannot_be_sent(tmp_path: Path, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        drawn().to_coder(tmp_path / "coder.csv", posts(), **arguments)
    assert not list(tmp_path.iterdir())


def test_other_kinds_of_file(tmp_path: Path) -> None:
    design = drawn()
    with pytest.raises(e.ArgumentError, match=r"'coder.xls' must end in \.csv or \.xlsx"):
        design.to_coder(tmp_path / "coder.xls", posts(), columns="text")
    with pytest.raises(e.CoderFileError, match="there is no file"):
        design.from_coder(tmp_path / "coder.csv", posts())
    (tmp_path / "fake.xlsx").write_text("row,gold,key")
    with pytest.raises(e.CoderFileError, match=r"fake.xlsx' cannot be read as a coder's file .save it again"):
        design.from_coder(tmp_path / "fake.xlsx", posts())
    (tmp_path / "open.csv").write_text('row,gold,key\n1,"2,3\n')
    with pytest.raises(e.CoderFileError, match=r"'open.csv' cannot be read as CSV"):
        design.from_coder(tmp_path / "open.csv", posts())


def test_cells_have_a_limit(tmp_path: Path) -> None:
    data = posts().assign(text="x" * 40_000)
    with pytest.raises(e.DataError, match=r"'text' has more than 32767 characters.* in 12 rows.*\.csv"):
        drawn().to_coder(tmp_path / "coder.xlsx", data, columns="text")
    drawn().to_coder(tmp_path / "coder.csv", data, columns="text")
    code(tmp_path / "coder.csv")
    assert drawn().from_coder(tmp_path / "coder.csv", data)["gold"].notna().sum() == SIZE


def test_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(e.MissingDependencyError, match=r"pip install \"dsl\[excel\]\", or use a \.csv file"):
        drawn().to_coder(tmp_path / "coder.xlsx", posts(), columns="text")


def comes_back(text: str, name: str) -> None:
    import tempfile

    data = pd.DataFrame({"text": [text, "another"]})
    design = simple_random(data, 2, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        design.to_coder(path, data, columns="text")
        if name == "coder.csv":
            code(path, lambda i: "1")
        else:
            book = openpyxl.load_workbook(path)
            book["labels"]["C2"], book["labels"]["C3"] = 1, 1
            book.save(path)
        assert design.from_coder(path, data)["gold"].tolist() == [1.0, 1.0]


@settings(max_examples=80, deadline=None)
@given(st.text())
def test_any_text_comes_back_in_csv(text: str) -> None:
    comes_back(text, "coder.csv")


@settings(max_examples=30, deadline=None)
@given(st.text())
def test_any_text_comes_back_in_xlsx(text: str) -> None:
    comes_back(text, "coder.xlsx")


@pytest.mark.parametrize("text", [*TEXTS, "' @x", "''=", "_x0041_", "\r\r\n", "\ufeff", "\u2028"])
def test_awkward_texts_come_back(text: str) -> None:
    comes_back(text, "coder.csv")
    comes_back(text, "coder.xlsx")
