"""Run the reference R package on every case of ``tests/reference/cases.json``; compare with, or rewrite, the frozen files.

usage (from the project's folder): python -m r_compat.reference_harness.refresh [--overwrite] [CASE ...]

Without ``--overwrite`` nothing is written: the largest difference from each frozen file is printed, and the exit code
is 1 if one is missing or has drifted.
"""

import argparse
import gzip
import json
import sys
from typing import Any

import numpy as np

from dsl.r import ReferenceResult, ReferenceSplit, from_r, reference_dsl
from dsl.r.session import call
from tests.reference.cases import CASES, HERE, arguments, load_table, table_md5

DRIFT = 1e-6
"""Of a standard error: the same package, R and data on another machine."""
FULL_SPLITS = 2
"""Splits stored with every stage."""
LARGE = 60
"""Matrices of more columns (dummies) are not stored."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="rewrite the frozen files")
    given = parser.parse_args()
    unknown = set(given.cases) - {case["name"] for case in CASES}
    if unknown:
        parser.error(f"no case named {', '.join(sorted(unknown))}")
    drifted = 0
    for case in CASES:
        if given.cases and case["name"] not in given.cases:
            continue
        result = reference_dsl(data=load_table(case["data"]), power=True, **arguments(case))
        path = HERE / "expected" / f"{case['name']}.json.gz"
        gap = distance(result, json.loads(gzip.decompress(path.read_bytes()))) if path.exists() else float("inf")
        drifted += not gap <= DRIFT
        print(f"{case['name']:<32} {result.seconds:6.1f} s   largest difference {gap:.1e} standard errors")
        if given.overwrite:
            text = json.dumps(frozen(case, result), separators=(",", ":"))
            path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return 0 if given.overwrite else int(drifted > 0)


def distance(result: ReferenceResult, stored: dict[str, Any]) -> float:
    """Largest difference of coefficients and standard errors, splits included, in standard errors."""
    bse = np.atleast_1d(np.asarray(stored["standard_errors"], dtype=float))
    gaps = [
        (result.params.to_numpy() - np.atleast_1d(stored["coefficients"])) / bse,
        result.bse.to_numpy() / bse - 1.0,
    ]
    for split, old in zip(result.splits, stored["splits"], strict=True):
        gaps.append((split.params - np.atleast_1d(old["coefficients"])) / split.bse)
        gaps.append(np.atleast_1d(old["standard_errors"]) / split.bse - 1.0)
    return float(np.abs(np.concatenate(gaps)).max())


def frozen(case: dict[str, Any], result: ReferenceResult) -> dict[str, Any]:
    """A case as it is stored; see ``tests/reference/README.md``."""
    assert result.power is not None
    return {
        "case": case,
        "term_names": list(result.params.index),
        "coefficients": result.params.tolist(),
        "standard_errors": result.bse.tolist(),
        "vcov": result.vcov.to_numpy().tolist(),
        "rmse": result.rmse.to_numpy().T.tolist(),
        "n_obs": result.nobs,
        "n_labeled": result.n_labeled,
        "equal_prob": result.equal_prob,
        "sample_prob_used": result.sample_prob.tolist(),
        "power": {"labeled_size": result.power.index.tolist(), "predicted_se": result.power.to_numpy().tolist()},
        "summary_text": result.summary.splitlines(),
        "splits": [_split(result, split, full=s < FULL_SPLITS) for s, split in enumerate(result.splits)],
        "elapsed_seconds": result.seconds,
        "provenance": {
            **result.versions,
            "RNGkind": list(from_r(call("RNGkind"))),
            "data_md5": table_md5(case["data"]),
            "command": "python -m r_compat.reference_harness.refresh --overwrite",
        },
    }


def _split(result: ReferenceResult, split: ReferenceSplit, full: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "coefficients": split.params.tolist(),
        "standard_errors": split.bse.tolist(),
        "vcov": split.vcov.tolist(),
    }
    if not full:
        return out
    matrices = {"jacobian": split.jacobian, "meat_main_1": split.meat_1, "meat_main_23": split.meat_23}
    return {
        "row_id": (result.rows + 1).tolist(),
        "fold": (split.folds + 1).tolist(),
        "g_hat": {name: values.tolist() for name, values in split.predictions.items()},
        **out,
        **{name: None if len(m) > LARGE else m.tolist() for name, m in matrices.items()},
        "rescale_D": split.rescale.tolist(),
    }


if __name__ == "__main__":
    sys.exit(main())
