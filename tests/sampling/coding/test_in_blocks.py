"""Draws and coders' files of rows that are read in blocks: those of the same rows in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl import sampling
from dsl.data.source import as_source
from dsl.sampling.coding.in_blocks import CodedSource

from ...streams import Again, same, sources, table

pytestmark = pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")

DRAWS: dict[str, Callable[..., sampling.LabelDesign]] = {
    "srs": lambda data, **k: sampling.simple_random(data, 60, **k),
    "bernoulli": lambda data, **k: sampling.bernoulli(data, prob="pi", **k),
    "stratified": lambda data, **k: sampling.stratified(data, 60, by=["g", "year"], **k),
    "neyman": lambda data, **k: sampling.stratified(data, 60, by="kind_llm", allocation="neyman", spread="w", **k),
    "pps": lambda data, **k: sampling.proportional_to_size(data, 60, measure="w", **k),
    "cluster": lambda data, **k: sampling.clustered(data, 6, by="cl", **k),
    "two_stage": lambda data, **k: sampling.two_stage(data, 8, 4, by="cl", **k),
}


def posts(rows: int = 900) -> pd.DataFrame:
    data = table(rows).assign(
        text=lambda d: [f"post {j}, really" for j in range(len(d))], seen=lambda d: d.index % 9 == 2
    )
    return data.drop(columns=["y", "k", "kind"])


@pytest.fixture(scope="module")
def whole() -> pd.DataFrame:
    return posts()


@pytest.mark.parametrize("exclude", [None, "seen"])
@pytest.mark.parametrize("kind", DRAWS)
def test_the_draw_is_that_of_memory(kind: str, exclude: str | None, whole: pd.DataFrame) -> None:
    known = DRAWS[kind](whole, seed=3, exclude=exclude)
    found = DRAWS[kind](Again(whole, [0, 11, 0, 500, 900]), seed=3, exclude=exclude)
    assert found.fingerprint == known.fingerprint
    assert found.settings == known.settings
    np.testing.assert_array_equal(found.drawn_rows, known.drawn_rows)


@pytest.mark.parametrize(("size", "rows"), [(1, 90), (900, 900)])
def test_sizes_of_blocks_change_nothing(size: int, rows: int, whole: pd.DataFrame) -> None:
    data = whole.head(rows)
    found, known = (sampling.stratified(each, 40, by=["late", "year"]) for each in (Again(data, size), data))
    assert found.fingerprint == known.fingerprint


def test_every_source_and_one_pass(whole: pd.DataFrame, tmp_path: Path) -> None:
    known = sampling.stratified(whole, 60, by="g", seed=1)
    for source in sources(whole, tmp_path).values():
        assert sampling.stratified(source, 60, by="g", seed=1).fingerprint == known.fingerprint

    class Counted(Again):
        passes = 0

        def __iter__(self) -> Iterator[pd.DataFrame]:
            self.passes += 1
            return super().__iter__()

    counted = Counted(whole, 300)
    source = as_source(counted)
    counted.passes = 0
    sampling.clustered(source, 6, by="cl")  # type: ignore[arg-type]
    assert counted.passes == 1
    masked = sampling.simple_random(tmp_path / "one.parquet", 60, exclude=whole["seen"].to_numpy())
    assert masked.fingerprint == sampling.simple_random(whole, 60, exclude="seen").fingerprint
    nested = sampling.nested(known, Again(whole, 300), 20, by="g", seed=2)
    assert nested.fingerprint == sampling.nested(known, whole, 20, by="g", seed=2).fingerprint


def test_what_is_wrong_with_a_column_is_said(whole: pd.DataFrame) -> None:
    data = whole.assign(w=whole["w"].mask(whole.index == 712))
    with pytest.raises(e.DataError, match=r"'w' \(measure\) is missing in 1 row \(first: 712\)"):
        sampling.proportional_to_size(Again(data, 300), 60, measure="w")
    with pytest.raises(e.MissingColumnError, match="'wordz'"):
        sampling.proportional_to_size(Again(data, 300), 60, measure="wordz")
    with pytest.raises(e.DataError, match="no rows"):
        sampling.simple_random([data.iloc[:0]], 3)


@pytest.mark.parametrize("kind", ["pps", "cluster"])
def test_labels_out_and_in(kind: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    made = sources(whole, tmp_path)
    design = DRAWS[kind](made["folder"], seed=3, exclude="seen")
    known = design.to_coder(tmp_path / "known.csv", whole, columns=["text", "year"], label="y")
    for name in ("folder", "lazy", "list"):
        asked = design.to_coder(tmp_path / f"{name}.csv", made[name], columns=["text", "year"], label="y")
        pd.testing.assert_frame_equal(asked, known)
        assert (tmp_path / f"{name}.csv").read_bytes() == (tmp_path / "known.csv").read_bytes()
    truth = (np.arange(900) * 7 % 3 == 0).astype(int)
    known.assign(y=truth[known.index.astype(int)]).to_csv(tmp_path / "known.csv")
    coded = design.from_coder(tmp_path / "known.csv", made["folder"], label="y", codebook=[0, 1])
    assert isinstance(coded, CodedSource)
    expected = design.from_coder(tmp_path / "known.csv", whole, label="y").loc[design.rows]
    written = coded.write(tmp_path / "labelled.parquet")
    assert (written, coded.n_labeled) == (800, design.n_drawn)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "labelled.parquet")[expected.columns],
        expected.reset_index(drop=True).astype({"text": object}),
        check_dtype=False,
        check_categorical=False,
    )
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_prob": "sample_prob", "sl_method": "lm"}
    call |= {"cross_fit": 2, "sample_split": 1, "cluster": "sample_unit" if kind == "cluster" else None}
    same(dsl.dsl("y ~ w", coded, **call), dsl.dsl("y ~ w", expected.reset_index(drop=True), **call))


def test_only_drawn_rows_are_kept(whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    design = sampling.simple_random(whole, 20, seed=1)
    kept: list[int] = []
    real = pd.concat

    def counting(parts: Any, *more: Any, **given: Any) -> Any:
        out = real(parts, *more, **given)
        kept.append(len(out))
        return out

    monkeypatch.setattr(pd, "concat", counting)
    design.to_coder(tmp_path / "coder.csv", Again(whole, 100), columns="text")
    assert max(kept) == 20


def test_what_does_not_fit_is_refused(whole: pd.DataFrame, tmp_path: Path) -> None:
    source, coder = Again(whole, 300), tmp_path / "coder.csv"
    design = sampling.simple_random(source, 20, seed=1)
    with pytest.raises(e.ArgumentError, match="'llm', which looks like a prediction"):
        design.to_coder(coder, source, columns=["text", "llm"])
    annotated = whole.assign(view=1)
    annotated.attrs["annotation"] = {"trails": [{"name": "view"}]}
    annotated.to_parquet(tmp_path / "annotated.parquet")
    with pytest.raises(e.ArgumentError, match="'view', which a model made"):
        design.to_coder(coder, tmp_path / "annotated.parquet", columns=["text", "view"])
    with pytest.raises(e.DesignError, match="not in the data"):
        design.to_coder(coder, Again(whole.head(100), 30), columns="text")
    named = sampling.simple_random(whole.set_axis([f"post{j}" for j in range(900)]), 20)
    with pytest.raises(e.DesignError, match="knows rows as 'post0'"):
        named.to_coder(coder, source, columns="text")
    design.to_coder(coder, source, columns="text").assign(gold=1).to_csv(coder)
    with pytest.raises(e.LabelError, match="this design did not draw"):
        design.from_coder(coder, Again(whole.assign(gold=1.0), 300))
    with pytest.raises(e.ArgumentError, match="'sample_prob', in which this design would be recorded"):
        design.from_coder(coder, Again(whole.assign(sample_prob=0.5), 300))
    changed = whole.assign(text="another")
    with pytest.raises(e.CoderFileError, match="the data have changed"):
        design.from_coder(coder, Again(changed, 300))
    longer = pd.concat([whole, whole.head(3)])
    coded = design.from_coder(coder, Again(longer, 300))
    with pytest.raises(e.SourceError, match="has 903 rows, and the design was drawn from 900"):
        coded.write(tmp_path / "never.parquet")
    assert not (tmp_path / "never.parquet").exists()
