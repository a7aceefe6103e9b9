"""The rows as the population: variances of sampling textbooks (Cochran 1977; Sarndal, Swensson and Wretman 1992)."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl.exceptions import AllLabeledWarning, ArgumentError, DataError, DroppedRowsWarning, LabelError
from dsl.sampling import LabelDesign

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
N, n = 120, 48
F = n / N


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """120 posts under text labels, in 3 strata and 24 threads of 5."""
    rng = np.random.default_rng(21)
    stratum = np.repeat([0, 1, 2], [60, 40, 20])
    x = rng.normal(size=N) + stratum
    y = 1 + x + rng.normal(size=N) * (1 + stratum)
    return pd.DataFrame(
        {"x": x, "y": y, "llm": y + 0.7 * rng.normal(size=N) + 0.5, "stratum": stratum, "thread": np.arange(N) % 24},
        index=[f"post {i}" for i in range(N)],
    )


def designed(truth: pd.DataFrame, drawn: Any, prob: Any, **details: Any) -> tuple[pd.DataFrame, LabelDesign]:
    """The table with gold labels where drawn, and the design."""
    drawn = np.isin(np.arange(len(truth)), drawn)
    prob = np.broadcast_to(np.asarray(prob, dtype=float), len(truth))
    design = LabelDesign(rows=truth.index, prob=prob, drawn=drawn, **{"kind": "srs", "fixed_size": True, **details})
    return truth.assign(y=truth["y"].where(drawn)), design


def simple(truth: pd.DataFrame, seed: int = 1) -> tuple[pd.DataFrame, LabelDesign]:
    return designed(truth, np.random.default_rng(seed).choice(N, n, replace=False), F)


def run(formula: str, data: pd.DataFrame, **arguments: Any) -> Any:
    """The raw surrogate in the place of predictions, unless told otherwise."""
    call = {"estimator": "cdi", "tune": 1.0, "target": "finite", "predicted_var": "y", "prediction": "llm"}
    if arguments.get("estimator") in ("dsl", "dsl+", "gold_only"):
        call |= {"tune": None, "sl_method": "lm", "sample_split": 1, "cross_fit": 3}
    return dsl.dsl(formula, data, **{**call, **arguments})


def gap(fit: Any, data: pd.DataFrame, estimator: str) -> pd.Series:
    """What is estimated from the labelled rows: y, or its difference from the prediction."""
    used = {"gold_only": 0.0, "cdi": data["llm"]}
    hat = fit.predictions[0, :, 0] if estimator in ("dsl", "dsl+") else used[estimator]
    return (data["y"] - hat).dropna()


@pytest.mark.parametrize("estimator", ["gold_only", "cdi", "dsl"])
@pytest.mark.parametrize("how", ["design", "by default"])
def test_simple_random_sample(truth: pd.DataFrame, estimator: str, how: str) -> None:
    """Mean: (1 - f) s^2 / n."""
    data, design = simple(truth)
    fit = run("y ~ 1", data, estimator=estimator, **({"design": design} if how == "design" else {}))
    d = gap(fit, data, estimator)
    assert fit.bse.iloc[0] ** 2 == pytest.approx((1 - F) * d.var(ddof=1) / n, rel=SAME_ALGEBRA)
    hat = truth["y"] * 0 if estimator == "gold_only" else data["y"].fillna(0) - d.reindex(data.index)
    if estimator == "cdi":
        assert fit.params.iloc[0] == pytest.approx(data["llm"].mean() + d.mean(), rel=SAME_ALGEBRA)
    elif estimator == "gold_only":
        assert fit.params.iloc[0] == pytest.approx(d.mean() + hat.mean(), rel=SAME_ALGEBRA)


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0, 1.7])
def test_any_lambda(truth: pd.DataFrame, lam: float) -> None:
    """Mean of y - lam f over the labelled rows, plus lam times that of f over all: y - lam f is what varies."""
    data, design = simple(truth)
    fit = run("y ~ 1", data, tune=lam, design=design)
    varies = (data["y"] - lam * data["llm"]).dropna()
    assert fit.params.iloc[0] == pytest.approx(varies.mean() + lam * data["llm"].mean(), rel=SAME_ALGEBRA)
    assert fit.bse.iloc[0] ** 2 == pytest.approx((1 - F) * varies.var(ddof=1) / n, rel=SAME_ALGEBRA)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0 - F, 1.0])
def test_prediction_powered_mean(truth: pd.DataFrame, lam: float) -> None:
    """lam mean_U f + mean_L (y - lam f): all rows' sum of f is fixed, so that y - lam f / (1 - f) is what varies."""
    data, design = simple(truth)
    fit = run("y ~ 1", data, estimator="ppi", tune=lam, design=design)
    varies = (data["y"] - lam / (1 - F) * data["llm"]).dropna()
    assert fit.bse.iloc[0] ** 2 == pytest.approx((1 - F) * varies.var(ddof=1) / n, rel=SAME_ALGEBRA)


@pytest.mark.parametrize("model", ["lm", "logit"])
@pytest.mark.parametrize("estimator", ["gold_only", "cdi", "dsl"])
def test_regression(truth: pd.DataFrame, estimator: str, model: str) -> None:
    """J^-1 (1 - f) N^2 S^2 / n J^-1, with S^2 the covariance of x times the labelled rows' residual difference."""
    if model == "logit":
        truth = truth.assign(y=(truth["y"] > 2.0).astype(float), llm=(truth["llm"] > 2.5).astype(float))
    data, design = simple(truth)
    fit = run("y ~ x", data, estimator=estimator, model=model, design=design)
    x = np.column_stack([np.ones(N), data["x"]])
    linear = x @ fit.params.to_numpy()
    mean = 1 / (1 + np.exp(-linear)) if model == "logit" else linear
    slope = mean * (1 - mean) if model == "logit" else np.ones(N)
    drawn = design.drawn
    d = (data["y"] - mean).to_numpy() if estimator == "gold_only" else gap(fit, data, estimator).reindex(data.index)
    scores = x[drawn] * np.asarray(d)[drawn, None]
    meat = (1 - F) * N**2 / n * np.cov(scores.T)
    weight = np.where(drawn, N / n, 0.0) if estimator == "gold_only" else np.ones(N)
    half = np.linalg.inv((x * (weight * slope)[:, None]).T @ x)
    np.testing.assert_allclose(fit.cov_params(), half @ meat @ half, rtol=1e-6, atol=1e-9 * fit.bse.max() ** 2)


def independent(truth: pd.DataFrame) -> tuple[pd.DataFrame, LabelDesign]:
    prob = np.random.default_rng(5).uniform(0.2, 0.7, N)
    drawn = np.flatnonzero(np.random.default_rng(6).random(N) < prob)
    return designed(truth, drawn, prob, kind="bernoulli", fixed_size=False)


def stratified(truth: pd.DataFrame) -> tuple[pd.DataFrame, LabelDesign, pd.DataFrame]:
    sizes = pd.DataFrame({"N": [60, 40, 20], "n": [12, 20, 16]})
    rng = np.random.default_rng(3)
    drawn = [rng.choice(np.flatnonzero(truth["stratum"] == h), sizes.n[h], replace=False) for h in sizes.index]
    prob = (sizes["n"] / sizes["N"])[truth["stratum"]].to_numpy()
    data, design = designed(truth, np.concatenate(drawn), prob, kind="stratified", stratum=truth["stratum"].to_numpy())
    return data, design, sizes


@pytest.mark.parametrize("estimator", ["gold_only", "cdi", "dsl"])
def test_stratified(truth: pd.DataFrame, estimator: str) -> None:
    """Mean: sum (N_h / N)^2 (1 - f_h) s_h^2 / n_h."""
    data, design, sizes = stratified(truth)
    fit = run("y ~ 1", data, estimator=estimator, design=design)
    spread = gap(fit, data, estimator).groupby(truth["stratum"]).var(ddof=1)
    share = sizes["n"] / sizes["N"]
    expected = ((sizes["N"] / N) ** 2 * (1 - share) * spread / sizes["n"]).sum()
    assert fit.bse.iloc[0] ** 2 == pytest.approx(expected, rel=SAME_ALGEBRA)
    if estimator == "gold_only":
        means = data.groupby("stratum")["y"].mean()
        assert fit.params.iloc[0] == pytest.approx((sizes["N"] / N * means).sum(), rel=SAME_ALGEBRA)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")
def test_a_stratum_with_one_label(truth: pd.DataFrame) -> None:
    """It shows no spread within itself, so that all of its contribution counts: too much rather than too little.

    Contributions w d, less their mean over all labelled rows; strata of several labels have (1 - f) n s^2 of theirs.
    """
    drawn = np.array([3, 17, 40, 58, 61, 70, 88, 110])
    share = np.array([4 / 60, 3 / 40, 1 / 20])
    stratum = truth["stratum"].to_numpy()
    data, design = designed(truth, drawn, share[stratum], kind="stratified", stratum=stratum)
    fit = run("y ~ 1", data, design=design)
    c = ((data["y"] - data["llm"]) / share[stratum]).dropna()
    c = (c - c.mean()).groupby(truth["stratum"])
    expected = sum((1 - share[h]) * (4, 3)[h] * c.get_group(h).var(ddof=1) for h in (0, 1))
    expected += (1 - share[2]) * c.get_group(2).item() ** 2
    assert fit.bse.iloc[0] ** 2 == pytest.approx(expected / N**2, rel=SAME_ALGEBRA)


@pytest.mark.parametrize("how", ["design", "by default"])
def test_independent_draws(truth: pd.DataFrame, how: str) -> None:
    """Weights 1 / pi, scaled as the expected number of labelled rows to the actual one."""
    data, design = independent(truth)
    given = {"design": design} if how == "design" else {"sample_prob": "pi"}
    fit = run("y ~ 1", data.assign(pi=design.prob), **given)
    weight = design.prob.sum() / design.n_drawn / design.prob[design.drawn]
    np.testing.assert_allclose(1 / fit.sample.sample_prob[design.drawn], weight, rtol=SAME_ALGEBRA)
    d = (data["y"] - data["llm"]).to_numpy()[design.drawn]
    assert fit.params.iloc[0] == pytest.approx(data["llm"].mean() + (weight * d).sum() / N, rel=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.splits.label_scores[:, 0], weight * d, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("estimator", ["gold_only", "cdi"])
def test_whole_clusters(truth: pd.DataFrame, estimator: str) -> None:
    """Mean from m of M threads: M^2 (1 - m/M) s_t^2 / m / N^2, with s_t^2 the variance of the threads' totals."""
    threads, thread = np.array([0, 3, 4, 7, 11, 12, 19, 20, 23]), truth["thread"].to_numpy()
    share = len(threads) / 24
    units = {"unit": thread, "unit_prob": np.full(N, share)}
    data, design = designed(truth, np.flatnonzero(np.isin(thread, threads)), share, kind="cluster", **units)
    fit = run("y ~ 1", data, estimator=estimator, design=design)
    d = gap(fit, data, estimator) - (fit.params.iloc[0] if estimator == "gold_only" else 0.0)
    totals = d.groupby(truth["thread"]).sum()
    assert len(totals) == len(threads)
    expected = 24**2 * (1 - share) * totals.var(ddof=1) / len(threads) / N**2
    assert fit.bse.iloc[0] ** 2 == pytest.approx(expected, rel=SAME_ALGEBRA)


def test_two_stages(truth: pd.DataFrame) -> None:
    """M^2 (1 - f) s_t^2 / m + (M / m) sum over drawn threads of N_j^2 (1 - f_j) s_j^2 / n_j (Cochran, eq. 11.24)."""
    thread = truth["thread"].to_numpy()
    rng = np.random.default_rng(8)
    threads = rng.choice(24, 12, replace=False)
    drawn = np.concatenate([rng.choice(np.flatnonzero(thread == j), 3, replace=False) for j in threads])
    units = {"unit": thread, "unit_prob": np.full(N, 12 / 24)}
    data, design = designed(truth, drawn, 12 / 24 * 3 / 5, kind="two_stage", **units)
    fit = run("y ~ 1", data, design=design)
    groups = (data["y"] - data["llm"]).dropna().groupby(truth["thread"])
    totals = 5 * groups.mean()
    between = 24**2 * (1 - 12 / 24) * totals.var(ddof=1) / 12
    inside = 24 / 12 * (5**2 * (1 - 3 / 5) * groups.var(ddof=1) / 3).sum()
    assert fit.bse.iloc[0] ** 2 == pytest.approx((between + inside) / N**2, rel=SAME_ALGEBRA)


Sample = tuple[tuple[int, ...], float]
"""Rows drawn, and the probability of drawing just these."""
SMALL = 8
STRATA, UNITS = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 2, 2])


def simple_samples() -> Iterator[Sample]:
    yield from ((rows, 1 / 56) for rows in combinations(range(SMALL), 3))


def stratified_samples() -> Iterator[Sample]:
    for one, other in product(combinations(range(4), 2), combinations(range(4, 8), 3)):
        yield one + other, 1 / 24


def two_stage_samples() -> Iterator[Sample]:
    """Two of three units, two rows of each."""
    for i, j in combinations(range(3), 2):
        pairs = [list(combinations(np.flatnonzero(unit == UNITS).tolist(), 2)) for unit in (i, j)]
        for one, other in product(*pairs):
            yield one + other, 1 / 3 / len(pairs[0]) / len(pairs[1])


EVERY_SAMPLE: dict[str, tuple[Callable[[], Iterator[Sample]], Any, dict[str, Any]]] = {
    "simple": (simple_samples, 3 / 8, {}),
    "stratified": (stratified_samples, np.where(STRATA == 0, 2 / 4, 3 / 4), {"kind": "stratified", "stratum": STRATA}),
    "two stages": (
        two_stage_samples,
        2 / 3 * 2 / np.array([3, 3, 2])[UNITS],
        {"kind": "two_stage", "unit": UNITS, "unit_prob": np.full(SMALL, 2 / 3)},
    ),
}


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")
@pytest.mark.parametrize("case", EVERY_SAMPLE)
def test_every_possible_sample(truth: pd.DataFrame, case: str) -> None:
    """Over all samples the estimate is unbiased for the mean of the rows, and so is its variance. Both exactly."""
    samples, prob, details = EVERY_SAMPLE[case]
    few = truth.iloc[10 : 10 + SMALL]
    found = []
    for drawn, likely in samples():
        data, design = designed(few, drawn, prob, **details)
        fit = run("y ~ 1", data, design=design)
        found.append([likely, fit.params.iloc[0], fit.bse.iloc[0] ** 2, *design.drawn])
    likely, estimates, variances, *drawn = np.array(found).T
    assert likely.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.array(drawn) @ likely, np.broadcast_to(prob, SMALL))
    assert likely @ estimates == pytest.approx(few["y"].mean(), rel=SAME_ALGEBRA)
    assert likely @ variances == pytest.approx(likely @ (estimates - few["y"].mean()) ** 2, rel=SAME_ALGEBRA)


@pytest.mark.parametrize("estimator", ["gold_only", "dsl", "dsl+", "cdi"])
def test_every_row_labelled_leaves_nothing_to_chance(truth: pd.DataFrame, estimator: str) -> None:
    with pytest.warns(AllLabeledWarning):
        fit = run("y ~ x", truth, estimator=estimator)
    np.testing.assert_allclose(fit.params, smf.ols("y ~ x", truth).fit().params, rtol=SAME_ALGEBRA)
    np.testing.assert_array_equal(fit.bse, 0.0)
    assert "finite population" in str(fit.summary())


@pytest.mark.parametrize("estimator", ["gold_only", "dsl", "dsl+", "cdi", "ppi"])
@pytest.mark.parametrize("formula", ["y ~ 1", "y ~ x"])
def test_narrower_than_for_a_superpopulation(truth: pd.DataFrame, estimator: str, formula: str) -> None:
    data, _ = simple(truth)
    call = {"estimator": estimator} | ({"tune": 1.0} if estimator == "dsl+" else {})
    finite, wide = (run(formula, data, target=target, **call) for target in ("finite", "superpopulation"))
    np.testing.assert_array_equal(finite.params, wide.params)
    assert (finite.bse < wide.bse).all()


def test_clusters_matter_only_where_they_were_drawn(truth: pd.DataFrame) -> None:
    """Rows drawn one by one: given the rows, nothing else varies, whatever correlates within threads."""
    data, _ = simple(truth)
    plain, cluster = run("y ~ x", data), run("y ~ x", data, cluster="thread")
    np.testing.assert_allclose(cluster.bse, plain.bse, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("estimator", ["cdi", "gold_only", "ppi"])
def test_design_finds_rows_by_their_labels(truth: pd.DataFrame, estimator: str) -> None:
    data, design = simple(truth)
    call = {"estimator": estimator, "design": design}
    ordered, shuffled = run("y ~ x", data, **call), run("y ~ x", data.sample(frac=1.0, random_state=0), **call)
    np.testing.assert_allclose(shuffled.params, ordered.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(shuffled.bse, ordered.bse, rtol=SAME_ALGEBRA)
    data, design, _ = stratified(truth)
    call = {"estimator": "cdi", "design": design}
    ordered, shuffled = run("y ~ x", data, **call), run("y ~ x", data.sample(frac=1.0, random_state=0), **call)
    np.testing.assert_allclose(shuffled.bse, ordered.bse, rtol=SAME_ALGEBRA)


def test_design_is_labels_and_probabilities(truth: pd.DataFrame) -> None:
    """Without strata and fixed sizes the design says what `labeled` and `sample_prob` say."""
    data, design = independent(truth)
    data = data.assign(pi=design.prob, lab=design.drawn.astype(int))
    for target in ("finite", "superpopulation"):
        one = run("y ~ x", data, design=design, estimator="dsl", target=target)
        other = run("y ~ x", data, labeled="lab", sample_prob="pi", estimator="dsl", target=target)
        np.testing.assert_array_equal(one.params, other.params)
        np.testing.assert_allclose(one.bse, other.bse, rtol=SAME_ALGEBRA)


def test_rows_dropped_for_missing_values(truth: pd.DataFrame) -> None:
    """The design covers them, the analysis is about the others."""
    data, design = simple(truth)
    data.iloc[[0, 5, 9, 30], data.columns.get_loc("x")] = np.nan
    with pytest.warns(DroppedRowsWarning, match="4 of 120 rows"):
        fit = run("y ~ x", data, design=design)
    kept = data.dropna(subset=["x"])
    again = run("y ~ x", kept)
    assert fit.n_labeled == kept["y"].notna().sum()
    np.testing.assert_allclose(fit.params, again.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, again.bse, rtol=0.02)  # 1 - f of all rows, or of these


def test_unequal_design_is_refused_by_prediction_powered_inference(truth: pd.DataFrame) -> None:
    data, design, _ = stratified(truth)
    with pytest.raises(ArgumentError, match=r"equal probability.*estimator='cdi'"):
        run("y ~ x", data, design=design, estimator="ppi")


MISMATCHES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], type[Exception], list[str]]] = {
    "rows left out": (
        lambda d: d.iloc[5:],
        DataError,
        ["120 rows and the data 115", "5 rows (first: post 0", "design.subset(data.index)"],
    ),
    "labels anew": (lambda d: d.reset_index(drop=True), DataError, ["120 rows", "first: 0, 1, 2", "labels they had"]),
    "labels repeated": (lambda d: d.set_axis(["a"] * N), DataError, ["not unique", "labelling design"]),
    "drawn but not labelled": (
        lambda d: d.assign(y=d["y"].where(d["y"].rank() > 2)),
        LabelError,
        ["'y' is missing in 2 rows", "drawn by the design", "every row that was drawn"],
    ),
    "labelled but not drawn": (
        lambda d: d.assign(y=d["y"].fillna(d["x"])),
        LabelError,
        ["'y' has a gold value in 72 rows", "not drawn by the design", "set 'y' to missing"],
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_design_that_does_not_fit(truth: pd.DataFrame, case: str) -> None:
    change, error, told = MISMATCHES[case]
    data, design = simple(truth)
    with pytest.raises(error) as raised:
        run("y ~ x", change(data), design=design)
    for part in told:
        assert part in str(raised.value)


def test_contradictory_arguments(truth: pd.DataFrame) -> None:
    data, design = simple(truth)
    data = data.assign(lab=design.drawn.astype(int), pi=F)
    for role, column in (("labeled", "lab"), ("sample_prob", "pi")):
        with pytest.raises(ArgumentError, match=f"design and {role}='{column}' say the same thing twice"):
            run("y ~ x", data, design=design, **{role: column})
    with pytest.raises(ArgumentError, match=r"must be a dsl.sampling.LabelDesign; found str"):
        run("y ~ x", data, design="srs")
    with pytest.raises(ArgumentError, match=r"unknown target 'sample'.*superpopulation, finite"):
        run("y ~ x", data, target="sample")
    with pytest.raises(ArgumentError, match="'naive' uses no labelled rows"):
        run("y ~ x", data, estimator="naive", tune=None)
    _, empty = designed(truth, [], F)
    with pytest.raises(LabelError, match="drew no rows"):
        run("y ~ x", truth.assign(y=np.nan), design=empty)
