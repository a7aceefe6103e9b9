"""Sentences about rows: counts that are true."""

import numpy as np
import pandas as pd

from dsl.data.messages import each_value


def test_each_value_has_the_count_of_its_own_rows() -> None:
    values = pd.Series([2.0, 0.5, 2.0, np.nan, 7.0, 8.0, 9.0], index=list("abcdefg"))
    assert each_value(values) == (
        "2 in 2 rows (first: a, c), 0.5 in 1 row (first: b), missing in 1 row (first: d), 3 other values in 3 rows"
    )
    assert each_value(pd.Series([None, None], dtype=object)) == "missing in 2 rows (first: 0, 1)"
    assert each_value(pd.Series([True, False, True])) == "True in 2 rows (first: 0, 2), False in 1 row (first: 1)"
