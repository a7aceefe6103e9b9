"""The log of an adaptive design: a file that only grows, one JSON line for each event, each tied to the line before.

Every line carries a SHA-256 over the line before it and its own contents, and is on the disk (fsync) before the call that
wrote it returns. So a crash loses at most a line whose call had not returned, and a line that was changed, taken out or put
in breaks the chain. A chain of hashes does not stop a forger who writes the whole file anew. That the probabilities follow
from the seed and the labels, which `dsl.AdaptiveDesign.resume` checks too, stops all but forged labels of the last batch.
"""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np

from dsl._typing import FloatArray, Record
from dsl.data.arguments import warn_caller
from dsl.data.files import as_path, locked, sync_folder
from dsl.exceptions import LogError, LogWarning

FORMAT = 3
READ = (1, 2, 3)
"""Formats that are read: 1 has other names for two settings, 1 and 2 lack some that came later (`OLD_NAMES` and `ADDED` of
`dsl.sampling.adaptive.settings`)."""
HEADER = "dsl adaptive design"
FIRST = "0" * 64
"""What the first line is tied to."""


class Log:
    """An open log.

    Parameters
    ----------
    path : Path
    last : str
        Hash of the last line.
    length : int
        Bytes in the file.
    """

    def __init__(self, path: Path, last: str = FIRST, length: int = 0) -> None:
        self.path = path
        self._last = last
        self._length = length

    @classmethod
    def create(cls, path: str | Path, header: Record) -> "Log":
        """Start a new log. The file must not exist."""
        log = cls(as_path(path, "log"))
        try:
            # "x": fails if the file exists, in one step, so that two processes cannot both begin it
            with log.path.open("xb"):
                pass
        except FileExistsError:
            raise LogError(
                f"'{path}' exists already; go on with it, AdaptiveDesign.resume('{path}', data), or name another file"
            ) from None
        except OSError as error:
            raise LogError(
                f"'{path}' cannot be written ({error.strerror}); name a file in a folder that exists"
            ) from None
        # the file's name must survive a crash as well as its contents
        sync_folder(log.path)
        log.append("header", {"format": FORMAT, "made_by": HEADER, **header})
        return log

    @classmethod
    def read(cls, path: str | Path) -> tuple["Log", list[Record]]:
        """Open a log and check its chain: the log, ready for more, and its events.

        An incomplete last line, which a crash while writing leaves behind, is cut off, with a warning.

        Raises
        ------
        LogError
            No such file, not a log, written by a newer version, or changed or damaged.
        """
        file = as_path(path, "log")
        try:
            # nobody is in the middle of a line while this one reads, and perhaps cuts off what a crash left behind
            with _opened(file) as stream, locked(stream):
                return cls._read(file, stream)
        except OSError as error:
            raise LogError(
                f"the log '{path}' cannot be read ({error.strerror or error}); look at the path, its permissions, and who else "
                "works with it"
            ) from None

    @classmethod
    def _read(cls, file: Path, stream: IO[bytes]) -> tuple["Log", list[Record]]:
        content = stream.read()
        # whatever follows the last newline was not written to its end
        whole = content.rfind(b"\n") + 1
        events, last = [], FIRST
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            event, last = _checked(line, last, number, file)
            events.append(event)
        _check_header(events, file)
        # the length before the cut, which `_cut` sets right
        log = cls(file, last, len(content))
        if whole < len(content):
            log._cut(whole, stream)
            warn_caller(
                LogWarning,
                f"the last line of '{file}' was incomplete, as a crash while writing leaves it, and was cut off: what it would "
                "have recorded (labels, if their add_labels did not return) must be given again",
            )
        return log, events

    def _cut(self, length: int, stream: IO[bytes]) -> None:
        stream.truncate(length)
        stream.flush()
        os.fsync(stream.fileno())
        self._length = length

    def append(self, kind: str, contents: Mapping[str, object]) -> None:
        """Write one event. It is on the disk when this returns.

        Raises
        ------
        LogError
            The file is not as this process left it, or cannot be written.
        """
        event = {"kind": kind, **contents, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        # no NaN: other JSON readers refuse it
        text = json.dumps(event, allow_nan=False)
        # the hash covers the text before the chain is put in: the last brace gives way to it
        chain = _hash(self._last, text)
        line = f'{text[:-1]}, "chain": "{chain}"}}\n'.encode()
        try:
            # of two processes that come at once, the second waits, and then finds the first one's line
            with self.path.open("r+b") as file, locked(file):
                found = file.seek(0, os.SEEK_END)
                # two processes that write to one log would fork its chain
                if found != self._length:
                    raise LogError(
                        f"the log '{self.path}' has {found} bytes, but this design left it at {self._length}: another process "
                        "writes to it. Let one process at a time work with a log; go on with AdaptiveDesign.resume"
                    )
                file.write(line)
                file.flush()
                # on the disk, not in a buffer, before anybody relies on it
                os.fsync(file.fileno())
        except OSError as error:
            raise LogError(
                f"the log '{self.path}' cannot be written ({error.strerror or error}), so that nothing was recorded; make "
                "room or restore the file, and go on with AdaptiveDesign.resume"
            ) from error
        # only now: a write that failed leaves the state as it was
        self._last, self._length = chain, self._length + len(line)


def _hash(last: str, text: str) -> str:
    return hashlib.sha256(f"{last}\n{text}".encode()).hexdigest()


def _refused(constant: str) -> object:
    raise ValueError(constant)


def _checked(line: bytes, last: str, number: int, path: Path) -> tuple[Record, str]:
    """The event of a line, and its hash."""
    try:
        # the text as it was hashed: the chain taken out and the brace put back
        text, mark = line.decode(), ', "chain": "'
        body, chain = text[: text.rindex(mark)] + "}", text[text.rindex(mark) + len(mark) : -2]
        # Infinity and NaN are no JSON, and this package never writes them
        event = json.loads(body, parse_constant=_refused)
        if not isinstance(event, dict) or "kind" not in event:
            raise ValueError
    except (ValueError, RecursionError):
        raise LogError(
            f"line {number} of '{path}' is no event of an adaptive design; the file is damaged, or something else. Restore it "
            "from a copy"
        ) from None
    if chain != _hash(last, body) or not text.endswith('"}'):
        raise LogError(
            f"line {number} of '{path}' does not follow from the line before it: this line was changed, or lines were taken out, "
            "put in or moved. Probabilities or labels that were edited make every estimate wrong; restore the file from a copy"
        )
    return event, chain


def _check_header(events: list[Record], path: Path) -> None:
    if not events:
        raise LogError(f"'{path}' holds no complete line, so that nothing was recorded; delete it and begin anew")
    header = events[0]
    if header.get("made_by") != HEADER or [event["kind"] for event in events].count("header") != 1:
        raise LogError(f"'{path}' is not the log of an adaptive design; name the file given as log=")
    if header.get("format") not in READ:
        raise LogError(
            f"'{path}' has format {header.get('format')}, written by dsl {header.get('version')}; this version reads formats "
            f"{', '.join(map(str, READ))}: update the package"
        )


def _opened(path: Path) -> IO[bytes]:
    """The file, to be read and, where that is allowed, cut."""
    return path.open("r+b" if os.access(path, os.W_OK) else "rb")


def packed(values: FloatArray) -> str:
    """Floats as text, exactly: compressed little-endian float64 in base64.

    Examples
    --------
    >>> unpacked(packed(np.array([0.1, 1.0])), 2)
    array([0.1, 1. ])
    """
    # "<f8": the same bytes on any machine, exact to the last bit
    return base64.b64encode(zlib.compress(values.astype("<f8").tobytes(), 6)).decode()


def unpacked(text: str, most: int) -> FloatArray:
    """The floats that `packed` wrote, no more than `most`: a few bytes of a forged log could stand for gigabytes."""
    reader = zlib.decompressobj()
    raw = reader.decompress(base64.b64decode(text), 8 * most + 1)
    if len(raw) > 8 * most:
        raise ValueError(f"more than {most} numbers")
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)
