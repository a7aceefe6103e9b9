"""One mutant: written into a copy of the tree, tested there, taken back."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.mutators import Mutant
from tests.mutation.order import Order

PROCESSOR_SECONDS = (300, 900, 2700)
"""Time limit of each stage: processor time, which a busy machine does not use up."""
OPTIONS = ["-x", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
FAST = "not slow and not live_r and not live_r_dsl and not browser"
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py(?:::.*?)?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a test noticed."""

    killed: bool
    by: str
    """The test that failed, or what else happened."""


@dataclass(slots=True)
class Clean:
    """What is known about tests of the unchanged code; shared by the workers."""

    passes: dict[str, bool] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def left_out(tests: list[str]) -> list[str]:
    """Options that leave out tests, or files that cannot be read."""
    return [f"--{'deselect' if '::' in test else 'ignore'}={test}" for test in tests]


class Copy:
    """A copy of the tree, for one worker."""

    def __init__(self, root: Path, clean: Clean) -> None:
        self.root, self.clean = root, clean
        self._time = int((root / "pyproject.toml").stat().st_mtime)
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.server"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), **threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        where = json.loads(self._server.stdout.readline() or "{}").get("dsl", "nothing")
        if not where.startswith(str(root)):
            raise RuntimeError(f"tests in {root} would import {where}")

    def close(self) -> None:
        """End its server."""
        self._server.communicate()

    def judge(self, mutant: Mutant, order: Order, stages: int) -> Verdict:
        """Test a mutant, nearest tests first; stop at the first that fails."""
        path = self.root / mutant.path
        original = path.read_bytes()
        broken: list[str] = []
        for files, seconds in list(zip(order.stages(mutant.path), PROCESSOR_SECONDS, strict=True))[:stages]:
            while any(file not in broken for file in files):
                self._write(path, mutant.apply(original))
                try:
                    status, told = self._pytest([f for f in files if f not in broken], seconds, left_out(broken))
                finally:
                    self._write(path, original)
                if status in (0, 5):  # passed, or no test in these files
                    break
                failed = FAILED.findall(told)
                if not failed:
                    return Verdict(killed=True, by=self._ending(status, files))
                if self._passes_unchanged(failed[0]):
                    return Verdict(killed=True, by=failed[0])
                if failed[0] in broken:
                    raise RuntimeError(f"{failed[0]} fails without any change, and cannot be left out")
                broken.append(failed[0])
        return Verdict(killed=False, by=f"passed {stages} of 3 stages")

    def _ending(self, status: int, files: list[str]) -> str:
        """Why no test could be run, which without the change they can."""
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            return "time limit"
        unchanged, told = self._pytest([*files, "--collect-only"], PROCESSOR_SECONDS[1], [])
        if unchanged not in (0, 5):
            raise RuntimeError(f"tests cannot be run without any change, exit status {unchanged}:\n{told}")
        return f"tests cannot be read, exit status {status}"

    def _passes_unchanged(self, test: str) -> bool:
        with self.clean.lock:
            if test in self.clean.passes:
                return self.clean.passes[test]
        passes = self._pytest([test], PROCESSOR_SECONDS[0], [])[0] in (0, 5)
        with self.clean.lock:
            self.clean.passes[test] = passes
        return passes

    def _write(self, path: Path, source: bytes) -> None:
        """Every version has a time of its own: Python's compiled files go by seconds."""
        self._time += 1
        path.write_bytes(source)
        os.utime(path, (self._time, self._time))

    def _pytest(self, files: list[str], seconds: int, more: list[str]) -> tuple[int, str]:
        """Exit status, and what pytest said."""
        options = ["-o", "addopts=--strict-markers --doctest-modules", "-m", FAST, *OPTIONS, *more]
        out = self.root.with_suffix(".out")
        request = {"arguments": [*options, *files], "seconds": seconds, "out": str(out)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status = json.loads(self._server.stdout.readline())["status"]
        return int(status), out.read_text(encoding="utf-8", errors="replace")
