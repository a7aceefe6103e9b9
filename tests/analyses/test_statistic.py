"""Any statistic: against estimators in closed form, ppi-python's bootstrap, and the errors of users' functions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl.analyses.statistic import StatisticResults, ppi_statistic
from tests.engine.two_sample.test_fit import rival

from .test_quantile import table, unequal

# the first rows of random ones are labelled here
pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")]

CLOSED_FORM = 1e-9
DRAWS = 400
BOOTSTRAP = 4.0 / np.sqrt(2 * DRAWS)
"""Four Monte Carlo standard errors of a standard error from `DRAWS` draws, relative."""
PENALTY = 1e-3
"""Relative: scikit-learn's penalty and stopping."""


def mean(frame: pd.DataFrame, weights: np.ndarray) -> float:
    return float(np.average(frame["y"].to_numpy(), weights=weights))


def moments(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
    return pd.Series({"mean": mean(frame, weights), "square": np.average(frame["y"] ** 2, weights=weights)})


def least_squares(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
    return sm.WLS(frame["y"], sm.add_constant(frame[["x"]]), weights=weights).fit().params


def run(fn: Callable[..., Any], data: pd.DataFrame, **given: Any) -> StatisticResults:
    return ppi_statistic(fn, data, **{"gold": "y", "prediction": "f", "n_boot": 60, **given})


def regression_table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = table(200, 900)
    x = rng.normal(size=900)
    return data.assign(x=x, y=data["y"] + 0.5 * x, f=data["f"] + 0.5 * x)


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_mean_is_that_of_ppi_python(lam: float) -> None:
    data = table()
    labeled = data["y"].notna()
    y, f, u = data.loc[labeled, "y"], data.loc[labeled, "f"], data.loc[~labeled, "f"]
    fit = run(mean, data, tune=lam, n_boot=DRAWS)
    assert fit.params["mean"] == pytest.approx(lam * u.mean() + (y - lam * f).mean(), rel=CLOSED_FORM)
    low, high = rival("ppi_mean_ci")(y.to_numpy(), f.to_numpy(), u.to_numpy(), lam=lam, alpha=0.05)
    assert fit.bse["mean"] == pytest.approx(float(high[0] - low[0]) / 2 / 1.959964, rel=BOOTSTRAP)
    normal = fit.conf_int(method="normal").loc["mean"]
    np.testing.assert_allclose(normal, [low[0], high[0]], atol=2 * BOOTSTRAP * fit.bse["mean"])


def test_tuned_mean_is_the_published_lambda() -> None:
    """Up to the bootstrap's noise in a regression coefficient."""
    data = table(noise=0.8)
    labeled = data["y"].notna()
    fit = run(mean, data, n_boot=DRAWS)
    y, f = data.loc[labeled, "y"], data.loc[labeled, "f"]
    expected = np.cov(y, f, ddof=0)[0, 1] / ((1 + labeled.sum() / (~labeled).sum()) * data["f"].var())
    assert fit.tuning["lambda"]["mean"] == pytest.approx(expected, abs=0.1)
    for other in (fit.tuning["lambda"]["mean"] - 0.1, fit.tuning["lambda"]["mean"] + 0.1):
        assert replace(fit, lambdas=np.array([other])).bse["mean"] > fit.bse["mean"]


def test_mean_at_one_minus_pi_is_the_design_based_mean() -> None:
    """The mean of the pseudo-outcomes f + w (y - f)."""
    data = table()
    labeled = data["y"].notna()
    pi = labeled.mean()
    pseudo = data["f"] + np.where(labeled, (data["y"] - data["f"]) / pi, 0.0)
    assert run(mean, data, tune=1.0 - pi).params["mean"] == pytest.approx(pseudo.mean(), rel=CLOSED_FORM)


def test_unequal_probabilities() -> None:
    """Weights R / pi and (1 - R) / (1 - pi), certain rows counting once on both sides."""
    data = unequal()
    labeled, pi = data["y"].notna().to_numpy(), data["pi"].to_numpy()
    assert (labeled & (pi == 1.0)).any()
    w = labeled / pi
    other = np.where(pi == 1.0, 1.0, (1 - labeled) / np.where(pi == 1.0, 1.0, 1 - pi))
    y, f = data["y"].fillna(0.0), data["f"]
    expected = [np.average(y, weights=w), np.average(f, weights=w), np.average(f, weights=other)]
    fit = run(mean, data, sample_prob="pi", tune=0.7)
    np.testing.assert_allclose(fit.parts.loc["mean"], expected, rtol=CLOSED_FORM)
    assert fit.params["mean"] == pytest.approx(expected[0] + 0.7 * (expected[2] - expected[1]), rel=CLOSED_FORM)


def test_totals_of_certain_rows_cancel() -> None:
    data = table(900, 900).assign(pi=1.0)
    with pytest.warns(e.AllLabeledWarning):
        fit = run(lambda frame, weights: float((weights * frame["y"]).sum()), data, sample_prob="pi", tune=1)
    assert fit.params.iloc[0] == pytest.approx(data["y"].sum(), rel=CLOSED_FORM)
    assert fit.params.index.tolist() == ["statistic"]


@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_least_squares_is_the_estimator_ppi(lam: float) -> None:
    """A regression from statsmodels' WLS is prediction-powered least squares."""
    data = regression_table()
    fit = run(least_squares, data, tune=lam, n_boot=50)
    theirs = dsl.dsl("y ~ x", data, predicted_var="y", prediction="f", estimator="ppi", tune=lam)
    np.testing.assert_allclose(fit.params, theirs.params, rtol=CLOSED_FORM)
    assert fit.params.index.tolist() == ["const", "x"]


def test_bootstrap_is_that_of_ppi_python() -> None:
    """PPBoot with lam = 1; theirs draws from numpy's global stream."""
    data = table()
    labeled = data["y"].notna()
    arrays = [a.to_numpy() for a in (data.loc[labeled, "y"], data.loc[labeled, "f"], data.loc[~labeled, "f"])]
    state = np.random.get_state()
    np.random.seed(0)
    low, high = rival("ppboot")(np.mean, *arrays, lam=1, n_resamples=DRAWS, alpha=0.05)
    np.random.set_state(state)
    ours = run(mean, data, tune=1, n_boot=DRAWS)
    # a quantile of 400 draws at 2.5% has a standard error of sqrt(.025 x .975 / 400) / density = .134 sd
    np.testing.assert_allclose(ours.conf_int().loc["mean"], [low, high], atol=4 * np.sqrt(2) * 0.134 * ours.bse["mean"])


def test_one_sided_intervals_have_the_right_side() -> None:
    """ppi-python's bootstrap answers "larger" with (-inf, largest draw] and "smaller" with [smallest draw, inf)."""
    data = table()
    labeled = data["y"].notna()
    arrays = [a.to_numpy() for a in (data.loc[labeled, "y"], data.loc[labeled, "f"], data.loc[~labeled, "f"])]
    low, high = rival("ppboot")(np.mean, *arrays, lam=1, n_resamples=50, alternative="larger")
    assert low == -np.inf
    assert np.isfinite(high)
    fit = run(mean, data, n_boot=200)
    draws = fit.replicates["mean"]
    for method in ("percentile", "normal"):
        two = fit.conf_int(0.1, method=method).loc["mean"]
        larger = fit.conf_int(0.05, "larger", method).loc["mean"]
        smaller = fit.conf_int(0.05, "smaller", method).loc["mean"]
        assert (larger["conf_low"], larger["conf_high"]) == pytest.approx((two["conf_low"], np.inf))
        assert (smaller["conf_low"], smaller["conf_high"]) == pytest.approx((-np.inf, two["conf_high"]))
    assert fit.conf_int(0.05, "larger").loc["mean", "conf_low"] == pytest.approx(np.quantile(draws, 0.05))


def test_lambda_is_kept_between_zero_and_one() -> None:
    """ppi-python's is not: surrogates that run against the truth get a negative weight, others more than one."""
    data = table()
    against = run(mean, data.assign(f=-data["f"]))
    assert against.tuning["lambda"]["mean"] == 0.0
    assert against.params["mean"] == pytest.approx(data["y"].mean(), rel=CLOSED_FORM)
    assert run(mean, data.assign(f=0.1 * data["f"])).tuning["lambda"]["mean"] == 1.0
    assert run(mean, data.assign(f=0.3)).tuning["lambda"]["mean"] == 0.0


def test_one_lambda_for_all_minimises_the_relative_variances() -> None:
    data = table(noise=0.8)
    each = run(moments, data)
    one = run(moments, data, tune="scalar")
    assert one.tuning["lambda"]["mean"] == one.tuning["lambda"]["square"]
    assert min(each.tuning["lambda"]) < one.tuning["lambda"]["mean"] < max(each.tuning["lambda"])
    assert (each.bse <= one.bse + 1e-12).all()
    alone = one.draws[:, 0].var(axis=0, ddof=1)

    def relative(lam: float) -> float:
        return float((replace(one, lambdas=np.full(2, lam)).bse ** 2 / alone).sum())

    best = relative(one.tuning["lambda"]["mean"])
    assert best < min(relative(one.tuning["lambda"]["mean"] - 0.05), relative(one.tuning["lambda"]["mean"] + 0.05))


def test_same_seed_same_numbers_whatever_the_processes() -> None:
    data = table()
    one = run(moments, data)
    np.testing.assert_array_equal(run(moments, data).draws, one.draws)
    with joblib.parallel_config(backend="threading"):  # processes in the slow tests: they take seconds to start
        np.testing.assert_array_equal(run(moments, data, n_jobs=2).draws, one.draws)
    assert not np.array_equal(run(moments, data, seed=5).draws, one.draws)
    longer = run(moments, data, n_boot=80)
    np.testing.assert_array_equal(longer.draws[:60], one.draws)


def test_clusters_are_drawn_whole() -> None:
    """Every row three times: the standard error of the rows once."""
    once = table(150, 600)
    thrice = once.loc[np.repeat(once.index, 3)].assign(c=np.repeat(np.arange(600), 3))
    own = run(mean, once, tune=1, n_boot=DRAWS)
    clustered = run(mean, thrice, tune=1, n_boot=DRAWS, cluster="c")
    naive = run(mean, thrice, tune=1, n_boot=DRAWS)
    assert clustered.bse["mean"] == pytest.approx(own.bse["mean"], rel=np.sqrt(2) * BOOTSTRAP)
    assert naive.bse["mean"] == pytest.approx(own.bse["mean"] / np.sqrt(3), rel=np.sqrt(2) * BOOTSTRAP)
    assert "600 clusters" in repr(clustered)


def test_clusters_with_both_kinds_of_rows() -> None:
    """The best lam allows for the covariance of labelled and other rows; the interval is as the two-sample form's."""
    data = table(300, 900).sample(frac=1.0, random_state=0).reset_index(drop=True)
    shift = np.repeat(np.random.default_rng(3).normal(size=90), 10)
    data = data.assign(y=data["y"] + shift, f=data["f"] + shift, c=np.arange(900) // 10)
    fit = run(mean, data, cluster="c", n_boot=DRAWS)
    theirs = dsl.dsl("y ~ 1", data, predicted_var="y", prediction="f", estimator="ppi++", cluster="c")
    assert fit.bse["mean"] == pytest.approx(float(theirs.bse.iloc[0]), rel=1.5 * BOOTSTRAP)
    assert fit.params["mean"] == pytest.approx(float(theirs.params.iloc[0]), abs=0.2 * fit.bse["mean"])


@pytest.mark.long
def test_scikit_learn_fit() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=1200)
    y = (rng.random(1200) < 1 / (1 + np.exp(-x))).astype(float)
    data = pd.DataFrame({"x": x, "y": np.where(np.arange(1200) < 300, y, np.nan), "f": y})

    def slope(frame: pd.DataFrame, weights: np.ndarray) -> float:
        fit = LogisticRegression(C=1e6, tol=1e-8).fit(frame[["x"]], frame["y"], sample_weight=weights)
        return float(fit.coef_[0, 0])

    def newton(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
        x, params = np.column_stack([np.ones(len(frame)), frame["x"]]), np.zeros(2)
        for _ in range(8):
            mean = 1 / (1 + np.exp(-x @ params))
            hessian = (x * (weights * mean * (1 - mean))[:, None]).T @ x
            params = params + np.linalg.solve(hessian, x.T @ (weights * (frame["y"].to_numpy() - mean)))
        return pd.Series({"slope": params[1]})

    fit, same = (run(fn, data, tune=1.0, n_boot=50) for fn in (slope, newton))
    theirs = sm.Logit(y[300:], sm.add_constant(x[300:])).fit(disp=0)
    assert fit.params["slope"] == pytest.approx(theirs.params[1], rel=PENALTY)
    assert fit.bse["slope"] == pytest.approx(same.bse["slope"], rel=PENALTY)  # on the same draws
    many = run(newton, data, tune=1.0, n_boot=DRAWS)
    assert many.bse["slope"] == pytest.approx(theirs.bse[1], rel=BOOTSTRAP)


def test_word_shares_by_category() -> None:
    """Text labels; shares of words among positive texts, as in the data where all are labelled."""
    words = ["negation", "hedge"]

    def shares(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
        positive = (frame["tone"] == "positive").to_numpy()
        return pd.Series({w: np.average(frame[w][positive], weights=weights[positive]) for w in words[::-1]})[words]

    full = dsl.datasets.load_sentiment()
    text = {1.0: "positive", 0.0: "other"}
    full = full.assign(tone=full["human_positive"].map(text), llm=full["vader_positive"].map(text))
    drawn = np.random.default_rng(0).permutation(len(full)) < 2000
    fit = ppi_statistic(shares, full.assign(tone=full["tone"].where(drawn)), gold="tone", prediction="llm", n_boot=60)
    truth = shares(full, np.ones(len(full)))
    assert fit.params.index.tolist() == words
    np.testing.assert_allclose(fit.params, truth, atol=3 * fit.bse.max())
    naive = shares(full.assign(tone=full["llm"]), np.ones(len(full)))
    assert abs(naive["negation"] - truth["negation"]) > 3 * fit.bse["negation"]


def test_two_gold_columns_and_their_surrogates() -> None:
    data = regression_table()
    data["x2"] = data["x"].where(data["y"].notna())

    def slope(frame: pd.DataFrame, weights: np.ndarray) -> float:
        return float(sm.WLS(frame["y"], sm.add_constant(frame["x2"]), weights=weights).fit().params["x2"])

    fit = ppi_statistic(slope, data, gold=["y", "x2"], prediction=["f", "x"], tune=1.0, n_boot=50)
    theirs = run(least_squares, data, tune=1.0, n_boot=50)
    assert fit.params["slope"] == pytest.approx(theirs.params["x"], rel=CLOSED_FORM)


def test_results() -> None:
    data = table()
    fit = run(moments, data, n_boot=100)
    tidy = fit.tidy()
    assert tidy.columns.tolist() == ["term", "estimate", "std_error", "conf_low", "conf_high", "lambda", "gold_only"]
    assert tidy["term"].tolist() == ["mean", "square"]
    np.testing.assert_allclose(tidy["gold_only"], fit.parts["gold"])
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov_params())), fit.bse)
    np.testing.assert_allclose(fit.replicates.std(), fit.bse)
    assert fit.replicates.shape == (100, 2)
    assert fit.pvalues(null=fit.params.to_numpy()).tolist() == [1.0, 1.0]
    assert fit.pvalues(null=-9.0, alternative="larger").max() < 1e-9
    assert repr(fit) == "<StatisticResults moments: 900 rows, 200 labelled, 100 bootstrap draws>"


def test_users_function_may_change_its_arguments() -> None:
    """Its copies are its own."""

    def rude(frame: pd.DataFrame, weights: np.ndarray) -> float:
        value = mean(frame, weights)
        weights[:] = 0.0
        frame["y"] = 0.0
        return value

    data = table()
    np.testing.assert_array_equal(run(rude, data).draws, run(mean, data).draws)


def test_arrays_lambdas_and_objects() -> None:
    data = table()

    class Spread:
        def __call__(self, frame: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
            return np.cov(frame["y"], frame["f"], aweights=weights)[0]

    assert run(Spread(), data).params.index.tolist() == ["Spread[0]", "Spread[1]"]
    assert run(lambda d, w: [mean(d, w)], data).params.index.tolist() == ["statistic[0]"]
    assert run(lambda d, w: pd.Series([mean(d, w)], index=[7]), data).params.index.tolist() == ["7"]


def test_a_function_that_ignores_the_weights_is_noticed() -> None:
    def unweighted(frame: pd.DataFrame, weights: np.ndarray) -> float:
        return float(frame["y"].mean())

    with pytest.warns(e.StatisticWarning, match="unweighted returns the same numbers"):
        run(unweighted, table())


def test_progress_is_shown_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    run(mean, table())
    assert capsys.readouterr().err == ""
    run(mean, table(), progress=True)
    assert "bootstrap" in capsys.readouterr().err


def one_argument(frame: pd.DataFrame) -> float:
    return float(frame["y"].mean())


def seen_values(frame: pd.DataFrame, weights: np.ndarray) -> pd.Series:
    return pd.Series(weights, index=frame["y"].round(0)).groupby(level=0).sum()


@pytest.mark.parametrize(
    ("fn", "given", "kind", "words"),
    [
        (one_argument, {}, e.ArgumentError, ["fn(frame, weights)", "one_argument takes (frame", "np.average"]),
        ("mean", {}, e.ArgumentError, ["fn must be a function", "found str"]),
        (mean, {"tune": "best"}, e.ArgumentError, ["tune must be 'coef' or 'scalar', or a number", "found 'best'"]),
        (mean, {"tune": np.inf}, e.ArgumentError, ["found inf"]),
        (mean, {"tune": "matrix"}, e.ArgumentError, ["'coef' or 'scalar'", "found 'matrix'"]),
        (mean, {"n_boot": 10}, e.ArgumentError, ["n_boot", "at least 50", "found 10"]),
        (mean, {"seed": -1}, e.ArgumentError, ["seed"]),
        (mean, {"n_jobs": 0}, e.ArgumentError, ["n_jobs"]),
        (mean, {"gold": "z"}, e.MissingColumnError, ["'z', named in gold"]),
        (mean, {"n_bootstrap": 9}, e.CallError, ["did you mean 'n_boot'"]),
        (lambda d, w: np.nan, {}, e.StatisticError, ["statistic returned nan", "on the gold values", "label more rows"]),
        (lambda d, w: w.sum() if len(d) >= 190 else np.inf, {}, e.StatisticError, ["inf", "in bootstrap draw 1;"]),
        (lambda d, w: 1 / 0, {}, e.StatisticError, ["failed on the gold values: ZeroDivisionError: division by zero"]),
        (lambda d, w: d["nope"].sum(), {}, e.StatisticError, ["KeyError: 'nope'"]),
        (lambda d, w: "high", {}, e.StatisticError, ["must return a number", "found str"]),
        (lambda d, w: np.ones((2, 2)), {}, e.StatisticError, ["found ndarray of shape (2, 2)"]),
        (lambda d, w: None, {}, e.StatisticError, ["returned nan"]),
        (lambda d, w: [], {}, e.StatisticError, ["found list of shape (0,)"]),
        (seen_values, {}, e.StatisticError, ["seen_values returned", "but", "before; differing: ", ".reindex("]),
    ],
)  # fmt: skip
def test_errors(fn: Any, given: dict[str, Any], kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as caught:
        run(fn, table(noise=1.5), **given)
    for word in words:
        assert word in str(caught.value)


def test_clusters_too_few_to_draw_from() -> None:
    data = table(300, 900).assign(c=np.repeat([0, 1, 2], 300))
    with pytest.raises(e.LabelError, match="of 3 clusters holds no labelled row, or no other"):
        run(mean, data, cluster="c")


def test_one_labelled_row() -> None:
    with pytest.raises(e.LabelError, match="two labelled rows at least; found 1"):
        run(mean, table(1, 50))
