"""Covariances that leave units out, of rows in blocks: the numbers of the same rows in memory."""

from typing import Any

import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 2, "cross_fit": 3, "sl_method": "lm"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "HC3": ("z ~ y + x", {"vcov": "HC3", "sample_prob": "pi", "weights": "w", "use_t": True}),
    "HC2": ("y ~ x + g", {"vcov": "HC2", "model": "logit", "use_t": True}),
    "CR2": ("y ~ x", {"vcov": "CR2", "cluster": "cl", "use_t": True}),
    "CR3": ("z ~ y + x", {"vcov": "CR3", "cluster": "cl", "use_t": True, "sample_prob": "pi"}),
    "jackknife": ("y ~ x", {"vcov": "jackknife", "model": "logit"}),
    "jackknife, clusters": ("y ~ x", {"vcov": "jackknife", "cluster": "cl"}),
    "a number": ("z ~ y + x", {"vcov": "HC3", "tune": 0.5}),
    "a category": ("z ~ kind + x", {"predicted_var": "kind", "prediction": "kind_llm", "vcov": "HC3"}),
    "multinom": ("kind ~ x", {"predicted_var": "kind", "prediction": "kind_llm", "model": "multinom", "vcov": "HC3"}),
    "naive": ("z ~ y + x", {"estimator": "naive", "vcov": "HC2"}),
    "gold_only": ("y ~ x", {"estimator": "gold_only", "vcov": "CR3", "cluster": "cl"}),
    "far from zero": ("z ~ y + year", {"vcov": "HC3", "use_t": True}),
}
MORE = {
    "HC2",
    "CR2",
    "multinom",
    "a category",
    "jackknife, clusters",
    "gold_only",
    "far from zero",
    "a number",
    "naive",
}
"""What is tried with the simulations."""


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = table()
    formula, changes = CALLS[name]
    given = {**BASE, **changes}
    same(dsl.dsl(formula, uneven(data), **given), dsl.dsl(formula, data, **given))


def test_rows_that_alone_determine_a_coefficient_are_named() -> None:
    data = table().dropna(subset="x").reset_index(drop=True)
    data["one"] = (data.index == 700).astype(float)
    given = {**BASE, "vcov": "HC3", "sample_split": 1}
    for rows in (data, Again(data, 300)):
        with pytest.raises(e.SingularJacobianError, match="row 701 of"):
            dsl.dsl("z ~ y + one", rows, **given)


def test_jacobians_of_clusters_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsl.estimators.streaming.HELD", 10**6)
    with pytest.raises(e.NeedsAllRowsError, match="leaves out each of 90 clusters"):
        dsl.dsl("y ~ x", Again(table(), 300), **BASE, vcov="CR3", cluster="cl")
