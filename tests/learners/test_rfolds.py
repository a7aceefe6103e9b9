"""R's fold draws without R: the stored folds of the reference, and what the arguments must be."""

import numpy as np
import pandas as pd
import pytest

from dsl.exceptions import ArgumentError
from dsl.learners.rfolds import RSample, folds_like_r
from tests.reference.cases import CASES, NAMES, full_splits, in_row_order, load_table

BY_NAME = {case["name"]: case for case in CASES}


@pytest.mark.parametrize("name", NAMES)
def test_stored_folds_of_both_splits(name: str) -> None:
    case, stored = BY_NAME[name], full_splits(name)
    rows = np.sort(np.asarray(stored[0]["row_id"]) - 1)
    table = load_table(case["data"]).iloc[rows]
    ours = folds_like_r(
        table[case["cluster"]].to_numpy() if "cluster" in case else len(rows),
        cross_fit=case.get("cross_fit", 5),
        sample_split=2,
        seed=case.get("seed", 1234),
        learner=case["sl_method"],
        labeled=table[case["predicted_var"]].notna().all(axis=1).to_numpy(),
    )
    for split, ours_in_split in zip(stored, ours, strict=True):
        np.testing.assert_array_equal(ours_in_split, in_row_order(split, split["fold"], rows))


def test_sample_of_r() -> None:
    """``set.seed(1234); sample(5)`` and ``set.seed(42); sample(10)`` in R 4.2.2."""
    assert RSample(1234).permutation(5).tolist() == [4, 5, 2, 3, 1]
    assert RSample(42).permutation(10).tolist() == [1, 5, 10, 8, 2, 4, 6, 9, 7, 3]


def test_clusters_stay_whole_and_categories_keep_their_order() -> None:
    labels = ["b", "a", "b", "c", "a", "d"]
    folds = folds_like_r(labels, cross_fit=2, sample_split=1)[0]
    assert folds[0] == folds[2]
    assert folds[1] == folds[4]
    reverse = pd.Categorical(labels, categories=list("dcba"))
    by_letter = dict(zip(labels, folds, strict=True))
    reversed_folds = dict(zip(labels, folds_like_r(reverse, cross_fit=2, sample_split=1)[0], strict=True))
    assert [reversed_folds[x] for x in "dcba"] == [by_letter[x] for x in "abcd"]


def test_order_of_labels() -> None:
    mixed = ["b", "A", "a", "B"]
    usual, by_code = (folds_like_r(mixed, cross_fit=2, sample_split=1, seed=3, collate=c)[0] for c in ("locale", "C"))
    as_sorted = dict(zip("aAbB", folds_like_r(4, cross_fit=2, sample_split=1, seed=3)[0], strict=True))
    assert usual.tolist() == [as_sorted[label] for label in mixed]
    by_place = dict(zip("ABab", as_sorted.values(), strict=True))
    assert by_code.tolist() == [by_place[label] for label in mixed]


def test_forest_splits_coincide() -> None:
    folds = folds_like_r(50, sample_split=4)
    assert folds.shape == (4, 50)
    assert (folds == folds[0]).all()
    assert np.bincount(folds[0])[1:].tolist() == [10] * 5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"units": 3}, "3 units cannot be spread over cross_fit=5"),
        ({"units": 30, "cross_fit": 1}, "cross_fit must be a whole number of at least 2"),
        ({"units": 30, "learner": "lm"}, "need labeled="),
        ({"units": 30, "learner": "lm", "labeled": [1, 0]}, "each of the 30 rows"),
        ({"units": ["a", None, "b"]}, "missing clusters"),
        ({"units": 30, "collate": "de"}, "unknown collate 'de': use one of locale, C"),
    ],
)
def test_arguments(call: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        folds_like_r(call.pop("units"), **call)  # type: ignore[arg-type]
