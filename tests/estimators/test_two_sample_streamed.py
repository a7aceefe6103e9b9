"""Prediction-powered inference on rows in blocks: the numbers of the same rows in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, same, sources, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "estimator": "ppi++"}
TWO: dict[str, Any] = {"predicted_var": {"y": ["llm", "other"]}, "prediction": None}
KIND: dict[str, Any] = {"predicted_var": "kind", "prediction": "kind_llm"}
COUNT: dict[str, Any] = {"predicted_var": "k", "prediction": "guess"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lm": ("y ~ x + late", {}),
    "lm, lambda fixed, years far from zero": ("y ~ x + year", {"estimator": "ppi", "tune": 0.4, "cluster": "cl"}),
    "a mean": ("y ~ 1", {"weights": "w"}),
    "logit": ("y ~ x + factor(year)", {"model": "logit", "estimator": "ppi"}),
    "logit, lambda chosen": ("y ~ x", {"model": "logit", "vcov": "HC1"}),
    "predicted covariate": ("z ~ y * x", {"cluster": "cl", "vcov": "CR1"}),
    "finite": ("z ~ y + x", {"target": "finite", "estimator": "ppi"}),
    "two surrogates": ("z ~ y + x", {**TWO, "cluster": "cl"}),
    "two surrogates, finite": ("y ~ x", {**TWO, "model": "logit", "target": "finite"}),
    "a category": ("z ~ kind + x", KIND),
    "probit": ("y ~ x", {"model": "probit"}),
    "cloglog": ("y ~ x", {"model": "cloglog", "estimator": "ppi"}),
    "poisson": ("k ~ x + offset(log(w))", {**COUNT, "model": "poisson"}),
    "gamma": ("I(k + 1) ~ x", {**COUNT, "model": "gamma"}),
    "negbin": ("k ~ x", {**COUNT, "model": "negbin"}),
    "multinom": ("kind ~ x", {**KIND, "model": "multinom"}),
    "ologit": ("kind ~ x", {**KIND, "model": "ologit"}),
    "oprobit": ("kind ~ x", {**KIND, "model": "oprobit", "estimator": "ppi"}),
}
MORE = {
    "a mean", "a category", "probit", "cloglog", "poisson", "gamma", "negbin", "multinom", "ologit", "oprobit", "logit",
    "lm", "finite", "two surrogates, finite",
}  # fmt: skip
"""What is tried with the simulations."""


def both(formula: str, data: Any, source: Any, **changes: Any) -> None:
    given = {**BASE, **changes}
    found, known = dsl.dsl(formula, source, **given), dsl.dsl(formula, data, **given)
    same(found, known)
    ours, theirs = found.core.splits.tuning, known.core.splits.tuning
    np.testing.assert_allclose(ours.lambdas, theirs.lambdas, rtol=1e-9)
    assert (ours.each is None) == (theirs.each is None)
    if ours.each is not None:
        np.testing.assert_allclose(ours.each, theirs.each, rtol=1e-9)


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = table()
    formula, changes = CALLS[name]
    both(formula, data, uneven(data), **changes)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "rows"), [(1, 60), (64, 250), (5_000, 250)])
def test_sizes_of_blocks_change_nothing(size: int, rows: int) -> None:
    data = table().head(rows)
    both("y ~ x", data, Again(data, size))


@pytest.mark.slow
def test_every_source_gives_the_same(tmp_path: Path) -> None:
    data = table()
    for source in sources(data, tmp_path).values():
        both("y ~ x + late", data, source, cluster="cl")


def test_unequal_probabilities_are_refused_as_in_memory() -> None:
    with pytest.raises(e.ArgumentError, match="equal probability"):
        dsl.dsl("y ~ x", Again(table(), 300), sample_prob="pi", **BASE)


def test_rows_that_do_not_determine_the_coefficients() -> None:
    data = table()
    data["alone"] = data["y"].notna() & (np.arange(len(data)) % 2 == 0)
    with pytest.raises(e.SingularJacobianError, match="unlabelled rows alone"):
        dsl.dsl("y ~ x + alone", Again(data, 300), **BASE)
