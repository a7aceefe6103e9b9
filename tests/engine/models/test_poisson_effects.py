"""Poisson regression with absorbed effects equals the one with dummies."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl.estimators.again import analysis_of
from tests.engine.models.truth import maximum

pytestmark = pytest.mark.numeric

SAME = 1e-9
"""The same estimate by another way: both solve to the last digits."""
N, LABELS = 900, 450


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    unit, year = rng.integers(0, 12, N), rng.integers(0, 6, N)
    data = pd.DataFrame({"x": rng.normal(size=N), "z": rng.normal(size=N) + 50.0, "unit": unit, "year": year})
    data["b"] = (rng.random(N) < 0.5).astype(float)
    level = rng.normal(size=12)[unit] / 3 + rng.normal(size=6)[year] / 3
    data["size"], data["count"] = rng.uniform(0.5, 2.0, N), rng.uniform(0.5, 2.0, N)
    data["y"] = rng.poisson(2.0 * np.exp(0.3 * data["x"] - 0.2 * (data["z"] - 50.0) + 0.3 * data["b"] + level)).astype(
        float
    )
    data["llm"], data["llm_b"] = (
        data["y"] + rng.normal(size=N),
        np.where(rng.random(N) < 0.8, data["b"], 1.0 - data["b"]),
    )
    data["cluster"] = rng.integers(0, 60, N)
    return data


def hidden(data: pd.DataFrame, name: str) -> pd.DataFrame:
    shown = np.random.default_rng(2).permutation(N) < LABELS
    return data.assign(**{name: data[name].where(shown)})


def both(data: pd.DataFrame, right: str, bar: str, **call: Any) -> tuple[dsl.DSLResults, dsl.DSLResults]:
    """The fit with absorbed effects, and with dummies."""
    dummies = " + ".join(f"factor({name})" for name in bar.split(" + "))
    given: dict[str, Any] = {"model": "poisson", "sl_method": "lm", "sample_split": 2, **call}
    absorbed, dense = (
        dsl.dsl(formula, data, **given) for formula in (f"y ~ {right} | {bar}", f"y ~ {right} + {dummies}")
    )
    return absorbed, dense


def assert_same(absorbed: dsl.DSLResults, dense: dsl.DSLResults) -> None:
    names = list(absorbed.params.index)
    np.testing.assert_allclose(absorbed.params, dense.params[names], rtol=SAME, atol=SAME)
    np.testing.assert_allclose(absorbed.cov_params(), dense.cov_params().loc[names, names], rtol=1e-7, atol=1e-14)


@pytest.mark.parametrize("bar", ["unit", "unit + year"])
def test_fully_labelled(truth: pd.DataFrame, bar: str) -> None:
    """Statsmodels with dummies."""
    with pytest.warns(e.AllLabeledWarning):
        ours = dsl.dsl(
            f"y ~ x + z | {bar}", truth, model="poisson", predicted_var="y", prediction="llm", sl_method="lm"
        )
    parts = [pd.get_dummies(truth[name], drop_first=j > 0) for j, name in enumerate(bar.split(" + "))]
    design = np.hstack([truth[["x"]], truth[["z"]] - 50.0, *parts]).astype(float)
    theirs = maximum(sm.GLM(truth["y"], design, family=sm.families.Poisson()), scale=1.0)
    np.testing.assert_allclose(ours.params, theirs.params[:2], rtol=1e-8)
    np.testing.assert_allclose(ours.cov_params(), theirs.vcov()[:2, :2], rtol=1e-8)


@pytest.mark.parametrize("bar", ["unit", "unit + year"])
@pytest.mark.parametrize("estimator", ["dsl", "gold_only", "naive"])
@pytest.mark.parametrize("name", ["y", "b"])
def test_equal_to_dummies(truth: pd.DataFrame, name: str, estimator: str, bar: str) -> None:
    surrogate = "llm" if name == "y" else "llm_b"
    assert_same(*both(hidden(truth, name), "x + z + b", bar, predicted_var={name: surrogate}, estimator=estimator))


@pytest.mark.parametrize("more", [{"cluster": "cluster"}, {"weights": "count"}, {"target": "finite"}], ids=str)
def test_options_equal_to_dummies(truth: pd.DataFrame, more: dict[str, Any]) -> None:
    assert_same(*both(hidden(truth, "y"), "x + z", "unit", predicted_var={"y": "llm"}, **more))


@pytest.mark.parametrize("bar", ["unit", "unit + year"])
@pytest.mark.parametrize("name", ["y", "b"])
def test_tuned(truth: pd.DataFrame, name: str, bar: str) -> None:
    """Not the dummies' numbers, since the augmentation has effects of its own: to first order the same for each coefficient."""
    given: dict[str, Any] = {"predicted_var": {name: "llm" if name == "y" else "llm_b"}}
    data = hidden(truth, name)
    absorbed, dense = both(data, "x + b", bar, tune="coef", vcov="design", **given)
    assert (np.abs(absorbed.params - dense.params[["x", "b"]]) < 0.1 * absorbed.bse).all()
    np.testing.assert_allclose(absorbed.bse, dense.bse[["x", "b"]], rtol=0.02)
    ends = [both(data, "x + b", bar, **given, **more)[0].bse for more in ({}, {"estimator": "gold_only"})]
    matrix, _ = both(data, "x + b", bar, tune="matrix", vcov="design", **given)
    assert (matrix.bse <= 1.01 * np.minimum(*ends)).all()


def test_a_fixed_lambda(truth: pd.DataFrame) -> None:
    """Root of sum psi + (lambda - 1) (1 - w) m_hat, m_hat within effects of the surrogates alone, found by another solver."""
    data = hidden(truth, "y")
    call: dict[str, Any] = {"model": "poisson", "predicted_var": {"y": "llm"}, "estimator": "cdi", "tune": 0.4}
    fit = dsl.dsl("y ~ x + z | unit", data, **call)
    shown = data["y"].notna().to_numpy()
    w = np.where(shown, N / LABELS, 0.0)
    x, llm, unit = data[["x", "z"]].to_numpy() - [0.0, 50.0], data["llm"].to_numpy(), data["unit"].to_numpy()
    outcome = np.where(shown, (1.0 - w) * llm + w * data["y"].fillna(0.0), llm)

    def moment(b: np.ndarray) -> np.ndarray:
        m = np.exp(x @ b)
        total = np.bincount(unit, m)
        centred = x - np.column_stack([np.bincount(unit, m * column) / total for column in x.T])[unit]
        own, alone = ((np.bincount(unit, y) / total)[unit] * m for y in (outcome, llm))
        return centred.T @ (outcome - own - 0.6 * (1.0 - w) * (llm - alone))

    found = scipy.optimize.root(moment, [0.3, -0.2], tol=1e-13)
    np.testing.assert_allclose(fit.params, found.x, rtol=1e-8)


def test_offset(truth: pd.DataFrame) -> None:
    data = hidden(truth, "y")
    assert_same(*both(data, "x + offset(log(size))", "unit", predicted_var={"y": "llm"}))


def test_effects_named_by_index(truth: pd.DataFrame) -> None:
    call: dict[str, Any] = {"model": "poisson", "predicted_var": {"y": "llm"}, "sl_method": "lm", "sample_split": 1}
    data = hidden(truth, "y")
    ours = dsl.dsl("y ~ x", data, index="unit", **call)
    np.testing.assert_array_equal(ours.params, dsl.dsl("y ~ x | unit", data, **call).params)


def small(truth: pd.DataFrame) -> pd.DataFrame:
    """A level of few rows whose labelled ones have surrogates above their outcomes of zero."""
    data = hidden(truth, "y")
    rows = data.index[data["unit"] == 3]
    data.loc[rows, "llm"] = 3.0
    data.loc[data.index.isin(rows) & data["y"].notna(), "y"] = 0.0
    data.loc[rows[data.loc[rows, "y"].isna()], "llm"] = 0.0
    return data


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")
def test_a_level_without_a_positive_sum_is_named_and_counts(truth: pd.DataFrame) -> None:
    """The root of sum_i (x_i - x_bar_g) y~_i, found by another solver."""
    data = small(truth)
    call: dict[str, Any] = {"model": "poisson", "predicted_var": {"y": "llm"}, "estimator": "cdi", "tune": 1.0}
    found = r"1 of 12 levels of 'unit' \(first: 3\) have a .*sum of outcomes of zero or less"
    with pytest.warns(e.FewLabelsWarning, match=found):
        fit = dsl.dsl("y ~ x | unit", data, **call)
    sample = analysis_of(fit.core, data).sample
    outcome = data["llm"].to_numpy().copy()
    shown = sample.labeled
    outcome[shown] += sample.weight * (data["y"][shown] - data["llm"][shown])
    x, unit = data["x"].to_numpy(), data["unit"].to_numpy()

    def moment(b: float) -> float:
        m = np.exp(b * x)
        mean = (np.bincount(unit, m * x) / np.bincount(unit, m))[unit]
        return float((x - mean) @ outcome)

    assert fit.params["x"] == pytest.approx(scipy.optimize.brentq(moment, -2.0, 2.0, xtol=1e-14), abs=1e-9)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")
def test_such_a_level_of_several_factors(truth: pd.DataFrame) -> None:
    """Multipliers of units and years and the coefficient, all unknown, by another solver."""
    data = small(truth)
    call: dict[str, Any] = {"model": "poisson", "predicted_var": {"y": "llm"}, "estimator": "cdi", "tune": 1.0}
    with pytest.warns(e.FewLabelsWarning, match=r"1 of 12 levels of 'unit' \(first: 3\)"):
        fit = dsl.dsl("y ~ x | unit + year", data, **call)
    sample = analysis_of(fit.core, data).sample
    outcome = data["llm"].to_numpy().copy()
    outcome[sample.labeled] += sample.weight * (data["y"] - data["llm"])[sample.labeled]
    x, unit, year = (data[name].to_numpy() for name in ("x", "unit", "year"))

    def equations(at: np.ndarray) -> np.ndarray:
        mean = at[1:13][unit] * np.append(1.0, at[13:])[year] * np.exp(at[0] * x)
        left = outcome - mean
        return np.concatenate([[x @ left], np.bincount(unit, left), np.bincount(year, left)[1:]])

    start = np.concatenate([[0.3], np.bincount(unit, outcome) / np.bincount(unit), np.ones(5)])
    found = scipy.optimize.root(equations, start, tol=1e-12)
    assert found.success
    assert found.x[4] < 0.0  # unit 3
    assert fit.params["x"] == pytest.approx(found.x[0], abs=1e-8)
