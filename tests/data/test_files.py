"""Files: whole or not at all, with the permissions of what they replace, and one writer at a time."""

import errno
import os
import re
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.data.files import locked, read_from, write_text, written_aside

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")


def fail(path: Path, error: BaseException) -> None:
    with written_aside(path) as draft:
        draft.write_text("half")
        raise error


def test_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with written_aside(path) as draft:
        assert draft.parent == tmp_path
        assert re.fullmatch(r"\.dsl-[0-9a-f]{16}\.csv", draft.name)
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_drafts_differ(tmp_path: Path) -> None:
    with written_aside(tmp_path / "a") as one, written_aside(tmp_path / "a") as other:
        assert one != other


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_what_was_there_stays(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("good")
    with pytest.raises(type(error)):
        fail(path, error)
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT])
def test_errors_name_the_file(tmp_path: Path, code: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("good")
    with pytest.raises(e.FileError, match=r"a\.txt' cannot be written .*unchanged") as caught:
        fail(path, OSError(code, os.strerror(code)))
    assert caught.value.errno == code
    assert isinstance(caught.value, OSError)
    assert path.read_text() == "good"


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(e.FileError, match=r"there is no folder .*nowhere'"):
        write_text(tmp_path / "nowhere" / "a.txt", "")
    with pytest.raises(e.FileError, match="is a folder"):
        write_text(tmp_path, "")
    (tmp_path / "file").write_text("x")
    with pytest.raises(e.FileError, match="is no folder"):
        write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(e.FileError, match="shorten"):
        write_text(tmp_path / ("a" * 300), "")


@pytest.mark.parametrize("path", [None, "", 3, b"", "a\0b"])
def test_paths_that_are_none(path: Any) -> None:
    with pytest.raises(e.ArgumentError, match="path must name a file"):
        write_text(path, "")


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 250 + ".txt"), "x")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_are_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with written_aside(path) as draft:
        # from the first byte: what was private is at no time anybody's
        assert stat.S_IMODE(draft.stat().st_mode) == mode
        draft.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_of_new_files(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="an administrator may write anything")
def test_files_that_may_only_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(e.FileError, match=r"only be read.*permissions"):
        write_text(path, "new")
    assert path.read_text() == "old"


@posix
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(e.FileError, match="loop' cannot be written"):
        write_text(loop, "new")


@posix
def test_devices_are_written_to() -> None:
    write_text("/dev/null", "gone")


def test_nothing_is_replaced_where_nothing_may_be(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_aside(path, replace=False) as draft:
        draft.write_text("mine")
    with pytest.raises(e.FileError, match=r"there already.*name another file"), written_aside(path, replace=False):
        pass
    late = tmp_path / "b.txt"
    with pytest.raises(e.FileError, match="there already"), written_aside(late, replace=False):
        late.write_text("another's")  # since the block began
    assert late.read_text() == "another's"
    assert {each.name for each in tmp_path.iterdir()} == {"a.txt", "b.txt"}


POSTS = pd.DataFrame({"x": np.arange(400.0), "text": [f"text {i}" for i in range(400)]})


def fitted() -> Any:
    posts = dsl.datasets.simulate_linear(n=400, n_labels=150, seed=1)
    return dsl.dsl(data=posts, sl_method="lm", sample_split=1, **posts.attrs["call"]), posts


def design() -> Any:
    return dsl.sampling.simple_random(POSTS, 50, seed=1)


SAVERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "design": ("d.npz", lambda path: design().save(path)),
    "table txt": ("t.txt", lambda path: dsl.table(fitted()[0]).save(path)),
    "table html": ("t.html", lambda path: dsl.table(fitted()[0]).save(path)),
    "table docx": ("t.docx", lambda path: dsl.table(fitted()[0]).save(path)),
    "fit": ("fit.dsl", lambda path: fitted()[0].save(path)),
    "report": ("r.html", lambda path: fitted()[0].report(path, compare=False, diagnose=False)),
}


@posix
@pytest.mark.parametrize("name", SAVERS)
def test_every_saver_writes_aside(tmp_path: Path, name: str) -> None:
    """A disk that is full after 300 bytes, as `ulimit -f` makes it: the file that was there survives."""
    import resource
    import signal

    mpl.use("agg")
    path, save = tmp_path / SAVERS[name][0], SAVERS[name][1]
    save(path)
    before = path.read_bytes()
    path.chmod(0o600)
    size, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, size[1]))
        with pytest.raises(e.FileError, match=f"{path.name}' cannot be written"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_coders_file_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(e.FileError, match="there is no folder"):
        design().to_coder(tmp_path / "no" / "c.csv", POSTS, columns="text")
    design().to_coder(tmp_path / "c.csv", POSTS, columns="text")
    before = (tmp_path / "c.csv").read_bytes()
    with pytest.raises(e.CoderFileError, match="there already"):
        design().to_coder(tmp_path / "c.csv", POSTS, columns="text")
    assert (tmp_path / "c.csv").read_bytes() == before


def test_all_writers_are_known() -> None:
    """Whatever opens files for writing stands in the files that write aside, or append under a lock."""
    pattern = re.compile(
        r"\.open\((?!\s*\"rb\"|\))|write_text\(|write_bytes\(|\bopen\(.*[\"'][wax]|\.to_csv\(|\.to_excel\(|savefig\(|np\.save"
    )
    root = Path(dsl.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line) and not line.lstrip().startswith(("...", ">>>"))
    }
    assert found == {
        "analyses/archive.py", "annotation/batch.py", "annotation/cache.py", "annotation/codebook.py",
        "annotation/publish.py", "cli/demo.py", "cli/read.py", "cli/write.py", "data/files.py", "data/trail.py",
        "data/zipped.py", "datasets/real.py", "datasets/texts.py",
        "learners/text/vectors.py", "planning/evaluation/checkpoint.py", "reports/page/figures.py",
        "reports/page/write.py", "reports/tables/regression.py", "reports/tables/word.py", "sampling/adaptive/log.py",
        "sampling/coding/argilla.py", "sampling/coding/doccano.py", "sampling/coding/exchange.py",
        "sampling/coding/label_studio.py", "sampling/coding/prodigy.py", "sampling/coding/sheets.py",
    }  # fmt: skip


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    with path.open("r+b") as one, path.open("r+b") as other:
        with locked(one), pytest.raises(BlockingIOError), locked(other, patience=0.05):
            pass
        with locked(other, patience=0.05):
            pass


@posix
def test_locks_hold_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    path.write_bytes(b"0")
    code = """
import sys
from dsl.data.files import locked
for _ in range(25):
    with open(sys.argv[1], "r+b", buffering=0) as file, locked(file):
        number = int(file.read())
        file.seek(0)
        file.write(str(number + 1).encode())
"""
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [each.wait(60) for each in running] == [0] * 4
    assert path.read_bytes() == b"100"


def test_whatever_a_reader_raises_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"")
    for raised in (zlib.error("bad block"), EOFError(), KeyError("x"), RecursionError("too deep"), OSError("gone")):
        with (
            pytest.raises(e.DesignError, match=r"a.bin' cannot be read as a saved design: .+") as caught,
            read_from(path, "a saved design", e.DesignError),
        ):
            raise raised
        assert caught.value.__cause__ is raised
    with pytest.raises(e.LabelError, match="mine"), read_from(path, "a saved design", e.DesignError):
        raise e.LabelError("mine")
    for wrong in (None, "", 3, "a\0b"):
        with pytest.raises(e.ArgumentError, match="must name a file"), read_from(wrong, "a design"):
            pass
    with pytest.raises(e.FileError, match="is a folder"), read_from(tmp_path, "a design"):
        pass
