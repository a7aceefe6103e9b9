"""Products of surrogates: which columns, for which learners, and what they are worth."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.learners.products import MOST, products_of, takes_products
from tests.posts import posts, run

pytestmark = pytest.mark.numeric


def test_columns() -> None:
    """Labels as signs beside anything, two scores about their means; nothing for one surrogate or too many, no constants."""
    label, score, other = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.5, 0.9, 0.7, 0.6]), np.array([3.0, 1.0, 2.0, 2.0])
    found = products_of(np.column_stack([label, score, other]))
    sign = 2 * label - 1
    expected = [sign * score, sign * other, (score - score.mean()) * (other - other.mean())]
    np.testing.assert_allclose(found, np.column_stack(expected), atol=1e-15)
    assert products_of(label[:, None]).shape == (4, 0)
    assert products_of(np.tile(score[:, None], MOST + 1)).shape == (4, 0)
    dummies = np.eye(3)[[0, 1, 2, 0]][:, :2]  # of one category: never both one
    assert products_of(dummies).shape == (4, 0)
    assert products_of(np.column_stack([label, 1.0 - label])).shape == (4, 0)


@pytest.mark.parametrize(
    ("sl_method", "taken"),
    [("auto", True), ("ridge", True), (" Ridge", True), ("lm", False), ("SL.glm", False), (["ridge"], False)],
)
def test_learners_that_are_ours_to_choose(sl_method: Any, taken: bool) -> None:
    assert takes_products(sl_method) is taken


def table(seed: int = 2) -> pd.DataFrame:
    """Labels that are right as often as their confidence says."""
    rng = np.random.default_rng(seed)
    data = posts()
    sure = rng.uniform(0.5, 1.0, len(data))
    truth = (data["x"] + rng.normal(size=len(data)) > 0).astype(float)
    label = np.where(rng.random(len(data)) < sure, truth, 1 - truth)
    return data.assign(y=truth.where(data["lab"] == 1), llm=label, sure=sure)


@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
def test_they_are_a_feature_more(estimator: str) -> None:
    """A ridge regression that sees them is one that is given them as a feature."""
    data = table().assign(signed=lambda d: (2 * d["llm"] - 1) * d["sure"])
    call = {"estimator": estimator, "sl_method": "ridge", "tune": "coef"}
    found = run(data, prediction=["llm", "sure"], **call)
    by_hand = run(data, prediction="llm", feature=["sure", "signed"], **call)
    np.testing.assert_allclose(found.params, by_hand.params, rtol=1e-9)
    np.testing.assert_allclose(found.bse, by_hand.bse, rtol=1e-9)
    without = run(data, prediction="llm", feature="sure", **call)
    assert (np.abs(without.bse / found.bse - 1) > 1e-4).any()


def test_others_see_what_they_saw() -> None:
    data = table()
    pair = (run(data, prediction=["llm", "sure"]), run(data, prediction="llm", feature="sure"))
    np.testing.assert_array_equal(pair[0].params, pair[1].params)


def test_categories_count_their_columns() -> None:
    """Two dummies of three levels and a number: two products of either dummy with it, and none of zeros."""
    data = table().assign(llm=lambda d: pd.Series(np.array(["a", "b", "c"])[d["z"]]))
    fit = run(data, prediction=["llm", "sure"], sl_method="ridge", predicted_var="y")
    signs = [2.0 * (data["llm"] == level) - 1.0 for level in "bc"]
    own = {f"p{i}": sign * data["sure"] for i, sign in enumerate(signs)}
    by_hand = run(data.assign(**own), prediction="llm", feature=["sure", *own], sl_method="ridge")
    np.testing.assert_allclose(fit.params, by_hand.params, rtol=1e-9)


def test_bundled_labels_with_their_confidence() -> None:
    """A small language model's label and confidence: a third of the labels' variance in place of a quarter."""
    texts = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    call = {"data": texts, "predicted_var": "human_positive", "sl_method": "ridge", "sample_split": 1}
    one = dsl.dsl("human_positive ~ hedge", prediction="llm_positive", feature="llm_confidence", **call)
    both = dsl.dsl("human_positive ~ hedge", prediction=["llm_positive", "llm_confidence"], **call)
    assert one.fit_quality["r2"].iloc[0] < 0.29
    assert both.fit_quality["r2"].iloc[0] > 0.31
    assert (both.bse < one.bse).all()
