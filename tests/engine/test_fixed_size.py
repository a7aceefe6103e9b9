"""The covariance given the draw: variances of two-phase samples (Cochran 1977), by hand and over all samples there can be."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dsl
from dsl.engine.fixed_size import Draw
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError
from dsl.reports.comparison.difference import influences
from dsl.sampling import LabelDesign
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROOT = 1e-7
"""Relative: where the engine's Newton steps end."""


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return posts()


def scores_of(plain: Any, data: pd.DataFrame, formula: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """psi (N, 3), c = w (m - m_hat) with zeros (N, 3) and the bread, from a plain fit of y on x and z, or of z on y and x."""
    params, hat = plain.params.to_numpy(), plain.predictions[0, :, 0]
    w = (data["lab"] / plain.sample.sample_prob).to_numpy()
    gold = data["y"].fillna(0.0).to_numpy()

    def moment(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.column_stack(
            [np.ones(len(data)), data["x"], data["z"]] if formula[0] == "y" else [np.ones(len(data)), y, data["x"]]
        )
        left = y if formula[0] == "y" else data["z"].to_numpy()
        mean = expit(x @ params) if plain.call.model == "logit" else x @ params
        slope = mean * (1 - mean) if plain.call.model == "logit" else np.ones(len(data))
        return x * (left - mean)[:, None], np.einsum("ni,n,nj->nij", x, slope, x)

    (m, jacobian), (m_hat, jacobian_hat) = moment(gold), moment(hat)
    c = w[:, None] * (m - m_hat)
    bread = np.linalg.inv((jacobian_hat + w[:, None, None] * (jacobian - jacobian_hat)).sum(axis=0))
    return m_hat + c, c, bread


@pytest.mark.parametrize(("formula", "model"), [("y ~ x + z", "lm"), ("y ~ x + z", "logit"), ("z ~ y + x", "lm")])
def test_simple_random_sample(data: pd.DataFrame, formula: str, model: str) -> None:
    """psi - u b in the meat, which is least at the projection of psi on u = w - 1, and what b costs: 1 / n of the labelling."""
    plain, fit = run(data, formula, model=model), run(data, formula, model=model, vcov="design")
    psi, c, bread = scores_of(plain, data, formula)
    n, f = 80, 80 / 200
    u = (data["lab"] / f - 1.0).to_numpy()
    mean = c.sum(axis=0) / n  # of the labelled rows, (1 - f) alike in all
    gaps = c[data["lab"] == 1] - mean
    lost = (1 - f) * gaps.T @ gaps / (n - 1)
    left = psi - u[:, None] * (f * mean)
    np.testing.assert_allclose(fit.params, plain.params, rtol=SAME_ALGEBRA)
    expected = bread @ (left.T @ left + lost) @ bread.T
    np.testing.assert_allclose(fit.cov_params(), expected, rtol=ROOT, atol=ROOT * fit.bse.max() ** 2)
    slope = u @ psi / (u @ u)
    projected = psi - u[:, None] * slope
    apart = u @ u * np.outer(f * mean - slope, f * mean - slope)
    np.testing.assert_allclose(left.T @ left, projected.T @ projected + apart, rtol=1e-8, atol=1e-8 * np.abs(psi).max())
    assert (np.diag(apart) < 0.01 * np.diag(projected.T @ projected)).all()


def test_clusters_sum_what_is_left(data: pd.DataFrame) -> None:
    fit = run(data, "z ~ y + x", cluster="cl", vcov="design")
    psi, c, bread = scores_of(fit, data, "z ~ y + x")
    f = 80 / 200
    mean = c.sum(axis=0) / 80
    left = pd.DataFrame(psi - (data["lab"] - f).to_numpy()[:, None] * mean).groupby(data["cl"]).sum().to_numpy()
    gaps = c[data["lab"] == 1] - mean
    expected = bread @ (left.T @ left + (1 - f) * gaps.T @ gaps / 79) @ bread.T
    np.testing.assert_allclose(fit.cov_params(), expected, rtol=ROOT, atol=ROOT * fit.bse.max() ** 2)


def two_phase(seed: int = 4, n: int = 60, times: int = 4) -> pd.DataFrame:
    """Labelled rows and copies of their x and f that are not labelled: what the labels say of f holds for all rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 1 + 0.5 * x + rng.normal(size=n)
    f = 0.7 * y + 0.4 * rng.normal(size=n) + 0.3
    first = pd.DataFrame({"y": y, "f": f, "x": x})
    return pd.concat([first, *[first.assign(y=np.nan)] * (times - 1)], ignore_index=True)


def quietly(formula: str, data: pd.DataFrame, **arguments: Any) -> Any:
    return dsl.dsl(formula, data, predicted_var="y", prediction="f", estimator="cdi", **arguments)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")
def test_mean_is_that_of_double_sampling() -> None:
    """S^2 (1 - r^2) / n + r^2 S^2 / N (Cochran 1977, 12.64), the residuals' part of the labelling with n - 1."""
    data, n, size = two_phase(), 60, 240
    fit = quietly("y ~ 1", data, tune="coef", vcov="design")
    y, f = data["y"][:n], data["f"][:n]
    slope = np.cov(y, f, ddof=0)[0, 1] / f.var(ddof=0)
    rest = (y - y.mean() - slope * (f - f.mean())).var(ddof=0)
    share = n / size
    expected = slope**2 * f.var(ddof=0) / size + rest / n * (share + (1 - share) * n / (n - 1))
    assert fit.params.iloc[0] == pytest.approx(y.mean() + slope * (data["f"].mean() - f.mean()), rel=SAME_ALGEBRA)
    assert fit.tuning["lambda"].iloc[0] == pytest.approx(slope, rel=1e-2)  # centred and uncentred parts of the choice
    assert fit.bse.iloc[0] ** 2 == pytest.approx(expected, rel=1e-3)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")
def test_regression_is_that_of_double_sampling() -> None:
    """Scores m regressed on m_hat: what m_hat explains varies with all rows, the rest with the labelled ones."""
    data, n, size = two_phase(), 60, 240
    fit = quietly("y ~ x", data, tune="matrix", vcov="design")
    x = np.column_stack([np.ones(n), data["x"][:n]])
    beta = np.linalg.lstsq(x, data["y"][:n], rcond=None)[0]
    np.testing.assert_allclose(fit.params, beta, rtol=1e-8)
    m, m_hat = (x * (data[name][:n] - x @ beta).to_numpy()[:, None] for name in ("y", "f"))
    chosen = np.linalg.lstsq(m_hat - m_hat.mean(axis=0), m, rcond=None)[0].T
    explained, rest = np.cov((m_hat @ chosen.T).T, ddof=0), np.cov((m - m_hat @ chosen.T).T, ddof=0)
    share = n / size
    meat = size * explained + size**2 / n * rest * (share + (1 - share) * n / (n - 1))
    bread = np.linalg.inv(x.T @ x * size / n)
    np.testing.assert_allclose(fit.cov_params(), bread @ meat @ bread, rtol=2e-3)


def population(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments m and errors d of the predictions, (n, 2), both off in the mean."""
    rng = np.random.default_rng(seed)
    m = rng.normal(size=(n, 2))
    return m, 0.5 * m + rng.normal(size=(n, 2)) + np.array([0.8, -1.5])


def expected_meat(m: np.ndarray, d: np.ndarray, draws: list[Labeling], cluster: np.ndarray | None = None) -> np.ndarray:
    """Mean of the meats over draws that are as likely as each other, scores at fixed parameters."""
    total = np.zeros((2, 2))
    for labeling in draws:
        draw = Draw(labeling=labeling, cluster=cluster, n_clusters=None if cluster is None else int(cluster.max()) + 1)
        w = labeling.drawn / labeling.prob
        total += draw.meat([m + (w - 1.0)[:, None] * d], (w[:, None] * d)[labeling.drawn])
    return total / len(draws)


def test_few_labels_in_each_stratum() -> None:
    """Two of 60 rows in each of two strata, all samples: rows' own squares plus N (1 - f) / f S^2 of each stratum's errors."""
    rows = 60
    m, d = population(1, 2 * rows)
    d[rows:] += 3.0
    stratum = np.repeat([0, 1], rows)
    pairs = list(combinations(range(rows), 2))
    seconds = np.random.default_rng(0).permutation(len(pairs))
    prob = np.full(2 * rows, 2 / rows)
    draws = []
    for first, second in zip(pairs, seconds, strict=True):  # all pairs of each stratum, paired at random
        drawn = np.isin(np.arange(2 * rows), [*first, *(rows + np.array(pairs[second]))])
        draws.append(Labeling(prob=prob, drawn=drawn, fixed_size=True, stratum=stratum))
    truth = m.T @ m + sum(rows * (rows / 2 - 1) * np.cov(d[stratum == h].T) for h in (0, 1))
    np.testing.assert_allclose(expected_meat(m, d, draws), truth, rtol=0.03, atol=0.03 * np.diag(truth).max())


def test_units_drawn_whole() -> None:
    """Two of 40 units of three rows, all samples: the same of the units' sums."""
    units = 40
    m, d = population(2, 3 * units)
    unit = np.repeat(np.arange(units), 3)
    prob = np.full(3 * units, 2 / units)
    draws = [
        Labeling(prob=prob, drawn=np.isin(unit, pair), fixed_size=True, unit=unit, unit_prob=prob)
        for pair in combinations(range(units), 2)
    ]
    sums = [np.add.reduceat(part, np.arange(0, 3 * units, 3)) for part in (m, d)]
    truth = sums[0].T @ sums[0] + units * (units / 2 - 1) * np.cov(sums[1].T)
    np.testing.assert_allclose(expected_meat(m, d, draws, unit), truth, rtol=0.04, atol=0.04 * np.diag(truth).max())


def test_rows_within_units() -> None:
    """Two stages: units' sums about their mean, with whatever the second stage adds in them."""
    units, size = 30, 4
    m, d = population(3, size * units)
    unit = np.repeat(np.arange(units), size)
    unit_prob = np.full(len(unit), 2 / units)
    rng, draws = np.random.default_rng(5), []
    for pair in list(combinations(range(units), 2)) * 4:
        drawn = np.zeros(len(unit), dtype=bool)
        for one in pair:
            drawn[rng.choice(np.flatnonzero(unit == one), 2, replace=False)] = True
        draws.append(Labeling(prob=unit_prob / 2, drawn=drawn, fixed_size=True, unit=unit, unit_prob=unit_prob))
    starts = np.arange(0, size * units, size)
    sums = [np.add.reduceat(part, starts) for part in (m, d)]
    inner = sum(np.cov(d[unit == one].T) for one in range(units))
    # Var of units' estimated sums, size (size / 2 - 1) S^2 each, enters with 1 / pi
    truth = (
        sums[0].T @ sums[0] + units * (units / 2 - 1) * np.cov(sums[1].T) + size * (size / 2 - 1) * units / 2 * inner
    )
    np.testing.assert_allclose(expected_meat(m, d, draws, unit), truth, rtol=0.06, atol=0.06 * np.diag(truth).max())


@pytest.mark.long
def test_a_sample_of_a_sample() -> None:
    """20 of 60 rows, 6 of these: rows' squares, N^2 (1/20 - 1/60) S^2 of the first errors, N^2 (1/6 - 1/20) S^2 of the last."""
    rows, sizes, rng = 60, (20, 6), np.random.default_rng(3)
    m, first = population(9, rows)
    last = 0.4 * first + rng.normal(size=(rows, 2)) + np.array([-1.0, 0.7])
    hat, coarse, total, draws = m - first, m - last, np.zeros((2, 2)), 3000
    for _ in range(draws):
        order = rng.permutation(rows)
        there, gold = np.isin(np.arange(rows), order[:20]), np.isin(np.arange(rows), order[:6])
        outer = Labeling(prob=np.full(rows, 20 / 60), drawn=there, fixed_size=True)
        inner = Labeling(prob=np.where(there, 6 / 20, 1.0), drawn=gold, fixed_size=True)
        u, w = (there * rows / 20)[:, None], (gold * rows / 6)[:, None]
        added = [u * (coarse - hat) + w * (m - coarse), w * (m - coarse)]
        on_labels = np.vstack([added[0][there], added[1][gold]])
        total += Draw(labeling=inner, before=(outer,)).meat([hat + added[0]], on_labels) / draws
    parts = [(1 / sizes[0] - 1 / rows) * np.cov(first.T), (1 / sizes[1] - 1 / sizes[0]) * np.cov(last.T)]
    truth = m.T @ m + rows**2 * sum(parts)
    np.testing.assert_allclose(total, truth, rtol=0.05, atol=0.05 * np.diag(truth).max())


def test_weights_scaled_to_the_number_drawn() -> None:
    """Rows drawn one by one: a ratio estimator, sum of w d times (sum of pi) / n, less the errors' total, plus the rows' own."""
    rng = np.random.default_rng(8)
    rows = 300
    m, d = population(4, rows)
    prob = rng.uniform(0.1, 0.5, rows)
    meats, totals = [], []
    for _ in range(4000):
        drawn = rng.random(rows) < prob
        labeling, scaled = Labeling(prob=prob, drawn=drawn, fixed_size=False), prob * drawn.sum() / prob.sum()
        w = drawn / scaled
        meats.append(Draw(labeling=labeling).meat([m + (w - 1.0)[:, None] * d], (w[:, None] * d)[drawn]))
        totals.append((w - 1.0) @ d)
    truth = m.T @ m + np.cov(np.array(totals).T)
    np.testing.assert_allclose(np.mean(meats, axis=0), truth, rtol=0.06, atol=0.06 * np.diag(truth).max())


def stratified(data: pd.DataFrame) -> tuple[pd.DataFrame, LabelDesign]:
    """The posts with gold labels on 20 of each of the three groups, drawn anew."""
    full = data.assign(y=(data["x"] + np.sin(np.arange(len(data))) > 0).astype(float))
    design = dsl.sampling.stratified(full, by="g", allocation={"a": 20, "b": 20, "c": 30}, seed=3)
    return full.assign(y=full["y"].where(design.drawn)).drop(columns=["lab", "pi"]), design


def test_gold_only_is_lambda_of_zero(data: pd.DataFrame) -> None:
    """By strata, with and without clusters that cut across them, although one fit never sees the other rows."""
    table, design = stratified(data)
    for cluster in (None, "cl"):
        call = {"design": design, "vcov": "design", "cluster": cluster}
        alone, zero = run(table, **call, estimator="gold_only"), run(table, **call, tune=0.0)
        np.testing.assert_allclose(alone.cov_params(), zero.cov_params(), rtol=1e-6, atol=1e-8 * alone.bse.max() ** 2)
        robust = run(table, design=design, cluster=cluster, estimator="gold_only")
        assert (np.abs(alone.bse / robust.bse - 1) > 1e-3).any()


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "cdi"])
@pytest.mark.parametrize("formula", ["y ~ x + z", "z ~ y + x"])
def test_lambda_is_chosen_for_this_variance(data: pd.DataFrame, estimator: str, formula: str) -> None:
    """Never worse than either end, and the more freedom, the smaller."""
    table, design = stratified(data)
    assert run(table, formula, design=design, estimator=estimator, tune="coef").call.vcov == "design+HC3"
    call = {"design": design, "estimator": estimator, "vcov": "design"}
    scalar, coef, matrix = (run(table, formula, **call, tune=tune) for tune in ("scalar", "coef", "matrix"))
    ends = coef.tuning[["se_plain", "se_without"]].min(axis=1)
    assert (coef.bse <= (1 + SAME_ALGEBRA) * ends).all()
    assert (coef.bse <= (1 + SAME_ALGEBRA) * scalar.bse).all()
    assert (matrix.bse <= (1 + SAME_ALGEBRA) * coef.bse).all()
    plain = run(table, formula, **call, tune=1.0)
    np.testing.assert_allclose(coef.tuning["se_plain"], plain.bse, rtol=ROOT)


def test_equations_of_categories(data: pd.DataFrame) -> None:
    """Each category's own covariance is that of its 0/1 column, and those between categories make their sums known."""
    rng = np.random.default_rng(6)
    topic = pd.Series(rng.choice(["a", "b", "c"], len(data))).where(data["lab"] == 1)
    table = data.assign(topic=topic, guess=rng.choice(["a", "b", "c"], len(data)))
    call = {"predicted_var": "topic", "prediction": "guess", "vcov": "design"}
    joint = run(table, "topic ~ x", **call)
    k = len(joint.params) // 3
    total = np.kron(np.ones((1, 3)), np.eye(k))
    vcov = joint.cov_params().to_numpy()
    np.testing.assert_allclose(total @ vcov @ total.T, 0.0, atol=1e-6 * np.diag(vcov).max())  # made definite
    for place, level in enumerate("abc"):
        own = run(table, f'I(topic == "{level}") ~ x', **call)
        block = vcov[place * k : (place + 1) * k, place * k : (place + 1) * k]
        np.testing.assert_allclose(block, own.cov_params(), rtol=ROOT, atol=ROOT * own.bse.max() ** 2)


@pytest.mark.parametrize(
    "arguments", [{"vcov": "design"}, {"tune": "coef", "vcov": "design"}, {"estimator": "gold_only", "vcov": "design"}]
)
def test_influences_make_the_covariance(data: pd.DataFrame, arguments: dict[str, Any]) -> None:
    """Comparisons take differences of them."""
    from dsl.estimators.again import analysis_of

    table, design = stratified(data)
    fit = run(table, "y ~ x + z", design=design, cluster="cl", **arguments)
    own = next(influences(fit.core, analysis_of(fit.core, table)))
    np.testing.assert_allclose(own.T @ own, fit.cov_params(), rtol=1e-6, atol=1e-8 * fit.bse.max() ** 2)


@pytest.mark.parametrize("vcov", [None, "design"])
def test_others_keep_the_covariance_where_they_have_it(data: pd.DataFrame, vcov: str | None) -> None:
    """What was asked for goes on to the other estimators of a comparison, what was not is each one's own."""
    fit = run(data, "y ~ x + z", tune="coef", vcov=vcov)
    table = fit.compare(data, estimators=["naive", "gold_only", "ppi", "dsl"])
    kinds = {name: each.call.vcov for name, each in table.fits.items()}
    assert table.table["std_error"].notna().all()
    asked, own = vcov or "robust", "design" if vcov else "design+HC3"
    assert kinds == {"naive": "robust", "gold_only": asked, "ppi": "robust", "dsl": asked, "tuned": own}
    plain = run(data, "y ~ x + z", vcov="design").compare(data, estimators=["naive", "gold_only", "ppi", "dsl+"])
    kinds = {name: each.call.vcov for name, each in plain.fits.items()}
    assert kinds == {"naive": "robust", "gold_only": "design", "dsl": "design", "dsl+": "design", "ppi": "robust"}


def test_power_at_the_present_size_is_the_fit(data: pd.DataFrame) -> None:
    """Labels shrink the errors about their mean; what all rows labelled leave is the moment's own variance."""
    fit = run(data, "z ~ y + x", vcov="design")
    curve = dsl.power_dsl(fit, labeled_size=[80, 200])
    _, c, bread = scores_of(fit, data, "z ~ y + x")
    mean = c.sum(axis=0) / 80
    gaps = c[data["lab"] == 1] - mean
    vcov = fit.cov_params().to_numpy() - bread @ (gaps.T @ gaps) @ bread.T * (1 - 80 / 200)
    expected = np.sqrt(np.diag(vcov))
    np.testing.assert_allclose(np.asarray(curve.predicted_se)[-1], expected, rtol=1e-6)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "naive": ({"estimator": "naive"}, "uses no labelled rows"),
    "ppi++": ({"estimator": "ppi++"}, "two samples of fixed sizes already"),
    "finite": ({"target": "finite"}, "of the draw alone already"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(data: pd.DataFrame, case: str) -> None:
    arguments, told = REFUSED[case]
    with pytest.raises(ArgumentError, match=told):
        run(data, vcov="design", **arguments)


def test_defaults(data: pd.DataFrame) -> None:
    """The reference's covariance for plain estimates, that of the draw where a lambda is chosen for a superpopulation."""
    kinds: list[tuple[dict[str, Any], str]] = [
        ({}, "robust"),
        ({"tune": 0.5}, "robust"),
        ({"estimator": "gold_only"}, "robust"),
        ({"estimator": "ppi++"}, "robust"),
        ({"tune": "coef", "target": "finite"}, "robust"),
        ({"tune": "coef"}, "design+HC3"),
        ({"estimator": "dsl+"}, "design+HC3"),
        ({"estimator": "cdi"}, "design+HC3"),
        ({"tune": "coef", "vcov": "HC1"}, "HC1"),
    ]
    for arguments, vcov in kinds:
        assert run(data, **arguments).call.vcov == vcov
