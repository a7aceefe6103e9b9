"""Zip files from anybody: what leads out of a folder, repeats, or grows too large is not expanded."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dsl.data import zipped
from dsl.exceptions import ArgumentError, FileError


def test_entries_come_back(tmp_path: Path) -> None:
    entries = {"a.txt": b"one", "b.bin": bytes(range(256))}
    zipped.write_zip(tmp_path / "a.zip", entries)
    assert zipped.read_zip(tmp_path / "a.zip", "an archive") == entries
    first = (tmp_path / "a.zip").read_bytes()
    zipped.write_zip(tmp_path / "a.zip", entries)
    assert (tmp_path / "a.zip").read_bytes() == first


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:\\x", "\\x", "a\\..\\..\\x", "C:x"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("fine.txt", "fine")
        file.writestr(zipfile.ZipInfo(name), "not fine")
    with pytest.raises(FileError, match="leads out of any folder"):
        zipped.read_zip(tmp_path / "a.zip", "an archive")


def test_a_name_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("a.txt", "one")
        file.writestr("a.txt", "another")
    with pytest.raises(FileError, match=r"two entries 'a.txt'"):
        zipped.read_zip(tmp_path / "a.zip", "an archive")


def test_sizes_are_looked_at_before_anything_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped.write_zip(tmp_path / "a.zip", {"a": bytes(2_000_000)})
    assert (tmp_path / "a.zip").stat().st_size < 5_000
    monkeypatch.setattr(zipped, "LARGEST", 1_000_000)

    def expanded(*_: object) -> bytes:
        raise AssertionError("expanded")

    monkeypatch.setattr(zipfile.ZipFile, "read", expanded)
    with pytest.raises(FileError, match="would grow to 2,000,000 bytes, and 1,000,000 are the most"):
        zipped.read_zip(tmp_path / "a.zip", "an archive")
    with pytest.raises(ArgumentError, match="leave the data out"):
        zipped.write_zip(tmp_path / "b.zip", {"a": bytes(2_000_000)})
    assert not (tmp_path / "b.zip").exists()
    content = zipped.arrays_to_bytes({"a": np.zeros(1_000_000)})
    monkeypatch.setattr(zipfile.ZipFile, "open", expanded)
    with pytest.raises(FileError, match="'inner' would grow"):
        zipped.arrays_of_bytes(content, "'inner'")


def test_a_size_that_is_a_lie(tmp_path: Path) -> None:
    """A header that says less than there is: Python stops where the header says, and finds the checksum wrong."""
    zipped.write_zip(tmp_path / "a.zip", {"a": bytes(100_000)})
    content = (tmp_path / "a.zip").read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(FileError, match="cannot be read as an archive"):
        zipped.read_zip(tmp_path / "a.zip", "an archive")


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no zip file", encoding="utf-8")
    with pytest.raises(FileError, match="cannot be read as an archive"):
        zipped.read_zip(tmp_path / "a.zip", "an archive")
    with pytest.raises(FileError, match="no file"):
        zipped.read_zip(tmp_path / "b.zip", "an archive")
