"""When a command reads its data in blocks, and which of its options then cannot be had."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from dsl.data.source import MEMORY, as_bytes
from dsl.exceptions import ArgumentError

READING = ("row_id", "na", "value_labels")
"""Options of reading that a table in memory is needed for."""


def add_memory(parser: ArgumentParser) -> None:
    """From what size on files are read in blocks."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        default=MEMORY,
        help="a Parquet file that takes more (and any folder or glob of such files) is read in blocks that take about this much "
        f"(default: {MEMORY})",
    )


def reads_in_blocks(path: str, memory: str) -> bool:
    """Whether a path is a folder of Parquet files alone, a glob, or a Parquet file that takes more than this memory unpacked."""
    most, target = as_bytes(memory), Path(path)
    if target.is_dir():
        files = [each for each in target.rglob("*") if each.is_file() and each.name[0] not in "._"]
        return bool(files) and all(each.suffix == ".parquet" for each in files)
    if any(sign in path for sign in "*?[") and not target.exists():
        return True
    if target.suffix.lower() != ".parquet" or not target.is_file():
        return False
    try:
        from pyarrow.parquet import ParquetFile

        groups = ParquetFile(target).metadata
        size = sum(int(groups.row_group(j).total_byte_size) for j in range(groups.num_row_groups))
        return size > most
    # what is wrong with it is said by whoever reads it
    except (ImportError, OSError, ValueError):
        return False


def check_blocks(options: Namespace, needing: Sequence[str], *, by_id: bool = False) -> None:
    """Raise ArgumentError for options that need the table in memory: those of reading (but --id, if `by_id`), and `needing`."""
    for name in (*READING, *needing):
        if getattr(options, name, None) and not (by_id and name == "row_id"):
            flag = "--id" if name == "row_id" else f"--{name.replace('_', '-')}"
            raise ArgumentError(
                f"{flag} needs the whole table in memory, and '{options.data}' is read in blocks as it takes more than "
                f"--memory {options.memory}, or is several files; pass more memory, one file, or leave {flag} out"
            )
