"""Tables that need not fit into memory: blocks of rows, read again for every pass.

A source is a Parquet file, folder or glob (hive partitions become columns), a pyarrow ``Dataset``, a DuckDB relation, a polars
``LazyFrame``, a dask ``DataFrame``, or an iterable of frames that can be started again: a list of tables, or an object whose
``__iter__`` begins anew. Rows have an order, which is that of the sorted files, of the query, or of the partitions. It must be
the same in every pass.
"""

import glob
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoLazyFrame

from dsl.data.arguments import in_one_line
from dsl.data.partitions import partitions
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.exceptions import ArgumentError, MissingDependencyError, SourceError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
COUNTED = 262_144
"""Rows of a block that is only counted."""
ROW_LABELS = "(row labels)"
"""What a pass is asked for to get, in a column of this name, the labels of rows of pandas tables, and the numbers of others."""
MEMORY = "2GB"
"""Memory that reading in blocks may take, by default."""


class Source(ABC):
    """Where blocks of rows come from."""

    described: str
    """What messages call it."""
    sorted_categories: frozenset[str] = frozenset()
    """Columns of categories whose order is that of their names."""
    begun: tuple[object, ...] = ()
    """The state at the first pass, once there was one."""
    attrs: Mapping[Hashable | None, object] = {}
    """What a pandas table that was written or passed remembers of itself (`DataFrame.attrs`)."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of its columns."""

    @abstractmethod
    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass: tables of the named columns, of about `rows` rows at most, in order."""

    def state(self) -> object:
        """What changes where the data do, as far as that can be seen without reading them."""
        return None

    def count(self) -> int:
        """Number of rows, which takes a pass over one column where nothing else tells it."""
        return sum(len(frame) for frame in self.frames(self.names[:1], COUNTED)) if self.names else 0

    def frames(self, columns: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """One pass: pandas frames of plain dtypes, whose row labels are the rows' numbers."""
        first, named = 0, [name for name in columns if name != ROW_LABELS]
        self.begun = self.begun or (self.state(),)
        check_same(self, self.begun[0], self.state())
        for table in self.tables(named, rows):
            own = _own_labels(table) if len(named) < len(columns) else None
            for start in range(0, max(_length(table), 1), rows):
                frame = to_pandas(_rows_of(table, start, rows), named)
                frame.index = pd.RangeIndex(first, first + len(frame))
                if len(named) < len(columns):
                    frame[ROW_LABELS] = frame.index if own is None else own[start : start + rows]
                first += len(frame)
                if len(frame):
                    yield frame
        check_same(self, self.begun[0], self.state())


def _own_labels(table: TableLike) -> pd.Index | None:
    """Row labels of a pandas table, None where they are numbers from 0 on, and for other tables."""
    if not isinstance(table, pd.DataFrame):
        return None
    index = table.index
    numbered = isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1)
    return None if numbered else index


DataLike: TypeAlias = TableLike | IntoLazyFrame | str | os.PathLike[str] | Iterable[TableLike] | Source
"""A table, or a source of blocks of rows."""


def check_same(source: Source, before: object, after: object) -> None:
    """Raise SourceError if a source is not in the state that it was in."""
    if before == after:
        return
    changed = source.described
    if isinstance(before, dict) and isinstance(after, dict):
        changed = ", ".join(f"'{name}'" for name in sorted({**before, **after}) if before.get(name) != after.get(name))
    raise SourceError(
        f"the data changed while they were read ({changed}): all passes must see the same rows; fit again once nothing writes to "
        "them"
    )


class Dataset(Source):
    """Files that pyarrow reads: Parquet, or whatever a ``pyarrow.dataset.Dataset`` has."""

    def __init__(self, dataset: Any, described: str) -> None:
        self._dataset = dataset
        self.described = described
        self.attrs = _remembered(dataset.schema.metadata)

    def count(self) -> int:
        """Number of rows, from the files' own facts where they have them."""
        import pyarrow as pa

        try:
            return int(self._dataset.count_rows())
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{self.described} cannot be read: {in_one_line(error)}; write it again") from error

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        return list(map(str, self._dataset.schema.names))

    def state(self) -> object:
        """Size and time of the last change of each file."""
        files = list(getattr(self._dataset, "files", []))
        if not files:
            return None
        infos = self._dataset.filesystem.get_file_info(files)
        return {info.path: (info.size, info.mtime_ns) for info in infos}

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass, file by file."""
        import pyarrow as pa

        for fragment in self._dataset.get_fragments():
            with _named(fragment, columns, self._dataset.schema, self.described):
                scanner = fragment.scanner(
                    schema=self._dataset.schema,
                    columns=list(columns),
                    batch_size=rows,
                    batch_readahead=2,
                    fragment_readahead=1,
                )
                held: list[Any] = []
                for batch in scanner.to_batches():
                    # small row groups are put together
                    held.append(batch)
                    if sum(each.num_rows for each in held) + batch.num_rows > rows:
                        yield cast(TableLike, pa.Table.from_batches(held))
                        held = []
                if held:
                    yield cast(TableLike, pa.Table.from_batches(held))


def _remembered(metadata: Mapping[bytes, bytes] | None) -> dict[Hashable | None, object]:
    """What pandas wrote of a table's ``attrs``."""
    try:
        kept = json.loads((metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
    except ValueError:
        return {}
    return dict(kept) if isinstance(kept, dict) else {}


@contextmanager
def _named(fragment: Any, columns: Sequence[str], schema: Any, described: str) -> Iterator[None]:
    """Errors of a reader with the name of the file, and the row group where there are any."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        path, where = getattr(fragment, "path", described), ""
        try:
            for group in fragment.split_by_row_group(schema=schema):
                try:
                    group.to_table(schema=schema, columns=list(columns))
                except (OSError, pa.ArrowException):
                    where = f", row group {group.row_groups[0].id}"
                    break
        except (OSError, pa.ArrowException, AttributeError):
            pass
        raise SourceError(
            f"'{path}'{where} cannot be read: {in_one_line(error)}; write the file again, or leave it out"
        ) from error


class Lazy(Source):
    """A polars ``LazyFrame``."""

    described = "the lazy frame"

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        schema = nw.from_native(frame).collect_schema()
        self._names = list(schema.names())
        self.sorted_categories = frozenset(name for name, kind in schema.items() if kind == nw.Categorical)

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        return self._names

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass of the query."""
        query = self._frame.select(list(columns))
        if not hasattr(query, "collect_batches"):
            raise MissingDependencyError(
                "a LazyFrame is read in blocks by polars 1.34 and later; upgrade polars, or write the query to a Parquet file "
                "(sink_parquet) and pass its path"
            )
        yield from query.collect_batches(chunk_size=rows, maintain_order=True)


class Relation(Source):
    """A DuckDB relation."""

    described = "the DuckDB relation"

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        return list(self._relation.columns)

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass of the query."""
        import pyarrow as pa

        chosen = self._relation.select(", ".join('"' + name.replace('"', '""') + '"' for name in columns))
        # duckdb 1.4 gave it another name
        read = chosen.to_arrow_reader if hasattr(chosen, "to_arrow_reader") else chosen.fetch_record_batch
        for batch in read(rows):
            yield cast(TableLike, pa.Table.from_batches([batch]))


class Partitions(Source):
    """A dask ``DataFrame``."""

    described = "the dask DataFrame"

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        return list(map(str, self._frame.columns))

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass, partition by partition."""
        return partitions(self._frame, columns)


class Frames(Source):
    """An iterable of tables that begins anew whenever it is asked for an iterator."""

    described = "the iterable of frames"

    def __init__(self, tables: Iterable[TableLike]) -> None:
        self._tables = tables
        first = next(iter(tables), None)
        if first is None:
            raise ArgumentError("data is an iterable without any table; pass tables of rows, all with the same columns")
        self._names = column_names(first)
        self.attrs = first.attrs if isinstance(first, pd.DataFrame) else {}
        if not isinstance(first, pd.DataFrame | Mapping):
            schema = nw.from_native(cast(Any, first), eager_only=True)
            if schema.implementation.is_polars():
                self.sorted_categories = frozenset(n for n, kind in schema.schema.items() if kind == nw.Categorical)

    @property
    def names(self) -> list[str]:
        """Names of the first table's columns."""
        return self._names

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[TableLike]:
        """One pass."""
        for number, table in enumerate(self._tables):
            missing = set(columns) - set(column_names(table))
            if missing:
                raise SourceError(
                    f"table {number + 1} of the iterable lacks column '{min(missing)}', which the first one has; all tables need "
                    "the same columns"
                )
            yield table


def as_source(data: object) -> Source | None:
    """The source that `data` is, or None for a table in memory and for what is neither.

    Raises
    ------
    SourceError
        There is no such file, or it cannot be read.
    ArgumentError
        It is an iterator, which has one pass only.

    Examples
    --------
    >>> as_source({"x": [1.0, 2.0]}) is None
    True
    >>> as_source([{"x": [1.0, 2.0]}, {"x": [3.0]}]).names
    ['x']
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | os.PathLike):
        # a formula in the place of the data has a message of its own
        return None if isinstance(data, str) and ("~" in data or not data) else source_at(data)
    module = type(data).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(data, "get_fragments"):
        return Dataset(data, "the dataset")
    if module == "polars" and type(data).__name__ == "LazyFrame":
        return Lazy(data)
    if module in ("duckdb", "_duckdb") and hasattr(data, "columns"):
        return Relation(data)
    if module == "dask" and hasattr(data, "npartitions") and hasattr(data, "columns"):
        return Partitions(data)
    if isinstance(data, pd.DataFrame | Mapping) or data is None or hasattr(data, "__array__"):
        return None
    if nw.dependencies.is_into_dataframe(data) or not hasattr(data, "__iter__"):
        return None
    if iter(cast(Iterable[object], data)) is data:
        raise ArgumentError(
            "data is an iterator, which gives its tables once, and several passes are needed; pass a list of tables, or an "
            "object whose __iter__ begins anew"
        )
    return Frames(cast(Iterable[TableLike], data))


def source_at(path: str | os.PathLike[str]) -> Source:
    """Parquet files: one, those of a folder, or those that a glob names."""
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "reading Parquet files in blocks needs pyarrow: pip install 'dsl[parquet]'"
        ) from error
    text = os.fspath(path)
    found: str | list[str] = text
    if re.search(r"[*?\[]", text) and not Path(text).exists():
        found = sorted(glob.glob(text, recursive=True))
    if not found or (isinstance(found, str) and not Path(found).exists()):
        raise SourceError(
            f"there is no file or folder '{text}' to read data from; a path is one of Parquet files, and other files are read "
            "before, e.g. with pd.read_csv"
        )
    try:
        return Dataset(ds.dataset(found, format="parquet", partitioning="hive"), f"'{text}'")
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"'{text}' cannot be read as Parquet: {in_one_line(error)}; other kinds of files become Parquet with pyarrow or "
            "DuckDB, or are read before, e.g. with pd.read_csv"
        ) from error


def _length(table: TableLike) -> int:
    if isinstance(table, pd.DataFrame):
        return len(table)
    if isinstance(table, Mapping):
        return len(cast(Any, next(iter(table.values()), ())))
    return len(nw.from_native(cast(Any, table), eager_only=True))


def _rows_of(table: TableLike, start: int, rows: int) -> TableLike:
    if start == 0 and _length(table) <= rows:
        return table
    if isinstance(table, pd.DataFrame):
        return table.iloc[start : start + rows]
    if isinstance(table, Mapping):
        return {str(name): cast(Any, column)[start : start + rows] for name, column in table.items()}
    return cast(TableLike, nw.from_native(cast(Any, table), eager_only=True)[start : start + rows].to_native())


def as_bytes(memory: object) -> int:
    """An amount of memory in bytes.

    Raises
    ------
    ArgumentError
        It is no positive number of bytes, and no text such as "2GB".

    Examples
    --------
    >>> as_bytes("1.5 GB"), as_bytes(5_000_000)
    (1500000000, 5000000)
    """
    found: float | None = None
    if isinstance(memory, int | float) and not isinstance(memory, bool):
        found = float(memory)
    elif isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", memory.upper())
        unit = match and (match[2] if match[2] in UNITS else match[2] + "B")
        found = float(match[1]) * UNITS[str(unit)] if match else None
    if found is None or not 0.0 < found < float("inf"):
        raise ArgumentError(f"memory must be a number of bytes, or text such as '2GB'; found {memory!r}")
    return int(found)
