"""What the first pass keeps."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.columns import Columns
from dsl.data.formula.matrices import parse
from dsl.data.scan import SAMPLED, Scan, hashed, scan
from dsl.data.source import as_source

from ..streams import Again, table


def found(data: pd.DataFrame, sizes: int | list[int], formula: str = "y ~ x + factor(year) + late") -> Scan:
    source = as_source(Again(data, sizes))
    assert source is not None
    parsed = parse(formula, source.names)
    columns = Columns(
        formula=parsed.variables,
        predicted=("y",),
        prediction=("llm",),
        sample_prob="pi",
        cluster="cl",
        weights="w",
    )
    read: list[int] = []
    out = scan(source, parsed, columns, rows=10_000, most_labels=10_000, learns=True, tick=read.append)
    assert sum(read) == len(data)
    return out


def test_counts_are_those_of_all_rows() -> None:
    data = table()
    there = data.dropna(subset="x")
    known = found(data, [300, 0, 600])
    assert (known.n_input, known.rows, known.dropped) == (900, 896, {"x": 4})
    assert known.gold_rows.tolist() == np.flatnonzero(there["y"].notna()).tolist()
    assert known.prob == pytest.approx((there["pi"].min(), there["pi"].max(), there["pi"].sum()))
    assert known.weight_sum == pytest.approx(there["w"].sum())
    codes, labels = pd.factorize(there["cl"], sort=True)
    assert known.cluster is not None
    assert (known.cluster.tolist(), known.n_clusters) == (codes.tolist(), len(labels))


def test_the_anchor_has_labels_levels_and_extremes() -> None:
    data = table(SAMPLED + 5_000)
    data.loc[14_000, ["x", "year"]] = 99.0, 1901
    known = found(data, 1_000)
    anchor, there = known.anchor, data.dropna(subset="x")
    assert anchor["y"].notna().sum() == there["y"].notna().sum()
    assert set(anchor["late"]) == set(there["late"])
    assert set(anchor["year"]) == set(there["year"])
    assert (anchor["x"].min(), anchor["x"].max()) == (there["x"].min(), 99.0)
    assert (known.at_random & anchor["y"].isna().to_numpy()).sum() == min(SAMPLED, there["y"].isna().sum())
    np.testing.assert_array_equal(there.iloc[known.places]["x"], anchor["x"])


def test_blocks_do_not_change_what_is_drawn() -> None:
    data = table(SAMPLED + 8_000)
    drawn = [found(data, size) for size in (700, 18_000)]
    assert drawn[0].anchor[drawn[0].at_random].equals(drawn[1].anchor[drawn[1].at_random])


def test_hashes_are_even() -> None:
    values = hashed(np.arange(100_000)).astype(float) / 2.0**64
    assert abs(values.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01
