"""PPI, PPI++ and CDI through the one call, against the package of PPI's authors and the identities between estimators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl.exceptions import ArgumentError, LabelError
from tests.interpreted import ppi_py
from tests.posts import LABELED, ROWS, posts, run

SAME_ALGEBRA = 1e-9
"""Relative: closed forms."""
TUNED = 1e-4
"""In standard errors: their logit chooses lambda at an estimate with that error."""
PPI_OPTIMUM = 1e-5
"""In standard errors: ppi-python minimises its logistic loss by L-BFGS with scipy's tolerances."""
pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning"),  # ppi-python's use of sklearn
]
PI = LABELED / ROWS


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return posts()


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def arrays(data: pd.DataFrame, columns: tuple[str, ...] = ("x", "z")) -> Arrays:
    """X, Y, Yhat of the labelled rows, X and Yhat of the others."""
    x = np.column_stack([np.ones(ROWS), data[list(columns)]])
    lab, f = data["lab"].to_numpy() == 1, data["llm"].to_numpy()
    return x[lab], data["y"].to_numpy()[lab], f[lab], x[~lab], f[~lab]


def mean_ci(data: pd.DataFrame, **given: Any) -> Any:
    _, y, f, _, f_u = arrays(data)
    return ppi_py.ppi_mean_ci(y, f, f_u, **given)


def mean_point(data: pd.DataFrame, **given: Any) -> Any:
    _, y, f, _, f_u = arrays(data)
    return ppi_py.ppi_mean_pointestimate(y, f, f_u, **given)


def with_columns(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda data, **given: function(*arrays(data), **given)


MODELS: dict[str, tuple[str, str, Any, Any, float]] = {
    "mean": ("y ~ 1", "lm", mean_point, mean_ci, SAME_ALGEBRA),
    "ols": (
        "y ~ x + z",
        "lm",
        with_columns(ppi_py.ppi_ols_pointestimate),
        with_columns(ppi_py.ppi_ols_ci),
        SAME_ALGEBRA,
    ),
    "logit": (
        "y ~ x + z",
        "logit",
        with_columns(ppi_py.ppi_logistic_pointestimate),
        with_columns(ppi_py.ppi_logistic_ci),
        PPI_OPTIMUM,
    ),
}


def assert_theirs(fit: Any, estimate: Any, interval: Any, tolerance: float, alternative: str = "two-sided") -> None:
    size = fit.bse.to_numpy()
    np.testing.assert_allclose((fit.params - np.atleast_1d(estimate)) / size, 0.0, atol=tolerance)
    ours = fit.conf_int(0.1, alternative=alternative).to_numpy()
    for bound, theirs in zip(ours.T, interval, strict=True):
        theirs = np.broadcast_to(np.atleast_1d(theirs), len(size))
        np.testing.assert_array_equal(np.isinf(bound), np.isinf(theirs))
        if np.isfinite(theirs).all():
            np.testing.assert_allclose((bound - theirs) / size, 0.0, atol=2 * tolerance)


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("model", MODELS)
def test_fixed_lambda(data: pd.DataFrame, model: str, lam: float) -> None:
    formula, kind, point, interval, tolerance = MODELS[model]
    fit = run(data, formula, model=kind, estimator="ppi", tune=lam)
    assert_theirs(fit, point(data, lam=lam), interval(data, alpha=0.1, lam=lam), tolerance)
    assert (fit.tuning["lambda"] == lam).all()


@pytest.mark.parametrize("model", MODELS)
def test_ppi_is_lambda_one(data: pd.DataFrame, model: str) -> None:
    formula, kind, *_ = MODELS[model]
    default, one = (run(data, formula, model=kind, estimator="ppi", tune=tune) for tune in (None, 1.0))
    np.testing.assert_array_equal(default.params, one.params)
    np.testing.assert_array_equal(default.bse, one.bse)


@pytest.mark.parametrize("model", MODELS)
def test_chosen_lambda(data: pd.DataFrame, model: str) -> None:
    """Their estimate, and at our lambda their interval (for regressions theirs chooses another lambda than their estimate)."""
    formula, kind, point, interval, tolerance = MODELS[model]
    fit = run(data, formula, model=kind, estimator="ppi++")
    lam = float(fit.tuning["lambda"].iloc[0])
    assert 0.0 < lam < 1.0
    same = TUNED if model == "logit" else tolerance
    np.testing.assert_allclose((fit.params - np.atleast_1d(point(data))) / fit.bse, 0.0, atol=same)
    assert_theirs(fit, point(data, lam=lam), interval(data, alpha=0.1, lam=lam), tolerance)
    if model == "mean":
        assert_theirs(fit, point(data), interval(data, alpha=0.1), tolerance)


@pytest.mark.parametrize("alternative", ["two-sided", "larger", "smaller"])
@pytest.mark.parametrize("model", MODELS)
def test_alternatives(data: pd.DataFrame, model: str, alternative: str) -> None:
    """Bounded on the same side, at the same place; the p values follow their bounds."""
    formula, kind, point, interval, tolerance = MODELS[model]
    fit = run(data, formula, model=kind, estimator="ppi", tune=0.5)
    theirs = interval(data, alpha=0.1, lam=0.5, alternative=alternative)
    assert_theirs(fit, point(data, lam=0.5), theirs, tolerance, alternative)
    table = fit.tidy(alpha=0.1, alternative=alternative)
    np.testing.assert_array_equal(table[["conf_low", "conf_high"]], fit.conf_int(0.1, alternative=alternative))
    outside = (table["conf_low"] > 0) | (table["conf_high"] < 0)
    np.testing.assert_array_equal(table["p_value"] < 0.1, outside)


def test_p_value_of_the_mean(data: pd.DataFrame) -> None:
    shifted = data.assign(y=data["y"] - 0.5, llm=data["llm"] - 0.5)
    fit = run(shifted, "y ~ 1", estimator="ppi", tune=0.6)
    _, y, f, _, f_u = arrays(shifted)
    for alternative in ("two-sided", "larger", "smaller"):
        theirs = ppi_py.ppi_mean_pval(y, f, f_u, null=0, alternative=alternative, lam=0.6)
        assert fit.tidy(alternative=alternative)["p_value"].iloc[0] == pytest.approx(
            float(np.squeeze(theirs)), rel=1e-6
        )


def test_lambda_zero_is_the_labelled_rows_alone(data: pd.DataFrame) -> None:
    kept = data.dropna()
    ppi = run(data, "y ~ x + z", estimator="ppi", tune=0.0)
    ols = smf.ols("y ~ x + z", kept).fit(cov_type="HC0")
    np.testing.assert_allclose(ppi.params, ols.params, rtol=SAME_ALGEBRA)
    factor = np.sqrt(LABELED / (LABELED - 1))  # numpy's cov
    np.testing.assert_allclose(ppi.bse, ols.bse * factor, rtol=SAME_ALGEBRA)
    logit = run(data, "y ~ x + z", model="logit", estimator="ppi", tune=0.0)
    np.testing.assert_allclose(logit.params, smf.logit("y ~ x + z", kept).fit(disp=0).params, rtol=1e-6)


@pytest.mark.parametrize("target", ["superpopulation", "finite"])
def test_cdi_of_a_mean_is_ppi_at_one_less_the_share_labelled(data: pd.DataFrame, target: str) -> None:
    """mean f + mean_L (y - f) = (1 - pi) mean_U f + mean_L (y - (1 - pi) f)."""
    cdi = run(data, "y ~ 1", estimator="cdi", tune=1.0, target=target)
    ppi = run(data, "y ~ 1", estimator="ppi", tune=1 - PI, target=target)
    assert cdi.params.iloc[0] == pytest.approx(float(np.squeeze(mean_point(data, lam=1 - PI))), rel=SAME_ALGEBRA)
    np.testing.assert_allclose(ppi.params, cdi.params, rtol=SAME_ALGEBRA)
    if target == "finite":  # otherwise they estimate it from two samples, or from one
        np.testing.assert_allclose(ppi.bse, cdi.bse, rtol=SAME_ALGEBRA)
    else:
        np.testing.assert_allclose(ppi.bse, cdi.bse, rtol=0.02)


@pytest.mark.parametrize("model", ["ols", "logit"])
def test_cdi_is_ppi_with_every_row_as_unlabelled(data: pd.DataFrame, model: str) -> None:
    """At lambda one: sum over all rows of m_hat, corrected on the labelled ones. (Equal weights cancel for the correction.)"""
    _, kind, *_ = MODELS[model]
    x, y, f, x_u, f_u = arrays(data)
    everything = np.vstack([x, x_u]), np.concatenate([f, f_u])
    fit = run(data, "y ~ x + z", model=kind, estimator="cdi", tune=1.0)
    if model == "logit":
        theirs = ppi_py.ppi_logistic_pointestimate(
            x, y, f, *everything, lam=1.0, optimizer_options={"gtol": 1e-12, "ftol": 1e-16}
        )
        np.testing.assert_allclose((fit.params - theirs) / fit.bse, 0.0, atol=PPI_OPTIMUM)
        return
    gram = everything[0].T @ everything[0]
    moment = everything[0].T @ everything[1] + ROWS / LABELED * x.T @ (y - f)
    np.testing.assert_allclose(fit.params, np.linalg.solve(gram, moment), rtol=SAME_ALGEBRA)


def test_cdi_takes_unequal_probabilities(data: pd.DataFrame) -> None:
    """Active inference (Zrnic and Candes 2024): mean of f + w (y - f)."""
    fit = run(data, "y ~ 1", estimator="cdi", tune=1.0, sample_prob="pi")
    w = data["lab"] / fit.sample.sample_prob
    pseudo = data["llm"] + w * (data["y"].fillna(0) - data["llm"])
    assert fit.params.iloc[0] == pytest.approx(pseudo.mean(), rel=SAME_ALGEBRA)
    assert fit.bse.iloc[0] == pytest.approx(pseudo.std(ddof=0) / np.sqrt(ROWS), rel=SAME_ALGEBRA)


def test_perfect_surrogates(data: pd.DataFrame) -> None:
    """PPI then rests on the unlabelled rows; CDI is the regression on all rows."""
    same = data.assign(y=data["llm"].where(data["lab"] == 1))
    every = smf.ols("llm ~ x", same).fit(cov_type="HC0")
    cdi = run(same, "y ~ x", estimator="cdi", tune=1.0)
    np.testing.assert_allclose(cdi.params, every.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(cdi.bse, every.bse, rtol=SAME_ALGEBRA)
    unlabelled = smf.ols("llm ~ x", same[same["lab"] == 0]).fit()
    np.testing.assert_allclose(run(same, "y ~ x", estimator="ppi").params, unlabelled.params, rtol=SAME_ALGEBRA)


def test_predicted_covariate(data: pd.DataFrame) -> None:
    """At lambda zero the labelled rows' regression; at one the root of mean_L g + mean_U h - mean_L h."""
    kept = data.dropna()
    zero = run(data, "x ~ y + z", estimator="ppi", tune=0.0)
    np.testing.assert_allclose(zero.params, smf.ols("x ~ y + z", kept).fit().params, rtol=SAME_ALGEBRA)
    one = run(data, "x ~ y + z", estimator="ppi")
    lab = data["lab"].to_numpy() == 1
    gold = np.column_stack([np.ones(ROWS), data["y"].fillna(0), data["z"]])
    hat = np.column_stack([np.ones(ROWS), data["llm"], data["z"]])
    parts = [(gold[lab], LABELED, 1), (hat[~lab], ROWS - LABELED, 1), (hat[lab], LABELED, -1)]
    outcomes = [data["x"][lab], data["x"][~lab], data["x"][lab]]
    jacobian = sum(sign * x.T @ x / size for x, size, sign in parts)
    moment = sum(sign * x.T @ y.to_numpy() / size for (x, size, sign), y in zip(parts, outcomes, strict=True))
    np.testing.assert_allclose(one.params, np.linalg.solve(jacobian, moment), rtol=SAME_ALGEBRA)


ERRORS: dict[str, tuple[dict[str, Any], type[Exception], list[str]]] = {
    "unequal": ({"sample_prob": "pi"}, ArgumentError, ["equal probability", "80 labelled", "estimator='cdi'"]),
    "fixed effects": ({"formula": "y ~ x | cl", "model": "felm"}, ArgumentError, ["does not absorb", "factor(unit)"]),
    "no surrogate": ({"prediction": None, "feature": "words"}, ArgumentError, ["stands for 'y'", "'its_prediction'"]),
}


@pytest.mark.parametrize("estimator", ["ppi", "ppi++"])
@pytest.mark.parametrize("case", ERRORS)
def test_errors(data: pd.DataFrame, case: str, estimator: str) -> None:
    arguments, error, told = ERRORS[case]
    with pytest.raises(error) as raised:
        run(data, **{"formula": "y ~ x", **arguments}, estimator=estimator)
    for part in told:
        assert part in str(raised.value)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.AllLabeledWarning")
def test_every_row_labelled(data: pd.DataFrame) -> None:
    """Nothing to compare with; CDI is then least squares, with HC3 as where a lambda is chosen."""
    full = data.assign(y=(data["x"] + data["llm"] > 0.5).astype(float))
    for estimator in ("ppi", "ppi++"):
        with pytest.raises(LabelError, match=r"two unlabelled rows.*found 0.*estimator='gold_only'"):
            run(full, "y ~ x", estimator=estimator)
    ols = smf.ols("y ~ x", full).fit(cov_type="HC3")
    fit = dsl.dsl("y ~ x", full, predicted_var="y", prediction="llm", estimator="cdi")
    np.testing.assert_allclose(fit.params, ols.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, ols.bse, rtol=SAME_ALGEBRA)
