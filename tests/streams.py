"""A small table, and the ways in which it comes in blocks."""

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl

ROWS = 900


def table(rows: int = ROWS, seed: int = 3) -> pd.DataFrame:
    """Posts with a 0/1 label on some, drawn with known probabilities."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "g": rng.choice(["a", "b", "c"], rows),
            "year": rng.integers(2001, 2005, rows),
            "cl": rng.integers(0, 90, rows),
            "w": rng.uniform(0.5, 2.0, rows),
            "pi": rng.uniform(0.15, 0.5, rows),
            "score": rng.normal(size=rows),
        }
    )
    y = (d["x"] + 0.7 * (d["g"] == "b") + rng.normal(size=rows) > 0.0).astype(float)
    d["llm"] = np.where(rng.random(rows) < 0.8, y, 1.0 - y)
    d["z"] = 1.0 + 0.5 * y + 0.3 * d["x"] + rng.normal(size=rows)
    d["count"] = rng.poisson(np.exp(0.2 * d["x"] + 0.4 * y) * rng.gamma(1.5, 1.0 / 1.5, rows)).astype(float)
    labeled = rng.random(rows) < d["pi"]
    d["y"] = y.where(labeled)
    d["k"] = d["count"].where(labeled)
    d["guess"] = rng.poisson(0.5 + d["count"]).astype(float)
    d["other"] = np.where(rng.random(rows) < 0.7, y, 1.0 - y)
    kind = np.digitize(d["x"] + rng.normal(size=rows), [-0.5, 0.7])
    levels = ["low", "mid", "top"]
    d["kind"] = pd.Categorical.from_codes(np.where(labeled, kind, -1), levels, ordered=True)
    d["kind_llm"] = pd.Categorical.from_codes(np.where(rng.random(rows) < 0.7, kind, rng.integers(0, 3, rows)), levels)
    # what blocks must get right: a category that comes late, missing values in one block alone
    d["late"] = np.where(np.arange(rows) > rows - 40, "z", d["g"])
    d.loc[5:8, "x"] = np.nan
    return d


class Again:
    """Blocks of a table that begin anew: of a fixed number of rows, or of the given numbers."""

    def __init__(self, data: pd.DataFrame, sizes: int | list[int]) -> None:
        self.data, self.sizes = data, sizes

    def __iter__(self) -> Iterator[pd.DataFrame]:
        n = len(self.data)
        sizes = self.sizes if isinstance(self.sizes, list) else [self.sizes] * (-(-n // self.sizes))
        ends = np.cumsum([0, *sizes]).clip(max=n)
        return (self.data.iloc[a:b] for a, b in pairwise(ends))


def uneven(data: pd.DataFrame) -> Again:
    """The table in blocks of which some are empty, and one is without labels."""
    return Again(data, [0, int(np.flatnonzero(data["y"].notna())[0]) or 1, 0, 400, 900])


def tried(calls: Iterable[str], with_simulations: Collection[str]) -> list[Any]:
    """Names of calls for parametrize, some of them slow tests."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in with_simulations else []) for name in calls]


def sources(data: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The table in every kind of source."""
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    (folder / "parts").mkdir()
    whole = pa.Table.from_pandas(data, preserve_index=False)
    pq.write_table(whole, folder / "one.parquet", row_group_size=128)
    for j in range(3):
        part = whole.slice(j * 300, 300 if j < 2 else None)
        pq.write_table(part, folder / "parts" / f"{j}.parquet", row_group_size=77)
    return {
        "file": str(folder / "one.parquet"),
        "path": folder / "one.parquet",
        "folder": folder / "parts",
        "glob": str(folder / "parts" / "*.parquet"),
        "dataset": ds.dataset(folder / "parts", format="parquet"),
        "duckdb": duckdb.sql(f"select * from '{folder / 'one.parquet'}'"),
        "lazy": pl.scan_parquet(folder / "one.parquet"),
        "list": [data.iloc[:250], data.iloc[250:]],
    }


def same(found: dsl.DSLResults, known: dsl.DSLResults, tolerance: float = 1e-9) -> None:
    """All numbers of two fits agree: estimates relative to standard errors, these relative to themselves."""
    assert found.params.index.tolist() == known.params.index.tolist()
    se = known.bse.to_numpy()
    gap = np.abs(found.params.to_numpy() - known.params.to_numpy())
    assert (gap <= tolerance * np.maximum(se, np.abs(known.params.to_numpy()))).all(), gap / se
    np.testing.assert_allclose(found.cov_params(), known.cov_params(), rtol=tolerance, atol=tolerance * (se**2).max())
    np.testing.assert_allclose(
        found.core.splits.params, known.core.splits.params, rtol=tolerance, atol=tolerance * se.max()
    )
    np.testing.assert_allclose(found.core.df, known.core.df, rtol=1e-8)
    np.testing.assert_allclose(found.core.splits.behind, known.core.splits.behind, rtol=1e-8)
    assert (found.nobs, found.n_labeled, found.n_dropped) == (known.nobs, known.n_labeled, known.n_dropped)
    assert found.dropped == known.dropped
    if known.core.rmse is not None:
        np.testing.assert_allclose(found.core.rmse, known.core.rmse, rtol=1e-9)
        assert found.core.fit_quality.equals(known.core.fit_quality) or np.allclose(
            found.core.fit_quality["r2"], known.core.fit_quality["r2"]
        )
