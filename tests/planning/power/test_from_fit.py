"""Power from a fit: closed forms, statsmodels' power functions, brute force over all sizes, errors and warnings."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import normal_power

from dsl.exceptions import ArgumentError, CallError, PowerWarning
from dsl.planning.power import PowerResults, power_dsl
from dsl.planning.power.curve import VarianceCurve, labels_saved, minimum_effect, power_of, smallest_size, stretch_above
from tests.posts import LABELED, ROWS, posts, run

mpl.use("Agg")

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def fit() -> Any:
    return run(posts(), formula="y ~ x + z", sample_split=3)


@pytest.fixture(scope="module")
def power(fit: Any) -> PowerResults:
    return power_dsl(fit)


def by_hand(fit: Any, data: pd.DataFrame, size: float, cluster: np.ndarray | None = None) -> np.ndarray:
    """Median over splits of the standard errors, from the rows: psi = m_hat + w (m - m_hat) of a linear model in x, z."""
    x = np.column_stack([np.ones(ROWS), data["x"], data["z"]])
    r = data["y"].notna().to_numpy()
    w = r * ROWS / LABELED
    gold = data["y"].fillna(0.0).to_numpy()
    each = []
    for params, predicted in zip(fit.split_params.to_numpy(), fit.predictions[:, :, 0], strict=True):
        m_hat = x * (predicted - x @ params)[:, None]
        d = np.where(r[:, None], x * (gold - x @ params)[:, None] - m_hat, 0.0)
        first = (w[:, None] * d).T @ (w[:, None] * d)
        psi = m_hat + w[:, None] * d
        if cluster is not None:
            psi = np.stack([np.bincount(cluster, column) for column in psi.T], axis=1)
        bread = np.linalg.inv(x.T @ x)
        c = size / LABELED
        each.append(np.sqrt(np.diag(bread @ (first / c + psi.T @ psi - first) @ bread)))
    return np.median(each, axis=0)


def test_default_sizes_begin_with_the_fit(fit: Any, power: PowerResults) -> None:
    assert power.labeled_size.tolist() == [80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160]
    assert power.predicted_se.index.name == "labeled_size"
    np.testing.assert_array_equal(power.predicted_se.iloc[0], fit.bse)
    assert not power.extrapolated.to_numpy().any()
    assert (power.predicted_se.diff().iloc[1:] < 0).all(axis=None)


@pytest.mark.parametrize("size", [30, 100, 160, 200])
def test_variance_from_the_rows(fit: Any, power: PowerResults, size: int) -> None:
    np.testing.assert_allclose(power.at(size).predicted_se.loc[size], by_hand(fit, posts(), size), rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("size", [100, 200])
def test_single_rows_of_clusters(size: int) -> None:
    """What rows of a cluster share is not averaged out by labelling more rows of it. (One split: scores are kept as means.)"""
    data = posts()
    clustered = run(data, formula="y ~ x + z", cluster="cl")
    expected = by_hand(clustered, data, size, data["cl"].to_numpy())
    np.testing.assert_allclose(
        power_dsl(clustered, labeled_size=size).predicted_se.loc[size], expected, rtol=SAME_ALGEBRA
    )


def test_whole_clusters_and_single_rows_agree_where_clusters_are_rows() -> None:
    data = posts().assign(own=range(ROWS))
    alone = run(data, cluster="own")
    rows, clusters = (power_dsl(alone, drawn=drawn).predicted_se for drawn in ("rows", "clusters"))
    np.testing.assert_allclose(rows, clusters, rtol=SAME_ALGEBRA)


def test_gold_only_shrinks_with_the_root() -> None:
    gold = run(posts(), estimator="gold_only")
    predicted = power_dsl(gold).at([20, 80, 160]).predicted_se
    expected = np.sqrt(80 / np.array([20, 80, 160]))[:, None] * gold.bse.to_numpy()
    np.testing.assert_allclose(predicted, expected, rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("estimator", ["dsl", "gold_only"])
def test_finite_population_ends_at_zero(estimator: str) -> None:
    """Simple random sampling: variances go with 1/n - 1/N."""
    one = run(posts(), estimator=estimator, target="finite")
    sizes = np.array([20.0, 80.0, 100.0, 200.0])
    scale = (1 / sizes - 1 / ROWS) / (1 / LABELED - 1 / ROWS)
    expected = np.sqrt(scale)[:, None] * one.bse.to_numpy()
    predicted = power_dsl(one).at(sizes)
    np.testing.assert_allclose(predicted.predicted_se, expected, rtol=SAME_ALGEBRA)
    assert predicted.power(0.1).loc[200.0].tolist() == [1.0, 1.0]


def test_finite_population_with_independent_draws() -> None:
    """The present variance, changed as the sum of (1 / c - pi) c c' is, c the labelled rows' centred scores."""
    data = posts()
    one = run(data, sample_prob="pi", target="finite")
    scores, prob = one.splits.label_scores, one.sample.sample_prob[one.sample.labeled]
    scores = scores - scores.mean(axis=0)
    bread = np.linalg.inv(one.splits.jacobians[0])

    def variance(c: float) -> np.ndarray:
        return np.diag(bread @ (scores * (1 / c - prob)[:, None]).T @ scores @ bread.T)

    for c in (0.5, 1.5):
        predicted = power_dsl(one).at(c * LABELED).predicted_se
        expected = one.bse * np.sqrt(variance(c) / variance(1.0))
        np.testing.assert_allclose(predicted.iloc[0], expected, rtol=SAME_ALGEBRA)


def test_small_sample_factor_stays() -> None:
    data = posts()
    plain, corrected = (power_dsl(run(data, vcov=vcov)) for vcov in ("HC0", "HC1"))
    np.testing.assert_allclose(
        corrected.predicted_se, np.sqrt(ROWS / (ROWS - 2)) * plain.predicted_se, rtol=SAME_ALGEBRA
    )


@pytest.mark.parametrize("call", [{"estimator": "dsl+"}, {"estimator": "cdi"}, {"tune": "scalar"}])
def test_tuned_estimators_stay_at_their_lambda(call: dict[str, Any]) -> None:
    fit = run(posts(), **call)
    predicted = power_dsl(fit, labeled_size=80 + 1e-6).predicted_se
    np.testing.assert_array_equal(predicted.iloc[0], fit.bse)
    np.testing.assert_allclose(predicted.iloc[1], fit.bse, rtol=1e-6)


def test_a_larger_study(fit: Any) -> None:
    """Twice the rows and twice the labels: every variance is halved. At 500,000 rows only the labels count."""
    twice = power_dsl(fit, nobs=2 * ROWS).predicted_se.loc[160]
    now = power_dsl(fit).at(80 - 1e-7).predicted_se.iloc[0]
    np.testing.assert_allclose(twice, now / np.sqrt(2), rtol=1e-6)
    many = power_dsl(fit, nobs=500_000, labeled_size=[320]).predicted_se
    np.testing.assert_allclose(many.iloc[1], many.iloc[0] / 2, rtol=1e-3)
    assert power_dsl(fit, nobs=500_000, labeled_size=5000).study.nobs == 500_000


def test_formula_instead_of_a_fit(power: PowerResults) -> None:
    def half(x: Any) -> Any:
        return x / 2

    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 3}
    same = power_dsl("y ~ x + z", posts(), **call)
    pd.testing.assert_frame_equal(same.predicted_se, power.predicted_se)
    by_name = power_dsl(formula="y ~ x + z", data=posts(), labeled_size=[100, 80, 30], **call)
    assert by_name.labeled_size.tolist() == [80, 100, 30]  # the present size first
    pd.testing.assert_frame_equal(by_name.predicted_se, power.at([80, 100, 30]).predicted_se)
    own = power_dsl("y ~ half(x) + z", posts(), **call).predicted_se
    np.testing.assert_allclose(own["half(x)"], 2 * power.predicted_se["x"], rtol=SAME_ALGEBRA)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # the first rows are labelled
def test_sizes_in_any_order_and_beyond_twice(fit: Any, power: PowerResults) -> None:
    mixed = power.at([160, 80, 30, 200])
    assert mixed.labeled_size.tolist() == [160, 80, 30, 200]
    for size in (160, 80, 30, 200):
        np.testing.assert_array_equal(mixed.predicted_se.loc[size], power.at(size).predicted_se.loc[size])
    large = posts()
    large.loc[large.index[:60], "y"] = (large["x"] > 0) * 1.0
    with_many = run(large)
    sizes = power_dsl(with_many).labeled_size
    assert sizes[-1] == ROWS
    assert (np.diff(sizes) > 0).all()


@pytest.mark.parametrize(("level", "wanted"), [(0.05, 0.8), (0.01, 0.9), (0.1, 0.11), (0.2, 0.999)])
def test_minimum_effect_has_its_power(power: PowerResults, level: float, wanted: float) -> None:
    """Against statsmodels' power of a z test."""
    effects = power.mde(power=wanted, alpha=level)
    assert effects.shape == power.predicted_se.shape
    reached = normal_power((effects / power.predicted_se).to_numpy(), 1, level)
    np.testing.assert_allclose(reached, wanted, rtol=ROUNDING)


def test_power_of_an_effect(power: PowerResults) -> None:
    found = power.power({"x": -0.1, "z": 0.05})
    assert list(found) == ["x", "z"]
    np.testing.assert_allclose(
        found["x"], normal_power(0.1 / power.predicted_se["x"].to_numpy(), 1, 0.05), rtol=ROUNDING
    )
    pd.testing.assert_frame_equal(power.power(pd.Series({"x": 0.1, "z": 0.05})), found)
    assert list(power.power(0.1, alpha=0.01)) == list(power.predicted_se)


def test_labels_needed_is_the_first_size_that_does(power: PowerResults) -> None:
    now = power.predicted_se.loc[80]
    wanted = {"x": 0.85 * now["x"], "z": 1.3 * now["z"]}
    needed = power.labels_needed(se=wanted)
    for term, target in wanted.items():
        size = int(needed.loc[term, "labeled_size"])
        assert power.at(size).predicted_se[term].item() <= target < power.at(size - 1).predicted_se[term].item()
        assert needed.loc[term, "further"] == max(size - LABELED, 0)
        assert needed.loc[term, "predicted_se"] == power.at(size).predicted_se[term].item()


def test_labels_needed_for_an_effect(power: PowerResults) -> None:
    effect = 3.5 * power.predicted_se.loc[80, "x"]
    needed = power.labels_needed(effect={"x": effect}, power=0.9, alpha=0.01)
    size = int(needed.loc["x", "labeled_size"])
    assert power.at(size).power({"x": effect}, alpha=0.01).loc[size, "x"] >= 0.9
    assert power.at(size - 1).power({"x": effect}, alpha=0.01).loc[size - 1, "x"] < 0.9


def test_what_no_number_of_labels_reaches(power: PowerResults) -> None:
    needed = power.labels_needed(se=1e-4)
    assert needed["labeled_size"].isna().all()
    assert needed["further"].isna().all()
    np.testing.assert_allclose(needed["predicted_se"], power.at(ROWS).predicted_se.loc[ROWS])


def test_costs(power: PowerResults) -> None:
    cost = power.at([80, 100]).cost(0.5, 0.01)
    expected = pd.DataFrame(
        {"expert": [40.0, 50.0], "llm": 2.0, "total": [42.0, 52.0], "further": [0.0, 10.0]},
        index=pd.Index([80.0, 100.0], name="labeled_size"),
    )
    pd.testing.assert_frame_equal(cost, expected)
    gold = power_dsl(run(posts(), estimator="gold_only"))
    assert (gold.cost(0.5, 0.01)["llm"] == 0.0).all()


def test_worth_by_brute_force(power: PowerResults) -> None:
    """Labels that the labelled rows alone need for the same variance, V(N) N / n, at every size."""
    sizes = np.arange(1, ROWS + 1)
    se = power.study.curve.se(sizes.astype(float))
    full = np.median(power.study.curve.variances(np.array([float(ROWS)]))[0], axis=0)
    value = 0.1 * (full * ROWS / se**2 - sizes[:, None])
    price = value.max() / 2 / ROWS
    worth = power.worth(expert_price=0.1, llm_price=price)
    assert sorted(worth["from_size"].isna()) == [False, True, True]
    for j, term in enumerate(power.predicted_se):
        enough = sizes[value[:, j] >= price * ROWS]
        if len(enough):
            assert (worth.loc[term, "from_size"], worth.loc[term, "until_size"]) == (enough[0], enough[-1])
        assert worth.loc[term, "value"] == pytest.approx(value[LABELED - 1, j], rel=SAME_ALGEBRA)
        assert worth.loc[term, "value"] == pytest.approx(0.1 * worth.loc[term, "labels_saved"])
    assert (worth["price"] == price * ROWS).all()
    dear = power.worth(expert_price=0.1, llm_price=1.0)
    assert dear[["from_size", "until_size"]].isna().all(axis=None)


def test_worth_against_a_gold_only_fit() -> None:
    data = posts()
    unequal = {"formula": "y ~ x + z", "sample_prob": "pi"}
    power, gold = (power_dsl(run(data, **unequal, estimator=estimator)) for estimator in ("dsl", "gold_only"))
    worth = power.worth(1.0, 0.01, gold_only=gold)
    ratio = (gold.predicted_se.iloc[0] / power.study.curve.se(np.array([80.0]))[0]) ** 2
    np.testing.assert_allclose(worth["labels_saved"], 80 * ratio - 80, rtol=SAME_ALGEBRA)
    with pytest.raises(ArgumentError, match=r"unequal sampling probabilities.*gold_only="):
        power.worth(1.0, 0.01)
    with pytest.raises(ArgumentError, match="uses no surrogates"):
        gold.worth(1.0, 0.01)
    with pytest.raises(ArgumentError, match="found DSLResults"):
        power.worth(1.0, 0.01, gold_only=run(data, estimator="gold_only"))
    with pytest.raises(ArgumentError, match="coefficients Intercept, x, 200 rows"):
        power.worth(1.0, 0.01, gold_only=power_dsl(run(data, estimator="gold_only")))


def test_worth_on_a_finite_population() -> None:
    """Equal variances per label of both: then no label is saved."""
    gold = power_dsl(run(posts(), estimator="gold_only", target="finite"))
    curve = gold.study.curve
    assert labels_saved(curve, curve, np.array([50.0, 150.0])) == pytest.approx(0.0, abs=1e-9)


finite = st.floats(0.01, 10.0)


@settings(max_examples=40)
@given(shrinking=finite, staying=finite, share=st.floats(0.05, 0.95))
def test_smallest_size_of_one_split(shrinking: float, staying: float, share: float) -> None:
    """a n0 / n + b <= target^2 where n >= a n0 / (target^2 - b)."""
    curve = VarianceCurve(shrinking=np.array([[shrinking]]), staying=np.array([[staying]]), n_labeled=100)
    exact = 1.0 + share * 9_998.0
    target = np.sqrt(shrinking * 100 / exact + staying)
    found = smallest_size(curve, np.array([target]), 10_000)[0]
    assert abs(found - exact) <= 1.0 + 1e-6 * exact
    assert smallest_size(curve, np.array([np.sqrt(staying)]), 10_000)[0] == 0


@given(level=st.floats(1e-4, 0.5), gain=st.floats(0.01, 0.99), se=finite)
def test_minimum_effect_inverts_power(level: float, gain: float, se: float) -> None:
    wanted = level + gain * (0.9999 - level)
    effect = minimum_effect(np.array(se), power=wanted, alpha=level)
    assert power_of(effect, np.array(se), alpha=level) == pytest.approx(wanted, rel=1e-9)


@given(first=st.integers(1, 30_000), length=st.integers(40, 30_000))
def test_stretch_of_a_bump(first: int, length: int) -> None:
    most, last = 60_000, first + length
    found = stretch_above(lambda n: -np.maximum(np.maximum(first - n, n - last), 0.0)[:, None], 0.0, most)
    assert (found[0][0], found[1][0]) == (first, min(last, most))


def test_variance_below_zero_is_extrapolated_and_said() -> None:
    """Whole clusters taken for drawn where single rows were: from some size on nothing is left."""
    clustered = run(posts(), cluster="cl")
    assert not power_dsl(clustered).extrapolated.to_numpy().any()
    curve = power_dsl(clustered, drawn="clusters", labeled_size=[80]).study.curve
    zero = -curve.shrinking[0, 1] / curve.staying[0, 1] * LABELED  # where the variance of x is
    assert 80 < zero < 160
    with pytest.warns(PowerWarning, match=f"x is not positive from {1.1 * zero:g} labels.*drawn='rows'") as caught:
        wrong = power_dsl(clustered, drawn="clusters", labeled_size=[1.2 * zero, 0.9 * zero, 1.1 * zero])
    assert caught[0].filename == __file__
    last = np.sqrt(curve.variances(np.array([0.9 * zero]))[0, 0, 1])
    expected = [clustered.bse["x"], last * np.sqrt(0.9 / 1.2), last, last * np.sqrt(0.9 / 1.1)]
    np.testing.assert_allclose(wrong.predicted_se["x"], expected, rtol=SAME_ALGEBRA)
    assert wrong.extrapolated["x"].tolist() == [False, True, False, True]
    assert "extrapolated" in str(wrong.summary())


def test_probabilities_above_one_are_said() -> None:
    """The highest of .5 and .35, scaled: one at 80 / max(pi)."""
    unequal = run(posts(), sample_prob="pi")
    highest = unequal.sample.sample_prob.max()
    limit = LABELED / highest
    assert power_dsl(unequal).labeled_size[-1] == np.floor(limit) < 2 * LABELED
    with pytest.warns(PowerWarning, match=f"probabilities above one \\(from {limit:.0f} labels on\\)"):
        above = power_dsl(unequal, labeled_size=190)
    assert f"Approximate above {limit:,.0f} labels" in str(above.summary())


def test_summary_and_repr(power: PowerResults) -> None:
    assert repr(power) == "<PowerResults y ~ x + z (dsl): 80 to 160 of 200 rows labelled, 80 so far>"
    text = str(power.summary(power=0.9))
    for part in (
        "Power of a labelling design",
        "y ~ x + z",
        "80 of 200 rows labelled",
        "power 0.9, level 0.05",
        "6 of 11",
    ):
        assert part in text, part
    first = next(line for line in text.splitlines() if line.startswith("x "))
    assert float(first.split()[1]) == pytest.approx(power.predicted_se["x"].iloc[0], rel=5e-3)
    assert "sizes shown" not in str(power.at([100, 120]).summary())


def test_plot_draws_the_numbers(power: PowerResults) -> None:
    import matplotlib.pyplot as plt

    ax = power.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(power.predicted_se)
    drawn = {tuple(np.round(line.get_ydata(), 12)) for line in ax.get_lines()}
    for term in power.predicted_se:
        assert tuple(np.round(power.predicted_se[term], 12)) in drawn
    styles = {
        (str(line.get_linestyle()), line.get_marker())
        for line in ax.get_lines()
        if line.get_label() in power.study.terms
    }
    assert len(styles) == len(power.study.terms)
    _, own = plt.subplots()
    assert power.at(100).plot(own, terms="x") is own
    with pytest.raises(ArgumentError, match="'w', which is no coefficient"):
        power.plot(terms=["w"])
    plt.close("all")


SIZE_ERRORS = [
    (0, "above 0; found 0"),
    ([100, -3], "above 0; found -3"),
    (float("nan"), "above 0; found nan"),
    (201, "labeled_size=201 is more than there are rows \\(200\\).*nobs="),
    ("many", "number of labelled rows or a list of them; found 'many'"),
    ([], "found \\[\\]"),
    ([[100]], "or a list"),
]


@pytest.mark.parametrize(("size", "words"), SIZE_ERRORS)
def test_sizes_that_cannot_be(fit: Any, power: PowerResults, size: Any, words: str) -> None:
    for call in (lambda: power_dsl(fit, labeled_size=size), lambda: power.at(size)):
        with pytest.raises(ArgumentError, match=words):
            call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.mde(power=0.04), "power must lie between alpha"),
        (lambda p: p.mde(alpha=0.0), "alpha must lie between 0 and 1"),
        (lambda p: p.power(0.0), "other than zero, or one for each term; found 0"),
        (lambda p: p.power({"w": 0.1}), "'w', which is no coefficient; they are Intercept, x, z"),
        (lambda p: p.power({}), "found none"),
        (lambda p: p.power("big"), "found 'big'"),
        (lambda p: p.labels_needed(), "one of both"),
        (lambda p: p.labels_needed(se=0.1, effect=0.1), "one of both"),
        (lambda p: p.labels_needed(se={"x": np.nan}), "se must be a number"),
        (lambda p: p.cost(-1.0), "expert_price must be a price"),
        (lambda p: p.worth(1.0, "free"), "llm_price must be a price per label, zero or more; found 'free'"),
    ],
)
def test_questions_without_an_answer(power: PowerResults, call: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call(power)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"estimator": "naive"}, "'naive'.*do not depend on expert labels"),
        ({"estimator": "ppi"}, "'ppi'.*estimator='cdi', tune=1.0"),
        ({"estimator": "ppi++"}, "'ppi\\+\\+'.*estimator='cdi'"),
    ],
)
def test_estimators_without_power(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        power_dsl(run(posts(), **change))


def test_calls_that_do_not_fit(fit: Any) -> None:
    with pytest.raises(ArgumentError, match=r"a fit of dsl.dsl, or a formula.*found nothing"):
        power_dsl()
    with pytest.raises(ArgumentError, match="found DataFrame"):
        power_dsl(posts())
    with pytest.raises(ArgumentError, match="'seed' was settled when the fit was made"):
        power_dsl(fit, seed=3)
    with pytest.raises(ArgumentError, match="unknown drawn 'units'"):
        power_dsl(fit, drawn="units")
    with pytest.raises(ArgumentError, match="nobs must be a whole number of rows, at least the 80 labelled"):
        power_dsl(fit, nobs=79)
    with pytest.raises(CallError, match="has no argument 'predictions'; did you mean 'prediction'"):
        power_dsl("y ~ x", posts(), predicted_var="y", predictions="llm")
    with pytest.raises(CallError, match="takes 2 arguments by position"):
        power_dsl("y ~ x", posts(), [100])


def test_scores_that_are_gone() -> None:
    clustered = run(posts(), cluster="cl")
    call = {"drawn": "clusters", "labeled_size": [90, 100]}
    before = power_dsl(clustered, **call).predicted_se
    clustered.remove_data()
    pd.testing.assert_frame_equal(power_dsl(clustered, **call).predicted_se, before)
    with pytest.raises(ArgumentError, match=r"remove_data\(\) dropped"):
        power_dsl(clustered)
