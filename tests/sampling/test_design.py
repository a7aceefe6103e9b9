"""The design object: checks, copies, and files that come back as they were or not at all."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.exceptions import ArgumentError, DesignError, SampleProbabilityError
from dsl.sampling import LabelDesign, bernoulli, clustered, simple_random, stratified


def design(**changes: Any) -> LabelDesign:
    parts: dict[str, Any] = {
        "kind": "stratified",
        "rows": pd.Index(["a", "b", "c", "d"], name="post"),
        "prob": np.array([0.5, 0.5, 1.0, 0.25]),
        "drawn": np.array([True, False, True, False]),
        "fixed_size": True,
        "stratum": np.array([0, 0, 1, 2]),
        "settings": {"seed": np.int64(3), "sizes": np.array([1, 2]), "by": "source"},
    }
    return LabelDesign(**{**parts, **changes})


def test_facts() -> None:
    d = design()
    assert (len(d), d.n_drawn, d.drawn_rows.tolist()) == (4, 2, ["a", "c"])
    assert repr(d) == "<LabelDesign stratified: 2 of 4 rows drawn, probabilities 0.25 to 1>"
    assert d.settings == {"seed": 3, "sizes": [1, 2], "by": "source"}
    table = d.table()
    assert table.columns.tolist() == ["prob", "drawn", "stratum"]
    assert table.index.equals(d.rows)
    np.testing.assert_array_equal(table["prob"], d.prob)


def test_parts_are_copies_that_cannot_be_changed() -> None:
    prob = np.array([0.5, 0.5, 1.0, 0.25])
    d = design(prob=prob)
    prob[0] = 0.1
    assert d.prob[0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        d.prob[0] = 0.1
    with pytest.raises(AttributeError):
        d.kind = "srs"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"kind": "random"}, ArgumentError, "unknown kind of design 'random'"),
        ({"rows": pd.Index(["a", "b", "a", "d"])}, DesignError, r"repeated: 2 rows \(first: a, a\)"),
        ({"rows": pd.Index(["a", "b", None, "d"])}, DesignError, "missing or repeated: 1 row"),
        ({"rows": pd.Index([])}, DesignError, "at least one row"),
        ({"prob": np.ones(3)}, DesignError, r"prob has shape \(3,\).*\(4,\)"),
        ({"prob": np.array([0.5, 0.0, np.nan, 2.0])}, SampleProbabilityError, r"prob .* in 3 rows \(first: b, c, d\)"),
        ({"drawn": np.array([1, 0, 1, 0])}, DesignError, "drawn must be True or False.*int64"),
        ({"stratum": np.array([0, 0, -1, 2])}, DesignError, "stratum must hold codes.*-1"),
        ({"stratum": np.array([0.0, 0.0, 1.0, 2.0])}, DesignError, "stratum must hold codes.*float64"),
        ({"unit": np.array([0, 0, 1, 2])}, DesignError, "unit and unit_prob belong together"),
        ({"unit": np.zeros(4, int), "unit_prob": np.zeros(4)}, SampleProbabilityError, "unit_prob .* in 4 rows"),
        ({"settings": {"model": object()}}, DesignError, "settings must hold what JSON can"),
    ],
)
def test_contradictions(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        design(**changes)
    assert type(caught.value) is error


def assert_same(one: LabelDesign, two: LabelDesign) -> None:
    assert one.fingerprint == two.fingerprint
    assert one.rows.equals(two.rows)
    assert one.rows.name == two.rows.name
    assert one.settings == two.settings
    assert (one.kind, one.fixed_size) == (two.kind, two.fixed_size)
    pd.testing.assert_frame_equal(one.table(), two.table(), check_index_type=False)  # object or str


ROWS = {
    "range": pd.RangeIndex(10, 14),
    "integers": pd.Index([7, 3, -2, 2**60], name="tweet"),
    "unsigned": pd.Index(np.array([7, 3, 2, 2**64 - 1], dtype=np.uint64)),
    "text": pd.Index(["ä", "", "b\n", '"'], name="post"),
    "objects": pd.Index(["a", "b", "c", "d"], dtype=object),
}


@pytest.mark.parametrize("rows", ROWS)
def test_saved_designs_come_back(rows: str, tmp_path: Path) -> None:
    d = design(rows=ROWS[rows])
    d.save(tmp_path / "pilot.design")
    assert [path.name for path in tmp_path.iterdir()] == ["pilot.design"]
    assert_same(LabelDesign.load(str(tmp_path / "pilot.design")), d)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**31), st.sampled_from(["srs", "stratified", "cluster"]))
def test_drawn_designs_come_back(n: int, seed: int, kind: str) -> None:
    import tempfile

    data = pd.DataFrame({"g": np.random.default_rng(seed).integers(0, 3, n)})
    data.loc[:1, "g"] = [0, 1]  # two groups at least
    made = {
        "srs": lambda: simple_random(data, n // 2, seed=seed),
        "stratified": lambda: stratified(data, n, by="g", seed=seed),
        "cluster": lambda: clustered(data, 2, by="g", seed=seed),
    }[kind]()
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "design.npz")
        assert_same(LabelDesign.load(Path(folder) / "design.npz"), made)


def test_labels_that_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"row labels such as 0\.5 cannot be saved.*reset_index"):
        design(rows=pd.Index([0.5, 1.5, 2.5, 3.5])).save(tmp_path / "d.npz")


def rewrite(path: Path, **changes: Any) -> None:
    """Save the same arrays with some changed, as an editor of the file would."""
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    for name, value in changes.items():
        if value is None:
            del parts[name]
        else:
            parts[name] = np.asarray(value)
    with path.open("wb") as file:
        np.savez_compressed(file, **parts)


def facts(path: Path, **changes: Any) -> str:
    with np.load(path) as stored:
        return json.dumps({**json.loads(str(stored["facts"])), **changes}, sort_keys=True)


def test_changed_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "design.npz"
    for changes, words in (
        ({"prob": np.array([0.5, 0.5, 1.0, 0.5])}, "was changed after it was saved"),
        ({"drawn": np.array([True, True, True, False])}, "was changed after it was saved"),
        ({"stratum": np.array([0, 1, 1, 2])}, "was changed after it was saved"),
        ({"stratum": None}, "was changed after it was saved"),
        ({"prob": np.array([0.5, 0.5, 1.0, 0.25], dtype=np.float32)}, "was changed after it was saved"),
        ({"prob": None}, "not a saved design, or is damaged.*it holds"),
        ({"extra": np.zeros(3)}, "not a saved design, or is damaged.*extra"),
        ({"facts": "[]"}, "not a saved design"),
    ):
        design().save(path)
        rewrite(path, **changes)
        with pytest.raises(DesignError, match=words):
            LabelDesign.load(path)
    design().save(path)
    rewrite(path, facts=facts(path, settings={"seed": 4}))
    with pytest.raises(DesignError, match="was changed after it was saved"):
        LabelDesign.load(path)
    design().save(path)
    rewrite(path, facts=facts(path, version=3))
    with pytest.raises(DesignError, match=r"has format 3, written by another version.*reads format 2"):
        LabelDesign.load(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "design.npz"
    with pytest.raises(DesignError, match="there is no file"):
        LabelDesign.load(path)
    design().save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"prob,drawn\n", whole[: len(whole) // 2], whole[:200] + b"\x00\xff" + whole[202:]):
        path.write_bytes(damaged)
        with pytest.raises(DesignError, match=r"cannot be read as a saved design: .+|was changed"):
            LabelDesign.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DesignError, match="not a saved design"):
        LabelDesign.load(path)


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    """Either the design is the same (the flip hit the archive's padding or times) or the file is refused."""
    path, made = tmp_path / "design.npz", design()
    made.save(path)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            assert_same(LabelDesign.load(path), made)
        except DesignError:
            refused += 1
    assert refused > len(whole) // 14


def test_pickles_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "design.npz"
    design().save(path)
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    with path.open("wb") as file:
        np.savez(file, **{**parts, "prob": np.array([object()], dtype=object)})
    with pytest.raises(DesignError, match="allow_pickle"):
        LabelDesign.load(path)


def test_a_part_keeps_what_every_row_had() -> None:
    whole = design(stratum=np.array([0, 0, 1, 1]), prob=np.array([0.5, 0.5, 0.5, 0.5]))
    part = whole.subset([True, True, True, False])
    assert part.rows.tolist() == ["a", "b", "c"]
    assert (part.kind, part.fixed_size, part.kept) == ("stratified", True, None)  # the drawn rows are all there
    assert part.settings["part_of"] == {"fingerprint": whole.fingerprint, "rows": 4}
    for name in ("prob", "drawn", "stratum"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:3])
    assert whole.subset(whole.rows).fingerprint == whole.fingerprint
    units = design(
        stratum=None, unit=np.array([0, 0, 1, 1]), unit_prob=np.full(4, 0.7), drawn=np.array([True, True, False, True])
    )
    cut = units.subset(["d", "b"])
    assert cut.rows.tolist() == ["b", "d"]
    assert cut.unit is not None
    assert cut.unit_prob is not None
    assert cut.kept is not None
    assert (cut.unit.tolist(), cut.unit_prob.tolist(), cut.kept.tolist()) == ([0, 1], [0.7, 0.7], [0.5, 1.0])


def test_shares_of_strata_that_are_cut() -> None:
    data = pd.DataFrame({"g": np.repeat(["a", "b"], [40, 20])})
    whole = stratified(data, 30, by="g", allocation={"a": 20, "b": 10}, seed=1)
    mask = (np.arange(60) % 4 != 0) | (data["g"] == "b").to_numpy()
    part = whole.subset(mask)
    drawn = (whole.drawn & mask)[:40].sum()
    assert part.kept is not None
    np.testing.assert_allclose(part.kept, np.where(data["g"][mask] == "a", drawn / 20, 1.0))
    # in two steps as in one
    first = np.arange(60) != int(np.flatnonzero(whole.drawn & mask)[0])
    step, once = whole.subset(first).subset(mask[first]), whole.subset(mask & first)
    assert step.kept is not None
    assert once.kept is not None
    np.testing.assert_allclose(step.kept, once.kept)
    # without strata, and where rows were drawn one by one, nothing was fixed that is not
    assert simple_random(data, 30, seed=1).subset(mask).kept is None
    assert bernoulli(data, prob=0.5, seed=1).subset(mask).kept is None


def test_a_part_is_saved_too(tmp_path: Path) -> None:
    data = pd.DataFrame({"g": np.repeat(["a", "b"], [40, 20])})
    part = stratified(data, 30, by="g", allocation={"a": 20, "b": 10}, seed=1).subset(np.arange(60) % 3 > 0)
    part.save(tmp_path / "part.npz")
    assert_same(LabelDesign.load(tmp_path / "part.npz"), part)
    assert part.kept is not None


MASK = [True, False, True, False]
PARTS: dict[str, Any] = {
    "list": MASK,
    "array": np.array(MASK),
    "objects": np.array(MASK, dtype=object),
    "nullable": pd.Series(MASK, index=list("abcd"), dtype="boolean"),
    "series in another order": pd.Series(MASK[::-1], index=list("dcba")),
    "series of more rows": pd.Series([True, *MASK], index=list("zabcd")),
    "polars": pl.Series(MASK),
    "pyarrow": pa.chunked_array([MASK]),
    "labels": ["c", "a"],
    "index": pd.Index(["a", "c"]),
    "series of labels": pd.Series(["c", "a"]),
}


@pytest.mark.parametrize("kind", PARTS)
def test_parts_by_mask_and_by_label(kind: str) -> None:
    assert design().subset(PARTS[kind]).rows.tolist() == ["a", "c"]
    renumbered = design().subset(PARTS[kind], renumber=True)
    assert renumbered.rows.equals(pd.RangeIndex(2))
    assert renumbered.drawn.tolist() == [True, True]


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        ([True, False], DesignError, "mask has 2 values and the design 4 rows"),
        (pd.Series([True, False], index=["a", "b"]), DesignError, r"lacks 2 rows \(first: c, d\) of the design"),
        (pd.Series([*MASK, True], index=list("abcda")), DesignError, "repeated labels"),
        (
            pd.Series([True, None, True, False], index=list("abcd"), dtype="boolean"),
            DesignError,
            r"missing in 1 row \(first: b\)",
        ),
        ([False] * 4, DesignError, "none of the design's rows"),
        ([], DesignError, "none of the design's rows"),
        (["a", "e"], DesignError, r"1 row \(first: e\) of the part are not in the design"),
        (["a", "a"], DesignError, r"2 rows \(first: a, a\) of the part are named more than once"),
        ([1, 0, 1, 0], DesignError, "not in the design; a part is a mask of True and False"),
        ("a", ArgumentError, "part must be a mask.*found str"),
        (3, ArgumentError, "found int"),
        (pd.DataFrame({"a": MASK}), ArgumentError, "such as part.index; found DataFrame"),
    ],
)
def test_parts_that_are_none(part: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        design().subset(part)
    assert type(caught.value) is error
