"""What goes to a coder and what comes back, whatever the format of the file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray
from dsl.exceptions import ArgumentError
from dsl.sampling.coding.codebook import UNPRINTABLE, Codebook

ROW, KEY = "row", "key"
"""Columns of a sheet besides those shown and that of labels."""
Draft: TypeAlias = Callable[[Path], object]
"""Writes the file whose path it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a coder is asked."""

    texts: pd.DataFrame
    """(rows asked for, columns shown) as text, under the rows' labels as text, in the order in which they are shown."""
    keys: Sequence[str]
    """(rows asked for,) what ties each row to the design and to its text."""
    label: str
    """Name of the label."""
    codebook: Codebook | None
    question: str = ""
    """What is asked about each text, where the codebook says it."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Columns that the coder sees."""
        return tuple(str(name) for name in self.texts.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One coder's part of a file, as it is found there."""

    cells: pd.DataFrame
    """Every column as text, empty where nothing was given: those shown, the label, and `KEY`."""
    places: pd.Index
    """(rows,) where each stands in the file."""
    unit: str = "line"
    """What the places count."""
    coder: str = ""
    """The coder's name, where the file tells several apart."""
    skipped: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """(rows,) which ones the coder passed over, or nothing where the format does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoderFormat:
    """A kind of file that coders get and give back."""

    name: str
    write: Callable[[Path, Outgoing], None]
    read: Callable[[Path, str, str], list[Incoming]]
    """From the path, the name of the label and the encoding."""
    writes: tuple[str, ...]
    """Endings of files that are written."""
    reads: tuple[str, ...]
    """Endings of files that are read."""
    check: Callable[[Outgoing], None] = lambda outgoing: None
    """Raises ArgumentError where the format cannot hold what is asked."""
    beside: Mapping[str, Callable[[Outgoing], str]] = field(default_factory=dict)
    """Further files that the tool takes (its configuration), by ending."""

    def drafts(self, path: Path, outgoing: Outgoing) -> dict[Path, Draft]:
        """All files to write, by path, and what writes each."""

        def write(draft: Path) -> None:
            self.write(draft, outgoing)

        def beside(text: str) -> Draft:
            return lambda draft: draft.write_text(text, encoding="utf-8")

        more = {path.with_suffix(ending): beside(make(outgoing)) for ending, make in self.beside.items()}
        return {path: write, **more}


def options(codebook: Codebook) -> list[tuple[str, str, str]]:
    """Each label as a tool stores it, as it shows it, and what explains it (perhaps nothing).

    A number says nothing by itself, so that its meaning is shown for it.

    Examples
    --------
    >>> options(Codebook.of({0: "no", 1: "yes"})), options(Codebook.of({"pos": "praises it"})), options(Codebook.of([1]))
    ([('0', 'no', ''), ('1', 'yes', '')], [('pos', 'pos', 'praises it')], [('1', '1', '')])
    """
    out = []
    for code, meaning in zip(codebook.codes, codebook.meanings or [""] * len(codebook.codes), strict=True):
        stored = code if isinstance(code, str) else f"{code:g}" if isinstance(code, float) else str(code)
        meaning = UNPRINTABLE.sub(" ", meaning).strip()
        named = bool(meaning) and not isinstance(code, str)
        out.append((stored, meaning if named else stored, "" if named else meaning))
    return out


def needs_codebook(outgoing: Outgoing, tool: str) -> Codebook:
    """The codebook, without which the tool has nothing to choose from."""
    if outgoing.codebook is None:
        raise ArgumentError(
            f"{tool} needs the labels that may be given: pass codebook=, a list of labels or a dict of label to meaning"
        )
    return outgoing.codebook


def only_column(outgoing: Outgoing, tool: str) -> str:
    """The one column that a tool shows which shows one text."""
    if len(outgoing.shown) != 1:
        raise ArgumentError(
            f"{tool} shows one text, and columns names {len(outgoing.shown)} ({', '.join(outgoing.shown)}); name one, which may "
            "be joined of several, or use format='label_studio', which shows all"
        )
    return outgoing.shown[0]
