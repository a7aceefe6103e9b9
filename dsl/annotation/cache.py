"""The answers of a model, in a file that only grows: one JSON line for each, under the key of its request.

A line holds ``{"key": ..., "answer": ..., "check": ...}``, no text and no prompt, and is written in one call to the end of the
file. A process that is killed therefore loses the line that it was writing and no other. The check is a CRC-32 of the line before
it, so that a line which a disk or an editor damaged is not taken for an answer. One process at a time writes to a file.
"""

import gzip
import json
import os
import re
import shutil
import tempfile
import threading
import time
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO

import numpy as np

from dsl._typing import Record
from dsl.data.arguments import warn_caller
from dsl.data.files import PathLike, locked, read_from, resolved, sync_folder
from dsl.exceptions import CacheError, CacheWarning

PACKED = ".gz"
START = b'{"key": "'
LINE = re.compile(rb'\{"key": "([0-9a-f]{64})", "answer": .*, "check": "([0-9a-f]{8})"\}\n', re.DOTALL)
CUT = b" (cut off)\n"
"""Closes what a killed process left of a line: no damage, and no answer."""
CHECK = len(b', "check": "01234567"}\n')
SYNC = 5.0
"""Seconds after which what was written is forced to the disk: a failing machine, unlike a killed process, loses at most these."""
FOLD = 1 << 14
"""New keys that are kept in a dictionary until they are merged into the sorted ones."""


class Cache:
    """Answers by key.

    Parameters
    ----------
    path : str or Path
        A file of JSON lines, made if it is not there. One that ends in ``.gz`` is read only.
    write : bool
        Whether answers will be added, so that the file is locked until it is closed. Without it a file that is not there is
        an empty one, and a line that another process is writing is not seen.

    Raises
    ------
    CacheError
        Another process writes to the file, it cannot be opened, or it is something else than a cache.

    Warns
    -----
    CacheWarning
        Lines are damaged. They count as not answered.

    Notes
    -----
    In memory are 16 bytes for each answer: the beginning of its key and its place in the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "labels.jsonl"
    >>> with Cache(path, write=True) as cache:
    ...     cache.add("0" * 64, {"text": "positive"})
    >>> with Cache(path) as cache:
    ...     len(cache), cache.get("0" * 64), cache.get("1" * 64)
    (1, {'text': 'positive'}, None)
    >>> folder.cleanup()
    """

    def __init__(self, path: PathLike, *, write: bool = False) -> None:
        self.path = resolved(path, "cache")
        self.writes = write and self.path.suffix.lower() != PACKED
        self._index = _Index()
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._reader: IO[bytes] | None = None
        self._writer: IO[bytes] | None = None
        self._synced = time.monotonic()
        self._length = self._safe = 0

    def __enter__(self) -> "Cache":
        """Open the file, lock it if it will be written to, and read where its answers are."""
        with ExitStack() as opened:
            self._open(opened)
            if self._reader is not None:
                tail = self._read(self._reader)
                if self._writer is not None and tail:
                    # the next answer begins its own line; one that was whole but for its newline is not marked as cut
                    end = CUT if _key_of(tail + b"\n") is None else b"\n"
                    _write_whole(self._writer, end)
                    self._length += len(tail) + len(end)
            self._safe = self._length
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Force what was written to the disk, and close the file."""
        with self._lock:
            if self._writer is not None and self._length > self._safe:
                os.fsync(self._writer.fileno())
            self._reader = self._writer = None
            self._opened.close()

    def __len__(self) -> int:
        """Number of answers."""
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        """Whether there is an answer."""
        wanted = START + key.encode()
        return any(self._at(place, len(wanted)) == wanted for place in self._places(key))

    def get(self, key: str) -> Record | None:
        """The answer, or None where there is none."""
        for place in self._places(key):
            record = json.loads(self._at(place, None))
            if record["key"] == key:
                return dict(record["answer"])
        return None

    def items(self) -> Iterator[tuple[str, Record]]:
        """Keys and answers, in the order in which they were stored."""
        with self._lock:
            places = sorted(self._index.all_places())
        for place in places:
            record = json.loads(self._at(place, None))
            yield record["key"], dict(record["answer"])

    def add(self, key: str, answer: Record) -> None:
        """Write an answer to the end of the file. Calls from several threads follow one another.

        Raises
        ------
        CacheError
            The file cannot be written, or is one that is only read.
        """
        line = _line(key, answer)
        with self._lock:
            if self._writer is None:
                raise CacheError(
                    f"the cache '{self.path}' is only read, and does not have all answers that this call needs; unpack it, or "
                    "name another cache"
                )
            try:
                _write_whole(self._writer, line)
                if time.monotonic() - self._synced > SYNC:
                    os.fsync(self._writer.fileno())
                    self._synced, self._safe = time.monotonic(), self._length
            except OSError as error:
                raise CacheError(
                    f"the cache '{self.path}' cannot be written ({error.strerror}): make room, or name another file. The answers "
                    "before this one are in it"
                ) from error
            self._index.add(key, self._length)
            self._length += len(line)

    def _places(self, key: str) -> list[int]:
        with self._lock:
            return self._index.places(key)

    def _at(self, place: int, length: int | None) -> bytes:
        with self._lock:
            if self._reader is None:
                raise CacheError(f"the cache '{self.path}' is closed")
            self._reader.seek(place)
            return self._reader.readline() if length is None else self._reader.read(length)

    def _open(self, opened: ExitStack) -> None:
        """Handles for reading and for writing, as far as there is something to read and to write."""
        if self.path.suffix.lower() == PACKED:
            self._reader = self._unpacked(opened)
            return
        if not self.writes and not self.path.exists():
            return
        try:
            if self.writes:
                new = not self.path.exists()
                # "a": every write goes to the end, whoever else has written
                self._writer = opened.enter_context(self.path.open("ab", buffering=0))
                opened.enter_context(locked(self._writer, patience=0.0))
                if new:
                    sync_folder(self.path)
            self._reader = opened.enter_context(self.path.open("rb"))
        except BlockingIOError:
            raise CacheError(
                f"another process writes its answers to '{self.path}'; wait until it is done, or name another cache"
            ) from None
        except OSError as error:
            raise CacheError(
                f"the cache '{self.path}' cannot be opened ({error.strerror}); name a file in a folder that exists and can be "
                "written to"
            ) from error

    def _unpacked(self, opened: ExitStack) -> IO[bytes]:
        """A packed cache, unpacked to a file without a name, since places in a packed one cannot be found."""
        out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        opened.callback(out.close)
        with read_from(self.path, "a packed cache of answers", CacheError) as path, gzip.open(path) as packed:
            shutil.copyfileobj(packed, out)
        return out

    def _read(self, file: IO[bytes]) -> bytes:
        """Put every whole line into the index, warn of damaged ones, and return what follows the last newline."""
        keys, places = array("Q"), array("q")
        damaged: list[int] = []
        cut, tail = 0, b""
        for number, place, line in _lines(file):
            whole = line.endswith(b"\n")
            found = _key_of(line if whole else line + b"\n")
            if found is not None:
                keys.append(_short(found))
                places.append(place)
            elif line.endswith(CUT) or (not whole and line.startswith(START[: len(line)])):
                cut += 1
            else:
                damaged.append(number)
            if whole:
                self._length = place + len(line)
            else:
                tail = line
        if damaged and not keys and not cut:
            raise CacheError(f"'{self.path}' is no cache of answers: none of its lines is one; name another file")
        self._index = _Index(keys, places)
        if damaged:
            self._warn(damaged)
        return tail

    def _warn(self, damaged: list[int]) -> None:
        what = f"{len(damaged)} lines" if len(damaged) > 1 else "a line"
        warn_caller(
            CacheWarning,
            f"{what} of the cache '{self.path}' cannot be read and will be asked again (first: "
            f"{', '.join(map(str, damaged[:3]))}): a disk or an editor has changed the file. Restore it from a copy if the "
            "answers were dear",
        )


def _lines(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Number, place and content of each line."""
    file.seek(0)
    place = 0
    for number, line in enumerate(file, start=1):
        yield number, place, line
        place += len(line)


def _line(key: str, answer: Record) -> bytes:
    body = json.dumps({"key": key, "answer": answer}, allow_nan=False)
    return f'{body[:-1]}, "check": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _key_of(line: bytes) -> str | None:
    """The key of a line, or None for one that is damaged or cut."""
    found = LINE.fullmatch(line)
    if found is None or zlib.crc32(b"}", zlib.crc32(line[:-CHECK])) != int(found[2], 16):
        return None
    return found[1].decode()


def _write_whole(file: IO[bytes], line: bytes) -> None:
    """One write, and further ones only where the system took a part."""
    left = memoryview(line)
    while left:
        left = left[file.write(left) or 0 :]


def _short(key: str) -> int:
    return int(key[:16], 16)


class _Index:
    """Places of lines by the first 64 bits of their keys: sorted arrays, and a dictionary of what is new.

    Keys that begin alike share their places, of which the caller reads the lines. Looking up is left to `bisect`: numpy's search
    hands the interpreter to another thread, and waits to get it back.
    """

    def __init__(self, keys: "array[int] | None" = None, places: "array[int] | None" = None) -> None:
        self._keys, self._places = array("Q"), array("q")
        self._new: dict[int, int] = {}
        self._merge(array("Q") if keys is None else keys, array("q") if places is None else places)

    def __len__(self) -> int:
        return len(self._keys) + len(self._new)

    def add(self, key: str, place: int) -> None:
        short = _short(key)
        # a dictionary has one place for a key
        if len(self._new) >= FOLD or short in self._new:
            self._fold()
        self._new[short] = place

    def places(self, key: str) -> list[int]:
        short = _short(key)
        low = bisect_left(self._keys, short)
        high = low
        while high < len(self._keys) and self._keys[high] == short:
            high += 1
        new = self._new.get(short)
        return [*self._places[low:high], *([] if new is None else [new])]

    def all_places(self) -> list[int]:
        return [*self._places, *self._new.values()]

    def _fold(self) -> None:
        keys, places = array("Q", self._new), array("q", self._new.values())
        self._new = {}
        self._merge(keys, places)

    def _merge(self, keys: "array[int]", places: "array[int]") -> None:
        every = np.frombuffer(self._keys + keys, dtype=np.uint64)
        # stable: of two lines with one key the first counts
        order = np.argsort(every, kind="stable")
        where = np.frombuffer(self._places + places, dtype=np.int64)
        self._keys, self._places = array("Q", every[order].tobytes()), array("q", where[order].tobytes())
