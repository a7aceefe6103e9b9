"""Learners in sentences: what ran, never an alias."""

import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dsl.learners.names import available_method
from dsl.learners.words import CALLED, learner_words
from dsl.reports.page.methods import describe
from tests.posts import posts, run


def test_every_name_has_words_that_are_not_the_name() -> None:
    for name in available_method()["method"]:
        for family in ("gaussian", "binomial"):
            (words,) = learner_words([name], name, family)
            # "ridge regression" and "the mean of ..." are words, "ranger" is an alias
            assert name in ("mean", "ridge") or name not in words.split()
    assert set(CALLED) == set(available_method()["method"])


@pytest.mark.parametrize(
    ("labels", "method", "words"),
    [
        (["xgboost"], "auto", ["gradient boosting (scikit-learn)"]),
        (["ridge, surface", "(one value)"], "auto", None),
        (
            ["stack(lm, grf)"],
            ["lm", "grf"],
            ["a weighted average of least squares and an honest regression forest (EconML)"],
        ),
        (["RandomForestRegressor"], RandomForestRegressor(), ["RandomForestRegressor (scikit-learn)"]),
        (
            ["RandomForestRegressor"],
            make_pipeline(StandardScaler(), RandomForestRegressor()),
            ["RandomForestRegressor (scikit-learn)"],
        ),
        (["(one value)"], "lm", []),
    ],
)
def test_words(labels: list[str], method: object, words: list[str] | None) -> None:
    found = learner_words(labels, method, "gaussian")
    assert found == words if words is not None else len(found) == 2


def test_the_methods_paragraph_names_what_ran() -> None:
    def paragraph(**more: object) -> str:
        return describe(run(posts(), **more).core, alpha=0.05, comparison=None, version="1").paragraphs[0]

    assert "by gradient boosting (scikit-learn), cross-fitted" in paragraph(sl_method="xgboost")
    assert "by least squares, cross-fitted" in paragraph(sl_method="SL.lm")
    # two values of the surrogate: nothing was searched
    assert "chosen by cross-validation" not in paragraph(sl_method="auto")
    assert ", chosen by cross-validation, cross-fitted" in paragraph(sl_method="auto", feature=["x", "words"])
