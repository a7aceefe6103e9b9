"""Which format a file has."""

from pathlib import Path

import pytest

from dsl import exceptions as e
from dsl.sampling.coding.formats import FORMATS, format_of


@pytest.mark.parametrize(("name", "found"), [("a.csv", "csv"), ("a.XLSX", "xlsx"), ("a.tsv", "csv"), ("a.txt", "csv")])
def test_by_ending(name: str, found: str) -> None:
    assert format_of(Path(name), None, written=False).name == found


def test_endings_that_do_not_tell() -> None:
    with pytest.raises(e.ArgumentError, match=r"'a.json' may be of several formats.*'label_studio', 'argilla'"):
        format_of(Path("a.json"), None, written=True)
    with pytest.raises(e.ArgumentError, match=r"'a.jsonl' may be of several formats.*'doccano', 'prodigy'"):
        format_of(Path("a.jsonl"), None, written=False)
    with pytest.raises(e.ArgumentError, match=r"'a.tsv' must end in \.csv or \.xlsx"):
        format_of(Path("a.tsv"), None, written=True)


def test_names_and_endings() -> None:
    for name, each in FORMATS.items():
        assert format_of(Path(f"a{each.writes[0]}"), name, written=True) is each
        assert set(each.writes) <= set(each.reads)
        with pytest.raises(e.ArgumentError, match=f"'a.pdf' must end in .*, the ending of files of format '{name}'"):
            format_of(Path("a.pdf"), name, written=True)
    with pytest.raises(
        e.ArgumentError, match=r"unknown format 'labelstudio': use one of csv, .*did you mean 'label_studio'"
    ):
        format_of(Path("a.json"), "labelstudio", written=True)
