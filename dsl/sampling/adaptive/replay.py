"""From a log back to the state that it records, checking every step."""

import zlib
from pathlib import Path

import numpy as np

from dsl._typing import Record
from dsl.data.formula.caller import NOBODY
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.tables import TableLike
from dsl.exceptions import ArgumentError, FormulaError, LogError
from dsl.sampling.adaptive.archive import Population, population_of
from dsl.sampling.adaptive.batches import Batch, Facts, Progress
from dsl.sampling.adaptive.log import Log, unpacked
from dsl.sampling.adaptive.next_batch import drawn_rows, plan_batch
from dsl.sampling.adaptive.settings import Settings

OTHER_MACHINE = 1e-6
"""Relative difference of probabilities computed by other builds of the same libraries: sums in another order."""


def replay(
    path: str | Path, data: TableLike, caller: Functions, *, recompute: bool
) -> tuple[Log, Population, Progress]:
    """The log, opened for more, the population, and the batches so far."""
    log, events = Log.read(path)
    # a log may come from elsewhere: nothing in it is believed before it is checked
    people = _population(log.path, events[0], data, caller)
    progress = Progress(len(people), len(people.settings.predicted))
    # line 1 is the header
    for line, event in enumerate(events[1:], start=2):
        where = f"line {line} of '{path}'"
        try:
            progress = _STEPS[event["kind"]](people, progress, event, where, recompute)
        except LogError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
            raise LogError(
                f"{where} cannot be read ({error}); it was written by another version, or is damaged"
            ) from error
    return log, people, progress


def _population(path: Path, header: Record, data: TableLike, caller: Functions) -> Population:
    try:
        settings = Settings.of_record(header.get("settings"))
    except ArgumentError as error:
        raise LogError(
            f"the settings in '{path}' are none that AdaptiveDesign could have written: {error}. The file was changed, or is "
            "damaged; restore it from a copy"
        ) from None
    try:
        people = population_of(data, settings, caller)
    except FormulaError as error:
        if caller is not NOBODY:
            raise
        raise FormulaError(
            f"{error}. This is the formula of the log '{path}'; if it uses functions of yours, and you trust the file, "
            "AdaptiveDesign.resume(log, data, trusted=True) lets it call them"
        ) from error
    # after the settings are read: the fingerprint covers the columns that they use
    if len(people) != header.get("rows") or people.fingerprint != header.get("data"):
        rows = "" if len(people) == header.get("rows") else f" ({len(people)} rows, not {header.get('rows')})"
        raise LogError(
            f"'{path}' belongs to other data{rows}: row labels or values of the columns that the design uses differ. Pass the "
            "table that the design was begun with, unchanged and in the same order"
        )
    return people


def _batch(people: Population, progress: Progress, event: Record, where: str, recompute: bool) -> Progress:
    """The event of a batch: its probabilities must follow from the labels, its rows from its probabilities."""
    number = len(progress.batches) + 1
    if progress.waiting is not None or event["batch"] != number or number > len(people.settings.sizes):
        raise LogError(f"{where} draws batch {event['batch']} where that cannot be; the log is damaged")
    now, rows = unpacked(event["prob"], len(people)), np.array(event["rows"], dtype=np.int64)
    # only from labels of batches before this one: what comes later in the log has not been read yet
    if recompute:
        again = plan_batch(people, progress)
        if now.shape != again.now.shape or not np.allclose(now, again.now, rtol=OTHER_MACHINE, atol=0.0):
            raise LogError(
                f"{where}: the probabilities of batch {number} do not follow from the seed and the labels before it. They were "
                "changed, or another version of this package or of its learners is at work; with the versions that the log was "
                "begun with they follow exactly. If you trust the file: AdaptiveDesign.resume(log, data, recompute=False)"
            )
    # the draw is repeated from the recorded probabilities, which differ from those computed here by rounding at most
    if now.shape != (len(people),) or not ((now >= 0.0) & (now <= 1.0)).all():
        raise LogError(f"{where} has no probability for each row of the data; the log is damaged")
    if not np.array_equal(rows, drawn_rows(people.settings, number, now, progress.labeled)):
        raise LogError(
            f"{where}: the rows of batch {number} are not those that its probabilities and the seed draw; the log was changed"
        )
    facts = Facts(
        rho=_numbers(event["rho"]), relative_variance=_numbers(event["relative_variance"]), note=str(event["note"])
    )
    batch = Batch(number=number, rows=rows, now=now, facts=facts)
    return Progress(progress.size, progress.width, (*progress.batches, batch))


def _numbers(given: Record) -> dict[str, float]:
    """Facts about a batch, by name."""
    return {str(name): float(value) for name, value in dict(given).items()}


def _labels(people: Population, progress: Progress, event: Record, where: str, recompute: bool) -> Progress:
    """The event of a batch's labels."""
    waiting = progress.waiting
    if waiting is None or event["batch"] != waiting.number:
        raise LogError(f"{where} labels batch {event['batch']}, which was not waiting for labels; the log is damaged")
    values = np.column_stack([event["labels"][name] for name in people.settings.predicted]).astype(float)
    if values.shape != (len(waiting.rows), progress.width) or not np.isfinite(values).all():
        raise LogError(f"{where} has not one label for each row of batch {waiting.number}; the log is damaged")
    done = Batch(number=waiting.number, rows=waiting.rows, now=waiting.now, facts=waiting.facts, labels=values)
    return Progress(progress.size, progress.width, (*progress.batches[:-1], done))


_STEPS = {"batch": _batch, "labels": _labels}
