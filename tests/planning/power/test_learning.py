"""What fewer labels would have given: the same fits as by hand, and learners that have learnt enough or have not."""

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError
from dsl.planning.power import learning, learning_curve
from tests.learners.text.words import worded
from tests.posts import run

RATIO = 0.12  # of standard errors at half the labels, medians over a few replications
N, LABELS = 1000, 400
MANY = 800


def many_features(labels: int = LABELS) -> tuple[pd.DataFrame, list[str]]:
    """An outcome on which twenty features bear, each a little: a hundred labels do not show how."""
    rng = np.random.default_rng(2)
    w = rng.normal(size=(N, 20))
    x = rng.normal(size=N)
    truth = 0.5 * x + w.sum(axis=1) / 3 + 0.5 * rng.normal(size=N)
    shown = np.isin(np.arange(N), rng.choice(N, labels, replace=False))
    names = [f"w{j}" for j in range(20)]
    return pd.DataFrame(w, columns=names).assign(
        x=x, rough=truth + rng.normal(size=N), y=np.where(shown, truth, np.nan)
    ), names


def test_a_learner_that_has_learnt_enough() -> None:
    """One surrogate, a line: half the labels find it as well, and standard errors are those of `power_dsl`."""
    data, _ = many_features(MANY)
    fit = dsl.dsl("y ~ x", data, predicted_var="y", prediction="rough", sl_method="lm", sample_split=1)
    curve = learning_curve(fit, data, labeled_size=[400, 600], replications=9)
    assert curve.enough == {"y": 400}
    assert curve.quality["labeled_size"].tolist() == [400, 600, 800]
    np.testing.assert_allclose(curve.table["learning"], 1.0, atol=RATIO)
    half = curve.table[curve.table["labeled_size"] == 400].set_index("term")
    power = dsl.power_dsl(fit, labeled_size=[400]).predicted_se.loc[400]
    np.testing.assert_allclose(half["std_error_fixed"], power[half.index])
    whole = curve.table[curve.table["labeled_size"] == 800].set_index("term")
    np.testing.assert_array_equal(whole["std_error"], fit.bse)


def test_a_learner_that_has_not() -> None:
    data, names = many_features()
    fit = dsl.dsl("y ~ x", data, predicted_var="y", feature=[*names, "x"], sl_method="lm", sample_split=1)
    curve = learning_curve(fit, data, labeled_size=[40, 100], replications=5)
    assert curve.quality["r2"].is_monotonic_increasing
    few = curve.table[curve.table["labeled_size"] == 40].set_index("term")
    assert (few["learning"] > 1.2).all()
    assert curve.enough["y"] > 40
    assert repr(curve) == "<LearningCurve y ~ x: 40 to 400 labels, 5 replications>"


def test_default_sizes_and_seeds() -> None:
    data, _ = many_features()
    fit = dsl.dsl("y ~ x", data, predicted_var="y", prediction="rough", sl_method="lm", sample_split=1)
    one, two, other = (learning_curve(fit, data, replications=1, seed=seed) for seed in (1, 1, 2))
    assert one.quality["labeled_size"].tolist() == [100, 200, 300, 400]
    pd.testing.assert_frame_equal(one.table, two.table)
    assert not one.table["std_error"].equals(other.table["std_error"])


@pytest.mark.parametrize("how", ["gold", "labeled", "prob", "design"])
def test_labels_are_hidden_and_probabilities_scaled(how: str) -> None:
    """Half the labels are those of a draw with half the probability, however the fit was told of it."""
    data, _ = many_features(N)
    prob = np.where(data["x"] > 0, 0.5, 0.3) if how in ("prob", "design") else 0.4
    design = dsl.sampling.bernoulli(data, prob=prob, seed=1)
    data["y"] = data["y"].where(design.drawn)
    data["lab"], data["pi"] = design.drawn.astype(int), design.prob
    told = {"gold": {}, "labeled": {"labeled": "lab"}, "prob": {"sample_prob": "pi"}, "design": {"design": design}}[how]
    fit = dsl.dsl("y ~ x", data, predicted_var="y", prediction="rough", sl_method="lm", sample_split=1, **told)
    thinned = learning._Thinned.of(fit.core, data)
    table, call = thinned.part(fit.core.call, 100, np.random.default_rng(0))
    kept = table["y"].notna()
    assert kept.sum() == 100
    assert not (kept & ~design.drawn).any()
    if how == "labeled":
        np.testing.assert_array_equal(table["lab"], kept.astype(int))
    if how in ("prob", "design"):
        np.testing.assert_allclose(table[call.sample_prob], design.prob * 100 / design.n_drawn)
    again = dsl.dsl("y ~ x", table, predicted_var="y", prediction="rough", sl_method="lm", sample_split=1, seed=call.seed,
                    sample_prob=call.sample_prob, labeled=call.labeled)  # fmt: skip
    np.testing.assert_array_equal(learning._refitted(fit.core, table, call, learning.Execution()).params, again.params)


def test_clusters_that_were_drawn_whole_are_hidden_whole() -> None:
    data, _ = many_features(N)
    data["cl"] = np.arange(N) // 10
    design = dsl.sampling.clustered(data, 40, by="cl", seed=1)
    data["y"] = data["y"].where(design.drawn)
    fit = dsl.dsl("y ~ x", data, predicted_var="y", prediction="rough", sl_method="lm", sample_split=1, design=design)
    table, _ = learning._Thinned.of(fit.core, data).part(fit.core.call, 200, np.random.default_rng(0))
    assert set(table["y"].notna().groupby(data["cl"]).sum()) == {0, 10}
    assert table["y"].notna().sum() == 200
    curve = learning_curve(fit, data, labeled_size=[200], replications=3)
    np.testing.assert_allclose(curve.table["learning"], 1.0, atol=2 * RATIO)


def test_texts_and_categories() -> None:
    data = worded()
    curve = learning_curve(run(data, text="body", sl_method="tfidf"), data, labeled_size=[40], replications=2)
    assert curve.quality["r2"].iloc[0] < curve.quality["r2"].iloc[1]
    data["kind"] = np.where(data["y"].isna(), None, np.where(data["y"] == 1, "up", "down"))
    fit = run(data, "kind ~ x", predicted_var="kind")
    assert set(learning_curve(fit, data, labeled_size=[50], replications=1).enough) == {"kind[down]", "kind[up]"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"labeled_size": 81}, "more than the 80 labels at hand"),
        ({"labeled_size": -1}, "must be above 0"),
        ({"replications": 0}, "replications"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_arguments(given: dict, words: str) -> None:
    data = worded()
    with pytest.raises(ArgumentError, match=words):
        learning_curve(run(data), data, **given)


def test_estimators_without_a_learner() -> None:
    data = worded()
    with pytest.raises(ArgumentError, match="trains no learner"):
        learning_curve(run(data, estimator="gold_only"), data)
    with pytest.raises(ArgumentError, match="other values"):
        learning_curve(run(data), data.assign(x=0.5))


def test_fits_without_a_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, and an error where there is no other."""
    data = worded()
    fit = run(data)
    real, calls = learning.run, iter([True, False, True, True])

    def fails(*arguments: object) -> object:
        if next(calls):
            raise dsl.exceptions.SeparationError("no")
        return real(*arguments)

    monkeypatch.setattr(learning, "run", fails)
    assert learning_curve(fit, data, labeled_size=[40], replications=2).failed == {40: 1}
    with pytest.raises(dsl.exceptions.EstimationError, match="none of 2 fits with 40 labels has a solution"):
        learning_curve(fit, data, labeled_size=[40], replications=2)
