"""Cases at the edge: poor predictions, unusual designs, results without their data. Each once went wrong."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError, ScaleError
from dsl.sampling import LabelDesign
from tests.fixed import Fixed
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

ROUNDING = 1e-10


# 1 -- results.save() for model="lm"
@pytest.mark.parametrize("estimator", ["dsl", "cdi", "gold_only", "naive"])
def test_save_linear(tmp_path: Any, estimator: str) -> None:
    fit = run(posts(), "y ~ x", estimator=estimator)
    fit.save(tmp_path / "fit.pkl")
    again = dsl.DSLResults.load(tmp_path / "fit.pkl")
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
    pd.testing.assert_frame_equal(again.cov_params(), fit.cov_params())
    assert str(again.summary()) == str(fit.summary())


# 2 -- a chosen lambda is never much worse than the labelled rows alone
@pytest.mark.parametrize("model", ["lm", "logit"])
def test_surrogate_on_another_scale(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = posts()
    with pytest.raises(ScaleError, match="20 to 80"):
        run(data.assign(llm=20 + 60 * data["llm"]), "y ~ x", model=model, estimator="cdi")
    monkeypatch.setattr("dsl.estimators.surrogates.scale_problem", lambda *_: "")
    fit = run(data.assign(llm=20 + 60 * data["llm"]), "y ~ x", model=model, estimator="cdi")
    gold = run(data, "y ~ x", model=model, estimator="gold_only", vcov="HC3")
    np.testing.assert_allclose(fit.params, gold.params, atol=float(gold.bse.min()))
    assert (fit.bse < 1.1 * gold.bse).all()


@pytest.mark.parametrize("noise", [1.0, 5.0])
def test_useless_predictions_are_given_up(noise: float) -> None:
    data = posts()
    learner = Fixed(lambda x: noise * np.random.default_rng(len(x)).normal(size=len(x)))
    gold = run(data, "y ~ x", estimator="gold_only")
    fit = run(data, "y ~ x", sl_method=learner, tune="coef", feature="words")
    np.testing.assert_allclose(fit.bse, gold.bse, rtol=0.1)
    np.testing.assert_allclose(fit.params, gold.params, atol=float(0.5 * gold.bse.min()))
    assert (fit.tuning["effective_labels"] < 95).all()  # of 80


# 3 -- with target="finite" lambda minimises another variance than the one reported
FINITE: dict[str, dict[str, Any]] = {
    "lm": {"formula": "y ~ x + z"},
    "logit": {"formula": "y ~ x + z", "model": "logit"},
    "unequal": {"formula": "y ~ x + z", "sample_prob": "pi"},
    "felm": {"formula": "y ~ x + z | cl", "model": "felm"},
    "cdi": {"formula": "y ~ x", "estimator": "cdi", "sample_prob": "pi"},
}


@pytest.mark.parametrize("case", FINITE)
def test_finite_tuning_is_never_worse_than_either_end(case: str) -> None:
    fit = run(posts(), **FINITE[case], target="finite", tune="coef")
    table = fit.tuning
    assert (fit.bse <= (1 + ROUNDING) * table[["se_plain", "se_without"]].min(axis=1)).all(), table


def test_finite_mean_is_the_regression_estimator() -> None:
    """Simple random sample, y ~ 1: lambda = s_yf / s_f^2, SE^2 = (1 - f) s_e^2 / n (Cochran, ch. 7); now uncentred moments."""
    data = posts()
    kept = data.dropna()
    fit = run(data, "y ~ 1", estimator="cdi", tune="coef", target="finite")
    slope = np.cov(kept["y"], kept["llm"])[0, 1] / kept["llm"].var()
    residual = kept["y"] - slope * kept["llm"]
    assert fit.tuning["lambda"].iloc[0] == pytest.approx(slope, rel=1e-9)
    assert fit.params.iloc[0] == pytest.approx(residual.mean() + slope * data["llm"].mean(), rel=1e-9)
    assert fit.bse.iloc[0] ** 2 == pytest.approx((1 - 80 / 200) * residual.var() / 80, rel=1e-9)


# 4 -- independent draws: weights are scaled to the number drawn, so that what varies is c less its mean, at the true 1 - pi
def bernoulli(seed: int, certain: int = 120, n: int = 600) -> tuple[pd.DataFrame, LabelDesign, np.ndarray]:
    rng = np.random.default_rng(0)
    pi = np.where(np.arange(n) < certain, 1.0, 0.15)
    y = rng.normal(size=n)
    f = y + 0.3 * rng.normal(size=n) + 3.0 * (np.arange(n) < certain)
    drawn = np.random.default_rng(seed).random(n) < pi
    design = LabelDesign(kind="bernoulli", rows=pd.RangeIndex(n), prob=pi, drawn=drawn, fixed_size=False)
    return pd.DataFrame({"y": np.where(drawn, y, np.nan), "f": f}), design, y


def test_independent_draws() -> None:
    data, design, _ = bernoulli(1)
    call = {
        "predicted_var": "y",
        "prediction": "f",
        "estimator": "cdi",
        "tune": 1.0,
        "target": "finite",
        "design": design,
    }
    fit = dsl.dsl("y ~ 1", data, **call)
    c, left = fit.splits.label_scores[:, 0], 1 - design.prob[design.drawn]
    assert fit.bse.iloc[0] ** 2 == pytest.approx((left * (c - c.mean()) ** 2).sum() / 600**2, rel=1e-9)


@pytest.mark.long
def test_independent_draws_cover() -> None:
    """Now .86 (and, for surrogates off by a constant with equal probabilities, standard errors 3.6 times too large)."""
    covered = []
    for seed in range(200):
        data, design, y = bernoulli(seed)
        call = {"predicted_var": "y", "prediction": "f", "estimator": "cdi", "tune": 1.0, "target": "finite"}
        low, high = dsl.dsl("y ~ 1", data, design=design, **call).conf_int().to_numpy()[0]
        covered.append(low < y.mean() < high)
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


# 5 -- whole clusters of unequal size: prob is rescaled, unit_prob is not, and their ratio taken for a second stage
def whole_units() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(60), rng.integers(1, 30, 60))
    y = rng.normal(size=60)[unit] + 0.5 * rng.normal(size=len(unit))
    return pd.DataFrame({"f": y + rng.normal(size=len(unit)), "unit": unit}), unit, y


def drawn_units(seed: int, size: int) -> tuple[pd.DataFrame, LabelDesign, np.ndarray]:
    data, unit, y = whole_units()
    drawn = np.isin(unit, np.random.default_rng(seed).choice(60, size, replace=False))
    prob = np.full(len(unit), size / 60)
    design = LabelDesign(
        kind="cluster", rows=data.index, prob=prob, drawn=drawn, fixed_size=True, unit=unit, unit_prob=prob
    )
    return data.assign(y=np.where(drawn, y, np.nan)), design, y


@pytest.mark.parametrize("seed", range(6))
def test_whole_clusters_of_unequal_size_have_no_second_stage(seed: int) -> None:
    data, design, _ = drawn_units(seed, 30)
    call = {
        "predicted_var": "y",
        "prediction": "f",
        "estimator": "cdi",
        "tune": 1.0,
        "target": "finite",
        "design": design,
    }
    fit = dsl.dsl("y ~ 1", data, **call)
    c = fit.splits.label_scores[:, 0]  # a ratio estimator: totals less what their sizes explain (Cochran, sec. 9A.1)
    totals = pd.Series(c - c.mean()).groupby(data["unit"][design.drawn].to_numpy()).sum()
    assert fit.bse.iloc[0] ** 2 == pytest.approx(0.5 * 30 * totals.var(ddof=1) / len(data) ** 2, rel=1e-9)


# 6 -- rows drawn in whole units are not independent: folds and standard errors must know, or the call must say so
@pytest.mark.long
def test_superpopulation_of_rows_drawn_in_units() -> None:
    """Now .40 coverage without `cluster`, .98 with it."""
    estimates, errors = [], []
    for seed in range(60):
        data, design, _ = drawn_units(seed, 25)
        data["f"] = np.random.default_rng(seed).normal(size=len(data))
        call = {"predicted_var": "y", "prediction": "f", "sl_method": "lm", "sample_split": 1, "design": design}
        fit = dsl.dsl("y ~ 1", data, **call)
        estimates.append(fit.params.iloc[0])
        errors.append(fit.bse.iloc[0])
    assert np.mean(errors) > 0.8 * np.std(estimates)


# 7 -- arguments
@pytest.mark.parametrize("tune", [np.array([0.1, 0.2]), pd.Series([0.1, 0.2])])
def test_tune_as_an_array(tune: Any) -> None:
    with pytest.raises(ArgumentError, match="tune must be"):
        run(posts(), tune=tune)


def test_design_as_a_table() -> None:
    data = posts()
    drawn = (data["lab"] == 1).to_numpy()
    design = LabelDesign(kind="srs", rows=data.index, prob=np.full(200, 0.4), drawn=drawn, fixed_size=True)
    with pytest.raises(ArgumentError, match=r"must be a dsl\.sampling\.LabelDesign; found DataFrame"):
        run(data, design=design.table())


# 8 -- predicted numbers made categories by the formula, with more than FEW_VALUES of them
@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
def test_factor_of_a_number_with_many_values(estimator: str) -> None:
    rng = np.random.default_rng(0)
    k = rng.integers(0, 12, 400).astype(float)
    data = pd.DataFrame({"k": np.where(rng.random(400) < 0.6, k, np.nan), "y": k + rng.normal(size=400)})
    data["llm"] = np.clip(k + rng.integers(-1, 2, 400), 0, 11)
    fit = dsl.dsl("y ~ factor(k)", data, predicted_var="k", prediction="llm", sl_method="lm", estimator=estimator)
    assert len(fit.params) == 12


# 9 -- probabilities rounded to two decimals
def test_probabilities_of_two_decimals() -> None:
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.ones(3), 200).round(2)
    topic = np.array(["art", "sport", "war"])[share.argmax(axis=1)]
    data = pd.DataFrame(share, columns=["p_art", "p_sport", "p_war"]).assign(y=rng.normal(size=200))
    data["topic"] = np.where(rng.random(200) < 0.5, topic, None)
    columns = ["p_art", "p_sport", "p_war"]
    off = np.abs(share.sum(axis=1) - 1.0)
    assert 0.005 < off.max() < 0.015  # a hundredth in some rows
    call = {"formula": "y ~ topic", "predicted_var": {"topic": columns}, "estimator": "cdi"}
    rounded, exact = (
        dsl.dsl(data=d, **call) for d in (data, data.assign(**dict(zip(columns, _shares(share), strict=True))))
    )
    np.testing.assert_allclose(rounded.params, exact.params, rtol=ROUNDING)
    np.testing.assert_allclose(rounded.bse, exact.bse, rtol=ROUNDING)


def _shares(values: np.ndarray) -> np.ndarray:
    """Columns, with rows divided by their sums."""
    return (values / values.sum(axis=1, keepdims=True)).T


# 10 -- variables seen only in a product with the predicted one are evidence too
@pytest.mark.parametrize("formula", ["y ~ d + d:x", "y ~ I(d * x)", "y ~ d + offset(x)"])
def test_evidence_has_every_observed_variable(formula: str) -> None:
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=300), (rng.random(300) < 0.5).astype(float)
    data = pd.DataFrame({"x": x, "y": d * x + rng.normal(size=300), "llm": np.where(rng.random(300) < 0.7, d, 1 - d)})
    data["d"] = np.where(rng.random(300) < 0.5, d, np.nan)
    seen: set[int] = set()

    def look(features: np.ndarray) -> np.ndarray:
        seen.add(features.shape[1])
        return np.full(len(features), 0.5)

    call = {"predicted_var": "d", "prediction": "llm", "sl_method": Fixed(look), "sample_split": 1}
    dsl.dsl(formula, data, estimator="dsl+", **call)
    assert seen == {3}  # llm, x, y


# 11 -- summary: no caution about rows that remove_data() dropped
def test_no_caution_without_rows() -> None:
    fit = run(posts(), "y ~ x", tune="coef")
    fit.remove_data()
    assert "(0)" not in str(fit.summary())
