"""Without R or rpy2: `import dsl` works, `dsl.r` says what to install, and selected tests fail instead of being skipped."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT_RPY2 = "import sys; sys.modules['rpy2'] = None; sys.modules['rpy2.rinterface'] = None; "


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_does_not_start_r() -> None:
    loaded = "print([name for name in sys.modules if name.startswith(('rpy2', 'rdata'))])"
    assert python(f"import sys, dsl, dsl.r, dsl.analyses.regression, dsl.learners.names; {loaded}") == "[]"


def test_the_message_names_the_extra() -> None:
    calls = (
        "dsl.r.to_r([1])",
        "dsl.r.RLearner().fit([[1.0]], [1.0])",
        "dsl.r.reference_dsl('y ~ x', {}, predicted_var='y')",
    )
    code = "import dsl, dsl.r\n"
    for call in calls:
        code += f"try: {call}\nexcept dsl.exceptions.MissingDependencyError as error: print(error)\n"
    said = python(WITHOUT_RPY2 + code).splitlines()
    assert len(said) == len(calls), said
    assert all("pip install 'dsl[r]'" in line for line in said), said
    code = "import sys; sys.modules['rdata'] = None\nimport dsl.r\ntry: dsl.r.read_rds('x')\nexcept ImportError as e: print(e)"
    assert "pip install 'dsl[r]'" in python(code)


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
        "tests/live_r/test_convert.py",
        "-k",
        "row_names",
    ]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 1, done.stdout
    assert "MissingDependencyError" in done.stdout
    assert "skipped" not in done.stdout
