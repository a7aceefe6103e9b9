"""Output files: all of them when everything is done, each in one step."""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl._version import __version__
from dsl.cli.read import PACKED
from dsl.data.files import resolved, written_aside
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from statsmodels.iolib.summary import Summary

Writer = Callable[[Path], object]
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "statsmodels", "formulaic")
"""Packages whose version may matter to the last digits."""
STDOUT = "-"


ENDINGS = {
    "table": (".txt", ".md", ".tex", ".html", ".htm", ".docx"),
    "summary": (".txt", ".tex", ".html", ".htm"),
    "report": (".html", ".htm"),
    "plot": (".png", ".pdf", ".svg"),
    "archive": (".zip",),
}
"""Endings, which say the format, of what commands write besides CSV and JSON."""


def check_files(
    options: Namespace, inputs: Sequence[str | None], more: Mapping[str, str | None] = MappingProxyType({})
) -> None:
    """Raise ArgumentError, before any work, if a file that the options name cannot be written where it is wanted.

    Parameters
    ----------
    options : Namespace
    inputs : paths that must not be overwritten
    more : mapping of option to path
        Files that this command alone writes.
    """
    named = {name: getattr(options, name) for name in ("out_csv", "json", *ENDINGS) if hasattr(options, name)}
    check_outputs({**{f"--{name.replace('_', '-')}": path for name, path in named.items()}, **more}, inputs)
    for name, endings in ENDINGS.items():
        check_ending(f"--{name}", named.get(name), endings)


def deliver(
    options: Namespace,
    shown: object,
    *,
    table: pd.DataFrame,
    record: Mapping[str, object],
    more: Mapping[str | None, str | Writer] = MappingProxyType({}),
) -> None:
    """Write what the options name, and print: nothing is written before everything is computed.

    Parameters
    ----------
    options : Namespace
    shown : object
        What is printed.
    table : DataFrame
        For ``--out-csv``.
    record : mapping
        For ``--json``, between what made the numbers and the warnings.
    more : mapping of path to text or function
        Further files, those without a path left out.
    """
    contents = {path: content for path, content in more.items() if path}
    if options.json:
        contents[options.json] = json_text({**provenance(options), **record, "warnings": options.warnings})
    if options.out_csv:
        contents[options.out_csv] = csv_text(table)
    write_all(contents)
    if not options.quiet and STDOUT not in contents:
        print(shown)


def save_plot(axes: "Axes", path: Path) -> None:
    """Write a picture in the format that the file's ending says."""
    figure: Any = axes.figure
    figure.savefig(path)


def summary_text(summary: "Summary", path: str | None) -> str:
    """A summary in the format that the file's ending says."""
    lower = (path or "").lower()
    if lower.endswith((".html", ".htm")):
        head = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"></head><body>'
        return f"{head}\n{summary.as_html()}\n</body></html>\n"
    return f"{summary.as_latex()}\n" if lower.endswith(".tex") else f"{summary}\n"


def check_outputs(outputs: Mapping[str, str | None], inputs: Sequence[str | None]) -> None:
    """Raise ArgumentError, before any work, if an output cannot be written where it is wanted.

    Parameters
    ----------
    outputs : mapping of option to path
    inputs : paths that must not be overwritten
    """
    taken = {resolved(path, "an input"): "an input" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None or path == STDOUT:
            continue
        # resolved, so that one file under two names is found
        target = resolved(path, option)
        if target.is_dir() or not target.parent.is_dir():
            what = "is a folder" if target.is_dir() else f"is in no folder: there is no '{target.parent}'"
            raise ArgumentError(f"{option} '{path}' {what}; name a file in an existing folder")
        if target.suffix.lower() in PACKED:
            raise ArgumentError(f"{option} '{path}' would not be compressed; leave '{target.suffix}' out")
        # devices and pipes may take several outputs
        if target in taken and (not target.exists() or target.is_file()):
            raise ArgumentError(f"{option} '{path}' is also {taken[target]}; choose another name")
        taken[target] = option
    if sum(path == STDOUT for path in outputs.values()) > 1:
        raise ArgumentError("only one output can go to stdout ('-'); give the others file names")


def check_ending(option: str, path: str | None, endings: Sequence[str]) -> None:
    """Raise ArgumentError unless the file's ending is one of those that say its format."""
    if path is not None and not path.lower().endswith(tuple(endings)):
        raise ArgumentError(f"{option} '{path}' must end in {', '.join(endings)}, which says the format")


def write_all(contents: Mapping[str, str | Writer], fresh: Container[str] = ()) -> None:
    """Write every file beside its place under another name, then move all of them there.

    Parameters
    ----------
    contents : mapping of path to text or function
        A function writes the file whose path it is given. ``"-"`` stands for stdout, and takes text.
    fresh : container of paths
        Those that replace no file.
    """
    with ExitStack() as drafts:
        # all are written before the first is moved to its place, where the stack is left
        for path, content in contents.items():
            if path != STDOUT:
                draft = drafts.enter_context(written_aside(path, replace=path not in fresh))
                _write(draft, content)
    if STDOUT in contents:
        _to_stdout(str(contents[STDOUT]))


def _to_stdout(text: str) -> None:
    """Write data to stdout: in UTF-8, as to files, whatever the terminal is."""
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    raw.write(text.encode("utf-8"))


def _write(path: Path, content: str | Writer) -> None:
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        content(path)


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, numbers in full."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def json_text(record: Mapping[str, object]) -> str:
    """The record as JSON: the same text for the same numbers."""
    # no NaN and no infinity, which JSON does not know: `plain` has made them null
    return json.dumps(plain(record), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def provenance(options: Namespace) -> Record:
    """What made the numbers: version, command, packages."""
    return {
        "version": __version__,
        "command": options.argv,
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": {name: version(name) for name in PACKAGES},
    }


def records(table: pd.DataFrame | None) -> list[Record]:
    """A table as a list of rows."""
    return (
        [] if table is None else [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
    )


def plain(value: object) -> object:
    """The value as JSON has it: numbers that are missing or infinite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray | pd.Index):
        return [plain(inner) for inner in value]
    if value is None or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    # after numpy's numbers were made Python's
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)
