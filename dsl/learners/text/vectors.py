"""Embeddings in a file that only grows, by the hash of their text: what is in it is never computed or paid for again.

The file begins with a line of JSON: what made the embeddings, and how many columns they have. Behind it each text has a record of
fixed size, the SHA-256 of the text and its numbers in four bytes each. It holds no text. A record that a killed process left
incomplete is cut off by the next one that writes.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from dsl._typing import AnyArray, FloatArray, IntArray
from dsl.data.files import PathLike, as_path, locked, read_from
from dsl.exceptions import CacheError

FORMAT, VERSION = "dsl embeddings", 1
BEGINNING = b'{"format": "dsl embeddings", '
"""Of the first line, by which one that was cut off is told from another file."""
KEY = 32
"""Bytes of a hash."""
LONGEST = 4096
"""Bytes of the first line at most."""
Make = Callable[[list[str]], AnyArray]
"""From texts to their embeddings, (m, d)."""


def stored_vectors(path: PathLike, maker: str, texts: Sequence[str], make: Make, batch: int) -> FloatArray:
    """Embeddings of texts, those that the file lacks made and added in batches.

    Parameters
    ----------
    path : str or Path
        Made if it is not there.
    maker : str
        What makes them: a file has those of one maker.
    texts : sequence of str
        Each once.
    make : callable
        From at most `batch` texts to an array, a row each.
    batch : int

    Returns
    -------
    (u, d) array of four-byte floats

    Raises
    ------
    CacheError
        The file holds embeddings of another maker, is something else, or cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, asked = pathlib.Path(folder) / "vectors.bin", []
    ...     lengths = lambda texts: asked.extend(texts) or np.array([[len(text)] for text in texts])
    ...     one = stored_vectors(file, "lengths", ["a", "bb"], lengths, 10)
    ...     two = stored_vectors(file, "lengths", ["bb", "ccc"], lengths, 10)
    >>> two.ravel().tolist(), asked
    ([2.0, 3.0], ['a', 'bb', 'ccc'])
    """
    file = as_path(path, "cache")
    keys = [_key(text) for text in texts]
    records = _read(file, maker)
    known = set() if records is None else set(_hashes(records))
    todo = [i for i, key in enumerate(keys) if key not in known]
    for start in range(0, len(todo), batch):
        part = todo[start : start + batch]
        _append(file, maker, [keys[i] for i in part], make([texts[i] for i in part]))
    if todo or records is None:
        records = _read(file, maker)
    if records is None:  # no texts were asked for
        return np.zeros((0, 0), dtype=np.float32)
    return np.asarray(records["vector"][_places(records, keys)])


def _key(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _hashes(records: AnyArray) -> Iterator[bytes]:
    # a void scalar of numpy's: its bytes, zeros at the end included
    return (key.tobytes() for key in records["key"])


def _places(records: AnyArray, keys: Sequence[bytes]) -> IntArray:
    place = {key: i for i, key in enumerate(_hashes(records))}
    return np.array([place[key] for key in keys], dtype=np.int64)


def _kind(columns: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"V{KEY}"), ("vector", "<f4", (columns,))])


def _read(file: Path, maker: str) -> AnyArray | None:
    """All whole records, or None where there is no file, or nothing in it yet."""
    if not file.exists():
        return None
    with read_from(file, "a file of embeddings", CacheError) as path:
        start, columns = _header(path, maker)
        if columns is None:
            return None
        kind = _kind(columns)
        count = (path.stat().st_size - start) // kind.itemsize
        return np.fromfile(path, dtype=kind, count=count, offset=start)


def _header(path: Path, maker: str) -> tuple[int, int | None]:
    """Bytes of the first line, and the number of columns. None where a killed process left no whole line."""
    with path.open("rb") as opened:
        line = opened.read(LONGEST).partition(b"\n")
    if not line[1]:
        if line[0][: len(BEGINNING)] != BEGINNING[: len(line[0])]:
            raise CacheError(f"'{path}' is no file of embeddings; name another")
        return 0, None
    try:
        found = json.loads(line[0])
        kind, version, made_by, columns = (found[name] for name in ("format", "version", "maker", "columns"))
    except (ValueError, KeyError, TypeError):
        kind = None
    if kind != FORMAT:
        raise CacheError(f"'{path}' is no file of embeddings; name another")
    if version != VERSION:
        raise CacheError(f"'{path}' is a file of embeddings of version {version}, and this one reads {VERSION}")
    if made_by != maker:
        raise CacheError(
            f"'{path}' holds the embeddings of {made_by}, and those of {maker} are wanted: name a file for each"
        )
    return len(line[0]) + 1, int(columns)


def _append(file: Path, maker: str, keys: Sequence[bytes], vectors: AnyArray) -> None:
    """Add records, all of them forced to the disk."""
    try:
        with file.open("ab") as opened, locked(opened):
            start, columns = _header(file, maker)
            if columns is None:
                head = {"format": FORMAT, "version": VERSION, "maker": maker, "columns": vectors.shape[1]}
                first = json.dumps(head).encode() + b"\n"
                opened.truncate(0)
                opened.write(first)
                opened.flush()
                start, columns = len(first), int(vectors.shape[1])
            if vectors.shape[1] != columns:
                raise CacheError(
                    f"'{file}' holds embeddings of {columns} columns, and {maker} makes {vectors.shape[1]} now: name another file"
                )
            kind = _kind(columns)
            size = os.fstat(opened.fileno()).st_size
            opened.truncate(size - (size - start) % kind.itemsize)
            records = np.empty(len(keys), dtype=kind)
            records["key"] = np.frombuffer(b"".join(keys), dtype=f"V{KEY}")
            records["vector"] = vectors
            opened.write(records.tobytes())
            opened.flush()
            os.fsync(opened.fileno())
    except BlockingIOError:
        raise CacheError(f"another process writes to '{file}'; wait until it is done, or name another file") from None
    except OSError as error:
        raise CacheError(
            f"'{file}' cannot be written ({error.strerror}); name a file in a folder that exists and can be written to"
        ) from error
