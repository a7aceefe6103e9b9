"""JSON from coders' tools: data from elsewhere, read with limits, every error with its place and field."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl.data.files import read_from
from dsl.exceptions import CoderFileError
from dsl.sampling.coding.exchange import KEY, Incoming
from dsl.sampling.coding.sheets import cell_text

DSL_ID, DSL_COLUMN = "dsl_id", "dsl_column"
"""Fields of ours: a row's key, and the name of the column of the text shown, where the tool calls it otherwise."""
MOST_BYTES = 256 * 2**20
"""Largest file that is read."""
KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
"""What a field is to be, in words."""


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a file (a task, a line, a record), and where it stands."""

    value: Record
    where: str
    place: int = 0
    """Which line, task or record of the file, from 1."""

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """A field of the kind, or the default where it is missing or null.

        Raises
        ------
        CoderFileError
            It is something else.
        """
        found = self.value.get(name)
        if found is None:
            return default
        if not isinstance(found, kind):
            raise CoderFileError(f"{self.where}: field '{name}' must be {KINDS[kind]}; found {_shown(found)}")
        return found

    def items(self, name: str) -> "list[Item]":
        """The objects in a list."""
        return [
            Item(_object(each, f"{self.where}, {name}[{j}]"), f"{self.where}, {name}[{j}]")
            for j, each in enumerate(self.get(name, list, []))
        ]

    def inner(self, name: str) -> "Item":
        """An object within the object, empty where it is missing."""
        return Item(self.get(name, dict, {}), f"{self.where}, {name}")


def _object(value: object, where: str) -> Record:
    if not isinstance(value, dict):
        raise CoderFileError(f"{where} must be an object, {{...}}; found {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."


def read_array(path: Path, unit: str, tool: str) -> list[Item]:
    """The objects of a JSON file that holds a list of them. `unit` is what one is called."""
    content = _content(path, tool)
    found = _parsed(content, f"'{path.name}'", tool)
    if not isinstance(found, list):
        raise CoderFileError(f"'{path.name}' must hold a list of {unit}s, as {tool} exports it; found {_shown(found)}")
    places = [f"'{path.name}', {unit} {j}" for j in range(1, len(found) + 1)]
    return _some(
        [
            Item(_object(each, where), where, j)
            for j, (each, where) in enumerate(zip(found, places, strict=True), start=1)
        ],
        path,
    )


def read_lines(path: Path, tool: str) -> list[Item]:
    """The objects of a file with one on each line. Blank lines are left out."""
    out = []
    # JSON has no line breaks within a line but \n, while `splitlines` knows others, which texts may hold
    for number, line in enumerate(_content(path, tool).split("\n"), start=1):
        if line.strip():
            where = f"'{path.name}', line {number}"
            out.append(Item(_object(_parsed(line, where, tool), where), where, number))
    return _some(out, path)


def _some(items: list[Item], path: Path) -> list[Item]:
    if not items:
        raise CoderFileError(f"'{path.name}' is empty")
    return items


def _content(path: Path, tool: str) -> str:
    with read_from(path, f"a file of {tool}", CoderFileError) as target:
        size = target.stat().st_size
        if size > MOST_BYTES:
            raise CoderFileError(
                f"'{path.name}' has {size / 2**20:,.0f} MiB, and {MOST_BYTES // 2**20} MiB is the most that is read; export the "
                "rows of one design alone, without drafts and predictions"
            )
        try:
            return target.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CoderFileError(
                f"'{path.name}' is not UTF-8, as JSON must be (byte {error.start}); export it from {tool} again"
            ) from None


def _parsed(text: str, where: str, tool: str) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise CoderFileError(f"{where}: JSON nested too deep to be a file of {tool}") from None
    except ValueError as error:
        raise CoderFileError(
            f"{where}: this is no JSON ({error}); export the file from {tool} again, as JSON where a format is asked for"
        ) from None


def label_text(value: object, where: str) -> str:
    """A label as text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and (not isinstance(value, float) or np.isfinite(value)):
        return cell_text(value)
    raise CoderFileError(f"{where}: a label must be text or a number; found {_shown(value)}")


def only_label(labels: Sequence[object], where: str, advice: str) -> str:
    """The one label of a row, or empty text where there is none."""
    texts = list(dict.fromkeys(label_text(value, where) for value in labels))
    if len(texts) > 1:
        raise CoderFileError(
            f"{where}: {len(texts)} labels ({', '.join(map(repr, texts[:5]))}) where one is expected; {advice}"
        )
    return texts[0] if texts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A coder's answer about a row, or the row alone."""

    place: int
    key: str
    texts: Record
    coder: str | None = None
    """None for a row that nobody has answered."""
    label: str = ""
    skipped: bool = False


def by_coder(answers: Sequence[Answer], label: str, unit: str) -> list[Incoming]:
    """Answers as one table for each coder, in the order in which coders first come up."""
    groups: dict[str | None, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.coder, []).append(answer)
    return [_incoming(coder, group, label, unit) for coder, group in groups.items()]


def _incoming(coder: str | None, answers: Sequence[Answer], label: str, unit: str) -> Incoming:
    names = dict.fromkeys(str(name) for answer in answers for name in answer.texts)
    rows = [
        {
            **{name: cell_text(_plain(answer.texts.get(name))) for name in names if name not in (label, KEY)},
            label: answer.label,
            KEY: answer.key,
        }
        for answer in answers
    ]
    return Incoming(
        cells=pd.DataFrame(rows, dtype=object),
        places=pd.Index([answer.place for answer in answers]),
        unit=unit,
        coder=coder or "",
        skipped=np.array([answer.skipped for answer in answers], dtype=bool),
    )


def _plain(value: object) -> object:
    """A value that is not a list or object, or its JSON."""
    return _shown(value) if isinstance(value, list | dict) else value


def shown_column(items: Sequence[Item]) -> str:
    """Name of the column whose text a tool shows as "text", as `to_coder` noted it."""
    names = {item.get(DSL_COLUMN, str, "") for item in items} - {""}
    if len(names) > 1:
        raise CoderFileError(
            f"{items[0].where}: field '{DSL_COLUMN}' differs between rows ({', '.join(sorted(names)[:3])}); restore it, or "
            "read each design's rows from a file of their own"
        )
    return names.pop() if names else "text"
