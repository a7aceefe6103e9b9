"""Prediction-powered intervals against the Python package ppi-python; ratios within one run.

    python -m benchmarks.ppi                 N = 1e6, ten covariates: a few minutes
    python -m benchmarks.ppi --arrays-only   without the calls from a formula

Both packages get the same rows, in one block of memory, rows contiguous. Medians of interleaved runs; the first call of
each, which compiles and imports, is left out. One thread for the linear algebra library: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import dsl
from benchmarks import measure, tables
from dsl.engine.blocks import Block
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.two_sample import two_sample

ROWS, LABELED = 1_000_000, 10_000
NAMES = ("Intercept", *tables.COVARIATES)
TARGETS = {"lm": 20.0, "logit": 10.0}
"""How many times faster the tuned interval must be."""


def rival(model: str) -> Callable[..., Any]:
    """The interval of ppi-python, whose import silences all warnings of the process."""
    with warnings.catch_warnings():
        import ppi_py
    return {"lm": ppi_py.ppi_ols_ci, "logit": ppi_py.ppi_logistic_ci}[model]


def binary_surrogate(table: pd.DataFrame) -> pd.DataFrame:
    """The logit's surrogate, right or wrong as a classifier's is."""
    return table.assign(s=(table["s"] > 0.5).astype(float))


def calls(model: str, table: pd.DataFrame, lam: float | None, formula: bool) -> dict[str, Callable[[], Any]]:
    """The same interval, by name of who computes it."""
    x = np.column_stack([np.ones(len(table)), table[list(tables.COVARIATES)].to_numpy()])
    labeled = table["y"].notna().to_numpy()
    order = np.argsort(~labeled, kind="stable")  # labelled rows first: theirs are then slices, as they should be
    x, f, n = np.ascontiguousarray(x[order]), table["s"].to_numpy()[order], int(labeled.sum())
    y = table["y"].to_numpy()[order][:n]
    block = Block(
        fixed=x,
        predicted=np.empty((len(x), 0)),
        outcome=f,
        gold_rows=np.arange(n),
        gold=np.empty((n, 0)),
        gold_outcome=y,
        weight=np.full(n, len(x) / n),
    )
    link = {"lm": LINEAR, "logit": LOGISTIC}[model]
    out: dict[str, Callable[[], Any]] = {
        "ppi-python": partial(rival(model), x[:n], y, f[:n], x[n:], f[n:], lam=lam),
        "arrays": lambda: np.sqrt(np.diag(two_sample(block, NAMES, link, lam=lam).vcov)),
    }
    if formula:
        out["formula"] = lambda: dsl.dsl(
            f"y ~ {tables.TEN}",
            table,
            model=model,
            predicted_var="y",
            prediction="s",
            estimator="ppi++" if lam is None else "ppi",
        ).conf_int()
    return out


def lines(repeats: int, formula: bool) -> Iterator[tuple[str, ...]]:
    for model in ("lm", "logit"):
        table = tables.regression_table(ROWS, LABELED, model=model)
        table = binary_surrogate(table) if model == "logit" else table
        for lam in (None, 1.0):
            given = calls(model, table, lam, formula)
            measure.interleaved(given, 1)
            seconds = measure.interleaved(given, repeats)
            for name in given:
                times = 1.0 / measure.ratio(seconds, name, "ppi-python")
                target = TARGETS[model] if lam is None and name == "arrays" else None
                verdict = "" if target is None else ("met" if times >= target else "MISSED")
                what = f"{model}, {'tuned' if lam is None else 'lam = 1'}, {name}"
                wanted = "" if target is None else f">= {target:g}"
                yield what, f"{statistics.median(seconds[name]):.3f} s", f"{times:.1f}", wanted, verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--arrays-only", action="store_true", help="leave out the calls from a formula")
    args = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS {threads}; N = 1e6, n = 1e4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = list(lines(args.repeats, not args.arrays_only))
    print(pd.DataFrame(rows, columns=["interval", "seconds", "times faster", "target", ""]).to_string(index=False))


if __name__ == "__main__":
    main()
