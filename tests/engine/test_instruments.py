"""Two-stage least squares against closed forms, dummies and sums over rows."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from statsmodels.sandbox.regression.gmm import IV2SLS

import dsl
from dsl import exceptions as e
from dsl._typing import FloatArray
from dsl.engine.instruments import WEAK

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:every row is labelled", "ignore:.*behind", "ignore:.*count for only"),
]
EXACT = 1e-8
ROWS = 500
FORMULA = "y ~ x | d ~ z1 + z2"
QUICK: dict[str, Any] = {"model": "iv", "sl_method": "lm", "sample_split": 1, "cross_fit": 2}


def posts(labels: int = ROWS, seed: int = 5) -> pd.DataFrame:
    """Posts with an endogenous treatment, two instruments, groups, and gold labels of `labels` rows."""
    rng = np.random.default_rng(seed)
    x, z1, z2, u = rng.normal(size=(4, ROWS))
    g = rng.integers(0, 15, ROWS)
    d = (0.8 * z1 + 0.5 * z2 + 0.3 * x + 0.1 * g + u + rng.normal(size=ROWS) > 0.5).astype(float)
    y = 1.0 + 2.0 * d - x + u + 0.2 * g + rng.normal(size=ROWS)
    data = pd.DataFrame({"x": x, "z1": z1, "z2": z2, "g": g, "w": rng.integers(1, 4, ROWS)})
    labeled = np.isin(np.arange(ROWS), rng.permutation(ROWS)[:labels])
    data["y"], data["llm"] = np.where(labeled, y, np.nan), y + rng.normal(size=ROWS)
    data["d"], data["llm_d"] = d, np.where(rng.random(ROWS) < 0.85, d, 1.0 - d)
    data["pi"] = labels / ROWS
    return data


def fitted(data: pd.DataFrame, formula: str = FORMULA, **arguments: Any) -> dsl.DSLResults:
    return dsl.dsl(formula, data, **{"predicted_var": "y", "prediction": "llm", **QUICK, **arguments})


def sides(data: pd.DataFrame, more: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Covariates and instruments of `FORMULA`, with `more` columns in the place of the intercept."""
    own = np.ones((len(data), 1)) if more is None else more
    exogenous = np.column_stack([own, data["x"]])
    return np.column_stack([exogenous, data["d"]]), np.column_stack([exogenous, data[["z1", "z2"]]])


def two_stages(
    y: FloatArray, x: FloatArray, z: FloatArray, w: FloatArray | None = None, cluster: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Estimate and HC0 or CR0 covariance, by the textbook."""
    w = np.ones(len(y)) if w is None else w
    hat = z @ np.linalg.solve(z.T @ (z * w[:, None]), z.T @ (x * w[:, None]))
    bread = np.linalg.inv(hat.T @ (x * w[:, None]))
    params = bread @ hat.T @ (w * y)
    scores = hat * (w * (y - x @ params))[:, None]
    if cluster is not None:
        scores = pd.DataFrame(scores).groupby(cluster).sum().to_numpy()
    return params, bread @ scores.T @ scores @ bread.T


@pytest.mark.parametrize("cluster", [None, "g"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_everything_labelled(cluster: str | None, weights: str | None) -> None:
    data = posts()
    x, z = sides(data)
    y = data["y"].to_numpy()
    w = None if weights is None else data[weights].to_numpy(dtype=float)
    params, vcov = two_stages(y, x, z, w, None if cluster is None else data[cluster].to_numpy())
    for estimator in ("gold_only", "dsl", "cdi"):
        fit = fitted(
            data, estimator=estimator, cluster=cluster, weights=weights, **({"tune": 1.0} if estimator == "cdi" else {})
        )
        assert_allclose(fit.params, params, rtol=EXACT)
        assert_allclose(fit.cov_params(), vcov, rtol=EXACT, atol=EXACT * vcov.max())
    if cluster is None and weights is None:
        assert_allclose(IV2SLS(y, x, z).fit().params, params, rtol=EXACT)


def test_fixed_effects_are_dummies() -> None:
    data = posts()
    x, z = sides(data, pd.get_dummies(data["g"], dtype=float).to_numpy())
    params, vcov = two_stages(data["y"].to_numpy(), x, z)
    for estimator in ("gold_only", "dsl"):
        fit = fitted(data, "y ~ x | g | d ~ z1 + z2", estimator=estimator)
        assert fit.params.index.tolist() == ["x", "d"]
        assert_allclose(fit.params, params[-2:], rtol=EXACT)
        assert_allclose(fit.cov_params(), vcov[-2:, -2:], rtol=1e-7)


def test_a_predicted_outcome_is_its_pseudo_outcome() -> None:
    data = posts(200)
    x, z = sides(data)
    fit = fitted(data)
    hat, labeled = fit.predictions[0, :, 0], data["y"].notna().to_numpy()
    pseudo = hat + np.where(labeled, (data["y"].fillna(0.0) - hat) / labeled.mean(), 0.0)
    params, vcov = two_stages(pseudo, x, z)
    assert_allclose(fit.params, params, rtol=EXACT)
    assert_allclose(fit.cov_params(), vcov, rtol=EXACT, atol=EXACT * vcov.max())


def psi(left: FloatArray, right: FloatArray, gold: FloatArray, labeled: FloatArray) -> FloatArray:
    """Sum over the rows of m_hat + w (m - m_hat) for m = left right', each (rows, .) with predictions and with gold values."""
    total = np.zeros((left.shape[2], right.shape[2]))
    for i in range(len(labeled)):
        hat, m = np.outer(left[0, i], right[0, i]), np.outer(left[1, i], right[1, i])
        total += hat + (labeled[i] / labeled.mean()) * (m - hat)
    return total


@pytest.mark.parametrize("place", ["treatment", "instrument"])
def test_a_predicted_treatment_or_instrument_by_loops(place: str) -> None:
    """theta = (A'S^-1 A)^-1 A'S^-1 b with design-adjusted sums, and the covariance of its influence."""
    data = posts()
    gold = data.copy()
    labeled = np.isin(np.arange(ROWS), np.random.default_rng(0).permutation(ROWS)[:200])
    data.loc[~labeled, "d"] = np.nan
    formula = FORMULA if place == "treatment" else "y ~ x | z1 ~ d + z2"
    fit = fitted(data, formula, predicted_var="d", prediction="llm_d", estimator="cdi", tune=1.0)
    both = [sides(gold.assign(d=gold["llm_d"])), sides(gold)]
    if place == "instrument":
        both = [
            (np.column_stack([x[:, :2], gold["z1"]]), np.column_stack([z[:, :2], x[:, 2], gold["z2"]])) for x, z in both
        ]
    x, z = (np.stack([each[j] for each in both]) for j in (0, 1))
    y = np.broadcast_to(gold["y"].to_numpy()[:, None], (2, ROWS, 1))
    a, s, b = psi(z, x, gold, labeled), psi(z, z, gold, labeled), psi(z, y, gold, labeled)[:, 0]
    first = np.linalg.solve(s, a)
    params = np.linalg.solve(first.T @ a, first.T @ b)
    m = [(z[v] @ first) * (y[v, :, 0] - x[v] @ params)[:, None] for v in (0, 1)]
    scores = m[0] + (labeled / labeled.mean())[:, None] * (m[1] - m[0])
    bread = np.linalg.inv(first.T @ a)
    vcov = bread @ scores.T @ scores @ bread.T
    # the block's columns are ordered otherwise than the formula's
    assert_allclose(fit.params, params, rtol=EXACT)
    assert_allclose(fit.cov_params(), vcov, rtol=EXACT, atol=EXACT * np.diag(vcov).max())


def test_first_stage_and_overidentification() -> None:
    """F as statsmodels' robust test of the excluded instruments, the other as Wooldridge's regression of ones (2010, 6.2.3)."""
    data = posts()
    x, z = sides(data)
    for cluster in (None, "g"):
        fit = fitted(data, estimator="gold_only", cluster=cluster)
        kind = {"cov_type": "HC0"}
        if cluster:
            kind = {"cov_type": "cluster", "cov_kwds": {"groups": data["g"], "use_correction": False}}  # type: ignore[dict-item]
        stage = sm.OLS(data["d"], z).fit(**kind, use_t=False)
        test = stage.wald_test(np.eye(4)[2:], scalar=True)
        assert_allclose(fit.first_stage.loc["d", "statistic"], test.statistic / 2.0, rtol=EXACT)
        assert fit.first_stage.loc["d", "df_num"] == 2
    assert fit.first_stage.loc["d", "df_denom"] == data["g"].nunique() - 4
    fit = fitted(data, estimator="gold_only")
    hat = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    rest = data["z2"] - hat @ np.linalg.lstsq(hat, data["z2"], rcond=None)[0]
    product = (data["y"] - x @ fit.params.to_numpy()) * rest
    assert_allclose(fit.overidentification["statistic"], product.sum() ** 2 / (product**2).sum(), rtol=EXACT)
    assert fit.overidentification["df"] == 1
    text = fit.summary().as_text()
    assert "First-stage F of the excluded instruments: d " in text
    assert "Over-identification: chi-squared" in text
    one = fitted(data, "y ~ x | d ~ z1", estimator="gold_only")
    assert one.overidentification["df"] == 0
    assert np.isnan(one.overidentification["p_value"])


ESTIMATORS = ["dsl", "dsl+", "cdi", "gold_only", "naive"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "formula", [FORMULA, "y ~ x | g | d ~ z1 + z2", "y ~ 1 | d ~ z1 + x", "y ~ x | d ~ z1 * z2 + I(z1^2)"]
)
@pytest.mark.parametrize("predicted", ["y", "d"])
def test_estimators_are_near_the_fit_of_all_labels(
    estimator: str, formula: str, predicted: str, tmp_path: Path
) -> None:
    data = posts()
    whole = fitted(data, formula, estimator="gold_only")
    data.loc[np.random.default_rng(1).random(ROWS) < 0.4, predicted] = np.nan
    own = {"predicted_var": predicted, "prediction": "llm" if predicted == "y" else "llm_d"}
    fit = fitted(data, formula, estimator=estimator, **own)
    far = 6.0 if estimator != "naive" else np.inf
    assert (np.abs(fit.params - whole.params) < far * fit.bse).all()
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl")
    pd.testing.assert_frame_equal(again.first_stage, fit.first_stage)
    if estimator in ("dsl", "cdi", "dsl+"):
        finite = fitted(data, formula, estimator=estimator, target="finite", **own)
        assert (finite.bse <= 1.05 * fit.bse).all()


def test_weak_instruments_warn() -> None:
    data = posts().assign(z1=lambda d: np.random.default_rng(9).normal(size=len(d)))
    with pytest.warns(e.WeakInstrumentWarning, match="first-stage F of the instruments is .* for 'd', below 10"):
        fit = fitted(data, "y ~ x | d ~ z1", estimator="gold_only")
    assert fit.first_stage.loc["d", "statistic"] < WEAK
    assert "(weak)" in fit.summary().as_text()


WRONG: dict[str, tuple[str, dict[str, Any], type[Exception], str]] = {
    "no instruments": ("y ~ x", {}, e.ArgumentError, "model='iv' needs instruments"),
    "another model": (
        FORMULA,
        {"model": "logit"},
        e.ArgumentError,
        "names instruments, which model='logit' does not have",
    ),
    "too few": (
        "y ~ x | d + z2 ~ z1",
        {},
        e.FormulaError,
        r"1 instruments \(z1\) for 2 endogenous covariates \(d, z2\)",
    ),
    "none of its own": ("y ~ x | d ~ x", {}, e.FormulaError, "0 instruments"),
    "nothing endogenous": ("y ~ x | x ~ z1", {}, e.FormulaError, r"0 endogenous covariates \(none\)"),
    "ppi": (FORMULA, {"estimator": "ppi"}, e.ArgumentError, "estimator='ppi' has no instruments.*cdi"),
    "twice": ("y ~ x | d ~ z1 + I(2 * z1)", {}, e.CollinearityError, "instruments.*linear combinations"),
    "a bar behind": ("y ~ x | d ~ z1 | g", {}, e.FormulaError, r"'\|' among the instruments"),
    "three": ("y ~ x | d ~ z1 ~ z2", {}, e.FormulaError, "more than one '~'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_teach(case: str) -> None:
    formula, more, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        fitted(posts(200), formula, **more)


def test_other_models_have_no_first_stage() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fitted(posts(200), "y ~ x", model="lm")
    for name in ("first_stage", "overidentification"):
        with pytest.raises(e.ArgumentError, match="model='lm' has no instruments"):
            getattr(fit, name)
