"""Run the numeric tests under every x86 kernel of OpenBLAS that this processor has.

Kernels sum in different orders. A test that holds under one of them only has a truth, or a tolerance, that is a matter of luck.
usage: python .ci/kernels.py [PYTEST ARGUMENTS]
"""

import os
import subprocess
import sys

from numpy._core._multiarray_umath import __cpu_features__ as has

KERNELS = {
    "SkylakeX": ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL"),
    "Haswell": ("AVX2", "FMA3"),
    "Sandybridge": ("AVX",),
}
SELECTED = "numeric and not slow and not live_r and not live_r_dsl and not browser"
IN_USE = """
import numpy, scipy.linalg, threadpoolctl
print(*sorted({pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}))
"""


def run(kernel: str, arguments: list[str]) -> str:
    """Outcome in a word or two; "passed" where all is well."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    asked = subprocess.run([sys.executable, "-c", IN_USE], env=environment, capture_output=True, text=True, check=True)
    if (used := asked.stdout.strip()) != kernel:
        return f"not run: OpenBLAS was asked for it and uses {used or 'no kernel: numpy has another BLAS'}"
    print(f"== kernel {kernel}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", SELECTED, *arguments]
    code = subprocess.run(command, env=environment, check=False).returncode
    return "failed" if code else "passed"


def main() -> int:
    outcomes = {
        kernel: run(kernel, sys.argv[1:]) if all(has.get(feature) for feature in features) else "the processor lacks it"
        for kernel, features in KERNELS.items()
    }
    for kernel, outcome in outcomes.items():
        print(f"kernel {kernel}: {outcome}")
    return any(outcome not in ("passed", "the processor lacks it") for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
