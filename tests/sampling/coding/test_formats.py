"""Which format a file has."""

from pathlib import Path

import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling import simple_random
from dsl.sampling.coding.exchange import CoderFormat, Incoming, Outgoing
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


def test_a_toy_format_runs_through_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the registry is all that the rest needs: key, text and label in a line, two coders in a file."""

    def write(path: Path, outgoing: Outgoing) -> None:
        rows = zip(outgoing.keys, outgoing.texts["text"], strict=True)
        path.write_text("".join(f"{key} {text}\n" for key, text in rows))

    def read(path: Path, label: str, encoding: str) -> list[Incoming]:
        cells = pd.DataFrame(
            [line.split(" ") for line in path.read_text().splitlines()], columns=["key", "text", "a", "b"]
        )
        places = pd.RangeIndex(1, len(cells) + 1)
        parts = {who: cells[["key", "text", who]].rename(columns={who: label}) for who in ("a", "b")}
        return [Incoming(cells=part, places=places, coder=who) for who, part in parts.items()]

    toy = CoderFormat(
        name="toy", write=write, read=read, writes=(".toy",), reads=(".toy",), beside={".key": lambda out: out.label}
    )
    monkeypatch.setitem(FORMATS, "toy", toy)
    data, path = pd.DataFrame({"text": list("abcdef")}), tmp_path / "coder.toy"
    design = simple_random(data, 4, seed=1)
    design.to_coder(path, data, columns="text")  # no other format has the ending
    assert (tmp_path / "coder.key").read_text() == "gold"
    path.write_text("".join(f"{line} 1 {int(j > 0)}\n" for j, line in enumerate(path.read_text().splitlines())))
    assert design.from_coder(path, data, rule="mean")["gold"].sum() == 3.5
    assert design.agreement([path])["agreement"].tolist() == [0.75]
    path.write_text(path.read_text().replace(" 1 0", " 1 -", 1).replace("k", "x", 1))
    with pytest.raises(e.CoderFileError, match=r"'coder.toy' \(coder a\) has 1 line \(first: 1\) without a key"):
        design.from_coder(path, data)
