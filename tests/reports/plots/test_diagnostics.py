"""Plots of weights and calibration: what cannot be drawn says why."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import ArgumentError
from dsl.reports.plots import calibration, weights
from tests.posts import posts, run


def fit(offset: float, step: float) -> object:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = offset + step * np.round(10 * x + rng.normal(size=200))
    data = pd.DataFrame({"x": x, "s": y, "y": np.where(rng.random(200) < 0.4, y, np.nan)})
    return dsl.dsl("y ~ x", data, predicted_var="y", prediction="s", sl_method="lm", sample_split=1)


@pytest.mark.parametrize(("offset", "step"), [(0.0, 1.0), (0.0, 2e17), (2e17, 1e5), (1e9, 1e-3), (0.0, 1e-50)])
def test_numbers_of_any_size_are_drawn(offset: float, step: float) -> None:
    for plot in (calibration, weights):
        axes = plot(fit(offset, step))
        axes.figure.canvas.draw()
        assert len(axes.patches)


def test_diagnostics_draw_themselves() -> None:
    data = posts()
    found = run(data, "y ~ x", sample_prob="pi").diagnostics(data)
    assert found.plot().get_xlabel() == "out-of-fold prediction of y"
    assert found.plot(variable="y").get_xlabel() == "out-of-fold prediction of y"
    assert found.plot(kind="weights").get_ylabel() == "labelled rows"
    assert run(data, "y ~ x", estimator="gold_only").diagnostics(data).plot().get_ylabel() == "labelled rows"
    for wrong, message in (
        ({"kind": "bars"}, "kind.*'bars'"),
        ({"variable": "zz"}, "'zz'"),
        ({"kind": "weights", "variable": "y"}, "weights belong to rows"),
    ):
        with pytest.raises(ArgumentError, match=message):
            found.plot(**wrong)
    with pytest.raises(ArgumentError, match="made without a fit"):
        replace(found, fit=None).plot()


def test_numbers_without_digits_left_are_not() -> None:
    """Around 2e17 neighbouring numbers are 32 apart."""
    fitted = fit(2e17, 32.0)
    with pytest.raises(ArgumentError, match=r"predictions of 'y' lie within .* of 2e\+17.*subtract a constant"):
        calibration(fitted)
    weights(fitted).figure.canvas.draw()
