"""Coders' files of rows that are read in blocks: drawn rows alone are in memory, and labels join the blocks as they are read."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import narwhals as nw
import numpy as np
import pandas as pd

from dsl._typing import IntArray
from dsl.data.containers import values_of_one_kind
from dsl.data.design import SamplingDesign
from dsl.data.files import written_aside
from dsl.data.narrow import narrow, rows_at
from dsl.data.recorded import COLUMNS as RECORDED
from dsl.data.recorded import SAMPLE_PROB, SAMPLE_UNIT, check_free
from dsl.data.source import Source
from dsl.data.tables import TableLike, to_pandas
from dsl.exceptions import DesignError, MissingDependencyError, SourceError
from dsl.sampling.coding.opened import CoderSheet
from dsl.sampling.coding.sheets import heading

WRITTEN = 65_536
"""Rows of a block that is written."""


def numbers_of(design: SamplingDesign) -> IntArray:
    """The numbers that a design's rows have in a source.

    Raises
    ------
    DesignError
        It knows its rows under other labels than whole numbers that ascend.
    """
    rows = design.rows
    if not pd.api.types.is_integer_dtype(rows.dtype) or not rows.is_monotonic_increasing or int(rows[0]) < 0:
        raise DesignError(
            f"rows that are read in blocks are numbered 0, 1, ..., and this design knows rows as {rows[0]!r}, ...; draw it from "
            "the same source, or pass the table that it was drawn from"
        )
    return np.asarray(rows)


def drawn_rows(design: SamplingDesign, source: Source, names: Sequence[str], label: str) -> pd.DataFrame:
    """The rows that were drawn, with columns that a coder sees and labels that are there already, from one pass."""
    places = numbers_of(design)[design.drawn]
    named = {**dict.fromkeys(names, "columns"), **({label: "label"} if label in source.names else {})}
    out = rows_at(source, named, places)
    out.attrs = dict(source.attrs)
    return out


def coded_rows(design: SamplingDesign, source: Source, sheets: Sequence[CoderSheet], label: str) -> pd.DataFrame:
    """The same with the columns that coders' files have."""
    shown = {head for sheet in sheets for head in sheet.cells.columns}
    return drawn_rows(
        design, source, [name for name in source.names if heading(name) in shown and name != label], label
    )


def columns_known(design: SamplingDesign, source: Source, label: str) -> pd.DataFrame:
    """Of all rows what is there of the columns to set: the label's, and those in which a design is recorded.

    Raises
    ------
    ArgumentError
        The latter hold something else.
    """
    names = [name for name in (label, *RECORDED) if name in source.names]
    known = narrow(source, dict.fromkeys(names, "data"))
    known.attrs = dict(source.attrs)
    check_free(known, known, design)
    return known


class CodedSource(Source):
    """Rows of a design as they are read in blocks, with the coders' labels and what records the design.

    What `dsl.sampling.LabelDesign.from_coder` gives where its data are a source. `dsl.dsl` takes it in the place of a source.
    Rows that were left out of the draw (``exclude=``) are left out, and the others numbered anew.
    """

    def __init__(self, source: Source, labels: pd.Series, design: SamplingDesign) -> None:
        labels = pd.Series(values_of_one_kind(labels), index=labels.index, name=labels.name)
        self._source, self._labels, self._design = source, labels, design
        self._numbers = numbers_of(design)
        self._whole = bool(self._numbers[-1] == len(design) - 1)
        self._added = (str(labels.name), SAMPLE_PROB, *([] if design.unit is None else [SAMPLE_UNIT]))
        self.described = f"{source.described} with labels"
        self.sorted_categories = source.sorted_categories

    def _column(self, name: str, rows: pd.Index) -> pd.Series:
        """One of the columns that are added."""
        if name == self._labels.name:
            return self._labels.reindex(rows)
        places = np.asarray(rows) if self._whole else np.searchsorted(self._numbers, np.asarray(rows))
        values = self._design.unit if name == SAMPLE_UNIT else self._design.prob
        return pd.Series(np.asarray(values)[places], index=rows)

    def _own(self, first: int, count: int) -> IntArray:
        """Positions in a block of rows from `first` on of those that the design has."""
        if self._whole:
            return np.arange(min(count, max(len(self._numbers) - first, 0)))
        low, high = np.searchsorted(self._numbers, (first, first + count))
        return np.asarray(self._numbers[low:high] - first)

    @property
    def names(self) -> list[str]:
        """The source's columns, then those that are added."""
        return list(dict.fromkeys([*self._source.names, *self._added]))

    def state(self) -> object:
        """That of the source."""
        return self._source.state()

    def count(self) -> int:
        """Rows of the design."""
        return len(self._design)

    @property
    def n_labeled(self) -> int:
        """Rows with a label."""
        return int(self._labels.notna().sum())

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass."""
        wanted = [name for name in columns if name not in self._added]
        seen = 0
        for frame in self._source.frames(wanted or self._source.names[:1], rows):
            own = self._own(seen, len(frame))
            seen += len(frame)
            kept = frame if len(own) == len(frame) else frame.iloc[own]
            yield pd.DataFrame(
                {name: self._column(name, kept.index) if name in self._added else kept[name] for name in columns}
            )
        self._check_total(seen)

    def _check_total(self, seen: int) -> None:
        design = self._design
        # of a nested design the first draw says what was left out
        while design.within is not None:
            design = design.within
        total = len(design) + int(cast(int, design.settings.get("excluded", 0)))
        # parts of designs do not know how many rows there were
        if (seen != total and "part_of" not in design.settings) or seen <= int(self._numbers[-1]):
            raise SourceError(
                f"{self._source.described} has {seen:,} rows, and the design was drawn from {total:,}; pass the source that it "
                "was drawn from"
            )

    def write(self, path: str | Path) -> int:
        """Write all of its columns to a Parquet file, block by block, whole or not at all. The number of rows.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        FileError
            The file cannot be written. One that was there is unchanged.
        SourceError
            Types of a column differ between blocks.
        """
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise MissingDependencyError("writing Parquet needs pyarrow: pip install 'dsl[parquet]'") from error
        own = [name for name in self._source.names if name not in self._added]
        first, written, writer = 0, 0, cast(Any, None)
        kinds = self._types()
        with written_aside(path) as draft:
            try:
                for given in self._source.tables(own, WRITTEN):
                    table = _arrow(given, own)
                    places = self._own(first, table.num_rows)
                    rows = pd.Index(places + first)
                    first += table.num_rows
                    table = table if len(places) == table.num_rows else table.take(pa.array(places))
                    for name in self._added:
                        column = pa.Array.from_pandas(self._column(name, rows), type=kinds[name])
                        table = table.append_column(name, column)
                    writer = writer or pq.ParquetWriter(draft, table.schema)
                    writer.write_table(_cast(table, writer.schema))
                    written += table.num_rows
            finally:
                if writer is not None:
                    writer.close()
            self._check_total(first)
        return written

    def _types(self) -> dict[str, Any]:
        """Types of the columns that are added."""
        import pyarrow as pa

        # of what no row tells: a block may be without labels
        out = {SAMPLE_PROB: pa.float64(), SAMPLE_UNIT: pa.int64()}
        return {**out, str(self._labels.name): pa.Array.from_pandas(self._labels).type}


def _arrow(table: TableLike, columns: Sequence[str]) -> Any:
    """A table of any kind as pyarrow's."""
    import pyarrow as pa

    if isinstance(table, pd.DataFrame | Mapping):
        return pa.Table.from_pandas(to_pandas(table, columns), preserve_index=False)
    return nw.from_native(cast(Any, table), eager_only=True).select(list(columns)).to_arrow()


def _cast(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    try:
        return table.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise SourceError(
            f"a column's type differs between blocks of rows: {error}; give it one type everywhere"
        ) from error
