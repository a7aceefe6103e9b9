"""Finished passes in a file, from which a run over rows that come in blocks goes on where it was interrupted.

What solvers make of a pass are a few sums (`dsl.engine.one_pass`). These are kept, in the order in which they were taken, for
each split by itself. A run that begins again makes everything else again: the first pass, which shows whether the data are the
same, the learners, and the solvers' steps, which get the kept sums in the place of passes. So they arrive at the same numbers,
bit for bit, and go on reading where the file ends.

The file is an ``.npz`` archive of numpy's, of numbers and one text in JSON, which nothing executes. It is written anew after each
pass and takes the place of the one before in one step.
"""

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, FloatArray, Record
from dsl._version import __version__
from dsl.data.arguments import warn_caller
from dsl.data.columns import Columns
from dsl.data.files import read_from, write_arrays
from dsl.data.fingerprint import column_fingerprints, fingerprint
from dsl.data.formula.caller import used_functions
from dsl.engine.streamed import Keep, Sums, as_made
from dsl.estimators.call import Call
from dsl.exceptions import CheckpointError, CheckpointWarning, FileError

FORMAT = "dsl passes 1"
ABOUT = "about"
"""Array with the text that says what the others are."""
ZIP = b"PK"
"""How an archive begins."""
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "formulaic")
"""Packages whose versions decide what numbers come out to the last digit."""
ARGUMENTS = {"pairs": "predicted_var", "across": "cluster"}
"""What the user calls fields of a call that have another name."""
SAME = 1e-8
"""Largest difference of what learners give on the labelled rows, relative to its size, that another processor may make."""


@dataclass(slots=True)
class Tape:
    """The sums that one split's solvers took, in order."""

    sums: list[tuple[str, Sums | None]] = field(default_factory=list)
    """Name of the function that took them, and None where it raised an error."""
    place: int = 0
    """How many were asked for."""
    inside: bool = False

    def __call__(self, name: str, make: Callable[[], Sums]) -> Sums:
        """As `dsl.engine.streamed.Keep`."""
        # a pass within a pass is made whenever that is
        if self.inside:
            return make()
        place, self.place = self.place, self.place + 1
        if place < len(self.sums):
            known, sums = self.sums[place]
            if known != name:
                raise CheckpointError(
                    f"pass {place + 1} of a split was '{known}' when the checkpoint was written, and is '{name}' now: something "
                    "that is no part of the call has changed; name another file and start anew"
                )
            return make() if sums is None else sums
        self.inside = True
        try:
            made = make()
        except Exception:
            # solvers may go another way then, and will again
            self.sums.append((name, None))
            raise
        finally:
            self.inside = False
        self.sums.append((name, made))
        return made


class RowsRead:
    """Hashes of the columns of rows that come in blocks."""

    def __init__(self) -> None:
        self.rows, self.sizes = 0, ""
        self.columns: dict[str, str] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """One block."""
        self.rows += len(frame)
        self.sizes = fingerprint([self.sizes, len(frame)])
        for name, own in column_fingerprints(frame).items():
            self.columns[name] = fingerprint([self.columns.get(name), own])


class Checkpoint:
    """Sums of finished passes, and the file that has them.

    Parameters
    ----------
    path : Path or None
        Nothing is kept without.
    made_by : mapping
        What the sums depend on besides the data.

    Raises
    ------
    CheckpointError
        The file is of another call or version, or is something else.
    FileError
        It cannot be written.
    """

    def __init__(self, path: Path | None = None, made_by: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.path, self.passes, self.resumed = path, 0, False
        self._about: Record = {"format": FORMAT, **(made_by or {}), "data": None}
        self._tapes: dict[str, Tape] = {}
        self._written = 0
        if path is None:
            return
        if path.exists():
            self._read(path)
        else:
            # where it cannot be written, this is said before any pass
            self._write(path)

    def check_data(self, read: RowsRead) -> None:
        """The first pass is done: compare what it read with what an earlier run did."""
        if self.path is None:
            return
        found: Record = {"rows": read.rows, "sizes": read.sizes, "columns": read.columns}
        before, self._about["data"] = self._about["data"], found
        if before is None:
            return
        differing = [f"'{name}'" for name, own in read.columns.items() if before["columns"].get(name) != own]
        if before["rows"] != read.rows:
            what = f"these have {read.rows:,} rows, and those had {before['rows']:,}"
        elif before["sizes"] != read.sizes:
            what = "they come in blocks of other sizes, whose sums differ in their last digits"
        elif differing:
            what = f"other values in {', '.join(differing)}"
        else:
            self.resumed = bool(self._tapes)
            return
        raise CheckpointError(
            f"the checkpoint '{self.path}' belongs to other data: {what}. Pass the data that it was made with, or name another "
            "file"
        )

    def tape(self, name: str) -> Keep:
        """What keeps the sums of one split."""
        return as_made if self.path is None else self._tapes.setdefault(name, Tape())

    def check_same(self, what: str, values: object) -> None:
        """Raise CheckpointError unless the arrays within `values` are those of the earlier run, but for rounding."""
        if self.path is None:
            return
        now = sketch(values)
        (then,) = self.tape(what)("sketch", lambda: (now,))
        size = np.abs(then).max(axis=1, keepdims=True, initial=0.0)
        if then.shape != now.shape or not np.all(np.abs(then - now) <= SAME * size):
            raise CheckpointError(
                f"the {what} are not those of the run that wrote the checkpoint '{self.path}': a learner, or a function in the "
                "formula, gives other values each time. Give it a seed (random_state=), and start anew with another file"
            )

    def save(self, passes: int) -> None:
        """Write what has been kept since the last time, after so many passes. Warns if that cannot be done."""
        count = sum(len(tape.sums) for tape in self._tapes.values())
        if self.path is None or count == self._written:
            return
        self.passes = passes
        try:
            self._write(self.path)
        except FileError as error:
            warn_caller(
                CheckpointWarning,
                f"{error}. The run goes on, and could be taken up from the pass before only",
            )
        self._written = count

    def _write(self, path: Path) -> None:
        tapes, arrays = {}, dict[str, AnyArray]()
        for name, tape in self._tapes.items():
            tapes[name] = [[what, None if sums is None else len(sums)] for what, sums in tape.sums]
            for place, (_, sums) in enumerate(tape.sums):
                arrays |= {f"{name}/{place}/{j}": each for j, each in enumerate(sums or ())}
        text = json.dumps({**self._about, "passes": self.passes, "tapes": tapes})
        write_arrays(path, {ABOUT: np.frombuffer(text.encode(), dtype=np.uint8), **arrays})

    def _read(self, path: Path) -> None:
        no_checkpoint = f"'{path}' is no checkpoint of dsl.dsl; name another file"
        with read_from(path, "a checkpoint of dsl.dsl", CheckpointError) as file:
            content = file.read_bytes()
            if not content.startswith(ZIP):
                raise CheckpointError(no_checkpoint)
            with np.load(BytesIO(content), allow_pickle=False) as found:
                arrays = dict(found)
            about: Record = json.loads(arrays[ABOUT].tobytes()) if ABOUT in arrays else {}
            if about.get("format") != FORMAT:
                raise CheckpointError(no_checkpoint)
            self._check_call(about)
            for name, entries in about["tapes"].items():
                self._tapes[name] = Tape(
                    [
                        (what, None if count is None else tuple(arrays[f"{name}/{place}/{j}"] for j in range(count)))
                        for place, (what, count) in enumerate(entries)
                    ]
                )
        self.passes, self._about["data"] = int(about["passes"]), about["data"]
        self._written = sum(len(tape.sums) for tape in self._tapes.values())

    def _check_call(self, found: Record) -> None:
        """Raise CheckpointError if anything differs, versions first."""
        for part, advice in (
            ("versions", "finish it with these versions"),
            ("call", "repeat the call that it was made by"),
        ):
            before, now = found[part], self._about[part]
            names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            if names:
                shown = [f"{name} was {before.get(name)} and is {now.get(name)}" for name in names]
                said = ", ".join(shown if part == "versions" else names)
                verb = "" if part == "versions" else " differs" if len(names) == 1 else " differ"
                raise CheckpointError(
                    f"the checkpoint '{self.path}' belongs to another run: {said}{verb}; {advice}, or name another file"
                )


def made_by(
    call: Call, columns: Columns, functions: Mapping[str, object], names: Sequence[str], rows: int
) -> dict[str, dict[str, str]]:
    """What the sums of a run depend on, in words that are the same in every session.

    Parameters
    ----------
    call : Call
    columns : Columns
        Of the call.
    functions : mapping
        What the formula may use of the caller's.
    names : sequence of str
        Columns of the data.
    rows : int
        Rows of a block.
    """
    arguments = {ARGUMENTS.get(each.name, each.name): "" for each in fields(call)}
    for each in fields(call):
        arguments[ARGUMENTS.get(each.name, each.name)] += fingerprint(getattr(call, each.name))
    used = used_functions(call.formula, {*names, *columns.formula}, functions)
    arguments |= {f"'{name}' in the formula": fingerprint(value) for name, value in used.items()}
    versions = {"dsl": __version__, "Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {"versions": versions, "call": {**arguments, "memory": str(rows)}}


def sketch(values: object) -> FloatArray:
    """Three numbers for each array within dataclasses and sequences: mean, mean square, and a mean with uneven weights, (., 3).

    Examples
    --------
    >>> sketch([np.array([1.0, 3.0]), (np.array([]), None)]).round(3).tolist()
    [[2.0, 5.0, 1.31], [0.0, 0.0, 0.0]]
    """
    found = []
    for array in _arrays(values):
        flat = array.astype(float).ravel()
        uneven = np.cos(np.arange(len(flat)))
        found.append([float(np.mean(each)) if len(flat) else 0.0 for each in (flat, flat * flat, flat * uneven)])
    return np.array(found).reshape(-1, 3)


def _arrays(value: object) -> Iterator[AnyArray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _arrays(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _arrays(getattr(value, each.name))


@contextmanager
def told_of(path: Path | None) -> Iterator[None]:
    """Say where the finished passes are if the user interrupts the block."""
    try:
        yield
    except KeyboardInterrupt:
        if path is None:
            raise
        raise KeyboardInterrupt(f"finished passes are in '{path}': the same call goes on after them") from None
