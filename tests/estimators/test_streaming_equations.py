"""Several equations for one outcome, of rows in blocks: the numbers of the same rows in memory."""

from typing import Any

import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {
    "predicted_var": "kind",
    "prediction": "kind_llm",
    "sample_split": 2,
    "cross_fit": 3,
    "sl_method": "lm",
}
COUNTS: dict[str, Any] = {"predicted_var": "few", "prediction": "guess"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "logit, clusters": ("kind ~ x + year", {"model": "logit", "cluster": "cl", "vcov": "CR1", "sample_prob": "pi"}),
    "lm, a draw": ("kind ~ x", {"vcov": "design", "weights": "w"}),
    "fixed effects": ("kind ~ x | year", {"model": "felm", "vcov": "HC1"}),
    "made of numbers": ("factor(few) ~ x", {"model": "logit", **COUNTS}),
    "tuned": ("kind ~ x + year", {"tune": "scalar", "vcov": "design"}),
    "dsl+": ("kind ~ x", {"estimator": "dsl+", "model": "logit", "vcov": "robust"}),
    "cdi": ("kind ~ x", {"estimator": "cdi", "vcov": "design"}),
    "naive": ("kind ~ x", {"estimator": "naive", "model": "logit"}),
    "gold_only": ("kind ~ x", {"estimator": "gold_only", "cluster": "cl"}),
    "finite": ("kind ~ x", {"target": "finite", "sample_prob": "pi"}),
}
MORE = {"made of numbers", "dsl+", "cdi", "gold_only", "finite", "fixed effects", "naive", "lm, a draw"}
"""What is tried with the simulations."""


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = table()
    data["few"] = data["k"].clip(upper=2.0)
    formula, changes = CALLS[name]
    given = {**BASE, **changes}
    found, known = dsl.dsl(formula, uneven(data), **given), dsl.dsl(formula, data, **given)
    same(found, known)
    assert len(known.params) % 3 == 0


def test_units_left_out_of_several_equations_need_all_rows() -> None:
    with pytest.raises(e.NeedsAllRowsError, match="3 classes of 'kind'"):
        dsl.dsl("kind ~ x", Again(table(), 300), **BASE, vcov="HC3")
