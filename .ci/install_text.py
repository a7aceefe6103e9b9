"""Install the extra `text`, with a build of torch for CPUs. usage: PYTHON .ci/install_text.py

On Linux, PyPI's torch brings CUDA with it (6 GB). Where pip offers no build for CPUs, the extra is left out, and its tests are
skipped.
"""

import json
import subprocess
import sys
from pathlib import Path

TORCH = "torch==2.13.0"
INDEX = ["--index-url", "https://download.pytorch.org/whl/cpu"]
PIP = [sys.executable, "-m", "pip", "install", "--quiet"]


def for_cpus() -> bool:
    """Whether the torch that pip would take is a build for CPUs."""
    asked = [*PIP, "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", TORCH]
    found = subprocess.run(asked, capture_output=True, text=True)
    if found.returncode != 0:
        return False
    versions = [each["metadata"]["version"] for each in json.loads(found.stdout)["install"]]
    return sys.platform != "linux" or any(version.endswith("+cpu") for version in versions)


def main() -> None:
    if subprocess.run([*PIP, *([] if for_cpus() else INDEX), TORCH]).returncode != 0:
        print(f"No {TORCH} for CPUs can be had: the extra 'text' is not installed, and its tests are skipped.")
        return
    subprocess.run([*PIP, "--editable", f"{Path(__file__).parents[1]}[text]"], check=True)


if __name__ == "__main__":
    main()
