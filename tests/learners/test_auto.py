"""The automatic choice of a learner."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from dsl.learners import crossfit
from dsl.learners.auto import choose, cross_predict, gold_folds
from dsl.learners.library import is_flat
from dsl.learners.names import choose_auto, make_learner
from tests.fixed import Fixed


def sample(n):
    """Three continuous and two binary features, binary gold."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(n, 3)), rng.random((n, 2)) < 0.4]).astype(float)
    return x, (rng.random(n) < expit(x[:, 0] - 0.7 * x[:, 1] ** 2 + x[:, 2] * x[:, 3])).astype(float)


def test_folds_spread_gold_and_keep_clusters_whole():
    rng = np.random.default_rng(0)
    y = (rng.random(203) < 0.1).astype(float)
    folds = gold_folds(y, 5, seed=1)
    assert all(np.ptp(np.bincount(folds[y == value], minlength=5)) <= 2 for value in (0, 1))
    assert not np.array_equal(folds, gold_folds(y, 5, seed=2))
    groups = rng.integers(0, 23, size=203)
    of_group = pd.Series(gold_folds(y, 5, seed=1, groups=groups)).groupby(groups)
    assert (of_group.nunique() == 1).all()
    assert of_group.first().nunique() == 5


def test_auto_does_not_search_where_features_take_few_values():
    x, y = sample(400)
    choose_for = lambda x: choose_auto(x, y, family="binomial", seed=1)  # noqa: E731
    one = choose_for(x[:, 3:4])
    assert (one.method, one.losses) == ("lm", {})
    assert one.reason.startswith("the features take only 2 values, which least squares fits exactly")
    assert choose_for(np.eye(4)[np.arange(400) % 4][:, 1:]).method == "lm"
    assert choose_for(np.ones((400, 2))).method == "lm"
    assert (choose_for(x[:, 3:]).method, choose_for(x[:, 3:]).losses) == ("surface", {})


def test_auto_with_nothing_to_choose():
    x, y = sample(50)
    assert choose_auto(x, np.ones(50), family="binomial", seed=1).method == "mean"
    assert choose_auto(x[:1], y[:1], family="binomial", seed=1).method == "lm"
    one = np.zeros(50, dtype=int)
    assert choose_auto(x, y, family="binomial", seed=1, groups=one).method == "lm"


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_auto_chooses_sensibly(family):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(800, 4))
    step = 2.5 * ((x[:, 0] > 0) & (x[:, 1] > 0) & (x[:, 2] > 0)) - 2.5 * ((x[:, 0] < -0.5) & (x[:, 3] > 0.5))
    index = {"product": 2.0 * x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]), "step": 2 * step}
    chosen = {}
    for name, value in index.items():
        y = value + rng.normal(size=800) if family == "gaussian" else (rng.random(800) < expit(value)).astype(float)
        choice = choose_auto(x, y, family=family, seed=1)
        chosen[name] = choice.method
        assert list(choice.losses) == ["ridge", "surface", "xgboost"]
        assert choice.losses[choice.method] < 1.05 * min(choice.losses.values())
    assert chosen["product"] == "surface"
    assert chosen["step"] == "xgboost"


def test_auto_prefers_the_simplest_within_one_standard_error():
    """Candidates that are wrong by known amounts on even and on odd rows."""
    y = np.tile([0.0, 1.0, 2.0, 3.0], 25)

    def wrong(even, odd):
        row = lambda x: x[:, 0].astype(int)  # noqa: E731
        return lambda: Fixed(lambda x: y[row(x)] + np.where(row(x) % 2 == 0, even, odd))

    def chosen(simple, rich, groups=None):
        make = {"simple": wrong(*simple), "rich": wrong(*rich)}
        return choose(make, np.arange(100.0)[:, None], y, np.arange(100) % 5, groups)

    # mean squared errors 0.5 and 0.005, standard error of the difference 0.05
    assert chosen((1.0, 0.0), (0.0, 0.1)).method == "rich"
    assert chosen((0.0, 0.1), (1.0, 0.0)).method == "simple"
    assert chosen((0.5, 0.5), (0.5, 0.5)).method == "simple"
    tied = chosen((1.0, 0.0), (0.0, 0.1), np.arange(100) % 2)  # two clusters that disagree: standard error 0.505
    assert tied.method == "simple"
    assert "simplest within one standard error of the smallest (rich)" in tied.reason
    assert tied.losses == pytest.approx({"simple": 0.5, "rich": 0.005})


def test_auto_leaves_trees_out_of_very_large_data():
    x, y = sample(100)
    choice = choose_auto(x, y, family="gaussian", seed=1, n_rows=2_000_000)
    assert list(choice.losses) == ["ridge", "surface"]
    assert "2,000,000 rows" in choice.reason


def test_auto_holds_out_whole_clusters():
    """Gold is noise shared within a cluster: only a split of clusters would make the features look useful."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(25), 8)
    x = rng.normal(size=(25, 5))[groups]
    y = rng.normal(size=25)[groups] + 0.1 * rng.normal(size=200)
    apart = choose_auto(x, y, family="gaussian", seed=1)
    together = choose_auto(x, y, family="gaussian", seed=1, groups=groups)
    assert min(apart.losses.values()) < 0.2 * np.var(y)
    assert min(together.losses.values()) > 0.7 * np.var(y)
    names = choose_auto(x, y, family="gaussian", seed=1, groups=np.array([f"g{g:02d}" for g in groups]))
    assert names == together


def test_auto_as_a_learner_uses_its_choice():
    x, y = sample(80)
    fitted = make_learner("auto", family="binomial", seed=4).fit(x, y)
    choice = choose_auto(x, y, family="binomial", seed=4)
    assert fitted.estimator_.choice_ == choice
    np.testing.assert_array_equal(
        fitted.predict(x), make_learner(choice.method, family="binomial", seed=4).fit(x, y).predict(x)
    )


@pytest.mark.parametrize("name", ["SL.auto", "Auto"])
def test_auto_is_chosen_once_however_it_is_spelled(name):
    x, y = sample(80)
    folds = np.arange(80)[None, :] % 2
    kwargs = {"family": "gaussian", "seed": 1}
    labeled = np.ones(80, dtype=bool)
    plain, spelled = (
        crossfit.cross_predict(x, y[:, None], labeled, folds, sl_method=m, **kwargs) for m in ("auto", name)
    )
    assert spelled.learners == plain.learners
    assert spelled.learners[0] in {"ridge", "surface", "xgboost"}
    assert spelled.reasons == plain.reasons
    np.testing.assert_array_equal(spelled.predictions, plain.predictions)


def test_auto_gives_up_candidates_that_are_clearly_worse():
    """By four standard errors after a fold of sixty rows; what is worse by less is tried on all five."""
    y, fits = np.tile([0.0, 1.0, 2.0], 100), {"good": 0, "bad": 0, "worse": 0}
    noise = dict(zip(fits, np.random.default_rng(2).normal(size=(3, 300)), strict=True))

    def off(name, by):
        def made():
            fits[name] += 1
            return Fixed(lambda x: (y + by * noise[name])[x[:, 0].astype(int)])

        return made

    make = {"good": off("good", 0.5), "bad": off("bad", 0.6), "worse": off("worse", 3.0)}
    choice = choose(make, np.arange(300.0)[:, None], y, np.arange(300) // 60)
    assert choice.method == "good"
    assert fits == {"good": 5, "bad": 5, "worse": 1}
    assert choice.losses["worse"] == pytest.approx(9.0 * np.mean(noise["worse"][:60] ** 2))
    assert "good, bad, worse" in choice.reason


@pytest.mark.parametrize(
    ("gold", "family"), [("numbers", "gaussian"), ("classes", "binomial"), ("classes", "gaussian")]
)
def test_surface_of_many_columns_is_ridge(gold, family):
    """Both are fitted only where they differ: a linear and a logistic regression of classes."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(120, 40))
    y = x[:, :3].sum(axis=1) + rng.normal(size=120)
    y = y if gold == "numbers" else (y > 0).astype(float)
    folds = gold_folds(y, 5, 1)
    held_out = [
        cross_predict(lambda name=name: make_learner(name, family=family), x, y, folds) for name in ("ridge", "surface")
    ]
    assert is_flat(x, y, folds, family) == np.array_equal(*held_out) == (gold == "numbers" or family == "binomial")
    assert not is_flat(x[:, :20], y, folds, family)
    losses = choose_auto(x, y, family=family, seed=1).losses
    assert (losses["ridge"] == losses["surface"]) == is_flat(x, y, folds, family)
