"""Instruments of rows in blocks: the numbers of the same rows in memory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {
    "model": "iv",
    "predicted_var": "y",
    "prediction": "llm",
    "sample_split": 2,
    "cross_fit": 3,
    "sl_method": "lm",
}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "predicted and endogenous": ("z ~ x | y ~ push + pull", {"sample_prob": "pi"}),
    "predicted outcome": ("y ~ x | dose ~ push", {"cluster": "cl", "vcov": "CR1"}),
    "predicted instrument": ("z ~ x | dose ~ y + push", {"weights": "w", "vcov": "HC3"}),
    "a category": ("z ~ x | kind ~ push + pull + x:pull", {"predicted_var": "kind", "prediction": "kind_llm"}),
    "fixed effects": ("z ~ x | year | y ~ push", {"sample_prob": "pi", "vcov": "HC1"}),
    "fixed effects, tuned": ("z ~ x | year | y ~ push + pull", {"tune": "scalar", "vcov": "design"}),
    "tuned": ("z ~ x | y ~ push + pull", {"tune": "coef"}),
    "dsl+": ("z ~ x | y ~ push", {"estimator": "dsl+", "vcov": "robust"}),
    "cdi": ("z ~ x | y ~ push", {"estimator": "cdi"}),
    "naive": ("z ~ x | y ~ push + pull", {"estimator": "naive"}),
    "gold_only": ("z ~ x | y ~ push + pull", {"estimator": "gold_only", "vcov": "HC3"}),
    "finite": ("z ~ x | y ~ push + pull", {"target": "finite", "sample_prob": "pi"}),
}
MORE = {"a category", "dsl+", "cdi", "naive", "gold_only", "finite", "predicted outcome", "tuned", "fixed effects"}
"""What is tried with the simulations."""


def pushed() -> pd.DataFrame:
    """Posts with two instruments of a label, and of a dose."""
    data, rng = table(), np.random.default_rng(5)
    data["push"] = data["llm"] + rng.normal(size=len(data))
    data["pull"] = data["llm"] - 0.5 * data["push"] + rng.normal(size=len(data))
    data["dose"] = data["push"] + 0.4 * data["llm"] + rng.normal(size=len(data))
    return data


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = pushed()
    formula, changes = CALLS[name]
    given = {**BASE, **changes}
    found, known = dsl.dsl(formula, uneven(data), **given), dsl.dsl(formula, data, **given)
    same(found, known)
    own, other = found.core.splits.instruments, known.core.splits.instruments
    assert own is not None
    assert other is not None
    np.testing.assert_allclose(own.f, other.f, rtol=1e-8)
    np.testing.assert_allclose(own.over, other.over, rtol=1e-7)
    assert (own.endogenous, own.df.tolist(), own.over_df) == (other.endogenous, other.df.tolist(), other.over_df)


def test_instruments_that_are_combinations_of_each_other_are_named() -> None:
    data = pushed().assign(twice=lambda d: 2.0 * d["push"])
    with pytest.raises(e.CollinearityError, match="'push', 'twice'"):
        dsl.dsl("z ~ x | y ~ push + twice", Again(data, 300), **BASE)
