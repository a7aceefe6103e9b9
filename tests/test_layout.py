"""The house as CONTRIBUTING describes it: rooms, sizes, names, and tests that are found by their source's name."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import dsl
from dsl.estimators.names import ESTIMATORS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "dsl").rglob("*.py"))
MOST_ENTRIES, MOST_LINES, MOST_BODY = 16, 500, 60
MOST_COMPARISONS = 15
MOST_ANY = 10.0
"""For each thousand lines."""
KINDS = {"browser", "live_r", "fuzz", "mutation", "reference", "simulation"}
"""Folders of tests that are of a kind rather than of a room."""


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    """Every source file, parsed."""
    return [(path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]


def test_few_entries_at_the_door() -> None:
    entries = [path.name for path in (ROOT / "dsl").iterdir() if not path.name.startswith("__")]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_sizes() -> None:
    long = [
        f"{path.name}: {n}"
        for path in SOURCES
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                size = (node.end_lineno or 0) - first.lineno + 1
                if size > MOST_BODY:
                    long.append(f"{path}:{node.name}: {size}")
    assert not long


def test_no_file_takes_the_private_name_of_another() -> None:
    taken = [
        f"{path}: {node.module}.{alias.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dsl")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert not taken


def test_imports_are_seen_by_the_contract() -> None:
    """No module of ours is named by a string, but for the lazy names in `dsl`."""
    found = []
    for path in SOURCES:
        if path != ROOT / "dsl" / "__init__.py":
            text = path.read_text(encoding="utf-8")
            found += [f"{path}: {hit}" for hit in re.findall(r"import_module\(\s*f?[\"']dsl.*|__import__\(.*", text)]
    assert not found


@pytest.mark.long
def test_estimators_are_asked_not_named() -> None:
    """What differs between estimators stands in the registry; comparisons with a name are few."""
    names = set(ESTIMATORS)
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and "estimator" in ast.unparse(node.left):
                values = [
                    each.value for side in node.comparators for each in ast.walk(side) if isinstance(each, ast.Constant)
                ]
                found += [f"{path}:{node.lineno}"] * bool(names & {v for v in values if isinstance(v, str)})
    assert len(found) <= MOST_COMPARISONS, found


def test_any_is_rare() -> None:
    text = [path.read_text(encoding="utf-8") for path in SOURCES]
    lines = sum(len(each.splitlines()) for each in text)
    assert 1000.0 * sum(len(re.findall(r"\bAny\b", each)) for each in text) / lines < MOST_ANY


def test_tests_mirror_the_package() -> None:
    """``tests/room/test_file[_topic].py`` tests ``dsl/room/file.py``."""
    lost = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        folder, stem = path.parent.relative_to(ROOT / "tests"), path.stem.removeprefix("test_")
        if folder.parts and folder.parts[0] in KINDS:
            continue
        room = ROOT / "dsl" / folder if folder.parts else ROOT / "dsl"
        names = {each.stem for each in room.glob("*.py")} | (
            {"data_in_blocks", "layout", "models_by_features", "packaging", "readme", "site"}
            if not folder.parts
            else set()
        )
        if not any(stem == name or stem.startswith(f"{name}_") for name in names):
            lost.append(str(path.relative_to(ROOT)))
    assert not lost


def test_public_names() -> None:
    for name in dsl.__all__:
        assert getattr(dsl, name) is not None
    assert set(dsl.__all__) <= set(dir(dsl))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dsl.nothing


def test_import_is_light() -> None:
    heavy = ("matplotlib", "joblib", "sklearn", "pandas", "statsmodels", "rpy2")
    check = f"import sys, dsl; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout == "[]\n"
