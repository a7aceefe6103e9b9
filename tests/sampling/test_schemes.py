"""Every scheme: probabilities by hand, exact sizes, seeds, any table, and errors that name what is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl import exceptions as e
from dsl import sampling

N = 300


def archive() -> pd.DataFrame:
    """300 posts by 23 authors from three sources, under labels of their own."""
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "source": rng.choice(["blog", "news", "tweet"], N, p=[0.5, 0.3, 0.2]),
            "year": rng.integers(2019, 2022, N),
            "author": rng.integers(0, 23, N),
            "words": rng.integers(1, 200, N),
            "sd": rng.uniform(0.1, 0.5, N),
            "seen": (np.arange(N) < 20).astype(int),
        },
        index=[f"post{j}" for j in range(N)],
    )


SCHEMES: dict[str, Callable[..., sampling.LabelDesign]] = {
    "srs": lambda data, **k: sampling.simple_random(data, 60, **k),
    "bernoulli": lambda data, **k: sampling.bernoulli(data, 60, **k),
    "stratified": lambda data, **k: sampling.stratified(data, 60, by="source", **k),
    "pps": lambda data, **k: sampling.proportional_to_size(data, 60, measure="words", **k),
    "cluster": lambda data, **k: sampling.clustered(data, 6, by="author", **k),
    "two_stage": lambda data, **k: sampling.two_stage(data, 8, 4, by="author", **k),
}


@pytest.mark.parametrize("kind", SCHEMES)
def test_every_scheme(kind: str) -> None:
    data = archive()
    design = SCHEMES[kind](data, seed=3)
    assert design.kind == kind
    assert design.rows.equals(data.index)
    assert design.settings["seed"] == 3
    assert design.fixed_size is (kind != "bernoulli")
    again, other = SCHEMES[kind](data, seed=3), SCHEMES[kind](data, seed=4)
    assert again.fingerprint == design.fingerprint
    assert other.fingerprint != design.fingerprint
    np.testing.assert_array_equal(other.prob, design.prob)
    generator = SCHEMES[kind](data, seed=np.random.default_rng(3))
    np.testing.assert_array_equal(generator.drawn, design.drawn)


@pytest.mark.parametrize("kind", SCHEMES)
def test_any_table(kind: str) -> None:
    data = archive().reset_index(drop=True)
    expected = SCHEMES[kind](data, seed=1)
    for table in (pl.from_pandas(data), data.to_dict("list")):
        design = SCHEMES[kind](table, seed=1)
        assert design.fingerprint == expected.fingerprint


@pytest.mark.parametrize("kind", SCHEMES)
def test_excluded_rows_are_no_part_of_the_population(kind: str) -> None:
    data = archive()
    design = SCHEMES[kind](data, seed=1, exclude="seen")
    same = SCHEMES[kind](data[data["seen"] == 0], seed=1)
    assert len(design) == N - 20
    assert design.fingerprint == same.fingerprint == SCHEMES[kind](data, seed=1, exclude=data["seen"] == 1).fingerprint
    assert design.settings["excluded"] == 20


def test_simple_random() -> None:
    design = sampling.simple_random(archive(), 60)
    assert design.n_drawn == 60
    np.testing.assert_allclose(design.prob, 0.2)


def test_bernoulli() -> None:
    data = archive()
    equal = sampling.bernoulli(data, 45.5)
    np.testing.assert_allclose(equal.prob, 45.5 / N)
    own = sampling.bernoulli(data, prob=data["words"] / 200)
    np.testing.assert_allclose(own.prob, data["words"] / 200)
    assert sampling.bernoulli(data.assign(p=data["words"] / 200), prob="p").fingerprint == own.fingerprint
    everything = sampling.bernoulli(data, prob=1.0)
    assert everything.drawn.all()
    assert own.settings["n_labels"] == pytest.approx(data["words"].sum() / 200)


@pytest.mark.parametrize("by", ["source", ["source", "year"]])
@pytest.mark.parametrize("allocation", ["proportional", "equal", "neyman"])
def test_stratified(by: Any, allocation: str) -> None:
    data = archive()
    spread = {"spread": "sd"} if allocation == "neyman" else {}
    design = sampling.stratified(data, 61, by=by, allocation=allocation, **spread)
    assert design.n_drawn == 61
    assert design.stratum is not None
    drawn = design.table().groupby("stratum").agg(n=("drawn", "sum"), size=("drawn", "size"), prob=("prob", "first"))
    np.testing.assert_allclose(drawn["prob"], drawn["n"] / drawn["size"])
    assert drawn["n"].tolist() == design.settings["sizes"]
    square = (data["sd"] ** 2).groupby(design.stratum).mean()
    ideal = {"proportional": drawn["size"], "equal": drawn["size"] ** 0, "neyman": drawn["size"] * square**0.5}[
        allocation
    ]
    full = drawn["n"] == drawn["size"]  # the others share what is left
    ideal = ideal * (61 - drawn["size"][full].sum()) / ideal[~full].sum()
    assert ((drawn["n"] - ideal)[~full].abs() < 1).all()
    assert (data.assign(stratum=design.stratum).groupby(by)["stratum"].nunique() == 1).all()
    index = data.groupby(by).size().index
    names = [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in index]
    assert design.settings["strata"] == names
    if allocation == "equal":
        room = np.minimum(drawn["size"], drawn["n"].max())
        assert (drawn["n"] >= np.minimum(room, drawn["n"].max() - 1)).all()


def test_neyman_uses_the_root_mean_square() -> None:
    data = archive()
    rms = (data["sd"] ** 2).groupby(data["source"]).mean() ** 0.5
    by_row = sampling.stratified(data, 60, by="source", allocation="neyman", spread="sd")
    by_array = sampling.stratified(data, 60, by="source", allocation="neyman", spread=data["sd"].to_numpy())
    by_stratum = sampling.stratified(data, 60, by="source", allocation="neyman", spread=rms.to_dict())
    assert by_row.settings["sizes"] == by_array.settings["sizes"] == by_stratum.settings["sizes"]
    equal = sampling.stratified(data, 60, by="source", allocation="neyman", spread=0.3)
    assert equal.settings["sizes"] == sampling.stratified(data, 60, by="source").settings["sizes"]


def test_given_sizes() -> None:
    design = sampling.stratified(archive(), by="source", allocation={"tweet": 5, "blog": 20, "news": 10})
    assert dict(zip(design.settings["strata"], design.settings["sizes"], strict=True)) == {
        "blog": 20,
        "news": 10,
        "tweet": 5,
    }
    assert design.n_drawn == 35


@settings(max_examples=60, deadline=None)
@given(st.integers(1, N), st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_proportional_to_size(size: int, low: float, seed: int) -> None:
    data = archive()
    design = sampling.proportional_to_size(data, size, measure="words", floor=low * size / N, seed=seed)
    assert design.n_drawn == size
    prob, floor, words = design.prob, low * size / N, data["words"].to_numpy()
    assert abs(prob.sum() - size) < 1e-9
    free = (prob > floor * (1 + 1e-9)) & (prob < 1.0)
    factor = np.median(prob[free] / words[free]) if free.any() else size / words.sum()
    if free.any():
        np.testing.assert_allclose(prob, np.clip(factor * words, floor, 1.0), rtol=1e-9)
    else:  # all at the floor, or the largest at one and the others at the floor
        assert set(np.round(prob, 9)) <= {round(floor, 9), 1.0}


def test_clustered() -> None:
    data = archive()
    design = sampling.clustered(data, 6, by="author", seed=2)
    whole = data.assign(drawn=design.drawn).groupby("author")["drawn"].agg(["min", "max"])
    assert (whole["min"] == whole["max"]).all()
    assert whole["max"].sum() == 6
    np.testing.assert_allclose(design.prob, 6 / 23)
    np.testing.assert_array_equal(design.unit_prob, design.prob)
    np.testing.assert_array_equal(design.unit, data["author"])


@pytest.mark.parametrize("first", ["size", "equal"])
def test_two_stage(first: str) -> None:
    data = archive()
    rows = data.groupby("author")["author"].transform("size").to_numpy()
    design = sampling.two_stage(data, 8, 4, by="author", first=first, seed=2)
    counts = data.assign(drawn=design.drawn).groupby("author")["drawn"].sum()
    assert (counts > 0).sum() == 8
    assert set(counts) <= {0, 4}
    unit_prob = 8 * rows / N if first == "size" else np.full(N, 8 / 23)
    np.testing.assert_allclose(design.unit_prob, unit_prob)
    np.testing.assert_allclose(design.prob, unit_prob * 4 / rows)


def test_a_design_feeds_the_analysis() -> None:
    """The same numbers as passing its probabilities as a column."""
    full = dsl.datasets.load_sentiment()
    design = sampling.stratified(full, 600, by="vader_positive", allocation="equal", seed=5)
    data = full.assign(human_positive=full["human_positive"].where(design.drawn), pi=design.prob)
    call = {"predicted_var": "human_positive", "prediction": "vader_positive", "sl_method": "lm", "sample_split": 1}
    by_design = dsl.dsl("human_positive ~ negation", data, design=design, **call)
    by_column = dsl.dsl("human_positive ~ negation", data, sample_prob="pi", **call)
    np.testing.assert_allclose(by_design.params, by_column.params, rtol=1e-12)
    np.testing.assert_allclose(by_design.bse, by_column.bse, rtol=1e-12)


ERRORS: dict[str, tuple[Callable[[pd.DataFrame], Any], type[Exception], list[str]]] = {
    "size too large": (
        lambda d: sampling.simple_random(d, 301),
        e.ArgumentError,
        ["n_labels is 301", "300 rows", "lower it"],
    ),
    "size a share": (lambda d: sampling.simple_random(d, 0.1), e.ArgumentError, ["n_labels", "whole number", "0.1"]),
    "size zero": (lambda d: sampling.simple_random(d, 0), e.ArgumentError, ["n_labels is 0", "at least 1"]),
    "unknown argument": (
        lambda d: sampling.simple_random(d, 10, strata="source"),
        e.CallError,
        ["no argument 'strata'"],
    ),
    "repeated labels": (
        lambda d: sampling.simple_random(d.set_axis(["a"] * N), 10),
        e.DesignError,
        ["row labels", "300 rows", "reset_index"],
    ),
    "no rows": (lambda d: sampling.simple_random(d.iloc[:0], 10), e.DataError, ["no rows"]),
    "no columns": (lambda d: sampling.simple_random(d[[]], 10), e.DataError, ["no columns"]),
    "mask with gaps": (
        lambda d: sampling.simple_random(d, 10, exclude=(d["seen"] == 1).astype("boolean").where(d["words"] > 3)),
        e.ArgumentError,
        ["exclude must be"],
    ),
    "no table": (lambda d: sampling.simple_random("posts.csv", 10), e.SourceError, ["'posts.csv'", "pd.read_csv"]),
    "everything excluded": (
        lambda d: sampling.simple_random(d, 10, exclude=np.ones(N, dtype=bool)),
        e.ArgumentError,
        ["exclude leaves no row"],
    ),
    "odd mask": (
        lambda d: sampling.simple_random(d, 10, exclude="words"),
        e.ArgumentError,
        ["exclude", "True (1)", "float64 values"],
    ),
    "exclude not there": (
        lambda d: sampling.simple_random(d, 10, exclude="seem"),
        e.MissingColumnError,
        ["'seem'", "named in exclude", "did you mean 'seen'"],
    ),
    "bernoulli both": (lambda d: sampling.bernoulli(d, 10, prob=0.1), e.ArgumentError, ["either n_labels", "or prob"]),
    "bernoulli neither": (lambda d: sampling.bernoulli(d), e.ArgumentError, ["either n_labels", "or prob"]),
    "bernoulli size": (lambda d: sampling.bernoulli(d, 301), e.ArgumentError, ["between 0 and 300", "301"]),
    "bernoulli zero": (
        lambda d: sampling.bernoulli(d, prob=d["seen"]),
        e.SampleProbabilityError,
        ["280 values", "outside (0, 1]"],
    ),
    "bernoulli text": (lambda d: sampling.bernoulli(d, prob="source"), e.ColumnTypeError, ["'source'", "prob"]),
    "bernoulli short": (
        lambda d: sampling.bernoulli(d, prob=[0.1, 0.2]),
        e.ArgumentError,
        ["prob has shape (2,)", "(300,)"],
    ),
    "no stratum column": (
        lambda d: sampling.stratified(d, 60, by="sorce"),
        e.MissingColumnError,
        ["'sorce'", "named in by", "did you mean 'source'"],
    ),
    "stratum missing": (
        lambda d: sampling.stratified(d.assign(source=d["source"].where(d["seen"] == 0)), 60, by="source"),
        e.DataError,
        ["'source' (by)", "missing in 20 rows (first: post0, post1, post2)", "exclude="],
    ),
    "too many strata": (
        lambda d: sampling.stratified(d, 60, by="words"),
        e.ArgumentError,
        ["n_labels=60", "strata with at least 2", "change n_labels or least"],
    ),
    "unknown allocation": (
        lambda d: sampling.stratified(d, 60, by="source", allocation="optimal"),
        e.ArgumentError,
        ["'optimal'", "proportional, neyman, equal"],
    ),
    "neyman without spread": (
        lambda d: sampling.stratified(d, 60, by="source", allocation="neyman"),
        e.ArgumentError,
        ["needs spread", "standard deviation"],
    ),
    "spread without neyman": (
        lambda d: sampling.stratified(d, 60, by="source", spread="sd"),
        e.ArgumentError,
        ["spread is for allocation='neyman'"],
    ),
    "spread of one stratum": (
        lambda d: sampling.stratified(d, 60, by="source", allocation="neyman", spread={"blog": 1}),
        e.ArgumentError,
        ["spread has no entry for 'news'", "3 strata are 'blog', 'news', 'tweet'"],
    ),
    "spread zero": (
        lambda d: sampling.stratified(d, 60, by="source", allocation="neyman", spread=0.0),
        e.DataError,
        ["not zero in every stratum"],
    ),
    "unknown stratum": (
        lambda d: sampling.stratified(d, by="source", allocation={"blog": 1, "news": 1, "tweet": 2, "web": 1}),
        e.ArgumentError,
        ["allocation names 'web'", "no stratum"],
    ),
    "stratum too small": (
        lambda d: sampling.stratified(d, by="source", allocation={"blog": 1, "news": 1, "tweet": 200}),
        e.ArgumentError,
        ["allocation['tweet'] is 200", "lower it"],
    ),
    "stratum of zero": (
        lambda d: sampling.stratified(d, by="source", allocation={"blog": 1, "news": 1, "tweet": 0}),
        e.ArgumentError,
        ["allocation['tweet'] is 0", "at least 1"],
    ),
    "sum of sizes": (
        lambda d: sampling.stratified(d, 9, by="source", allocation={"blog": 1, "news": 1, "tweet": 2}),
        e.ArgumentError,
        ["n_labels is 9", "sum to 4"],
    ),
    "no size": (lambda d: sampling.stratified(d, by="source"), e.ArgumentError, ["needs n_labels"]),
    "measure zero": (
        lambda d: sampling.proportional_to_size(d, 60, measure="seen"),
        e.DataError,
        ["'seen' is zero in 280 rows (first: post20", "floor=0.02"],
    ),
    "measure negative": (
        lambda d: sampling.proportional_to_size(d, 60, measure=-d["words"]),
        e.DataError,
        ["measure given is negative", "300 rows"],
    ),
    "floor too high": (
        lambda d: sampling.proportional_to_size(d, 60, measure="words", floor=0.3),
        e.ArgumentError,
        ["floor must be between 0 and 0.2", "0.3"],
    ),
    "too many clusters": (
        lambda d: sampling.clustered(d, 24, by="author"),
        e.ArgumentError,
        ["clusters is 24", "there are 23"],
    ),
    "one cluster": (lambda d: sampling.clustered(d, 1, by="author"), e.ArgumentError, ["clusters is 1", "at least 2"]),
    "no cluster column": (lambda d: sampling.clustered(d, 5, by=[]), e.ArgumentError, ["by names no column"]),
    "two-stage first": (
        lambda d: sampling.two_stage(d, 5, 2, by="author", first="pps"),
        e.ArgumentError,
        ["unknown first 'pps'", "use one of size, equal"],
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str) -> None:
    call, error, words = ERRORS[case]
    with pytest.raises(error) as caught:
        call(archive())
    assert type(caught.value) is error
    assert isinstance(caught.value, dsl.DSLError)
    for word in words:
        assert word in str(caught.value)


def test_a_stratum_without_errors_gets_the_least() -> None:
    """Labels there would tell nothing: all beyond the two of each stratum go to the others."""
    data = archive()
    spread = {"blog": 0.0, "news": 0.3, "tweet": 0.3}
    for each in (spread, data["source"].map(spread)):
        design = sampling.stratified(data, 60, by="source", allocation="neyman", spread=each)
        assert design.settings["sizes"][0] == 2
        assert sum(design.settings["sizes"]) == 60
    with pytest.raises(e.DataError, match=r"zero or more, .* found \[-0\.1, 0\.3, 0\.3\]"):
        sampling.stratified(data, 60, by="source", allocation="neyman", spread={**spread, "blog": -0.1})


@pytest.mark.parametrize("by", ["g", ["g"], ("g", "h")])
def test_settings_list_the_columns_of_the_strata(by: Any) -> None:
    data = pd.DataFrame({"g": list("ab") * 20, "h": list("aabb") * 10})
    expected = ["g"] if isinstance(by, str) else list(by)
    assert sampling.stratified(data, 10, by=by, seed=1).settings["by"] == expected
