"""Rows for which the model refused: kept with an indicator, drawn like others, and analysed as `dsl.dsl` does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.sampling.adaptive import AdaptiveDesign
from tests.sampling.adaptive.test_loop import begin, posts

SAME_ALGEBRA = 1e-12


def refused() -> tuple[pd.DataFrame, pd.Series]:
    """Posts whose predictions and confidences are missing where the model refused: mostly positive ones."""
    data, gold = posts()
    missing = (gold == 1) & (np.arange(len(gold)) % 4 == 0)
    return data.assign(llm=data["llm"].mask(missing), doubt=data["doubt"].mask(missing)), gold


def test_refusals_stop_the_design_before_a_label_is_paid_for() -> None:
    with pytest.raises(e.PredictionError, match=r"'llm' is missing in .*refusals='indicator' keeps these rows"):
        begin(data=refused()[0].assign(doubt=posts()[0]["doubt"]))
    with pytest.raises(e.DataError, match=r"missing values \('doubt' \(\d+\)\).*refusals='indicator' keeps them"):
        begin(data=refused()[0])
    with pytest.raises(e.ArgumentError, match="unknown refusals 'drop'"):
        begin(data=refused()[0], refusals="drop")


def test_an_indicator_keeps_them(tmp_path: Path) -> None:
    data, gold = refused()
    log = tmp_path / "log"
    design = begin(data=data, refusals="indicator", log=log).run(lambda batch: gold[batch.index])
    assert design.history["note"].tolist() == [""] * 4
    assert design.design().drawn[data["llm"].isna()].any()
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "feature": "doubt", "sl_method": "lm", "seed": 5}
    again = dsl.dsl("y ~ x + rare", design.data, **call, refusals="indicator", design=design.design(), tune="coef")
    pd.testing.assert_series_equal(design.estimate().params, again.params, rtol=SAME_ALGEBRA)
    resumed = AdaptiveDesign.resume(log, data)
    assert resumed.design().fingerprint == design.design().fingerprint
    assert resumed.settings.refusals == "indicator"


def test_the_error_model_sees_the_indicator() -> None:
    """The learner errs on refused rows, so that they are drawn more often once that is known."""
    data, gold = refused()
    design = begin(data=data, refusals="indicator", n_labels=300, batches=3).run(lambda batch: gold[batch.index])
    # among rows alike in all else that is known: refused ones are all positive, hence easy for a learner that sees it
    missing = data["llm"].isna().to_numpy()
    errors = design.probabilities[3].to_numpy()
    assert errors[missing].mean() < errors[~missing].mean()


def test_two_models_that_refuse_different_rows() -> None:
    data, gold = refused()
    both = data.assign(llm2=posts()[0]["llm"].mask(np.arange(len(gold)) % 7 == 0))
    design = begin(data=both, prediction=["llm", "llm2"], refusals="indicator").run(lambda batch: gold[batch.index])
    assert design.estimate(sample_split=1).nobs == len(gold)
