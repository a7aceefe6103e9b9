"""Fully labelled data: DSL is the ordinary regression, so statsmodels must agree to rounding error."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import dsl
from dsl.engine.blocks import Block
from dsl.engine.fit import fit_split
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.sums import Problem

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-8
"""Relative, on parameters and standard errors: closed forms and converged Newton steps."""
REFINED, UNREFINED = 1e-9, 2e-3
"""Relative, where the scaled columns' condition number is 1e6, its square 1e12: estimates, standard errors."""


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """An unbalanced panel with clusters, uneven group sizes and a large mean in one column."""
    rng = np.random.default_rng(7)
    n = 1500
    unit = rng.choice(60, size=n, p=rng.dirichlet(np.ones(60)))
    unit = np.unique(unit, return_inverse=True)[1]
    year = rng.integers(0, 9, n)
    x = rng.normal(size=n) + 0.1 * unit
    z = 2000 + rng.normal(size=n)
    y = 1 + x - 0.5 * z + 0.2 * unit + 0.3 * year + rng.normal(size=n) * (1 + (x > 0))
    b = (rng.random(n) < 1 / (1 + np.exp(-x + 0.1 * (z - 2000)))).astype(float)
    frame = pd.DataFrame({"unit": unit, "year": year, "x": x, "z": z, "y": y, "b": b})
    frame["llm"] = frame["y"] + rng.normal(size=n)
    frame["llm_b"] = np.where(rng.random(n) < 0.8, b, 1 - b)
    return frame


def fitted(formula: str, data: pd.DataFrame, **given: object) -> dsl.DSLResults:
    outcome = formula.split("~")[0].strip()
    given = {"predicted_var": outcome, "prediction": "llm", "sl_method": "lm", "sample_split": 2} | given
    with pytest.warns(dsl.exceptions.AllLabeledWarning, match="ordinary regression"):
        return dsl.dsl(formula, data, **given)


def ols(
    formula: str, data: pd.DataFrame, weights: pd.Series | None = None, **kind: object
) -> tuple[pd.Series, pd.Series]:
    """statsmodels' parameters and standard errors of a formula in ``z``, from its fit on ``z - 2000``.

    On a column so far from zero statsmodels itself keeps eight digits at best, fewer with some kernels of BLAS. The
    difference is exact in floating point and the estimand is the same: every slope stays, and the intercept is the
    fitted one less 2000 slopes of ``z``.
    """
    data = data.assign(since=data["z"] - 2000)
    theirs = smf.wls(formula.replace("z", "since"), data, weights=1.0 if weights is None else weights).fit(**kind)
    names = theirs.params.index
    back = np.eye(len(names))
    back[names.get_loc("Intercept"), names.get_loc("since")] = -2000
    names = names.where(names != "since", "z")
    variance = np.diag(back @ theirs.cov_params().to_numpy() @ back.T)
    return pd.Series(back @ theirs.params.to_numpy(), names), pd.Series(np.sqrt(variance), names)


def clustered(data: pd.DataFrame, correction: bool = False) -> dict[str, object]:
    return {"cov_type": "cluster", "cov_kwds": {"groups": data["unit"], "use_correction": correction}}


def assert_same(fit: dsl.DSLResults, params: pd.Series, bse: pd.Series) -> None:
    np.testing.assert_allclose(fit.params.to_numpy(), np.asarray(params), rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse.to_numpy(), np.asarray(bse), rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("vcov", ["robust", "HC0", "HC1"])
def test_lm_is_ols(panel: pd.DataFrame, vcov: str) -> None:
    ours = fitted("y ~ x + z + C(year)", panel, vcov=vcov)
    params, bse = ols("y ~ x + z + C(year)", panel, cov_type="HC0" if vcov == "robust" else vcov)
    assert_same(ours, params[ours.params.index], bse[ours.params.index])


@pytest.mark.parametrize(("vcov", "correction"), [("robust", False), ("CR0", False), ("CR1", True)])
def test_clusters(panel: pd.DataFrame, vcov: str, correction: bool) -> None:
    ours = fitted("y ~ x + z", panel, cluster="unit", vcov=vcov)
    assert_same(ours, *ols("y ~ x + z", panel, **clustered(panel, correction)))


@pytest.mark.parametrize("cluster", [None, "unit"])
def test_logit(panel: pd.DataFrame, cluster: str | None) -> None:
    ours = fitted("b ~ x + I(z - 2000)", panel, model="logit", prediction="llm_b", cluster=cluster)
    model = smf.logit("b ~ x + I(z - 2000)", panel)
    kind = clustered(panel) if cluster else {"cov_type": "HC0"}
    theirs = model.fit(disp=0, tol=1e-14, **kind)
    assert_same(ours, theirs.params, theirs.bse)


@pytest.mark.parametrize("absorbed", [("unit",), ("unit", "year"), ("year", "unit", "third")])
@pytest.mark.parametrize("cluster", [None, "unit"])
@pytest.mark.parametrize("predicted", ["y", "x"])
def test_fixed_effects_are_dummies(
    panel: pd.DataFrame, absorbed: tuple[str, ...], cluster: str | None, predicted: str
) -> None:
    panel = panel.assign(third=np.arange(len(panel)) % 5)
    dummies = " + ".join(f"C({name})" for name in absorbed)
    kind = clustered(panel) if cluster else {"cov_type": "HC0"}
    params, bse = ols(f"y ~ x + z + {dummies}", panel, **kind)
    ours = fitted(f"y ~ x + z | {' + '.join(absorbed)}", panel, model="felm", predicted_var=predicted, cluster=cluster)
    assert list(ours.params.index) == ["x", "z"]
    assert_same(ours, params[["x", "z"]], bse[["x", "z"]])


def test_small_sample_factor_counts_absorbed_effects(panel: pd.DataFrame) -> None:
    ours = fitted("y ~ x + z | unit + year", panel, model="felm", vcov="HC1")
    params, bse = ols("y ~ x + z + C(unit) + C(year)", panel, cov_type="HC1")
    assert_same(ours, params[["x", "z"]], bse[["x", "z"]])


def test_index_argument_is_the_formulas_bar(panel: pd.DataFrame) -> None:
    bar = fitted("y ~ x | unit + year", panel, model="felm")
    index = fitted("y ~ x", panel, model="felm", index=["unit", "year"], fixed_effect="twoways")
    pd.testing.assert_series_equal(bar.params, index.params)


def test_many_levels_in_two_factors() -> None:
    """Both factors too large for a dense system: conjugate gradients, against sparse dummies."""
    from scipy.sparse import csr_matrix, hstack
    from scipy.sparse.linalg import lsqr

    from dsl.engine.absorb import DENSE_LEVELS, Absorber

    rng = np.random.default_rng(3)
    n, levels = 30_000, DENSE_LEVELS + 500
    codes = [np.unique(rng.integers(0, levels, n), return_inverse=True)[1] for _ in range(2)]
    values = rng.normal(size=(n, 2)) + codes[0][:, None]
    dummies = hstack([csr_matrix((np.ones(n), (np.arange(n), c))) for c in codes]).tocsr()
    exact = np.column_stack([dummies @ lsqr(dummies, v, atol=1e-15, btol=1e-15, iter_lim=20_000)[0] for v in values.T])
    projected = Absorber(codes).project(values)
    np.testing.assert_allclose(projected, exact, atol=SAME_ALGEBRA * np.abs(values).max())
    np.testing.assert_allclose(Absorber(codes).project(projected), projected, atol=SAME_ALGEBRA * np.abs(values).max())


def test_gold_only_is_weighted_regression(panel: pd.DataFrame) -> None:
    rng = np.random.default_rng(2)
    prob = 0.2 + 0.6 * (panel["x"] > 0)
    data = panel.assign(prob=prob, y=panel["y"].where(rng.random(len(panel)) < prob))
    ours = dsl.dsl("y ~ x + z", data, predicted_var="y", sample_prob="prob", estimator="gold_only", vcov="HC0")
    kept = data.dropna()
    assert_same(ours, *ols("y ~ x + z", kept, weights=1 / kept["prob"], cov_type="HC0"))


def test_gold_only_with_fixed_effects(panel: pd.DataFrame) -> None:
    rng = np.random.default_rng(2)
    prob = 0.5 + 0.4 * (panel["x"] > 0)
    data = panel.assign(prob=prob, y=panel["y"].where(rng.random(len(panel)) < prob))
    ours = dsl.dsl(
        "y ~ x + z | unit",
        data,
        predicted_var="y",
        sample_prob="prob",
        model="felm",
        estimator="gold_only",
        cluster="unit",
    )
    kept = data.dropna()
    params, bse = ols("y ~ x + z + C(unit)", kept, weights=1 / kept["prob"], **clustered(kept))
    assert_same(ours, params[["x", "z"]], bse[["x", "z"]])


def test_naive_is_regression_on_the_surrogate(panel: pd.DataFrame) -> None:
    data = panel.assign(y=panel["y"].where(np.arange(len(panel)) % 4 == 0))
    ours = dsl.dsl("y ~ x + z", data, predicted_var="y", prediction="llm", estimator="naive")
    assert_same(ours, *ols("llm ~ x + z", panel, cov_type="HC0"))


def test_dsl_on_the_outcome_is_regression_on_the_pseudo_outcome(panel: pd.DataFrame) -> None:
    data = panel.assign(y=panel["y"].where(np.arange(len(panel)) % 4 == 0))
    ours = dsl.dsl("y ~ x + z", data, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    data["pseudo"] = ours.pseudo_outcomes["y"]
    assert_same(ours, *ols("pseudo ~ x + z", data, cov_type="HC0"))


@pytest.mark.parametrize("cluster", [None, "unit"])
def test_summed_blocks_are_the_whole(panel: pd.DataFrame, cluster: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block rule: the engine's numbers do not depend on how rows are cut into pieces."""
    data = panel.assign(x=panel["x"].where(np.arange(len(panel)) % 3 == 0), llm=panel["x"] + 0.3)
    given = {"predicted_var": "x", "prediction": "llm", "sl_method": "lm", "sample_split": 2, "model": "logit"}
    given["cluster"] = cluster
    whole = dsl.dsl("b ~ x * C(year)", data, **given)
    pieces = dsl.engine.blocks.Block.pieces
    monkeypatch.setattr(dsl.engine.blocks.Block, "pieces", lambda block: pieces(block, 97))
    cut = dsl.dsl("b ~ x * C(year)", data, **given)
    np.testing.assert_allclose(cut.params, whole.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(cut.cov_params(), whole.cov_params(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("model", ["lm", "logit"])
@pytest.mark.parametrize("estimator", ["dsl", "gold_only", "naive"])
def test_offset(panel: pd.DataFrame, model: str, estimator: str) -> None:
    outcome = {"lm": "y", "logit": "b"}[model]
    data = panel.assign(off=0.3 * panel["x"] ** 2, same=panel[outcome])
    ours = fitted(f"{outcome} ~ x + offset(off)", data, model=model, estimator=estimator, prediction="same")
    family = {"lm": sm.families.Gaussian(), "logit": sm.families.Binomial()}[model]
    theirs = smf.glm(f"{outcome} ~ x", data, family=family, offset=data["off"]).fit(cov_type="HC0", tol=1e-14)
    assert_same(ours, theirs.params, theirs.bse)
    new = data.head(3)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new, offset=new["off"]), rtol=SAME_ALGEBRA)


def test_offset_with_fixed_effects_is_refused(panel: pd.DataFrame) -> None:
    with pytest.raises(dsl.exceptions.FormulaError, match="subtract it from the outcome"):
        fitted("y ~ x + offset(z) | unit", panel, model="felm")


def test_a_column_far_from_zero_loses_no_digits(panel: pd.DataFrame) -> None:
    """A calendar year, and the same year counted from 2000, have the same slope and standard error."""
    data = panel.assign(since=panel["z"] - 2000)
    call = {"cluster": "unit"}
    far, near = fitted("y ~ x + z", data, **call), fitted("y ~ x + since", data, **call)
    np.testing.assert_allclose(far.params[["x", "z"]], near.params[["x", "since"]], rtol=1e-11)
    np.testing.assert_allclose(far.bse[["x", "z"]], near.bse[["x", "since"]], rtol=1e-11)
    assert far.params["Intercept"] == pytest.approx(near.params["Intercept"] - 2000 * near.params["since"], rel=1e-11)
    hypothesis = far.t_test("Intercept + 2000 * z = 0")
    assert float(np.squeeze(hypothesis.sd)) == pytest.approx(near.bse["Intercept"], rel=1e-6)  # cancels in the test


def test_powers_of_the_calendar_year() -> None:
    """The cubic term is the same wherever years are counted from, though 2000^3 leaves the closed form eight digits: the
    estimate is refined. The standard error rests on the Jacobian itself, whose rounding errors nothing takes back.
    """
    rng = np.random.default_rng(4)
    year = rng.integers(1990, 2021, 800)
    since = (year - 2005) / 15
    data = pd.DataFrame({"year": year, "y": since - since**2 + 2 * since**3 + rng.normal(size=800) * (2 + since)})
    ours = fitted("y ~ year + I(year^2) + I(year^3)", data.assign(llm=data["y"]))
    near = sm.OLS(data["y"], np.column_stack([since**j for j in range(4)])).fit(cov_type="HC0")
    assert ours.params.iloc[3] * 15**3 == pytest.approx(near.params.iloc[3], rel=REFINED)
    assert ours.bse.iloc[3] * 15**3 == pytest.approx(near.bse.iloc[3], rel=UNREFINED)


def test_a_bad_start_is_given_up(panel: pd.DataFrame) -> None:
    """Far from the solution all fitted shares are 0 or 1, and Newton's method has no step; it begins again elsewhere."""
    x = np.column_stack([np.ones(len(panel)), panel["x"]])
    b, rows = panel["b"].to_numpy(), np.arange(len(panel))
    none = np.empty((len(panel), 0))
    block = Block(
        fixed=x, predicted=none, outcome=b, gold_rows=rows, gold=none, gold_outcome=b, weight=np.ones(len(panel))
    )
    problem = Problem(link=LOGISTIC, names=("Intercept", "x"))
    theirs = sm.Logit(b, x).fit(disp=0, tol=1e-14)
    for start in (None, np.array([0.1, 0.1]), np.array([1e3, 0.0]), np.array([-300.0, 900.0])):
        np.testing.assert_allclose(fit_split(block, problem, start).params, theirs.params, rtol=SAME_ALGEBRA)
