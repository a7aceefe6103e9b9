"""Several coders' files, and labels as they are compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from dsl.engine.agreement import METRICS, krippendorff, label_counts
from dsl.sampling.coding.codebook import Codebook, canonical
from tests.sampling.coding.test_files import code, labels_of, posts, rewrite, sent


def test_canonical() -> None:
    assert canonical(" 1.50 ") == canonical("1.5")
    assert canonical("TRUE") == canonical("True")
    assert canonical("e\u0301") == canonical("é")
    assert canonical("nan") == "nan"
    assert canonical("1_0") == "1_0"
    assert canonical("'''=x") == canonical("=x")


def test_codebook_of_numpy_values() -> None:
    book = Codebook.of(np.array([0, 1]))
    assert book.codes == (0, 1)
    assert book.numeric


def test_double_coding(tmp_path: Path) -> None:
    design, first = sent(tmp_path, "first.csv", columns="text")
    table = code(first)
    paths = [first]
    for name, change in (("second.csv", {0: "1", 1: "0"}), ("third.csv", {0: "0", 1: "0", 2: "1"})):
        path = tmp_path / name
        rewrite(path, table)
        code(path, lambda i, change=change: change.get(i, str(i % 2)))
        paths.append(path)
    rows = [row[0] for row in table[1:]]

    def labels(files: list[Path], **arguments: Any) -> list[Any]:
        out: list[Any] = design.from_coder(files, posts(), codebook=[0, 1], **arguments).loc[rows[:4], "gold"].tolist()
        return out

    assert labels(paths) == [0, 0, 0, 1]  # (0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 1)
    assert labels(paths[:2], ties="first") == [0, 1, 0, 1]
    assert labels(paths[1::-1], ties="first") == [1, 0, 0, 1]
    np.testing.assert_allclose(labels(paths, rule="mean"), [1 / 3, 1 / 3, 1 / 3, 1.0])
    with pytest.raises(
        e.CoderFileError, match=rf"without a majority in 2 rows .*{rows[0]}.* was given [01] and [01]\..*ties='first'"
    ):
        labels(paths[:2])
    with pytest.raises(e.ArgumentError, match="unknown rule 'median': use one of majority, mean"):
        labels(paths, rule="median")
    with pytest.raises(e.ArgumentError, match="name each coder's file once"):
        labels([first, first])
    report = design.agreement(paths, codebook=[0, 1])
    assert report[["first", "second", "n"]].to_numpy().tolist() == [
        ["first.csv", "second.csv", 12],
        ["first.csv", "third.csv", 12],
        ["second.csv", "third.csv", 12],
        ["(all)", "(all)", 12],
    ]
    np.testing.assert_allclose(report["agreement"], [10 / 12] * 4)
    coders = [design.from_coder(path, posts(), codebook=[0, 1])["gold"].dropna().astype(int) for path in paths]
    codes = pd.concat(coders, axis=1).to_numpy()
    for place, pair in enumerate([[0, 1], [0, 2], [1, 2], [0, 1, 2]]):
        expected = krippendorff(label_counts(codes[:, pair], 2), np.arange(2.0))[0]
        assert report["krippendorff_alpha"][place] == pytest.approx(expected, abs=1e-12)
    assert report["kappa"].isna().tolist() == [False, False, False, True]
    with pytest.raises(e.ArgumentError, match="unknown metric 'ratio'"):
        design.agreement(paths, metric="ratio")


def test_alpha_of_stars_and_of_words(tmp_path: Path) -> None:
    design, first = sent(tmp_path, "first.csv", columns="text")
    table = code(first, lambda i: str(1 + i % 4))
    second = tmp_path / "second.csv"
    rewrite(second, table)
    # one row is left to the first coder alone
    code(second, lambda i: "" if i == 5 else str(1 + (i + (i % 3 == 0)) % 4))
    one, two = np.arange(12) % 4, (np.arange(12) + (np.arange(12) % 3 == 0)) % 4
    both = np.delete(np.column_stack([one, two]), 5, axis=0)
    for metric in METRICS:
        report = design.agreement([first, second], metric=metric)
        expected = krippendorff(label_counts(both, 4), np.arange(4.0), metric)[0]
        assert report[["n", "krippendorff_alpha"]].to_numpy().ravel() == pytest.approx([11, expected], abs=1e-12)
    for path in (first, second):
        code(path, lambda i: "yes" if i % 2 else "no")
    with pytest.raises(e.ArgumentError, match=r"coders gave the label 'no'; metric='ordinal' needs numbers"):
        design.agreement([first, second], metric="ordinal")


def test_a_row_needs_one_coder_only(tmp_path: Path) -> None:
    design, first = sent(tmp_path, "first.csv", columns="text")
    table = code(first)
    second = tmp_path / "second.csv"
    rewrite(first, table[:8])
    rewrite(second, [table[0], *table[6:]])
    out = design.from_coder([first, second], posts())
    assert out["gold"].dropna().to_dict() == labels_of(table).astype(float).to_dict()
    assert design.agreement([first, second])["n"].tolist() == [2]
    with pytest.raises(e.ArgumentError, match="two coders"):
        design.agreement([first])


def test_kappa_against_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import cohen_kappa_score

    from dsl.sampling.coding.agreement import cohen_kappa

    rng = np.random.default_rng(1)
    one = rng.integers(0, 3, 200)
    two = np.where(rng.random(200) < 0.7, one, rng.integers(0, 4, 200))
    assert cohen_kappa(pd.Series(one), pd.Series(two)) == pytest.approx(cohen_kappa_score(one, two), abs=1e-12)
    assert np.isnan(cohen_kappa(pd.Series([1, 1]), pd.Series([1, 1])))
