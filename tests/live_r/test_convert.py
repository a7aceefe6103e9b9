"""Every type to R and back; R itself judges what it was given."""

import datetime
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dsl.exceptions import ArgumentError, ColumnTypeError
from dsl.r import RError, RWarning, from_r, read_rdata, read_rds, to_r
from dsl.r.session import call
from tests.live_r.r import r

DAY = datetime.date
NA_MIDDLE = {
    "integer": (pd.array([1, None, 3], dtype="Int64"), "c(1L, NA, 3L)"),
    "integer, none missing": (np.array([1, -5, 3]), "c(1L, -5L, 3L)"),
    "unsigned byte": (np.array([0, 255], dtype=np.uint8), "c(0L, 255L)"),
    "beyond 32 bits": (np.array([2**40, -(2**31)]), "c(2^40, -2^31)"),
    "beyond 32 bits, missing": (pd.array([2**40, None], dtype="Int64"), "c(2^40, NA)"),
    "numeric": (np.array([1.5, np.nan, np.inf]), "c(1.5, NA, Inf)"),
    "single precision": (np.array([0.5, np.nan], dtype=np.float32), "c(0.5, NA)"),
    "nullable numeric": (pd.array([1.5, None], dtype="Float64"), "c(1.5, NA)"),
    "logical": (np.array([True, False]), "c(TRUE, FALSE)"),
    "logical, missing": (pd.array([True, None, False], dtype="boolean"), "c(TRUE, NA, FALSE)"),
    "objects of bool": (pd.Series([True, None, False], dtype=object), "c(TRUE, NA, FALSE)"),
    "objects of int": (pd.Series([1, None], dtype=object), "c(1L, NA)"),
    "objects of int and float": (pd.Series([1, 2.5, None], dtype=object), "c(1, 2.5, NA)"),
    "text": (pd.Series(["a", None, "é", "", "NA"]), "c('a', NA, '\\u00e9', '', 'NA')"),
    "objects of text": (pd.Series(["b", np.nan, "b"], dtype=object), "c('b', NA, 'b')"),
    "all missing": (pd.Series([None, None], dtype=object), "c(NA, NA)"),
    "factor": (
        pd.Categorical(["x", None, "y"], categories=["y", "x", "z"]),
        "factor(c('x', NA, 'y'), c('y', 'x', 'z'))",
    ),
    "factor of int": (pd.Categorical([2002, None, 2001]), "factor(c(2002L, NA, 2001L))"),
    "factor of float": (pd.Categorical([1.0, 0.1, 1e6, 123456.7]), "factor(c(1, 0.1, 1e6, 123456.7))"),
    "factor of bool": (pd.Categorical([True, None, False]), "factor(c(TRUE, NA, FALSE))"),
    "ordered of text": (
        pd.Categorical(["lo", "hi", None], categories=["lo", "hi"], ordered=True),
        "factor(c('lo', 'hi', NA), c('lo', 'hi'), ordered = TRUE)",
    ),
    "ordered of int": (
        pd.Categorical([3, 1], categories=[3, 1], ordered=True),
        "factor(c(3, 1), c(3, 1), ordered = TRUE)",
    ),
    "ordered of bool": (pd.Categorical([True, False], ordered=True), "factor(c(TRUE, FALSE), ordered = TRUE)"),
    "date": (
        pd.Series([DAY(2020, 1, 31), None, DAY(1905, 2, 28)], dtype=object),
        "as.Date(c('2020-01-31', NA, '1905-02-28'))",
    ),
    "numpy date": (np.array(["2020-01-31", "NaT"], dtype="datetime64[D]"), "as.Date(c('2020-01-31', NA))"),
    "naive instant": (
        pd.Series(pd.to_datetime(["2020-01-31 12:30", None])),
        "as.POSIXct(c('2020-01-31 12:30', NA), tz = 'UTC')",
    ),
    "instant in a zone": (
        pd.Series(pd.to_datetime(["2020-07-31 12:30", None])).dt.tz_localize("Europe/Paris"),
        "as.POSIXct(c('2020-07-31 12:30', NA), tz = 'Europe/Paris')",
    ),
    "span": (pd.Series(pd.to_timedelta(["90 s", None])), "as.difftime(c(90, NA), units = 'secs')"),
    "complex": (np.array([1 + 2j, np.nan]), "c(1+2i, NA)"),
    "more than 127 levels": (pd.Categorical(range(1000, 1200)), "factor(1000:1199)"),
}


@pytest.mark.parametrize("kind", NA_MIDDLE)
def test_r_sees_the_same_vector(kind: str) -> None:
    column, code = NA_MIDDLE[kind]
    assert r(f"function(x) identical(x, {code})", column)[0], r("function(x) capture.output(str(x))", column)
    if kind == "numpy date":
        return  # pandas turns days into instants
    frame = pd.DataFrame({"v": column})
    assert r(f"function(d) identical(d, data.frame(v = {code}, stringsAsFactors = FALSE))", frame)[0]


def through(column: Any) -> pd.Series:
    return from_r(to_r(pd.DataFrame({"v": column})))["v"]


@pytest.mark.parametrize(
    "kind",
    ["integer", "integer, none missing", "numeric", "logical", "logical, missing", "text", "factor", "ordered of text",
     "instant in a zone", "complex"],
)  # fmt: skip
def test_there_and_back(kind: str) -> None:
    column = pd.Series(NA_MIDDLE[kind][0], name="v")
    if column.dtype == "datetime64[ns, Europe/Paris]":
        column = column.dt.as_unit("us")
    back = through(column)
    pd.testing.assert_series_equal(back, column)


def test_types_that_change_on_the_way_back() -> None:
    pd.testing.assert_series_equal(
        through(NA_MIDDLE["naive instant"][0]).dt.tz_localize(None), pd.Series(NA_MIDDLE["naive instant"][0]),
        check_names=False, check_dtype=False,
    )  # fmt: skip
    dates = through(NA_MIDDLE["date"][0])
    assert dates[0] == DAY(2020, 1, 31)
    assert dates[1] is pd.NaT
    assert through(NA_MIDDLE["beyond 32 bits"][0]).tolist() == [float(2**40), -float(2**31)]
    assert list(through(NA_MIDDLE["factor of int"][0]).cat.categories) == ["2001", "2002"]


@pytest.mark.parametrize("kind", [kind for kind in NA_MIDDLE if kind.startswith(("factor of", "ordered of"))])
def test_levels_restored(kind: str) -> None:
    column = NA_MIDDLE[kind][0]
    back = from_r(to_r(pd.DataFrame({"v": column})), restore_levels=True)["v"].cat
    assert list(back.categories) == list(column.categories)
    assert [type(level) for level in back.categories] == [type(level) for level in column.categories]
    assert back.ordered == column.ordered


def test_levels_that_only_look_like_numbers_stay() -> None:
    zip_codes = pd.Categorical(["01234", "99999"])
    assert list(from_r(to_r(zip_codes), restore_levels=True).categories) == ["01234", "99999"]


def test_integer_na_from_r() -> None:
    back = from_r(call("function() data.frame(i = c(1L, NA), b = c(NA, TRUE), f = factor(c('u', NA)))"))
    assert str(back["i"].dtype) == "Int64"
    assert str(back["b"].dtype) == "boolean"
    assert back["i"].isna().tolist() == [False, True]
    assert back["f"].isna().tolist() == [False, True]


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_frames(rows: int) -> None:
    frame = pd.DataFrame({kind: pd.Series(column).iloc[:rows] for kind, (column, _) in NA_MIDDLE.items()})
    given = to_r(frame)
    assert list(r("dim", given)) == [rows, len(frame.columns)]
    assert from_r(given).shape == frame.shape
    assert list(r("dim", pd.DataFrame(index=range(rows)))) == [rows, 0]


def test_row_names() -> None:
    for index in (["a", "b"], [7, 3]):
        frame = pd.DataFrame({"v": [1.0, 2.0]}, index=index)
        assert list(r("rownames", frame)) == [str(label) for label in index]
        assert list(from_r(to_r(frame)).index) == index
    assert isinstance(from_r(to_r(pd.DataFrame({"v": [1.0]}))).index, pd.RangeIndex)


def test_scalars_lists_matrices() -> None:
    assert r("function(x) identical(x, list(a = 1L, b = 'z', c = NULL, d = c(TRUE, FALSE), e = list(1L, 'q'), f = NA))",
             {"a": 1, "b": "z", "c": None, "d": [True, False], "e": [1, "q"], "f": pd.NA})[0]  # fmt: skip
    matrix = np.arange(6.0).reshape(2, 3)
    assert r("function(m) m[2, 1]", matrix)[0] == 3.0
    np.testing.assert_array_equal(from_r(to_r(matrix)), matrix)
    named = r("function() matrix(1:4, 2, dimnames = list(c('p', 'q'), c('u', 'v')))")
    assert named.loc["q", "u"] == 2
    assert r("function() c(a = 1, b = NA)").isna().tolist() == [False, True]
    assert from_r(to_r({"a": [1.5, 2.5]}))["a"].tolist() == [1.5, 2.5]


def test_columns_backed_by_arrow() -> None:
    arrow = pd.DataFrame({"i": [1, None], "s": ["a", None], "b": [True, None]}).convert_dtypes(dtype_backend="pyarrow")
    assert r("function(d) identical(d, data.frame(i = c(1L, NA), s = c('a', NA), b = c(TRUE, NA)))", arrow)[0]


def other_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "i": [1, None],
            "f": [1.5, None],
            "s": ["a", None],
            "b": [True, None],
            "d": [DAY(2020, 1, 31), None],
            "t": [datetime.datetime(2020, 1, 1, 12), None],
            "c": pl.Series(["x", None], dtype=pl.Categorical),
            "o": pl.Series(["hi", None], dtype=pl.Enum(["lo", "hi"])),
        }
    )


OTHER_FRAME = """function(d) identical(d, data.frame(i = c(1L, NA), f = c(1.5, NA), s = c('a', NA), b = c(TRUE, NA),
  d = as.Date(c('2020-01-31', NA)), t = as.POSIXct(c('2020-01-01 12:00', NA), tz = 'UTC'), c = factor(c('x', NA)),
  o = factor(c('hi', NA), c('lo', 'hi'), ordered = TRUE))[ROWS, , drop = FALSE])"""


@pytest.mark.parametrize(("rows", "kept"), [(2, "1:2"), (0, "0")])
@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_other_frames(kind: str, rows: int, kept: str) -> None:
    frame = other_frame().head(rows)
    if rows == 0:  # no value, no level
        frame = frame.drop("c")
    code = (
        OTHER_FRAME.replace("ROWS", kept)
        if rows
        else OTHER_FRAME.replace(" c = factor(c('x', NA)),", "").replace("ROWS", kept)
    )
    assert r(code, frame.to_arrow() if kind == "arrow" else frame)[0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.Series(["a", 1], dtype=object), "holds int, str"),
        (np.array([2**60]), r"beyond 2\^53"),
        (pd.period_range("2020", periods=2, freq="M"), "period"),
        (pd.Series(["a\0b"]), "NUL"),
        (pd.Categorical([1, "1"]), "same name"),
    ],
)
def test_what_r_cannot_hold(column: Any, message: str) -> None:
    with pytest.raises(ColumnTypeError, match=message):
        to_r(pd.DataFrame({"v": column}))


def test_ambiguous_names() -> None:
    with pytest.raises(ArgumentError, match="distinct name"):
        to_r(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_errors_and_warnings_of_r() -> None:
    with pytest.raises(RError, match=r"R's stats::lm stopped: .*not found"):
        r("stats::lm", "y ~ x")
    with pytest.warns(RWarning, match="NAs introduced"):
        assert np.isnan(r("as.numeric", "a")).all()


def test_a_million_rows_in_a_second() -> None:
    n, rng = 1_000_000, np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "f": rng.normal(size=n),
            "i": rng.integers(0, 9, n),
            "b": rng.random(n) > 0.5,
            "c": pd.Categorical(rng.choice(["u", "v", "w"], n)),
            "t": pd.date_range("2000-01-01", periods=n, freq="min"),
        }
    )
    start = time.process_time()
    there = to_r(frame)
    middle = time.process_time()
    back = from_r(there)
    assert middle - start < 1.0
    assert time.process_time() - middle < 1.0
    np.testing.assert_array_equal(back["f"], frame["f"])
    assert (back["c"] == frame["c"]).all()


@pytest.mark.parametrize("compress", ["gzip", "xz", "bzip2"])
def test_data_files(tmp_path: Any, compress: str) -> None:
    vectors = ", ".join(f"`{kind}` = rep_len({code}, 4)" for kind, (_, code) in NA_MIDDLE.items() if kind != "complex")
    frame = call(f"function() data.frame({vectors}, check.names = FALSE, stringsAsFactors = FALSE)")
    expected = from_r(frame)
    path = str(tmp_path / "frame")
    call("function(x, path, how) saveRDS(x, path, compress = how)", frame, to_r(path), to_r(compress))
    pd.testing.assert_frame_equal(read_rds(path), expected)
    code = "function(x, path, how) { y <- list(1L, b = 'q'); z <- c(u = 1, v = NA); save(x, y, z, file = path, compress = how) }"
    call(code, frame, to_r(path), to_r(compress))
    found = read_rdata(path)
    pd.testing.assert_frame_equal(found["x"], expected)
    assert found["z"].isna().tolist() == [False, True]
