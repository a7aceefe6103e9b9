"""Two hops from any number that a user sees to the function that computes it, and results that cannot be changed."""

import ast
import dataclasses
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import dsl
from dsl.analyses.results import DSLEstimates
from dsl.estimators import records, result
from dsl.estimators.result import Fit, fit_of
from tests.posts import posts, run

NUMBERS = re.compile(r"FloatArray|pd\.(DataFrame|Series)")
REFERENCE = re.compile(r"`(dsl(?:\.\w+)+)`")
TABLES = {"tidy", "exponentiated", "without_rows"}
"""What puts numbers together that have docstrings of their own."""
FACTS = {"SampleFacts"}
"""The rows as they were given."""


def documented() -> dict[str, str]:
    """Docstrings of all fields, properties and methods that hold numbers, of the fit and its records, by name."""
    found = {}
    for module in (result, records):
        for kind in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
            if not isinstance(kind, ast.ClassDef) or kind.name in FACTS:
                continue
            for node, after in zip(kind.body, [*kind.body[1:], None], strict=True):
                if isinstance(node, ast.AnnAssign) and NUMBERS.search(ast.unparse(node.annotation)):
                    text = (
                        after.value.value
                        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                        else ""
                    )
                    found[f"{kind.name}.{ast.unparse(node.target)}"] = str(text)
                returned = ast.unparse(node.returns) if isinstance(node, ast.FunctionDef) and node.returns else ""
                if isinstance(node, ast.FunctionDef) and node.name not in TABLES and NUMBERS.search(returned):
                    found[f"{kind.name}.{node.name}"] = ast.get_docstring(node) or ""
    return found


def exists(name: str) -> bool:
    """Whether a dotted name is a function of the package."""
    module, _, function = name.rpartition(".")
    return callable(getattr(import_module(module), function, None))


def test_every_number_names_the_function_that_computes_it() -> None:
    found = documented()
    assert {"Fit.vcov", "Fit.df", "Fit.bse", "Fit.tuning", "Fit.labels_behind", "Splits.meats"} <= set(found)
    for name, text in found.items():
        functions = REFERENCE.findall(text)
        assert functions, f"{name} names no function"
        for function in functions:
            assert exists(function), f"{name} names {function}, which does not exist"
        learnt = {"need_predictions", "predictions", "fit_quality", "rmse"}
        if name.split(".")[1] not in learnt:
            assert any(function.startswith("dsl.engine.") for function in functions), f"{name} names no engine function"


@pytest.mark.parametrize(
    ("number", "function"),
    [
        ("vcov", "dsl.engine.covariance.sandwich"),
        ("df", "dsl.engine.intervals.degrees_of_freedom"),
        ("tuning", "dsl.engine.lambdas.best_tuning"),
        ("labels_behind", "dsl.engine.behind.labels_behind"),
    ],
)
def test_well_known_numbers(number: str, function: str) -> None:
    assert f"`{function}`" in documented()[f"Fit.{number}"]


def test_finite_populations_are_found() -> None:
    assert "`dsl.engine.labeling.finite_meat`" in documented()["Splits.meats"]


def test_public_attributes_show_the_fit() -> None:
    """What users read is what the frozen fit holds, under the same names."""
    fit = run(posts(), "y ~ x", tune="coef", sample_split=2)
    core = fit_of(fit)
    for name in (
        "params",
        "bse",
        "df",
        "zvalues",
        "nobs",
        "n_labeled",
        "n_dropped",
        "cross_fit",
        "folds",
        "predictions",
    ):
        np.testing.assert_array_equal(getattr(fit, name), getattr(core, name), err_msg=name)
    np.testing.assert_array_equal(fit.tuning, core.tuning)
    np.testing.assert_array_equal(fit.cov_params(), core.vcov)
    np.testing.assert_allclose(fit.pvalues, core.pvalues(), rtol=1e-12)
    np.testing.assert_array_equal(fit.conf_int(), core.conf_int())


def test_results_are_frozen() -> None:
    core = run(posts(), "y ~ x").core
    assert dataclasses.is_dataclass(Fit)
    assert not hasattr(core, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        core.params = core.params + 1.0  # type: ignore[misc]


def test_other_objects_are_refused() -> None:
    with pytest.raises(dsl.exceptions.ArgumentError, match="found int"):
        fit_of(3)
    assert isinstance(run(posts(), "y ~ x")._results, DSLEstimates)


def test_effective_labels_by_hand() -> None:
    """Four times the variance without predictions: they are worth as much as three more labels for each."""
    fit = fit_of(run(posts(), tune="coef", vcov="design"))
    assert fit.splits.tuning is not None
    variances = np.diagonal(fit.splits.vcovs, axis1=1, axis2=2)
    tuning = dataclasses.replace(fit.splits.tuning, without=4.0 * variances)
    changed = dataclasses.replace(fit, splits=dataclasses.replace(fit.splits, tuning=tuning))
    np.testing.assert_allclose(changed.tuning["effective_labels"], 4 * 80)
