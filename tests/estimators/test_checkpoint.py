"""Runs over rows in blocks that are interrupted, and go on after their last finished pass with the same numbers."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import dsl
from dsl import exceptions as e
from dsl.estimators.checkpoint import Checkpoint, Tape, sketch

from ..streams import Again, table

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

CALL: dict[str, Any] = {
    "formula": "y ~ x + g",
    "predicted_var": "y",
    "prediction": ["llm", "score"],
    "model": "logit",
    "sample_split": 2,
    "cross_fit": 3,
    "sl_method": "ridge",
    "sample_prob": "pi",
}


class Stopping(Again):
    """Blocks of a table, of which the reader is interrupted in the n-th pass, after its first block."""

    def __init__(self, data: pd.DataFrame, stop: int | None = None, size: int = 300) -> None:
        super().__init__(data, size)
        self.stop, self.passes = stop, 0

    def __iter__(self) -> Iterator[pd.DataFrame]:
        self.passes += 1
        for block in super().__iter__():
            yield block
            if self.passes == self.stop:
                raise KeyboardInterrupt


def equal(found: dsl.DSLResults, known: dsl.DSLResults) -> None:
    """Every number is the same to the last bit."""
    assert found.params.tolist() == known.params.tolist()
    assert found.core.vcov.tolist() == known.core.vcov.tolist()
    assert found.core.splits.params.tolist() == known.core.splits.params.tolist()
    assert found.core.splits.behind.tolist() == known.core.splits.behind.tolist()
    assert found.fit_quality.equals(known.fit_quality)


def run(source: Any, file: Path | None = None, **changes: Any) -> dsl.DSLResults:
    return dsl.dsl(**{**CALL, **changes}, data=source, checkpoint=file)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def whole(data: pd.DataFrame) -> tuple[dsl.DSLResults, int]:
    """The run that nothing interrupts, and how often it reads."""
    source = Stopping(data)
    return run(source), source.passes


@pytest.fixture(scope="module")
def begun(data: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a run that was interrupted in its seventh reading, which is its sixth pass."""
    file = tmp_path_factory.mktemp("begun") / "run.ckpt"
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        run(Stopping(data, stop=7), file)
    return file.read_bytes()


def test_an_interrupted_run_goes_on(
    data: pd.DataFrame, whole: tuple[dsl.DSLResults, int], begun: bytes, tmp_path: Path, capfd: Any
) -> None:
    file = tmp_path / "run.ckpt"
    file.write_bytes(begun)
    source = Stopping(data)
    equal(run(source, file, progress=True), whole[0])
    # a look at the columns, the first pass, and what was left
    assert source.passes == 2 + whole[1] - 6
    said = capfd.readouterr().err
    assert "passes up to 5 are in" in said
    assert "pass 6:" in said
    assert "pass 5:" not in said
    # all of it is there now
    again = Stopping(data)
    equal(run(again, file), whole[0])
    assert again.passes == 2


def test_interrupted_again_and_again(data: pd.DataFrame, whole: tuple[dsl.DSLResults, int], tmp_path: Path) -> None:
    file, threads = tmp_path / "run.ckpt", threading.enumerate()
    # the pass for products, another, and none that is finished
    for stop in (2, 4, 3, 4):
        with pytest.raises(KeyboardInterrupt):
            run(Stopping(data, stop=stop), file)
    assert threading.enumerate() == threads
    equal(run(Stopping(data), file), whole[0])


OTHERS: dict[str, dict[str, Any]] = {
    "tuned": {"tune": "coef", "model": "lm", "vcov": "design+HC3"},
    "effects": {"formula": "y ~ x | year + g", "model": "felm", "vcov": "design"},
    "ppi++": {"estimator": "ppi++", "prediction": "llm", "sample_prob": None},
    "HC3": {"vcov": "HC3", "model": "lm", "use_t": True},
    "finite": {"target": "finite", "model": "lm"},
    "dsl+": {"estimator": "dsl+", "cluster": "cl", "vcov": "design", "model": "lm"},
    "cdi": {"estimator": "cdi", "prediction": "llm", "model": "lm"},
    "naive": {"estimator": "naive", "prediction": "llm", "model": "lm", "sample_prob": None},
    "gold_only": {"estimator": "gold_only"},
}
QUICK = ("tuned", "effects", "ppi++")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in OTHERS]
)
def test_other_estimators(name: str, data: pd.DataFrame, tmp_path: Path) -> None:
    changes = {"sl_method": "lm", **OTHERS[name]}
    uncut = Stopping(data)
    known = run(uncut, **changes)
    if (stop := uncut.passes) > 2:
        with pytest.raises(KeyboardInterrupt):
            run(Stopping(data, stop=stop), tmp_path / "run.ckpt", **changes)
    source = Stopping(data)
    found = run(source, tmp_path / "run.ckpt", **changes)
    assert found.params.tolist() == known.params.tolist()
    assert found.core.vcov.tolist() == known.core.vcov.tolist()
    # the last pass alone was missing. Sums over levels of two factors, in two passes, are not kept
    assert source.passes == (5 if name == "effects" else min(3, stop))


CHILD = """
import json, sys, threading, time, warnings
from pathlib import Path
import dsl
from tests.streams import Again, table

warnings.simplefilter("ignore")

class Slow(Again):
    passes = 0

    def __iter__(self):
        self.passes += 1
        for block in super().__iter__():
            yield block
            if self.passes == 7:
                print("ready", flush=True)
                time.sleep(60.0)

try:
    dsl.dsl(**json.loads(sys.argv[2]), data=Slow(table(), 300), checkpoint=Path(sys.argv[1]))
except KeyboardInterrupt as stopped:
    print(stopped)
    print(sorted(each.name for each in threading.enumerate()))
    sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, getattr(signal, "SIGKILL", signal.SIGTERM)], ids=["INT", "KILL"])
def test_a_process_that_is_stopped(
    number: signal.Signals, data: pd.DataFrame, whole: tuple[dsl.DSLResults, int], tmp_path: Path
) -> None:
    file, root = tmp_path / "run.ckpt", Path(__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(file), json.dumps(CALL)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said, _ = process.communicate(timeout=120.0)
    if number == signal.SIGINT:
        assert process.returncode == 3
        assert f"finished passes are in '{file}'" in said
        assert "['MainThread']" in said
    else:
        assert process.returncode == -number
    assert [each.name for each in tmp_path.iterdir()] == ["run.ckpt"]
    source = Stopping(data)
    equal(run(source, file), whole[0])
    assert source.passes == 2 + whole[1] - 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 5}, ["another run", "seed differs"]),
        ({"formula": "y ~ x", "model": "lm"}, ["formula, model differ"]),
        ({"cluster": "cl"}, ["cluster"]),
        ({"memory": 400_000}, ["memory differs"]),
        ({"formula": "y ~ x + shifted(x)"}, ["formula", "'shifted' in the formula"]),
    ],
)
def test_another_call_is_refused_before_reading(
    changes: dict[str, Any], words: list[str], data: pd.DataFrame, begun: bytes, tmp_path: Path
) -> None:
    def shifted(x: Any) -> Any:
        return x + 1.0

    assert shifted(0.0) == 1.0
    file = tmp_path / "run.ckpt"
    file.write_bytes(begun)
    source = Stopping(data)
    with pytest.raises(e.CheckpointError) as caught:
        dsl.dsl(**{**CALL, **changes}, data=source, checkpoint=file)
    assert all(word in str(caught.value) for word in [*words, "repeat the call", "name another file"]), caught.value
    assert file.read_bytes() == begun
    assert source.passes == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": lambda d: d["x"].mask(d.index == 712, 0.123)}, "other values in 'x'"),
        ({"g": lambda d: d["g"].where(d.index != 3, "c")}, "in 'g'"),
    ],
)
def test_other_data_are_refused(
    change: dict[str, Any], words: str, data: pd.DataFrame, begun: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "run.ckpt"
    file.write_bytes(begun)
    with pytest.raises(e.CheckpointError, match=words):
        run(Stopping(data.assign(**change)), file)
    with pytest.raises(e.CheckpointError, match="899 rows, and those had 900"):
        run(Stopping(data.iloc[:-1]), file)
    with pytest.raises(e.CheckpointError, match="blocks of other sizes"):
        run(Stopping(data, size=450), file)
    assert file.read_bytes() == begun


def test_another_version_is_refused(data: pd.DataFrame, begun: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    file.write_bytes(begun)
    with np.load(file) as arrays:
        kept = dict(arrays)
    about = json.loads(kept["about"].tobytes())
    about["versions"]["dsl"] = "0.0.9"
    np.savez(tmp_path / "old.npz", **{**kept, "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)})
    with pytest.raises(e.CheckpointError, match=r"dsl was 0\.0\.9 and is .*finish it with these versions"):
        run(Stopping(data), tmp_path / "old.npz")


class Noisy(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A learner that says something else each time."""

    drawn = np.random.default_rng(1)

    def fit(self, x: Any, y: Any) -> "Noisy":
        return self

    def predict(self, x: Any) -> Any:
        return self.drawn.normal(size=len(x))


def test_a_learner_that_differs_each_time_is_refused(data: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        run(Stopping(data, stop=4), file, sl_method=Noisy(), model="lm")
    with pytest.raises(e.CheckpointError, match=r"labelled rows are not those .* Give it a seed"):
        run(Stopping(data), file, sl_method=Noisy(), model="lm")


def test_what_is_no_checkpoint_stays_as_it_is(data: pd.DataFrame, begun: bytes, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    for content, words in ((b"my notes", "is no checkpoint"), (b"", "is no checkpoint"), (begun[:-500], "cannot be")):
        other.write_bytes(content)
        with pytest.raises(e.CheckpointError, match=words):
            run(Stopping(data), other)
        assert other.read_bytes() == content
    np.savez(tmp_path / "a.npz", x=np.ones(2))
    with pytest.raises(e.CheckpointError, match="is no checkpoint"):
        run(Stopping(data), tmp_path / "a.npz")
    with pytest.raises(e.FileError, match="no folder"):
        run(Stopping(data), tmp_path / "none" / "run.ckpt")
    with pytest.raises(e.ArgumentError, match="read in blocks"):
        run(data, tmp_path / "run.ckpt")


def test_a_full_disk_keeps_the_last_good_one(
    data: pd.DataFrame, whole: tuple[dsl.DSLResults, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, written = tmp_path / "run.ckpt", 0
    replace = __import__("os").replace

    def full(*paths: Any) -> None:
        nonlocal written
        written += 1
        if written > 4:
            raise OSError(28, "No space left on device")
        replace(*paths)

    monkeypatch.setattr("dsl.data.files.os.replace", full)
    with pytest.warns(e.CheckpointWarning, match="No space left"):
        equal(run(Stopping(data), file), whole[0])
    monkeypatch.undo()
    source = Stopping(data)
    equal(run(source, file), whole[0])
    # products and sums of squares were kept
    assert source.passes == 2 + whole[1] - 4
    assert [each.name for each in tmp_path.iterdir()] == ["run.ckpt"]


def test_errors_within_a_pass_are_made_again() -> None:
    def fails() -> Any:
        raise ValueError("no")

    first = Tape()
    with pytest.raises(ValueError, match="no"):
        first("a", fails)
    # a pass within a pass belongs to it
    first("b", lambda: (first("c", lambda: (np.ones(1),))[0] + 1.0,))
    again = Tape([*first.sums])
    with pytest.raises(ValueError, match="no"):
        again("a", fails)
    assert again("b", fails)[0].tolist() == [2.0]
    with pytest.raises(e.CheckpointError, match="was 'b'"):
        Tape([*first.sums[1:]])("a", fails)


def test_without_a_file_nothing_is_kept() -> None:
    nothing = Checkpoint()
    assert nothing.tape("split 0")("a", lambda: (np.ones(1),))[0].tolist() == [1.0]
    nothing.save(3)
    assert sketch([]).shape == (0, 3)
