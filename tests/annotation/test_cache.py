"""Answers in a file that only grows: nothing whole is lost, nothing damaged is believed."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from dsl.annotation import cache as caches
from dsl.annotation.cache import Cache
from dsl.exceptions import CacheError, CacheWarning


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def filled(path: Path, numbers: range) -> Path:
    with Cache(path, write=True) as cache:
        for number in numbers:
            cache.add(key(number), {"text": f"label {number}", "tokens": [["\udce9", -0.5]]})
    return path


def test_answers_come_back(tmp_path: Path) -> None:
    path = filled(tmp_path / "c.jsonl", range(5))
    with Cache(path) as cache:
        assert len(cache) == 5
        assert cache.get(key(3)) == {"text": "label 3", "tokens": [["\udce9", -0.5]]}
        assert key(3) in cache
        assert key(9) not in cache
        assert cache.get(key(9)) is None


def test_a_line_by_hand(tmp_path: Path) -> None:
    body = '{"key": "' + "ab" * 32 + '", "answer": {"text": "x"}}'
    check = f"{zlib.crc32(body.encode()):08x}"
    path = tmp_path / "c.jsonl"
    path.write_text(f'{body[:-1]}, "check": "{check}"}}\n', encoding="utf-8")
    with Cache(path) as cache:
        assert cache.get("ab" * 32) == {"text": "x"}
    with Cache(tmp_path / "d.jsonl", write=True) as cache:
        cache.add("ab" * 32, {"text": "x"})
    assert (tmp_path / "d.jsonl").read_bytes() == path.read_bytes()


def test_cut_at_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever byte a kill cuts at, whole lines are there, and what is added afterwards is too."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    whole = filled(tmp_path / "c.jsonl", range(3)).read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    path = tmp_path / "cut.jsonl"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        # a line that lacks its newline only is whole
        expected = sum(end <= length or end - 1 == length for end in ends)
        with Cache(path) as cache:
            assert len(cache) == expected, length
        with Cache(path, write=True) as cache:
            assert [key(number) in cache for number in range(3)] == [number < expected for number in range(3)]
            cache.add(key(7), {"text": "after"})
            assert cache.get(key(7)) == {"text": "after"}
        with Cache(path) as cache:
            assert len(cache) == expected + 1
            assert cache.get(key(7)) == {"text": "after"}


def test_damage_is_named_and_skipped(tmp_path: Path) -> None:
    path = filled(tmp_path / "c.jsonl", range(6))
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"label 1", b"label 7")
    lines[4] = b"something else"
    path.write_bytes(b"\n".join(lines))
    with pytest.warns(CacheWarning, match=r"2 lines of the cache .*asked again \(first: 2, 5\)"), Cache(path) as cache:
        assert [key(number) in cache for number in range(6)] == [True, False, True, True, False, True]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b'[{"a": 1}]', b'{"a": 1}\n{"a": 2}\n', b"\x00\x01", b"\n\n"])
def test_other_files_are_refused_and_unchanged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    for write in (False, True):
        with pytest.raises(CacheError, match="no cache of answers"), Cache(path, write=write):
            pass
    assert path.read_bytes() == content


@pytest.mark.long
def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = filled(tmp_path / "c.jsonl", range(2))
    code = f"""
from dsl.annotation.cache import Cache
with Cache({str(path)!r}) as cache:
    print(len(cache))
try:
    with Cache({str(path)!r}, write=True):
        print("opened")
except Exception as error:
    print(type(error).__name__, error)
"""
    with Cache(path, write=True) as cache:
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        cache.add(key(2), {})
    assert found.startswith("2\nCacheError another process writes its answers to")
    assert str(path) in found
    with pytest.raises(CacheError, match="only read"), Cache(path) as cache:
        cache.add(key(3), {})


def test_packed_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(filled(tmp_path / "c.jsonl", range(4)).read_bytes()))
    before = path.read_bytes()
    with Cache(path, write=True) as cache:
        assert cache.get(key(2)) is not None
        with pytest.raises(CacheError, match="only read, and does not have all answers"):
            cache.add(key(9), {})
    assert path.read_bytes() == before
    path.write_bytes(before[:-9])
    with pytest.raises(CacheError, match="packed cache"), Cache(path):
        pass


def test_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Cache(path, write=True) as cache:

        def write(part: int) -> None:
            for number in range(part, 800, 8):
                cache.add(key(number), {"text": "x" * (number % 50)})
                assert cache.get(key(number)) is not None

        threads = [threading.Thread(target=write, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Cache(path) as cache:
        assert all(cache.get(key(number)) == {"text": "x" * (number % 50)} for number in range(800))


def test_keys_that_begin_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index knows 64 bits of a key, and merges what is new: both may not show."""
    monkeypatch.setattr(caches, "FOLD", 4)
    keys = ["0" * 16 + f"{number:048x}" for number in range(10)]
    path = tmp_path / "c.jsonl"
    with Cache(path, write=True) as cache:
        for number, each in enumerate(keys):
            cache.add(each, {"n": number})
        assert [cache.get(each) for each in keys] == [{"n": number} for number in range(10)]
        assert "0" * 64 in cache
        assert "0" * 63 + "f" not in cache
    with Cache(path) as cache:
        assert [cache.get(each) for each in keys] == [{"n": number} for number in range(10)]


def test_the_first_of_two_answers_counts(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Cache(path, write=True) as cache:
        cache.add(key(1), {"n": 1})
        cache.add(key(1), {"n": 2})
    with Cache(path) as cache:
        assert cache.get(key(1)) == {"n": 1}


def test_a_full_disk(tmp_path: Path) -> None:
    path = Path("/dev/full")
    if not path.exists():
        return
    with path.open("ab", buffering=0) as full, Cache(tmp_path / "c.jsonl", write=True) as cache:
        cache._writer = full
        with pytest.raises(CacheError, match="cannot be written"):
            cache.add(key(1), {})
        cache._writer = None


def test_no_place(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="cannot be opened"), Cache(tmp_path / "nowhere" / "c.jsonl", write=True):
        pass
    with Cache(tmp_path / "nothing.jsonl") as cache:
        assert len(cache) == 0
        assert cache.get(key(1)) is None


def test_lines_hold_json(tmp_path: Path) -> None:
    for line in filled(tmp_path / "c.jsonl", range(3)).read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == {"key", "answer", "check"}
