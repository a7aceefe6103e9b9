"""Images: addresses as they are, files by their bytes, and errors before anything is asked."""

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dsl.annotation import images
from dsl.annotation.images import check_images, image_url
from dsl.exceptions import DataError, FileError


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "png"),
        (b"\xff\xd8\xff\xe0...", "jpeg"),
        (b"GIF87a...", "gif"),
        (b"GIF89a...", "gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "webp"),
    ],
)
def test_files_by_their_first_bytes(tmp_path: Path, content: bytes, kind: str) -> None:
    """The name says nothing."""
    path = tmp_path / "image.txt"
    path.write_bytes(content)
    head, body = image_url(str(path)).split(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(body) == content


@pytest.mark.parametrize("address", ["https://example.org/a.png", "HTTP://example.org/a", "data:image/png;base64,AAAA"])
def test_addresses_stay(address: str) -> None:
    assert image_url(address) == address


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"<svg></svg>", b"RIFF\x10\x00\x00\x00WAVE"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png' is no PNG, JPEG, GIF or WebP image"):
        image_url(str(tmp_path / "a.png"))


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "none.png", tmp_path, "a\0b"):
        with pytest.raises(FileError, match="cannot be read: "):
            image_url(str(path))
    monkeypatch.setattr(images, "LARGEST", 4)
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="servers take 20 at most"):
        image_url(str(tmp_path / "a.gif"))


def test_missing_files_are_counted_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows = pd.Index([f"r{i}" for i in range(5)])
    there = [str(tmp_path / "a.png"), None, "https://example.org/b.png", np.nan, "data:image/png;base64,AAAA"]
    check_images(there, rows, "photo")
    with pytest.raises(
        DataError, match=r"'photo' names files that are not there in 2 rows \(first: r1, r3\), such as 'b.png'"
    ):
        check_images([there[0], "b.png", there[2], "c.png", None], rows, "photo")
    with pytest.raises(DataError, match=r"no text in 1 row \(first: r3\)"):
        check_images([*there[:3], 5, None], rows, "photo")
