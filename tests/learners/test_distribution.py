"""Score imputation: the moment averaged over a distribution, against the same averages written out in numpy."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.dummy import DummyRegressor

import dsl
from dsl.exceptions import AllLabeledWarning, ArgumentError
from dsl.learners.distribution import (
    DRAWS,
    FEW_STEPS,
    FEW_VALUES,
    MAX_CELLS,
    cross_fit_distribution,
    find_support,
    representatives,
)
from tests.fixed import Fixed

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROOT = 1e-7
"""In standard errors: where Newton's method ends."""
EXACT = 1e-8
"""Relative to the residuals' size: matrix roots by eigenvectors."""
ROWS = 240
REPLICATIONS = 25
SPREAD = 2 / np.sqrt(2 * (REPLICATIONS - 1))
"""Two Monte Carlo standard errors of a standard deviation, relative."""
SHARES = DummyRegressor()
"""Predicts the training rows' mean: of each cell, its share."""


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """240 posts: `d` (0/1) and `count` (number) are covariates of `y` (number) and `b` (0/1); surrogates of all four."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=ROWS)
    d = (rng.random(ROWS) < expit(x)).astype(float)
    count = 2 * x + rng.normal(size=ROWS)
    y = 1 + d - 0.5 * x + 0.3 * count + rng.normal(size=ROWS)
    b = (rng.random(ROWS) < expit(d - 0.5 * x)).astype(float)
    out = pd.DataFrame({"x": x, "d": d, "count": count, "y": y, "b": b, "cl": np.arange(ROWS) // 6})
    out["llm_d"], out["llm_b"] = (np.where(rng.random(ROWS) < 0.8, out[v], 1 - out[v]) for v in ("d", "b"))
    out["llm_count"], out["llm_y"] = count + rng.normal(size=ROWS), y + rng.normal(size=ROWS)
    out["pi"] = np.where(x > 0, 0.6, 0.4)
    return out.assign(lab=(rng.random(ROWS) < out["pi"]).astype(int))


def labelled(truth: pd.DataFrame, *names: str) -> pd.DataFrame:
    return truth.assign(**{name: truth[name].where(truth["lab"] == 1) for name in names})


def run(formula: str, data: pd.DataFrame, *names: str, **arguments: Any) -> Any:
    quick = {"sl_method": "lm", "sample_split": 1, "cross_fit": 3, "estimator": "dsl+", "tune": 1.0, "vcov": "robust"}
    paired = {name: f"llm_{name}" for name in names}
    return dsl.dsl(formula, data, predicted_var=paired, **{**quick, **arguments})


def weights(fit: Any, data: pd.DataFrame) -> np.ndarray:
    return (data["lab"] / fit.sample.sample_prob).to_numpy()


def training_share(fit: Any, data: pd.DataFrame, member: pd.Series) -> np.ndarray:
    """Mean of `member` over the labelled rows of the other folds; (N,)."""
    labeled = data["lab"].to_numpy() == 1
    folds = fit.folds[0]
    each = [member[labeled & (folds != k)].mean() for k in range(folds.max() + 1)]
    return np.array(each)[folds]


Version = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What a row counts for, its columns and its outcome."""


def solve(versions: list[Version], *, logit: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root of the summed moments, their Jacobian there, and the rows' scores."""
    k = versions[0][1].shape[1]
    params = np.zeros(k)
    for _ in range(30 if logit else 1):
        scores, jacobian = moments(versions, params, logit=logit)
        params = params + np.linalg.solve(jacobian, scores.sum(axis=0))
    scores, jacobian = moments(versions, params, logit=logit)
    return params, jacobian, scores


def moments(versions: list[Version], params: np.ndarray, *, logit: bool) -> tuple[np.ndarray, np.ndarray]:
    scores, jacobian = np.zeros_like(versions[0][1]), np.zeros((len(params), len(params)))
    for weight, x, y in versions:
        mean = expit(x @ params) if logit else x @ params
        slope = mean * (1 - mean) if logit else np.ones(len(x))
        scores += x * (weight * (y - mean))[:, None]
        jacobian += (x * (weight * slope)[:, None]).T @ x
    return scores, jacobian


def assert_root(
    fit: Any, versions: list[Version], data: pd.DataFrame, *, logit: bool = False, cluster: bool = False
) -> None:
    """The fit is the root of the moments over these weighted rows, with their sandwich."""
    params, jacobian, scores = solve(versions, logit=logit)
    units = pd.DataFrame(scores).groupby(data["cl"]).sum().to_numpy() if cluster else scores
    half = np.linalg.solve(jacobian, units.T)
    bse = np.sqrt(np.diag(half @ half.T))
    np.testing.assert_allclose((fit.params - params) / bse, 0.0, atol=ROOT)
    np.testing.assert_allclose(fit.bse, bse, rtol=ROOT)


DESIGNS: dict[str, dict[str, Any]] = {
    "equal": {},
    "unequal": {"sample_prob": "pi"},
    "clusters": {"cluster": "cl"},
    "both": {"sample_prob": "pi", "cluster": "cl"},
}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("model", ["lm", "logit"])
def test_binary_covariate(truth: pd.DataFrame, model: str, design: str) -> None:
    """m_hat = p m(D = 1) + (1 - p) m(D = 0), with the p that the fit reports as its predictions."""
    data, outcome = labelled(truth, "d"), {"lm": "y", "logit": "b"}[model]
    fit = run(f"{outcome} ~ d * x", data, "d", model=model, **DESIGNS[design])
    w, p, y, x = weights(fit, data), fit.predictions[0, :, 0], data[outcome].to_numpy(), data["x"].to_numpy()

    def columns(d: Any) -> np.ndarray:
        d = np.broadcast_to(d, ROWS)
        return np.column_stack([np.ones(ROWS), d, x, d * x])

    versions = [
        ((1 - w) * p, columns(1.0), y),
        ((1 - w) * (1 - p), columns(0.0), y),
        (w, columns(data["d"].fillna(0)), y),
    ]
    assert_root(fit, versions, data, logit=model == "logit", cluster="cluster" in DESIGNS[design])
    assert fit.pseudo_outcomes["d"].to_numpy() == pytest.approx(p + w * (data["d"].fillna(0) - p).to_numpy())


def test_the_moment_is_zero_when_tuned_too(truth: pd.DataFrame) -> None:
    """To first order: theta + J^-1 sum psi(Lambda) at the plain root, per coefficient."""
    data = labelled(truth, "d")
    plain, fit = run("y ~ d + x", data, "d"), run("y ~ d + x", data, "d", tune="coef")
    w, p, y = weights(fit, data), plain.predictions[0, :, 0], data["y"].to_numpy()
    x = {d: np.column_stack([np.ones(ROWS), np.full(ROWS, d), data["x"]]) for d in (0.0, 1.0)}
    hats = [((1 - w) * p, x[1.0], y), ((1 - w) * (1 - p), x[0.0], y)]
    gold = (w, np.column_stack([np.ones(ROWS), data["d"].fillna(0), data["x"]]), y)
    _, jacobian, scores = solve([*hats, gold])
    h = moments(hats, plain.params.to_numpy(), logit=False)[0] @ np.linalg.inv(jacobian).T
    s = scores @ np.linalg.inv(jacobian).T
    change = -(s * h).sum(axis=0) / (h**2).sum(axis=0)
    np.testing.assert_allclose(fit.tuning["lambda"], 1 + change, rtol=ROOT)
    np.testing.assert_allclose(fit.params, plain.params + change * h.sum(axis=0), rtol=ROOT)
    np.testing.assert_allclose(fit.bse, np.sqrt(((s + change * h) ** 2).sum(axis=0)), rtol=ROOT)


@pytest.mark.parametrize("model", ["lm", "logit"])
def test_outcome_and_covariate_jointly(truth: pd.DataFrame, model: str) -> None:
    """Four joint values, each with its own share: not the product of two."""
    data = labelled(truth, "b", "d")
    fit = run("b ~ d + x", data, "b", "d", model=model, sl_method=SHARES, sample_prob="pi")
    w, versions = weights(fit, data), []
    for b in (0.0, 1.0):
        for d in (0.0, 1.0):
            share = training_share(fit, data, ((data["b"] == b) & (data["d"] == d)).astype(float))
            x = np.column_stack([np.ones(ROWS), np.full(ROWS, d), data["x"]])
            versions.append(((1 - w) * share, x, np.full(ROWS, b)))
    gold = np.column_stack([np.ones(ROWS), data["d"].fillna(0), data["x"]])
    assert_root(fit, [*versions, (w, gold, data["b"].fillna(0).to_numpy())], data, logit=model == "logit")
    for place, name in enumerate(["b", "d"]):
        np.testing.assert_allclose(
            fit.predictions[0, :, place], training_share(fit, data, data[name]), rtol=SAME_ALGEBRA
        )


def test_number_with_few_values(truth: pd.DataFrame) -> None:
    """0, 1, 2 averaged over exactly, in a formula that is curved in it."""
    grades = truth.assign(d=truth["d"] + (truth["x"] > 0.5))
    data = labelled(grades, "d")
    fit = run("y ~ d + I(d^2)", data, "d", sl_method=SHARES)
    w, y, versions = weights(fit, data), data["y"].to_numpy(), []
    for d in (0.0, 1.0, 2.0):
        share = training_share(fit, data, (data["d"] == d).astype(float))
        versions.append(((1 - w) * share, np.outer(np.ones(ROWS), [1, d, d**2]), y))
    d = data["d"].fillna(0)
    assert_root(fit, [*versions, (w, np.column_stack([np.ones(ROWS), d, d**2]), y)], data)


def test_continuous_covariate(truth: pd.DataFrame) -> None:
    """In ``lm`` only E[D] and E[D^2] count: the prediction, and its square plus the labelled rows' residual variance."""
    data = labelled(truth, "count")
    fit = run("y ~ count + x", data, "count", sample_prob="pi")
    w, g, y, x = weights(fit, data), fit.predictions[0, :, 0], data["y"].to_numpy(), data["x"].to_numpy()
    residual = (data["count"] - g)[data["lab"] == 1]
    mean, spread = g, residual.std(ddof=0)
    versions = [
        ((1 - w) / 2, np.column_stack([np.ones(ROWS), mean + step, x]), y) for step in (-spread, spread)
    ]  # two points have these moments too
    versions.append((w, np.column_stack([np.ones(ROWS), data["count"].fillna(0), x]), y))
    assert_root(fit, versions, data)


def test_continuous_outcome_and_binary_covariate(truth: pd.DataFrame) -> None:
    """The outcome's mean may differ between the values of the covariate, by as much as its residuals do."""
    data = labelled(truth, "y", "d")
    fit = run("y ~ d", data, "y", "d", sl_method=SHARES)
    w, labeled = weights(fit, data), data["lab"] == 1
    p = training_share(fit, data, data["d"])
    g = training_share(fit, data, data["y"])
    np.testing.assert_allclose(fit.predictions[0], np.column_stack([g, p]), rtol=SAME_ALGEBRA)
    residual = data["y"] - g
    average = {d: residual[labeled & (data["d"] == d)].mean() for d in (0.0, 1.0)}
    both = p * average[1.0] + (1 - p) * average[0.0]
    versions = [
        ((1 - w) * share, np.outer(np.ones(ROWS), [1, d]), g - both + average[d])
        for d, share in ((0.0, 1 - p), (1.0, p))
    ]
    gold = np.column_stack([np.ones(ROWS), data["d"].fillna(0)])
    assert_root(fit, [*versions, (w, gold, data["y"].fillna(0).to_numpy())], data)


@pytest.mark.parametrize("model", ["lm", "logit"])
def test_outcome_alone_is_dsl_with_more_features(truth: pd.DataFrame, model: str) -> None:
    """Its moment is linear in the outcome: nothing to impute but the mean, from the covariates too."""
    data = labelled(truth, "b")
    call = {"model": model, "family": "binomial"}
    plus = run("b ~ x + count", data, "b", **call)
    plain = run("b ~ x + count", data, "b", estimator="dsl", tune=None, feature=["x", "count"], **call)
    np.testing.assert_allclose(plus.params, plain.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(plus.bse, plain.bse, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(plus.predictions, plain.predictions, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("name", ["d", "count"])
def test_fixed_effects_are_dummies(truth: pd.DataFrame, name: str) -> None:
    """With a learner that takes no notice of them."""
    data = labelled(truth, name)
    call = {"sl_method": SHARES if name == "d" else Fixed(lambda x: x[:, 0]), "sample_prob": "pi"}
    within = run(f"y ~ {name} + x | cl", data, name, model="felm", **call)
    dummies = run(f"y ~ {name} + x + factor(cl)", data, name, **call)
    np.testing.assert_allclose(within.params, dummies.params[[name, "x"]], rtol=ROOT)
    np.testing.assert_allclose(within.bse, dummies.bse[[name, "x"]], rtol=ROOT)


@pytest.mark.parametrize("lam", [1.0, 0.4])
def test_within_fixed_effects(truth: pd.DataFrame, lam: float) -> None:
    """Effects are means of pseudo-values; lambda scales the versions' moments, centred by the mean prediction of all rows."""
    data = labelled(truth, "d")
    fit = run("y ~ d + x | cl", data, "d", model="felm", sample_prob="pi", tune=lam)
    w, p, y = weights(fit, data), fit.predictions[0, :, 0], data["y"].to_numpy()

    def level(values: np.ndarray) -> np.ndarray:
        return pd.DataFrame(values).groupby(data["cl"].to_numpy()).transform("mean").to_numpy()

    x = {d: np.column_stack([np.broadcast_to(d, ROWS), data["x"]]) for d in (0.0, 1.0)}
    gold = np.column_stack([data["d"].fillna(0), data["x"]])
    hat = np.column_stack([p, data["x"]])
    pseudo = hat + w[:, None] * (gold - hat)
    effects, effects_y, centre, centre_y = level(pseudo), level(y[:, None])[:, 0], level(hat), level(y[:, None])[:, 0]
    shares = {0.0: (1 - w) * (1 - p), 1.0: (1 - w) * p}

    def scores(params: np.ndarray) -> np.ndarray:
        out = gold * (w * (y - effects_y - (gold - effects) @ params))[:, None]
        for d, share in shares.items():
            out += x[d] * (share * (y - effects_y - (x[d] - effects) @ params))[:, None]
            near = x[d] - centre
            out += (lam - 1) * near * (share * (y - centre_y - near @ params))[:, None]
        return out - effects * (y - effects_y - (pseudo - effects) @ params)[:, None]

    origin = scores(np.zeros(2)).sum(axis=0)  # linear in the parameters
    jacobian = np.column_stack([origin - scores(unit).sum(axis=0) for unit in np.eye(2)])
    params = np.linalg.solve(jacobian, origin)
    half = np.linalg.solve(jacobian, scores(params).T)
    bse = np.sqrt(np.diag(half @ half.T))
    np.testing.assert_allclose((fit.params - params) / bse, 0.0, atol=ROOT)
    np.testing.assert_allclose(fit.bse, bse, rtol=ROOT)


@pytest.mark.parametrize("names", [("d",), ("count",), ("d", "count"), ("y", "d", "count")])
@pytest.mark.parametrize("tune", [1.0, "coef", 0.0])
def test_every_row_labelled_is_least_squares(truth: pd.DataFrame, names: tuple[str, ...], tune: str | float) -> None:
    with pytest.warns(AllLabeledWarning):
        fit = run("y ~ d + count + x", truth, *names, tune=tune)
    ols = smf.ols("y ~ d + count + x", truth).fit(cov_type="HC0")
    np.testing.assert_allclose(fit.params, ols.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, ols.bse, rtol=SAME_ALGEBRA)


@pytest.mark.long
def test_numbers_do_not_depend_on_the_processors(truth: pd.DataFrame) -> None:
    data = labelled(truth, "d", "count")
    one, two = (run("y ~ d + count", data, "d", "count", n_jobs=n, tune="coef") for n in (1, 2))
    np.testing.assert_array_equal(one.params, two.params)
    np.testing.assert_array_equal(one.cov_params(), two.cov_params())


def drawn(seed: int, *, binary: bool) -> pd.DataFrame:
    """1500 rows, 150 of them labelled: `y` on a covariate `d` with poor surrogates, and `x`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=1500)
    d = (rng.random(1500) < expit(0.5 * x - 1)).astype(float) if binary else 0.5 * x + rng.normal(size=1500)
    surrogate = np.where(rng.random(1500) < 0.7, d, 1 - d) if binary else d + 2 * rng.normal(size=1500)
    y = 0.2 + 2 * d - 0.5 * x + rng.normal(size=1500)
    data = pd.DataFrame({"x": x, "d": d, "y": y, "llm_d": surrogate, "lab": rng.permutation(1500) < 150})
    return labelled(data, "d")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.long
def test_better_than_the_mean_plugged_in(binary: bool) -> None:
    """Repeated draws: unbiased, standard errors right, and more precise than DSL and the labelled rows alone."""
    fits: dict[str, list[Any]] = {"dsl+": [], "dsl": [], "gold_only": []}
    for seed in range(REPLICATIONS):
        data = drawn(seed, binary=binary)
        for estimator, found in fits.items():
            found.append(run("y ~ d + x", data, "d", estimator=estimator, tune=None))
    errors = {name: np.array([fit.params["d"] - 2.0 for fit in found]) for name, found in fits.items()}
    spread = {name: np.std(error) for name, error in errors.items()}
    assert abs(np.mean(errors["dsl+"])) < 3 * spread["dsl+"] / np.sqrt(REPLICATIONS)
    assert np.mean([fit.bse["d"] for fit in fits["dsl+"]]) == pytest.approx(spread["dsl+"], rel=SPREAD)
    assert spread["dsl+"] < 0.8 * spread["dsl"], spread
    assert spread["dsl+"] < (0.8 if binary else 0.95) * spread["gold_only"], spread


def test_support() -> None:
    """Few values: exactly; categories always; other numbers by draws, unless only their mean counts."""
    n = 50
    gold = pd.DataFrame(
        {
            "binary": np.arange(n) % 2.0,
            "grade": np.arange(n) % float(FEW_VALUES),
            "number": np.linspace(0, 1, n),
            "topic": pd.Categorical(np.array(["a", "b", "c"])[np.arange(n) % 3]),
        }
    )

    def found(*names: str, linear: tuple[str, ...] = ()) -> tuple[tuple[str, ...], tuple[str, ...], int]:
        support = find_support(gold[list(names)], linear=linear)
        assert support.size == len(support.cells) * support.draws
        return support.discrete, support.continuous, support.size

    assert found("binary") == (("binary",), (), 2)
    assert found("binary", linear=("binary",)) == ((), ("binary",), 1)
    assert found("grade", linear=("binary",)) == (("grade",), (), FEW_VALUES)
    assert found("number") == ((), ("number",), DRAWS)
    assert found("number", linear=("number",)) == ((), ("number",), 1)
    assert found("topic", "binary", linear=("binary",)) == (("topic", "binary"), (), 6)
    assert found("number", "binary", linear=("number",)) == (("binary",), ("number",), 2)
    assert found("number", "binary", linear=("binary",)) == (("binary",), ("number",), 2 * DRAWS)
    assert found("number", "topic") == (("topic",), ("number",), 3 * DRAWS)


@pytest.mark.parametrize("names", [["grade"], ["topic"], ["topic", "grade"]])
def test_rows_are_in_the_cell_of_their_values(names: list[str]) -> None:
    rng = np.random.default_rng(0)
    gold = pd.DataFrame({"grade": rng.integers(0, 3, 40) - 1.5, "topic": pd.Categorical(rng.choice(list("abc"), 40))})
    support = find_support(gold[names])
    assert support.cells.to_numpy().tolist() == sorted(support.cells.to_numpy().tolist())
    pd.testing.assert_frame_equal(support.cells.iloc[support.code].reset_index(drop=True), gold[names])


def test_support_has_only_joint_values_that_were_seen() -> None:
    gold = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 1.0, 1.0]})
    support = find_support(gold)
    assert support.cells.to_numpy().tolist() == [[0, 0], [0, 1], [1, 1]]
    assert support.code.tolist() == [0, 1, 2, 2]


def test_of_too_many_joint_values_the_longest_numbers_are_drawn() -> None:
    rng = np.random.default_rng(0)
    gold = pd.DataFrame({name: rng.integers(0, k, 900).astype(float) for name, k in (("a", 3), ("b", 7), ("c", 8))})
    support = find_support(gold)
    assert (support.discrete, support.continuous, support.draws) == (("a", "b"), ("c",), DRAWS)
    assert len(support.cells) == 3 * 7


def test_a_number_inside_a_step_is_averaged_over_more_values() -> None:
    gold = pd.DataFrame({"grade": np.arange(60) % float(FEW_STEPS), "price": np.linspace(1, 2, 60)})
    assert find_support(gold[["grade"]], curved=("grade",)).discrete == ("grade",)
    assert find_support(gold[["grade"]]).continuous == ("grade",)
    assert find_support(gold, curved=("price",)).bounded == ("price",)


def test_too_many_joint_values() -> None:
    rng = np.random.default_rng(0)
    gold = pd.DataFrame({name: rng.integers(0, 7, 400).astype(float) for name in ("first", "second")})
    with pytest.raises(ArgumentError) as error:
        find_support(gold, coded=("first", "second"))
    for told in (f"{7 * 7} joint values", f"the {MAX_CELLS}", "'first' (7), 'second' (7)", "merge categories"):
        assert told in str(error.value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(2, 60),
    c=st.integers(1, 3),
    draws=st.sampled_from([1, 4, 8]),
    skewed=st.booleans(),
)
def test_representatives_keep_mean_and_covariance(seed: int, n: int, c: int, draws: int, skewed: bool) -> None:
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=(n, c)) @ rng.normal(size=(c, c))
    residuals = np.exp(residuals) if skewed else residuals
    residuals -= residuals.mean(axis=0)
    size = np.abs(residuals).max()
    found = representatives(residuals, draws)
    assert found.shape == (draws, c)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=EXACT * size)
    if draws == 1:
        return
    spread = found.T @ found / draws
    np.testing.assert_allclose(spread, residuals.T @ residuals / n, atol=EXACT * size**2)


@pytest.mark.parametrize("draws", [2, 3, 10])
def test_representatives_of_one_variable_lie_symmetrically(draws: int) -> None:
    """Midpoints of equal shares: of values that lie evenly on both sides of zero, evenly on both sides too."""
    found = np.sort(representatives(np.linspace(-3.0, 3.0, 2001)[:, None], draws)[:, 0])
    np.testing.assert_allclose(found, -found[::-1], atol=1e-12)
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-9)


def test_probabilities_of_cells_are_made_to_sum_to_one() -> None:
    """Predicted .2, .3 and .1 whatever the row: a third, a half, a sixth."""
    n = 60
    gold = pd.DataFrame({"topic": pd.Categorical(np.array(["a", "b", "c"])[np.arange(n) % 3])})
    labeled, folds = np.ones(n, dtype=bool), np.arange(n)[None] % 2
    asked = iter([0.2, 0.3, 0.1] * 2)
    learner = Fixed(lambda x: np.full(len(x), next(asked)))
    support = find_support(gold, linear=())
    made = cross_fit_distribution(
        support, gold, np.arange(n)[:, None] * 1.0, labeled, folds, family="gaussian", sl_method=learner, seed=1
    )
    np.testing.assert_allclose(made.shares[0], np.tile([1 / 3, 1 / 2, 1 / 6], (n, 1)))


def test_representatives_of_a_skewed_variable_by_hand() -> None:
    """Nine squares: an eighth, three, five and seven eighths of the way are the second, fourth, sixth and eighth of them."""
    values = np.arange(9.0) ** 2
    residuals = values - values.mean()
    middle = np.array([1.0, 9.0, 25.0, 49.0])
    middle -= middle.mean()
    expected = middle * np.sqrt((residuals**2).mean() / (middle**2).mean())
    np.testing.assert_allclose(representatives(residuals[:, None], 4)[:, 0], expected, rtol=1e-12)
