"""Posts nested in users, with a surrogate that is wrong in its own way for every kind of user: what covers, and what does not."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl.analyses.aggregate import aggregate
from dsl.analyses.proportions import proportions
from dsl.engine.intervals import share_intervals
from dsl.sampling import LabelDesign
from tests.simulation.replicate import coverage_error

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:every row is labelled"),  # every user has a labelled post, in some draws
]

REPLICATIONS = 500
USERS, POSTS = 150, 12
QUICK = {"sl_method": "lm", "sample_split": 1, "cross_fit": 5}
UNIT = {"unit": "user", "gold": "toxic", "prediction": "llm"}
TOLERANCE = 3 * coverage_error(REPLICATIONS)  # about thirty coverages are looked at

Interval = tuple[float, float, float]
"""Estimate and the ends of its interval."""


def world(rng: np.random.Generator) -> pd.DataFrame:
    """Toxic in .3 (old users) and .5 (new ones) of the posts; y = 1 + 2 (share toxic) + noise per user.

    The surrogate misses a fifth of what is toxic, and takes more of the new users' other posts for toxic.
    """
    rows = 2 + rng.poisson(POSTS - 2, USERS)
    user = np.repeat(np.arange(USERS), rows)
    new = (rng.random(USERS) < 0.5).astype(float)
    share = 0.3 + 0.2 * new + 0.3 * rng.uniform(-1, 1, USERS)
    toxic = (rng.random(len(user)) < share[user]).astype(float)
    wrong = np.where(toxic == 1, 0.2, 0.1 + 0.3 * new[user])
    llm = np.where(rng.random(len(user)) < wrong, 1 - toxic, toxic)
    y = 1 + 2 * np.bincount(user, toxic) / rows + 0.3 * rng.normal(size=USERS)
    return pd.DataFrame({"user": user, "new": new[user], "toxic": toxic, "llm": llm, "y": y[user]})


def hide(posts: pd.DataFrame, design: LabelDesign) -> pd.DataFrame:
    return posts.assign(toxic=posts["toxic"].where(design.drawn))


def least_squares(y: pd.Series, x: pd.Series) -> Interval:
    fit = sm.OLS(y.to_numpy(), sm.add_constant(x.to_numpy(dtype=float))).fit(cov_type="HC1")
    return float(fit.params[1]), *map(float, fit.conf_int()[1])


def from_dsl(formula: str, data: pd.DataFrame, term: str, **arguments: object) -> Interval:
    fit = dsl.dsl(formula, data, predicted_var="toxic", prediction="llm", **QUICK, **arguments)
    return float(fit.params[term]), *map(float, fit.conf_int().loc[term])


def corrected(units: pd.DataFrame) -> Interval:
    """Least squares of y on the adjusted means, less the labels' noise in their squares: errors in variables, known variance."""
    x = np.column_stack([np.ones(len(units)), units["toxic_adjusted"]])
    y, noise = units["y"].to_numpy(), np.zeros((len(units), 2, 2))
    noise[:, 1, 1] = units["toxic_noise"]
    gram = x.T @ x - noise.sum(axis=0)
    slope = np.linalg.solve(gram, x.T @ y)
    scores = x * (y - x @ slope)[:, None] + noise @ slope
    half = np.linalg.solve(gram, scores.T)
    error = float(np.sqrt((half @ half.T)[1, 1]))
    return float(slope[1]), float(slope[1]) - 1.96 * error, float(slope[1]) + 1.96 * error


def one(seed: int) -> dict[str, Interval]:
    """All analyses of one world: the difference between new and old users (truth .2), and the slope of y (truth 2)."""
    rng = np.random.default_rng(seed)
    posts = world(rng)
    third = dsl.sampling.simple_random(posts, len(posts) // 3, seed=seed)
    whole = dsl.sampling.clustered(posts, USERS // 3, by="user", seed=seed)
    stages = dsl.sampling.two_stage(posts, USERS // 2, 4, by="user", first="equal", seed=seed)
    seen = hide(posts, third)
    keep = ["new", "y"]
    units = aggregate(seen, **UNIT, design=third, keep=keep)
    full = aggregate(hide(posts, whole), **UNIT, design=whole, keep=keep, at_least="all")
    reached = aggregate(hide(posts, stages), **UNIT, design=stages, keep=keep)
    outcome, prob = "toxic ~ new", {"sample_prob": "sample_prob"}
    return {
        "adjusted": least_squares(units["toxic_adjusted"], units["new"]),
        "adjusted, two stages": least_squares(reached["toxic_adjusted"], reached["new"]),
        "labelled mean": from_dsl(outcome, units, "new", **prob),
        "labelled mean, two stages": from_dsl(outcome, reached, "new", **prob),
        "whole users": from_dsl(outcome, full, "new", **prob),
        "posts": from_dsl(outcome, seen, "new", cluster="user"),
        "naive": least_squares(units["llm"], units["new"]),
        "covariate, whole users": from_dsl("y ~ toxic", full, "toxic", **prob),
        "covariate, in part": from_dsl("y ~ toxic", units, "toxic", **prob),
        "covariate, adjusted": least_squares(units["y"], units["toxic_adjusted"]),
        "covariate, corrected": corrected(units),
        "reliability": (float(1 - units["toxic_noise"].mean() / units["toxic_adjusted"].var()), 0.0, 0.0),
    }


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    """Coverage, bias and spread of every analysis."""
    rows = pd.DataFrame([one(seed) for seed in range(REPLICATIONS)])
    out = {}
    for name in rows:
        truth = 2.0 if name.startswith("covariate") else 0.2
        estimate, low, high = (np.array([row[j] for row in rows[name]]) for j in range(3))
        out[name] = {
            "coverage": float(np.mean((low <= truth) & (truth <= high))),
            "mean": float(estimate.mean()),
            "sd": float(estimate.std()),
        }
    return pd.DataFrame(out).T


VALID = [
    "adjusted",
    "adjusted, two stages",
    "labelled mean",
    "labelled mean, two stages",
    "whole users",
    "posts",
    "covariate, whole users",
    "covariate, corrected",
]


@pytest.mark.parametrize("name", VALID)
def test_valid_analyses_cover(results: pd.DataFrame, name: str) -> None:
    assert abs(results.loc[name, "coverage"] - 0.95) <= TOLERANCE, results


@pytest.mark.parametrize("name", VALID)
def test_valid_analyses_are_unbiased(results: pd.DataFrame, name: str) -> None:
    truth = 2.0 if name.startswith("covariate") else 0.2
    bias = abs(results.loc[name, "mean"] - truth)
    assert bias <= 3.5 * results.loc[name, "sd"] / np.sqrt(REPLICATIONS) + 0.02 * truth, results  # ratios: O(1/n)


def test_surrogates_alone_do_not_cover(results: pd.DataFrame) -> None:
    assert results.loc["naive", "coverage"] < 0.8, results


def test_a_mean_of_some_posts_attenuates_as_a_covariate(results: pd.DataFrame) -> None:
    assert results.loc["covariate, in part", "mean"] < 1.7, results
    assert results.loc["covariate, in part", "coverage"] < 0.5, results


def test_noise_tells_how_much_adjusted_means_attenuate(results: pd.DataFrame) -> None:
    expected = 2.0 * results.loc["reliability", "mean"]
    assert results.loc["covariate, adjusted", "mean"] == pytest.approx(expected, rel=0.03), results
    assert results.loc["covariate, adjusted", "coverage"] < 0.5, results


# Shares.


def test_yearly_shares_and_their_differences_cover() -> None:
    covered = []
    for seed in range(REPLICATIONS):
        posts = dsl.datasets.simulate_yearly(n=4000, n_labels=1200, n_years=4, seed=seed)
        truth = np.array(list(posts.attrs["truth"].values()))
        shares = proportions(posts, gold="Y", prediction="pred_Y", time="year", **QUICK)
        values = shares.table[["share", "std_error"]].to_numpy().T
        normal = share_intervals(*values, interval="normal")[0].T
        rise = shares.difference({"year": 2013}, {"year": 2010}).iloc[0]
        low = np.array([*shares.table["conf_low"], *normal[0], rise["conf_low"]])
        high = np.array([*shares.table["conf_high"], *normal[1], rise["conf_high"]])
        every = np.array([*truth, *truth, truth[-1] - truth[0]])
        covered.append((low <= every) & (every <= high))
    assert (np.abs(np.mean(covered, axis=0) - 0.95) <= TOLERANCE).all(), np.mean(covered, axis=0)


@pytest.mark.filterwarnings("ignore:.*rest on few labels")
def test_shares_of_nested_posts_cover() -> None:
    """Clusters: posts of a user share its level, so that intervals without them would be too short.

    In one draw of 150, one or two users carry most of a share's variance, and a warning says so.
    """
    covered = []
    for seed in range(REPLICATIONS):
        posts = world(np.random.default_rng(seed))
        seen = hide(posts, dsl.sampling.simple_random(posts, len(posts) // 3, seed=seed))
        shares = proportions(seen, gold="toxic", prediction="llm", by="new", cluster="user", **QUICK)
        gap = shares.difference({"new": 1.0}, {"new": 0.0}).iloc[0]
        low, high = (np.append(shares.table[end], gap[end]) for end in ("conf_low", "conf_high"))
        covered.append((low <= [0.3, 0.5, 0.2]) & (high >= [0.3, 0.5, 0.2]))
    assert (np.abs(np.mean(covered, axis=0) - 0.95) <= TOLERANCE).all(), np.mean(covered, axis=0)


def test_shares_of_categories_cover_those_of_these_rows() -> None:
    """Three exclusive categories, and the archive itself as the target: truth is all gold labels."""
    rng = np.random.default_rng(0)
    n, levels = 3000, np.array(["economy", "other", "war"])
    group = rng.integers(0, 2, n)
    code = np.where(rng.random(n) < 0.3 + 0.3 * group, 1, np.where(rng.random(n) < 0.4, 0, 2))
    llm = np.where(rng.random(n) < 0.75, code, rng.integers(0, 3, n))
    posts = pd.DataFrame({"group": group, "topic": levels[code], "llm": levels[llm]})
    truth = pd.crosstab(group, levels[code], normalize="index").to_numpy().ravel()
    covered = []
    for seed in range(REPLICATIONS):
        design = dsl.sampling.simple_random(posts, 600, seed=seed)
        seen = posts.assign(topic=posts["topic"].where(design.drawn))
        shares = proportions(seen, gold="topic", prediction="llm", by="group", design=design, target="finite", **QUICK)
        table = shares.table
        covered.append((table["conf_low"] <= truth) & (truth <= table["conf_high"]))
    assert (np.abs(np.mean(covered, axis=0) - 0.95) <= TOLERANCE).all(), np.mean(covered, axis=0)
