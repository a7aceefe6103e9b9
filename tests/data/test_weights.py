"""Analysis weights, against weighted least squares, repeated rows and sums by hand."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import dsl
from dsl import exceptions as e

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:every row is labelled", "ignore:.*behind", "ignore:.*count for only"),
]
EXACT = 1e-9  # the same equation, solved in another way
ROWS = 400


def posts(labels: int = 150, seed: int = 3) -> pd.DataFrame:
    """Posts with a whole-number weight that goes with the covariate, and gold labels of some."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=ROWS), rng.integers(0, 12, ROWS)
    y = (rng.random(ROWS) < 1.0 / (1.0 + np.exp(-0.5 * x))).astype(float)
    z = (rng.random(ROWS) < 0.4 + 0.2 * (x > 0)).astype(float)
    labeled = np.isin(np.arange(ROWS), rng.permutation(ROWS)[:labels])
    return pd.DataFrame(
        {
            "x": x,
            "g": g,
            "y": np.where(labeled, y, np.nan),
            "llm": np.where(rng.random(ROWS) < 0.8, y, 1.0 - y),
            "z": np.where(labeled, z, np.nan),
            "llm_z": np.where(rng.random(ROWS) < 0.8, z, 1.0 - z),
            "w": rng.integers(1, 4, ROWS) + (x > 0),
            "pi": labels / ROWS,
        }
    )


def fitted(data: pd.DataFrame, formula: str = "y ~ x", **arguments: Any) -> dsl.DSLResults:
    own = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, "cross_fit": 2}
    return dsl.dsl(formula, data, **{**own, **arguments})


def assert_same(one: dsl.DSLResults, other: dsl.DSLResults, tolerance: float = EXACT) -> None:
    assert_allclose(one.params, other.params, rtol=tolerance, atol=tolerance)
    assert_allclose(
        one.cov_params(), other.cov_params(), rtol=tolerance, atol=tolerance * np.diag(other.cov_params()).max()
    )


def test_everything_labelled_is_weighted_least_squares() -> None:
    data = posts(ROWS)
    x = sm.add_constant(data["x"].to_numpy())
    for cluster, kind in ((None, {"cov_type": "HC0"}), ("g", {"groups": data["g"], "use_correction": False})):
        oracle = sm.WLS(data["y"], x, weights=data["w"]).fit(
            **({"cov_type": "cluster", "cov_kwds": kind} if cluster else kind)
        )
        fit = fitted(data, weights="w", cluster=cluster, estimator="gold_only")
        assert_allclose(fit.params, oracle.params, rtol=EXACT)
        assert_allclose(fit.cov_params(), oracle.cov_params(), rtol=EXACT)


def test_fixed_effects_are_weighted_dummies() -> None:
    data = posts(ROWS)
    dummies = pd.get_dummies(data["g"], dtype=float)
    oracle = sm.WLS(data["y"], np.column_stack([data["x"], dummies]), weights=data["w"]).fit(cov_type="HC0")
    fit = fitted(data, "y ~ x | g", model="felm", weights="w", estimator="gold_only")
    assert_allclose(fit.params.iloc[0], oracle.params.iloc[0], rtol=EXACT)
    assert_allclose(fit.bse.iloc[0], oracle.bse.iloc[0], rtol=EXACT)


ROBUST = {"vcov": "robust"}
"""Three rows that are drawn for labelling one by one are another draw than one row that counts three times."""
REPEATED: dict[str, dict[str, Any]] = {
    "naive": {"estimator": "naive"},
    "gold only": {"estimator": "gold_only"},
    "gold only, logit": {"estimator": "gold_only", "model": "logit"},
    "cdi, lambda 1": {"estimator": "cdi", "tune": 1.0},
    "cdi, a lambda for each coefficient": {"estimator": "cdi", "tune": "coef", **ROBUST},
    "cdi, logit": {"estimator": "cdi", "model": "logit", "tune": "scalar", **ROBUST},
    "cdi, fixed effects": {"estimator": "cdi", "tune": "coef", "formula": "y ~ x | g", "model": "felm", **ROBUST},
    "cdi, covariate": {
        "estimator": "cdi",
        "tune": 0.7,
        "formula": "x ~ z",
        "predicted_var": "z",
        "prediction": "llm_z",
    },
    "a year": {"estimator": "cdi", "tune": 1.0, "formula": "y ~ year"},
}


@pytest.mark.parametrize("case", REPEATED)
def test_a_weight_of_three_is_a_row_three_times(case: str) -> None:
    """Sums over a cluster of equal rows are the row's score times its weight, in moment, Jacobian and meat."""
    data = posts(ROWS).assign(row=np.arange(ROWS), year=lambda d: 1990.0 + d["g"])
    # of two rows with one weight one has labels, so that as many are labelled with weights and without
    data = data.sort_values(["w", "row"], ignore_index=True)
    data["w"] = np.repeat(data["w"].to_numpy()[::2], 2)
    data.loc[np.arange(0, ROWS, 2) + np.random.default_rng(1).integers(0, 2, ROWS // 2), ["y", "z"]] = np.nan
    arguments = {"formula": "y ~ x", **REPEATED[case]}
    formula = arguments.pop("formula")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # repeated rows are noted, and labels of clusters
        three = fitted(
            data.loc[data.index.repeat(data["w"])].reset_index(drop=True), formula, cluster="row", **arguments
        )
    once = fitted(data, formula, weights="w", cluster="row", **arguments)
    assert_same(once, three, 1e-8)
    assert_same(fitted(data, formula, weights="w", **arguments), once, 1e-8)


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "ppi", "ppi++", "cdi", "gold_only", "naive"])
@pytest.mark.parametrize("model", ["lm", "logit"])
def test_units_of_weights_do_not_count_and_equal_ones_change_nothing(estimator: str, model: str) -> None:
    data = posts().assign(grams=lambda d: 1000.0 * d["w"], one=7.0)
    own = {"estimator": estimator, "model": model}
    assert_same(fitted(data, weights="grams", **own), fitted(data, weights="w", **own))
    assert_same(fitted(data, weights="one", **own), fitted(data, **own))
    assert not np.allclose(fitted(data, weights="w", **own).params, fitted(data, **own).params, rtol=1e-3)


@pytest.mark.parametrize("prob", [None, "pi"])
def test_dsl_is_weighted_least_squares_of_the_pseudo_outcome(prob: str | None) -> None:
    """Egami et al. 2024, eq. 8: y_hat + R / pi (y - y_hat), regressed with the weights."""
    data = posts()
    fit = fitted(data, weights="w", sample_prob=prob)
    hat, labeled = fit.predictions[0, :, 0], data["y"].notna().to_numpy()
    pseudo = hat + np.where(labeled, (data["y"].fillna(0.0) - hat) / labeled.mean(), 0.0)
    oracle = sm.WLS(pseudo, sm.add_constant(data["x"].to_numpy()), weights=data["w"]).fit(cov_type="HC0")
    assert_allclose(fit.params, oracle.params, rtol=EXACT)
    assert_allclose(fit.cov_params(), oracle.cov_params(), rtol=EXACT)


def test_ppi_adds_weighted_regressions() -> None:
    data = posts()
    labeled = data["y"].notna()

    def wls(rows: pd.Series, outcome: str) -> np.ndarray:
        part = data[rows]
        return sm.WLS(part[outcome], sm.add_constant(part["x"].to_numpy()), weights=part["w"]).fit().params.to_numpy()

    fit = fitted(data, weights="w", estimator="ppi")
    own = wls(labeled, "y") + wls(~labeled, "llm") - wls(labeled, "llm")
    assert_allclose(fit.params, own, rtol=EXACT)


def test_shares_are_weighted_means_of_pseudo_values() -> None:
    data = posts().assign(side=lambda d: np.where(d["x"] > 0, "right", "left"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", e.FewLabelsWarning)
        shares = dsl.proportions(
            data, gold="y", prediction="llm", by="side", weights="w", sl_method="lm", sample_split=1, cross_fit=2
        )
    hat, labeled = shares.fit.predictions[0, :, 0], data["y"].notna().to_numpy()
    pseudo = hat + np.where(labeled, (data["y"].fillna(0.0) - hat) / labeled.mean(), 0.0)
    own = [
        np.average(pseudo[part], weights=data["w"][part]) for part in (data["side"] == "left", data["side"] == "right")
    ]
    assert_allclose(shares.table["share"], own, rtol=EXACT)
    # Kish's number of rows, by hand
    w = data["w"][labeled & (data["side"] == "left")]
    assert_allclose(shares.table["n_effective"].iloc[0], w.sum() ** 2 / (w**2).sum(), rtol=EXACT)


def test_units_are_weighted_means_of_their_posts() -> None:
    data = posts()
    units = dsl.aggregate(data, unit="g", gold="y", prediction="llm", weights="w")
    labeled = data["y"].notna()
    pseudo = data["llm"] + ((data["y"] - data["llm"]) / labeled.mean()).where(labeled, 0.0)
    for (_, row), (_, part) in zip(units.iterrows(), data.groupby("g"), strict=True):
        w, known = part["w"], labeled[part.index]
        assert_allclose(row["llm"], np.average(part["llm"], weights=w), rtol=EXACT)
        assert_allclose(row["y_adjusted"], np.average(pseudo[part.index], weights=w), rtol=EXACT)
        if known.any():
            assert_allclose(row["y"], np.average(part["y"][known], weights=w[known]), rtol=EXACT)
    even = dsl.aggregate(data.assign(w=2.0), unit="g", gold="y", prediction="llm", weights="w")
    pd.testing.assert_frame_equal(even, dsl.aggregate(data, unit="g", gold="y", prediction="llm"), rtol=1e-12)


def test_refits_know_them(tmp_path: Path) -> None:
    data = posts()
    fit = fitted(data, weights="w", cross_fit=3)
    text = fit.summary().as_text()
    assert f"w (effective rows: {data['w'].sum() ** 2 / (data['w'] ** 2).sum():,.0f})" in text
    table = fit.compare(data, estimators=["dsl", "gold_only"]).table
    own = fitted(data, weights="w", estimator="gold_only")
    found = table[(table["estimator"] == "gold_only") & (table["term"] == "x")]["estimate"]
    assert_allclose(found, own.params["x"], rtol=EXACT)
    path = tmp_path / "fit.dsl"
    fit.save(path)
    assert_same(dsl.DSLResults.load(path), fit, 1e-15)
    light = dsl.DSLResults.load(path)
    light.remove_data()
    assert light.sample.row_weight is None
    assert light.summary().as_text() == text
    dsl.write_report(fit, tmp_path / "report.html", data=data)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "rows weighted by w" in report
    assert "weights=&#x27;w&#x27;" in report or "weights='w'" in report


def changed(name: str, value: float) -> pd.DataFrame:
    data = posts().astype({"w": float})
    data.loc[[4, 9], name] = value
    return data


WRONG: dict[str, tuple[pd.DataFrame, dict[str, Any], type[Exception], str]] = {
    "missing": (changed("w", np.nan), {}, e.WeightError, r"'w' is missing in 2 rows \(first: 4, 9\).*sample_prob"),
    "zero": (changed("w", 0.0), {}, e.WeightError, r"'w' is zero in 2 rows"),
    "negative": (changed("w", -1.0), {}, e.WeightError, r"'w' is negative in 2 rows"),
    "infinite": (changed("w", np.inf), {}, e.WeightError, r"'w' is infinite in 2 rows"),
    "text": (posts().assign(w="heavy"), {}, e.ColumnTypeError, "'w'"),
    "no column": (posts(), {"weights": "W"}, e.MissingColumnError, "'W', named in weights"),
    "of the labels": (
        posts().assign(pi=lambda d: np.where(d["x"] > 0, 0.5, 0.25), w=lambda d: 1.0 / d["pi"]),
        {"sample_prob": "pi"},
        e.ArgumentError,
        "weights='w' is the inverse of sample_prob='pi'.*already",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_that_are_none(case: str) -> None:
    data, more, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        fitted(data, **{"weights": "w", **more})


def test_any_post_has_no_weights() -> None:
    with pytest.raises(e.ArgumentError, match="weights='w' count in means"):
        dsl.aggregate(posts(), unit="g", gold="y", prediction="llm", weights="w", statistic="any")
