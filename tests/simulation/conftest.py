"""What all simulations share."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the test of the labels raise false alarms (5 in 10,000 by design, in thousands of draws), but in its own file."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name != "test_labeling.py":
            item.add_marker(pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning"))
