"""Predictions for new rows and for the rows of the fit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError, DataError
from tests.posts import posts, run


def test_the_rows_of_the_fit() -> None:
    data = posts()
    data.loc[[3, 8], "x"] = np.nan
    with pytest.warns(dsl.exceptions.DroppedRowsWarning):
        fit = run(data, "y ~ x + g", model="logit")
    found = fit.predict()
    kept = data.dropna(subset="x")
    pd.testing.assert_series_equal(found, fit.predict(kept), check_exact=True)
    assert list(found.index) == list(kept.index)
    linear = fit.predict(which="linear")
    np.testing.assert_allclose(found, 1.0 / (1.0 + np.exp(-linear)), rtol=1e-12)


def test_rows_that_are_no_longer_at_hand(tmp_path: Path) -> None:
    data = posts()
    fit = run(data)
    fit.save(tmp_path / "fit.dsl")
    with pytest.raises(ArgumentError, match=r"without data, predict\(\) and get_prediction\(\) .*not at hand"):
        dsl.DSLResults.load(tmp_path / "fit.dsl").predict()
    data["x"] += 1.0
    with pytest.raises(ArgumentError, match="not the data of the fit: column 'x'"):
        fit.predict()


def test_a_predicted_covariate_is_known_on_labelled_rows() -> None:
    data = posts()
    fit = run(data, "x ~ y + z")
    with pytest.raises(ArgumentError, match="right-hand side 'y' is known on labelled rows only"):
        fit.predict()
    found = fit.predict(missing="nan")
    shown = data["lab"] == 1
    assert found.notna().tolist() == shown.tolist()
    pd.testing.assert_series_equal(found[shown], fit.predict(data[shown]), check_exact=True)


@pytest.mark.parametrize("absent", ["x", "g"])
def test_missing_values_of_new_rows(absent: str) -> None:
    fit = run(posts(), "y ~ x * g + offset(words)")
    new = posts().head(6).set_index("pi")
    expected = fit.predict(new)
    new[absent] = new[absent].where([True, False, True, True, False, True])
    with pytest.raises(DataError, match=r"missing values in 2 rows .*missing='nan'"):
        fit.predict(new)
    found = fit.predict(new, missing="nan")
    assert found.isna().tolist() == [False, True, False, False, True, False]
    pd.testing.assert_series_equal(found.dropna(), expected[found.notna().to_numpy()])
    new[absent] = None
    assert fit.predict(new, missing="nan").isna().all()
    with pytest.raises(ArgumentError, match="unknown missing 'drop'"):
        fit.predict(new, missing="drop")


def test_categories_of_the_outcome_have_columns() -> None:
    data = posts()
    data["topic"] = data["g"].where(data["lab"] == 1)
    fit = run(data, "topic ~ x", predicted_var="topic", prediction="llm")
    found = fit.predict({"x": [0.0, np.nan, 1.0]}, missing="nan")
    assert list(found) == ["a", "b", "c"]
    assert found.isna().all(axis=1).tolist() == [False, True, False]
    np.testing.assert_allclose(found.dropna().sum(axis=1), 1.0, rtol=1e-9)
    assert fit.predict().shape == (200, 3)
