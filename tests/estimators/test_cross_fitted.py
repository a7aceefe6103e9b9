"""Fits with a learner made again from the predictions that they keep: the moments that were solved are solved."""

import numpy as np
import pandas as pd
import pytest

from dsl.engine.moments import design_weights, fitted_means, moment_sum
from dsl.estimators.again import analysis_of, split_blocks
from dsl.estimators.result import fit_of
from tests.posts import posts, run


def columns(kind: str) -> pd.DataFrame:
    """Posts whose `y` has two values, not zero and one, or is continuous, and so is `llm`."""
    data = posts()
    if kind == "two values":
        return data.assign(y=2.0 + 3.0 * data["y"], llm=2.0 + 3.0 * data["llm"])
    noise = np.random.default_rng(1).normal(size=(2, len(data)))
    return data.assign(y=data["y"] + noise[0], llm=data["llm"] + noise[1])


@pytest.mark.parametrize("estimator", ["dsl", "dsl+"])
@pytest.mark.parametrize("formula", ["x ~ y", "y ~ x"])
@pytest.mark.parametrize("kind", ["two values", "continuous"])
def test_estimates_are_roots_of_the_blocks_made_again(kind: str, formula: str, estimator: str) -> None:
    data = columns(kind)
    fit = fit_of(run(data, formula, estimator=estimator, tune=1.0, cross_fit=3, sample_split=2))
    analysis = analysis_of(fit, data)
    again = list(split_blocks(fit, analysis))
    assert len(again) == len(fit.splits.params) == 2
    link, places = analysis.model.link, analysis.places
    for (block,), params in zip(again, fit.splits.params, strict=True):
        solved = params[places]
        moment = moment_sum(block, fitted_means(block, solved, link), design_weights(block))
        np.testing.assert_allclose(moment, 0.0, atol=1e-9)
        other = moment_sum(block, fitted_means(block, solved + 0.01, link), design_weights(block))
        assert np.abs(other).max() > 0.1
