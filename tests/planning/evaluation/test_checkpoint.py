"""Interrupted evaluations: the same numbers after resuming, nothing done twice, other files refused and left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from dsl import exceptions as e
from dsl import sampling
from dsl.data.fingerprint import fingerprint, table_fingerprint
from dsl.planning.evaluation.checkpoint import Checkpoint
from tests.archive import archive, quick

DRAWS = 0
STOP_AT = 0


def counting(data: pd.DataFrame, n_labels: int, rng: np.random.Generator) -> sampling.LabelDesign:
    """Simple random sampling that counts its draws, and is interrupted by the user at number `STOP_AT`."""
    global DRAWS
    DRAWS += 1
    if DRAWS == STOP_AT:
        raise KeyboardInterrupt
    return sampling.simple_random(data, n_labels, seed=rng)


CALL: dict[str, Any] = {"designs": {"counting": counting}, "replications": 5}


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    global DRAWS, STOP_AT
    DRAWS = STOP_AT = 0
    yield
    DRAWS = STOP_AT = 0


@pytest.fixture(scope="module")
def whole() -> pd.DataFrame:
    """The replications of an evaluation that was not interrupted."""
    return quick(**CALL).replications


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluation.jsonl"


@pytest.mark.parametrize("stop", [1, 5])
def test_resumed_after_an_interruption(path: Path, whole: pd.DataFrame, stop: int) -> None:
    global DRAWS, STOP_AT
    STOP_AT = stop
    with pytest.raises(KeyboardInterrupt):
        quick(**CALL, checkpoint=path)
    finished = path.read_text(encoding="utf-8").splitlines()[1:]
    assert sum(json.loads(line)["design"] == "counting" for line in finished) == stop - 1
    DRAWS = STOP_AT = 0
    again = quick(**CALL, checkpoint=path)
    assert 5 - (stop - 1) == DRAWS
    pd.testing.assert_frame_equal(again.replications, whole, check_exact=True)


def test_finished_evaluations_are_read(path: Path, whole: pd.DataFrame) -> None:
    quick(**CALL, checkpoint=path)
    content, done = path.read_bytes(), DRAWS
    again = quick(**CALL, checkpoint=str(path))
    assert done == DRAWS
    assert path.read_bytes() == content
    pd.testing.assert_frame_equal(again.replications, whole, check_exact=True)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_resumed_after_a_crash_in_the_middle_of_a_line(
    kept: Path, path: Path, whole: pd.DataFrame, share: float
) -> None:
    content = kept.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    again = quick(**CALL, checkpoint=path)
    pd.testing.assert_frame_equal(again.replications, whole, check_exact=True)
    assert sorted(path.read_bytes().splitlines()) == sorted(content.splitlines())


@pytest.mark.long
def test_more_budgets_and_replications(path: Path) -> None:
    quick(**CALL, checkpoint=path)
    done = DRAWS
    more = {**CALL, "replications": 6, "n_labels": [100, 60]}
    extended = quick(**more, checkpoint=path)
    assert DRAWS - done == 12 - 5
    pd.testing.assert_frame_equal(extended.replications, quick(**more).replications, check_exact=True)
    fewer = quick(**{**more, "replications": 3}, checkpoint=path)
    assert fewer.replications["replication"].max() == 3


def test_failures_are_kept(path: Path) -> None:
    call: dict[str, Any] = {"formula": "y ~ rare", "n_labels": 40, "replications": 10, "estimators": "gold_only"}
    first = quick(**call, checkpoint=path).replications
    assert first["failed"].notna().any()
    pd.testing.assert_frame_equal(quick(**call, checkpoint=path).replications, first, check_exact=True)


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "data": ({"data": archive().assign(x=lambda d: d["x"].where(d.index != "post7", 0.0))}, "data"),
    "rows": ({"data": archive().rename(index={"post7": "post-7"})}, "data"),
    "formula": ({"formula": "y ~ g"}, "formula"),
    "arguments": ({"sample_split": 2}, "arguments"),
    "learner": ({"sl_method": Ridge(alpha=0.5)}, "arguments"),
    "level": ({"alpha": 0.1}, "arguments"),
    "truth": ({"truth": {"x": 0.5}}, "truth"),
    "seed": ({"seed": 2}, "seed"),
    "designs": ({"designs": {"counting": "bernoulli"}}, "designs"),
    "estimators": (
        {"estimators": {"gold_only": "gold_only", "dsl": {"estimator": "dsl", "vcov": "HC1"}}},
        "estimators",
    ),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "evaluation.jsonl"
    quick(**CALL, checkpoint=path)
    return path


@pytest.mark.parametrize("case", OTHERS)
def test_other_evaluations_are_refused(kept: Path, case: str) -> None:
    other, what = OTHERS[case]
    content = kept.read_bytes()
    with pytest.raises(e.CheckpointError, match=rf"belongs to another evaluation: (.*, )?{what}(, .*)? differs?\."):
        quick(**{**CALL, **other}, checkpoint=kept)
    assert kept.read_bytes() == content


def test_other_versions_are_refused(kept: Path, path: Path) -> None:
    header, *lines = kept.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(json.dumps({**json.loads(header), "version": "0.0.9"}) + "\n" + "".join(lines), encoding="utf-8")
    with pytest.raises(e.CheckpointError, match=r"version differs \(it was made by dsl 0\.0\.9\)"):
        quick(**CALL, checkpoint=path)


def drop(key: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        return json.dumps({name: value for name, value in json.loads(line).items() if name != key})

    return change


@pytest.mark.parametrize("damage", [lambda line: line[:-5], lambda line: "[1]", lambda line: "", drop("n_labels")])
def test_damaged_lines_are_refused(kept: Path, path: Path, damage: Callable[[str], str]) -> None:
    lines = kept.read_text(encoding="utf-8").splitlines()
    lines[3] = damage(lines[3])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(e.CheckpointError, match=r"line 4 of the checkpoint .* is damaged"):
        quick(**CALL, checkpoint=path)


def test_a_file_of_format_1_is_refused_with_the_way_over(path: Path) -> None:
    content = '{"format": "dsl evaluation 1", "seed": "5a"}\n{"design": "srs", "budget": 100, "replication": 1}\n'
    path.write_text(content)
    with pytest.raises(e.CheckpointError, match=r"format 1.*budgets is n_labels now.*name another file"):
        quick(**CALL, checkpoint=path)
    assert path.read_text() == content


@pytest.mark.parametrize("content", [b"id,label\n1,0\n", b"thesis", b"\x89PNG\r\n\x1a\n", b'{"format": "other"}\n'])
def test_other_files_are_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(e.CheckpointError, match="is no checkpoint"):
        quick(**CALL, checkpoint=path)
    assert path.read_bytes() == content


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(e.CheckpointError, match=r"cannot be opened \(No such file or directory\)"):
        quick(**CALL, checkpoint=tmp_path / "none" / "evaluation.jsonl")


SCRIPT = """
import sys
from tests.archive import quick
if __name__ == "__main__":
    quick(replications=2000, checkpoint=sys.argv[1], n_jobs=2)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends SIGINT to no single process")
@pytest.mark.long
def test_interrupted_by_the_keyboard_with_two_processes(path: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(script), str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as running:
        patience = time.monotonic() + 600
        while time.monotonic() < patience and (not path.exists() or path.read_bytes().count(b"\n") < 8):
            assert running.poll() is None, running.communicate()[1]
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        error = running.communicate(timeout=600)[1]
    assert running.returncode != 0
    assert "KeyboardInterrupt" in error
    finished = path.read_bytes().count(b"\n") - 1
    assert 7 <= finished < 2000
    few = quick(replications=5, checkpoint=path)
    pd.testing.assert_frame_equal(few.replications, quick(replications=5).replications, check_exact=True)


def scaled(factor: float) -> Callable[[int], float]:
    return lambda n_labels: factor * n_labels


class Plan:
    """A design's settings."""

    __slots__ = ("share", "sizes")

    def __init__(self, share: float, sizes: Any) -> None:
        self.share, self.sizes = share, sizes


PAIRS: list[tuple[Any, Any]] = [
    (scaled(1.0), scaled(2.0)),
    (lambda n, k=1: n + k, lambda n, k=2: n + k),
    (lambda n: [j for j in range(n)], lambda n: [j + 1 for j in range(n)]),
    (partial(max, 1), partial(max, 2)),
    (partial(max, 1), partial(min, 1)),
    (Ridge(alpha=1.0), Ridge(alpha=2.0)),
    (Plan(0.1, [1]), Plan(0.1, [2])),
    (Plan(0.1, [1]).__init__, Plan(0.2, [1]).__init__),
    (np.arange(3), np.arange(3.0)),
    (np.array([["a"]], dtype=object), np.array([["b"]], dtype=object)),
    (pd.Series([1.0, 2.0]), pd.Series([1.0, 3.0])),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    ({1, 2}, {1, 3}),
    (np.float64(0.1), np.float64(0.2)),
    (Path("a"), Path("b")),
    (b"a", b"b"),
    (None, False),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(type(pair[0]).__name__))
def test_fingerprints_tell_things_apart(pair: tuple[Any, Any]) -> None:
    one, other = pair
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def test_fingerprints_of_equal_things() -> None:
    assert fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    assert fingerprint(Ridge()) == fingerprint(Ridge())
    assert fingerprint(np.float64(0.5)) == fingerprint(0.5)
    loop: list[Any] = []
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)


@pytest.mark.long
def test_fingerprints_last_beyond_the_session() -> None:
    """Nothing in them depends on addresses, or on the random order of sets."""
    check = (
        "from tests.planning.evaluation.test_checkpoint import PAIRS, archive, fingerprint, table_fingerprint;"
        "print([fingerprint(one) for one, _ in PAIRS], table_fingerprint(archive()))"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", check],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert run.stdout == f"{[fingerprint(one) for one, _ in PAIRS]} {table_fingerprint(archive())}\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.rename(columns={"x": "z"}),
        lambda d: d.iloc[::-1],
        lambda d: d.set_axis(range(len(d))),
        lambda d: d.assign(g=d["g"].astype("category")),
        lambda d: d.assign(rare=d["rare"].astype(int)),
        lambda d: d.drop(columns="g"),
    ],
)
def test_tables_are_told_apart(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    table = archive().assign(e=[np.array([1.0, j]) for j in range(len(archive()))])
    assert table_fingerprint(change(table)) != table_fingerprint(table)
    assert table_fingerprint(table.copy()) == table_fingerprint(table)


@pytest.mark.long
def test_one_evaluation_at_a_time(path: Path) -> None:
    """A second one would cut off, as incomplete, the line that the first is writing."""
    header = {"version": "1"}
    with Checkpoint(path=path, header=header) as one:
        one.add(("srs", 100, 0), {"estimate": 1.0})
        before = path.read_bytes()
        code = f"""
from pathlib import Path
from dsl.planning.evaluation.checkpoint import Checkpoint
with Checkpoint(path=Path({str(path)!r}), header={header!r}):
    pass
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert "CheckpointError: another process works with the checkpoint" in done.stderr
        with pytest.raises(e.CheckpointError, match="another process"), Checkpoint(path=path, header=header):
            pass
        assert path.read_bytes() == before
        one.add(("srs", 100, 1), {"estimate": 2.0})
    with Checkpoint(path=path, header=header) as again:
        assert again.finished == {("srs", 100, 0): {"estimate": 1.0}, ("srs", 100, 1): {"estimate": 2.0}}
