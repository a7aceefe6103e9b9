"""Which test files to run for a changed source file, nearest first."""

import ast
import re
from collections import defaultdict
from pathlib import Path

SLOW = ("tests/live_r/", "tests/simulation/", "tests/browser/", "tests/mutation/")
"""Folders without fast tests, or whose tests are about the mutants themselves."""

END_TO_END = re.compile(r"dsl\.dsl\(|from tests\.posts import .*\brun\b")
"""Tests that fit models, and so run most of the package whatever they are named after."""


class Order:
    """Test files of a tree by their distance from a source file."""

    def __init__(self, root: Path) -> None:
        found = sorted(path.relative_to(root).as_posix() for path in root.glob("tests/**/test_*.py"))
        self.tests = [path for path in found if not path.startswith(SLOW)]
        self._text = {path: (root / path).read_text(encoding="utf-8") for path in self.tests}
        self._importers = _importers(root)

    def stages(self, source: str) -> list[list[str]]:
        """Test files in three groups that together are all of them.

        First those named after the source file, with the examples in its own text; then the room's, those that mention the
        module, and those named after files that import it; then the others, in the order of their distance.
        """
        distance = self._distances(source)
        own = [test for test in self.tests if distance.get(test) == 0]
        module, room = _module(source), f"tests/{source.removeprefix('dsl/').rpartition('/')[0]}/"
        near = [
            test
            for test in self.tests
            if test not in own
            and (distance.get(test) == 1 or module in self._text[test] or test.rpartition("/")[0] + "/" == room)
        ]
        near.sort(key=lambda test: (module not in self._text[test], distance.get(test, 99)))
        rest = [test for test in self.tests if test not in own and test not in near]
        rest.sort(key=lambda test: distance.get(test, 2 if END_TO_END.search(self._text[test]) else 99))
        return [[source, *own], near, [*rest, "dsl"]]

    def _distances(self, source: str) -> dict[str, int]:
        """Imports between the source and the file that a test is named after; tests of files that never import it left out."""
        reached, queue = {source: 0}, [source]
        for path in queue:
            for importer in self._importers[path]:
                if importer not in reached:
                    reached[importer] = reached[path] + 1
                    queue.append(importer)
        out: dict[str, int] = {}
        for path, steps in reached.items():
            folder, _, name = path.removeprefix("dsl/").removesuffix(".py").rpartition("/")
            start = "/".join(part for part in ("tests", folder, f"test_{name}") if part)
            for test in self.tests:
                if test == f"{start}.py" or test.startswith(f"{start}_"):
                    out[test] = min(steps, out.get(test, steps))
        return out


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _importers(root: Path) -> dict[str, set[str]]:
    """Source files that import each source file."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("dsl/**/*.py"))
    of_module = {_module(path): path for path in paths}
    out: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for node in ast.walk(ast.parse((root / path).read_bytes())):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if of_module.get(name, path) != path:
                    out[of_module[name]].add(path)
    return out
