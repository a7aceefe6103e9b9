"""R's functions of dates: what they refuse, and time zones. Values are compared with R's in ``tests/live_r/test_formulas.py``."""

import numpy as np
import pandas as pd
import pytest

from dsl.data.formula.matrices import build, parse
from dsl.data.kinds import standard
from dsl.exceptions import FormulaError

ROWS = 40


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    out = pd.DataFrame({"y": rng.normal(size=ROWS), "x": rng.normal(size=ROWS)})
    # the hour from 2 to 3 of this night is shown twice in Berlin
    out["berlin"] = pd.Timestamp("2024-10-27", tz="Europe/Berlin") + pd.to_timedelta(np.arange(ROWS) % 4, unit="h")
    out["day"] = pd.Timestamp("2024-02-27") + pd.to_timedelta(np.arange(ROWS) % 5, unit="D")
    return out.assign(**{name: standard(out[name]) for name in out})


def columns(side: str, data: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Names and values of the columns of a right-hand side without its intercept."""
    part = build(parse(f"y ~ {side}", list(data.columns)), data, np.ones(len(data), dtype=bool), ()).covariates
    return list(part.names)[1:], part.fixed[:, 1:]


def test_times_of_a_zone(data: pd.DataFrame) -> None:
    """A number is that of the instant, a text that of the clock. An hour shown twice is two levels."""
    seconds = pd.Timestamp("2024-10-26T22:00", tz="UTC").timestamp() + 3600.0 * (np.arange(ROWS) % 4)
    np.testing.assert_array_equal(columns("berlin", data)[1][:, 0], seconds)
    assert columns("format(berlin, '%H:%M')", data)[0] == [
        "format(berlin, '%H:%M')[T.01:00]",
        "format(berlin, '%H:%M')[T.02:00]",
    ]
    assert len(columns("factor(berlin)", data)[0]) == 3
    np.testing.assert_array_equal(
        columns("berlin >= '2024-10-27 01:00'", data)[1][:, 0], (np.arange(ROWS) % 4 >= 1).astype(float)
    )


def test_days_and_times_are_compared_in_seconds(data: pd.DataFrame) -> None:
    times = data.assign(at=standard(data["day"] + pd.to_timedelta(np.arange(ROWS) % 3 - 1, unit="h")))
    for side, expected in (("at > day", np.arange(ROWS) % 3 > 1), ("day > at", np.arange(ROWS) % 3 < 1)):
        np.testing.assert_array_equal(columns(side, times)[1][:, 0], expected.astype(float))
    np.testing.assert_allclose(columns("I(at - day)", times)[1][:, 0], 3600.0 * (np.arange(ROWS) % 3 - 1))


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ("log(day)", ["log() is not defined for dates", "as.numeric()"]),
        ("sqrt(berlin)", ["sqrt() is not defined for dates"]),
        ("I(day * 2)", ["'*' is not defined for dates"]),
        ("I(day + day)", ["'+' is not defined for dates"]),
        ("I(day^2)", ["'^' is not defined for dates"]),
        ("cut(day, 3)", ["cut() of dates", "format(day, '%Y-%m')"]),
        ("cut(day, 'month')", ["cut() of dates"]),
        ("I(day > 'soon')", ["'soon' is compared with dates", "2020-01-31"]),
        ("I(day > '2020-02-30')", ["'2020-02-30' is compared with dates"]),
        ("I(day > '2020-02-01 12:00')", ["is compared with dates", "'2020-01-31'"]),
        ("I(berlin > 'noon')", ["'noon'", "2020-01-31 12:30"]),
        ("as.Date(berlin)", ["depends on R's version"]),
        ("as.Date(x)", ["needs text or dates"]),
        ("weekdays(x)", ["weekdays() needs dates", "pd.to_datetime"]),
        ("months('2020-01-01')", ["months() needs dates"]),
        ("format(x, '%Y')", ["format() needs dates"]),
    ],
)
def test_refused(side: str, words: list[str], data: pd.DataFrame) -> None:
    with pytest.raises(FormulaError) as caught:
        columns(side, data)
    for word in words:
        assert word in str(caught.value)
