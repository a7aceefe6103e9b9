"""Rows larger than memory: `python -m benchmarks.scale [rows ...]`, 10 million by default, in a temporary folder.

The files of each number of rows are written in pieces, and deleted before the next. Every fit and every scan has a process of
its own, whose peak memory is printed. Passes are compared with DuckDB's scan of the columns of the call, before and after the
fit: by the clock, and by processor seconds, which other work on the machine disturbs less. Given several numbers of rows, the
last lines compare seconds per row. `python -m benchmarks.scale 1e7 1e8` takes 2.5 GB of disk.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import dsl
from dsl.estimators.streaming import Progress

T = TypeVar("T")
PART = 1_000_000
"""Rows that are made at a time."""
FILE = 10_000_000
"""Rows of a file."""
LABELS = 5_000
MOST_AUTHORS = 1_000_000
CALLS: dict[str, dict[str, Any]] = {
    "lm": {"formula": "y ~ x1 + x2", "model": "lm"},
    "logit, ten splits": {"formula": "y ~ x1 + x2 + group", "model": "logit"},
    "logit, clusters": {"formula": "y ~ x1 + x2", "model": "logit", "cluster": "author", "sample_split": 2},
    "dsl+, tuned": {"formula": "x2 ~ y + x1", "estimator": "dsl+", "sample_split": 2, "vcov": "design"},
}


@dataclass(frozen=True, slots=True)
class Seconds:
    """Of the clock, and of all processors."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> "Seconds":
        """Since some time."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, before: "Seconds") -> "Seconds":
        """From then to this."""
        return Seconds(self.clock - before.clock, self.processor - before.processor)

    def over(self, other: "Seconds") -> str:
        """Ratios, of the clock / of processors."""
        return f"{self.clock / other.clock:.1f}/{self.processor / other.processor:.1f}"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What one fit took."""

    whole: Seconds
    passes: list[Seconds]
    peak: float
    """GB"""
    params: dict[str, float]


def main(sizes: list[int]) -> None:
    """Write the rows, and fit, for each number of rows."""
    took: dict[str, dict[int, Seconds]] = {name: {} for name in CALLS}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            apart(write, Path(folder), rows)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            print(f"{rows:,} rows, {size / 1e9:.2f} GB of Parquet")
            for name in CALLS:
                took[name][rows] = report(name, Path(folder), rows)
    least, most = min(sizes), max(sizes)
    if least == most:
        return
    print(f"seconds per row at {most:,} rows over those at {least:,}, of the clock/of processors:")
    for name, known in took.items():
        each = [Seconds(known[n].clock / n, known[n].processor / n) for n in (most, least)]
        print(f"    {name}: {each[0].over(each[1])}")


def report(name: str, folder: Path, rows: int) -> Seconds:
    """Fit, and print what it took beside the scans of the same columns."""
    columns = columns_of(name)
    before, arrow = apart(by_duckdb, folder, columns), apart(by_pyarrow, folder, columns)
    fitted = apart(fit, name, folder)
    scan = min(before, apart(by_duckdb, folder, columns), key=lambda each: each.clock)
    print(
        f"{name}: {fitted.whole.clock:.1f} s ({fitted.whole.processor:.1f} of processors), {len(fitted.passes)} passes, "
        f"{rows * len(fitted.passes) / fitted.whole.clock / 1e6:.2f}M rows a second, peak memory {fitted.peak:.2f} GB"
    )
    print(
        f"    one scan of {', '.join(columns)}: DuckDB {scan.clock:.2f} s ({scan.processor:.2f}), pyarrow {arrow.clock:.2f} s"
    )
    print(f"    seconds a pass: {' '.join(f'{each.clock:.1f}' for each in fitted.passes)}")
    print(f"    over DuckDB's scan, clock/processors: {' '.join(each.over(scan) for each in fitted.passes)}")
    print(f"    { ({term: round(value, 6) for term, value in fitted.params.items()}) }", flush=True)
    return fitted.whole


def apart(what: Callable[..., T], *arguments: object) -> T:
    """What a function returns, called in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what, *arguments).result()


def columns_of(name: str) -> list[str]:
    """Columns that a call reads."""
    words = f"{CALLS[name]['formula']} {CALLS[name].get('cluster', '')}".split()
    return [column for column in ("y", "llm", "x1", "x2", "group", "author") if column in (*words, "y", "llm")]


def fit(name: str, folder: Path) -> Fitted:
    """One call."""
    given = {key: value for key, value in CALLS[name].items() if key != "formula"}
    began = Seconds.now()
    with passes() as times:
        found = dsl.dsl(CALLS[name]["formula"], folder, predicted_var="y", prediction="llm", **given)
    whole = Seconds.now().since(began)
    return Fitted(whole, times, peak(), {str(term): float(value) for term, value in found.params.items()})


def write(folder: Path, rows: int) -> None:
    """Posts of which `LABELS` are labelled, in parts."""
    rng = np.random.default_rng(1)
    labeled = np.sort(rng.choice(rows, min(LABELS, rows // 2), replace=False))
    writer = None
    for first in range(0, rows, PART):
        table = part_of(rng, first, min(PART, rows - first), rows, labeled)
        if first % FILE == 0:
            if writer is not None:
                writer.close()
            writer = pq.ParquetWriter(folder / f"{first // FILE:04d}.parquet", table.schema)
        assert writer is not None
        writer.write_table(table, row_group_size=PART // 4)
    assert writer is not None
    writer.close()


def part_of(rng: np.random.Generator, first: int, n: int, rows: int, labeled: np.ndarray) -> pa.Table:
    """Some of the posts."""
    x1, x2 = rng.normal(size=(2, n))
    group = rng.integers(0, 4, n)
    y = (0.3 * x1 - 0.2 * x2 + 0.4 * (group == 2) + rng.logistic(size=n) > 0.0).astype(float)
    llm = np.where(rng.random(n) < 0.85, y, 1.0 - y)
    known = np.zeros(n, dtype=bool)
    known[labeled[(labeled >= first) & (labeled < first + n)] - first] = True
    return pa.table(
        {
            "y": pa.array(y, mask=~known),
            "llm": llm,
            "x1": x1,
            "x2": x2,
            "group": pa.array(np.array(["a", "b", "c", "d"])[group]).dictionary_encode(),
            "author": rng.integers(0, min(max(rows // 10, 1), MOST_AUTHORS), n),
        }
    )


def by_duckdb(folder: Path, columns: list[str]) -> Seconds:
    """An aggregate of every column."""
    sums = ", ".join(f'count("{name}")' if name == "group" else f'sum("{name}")' for name in columns)
    query = f"select {sums} from '{folder}/*.parquet'"
    return timed(lambda: duckdb.connect().execute(query).fetchall())


def by_pyarrow(folder: Path, columns: list[str]) -> Seconds:
    """All batches of the columns."""
    return timed(lambda: sum(batch.num_rows for batch in ds.dataset(folder).to_batches(columns=columns)))


def timed(what: Callable[[], object]) -> Seconds:
    """The better of three times."""
    times = []
    for _ in range(3):
        began = Seconds.now()
        what()
        times.append(Seconds.now().since(began))
    return min(times, key=lambda each: each.clock)


@contextmanager
def passes() -> Iterator[list[Seconds]]:
    """Seconds of each pass within."""
    times: list[Seconds] = []
    begin, end = Progress.begin, Progress.end
    began = [Seconds.now()]

    def starting(self: Progress, total: int | None) -> None:
        began[0] = Seconds.now()
        begin(self, total)

    def ending(self: Progress) -> None:
        times.append(Seconds.now().since(began[0]))
        end(self)

    Progress.begin, Progress.end = starting, ending  # type: ignore[method-assign]
    try:
        yield times
    finally:
        Progress.begin, Progress.end = begin, end  # type: ignore[method-assign]


def peak() -> float:
    """Most memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main([int(float(size)) for size in sys.argv[1:]] or [10_000_000])
