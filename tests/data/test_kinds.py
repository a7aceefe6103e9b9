"""Every kind of column, from every container, in every role: the numbers of a plain column, or an error that names it."""

import datetime
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dsl.data.columns import Columns
from dsl.data.formula.matrices import build_each, parse
from dsl.data.kinds import Kind, kind_of, plain, standard, unusable, zero_one
from dsl.data.sample import prepare
from dsl.exceptions import ColumnTypeError, DSLError
from tests.posts import ROWS, posts, run

BIG = 2**60
DAY0 = datetime.date(2020, 1, 1)
CLOCK = datetime.datetime(2020, 1, 1, 7, 30)
UTC = datetime.UTC if hasattr(datetime, "UTC") else datetime.timezone.utc  # noqa: UP017


class Party(enum.Enum):
    """Members of an Enum, which no role can use."""

    LEFT = 0
    MIDDLE = 1
    RIGHT = 2


Values = list[Any]
Make = Callable[[np.ndarray], Values]


@dataclass(frozen=True)
class Column:
    """A kind of column."""

    values: Make
    """From codes 0, 1, 2."""
    kind: Kind | None
    """None: no role can use it."""
    number: Make | None = None
    """What it is as a number."""
    level: Make = field(default=lambda z: [f"l{v:02d}" for v in z])
    """What it is as a category, text in the right order."""
    codes: Callable[[np.ndarray], np.ndarray] = field(default=lambda z: z)
    """Which codes it has."""
    dtype: str | None = None
    """A categorical dtype: "category"."""
    predicted: str | None = None
    """What is wrong with it as a predicted variable."""


def binary(z: np.ndarray) -> np.ndarray:
    return np.minimum(z, 1)


def floats(z: np.ndarray) -> Values:
    return [float(v) for v in z]


COLUMNS: dict[str, Column] = {
    "whole numbers": Column(lambda z: [int(v) for v in z], Kind.NUMBER, floats),
    "numbers": Column(lambda z: [1.5 * v for v in z], Kind.NUMBER, lambda z: [1.5 * v for v in z]),
    "0 and 1": Column(lambda z: [int(v) for v in z], Kind.NUMBER, floats, codes=binary),
    "identifiers": Column(lambda z: [BIG + int(v) for v in z], Kind.NUMBER),
    "identifiers over 2^63": Column(lambda z: [2**63 + int(v) for v in z], Kind.NUMBER),
    "decimals": Column(lambda z: [Decimal(int(v)) for v in z], Kind.NUMBER, floats),
    "decimal identifiers": Column(lambda z: [Decimal(BIG + int(v)) for v in z], Kind.NUMBER),
    "truth": Column(lambda z: [bool(v) for v in z], Kind.TRUTH, floats, codes=binary),
    "text": Column(lambda z: [f"t{v}" for v in z], Kind.TEXT),
    "True and False": Column(lambda z: [("False", "True")[v] for v in z], Kind.TEXT, codes=binary),
    "text that is 0 or 1": Column(lambda z: [str(v) for v in z], Kind.TEXT, floats, codes=binary),
    "numbers as text": Column(lambda z: [str(v + 1) for v in z], Kind.TEXT, predicted="numbers as text"),
    "categories": Column(lambda z: [f"t{v}" for v in z], Kind.CATEGORY, dtype="category"),
    "numeric categories": Column(lambda z: [int(v) + 1 for v in z], Kind.CATEGORY, dtype="category"),
    "categories written as numbers": Column(lambda z: [str(v + 1) for v in z], Kind.CATEGORY, dtype="category"),
    "categories 0 and 1": Column(lambda z: [int(v) for v in z], Kind.CATEGORY, floats, codes=binary, dtype="category"),
    "dates": Column(
        lambda z: [DAY0 + datetime.timedelta(int(v)) for v in z],
        Kind.DATE,
        lambda z: [18262.0 + v for v in z],
        predicted="must hold numbers; found dates",
    ),
    "times": Column(
        lambda z: [CLOCK + datetime.timedelta(hours=int(v)) for v in z],
        Kind.TIME,
        lambda z: [1577863800.0 + 3600.0 * v for v in z],
        predicted="must hold numbers; found dates",
    ),
    "times of a zone": Column(
        lambda z: [(CLOCK + datetime.timedelta(hours=int(v))).replace(tzinfo=UTC) for v in z],
        Kind.TIME,
        lambda z: [1577863800.0 + 3600.0 * v for v in z],
        predicted="must hold numbers; found dates",
    ),
    "members of an Enum": Column(lambda z: [Party(int(v)) for v in z], None),
    "bytes": Column(lambda z: [b"abc"[v : v + 1] for v in z], None),
    "tuples": Column(lambda z: [(int(v), 1) for v in z], None),
    "lists": Column(lambda z: [[int(v), 1] for v in z], None),
    "sets": Column(lambda z: [{int(v)} for v in z], None),
    "dicts": Column(lambda z: [{"a": int(v)} for v in z], None),
    "complex numbers": Column(lambda z: [complex(v) for v in z], None),
    "durations": Column(lambda z: [datetime.timedelta(hours=int(v)) for v in z], None),
    "times of day": Column(lambda z: [datetime.time(int(v)) for v in z], None),
}
PYTHON_ONLY = {"members of an Enum", "sets", "complex numbers"}
"""What polars and pyarrow have no type for."""


def large(values: Values) -> str | None:
    """The dtype of whole numbers that pandas itself would round."""
    known = [v for v in values if isinstance(v, int) and v > 2**53]
    return None if not known else "Int64" if max(known) < 2**63 else "UInt64"


def series(column: Column, values: Values) -> Any:
    """What pandas makes of the values by itself, where it rounds none of them."""
    return pd.Categorical(values) if column.dtype else pd.Series(values, dtype=large(values))


def nullable(column: Column, values: Values) -> Any:
    """Pandas' own dtypes with missing values."""
    # pandas has no nullable complex numbers, and some versions fail to see that
    if column.dtype or large(values) or any(isinstance(value, complex) for value in values):
        return series(column, values)
    return pd.Series(values, dtype=object).convert_dtypes()


def _arrow(column: Column, values: Values) -> pa.Array:
    if column.dtype is None:
        return pa.array(values, pa.uint64() if large(values) == "UInt64" else None)
    made = pd.Categorical(values)
    codes = pa.array([None if code < 0 else code for code in made.codes], pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(made.categories.tolist()))


def _polars(column: Column, values: Values) -> pl.Series:
    if column.dtype is None:
        return pl.Series("k", values)
    texts = [None if v is None else str(v) for v in values]
    return pl.Series("k", texts, dtype=pl.Enum(sorted({t for t in texts if t is not None})))


CONTAINERS: dict[str, Callable[[pd.DataFrame, Column, Values], Any]] = {
    "pandas": lambda d, c, v: d.assign(k=series(c, v)),
    "objects": lambda d, c, v: d.assign(k=pd.Categorical(v) if c.dtype else pd.Series(v, dtype=object)),
    "nullable": lambda d, c, v: d.assign(k=nullable(c, v)),
    "arrow": lambda d, c, v: d.assign(k=pd.Series(pd.array(_arrow(c, v), dtype=pd.ArrowDtype(_arrow(c, v).type)))),
    "polars": lambda d, c, v: pl.from_pandas(d).with_columns(_polars(c, v)),
    "pyarrow": lambda d, c, v: pa.Table.from_pandas(d).append_column("k", _arrow(c, v)),
    "dict": lambda d, c, v: {**{n: d[n].tolist() for n in d}, "k": pd.Categorical(v) if c.dtype else v},
}
Role = tuple[str, dict[str, Any]]
ROLES: dict[str, Role] = {
    "covariate": ("x ~ y + k", {}),
    "factor": ("x ~ y + factor(k)", {}),
    "fixed effects": ("x ~ y", {"absorbed": {"k": ("k",)}}),
    "cluster": ("x ~ y", {"cluster": "k"}),
    "feature": ("x ~ y + z", {"feature": ("k",)}),
    "prediction": ("x ~ y", {"prediction": ("k",)}),
    "predicted covariate": ("x ~ k", {"predicted": ("k",)}),
    "predicted outcome": ("k ~ x", {"predicted": ("k",)}),
    "labeled": ("x ~ y", {"labeled": "k"}),
    "probability": ("x ~ y", {"sample_prob": "k"}),
}


def numbers_of(data: Any, role: str) -> dict[str, np.ndarray]:
    """Every number that an analysis reads from the data."""
    formula, named = ROLES[role]
    arguments = {"predicted": ("y",), "prediction": ("llm",), **named}
    parsed = parse(formula, [*posts().columns, "k"])
    sample = prepare(data, Columns(formula=parsed.variables, **arguments))
    absorbed = bool(arguments.get("absorbed"))
    designs, _ = build_each(parsed, sample.data, sample.labeled, arguments["predicted"], absorbed=absorbed)
    out = {"labeled": sample.labeled, "prob": sample.sample_prob, "features": sample.features, "rows": sample.rows}
    if sample.cluster is not None:
        out["cluster"] = sample.cluster
    for j, codes in enumerate(sample.absorbed):
        out[f"absorbed {j}"] = codes
    for j, design in enumerate(designs):
        out[f"fixed {j}"], out[f"gold {j}"] = design.covariates.fixed, design.gold
        out[f"outcome {j}"] = design.gold_outcome
    return out


def codes_of(column: Column, role: str) -> np.ndarray:
    """Codes of the rows, which make sense in the role."""
    data = posts()
    if role == "labeled":
        return data["lab"].to_numpy()
    return column.codes(data["z"].to_numpy())


def given(column: Column, role: str) -> tuple[Values, Values, Values | None]:
    """Values of the column, and what they are as categories and numbers. One is missing where a role allows it."""
    codes = codes_of(column, role)
    known = posts()["lab"].to_numpy() == 1 if role.startswith("predicted") else np.ones(ROWS, dtype=bool)
    known[0] &= role in ("prediction", "labeled", "probability")

    def there(values: Values) -> Values:
        return [value if seen else None for value, seen in zip(values, known, strict=True)]

    numbers = None if column.number is None else there(column.number(codes))
    return there(column.values(codes)), there(column.level(codes)), numbers


def reference(column: Column, role: str, levels: Values, numbers: Values | None) -> Any:
    """The plain column that means the same: floats, or text. None where there is no such thing."""
    category = pd.Series(levels, dtype=object)
    number = None if numbers is None else pd.Series(numbers, dtype=float)
    if role in ("factor", "fixed effects", "cluster"):
        return category
    if role in ("labeled", "probability"):
        return number
    if role.startswith("predicted") or role == "prediction":
        if column.predicted is not None and (role != "prediction" or column.kind is not Kind.TEXT):
            return None
        return category if number is None else number
    return category if number is None or column.kind in (Kind.TEXT, Kind.CATEGORY) else number


def refused_as(column: Column, role: str) -> str | None:
    """Part of the message where this kind has no place in a role."""
    dated = column.kind is not None and column.kind.dated
    if role in ("labeled", "probability") and (column.number is None or dated):
        return "must hold numbers|must be 1" if role == "labeled" else r"must hold numbers|outside \(0, 1\]"
    if role == "labeled" and column.number is not None and set(column.number(np.arange(2))) != {0.0, 1.0}:
        return "must be 1"
    if role == "probability":
        return r"outside \(0, 1\]|zero"
    if role.startswith("predicted"):
        return column.predicted
    return "found dates" if dated and role == "prediction" else None


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("case", COLUMNS)
@pytest.mark.long
def test_kinds_roles_containers(case: str, container: str, half: int) -> None:
    """Each half has every pair of kind, container and role; both together have every triple."""
    column = COLUMNS[case]
    if case in PYTHON_ONLY and container in ("arrow", "polars", "pyarrow"):
        pytest.skip("no such type there")
    first = (list(COLUMNS).index(case) + list(CONTAINERS).index(container) + half) % 2
    for role in list(ROLES)[first::2]:
        values = given(column, role)[0]
        table = CONTAINERS[container](posts(), column, values)
        words = "holds .*rows \\(first: " if column.kind is None else refused_as(column, role)
        if words is None:
            expected, found = expected_numbers(case, role), numbers_of(table, role)
            assert found.keys() == expected.keys(), role
            for name, there in found.items():
                np.testing.assert_allclose(there, expected[name], rtol=1e-12, atol=1e-12, err_msg=f"{role}, {name}")
            continue
        with pytest.raises(DSLError, match=words) as caught:
            numbers_of(table, role)
        assert "'k'" in str(caught.value)
        assert column.kind is not None or type(caught.value) is ColumnTypeError


@cache
def expected_numbers(case: str, role: str) -> dict[str, np.ndarray]:
    """The numbers of the plain column that means the same."""
    column = COLUMNS[case]
    values, levels, numbers = given(column, role)
    if column.number is None and column.kind is Kind.NUMBER:
        numbers = [None if v is None else float(v) for v in values]  # identifiers as numbers, as far as these hold them
    return numbers_of(posts().assign(k=reference(column, role, levels, numbers)), role)


@pytest.mark.parametrize("case", ["numeric categories", "dates", "times", "identifiers"])
def test_fits(case: str) -> None:
    """The same by the calls that users make."""
    column, data = COLUMNS[case], posts()
    plainly = data.assign(k=column.level(data["cl"].to_numpy()))
    typed = data.assign(k=series(column, column.values(data["cl"].to_numpy())))
    for arguments in ({"formula": "x ~ y + factor(k)"}, {"cluster": "k"}, {"model": "felm", "index": "k"}):
        fit, other = run(typed, **arguments), run(plainly, **arguments)  # type: ignore[arg-type]
        np.testing.assert_allclose(fit.params, other.params, rtol=1e-9)
        np.testing.assert_allclose(fit.bse, other.bse, rtol=1e-9)


def test_categories_without_numbers_in_their_names_are_no_slope() -> None:
    """A covariate and an outcome of nominal codes 1, 2, 3 are what factor() makes of them."""
    rng = np.random.default_rng(2)
    x, t, lab = rng.normal(size=600), rng.integers(1, 4, 600), rng.random(600) < 0.5
    llm = np.where(rng.random(600) < 0.15, rng.integers(1, 4, 600), t)
    plainly = pd.DataFrame({"x": x, "w": 0.8 * (t == 2) + x, "topic": pd.Series(t, dtype=float).where(lab), "llm": llm})
    typed = plainly.assign(topic=pd.Categorical(plainly["topic"]), llm=pd.Categorical(llm))
    call = {"predicted_var": "topic", "prediction": "llm"}
    fit = run(typed, "w ~ topic + x", **call)
    same = run(plainly.assign(llm=typed["llm"]), "w ~ factor(topic) + x", **call)
    np.testing.assert_allclose(fit.params, same.params, rtol=1e-9)
    assert list(fit.params.index) == ["Intercept", "topic[T.2]", "topic[T.3]", "x"]
    assert [name.split(":")[0] for name in run(typed, "topic ~ x", **call).params.index[::2]] == [
        "topic[1]", "topic[2]", "topic[3]"
    ]  # fmt: skip
    naive = run(typed, "w ~ topic + x", estimator="naive", **call)
    for predictions in (llm, llm.astype(float), llm.astype(str)):
        np.testing.assert_allclose(
            run(typed.assign(llm=predictions), "w ~ topic + x", estimator="naive", **call).params,
            naive.params,
            rtol=1e-12,
        )


def test_dates_and_their_new_rows() -> None:
    """A fit knows in which unit its dates were, whatever new rows look like."""
    data = posts().assign(t=lambda d: pd.Timestamp("2020-01-01") + pd.to_timedelta(d["words"], unit="D"))
    fit = run(data, "x ~ y + t + format(t, '%m')")
    rows = data.assign(y=0.0).head(5)
    shown = fit.predict(rows)
    for other in (rows.assign(t=rows["t"].dt.date), rows.assign(t=rows["t"].astype("datetime64[ms]"))):
        np.testing.assert_allclose(fit.predict(other), shown, rtol=1e-12)
    later = fit.predict(rows.assign(t=rows["t"] + pd.Timedelta(hours=12)))
    np.testing.assert_allclose(later - shown, fit.params["t"] / 2, rtol=1e-6)
    with pytest.raises(ColumnTypeError, match=r"'t' \(data\) must hold dates"):
        fit.predict(rows.assign(t=1.5))


def test_a_date_column_is_one_of_midnights() -> None:
    days = pd.Series(pd.to_datetime(["2020-01-01", None, "1969-12-31"]))
    assert kind_of(days) is Kind.DATE
    assert kind_of(days + pd.Timedelta(seconds=1)) is Kind.TIME
    assert kind_of(days.dt.tz_localize("Europe/Berlin")) is Kind.TIME
    assert kind_of(pd.Series(pd.period_range("2020-01", periods=2, freq="M"))) is Kind.DATE
    assert kind_of(pd.Series(pd.period_range("2020-01", periods=2, freq="h"))) is Kind.TIME
    mixed = pd.Series([DAY0, CLOCK, None], dtype=object)
    assert kind_of(mixed) is Kind.TIME
    assert standard(mixed).tolist()[:2] == [pd.Timestamp(DAY0), pd.Timestamp(CLOCK)]


def test_what_no_role_can_use_is_counted() -> None:
    found = unusable(pd.Series([1, "a", b"x", None, b"y"], dtype=object, name="k"))
    assert found is not None
    assert (found[0].tolist(), found[1]) == ([False, False, True, False, True], "bytes")
    found = unusable(pd.Series([DAY0, "n/a", None], dtype=object, name="k"))
    assert found is not None
    assert (found[0].tolist(), found[1]) == ([False, True, False], "dates, and 'n/a'")
    found = unusable(pd.Series(pd.Categorical([Party.LEFT, None]), name="k"))
    assert found is not None
    assert (found[0].tolist(), found[1]) == ([True, False], "categories that are members of an Enum")
    assert "map(str" in (unusable(pd.Series([object(), 1], dtype=object, name="k")) or ("", "", ""))[2]
    assert unusable(pd.Series([pd.Interval(0, 1), None], dtype=object)) is None


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None], "float64"),
        ([2**53, None], "float64"),
        ([2**53 + 1, None], "Int64"),
        ([-(2**53) - 1, 5], "int64"),
        ([2**63, None], "UInt64"),
        ([2**63, 1], "uint64"),
        ([2**64, None], "object"),
        ([Decimal(2**60), Decimal(1)], "int64"),
        ([Decimal("2.5"), Decimal(2**60)], "float64"),
        ([Decimal("Infinity"), Decimal(2**60)], "float64"),
        ([Fraction(1, 4), None], "float64"),
        ([True, None], "boolean"),
        ([None, None], "float64"),
        ([10**400, None, 0.5], "float64"),
    ],
)
def test_plain_loses_nothing(values: Values, dtype: str) -> None:
    column = plain(pd.Series(values, dtype=object))
    assert str(column.dtype) == dtype
    assert [None if pd.isna(v) else v for v in column] == [np.inf if v == 10**400 else v for v in values]


def test_zero_and_one() -> None:
    assert zero_one(pd.Series(pd.Categorical([0.0, 1.0, None]))) is not None
    for other in (
        pd.Categorical([0, 1], ordered=True),
        pd.Categorical([0, 1], [0, 1, 2]),
        pd.Categorical([1, 1]),
        ["0", "1", "2"],
        ["no", "yes"],
        [0, 1],
        [None, None],
    ):
        assert zero_one(pd.Series(other)) is None


def test_notes() -> None:
    """What was decided on the user's behalf is said."""
    data = posts()
    texts = data.assign(y=data["y"].map({0.0: "0", 1.0: "1"}), llm=data["llm"].map({0.0: "0", 1.0: "1"}))
    fit = run(texts)
    np.testing.assert_allclose(fit.params, run(data).params, rtol=1e-12)
    assert fit.sample.notes == (
        "'y': text that is '0' or '1', read as numbers",
        "'llm': text that is '0' or '1', read as numbers",
    )
    cut = data.assign(age=pd.cut(data["words"], [0, 20, 40, 60]))
    (note,) = run(cut, "y ~ x + age").sample.notes
    assert note.startswith(
        "'age' is an ordered category: its coefficients are polynomial contrasts (.L, .Q); for a coefficient"
    )
    assert run(cut, "y ~ x + factor(age, ordered = FALSE)").sample.notes == ()
    assert run(cut.assign(age=cut["age"].cat.as_unordered()), "y ~ x + age").sample.notes == ()
