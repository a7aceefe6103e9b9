"""The log: what is written, crashes at any moment, tampering, resuming."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.sampling.adaptive import AdaptiveDesign
from dsl.sampling.adaptive.log import FIRST, Log, packed, unpacked

ROWS, LABELS = 200, 63
FORMULA = "y ~ x"


def small() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=ROWS)
    truth = (rng.random(ROWS) < 1 / (1 + np.exp(-x))) * 1.0
    llm = np.where(rng.random(ROWS) < 0.8, truth, 1 - truth)
    return pd.DataFrame({"llm": llm, "x": x}), pd.Series(truth, name="y")


def begin(log: Path | None, **arguments: Any) -> AdaptiveDesign:
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "error_model": "lm", "n_labels": LABELS}
    return AdaptiveDesign(FORMULA, small()[0], **{**call, "batches": 3, "seed": 2, "log": log, **arguments})


def answer(batch: pd.DataFrame) -> pd.Series:
    return small()[1][batch.index]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A finished log: header, three batches, their labels."""
    path = tmp_path_factory.mktemp("finished") / "adaptive.log"
    begin(path).run(answer)
    return path.read_bytes()


@pytest.fixture
def log(finished: bytes, tmp_path: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "adaptive.log"
    path.write_bytes(finished)
    return path


@pytest.fixture(scope="module")
def expected() -> str:
    return begin(None).run(answer).design().fingerprint


def test_every_event_is_a_line(log: Path) -> None:
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [event["kind"] for event in events] == ["header", *["batch", "labels"] * 3]
    header, first, labels = events[:3]
    assert header["settings"]["seed"] == 2
    assert header["settings"]["sizes"] == [21, 21, 21]
    np.testing.assert_allclose(unpacked(first["prob"], ROWS), 21 / ROWS)
    assert labels["labels"]["y"] == small()[1][first["rows"]].tolist()
    assert len({event["chain"] for event in events}) == 7


def test_a_log_changes_no_number(log: Path, expected: str) -> None:
    assert AdaptiveDesign.resume(log, small()[0]).design().fingerprint == expected


@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.long
def test_resume_is_where_the_log_ends(log: Path, recompute: bool) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    data, gold = small()
    whole = begin(None).run(answer)
    for count in range(1, 8):
        log.write_bytes(b"".join(lines[:count]))
        again = AdaptiveDesign.resume(log, data, recompute=recompute)
        assert again.status().batch == (count - 1) // 2
        assert (again.status().waiting > 0) == (count % 2 == 0)
        pd.testing.assert_series_equal(again.data["y"].dropna(), gold[again.data["y"].notna()])
        again.run(answer)
        assert again.design().fingerprint == whole.design().fingerprint
        pd.testing.assert_frame_equal(again.history, whole.history)
    times = [json.loads(line).pop("time") for line in log.read_text(encoding="utf-8").splitlines()]
    assert times == sorted(times)


def test_a_waiting_batch_is_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    one = begin(path).next_batch()
    two = AdaptiveDesign.resume(path, small()[0]).next_batch()
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.long
def test_an_incomplete_last_line_is_cut_off(log: Path, expected: str) -> None:
    """A crash leaves the beginning of a line, of whatever length; all before it stands."""
    lines = log.read_bytes().splitlines(keepends=True)
    for count in (2, 3, 6):
        for length in (1, len(lines[count]) // 2, len(lines[count]) - 1):
            log.write_bytes(b"".join(lines[:count]) + lines[count][:length])
            with pytest.warns(e.LogWarning, match="incomplete.*given again"):
                again = AdaptiveDesign.resume(log, small()[0])
            assert log.read_bytes() == b"".join(lines[:count])
            assert again.run(answer).design().fingerprint == expected


def test_an_incomplete_header_is_no_log(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:50])
    with pytest.raises(e.LogError, match=r"no complete line.*begin anew"):
        AdaptiveDesign.resume(log, small()[0])


def edit(line: int, change: Callable[[dict[str, Any]], None]) -> Callable[[list[bytes]], list[bytes]]:
    """Change one event and leave its hash."""

    def edited(lines: list[bytes]) -> list[bytes]:
        event = json.loads(lines[line])
        change(event)
        return [*lines[:line], json.dumps(event).encode() + b"\n", *lines[line + 1 :]]

    return edited


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "label": edit(2, lambda event: event["labels"]["y"].__setitem__(0, 1 - event["labels"]["y"][0])),
    "last label": edit(6, lambda event: event["labels"]["y"].__setitem__(0, 1 - event["labels"]["y"][0])),
    "probability": edit(3, lambda event: event.update(prob=packed(np.full(ROWS, 0.1)))),
    "rows": edit(3, lambda event: event["rows"].reverse()),
    "seed": edit(0, lambda event: event["settings"].update(seed=3)),
    "time": edit(5, lambda event: event.update(time="2000-01-01T00:00:00+00:00")),
    "line out": lambda lines: [*lines[:3], *lines[5:]],
    "lines swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "line twice": lambda lines: [*lines[:3], *lines[2:]],
    "noise": lambda lines: [*lines[:3], b"\x00\xff\n", *lines[3:]],
    "hash": lambda lines: [*lines[:6], lines[6].replace(lines[6][-10:-3], b"0000000")],
    "blank line": lambda lines: [*lines[:4], b"\n", *lines[4:]],
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_changed_log_is_refused(log: Path, case: str) -> None:
    changed = b"".join(TAMPERED[case](log.read_bytes().splitlines(keepends=True)))
    log.write_bytes(changed)
    with pytest.raises(e.LogError, match=r"line [1-7] of '.*restore|line [1-7] of '.*Restore"):
        AdaptiveDesign.resume(log, small()[0], recompute=False)
    assert log.read_bytes() == changed


def forge(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Write the log anew, with hashes that fit."""
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(events)
    path.write_bytes(b"")
    log = Log(path, FIRST, 0)
    for event in events:
        log.append(event["kind"], {name: event[name] for name in event if name not in ("kind", "time", "chain")})


FORGED: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "probability": (
        lambda events: events[3].update(prob=packed(1.01 * unpacked(events[3]["prob"], ROWS))),
        "probabilities of batch 2 do not follow",
    ),
    "label": (
        lambda events: events[2]["labels"]["y"].__setitem__(0, 1 - events[2]["labels"]["y"][0]),
        "probabilities of batch 2 do not follow",
    ),
    "seed": (lambda events: events[0]["settings"].update(seed=3), "rows of batch 1 are not those"),
    "rows": (lambda events: events[1]["rows"].__setitem__(0, 199), "rows of batch 1 are not those"),
    "order": (lambda events: events.insert(1, events.pop(2)), "not waiting"),
    "another batch": (lambda events: events.append(events[5]), "where that cannot be"),
    "missing label": (lambda events: events[2]["labels"]["y"].pop(), "not one label for each row"),
    "kind": (lambda events: events[2].update(kind="note"), "cannot be read"),
    "format": (lambda events: events[0].update(format=99, version="9.9"), r"format 99, written by dsl 9\.9"),
    "other file": (lambda events: events[0].update(made_by="me"), "not the log of an adaptive design"),
    "formula": (lambda events: events[0]["settings"].update(formula="y ~ x + I(x^2)"), "do not follow"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_log_does_not_follow_from_seed_and_labels(log: Path, case: str) -> None:
    change, message = FORGED[case]
    forge(log, change)
    with pytest.raises(e.LogError, match=message):
        AdaptiveDesign.resume(log, small()[0])


def test_forging_helper_keeps_an_honest_log(log: Path, expected: str) -> None:
    forge(log, lambda events: None)
    assert AdaptiveDesign.resume(log, small()[0]).design().fingerprint == expected


OTHER: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "value": lambda d: d.assign(x=d["x"].where(d.index != 3, 0.0)),
    "surrogate": lambda d: d.assign(llm=1 - d["llm"]),
    "order": lambda d: d.iloc[::-1],
    "row labels": lambda d: d.set_axis(range(1, ROWS + 1)),
    "more rows": lambda d: pd.concat([d, d], ignore_index=True),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_data_are_refused(log: Path, case: str) -> None:
    with pytest.raises(e.LogError, match="belongs to other data"):
        AdaptiveDesign.resume(log, OTHER[case](small()[0]))


def test_columns_that_are_not_used_may_change(log: Path, expected: str) -> None:
    again = AdaptiveDesign.resume(log, small()[0].assign(note="seen"))
    assert again.design().fingerprint == expected


def test_two_processes_cannot_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    one = begin(path)
    one.next_batch()
    two = AdaptiveDesign.resume(path, small()[0])
    two.add_labels(answer(two.next_batch()))
    before = path.read_bytes()
    with pytest.raises(e.LogError, match="another process"):
        one.add_labels(answer(one.next_batch()))
    assert path.read_bytes() == before
    assert one.status().batch == 0  # nothing counts that is not on the disk


def test_paths(tmp_path: Path, log: Path) -> None:
    with pytest.raises(e.LogError, match=r"exists already.*AdaptiveDesign\.resume"):
        begin(log)
    with pytest.raises(e.LogError, match="cannot be written"):
        begin(tmp_path / "no" / "log")
    with pytest.raises(e.LogError, match="cannot be read"):
        AdaptiveDesign.resume(tmp_path / "none", small()[0])
    other = tmp_path / "other"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(e.LogError, match=r"line 1 of '.*no event"):
        AdaptiveDesign.resume(other, small()[0])


KILLED = """
import os, resource, signal, sys
from pathlib import Path
from dsl.sampling.adaptive import AdaptiveDesign
from tests.sampling.adaptive.test_log import answer, begin, small
import warnings

def work(path):
    warnings.simplefilter("ignore")
    path.exists() and AdaptiveDesign.resume(path, small()[0]).run(answer) or begin(path).run(answer)

def child(prepare, path):
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        prepare()
        work(path)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

def at_sync(number):
    '''SIGKILL as the number-th event is being made durable.'''
    def prepare():
        sync, calls = os.fsync, []
        def fsync(file):
            calls.append(file)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(file)
        os.fsync = fsync
    return prepare

def at_byte(number):
    '''The kernel kills the process within a write, when the file has this many bytes.'''
    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    return prepare

folder = Path(sys.argv[1])
begin(folder / "whole").run(answer)
size = (folder / "whole").stat().st_size
header = len((folder / "whole").read_bytes().splitlines(keepends=True)[0])
points = [(f"sync {n}", at_sync(n), signal.SIGKILL) for n in range(3, 9)]  # 1, 2: the new file's own
points += [(f"byte {n}", at_byte(n), signal.SIGXFSZ) for n in range(header + 1, size, size // 5)]
for name, prepare, signum in points:
    path = folder / name
    killed = child(prepare, path)
    assert killed == signum, (name, killed)
    work(path)
    design = AdaptiveDesign.resume(path, small()[0], recompute=False).design()
    print(name, design.n_drawn, design.fingerprint)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed in forks")
@pytest.mark.long
def test_killed_at_any_moment(tmp_path: Path, expected: str) -> None:
    """Killed at every event, and within writes, by the kernel: the resumed design is the same, and no label is lost."""
    out = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # no threads to fork
    )
    assert out.returncode == 0, out.stderr
    lines = out.stdout.splitlines()
    assert len(lines) >= 10
    for line in lines:
        assert line.endswith(f" {LABELS} {expected}"), line


FORMAT_1 = (
    '{"kind": "header", "format": 1, "made_by": "dsl adaptive design", "version": "0.1.0", '
    '"data": "c5e2991054d5b8798c32c108419b7b81", "rows": 40, "settings": {"formula": "y ~ x + z", '
    '"predicted_var": ["y"], "prediction": ["f"], "feature": [], "confidence": [], "cluster": null, '
    '"model": "lm", "family": "gaussian", "sl_method": "lm", "error_model": "lm", "cross_fit": 5, '
    '"target": ["x"], "criterion": "worst", "sizes": [20, 10], "tau": 0.1, "floor": 0.1, "robust": true, '
    '"target_se": {"x": 0.001}, "codebook": {}, "seed": 1}, "time": "2026-11-27T07:20:06+00:00", '
    '"chain": "962a59e33e553e0cabe982a5d0ccf405acf054f16f0ca356de487330f61056a7"}\n'
    '{"kind": "batch", "batch": 1, "rows": [2, 5, 8, 11, 13, 14, 16, 17, 18, 19, 22, 23, 24, 27, 29, 30, 31, 37, '
    '38, 39], "rho": {}, "relative_variance": {}, "note": "", "prob": "eJxjYACBB/YMozRZNACmTSzZ", '
    '"time": "2026-11-27T07:20:06+00:00", "chain": "8dca1c011bc24e5f720113439e3e1960cb5ca3393816b88f8539e9cfe9953'
    '504"}\n'
    '{"kind": "labels", "batch": 1, "labels": {"y": [2.0, 3.0, 0.0, 1.0, 3.0, 2.0, 0.0, 3.0, 3.0, 1.0, 2.0, 1.0, '
    '1.0, 2.0, 3.0, 3.0, 1.0, 3.0, 2.0, 2.0]}, "time": "2026-11-27T07:20:06+00:00", '
    '"chain": "9a0ef7902e9ab9638de912d757463e97f38897d2923460e17c6bf5be4a53ab30"}\n'
)
"""A log of format 1, where the coefficients aimed at were called ``target``, their standard errors ``target_se``."""


def test_a_log_of_format_1_reads_and_goes_on(tmp_path: Path) -> None:
    i = np.arange(40)
    data = pd.DataFrame({"x": i % 5, "z": (i * 7) % 11, "f": (i * 3) % 4})
    gold = pd.Series((i * 3) % 4 + (i % 3 == 0), name="y").astype(float)
    path = tmp_path / "old.log"
    path.write_text(FORMAT_1)
    again = AdaptiveDesign.resume(path, data)
    assert (again.settings.coefficient, again.settings.se, again.settings.n_labels) == (["x"], {"x": 0.001}, 30)
    assert again.status().n_labeled == 20
    now = {"coefficient": "x", "se": {"x": 0.001}, "n_labels": 30, "batches": 2, "seed": 1}
    call = {"predicted_var": "y", "prediction": "f", "sl_method": "lm", "error_model": "lm", **now}
    anew = AdaptiveDesign("y ~ x + z", data, **call).run(lambda batch: gold[batch.index])
    assert again.run(lambda batch: gold[batch.index]).design().fingerprint == anew.design().fingerprint
    assert AdaptiveDesign.resume(path, data).status() == anew.status()


@pytest.mark.parametrize("gone", ["file", "folder in its place"])
def test_a_log_that_cannot_be_written_records_nothing(tmp_path: Path, gone: str, expected: str) -> None:
    """The labels do not count until they are on the disk, and are taken once the file is back."""
    path = tmp_path / "log"
    design = begin(path)
    batch, kept = design.next_batch(), path.read_bytes()
    path.unlink()
    if gone != "file":
        path.mkdir()
    with pytest.raises(
        e.LogError, match=r"cannot be written \(.+\), so that nothing was recorded; make room or restore"
    ):
        design.add_labels(answer(batch))
    assert design.status().batch == 0
    if gone != "file":
        path.rmdir()
    path.write_bytes(kept)
    design.run(answer)
    assert AdaptiveDesign.resume(path, small()[0]).design().fingerprint == expected


def forged(log: Path, tmp_path: Path, formula: str) -> Path:
    """The log with another formula, and the chain that a forger would compute."""
    header = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    header["settings"]["formula"] = formula
    made = Log.create(
        tmp_path / "forged.log", {name: v for name, v in header.items() if name not in ("kind", "time", "chain")}
    )
    return made.path


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + np.f2py.os.system('touch OWNED')",
        "y ~ x + I(data.to_csv('OWNED'))",
        "y ~ x + os.system('touch OWNED')",
        "y ~ x + np.log.__class__(x)",
        "y ~ x + contr.treatment.__init__(x)",
        "y ~ x + open('OWNED', 'w')",
    ],
)
def test_a_log_is_no_way_to_run_code(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formula: str) -> None:
    monkeypatch.chdir(tmp_path)
    data = small()[0]
    with pytest.raises(e.FormulaError, match=r"is unknown|may not call"):
        AdaptiveDesign.resume(forged(log, tmp_path, formula), data)
    assert not (tmp_path / "OWNED").exists()


def test_a_trusted_log_calls_the_functions_of_the_caller(tmp_path: Path) -> None:
    def doubled(x: pd.Series) -> pd.Series:
        return 2 * x

    data, path = small()[0], tmp_path / "own.log"
    begun = AdaptiveDesign(
        "y ~ doubled(x)", data, predicted_var="y", prediction="llm", sl_method="lm", n_labels=80, batches=2, log=path
    )
    begun.add_labels(answer(begun.next_batch()))
    with pytest.raises(e.FormulaError, match=r"calls 'doubled'.*own\.log.*trusted=True"):
        AdaptiveDesign.resume(path, data)
    again = AdaptiveDesign.resume(path, data, trusted=True)
    assert again.status() == begun.status()
    # another formula is the caller's own, whatever the log's may use
    fit = AdaptiveDesign.resume(path, data, trusted=True).estimate(formula="y ~ np.sinc(x)", sample_split=1)
    assert fit.params.index.tolist() == ["Intercept", "np.sinc(x)"]


RACING = """
import sys, time
from pathlib import Path
from dsl.exceptions import LogError
from dsl.sampling.adaptive.log import Log

opened = Path.open
def slowly(path, *how):
    # time for the other process between a look at the file's length and the write
    file = opened(path, *how)
    write = file.write
    file.write = lambda line: (time.sleep(0.02), write(line))[1]
    return file

for line in sys.stdin:
    log, _ = Log.read(line.strip())
    print("ready", flush=True)
    sys.stdin.readline()
    Path.open = slowly
    try:
        log.append("labels", {"by": sys.argv[1]})
        print("written", flush=True)
    except LogError as error:
        print("refused" if "another process" in str(error) else error, flush=True)
    Path.open = opened
"""


@pytest.mark.long
def test_of_two_writers_one_is_refused(tmp_path: Path) -> None:
    """Two processes that append at the same moment: one line is there, the other process knows that its line is not."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACING, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for name in "ab"
    ]

    def tell(line: str) -> list[str]:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(f"{line}\n")
        return [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]

    for race in range(20):
        path = Log.create(tmp_path / f"{race}.log", {"settings": {}}).path
        assert tell(str(path)) == ["ready", "ready"]
        told = tell("go")
        assert sorted(told) == ["refused", "written"]
        _, events = Log.read(path)  # the chain holds
        assert [event.get("by") for event in events] == [None, "ab"[told.index("written")]]
    for racer in racers:
        racer.communicate()


def test_nobody_reads_while_a_line_is_written(tmp_path: Path) -> None:
    """A reader takes no half-written line for one that a crash left behind, and does not cut it off."""
    path = Log.create(tmp_path / "a.log", {"settings": {}}).path
    writing = f"""
import sys, time
from dsl.data.files import locked
before = open({str(path)!r}, "rb").read()
with open({str(path)!r}, "ab", buffering=0) as file, locked(file):
    file.write(b'{{"kind": "la')
    print("half", flush=True)
    time.sleep(0.5)
    file.truncate(len(before))
"""
    with subprocess.Popen([sys.executable, "-c", writing], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "half\n"
        _, events = Log.read(path)  # no LogWarning
    assert len(events) == 1
