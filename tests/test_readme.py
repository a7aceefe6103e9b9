"""The README shows real output."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from dsl.cli.demo import comparison, estimate

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_first_example_prints_what_the_readme_shows() -> None:
    (kind, code), (_, shown) = BLOCKS[0], BLOCKS[1]
    assert kind == "python"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert lines(printed.getvalue()) == lines(shown)


def test_comparison_is_the_demos() -> None:
    shown = next(text for kind, text in BLOCKS if "truth" in text)
    assert lines(comparison(estimate()).to_string()) == lines(shown)


@pytest.mark.parametrize("name", ["demo", "test", "test-slow"])
def test_commands_exist(name: str) -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    assert f"make {name}" in README
    assert f"\n{name}: " in makefile
