"""What tuning must not depend on: units, origins and order of columns and rows, labels of clusters, processors."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.estimators.names import ESTIMATORS
from tests.engine.test_blocks import CALLS, FEW, NEWTON, ROUNDING, ROWS, SEEDS, assert_same, fit, table

pytestmark = pytest.mark.numeric

TUNES = ("scalar", "coef", "matrix", 0.4)
KINDS = {"dsl": {}, "dsl+": {"estimator": "dsl+"}, "cdi": {"estimator": "cdi"}}


def lambdas(result: Any) -> np.ndarray:
    return result.tuning["lambda"].to_numpy()


@pytest.mark.parametrize("case", CALLS)
@settings(FEW, max_examples=6)
@given(seed=SEEDS, tune=st.sampled_from(TUNES), kind=st.sampled_from(sorted(KINDS)))
def test_order_of_rows(case: str, seed: int, tune: str | float, kind: str) -> None:
    formula, arguments = CALLS[case]
    data, folds = table(seed)
    order = np.random.default_rng(seed + 1).permutation(ROWS)
    given_ = {**arguments, **KINDS[kind], "tune": tune}
    original = fit(data, formula, folds=folds, **given_)
    moved = fit(data.iloc[order], formula, folds=folds[:, order], **given_)
    assert_same(moved, original, NEWTON)
    np.testing.assert_allclose(lambdas(moved), lambdas(original), rtol=NEWTON, atol=NEWTON)


@pytest.mark.parametrize("model", ["lm", "logit", "felm"])
@FEW
@given(seed=SEEDS, scale=st.sampled_from([-3.0, 1e-4, 1e4]), tune=st.sampled_from(TUNES))
def test_units_of_a_covariate(model: str, seed: int, scale: float, tune: str | float) -> None:
    """With x replaced by scale x: its slope / scale, all else equal, the lambdas too."""
    data, folds = table(seed)
    formula = "y ~ x + z | unit" if model == "felm" else "y ~ x + z"
    original = fit(data, formula, model=model, folds=folds, tune=tune)
    scaled = fit(data.assign(x=scale * data["x"]), formula, model=model, folds=folds, tune=tune)
    back = np.where(original.params.index == "x", 1 / scale, 1.0)
    size = original.bse.to_numpy()
    np.testing.assert_allclose((scaled.params / back - original.params) / size, 0.0, atol=NEWTON)
    np.testing.assert_allclose(scaled.bse / np.abs(back), size, rtol=NEWTON)
    np.testing.assert_allclose(lambdas(scaled), lambdas(original), rtol=NEWTON, atol=NEWTON)


@pytest.mark.parametrize("model", ["lm", "logit"])
@pytest.mark.parametrize("tune", TUNES)
@FEW
@given(seed=SEEDS, shift=st.sampled_from([-7.0, 30.0, 2000.0]))
def test_origin_of_a_covariate(model: str, tune: str | float, seed: int, shift: float) -> None:
    """A year counted from another origin: the same slopes and fitted values; of "coef", the slopes' own lambdas too."""
    data, folds = table(seed)
    original = fit(data, "y ~ x + z", model=model, folds=folds[:1], tune=tune)
    moved = fit(data.assign(x=data["x"] + shift), "y ~ x + z", model=model, folds=folds[:1], tune=tune)
    slopes = ["x", "z"]
    size = original.bse[slopes]
    np.testing.assert_allclose((moved.params - original.params)[slopes] / size, 0.0, atol=NEWTON)
    np.testing.assert_allclose(moved.bse[slopes], size, rtol=NEWTON)
    if tune == "matrix":  # all coefficients together: the fit itself
        at_zero = moved.params["Intercept"] + shift * moved.params["x"]
        # what the solver leaves of the slope counts `shift` times
        left = NEWTON * (original.bse["Intercept"] + abs(shift) * original.bse["x"])
        assert at_zero == pytest.approx(original.params["Intercept"], abs=left)
    if tune == "coef":
        np.testing.assert_allclose(lambdas(moved)[1:], lambdas(original)[1:], rtol=NEWTON, atol=NEWTON)


@pytest.mark.parametrize("vcov", ["HC3", "CR3", "jackknife", "PRESS"])
@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
@settings(FEW, max_examples=2)
@given(seed=SEEDS, shift=st.sampled_from([-7.0, 30.0]), model=st.sampled_from(["lm", "logit"]))
def test_origin_of_a_covariate_where_units_are_left_out(
    vcov: str, tune: str, seed: int, shift: float, model: str
) -> None:
    data, folds = table(seed)
    call = {
        "model": model,
        "folds": folds[:1],
        "tune": tune,
        "vcov": vcov,
        "cluster": "unit" if vcov == "CR3" else None,
    }
    original, moved = (fit(data.assign(x=data["x"] + by), "y ~ x + z", **call) for by in (0.0, shift))
    np.testing.assert_allclose(moved.bse[["x", "z"]], original.bse[["x", "z"]], rtol=NEWTON)


@FEW
@given(seed=SEEDS, shift=st.floats(-5, 5), scale=st.sampled_from([-2.0, 100.0]), tune=st.sampled_from(TUNES))
def test_units_of_the_outcome(seed: int, shift: float, scale: float, tune: str | float) -> None:
    data, folds = table(seed)
    original = fit(data, "y ~ x", folds=folds, tune=tune)
    moved = fit(data.assign(y=scale * (data["y"] + shift)), "y ~ x", folds=folds, tune=tune)
    expected = scale * (original.params + np.array([shift, 0.0]))
    np.testing.assert_allclose((moved.params - expected) / (abs(scale) * original.bse), 0.0, atol=NEWTON)
    np.testing.assert_allclose(moved.bse, abs(scale) * original.bse, rtol=NEWTON)
    np.testing.assert_allclose(lambdas(moved), lambdas(original), rtol=NEWTON, atol=NEWTON)


@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_order_of_columns(tune: str) -> None:
    data, folds = table(4)
    one = fit(data, "y ~ x + z + x:z", folds=folds, tune=tune)
    other = fit(data, "y ~ z + x + z:x", folds=folds, tune=tune)
    names = {"Intercept": "Intercept", "x": "x", "z": "z", "x:z": "z:x"}
    np.testing.assert_allclose(other.params[list(names.values())], one.params[list(names)], rtol=NEWTON)
    np.testing.assert_allclose(other.tuning["lambda"][list(names.values())], lambdas(one), rtol=NEWTON)


def test_labels_of_clusters() -> None:
    data, folds = table(4)
    named = data.assign(unit=data["unit"].map(lambda u: f"unit {(7 * u) % 20}"))
    one, other = (fit(d, "y ~ x", folds=folds, cluster="unit", tune="coef") for d in (data, named))
    assert_same(other, one, ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_twice(kind: str) -> None:
    """Every row twice, as one cluster: the same estimate, lambdas and standard errors."""
    data, folds = table(4)
    data["row"] = np.arange(ROWS)
    call = {"folds": folds, "cluster": "row", "tune": "coef", "sample_prob": "pi", **KINDS[kind]}
    once = fit(data, "y ~ x + z", **call)
    twice = fit(pd.concat([data, data], ignore_index=True), "y ~ x + z", **call | {"folds": np.hstack([folds, folds])})
    assert_same(twice, once, NEWTON)
    np.testing.assert_allclose(lambdas(twice), lambdas(once), rtol=NEWTON)


ALL: dict[str, dict[str, Any]] = {
    "plain": {},
    "scalar": {"tune": "scalar"},
    "coef": {"tune": "coef"},
    "matrix": {"tune": "matrix"},
    "dsl+": {"estimator": "dsl+"},
    "cdi": {"estimator": "cdi"},
    "gold_only": {"estimator": "gold_only"},
    "naive": {"estimator": "naive"},
    "ppi": {"estimator": "ppi"},
    "finite": {"tune": "matrix", "target": "finite"},
}
"""All but "ppi++", whose lambda minimises the sum of the coefficients' variances in their units, as the paper has it."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lm": ("y ~ x + z + pi", {}),
    "logit": ("y ~ x + z + pi", {"model": "logit"}),
    "felm": ("y ~ x + z | unit", {"model": "felm"}),
    "predicted covariate": ("z ~ x + y", {}),
}
WITHIN = 1e-6
"""In standard errors: how far other coefficients may move."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ALL)
@settings(FEW, max_examples=4)
@given(seed=SEEDS, scale=st.sampled_from([1e-8, -1.0, 1e8]), shift=st.sampled_from([0.0, -3.0, 40.0]))
@pytest.mark.long
def test_other_coefficients_do_not_move(model: str, kind: str, seed: int, scale: float, shift: float) -> None:
    """With x replaced by scale (x + shift): other slopes and their errors as before, its own over the scale."""
    if model == "felm" and kind == "ppi":
        return  # absorbs no effects
    formula, arguments = MODELS[model]
    data, folds = table(seed)
    given_ = {**arguments, **ALL[kind]}
    if ESTIMATORS[given_.get("estimator", "dsl")].learns:
        given_["folds"] = folds
    original = fit(data, formula, **given_)
    moved = fit(data.assign(x=scale * (data["x"] + shift)), formula, **given_)
    back = np.where(original.params.index == "x", scale, 1.0)
    slopes = original.params.index != "Intercept"
    size = original.bse[slopes]
    np.testing.assert_allclose((moved.params * back - original.params)[slopes] / size, 0.0, atol=WITHIN)
    np.testing.assert_allclose((moved.bse * np.abs(back))[slopes], size, rtol=WITHIN)
