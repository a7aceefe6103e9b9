"""Recode advice: in the direction that the words mean, or in none."""

import numpy as np
import pytest

from dsl.data.recoding import recode, zero_and_one
from dsl.exceptions import ColumnTypeError, FormulaError
from tests.posts import posts, run

PAIRS = [
    ("unlabeled", "labeled"), ("No", "Yes"), ("false", "TRUE"), ("not hate", "hate"), ("no_hate", "hate"),
    ("nonhate", "hate"), ("Non-toxic", "toxic"), ("irrelevant", "relevant"), ("incorrect", "Correct"), ("NEGATIVE", "Positive"),
    ("uncivil", "civil"), ("absent", "present"), ("n", "y"), ("Not_Political", "political"),
]  # fmt: skip


@pytest.mark.parametrize(("zero", "one"), PAIRS)
def test_words_say_which_is_one(zero: str, one: str) -> None:
    for values in ([zero, one], [one, zero]):
        found = np.array(values, dtype=object)
        assert zero_and_one(found) == (zero, one)
        assert f"{{{zero!r}: 0, {one!r}: 1}}" in recode("v", found)


@pytest.mark.parametrize(
    "values",
    [["left", "right"], ["Dem", "Rep"], ["interest", "rest"], ["men", "women"], ["a", "b", "c"], ["war", "art"]],
)
def test_without_such_words_no_code_is_proposed(values: list[str]) -> None:
    advice = recode("v", np.array(values, dtype=object))
    assert not any(f"{value!r}: " in advice for value in values)
    assert all(repr(value) in advice for value in values)


def test_an_observed_text_outcome_is_refused_with_advice_that_is_right() -> None:
    data = posts().assign(
        v=lambda d: np.where(d["x"] > 0, "yes", "no"), w=lambda d: np.where(d["x"] > 0, "left", "right")
    )
    with pytest.raises(FormulaError, match=r"\{'no': 0, 'yes': 1\}.*I\(v == 'yes'\)"):
        run(data, "v ~ y", model="logit")
    with pytest.raises(FormulaError, match=r"values are 'left', 'right'. Decide on which of them is 1"):
        run(data, "w ~ y", model="logit")


def test_a_feature_of_three_words_is_listed() -> None:
    data = posts().assign(p=lambda d: np.array(["low", "mid", "high"])[d["z"]])
    with pytest.raises(ColumnTypeError, match=r"'low'.*'mid'|'mid'.*'low'") as caught:
        run(data, sample_prob="p")
    assert "a number for each of them" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (["1", "2"], "Convert it: data['t'] = pd.to_numeric(data['t'], errors='coerce')"),
        (["1", "x"], "Convert it: data['t'] = pd.to_numeric"),  # half of them
        (["no", "yes"], "Recode it, e.g. data['t'].map({'no': 0, 'yes': 1}), keeping missing values missing"),
        (
            ["c", "b", "a"],
            "Its values are 'c', 'b', 'a'. Decide on a number for each of them, and recode it with data['t']",
        ),
        (["only"], "Convert it to numbers, as data['t'].astype(float) does"),
        ([f"w{j}" for j in range(10)], "Its values are 'w0', 'w1', "),
        ([f"w{j}" for j in range(11)], "Convert it to numbers, as data['t'].astype(float) does"),
        ([], "Convert it to numbers"),
    ],
)
def test_advice(values: list[str], advice: str) -> None:
    assert recode("t", np.array(values, dtype=object)).startswith(advice)
