"""Every format gives the same table, from a file and from stdin, and what a format has nothing for is refused."""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from dsl.cli import main
from dsl.cli.read import Reading, read_table
from dsl.exceptions import ArgumentError, DataError, MissingColumnError
from tests.command_line import QUICK, read_json
from tests.posts import posts


def read(path: Path | str, **how: Any) -> pd.DataFrame:
    return read_table(str(path), Reading(**how)).data


def table() -> pd.DataFrame:
    """Numbers to the last digit, gaps, text, truth values."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": np.where(np.arange(50) % 3 == 0, np.nan, rng.integers(0, 2, 50)),
            "x": rng.normal(size=50) * 10.0 ** rng.integers(-9, 9, 50),
            "n": np.arange(50),
            "g": np.array(["NA", "b, c", "ä"])[np.arange(50) % 3],
            "t": np.where(np.arange(50) % 5 == 0, None, "word"),
            "b": np.arange(50) % 2 == 0,
        }
    )


def lines(data: pd.DataFrame) -> str:
    rows = data.astype(object).where(data.notna(), None).to_dict("records")
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


WRITERS: dict[str, Any] = {
    ".csv": lambda data, path: data.to_csv(path, index=False),
    ".tsv": lambda data, path: data.to_csv(path, index=False, sep="\t"),
    ".jsonl": lambda data, path: path.write_text(lines(data), encoding="utf-8"),
    ".jsonl.gz": lambda data, path: path.write_bytes(gzip.compress(lines(data).encode())),
    ".xlsx": lambda data, path: data.to_excel(path, index=False),
    ".parquet": lambda data, path: data.to_parquet(path),
    ".feather": lambda data, path: data.to_feather(path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_table(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = table(), tmp_path / f"d{kind}"
    WRITERS[kind](data, path)
    found = read(path)
    # a workbook has fifteen digits, and the others all
    exact = {"check_exact": True} if kind != ".xlsx" else {"rtol": 1e-14}
    pd.testing.assert_frame_equal(found, data.fillna({"t": np.nan}), check_dtype=False, **exact)
    assert found.isna().equals(data.isna())
    assert [pd.api.types.is_numeric_dtype(kind) for kind in found.dtypes] == [True, True, True, False, False, True]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    pd.testing.assert_frame_equal(read("-", kind=kind[1:]), found, check_exact=True)


def test_stdin_in_a_pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    content = Path("posts.csv").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["fit", "-", "y ~ x", *QUICK, "--quiet", "--json", "a.json"]) == 0
    assert main(["fit", "posts.csv", "y ~ x", *QUICK, "--quiet", "--json", "b.json"]) == 0
    first, second = read_json("a.json"), read_json("b.json")
    assert first["tidy"] == second["tidy"]
    assert first["data"] == {**second["data"], "path": "-"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a;b\n1;2\n")))
    assert main(["fit", "-", "y ~ x", *QUICK]) == 2
    assert "stdin has one column, 'a;b'" in capsys.readouterr().err
    assert main(["fit", "posts.csv", "y ~ x", *QUICK, "--data-format", "csv"]) == 2
    assert "--data-format says what stdin" in capsys.readouterr().err
    assert sys.stdin is not None


def test_json_lines_without_loss(tmp_path: Path) -> None:
    """Identifiers above 2^53 beside null, names that are not on every line, nested values."""
    path = tmp_path / "d.jsonl"
    ids = [1_200_000_000_000_000_001, 1_200_000_000_000_000_002]
    path.write_text(f'{{"id": {ids[0]}, "x": "1"}}\n\n{{"id": {ids[1]}, "l": [1]}}\n{{"id": null}}\n', encoding="utf-8")
    found = read(path)
    assert [int(value) for value in found["id"].dropna()] == ids
    assert found["x"].tolist()[0] == "1"
    assert found["x"].isna().tolist() == [False, True, True]
    assert found["l"].tolist()[1] == [1]
    for content, words in (
        ('{"a": 1}\n[1]\n', r"line 2 of .* holds no object but '\[1\]'"),
        ('{"a": 1}\n{"a"\n', "line 2 of .* is no JSON"),
        ('{"a": 1, "a": 2}\n', "2 columns named 'a'"),
        ("\n", "is empty"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            read(path)


def test_sheets(tmp_path: Path) -> None:
    path = tmp_path / "d.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"a": [1, 2]}).to_excel(book, sheet_name="one", index=False)
        pd.DataFrame({"a": ["None", ""], "b": ["-9", 1.5]}).to_excel(book, sheet_name="two", index=False)
    with pytest.raises(ArgumentError, match=r"has the sheets 'one', 'two': name one of them, --sheet 'one'"):
        read(path)
    with pytest.raises(ArgumentError, match="has the sheets"):
        read(path, sheet="three")
    assert read(path, sheet="one")["a"].tolist() == [1, 2]
    found = read(path, sheet="two", na=("-9",))
    assert found["a"].tolist()[0] == "None"
    assert found.isna().to_numpy().tolist() == [[False, True], [True, False]]
    pd.DataFrame([[1, 2]], columns=["x", "x"]).to_excel(path, index=False)
    with pytest.raises(DataError, match="2 columns named 'x'"):
        read(path)
    path.write_bytes(b"no workbook")
    with pytest.raises(DataError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("kind", [".dta", ".sav"])
def test_value_labels_of_some_columns(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"y": [0.0, 1.0], "party": [1.0, 2.0], "free": [3.0, 4.0]})
    labels = {"y": {0: "no", 1: "yes"}, "party": {1: "left", 2: "right"}}
    path = tmp_path / f"d{kind}"
    writer = pyreadstat.write_dta if kind == ".dta" else pyreadstat.write_sav
    writer(frame, str(path), variable_value_labels=labels)
    found = read(path, value_labels=("party",))
    assert found["party"].tolist() == ["left", "right"]
    assert found["y"].tolist() == [0.0, 1.0]
    assert found.columns.tolist() == ["y", "party", "free"]
    assert read(path, value_labels=("all",))["y"].tolist() == ["no", "yes"]
    with pytest.raises(MissingColumnError, match="--value-labels names 'parti', which the data do not have"):
        read(path, value_labels=("parti",))
    with pytest.raises(ArgumentError, match="names 'free', whose values have no labels in the file"):
        read(path, value_labels=("party", "free"))


def test_options_that_a_format_has_nothing_for(tmp_path: Path) -> None:
    posts().to_csv(tmp_path / "d.csv")
    with pytest.raises(ArgumentError, match=r"--value-labels is for .dta, .sav"):
        read(tmp_path / "d.csv", value_labels=("y",))
    with pytest.raises(ArgumentError, match=r"--sheet is for .xlsx"):
        read(tmp_path / "d.csv", sheet="one")
