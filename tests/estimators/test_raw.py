"""Several surrogates in cdi and ppi++: where they go, what reads the fit afterwards, what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.analyses.compare import compare
from dsl.planning.power import power_dsl

SAME = 1e-9
"""The same numbers by another algebra."""
BOTH = pytest.mark.parametrize("estimator", ["cdi", "ppi++"])
pytestmark = [pytest.mark.filterwarnings("ignore:.*rest on few labels"), pytest.mark.filterwarnings("ignore:.*behind")]


def table(n: int = 400, labels: int = 150) -> pd.DataFrame:
    """A 0/1 variable y with two models' labels, a category with two models' labels, a count."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-x))) * 1.0
    topic = np.array(["art", "sport", "war"])[rng.integers(0, 3, n)]
    out: dict[str, Any] = {"x": x, "u": 1.0 + x + y + rng.normal(size=n), "cl": np.arange(n) % 40}
    out["k"] = rng.poisson(np.exp(0.6 + 0.2 * x + 0.4 * y) * rng.gamma(1.0, 1.0, n)) * 1.0
    for name, right in (("one", 0.85), ("two", 0.75)):
        out[f"y_{name}"] = np.where(rng.random(n) < right, y, 1 - y)
        out[f"t_{name}"] = np.where(rng.random(n) < right, topic, topic[rng.permutation(n)])
        out[f"k_{name}"] = rng.poisson(0.8 * out["k"] + 0.2)
    shown = rng.permutation(n) < labels
    gold = {"y": np.where(shown, y, np.nan), "k": np.where(shown, out["k"], np.nan)}
    out["topic"] = pd.Series(topic, dtype=object).where(shown)
    return pd.DataFrame({**out, **gold})


def run(formula: str = "y ~ x", **more: Any) -> Any:
    call = {"predicted_var": "y", "prediction": ["y_one", "y_two"], "estimator": "cdi", **more}
    return dsl.dsl(formula, table(), **call)


def test_the_mean_by_ppi_in_closed_form() -> None:
    """theta = mean y - sum lambda_j (mean_L f_j - mean_U f_j), lambda = (Var f (1 + n / N'))^-1 Cov(y, f)."""
    found = run("y ~ 1", estimator="ppi++")
    data = table()
    shown = data["y"].notna().to_numpy()
    y, f = data.loc[shown, "y"].to_numpy(), data[["y_one", "y_two"]].to_numpy()
    n, rest = shown.sum(), (~shown).sum()
    cross = np.cov(np.column_stack([y, f[shown]]).T, ddof=0)[0, 1:]
    weights = np.linalg.solve(np.cov(f.T) * (1 + n / rest), cross)
    np.testing.assert_allclose(found.tuning[["lambda[y_one]", "lambda[y_two]"]].to_numpy()[0], weights, rtol=SAME)
    assert found.tuning["lambda"].item() == pytest.approx(weights.sum(), rel=SAME)
    assert found.params.item() == pytest.approx(y.mean() + weights @ (f[~shown].mean(0) - f[shown].mean(0)), rel=SAME)
    variance = np.var(y - f[shown] @ weights) / n + np.var(f[~shown] @ weights) / rest
    assert found.bse.item() == pytest.approx(np.sqrt(variance), rel=SAME)


@BOTH
@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("y ~ x", {"model": "lm"}),
        ("y ~ x", {"model": "logit"}),
        ("u ~ x + y", {"model": "lm"}),
        ("k ~ x + y", {"model": "poisson", "cluster": "cl"}),
        ("y ~ x", {"model": "probit", "target": "finite"}),
    ],
    ids=str,
)
def test_a_surrogate_twice_is_the_surrogate(estimator: str, formula: str, more: dict[str, Any]) -> None:
    data = table().assign(copy=lambda d: d["y_one"])
    # the count is known for all rows here
    data["k"] = data["k_one"]
    call: dict[str, Any] = {"predicted_var": "y", "estimator": estimator, **more}
    if estimator == "cdi" and "target" not in more:
        call["vcov"] = "design"  # what several have by default
    one = dsl.dsl(formula, data, prediction="y_one", **call)
    two = dsl.dsl(formula, data, prediction=["y_one", "copy"], **call)
    np.testing.assert_allclose(two.params, one.params, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(two.bse, one.bse, rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("topic ~ x", {"predicted_var": "topic", "prediction": ["t_one", "t_two"], "model": "lm", "tune": "coef"}),
        ("topic ~ x", {"predicted_var": "topic", "prediction": ["t_one", "t_two"], "model": "multinom"}),
        ("u ~ x + topic", {"predicted_var": "topic", "prediction": ["t_one", "t_two"], "tune": "matrix"}),
        ("k ~ x", {"predicted_var": "k", "prediction": ["k_one", "k_two"], "model": "negbin"}),
        ("u ~ x + y | cl", {"model": "felm", "index": "cl", "tune": "coef"}),
        ("k ~ x + y", {"model": "poisson", "index": "cl", "predicted_var": {"k": ["k_one", "k_two"], "y": "y_one"}}),
        ("u ~ 1 | y ~ x", {"model": "iv", "tune": "coef"}),
        ("u ~ 1 | y ~ x", {"model": "iv", "predicted_var": {"y": ["y_one", "y_two"]}, "cluster": "cl"}),
    ],
    ids=str,
)
def test_models_and_what_reads_the_fit(formula: str, more: dict[str, Any]) -> None:
    """Every model takes them, and stacked scores reproduce the standard errors (`compare` refuses a fit that they do not)."""
    call = {"predicted_var": "y", "prediction": ["y_one", "y_two"], "estimator": "cdi", **more}
    call["prediction"] = None if isinstance(call["predicted_var"], dict) else call["prediction"]
    fit = dsl.dsl(formula, table(), **call)
    assert np.isfinite(fit.bse).all()
    assert sum(name.startswith("lambda[") for name in fit.tuning) == 2
    own = {**call, "sl_method": "lm", "sample_split": 1}
    if not isinstance(own["predicted_var"], dict):
        own["predicted_var"], own["prediction"] = {own["predicted_var"]: own["prediction"]}, None
    first = {name: own.pop(name) for name in ("estimator", "tune") if name in own}
    found = compare(formula, table(), estimators={"naive": "naive", "mine": first}, **own)
    assert found.bias is not None
    np.testing.assert_allclose(found.fits["mine"].params, fit.params, rtol=1e-6, atol=1e-9)


@BOTH
def test_power_report_and_files(estimator: str, tmp_path: Any) -> None:
    fit = run(estimator=estimator, model="logit")
    if estimator == "cdi":
        assert power_dsl(fit, labeled_size=[150]).predicted_se.iloc[0].to_numpy() == pytest.approx(fit.bse.to_numpy())
    page = fit.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "lambda[y one]" in page
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl")
    pd.testing.assert_frame_equal(again.tuning, fit.tuning)
    compared = again.compare(table(), estimators=["naive"])
    assert compared.bias is not None


def test_variables_go_together() -> None:
    """The j-th surrogates of all variables; one that has a single surrogate has it in both."""
    pairs = {"y": ["y_one", "y_two"], "k": ["k_one", "k_two"]}
    fit = run("u ~ y + k", predicted_var=pairs, prediction=None, tune="coef")
    assert [name for name in fit.tuning if "[" in name] == ["lambda[y_one, k_one]", "lambda[y_two, k_two]"]
    mixed = run("u ~ y + k", predicted_var={"y": ["y_one", "y_two"], "k": "k_one"}, prediction=None, tune="coef")
    assert [name for name in mixed.tuning if "[" in name] == ["lambda[y_one, k_one]", "lambda[y_two, k_one]"]
    data = table().assign(k_three=lambda d: d["k_one"])
    with pytest.raises(e.ArgumentError, match="each needs the same number of them, or one; found 'y' 2, 'k' 3"):
        dsl.dsl(
            "u ~ y + k",
            data,
            predicted_var={"y": ["y_one", "y_two"], "k": ["k_one", "k_two", "k_three"]},
            estimator="cdi",
        )


def test_units_are_left_out_of_all_lambdas() -> None:
    """Wider than without, by more than with one of them, as more lambdas were chosen."""
    plain, one = run(vcov="robust"), [run(vcov=vcov, prediction="y_one") for vcov in ("robust", "PRESS")]
    assert run().call.vcov == "design+HC3"
    for vcov in ("PRESS", "HC3"):
        assert (run(vcov=vcov).bse > plain.bse).all(), vcov
    more = run(vcov="PRESS").bse / plain.bse
    assert more.mean() > (one[1].bse / one[0].bse).mean()


def test_ppi_and_naive_take_the_first() -> None:
    pairs = {"y": ["y_one", "y_two"]}
    for estimator in ("ppi", "naive"):
        several = run(predicted_var=pairs, prediction=None, estimator=estimator)
        np.testing.assert_array_equal(several.params, run(prediction="y_one", estimator=estimator).params)
