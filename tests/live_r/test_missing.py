"""Without R or rpy2: `import dsl` works, `dsl.r` says what to install, and selected tests fail instead of being skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = (
    "dsl.r.to_r([1])",
    "dsl.r.RLearner().fit([[1.0]], [1.0])",
    "dsl.r.reference_dsl('y ~ x', {}, predicted_var='y')",
    "dsl.r.read_rds('x')",
)


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What one process loads by importing the package, and what it says once rpy2 and rdata are out of reach."""
    code = "import sys, dsl, dsl.r, dsl.analyses.regression, dsl.learners.names\n"
    code += "print([name for name in sys.modules if name.startswith(('rpy2', 'rdata'))])\n"
    code += "sys.modules.update(dict.fromkeys(['rpy2', 'rpy2.rinterface', 'rdata']))\n"
    for call in CALLS:
        code += f"try: {call}\nexcept dsl.exceptions.MissingDependencyError as error: print(error)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_does_not_start_r(said: list[str]) -> None:
    assert said[0] == "[]"


def test_the_message_names_the_extra(said: list[str]) -> None:
    assert len(said) == 1 + len(CALLS), said
    assert all("pip install 'dsl[r]'" in line for line in said[1:]), said


def test_selected_means_run(tmp_path: Path) -> None:
    """With R out of reach the tests of this folder end in errors."""
    (tmp_path / "rpy2").mkdir()
    (tmp_path / "rpy2" / "__init__.py").write_text("raise ImportError('no R here')")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "live_r",
        "-p",
        "no:cacheprovider",
        "tests/live_r/test_session.py",
    ]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 1, done.stdout
    assert "MissingDependencyError" in done.stdout
    assert "skipped" not in done.stdout
