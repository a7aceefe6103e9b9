"""Fingerprints: the same values are the same data, whatever holds them; other values are not."""

import struct

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.data.fingerprint import column_fingerprints
from dsl.data.tables import to_pandas
from dsl.exceptions import ArgumentError
from tests.posts import posts, run


def prints(table: object) -> dict[str, str]:
    return column_fingerprints(to_pandas(table, ["x", "g", "b"]))


def table() -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, 2.0, np.nan], "g": ["a", "b", None], "b": [True, False, True]})


def test_containers_do_not_matter() -> None:
    plain = table()
    expected = prints(plain)
    assert prints(pl.from_pandas(plain)) == expected
    assert prints(pa.Table.from_pandas(plain)) == expected
    assert prints(plain.convert_dtypes()) == expected
    assert prints(plain.astype({"g": "category"}).set_index(pd.Index([7, 8, 9]))) == expected
    assert prints({name: plain[name].tolist() for name in plain}) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"x": [1.0, 2.0, 3.0]},
        {"x": [2.0, 1.0, np.nan]},
        {"x": ["1", "2", None]},
        {"g": ["b", "a", None]},
        {"g": ["a", "b", "c"]},
        {"b": [1.0, 0.0, 1.0]},
    ],
)
def test_values_order_and_kind_do(other: dict[str, list[object]]) -> None:
    (name,) = other
    changed = prints(table().assign(**other))
    expected = prints(table())
    assert changed[name] != expected[name]
    assert {k: v for k, v in changed.items() if k != name} == {k: v for k, v in expected.items() if k != name}


def test_missing_and_zero_have_one_pattern() -> None:
    """R's NA is a NaN of its own, which signals when it is added to; minus zero is zero."""
    na = struct.unpack("<d", struct.pack("<Q", 0x7FF00000000007A2))[0]
    assert column_fingerprints(pd.DataFrame({"x": [na, -0.0]})) == column_fingerprints(
        pd.DataFrame({"x": [np.nan, 0.0]})
    )


def test_large_whole_numbers_are_told_apart() -> None:
    ids = [2**53 + 1, 2**53 + 3]
    assert column_fingerprints(pd.DataFrame({"id": ids})) != column_fingerprints(pd.DataFrame({"id": [2**53, ids[1]]}))


def test_every_function_that_takes_a_fit_and_data_refuses_others() -> None:
    data = posts()
    fit = run(data, "y ~ x")
    other = data.assign(x=data["x"] + 1e-9)
    calls = {
        "compare": lambda: fit.compare(other),
        "diagnostics": lambda: fit.diagnostics(other),
        "diagnose": lambda: dsl.diagnose(fit, other),
        "report": lambda: fit.report("never_written.html", other),
        "power": lambda: dsl.power_dsl(fit, other),
        "targeted": lambda: dsl.sampling.targeted(fit, other, 20, error_model="lm"),
    }
    for name, call in calls.items():
        with pytest.raises(ArgumentError, match="column 'x' holds other values") as caught:
            call()
        assert "not the data of the fit" in str(caught.value), name


def test_columns_that_the_fit_did_not_use_may_change() -> None:
    data = posts()
    fit = run(data, "y ~ x")
    again = fit.diagnostics(pl.from_pandas(data.assign(words=0, new=1)))
    pd.testing.assert_frame_equal(again.checks, fit.diagnostics().checks)
