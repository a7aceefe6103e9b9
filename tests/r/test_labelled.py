"""Which values a column of SPSS declares missing. `tests/r/test_files.py` has what haven itself says."""

import numpy as np
import pandas as pd
import pytest

from dsl.r.labelled import user_missing


@pytest.mark.parametrize(
    ("values", "codes", "span", "missing"),
    [
        ([1.0, -9.0, np.nan], [-9.0], None, [0, 1, 0]),
        ([1.0, -9.0, 5.0], None, (-np.inf, -1.0), [0, 1, 0]),
        ([7.0, 8.0, 9.0, -1.0], [-1.0], (8.0, 9.0), [0, 1, 1, 1]),
        ([1, -9, 3], [-9.0], None, [0, 1, 0]),
        ([1, 2], None, None, [0, 0]),
    ],
)
def test_codes_and_ranges(
    values: list[float], codes: list[object] | None, span: tuple[float, float] | None, missing: list[int]
) -> None:
    assert user_missing(np.array(values), codes, span).astype(int).tolist() == missing


def test_texts_as_they_stand() -> None:
    texts = pd.array(["REF", "ref", None, "REF "], dtype=pd.Series(["a"]).dtype)
    assert user_missing(texts, ["REF"], None).tolist() == [True, False, False, False]
