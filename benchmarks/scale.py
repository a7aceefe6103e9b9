"""Rows larger than memory: `python -m benchmarks.scale [rows]`, 10 million by default, in Parquet in a temporary folder.

Prints memory and time of each pass, beside DuckDB's and pyarrow's scan of the same columns in the same run.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import dsl
from dsl.estimators.streaming import Progress

PART = 1_000_000
"""Rows of a row group."""
LABELS = 5_000
COLUMNS = ["y", "llm", "x1", "x2", "group", "author"]
CALLS = {
    "lm": {"formula": "y ~ x1 + x2", "model": "lm"},
    "logit, ten splits": {"formula": "y ~ x1 + x2 + group", "model": "logit"},
    "logit, a million clusters": {"formula": "y ~ x1 + x2", "model": "logit", "cluster": "author", "sample_split": 2},
    "dsl+, tuned": {"formula": "x2 ~ y + x1", "estimator": "dsl+", "sample_split": 2, "vcov": "design"},
}


def main(rows: int) -> None:
    """Write the rows, and fit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.parquet"
        write(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e9:.2f} GB of Parquet; memory so far {peak():.2f} GB")
        for name, scan in {"DuckDB": by_duckdb, "pyarrow": by_pyarrow}.items():
            print(f"{name}: one scan of {len(COLUMNS)} columns {timed(lambda scan=scan: scan(path)):.2f} s")
        for name, call in CALLS.items():
            with passes() as times:
                began = time.perf_counter()
                fit = dsl.dsl(
                    call["formula"],
                    path,
                    predicted_var="y",
                    prediction="llm",
                    **{key: value for key, value in call.items() if key != "formula"},
                )
                whole = time.perf_counter() - began
            each = " ".join(f"{t:.1f}" for t in times)
            print(
                f"{name}: {whole:.1f} s, {len(times)} passes ({each} s), {rows * len(times) / whole / 1e6:.2f}M rows a second, "
            )
            print(f"    peak memory {peak():.2f} GB; {fit.params.round(4).to_dict()}", flush=True)


def write(path: Path, rows: int) -> None:
    """Posts of which `LABELS` are labelled, in parts."""
    rng = np.random.default_rng(1)
    labeled = np.sort(rng.choice(rows, min(LABELS, rows // 2), replace=False))
    writer = None
    for first in range(0, rows, PART):
        n = min(PART, rows - first)
        x1, x2 = rng.normal(size=(2, n))
        group = rng.integers(0, 4, n)
        y = (0.3 * x1 - 0.2 * x2 + 0.4 * (group == 2) + rng.logistic(size=n) > 0.0).astype(float)
        llm = np.where(rng.random(n) < 0.85, y, 1.0 - y)
        known = np.zeros(n, dtype=bool)
        known[labeled[(labeled >= first) & (labeled < first + n)] - first] = True
        table = pa.table(
            {
                "y": pa.array(y, mask=~known),
                "llm": llm,
                "x1": x1,
                "x2": x2,
                "group": pa.array(np.array(["a", "b", "c", "d"])[group]).dictionary_encode(),
                "author": rng.integers(0, max(rows // 10, 1), n),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=PART // 4)
    assert writer is not None
    writer.close()


def by_duckdb(path: Path) -> None:
    """An aggregate of every column."""
    sums = ", ".join(f'count("{name}")' if name == "group" else f'sum("{name}")' for name in COLUMNS)
    duckdb.connect().execute(f"select {sums} from '{path}'").fetchall()


def by_pyarrow(path: Path) -> None:
    """All batches of the columns."""
    for _ in ds.dataset(path).to_batches(columns=COLUMNS):
        pass


def timed(what: Callable[[], object]) -> float:
    """Seconds, the better of two."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return min(times)


@contextmanager
def passes() -> Iterator[list[float]]:
    """Seconds of each pass within."""
    times: list[float] = []
    begin, end = Progress.begin, Progress.end
    began = [0.0]

    def starting(self: Progress, total: int | None) -> None:
        began[0] = time.perf_counter()
        begin(self, total)

    def ending(self: Progress) -> None:
        times.append(time.perf_counter() - began[0])
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
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000)
