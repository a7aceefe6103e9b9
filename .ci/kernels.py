"""Run the numeric tests under every x86 kernel of OpenBLAS that this processor has.

Kernels sum in different orders. A test that holds under one of them only has a truth, or a tolerance, that is a matter of luck.
Arguments that are not its own go to pytest.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_features__ as has

KERNELS = {
    "SkylakeX": ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL"),
    "Haswell": ("AVX2", "FMA3"),
    "Sandybridge": ("AVX",),
}
LACKING, CHOSEN = "the processor lacks it", "OpenBLAS chooses it: run by the other tests"
SELECTED = "numeric and not slow and not live_r and not live_r_dsl and not browser"
MARKED = "pytest.mark.numeric"
IN_USE = """
import numpy, scipy.linalg, threadpoolctl
print(*sorted({pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}))
"""


def in_use(environment: dict[str, str]) -> str:
    asked = subprocess.run([sys.executable, "-c", IN_USE], env=environment, capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def files() -> list[str]:
    """Files that have numeric tests: collecting all others takes longer than many of these tests."""
    return sorted(str(path) for path in Path("tests").rglob("test_*.py") if MARKED in path.read_text(encoding="utf-8"))


def run(kernel: str, selected: str, arguments: list[str]) -> str:
    """Outcome in a word or two; "passed" where all is well."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    if (used := in_use(environment)) != kernel:
        return f"not run: OpenBLAS was asked for it and uses {used or 'no kernel: numpy has another BLAS'}"
    print(f"== kernel {kernel}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", selected, *arguments, *files()]
    code = subprocess.run(command, env=environment, check=False).returncode
    return "failed" if code else "passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--others", action="store_true", help="all kernels but the one that OpenBLAS chooses here by itself"
    )
    parser.add_argument("--but", default="", help="more of pytest's marks, such as 'and not long'")
    options, arguments = parser.parse_known_args()
    own = in_use(dict(os.environ)) if options.others else ""
    outcomes = {}
    for kernel, features in KERNELS.items():
        if kernel == own:
            outcomes[kernel] = CHOSEN
        elif not all(has.get(feature) for feature in features):
            outcomes[kernel] = LACKING
        else:
            outcomes[kernel] = run(kernel, f"{SELECTED} {options.but}", arguments)
    for kernel, outcome in outcomes.items():
        print(f"kernel {kernel}: {outcome}")
    return any(outcome not in ("passed", LACKING, CHOSEN) for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
