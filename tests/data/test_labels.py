"""Gold values, the column that says which rows are labelled, and the rows' probabilities."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.labels import category_codes, gold_values, r_levels
from dsl.exceptions import ColumnTypeError, LabelError, SampleProbabilityError
from tests.posts import posts, run


def test_every_value_is_shown_with_its_own_count() -> None:
    codes = np.arange(200) % 7
    words = (
        r"must be 1 \(labelled\) or 0; found 2 in 29 rows \(first: 2, 9, 16\), 3 in 29 rows .*, 4 in 28 rows .*, "
        "2 other values in 56 rows"
    )
    with pytest.raises(LabelError, match=words):
        run(posts().assign(lab=codes), labeled="lab")


def test_text_that_says_labelled_or_not_is_recoded_in_its_own_direction() -> None:
    data = posts()
    data["L"] = np.where(data["lab"] == 1, "labeled", "unlabeled")
    with pytest.raises(ColumnTypeError, match=r"\{'unlabeled': 0, 'labeled': 1\}"):
        run(data, labeled="L")


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
    with pytest.raises(SampleProbabilityError, match="look like percentages: pass pi / 100"):
        run(data.assign(pi=100 * data["pi"]), sample_prob="pi")


def test_inverse_probabilities_are_recognised() -> None:
    data = posts().assign(w=lambda d: 1 / d["pi"])
    with pytest.raises(SampleProbabilityError, match=r"look like weights \(inverse probabilities\): pass 1 / w,"):
        run(data, sample_prob="w")
    known = data.assign(w=data["w"].where(data["lab"] == 1))
    with pytest.raises(SampleProbabilityError, match=r"missing in 120 rows .*look like weights"):
        run(known, sample_prob="w")
    # neither adds up to the labelled rows: both are named, none is claimed
    with pytest.raises(SampleProbabilityError, match="if they are percentages, divide them by 100, of weights take"):
        run(data.assign(w=9.0 + 90.0 * (data.index == 0)), sample_prob="w")
    with pytest.raises(SampleProbabilityError) as slip:
        run(data.assign(w=np.where(data.index == 0, 1.5, data["pi"])), sample_prob="w")
    assert "percentages" not in str(slip.value)


def test_text_is_categories_unless_half_of_it_are_numbers() -> None:
    for values in (["a", "b"], ["a", "b", "1"], ["pro", "contra", None]):
        made = gold_values(pd.Series(values))
        assert isinstance(made.dtype, pd.CategoricalDtype)
        assert made.isna().tolist() == [value is None for value in values]
    with pytest.raises(ColumnTypeError, match=r"\(predicted_var\) must hold numbers"):
        gold_values(pd.Series(["only"], name="y"))


@pytest.mark.parametrize("values", [["a", "1"], ["1", "2", "x"], ["1", "2", "3", None], ["0", "1", "2"]])
def test_numbers_as_text_may_be_either(values: list[str | None]) -> None:
    with pytest.raises(ColumnTypeError, match=r"numbers as text.*\.astype\('category'\).*pd\.to_numeric"):
        gold_values(pd.Series(values, name="y"))


def test_zero_and_one_as_text_are_numbers() -> None:
    assert gold_values(pd.Series(["0", "1", "1"])).tolist() == [0.0, 1.0, 1.0]
    assert gold_values(pd.Series(pd.Categorical(["1", "0", "1"]))).tolist() == [1.0, 0.0, 1.0]
    assert gold_values(pd.Series(["0", None, "1"], dtype=object)).isna().tolist() == [False, True, False]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("levels", [[1, 2, 3], [1.0, 2.0, 3.0], ["1", "2", "3"]])
def test_a_categorical_dtype_is_a_category_whatever_its_levels_look_like(levels: list[object], ordered: bool) -> None:
    column = pd.Series(pd.Categorical([levels[0], levels[2], None, levels[1]], levels, ordered=ordered), name="y")
    made = gold_values(column)
    assert made.cat.categories.tolist() == ["1", "2", "3"]  # as R names them
    assert (made.cat.codes.tolist(), bool(made.cat.ordered)) == ([0, 2, -1, 1], ordered)


def test_categories() -> None:
    """Two levels 0 and 1 are numbers, unless they have an order."""
    text = pd.Series(pd.Categorical(["b", "a", "b"]))
    assert gold_values(text) is text
    assert gold_values(pd.Series(pd.Categorical([0, 1, 1], ordered=True))).cat.categories.tolist() == ["0", "1"]
    assert gold_values(pd.Series(pd.Categorical([0, 0], [0, 1, 2]))).cat.categories.tolist() == ["0", "1", "2"]
    assert gold_values(pd.Series(pd.Categorical([0, 1, 1]))).tolist() == [0.0, 1.0, 1.0]
    assert gold_values(pd.Series(pd.Categorical([False, True]))).tolist() == [0.0, 1.0]
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
        (pd.Series(pd.Categorical(["0", "1"], ordered=True)), None),
    ],
)
def test_levels_in_r(column: pd.Series, levels: tuple[str, str] | None) -> None:
    assert r_levels(column) == levels


def test_levels_that_are_written_alike_become_one() -> None:
    made = gold_values(pd.Series(pd.Categorical([1, "1", 2], [1, "1", 2])))
    assert (made.cat.categories.tolist(), made.cat.codes.tolist()) == (["1", "2"], [0, 0, 1])


@pytest.mark.parametrize("values", [[3, 1, 2], [3.0, 1.0, 2.0], ["3", "1", "2"], pd.Categorical([3, 1, 2])])
@pytest.mark.parametrize("levels", [[1, 2, 3], [1.0, 2.0, 3.0], ["1", "2", "3"]])
def test_categories_are_matched_by_what_they_are(levels: list[object], values: object) -> None:
    gold = gold_values(pd.Series(pd.Categorical(levels)))
    assert category_codes(pd.Series(values), gold).tolist() == [2, 0, 1]


def test_values_that_are_no_category() -> None:
    gold = gold_values(pd.Series(["True", "no"]))
    assert category_codes(pd.Series([True, None, False], dtype=object), gold).tolist() == [0, -1, -1]
