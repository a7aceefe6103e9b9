"""R's ordinary regressions as truths: lm, glm, sandwich, estimatr (its two-stage least squares too), plm, survey.

With all rows labelled DSL is the ordinary regression; with the outcome predicted it is, in every split, the
regression of the pseudo-outcome; `gold_only` is the survey-weighted regression of the labelled rows.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from tests.live_r.r import r

CLOSED_FORM = 1e-8
"""Relative: the same algebra in another order."""
GLM_STOP = 1e-6
"""Relative: R's glm and svyglm stop when the deviance changes by 1e-14 of itself, short of Newton's root."""

COEFTEST = """function(d, formula, cluster = NULL, binomial = FALSE, type = "HC0") {
  f <- stats::as.formula(formula)
  m <- if (binomial) stats::glm(f, stats::binomial(), d, epsilon = 1e-14, maxit = 100) else stats::lm(f, d)
  v <- if (is.null(cluster)) sandwich::vcovHC(m, type)
       else sandwich::vcovCL(m, d[[cluster]], type = type, cadjust = type == "HC1")
  cbind(b = stats::coef(m), se = sqrt(diag(v)))
}"""
ESTIMATR = """function(d, formula, se_type, cluster = NULL) {
  f <- stats::as.formula(formula)
  m <- if (is.null(cluster)) estimatr::lm_robust(f, d, se_type = se_type)
       else estimatr::lm_robust(f, d, clusters = d[[cluster]], se_type = se_type)
  cbind(b = m$coefficients, se = m$std.error)
}"""
IV_ROBUST = """function(d, formula, se_type, cluster = NULL, absorbed = NULL) {
  f <- stats::as.formula(formula)
  given <- list(f, d, se_type = se_type)
  if (!is.null(cluster)) given$clusters <- d[[cluster]]
  if (!is.null(absorbed)) given$fixed_effects <- stats::reformulate(absorbed)
  m <- do.call(estimatr::iv_robust, given)
  cbind(b = m$coefficients, se = m$std.error)
}"""
PLM = """function(d, formula, effect) {
  m <- plm::plm(stats::as.formula(formula), d, index = c("unit", "year"), model = "within", effect = effect)
  cbind(b = stats::coef(m))
}"""
DUMMIES = """function(d, formula, dummies, terms, cluster = NULL) {
  for (name in dummies) d[[name]] <- factor(d[[name]])
  m <- stats::lm(stats::reformulate(c(terms, dummies), strsplit(formula, " ~ ")[[1]][1]), d)
  v <- if (is.null(cluster)) sandwich::vcovHC(m, "HC0") else sandwich::vcovCL(m, d[[cluster]], type = "HC0", cadjust = FALSE)
  cbind(b = stats::coef(m), se = sqrt(diag(v)))[terms, ]
}"""
SVYGLM = """function(d, formula, binomial = FALSE, cluster = FALSE) {
  design <- survey::svydesign(if (cluster) ~unit else ~1, weights = ~weight, data = d)
  family <- if (binomial) stats::quasibinomial() else stats::gaussian()
  m <- survey::svyglm(stats::as.formula(formula), design, family = family, epsilon = 1e-14, maxit = 100)
  cbind(b = stats::coef(m), se = sqrt(diag(stats::vcov(m))))
}"""


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """An unbalanced panel: every pair of unit and year at most once, two fifths of them missing."""
    rng = np.random.default_rng(11)
    grid = pd.MultiIndex.from_product([range(60), range(2001, 2012)], names=["unit", "year"]).to_frame(index=False)
    frame = grid[rng.random(len(grid)) < 0.6].reset_index(drop=True)
    n = len(frame)
    x = rng.normal(size=n) + 0.05 * frame["unit"]
    frame["x"] = x
    frame["z"] = rng.normal(size=n) + 0.1 * (frame["year"] - 2006)
    frame["y"] = 1 + x - 0.5 * frame["z"] + 0.1 * frame["unit"] + rng.normal(size=n) * (1 + (x > 0))
    frame["b"] = (rng.random(n) < 1 / (1 + np.exp(1 - x))).astype(float)
    frame["llm"] = frame["y"] + rng.normal(size=n)
    frame["llm_b"] = np.where(rng.random(n) < 0.8, frame["b"], 1 - frame["b"])
    return frame


@pytest.fixture(scope="module")
def sampled(panel: pd.DataFrame) -> pd.DataFrame:
    """The panel with gold outcomes on a sample of unequal probabilities."""
    rng = np.random.default_rng(12)
    prob = np.where(panel["x"] > 1, 0.8, 0.5)
    keep = rng.random(len(panel)) < prob
    gold = {name: panel[name].where(keep) for name in ("y", "b")}
    return panel.assign(prob=prob, **gold)


def all_labeled(formula: str, data: pd.DataFrame, **given: Any) -> dsl.DSLResults:
    outcome = formula.split("~")[0].strip()
    given = {"predicted_var": outcome, "prediction": "llm", "sl_method": "lm", "sample_split": 2} | given
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        return dsl.dsl(formula, data, **given)


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame, tolerance: float = CLOSED_FORM, factor: float = 1.0) -> None:
    """Coefficients and standard errors in the same order; `factor` turns R's standard errors into ours."""
    np.testing.assert_allclose(ours["b"].to_numpy(), theirs["b"].to_numpy(), rtol=tolerance)
    if "se" in theirs:
        np.testing.assert_allclose(ours["se"].to_numpy(), factor * theirs["se"].to_numpy(), rtol=tolerance)


def table(fit: dsl.DSLResults) -> pd.DataFrame:
    return pd.DataFrame({"b": fit.params, "se": fit.bse})


@pytest.mark.parametrize("vcov", ["HC0", "HC1"])
def test_lm_and_sandwich(panel: pd.DataFrame, vcov: str) -> None:
    ours = all_labeled("y ~ x * z + factor(year)", panel, vcov=vcov)
    theirs = r(COEFTEST, panel, "y ~ x * z + factor(year)", type=vcov)
    by_r_name = table(ours).rename(
        index=lambda name: name.replace("Intercept", "(Intercept)").replace("[T.", "").replace("]", "")
    )
    assert_same(by_r_name.loc[theirs.index], theirs)


@pytest.mark.parametrize(("vcov", "kind"), [("CR0", "HC0"), ("CR1", "HC1")])
def test_lm_and_clustered_sandwich(panel: pd.DataFrame, vcov: str, kind: str) -> None:
    ours = all_labeled("y ~ x + z", panel, vcov=vcov, cluster="unit")
    assert_same(table(ours), r(COEFTEST, panel, "y ~ x + z", cluster="unit", type=kind))


@pytest.mark.parametrize(
    ("vcov", "se_type", "cluster"),
    [("HC0", "HC0", None), ("HC1", "HC1", None), ("CR0", "CR0", "unit"), ("CR1", "stata", "unit")],
)
def test_lm_robust(panel: pd.DataFrame, vcov: str, se_type: str, cluster: str | None) -> None:
    ours = all_labeled("y ~ x + I(z^2)", panel, vcov=vcov, cluster=cluster)
    assert_same(table(ours), r(ESTIMATR, panel, "y ~ x + I(z^2)", se_type, cluster=cluster))


@pytest.mark.parametrize(("se_type", "cluster"), [("HC0", None), ("HC1", None), ("CR0", "unit"), ("stata", "unit")])
@pytest.mark.parametrize(("ours", "theirs", "absorbed"), [
    ("y ~ z | x ~ llm + b", "y ~ z + x | z + llm + b", None),
    ("y ~ z + factor(year) | x ~ llm", "y ~ z + x + factor(year) | z + llm + factor(year)", None),
    ("y ~ z | unit | x ~ llm + b", "y ~ z + x | z + llm + b", "unit"),
])  # fmt: skip
def test_two_stage_least_squares(
    panel: pd.DataFrame, ours: str, theirs: str, absorbed: str | None, se_type: str, cluster: str | None
) -> None:
    """R's formula is that of AER::ivreg, whose numbers iv_robust has, without its hundred packages."""
    data = panel.assign(said=panel["llm_b"])
    vcov = {"stata": "CR1"}.get(se_type, se_type)
    found = table(all_labeled(ours, data, model="iv", prediction="said", cluster=cluster, vcov=vcov))
    expected = r(IV_ROBUST, data, theirs, se_type, cluster=cluster, absorbed=absorbed)
    names = [name.replace("(Intercept)", "Intercept") for name in expected.index]
    found.index = [name.replace("[T.", "").replace("]", "") for name in found.index]
    assert_same(found.loc[names], expected)


@pytest.mark.parametrize("cluster", [None, "unit"])
def test_glm_and_sandwich(panel: pd.DataFrame, cluster: str | None) -> None:
    ours = all_labeled("b ~ x + z", panel, model="logit", prediction="llm_b", cluster=cluster)
    theirs = r(COEFTEST, panel, "b ~ x + z", cluster=cluster, binomial=True)
    assert_same(table(ours), theirs, GLM_STOP)


@pytest.mark.parametrize(("absorbed", "effect"), [(("unit",), "individual"), (("unit", "year"), "twoways")])
@pytest.mark.parametrize("cluster", [None, "unit"])
def test_fixed_effects(panel: pd.DataFrame, absorbed: tuple[str, ...], effect: str, cluster: str | None) -> None:
    assert panel.groupby("unit").size().nunique() > 1
    ours = all_labeled(f"y ~ x + z | {' + '.join(absorbed)}", panel, model="felm", cluster=cluster)
    assert_same(table(ours), r(PLM, panel, "y ~ x + z", effect))
    assert_same(table(ours), r(DUMMIES, panel, "y ~ x + z", list(absorbed), ["x", "z"], cluster=cluster))


@pytest.mark.parametrize("cluster", [None, "unit"])
@pytest.mark.parametrize("absorbed", [(), ("unit",), ("unit", "year")])
def test_every_split_is_the_regression_of_its_pseudo_outcome(
    sampled: pd.DataFrame, absorbed: tuple[str, ...], cluster: str | None
) -> None:
    formula = "y ~ x + z" + (f" | {' + '.join(absorbed)}" if absorbed else "")
    fit = dsl.dsl(
        formula, sampled, predicted_var="y", prediction="llm", sample_prob="prob", sl_method="lm", sample_split=3,
        model="felm" if absorbed else "lm", cluster=cluster,
    )  # fmt: skip
    labeled = sampled["y"].notna().to_numpy()
    gold = np.where(labeled, sampled["y"], 0.0)
    for s in range(3):
        guess = fit.predictions[s, :, 0]
        pseudo = guess + np.where(labeled, (gold - guess) / fit.sample.sample_prob, 0.0)
        data = sampled.assign(y=pseudo)
        ours = pd.DataFrame({"b": fit.split_params.iloc[s], "se": fit.split_bse.iloc[s]})
        if absorbed:
            theirs = r(DUMMIES, data, "y ~ x + z", list(absorbed), ["x", "z"], cluster=cluster)
        else:
            theirs = r(COEFTEST, data, "y ~ x + z", cluster=cluster)
        assert_same(ours, theirs)


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("outcome", ["y", "b"])
def test_gold_only_is_the_survey_regression(sampled: pd.DataFrame, outcome: str, cluster: bool) -> None:
    binary = outcome == "b"
    fit = dsl.dsl(
        f"{outcome} ~ x + z", sampled, predicted_var=outcome, sample_prob="prob", estimator="gold_only",
        model="logit" if binary else "lm", cluster="unit" if cluster else None,
    )  # fmt: skip
    kept = sampled[sampled[outcome].notna()]
    with warnings.catch_warnings():
        theirs = r(SVYGLM, kept.assign(weight=1 / kept["prob"]), f"{outcome} ~ x + z", binomial=binary, cluster=cluster)
    units = kept["unit"].nunique() if cluster else len(kept)
    assert_same(table(fit), theirs, GLM_STOP, factor=np.sqrt((units - 1) / units))


def test_a_perturbed_truth_fails(panel: pd.DataFrame) -> None:
    """The comparison is able to fail: ten times the tolerance is seen, in either column."""
    ours = table(all_labeled("y ~ x + z", panel))
    theirs = r(COEFTEST, panel, "y ~ x + z")
    assert_same(ours, theirs)
    for column in ("b", "se"):
        moved = theirs.copy()
        moved.loc["x", column] *= 1 + 10 * CLOSED_FORM
        with pytest.raises(AssertionError):
            assert_same(ours, moved)
