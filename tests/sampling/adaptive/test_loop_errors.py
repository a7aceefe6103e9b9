"""What `AdaptiveDesign` refuses: calls, data and labels, each with a message that says what was found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.learners.names import make_learner
from tests.sampling.adaptive.test_loop import ROWS, answer, begin, posts

CALLS: dict[str, tuple[dict[str, Any], type[Exception], list[str]]] = {
    "swapped": ({"formula": posts()[0]}, e.ArgumentError, ["The formula comes first", "DataFrame"]),
    "unknown argument": ({"confidences": "doubt"}, e.CallError, ["'confidences'", "did you mean 'confidence'"]),
    "model": ({"model": "tobit"}, e.ArgumentError, ["'tobit'", "lm, logit, felm"]),
    "criterion": ({"criterion": "max"}, e.ArgumentError, ["criterion", "worst, mean"]),
    "coefficient": ({"coefficient": "z"}, e.ArgumentError, ["coefficient names 'z'", "Intercept, x, rare"]),
    "no coefficient": ({"coefficient": []}, e.ArgumentError, ["coefficient names nothing"]),
    "se name": ({"se": {"z": 0.1}}, e.ArgumentError, ["se names 'z'"]),
    "se value": ({"se": {"x": -1}}, e.ArgumentError, ["se of 'x'", "-1"]),
    "se kind": ({"se": 0.1}, e.ArgumentError, ["dict of coefficient", "0.1"]),
    "n_labels": ({"n_labels": 1000}, e.ArgumentError, ["n_labels is 1000", "600 rows"]),
    "n_labels kind": ({"n_labels": 99.5}, e.ArgumentError, ["n_labels", "99.5"]),
    "burn-in": ({"burn_in": 160}, e.ArgumentError, ["burn-in of 160", "simple_random"]),
    "small burn-in": ({"burn_in": 5}, e.ArgumentError, ["burn_in is 5", "at least 20"]),
    "few labels": ({"n_labels": 20}, e.ArgumentError, ["burn-in of 20", "n_labels=20"]),
    "one batch": ({"batches": 1}, e.ArgumentError, ["batches is 1", "at least 2"]),
    "both": ({"batches": 3, "batch_size": 50}, e.ArgumentError, ["batch_size and batches"]),
    "tau": ({"tau": 0}, e.ArgumentError, ["tau", "above 0", "without a chance"]),
    "floor": ({"floor": 1.5}, e.ArgumentError, ["floor", "1.5"]),
    "robust": ({"robust": "yes"}, e.ArgumentError, ["robust", "'yes'"]),
    "seed": ({"seed": -1}, e.ArgumentError, ["seed"]),
    "learner": ({"error_model": "rigde"}, e.ArgumentError, ["'ridge'"]),
    "codebook": ({"codebook": {"x": [0, 1]}}, e.ArgumentError, ["'x'", "no predicted variable"]),
    "codebook values": ({"codebook": ["yes", "no"]}, e.ArgumentError, ["codebook of 'y'", "numbers"]),
    "no surrogate": (
        {"prediction": None, "confidence": None},
        e.ArgumentError,
        ["neither prediction", "simple_random"],
    ),
    "gold as surrogate": ({"prediction": "y"}, e.ArgumentError, ["'y'", "at once"]),
    "no predicted": ({"predicted_var": []}, e.ArgumentError, ["names no variable"]),
    "felm": ({"model": "felm"}, e.FormulaError, ["'y ~ x + rare | unit'"]),
    "fixed effects": ({"formula": "y ~ x | unit"}, e.FormulaError, ["model='felm'"]),
    "not in formula": ({"formula": "x ~ rare"}, e.FormulaError, ["'y'", "does not occur"]),
    "column": ({"confidence": "dout"}, e.MissingColumnError, ["'dout'", "did you mean 'doubt'"]),
    "log without names": (
        {"error_model": lambda: make_learner("lm"), "log": "never"},
        e.ArgumentError,
        ["error_model=function", "cannot be written to a log"],
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_errors_of_the_call(case: str) -> None:
    arguments, error, words = CALLS[case]
    with pytest.raises(error) as caught:
        begin(**arguments)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


DATA: dict[str, tuple[Callable[[pd.DataFrame], Any], type[Exception], list[str]]] = {
    "gold there": (
        lambda d: d.assign(y=np.where(d["x"] > 0, 1.0, np.nan)),
        e.LabelError,
        ["'y' has gold labels in", "run(ask)", "drop(columns='y')"],
    ),
    "missing covariate": (
        lambda d: d.assign(x=d["x"].where(d["x"] < 1)),
        e.DataError,
        ["'x'", "could not be used once labelled"],
    ),
    "missing surrogate": (
        lambda d: d.assign(llm=d["llm"].where(d["x"] < 1)),
        e.PredictionError,
        ["'llm'", "refusals='indicator' keeps these rows"],
    ),
    "row labels": (lambda d: d.set_axis(["a"] * ROWS), e.DesignError, ["a"]),
    "collinear": (lambda d: d.assign(rare=2 * d["x"]), e.CollinearityError, ["'x', 'rare'"]),
    "empty": (lambda d: d.iloc[:0], e.DataError, ["no rows"]),
    "column twice": (lambda d: pd.concat([d, d[["x"]]], axis=1), e.DataError, ["more than one column named 'x'"]),
}


@pytest.mark.parametrize("case", DATA)
def test_errors_of_the_data(case: str) -> None:
    change, error, words = DATA[case]
    with pytest.raises(error) as caught:
        begin(data=change(posts()[0]), n_labels=160)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


LABELS: dict[str, tuple[Callable[[pd.Series], Any], type[Exception], list[str]]] = {
    "missing rows": (lambda y: y.iloc[3:], e.LabelError, ["3 rows", "of 40", "have no label"]),
    "unknown rows": (
        lambda y: pd.concat([y, pd.Series([1.0], index=["p9999"])]),
        e.LabelError,
        ["1 row (first: p9999)", "not in this batch"],
    ),
    "lost index": (lambda y: y.reset_index(drop=True), e.LabelError, ["40 rows (first: 0, 1, 2)", "index"]),
    "twice": (lambda y: pd.concat([y, y.iloc[:2]]), e.LabelError, ["2 rows", "more than once"]),
    "missing labels": (lambda y: y.where(np.arange(40) != 2), e.LabelError, ["'y' is missing", "1 row"]),
    "codebook": (
        lambda y: y.where(np.arange(40) != 2, 7.0),
        e.LabelError,
        ["'y' has labels outside the codebook: 7 in 1 row", "0, 1"],
    ),
    "text": (lambda y: y.map({0.0: "no", 1.0: "yes"}), e.ColumnTypeError, ["'y'", "'no'"]),
    "array": (lambda y: y.to_numpy(), e.ArgumentError, ["indexed by row label", "ndarray"]),
    "wrong column": (lambda y: y.to_frame("label"), e.LabelError, ["no column 'y'", "found label"]),
}


@pytest.mark.parametrize("case", LABELS)
def test_errors_of_the_labels(case: str) -> None:
    """Refused labels leave everything as it was."""
    change, error, words = LABELS[case]
    adaptive = begin(codebook=[0, 1])
    batch = adaptive.next_batch()
    with pytest.raises(error) as caught:
        adaptive.add_labels(change(answer(batch)))
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
    assert adaptive.status().waiting == 40
    adaptive.add_labels(answer(batch))
    assert adaptive.status().n_labeled == 40


def test_labels_that_the_formula_cannot_use_are_refused() -> None:
    adaptive = begin("log(y) ~ x")
    batch = adaptive.next_batch()
    with pytest.raises(e.InfiniteValueError, match=r"log\(y\)"):
        adaptive.add_labels(answer(batch))
    adaptive.add_labels(answer(batch) + 1)
    adaptive = begin(family="binomial")
    batch = adaptive.next_batch()
    with pytest.raises(e.LabelError, match=r"family='binomial' needs labels between 0 and 1; found 2"):
        adaptive.add_labels(2 * answer(batch))
    adaptive = begin(model="logit")
    batch = adaptive.next_batch()
    with pytest.raises(e.OutcomeError, match=r"outcome of 0 and 1.*is 2 in \d+ rows"):
        adaptive.add_labels(answer(batch) + 1)
    assert adaptive.status().waiting == 40


def test_labels_without_a_batch() -> None:
    adaptive = begin()
    with pytest.raises(e.ArgumentError, match="no batch is waiting"):
        adaptive.add_labels(posts()[1])
    with pytest.raises(e.ArgumentError, match="labels of shape"):
        adaptive.run(lambda batch: [1.0])


@pytest.mark.parametrize("name", ["design", "sample_prob", "labeled", "data"])
def test_estimate_leaves_the_design_alone(name: str) -> None:
    adaptive = begin(batches=2).run(answer)
    with pytest.raises(e.ArgumentError, match=f"sets '{name}' itself"):
        adaptive.estimate(**{name: "x"})
