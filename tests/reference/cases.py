"""The frozen cases of the reference R package: calls, input tables, staged outputs."""

import gzip
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dsl.engine.blocks import Block
from dsl.engine.moments import augmentation_weights
from dsl.engine.sums import Problem, label_meat, label_scores, row_scores, score_sums, unit_scores

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = json.loads((HERE / "cases.json").read_text())
NAMES = [case["name"] for case in CASES]

R_OPTIM = 5e-3
"""Coefficients, in standard errors: the reference stops its optimiser early."""
R_OPTIM_MEDIAN = 1e-3
"""The same, median over all coefficients, splits and cases."""
R_OPTIM_SE = 2e-4
"""Standard errors, relative: evaluated at parameters that are off by R_OPTIM."""
SAME_ALGEBRA = 1e-8
"""Relative; sums over thousands of rows in another order."""
ARITHMETIC = 1e-12
"""Medians of given numbers."""


@cache
def load_table(name: str) -> pd.DataFrame:
    """Input table of a case."""
    return pd.read_csv(HERE / "data" / f"{name}.csv.gz")


def table_md5(name: str) -> str:
    """MD5 of the uncompressed table, as the frozen files record it."""
    return hashlib.md5(gzip.decompress((HERE / "data" / f"{name}.csv.gz").read_bytes())).hexdigest()


@cache
def load_expected(name: str) -> dict[str, Any]:
    """Frozen output of a case."""
    return json.loads(gzip.decompress((HERE / "expected" / f"{name}.json.gz").read_bytes()))


def full_splits(name: str) -> list[dict[str, Any]]:
    """Splits that are stored with every stage."""
    return [split for split in load_expected(name)["splits"] if "row_id" in split]


def in_row_order(split: dict[str, Any], values: Any, rows: np.ndarray) -> np.ndarray:
    """Per-row values of a stored split for the rows (0-based positions in the input table) that were used."""
    place = {row_id - 1: j for j, row_id in enumerate(split["row_id"])}
    return np.asarray(values, dtype=float)[[place[row] for row in rows]]


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for `dsl.dsl`."""
    return {key: value for key, value in case.items() if key not in ("name", "data")}


def meat_parts(block: Block, problem: Problem, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The meat's parts as the reference splits it: what more labels shrink, and the rest; (k, k) each."""
    shrinking = label_meat(block, problem, label_scores(block, problem, params))
    rows = row_scores(block, problem, params, problem.weights, augmentation_weights)
    _, meat = score_sums(unit_scores(rows, problem), len(params))
    return shrinking, meat - shrinking
