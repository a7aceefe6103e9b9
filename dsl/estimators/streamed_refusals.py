"""Missing predictions and features of rows that come in blocks: what learners see in their place."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from dsl.data.columns import Columns
from dsl.data.conform import conformed
from dsl.data.features import features_on, means_of
from dsl.data.refusals import Refused, notes_on, notes_on_counts
from dsl.data.sample import Sample
from dsl.data.scan import Scan
from dsl.data.source import Source


def refused_in(
    source: Source, found: Scan, sample: Sample, levels: Mapping[str, pd.CategoricalDtype | None], rows: int
) -> Refused | None:
    """What is missing, and the means that stand for missing numbers, which take a pass over their columns.

    Parameters
    ----------
    source : Source
    found : Scan
    sample : Sample
        Of the anchor.
    levels : mapping
        As `dsl.data.features.feature_levels` has them.
    rows : int
        Rows of a block.
    """
    if found.refused is None:
        return None
    counts = found.refused.counts
    numbers = [name for name in counts if levels[name] is None]

    def complete() -> Iterator[pd.DataFrame]:
        first = 0
        for frame in source.frames(numbers, rows):
            here = slice(first, first + len(frame))
            first = here.stop
            yield conformed(frame if found.kept is None else frame[found.kept[here]], sample.data, numbers)

    means = means_of(numbers, complete()) if numbers else {}
    return Refused(counts=counts, flags=found.refused.flags, means=means)


def with_refused(
    sample: Sample, columns: Columns, levels: Mapping[str, pd.CategoricalDtype | None], refused: Refused
) -> Sample:
    """The anchor's sample with the features, and the notes, that all rows make."""
    own = notes_on(sample.refused, columns)
    notes = (*(note for note in sample.notes if note not in own), *notes_on_counts(refused.counts, columns))
    return replace(sample, features=features_on(sample.data, levels, refused), notes=notes)
