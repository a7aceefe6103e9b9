"""Marginal effects against statsmodels, where a variable is a column, and against derivatives of predictions elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl.exceptions import ArgumentError, DataError
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

EXACT = 1e-8
"""Both solve to the root, and differences have ten digits."""
N = 501


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """Every row is labelled, so that estimates and covariance are those of statsmodels."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=N), rng.exponential(size=N)
    d, g = (rng.random(N) < 0.4) * 1.0, rng.choice(["a", "b"], N, p=[0.6, 0.4])
    eta = 0.3 + 0.8 * x - 0.5 * z + 0.7 * d - 0.4 * (g == "b")
    k = rng.poisson(2.0, N)
    y = (rng.random(N) < 1 / (1 + np.exp(-eta))) * 1.0
    count = rng.poisson(np.exp(0.4 * eta))
    return pd.DataFrame({"x": x, "z": z, "d": d, "g": g, "k": k, "y": y, "count": count, "w": rng.integers(1, 40, N)})


def labelled(truth: pd.DataFrame, formula: str, **arguments: Any) -> dsl.DSLResults:
    name = formula.split(" ~")[0]
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        return run(truth.assign(llm=truth[name]), formula, predicted_var=name, **arguments)


@pytest.fixture(scope="module")
def pair(truth: pd.DataFrame) -> dict[str, tuple[dsl.DSLResults, Any]]:
    out = {}
    for model, name in (("logit", "y"), ("poisson", "count")):
        formula = f"{name} ~ x + z + d + g + k"
        theirs = getattr(smf, model)(formula, truth).fit(
            disp=0, method="newton", tol=1e-14, maxiter=100, cov_type="HC0"
        )
        out[model] = labelled(truth, formula, model=model), theirs
    return out


@pytest.mark.parametrize("model", ["logit", "poisson"])
@pytest.mark.parametrize("at", ["overall", "mean", "median", "zero"])
@pytest.mark.parametrize("method", ["dydx", "eydx", "dyex", "eyex"])
def test_derivatives_are_those_of_statsmodels(
    pair: dict[str, tuple[dsl.DSLResults, Any]], model: str, at: str, method: str
) -> None:
    fit, other = pair[model]
    found = fit.get_margeff(at, method, dummy=False, variables=["x", "z", "d", "k"]).summary_frame(0.1)
    with np.errstate(invalid="ignore"):  # elasticities at zero have standard errors of zero
        expected = other.get_margeff(at, method).summary_frame(0.1)
    assert list(found) == list(expected)
    np.testing.assert_allclose(found, expected.loc[found.index], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("model", ["logit", "poisson"])
@pytest.mark.parametrize("at", ["overall", "mean"])
@pytest.mark.parametrize("method", ["dydx", "eydx"])
def test_changes_are_those_of_statsmodels(
    pair: dict[str, tuple[dsl.DSLResults, Any]], model: str, at: str, method: str
) -> None:
    fit, other = pair[model]
    found = fit.get_margeff(at, method)
    expected = other.get_margeff(at, method, dummy=True).summary_frame().loc[list(found.terms)]
    np.testing.assert_allclose(found.summary_frame(), expected, rtol=EXACT, atol=EXACT)
    assert found.terms == ("x", "z", "d", "g[T.b]", "k")
    np.testing.assert_allclose(found.margeff_se, expected["Std. Err."], rtol=EXACT)
    np.testing.assert_allclose(found.conf_int(), expected.iloc[:, 4:], rtol=EXACT, atol=EXACT)
    np.testing.assert_allclose(found.pvalues, expected.iloc[:, 3], atol=EXACT)


def test_counts_are_those_of_statsmodels(pair: dict[str, tuple[dsl.DSLResults, Any]]) -> None:
    fit, other = pair["logit"]
    found = fit.get_margeff(dummy=True, count=True)
    expected = other.get_margeff(dummy=True, count=True).summary_frame().loc[list(found.terms)]
    np.testing.assert_allclose(found.summary_frame(), expected, rtol=EXACT, atol=EXACT)


def test_effects_on_each_row(pair: dict[str, tuple[dsl.DSLResults, Any]]) -> None:
    fit, other = pair["logit"]
    found = fit.get_margeff("all", dummy=True, variables=["x", "d"])
    expected = other.get_margeff("all", dummy=True).margeff
    names = [name for name in other.model.exog_names if name != "Intercept"]
    np.testing.assert_allclose(found.margeff, expected[:, [names.index("x"), names.index("d")]], atol=EXACT)
    for call in (lambda: found.margeff_se, found.conf_int, found.summary, found.tidy, lambda: found.pvalues):
        with pytest.raises(ArgumentError, match="effect for each row and no standard errors"):
            call()


def test_given_values_are_those_of_statsmodels(pair: dict[str, tuple[dsl.DSLResults, Any]]) -> None:
    fit, other = pair["logit"]
    place = other.model.exog_names.index("z")
    expected = other.get_margeff("overall", atexog={place: 2.0}, dummy=True).summary_frame()
    found = fit.get_margeff(atexog={"z": 2.0}).summary_frame()
    np.testing.assert_allclose(found, expected.loc[found.index], rtol=EXACT, atol=EXACT)


FORMULA = "y ~ x * g + log(w) + poly(z, 2) + x:z + factor(k4) + offset(0.1 * x)"


@pytest.mark.long
def test_variables_change_in_all_their_columns(truth: pd.DataFrame) -> None:
    """Derivatives of average predictions, and their derivatives in the parameters, by differences."""
    data = truth.assign(k4=np.minimum(truth["k"], 3), g=truth["g"].where(truth["x"] < 1.0, "c"))
    fit = labelled(data, FORMULA, model="logit")
    found = fit.get_margeff()
    assert found.terms == ("x", "g[T.b]", "g[T.c]", "w", "z", "k4[T.1]", "k4[T.2]", "k4[T.3]")
    core = fit.core

    def effects(params: np.ndarray) -> np.ndarray:
        def mean(**given: Any) -> float:
            return float(core.predictor(params, data.assign(**given), "mean").mean())

        h = 1e-3
        slope = {}
        for name in ("x", "w", "z"):
            near, far = (mean(**{name: data[name] + t * h}) - mean(**{name: data[name] - t * h}) for t in (1, 2))
            slope[name] = (8.0 * near - far) / (12.0 * h)
        levels = [mean(g=level) - mean(g="a") for level in "bc"]
        years = [mean(k4=level) - mean(k4=0) for level in (1, 2, 3)]
        return np.array([slope["x"], *levels, slope["w"], slope["z"], *years])

    np.testing.assert_allclose(found.margeff, effects(core.params), atol=1e-10)
    h = 1e-4
    gradient = np.column_stack(
        [(effects(core.params + unit) - effects(core.params - unit)) / (2 * h) for unit in h * np.eye(len(core.params))]
    )
    np.testing.assert_allclose(found.margeff_cov, gradient @ core.vcov @ gradient.T, rtol=1e-5, atol=1e-9)


def test_means_mix_categories_by_their_shares(truth: pd.DataFrame) -> None:
    data = truth.assign(h=np.where(truth["w"] > 15, "u", "v"))
    fit = labelled(data, "y ~ x + g * h + x:g", model="logit")
    b = (data["g"] == "b").mean()
    v = (data["h"] == "v").mean()
    p = fit.params
    eta = p["Intercept"] + data["x"].mean() * (p["x"] + b * p["x:g[T.b]"]) + b * p["g[T.b]"] + v * p["h[T.v]"]
    mean = 1.0 / (1.0 + np.exp(-(eta + b * v * p["g[T.b]:h[T.v]"])))
    expected = mean * (1.0 - mean) * (p["x"] + b * p["x:g[T.b]"])
    assert fit.get_margeff("mean").margeff[0] == pytest.approx(expected, rel=1e-9)
    # one row, whose coefficients are those of the means
    at_b = fit.get_margeff("mean", atexog={"g": "b", "h": "u", "x": 0.5})
    one = 1.0 / (1.0 + np.exp(-(p["Intercept"] + 0.5 * (p["x"] + p["x:g[T.b]"]) + p["g[T.b]"])))
    assert at_b.margeff[0] == pytest.approx(one * (1.0 - one) * (p["x"] + p["x:g[T.b]"]), rel=1e-9)


def test_linear_effects_are_the_coefficients() -> None:
    fit = run(posts(), "y ~ x + z + words", tune="coef")
    found = fit.get_margeff(dummy=False)
    np.testing.assert_allclose(found.margeff, fit.params.iloc[1:], rtol=1e-12)
    np.testing.assert_allclose(found.margeff_cov, fit.cov_params().iloc[1:, 1:], rtol=1e-10)
    table = found.tidy(0.1)
    expected = fit.tidy(alpha=0.1).iloc[1:].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[list(expected)], expected, rtol=1e-9)
    assert "t" in found.summary_frame()


def test_predictions_are_as_many_as_rows_are_handled_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = run(posts(), "y ~ x * g", model="logit")
    whole = fit.get_margeff()
    monkeypatch.setattr("dsl.reports.margins.points.CHUNK", 199)
    parts = fit.get_margeff()
    np.testing.assert_allclose(parts.margeff, whole.margeff, rtol=1e-12)
    np.testing.assert_allclose(parts.margeff_cov, whole.margeff_cov, rtol=1e-10)
    assert fit.get_margeff("all").margeff.shape == (200, 3)


def test_absorbed_effects_leave_differences_of_linear_means() -> None:
    data = dsl.datasets.simulate_panel(seed=3)
    fit = dsl.dsl(data=data, sample_split=1, sl_method="lm", **data.attrs["call"])
    known = [name for name in fit.params.index if name not in fit.call.predicted_var]
    np.testing.assert_allclose(fit.get_margeff(variables=known).margeff, fit.params[known], rtol=1e-9)
    with pytest.raises(ArgumentError, match="model='felm' keeps no fixed effects"):
        fit.get_margeff(method="eydx")


def test_categories_of_the_outcome() -> None:
    data = posts()
    data["topic"] = data["g"].where(data["lab"] == 1)
    fit = run(data, "topic ~ x + words", predicted_var="topic", prediction="llm", model="logit", sample_split=2)
    found = fit.get_margeff()
    assert (found.margeff.shape, found.conf_int().shape, found.margeff_se.shape) == ((2, 3), (2, 2, 3), (2, 3))
    p = fit.predict()
    slope = fit.params[[f"topic[{level}]:words" for level in "abc"]].to_numpy()
    expected = (p * (1.0 - p)).mean().to_numpy() * slope
    np.testing.assert_allclose(found.margeff[1], expected, rtol=1e-9)
    frame = found.summary_frame()
    assert list(frame.index) == [(level, name) for level in "abc" for name in ("x", "words")]
    np.testing.assert_allclose(frame["dy/dx"], found.tidy()["estimate"])
    assert found.tidy()["term"].iloc[2] == "topic[b]:x"
    np.testing.assert_allclose(frame.loc[("c", "words"), "Std. Err."], found.margeff_se[1, 2])
    assert "topic[c]:words" in str(found)


def test_classes_are_those_of_statsmodels(truth: pd.DataFrame) -> None:
    data = truth.assign(c=pd.cut(truth["x"] + truth["z"], [-9, 0.5, 1.5, 99], labels=["a", "b", "c"]).astype(str))
    fit = labelled(data, "c ~ w + d + k", model="multinom")
    codes = data.assign(c=data["c"].map({"a": 0, "b": 1, "c": 2}))
    other = smf.mnlogit("c ~ w + d + k", codes).fit(disp=0, method="newton", tol=1e-14, maxiter=100, cov_type="HC0")
    found, expected = fit.get_margeff(dummy=False), other.get_margeff()
    assert found.outcomes == ("a", "b", "c")
    np.testing.assert_allclose(found.margeff, expected.margeff, atol=EXACT)
    np.testing.assert_allclose(found.margeff_se, expected.margeff_se, rtol=1e-7)


def test_overdispersed_counts_are_those_of_statsmodels(truth: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    data = truth.assign(n=rng.poisson(np.exp(0.3 + 0.4 * truth["x"]) * rng.gamma(1.5, 1 / 1.5, N)))
    fit = labelled(data, "n ~ x + d", model="negbin")
    other = smf.negativebinomial("n ~ x + d", data).fit(disp=0, method="newton", tol=1e-14, maxiter=200)
    found, expected = fit.get_margeff(), other.get_margeff(dummy=True)
    np.testing.assert_allclose(found.margeff, expected.margeff, rtol=1e-6)
    # theirs is the inverse Hessian: ours goes into the delta method by hand
    mean, b = fit.predict().to_numpy(), fit.params
    x = np.column_stack([np.ones(N), data["x"], data["d"], np.zeros(N)])
    gradient = b["x"] * (mean @ x) / N + np.array([0.0, mean.mean(), 0.0, 0.0])
    assert found.margeff_se[0] ** 2 == pytest.approx(gradient @ fit.core.vcov @ gradient, rel=EXACT)


def test_thresholds_do_not_rise_with_a_variable(truth: pd.DataFrame) -> None:
    """Ordered classes: effects and their derivatives in slopes and thresholds, by differences of predictions."""
    cut = pd.cut(truth["x"] + truth["z"], [-9, 0.5, 1.5, 99], labels=["a", "b", "c"])
    data = truth.assign(c=pd.Categorical(cut, ordered=True))
    fit = labelled(data, "c ~ log(w) + g", model="ologit")
    core, h = fit.core, 1e-4

    def effects(params: np.ndarray) -> np.ndarray:
        def mean(**given: Any) -> np.ndarray:
            return core.predictor(params, data.assign(**given), "mean").mean().to_numpy()

        slope = (mean(w=data["w"] + h) - mean(w=data["w"] - h)) / (2.0 * h)
        return np.stack([slope, mean(g="b") - mean(g="a")], axis=1).ravel()

    found = fit.get_margeff()
    np.testing.assert_allclose(found.margeff.T.ravel(), effects(core.params), atol=1e-9)
    gradient = np.column_stack(
        [(effects(core.params + unit) - effects(core.params - unit)) / (2 * h) for unit in h * np.eye(len(core.params))]
    )
    np.testing.assert_allclose(found.margeff_cov, gradient @ core.vcov @ gradient.T, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(found.margeff.sum(axis=1), 0.0, atol=1e-12)


def test_a_predicted_covariate_is_averaged_over_labelled_rows() -> None:
    """Of x * d in a linear model, x has the effect b1 + b3 mean(d), whose mean is that of a sample."""
    data = posts().rename(columns={"y": "d"})
    fit = run(data, "x ~ words * d", predicted_var="d", sample_prob="pi", estimator="gold_only")
    found = fit.get_margeff(variables="words")
    shown = data["lab"] == 1
    w = 1.0 / data.loc[shown, "pi"].to_numpy()
    d = data.loc[shown, "d"].to_numpy()
    mean = (w * d).sum() / w.sum()
    assert found.rows == "80 labelled rows, weighted"
    b = fit.params
    assert found.margeff[0] == pytest.approx(b["words"] + mean * b["words:d"], rel=1e-9)
    core = fit.core
    prob = core.sample.sample_prob[core.sample.labeled]
    g = np.array([0.0, 1.0, 0.0, mean])
    s = (1.0 - prob) ** 0.5 * w / w.sum() * (d - mean) * b["words:d"]
    c = (1.0 - prob) ** 0.5 * (core.contributions() @ g)
    variance = g @ core.vcov @ g + s @ s + 2.0 * s @ c
    assert found.margeff_se[0] ** 2 == pytest.approx(variance, rel=1e-8)
    for estimator in ("dsl", "dsl+", "naive", "ppi"):
        other = run(data, "x ~ words * d", predicted_var="d", estimator=estimator)
        assert (other.get_margeff().margeff_se > 0.0).all()


@pytest.mark.parametrize("predicted", ["y", "d"])
@pytest.mark.parametrize("at", ["overall", "mean", "median"])
def test_a_row_that_counts_twice_is_two_rows(truth: pd.DataFrame, at: str, predicted: str) -> None:
    """Given weights of one and two, and the same estimates, averages are those of rows that are there twice."""
    data = truth.assign(twice=1.0 + (truth["k"] > 2), llm=truth[predicted])
    rows = data.index.repeat(data["twice"].astype(int))
    call = {"model": "logit", "predicted_var": predicted, "estimator": "gold_only"}
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        once = run(data, "y ~ x * d + g", weights="twice", **call)
    with pytest.warns(dsl.exceptions.AllLabeledWarning):
        twice = run(data.loc[rows].reset_index(drop=True), "y ~ x * d + g", **call)
    np.testing.assert_allclose(once.params, twice.params, rtol=EXACT)
    np.testing.assert_allclose(once.get_margeff(at).margeff, twice.get_margeff(at).margeff, rtol=EXACT)


def test_results_from_a_file_need_the_data(tmp_path: Path) -> None:
    data = posts()
    fit = run(data, "y ~ x", model="logit")
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl")
    with pytest.raises(ArgumentError, match="not at hand"):
        again.get_margeff()
    np.testing.assert_array_equal(again.get_margeff(data=data).margeff, fit.get_margeff().margeff)
    with pytest.raises(ArgumentError, match="not the data of the fit"):
        again.get_margeff(data=data.assign(x=0.0))
    again.remove_data()
    np.testing.assert_array_equal(again.get_margeff(data=data).margeff_cov, fit.get_margeff().margeff_cov)


def test_printed() -> None:
    fit = run(posts(), "y ~ x + g", model="logit")
    found = fit.get_margeff(method="eydx")
    text = str(found.summary(alpha=0.1))
    for part in ("Marginal effects", "d(lny)/dx", "overall", "200 rows", "g[T.c]", "[0.05", "0.95]"):
        assert part in text
    assert found._repr_html_() == found.summary().as_html()
    assert repr(found) == "<MarginalEffects on y (d(lny)/dx, overall): x, g[T.b], g[T.c]>"


@pytest.mark.parametrize(
    ("formula", "arguments", "words"),
    [
        (
            "y ~ x + g",
            {"variables": "q"},
            "variables names 'q', which the right-hand side does not have; it has 'x', 'g'",
        ),
        ("y ~ x + g", {"method": "eyex"}, "'g' goes from one value to another; name other variables"),
        ("y ~ x + lab2", {"method": "dyex"}, "dummy=False takes its 0 and 1 for numbers"),
        ("y ~ x + g", {"at": "middle"}, "unknown at 'middle'"),
        ("y ~ x + g", {"method": "dy"}, "unknown method 'dy'"),
        ("y ~ x + g", {"dummy": 1}, "dummy must be True or False"),
        ("y ~ x + g", {"atexog": {"q": 1.0}}, "atexog names 'q', which the right-hand side does not have"),
        ("y ~ x + g", {"atexog": {"x": None}}, "atexog must give 'x' one value; found None"),
        ("y ~ x + g", {"atexog": [1.0]}, "atexog must be a dict"),
        ("y ~ I(words > 30) + x", {}, "'words' has no derivative: a term makes categories of its"),
        ("y ~ round(x) + words", {}, r"'words'|'round\(x\)' is a step in it"),
        ("y ~ x + as.numeric(day)", {}, "'day' holds dates"),
        ("y ~ x + offset(words)", {"variables": "words"}, "'words' is part of an offset alone"),
        ("y ~ 1", {}, "no variables, and so no marginal effects"),
    ],
)
def test_effects_that_there_are_not(formula: str, arguments: dict[str, Any], words: str) -> None:
    data = posts().assign(lab2=lambda d: (d["words"] > 20) * 1.0, day=pd.date_range("2020-01-01", periods=200))
    fit = run(data, formula)
    with pytest.raises(ArgumentError, match=words):
        fit.get_margeff(**arguments)


def test_values_beyond_the_formula() -> None:
    fit = run(posts(), "y ~ g + log(words)", model="logit")
    with pytest.raises(DataError, match="categories outside those of the analysis: q"):
        fit.get_margeff(atexog={"g": "q"})
    with pytest.raises(DataError, match=r"'log\(words\)' is infinite"):
        fit.get_margeff("zero")
    linear = run(posts(), "x ~ words + y")
    with pytest.raises(ArgumentError, match="needs fitted means above zero, and some of x"):
        linear.get_margeff(method="eydx")
