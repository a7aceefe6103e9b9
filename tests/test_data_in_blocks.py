"""What every public function makes of data that are read in blocks: it works, or says by name that it needs all rows."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.planning import power

from .streams import Again, same, sources, table

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 1, "cross_fit": 2, "sl_method": "lm"}
PAIR: dict[str, Any] = {"gold": "y", "prediction": "llm"}
CODEBOOK = dsl.annotation.Codebook(question="Is it good?", labels={0: "no", 1: "yes"})
ASKED: dict[str, Any] = {"codebook": CODEBOOK, "model": "m"}
WORKS = {
    "dsl", "compare", "diagnose", "write_report", "power_dsl", "proportions", "aggregate", "ppi_quantile", "bernoulli",
    "clustered", "nested", "proportional_to_size", "simple_random", "stratified", "two_stage", "LabelDesign.to_coder",
    "LabelDesign.from_coder",
}  # fmt: skip
"""Each of these has tests of its own."""
NEED_ALL: dict[str, Callable[[Any, dsl.DSLResults], object]] = {
    "annotate": lambda data, fit: dsl.annotate(data, text="text", **ASKED),
    "estimate_cost": lambda data, fit: dsl.annotation.estimate_cost(data, text="text", **ASKED),
    "write_batch": lambda data, fit: dsl.annotation.write_batch("b.jsonl", data, text="text", cache="c.jsonl", **ASKED),
    "validate": lambda data, fit: dsl.annotation.validate(data, **PAIR),
    "evaluate": lambda data, fit: dsl.evaluate("y ~ x", data, predicted_var="y", prediction="llm", n_labels=100),
    "learning_curve": lambda data, fit: dsl.learning_curve(fit, data),
    "multiverse": lambda data, fit: dsl.multiverse("y ~ x", data, predicted_var="y", predictions=["llm", "other"]),
    "plan_dsl": lambda data, fit: dsl.plan_dsl("y ~ x", data, accuracy=0.8, labeled_size=90, **_pair()),
    "plan_stages": lambda data, fit: power.plan_stages(
        "y ~ x", data, n_crowd=90, n_experts=30, accuracy=0.8, crowd_accuracy=0.9, **_pair()
    ),
    "ppi_statistic": lambda data, fit: dsl.ppi_statistic(lambda d, w: np.array([d["y"] @ w]), data, **PAIR),
    "targeted": lambda data, fit: dsl.sampling.targeted(fit, data, 50),
    "AdaptiveDesign.__init__": lambda data, fit: dsl.AdaptiveDesign("y ~ x", data, **_pair(), n_labels=90, seed=1),
    "get_margeff": lambda data, fit: fit.get_margeff(data=data),
    "get_prediction": lambda data, fit: fit.get_prediction(data),
    "archive": lambda data, fit: fit.archive("never.zip", data),
}
ELSEWHERE = {
    "AdaptiveDesign.resume": "reads its log before the data",
    "replicate": "reads its archive before the data",
    "cross_check": "needs R",
    "reference_dsl": "needs R",
    "power_stages": "needs a fit with stages, which needs a table",
    "DSLResults.of": "takes the data of a fit as they are",
}


def _pair() -> dict[str, Any]:
    return {"predicted_var": "y", "prediction": "llm"}


def public() -> set[str]:
    """Names of all functions and methods that take data."""
    modules: list[ModuleType] = [dsl, dsl.sampling, dsl.annotation, dsl.r, power]
    out = set[str]()
    for module in modules:
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isfunction(found) and set(inspect.signature(found).parameters) & {"data", "posts"}:
                out.add(name)
            if inspect.isclass(found) and not issubclass(found, BaseException):
                methods = {method: getattr(each, "__func__", each) for method, each in vars(found).items()}
                out |= {
                    f"{name}.{method}"
                    for method, each in methods.items()
                    if inspect.isfunction(each) and "data" in inspect.signature(each).parameters
                }
    return out


def test_every_function_is_known() -> None:
    found = {name for name in public() if not name.endswith("__init__") or name.startswith("AdaptiveDesign")}
    known = WORKS | set(NEED_ALL) | set(ELSEWHERE)
    assert found - known == set()
    assert (WORKS | {*NEED_ALL, *ELSEWHERE} - {"get_margeff", "get_prediction", "archive"}) - found == set()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return sources(table(), tmp_path_factory.mktemp("blocks"))


@pytest.fixture(scope="module")
def fit() -> dsl.DSLResults:
    return dsl.dsl("y ~ x", table(), **BASE)


@pytest.mark.parametrize("name", NEED_ALL)
def test_what_needs_all_rows_says_so(
    name: str, given: dict[str, Any], fit: dsl.DSLResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {"file": "the path", "path": "the path", "folder": "the path", "glob": "the path", "dataset": "dataset"}
    words |= {"duckdb": "DuckDB relation", "lazy": "a lazy frame", "list": "2 tables"}
    for kind, source in given.items():
        with pytest.raises(e.NeedsAllRowsError, match=f"needs all rows in memory, and was given .*{words[kind]}"):
            NEED_ALL[name](source, fit)
    assert not list(tmp_path.iterdir())


def test_power_from_blocks() -> None:
    data = table()
    for changes in ({}, {"target": "finite"}, {"cluster": "cl"}):
        call = {**BASE, **changes}
        found = dsl.power_dsl("y ~ x", Again(data, 400), labeled_size=[500, 700], **call)
        known = dsl.power_dsl("y ~ x", data, labeled_size=[500, 700], **call)
        pd.testing.assert_frame_equal(found.predicted_se, known.predicted_se, rtol=1e-8)
    unequal = dsl.dsl("y ~ x", Again(data, 400), **BASE, target="finite", sample_prob="pi")
    with pytest.raises(e.NeedsAllRowsError, match="unequal probabilities"):
        dsl.power_dsl(unequal, labeled_size=500)
    with pytest.raises(e.ArgumentError, match="leave the data out"):
        dsl.power_dsl(unequal, Again(data, 400))


SHARES: dict[str, dict[str, Any]] = {
    "groups and time": {"by": "g", "time": "year", "sample_prob": "pi"},
    "clusters": {"by": "late", "cluster": "cl", "feature": "score"},
    "one cell": {"weights": "w"},
}


@pytest.mark.parametrize("name", SHARES)
def test_shares_from_blocks(name: str) -> None:
    data = table().dropna(subset="x")
    how: dict[str, Any] = {**PAIR, "sl_method": "lm", "sample_split": 1, "cross_fit": 2, **SHARES[name]}
    known = dsl.proportions(data.reset_index(drop=True), **how)
    found = dsl.proportions(Again(data, [0, 300, 0, 900]), **how)
    pd.testing.assert_frame_equal(found.table, known.table, rtol=1e-8)
    np.testing.assert_allclose(found.vcov, known.vcov, rtol=1e-7, atol=1e-12)
    same(found.fit, known.fit)


def test_shares_that_cannot_be_had_from_blocks() -> None:
    source = Again(table(), 400)
    with pytest.raises(e.NeedsAllRowsError, match="'kind' has 3 categories"):
        dsl.proportions(source, gold="kind", prediction="kind_llm")
    with pytest.raises(e.NeedsAllRowsError, match="text="):
        dsl.proportions(source, **PAIR, text="g")


def test_units_and_quantiles_from_blocks(tmp_path: Path) -> None:
    data = table().assign(rating=lambda d: d["z"].where(d["y"].notna()), score=lambda d: d["z"] + d["x"].fillna(0.0))
    data["g2"] = data["g"]
    data.to_parquet(tmp_path / "posts.parquet", row_group_size=128)
    for source in (Again(data, [0, 300, 0, 900]), tmp_path / "posts.parquet"):
        for unit in ("cl", ["late", "year"]):
            found, known = (dsl.aggregate(rows, **PAIR, unit=unit, at_least=1, keep=None) for rows in (source, data))
            pd.testing.assert_frame_equal(found, known)
        kept, known = (dsl.aggregate(rows, **PAIR, unit=["cl", "g"], keep="g2") for rows in (source, data))
        pd.testing.assert_frame_equal(kept, known)
        pair = {"gold": "rating", "prediction": "score"}
        one, other = (dsl.ppi_quantile(rows, **pair, q=[0.2, 0.5], cluster="cl") for rows in (source, data))
        pd.testing.assert_frame_equal(one, other)
    recorded = data.assign(sample_prob=data["pi"])
    with pytest.warns(e.UnusedDesignWarning, match="sample_prob"):
        dsl.ppi_quantile(Again(recorded, 400), gold="rating", prediction="score")
