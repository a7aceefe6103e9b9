"""Small changes to the code, one at a time, and whether a fast test without R notices: ``python -m tests.mutation``.

The changes are the known ones (`tests.mutation.known`) and a sample, drawn by seed, of all that `tests.mutation.mutators`
makes: from each file of some rooms in proportion to its lines. A change keeps its place in the sample while its line stays the
same. Each is tested in a copy of the tree. Results go to a file as they come, and a second run goes on from there: what was
noticed is not tested again, what was not noticed is if the package or its tests have changed since.
"""

import argparse
import hashlib
import json
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.mutation.known import known_mutants
from tests.mutation.mutators import Mutant, mutants
from tests.mutation.order import Order
from tests.mutation.run import Clean, Copy, Verdict

ROOT = Path(__file__).parents[2]
ROOMS = ("engine", "estimators", "learners", "sampling", "data")
ENOUGH = 0.95
"""Share noticed below which the command fails."""


def sample(root: Path, number: int, seed: int) -> list[Mutant]:
    """So many changes, from each file in proportion to its lines."""
    paths = sorted(path.relative_to(root).as_posix() for room in ROOMS for path in root.glob(f"dsl/{room}/**/*.py"))
    sources = {path: (root / path).read_bytes() for path in paths}
    made = {path: mutants(path, source) for path, source in sources.items()}
    lines = {path: sources[path].count(b"\n") for path in paths if made[path]}
    step = sum(lines.values()) / number
    place, passed = step * random.Random(seed).random(), 0.0
    out: list[Mutant] = []
    for path, count in lines.items():
        passed += count
        wanted = 0
        while place < passed:
            place, wanted = place + step, wanted + 1
        by_seed = sorted(made[path], key=lambda mutant: hashlib.sha256(f"{seed} {mutant.name}".encode()).digest())
        out += by_seed[:wanted]
    return out


def accepted(root: Path) -> list[dict[str, str]]:
    """Changes that no test need notice, with the reason."""
    entries: list[dict[str, str]] = tomllib.loads((root / "tests/mutation/accepted.toml").read_text())["accepted"]
    return entries


def reason(mutant: Mutant, entries: list[dict[str, str]], line: str) -> str | None:
    """Why a change is accepted, if it is; `line` is the source line on which it starts."""
    for entry in entries:
        if (entry["line"], entry["old"], entry["new"]) == (line.strip(), mutant.old, mutant.new):
            return entry["reason"]
    return None


def digest(root: Path) -> str:
    """Of all source and test files."""
    out = hashlib.sha256()
    for path in sorted([*root.glob("dsl/**/*.py"), *root.glob("tests/**/*.py")]):
        out.update(path.read_bytes())
    return out.hexdigest()[:16]


def copy_tree(root: Path, target: Path) -> None:
    """The files that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


class Book:
    """Results in a file, one line each."""

    def __init__(self, path: Path, tree: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.tree, self.lock = path, tree, threading.Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self.entries: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in map(json.loads, lines)}

    def knows(self, mutant: Mutant, stages: int) -> bool:
        """Whether it need not be tested again."""
        entry = self.entries.get(mutant.name)
        return entry is not None and (entry["killed"] or (entry["tree"] == self.tree and entry["stages"] >= stages))

    def write(self, mutant: Mutant, verdict: Verdict, stages: int) -> None:
        """Add a result."""
        entry = {"name": mutant.name, "killed": verdict.killed, "by": verdict.by, "tree": self.tree, "stages": stages}
        self.entries[mutant.name] = entry
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def shown(mutant: Mutant) -> str:
    """The change as a diff."""
    lines = [f"  {mutant.path}:{mutant.line}"]
    lines += [f"  {sign} {line}" for sign, text in (("-", mutant.old), ("+", mutant.new)) for line in text.split("\n")]
    return "\n".join(lines)


def test_all(todo: list[Mutant], book: Book, workers: int, stages: int) -> None:
    """Test mutants in copies of the tree, and write down what comes out."""
    order, clean = Order(ROOT), Clean()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        free: queue.Queue[Copy] = queue.Queue()
        for j in range(workers):
            copy_tree(ROOT, Path(folder) / str(j))
            free.put(Copy(Path(folder) / str(j), clean))

        def one(mutant: Mutant) -> None:
            copy = free.get()
            try:
                verdict = copy.judge(mutant, order, stages)
            finally:
                free.put(copy)
            with book.lock:
                book.write(mutant, verdict, stages)
                done = sum(book.knows(other, stages) for other in todo)
                print(
                    f"[{done}/{len(todo)}] {'killed  ' if verdict.killed else 'SURVIVED'} {mutant.name}: {verdict.by}"
                )
                sys.stdout.flush()

        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(one, todo):
                pass
        while not free.empty():
            free.get().close()
    for test in sorted(test for test, passes in clean.passes.items() if not passes):
        print(f"fails without any change, and was left out: {test}")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("--number", type=int, default=150, help="changes drawn (150), besides the known ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stages", type=int, default=3, choices=(1, 2, 3), help="3: all tests; 1, 2: the nearest only")
    parser.add_argument("--only", nargs="+", default=[""], help="changes whose name contains one of these texts")
    parser.add_argument("--results", type=Path, default=ROOT / ".mutants" / "results.jsonl")
    parser.add_argument("--list", action="store_true", help="show the changes and test nothing")
    given = parser.parse_args()
    entries = accepted(ROOT)
    chosen = [*known_mutants(ROOT), *sample(ROOT, given.number, given.seed)]
    chosen = [mutant for mutant in chosen if any(text in mutant.name for text in given.only)]
    if given.list:
        print("\n".join(f"{mutant.name}\n{shown(mutant)}" for mutant in chosen))
        return 0
    lines = {m.name: (ROOT / m.path).read_text().split("\n")[m.line - 1] for m in chosen}
    why = {m.name: reason(m, entries, lines[m.name]) for m in chosen}
    tested = [mutant for mutant in chosen if why[mutant.name] is None]
    book = Book(given.results, digest(ROOT))
    todo = [mutant for mutant in tested if not book.knows(mutant, given.stages)]
    print(f"{len(chosen)} changes: {len(chosen) - len(tested)} accepted, {len(tested) - len(todo)} known from before")
    test_all(todo, book, given.workers, given.stages)
    survivors = [mutant for mutant in tested if not book.entries[mutant.name]["killed"]]
    for mutant in survivors:
        print(f"\nSURVIVED {mutant.name}\n{shown(mutant)}")
    killed = len(tested) - len(survivors)
    print(f"\n{killed} of {len(chosen)} killed ({killed / max(len(chosen), 1):.1%}), ", end="")
    print(f"{len(survivors)} survived, {len(chosen) - len(tested)} accepted with a reason (accepted.toml)")
    return 0 if killed >= ENOUGH * len(tested) and not any(m.name.startswith("known") for m in survivors) else 1


if __name__ == "__main__":
    sys.exit(main())
