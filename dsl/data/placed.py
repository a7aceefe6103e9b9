"""Where the rows of a source stand in a labelling design."""

from typing import cast

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, IntArray
from dsl.data.design import SamplingDesign
from dsl.data.source import ROW_LABELS, Source
from dsl.data.tables import first_rows, is_category, rounded_hint
from dsl.engine.labeling import Labeling
from dsl.exceptions import DataError

UNNAMED = "__index_level_0__"
"""Column in which pandas writes row labels without a name."""


class Placed:
    """Places of rows in a design, block by block.

    Rows are known by the column that has the name of the design's row labels (``data.set_index("id")`` before the draw), else by
    the row labels of pandas tables, else by their numbers 0, 1, ...

    Parameters
    ----------
    design : SamplingDesign
    source : Source
    """

    def __init__(self, design: SamplingDesign, source: Source) -> None:
        self._design, self._source = design, source
        self._seen = np.zeros(len(design), dtype=bool)
        self._parts: list[slice | IntArray] = []
        self._first, self._place = 0, cast(IntArray | None, None)
        rows, names = design.rows, source.names
        self._numbered = isinstance(rows, pd.RangeIndex) and (rows.start, rows.step) == (0, 1)
        self.column = ROW_LABELS
        """Column in which blocks have the rows' labels."""
        if rows.name is not None and rows.name in names:
            self.column = str(rows.name)
        elif UNNAMED in names and not self._numbered:
            self.column = UNNAMED

    def take(self, column: pd.Series) -> IntArray:
        """Places in the design of the rows of a block, whose labels are given.

        Raises
        ------
        DataError
            Labels that the design does not have, or that earlier rows had.
        """
        labels = pd.Index(column.astype(object) if is_category(column) else column)
        here = slice(self._first, self._first + len(labels))
        self._first = here.stop
        if self.column == ROW_LABELS and self._numbered and not pd.api.types.is_integer_dtype(labels.dtype):
            # drawn from the source itself, by numbers
            labels = pd.RangeIndex(here.start, here.stop)
        if here.stop <= len(self._design) and self._design.rows[here].equals(labels):
            place = np.arange(here.start, here.stop)
            self._parts.append(here)
            twice = self._seen[here]
        else:
            place = np.asarray(self._design.rows.get_indexer(labels), dtype=np.int64)
            self._check_known(place < 0, labels)
            self._parts.append(place)
            twice = self._seen[place] | pd.Series(place).duplicated().to_numpy()
        if twice.any():
            raise DataError(
                f"rows have labels that others had before ({self._known_by}): {first_rows(twice, labels)}, so that a labelling "
                "design cannot be matched to them; keep each row of the population once, under the label it had"
            )
        self._seen[place] = True
        return place

    @property
    def _known_by(self) -> str:
        if self.column == ROW_LABELS:
            name = self._design.rows.name
            known = "" if name is None else f", as no column is called '{name}', the name of the design's row labels"
            return f"rows are known by their labels in pandas tables, else by their numbers 0, 1, ...{known}"
        return f"rows are known by column '{self.column}'"

    def _check_known(self, unknown: BoolArray, labels: pd.Index) -> None:
        if not unknown.any():
            return
        name = (
            "If a column has these labels, name the design's after it: dataclasses.replace(design, rows=design.rows.rename"
            "('id')). Else leave"
            if self.column == ROW_LABELS
            else "Leave"
        )
        raise DataError(
            f"the labelling design has {len(self._design):,} rows, and of the first {self._first:,} of {self._source.described} "
            f"{first_rows(unknown, labels)} are not in the design{rounded_hint(labels)} ({self._known_by}). {name} out rows that "
            "were no part of the population drawn from, and pass the source with all rows under the labels they had then"
        )

    def labeling(self, kept: BoolArray | None) -> Labeling:
        """How the rows were drawn, in their order, after the last block. `kept` are those of the analysis, None for all.

        Raises
        ------
        DataError
            Rows of the design did not come.
        """
        design = self._design
        absent = ~self._seen
        if absent.any():
            raise DataError(
                f"the labelling design has {len(design):,} rows, and {self._source.described} {self._first:,}; "
                f"{first_rows(absent, design.rows)} of the design are not in the source ({self._known_by}). To analyse a part of "
                "the rows, pass its part of the design: design.subset(labels), or design.subset(mask, renumber=True) where rows "
                "are known by their numbers"
            )
        if all(isinstance(part, slice) for part in self._parts):
            # in the order of the design: nothing is copied
            whole: Labeling = design
        else:
            self._place = np.concatenate([_numbers(part) for part in self._parts])
            whole = design.at(self._place)
        return whole if kept is None else whole.at(kept)

    def order(self, rows: IntArray) -> IntArray:
        """Places in the design of some rows, given by their numbers, after the last block."""
        return rows if self._place is None else self._place[rows]


def _numbers(part: slice | IntArray) -> IntArray:
    return np.arange(part.start, part.stop) if isinstance(part, slice) else part


def some_rows(design: SamplingDesign, labeling: Labeling, places: IntArray, labels: pd.Index) -> SamplingDesign:
    """The design of some of the rows of a labeling, all labelled ones among them, under other labels."""
    part = labeling.at(places)
    return SamplingDesign(
        kind=design.kind,
        rows=labels,
        prob=part.prob,
        drawn=part.drawn,
        fixed_size=part.fixed_size,
        stratum=part.stratum,
        unit=part.unit,
        unit_prob=part.unit_prob,
        kept=part.kept,
    )
