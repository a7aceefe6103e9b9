"""What learners see of rows."""

import numpy as np
import pandas as pd

from dsl.data.columns import Columns
from dsl.data.features import feature_levels, feature_matrix, features_on, means_of
from dsl.data.tables import to_pandas
from tests.posts import ROWS, posts


def test_features_are_numbers_then_dummies() -> None:
    data = posts().assign(flag=lambda d: d["x"] > 0)
    columns = Columns(formula=(), predicted=(), prediction=("llm",), feature=("flag", "g", "llm"))
    matrix, names = feature_matrix(to_pandas(data, ["llm", "flag", "g"]), columns, {})
    assert names == ("llm", "flag", "g_b", "g_c")
    np.testing.assert_array_equal(
        matrix, np.column_stack([data["llm"], data["flag"], data["g"] == "b", data["g"] == "c"])
    )
    assert feature_matrix(data, Columns(formula=(), predicted=()), {})[0].shape == (ROWS, 0)


def test_other_rows_have_the_same_columns() -> None:
    data = posts()
    columns = Columns(formula=(), predicted=(), prediction=("llm",), feature=("g",))
    matrix, _ = feature_matrix(data, columns, {})
    levels = feature_levels(data, columns)
    np.testing.assert_array_equal(features_on(data.iloc[5:9], levels), matrix[5:9])


def test_means_of_blocks_are_those_of_the_rows_that_have_them() -> None:
    blocks = [pd.DataFrame({"x": [1.0, np.nan], "z": [None, None]}), pd.DataFrame({"x": [4.0], "z": [3.0]})]
    assert means_of(["x", "z"], iter(blocks)) == {"x": 2.5, "z": 3.0}
