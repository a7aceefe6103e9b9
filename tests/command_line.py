"""What the command line's tests have in common: a quick fit's options, and reading what commands wrote."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from dsl.cli.read import EXACT

QUICK = ["--predicted", "y", "--prediction", "llm", "--sl-method", "lm", "--splits", "1"]


def read_json(path: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return record


def exactly(path: str) -> pd.DataFrame:
    """A CSV file as the command line reads it: old versions of pandas are off by a last digit by default."""
    return pd.read_csv(path, float_precision=EXACT)


def read_exact(path: str) -> pd.DataFrame:
    """A CSV file, every number to the last digit."""

    def numbers(column: pd.Series) -> pd.Series:
        try:
            return pd.Series([float(cell) for cell in column], name=column.name)
        except ValueError:
            return column

    return pd.read_csv(path, dtype=str).apply(numbers)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
