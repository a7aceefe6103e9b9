"""Cross-fitting: who is predicted by whom, and who chooses the learner."""

import numpy as np
import pytest

from dsl.exceptions import FoldError
from dsl.learners.crossfit import check_folds, cross_predict, distinct_rows, predictions_kept
from dsl.learners.names import choose_auto
from tests.fixed import Fixed

ROWS = 60
SAME_ALGEBRA = 1e-10


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (60, 2) of which no row occurs twice, gold (40, 2), and which rows are labelled."""
    rng = np.random.default_rng(seed)
    labeled = np.isin(np.arange(ROWS), rng.choice(ROWS, 40, replace=False))
    return rng.normal(size=(ROWS, 2)), rng.normal(size=(40, 2)), labeled


@pytest.mark.parametrize("values", ["distinct", "repeated"])
def test_rows_are_predicted_by_the_labels_of_the_other_folds(values: str) -> None:
    """Least squares on the labelled rows of the other folds, row by row, for two splits, folds and variables."""
    x, gold, labeled = data()
    if values == "repeated":
        x = (x > 0.0) * 1.0
    folds = np.stack([np.arange(ROWS) % 3, np.arange(ROWS) // 15])
    call = {"sl_method": "lm", "family": "gaussian", "seed": 1}
    found = cross_predict(x, gold, labeled, folds, **call).predictions
    assert found.shape == (2, ROWS, 2)
    full = np.full((ROWS, 2), np.nan)
    full[labeled] = gold
    design = np.column_stack([np.ones(ROWS), x])
    for split in range(2):
        for row in range(ROWS):
            train = labeled & (folds[split] != folds[split, row])
            beta = np.linalg.lstsq(design[train], full[train], rcond=None)[0]
            np.testing.assert_allclose(found[split, row], design[row] @ beta, atol=SAME_ALGEBRA)


def test_learners_see_labelled_rows_only() -> None:
    """And each predicts its own fold once."""
    x, gold, labeled = data()
    folds = np.arange(ROWS)[None] % 3
    asked: list[np.ndarray] = []

    def look(new: np.ndarray) -> np.ndarray:
        asked.append(new)
        return np.zeros(len(new))

    cross_predict(x, gold[:, :1], labeled, folds, sl_method=Fixed(look), family="gaussian", seed=1)
    assert len(asked) == 3
    for fold, new in enumerate(asked):
        np.testing.assert_array_equal(new, x[folds[0] == fold])


@pytest.mark.long
def test_a_learner_is_chosen_on_rows_of_other_clusters() -> None:
    """Gold is noise that the rows of a cluster share: only across clusters does it show that the features say nothing."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(25), 8)
    x = rng.normal(size=(25, 5))[groups]
    y = rng.normal(size=25)[groups] + 0.1 * rng.normal(size=200)
    labeled = np.arange(200) % 8 < 6
    call = {"family": "gaussian", "seed": 1}
    given = {"folds": groups[None] % 2, "sl_method": "auto", "groups": groups, **call}
    found = cross_predict(x, y[labeled, None], labeled, **given)
    within, across = (
        choose_auto(x[labeled], y[labeled], groups=by, n_rows=200, **call) for by in (None, groups[labeled])
    )
    assert (within.method, across.method) == ("surface", "ridge")
    assert found.learners == ("ridge",)


def test_trees_are_left_out_where_many_rows_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows count, not the labelled ones."""
    x, gold, labeled = data()
    folds = np.arange(ROWS)[None] % 2
    call = {"sl_method": "auto", "family": "gaussian", "seed": 1}
    for most, words in ((ROWS, ""), (ROWS - 1, f"trees left out because {ROWS} rows are predicted")):
        monkeypatch.setattr("dsl.learners.names.MANY_ROWS", most)
        (reason,) = cross_predict(x, gold[:, :1], labeled, folds, **call).reasons
        assert words in reason
        assert ("trees left out" in reason) is bool(words)


LABELED = np.array([True, True, True, True, False, False])


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ([[0, 1, 0]], r"one column per row of data, here \(S, 6\); found shape \(1, 3\)$"),
        (np.zeros((6, 2)), r"found shape \(6, 2\); transpose it"),
        ([0, 1, 0, 1, 0, 0.5], "whole numbers; found missing or fractional values"),
        ([0, 1, 0, 1, 0, np.nan], "whole numbers; found missing or fractional values"),
        (list("ababab"), "whole numbers; found <U1"),
        ([0, 0, 0, 0, 1, 1], "split 1: no labelled row outside fold 0"),
        ([0, 0, 0, 0, 0, 0], "split 1: no labelled row outside fold 0"),
        ([[0, 0, 1, 1, 0, 0], [7, 7, 7, 7, 9, 9]], "split 2: no labelled row outside fold 7"),
        ([0, 1, 1, 0, 0, 1], "split 1: 3 clusters have rows in several folds"),
    ],
)
def test_folds_that_cannot_be_used(folds: object, words: str) -> None:
    with pytest.raises(FoldError, match=words):
        check_folds(folds, np.arange(6), 6, LABELED, np.array([0, 0, 1, 1, 2, 2]))


def test_folds_of_the_user() -> None:
    """Codes in the order of the labels, for the rows of the analysis; any whole numbers."""
    for given in ([3, 3, 8, 8, 5, 5], [3.0, 3.0, 8.0, 8.0, 5.0, 5.0], [[3, 3, 8, 8, 5, 5]]):
        made = check_folds(given, np.arange(6), 6, LABELED, np.array([0, 0, 1, 1, 2, 2]))
        assert made.tolist() == [[0, 0, 2, 2, 1, 1]]
    some = check_folds([3, 9, 3, 8, 8, 5], np.array([0, 2, 3, 4]), 6, np.array([True, True, True, False]), None)
    assert some.tolist() == [[0, 0, 1, 1]]
    assert check_folds([True, False] * 3, np.arange(6), 6, LABELED, None).tolist() == [[1, 0] * 3]


def test_distinct_rows_of_many_columns() -> None:
    """One column with many values is enough to tell that rows do not repeat; few in each may be many together."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 3, size=(300, 2)).astype(float)
    found = distinct_rows(few, most=60)
    assert found is not None
    np.testing.assert_array_equal(found[0][found[1]], few)
    assert distinct_rows(np.column_stack([few, rng.normal(size=300)]), most=60) is None
    assert distinct_rows(rng.integers(0, 3, size=(300, 8)).astype(float), most=60) is None


def test_predictions_are_made_once_for_several_estimators() -> None:
    """Where all that they depend on is the same, and within the block only."""
    rng = np.random.default_rng(0)
    x, labeled = rng.normal(size=(80, 2)), np.arange(80) < 40
    gold, folds = x[:40, :1] + rng.normal(size=(40, 1)), rng.integers(0, 4, (2, 80))
    call = {"sl_method": "lm", "family": "gaussian", "seed": 1}
    alone = cross_predict(x, gold, labeled, folds, **call)
    with predictions_kept():
        first = cross_predict(x, gold, labeled, folds, **call)
        np.testing.assert_array_equal(first.predictions, alone.predictions)
        assert cross_predict(x.copy(), gold.copy(), labeled.copy(), folds.copy(), **call, n_jobs=1) is first
        others = [
            cross_predict(x + 1.0, gold, labeled, folds, **call),
            cross_predict(x, gold + 1.0, labeled, folds, **call),
            cross_predict(x, gold, labeled, folds[:1], **call),
            cross_predict(x, gold, labeled, folds, **call, groups=np.arange(80)),
            cross_predict(x, gold, labeled, folds, **{**call, "seed": 2}),
            cross_predict(x, gold, labeled, folds, **{**call, "sl_method": "ridge"}),
            cross_predict(x, np.clip(gold, 0.0, 1.0), labeled, folds, **{**call, "family": "binomial"}),
        ]
        assert all(other is not first for other in others)
    assert cross_predict(x, gold, labeled, folds, **call) is not first
