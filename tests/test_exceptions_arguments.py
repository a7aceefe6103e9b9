"""Whatever is passed in the place of an argument, only errors of this package leave it: a table of calls and values."""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import datasets, plotting, sampling
from dsl.annotation import Codebook
from dsl.reports.tables import RegressionTable
from tests.posts import posts

QUICK: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
BAD: list[Any] = [
    None, "", "zz", -1, 0, 2, 1e300, float("nan"), float("inf"), 10**30, -0.5, True, "1", b"x", object(), [], {}, (), [None],
    [1, 2], ["zz"], {"y": "zz"}, {1: 2}, np.array([]), "y ~", lambda: 1, pd.DataFrame(), pd.Series([1.0]),
]  # fmt: skip
"""Values of every kind, each of which is wrong for most arguments."""
LONG = {"n_jobs", "replications", "n_boot", "sample_split", "cross_fit", "progress", "compare", "diagnose", "n"}
"""Arguments of which some of these values are right and take long."""
PARTS = 6
"""Tests that share the calls among them."""
DATA = posts()
WHOLE = DATA.assign(y=DATA["llm"])

pytestmark = [
    # what is right about some calls may be worth a warning of this package, never one of another
    pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning"),
    pytest.mark.usefixtures("nowhere"),
]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder to write to, and plots without windows."""
    matplotlib.use("Agg")
    monkeypatch.setitem(matplotlib.rcParams, "figure.max_open_warning", 0)
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


def mean(frame: pd.DataFrame, weights: np.ndarray) -> float:
    return float(np.average(frame["y"], weights=weights))


def always(text: str) -> str:
    return "yes"


@cache
def fit() -> dsl.DSLResults:
    """A fit to ask things of."""
    return dsl.dsl("y ~ x + g", DATA, **QUICK)


@cache
def calls() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """What is public, and arguments with which it works."""
    first, design = fit(), sampling.simple_random(DATA, 50, seed=1)
    comparison = dsl.compare("y ~ x", DATA, **QUICK)
    power = dsl.power_dsl("y ~ x", DATA, labeled_size=[50, 100], **QUICK)
    shares = dsl.proportions(DATA, gold="y", prediction="llm")
    diagnostics = first.diagnostics()
    quantile: dict[str, Any] = {
        "data": DATA.assign(q=DATA["x"].where(DATA["lab"] == 1)),
        "gold": "q",
        "prediction": "x",
    }
    asked: dict[str, Any] = {"data": DATA.iloc[:20], "text": "g", "codebook": Codebook("Is it?", ["yes", "no"])}
    functions: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "dsl": (dsl.dsl, {"formula": "y ~ x", "data": DATA, **QUICK}),
        "dsl, felm": (dsl.dsl, {"formula": "y ~ x", "data": DATA, "model": "felm", "index": "g", **QUICK}),
        "dsl, dsl+": (dsl.dsl, {"formula": "x ~ y", "data": DATA, "estimator": "dsl+", **QUICK}),
        "compare": (dsl.compare, {"formula": "y ~ x", "data": DATA, **QUICK}),
        "proportions": (dsl.proportions, {"data": DATA, "gold": "y", "prediction": "llm", "sample_split": 1}),
        "aggregate": (dsl.aggregate, {"posts": DATA, "unit": "cl", "gold": "y", "prediction": "llm"}),
        "ppi_quantile": (dsl.ppi_quantile, quantile),
        "ppi_statistic": (
            dsl.ppi_statistic,
            {"fn": mean, "data": DATA, "gold": "y", "prediction": "llm", "n_boot": 50},
        ),
        "power_dsl": (dsl.power_dsl, {"fit": "y ~ x", "data": DATA, "labeled_size": [50], **QUICK}),
        "plan_dsl": (
            dsl.plan_dsl,
            {"formula": "y ~ x", "data": DATA.drop(columns="y"), "labeled_size": 50, "accuracy": 0.9, "replications": 1, **QUICK},
        ),
        "evaluate": (
            dsl.evaluate,
            {"formula": "y ~ x", "data": WHOLE, "n_labels": [60], "replications": 2, "estimators": ["naive"], **QUICK},
        ),
        "diagnose": (dsl.diagnose, {"fit": first, "data": DATA}),
        "table": (dsl.table, {"fits": [first]}),
        "write_report": (
            dsl.write_report,
            {"fit": first, "path": "r.html", "data": DATA, "compare": False, "diagnose": False},
        ),
        "annotate": (dsl.annotate, {**asked, "model": always, "progress": False}),
        "estimate_cost": (dsl.annotation.estimate_cost, {**asked, "model": "m"}),
        "write_batch": (dsl.annotation.write_batch, {"path": "b.jsonl", **asked, "model": "m"}),
        "read_batch": (dsl.annotation.read_batch, {"paths": "none.jsonl"}),
        "Trail.load": (dsl.annotation.Trail.load, {"path": "none.json"}),
        "folds_like_r": (dsl.folds_like_r, {"units": 20, "cross_fit": 2, "sample_split": 1}),
        "AdaptiveDesign": (
            dsl.AdaptiveDesign,
            {
                "formula": "y ~ x", "data": DATA.drop(columns="y"), "predicted_var": "y", "prediction": "llm", "n_labels": 60,
                "batch_size": 30,
            },
        ),
        "simple_random": (sampling.simple_random, {"data": DATA, "n_labels": 50}),
        "bernoulli": (sampling.bernoulli, {"data": DATA, "n_labels": 50}),
        "stratified": (sampling.stratified, {"data": DATA, "n_labels": 50, "by": "g"}),
        "pps": (sampling.proportional_to_size, {"data": DATA, "n_labels": 50, "measure": "words"}),
        "clustered": (sampling.clustered, {"data": DATA, "n_clusters": 5, "by": "cl"}),
        "two_stage": (sampling.two_stage, {"data": DATA, "n_clusters": 5, "per_cluster": 3, "by": "cl"}),
        "simulate_linear": (datasets.simulate_linear, {"n": 200, "n_labels": 80}),
        "plotting.coefficients": (plotting.coefficients, {"fits": [first]}),
        "plotting.weights": (plotting.weights, {"fit": first}),
        "plotting.calibration": (plotting.calibration, {"fit": first}),
        "plotting.proportions": (plotting.proportions, {"shares": shares}),
        "LabelDesign.load": (sampling.LabelDesign.load, {"path": "nothing.npz"}),
        "read_rds": (dsl.r.read_rds, {"path": "nothing.rds"}),
        "read_rdata": (dsl.r.read_rdata, {"path": "nothing.RData"}),
    }  # fmt: skip
    methods: list[tuple[str, object, dict[str, dict[str, Any]]]] = [
        (
            "fit",
            first,
            {
                "conf_int": {}, "tidy": {}, "summary": {}, "predict": {"data": DATA}, "wald_test_terms": {}, "summary2": {},
                "get_margeff": {}, "get_prediction": {"data": DATA},
                "t_test": {"r_matrix": "x = 0"}, "wald_test": {"r_matrix": "x = 0"}, "f_test": {"r_matrix": "x = 0"},
                "t_test_pairwise": {"term_name": "g"}, "compare": {}, "report": {"path": "q.html", "compare": False},
            },
        ),
        ("comparison", comparison, {"summary": {}, "plot": {}}),
        (
            "power",
            power,
            {
                "at": {"labeled_size": [60]}, "mde": {}, "power": {"effect": 0.2}, "labels_needed": {"se": 0.3}, "summary": {},
                "cost": {"expert_price": 1.0}, "plot": {},
            },
        ),
        ("shares", shares, {"summary": {}, "plot": {}}),
        ("diagnostics", diagnostics, {"detail": {"name": "labels"}}),
        (
            "design",
            design,
            {
                "save": {"path": "d.npz"}, "subset": {"part": design.rows[:150]}, "from_coder": {"path": "c.csv", "data": DATA},
                "agreement": {"paths": ["a.csv", "b.csv"]},
                "to_coder": {"path": "c.csv", "data": DATA, "columns": "words"},
            },
        ),
        ("table", dsl.table(first), {"save": {"path": "t.md"}}),
    ]  # fmt: skip
    for owner, thing, wanted in methods:
        for name, arguments in wanted.items():
            if hasattr(thing, name):
                functions[f"{owner}.{name}"] = getattr(thing, name), arguments
    return functions


def wrong(name: str, share: int) -> list[tuple[str, Any]]:
    """Arguments of a call and values for them: of each argument every `share`-th value, other ones for other arguments."""
    function, _ = calls()[name]
    named = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    start = sum(map(ord, name))
    return [
        (argument, value)
        for j, argument in enumerate(named)
        for k, value in enumerate(BAD)
        if (k + j + start) % share == 0 and not (argument in LONG and isinstance(value, int | bool))
    ]


def check(names: list[str], share: int) -> None:
    found = []
    for name in names:
        function, arguments = calls()[name]
        for argument, value in wrong(name, share):
            try:
                function(**{**arguments, argument: value})
            except dsl.DSLError:
                continue
            except Exception as error:
                # a warning of another package is an error here too
                found.append(f"{name}({argument}={value!r}) raised {type(error).__name__}: {error}")
    assert not found


@pytest.mark.parametrize("part", range(PARTS))
def test_only_errors_of_this_package(part: int) -> None:
    check([*calls()][part::PARTS], share=9)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_only_errors_of_this_package_for_every_value(part: int) -> None:
    check([*calls()][part::PARTS], share=1)


@pytest.mark.parametrize("alpha", [0, 1, -0.05, 1.5, float("nan"), "0.05", None, True])
def test_alpha_everywhere(alpha: object) -> None:
    with_alpha = [
        name
        for name, (function, _) in calls().items()
        if "alpha" in inspect.signature(function).parameters
        and not (alpha is None and inspect.signature(function).parameters["alpha"].default is None)
    ]
    assert len(with_alpha) >= 15
    silent = []
    for name in with_alpha:
        function, arguments = calls()[name]
        try:
            function(**{**arguments, "alpha": alpha})
            silent.append(name)
        except dsl.exceptions.ArgumentError as error:
            silent.extend([] if "alpha" in str(error) else [f"{name}: {error}"])
    assert not silent


@pytest.mark.parametrize("tune", [1e300, -1e300, float("nan"), float("inf"), 10**30])
def test_huge_lambdas(tune: float) -> None:
    for name in ("dsl", "ppi_quantile", "ppi_statistic"):
        function, arguments = calls()[name]
        with pytest.raises(dsl.exceptions.ArgumentError, match="tune"):
            function(**{**arguments, "tune": tune})


def test_a_fit_can_be_printed_where_only_ascii_can() -> None:
    for text in (
        str(fit().summary()),
        repr(fit()),
        str(fit().compare()),
        str(fit().diagnostics()),
        str(dsl.table(fit())),
    ):
        assert text.isascii()
    assert isinstance(dsl.table(fit()), RegressionTable)
