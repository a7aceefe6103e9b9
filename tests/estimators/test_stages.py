"""Labels in stages: the nested sum by hand in every estimator, models, what reads the fit, what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.planning.power import power_dsl
from dsl.sampling import targeted

SAME = 1e-9
"""The same sum in another order."""
N, CROWD, EXPERTS = 600, 240, 80
STAGES = [("crowd", "p_crowd")]
pytestmark = [pytest.mark.filterwarnings("ignore:.*rest on few labels"), pytest.mark.filterwarnings("ignore:.*behind")]


def table() -> pd.DataFrame:
    """Labels of experts on 80 of the 240 rows that a crowd labelled, a model's on all 600."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=N)
    truth = (rng.random(N) < 1 / (1 + np.exp(-x))) * 1.0
    order = rng.permutation(N)
    crowd, expert = np.isin(np.arange(N), order[:CROWD]), np.isin(np.arange(N), order[:EXPERTS])
    out: dict[str, Any] = {"x": x, "u": 1.0 + x + truth + rng.normal(size=N), "cl": np.arange(N) % 60}
    for name, right in (("llm", 0.75), ("other", 0.7), ("coded", 0.85)):
        out[name] = np.where(rng.random(N) < right, truth, 1 - truth)
    coded = out.pop("coded")
    names = np.array(["art", "war"])
    return pd.DataFrame(
        {
            **out,
            "y": np.where(expert, truth, np.nan),
            "crowd": np.where(crowd, coded, np.nan),
            "topic": pd.Series(names[truth.astype(int)], dtype=object).where(expert),
            "topic_crowd": pd.Series(names[coded.astype(int)], dtype=object).where(crowd),
            "topic_llm": names[out["llm"].astype(int)],
            "p_crowd": CROWD / N,
            "p_expert": EXPERTS / N,
        }
    )


def run(formula: str = "y ~ x", data: pd.DataFrame | None = None, **more: Any) -> Any:
    call = {"predicted_var": "y", "prediction": "llm", "stages": STAGES, "sample_prob": "p_expert"}
    quick = {"sl_method": "lm", "sample_split": 1}
    return dsl.dsl(formula, table() if data is None else data, **{**call, **quick, **more})


def pseudo(data: pd.DataFrame, hat: Any) -> np.ndarray:
    """y_hat + w_1 (y_1 - y_hat) + w_1 w_2 (y_2 - y_1)."""
    first, both = data["crowd"].notna() * N / CROWD, data["y"].notna() * N / EXPERTS
    crowd, y = data["crowd"].fillna(0.0), data["y"].fillna(0.0)
    return np.asarray(hat + first * (crowd - hat) + both * (y - crowd))


@pytest.mark.parametrize(("estimator", "tune"), [("cdi", 1.0), ("dsl", None), ("dsl+", 1.0)])
def test_the_nested_sum_by_hand(estimator: str, tune: float | None) -> None:
    """Linear models: least squares on the nested pseudo-outcome, with its sandwich."""
    data, fit = table(), run(estimator=estimator, tune=tune)
    hat = data["llm"] if estimator == "cdi" else fit.predictions[0, :, -1]
    x = np.column_stack([np.ones(N), data["x"]])
    y = pseudo(data, hat)
    theta = np.linalg.solve(x.T @ x, x.T @ y)
    np.testing.assert_allclose(fit.params, theta, rtol=SAME)
    score = x * (y - x @ theta)[:, None]
    bread = np.linalg.inv(x.T @ x)
    np.testing.assert_allclose(fit.cov_params(), bread @ score.T @ score @ bread, rtol=1e-7)


def test_a_logit_by_hand() -> None:
    data, fit = table(), run(model="logit", estimator="cdi", tune=1.0)
    x, y = np.column_stack([np.ones(N), data["x"]]), pseudo(data, data["llm"])
    theta = np.zeros(2)
    for _ in range(50):
        mu = 1 / (1 + np.exp(-x @ theta))
        theta = theta + np.linalg.solve((x * (mu * (1 - mu))[:, None]).T @ x, x.T @ (y - mu))
    np.testing.assert_allclose(fit.params, theta, rtol=1e-8)


def test_a_stage_whose_labels_are_the_predictions_changes_nothing() -> None:
    data = table().assign(crowd=lambda t: t["llm"].where(t["crowd"].notna()))
    for more in ({}, {"model": "logit"}, {"tune": "coef", "vcov": "robust"}):
        with_stage = run(data=data, estimator="cdi", **{"tune": 1.0, **more})
        without = run(data=data, estimator="cdi", stages=None, **{"tune": 1.0, **more})
        np.testing.assert_allclose(with_stage.params, without.params, rtol=1e-7)
        np.testing.assert_allclose(with_stage.bse, without.bse, rtol=1e-7)


def given_the_draws(
    psi: np.ndarray, first: np.ndarray, last: np.ndarray, data: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """psi less (R_1 - pi_1) and (R_2 - pi_2) R_1 times the means of what each stage adds, and what estimating these costs."""
    crowd, expert, inner = data["crowd"].notna(), data["y"].notna(), EXPERTS / CROWD
    left, lost = psi, []
    for added, rows, share, known in (
        (first, crowd, (crowd - CROWD / N).to_numpy(), CROWD / N),
        (last, expert, ((expert - inner) * crowd).to_numpy(), inner),
    ):
        mean = added[rows].mean(axis=0)
        left = left - share[:, None] * mean
        lost.append((added[rows] - mean) * np.sqrt((1.0 - known) / (rows.sum() - 1.0)))
    return left, np.vstack(lost)


def test_given_how_each_stage_was_drawn() -> None:
    """A fixed number of rows, and a fixed number of these: by hand, at lambda = 1 and at the best one for this variance."""
    data = table()
    x = np.column_stack([np.ones(N), data["x"]])
    bread = np.linalg.inv(x.T @ x)
    u, w = data["crowd"].notna() * N / CROWD, data["y"].notna() * N / EXPERTS
    crowd, y = data["crowd"].fillna(0.0), data["y"].fillna(0.0)
    plain, chosen = (run(estimator="cdi", tune=tune, vcov="design") for tune in (1.0, "coef"))
    theta = plain.params.to_numpy()

    def parts(value: Any) -> np.ndarray:
        return np.asarray(x * np.asarray(value)[:, None]) @ bread

    mean = x @ theta
    # influences of w m and of each stage's part of (1 - w) m~
    gold = parts(w * (y - mean))
    hat, last = parts(data["llm"] - mean), parts(-w * (crowd - mean))
    first = parts(u * (crowd - data["llm"])) + last

    def variance(lam: Any) -> np.ndarray:
        left, lost = given_the_draws(gold + lam * (hat + first), gold + lam * first, gold + lam * last, data)
        return np.asarray((left**2).sum(axis=0) + (lost**2).sum(axis=0))

    np.testing.assert_allclose(plain.bse, np.sqrt(variance(1.0)), rtol=1e-7)
    lam = chosen.tuning["lambda"].to_numpy()
    np.testing.assert_allclose(chosen.bse, np.sqrt(variance(lam)), rtol=1e-7)
    for other in (0.999, 1.001):
        assert (variance(lam) <= variance(other * lam)).all()
    default = run(estimator="cdi", tune="coef")
    assert default.call.vcov == "design+HC3"
    assert (default.bse > chosen.bse).all()


@pytest.mark.parametrize("vcov", ["HC2", "HC3", "jackknife", "PRESS", "CR3"])
def test_units_are_left_out_with_their_stages(vcov: str) -> None:
    data = table().assign(crowd=lambda t: t["llm"].where(t["crowd"].notna()))
    more: dict[str, Any] = {"estimator": "cdi", "vcov": vcov, "cluster": "cl" if vcov[:2] == "CR" else None}
    more["tune"] = 1.0 if vcov == "HC2" else "coef"
    with_stage, without = (run(data=data, stages=stages, **more) for stages in (STAGES, None))
    np.testing.assert_allclose(with_stage.bse, without.bse, rtol=1e-7)


def test_a_stage_of_all_rows_is_a_prediction() -> None:
    data = table().assign(whole=lambda t: t["other"], one=1.0)
    staged = run(data=data, estimator="cdi", tune=1.0, stages=[("whole", "one")])
    plain = run(data=data, estimator="cdi", tune=1.0, stages=None, prediction="other")
    np.testing.assert_allclose(staged.params, plain.params, rtol=SAME)
    np.testing.assert_allclose(staged.bse, plain.bse, rtol=SAME)


@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("y ~ x", {"model": "logit", "estimator": "dsl+"}),
        ("u ~ x + y", {"estimator": "dsl+", "cluster": "cl"}),
        ("u ~ x + y", {"estimator": "dsl"}),
        ("u ~ x + y | cl", {"estimator": "cdi", "model": "felm", "index": "cl"}),
        ("y ~ x", {"model": "probit", "tune": "scalar"}),
        ("topic ~ x", {"predicted_var": "topic", "prediction": "topic_llm", "stages": [("topic_crowd", "p_crowd")]}),
        (
            "u ~ x + topic",
            {
                "predicted_var": "topic",
                "prediction": "topic_llm",
                "stages": [("topic_crowd", "p_crowd")],
                "estimator": "cdi",
            },
        ),
    ],
    ids=str,
)
def test_models_and_comparison(formula: str, more: dict[str, Any]) -> None:
    """Stacked scores reproduce the standard errors, which `compare` checks, and refits keep the stages."""
    fit = run(formula, **more)
    assert fit.call.vcov == ("design+HC3" if fit.call.tune == "coef" or fit.call.tune == "scalar" else "robust")
    assert np.isfinite(fit.bse).all()
    found = fit.compare(table(), estimators=["naive", "gold_only", "dsl+"])
    assert found.bias is not None
    gold = run(formula, **{**more, "stages": None, "estimator": "gold_only", "tune": None})
    np.testing.assert_allclose(found.fits["gold_only"].params, gold.params, rtol=SAME)


def test_predicted_variables_on_nested_sets_of_rows() -> None:
    """y is gold on the first stage's rows, d on some of them: psi with both predicted, y known, both known."""
    data = table()
    rng = np.random.default_rng(5)
    data["d_llm"] = (rng.random(N) < 0.5) * 1.0
    data["d"] = np.where(data["y"].notna(), np.where(rng.random(N) < 0.8, data["d_llm"], 1 - data["d_llm"]), np.nan)
    pairs = {"y": "llm", "d": "d_llm"}
    stages = [({"y": "crowd"}, "p_crowd")]
    fit = run("y ~ d", data, predicted_var=pairs, prediction=None, estimator="cdi", tune=1.0, stages=stages)
    first, both = data["crowd"].notna() * N / CROWD, data["y"].notna() * N / EXPERTS

    def moments(d: pd.Series, y: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        x = np.column_stack([np.ones(N), d.fillna(0.0)])
        return x[:, :, None] * x[:, None, :], x * y.fillna(0.0).to_numpy()[:, None]

    parts = [moments(data["d_llm"], data["llm"]), moments(data["d_llm"], data["crowd"]), moments(data["d"], data["y"])]
    weights = [1.0 - first, first - both, both]
    gram = sum((w.to_numpy()[:, None, None] * part[0]).sum(axis=0) for w, part in zip(weights, parts, strict=True))
    right = sum((w.to_numpy()[:, None] * part[1]).sum(axis=0) for w, part in zip(weights, parts, strict=True))
    np.testing.assert_allclose(fit.params, np.linalg.solve(gram, right), rtol=SAME)


def test_report_and_files(tmp_path: Any) -> None:
    fit = run(estimator="cdi")
    page = fit.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "p_crowd" in page
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl")
    assert again.call.stages == fit.call.stages
    assert again.compare(table(), estimators=["naive"]).bias is not None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"estimator": "ppi++"}, "labels in stages: estimator='ppi\\+\\+' has two samples"),
        ({"target": "finite"}, "labels in stages: target='finite' has the variance of one draw"),
        (
            {"estimator": "cdi", "prediction": ["llm", "other"]},
            "takes one surrogate where labels come in stages, and there are 2",
        ),
        ({"feature": "crowd"}, "'crowd' is a column of stages.*and in the formula, prediction or feature too"),
        ({"formula": "y ~ x + p_crowd"}, "'p_crowd' is a column of stages"),
    ],
)
def test_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(e.ArgumentError, match=message):
        run(**more)


def test_what_cannot_be_planned_from_it() -> None:
    fit = run()
    with pytest.raises(e.ArgumentError, match="no power analysis of one number of labels where they come in stages"):
        power_dsl(fit)
    with pytest.raises(e.ArgumentError, match="the pilot has labels in stages"):
        targeted(fit, table(), 100, coefficient="x", seed=1)
    with pytest.raises(e.ArgumentError, match="stages"):
        dsl.evaluate("y ~ x", table(), predicted_var="y", prediction="llm", stages=STAGES, n_labels=50)
