"""Learners by their names: what they are told, what they refuse, and how far their numbers depend on the seed."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from dsl.exceptions import ArgumentError, DataError
from dsl.learners import names
from dsl.learners.names import available_method, choose_auto, make_learner, reads_texts
from dsl.learners.threads import thread_pools

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = {"gaussian": X[:, 0] + RNG.normal(size=60), "binomial": (X[:, 0] + RNG.normal(size=60) > 0).astype(float)}
NAMED = [
    name for name, needs in available_method()[["method", "requires"]].to_numpy() if not (needs or reads_texts(name))
]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.long
def test_the_seed_says_it_all(name: str) -> None:
    """Two fits with one seed predict the same numbers, whatever was drawn in between."""
    for family in ("binomial",) if name == "logit" else ("gaussian", "binomial"):
        one = make_learner(name, family=family, seed=3).fit(X, Y[family]).predict(X)
        np.random.random(5)  # the generator that careless learners share
        np.testing.assert_array_equal(make_learner(name, family=family, seed=3).fit(X, Y[family]).predict(X), one)


@pytest.mark.parametrize("gold", [[-0.1, 0.5, 1.0], [0.0, 0.5, 1.5]])
def test_shares_are_between_zero_and_one(gold: list[float]) -> None:
    with pytest.raises(DataError, match=rf"between 0 and 1; found {min(gold):g} to {max(gold):g}"):
        make_learner("lm", family="binomial", seed=1).fit(X[:3], np.array(gold))
    predicted = make_learner("lm", family="binomial", seed=1).fit(X, Y["binomial"]).predict(10 * X)
    assert (predicted.min(), predicted.max()) == (0.0, 1.0)
    assert make_learner("lm", family="gaussian", seed=1).fit(X[:3], np.array(gold)).predict(X).shape == (60,)


def test_a_classifier_of_the_user_predicts_the_probability_of_one() -> None:
    mine = LogisticRegression().fit(X, Y["binomial"])
    ours = make_learner(LogisticRegression(), family="binomial", seed=1).fit(X, Y["binomial"]).predict(X)
    np.testing.assert_allclose(ours, mine.predict_proba(X)[:, list(mine.classes_).index(1)])


@pytest.mark.parametrize("method", ["LogisticRegression", lambda: LogisticRegression(), LogisticRegression()])
def test_ways_to_give_a_learner(method: object) -> None:
    if isinstance(method, str):
        with pytest.raises(ArgumentError, match="unknown sl_method"):
            make_learner(method, family="binomial", seed=1)
    else:
        assert make_learner(method, family="binomial", seed=1).fit(X, Y["binomial"]).predict(X[:2]).shape == (2,)
    with pytest.raises(ArgumentError, match=r"sl_method must be a name.*found int"):
        make_learner(3, family="binomial", seed=1).fit(X, Y["binomial"])


def test_trees_are_left_out_above_a_million_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"family": "gaussian", "seed": 1}
    for n_rows, trees in ((names.MANY_ROWS, True), (names.MANY_ROWS + 1, False), (None, True)):
        assert ("xgboost" in choose_auto(X, Y["gaussian"], n_rows=n_rows, **call).losses) is trees


@pytest.mark.parametrize("named", [True, False])
def test_learners_of_ours_keep_to_one_thread(monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    """As many at a time as `n_jobs` says and no more; an estimator of the user has the threads that it had."""
    seen: list[list[int]] = []
    fit = RandomForestRegressor.fit

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    def watched(self: RandomForestRegressor, *data: object) -> RandomForestRegressor:
        seen.append(threads())
        return fit(self, *data)

    monkeypatch.setattr(RandomForestRegressor, "fit", watched)
    thread_pools.cache_clear()  # other tests may have loaded libraries with pools of their own since
    with threadpool_limits(limits=3):
        given = threads()
        make_learner("ranger" if named else RandomForestRegressor(5), family="gaussian", seed=1).fit(X, Y["gaussian"])
    assert given
    assert seen == [[1] * len(given) if named else given]
