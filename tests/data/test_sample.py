"""Rows that are dropped, and what happens to probabilities, folds and labels when they are."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.data.columns import Columns
from dsl.data.sample import prepare
from dsl.data.tables import as_numbers, column_names, first_rows
from dsl.exceptions import ColumnTypeError, DataError, DroppedRowsWarning, MissingDependencyError
from tests.posts import LABELED, ROWS, posts, run

SAME = 1e-12
COLUMNS = Columns(
    formula=("x", "y"),
    predicted=("y",),
    prediction=("llm",),
    feature=("g",),
    labeled="lab",
    sample_prob="pi",
    cluster="cl",
    absorbed={"z": ("z",)},
)


@pytest.fixture
def gaps() -> pd.DataFrame:
    """Missing values in a covariate (rows 1-3), a feature (3, 10), the cluster (20) and a fixed effect (30)."""
    data = posts().astype({"cl": float, "z": float})
    data.loc[[1, 2, 3], "x"] = np.nan
    data.loc[[3, 10], "g"] = None
    data.loc[20, "cl"] = np.nan
    data.loc[30, "z"] = np.nan
    data["unused"] = np.nan
    return data


GONE = [1, 2, 3, 10, 20, 30]


def test_rows_with_missing_values_are_dropped_and_counted(gaps: pd.DataFrame) -> None:
    arguments: dict[str, Any] = {"feature": "g", "cluster": "cl", "model": "felm", "index": "z", "labeled": "lab"}
    message = (
        r"6 of 200 rows left out; missing values per column: 'x' \(3\), 'g' \(2\), 'cl' \(1\), 'z' \(1\)\. "
        "Fill them, or leave these rows out yourself"
    )
    with pytest.warns(DroppedRowsWarning, match=message):
        fit = run(gaps, **arguments)
    assert fit.dropped == {"x": 3, "g": 2, "cl": 1, "z": 1}
    assert (fit.nobs, fit.n_dropped, fit.sample.n_input) == (ROWS - 6, 6, ROWS)
    assert fit.n_labeled == gaps["lab"].drop(GONE).sum()
    assert list(fit.pseudo_outcomes.index) == list(gaps.index.drop(GONE))
    clean = run(gaps.drop(GONE), **arguments, folds=fit.folds)
    np.testing.assert_allclose(fit.params, clean.params, rtol=SAME)
    np.testing.assert_allclose(fit.bse, clean.bse, rtol=SAME)
    assert clean.dropped == {}


def test_missing_values_of_unused_columns_do_not_matter(gaps: pd.DataFrame) -> None:
    assert run(gaps.drop(columns=["x", "g"]), "y ~ words").nobs == ROWS


def test_folds_follow_the_rows_that_are_left(gaps: pd.DataFrame) -> None:
    folds = np.stack([np.arange(ROWS) % 2, np.arange(ROWS) // 7 % 3])
    with pytest.warns(DroppedRowsWarning):
        fit = run(gaps, feature="g", folds=folds)
    kept = np.delete(np.arange(ROWS), [1, 2, 3, 10])
    np.testing.assert_array_equal(fit.folds, folds[:, kept])
    clean = run(gaps.iloc[kept], feature="g", folds=folds[:, kept])
    np.testing.assert_allclose(fit.split_params, clean.split_params, rtol=SAME)
    np.testing.assert_allclose(fit.bse, clean.bse, rtol=SAME)


def test_folds_in_any_form() -> None:
    folds = np.arange(ROWS) % 4
    fit = run(posts(), folds=folds)
    for form in (folds[None], [folds], folds.tolist(), folds + 1, folds.astype(float), pd.Series(folds, index=-folds)):
        np.testing.assert_array_equal(run(posts(), folds=form).folds, fit.folds)
    with pytest.warns(DroppedRowsWarning):  # folds that vanish with the dropped rows leave no hole
        fewer = run(posts().assign(x=lambda d: d["x"].where(folds != 1)), folds=folds)
    assert set(np.unique(fewer.folds)) == {0, 1, 2}


@pytest.mark.parametrize("probability", [None, "pi"])
def test_probabilities_are_rescaled_after_dropping(gaps: pd.DataFrame, probability: str | None) -> None:
    with pytest.warns(DroppedRowsWarning):
        fit = run(gaps, feature="g", sample_prob=probability)
    pi = fit.sample.sample_prob
    assert pi.mean() == pytest.approx(fit.n_labeled / fit.nobs, rel=SAME)
    kept = gaps.drop([1, 2, 3, 10])
    expected = np.ones(len(kept)) if probability is None else kept["pi"].to_numpy()
    np.testing.assert_allclose(pi, expected * pi.mean() / expected.mean(), rtol=SAME)
    assert fit.sample.equal_prob is (probability is None)


def test_only_the_ratios_of_probabilities_count() -> None:
    data = posts()
    fit, half = run(data, sample_prob="pi"), run(data.assign(pi=data["pi"] / 2), sample_prob="pi")
    np.testing.assert_allclose(half.params, fit.params, rtol=SAME)
    np.testing.assert_allclose(half.bse, fit.bse, rtol=SAME)


def test_labels_by_column_or_by_missing_gold() -> None:
    data = posts()
    np.testing.assert_array_equal(run(data).sample.labeled, data["lab"] == 1)
    np.testing.assert_array_equal(run(data, labeled="lab").params, run(data).params)


def test_prepare() -> None:
    data = posts().set_axis([f"post {i}" for i in range(ROWS)])
    sample = prepare(data, COLUMNS)
    assert (sample.n_labeled, sample.n_input, sample.n_clusters, sample.dropped) == (LABELED, ROWS, 20, {})
    assert sample.feature_names == ("llm", "g_b", "g_c")
    assert list(sample.labels) == list(data.index)
    np.testing.assert_array_equal(sample.rows, np.arange(ROWS))
    np.testing.assert_array_equal(sample.cluster, data["cl"])
    np.testing.assert_array_equal(sample.absorbed[0], data["z"])
    np.testing.assert_allclose(sample.weight, 1 / sample.sample_prob[sample.labeled])
    assert list(sample.data.index) == list(data.index)


def test_clusters_are_coded_by_their_sorted_labels() -> None:
    data = posts().assign(cl=lambda d: 19 - d["cl"])
    np.testing.assert_array_equal(prepare(data, COLUMNS).cluster, data["cl"])
    mixed = data.assign(cl=[i if i % 2 else str(i) for i in data["cl"]])
    assert prepare(mixed, COLUMNS).n_clusters == 20


def test_levels_without_rows_are_noted() -> None:
    data = posts().assign(g=lambda d: pd.Categorical(d["g"], ["a", "b", "c", "none"]))
    sample = prepare(data, COLUMNS)
    assert sample.notes == ("'g': levels without rows left out: none",)
    assert sample.feature_names == ("llm", "g_b", "g_c")


def test_a_level_that_vanishes_with_the_dropped_rows() -> None:
    data = posts().assign(x=lambda d: d["x"].where(d["g"] != "c"))
    with pytest.warns(DroppedRowsWarning):
        fit = run(data, "y ~ x + g", feature="g")
    assert list(fit.params.index) == ["Intercept", "x", "g[T.b]"]


def test_helpers() -> None:
    assert column_names({"a": [1], 2: [2]}) == ["a", "2"]
    assert first_rows(np.array([False, True]), pd.Index(["p", "q"])) == "1 row (first: q)"
    assert first_rows(np.ones(4, bool), pd.RangeIndex(4), "labelled row") == "4 labelled rows (first: 0, 1, 2)"
    numbers = as_numbers(pd.Series([True, None, 2.5], dtype=object), "gold")
    np.testing.assert_array_equal(numbers, [1.0, np.nan, 2.5])


def test_converting_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl

    def absent(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr(pl.DataFrame, "to_pandas", absent)
    with pytest.raises(MissingDependencyError, match=r"polars table needs 'pyarrow': pip install pyarrow"):
        run(pl.from_pandas(posts()))


@pytest.mark.parametrize("kind", ["boolean", "object"])
def test_true_and_false_with_missing_values_stay_a_category(kind: str) -> None:
    data = posts()
    flag = (data["x"] > 0).astype(kind)
    flag.iloc[:3] = pd.NA if kind == "boolean" else None
    with pytest.warns(DroppedRowsWarning, match="'flag' \\(3\\)"):
        fit = run(data.assign(flag=flag), formula="y ~ flag")
    assert list(fit.params_r.index) == ["(Intercept)", "flagTRUE"]


@pytest.mark.parametrize(
    ("rows", "levels", "refused"), [(200, 100, False), (200, 101, True), (80, 50, False), (80, 51, True)]
)
def test_text_with_too_many_values_is_no_category(rows: int, levels: int, refused: bool) -> None:
    """More than fifty, and more than one for every two rows."""
    text = pd.Series([f"w{j % levels}" for j in range(rows)], name="t")
    data = pd.DataFrame({"t": text, "y": np.where(np.arange(rows) % 2, 1.0, np.nan)})
    columns = Columns(formula=("t", "y"), predicted=("y",), prediction=(), feature=())
    if refused:
        with pytest.raises(ColumnTypeError, match=f"has {levels} different text values in {rows} rows, too many"):
            prepare(data, columns)
    else:
        assert prepare(data, columns).data["t"].nunique() == levels


def test_numbers_as_text_are_told_from_categories() -> None:
    """Where four of five of many values are numbers."""
    columns = Columns(formula=("t", "y"), predicted=("y",), prediction=(), feature=())
    y = np.where(np.arange(50) % 2, 1.0, np.nan)
    for words, refused in ((5, True), (6, False)):
        values = [f"w{j}" if j < words else str(j) for j in range(25)] * 2
        data = pd.DataFrame({"t": values, "y": y})
        if refused:
            with pytest.raises(
                ColumnTypeError, match=r"holds 20 different numbers and some others \('w0', 'w1', 'w2'\) as text"
            ):
                prepare(data, columns)
        else:
            assert prepare(data, columns).n_labeled == 25
    few = pd.DataFrame({"t": [str(j % 20) for j in range(50)], "y": y})
    assert prepare(few, columns).n_labeled == 25


def test_no_rows() -> None:
    columns = Columns(formula=("x", "y"), predicted=("y",), prediction=(), feature=())
    with pytest.raises(DataError, match="the data have no rows; look at the filter or join"):
        prepare(posts().iloc[:0], columns)
