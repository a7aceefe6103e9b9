"""Lambda, against its formulas written out in numpy: chosen, fixed, one or many; and what a chosen one must be worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit

from dsl.engine.lambdas import best_lambda
from dsl.exceptions import ArgumentError
from tests.fixed import Fixed
from tests.posts import posts
from tests.posts import run as quickly

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROOT = 1e-8
"""Relative to standard errors: where the engine's Newton steps end."""
ROUNDING = 1e-10
"""Relative: by how much rounding may break an inequality."""
REPLICATIONS = 40
CALLS: dict[str, dict[str, Any]] = {
    "lm": {"formula": "y ~ x + z"},
    "logit": {"formula": "y ~ x + z", "model": "logit"},
    "unequal": {"formula": "y ~ x + z", "sample_prob": "pi"},
    "clusters": {"formula": "y ~ x + z", "cluster": "cl"},
    "logit, unequal, clusters": {"formula": "y ~ x + z", "model": "logit", "sample_prob": "pi", "cluster": "cl"},
    "predicted covariate": {"formula": "x ~ y * z", "sample_prob": "pi"},
    "far from zero": {"formula": "y ~ I(x + 2000)", "model": "logit"},
}
PANELS: dict[str, dict[str, Any]] = {
    "long panel": {"formula": "y ~ x + z | cl", "model": "felm"},
    "short panel": {"formula": "y ~ x + z | short", "model": "felm", "cluster": "cl", "sample_prob": "pi"},
    "two ways": {"formula": "y ~ x | cl + g", "model": "felm", "sample_prob": "pi"},
    "predicted covariate within": {"formula": "x ~ y + words | cl", "model": "felm", "sample_prob": "pi"},
}
EVERY = CALLS | PANELS
OTHERS: dict[str, dict[str, Any]] = {
    "dsl+": {"formula": "x ~ y * z", "estimator": "dsl+", "cluster": "cl"},
    "dsl+ within": {"formula": "x ~ y + words | short", "model": "felm", "estimator": "dsl+", "sample_prob": "pi"},
    "cdi": {"formula": "y ~ x + z", "model": "logit", "estimator": "cdi", "sample_prob": "pi"},
}


def run(data: Any, *formula: str, **arguments: Any) -> Any:
    """Rows that are independent of each other: what the draw adds to that is in `tests/engine/test_fixed_size.py`."""
    return quickly(data, *formula, **{"vcov": "robust", **arguments})


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return posts().assign(short=np.arange(200) // 4)


@dataclass(frozen=True)
class Sums:
    """Scores of plain DSL and of the part that Lambda scales, unit by unit, where the outcome is predicted."""

    params: np.ndarray  # (k,) plain estimate
    scores: np.ndarray  # (units, k) s at Lambda = 1
    augmentation: np.ndarray  # (units, k) h = (1 - w) m_hat
    bread: np.ndarray  # (k, k) inverse of the summed Jacobian

    def estimate(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimate and covariance for Lambda = I + change."""
        psi = self.scores + self.augmentation @ change.T
        params = self.params + self.bread @ change @ self.augmentation.sum(axis=0)
        return params, self.bread @ psi.T @ psi @ self.bread.T

    def influence(self) -> tuple[np.ndarray, np.ndarray]:
        return self.scores @ self.bread.T, self.augmentation @ self.bread.T


def by_hand(plain: Any, data: pd.DataFrame, columns: list[str]) -> Sums:
    """From the predictions of a plain fit of ``y ~ columns`` in one split."""
    spec = plain.call
    x = np.column_stack([np.ones(len(data)), data[columns]])
    w = data["lab"] / plain.sample.sample_prob
    params, y_hat, y = plain.params.to_numpy(), plain.predictions[0, :, 0], data["y"].fillna(0.0)
    mean = expit(x @ params) if spec.model == "logit" else x @ params
    slope = mean * (1 - mean) if spec.model == "logit" else np.ones(len(data))
    augmentation = x * ((1 - w) * (y_hat - mean)).to_numpy()[:, None]
    scores = augmentation + x * (w * (y - mean)).to_numpy()[:, None]
    if spec.cluster:
        scores, augmentation = (
            pd.DataFrame(part).groupby(data["cl"]).sum().to_numpy() for part in (scores, augmentation)
        )
    return Sums(params, scores, augmentation, np.linalg.inv((x * slope[:, None]).T @ x))


def assert_fit(fit: Any, params: np.ndarray, vcov: np.ndarray) -> None:
    bse = np.sqrt(np.diag(vcov))
    np.testing.assert_allclose(fit.params, params, atol=ROOT * bse.max(), rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.cov_params(), vcov, atol=ROOT * bse.max() ** 2, rtol=ROOT)


def within(values: Any, unit: pd.Series) -> np.ndarray:
    """Values less their unit's mean."""
    frame = pd.DataFrame(np.asarray(values))
    return (frame - frame.groupby(unit.to_numpy()).transform("mean")).to_numpy().squeeze()


BY_HAND = ["lm", "logit", "unequal", "clusters", "logit, unequal, clusters"]


@pytest.mark.parametrize("case", BY_HAND)
def test_matrix_is_a_regression(data: pd.DataFrame, case: str) -> None:
    """Lambda: coefficients of w m regressed on (w - 1) m_hat, both at the plain estimate."""
    plain, fit = run(data, **CALLS[case]), run(data, **CALLS[case], tune="matrix")
    sums = by_hand(plain, data, ["x", "z"])
    labels, predictions = sums.scores - sums.augmentation, -sums.augmentation
    chosen = np.linalg.lstsq(predictions, labels, rcond=None)[0].T
    assert_fit(fit, *sums.estimate(chosen - np.eye(3)))
    in_coefficients = np.diag(sums.bread @ chosen @ np.linalg.inv(sums.bread))
    np.testing.assert_allclose(fit.tuning["lambda"], in_coefficients, rtol=ROOT, atol=ROOT)


@pytest.mark.parametrize("case", BY_HAND)
def test_coef_is_a_regression_for_each_coefficient(data: pd.DataFrame, case: str) -> None:
    plain, fit = run(data, **CALLS[case]), run(data, **CALLS[case], tune="coef")
    sums = by_hand(plain, data, ["x", "z"])
    own, predicted = sums.influence()
    lambdas = 1 - (own * predicted).sum(axis=0) / (predicted**2).sum(axis=0)
    np.testing.assert_allclose(fit.tuning["lambda"], lambdas, rtol=ROOT)
    change = np.linalg.inv(sums.bread) @ np.diag(lambdas - 1) @ sums.bread
    assert_fit(fit, *sums.estimate(change))
    psi = own + predicted * (lambdas - 1)
    np.testing.assert_allclose(fit.bse, np.sqrt((psi**2).sum(axis=0)), rtol=ROOT)


@pytest.mark.parametrize("case", BY_HAND)
def test_scalar_minimises_the_sum_of_relative_variances(data: pd.DataFrame, case: str) -> None:
    plain, fit = run(data, **CALLS[case]), run(data, **CALLS[case], tune="scalar")
    sums = by_hand(plain, data, ["x", "z"])
    chosen = fit.tuning["lambda"].to_numpy()
    np.testing.assert_allclose(chosen, chosen[0], rtol=ROUNDING)
    assert_fit(fit, *sums.estimate((chosen[0] - 1) * np.eye(3)))

    at_means = np.eye(3)  # the intercept is that of columns less their means, so that no origin counts
    at_means[0, 1:] = data[["x", "z"]].mean()

    def total(lam: float) -> float:
        vcov = sums.estimate((lam - 1) * np.eye(3))[1]
        ratio = np.diag(at_means @ vcov @ at_means.T) / np.diag(at_means @ plain.cov_params().to_numpy() @ at_means.T)
        return float(ratio.sum())

    step = 0.1  # total() is a parabola: differences are exact
    slope = (total(chosen[0] + step) - total(chosen[0] - step)) / (2 * step)
    assert abs(slope) < ROOT * total(1.0)
    assert total(chosen[0]) <= min(total(0.0), total(1.0)) * (1 + ROUNDING)


def test_mean() -> None:
    """``y ~ 1``: lambda = cov(w (y - t), (w - 1) (g - t)) / var(the latter), about zero, at the plain estimate t."""
    data = posts()
    plain, fit = run(data, "y ~ 1", sample_prob="pi"), run(data, "y ~ 1", sample_prob="pi", tune="coef")
    w, g, t = data["lab"] / plain.sample.sample_prob, plain.predictions[0, :, 0], plain.params.iloc[0]
    assert t == pytest.approx(np.mean(g + w * (data["y"].fillna(0) - g)), rel=SAME_ALGEBRA)
    labels, predictions = w * (data["y"].fillna(t) - t), (w - 1) * (g - t)
    lam = (labels @ predictions) / (predictions @ predictions)
    assert fit.tuning.loc["Intercept", "lambda"] == pytest.approx(lam, rel=SAME_ALGEBRA)
    assert fit.params.iloc[0] == pytest.approx(t + np.mean(labels - lam * predictions), rel=SAME_ALGEBRA)
    assert fit.bse.iloc[0] == pytest.approx(np.sqrt(np.sum((labels - lam * predictions) ** 2)) / 200, rel=SAME_ALGEBRA)


@pytest.mark.parametrize("case", EVERY)
def test_one_is_plain(data: pd.DataFrame, case: str) -> None:
    plain, fit = run(data, **EVERY[case], sample_split=2), run(data, **EVERY[case], sample_split=2, tune=1.0)
    np.testing.assert_allclose(fit.params, plain.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.cov_params(), plain.cov_params(), rtol=1e-6, atol=1e-9 * plain.bse.max() ** 2)
    np.testing.assert_allclose(fit.tuning["se_plain"], fit.tuning["se"], rtol=ROOT)


@pytest.mark.parametrize("case", CALLS)
def test_zero_is_gold_only(data: pd.DataFrame, case: str) -> None:
    gold, fit = run(data, **CALLS[case], estimator="gold_only"), run(data, **CALLS[case], tune=0.0)
    np.testing.assert_allclose(fit.params, gold.params, rtol=1e-7)
    np.testing.assert_allclose(fit.cov_params(), gold.cov_params(), rtol=1e-6, atol=1e-8 * gold.bse.max() ** 2)


def test_a_number_solves_the_weighted_regression(data: pd.DataFrame) -> None:
    """With the outcome predicted: every row at its prediction with weight lambda (1 - w), labelled ones with w too."""
    lam = 0.3
    fit = run(data, "y ~ x + z", sample_prob="pi", tune=lam)
    x = np.column_stack([np.ones(200), data[["x", "z"]]])
    w, g = (data["lab"] / fit.sample.sample_prob).to_numpy(), fit.predictions[0, :, 0]
    y = data["y"].fillna(0).to_numpy()
    jacobian = (x * (w + lam * (1 - w))[:, None]).T @ x
    params = np.linalg.solve(jacobian, x.T @ (w * y + lam * (1 - w) * g))
    psi = x * (w * (y - x @ params) + lam * (1 - w) * (g - x @ params))[:, None]
    half = np.linalg.solve(jacobian, psi.T)
    assert_fit(fit, params, half @ half.T)
    np.testing.assert_allclose(fit.tuning["lambda"], lam, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("lam", [0.0, 0.6])
def test_a_number_within_fixed_effects(data: pd.DataFrame, lam: float) -> None:
    """Lambda scales (1 - w) of the predictions' moment within the effects, x and predicted y centred by all rows."""
    fit = run(data, "y ~ x + z | cl", model="felm", sample_prob="pi", tune=lam)
    w, g = (data["lab"] / fit.sample.sample_prob).to_numpy(), fit.predictions[0, :, 0]
    pseudo = g + w * (data["y"].fillna(0) - g)
    x, pseudo, hat = (within(values, data["cl"]) for values in (data[["x", "z"]], pseudo, g))
    scaled = (lam - 1) * (1 - w)
    jacobian = (x * (1 + scaled)[:, None]).T @ x
    params = np.linalg.solve(jacobian, x.T @ (pseudo + scaled * hat))
    psi = x * (pseudo - x @ params + scaled * (hat - x @ params))[:, None]
    half = np.linalg.solve(jacobian, psi.T)
    assert_fit(fit, params, half @ half.T)


@pytest.mark.parametrize("case", EVERY | OTHERS)
def test_never_worse_than_either_end(data: pd.DataFrame, case: str) -> None:
    """For every coefficient; and the more freedom, the smaller."""
    call = (EVERY | OTHERS)[case]
    plain, scalar, coef, matrix = (run(data, **call, tune=tune) for tune in (1.0, "scalar", "coef", "matrix"))
    table = coef.tuning
    assert (coef.bse <= (1 + ROUNDING) * table[["se_plain", "se_without"]].min(axis=1)).all(), table
    np.testing.assert_allclose(table["se_plain"], plain.bse, rtol=ROOT)
    assert (coef.bse <= (1 + ROUNDING) * scalar.bse).all()
    assert (matrix.bse <= (1 + ROUNDING) * coef.bse).all()
    assert (coef.bse < 0.999 * plain.bse).any()  # it did something


def test_table(data: pd.DataFrame) -> None:
    fit = run(data, **CALLS["clusters"], tune="coef", sample_split=3, vcov="CR1")
    plain = run(data, **CALLS["clusters"], sample_split=3, vcov="CR1")
    table = fit.tuning
    assert list(table.columns) == ["lambda", "se_without", "se_plain", "se", "effective_labels"]
    assert list(table.index) == ["Intercept", "x", "z"]
    np.testing.assert_allclose(table["lambda"], np.median(fit.splits.tuning.lambdas, axis=0))
    np.testing.assert_allclose(table["se_plain"] ** 2, (plain.split_bse**2).median(), rtol=ROOT)
    np.testing.assert_allclose(table["se"] ** 2, (fit.split_bse**2).median(), rtol=ROOT)
    np.testing.assert_allclose(table["effective_labels"], 80 * (table["se_without"] / table["se"]) ** 2)


def test_perfect_predictions_are_relied_on() -> None:
    """Then plain DSL is the regression on all rows, which no lambda makes worse."""
    data = posts().assign(y=lambda d: d["llm"].where(d["lab"] == 1))
    truth = Fixed(lambda x: x[:, 0])
    full = run(data, "y ~ x", estimator="naive")
    fixed = run(data, "y ~ x", sl_method=truth, tune=1.0, sample_prob="pi")
    np.testing.assert_allclose(fixed.params, full.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fixed.bse, full.bse, rtol=SAME_ALGEBRA)
    own, predicted = (sums := by_hand(fixed, data, ["x"])).influence()
    one_each = np.diag(1 - (own * predicted).sum(axis=0) / (predicted**2).sum(axis=0))
    every = np.linalg.lstsq(predicted, predicted - own, rcond=None)[0].T  # what is left of w m without (w - 1) m_hat
    for tune, chosen in (("coef", one_each), ("matrix", every)):
        fit = run(data, "y ~ x", sl_method=truth, tune=tune, sample_prob="pi")
        assert (fit.bse <= full.bse * (1 + ROUNDING)).all()
        in_moments = np.linalg.inv(sums.bread) @ chosen @ sums.bread
        assert_fit(fit, *sums.estimate(in_moments - np.eye(2)))


def panel() -> tuple[pd.DataFrame, np.ndarray]:
    """300 units in four years, the later ones labelled more often; an outcome whose trend `x` does not explain."""
    rng = np.random.default_rng(5)
    unit, t = np.repeat(np.arange(300), 4), np.tile(np.arange(4), 300)
    x = t + rng.normal(size=1200)
    y = rng.normal(size=300)[unit] + x + 0.4 * t**2 + rng.normal(size=1200)
    pi = np.array([0.2, 0.2, 0.4, 0.6])[t]
    return pd.DataFrame({"unit": unit, "x": x, "llm": y + rng.normal(size=1200), "pi": pi}), y


@pytest.mark.long
def test_short_panel_is_unbiased() -> None:
    """Repeated labelling of the same rows: unbiased for their own regression, where effects from labelled rows alone are not."""
    data, y = panel()
    x_within, y_within = within(data["x"], data["unit"]), within(y, data["unit"])
    truth = (x_within @ y_within) / (x_within @ x_within)
    errors: dict[str, list[float]] = {"gold_only": [], "zero": [], "coef": []}
    calls = {"gold_only": {"estimator": "gold_only"}, "zero": {"tune": 0.0}, "coef": {"tune": "coef"}}
    for seed in range(REPLICATIONS):
        drawn = np.random.default_rng(seed).random(1200) < data["pi"]
        for name, call in calls.items():
            fit = run(data.assign(y=np.where(drawn, y, np.nan)), "y ~ x | unit", model="felm", sample_prob="pi", **call)
            errors[name].append(fit.params["x"] - truth)
    bias = {name: np.mean(error) / np.std(error) * np.sqrt(REPLICATIONS) for name, error in errors.items()}
    assert bias["gold_only"] > 3.0, bias
    assert abs(bias["zero"]) < 2.5, bias
    assert abs(bias["coef"]) < 2.5, bias
    assert np.std(errors["coef"]) < 0.8 * np.std(errors["zero"])


ERRORS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "misspelt": ({"tune": "coeff"}, ["'coeff'", "'scalar', 'coef', 'matrix'"]),
    "missing": ({"tune": np.nan}, ["found nan"]),
    "truth value": ({"tune": True}, ["found True"]),
    "one for each": ({"tune": [0.5, 1.0]}, ["[0.5, 1.0]", "or a number"]),
    "gold only": ({"estimator": "gold_only", "tune": "coef"}, ["'gold_only' has no lambda", "estimator='dsl'"]),
    "naive": ({"estimator": "naive", "tune": 0.5}, ["'naive' has no lambda"]),
    "ppi++": ({"estimator": "ppi++", "tune": 0.5}, ["chooses its own", "estimator='ppi', tune=0.5"]),
    "ppi": ({"estimator": "ppi", "tune": "coef"}, ["fixed lambda", "'ppi++' or 'cdi'"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(data: pd.DataFrame, case: str) -> None:
    arguments, told = ERRORS[case]
    with pytest.raises(ArgumentError) as error:
        run(data, **arguments)
    for part in told:
        assert part in str(error.value)


@pytest.mark.parametrize("arguments", [{}, {"estimator": "gold_only"}, {"estimator": "naive"}])
def test_no_table_without_tuning(data: pd.DataFrame, arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"nothing was tuned.*pass tune='coef'"):
        _ = run(data, **arguments).tuning


def test_defaults(data: pd.DataFrame) -> None:
    """dsl+ and cdi tune each coefficient, and both can be told otherwise."""
    for estimator in ("dsl+", "cdi"):
        fit, named, other = (run(data, estimator=estimator, tune=tune) for tune in (None, "coef", "scalar"))
        np.testing.assert_array_equal(fit.params, named.params)
        assert fit.glance().loc[0, "tune"] == "coef"
        assert (fit.params != other.params).all()
    assert run(data).glance().loc[0, "tune"] is None


# the one formula


@given(st.integers(0, 200), st.integers(1, 4), st.booleans())
def test_best_lambda_makes_the_variance_smallest(seed: int, k: int, bounded: bool) -> None:
    """Var(a + Lambda b) of draws: a numerical minimiser's value, for each number and for all together."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 60, k))
    b += rng.normal(size=k) * a
    moments = a.var(axis=0), ((a - a.mean(axis=0)) * (b - b.mean(axis=0))).mean(axis=0), b.var(axis=0)
    limits = (0.0, 1.0) if bounded else (-50.0, 50.0)
    found = best_lambda(*moments, bounds=limits)
    for j in range(k):
        least = minimize_scalar(lambda x, j=j: (a[:, j] + x * b[:, j]).var(), bounds=limits, method="bounded")
        assert (a[:, j] + found[j] * b[:, j]).var() <= least.fun * (1.0 + ROUNDING)
    one = float(best_lambda(*moments, together=True, bounds=limits))
    assert limits[0] <= one <= limits[1]
    least = minimize_scalar(lambda x: ((a + x * b).var(axis=0) / moments[0]).sum(), bounds=limits, method="bounded")
    assert ((a + one * b).var(axis=0) / moments[0]).sum() <= least.fun * (1.0 + ROUNDING)


def test_useless_predictions_get_no_lambda() -> None:
    """What they add varies by no more than rounding does: a quotient of rounding errors could be anything."""
    found = best_lambda(np.array([1.0, 1.0, 0.0]), np.array([1e-17, -0.5, 0.0]), np.array([1e-32, 1.0, 0.0]))
    assert found.tolist() == [0.0, 0.5, 0.0]
    assert not np.signbit(best_lambda(1.0, 0.0, 1.0, bounds=(0.0, 1.0)))  # prints as 0, not as -0
    assert best_lambda(np.ones(2), np.full(2, 1e-17), np.full(2, 1e-32), together=True) == 0.0
