"""The command line as a process: terminals that are not UTF-8."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import QUICK
from tests.posts import posts

pytestmark = pytest.mark.usefixtures("folder")


TWICE = """
import runpy, sys
for words in {commands}:
    sys.argv = ["dsl", *words]
    try:
        runpy.run_module("dsl", run_name="__main__")
    except SystemExit as end:
        print("exit code", end.code)
"""


def run(*arguments: str, encoding: str = "ascii") -> subprocess.CompletedProcess[bytes]:
    """Python in a process of its own, whose streams have another encoding."""
    where = {**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C", "LC_ALL": "C"}
    root = str(Path(__file__).parents[2])
    where["PYTHONPATH"] = os.pathsep.join([root, where.get("PYTHONPATH", "")])
    return subprocess.run([sys.executable, *arguments], env=where, capture_output=True, check=False)


@pytest.mark.long
def test_names_that_the_terminal_cannot_write() -> None:
    posts().rename(columns={"x": "größe"}).to_csv("names.csv", index=False)
    # an error message too
    commands = [["fit", "names.csv", formula, *QUICK] for formula in ("y ~ größe", "y ~ größer")]
    found = run("-c", TWICE.format(commands=ascii(commands)))
    assert re.findall(rb"^exit code (\d)", found.stdout, re.M) == [b"0", b"2"], found.stderr
    assert rb"gr\xf6\xdfe" in found.stdout
    assert rb"did you mean 'gr\xf6\xdfe'" in found.stderr
    assert b"UnicodeEncodeError" not in found.stderr


@pytest.mark.long
def test_data_on_stdout_are_utf_8_whatever_the_terminal_is() -> None:
    posts().rename(columns={"x": "größe"}).to_csv("names.csv", index=False)
    found = run("-m", "dsl", "fit", "names.csv", "y ~ größe", *QUICK, "--json", "-", encoding="cp1252")
    assert found.returncode == 0, found.stderr
    record = json.loads(found.stdout.decode("utf-8"))
    assert record["tidy"][1]["term"] == "größe"
