"""Rows and design matrices of a call: fixed effects of combinations."""

import numpy as np
import pandas as pd
import pytest

from dsl import exceptions as e
from tests.posts import posts, run


def panel() -> pd.DataFrame:
    """Posts in states and years, with a column that holds their combinations."""
    data = posts()
    data["state"], data["year"] = np.array(["a", "a_1", "b"])[data["z"]], 2000 + np.arange(200) % 4
    return data.assign(cell=data["state"].str.cat(data["year"].astype(str), "|"))


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("state^year", "cell"),
        ("state:year", "cell"),
        ("(state^year)", "cell"),
        ("state^year + cl", "cell + cl"),
        ("state^year^state", "cell"),
        ("cl + state:year", "cl + cell"),
    ],
)
def test_interacted_effects_are_a_column_of_the_combinations(written: str, plain: str) -> None:
    interacted = run(panel(), f"y ~ x | {written}", model="felm")
    column = run(panel(), f"y ~ x | {plain}", model="felm")
    np.testing.assert_allclose(interacted.params, column.params, rtol=1e-12)
    np.testing.assert_allclose(interacted.cov_params(), column.cov_params(), rtol=1e-12)
    assert interacted.call.index == tuple(plain.replace("cell", "state^year").split(" + ")) or "^state" in written
    # refits know them as well
    assert interacted.compare(estimators=["naive", "dsl"]).failed == {}


def test_interacted_effects_in_index() -> None:
    named = run(panel(), model="felm", index="state^year")
    written = run(panel(), "y ~ x | state^year", model="felm")
    np.testing.assert_allclose(named.params, written.params, rtol=1e-12)
    # a column that has such a name is that column
    taken = run(panel().assign(**{"state^year": 0}), model="felm", index="state^year")
    single = run(panel().assign(one=0), "y ~ x | one", model="felm")
    np.testing.assert_allclose(taken.params, single.params, rtol=1e-12)


def test_combinations_without_a_value_are_left_out_and_counted() -> None:
    data = panel()
    data.loc[3, "state"] = None
    with pytest.warns(e.DroppedRowsWarning, match=r"'state' \(1\)"):
        run(data, "y ~ x | state^year", model="felm")
    with pytest.raises(e.MissingColumnError, match="'stat', named in index"):
        run(panel(), "y ~ x | stat^year", model="felm")


def test_what_is_no_effect_behind_the_bar() -> None:
    with pytest.raises(e.FormulaError, match=r"'y ~ x \| state\^year' for an effect of each combination"):
        run(panel(), "y ~ x | log(z)", model="felm")
