"""Tests that need R. Selected means run: where R cannot be reached they fail, they are never skipped."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "live_r_dsl: needs the reference R package; selected by `make test-r-dsl`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("live_r")


@pytest.fixture(autouse=True, scope="session")
def _started() -> None:
    from dsl.r.session import session

    session()
