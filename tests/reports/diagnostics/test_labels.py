"""The labelled rows in the cells of the formula's factors."""

import numpy as np
import pandas as pd
import pytest

from dsl.reports.diagnostics import diagnose
from tests.posts import posts, run


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return posts().assign(h=np.where(np.arange(200) % 7 < 3, "u", "v"))


@pytest.mark.parametrize(
    ("formula", "factors"),
    [
        ("y ~ g + h", [["g"], ["h"], ["y"]]),
        ("y ~ g * h", [["g"], ["h"], ["g", "h"], ["y"]]),
        ("y ~ g:h - 1", [["g"], ["h"], ["g", "h"], ["y"]]),
        ("y ~ g * x + h", [["g"], ["h"], ["y"]]),  # a number makes no cells
        ("y ~ x", [["y"]]),
    ],
)
def test_cells_are_those_of_a_crosstab(data: pd.DataFrame, formula: str, factors: list[list[str]]) -> None:
    """Each factor's levels, and the crossings of those that interact; the gold values too."""
    found = diagnose(run(data, formula), data).details["cells"].set_index("cell")
    expected = {}
    for names in factors:
        for level, rows in data.groupby(names):
            each = [value if isinstance(value, str) else f"{value:g}" for value in level]
            cell = ", ".join(f"{name} = {value}" for name, value in zip(names, each, strict=True))
            expected[cell] = [len(rows), int(rows["y"].notna().sum())]
    assert found[["rows", "n_labeled"]].T.to_dict("list") == expected
