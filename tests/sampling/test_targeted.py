"""Targeted labelling: influences by hand, against dummies, and budgets that count the pilot."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.sampling import targeted
from dsl.sampling.influence import estimate_errors, influence_variances, read_pilot
from dsl.sampling.probability import relative_variance

SAME_ALGEBRA = 1e-9
N, PILOT = 600, 120


def squared(x: Any) -> Any:
    """A function of the caller's for a formula."""
    return x**2


def panel() -> pd.DataFrame:
    """600 posts of 30 authors: gold on 120 random rows, for the outcome `y` or the covariate `d`."""
    rng = np.random.default_rng(8)
    x, rare = rng.normal(size=N), (rng.random(N) < 0.06).astype(float)
    d = (rng.random(N) < 1 / (1 + np.exp(-x))).astype(float)
    unit = rng.integers(0, 30, N)
    y = 0.5 + d - 0.5 * x + rare + 0.1 * unit + rng.normal(size=N)
    shown = np.zeros(N, dtype=bool)
    shown[rng.choice(N, PILOT, replace=False)] = True
    return pd.DataFrame(
        {
            "y": np.where(shown, y, np.nan),
            "truth": y,
            "d": np.where(shown, d, np.nan),
            "llm": y + rng.normal(size=N) * (1 + np.abs(x)),
            "guess": np.where(rng.random(N) < 0.8, d, 1 - d),
            "x": x,
            "rare": rare,
            "unit": unit,
        },
        index=[f"p{j}" for j in range(N)],
    )


def pilot(data: Any = None, formula: str = "y ~ x + rare", **arguments: Any) -> Any:
    quick = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 2}
    return dsl.dsl(formula, panel() if data is None else data, **{**quick, **arguments})


def draw(fit: Any, data: Any, size: int = 80, **arguments: Any) -> dsl.sampling.LabelDesign:
    return targeted(fit, data, size, **{"error_model": "lm", "seed": 3, **arguments})


def columns(data: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(data)), data["x"], data["rare"]])


def test_influence_of_a_predicted_outcome_by_hand() -> None:
    data = panel()
    fit = pilot(data)
    read = read_pilot(fit.core, data)
    errors = estimate_errors(read, "ridge", 1)
    x = columns(data)
    inverse = np.linalg.inv(x.T @ x / N)
    found = influence_variances(read, errors, np.array([0, 2]))
    np.testing.assert_allclose(found, errors * (x @ inverse[[0, 2]].T) ** 2, rtol=SAME_ALGEBRA)
    residual = (data["truth"].to_numpy() - fit.predictions[:, :, 0]).mean(axis=0)[fit.sample.labeled]
    past = read.label_scores * (PILOT / N)
    np.testing.assert_allclose(past, residual[:, None] * x[fit.sample.labeled], rtol=SAME_ALGEBRA, atol=1e-12)


def test_influence_in_a_logit_by_hand() -> None:
    data = panel().assign(z=lambda d: (d["y"] > 1).where(d["y"].notna()).astype(float))
    fit = pilot(data, "z ~ x + unit", predicted_var="z", model="logit", family="binomial")
    read = read_pilot(fit.core, data)
    x = np.column_stack([np.ones(N), data["x"], data["unit"]])
    errors = np.full((N, 1), 0.2)
    found = influence_variances(read, errors, np.arange(3))
    inverse = np.linalg.inv(fit.splits.jacobians.mean(axis=0) / N)
    np.testing.assert_allclose(found, 0.2 * (x @ inverse.T) ** 2, rtol=SAME_ALGEBRA)


def test_influence_of_a_predicted_covariate_by_hand() -> None:
    """h'm at D = g + e less h'm at D = g is e (h_D r - x'h theta_D) - h_D theta_D e^2."""
    data = panel().assign(y=lambda d: d["truth"])
    fit = pilot(data, "y ~ x + d", predicted_var="d", prediction="guess")
    read = read_pilot(fit.core, data)
    g = fit.predictions[:, :, 0].mean(axis=0)
    errors = np.full((N, 1), 0.01)
    x = np.column_stack([np.ones(N), data["x"], g])
    h = read.inverse
    residual, slope = data["y"].to_numpy() - x @ fit.params.to_numpy(), fit.params["d"]
    low, high = np.maximum(g - 0.1, 0.0) - g, np.minimum(g + 0.1, 1.0) - g
    expected = np.zeros((N, 3))
    for away in (low, high):
        away = away[:, None]
        change = away * (h[:, 2] * residual[:, None] - (x @ h.T) * slope) - h[:, 2] * slope * away**2
        expected += 0.5 * change**2
    np.testing.assert_allclose(influence_variances(read, errors, np.arange(3)), expected, rtol=1e-7, atol=1e-12)


def test_fixed_effects_are_those_of_dummies() -> None:
    data = panel()
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.5, 2.0, (N, 1))
    absorbed = read_pilot(pilot(data, "y ~ x + rare | unit", model="felm").core, data)
    dummies = read_pilot(pilot(data, "y ~ x + rare + factor(unit)").core, data)
    places = np.array([dummies.names.index("x"), dummies.names.index("rare")])
    np.testing.assert_allclose(
        influence_variances(absorbed, errors, np.arange(2)), influence_variances(dummies, errors, places), rtol=1e-7
    )


def test_errors_are_estimated_where_predictions_fail() -> None:
    """The surrogate's noise grows with abs(x); no row's own label enters its estimate."""
    data = panel()
    read = read_pilot(pilot(data).core, data)
    errors = estimate_errors(read, "gam", 1)[:, 0]
    assert errors.min() > 0.0
    assert errors[np.abs(data["x"]) > 1.5].mean() > errors[np.abs(data["x"]) < 0.5].mean()
    other = replace(read, errors=np.where(np.arange(PILOT)[:, None] == 7, 1e6, read.errors))
    changed = estimate_errors(other, "mean", 1)[:, 0]
    same = estimate_errors(read, "mean", 1)[:, 0]
    own = np.flatnonzero(read.sample.labeled)[7]
    assert changed[own] < 1e5  # the floor, a share of the mean, is all that moved
    assert (changed > same).all()


@pytest.mark.parametrize("coefficient", ["rare", ["x", "rare"], "all"])
@pytest.mark.parametrize("robust", [False, True])
def test_the_design_covers_pilot_and_new_rows(coefficient: Any, robust: bool) -> None:
    data = panel()
    fit = pilot(data)
    labeled, before = fit.sample.labeled, PILOT / N
    design = draw(fit, data, coefficient=coefficient, robust=robust)
    assert design.kind == "targeted"
    assert design.fixed_size
    assert design.drawn[labeled].all()
    assert design.n_drawn == PILOT + 80
    now = (design.prob - before) / (1.0 - before)
    assert abs(now[~labeled].sum() - 80) < 1e-9
    assert (design.prob >= before - 1e-12).all()
    assert design.settings["rho"] == 0.0 or robust
    gains = design.settings["relative_variance"]["expected"]
    assert list(gains) == (["x", "rare"] if coefficient != "rare" else ["rare"])
    assert max(gains.values()) <= 1.02  # tau and the pilot's rows take a little back
    assert draw(fit, data, coefficient=coefficient, robust=robust).fingerprint == design.fingerprint
    assert draw(fit, data, coefficient=coefficient, robust=robust, seed=4).fingerprint != design.fingerprint


def test_a_rare_group_is_labelled_more_often() -> None:
    data = panel()
    design = draw(pilot(data), data, coefficient="rare")
    rare = data["rare"] == 1
    assert design.prob[rare].mean() > 2 * design.prob[~rare].mean()
    assert design.settings["relative_variance"]["expected"]["rare"] < 0.7


def test_a_new_draw_without_the_pilot() -> None:
    data = panel()
    fit = pilot(data)
    design = draw(fit, data, coefficient="rare", keep_pilot=False, floor=0.05)
    assert design.n_drawn == 80
    assert abs(design.prob.sum() - 80) < 1e-9
    assert design.prob.min() >= 0.05
    assert not design.drawn[fit.sample.labeled].all()
    expected = design.settings["relative_variance"]["expected"]["rare"]
    read = read_pilot(fit.core, data)
    rng_seed = int(np.random.default_rng(3).integers(2**31))
    variance = influence_variances(read, estimate_errors(read, "lm", rng_seed), np.array([2]))
    assert relative_variance(variance, design.prob)[0] == pytest.approx(expected, rel=1e-12)


def test_all_of_tau_is_an_even_design() -> None:
    data = panel()
    np.testing.assert_allclose(draw(pilot(data), data, tau=1.0, keep_pilot=False).prob, 80 / N, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # these probabilities drew nothing
def test_unequal_pilots() -> None:
    data = panel().assign(pi=lambda d: np.where(d["unit"] < 15, 0.3, 0.1))
    fit = pilot(data, sample_prob="pi")
    design = draw(fit, data, coefficient="rare")
    assert (design.prob >= fit.sample.sample_prob - 1e-12).all()
    assert design.n_drawn == PILOT + 80


def test_both_draws_are_analysed_together(tmp_path: Path) -> None:
    """Pilot, second draw, coder's file, final fit."""
    data = panel()
    design = draw(pilot(data), data, coefficient="rare")
    with pytest.raises(e.ArgumentError, match="'llm', by which the rows were drawn"):
        design.to_coder(tmp_path / "second.csv", data, columns=["x", "llm"], label="y")
    asked = design.to_coder(tmp_path / "second.csv", data, columns="x", label="y")
    assert len(asked) == 80
    answers = asked.assign(y=data.loc[asked.index, "truth"])
    answers.to_csv(tmp_path / "answers.csv")
    labelled = design.from_coder(tmp_path / "answers.csv", data, label="y")
    np.testing.assert_allclose(labelled["y"].dropna(), data.loc[design.drawn, "truth"])
    fit = pilot(labelled, design=design)
    assert fit.n_labeled == PILOT + 80
    assert fit.bse["rare"] < pilot(data).bse["rare"]


def test_functions_of_the_caller() -> None:
    data = panel()
    fit = pilot(data, "y ~ x + squared(x)")
    assert draw(fit, data, coefficient="squared(x)").n_drawn == PILOT + 80


def short(data: pd.DataFrame) -> Any:
    """A pilot that had to leave rows out."""
    with pytest.warns(e.DroppedRowsWarning):
        return pilot(data)


CASES: dict[str, tuple[Callable[[Any, pd.DataFrame], Any], type[Exception], list[str]]] = {
    "unknown coefficient": (
        lambda fit, d: draw(fit, d, coefficient="z"),
        e.ArgumentError,
        ["'z'", "coefficients are Intercept, x, rare"],
    ),
    "no coefficient": (lambda fit, d: draw(fit, d, coefficient=[]), e.ArgumentError, ["'nothing'"]),
    "too many": (lambda fit, d: draw(fit, d, 481), e.ArgumentError, ["n_labels is 481", "480 rows are left"]),
    "not a count": (lambda fit, d: draw(fit, d, 0.2), e.ArgumentError, ["n_labels", "whole number"]),
    "tau": (lambda fit, d: draw(fit, d, tau=2), e.ArgumentError, ["tau", "between 0 and 1", "2"]),
    "floor": (lambda fit, d: draw(fit, d, floor=0.5), e.ArgumentError, ["floor must be between 0 and 0.3333"]),
    "criterion": (
        lambda fit, d: draw(fit, d, criterion="sum"),
        e.ArgumentError,
        ["unknown criterion 'sum'"],
    ),
    "learner": (lambda fit, d: draw(fit, d, error_model="lmm"), e.ArgumentError, ["unknown sl_method 'lmm'"]),
    "no results": (lambda fit, d: draw(d, d), e.ArgumentError, ["what dsl.dsl returns", "DataFrame"]),
    "gold only": (
        lambda fit, d: draw(pilot(d, estimator="gold_only"), d),
        e.ArgumentError,
        ["estimator='gold_only'", "no out-of-fold predictions"],
    ),
    "categories": (
        lambda fit, d: draw(
            pilot(
                c := d.assign(y=d["y"].map(lambda v: "high" if v > 1 else "low", na_action="ignore")),
                "I(y == 'high') ~ x",
            ),
            c,
        ),
        e.ArgumentError,
        ["predicts categories", "0/1 columns"],
    ),
    "fewer rows": (
        lambda fit, d: draw(fit, d.iloc[1:]),
        e.ArgumentError,
        ["not the data of the fit", "599 rows", "600"],
    ),
    "other labels": (
        lambda fit, d: draw(fit, d.reset_index(drop=True)),
        e.ArgumentError,
        ["under other row labels"],
    ),
    "missing values": (
        lambda fit, d: draw(short(gaps := d.assign(x=d["x"].where(d.index != "p3"))), gaps),
        e.DataError,
        ["1 rows have missing values ('x' (1))", "fit the pilot again"],
    ),
    "other columns": (
        lambda fit, d: draw(fit, d.assign(rare=d["rare"].map({0.0: "no", 1.0: "yes"}))),
        e.ArgumentError,
        ["not the data of the fit", "column 'rare' holds other values"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors(case: str) -> None:
    call, error, words = CASES[case]
    data = panel()
    with pytest.raises(error) as caught:
        call(pilot(data), data)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
