"""Starting R leaves the process as it was."""

import os
import subprocess
import sys

START = """
import os, subprocess, sys
before = dict(os.environ)
import pandas as pd
from dsl.r import to_r
to_r(pd.DataFrame({"x": [1.0]}))
assert os.environ.get("LD_LIBRARY_PATH") == before.get("LD_LIBRARY_PATH")
print(subprocess.run([sys.executable, "-c", "import sys; print(sys.version)"], capture_output=True, text=True).stdout.strip())
"""


def test_other_python_processes_find_their_own_libraries() -> None:
    """R's search path for shared libraries may hold another Python's; parallel workers would then load that one."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    run = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == sys.version
