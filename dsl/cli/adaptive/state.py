"""The log that the steps share, and the design that is in it."""

import argparse
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dsl.cli.options import add_data, read
from dsl.cli.read import Table

if TYPE_CHECKING:
    from dsl.sampling.adaptive import AdaptiveDesign


def add_state(parser: ArgumentParser) -> None:
    """The data, and the log of what happened so far."""
    add_data(parser)
    add_log(parser)
    parser.add_argument(
        "--recompute",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compute all probabilities again and compare them with the log's (default: yes)",
    )


def add_log(parser: ArgumentParser) -> None:
    """The log."""
    parser.add_argument(
        "--log", required=True, metavar="FILE", help="what remembers the design: settings, draws, labels"
    )


def resume(options: Namespace) -> "tuple[AdaptiveDesign, Table]":
    """The design where its log ends, and the data."""
    from dsl.sampling.adaptive import AdaptiveDesign

    table = read(options)
    return AdaptiveDesign.resume(options.log, table.data, recompute=options.recompute), table


def status_line(design: "AdaptiveDesign") -> str:
    """How far a design has come, in a sentence."""
    status = design.status()
    batches = f"{status.n_labeled} of {status.n_labels} labels, {status.batch} of {len(design.settings.sizes)} batches"
    if status.waiting:
        return f"{batches}; batch {status.batch + 1} ({status.waiting} rows) waits for its labels"
    return f"{batches}; done ({status.stop_reason})" if status.done else f"{batches}; the next batch can be drawn"
