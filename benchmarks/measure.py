"""Ways to measure: interleaved timings, peak memory of a fresh process, import time; and to print what was found."""

from __future__ import annotations

import gc
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent


def interleaved(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every call, taken in turns (every second round backwards), so that a busy spell hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            gc.collect()
            start = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def processor_seconds(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least processor time of every call, taken in turns, processes that it starts included: steadier on a busy machine."""
    least: dict[str, float] = {}
    for _ in range(repeats):
        for name, call in calls.items():
            gc.collect()
            before = _processor()
            call()
            least[name] = min(least.get(name, float("inf")), _processor() - before)
    return least


def _processor() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def ratio(seconds: Mapping[str, list[float]], one: str, other: str) -> float:
    """Median over rounds of the time of `one` relative to `other` in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))


def fresh_process(code: str, *options: str) -> str:
    """What a new interpreter prints; its failure is ours."""
    done = subprocess.run([sys.executable, *options, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measured process failed:\n{done.stderr}")
    return done.stdout.strip()


def import_seconds(statement: str, repeats: int) -> float:
    """Median seconds of a new interpreter that runs `statement`, start-up of Python included."""
    return statistics.median(interleaved({"": lambda: fresh_process(statement, "-W", "error")}, repeats)[""])


def _status(field: str) -> int:
    """Bytes from Linux's /proc/self/status."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return 1024 * int(found.group(1))


def peak_above(call: Callable[[], Any]) -> int:
    """Bytes by which the resident set's peak during `call` exceeds its size before (Linux: VmHWM, reset first).

    ``resource.getrusage`` would not do: its peak counts the making of the table, and is inherited from the parent.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def print_markdown(table: pd.DataFrame) -> None:
    """A table of text, as the pages hold it."""
    print("| | " + " | ".join(table.columns) + " |")
    print("|---|" + "---|" * len(table.columns))
    for name, row in table.iterrows():
        print(f"| {name} | " + " | ".join(row) + " |")
