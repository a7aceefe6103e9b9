"""How often rows are split where nobody says."""

from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from dsl.learners.splits import default_splits, is_costly, notes_on_splits


class Dear(Ridge):
    costly = True


def test_learners_that_are_dear_split_once() -> None:
    assert [default_splits(method) for method in ("auto", Ridge(), make_pipeline(Ridge()), Ridge)] == [10] * 4
    assert [default_splits(method) for method in (Dear(), ["lm", Dear()], Dear)] == [1] * 3
    assert is_costly(Dear())


def test_it_is_said_where_it_was_so() -> None:
    assert "split once" in notes_on_splits(Dear(), 1)[0]
    assert notes_on_splits(Dear(), 2) == notes_on_splits(Ridge(), 1) == ()
