"""The formats of coders' files, by name and by ending."""

from pathlib import Path

from dsl.data.arguments import check_choice
from dsl.exceptions import ArgumentError
from dsl.sampling.coding import argilla, doccano, label_studio, prodigy, sheets
from dsl.sampling.coding.exchange import CoderFormat

FORMATS = {
    each.name: each
    for each in (sheets.CSV, sheets.XLSX, label_studio.FORMAT, doccano.FORMAT, prodigy.FORMAT, argilla.FORMAT)
}
"""A new format is a file with a `CoderFormat` and a place in this list."""


def format_of(path: Path, name: str | None, *, written: bool) -> CoderFormat:
    """The format of a file, as named, or as its ending says where only one format has it.

    Parameters
    ----------
    path : Path
    name : str, optional
    written : bool
        Whether it is to be written, or read.

    Raises
    ------
    ArgumentError
        The name is unknown, the ending is not the format's, or no name is given where the ending does not tell.

    Examples
    --------
    >>> format_of(Path("coder.csv"), None, written=True).name
    'csv'
    """
    ending = path.suffix.lower()
    if name is None:
        fitting = [each for each in FORMATS.values() if ending in (each.writes if written else each.reads)]
        if len(fitting) == 1:
            return fitting[0]
        named = ", ".join(f"'{each.name}'" for each in fitting)
        raise ArgumentError(
            f"'{path.name}' may be of several formats; pass format=, one of {named}"
            if fitting
            else f"'{path.name}' must end in .csv or .xlsx, or pass format= for a file of a coders' tool: {', '.join(FORMATS)}"
        )
    check_choice("format", name, FORMATS)
    found = FORMATS[name]
    endings = found.writes if written else found.reads
    if ending not in endings:
        raise ArgumentError(f"'{path.name}' must end in {' or '.join(endings)}, the ending of files of format '{name}'")
    return found
