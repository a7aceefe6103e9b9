"""Wrong arguments: unknown, of the wrong kind, missing, or contradicting each other."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from tests.posts import ROWS, posts, run

CALLS: dict[str, tuple[dict[str, Any], type[Exception], list[str]]] = {
    "predicted variable not in formula": (
        {"formula": "x ~ z"},
        e.FormulaError,
        ["'y'", "does not occur", "predicted_var"],
    ),
    "no prediction and no feature": ({"prediction": None}, e.ArgumentError, ["prediction", "feature"]),
    "no predicted variable": ({"predicted_var": []}, e.ArgumentError, ["predicted_var"]),
    "predicted_var a number": ({"predicted_var": 3}, e.ArgumentError, ["predicted_var", "found 3"]),
    "unknown model": ({"model": "logti"}, e.ArgumentError, ["'logti'", "lm, logit, felm", "did you mean 'logit'"]),
    "unknown estimator": ({"estimator": "gold"}, e.ArgumentError, ["'gold'", "gold_only"]),
    "unknown method": ({"sl_method": "gfr"}, e.ArgumentError, ["gfr", "Did you mean 'grf'"]),
    "method of a wrong kind": ({"sl_method": object()}, e.ArgumentError, ["sl_method", "scikit-learn"]),
    "unknown family": ({"family": "poisson"}, e.ArgumentError, ["family", "'poisson'", "binomial"]),
    "unknown vcov": ({"vcov": "HC5"}, e.ArgumentError, ["'HC5'", "HC1"]),
    "vcov needs clusters": ({"vcov": "CR1"}, e.ArgumentError, ["CR1", "cluster="]),
    "vcov ignores clusters": ({"vcov": "HC1", "cluster": "cl"}, e.ArgumentError, ["HC1", "CR1"]),
    "tune": ({"tune": "vector"}, e.ArgumentError, ["tune", "'vector'", "'coef'"]),
    "tune, nothing to": ({"estimator": "gold_only", "tune": "coef"}, e.ArgumentError, ["gold_only", "no lambda"]),
    "tune, ppi": ({"estimator": "ppi", "tune": "coef"}, e.ArgumentError, ["'ppi'", "fixed lambda", "'ppi++'"]),
    "tune, ppi++": ({"estimator": "ppi++", "tune": 0.5}, e.ArgumentError, ["chooses its own", "tune=0.5"]),
    "target": ({"target": "infinite"}, e.ArgumentError, ["target", "'finite'"]),
    "target, naive": ({"estimator": "naive", "target": "finite"}, e.ArgumentError, ["'naive'", "labelled rows"]),
    "design": ({"design": 3}, e.ArgumentError, ["LabelDesign", "int"]),
    "cross_fit": ({"cross_fit": 1}, e.ArgumentError, ["cross_fit", "at least 2", "found 1"]),
    "cross_fit fractional": ({"cross_fit": 2.5}, e.ArgumentError, ["cross_fit", "2.5"]),
    "sample_split": ({"sample_split": 0}, e.ArgumentError, ["sample_split", "at least 1"]),
    "seed": ({"seed": None}, e.ArgumentError, ["seed", "None"]),
    "n_jobs": ({"n_jobs": 0}, e.ArgumentError, ["n_jobs", "-1"]),
    "fixed_effect": ({"fixed_effect": "two"}, e.ArgumentError, ["'two'", "twoways"]),
    "index without felm": ({"index": "cl"}, e.ArgumentError, ["index", "model='felm'"]),
    "felm without index": ({"model": "felm"}, e.ArgumentError, ["index=", "'y ~ x | unit'"]),
    "oneway with two": (
        {"model": "felm", "index": ["cl", "z"]},
        e.ArgumentError,
        ["oneway", "cl, z", "fixed_effect='twoways'"],
    ),
    "labeled an array": ({"labeled": np.ones(ROWS)}, e.ArgumentError, ["labeled", "one column", "found ndarray"]),
    "sample_prob a number": ({"sample_prob": 0.4}, e.ArgumentError, ["sample_prob", "found 0.4", "as a column"]),
    "cluster a long list": ({"cluster": ["cl", "z", "x"]}, e.ArgumentError, ["3 columns", "cl, z, x"]),
    "naive unpaired": (
        {"estimator": "naive", "prediction": ["llm", "x"]},
        e.ArgumentError,
        ["'y'", "predicted_var={'y'"],
    ),
    "unknown argument": ({"clusters": "cl"}, e.CallError, ["'clusters'", "did you mean 'cluster'"]),
    "argument spelt as in R": ({"sample.prob": "pi"}, e.CallError, ["'sample.prob'", "did you mean 'sample_prob'"]),
    "argument of another package": (
        {"survey_weights": "pi"},
        e.CallError,
        ["'survey_weights'", "sample_prob is the probability, 1/weight"],
    ),
    "argument like no other": ({"qqqq": 1}, e.CallError, ["'qqqq'", "formula, data, predicted_var"]),
    "folds of a wrong shape": ({"folds": [[0, 1]]}, e.FoldError, ["folds", "(S, 200)", "(1, 2)"]),
    "folds ragged": ({"folds": [[0, 1], [0, 1, 1]]}, e.FoldError, ["folds", "each row", "found 2, 3 entries"]),
    "folds fractional": ({"folds": np.full((1, ROWS), 0.5)}, e.FoldError, ["folds", "whole numbers"]),
    "folds text": ({"folds": np.full((1, ROWS), "a")}, e.FoldError, ["folds", "whole numbers"]),
    "one fold": ({"folds": np.zeros((1, ROWS), int)}, e.FoldError, ["split 1", "at least two folds"]),
    "folds split clusters": (
        {"folds": np.arange(ROWS)[None] % 2, "cluster": "cl"},
        e.FoldError,
        ["20 clusters", "same fold"],
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_argument_errors(case: str) -> None:
    arguments, error, words = CALLS[case]
    with pytest.raises(error) as caught:
        run(posts(), **arguments)
    assert isinstance(caught.value, dsl.DSLError)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (("y ~ x",), {"predicted_var": "y"}, ["not given: data"]),
        (("y ~ x", None), {}, ["not given: predicted_var"]),
        (("lm", "y ~ x", "y"), {}, ["2 arguments by position", "formula and data", "predicted_var="]),
        (("y ~ x", None), {"data": None, "predicted_var": "y"}, ["'data' twice"]),
    ],
)
def test_calls_that_do_not_fit(args: tuple[Any, ...], kwargs: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(e.CallError) as caught:
        dsl.dsl(*args, **kwargs)
    assert isinstance(caught.value, TypeError)  # what Python itself would raise
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, ["data frame", "found None"]),
        (np.ones((3, 2)), ["pandas, polars or pyarrow", "ndarray"]),
        ({"y": [1.0], "x": [1, 2], "llm": [0, 1]}, ["same length", "'y' 1", "'x' 2"]),
        ({"y": 1.0, "x": 2.0, "llm": 0.0}, ["same length", "'y' one value"]),
        (pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("a", "y")])), ["2 levels", "'_'.join"]),
    ],
)
def test_not_a_table(data: Any, words: list[str]) -> None:
    with pytest.raises(e.ArgumentError) as caught:
        run(data)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        (dsl.AdaptiveDesign, "budget", "n_labels"),
        (dsl.AdaptiveDesign, "target", "coefficient"),
        (dsl.AdaptiveDesign, "target_se", "se"),
        (dsl.evaluate, "budgets", "n_labels"),
        (dsl.ppi_quantile, "lam", "tune"),
        (dsl.ppi_statistic, "lam", "tune"),
        (dsl.sampling.simple_random, "size", "n_labels"),
        (dsl.sampling.targeted, "labeled_size", "n_labels"),
        (dsl.sampling.two_stage, "clusters", "n_clusters"),
        (dsl.datasets.load_sentiment, "labeled", "n_labels"),
        (dsl.datasets.simulate_linear, "size", "n_labels"),
    ],
)
def test_other_words_lead_to_ours(function: Any, old: str, new: str) -> None:
    with pytest.raises(e.CallError, match=f"no argument '{old}'; did you mean '{new}'"):
        function(**{old: 1})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weight", "analysis weights.*sample_prob is the probability, 1/weight"),
        ("sample_weight", "sample_prob is the probability, 1/weight"),
        ("subset", "leave the rows out of the data"),
        ("offset", "in the formula"),
        ("outcome", "did you mean 'predicted_var'"),
    ],
)
def test_arguments_of_other_packages_are_explained(name: str, words: str) -> None:
    with pytest.raises(e.CallError, match=words):
        run(posts(), **{name: "x"})
    with pytest.raises(e.CallError, match="the arguments are"):
        dsl.sampling.simple_random(weights="x")


@pytest.mark.parametrize("name", ["posts.csv", "posts/*.parquet"])
def test_a_path_without_a_file(name: str) -> None:
    with pytest.raises(e.SourceError, match=r"no file or folder 'posts.*pd\.read_csv"):
        run(name)
