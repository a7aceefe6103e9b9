"""Several measures: the Lambdas are regression coefficients, measures that say the same share one, useless ones get none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl._typing import FloatArray
from dsl.engine.lambdas import best_weights, even
from dsl.estimators.result import Fit

pytestmark = pytest.mark.numeric

SAME = 1e-9
"""The same numbers by another algebra."""
NAMES = ["a", "b", "c"]
N, LABELS = 600, 200


def table() -> pd.DataFrame:
    """A continuous outcome, three surrogates of different quality, and a fourth that is the first again."""
    rng = np.random.default_rng(11)
    x, z = rng.normal(size=N), (rng.random(N) < 0.4) * 1.0
    y = 0.5 + x - 0.5 * z + rng.normal(size=N)
    out = {"x": x, "z": z, "cl": np.arange(N) % 60}
    for name, noise in zip(NAMES, (0.6, 1.0, 1.5), strict=True):
        out[name] = y + noise * rng.normal(size=N) + (name == "b") * 0.4 * z
    labeled = rng.permutation(N) < LABELS
    return pd.DataFrame({**out, "copy": out["a"], "y": np.where(labeled, y, np.nan)})


def fit(prediction: list[str], tune: str | float = "coef", formula: str = "y ~ x + z", **more: Any) -> Fit:
    call = {"predicted_var": "y", "prediction": prediction, "estimator": "cdi", "tune": tune, "vcov": "robust", **more}
    core = dsl.dsl(formula, table(), **call).core
    assert isinstance(core, Fit)
    return core


def parts(found: Fit, names: list[str], cluster: str | None = None) -> tuple[FloatArray, list[FloatArray]]:
    """Influences of w m, and of (1 - w) m_hat of each measure, at the estimate where Lambda was chosen, (units, k)."""
    data, tuning = table(), found.splits.tuning
    assert tuning is not None
    assert tuning.at is not None
    at = tuning.at[0]
    x = np.column_stack([np.ones(N), data["x"], data["z"]])
    w = data["y"].notna().to_numpy() * (N / LABELS)
    bread = np.linalg.inv(found.splits.jacobians[0])

    def influence(weight: FloatArray, outcome: pd.Series) -> FloatArray:
        rows = (x * (weight * (outcome.fillna(0.0).to_numpy() - x @ at))[:, None]) @ bread.T
        return rows if cluster is None else pd.DataFrame(rows).groupby(data[cluster]).sum().to_numpy()

    return influence(w, data["y"]), [influence(1.0 - w, data[name]) for name in names]


def test_weights() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    whole = root @ root.T
    found = best_weights(whole[0, 0], whole[0, 1:], whole[1:, 1:])
    np.testing.assert_allclose(found, -np.linalg.solve(whole[1:, 1:], whole[0, 1:]), rtol=SAME)
    # units of the measures do not count
    scale = np.array([1e6, 1.0, 1e-6])
    other = best_weights(whole[0, 0], whole[0, 1:] * scale, whole[1:, 1:] * scale[:, None] * scale)
    np.testing.assert_allclose(other * scale, found, rtol=1e-7)


def test_measures_that_say_nothing_stay_in_the_mean() -> None:
    one = best_weights(4.0, np.array([-1.0, 0.0]), np.array([[2.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(one, [0.5, 0.5], rtol=SAME)
    np.testing.assert_array_equal(best_weights(4.0, np.zeros(2), np.zeros((2, 2))), [0.5, 0.5])
    np.testing.assert_array_equal(even(2, 2), [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]])


@pytest.mark.parametrize("cluster", [None, "cl"])
def test_matrix_is_the_regression_on_all_measures(cluster: str | None) -> None:
    """Lambda = -Cov(w m, G) Var(G)^-1, by least squares on the stacked influences."""
    found = fit(NAMES, "matrix", cluster=cluster)
    own, measures = parts(found, NAMES, cluster)
    stacked = np.hstack(measures)
    slope, *_ = np.linalg.lstsq(stacked, own, rcond=None)
    tuning = found.splits.tuning
    assert tuning is not None
    assert tuning.matrices is not None
    assert tuning.each is not None
    bread = np.linalg.inv(found.splits.jacobians[0])
    expected = np.hstack([np.linalg.solve(bread, part.T @ bread) for part in np.split(-slope, 3)])
    np.testing.assert_allclose(tuning.matrices[0], expected, rtol=1e-7, atol=1e-9)
    rest = own - stacked @ slope
    np.testing.assert_allclose(found.vcov, rest.T @ rest, rtol=SAME)
    np.testing.assert_allclose(tuning.each[0], np.stack([-np.diag(p) for p in np.split(slope, 3)]), rtol=1e-7)
    np.testing.assert_allclose(tuning.each[0].sum(axis=0), tuning.lambdas[0], rtol=SAME)


def test_coef_is_the_regression_of_each_coefficient() -> None:
    found = fit(NAMES, "coef")
    own, measures = parts(found, NAMES)
    tuning = found.splits.tuning
    assert tuning is not None
    assert tuning.each is not None
    for c in range(3):
        columns = np.column_stack([each[:, c] for each in measures])
        slope, *_ = np.linalg.lstsq(columns, own[:, c], rcond=None)
        np.testing.assert_allclose(tuning.each[0, :, c], -slope, rtol=1e-7)
        rest = own[:, c] - columns @ slope
        assert found.bse[c] == pytest.approx(np.sqrt(rest @ rest), rel=SAME)
        # at most the variance with any one of them, or with none, at the same estimate
        for single in columns.T:
            alone = own[:, c] - single * (single @ own[:, c]) / (single @ single)
            assert rest @ rest <= alone @ alone <= own[:, c] @ own[:, c]


def test_scalar_minimises_the_sum_of_relative_variances() -> None:
    found = fit(NAMES, "scalar", formula="y ~ x + z - 1")
    data, tuning = table(), found.splits.tuning
    assert tuning is not None
    assert tuning.at is not None
    assert tuning.each is not None
    x, w = data[["x", "z"]].to_numpy(), data["y"].notna().to_numpy() * (N / LABELS)
    bread = np.linalg.inv(found.splits.jacobians[0])

    def influence(weight: FloatArray, outcome: pd.Series) -> FloatArray:
        return (x * (weight * (outcome.fillna(0.0).to_numpy() - x @ tuning.at[0]))[:, None]) @ bread.T

    own, measures = influence(w, data["y"]), [influence(1.0 - w, data[name]) for name in NAMES]
    size = np.sqrt(((own + sum(measures) / 3) ** 2).sum(axis=0))
    # one regression of both coefficients' influences, each in units of its error with the mean of the measures
    columns = np.column_stack([(each / size).ravel() for each in measures])
    slope, *_ = np.linalg.lstsq(columns, (own / size).ravel(), rcond=None)
    np.testing.assert_allclose(tuning.each[0], -np.tile(slope[:, None], 2), rtol=1e-7)


@pytest.mark.parametrize(
    "more", [{}, {"target": "finite"}, {"cluster": "cl"}, {"model": "felm", "index": "cl"}], ids=str
)
@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix", 0.6])
def test_a_measure_twice_is_the_measure(tune: str | float, more: dict[str, Any]) -> None:
    once, twice = fit(["a"], tune, **more), fit(["a", "copy"], tune, **more)
    np.testing.assert_allclose(twice.params, once.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(twice.vcov, once.vcov, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(twice.tuning["lambda"], once.tuning["lambda"], rtol=1e-6)
    np.testing.assert_allclose(twice.tuning["lambda[a]"], twice.tuning["lambda[copy]"], rtol=1e-6)


@pytest.mark.parametrize("vcov", [None, "HC3", "PRESS", "jackknife", "CR3"])
@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_a_measure_twice_is_the_measure_without_each_unit(tune: str, vcov: str | None) -> None:
    more = {"vcov": vcov, "cluster": "cl" if vcov == "CR3" else None}
    once, twice = fit(["a"], tune, **more), fit(["a", "copy"], tune, **more)
    np.testing.assert_allclose(twice.vcov, once.vcov, rtol=1e-7, atol=1e-12)


def test_hc3_leaves_each_row_out_of_all_lambdas_and_of_the_jacobian() -> None:
    """Every coefficient at its own lambdas, chosen without the row, whose Jacobian is taken off at the lambdas of all rows."""
    found = fit(NAMES, "coef", vcov="HC3")
    own, measures = parts(found, NAMES)
    tuning, x = found.splits.tuning, np.column_stack([np.ones(N), table()["x"], table()["z"]])
    assert tuning is not None
    assert tuning.each is not None
    w, whole = table()["y"].notna().to_numpy() * (N / LABELS), x.T @ x
    out = np.empty((N, 3))
    for c in range(3):
        columns = np.column_stack([each[:, c] for each in measures])
        lam = tuning.each[0, :, c]
        for i in range(N):
            again = -np.linalg.lstsq(np.delete(columns, i, 0), np.delete(own[:, c], i), rcond=None)[0]
            # influences of all coefficients at c's lambdas: corrected for leverage, then for the choice
            influence = own[i] + lam @ np.stack([each[i] for each in measures])
            share = w[i] + (1.0 - w[i]) * lam.sum()
            corrected = np.linalg.solve(whole - share * np.outer(x[i], x[i]), whole @ influence)[c]
            out[i, c] = corrected * (own[i, c] + again @ columns[i]) / influence[c]
    np.testing.assert_allclose(np.sqrt((out**2).sum(axis=0)), found.bse, rtol=1e-8)


@pytest.mark.parametrize("formula", ["x ~ y + z", "y ~ x + z"])
@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_a_column_far_from_zero(formula: str, tune: str) -> None:
    """A year, which the engine centres, beside predicted outcomes and covariates."""
    shifted = table().assign(z=lambda d: d["z"] + 2000.0)
    call: dict[str, Any] = {"predicted_var": "y", "prediction": NAMES, "estimator": "cdi", "tune": tune}
    near, far = dsl.dsl(formula, table(), **call), dsl.dsl(formula, shifted, **call)
    for values in ("params", "bse"):
        np.testing.assert_allclose(getattr(far, values).iloc[1:], getattr(near, values).iloc[1:], rtol=1e-6)
    if tune != "matrix":  # of which the diagonal is shown, and that depends on what the intercept is
        assert far.tuning.iloc[1:].to_numpy() == pytest.approx(near.tuning.iloc[1:].to_numpy(), rel=1e-5)


def test_a_number_counts_for_their_mean() -> None:
    data = table().assign(mean=lambda d: d[NAMES].mean(axis=1))
    call: dict[str, Any] = {"predicted_var": "y", "estimator": "cdi", "tune": 0.7}
    several = dsl.dsl("y ~ x + z", data, prediction=NAMES, **call)
    one = dsl.dsl("y ~ x + z", data, prediction="mean", **call)
    np.testing.assert_allclose(several.params, one.params, rtol=SAME)
    np.testing.assert_allclose(several.bse, one.bse, rtol=SAME)
