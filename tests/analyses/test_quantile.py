"""Quantiles against ppi-python, numpy, written-out sums, and known answers."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import dsl
from dsl import exceptions as e
from dsl.analyses.quantile import ppi_quantile
from tests.engine.two_sample.test_fit import rival

# the first rows of random ones are labelled here
pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")]

SAME_SUMS = 1e-12
"""Sums of the same terms in another order."""


def table(
    n: int = 200, rows: int = 900, seed: int = 0, *, digits: int | None = None, noise: float = 0.5
) -> pd.DataFrame:
    """Labelled rows first."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    f = 0.9 * y + noise * rng.normal(size=rows) + 0.2
    if digits is not None:
        y, f = y.round(digits), f.round(digits)
    labeled = np.arange(rows) < n
    return pd.DataFrame({"y": np.where(labeled, y, np.nan), "f": f, "c": np.arange(rows) // 3})


def unequal(rows: int = 900, seed: int = 0) -> pd.DataFrame:
    """Rows drawn with unequal probabilities, some of them with certainty."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    prob = np.clip(0.1 + 0.3 * (y > 0) + 0.7 * (y > 1.5), 0.0, 1.0)
    drawn = rng.random(rows) < prob
    return pd.DataFrame({"y": np.where(drawn, y, np.nan), "f": y + 0.5 * rng.normal(size=rows), "pi": prob})


def run(data: pd.DataFrame, **given: Any) -> pd.DataFrame:
    return ppi_quantile(data, **{"gold": "y", "prediction": "f", **given})


def samples(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labeled = data["y"].notna()
    return data.loc[labeled, "y"].to_numpy(), data.loc[labeled, "f"].to_numpy(), data.loc[~labeled, "f"].to_numpy()


def observed(data: pd.DataFrame) -> np.ndarray:
    return np.unique(np.concatenate([data["y"].dropna(), data["f"]]))


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_interval_is_that_of_ppi_python(q: float, seed: int) -> None:
    """The same lower end. Theirs ends at the last accepted observed value, up to which F has not yet changed: the
    values between it and the next one are as acceptable, so ours ends there.
    """
    data = table(seed=seed)
    low, high = rival("ppi_quantile_ci")(*samples(data), q, exact_grid=True)
    ours = run(data, q=q, tune=1, alpha=0.1).iloc[0]
    assert ours["conf_low"] == low
    grid = observed(data)
    assert ours["conf_high"] == grid[np.searchsorted(grid, high) + 1]


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.8])
def test_estimate_is_that_of_ppi_python_where_f_rises(q: float) -> None:
    """Surrogates that are right make F a plain distribution function. Theirs takes the value where F is nearest to q:
    the quantile, or the observed value before it.
    """
    data = table()
    data["f"] = np.where(data["y"].notna(), data["y"], data["f"])
    grid = observed(data)
    theirs = np.searchsorted(grid, rival("ppi_quantile_pointestimate")(*samples(data), q, exact_grid=True))
    ours = np.searchsorted(grid, run(data, q=q, tune=1)["estimate"][0])
    assert ours - theirs in (0, 1)


def test_estimate_is_close_to_that_of_ppi_python() -> None:
    """Where F falls here and there the two differ by less than the interval leaves open."""
    for seed in range(4):
        data = table(seed=seed)
        ours = run(data, q=0.5, tune=1).iloc[0]
        theirs = rival("ppi_quantile_pointestimate")(*samples(data), 0.5, exact_grid=True)
        assert abs(ours["estimate"] - theirs) < 0.25 * (ours["conf_high"] - ours["conf_low"])


def test_median_of_three() -> None:
    """Theirs can take the first of three values for the median, F(1) = 1/3 being as near to 1/2 as F(2) = 2/3."""
    data = pd.DataFrame({"y": [1.0, 2.0, 3.0, np.nan, np.nan, np.nan], "f": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]})
    with pytest.warns(e.FewLabelsWarning):
        assert run(data)["estimate"][0] == 2.0


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_few_distinct_values(q: float) -> None:
    """On ratings of a few levels theirs finds no value at which F equals q, and stops with an IndexError."""
    data = table(digits=0, rows=3000)
    with pytest.raises(IndexError):
        rival("ppi_quantile_ci")(*samples(data), q, exact_grid=True)
    ours = run(data, q=q).iloc[0]
    assert ours["conf_low"] <= ours["estimate"] <= ours["conf_high"]
    assert ours["estimate"] == np.round(ndtri(q))


@pytest.mark.parametrize("n", [200, 201])
def test_labelled_rows_alone(n: int) -> None:
    """lam = 0 without unequal probabilities is the empirical quantile."""
    data, levels = table(n), [0.1, 0.5, 0.75, 0.9]
    theirs = np.quantile(data["y"].dropna(), levels, method="inverted_cdf")
    np.testing.assert_array_equal(run(data, q=levels, tune=0)["estimate"], theirs)


def test_weighted_quantile_of_the_labelled_rows() -> None:
    """The least value at which the weighted distribution function reaches the level, written out."""
    data = unequal()
    labeled = data.dropna().sort_values("y")
    ours = run(data, q=[0.2, 0.5, 0.8], tune=0, sample_prob="pi")
    weight = 1.0 / labeled["pi"].to_numpy()
    reached = np.cumsum(weight) / weight.sum()
    expected = [labeled["y"].to_numpy()[np.argmax(reached >= level)] for level in (0.2, 0.5, 0.8)]
    np.testing.assert_array_equal(ours["estimate"], expected)


@pytest.mark.parametrize("given", [{}, {"cluster": "c"}, {"target": "finite"}], ids=["rows", "clusters", "finite"])
@pytest.mark.parametrize("seed", range(5))
def test_surrogates_on_one_side_of_the_quantile_are_useless(seed: int, given: dict[str, str]) -> None:
    """All of them lie below it, so that they say nothing about F there: lambda is zero, and no quotient of rounding errors."""
    data = table(seed=seed)
    data["f"] = data["f"].clip(upper=0.3)
    assert run(data, q=0.75, **given)["lambda"][0] == 0.0


def test_certain_rows_count_once_on_both_sides() -> None:
    """With every row certain to be labelled the surrogates cancel, whatever they are."""
    data = table(900, 900).assign(pi=1.0)
    with pytest.warns(e.AllLabeledWarning):
        ours = run(data, q=[0.3, 0.6], tune=1, sample_prob="pi")
    theirs = np.quantile(data["y"], [0.3, 0.6], method="inverted_cdf")
    np.testing.assert_array_equal(ours["estimate"], theirs)


def test_a_perfect_surrogate_makes_every_row_count() -> None:
    """With lambda = N' / N, N' unlabelled rows of N, F is the share among all rows, and varies as that does."""
    data = table(noise=0.0).assign(y=lambda d: d["f"].where(d["y"].notna()))
    values = np.sort(data["f"].to_numpy())
    found = run(data, tune=700 / 900, q=[0.3, 0.5]).set_index("q")
    share = np.arange(1, 901) / 900
    labeled = (data["f"].to_numpy()[:200, None] <= values).mean(axis=0)
    other = (data["f"].to_numpy()[200:, None] <= values).mean(axis=0)
    se = np.sqrt(200 * labeled * (1 - labeled) + 700 * other * (1 - other)) / 900
    for q in (0.3, 0.5):
        accepted = np.flatnonzero(np.abs(share - q) <= ndtri(0.975) * se)
        assert found.loc[q, "estimate"] == pytest.approx(np.quantile(values, q, method="inverted_cdf"), rel=SAME_SUMS)
        assert found.loc[q, "conf_low"] == pytest.approx(values[accepted[0]], rel=SAME_SUMS)
        assert found.loc[q, "conf_high"] == pytest.approx(values[accepted[-1] + 1], rel=SAME_SUMS)


def test_lambda_of_a_perfect_surrogate() -> None:
    """Variances A (1 - A) / n and B (1 - B) / N' of the two shares up to the labelled rows' median, A and B."""
    data = table(noise=0.0).assign(y=lambda d: d["f"].where(d["y"].notna()))
    median = np.quantile(data["f"][:200], 0.5, method="inverted_cdf")
    first, other = ((part <= median).mean() for part in (data["f"][:200], data["f"][200:]))
    own, theirs = first * (1 - first) / 200, other * (1 - other) / 700
    assert run(data)["lambda"][0] == pytest.approx(own / (own + theirs), rel=SAME_SUMS)


def test_scale_and_monotone_change() -> None:
    """Quantiles of exp(y) are exp of the quantiles of y."""
    data = table()
    plain, changed = run(data, q=[0.2, 0.7]), run(np.exp(data[["y", "f"]]), q=[0.2, 0.7])
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(changed[name], np.exp(plain[name]))


def test_one_sided_intervals() -> None:
    data = table()
    two = run(data, alpha=0.1).iloc[0]
    larger, smaller = (run(data, alpha=0.05, alternative=side).iloc[0] for side in ("larger", "smaller"))
    assert (larger["conf_low"], larger["conf_high"]) == (two["conf_low"], np.inf)
    assert (smaller["conf_low"], smaller["conf_high"]) == (-np.inf, two["conf_high"])


def test_clusters_widen_the_interval() -> None:
    """Every row three times: intervals as wide as those of the rows once, not narrower by the root of three."""
    once = table(150, 600)
    thrice = once.loc[np.repeat(once.index, 3)].assign(c=np.repeat(np.arange(600), 3))
    own, clustered, naive = (
        run(once, tune=1).iloc[0],
        run(thrice, tune=1, cluster="c").iloc[0],
        run(thrice, tune=1).iloc[0],
    )
    assert own["estimate"] == clustered["estimate"]
    assert own["conf_low"] == clustered["conf_low"]
    assert own["conf_high"] == clustered["conf_high"]
    assert naive["conf_high"] - naive["conf_low"] < 0.8 * (own["conf_high"] - own["conf_low"])


def test_tables_and_rows_in_any_order() -> None:
    import polars as pl

    data = table(seed=3)
    ours = run(data, q=[0.3, 0.5], cluster="c")
    shuffled = run(data.sample(frac=1.0, random_state=0), q=[0.3, 0.5], cluster="c")
    pd.testing.assert_frame_equal(ours, shuffled)
    pd.testing.assert_frame_equal(ours, run(pl.from_pandas(data), q=[0.3, 0.5], cluster="c"))
    marked = data.assign(lab=data["y"].notna().astype(int))
    pd.testing.assert_frame_equal(ours, run(marked, q=[0.3, 0.5], cluster="c", labeled="lab"))


def test_design_record_gives_rows_and_probabilities() -> None:
    population = dsl.datasets.load_sentiment()
    rows = population.index
    prob = np.where(population["source"] == "tweets", 0.1, 0.05)
    drawn = np.random.default_rng(1).random(len(rows)) < prob
    from dsl.sampling.design import LabelDesign

    design = LabelDesign(kind="bernoulli", rows=rows, prob=prob, drawn=drawn, fixed_size=False)
    data = population.assign(pi=prob, human_rating=population["human_rating"].where(drawn))
    call = {"gold": "human_rating", "prediction": "vader_compound", "q": [0.25, 0.5]}
    pd.testing.assert_frame_equal(
        ppi_quantile(data, design=design, **call), ppi_quantile(data, sample_prob="pi", **call)
    )


@pytest.mark.parametrize(
    ("change", "given", "kind", "words"),
    [
        (None, {"q": 50}, e.ArgumentError, ["between 0 and 1", "percentages divided by 100", "found 50"]),
        (None, {"q": []}, e.ArgumentError, ["one or more numbers"]),
        (None, {"q": [0.1, np.nan]}, e.ArgumentError, ["found [0.1, nan]"]),
        (None, {"q": "median"}, e.ArgumentError, ["0.5 for the median", "'median'"]),
        (None, {"tune": "best"}, e.ArgumentError, ["tune must be 'scalar', or a number", "found 'best'"]),
        (None, {"tune": True}, e.ArgumentError, ["found True"]),
        (None, {"alpha": 5}, e.ArgumentError, ["alpha"]),
        (None, {"alternative": "greater"}, e.ArgumentError, ["did you mean 'larger'"]),
        (None, {"gold": "yy"}, e.MissingColumnError, ["'yy', named in gold", "did you mean 'y'"]),
        (None, {"gold": "f"}, e.LeakError, ["gold and prediction at once"]),
        (None, {"gold": ["y", "c"]}, e.ArgumentError, ["2 column(s) and prediction 1"]),
        (None, {"gold": ["y", "c"], "prediction": ["f", "f2"]}, e.ArgumentError, ["gold names 2 columns", "one, call once"]),
        (None, {"gold": []}, e.ArgumentError, ["gold names no column"]),
        (None, {"sample_prob": "pi", "design": object()}, e.ArgumentError, ["leave out labeled and sample_prob"]),
        (None, {"surrogate": "f"}, e.CallError, ["did you mean 'prediction'"]),
        (lambda d: d.assign(f=d["f"].mask(d.index == 7)), {}, e.PredictionError, ["'f' is missing in 1 row (first: 7)"]),
        (lambda d: d.assign(f=d["y"]), {}, e.LeakError, ["copy of the gold label"]),
        (lambda d: d.assign(y=np.nan), {}, e.LabelError, ["no labelled rows"]),
        (lambda d: d.assign(pi=np.where(d.index < 300, 1.0, 0.5)), {"sample_prob": "pi"}, e.SampleProbabilityError,
         ["100 rows", "probability 1 in 'pi' but no gold value"]),
        (lambda d: d.assign(y=d["y"].gt(0).map({True: "hi", False: "lo"}).where(d["y"].notna()), f="lo"), {},
         e.ColumnTypeError, ["no quantiles"]),
    ],
)  # fmt: skip
def test_errors(
    change: Callable[[pd.DataFrame], pd.DataFrame] | None,
    given: dict[str, Any],
    kind: type[Exception],
    words: list[str],
) -> None:
    data = table().assign(f2=1.0)
    if "c" in given.get("gold", ""):
        data["c"] = data["y"]
    with pytest.raises(kind) as caught:
        run(data if change is None else change(data), **given)
    for word in words:
        assert word in str(caught.value)


def test_dropped_rows_are_counted() -> None:
    data = table()
    data["c"] = data["c"].astype(float).mask(data.index < 4)
    with pytest.warns(e.DroppedRowsWarning, match=r"4 of 900 rows left out.*'c' \(4\)"):
        run(data, cluster="c")


# the rows themselves as the population


def by_hand(data: pd.DataFrame, drawing: str, prob: np.ndarray, lam: float, q: float) -> tuple[float, float]:
    """The interval for a finite population, with F(t) and its variance written out at every observed value t.

    A labelled row counts p on its side, and no longer s on the others', unless it was certain to be labelled. Its
    contribution is p (1{y <= t} - A_y) - lam (p + s) (1{f <= t} - A_f), less the mean of all.
    """
    labeled, certain = data["y"].notna().to_numpy(), prob >= 1.0
    odds = np.where(certain, 0.0, 1.0 / np.where(certain, 1.0, 1.0 - prob))
    others = np.where(certain, 1.0, odds * ~labeled)
    p, r = (labeled / prob)[labeled] / (labeled / prob).sum(), others / others.sum()
    s, pi, grid = odds[labeled] / others.sum(), prob[labeled], observed(data)
    share, variance = np.empty(len(grid)), np.empty(len(grid))
    for j, t in enumerate(grid):
        y, f = (data.loc[labeled, "y"] <= t).to_numpy() * 1.0, (data["f"] <= t).to_numpy() * 1.0
        share[j] = p @ y + lam * (r @ f - p @ f[labeled])
        own = p * (y - p @ y) - lam * (p + s) * (f[labeled] - p @ f[labeled])
        own = own - own.mean()
        if drawing == "threads":
            own = np.bincount(np.unique(data["c"][labeled], return_inverse=True)[1], own)
        if drawing == "independent":
            variance[j] = ((1 - pi) * own**2).sum()
        else:
            variance[j] = (1 - pi[0]) * len(own) * own.var(ddof=1)
    half = ndtri(0.975) * np.sqrt(variance)
    kept = np.flatnonzero(share - half <= q + SAME_SUMS)[-1]
    return grid[np.flatnonzero(share + half >= q - SAME_SUMS)[0]], grid[min(kept + 1, len(grid) - 1)]


def half_certain() -> pd.DataFrame:
    """150 rows, of which half were certain to be drawn and the others with probability .3."""
    rng = np.random.default_rng(1)
    y, prob = rng.normal(size=150), np.where(rng.random(150) < 0.5, 1.0, 0.3)
    drawn = rng.random(150) < prob
    return pd.DataFrame({"y": np.where(drawn, y, np.nan), "f": y + 0.3 * rng.normal(size=150), "pi": prob})


@pytest.mark.parametrize("q", [0.3, 0.5])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("drawing", ["simple", "threads", "independent"])
def test_finite_interval_by_hand(drawing: str, lam: float, q: float) -> None:
    """Simple random samples, whole threads of rows that are alike, and rows of which some were certain to be drawn."""
    if drawing == "independent":
        data = half_certain()
        found, prob = run(data, q=q, tune=lam, sample_prob="pi", target="finite"), data["pi"].to_numpy()
    else:
        thread = np.repeat(np.arange(300), 3)
        y, noise = np.random.default_rng(0).normal(size=(2, 300))
        base = pd.DataFrame({"y": y[thread], "f": (0.3 * y + noise)[thread], "c": thread})
        make = {
            "simple": lambda: dsl.sampling.simple_random(base, 90),
            "threads": lambda: dsl.sampling.clustered(base, 40, by="c"),
        }
        design = make[drawing]()
        data, prob = base.assign(y=base["y"].where(design.drawn)), design.prob
        found = run(data, q=q, tune=lam, design=design, target="finite")
    low, high = by_hand(data, drawing, prob, lam, q)
    assert (found["conf_low"][0], found["conf_high"][0]) == (low, high)


@pytest.mark.parametrize("q", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("digits", [None, 1])
def test_finite_interval_misses_nothing(q: float, digits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard errors far from the level are left out, which changes nothing."""
    data = table(digits=digits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", e.FewLabelsWarning)
        found = run(data, q=q, target="finite")
        monkeypatch.setattr("dsl.engine.quantile.largest_finite_error", lambda labels, lam: np.inf)
        monkeypatch.setattr("dsl.engine.quantile.CHUNK", 900)
        pd.testing.assert_frame_equal(run(data, q=q, target="finite"), found)
        wide = run(data, q=q)
    assert (found["conf_high"] - found["conf_low"] <= wide["conf_high"] - wide["conf_low"]).all()


def test_census_has_no_error() -> None:
    """Rows that were certain to be labelled leave nothing to chance."""
    with pytest.warns(e.AllLabeledWarning):
        found = run(table(n=900), q=[0.3, 0.5], target="finite")
    np.testing.assert_array_equal(found["conf_low"], found["estimate"])


def test_unknown_target() -> None:
    with pytest.raises(e.ArgumentError, match="unknown target 'sample'"):
        run(table(), target="sample")


@pytest.mark.parametrize("target", ["superpopulation", "finite"])
def test_one_labelled_row(target: str) -> None:
    """It shows no spread: the interval would be a point."""
    with pytest.raises(e.LabelError, match="two labelled rows at least; found 1"):
        run(table(n=1), target=target)


def test_clusters_mean_nothing_to_a_finite_population() -> None:
    with pytest.raises(
        e.ArgumentError, match=r"cluster='c' has no meaning with target='finite'.*dsl.sampling.clustered"
    ):
        run(table(), target="finite", cluster="c")
