"""Gold values, the column that says which rows are labelled, and the rows' probabilities."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.labels import gold_values, r_levels
from dsl.exceptions import ColumnTypeError, LabelError, SampleProbabilityError
from tests.posts import posts, run


def test_at_most_four_values_are_listed() -> None:
    codes = np.arange(200) % 7
    with pytest.raises(LabelError, match=r"must be 1 \(labelled\) or 0; found 2.0, 3.0, 4.0, 5.0 in 142 rows"):
        run(posts().assign(lab=codes), labeled="lab")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "zero in 1 labelled row"),
        (np.nan, "missing in 1 labelled row"),
        (1.5, r"outside \(0, 1\] in 1 row"),
        (-0.1, r"outside \(0, 1\] in 1 row"),
    ],
)
def test_probabilities(value: float, words: str) -> None:
    data = posts()
    data.loc[data.index[data["lab"] == 1][0], "pi"] = value
    with pytest.raises(SampleProbabilityError, match=words):
        run(data, sample_prob="pi")


def test_percentages_are_recognised() -> None:
    data = posts()
    with pytest.raises(SampleProbabilityError, match="percentages divided by 100"):
        run(data.assign(pi=100 * data["pi"]), sample_prob="pi")


def test_text_is_categories_unless_half_of_it_are_numbers() -> None:
    for values in (["a", "b"], ["a", "b", "1"], ["pro", "contra", None]):
        made = gold_values(pd.Series(values))
        assert isinstance(made.dtype, pd.CategoricalDtype)
        assert made.isna().tolist() == [value is None for value in values]
    for values in (["a", "1"], ["1", "2", "x"], ["only"]):
        with pytest.raises(ColumnTypeError, match=r"\(predicted_var\) must hold numbers"):
            gold_values(pd.Series(values, name="y"))


def test_categories() -> None:
    """Ordered and textual ones stay; the others are numbers."""
    ordered = pd.Series(pd.Categorical([1, 2, 1], ordered=True))
    assert gold_values(ordered) is ordered
    text = pd.Series(pd.Categorical(["b", "a", "b"]))
    assert gold_values(text) is text
    assert gold_values(pd.Series(pd.Categorical([0, 1, 1]))).tolist() == [0.0, 1.0, 1.0]
    assert gold_values(pd.Series([True, False])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("column", "levels"),
    [
        (pd.Series([True, False]), ("FALSE", "TRUE")),
        (pd.Series([True, None], dtype="boolean"), ("FALSE", "TRUE")),
        (pd.Series(pd.Categorical([True, False])), ("FALSE", "TRUE")),
        (pd.Series(pd.Categorical(["0", "1"])), ("0", "1")),
        (pd.Series(pd.Categorical([1.0, None, 0.0])), ("0", "1")),
        (pd.Series(pd.Categorical(["1", "0"], categories=["1", "0"])), ("0", "1")),
        (pd.Series(["1", None, "0"]), ("0", "1")),
        (pd.Series([0.0, 1.0]), None),
        (pd.Series([0, 1]), None),
        (pd.Series(pd.Categorical(["1", "2"])), None),
        (pd.Series(pd.Categorical(["0", "1", "2"])), None),
        (pd.Series(["no", "yes"]), None),
        (pd.Series(["1", "1"]), None),
    ],
)
def test_levels_in_r(column: pd.Series, levels: tuple[str, str] | None) -> None:
    assert r_levels(column) == levels
