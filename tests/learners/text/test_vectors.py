"""Embeddings in a file: each text asked for once, whatever was cut off, and one maker to a file."""

import json
import multiprocessing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from dsl.exceptions import CacheError
from dsl.learners.text.vectors import stored_vectors

TEXTS = [f"text {i}" for i in range(7)]


class Maker:
    """Three numbers that follow from a text, and which texts were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.array([list(sha256(text.encode()).digest()[:3]) for text in texts], dtype=float)


def truth(texts: list[str]) -> np.ndarray:
    return Maker()(texts)


def test_a_text_is_asked_for_once(tmp_path: Path) -> None:
    file, make = tmp_path / "vectors.bin", Maker()
    np.testing.assert_array_equal(stored_vectors(file, "m", TEXTS[:4], make, 3), truth(TEXTS[:4]))
    np.testing.assert_array_equal(stored_vectors(file, "m", TEXTS[::-1], make, 3), truth(TEXTS[::-1]))
    assert make.asked == [*TEXTS[:4], *TEXTS[:3:-1]]
    assert not any(text.encode() in file.read_bytes() for text in TEXTS)


def test_the_format_is_as_documented(tmp_path: Path) -> None:
    """A line of JSON, then for each text its SHA-256 and its numbers in four bytes each."""
    file = tmp_path / "vectors.bin"
    stored_vectors(file, "m", TEXTS[:2], Maker(), 10)
    line, _, rest = file.read_bytes().partition(b"\n")
    assert json.loads(line) == {"format": "dsl embeddings", "version": 1, "maker": "m", "columns": 3}
    assert rest == b"".join(
        sha256(text.encode()).digest() + truth([text]).astype("<f4").tobytes() for text in TEXTS[:2]
    )


def test_cut_off_at_any_byte(tmp_path: Path) -> None:
    """Whole records count, and the next writer puts the file right."""
    file = tmp_path / "vectors.bin"
    stored_vectors(file, "m", TEXTS[:3], Maker(), 10)
    whole = file.read_bytes()
    start = whole.index(b"\n") + 1
    record = (len(whole) - start) // 3
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        kept = max(0, cut - start) // record
        make = Maker()
        np.testing.assert_array_equal(stored_vectors(file, "m", TEXTS[:3], make, 10), truth(TEXTS[:3]))
        assert make.asked == TEXTS[kept:3]
        assert file.read_bytes() == whole


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "vectors.bin"
    stored_vectors(file, "m", TEXTS[:2], Maker(), 10)
    with pytest.raises(CacheError, match=r"holds the embeddings of m, and those of other are wanted"):
        stored_vectors(file, "other", TEXTS[:2], Maker(), 10)
    with pytest.raises(CacheError, match=r"holds embeddings of 3 columns, and m makes 2 now"):
        stored_vectors(file, "m", TEXTS[:3], lambda texts: np.zeros((len(texts), 2)), 10)
    for content in (b"a,b\n1,2\n", b"something without an end", b'{"format": "else"}\n', b"[1]\n"):
        file.write_bytes(content)
        with pytest.raises(CacheError, match="is no file of embeddings; name another"):
            stored_vectors(file, "m", TEXTS[:2], Maker(), 10)
    file.write_bytes(
        json.dumps({"format": "dsl embeddings", "version": 9, "maker": "m", "columns": 3}).encode() + b"\n"
    )
    with pytest.raises(CacheError, match="version 9"):
        stored_vectors(file, "m", TEXTS[:2], Maker(), 10)
    with pytest.raises(CacheError, match="cannot be written"):
        stored_vectors(tmp_path / "no" / "vectors.bin", "m", TEXTS, Maker(), 10)


def test_an_error_half_way_loses_nothing_that_was_made(tmp_path: Path) -> None:
    file, make = tmp_path / "vectors.bin", Maker()

    def broken(texts: list[str]) -> np.ndarray:
        if make.asked:
            raise ConnectionError
        return make(texts)

    with pytest.raises(ConnectionError):
        stored_vectors(file, "m", TEXTS, broken, 3)
    again = Maker()
    np.testing.assert_array_equal(stored_vectors(file, "m", TEXTS, again, 3), truth(TEXTS))
    assert again.asked == TEXTS[3:]


def _write(file: Path, first: int) -> None:
    for i in range(20):
        stored_vectors(file, "m", [f"text {first} {i}"], truth, 5)


@pytest.mark.slow
def test_two_processes_write_to_one_file(tmp_path: Path) -> None:
    file, context = tmp_path / "vectors.bin", multiprocessing.get_context("spawn")
    both = [context.Process(target=_write, args=(file, first)) for first in (1, 2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.exitcode for each in both] == [0, 0]
    make, texts = Maker(), [f"text {first} {i}" for first in (1, 2) for i in range(20)]
    np.testing.assert_array_equal(stored_vectors(file, "m", texts, make, 5), truth(texts))
    assert not make.asked
