"""Missing predictions of rows in blocks: the numbers of the same rows in memory."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, table, tried

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {
    "predicted_var": "y", "prediction": "llm", "sample_split": 1, "cross_fit": 3, "sl_method": "lm",
    "refusals": "indicator",
}  # fmt: skip
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "several": ("y ~ x", {"prediction": ["llm", "other", "score"], "sl_method": "ridge"}),
    "features": ("y ~ x", {"feature": ["score", "late", "yes", "day"]}),
    "dsl+": ("z ~ y + x", {"estimator": "dsl+", "feature": ["late"], "cluster": "cl", "vcov": "design"}),
    "a category": ("z ~ kind + x", {"predicted_var": "kind", "prediction": "kind_llm"}),
    "text of 0 and 1": ("y ~ x", {"prediction": "text"}),
    "gold_only": ("y ~ x", {"estimator": "gold_only"}),
}
MORE = {"a category", "text of 0 and 1", "dsl+", "gold_only"}
"""What is tried with the simulations."""


@cache
def refused() -> pd.DataFrame:
    """Missing in one block alone, in rows here and there, and in a single unlabelled row."""
    data = table()
    rows, block = np.arange(len(data)), slice(450, 499)
    alone = int(np.flatnonzero(data["y"].isna())[-1])
    data["yes"] = (data["z"] > 1.0).astype(object)
    data["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rows % 50, unit="D")
    data["text"] = data["other"].astype(int).astype(str).astype(object)
    data.loc[block, ["llm", "other", "yes", "text", "kind_llm"]] = None
    data.loc[rows % 10 == 3, ["score", "day"]] = None
    data.loc[alone, "late"] = None
    return data


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = refused()
    formula, changes = CALLS[name]
    given = {**BASE, **changes}
    found, known = dsl.dsl(formula, Again(data, [0, 7, 0, 443, 50, 900]), **given), dsl.dsl(formula, data, **given)
    same(found, known)
    said = [[note for note in fit.sample.notes if "is missing in" in note] for fit in (found, known)]
    assert said[0] == said[1]


def test_who_takes_predictions_as_they_are() -> None:
    with pytest.raises(e.PredictionError, match="taken as it is here"):
        dsl.dsl("y ~ x", Again(refused(), 300), **{**BASE, "estimator": "cdi"})
