"""Finished cells of an evaluation in a file that only grows: one JSON line for each, behind a header."""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dsl._typing import Record
from dsl.data.files import locked
from dsl.exceptions import CheckpointError

FORMAT = "dsl evaluation 2"
START = json.dumps({"format": FORMAT}).encode()[:-1]
OLD = json.dumps({"format": "dsl evaluation 1"}).encode()[:-1]
"""How files begin that were written when the number of labels was called a budget."""

Key = tuple[str, int, int]
"""Design, number of labels, replication."""


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """A file of finished cells. Without a path, nothing is kept.

    Lines are complete or absent: each is written at once and synced, and the part of a line that a crash leaves behind is
    cut off when the file is opened again. Use as a context manager.

    Parameters
    ----------
    path : path or None
    header : mapping of str to str
        What the cells depend on, by name of the argument: a file that differs in any of it is refused.

    Raises
    ------
    CheckpointError
        The file is of something else, or damaged.
    """

    path: Path | None
    header: Mapping[str, str]
    finished: dict[Key, Record] = field(default_factory=dict)
    _file: IO[bytes] | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Read what is there and open the file for more."""
        if self.path is None:
            return self
        with ExitStack() as opened:
            try:
                file = opened.enter_context(self.path.open("a+b"))
                # until the evaluation ends: cells of two at once would be mixed, or cut off as incomplete lines
                opened.enter_context(locked(file, patience=0.0))
                # bytes up to the last complete line: the file is cut there, and goes on from there
                file.seek(0)
                whole = self._read(file.read())
                file.truncate(whole)
            except BlockingIOError:
                raise CheckpointError(
                    f"another process works with the checkpoint '{self.path}'; wait until it is done, or name another file"
                ) from None
            except OSError as error:
                raise CheckpointError(
                    f"the checkpoint '{self.path}' cannot be opened ({error.strerror}); name a file in a folder that exists "
                    "and can be written to"
                ) from error
            self._file = file
            if whole == 0:
                self._write({"format": FORMAT, **self.header})
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, also after an interruption."""
        self._opened.close()

    def add(self, key: Key, record: Record) -> None:
        """Keep the record of a finished cell."""
        self.finished[key] = record
        # the key goes into the line, and comes out of it when the file is read
        design, n_labels, replication = key
        self._write({"design": design, "n_labels": n_labels, "replication": replication, **record})

    def _write(self, line: Record) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            # on the disk before the cell counts as finished
            os.fsync(self._file.fileno())

    def _read(self, content: bytes) -> int:
        """Fill `finished`, and return the length of the file up to its last complete line."""
        whole = 0
        if content.startswith(OLD):
            raise CheckpointError(
                f"the checkpoint '{self.path}' has format 1, of a version whose arguments had other names (budgets is n_labels "
                "now); finish it with the version that wrote it, or name another file and start anew"
            )
        # also a file that a crash cut within its first bytes
        if not content.startswith(START[: len(content)]):
            raise CheckpointError(
                f"'{self.path}' is no checkpoint of dsl.evaluate: it begins otherwise; name another file"
            )
        # what follows the last newline is a part of a line
        for number, raw in enumerate(content.split(b"\n")[:-1], start=1):
            whole += len(raw) + 1
            line = self._parsed(raw, number)
            if number == 1:
                self._check_header(line)
            else:
                # popped: what is left of the line is the record
                self.finished[line.pop("design"), line.pop("n_labels"), line.pop("replication")] = line
        return whole

    def _parsed(self, raw: bytes, number: int) -> Record:
        try:
            line = json.loads(raw)
            complete = number == 1 or {"design", "n_labels", "replication"} <= line.keys()
        except (ValueError, AttributeError):
            complete = False
        if not complete:
            raise CheckpointError(
                f"line {number} of the checkpoint '{self.path}' is damaged, so that the others may be too. Restore the file, or "
                "name another one and start anew"
            )
        return dict(line)

    def _check_header(self, found: Record) -> None:
        # all names that differ, for the message
        differing = [name for name in self.header if found.get(name) != self.header[name]]
        if differing:
            verb = "differs" if len(differing) == 1 else "differ"
            version = f" (it was made by dsl {found.get('version')})" if "version" in differing else ""
            raise CheckpointError(
                f"the checkpoint '{self.path}' belongs to another evaluation: {', '.join(differing)} {verb}{version}. Repeat the "
                "call that it was made by, where only n_labels and replications may differ, or name another file"
            )
