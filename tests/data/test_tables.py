"""Any table and any dtype: the same numbers as from plain float columns, and the user's table untouched."""

import decimal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dsl.data.tables import some_rows, to_pandas
from dsl.exceptions import ColumnTypeError
from tests.posts import ROWS, posts, run

SAME = 1e-12
FORMULA = "y ~ x + words + g"
CALL: dict[str, Any] = {
    "labeled": "lab",
    "sample_prob": "pi",
    "cluster": "cl",
    "feature": ["x", "g"],
    "sample_split": 2,
}


@pytest.fixture(scope="module")
def plain() -> Any:
    return run(posts(), FORMULA, **CALL)


def same(fit: Any, other: Any) -> None:
    np.testing.assert_allclose(fit.params.to_numpy(), other.params.to_numpy(), rtol=SAME, atol=SAME)
    np.testing.assert_allclose(fit.bse.to_numpy(), other.bse.to_numpy(), rtol=SAME, atol=SAME)


def as_objects(d: pd.DataFrame, missing: Any) -> pd.DataFrame:
    columns = ["y", "llm", "x", "words", "lab", "pi"]
    out = d.assign(**{name: pd.Series(d[name].tolist(), dtype=object) for name in columns})
    out["y"] = pd.Series([missing if pd.isna(v) else v for v in out["y"]], dtype=object)
    return out


def letters(d: pd.DataFrame) -> Any:
    """The categories `g` as a pyarrow dictionary, whose order counts."""
    return pa.DictionaryArray.from_arrays(pa.array(d["z"], pa.int32()), ["a", "b", "c"])


def as_category(values: pd.Series) -> pd.Series:
    return values.astype("category")


TABLES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "objects, None": lambda d: as_objects(d, None),
    "objects, NaN": lambda d: as_objects(d, np.nan),
    "objects, NA": lambda d: as_objects(d, pd.NA),
    "decimals": lambda d: d.assign(
        y=pd.Series([None if pd.isna(v) else decimal.Decimal(int(v)) for v in d["y"]], dtype=object),
        llm=[decimal.Decimal(int(v)) for v in d["llm"]],
    ),
    "nullable": lambda d: d.convert_dtypes(),
    "nullable integers": lambda d: d.assign(
        y=d["y"].astype("Int64"), llm=d["llm"].astype("Int8"), words=d["words"].astype("UInt8")
    ),
    "nullable floats": lambda d: d.assign(y=d["y"].astype("Float64"), x=d["x"].astype("Float64")),
    "nullable booleans": lambda d: d.assign(
        y=d["y"].astype("boolean"), llm=d["llm"].astype("boolean"), lab=d["lab"].astype("boolean")
    ),
    "booleans": lambda d: d.assign(
        y=d["y"].map({0.0: False, 1.0: True}), llm=d["llm"].astype(bool), lab=d["lab"].astype(bool)
    ),
    "numpy booleans as objects": lambda d: d.assign(
        llm=pd.Series(list(d["llm"].to_numpy().astype(bool)), dtype=object)
    ),
    "small integers and floats": lambda d: d.assign(lab=d["lab"].astype("int8"), y=d["y"].astype("float32")),
    "numeric categories": lambda d: d.assign(
        y=as_category(d["y"]), llm=as_category(d["llm"]), lab=as_category(d["lab"])
    ),
    "nullable numeric categories": lambda d: d.assign(y=as_category(d["y"].astype("Int64"))),
    "text predictions": lambda d: d.assign(llm=d["llm"].map({0.0: "no", 1.0: "yes"})),
    "categories": lambda d: d.assign(g=as_category(d["g"]), cl=as_category(d["cl"])),
    "unused categories": lambda d: d.assign(g=pd.Categorical(d["g"], ["a", "b", "bb", "c", "d"])),
    "text as objects": lambda d: d.assign(g=d["g"].astype(object)),
    "text as string": lambda d: d.assign(g=d["g"].astype("string")),
    "text clusters": lambda d: d.assign(cl=d["cl"].map("unit {:02d}".format)),
    "date clusters": lambda d: d.assign(cl=pd.Timestamp("2020-01-01") + pd.to_timedelta(d["cl"], unit="D")),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "arrow dictionary": lambda d: d.assign(g=pd.array(letters(d), dtype=pd.ArrowDtype(letters(d).type))),
    "polars": pl.from_pandas,
    "polars with nulls": lambda d: pl.from_pandas(d).with_columns(
        pl.col("y").cast(pl.Int8), pl.col("lab").cast(pl.Boolean)
    ),
    "polars categories": lambda d: pl.from_pandas(d).with_columns(pl.col("g").cast(pl.Categorical)),
    "pyarrow": lambda d: pa.Table.from_pandas(d),
    "pyarrow dictionary": lambda d: pa.table(
        {name: letters(d) if name == "g" else pa.array(d[name], from_pandas=True) for name in d}
    ),
    "dict of lists": lambda d: {name: d[name].tolist() for name in d},
    "dict of arrays": lambda d: {name: d[name].to_numpy() for name in d},
    "duplicated index": lambda d: d.set_axis(np.zeros(ROWS, dtype=int)),
    "text index": lambda d: d.set_axis([f"row {i % 7}" for i in range(ROWS)]),
    "negative index": lambda d: d.set_axis(-np.arange(ROWS) * 3),
    "unsorted index": lambda d: d.set_axis(np.random.default_rng(0).permutation(ROWS)),
    "missing index labels": lambda d: d.set_axis([np.nan, *range(1, ROWS)]),
    "index levels": lambda d: d.set_index(["g", "cl"], drop=False),
    "date index": lambda d: d.set_axis(pd.date_range("2020-01-01", periods=ROWS)),
    "index named as a column": lambda d: d.rename_axis("x"),
    "numbers as other names": lambda d: d.assign(**{"7": 0}).rename(columns={"7": 7}),
    "strange unused columns": lambda d: d.assign(
        u=[{"a": 1}] * ROWS,
        v=pd.NaT,
        w=pd.Series([np.inf] * ROWS),
        q=pd.Categorical([None] * ROWS),
        r=[np.ones(2)] * ROWS,
        s=1j,
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_same_numbers(case: str, plain: Any) -> None:
    fit = run(TABLES[case](posts()), FORMULA, **CALL)
    same(fit, plain)
    assert list(fit.params.index) == list(plain.params.index)
    assert fit.n_labeled == plain.n_labeled


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # the labelled rows are a covariate here
def test_covariates_of_any_kind() -> None:
    """Numbers stay numbers, and text makes the same columns whatever its dtype."""
    data = posts()
    for name, kind in (
        ("z", "Int64"),
        ("z", "Float64"),
        ("z", object),
        ("lab", bool),
        ("lab", "boolean"),
        ("g", "category"),
    ):
        fit = run(data.assign(**{name: data[name].astype(kind)}), f"x ~ y + {name}")
        other = run(data, f"x ~ y + {name}")
        same(fit, other)
    dummies = run(data, "x ~ y + factor(z)")
    same(run(data.assign(z=data["z"].astype("category")), "x ~ y + z"), dummies)
    same(run(data, "x ~ y + g"), dummies)


def test_dates_as_categories() -> None:
    data = posts().assign(t=lambda d: pd.Timestamp("2020-01-01") + pd.to_timedelta(d["z"], unit="D"))
    same(run(data, "x ~ y + factor(t)"), run(data, "x ~ y + factor(z)"))


def test_dates_are_days() -> None:
    data = posts().assign(t=lambda d: pd.Timestamp("2020-01-01") + pd.to_timedelta(d["words"], unit="D"))
    fit, other = run(data, "x ~ y + t"), run(data, "x ~ y + words")
    np.testing.assert_allclose(fit.params["t"], other.params["words"], rtol=1e-8)
    np.testing.assert_allclose(fit.bse["t"], other.bse["words"], rtol=1e-8)
    np.testing.assert_allclose(
        run(data, "x ~ y + z", feature="t").params, run(data, "x ~ y + z", feature="words").params, rtol=1e-8
    )


def test_names_with_spaces_and_dots(plain: Any) -> None:
    names = {"y": "is toxic", "x": "log.words", "words": "no of words", "g": "my-group", "llm": "gpt 4.1"}
    data = posts().rename(columns=names)
    call = {**CALL, "predicted_var": "is toxic", "prediction": "gpt 4.1", "feature": ["log.words", "my-group"]}
    fit = run(data, "`is toxic` ~ `log.words` + `no of words` + `my-group`", **call)
    same(fit, plain)
    assert [name.split("[")[0] for name in fit.params.index[1:4]] == ["log.words", "no of words", "my-group"]
    same(run(data, "`is toxic` ~ log.words + `no of words` + `my-group`", **call), plain)  # R's names need no quotes


def test_column_names_that_are_numbers() -> None:
    data = posts().rename(columns={"llm": 0, "z": 2020})
    same(run(data, "y ~ x", prediction="0", feature="2020"), run(posts(), "y ~ x", feature="z"))


def test_names_that_python_or_formulas_know() -> None:
    names = {"x": "class", "z": "log", "g": "C"}
    fit = run(posts().rename(columns=names), "y ~ `class` + log")
    same(fit, run(posts(), "y ~ x + z"))


@pytest.mark.parametrize("case", ["plain", "objects, None", "nullable", "unused categories", "duplicated index"])
def test_the_table_is_never_changed(case: str) -> None:
    data = posts() if case == "plain" else TABLES[case](posts())
    data.iloc[5, data.columns.get_loc("x")] = np.nan
    before = data.copy(deep=True)
    for arguments in (CALL, {"estimator": "naive"}, {"estimator": "gold_only"}, {"model": "felm", "index": "cl"}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(data, "y ~ x + z", **arguments)
    pd.testing.assert_frame_equal(data, before)


def test_read_only_arrays() -> None:
    data = {name: posts()[name].to_numpy().copy() for name in posts()}
    for values in data.values():
        values.flags.writeable = False
    same(run(data, FORMULA, **CALL), run(posts(), FORMULA, **CALL))


def test_rows_keep_their_labels() -> None:
    data = posts().set_axis([f"post {i}" for i in range(ROWS)])
    fit = run(data)
    assert list(fit.pseudo_outcomes.index) == list(data.index)
    data.loc["post 7", "y"] = np.inf
    with pytest.raises(Exception, match=r"first: post 7"):
        run(data)


def test_several_predictions_serve_every_variable() -> None:
    """Lists and mappings name the same surrogates; one for two, or two for one, is fine."""
    data = posts().assign(w=lambda d: 1 - d["y"] * (d["x"] > 0), llm2=lambda d: d["llm"] * (d["x"] > 0))
    listed = run(data, "y ~ w", predicted_var=["y", "w"], prediction=["llm", "llm2"])
    same(run(data, "y ~ w", predicted_var={"y": "llm", "w": "llm2"}, prediction=None), listed)
    same(run(data, "y ~ w", predicted_var={"y": "llm", "w": "llm2"}, prediction=["llm", "llm2"]), listed)
    assert run(data, "y ~ w", predicted_var=["y", "w"], prediction="llm").n_labeled == 80
    assert run(data, "y ~ x", prediction=["llm", "llm2", "z"]).n_labeled == 80


def test_pairs_for_the_naive_comparison() -> None:
    data = posts().assign(llm2=lambda d: 1 - d["llm"])
    first, second = (run(data, prediction=name, estimator="naive") for name in ("llm", "llm2"))
    np.testing.assert_allclose(first.params["x"], -second.params["x"], rtol=SAME)
    same(run(data, predicted_var={"y": "llm2"}, prediction=["llm"], estimator="naive"), second)
    same(run(data, predicted_var={"y": ["llm2", "llm"]}, prediction=None, estimator="naive"), second)


def test_reference_category() -> None:
    """The order of the levels is the user's where they have one; text and polars' categories are sorted.

    Ordered categories of pandas are R's ordered factors, with polynomial contrasts.
    """
    data = posts().assign(c=lambda d: pd.Categorical(d["g"], ["c", "a", "b"]))
    expected = {"c": ["c[T.a]", "c[T.b]"], "g": ["g[T.b]", "g[T.c]"]}
    polars = pl.from_pandas(data.drop(columns="c")).with_columns(
        pl.col("g").cast(pl.Enum(["c", "a", "b"])).alias("c"), pl.col("g").cast(pl.Categorical)
    )
    for table in (data, pa.Table.from_pandas(data), polars):
        for name, columns in expected.items():
            assert list(run(table, f"y ~ {name}").params.index[1:]) == columns
    ordered = data.assign(c=data["c"].cat.as_ordered())
    for table in (ordered, pa.Table.from_pandas(ordered)):
        assert list(run(table, "y ~ c").params.index[1:]) == ["c[.L]", "c[.Q]"]


@pytest.mark.parametrize("table", [pl.from_pandas, pa.Table.from_pandas])
def test_dates_and_lists_of_other_tables(table: Callable[[pd.DataFrame], Any]) -> None:
    data = posts().assign(t=pd.date_range("2020-01-01", periods=ROWS), v=[[1.0, 2.0]] * ROWS)
    same(run(table(data), "x ~ y + t"), run(data, "x ~ y + t"))
    with pytest.raises(ColumnTypeError, match=r"'v'.*several columns"):
        run(table(data), feature="v")
    same(run(table(data)), run(posts()))


def test_some_rows_are_what_loc_gives() -> None:
    """Of numbers, categories and text, with labels that repeat."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"x": rng.normal(size=6), "g": pd.Categorical(list("abcabc")), "t": list("uvwxyz"), "n": range(6)},
        index=[3, 3, 1, 0, 7, 7],
    )
    rows = np.array([True, False, True, True, False, True])
    found = some_rows(table, ["t", "x", "g"], rows)
    pd.testing.assert_frame_equal(found, table.loc[rows, ["t", "x", "g"]], check_column_type=False)
    found.loc[:, "x"] = 0.0
    assert table["x"].ne(0.0).all()
    assert some_rows(table, [], rows).shape == (4, 0)


def test_columns_that_pandas_wrote_as_row_labels() -> None:
    data = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["b", "a"], name="unit"))
    found = to_pandas(pa.Table.from_pandas(data), ["x", "unit"])
    assert found["unit"].tolist() == ["b", "a"]
    assert found["x"].tolist() == [1.0, 2.0]
    assert found.index.tolist() == [0, 1]
