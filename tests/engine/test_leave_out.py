"""HC2, HC3, CR2, CR3 and the jackknife, against statsmodels, R's sandwich and clubSandwich, and refits without each row."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl.engine.leave_out import correctors
from dsl.exceptions import ArgumentError, FewLabelsWarning, SingularJacobianError
from tests.posts import posts, run

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:every row is labelled:dsl.exceptions.AllLabeledWarning"),
]

SAME_ALGEBRA = 1e-9
"""Relative: the same algebra in another order."""
PRINTED = 1e-8
"""Relative: R was stopped when the deviance changed by 1e-15 of itself, and printed 13 digits."""
CLUB_SANDWICH: dict[str, dict[str, list[list[float]]]] = {
    "lm": {
        "CR2": [
            [0.2283115298555, 0.2924545907272, 0.5795027467395],
            [6.712531719266, 6.583389239958, 6.543587756504],
        ],
        "CR3": [
            [0.2656574307398, 0.3400288336976, 0.6691017753066],
            [6.422705264998, 6.117091863465, 5.952435500717],
        ],
        "HC2": [
            [0.1979951819907, 0.2556811641782, 0.3389651162453],
            [17.95755001964, 20.62982218687, 25.27936747822],
        ],
    },
    "logit": {
        "CR3": [
            [0.5915850622826, 0.6074354403889, 1.2367547014778],
            [6.422642017630, 6.117210734824, 5.952542903389],
        ],
        "HC2": [
            [0.4609031836014, 0.4566297419636, 0.6992167026018],
            [17.95808739828, 20.63152183710, 25.27955560001],
        ],
    },
    "poisson": {
        "CR3": [
            [0.2971296820606, 0.2977042486852, 0.6499361060611],
            [6.238566618949, 5.628726680293, 4.684750869628],
        ],
        "HC2": [
            [0.2093519247859, 0.2153580139236, 0.3090855901531],
            [20.19849333766, 19.96336648517, 20.47208388526],
        ],
    },
}
"""Standard errors and degrees of freedom of `coef_test(..., test = "Satterthwaite")` in clubSandwich 0.5.8, R 4.2.2."""
SANDWICH_HC3 = {
    "logit": [0.4787855643536, 0.4802950310593, 0.7316947539316],
    "poisson": [0.2174313721014, 0.2284483826721, 0.3273851046499],
}
"""`sandwich::vcovHC(glm, "HC3")`, sandwich 3.0.2."""


@pytest.fixture(scope="module")
def labeled() -> pd.DataFrame:
    """40 rows, all labelled, in 11 clusters of 1 to 7."""
    i = np.arange(40.0)
    x, z = np.sin(1.7 * i) + 0.02 * i, (i % 3 == 0) * 1.0
    y = (1.0 + 0.5 * x - 0.3 * z + np.cos(2.3 * i) * (1.0 + 0.5 * np.abs(x))).round(3)
    return pd.DataFrame(
        {
            "x": x.round(3),
            "z": z,
            "y": y,
            "b": (y > 0.9) * 1.0,
            "c": np.floor(np.maximum(y, 0.0) * 2.0),
            "llm": np.cos(3.0 * i),
            "cl": np.sqrt(3.0 * i).astype(int),
        }
    )


OUTCOMES = {"lm": "y", "logit": "b", "poisson": "c"}


def fitted(data: pd.DataFrame, model: str = "lm", **arguments: Any) -> Any:
    y = OUTCOMES[model]
    return run(data, f"{y} ~ x + z", model=model, predicted_var=y, use_t=True, **arguments)


@pytest.mark.parametrize("estimator", ["dsl", "gold_only"])
@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
def test_statsmodels_where_every_row_is_labelled(labeled: pd.DataFrame, vcov: str, estimator: str) -> None:
    ours = fitted(labeled, vcov=vcov, estimator=estimator)
    theirs = smf.ols("y ~ x + z", labeled).fit(cov_type=vcov)
    np.testing.assert_allclose(ours.cov_params(), theirs.cov_params(), rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("estimator", ["dsl", "gold_only"])
@pytest.mark.parametrize(("model", "vcov"), [(m, v) for m, each in CLUB_SANDWICH.items() for v in each])
def test_club_sandwich_where_every_row_is_labelled(
    labeled: pd.DataFrame, model: str, vcov: str, estimator: str
) -> None:
    cluster = "cl" if vcov.startswith("CR") else None
    ours = fitted(labeled, model, vcov=vcov, estimator=estimator, cluster=cluster, cross_fit=2)
    np.testing.assert_allclose([ours.bse, ours.df], CLUB_SANDWICH[model][vcov], rtol=PRINTED)


@pytest.mark.parametrize("model", SANDWICH_HC3)
def test_sandwich_of_generalised_linear_models(labeled: pd.DataFrame, model: str) -> None:
    np.testing.assert_allclose(fitted(labeled, model, vcov="HC3").bse, SANDWICH_HC3[model], rtol=PRINTED)


def without_each(x: np.ndarray, y: np.ndarray, w: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Weighted least squares without each unit, (G, k)."""
    out = []
    for code in np.unique(unit):
        kept = unit != code
        xw = x[kept] * w[kept, None]
        out.append(np.linalg.solve(xw.T @ x[kept], xw.T @ y[kept]))
    return np.array(out)


@pytest.mark.parametrize("cluster", [None, "cl"])
def test_the_jackknife_of_labels_alone_is_that_of_refits(cluster: str | None) -> None:
    data = posts()
    fit = run(data, "y ~ x + z", estimator="gold_only", sample_prob="pi", cluster=cluster, vcov="jackknife")
    rows = data[data["lab"] == 1]
    x = np.column_stack([np.ones(len(rows)), rows["x"], rows["z"]])
    unit = np.arange(len(rows)) if cluster is None else rows["cl"].to_numpy()
    each = without_each(x, rows["y"].to_numpy(), 1.0 / rows["pi"].to_numpy(), unit)
    gap, g = each - each.mean(axis=0), len(each)
    np.testing.assert_allclose(fit.cov_params(), (g - 1) / g * gap.T @ gap, rtol=SAME_ALGEBRA)
    # HC3 is the same around the estimate of all
    fit = run(
        data, "y ~ x + z", estimator="gold_only", sample_prob="pi", cluster=cluster, vcov="CR3" if cluster else "HC3"
    )
    gap = each - fit.params.to_numpy()
    np.testing.assert_allclose(fit.cov_params(), gap.T @ gap, rtol=SAME_ALGEBRA)


def pseudo_values(data: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Columns, weights w, gold and predicted outcomes of a linear model with the raw surrogates."""
    x = np.column_stack([np.ones(len(data)), data["x"], data["z"]])
    w = (data["lab"] / data["lab"].mean()).to_numpy()
    return x, w, data["y"].fillna(0.0).to_numpy(), data["llm"].to_numpy(dtype=float)


def chosen(x: np.ndarray, w: np.ndarray, y: np.ndarray, hat: np.ndarray, pilot: np.ndarray) -> np.ndarray:
    """The estimate whose lambdas are best for each coefficient, from its formulas, at the scores of a pilot."""
    bread = np.linalg.inv(x.T @ x)
    gold = x * (w * (y - x @ pilot))[:, None]
    added = x * ((1.0 - w) * (hat - x @ pilot))[:, None]
    a, b = gold @ bread, added @ bread
    lam = -(a * b).sum(axis=0) / (b**2).sum(axis=0)
    return np.asarray(pilot + a.sum(axis=0) + lam * b.sum(axis=0))


def test_the_jackknife_chooses_lambda_without_each_label() -> None:
    """Against the whole estimate from its formulas, with a row less. At the pilot of all rows, where scores are taken."""
    data = posts()
    fit = run(data, "y ~ x + z", estimator="cdi", tune="coef", vcov="jackknife")
    x, w, y, hat = pseudo_values(data)
    pilot = np.linalg.lstsq(x, (1.0 - w) * hat + w * y, rcond=None)[0]
    np.testing.assert_allclose(fit.params, chosen(x, w, y, hat, pilot), rtol=SAME_ALGEBRA)
    lam, k = fit.tuning["lambda"].to_numpy(), 3
    units = []
    for i in np.flatnonzero(data["lab"]):
        kept = np.arange(len(data)) != i
        # each coefficient's row of the inverse, with the row's Jacobian at this coefficient's lambda
        own = [w[i] + (1.0 - w[i]) * each for each in lam]
        left = np.stack([np.linalg.inv(x.T @ x - each * np.outer(x[i], x[i]))[c] for c, each in enumerate(own)])
        gold = x[kept] * (w[kept] * (y[kept] - x[kept] @ pilot))[:, None]
        added = x[kept] * ((1.0 - w[kept]) * (hat[kept] - x[kept] @ pilot))[:, None]
        a, b = gold @ left.T, added @ left.T
        again = -(a * b).sum(axis=0) / (b**2).sum(axis=0)
        units.append(pilot + a.sum(axis=0) + again * b.sum(axis=0))
    labeled = np.array(units)
    hc3 = run(data, "y ~ x + z", estimator="cdi", tune="coef", vcov="HC3").cov_params().to_numpy()
    g = len(data)
    gap = labeled - fit.params.to_numpy()
    # rows without a label have the same scores in HC3: what is left of it is their part
    shifts = left_out_influences(data, lam, pilot)
    rest = shifts[data["lab"] == 0]
    np.testing.assert_allclose(hc3, shifts.T @ shifts, rtol=SAME_ALGEBRA)
    every = np.vstack([-gap, rest])
    centred = every - every.mean(axis=0)
    assert every.shape == (g, k)
    np.testing.assert_allclose(fit.cov_params(), (g - 1) / g * centred.T @ centred, rtol=SAME_ALGEBRA)


def left_out_influences(data: pd.DataFrame, lam: np.ndarray, pilot: np.ndarray) -> np.ndarray:
    """Influences of all rows with each left out of the Jacobian (HC3) and of Lambda (PRESS), (N, k)."""
    x, w, y, hat = pseudo_values(data)
    whole = x.T @ x
    bread = np.linalg.inv(whole)
    out = np.empty((len(data), 3))
    a = x * (w * (y - x @ pilot))[:, None] @ bread
    b = x * ((1.0 - w) * (hat - x @ pilot))[:, None] @ bread
    for i in range(len(data)):
        kept = np.arange(len(data)) != i
        again = -(a[kept] * b[kept]).sum(axis=0) / (b[kept] ** 2).sum(axis=0)
        for c, each in enumerate(lam):
            # all at this coefficient's lambda, which its origin and those of others then do not change
            jacobian = (w[i] + (1.0 - w[i]) * each) * np.outer(x[i], x[i])
            corrected = np.linalg.solve(whole - jacobian, whole @ (a[i] + each * b[i]))[c]
            out[i, c] = corrected * (a[i, c] + again[c] * b[i, c]) / (a[i, c] + each * b[i, c])
    return out


def test_hc3_of_a_predicted_covariate_leaves_out_the_row_in_both_versions() -> None:
    """One Newton step is all of it in a linear model: refits of the design-adjusted sums without each row."""
    data = posts()
    fit = run(data, "x ~ y + z", sample_prob="pi", vcov="HC3")
    hat = np.asarray(fit.predictions[0])[:, 0]
    one, zero = np.ones(len(data)), data["y"].fillna(0.0).to_numpy()
    gold, predicted = (np.column_stack([one, d, data["z"]]) for d in (zero, hat))
    w = (data["lab"] / fit.sample.sample_prob).to_numpy()
    x = data["x"].to_numpy()
    grams = [
        np.einsum("n,ni,nj->nij", 1.0 - w, predicted, predicted) + np.einsum("n,ni,nj->nij", w, gold, gold),
        (1.0 - w)[:, None] * predicted * x[:, None] + w[:, None] * gold * x[:, None],
    ]
    total = [part.sum(axis=0) for part in grams]
    gap = (
        np.array([np.linalg.solve(total[0] - a, total[1] - b) for a, b in zip(*grams, strict=True)])
        - fit.params.to_numpy()
    )
    np.testing.assert_allclose(fit.cov_params(), gap.T @ gap, rtol=1e-7)


@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
def test_origins_of_columns_do_not_count(vcov: str) -> None:
    """Nor in degrees of freedom: a column far from zero is centred inside."""
    data = posts()
    near, far = (run(data, f"y ~ I(x + {by})", model="logit", vcov=vcov, use_t=True) for by in (0, 2000))
    np.testing.assert_allclose(far.bse.iloc[1], near.bse.iloc[1], rtol=1e-7)
    np.testing.assert_allclose(far.df.iloc[1], near.df.iloc[1], rtol=1e-6)


@pytest.mark.parametrize("vcov", ["HC2", "HC3", "jackknife"])
def test_classes_and_equations(vcov: str) -> None:
    """Two classes are a logit. Equations of a category side by side are those of its 0/1 variables."""
    rng, data = np.random.default_rng(5), posts()
    data["t"] = np.where(data["lab"] == 1, np.where(data["y"] == 1.0, "yes", "no"), None)
    data["tl"] = np.where(rng.random(len(data)) < 0.2, "no", "yes")
    pair = {"predicted_var": "t", "prediction": "tl"}
    one = run(data, "t ~ x", model="multinom", vcov=vcov, **pair)
    other = run(data, 'I(t == "yes") ~ x', model="logit", vcov=vcov, **pair)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-7)
    data["u"] = np.where(data["lab"] == 1, rng.choice(["a", "b", "c"], len(data)), None)
    data["ul"] = rng.choice(["a", "b", "c"], len(data))
    pair = {"predicted_var": "u", "prediction": "ul"}
    for tune in (None, "coef") if vcov != "HC2" else (None,):
        several = run(data, "u ~ x", vcov=vcov, tune=tune, **pair)
        single = run(data, 'I(u == "b") ~ x', vcov=vcov, tune=tune, **pair)
        np.testing.assert_allclose(several.bse.iloc[2:4], single.bse, rtol=1e-7)
        np.testing.assert_allclose(several.df.iloc[2:4], single.df, rtol=1e-7)


def test_unequal_and_instruments_and_weights() -> None:
    """Corrections vanish with the leverage, and only enlarge here."""
    data = posts().assign(weight=np.linspace(0.5, 2.0, 200))
    data["e"] = data["x"] + np.sin(np.arange(200))
    for more in (
        {"weights": "weight"},
        {"model": "iv", "formula": "y ~ z | e ~ x"},
        {"tune": 0.5},
        {"estimator": "naive"},
    ):
        formula = more.get("formula", "y ~ x + z")
        rest = {name: value for name, value in more.items() if name != "formula"}
        plain, two, three = (run(data, formula, vcov=vcov, use_t=True, **rest) for vcov in ("HC0", "HC2", "HC3"))
        assert (two.bse > plain.bse).all()
        assert (three.bse > two.bse).all()
        np.testing.assert_allclose(two.bse**2, plain.bse * three.bse, rtol=2e-3)
        assert ((two.df > 20.0) & (two.df < 200.0)).all()


def test_degrees_of_freedom_are_those_of_labels_where_these_make_the_variance() -> None:
    """Of a mean of n labels n - 1, whatever the number of other rows."""
    data = posts()
    fit = run(data, "y ~ 1", estimator="gold_only", vcov="HC2", use_t=True)
    assert fit.df.iloc[0] == pytest.approx(data["lab"].sum() - 1.0, rel=SAME_ALGEBRA)
    table = fit.tidy()
    assert table["df"].iloc[0] == fit.df.iloc[0]
    assert fit.t_test("Intercept = 0").df_denom == pytest.approx(fit.df.iloc[0])


def test_a_combination_has_the_fewest_degrees_of_freedom_in_it() -> None:
    fit = run(posts(), "y ~ x + z", vcov="HC2", use_t=True)
    assert fit.t_test("x - z = 0").df_denom == pytest.approx(fit.df[["x", "z"]].min())


def test_a_row_that_alone_determines_a_coefficient(labeled: pd.DataFrame) -> None:
    data = labeled.assign(only=(np.arange(40) == 17) * 1.0)
    with pytest.raises(SingularJacobianError, match=r"without 1 of them \(first: row 18 of those analysed\)"):
        run(data, "y ~ x + only", vcov="HC3")
    # as in Bell and McCaffrey: the direction that the row determines is left out
    fit = run(data, "y ~ x + only", vcov="HC2")
    rest = smf.ols("y ~ x", data[data["only"] == 0.0]).fit(cov_type="HC2")
    np.testing.assert_allclose(fit.bse[["Intercept", "x"]], rest.bse, rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vcov": "HC3", "target": "finite"}, ["'HC3'", "finite"]),
        ({"vcov": "jackknife", "estimator": "ppi++"}, ["two samples", "cdi"]),
        ({"vcov": "HC2", "tune": "coef"}, ["'HC3'", "jackknife"]),
        ({"vcov": "CR2", "estimator": "dsl+", "cluster": "cl"}, ["'CR3'", "dsl+"]),
        ({"vcov": "PRESS"}, ["nothing is chosen", "HC3"]),
        ({"vcov": "design+HC3"}, ["nothing is chosen", "'design'"]),
        ({"vcov": "HC3", "cluster": "cl"}, ["'CR3'", "cluster='cl'"]),
        ({"vcov": "CR3"}, ["needs clusters", "'HC3'"]),
        ({"vcov": "HC3", "model": "felm", "formula": "y ~ x | g"}, ["factor(unit)", "'HC1'"]),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ArgumentError) as raised:
        run(posts(), **{"formula": "y ~ x", **arguments})
    for word in words:
        assert word in str(raised.value)


def test_the_covariance_is_told_and_kept() -> None:
    data = posts()
    fit = run(data, "y ~ x + z", cluster="cl", vcov="CR2", use_t=True)
    assert "clustered (CR2)" in str(fit.summary())
    assert dsl.table({"a": fit}).frame().loc["Std. errors"].tolist() == ["CR2"]
    found = fit.compare(estimators=["gold_only", "dsl+", "naive"])
    assert {name: each.call.vcov for name, each in found.fits.items()} == {
        "dsl": "CR2",
        "gold_only": "CR2",
        "dsl+": "CR3",
        "naive": "CR2",
    }
    np.testing.assert_array_equal(dsl.power_dsl(fit).predicted_se.iloc[0], fit.bse)


def test_roots_are_roots() -> None:
    """(I - H)^-1/2 twice is (I - H)^-1, of units of several rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 5, 3))
    jacobians = np.einsum("gni,gnj->gij", x, x)
    total = jacobians.sum(axis=0)
    half, bad = correctors(jacobians, total, root=True)
    whole, _ = correctors(jacobians, total, root=False)
    assert not bad.any()
    np.testing.assert_allclose(half @ half, whole, rtol=SAME_ALGEBRA)
    with pytest.raises(SingularJacobianError, match="CR2"):
        correctors(jacobians, total + np.triu(np.ones((3, 3)), 1), root=True)


@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
@pytest.mark.parametrize("cluster", [None, "cl"])
def test_the_default_of_a_chosen_lambda_is_hc3_given_the_draw(tune: str, cluster: str | None) -> None:
    """Wider than the variance given the draw alone, by about as much as HC3 is than HC0, and for absorbed effects too."""
    data = posts()
    default, given, plain, left = (
        run(data, "y ~ x + z", tune=tune, vcov=vcov, cluster=cluster)
        for vcov in (None, "design", "robust", "CR3" if cluster else "HC3")
    )
    assert default.call.vcov == "design+HC3"
    np.testing.assert_array_equal(default.params, given.params)
    np.testing.assert_allclose(default.bse / given.bse, left.bse / plain.bse, rtol=0.05)
    assert (default.bse > given.bse).all()
    np.testing.assert_allclose(default.tuning["se"], given.bse, rtol=SAME_ALGEBRA)
    absorbed = run(data, "y ~ x | cl", model="felm", tune=tune)
    assert (absorbed.bse >= run(data, "y ~ x | cl", model="felm", tune=tune, vcov="design").bse).all()


def test_the_default_is_there_where_a_label_determines_a_coefficient() -> None:
    data = posts()
    rows = np.flatnonzero(data["lab"])
    data["rare"] = (np.arange(200) == rows[7]) * 1.0
    with pytest.warns(FewLabelsWarning, match="'rare'"):
        fit = run(data, "y ~ x + rare", tune="coef", estimator="dsl")
    assert np.isfinite(fit.bse).all()


@pytest.mark.parametrize("cluster", [None, "cluster"])
def test_a_lambda_of_its_own_is_the_lambda_where_there_is_one_coefficient(cluster: str | None) -> None:
    """Given the draw and corrected for leverage, ``"coef"``, ``"scalar"`` and ``"matrix"`` are one choice for a mean."""
    rng = np.random.default_rng(8)
    truth = rng.normal(size=300)
    data = pd.DataFrame({"s": truth + rng.normal(size=300), "cluster": np.arange(300) // 3})
    data["y"] = np.where(np.isin(np.arange(300), rng.choice(300, 40, replace=False)), truth, np.nan)
    call = {"predicted_var": "y", "prediction": "s", "sl_method": "lm", "sample_split": 1, "cluster": cluster}
    found = [dsl.dsl("y ~ 1", data, tune=tune, **call) for tune in ("coef", "scalar", "matrix")]
    assert {fit.call.vcov for fit in found} == {"design+HC3"}
    np.testing.assert_allclose([fit.bse["Intercept"] for fit in found], found[0].bse["Intercept"], rtol=1e-10)
