"""Distribution functions of two samples: their variances against sums written out, designs, and every way to label."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.analyses.paired import Paired, read
from dsl.analyses.quantile import labels_of, rows_of
from dsl.engine.labeling import finite_meat
from dsl.engine.quantile import (
    Labeled,
    Steps,
    best_lambda_at,
    cdf,
    finite_best_lambda_at,
    finite_errors,
    inverse,
    largest_finite_error,
    steps_of,
    variance,
)
from tests.analyses.test_quantile import SAME_SUMS, table, unequal

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning"),
]  # first rows labelled


def read_pair(data: pd.DataFrame) -> Paired:
    return read(data, gold="y", prediction="f", labeled=None, sample_prob=None, cluster=None, design=None)


def finite(paired: Paired) -> Labeled:
    return labels_of(paired, rows_of(paired))


def _cdf_at(steps: Steps, t: float, lam: float) -> float:
    return (
        float(cdf(steps.shares, lam)[np.searchsorted(steps.grid, t, side="right") - 1]) if t >= steps.grid[0] else 0.0
    )


def influence(data: pd.DataFrame, t: float, lam: float, prob: np.ndarray, cluster: np.ndarray) -> float:
    """Variance of F(t), written out."""
    labeled = data["y"].notna().to_numpy()
    other = np.where(prob >= 1.0, 1.0, ~labeled / np.where(prob >= 1.0, 1.0, 1.0 - prob))
    p, r = labeled / prob / (labeled / prob).sum(), other / other.sum()
    y = np.where(labeled, (data["y"] <= t) * 1.0, 0.0)
    f = (data["f"] <= t) * 1.0
    own = p * (y - p @ y) - lam * p * (f - p @ f) + lam * r * (f - r @ f)
    return float((np.bincount(cluster, own) ** 2).sum())


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    lam=st.floats(-0.5, 1.5),
    clustered=st.booleans(),
    probabilities=st.booleans(),
    digits=st.sampled_from([None, 1]),
)
def test_variance_without_a_matrix(
    seed: int, lam: float, clustered: bool, probabilities: bool, digits: int | None
) -> None:
    """Running sums against the influence of every row at every observed value."""
    data = unequal(90, seed) if probabilities else table(30, 90, seed, digits=digits)
    data["c"] = np.random.default_rng(seed).integers(0, 20 if clustered else 90, len(data))
    names = {"cluster": "c" if clustered else None, "sample_prob": "pi" if probabilities else None}
    paired = read(data, gold="y", prediction="f", labeled=None, design=None, **names)
    rows = rows_of(paired)
    steps = steps_of(rows)
    prob = data["pi"].to_numpy() if probabilities else np.full(len(data), data["y"].notna().mean())
    cluster = np.unique(data["c"], return_inverse=True)[1] if clustered else np.arange(len(data))
    expected = [influence(data, t, lam, prob, cluster) for t in steps.grid]
    np.testing.assert_allclose(variance(rows, steps, lam), expected, atol=SAME_SUMS)
    np.testing.assert_allclose(cdf(steps.shares, lam)[-1], 1.0, atol=SAME_SUMS)


@pytest.mark.parametrize("clustered", [False, True])
def test_best_lambda_minimises_the_variance(clustered: bool) -> None:
    data = table(noise=0.8)
    paired = read(
        data, gold="y", prediction="f", labeled=None, sample_prob=None, cluster="c" if clustered else None, design=None
    )
    rows = rows_of(paired)
    steps = steps_of(rows)
    t = inverse(steps.grid, cdf(steps.shares, 0.0), 0.5)
    best, place = best_lambda_at(rows, steps, t), int(np.searchsorted(steps.grid, t))
    around = [variance(rows, steps, lam)[place] for lam in (best - 0.05, best, best + 0.05)]
    assert 0.0 < best < 1.0
    assert around[1] < min(around[0], around[2])


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_finite_standard_error_is_that_of_a_share(lam: float) -> None:
    """F(t) is a mean of 0/1 values, for which `dsl.dsl` has a two-sample estimate with a finite target."""
    data = table()
    labels = finite(read_pair(data))
    for t in (-0.7, 0.1, 1.2):
        shares = pd.DataFrame({"y": (data["y"] <= t).where(data["y"].notna()), "f": data["f"] <= t}).astype(float)
        fit = dsl.dsl("y ~ 1", shares, predicted_var="y", prediction="f", estimator="ppi", tune=lam, target="finite")
        assert finite_errors(labels, lam, np.array([t]))[0] == pytest.approx(fit.bse["Intercept"], rel=SAME_SUMS)


def test_finite_variance_is_unbiased() -> None:
    """Over all 70 ways to label four of eight rows."""
    rng = np.random.default_rng(2)
    truth = pd.DataFrame({"y": rng.normal(size=8), "f": rng.normal(size=8)})
    shares, variances = [], []
    for rows in combinations(range(8), 4):
        paired = read_pair(truth.assign(y=truth["y"].where(truth.index.isin(rows))))
        shares.append(_cdf_at(steps_of(rows_of(paired)), 0.2, 0.7))
        variances.append(finite_errors(finite(paired), 0.7, np.array([0.2]))[0] ** 2)
    assert np.mean(variances) == pytest.approx(np.var(shares), rel=SAME_SUMS)
    assert np.mean(shares) == pytest.approx((truth["y"] <= 0.2).mean())


@pytest.mark.parametrize("draw", ["pps", "stratified", "two stages"])
def test_finite_variance_is_that_of_the_design(draw: str) -> None:
    """Contributions written out, and the variance that all estimators of `dsl.dsl` have for these designs."""
    base = table(n=900).assign(size=lambda d: 1 + d["f"].abs(), g=lambda d: d["c"] % 4)
    design = {
        "pps": lambda: dsl.sampling.proportional_to_size(base, 200, measure="size"),
        "stratified": lambda: dsl.sampling.stratified(base, 200, by="g"),
        "two stages": lambda: dsl.sampling.two_stage(base, 100, 2, by="c"),
    }[draw]()
    data = base.assign(y=base["y"].where(design.drawn))
    paired = read(data, gold="y", prediction="f", labeled=None, sample_prob=None, cluster=None, design=design)
    labels = finite(paired)
    rows, t, lam = paired.labeled_rows, 0.3, 0.8
    p = 1 / design.prob[rows] / (1 / design.prob[rows]).sum()
    s = 1 / (1 - design.prob[rows]) / (1 / (1 - design.prob[~design.drawn])).sum()
    y, f = (data["y"].to_numpy()[rows] <= t) * 1.0, (data["f"].to_numpy()[rows] <= t) * 1.0
    own = p * (y - p @ y) - lam * (p + s) * (f - p @ f)
    expected = finite_meat(own[:, None], paired.sample.labeling)[0, 0]
    assert finite_errors(labels, lam, np.array([t]))[0] ** 2 == pytest.approx(expected, rel=SAME_SUMS)


def test_finite_best_lambda_minimises_the_variance() -> None:
    labels = finite(read_pair(table(noise=1.5)))
    best = finite_best_lambda_at(labels, 0.4)
    assert 0.1 < best < 0.9
    errors = [finite_errors(labels, lam, np.array([0.4]))[0] for lam in (best, best - 0.01, best + 0.01)]
    assert errors[0] == min(errors)


def test_finite_variance_where_some_rows_were_certain() -> None:
    """They are labelled in every repetition: never on the side of the others, and no part of the variance."""
    data = unequal(400, 3)
    certain = (data["pi"] == 1.0).to_numpy()
    assert certain.sum() > 20
    paired = read(data, gold="y", prediction="f", labeled=None, sample_prob="pi", cluster=None, design=None)
    labels = finite(paired)
    labeled, prob, t, lam = data["y"].notna().to_numpy(), data["pi"].to_numpy(), 0.4, 0.9
    p = labels.p
    others = (~labeled & ~certain) / np.where(certain, 1.0, 1 - prob) + certain
    s = np.where(certain, 0.0, 1 / np.where(certain, 1.0, 1 - prob))[labeled] / others.sum()
    y, f = (data["y"].to_numpy()[labeled] <= t) * 1.0, (data["f"].to_numpy()[labeled] <= t) * 1.0
    own = p * (y - p @ y) - lam * (p + s) * (f - p @ f)
    expected = ((1 - prob[labeled]) * (own - own.mean()) ** 2).sum()
    assert finite_errors(labels, lam, np.array([t]))[0] ** 2 == pytest.approx(expected, rel=SAME_SUMS)


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("kind", ["one by one", "threads"])
def test_no_standard_error_exceeds_the_bound(lam: float, kind: str) -> None:
    """Nor is the bound so wide that it leaves nothing out: at most 9 times the largest, where errors are at their worst
    (surrogates that say the opposite, threads of equal rows).
    """
    y = np.random.default_rng(0).normal(size=700)[np.repeat(np.arange(700), 3)]
    base = pd.DataFrame({"y": y, "f": -y, "c": np.repeat(np.arange(700), 3)})
    design = dsl.sampling.simple_random(base, 40) if kind == "one by one" else dsl.sampling.clustered(base, 40, by="c")
    data = base.assign(y=base["y"].where(design.drawn))
    paired = read(data, gold="y", prediction="f", labeled=None, sample_prob=None, cluster=None, design=design)
    labels = finite(paired)
    largest = finite_errors(labels, lam, np.unique(np.concatenate([labels.y, labels.f]))).max()
    assert largest <= largest_finite_error(labels, lam) <= 9 * largest
