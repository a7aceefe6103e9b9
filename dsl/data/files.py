"""Files that are written whole or not at all, and files that one process at a time writes to.

Every file that this package writes goes through `written_aside`: a draft with a name that nobody can guess, created
exclusively beside its place, is filled, forced to the disk and moved to its place in one step. Whatever goes wrong, what was
there before stays. Files that only grow (logs, checkpoints) are written under `locked`.
"""

import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from dsl._typing import AnyArray
from dsl.data.arguments import in_one_line
from dsl.exceptions import ArgumentError, DSLError, FileError

PathLike: TypeAlias = str | os.PathLike[str]
PATIENCE = 10.0
"""Seconds to wait for a lock that another process holds while it writes a line."""
PAUSE = 0.01
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems answer that have no locks."""


def as_path(path: object, name: str = "path") -> Path:
    """An argument that names a file.

    Raises
    ------
    ArgumentError
        It is no path, or empty.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in str(path):
        raise ArgumentError(f"{name} must name a file, as text or a pathlib.Path; found {path!r}")
    return Path(os.fsdecode(path))


def resolved(path: object, name: str = "path") -> Path:
    """The file that a path stands for in the end: links followed, as far as they lead somewhere."""
    return Path(os.path.realpath(as_path(path, name)))


@contextmanager
def read_from(path: object, kind: str, category: type[DSLError] = FileError) -> Iterator[Path]:
    """The path of a file that is there, to read in the block, where whatever a reader raises says that the file is damaged.

    Parameters
    ----------
    path : str or Path
    kind : str
        What the file should be, for the message: "a saved design".
    category : type
        The error that is raised.

    Examples
    --------
    >>> with read_from("nothing.rds", "a data file of R"):
    ...     pass
    Traceback (most recent call last):
    ...
    dsl.exceptions.FileError: there is no file 'nothing.rds'
    """
    target = as_path(path)
    try:
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise category(f"'{target}' is a folder; name a file in it")
        if not os.access(target, os.R_OK):
            raise PermissionError(errno.EACCES, "it may not be read")
        yield target
    except DSLError:
        raise
    # readers of packed files raise whatever the broken part does: zlib.error, EOFError, KeyError, struct.error, ...
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            raise category(f"there is no file '{target}'") from None
        raise category(f"'{target}' cannot be read as {kind}: {in_one_line(error)}") from error


def write_arrays(path: PathLike, arrays: Mapping[str, AnyArray]) -> None:
    """Write named arrays to one file in numpy's npz format, compressed, without pickle and without adding a suffix."""
    # made in memory first: some versions of numpy leave a half-written archive open if the disk is full
    content = BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    with written_aside(path) as draft:
        draft.write_bytes(content.getbuffer())


@contextmanager
def written_aside(path: PathLike, *, replace: bool = True) -> Iterator[Path]:
    """A draft to write, which takes the place of `path` in one step once the block is done.

    The draft has the ending of `path`, and the permissions (and owner, where the system allows it) of the file that it
    replaces. A symbolic link is followed: the file that it points to is replaced. A pipe or device is written to as it is.

    Parameters
    ----------
    path : str or Path
    replace : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileError
        The file cannot be written, or is there and may not be replaced. What was there before is unchanged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(pathlib.Path(folder) / "a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     [each.name for each in pathlib.Path(folder).iterdir()]
    ['a.txt']
    """
    wanted = as_path(path)
    try:
        before = _facts(wanted)
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise FileError(f"'{wanted}' is a folder; name a file in it")
        # a pipe, a device, or what stdout is: nothing to replace
        if str(wanted).startswith("/dev/") or (before is not None and not stat.S_ISREG(before.st_mode)):
            yield wanted
            return
        target = resolved(wanted)
        if before is not None and not replace:
            raise FileExistsError(errno.EEXIST, "it is there already")
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "it may only be read")
        draft = target.with_name(f".dsl-{secrets.token_hex(8)}{target.suffix}")
        try:
            _create(draft, before)
            yield draft
            _sync(draft)
            if replace:
                os.replace(draft, target)
            else:
                _move_to_free_place(draft, target)
            sync_folder(target)
        finally:
            # a draft that an error or an interruption left behind. One that was moved is gone
            draft.unlink(missing_ok=True)
    except (FileError, BrokenPipeError):
        raise
    except OSError as error:
        raise _unwritable(wanted, error) from error


def write_text(path: PathLike, text: str) -> None:
    """Write text as UTF-8, whole or not at all (`written_aside`)."""
    with written_aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _create(draft: Path, before: os.stat_result | None) -> None:
    """An empty file that was not there, with the permissions of the one that it will replace."""
    # without one, those that the process gives to new files
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666)
    os.close(handle)
    if before is None:
        return
    if sys.platform != "win32":
        # only an administrator may give files away, and to a group only its members
        for owner in ((-1, before.st_gid), (before.st_uid, -1)):
            with suppress(OSError):
                os.chown(draft, *owner)
    mode = before.st_mode & 0o777
    # what was the group's is no other group's
    draft.chmod(mode if draft.stat().st_gid == before.st_gid else mode & ~0o070)


def _sync(draft: Path) -> None:
    """Force the contents to the disk, so that the name never stands for a file that a crash emptied."""
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make the file's entry in its folder survive a crash, where the system can."""
    try:
        folder = os.open(resolved(path).parent, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with suppress(OSError):  # file systems that cannot
            os.fsync(folder)
    finally:
        os.close(folder)


def _move_to_free_place(draft: Path, target: Path) -> None:
    """Move the draft unless there is a file by now."""
    try:
        os.link(draft, target)  # fails if the name is taken, in one step
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "it is there already") from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(errno.EEXIST, "it is there already") from None
        os.rename(draft, target)  # which on Windows replaces nothing


def _unwritable(path: Path, error: OSError) -> FileError:
    advice = {
        errno.EEXIST: "name another file",
        errno.EACCES: "change its permissions, or name another file",
        errno.EROFS: "name a file on another disk",
        errno.ENOSPC: "make room, or name a file on another disk",
        errno.EDQUOT: "make room, or name a file on another disk",
        errno.EFBIG: "make room, or name a file on another disk",
        errno.ENOENT: f"there is no folder '{path.parent}': make it first",
        errno.ENOTDIR: f"'{path.parent}' is no folder: name a file in one",
        errno.ENAMETOOLONG: "shorten the name",
    }.get(error.errno or 0, "name a file in a folder that exists and can be written to")
    what = error.strerror or str(error) or type(error).__name__
    return FileError(error.errno, f"'{path}' cannot be written ({what}): {advice}. What was there before is unchanged")


@contextmanager
def locked(file: IO[bytes], *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of an open file, which one process (and one opening of the file) at a time can.

    Raises
    ------
    BlockingIOError
        Another one holds it, `patience` seconds long.
    """
    until = time.monotonic() + patience
    while not (held := _try_lock(file)):
        if time.monotonic() >= until:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process holds its lock")
        time.sleep(PAUSE)
    try:
        yield
    finally:
        if held and not file.closed:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    BEYOND = 1 << 40
    """The byte that is locked: far behind the end, since locked bytes cannot be read."""

    def _try_lock(file: IO[bytes]) -> bool:
        return _at_byte(file, msvcrt.LK_NBLCK)

    def _unlock(file: IO[bytes]) -> None:
        _at_byte(file, msvcrt.LK_UNLCK)

    def _at_byte(file: IO[bytes], how: int) -> bool:
        place = file.tell()
        try:
            file.seek(BEYOND)
            msvcrt.locking(file.fileno(), how, 1)
        except OSError:
            return False
        finally:
            file.seek(place)
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # without locks, what is written to the file is all that two processes notice of each other
            return error.errno in NO_LOCKS
        return True

    def _unlock(file: IO[bytes]) -> None:
        with suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)
