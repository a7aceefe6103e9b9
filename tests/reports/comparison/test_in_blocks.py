"""Estimators side by side on rows that come in blocks: the numbers of the same rows in memory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.reports.comparison import Comparison

from ...streams import Again, same, table, tried

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 2, "cross_fit": 2, "sl_method": "lm"}
DRAWN = {"naive": {"estimator": "naive"}, "mine": {"estimator": "dsl", "vcov": "design"}}
CALLS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "unequal probabilities": ("y ~ x + late", {"sample_prob": "pi"}, None),
    "clusters, logit": ("y ~ x", {"model": "logit", "cluster": "cl", "vcov": "CR1"}, ("naive", "gold_only", "dsl")),
    "given the draw": ("z ~ y + x", {"sample_prob": "pi"}, DRAWN),
    "given the draw, clusters": ("z ~ y + x", {"cluster": "cl"}, DRAWN),
    "tuned": ("z ~ y + x", {}, ("naive", "tuned")),
    "two samples": ("y ~ x", {"model": "logit"}, ("naive", "ppi++")),
    "two samples, clusters": ("y ~ x", {"cluster": "cl"}, ("naive", "ppi")),
    "two samples, a mean": ("y ~ 1", {}, ("naive", "ppi")),
    "two samples, two surrogates": (
        "y ~ x",
        {"predicted_var": {"y": ["llm", "other"]}, "prediction": None},
        {"naive": {"estimator": "naive", "predicted_var": {"y": ["llm"]}}, "ppi++": {"estimator": "ppi++"}},
    ),
    "finite": ("y ~ x", {"target": "finite"}, ("naive", "dsl")),
    "labels judge": ("y ~ x", {"weights": "w"}, ("naive", "gold_only")),
}
SLOW = {
    "clusters, logit", "tuned", "two samples", "two samples, a mean", "two samples, two surrogates", "finite",
    "given the draw, clusters", "labels judge",
}  # fmt: skip


def alike(found: Comparison, known: Comparison) -> None:
    """All numbers of two comparisons agree."""
    assert found.reference == known.reference
    assert list(found.fits) == list(known.fits)
    for name, fit in found.fits.items():
        same(fit, known.fits[name])  # type: ignore[arg-type]
    one, other = found.bias, known.bias
    assert one is not None
    assert other is not None
    scale = other["std_error"].to_numpy(dtype=float).max()
    for column in ("difference", "std_error", "statistic", "p_value"):
        np.testing.assert_allclose(one[column], other[column], rtol=1e-7, atol=1e-9 * scale)
    assert found.hausman is not None
    assert known.hausman is not None
    np.testing.assert_allclose(found.hausman.statistic, known.hausman.statistic, rtol=1e-7)
    assert found.sentences == known.sentences


@pytest.mark.parametrize("name", tried(CALLS, SLOW))
def test_the_comparison_is_that_of_memory(name: str) -> None:
    data = table()
    formula, changes, estimators = CALLS[name]
    call = {**BASE, **changes, "estimators": estimators}
    known = dsl.compare(formula, data, **call)
    alike(dsl.compare(formula, Again(data, [0, 300, 0, 900]), **call), known)


def test_beside_a_fit() -> None:
    data = table()
    source = Again(data, 400)
    fit, known = (dsl.dsl("y ~ x", rows, **BASE, sample_prob="pi") for rows in (source, data))
    alike(fit.compare(source, estimators=["naive", "gold_only"]), known.compare(estimators=["naive", "gold_only"]))
    with pytest.raises(e.NeedsAllRowsError, match="margins="):
        fit.compare(source, margins=True)
    with pytest.raises(e.ArgumentError, match=r"900 rows with \d+ labels, and these are 899"):
        fit.compare(Again(data.iloc[1:], 400))
    other = data.assign(y=lambda d: d["y"].where(d.index != d["y"].first_valid_index(), 1.0 - d["y"]))
    with pytest.raises(e.ArgumentError, match="1 labels in column 'y' are others"):
        fit.compare(Again(other, 400))
    with pytest.raises(e.ArgumentError, match="made from a table in memory"):
        known.compare(source)
    # other predictions: nothing of theirs is kept, but they make other numbers
    moved = pd.concat([data[["llm"]].iloc[::-1].reset_index(drop=True), data.drop(columns="llm")], axis=1)
    with pytest.raises(e.ArgumentError, match="cannot be made again"):
        fit.compare(Again(moved, 400), estimators=["naive"])


def test_fixed_effects_from_blocks() -> None:
    data = table().dropna(subset="x")
    source = Again(data, 400)
    call = {**BASE, "model": "felm", "sample_split": 1}
    with pytest.raises(e.NeedsAllRowsError, match=r"absorbed fixed effects \(g\)"):
        dsl.compare("y ~ x | g", source, **call)
    fit = dsl.dsl("y ~ x | g", source, **call)
    with pytest.raises(e.NeedsAllRowsError, match=r"absorbed fixed effects \(g\)"):
        fit.compare(source)
    known = dsl.dsl("y ~ x | g", data, **call)
    found, expected = fit.compare(source, estimators=["gold_only"]), known.compare(estimators=["gold_only"])
    for name, each in found.fits.items():
        same(each, expected.fits[name])  # type: ignore[arg-type]


def test_instruments_from_blocks() -> None:
    with pytest.raises(e.NeedsAllRowsError, match="with instruments"):
        dsl.compare("z ~ x | y ~ score", Again(table(), 400), **{**BASE, "model": "iv", "sample_split": 1})


def test_margins_from_blocks_are_refused() -> None:
    with pytest.raises(e.NeedsAllRowsError, match="margins="):
        dsl.compare("y ~ x", Again(table(), 400), **BASE, margins=True)
