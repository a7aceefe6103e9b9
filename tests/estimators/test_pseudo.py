"""Pseudo-outcomes in a file, block by block."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

from ..streams import Again, table

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]
CALL: dict[str, Any] = {"sample_prob": "pi", "sample_split": 2, "cross_fit": 3, "sl_method": "lm"}


@pytest.mark.parametrize(
    ("formula", "changes"),
    [
        ("y ~ x", {"predicted_var": "y", "prediction": "llm"}),
        ("z ~ kind + x", {"predicted_var": "kind", "prediction": "kind_llm", "cluster": "cl"}),
        ("z ~ y + x", {"predicted_var": "y", "prediction": "llm", "estimator": "dsl+", "vcov": "design"}),
    ],
)
def test_those_of_the_rows_in_memory(formula: str, changes: dict[str, Any], tmp_path: Path) -> None:
    data = table()
    blocks, known = Again(data, [350, 0, 550]), dsl.dsl(formula, data, **CALL, **changes)
    fit = dsl.dsl(formula, blocks, **CALL, **changes)
    assert fit.write_pseudo_outcomes(tmp_path / "out.parquet", blocks) == fit.nobs
    assert known.write_pseudo_outcomes(tmp_path / "known.parquet") == fit.nobs
    found, whole = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("out", "known"))
    assert found["row"].tolist() == known.pseudo_outcomes.index.tolist() == whole["row"].tolist()
    np.testing.assert_allclose(found.drop(columns="row"), known.pseudo_outcomes, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(whole.drop(columns="row"), known.pseudo_outcomes)


def test_other_data_are_refused(tmp_path: Path) -> None:
    data = table()
    fit = dsl.dsl("y ~ x", Again(data, 500), predicted_var="y", prediction="llm", **CALL)
    with pytest.raises(e.ArgumentError, match="not the data of the fit"):
        fit.write_pseudo_outcomes(tmp_path / "out.parquet", Again(data.head(800), 500))
    with pytest.raises(e.ArgumentError, match="write_pseudo_outcomes"):
        fit.write_pseudo_outcomes(tmp_path / "out.parquet")
    naive = dsl.dsl("y ~ x", Again(data, 500), predicted_var="y", prediction="llm", estimator="naive")
    with pytest.raises(e.ArgumentError, match="makes no out-of-fold predictions"):
        naive.write_pseudo_outcomes(tmp_path / "out.parquet", Again(data, 500))
    assert not list(tmp_path.iterdir())


def test_predictions_of_rows_in_blocks() -> None:
    data = table().dropna(subset="x").reset_index(drop=True)
    fit = dsl.dsl("y ~ x + late", Again(data, 500), model="logit", predicted_var="y", prediction="llm", **CALL)
    np.testing.assert_allclose(fit.predict(Again(data, 300)), fit.predict(data), rtol=1e-12)
