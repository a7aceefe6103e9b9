"""What every test obeys: files are written under ``tmp_path``, never into the project's folder, and chance comes from a seed."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings

ROOT = Path(__file__).parent

# `make test` tries the same examples on every machine. New ones: pytest --hypothesis-profile=explore
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("same")


def listing() -> set[str]:
    """Names in the project's folder, but for the hidden ones, which belong to tools."""
    return {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - {"__pycache__"}


@pytest.fixture(scope="session")
def known() -> set[str]:
    return listing()


@pytest.fixture(autouse=True)
def _root_unchanged(known: set[str]) -> Iterator[None]:
    """Fail the test that added an entry to the project's folder, or took one away."""
    yield
    changed = known ^ (found := listing())
    known.clear()
    known.update(found)  # one failure for one file
    assert not changed, f"{sorted(changed)} came or went in {ROOT} while this test or one beside it ran: use tmp_path"


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples in docstrings in the package alone: the tests have none."""
    found = yield
    if ROOT / "tests" not in file_path.parents:
        return found
    return [each for each in found if not isinstance(each, DoctestModule)]
