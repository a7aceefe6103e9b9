"""Leverage at each coefficient's own lambda: the sum of products against inverses, and rows that stand alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.engine import leverage
from tests.posts import posts

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same inverses by another formula."""


def table() -> pd.DataFrame:
    data = posts()
    rng = np.random.default_rng(7)
    return data.assign(
        other=np.where(rng.random(200) < 0.7, data["llm"], 1 - data["llm"]),
        crowd=data["y"].fillna(data["llm"]).where((data["lab"] == 1) | (np.arange(200) % 3 == 0)),
        p=(data["lab"].eq(1) | (np.arange(200) % 3 == 0)).mean(),
        treat=data["llm"] + 0.2 * rng.normal(size=200),
    )


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning", "ignore::dsl.exceptions.JacobianWarning")
@pytest.mark.parametrize("vcov", ["design+HC3", "HC3"])
@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("y ~ x + z", {}),
        ("y ~ x + z + words", {"model": "logit", "estimator": "dsl+"}),
        ("z ~ y + x + words", {}),
        ("z ~ y * x + words", {"estimator": "dsl+"}),
        ("y ~ x + z", {"estimator": "cdi", "prediction": ["llm", "other"]}),
        ("z ~ y * x + words", {"estimator": "cdi", "prediction": ["llm", "other"]}),
        ("z ~ words + x | y ~ treat", {"model": "iv"}),
        ("z ~ y * x + words", {"estimator": "cdi", "stages": [("crowd", "p")]}),
    ],
    ids=str,
)
def test_products_and_inverses(formula: str, more: dict[str, Any], vcov: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "tune": "coef", "vcov": vcov, **more}
    if call.get("estimator") != "cdi":
        call |= {"sl_method": "lm", "sample_split": 1}
    if "stages" in more:
        call["sample_prob"] = "pg"
    data = table().assign(pg=0.4)
    asked = []
    narrow = leverage._narrow
    monkeypatch.setattr(leverage, "_narrow", lambda *given: asked.append(narrow(*given)) or asked[-1])
    found = dsl.dsl(formula, data, **call)
    assert asked == [True]
    monkeypatch.setattr(leverage, "_narrow", lambda *given: False)
    other = dsl.dsl(formula, data, **call)
    np.testing.assert_allclose(found.bse, other.bse, rtol=SAME_ALGEBRA)
