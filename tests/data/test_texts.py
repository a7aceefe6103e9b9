"""The column of texts: what it may hold, and what is said of it."""

import pandas as pd
import pytest

from dsl.data.columns import Columns
from dsl.data.sample import prepare
from dsl.exceptions import ColumnTypeError, MissingColumnError, TextError
from tests.posts import posts, run

COLUMNS = Columns(formula=("y", "x"), predicted=("y",), prediction=("llm",), text="body")


def table(**columns: object) -> pd.DataFrame:
    data = posts()
    return data.assign(body=[f"post {i}" for i in range(len(data))]).assign(**columns)


def test_texts_follow_the_rows_of_the_analysis() -> None:
    """Rows that are left out take their texts with them, and positions are those of the data."""
    data = table().set_index(pd.Index(range(1000, 1200)))
    data.loc[[1000, 1003], "x"] = None
    sample = prepare(data, COLUMNS)
    assert sample.texts is not None
    assert list(sample.texts.values) == [f"post {i}" for i in range(200) if i not in (0, 3)]
    assert list(sample.texts.rows) == list(sample.rows)
    assert sample.texts.n_input == 200
    assert list(sample.texts.labels) == list(sample.labels)


def test_any_container_of_text() -> None:
    plain = prepare(table(), COLUMNS).texts
    assert plain is not None
    for dtype in ("string", "category"):
        other = prepare(table().astype({"body": dtype}), COLUMNS).texts
        assert other is not None
        assert list(other.values) == list(plain.values)


def test_missing_texts_are_an_error_that_says_where() -> None:
    data = table()
    data.loc[[4, 9], "body"] = None
    with pytest.raises(TextError, match=r"'body' \(text\) is missing in 2 rows \(first: 4, 9\).*fillna\(''\)"):
        prepare(data, COLUMNS)


def test_numbers_are_no_texts() -> None:
    with pytest.raises(
        ColumnTypeError, match=r"'body' \(text\) holds something other than text in 200 rows .*such as 1"
    ):
        prepare(table(body=1.0), COLUMNS)
    with pytest.raises(MissingColumnError, match=r"column 'corpus', named in text, is not in the data"):
        run(table(), text="corpus", sl_method="tfidf")


def test_empty_texts_are_noted() -> None:
    data = table()
    data.loc[[1, 2], "body"] = ["", "  \n"]
    assert "'body' is empty in 2 of 200 rows: the learner reads nothing there" in prepare(data, COLUMNS).notes
    data.loc[[5, 6, 7], "body"] = ["nan", "None", "NA "]
    found = [note for note in prepare(data, COLUMNS).notes if "word for missing" in note]
    assert found == ["'body' is a word for missing ('nan', 'None', ...) in 3 of 200 rows: the learner reads that word"]
    assert not [note for note in prepare(table(), COLUMNS).notes if "empty" in note or "missing" in note]


def test_texts_are_no_categories() -> None:
    """Nothing is said of texts that differ by case or blanks, or of numbers."""
    alike = table(body=[("Good", "good ", "NA", "-99")[i % 4] for i in range(200)])
    run(alike, text="body", sl_method="tfidf")
