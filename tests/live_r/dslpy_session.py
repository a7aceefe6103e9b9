"""R processes that can load dslpy: one for each program, or one for many, in which Python starts once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from .rscript import quoted

SOURCE = Path(__file__).parents[2] / "r_compat" / "dslpy"
DONE = "@@@ done"
SESSION = f"""
programs <- file("stdin", "r")
while (length(path <- readLines(programs, 1))) {{
  told <- tryCatch({{
    source(path, local = new.env(parent = globalenv()), encoding = "UTF-8")
    "{DONE}"
  }}, error = function(e) paste("@@@", gsub("\\n", " ", conditionMessage(e))))
  cat("\\n", told, "\\n", sep = "")
  flush(stdout())
}}
"""


def environment(**more: str) -> dict[str, str]:
    """That of an R process with this Python for reticulate, in a UTF-8 locale."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "R_HOME", "LD_LIBRARY_PATH")
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    settings = {"RETICULATE_PYTHON": sys.executable, "LC_ALL": "C.UTF-8", "TZ": "UTC", "OPENBLAS_NUM_THREADS": "1"}
    settings["R_DEFAULT_INTERNET_TIMEOUT"] = "5"  # R CMD check looks for a repository
    return {**inherited, **settings, **more}


def run(*command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own."""
    assert shutil.which(command[0]) is not None, f"{command[0]} is not on the path; run r_compat/install_r.sh"
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(**more), check=False)


def prepared(code: str, library: Path) -> str:
    """The code with dslpy's library, and lines of 100 characters."""
    return f".libPaths(c({quoted(str(library))}, .libPaths()))\noptions(width = 100)\n{code}"


class Session:
    """Programs one after the other in one R process, each in an environment of its own."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.folder, self.count = folder, 0
        (folder / "session.R").write_text(prepared(SESSION, library), encoding="utf-8")
        self.said = (folder / "stderr.txt").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            ["Rscript", "--no-environ", "--no-init-file", str(folder / "session.R")],
            cwd=folder, env=environment(), text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.process.communicate()
        self.said.close()

    def __call__(self, code: str) -> str:
        """Standard output of a program. AssertionError where it stops."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        program = self.folder / f"program{self.count}.R"
        program.write_text(code, encoding="utf-8")
        self.process.stdin.write(f"{program}\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.startswith("@@@ "):
                break
            printed.append(line)
        else:
            line = "the R process ended"
        out = "".join(printed).removesuffix("\n")
        assert line.strip() == DONE, f"{line}\n{out}\n{Path(self.said.name).read_text(encoding='utf-8')}"
        return out
