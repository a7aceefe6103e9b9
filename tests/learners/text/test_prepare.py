"""Texts that reach the learner: once for all folds, out of fold, beside the numbers."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.linear_model import Ridge

import dsl
from dsl.exceptions import ArgumentError, EstimationError
from tests.learners.text.words import Lengths, worded
from tests.posts import LABELED, ROWS, run


@pytest.fixture(autouse=True)
def seen() -> list:
    Lengths.seen.clear()
    return Lengths.seen


def test_texts_are_represented_once_and_cross_fitted(seen: list) -> None:
    """One representation of all rows serves every fold. No row is predicted by a learner that saw it."""
    data = worded()
    data["body"] = [f"{body} {i:03d}" for i, body in enumerate(data["body"])]  # every text its own
    fit = run(data, text="body", sl_method=Lengths(), feature="words", cross_fit=4, sample_split=2)
    assert [each for each in seen if each[0] == "represent"] == [("represent", ROWS)]
    fits, predicted = ([x for kind, x in seen if kind == which] for which in ("fit", "predict"))
    assert len(fits) == len(predicted) == 8
    for learnt, new in zip(fits, predicted, strict=True):
        assert not set(learnt.texts) & set(new.texts)
        assert learnt.numbers.shape[1] == new.numbers.shape[1] == 2  # the prediction and the feature
        labelled = set(data["body"][data["lab"] == 1])
        assert set(learnt.texts) <= labelled
    for split in (predicted[:4], predicted[4:]):
        assert sorted(text for part in split for text in part.texts) == sorted(data["body"])
    assert fit.fit_quality["learner"].tolist() == ["Lengths"]
    assert fit.n_labeled == LABELED


def test_numbers_do_not_depend_on_the_number_of_jobs() -> None:
    with parallel_config(backend="threading"):  # processes take seconds to start
        one, two = (run(worded(), text="body", sl_method="tfidf", n_jobs=jobs).params for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", ["auto", ["lm", "tfidf"], ["lm", Lengths()], Lengths])
def test_texts_reach_learners_inside_others(method: object) -> None:
    fit = run(worded(), text="body", sl_method=method)
    assert np.isfinite(fit.params).all()
    assert fit.fit_quality["r2"].iloc[0] > 0.1


def test_texts_alone_are_enough() -> None:
    """No surrogate, no feature: the words tell nearly all."""
    fit = run(worded(), text="body", prediction=None, sl_method="tfidf")
    assert fit.fit_quality["r2"].iloc[0] > 0.5


@pytest.mark.parametrize(
    ("method", "label"), [("ridge", "ridge"), (["lm", "ridge"], "stack"), (Ridge(), "Ridge"), (Ridge, "Ridge")]
)
def test_learners_that_read_no_texts_are_refused_by_name(method: object, label: str) -> None:
    with pytest.raises(ArgumentError, match=rf"sl_method '{label}.* does not read texts, and text='body' is given"):
        run(worded(), text="body", sl_method=method)


def test_text_learners_without_texts_are_refused_by_name() -> None:
    for method in ("tfidf", Lengths(), ["lm", "tfidf"]):
        with pytest.raises(ArgumentError, match=r"reads texts, and none are given: name their column"):
            run(worded(), sl_method=method)


def test_a_text_cannot_be_the_gold_label() -> None:
    with pytest.raises(
        dsl.exceptions.LeakError, match="'y' is a predicted variable and a prediction, feature or text at once"
    ):
        run(worded(), text="y", sl_method="tfidf")


def test_one_row_for_each_text() -> None:
    class Short(Lengths):
        def represent(self, texts: object) -> object:
            return np.zeros((3, 2))

    with pytest.raises(EstimationError, match=r"Short.represent made something of shape \(3, 2\) of 200 texts"):
        run(worded(), text="body", sl_method=Short())
