"""Blocks in the types of rows that were prepared."""

import numpy as np
import pandas as pd

from dsl.data.conform import conformed


def test_types_become_those_that_are_known() -> None:
    known = pd.DataFrame(
        {
            "number": [1.0, 2.0],
            "zero": [0.0, 1.0],
            "kind": pd.Categorical(["b", "a"], categories=["b", "a"]),
            "time": pd.to_datetime(["2020-01-01 05:00", "2020-01-02 00:00"]),
        }
    )
    block = pd.DataFrame(
        {
            "number": [3],
            "zero": ["1"],
            "kind": ["a"],
            "time": pd.to_datetime(["2020-01-03"]).astype("datetime64[s]"),
            "other": [0],
        },
        index=[7],
    )
    found = conformed(block, known, list(known))
    assert found.dtypes.equals(known.dtypes)
    assert found.index.tolist() == [7]
    assert found.iloc[0].tolist() == [3.0, 1.0, "a", pd.Timestamp("2020-01-03")]
    missing = conformed(pd.DataFrame({"number": np.array([None], dtype=object)}), known, ["number"])
    assert missing["number"].isna().all()
    assert missing["number"].dtype == float
