"""Zip files of named entries, which are read without writing anything of theirs to the disk.

A zip file from somebody else may name files outside any folder, hold one name twice, or grow to any size. What is read here is
looked at first: names, then the sizes that the entries say they have, which Python holds them to while it expands them.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from dsl._typing import AnyArray
from dsl.data.files import PathLike, as_path, read_from, written_aside
from dsl.exceptions import ArgumentError, FileError

LARGEST = 2 * 2**30
"""Bytes of all entries together, expanded."""
DATED = (1980, 1, 1, 0, 0, 0)
"""No entry says when it was written: the same contents are the same entry."""


def write_zip(path: PathLike, entries: Mapping[str, bytes]) -> None:
    """Write entries to one file, in one step.

    Raises
    ------
    ArgumentError
        They are larger than what `read_zip` would read.
    FileError
        The file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_zip(pathlib.Path(folder) / "a.zip", {"a.txt": b"all of it"})
    ...     read_zip(pathlib.Path(folder) / "a.zip", "an archive")
    {'a.txt': b'all of it'}
    """
    size = sum(map(len, entries.values()))
    if size > LARGEST:
        raise ArgumentError(f"'{path}' would hold {size:,} bytes, and {LARGEST:,} are the most; leave the data out")
    with written_aside(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, DATED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            file.writestr(entry, content)


def read_zip(path: PathLike, kind: str) -> dict[str, bytes]:
    """All entries of a file, by name.

    Parameters
    ----------
    path : str or Path
    kind : str
        What the file should be, for messages.

    Raises
    ------
    FileError
        No such file, no zip file, a damaged one, or one with names that lead out of a folder, a name twice, or more than
        `LARGEST` bytes.
    """
    with read_from(path, kind) as target, zipfile.ZipFile(target) as file:
        check_entries(file, f"'{as_path(path)}'")
        return {entry.filename: file.read(entry) for entry in file.infolist()}


def check_entries(file: zipfile.ZipFile, where: str) -> None:
    """Raise FileError for names that lead out of a folder, for names that repeat, and for too many bytes."""
    entries = file.infolist()
    outside = [entry.filename for entry in entries if _leads_out(entry.filename)]
    if outside:
        raise FileError(
            f"{where} has the entry {outside[0]!r}, whose name leads out of any folder: it is not what this package writes, and "
            "was not read"
        )
    names = [entry.filename for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FileError(f"{where} has two entries {twice!r}: it is not what this package writes, and was not read")
    size = sum(entry.file_size for entry in entries)
    if size > LARGEST:
        raise FileError(
            f"{where} would grow to {size:,} bytes, and {LARGEST:,} are the most: it was not expanded. If you trust "
            "whoever made it, unpack it yourself and look"
        )


def _leads_out(name: str) -> bool:
    """Whether a name is absolute or has a step upwards, as any system reads it."""
    return any(
        bool(path.drive or path.root) or ".." in path.parts for path in (PurePosixPath(name), PureWindowsPath(name))
    )


def arrays_to_bytes(arrays: Mapping[str, AnyArray]) -> bytes:
    """Named arrays as numpy's npz format holds them, compressed, without pickle."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def arrays_of_bytes(content: bytes, where: str) -> dict[str, AnyArray]:
    """Named arrays again.

    Raises
    ------
    FileError
        They would grow beyond `LARGEST` bytes, or have odd names. Whatever else is wrong, numpy's errors say.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        check_entries(file, where)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
