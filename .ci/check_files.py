"""Refuse new entries at the project's root, and large files.

usage: python .ci/check_files.py [FILE ...]     without files: all that git tracks
"""

import subprocess
import sys
from pathlib import Path

ROOT_ENTRIES = {
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "conftest.py",
    "dsl",
    "pyproject.toml",
    "r_compat",
    "stata",
    "tests",
    "vignettes",
}
LARGEST = 230_000
"""Bytes. The example data, 223 kB packed, are the largest file."""
LARGER = {"vignettes/labels/answers.jsonl.gz": 700_000}
"""Larger files, and how large they may be: a model's answers about 9,390 texts."""


def faults(name: str) -> list[str]:
    entry, found = name.split("/")[0], []
    if entry not in ROOT_ENTRIES:
        found.append(f"{name}: '{entry}' is new at the root. Move it, or name it in ROOT_ENTRIES of .ci/check_files.py")
    path = Path(name)
    allowed = LARGER.get(name, LARGEST)
    if path.is_file() and (size := path.stat().st_size) > allowed:
        found.append(f"{name}: {size:,} bytes, more than {allowed:,}. Shrink it, or make it when it is needed")
    return found


def main() -> int:
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    names = sys.argv[1:] or [name for name in tracked.split("\0") if name]
    found = [fault for name in names for fault in faults(name)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
