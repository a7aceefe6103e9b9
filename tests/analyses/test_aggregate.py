"""`aggregate`: worked examples, and every probability and expectation against all samples that could have been drawn."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import dsl
from dsl import exceptions as e
from dsl.analyses.aggregate import aggregate
from dsl.engine.inclusion import adjusted_means, prob_at_least
from dsl.engine.labeling import Labeling
from dsl.sampling import LabelDesign

EXACT = 1e-12  # same algebra
LOGS = 1e-9  # binomial coefficients by their logarithms


def posts(**columns: Any) -> pd.DataFrame:
    """Six posts of three users, four labelled: a in part, b in full, c not at all."""
    table = {
        "user": ["a", "a", "a", "b", "b", "c"],
        "toxic": [1.0, 0.0, np.nan, 1.0, 1.0, np.nan],
        "llm": [1.0, 1.0, 0.0, 0.0, 1.0, 1.0],
        "age": [30, 30, 30, 41, 41, 19],
    }
    return pd.DataFrame({**table, **columns})


CALL = {"unit": "user", "gold": "toxic", "prediction": "llm"}


# Worked by hand: pi = 4/6, so that the corrections weigh 3/2.


def test_worked_example() -> None:
    table = aggregate(posts(), **CALL, keep="age").set_index("user")
    nan = np.nan
    expected = {
        "age": [30, 41, 19],
        "toxic": [1 / 2, 1, nan],
        "llm": [2 / 3, 1 / 2, 1],
        "toxic_adjusted": [(2 - 3 / 2) / 3, (1 + 3 / 2) / 2, 1],  # a: one of its labels corrects 1 to 0; b: 0 to 1
        "n_posts": [3, 2, 1],
        "n_labeled": [2, 2, 0],
        "labeled": [1, 1, 0],
        "sample_prob": [1 - 0 / 15, 1 - 1 / 15, 4 / 6],  # no label in a would leave 3 posts for 4 labels; in b, 4 for 4
        "unit_prob": [1, 1, 1],
        "post_prob": [4 / 6] * 3,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=LOGS, err_msg=name)
    assert table["note"].tolist() == ["in part: outcome only", "complete", "not labelled"]
    # one error each: e^2 (1/pi^2 - 1/pi) = 9/4 - 3/2
    np.testing.assert_allclose(table["toxic_noise"], [0.75 / 9, 0.75 / 4, 0], rtol=LOGS)


def test_worked_example_at_least_two() -> None:
    table = aggregate(posts(), **CALL, at_least=2).set_index("user")
    np.testing.assert_allclose(table["toxic"], [1 / 2, 1, np.nan])
    # of 15 samples of 4: 12 have 2 or 3 of a's 3 posts; 6 have both of b's; c has one post, labelled in 10
    np.testing.assert_allclose(table["sample_prob"], [12 / 15, 6 / 15, 10 / 15], rtol=LOGS)
    assert table["labeled"].tolist() == [1, 1, 0]


def test_worked_example_all() -> None:
    table = aggregate(posts(), **CALL, at_least="all").set_index("user")
    np.testing.assert_allclose(table["toxic"], [np.nan, 1, np.nan])
    np.testing.assert_allclose(table["sample_prob"], [3 / 15, 6 / 15, 10 / 15], rtol=LOGS)
    np.testing.assert_allclose(table["toxic_adjusted"], aggregate(posts(), **CALL)["toxic_adjusted"])


def test_worked_example_any() -> None:
    labels = [0.0, 1.0, np.nan, 0.0, 0.0, np.nan]
    table = aggregate(posts(toxic=labels), **CALL, statistic="any").set_index("user")
    np.testing.assert_allclose(table["toxic"], [np.nan, 0, np.nan])  # a has a toxic post, but is not labelled in full
    np.testing.assert_allclose(table["llm"], [1, 1, 1])
    np.testing.assert_allclose(table["sample_prob"], [3 / 15, 6 / 15, 10 / 15], rtol=LOGS)
    assert "toxic_adjusted" not in table


def test_worked_example_unequal() -> None:
    """Independent draws: products of the probabilities, and means weighted by their inverse."""
    prob = [0.5, 0.25, 0.5, 0.5, 0.5, 0.2]
    with pytest.warns(e.UnequalPostsWarning, match=r"1 unit \(first: a\).*'toxic_adjusted'"):
        table = aggregate(posts(pi=prob), **CALL, sample_prob="pi").set_index("user")
    np.testing.assert_allclose(table["toxic"], [2 / 6, 1, np.nan])
    np.testing.assert_allclose(table["sample_prob"], [1 - 0.5 * 0.75 * 0.5, 1 - 0.5**2, 0.2])
    np.testing.assert_allclose(table["toxic_adjusted"], [(2 - 4) / 3, (1 + 2) / 2, 1])
    np.testing.assert_allclose(table["post_prob"], [1.25 / 3, 0.5, 0.2])
    assert table["note"].tolist() == ["in part, unequal: use adjusted", "complete", "not labelled"]
    two = aggregate(posts(pi=prob)[3:], **CALL, sample_prob="pi", at_least=2).set_index("user")
    np.testing.assert_allclose(two["sample_prob"], [0.25, 0.2])


# Every sample that could have been drawn.

UNIT = np.array([0, 0, 0, 1, 1, 2, 2])
TRUTH = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 2.5, 1.0])
GUESS = np.array([0.5, 0.0, 0.0, 1.0, 0.2, 2.0, 2.0])
STRATUM = np.array([0, 0, 1, 1, 0, 1, 1])
PLACE = np.array([0, 0, 0, 1, 1, 1, 1])
"""Primary units: the first holds unit 0, the second units 1 and 2."""

Draws = Iterator[tuple[float, np.ndarray, Labeling]]


def subsets(n: int, k: int) -> list[np.ndarray]:
    return [np.isin(np.arange(n), chosen) for chosen in combinations(range(n), k)]


def simple_random() -> Draws:
    for drawn in (every := subsets(7, 3)):
        yield 1 / len(every), drawn, Labeling(prob=np.full(7, 3 / 7), drawn=drawn, fixed_size=True)


def stratified() -> Draws:
    first, second = subsets(3, 2), subsets(4, 3)
    prob = np.where(STRATUM == 0, 2 / 3, 3 / 4)
    for a, b in product(first, second):
        drawn = np.zeros(7, dtype=bool)
        drawn[STRATUM == 0], drawn[STRATUM == 1] = a, b
        yield 1 / 12, drawn, Labeling(prob=prob, drawn=drawn, fixed_size=True, stratum=STRATUM)


def independent() -> Draws:
    prob = np.array([0.5, 0.2, 0.9, 0.4, 0.4, 1.0, 0.3])
    for chosen in product([False, True], repeat=7):
        drawn = np.array(chosen)
        chance = float(np.prod(np.where(drawn, prob, 1 - prob)))
        if chance:
            yield chance, drawn, Labeling(prob=prob, drawn=drawn, fixed_size=False)


def whole_places() -> Draws:
    for place, chance in ((0, 0.3), (1, 0.7)):
        drawn = place == PLACE
        first = np.where(PLACE == 0, 0.3, 0.7)
        yield chance, drawn, Labeling(prob=first, drawn=drawn, fixed_size=True, unit=PLACE, unit_prob=first)


def two_stage() -> Draws:
    """Two posts in the first place, three in the second."""
    first = np.where(PLACE == 0, 0.3, 0.7)
    prob = first * np.where(PLACE == 0, 2 / 3, 3 / 4)
    for place, chance, within in ((0, 0.3, subsets(3, 2)), (1, 0.7, subsets(4, 3))):
        for inner in within:
            drawn = np.zeros(7, dtype=bool)
            drawn[place == PLACE] = inner
            yield (
                chance / len(within),
                drawn,
                Labeling(prob=prob, drawn=drawn, fixed_size=True, unit=PLACE, unit_prob=first),
            )


DESIGNS = [simple_random, stratified, independent, whole_places, two_stage]


@pytest.mark.parametrize("draws", DESIGNS)
def test_probability_of_enough_labels_is_that_of_all_samples(draws: Any) -> None:
    for least in ([1, 1, 1], [2, 1, 1], [2, 2, 2], [3, 2, 1], [3, 1, 2]):
        chance = sum(p * (np.bincount(UNIT[drawn], minlength=3) >= least) for p, drawn, _ in draws())
        *_, (_, _, labeling) = draws()
        np.testing.assert_allclose(
            prob_at_least(labeling, UNIT, np.array(least)), chance, atol=LOGS, err_msg=str(least)
        )


@pytest.mark.parametrize("draws", DESIGNS)
def test_adjusted_means_and_their_noise_are_unbiased(draws: Any) -> None:
    every = [(p, *adjusted_means(labeling, UNIT, GUESS, TRUTH[drawn])) for p, drawn, labeling in draws()]
    chance = np.array([p for p, _, _ in every])
    means, noise = (np.stack([row[j] for row in every]) for j in (1, 2))
    assert chance.sum() == pytest.approx(1.0, abs=EXACT)
    expected = chance @ means
    np.testing.assert_allclose(expected, np.bincount(UNIT, TRUTH) / np.bincount(UNIT), atol=EXACT)
    np.testing.assert_allclose(chance @ noise, chance @ (means - expected) ** 2, atol=LOGS)


@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("draws", [simple_random, whole_places, two_stage])
def test_labelled_means_of_units_that_count_are_unbiased(draws: Any, least: int) -> None:
    """With equal probabilities in a unit: R_u / P_u times the labelled mean is the unit's mean on average."""
    total = np.zeros(3)
    *_, (_, _, labeling) = draws()
    needed = np.minimum(np.bincount(UNIT), least)
    prob = prob_at_least(labeling, UNIT, needed)
    for p, drawn, _ in draws():
        labels = np.bincount(UNIT[drawn], minlength=3)
        mean = np.bincount(UNIT[drawn], TRUTH[drawn], minlength=3) / np.maximum(labels, 1)
        total += p * (labels >= needed) * mean / prob
    np.testing.assert_allclose(total, np.bincount(UNIT, TRUTH) / np.bincount(UNIT), rtol=LOGS)


def test_labelled_means_with_unequal_probabilities_are_biased() -> None:
    """What the warning is about: even weighted, a mean of few labels is drawn towards the posts that are labelled most."""
    prob, truth = np.array([0.8, 0.2]), np.array([1.0, 0.0])
    average = 0.8 * 0.2 * (1 / 0.8) / (1 / 0.8 + 1 / 0.2) + 0.8 * 0.8 * 1.0 + 0.2 * 0.2 * 0.0
    counted = 1 - 0.2 * 0.8
    assert average / counted == pytest.approx(0.8, abs=0.02)
    assert truth.mean() == 0.5
    labeling = Labeling(prob=prob, drawn=np.array([True, True]), fixed_size=False)
    assert prob_at_least(labeling, np.zeros(2, dtype=int), np.array([1]))[0] == pytest.approx(counted)


def test_one_row_in_a_stratum_shows_no_spread() -> None:
    drawn = np.array([True, False, True, True, False])
    labeling = Labeling(
        prob=np.array([0.5, 0.5, 2 / 3, 2 / 3, 2 / 3]), drawn=drawn, fixed_size=True, stratum=np.array([0, 0, 1, 1, 1])
    )
    noise = adjusted_means(labeling, np.array([0, 0, 1, 1, 1]), np.zeros(5), np.ones(3))[1]
    assert np.isnan(noise[0])
    assert np.isfinite(noise[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 400), st.data())
def test_simple_random_samples_follow_the_hypergeometric(k: int, others: int, data: st.DataObject) -> None:
    n = k + others
    m, least = data.draw(st.integers(1, n)), data.draw(st.integers(1, k))
    labeling = Labeling(prob=np.full(n, m / n), drawn=np.arange(n) < m, fixed_size=True)
    found = prob_at_least(labeling, (np.arange(n) >= k).astype(int), np.array([least, 1]))[0]
    assert found == pytest.approx(stats.hypergeom.sf(least - 1, n, k, m), abs=LOGS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=30), st.data())
def test_independent_draws_follow_the_poisson_binomial(prob: list[float], data: st.DataObject) -> None:
    least = data.draw(st.integers(1, len(prob)))
    labeling = Labeling(prob=np.array(prob), drawn=np.ones(len(prob), dtype=bool), fixed_size=False)
    found = prob_at_least(labeling, np.zeros(len(prob), dtype=int), np.array([least]))[0]
    polynomial = np.array([1.0])
    for p in prob:
        polynomial = np.polymul(polynomial, [p, 1 - p])
    assert found == pytest.approx(polynomial[: len(prob) - least + 1].sum(), abs=LOGS)


# The table as a whole.


def test_adjusted_means_average_to_the_mean_of_the_posts() -> None:
    """Weighted by posts, they are the design-based mean with the raw surrogate: estimator="cdi" at lambda one."""
    data = dsl.datasets.simulate_nested(n_candidates=40, n_posts=8, n_labels=120, seed=2)
    units = aggregate(data, unit="candidate", gold="tone", prediction="pred_tone")
    fit = dsl.dsl("tone ~ 1", data, predicted_var="tone", prediction="pred_tone", estimator="cdi", tune=1.0)
    assert np.average(units["tone_adjusted"], weights=units["n_posts"]) == pytest.approx(
        fit.params["Intercept"], abs=EXACT
    )


def test_designs_say_how_posts_were_drawn() -> None:
    data = dsl.datasets.simulate_nested(n_candidates=60, n_posts=10, n_labels="all", seed=3)
    tone = data["tone"]
    call = {"unit": "candidate", "gold": "tone", "prediction": "pred_tone"}
    whole = dsl.sampling.clustered(data, 20, by="candidate", seed=1)
    units = aggregate(data.assign(tone=tone.where(whole.drawn)), **call, design=whole, at_least="all")
    np.testing.assert_allclose(units["sample_prob"], 1 / 3)
    np.testing.assert_allclose(units["unit_prob"], 1 / 3)
    np.testing.assert_allclose(units["post_prob"], 1.0)
    assert units["labeled"].sum() == 20
    stages = dsl.sampling.two_stage(data, 20, 4, by="candidate", seed=1)
    units = aggregate(data.assign(tone=tone.where(stages.drawn)), **call, design=stages)
    np.testing.assert_allclose(units["sample_prob"], units["unit_prob"])
    np.testing.assert_allclose(
        units["unit_prob"], pd.Series(stages.unit_prob).groupby(data["candidate"].to_numpy()).first()
    )
    np.testing.assert_allclose(units["post_prob"], np.minimum(4 / units["n_posts"], 1))
    strata = dsl.sampling.stratified(data, 150, by="incumbent", allocation="equal", seed=1)
    units = aggregate(data.assign(tone=tone.where(strata.drawn)), **call, design=strata, keep="incumbent")
    assert units.groupby("incumbent")["post_prob"].agg(np.ptp).max() < EXACT


def test_rows_of_a_design_are_found_by_label() -> None:
    data = posts().set_index(pd.Index(list("uvwxyz")))
    drawn = data["toxic"].notna().to_numpy()
    design = LabelDesign(kind="srs", rows=data.index, prob=np.full(6, 4 / 6), drawn=drawn, fixed_size=True)
    backwards = aggregate(data[::-1], **CALL, design=design)
    pd.testing.assert_frame_equal(backwards, aggregate(posts(), **CALL))


def test_categories_get_columns_of_their_own() -> None:
    topic = ["war", "peace", None, "war", "war", None]
    llm = ["war", "war", "peace", "peace", "war", "war"]
    table = aggregate(posts(topic=topic, llm=llm), unit="user", gold="topic", prediction="llm").set_index("user")
    indicator = aggregate(posts(llm=[1, 1, 0, 0, 1, 1], toxic=[1, 0, np.nan, 1, 1, np.nan]), **CALL).set_index("user")
    for own, other in (("topic[war]", "toxic"), ("llm[war]", "llm"), ("topic[war]_adjusted", "toxic_adjusted")):
        np.testing.assert_allclose(table[own], indicator[other])
    np.testing.assert_allclose(table["topic[peace]_adjusted"] + table["topic[war]_adjusted"], 1.0)


def test_several_gold_columns_and_units_of_two_columns() -> None:
    data = posts(place=["x", "x", "y", "x", "x", "x"], rude=[0, 1, np.nan, 0, 0, np.nan], llm2=[0, 1, 0, 1, 0, 0])
    table = aggregate(data, unit=["user", "place"], gold=["toxic", "rude"], prediction=["llm", "llm2"], keep="age")
    assert table[["user", "place"]].to_numpy().tolist() == [["a", "x"], ["a", "y"], ["b", "x"], ["c", "x"]]
    np.testing.assert_allclose(table["rude"], [0.5, np.nan, 0, np.nan])
    np.testing.assert_allclose(table["llm2"], [0.5, 0, 0.5, 0])
    assert table["age"].tolist() == [30, 30, 41, 19]


def test_other_tables_and_missing_values_to_keep() -> None:
    import polars as pl

    data = posts(age=[30, 30, 30, np.nan, np.nan, 19])
    table = aggregate(data, **CALL, keep="age")
    assert table["age"].isna().tolist() == [False, True, False]
    again = aggregate(pl.from_pandas(data.drop(columns="age")), **CALL)
    pd.testing.assert_frame_equal(again, table.drop(columns="age"))


def test_unit_level_dsl_with_every_unit_in_full_is_least_squares() -> None:
    data = posts(toxic=[1.0, 0, 1, 1, 0, 0])
    with pytest.warns(e.AllLabeledWarning):
        table = aggregate(data, **CALL, at_least="all")
    np.testing.assert_allclose(table["toxic"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(table["toxic_adjusted"], table["toxic"])
    np.testing.assert_allclose(table["toxic_noise"], 0.0)
    assert (table["sample_prob"] == 1.0).all()


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = {
    "unit missing": (
        {"user": ["a", "a", None, "b", "b", "c"]},
        {},
        e.DataError,
        r"'user' is missing in 1 row \(first: 2\)",
    ),
    "no unit": ({}, {"unit": []}, e.ArgumentError, "unit names no column"),
    "unknown column": ({}, {"unit": "usr"}, e.MissingColumnError, "'usr', named in unit.*'user'"),
    "unknown gold": ({}, {"gold": "toxicity"}, e.MissingColumnError, "'toxicity', named in gold.*'toxic'"),
    "varies": ({}, {"keep": "llm"}, e.ArgumentError, "'llm' has two parts"),
    "varies within": (
        {"hour": [1, 2, 3, 4, 4, 5]},
        {"keep": "hour"},
        e.DataError,
        r"'hour' \(keep\) varies within 1 unit \(first: a\).*cluster='user'",
    ),
    "statistic": ({}, {"statistic": "median"}, e.ArgumentError, "'median'.*mean, any"),
    "at_least": ({}, {"at_least": 0}, e.ArgumentError, "at_least.*0"),
    "at_least text": ({}, {"at_least": "most"}, e.ArgumentError, "'all'; found 'most'"),
    "any and some": ({}, {"statistic": "any", "at_least": 2}, e.ArgumentError, "at_least=2.*statistic='any'"),
    "any of numbers": (
        {"toxic": [1, 3, np.nan, 2, 2, np.nan]},
        {"statistic": "any"},
        e.LabelError,
        "it is 3 in 3 of 4",
    ),
    "too many asked for": (
        {"user": ["a"] * 6},
        {"at_least": "all"},
        e.LabelError,
        r"all its posts labelled \(the most is 4, of 6\).*clustered",
    ),
    "one surrogate for two": ({}, {"gold": ["toxic", "age"]}, e.ArgumentError, r"2 column\(s\) and prediction 1"),
    "name taken": ({"note": 1}, {"keep": "note"}, e.ArgumentError, "'note' would be overwritten"),
    "surrogate missing": ({"llm": [1, 0, np.nan, 1, 0, 1]}, {}, e.PredictionError, "'llm' is missing in 1 row"),
    "call": ({}, {"units": "user"}, e.CallError, "no argument 'units'; did you mean 'unit'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_teach(case: str) -> None:
    columns, arguments, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        aggregate(posts(**columns), **{**CALL, **arguments})


def test_designs_that_cannot_label_enough() -> None:
    data = posts()
    first, drawn = np.full(6, 0.5), np.array([True, False, False, True, False, False])
    code = pd.factorize(data["user"])[0]
    design = LabelDesign(
        kind="two_stage",
        rows=data.index,
        prob=first / np.bincount(code)[code],  # one post in each user drawn
        drawn=drawn,
        fixed_size=True,
        unit=code,
        unit_prob=first,
    )
    data["toxic"] = data["toxic"].where(drawn)
    np.testing.assert_allclose(aggregate(data, **CALL, design=design)["sample_prob"], 0.5)
    with pytest.raises(e.LabelError, match=r"no unit has 2 posts labelled \(the most is 1"):
        aggregate(data, **CALL, design=design, at_least=2)
    with pytest.raises(e.SampleProbabilityError, match=r"never label 2 of the 3 posts.*2 units \(first: a, b\)"):
        aggregate(
            data.assign(toxic=data["toxic"].where(data.index != 5, 1.0)),
            **CALL,
            design=LabelDesign(
                **{name: getattr(design, name) for name in ("kind", "rows", "prob", "fixed_size", "unit", "unit_prob")},
                drawn=np.isin(np.arange(6), [0, 3, 5]),
            ),
            at_least=2,
        )
