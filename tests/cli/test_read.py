"""Tables from files: what is missing and what is not, numbers in full, R's files without R."""

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import rdata

from dsl.cli import main
from dsl.cli.read import Reading, read_table
from dsl.exceptions import ArgumentError, DataError
from tests.command_line import QUICK
from tests.posts import posts

FRAME = pd.DataFrame({"y": [1.0, 2.0], "llm": [0.0, 1.0]})


def read(path: Path, row_id: str | None = None, **how: Any) -> Any:
    return read_table(str(path), Reading(row_id=row_id, **how))


def text(path: Path, content: str, **how: Any) -> pd.DataFrame:
    """What is read of a CSV file with this content."""
    path.write_text(content, encoding="utf-8")
    data: pd.DataFrame = read(path, **how).data
    return data


def test_the_one_data_frame(tmp_path: Path) -> None:
    """Other objects in the file do not matter."""
    path = tmp_path / "one.RData"
    rdata.write_rda(path, {"note": "two posts", "posts": FRAME})
    pd.testing.assert_frame_equal(read(path).data.reset_index(drop=True), FRAME)


def test_several_data_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.RData"
    rdata.write_rda(path, {"posts": FRAME, "more": FRAME})
    with pytest.raises(DataError, match=r"holds 2 data frames \(posts, more\); save the one to use with saveRDS\(\)"):
        read(path)


def test_no_data_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.RData"
    rdata.write_rda(path, {"note": "no posts"})
    with pytest.raises(DataError, match="holds 0 data frames; save"):
        read(path)


def test_rows_under_labels(tmp_path: Path) -> None:
    FRAME.assign(id=["p1", "p2"]).to_csv(tmp_path / "p.csv", index=False)
    assert read(tmp_path / "p.csv", "id").data.index.tolist() == ["p1", "p2"]
    FRAME.assign(id=["p1", "p1"]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match="--id 'id' is missing or repeated in 2 rows"):
        read(tmp_path / "p.csv", "id")


def test_types_are_those_that_pandas_gives(tmp_path: Path) -> None:
    """Whole numbers, floats, text, truth values, with and without gaps, and a column without any value."""
    content = "i,j,f,s,t,b,c,none\n1,1,1.5,a,a,True,True,\n2,,,b,,False,,\n3,3,1e300,c,c,True,False,\n"
    found = text(tmp_path / "d.csv", content)
    pd.testing.assert_frame_equal(found, pd.read_csv(tmp_path / "d.csv"), check_exact=True)


@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "N/A", "n/a", "<NA>", "#N/A", "-"])
def test_only_empty_cells_are_missing(tmp_path: Path, word: str) -> None:
    """pandas' own list of words for missing would take the category "None" out of the labels."""
    content = f'y\n{word}\n""\nhate\n'
    assert text(tmp_path / "d.csv", content)["y"].tolist()[::2] == [word, "hate"]
    assert text(tmp_path / "d.csv", content)["y"].isna().tolist() == [False, True, False]
    assert text(tmp_path / "d.csv", content, na=(word,))["y"].isna().tolist() == [True, True, False]


def test_codes_for_missing(tmp_path: Path) -> None:
    """In numbers and in text, in every kind of file."""
    content = "y,t\n-99,-99\n1.5,a\n.,b\n"
    found = text(tmp_path / "d.csv", content, na=("-99", "."))
    assert found["y"].tolist()[1] == 1.5
    assert found["y"].isna().tolist() == [True, False, True]
    assert found["t"].isna().tolist() == [True, False, False]
    frame = pd.DataFrame({"y": [-99.0, 1.5], "i": [-99, 1], "t": ["-99", "a"]})
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_stata(tmp_path / "d.dta", write_index=False)
    for name in ("d.parquet", "d.dta"):
        found = read(tmp_path / name, na=("-99",)).data
        assert found.isna().to_numpy().tolist() == [[True, True, True], [False, False, False]], name
        assert pd.api.types.is_numeric_dtype(found["i"].dtype)
        assert not read(tmp_path / name).data.isna().to_numpy().any()


def test_a_code_among_the_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the option, which then does it."""
    path = tmp_path / "d.csv"
    posts().assign(y=posts()["y"].map({0.0: "no", 1.0: "yes"}).fillna("NA")).to_csv(path, index=False)
    command = ["fit", str(path), "y ~ x", *QUICK, "--model", "logit"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "column 'y' (--predicted) is 'NA' in 120 rows (first: " in said
    assert "Make it missing (--na CODE, or in the file)." in said
    assert "data[" not in said
    assert main([*command, "--na", "NA", "--quiet"]) == 0


def test_whole_numbers_without_loss(tmp_path: Path) -> None:
    """Identifiers above 2^53 beside an empty cell, which as floats would be one number."""
    ids = [1_200_000_000_000_000_001, 1_200_000_000_000_000_002]
    found = text(tmp_path / "d.csv", f"id,x\n{ids[0]},1\n{ids[1]},2\n,3\n")["id"]
    assert [int(value) for value in found.dropna()] == ids
    assert text(tmp_path / "d.csv", f"id,x\n-{ids[0]},1\n-{ids[1]},2\n,3\n")["id"].nunique() == 2
    assert text(tmp_path / "d.csv", "id,x\n7,1\n,2\n")["id"].dtype == float


def test_decimal_and_separator(tmp_path: Path) -> None:
    found = text(tmp_path / "d.csv", "y;x\n1,5;2\n2,25;3\n", sep=";", decimal=",")
    assert found["y"].tolist() == [1.5, 2.25]
    with pytest.raises(ArgumentError, match="--decimal and --sep are both ','"):
        text(tmp_path / "d.csv", "y;x\n1,5;2\n", decimal=",")
    for how in ({"sep": ""}, {"sep": "ab"}, {"decimal": ""}):
        with pytest.raises(ArgumentError, match="must be one character"):
            text(tmp_path / "d.csv", "y,x\n1,2\n", **how)


def test_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 2 columns named 'x' \(columns 1, 3\)"):
        text(tmp_path / "d.csv", "x,y,x\n1,2,3\n")
    assert text(tmp_path / "d.csv", "x,y,x.1\n1,2,3\n").columns.tolist() == ["x", "y", "x.1"]
    assert text(tmp_path / "d.csv", ",y,\n1,2,3\n")["y"].tolist() == [2]


@pytest.mark.parametrize("value_labels", [(), ("all",), ("y",)])
def test_values_that_spss_declares_missing(tmp_path: Path, value_labels: tuple[str, ...]) -> None:
    """Single values, ranges and text."""
    frame = pd.DataFrame({"y": [0.0, 1.0, -9.0], "z": [1.0, 95.0, np.nan], "t": ["a", "b", "x"]})
    path = tmp_path / "d.sav"
    labels = {"y": {0: "no", 1: "yes", -9: "not coded"}}
    missing = {"y": [-9], "z": [{"lo": 90, "hi": 99}], "t": ["x"]}
    pyreadstat.write_sav(frame, str(path), missing_ranges=missing, variable_value_labels=labels)
    found = read(path, value_labels=value_labels).data
    assert found.isna().to_numpy().tolist() == [[False] * 3, [False, True, False], [True, True, True]]
    assert found["y"].tolist()[:2] == (["no", "yes"] if value_labels else [0.0, 1.0])


@pytest.mark.parametrize("value_labels", [(), ("all",), ("y",)])
def test_stata_s_extended_missing_values(tmp_path: Path, value_labels: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"y": [0, 1, "a", "z"], "x": [1.5, 2.5, 3.5, np.nan]})
    path = tmp_path / "d.dta"
    labels = {"y": {0: "no", 1: "yes", "a": "refused", "z": "not coded"}}
    pyreadstat.write_dta(
        frame, str(path), missing_user_values={"y": ["a", "z"]}, variable_value_labels=labels if value_labels else {}
    )
    found = read(path, value_labels=value_labels).data
    assert found["y"].isna().tolist() == [False, False, True, True]
    assert found["y"].tolist()[:2] == (["no", "yes"] if value_labels else [0, 1])


def _packed(kind: str) -> bytes:
    """Posts as a file of some kind."""
    text = posts().to_csv(index=False).encode()
    packers = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    if kind in packers:
        return packers[kind](text)
    raw = io.BytesIO()
    if kind == ".parquet":
        posts().to_parquet(raw)
    else:
        posts().to_stata(raw)
    return raw.getvalue()


@pytest.mark.parametrize("kind", [".gz", ".bz2", ".xz", ".parquet", ".dta"])
def test_damaged_files_are_errors_of_the_data(kind: str, tmp_path: Path) -> None:
    whole, rng = _packed(kind), np.random.default_rng(5)
    path = tmp_path / ("posts" + (f".csv{kind}" if kind in (".gz", ".bz2", ".xz") else kind))
    path.write_bytes(whole)
    assert len(read_table(str(path), Reading()).data) == 200
    refused = 0
    for j in range(30):
        # cut anywhere, or bytes changed anywhere
        cut = whole[: int(rng.integers(1, len(whole)))]
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(cut if j % 2 else bytes(changed))
        try:
            read_table(str(path), Reading())
        except DataError:
            refused += 1
    # Stata's data have no checksum: a changed byte is another number there
    assert refused >= (15 if kind == ".dta" else 20)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, words in {"folder.csv": "is a folder", "absent.csv": "there is no file"}.items():
        with pytest.raises(DataError, match=words):
            read_table(str(tmp_path / name), Reading())
    with pytest.raises(ArgumentError, match="must name a file"):
        read_table("", Reading())
    loop = tmp_path / "loop.csv"
    try:
        loop.symlink_to(loop)
    except OSError:  # Windows lets administrators alone do this
        return
    with pytest.raises(DataError, match="cannot be read"):
        read_table(str(loop), Reading())
