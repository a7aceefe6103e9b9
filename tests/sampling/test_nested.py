"""Samples of samples: exact numbers, products of probabilities, files, parts, coders, and what a call makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dsl
from dsl.exceptions import ArgumentError, DesignError, LabelError
from dsl.sampling import LabelDesign, nested, simple_random, stratified

N, CROWD, EXPERTS = 600, 240, 80


def posts() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x = rng.normal(size=N)
    truth = (rng.random(N) < 1 / (1 + np.exp(-x))) * 1.0
    out = {"x": x, "source": np.where(np.arange(N) % 3 == 0, "blog", "news"), "truth": truth}
    for name, right in (("llm", 0.75), ("coded", 0.85)):
        out[name] = np.where(rng.random(N) < right, truth, 1 - truth)
    return pd.DataFrame({**out, "text": [f"post {i}" for i in range(N)]}, index=pd.Index(range(1000, 1000 + N)))


def designs(data: pd.DataFrame, **more: Any) -> tuple[LabelDesign, LabelDesign]:
    crowd = simple_random(data, CROWD, seed=1)
    return crowd, nested(crowd, data, EXPERTS, seed=2, **more)


def test_numbers_and_probabilities() -> None:
    crowd, experts = designs(posts())
    assert (crowd.drawn.sum(), experts.drawn.sum()) == (CROWD, EXPERTS)
    assert not (experts.drawn & ~crowd.drawn).any()
    np.testing.assert_allclose(experts.prob, EXPERTS / N)
    assert experts.inner is not None
    np.testing.assert_allclose(experts.inner.prob[crowd.drawn], EXPERTS / CROWD)
    assert (experts.inner.prob[~crowd.drawn] == 1.0).all()
    assert experts.within is crowd


def test_strata_within_unequal_probabilities() -> None:
    """The product row by row, and sizes of strata as asked for, of a column that is known for the first sample alone."""
    data = posts()
    crowd = stratified(data, by="source", allocation={"blog": 100, "news": 140}, seed=1)
    data["crowd"] = data["coded"].where(crowd.drawn)
    experts = nested(crowd, data, EXPERTS, by="crowd", allocation={0.0: 50, 1.0: 30}, seed=2)
    own = data["crowd"].to_numpy()[experts.drawn]
    assert ((own == 0.0).sum(), (own == 1.0).sum()) == (50, 30)
    given = np.where(data["crowd"] == 1.0, 30 / (data["crowd"] == 1.0).sum(), 50 / (data["crowd"] == 0.0).sum())
    np.testing.assert_allclose(experts.prob[crowd.drawn], (crowd.prob * given)[crowd.drawn])
    np.testing.assert_allclose(experts.prob[~crowd.drawn], crowd.prob[~crowd.drawn] * EXPERTS / CROWD)
    by = nested(crowd, data, EXPERTS, by="source", seed=2)
    assert len(set(zip(data["source"], by.prob.round(9), strict=True))) == 2


def test_every_row_as_often_as_it_should_be() -> None:
    data = posts().iloc[:12]
    crowd = simple_random(data, 6, seed=5)
    count = np.mean([nested(crowd, data, 2, seed=seed).drawn for seed in range(300)], axis=0)
    assert count[~crowd.drawn].max() == 0.0
    assert np.abs(count[crowd.drawn] - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 300)


def test_files_and_parts(tmp_path: Path) -> None:
    data = posts()
    _, experts = designs(data, by="source")
    third = nested(experts, data, 20, seed=3)
    third.save(tmp_path / "design.npz")
    again = LabelDesign.load(tmp_path / "design.npz")
    assert again.fingerprint == third.fingerprint
    assert again.depth == 2
    assert again.within is not None
    assert again.within.fingerprint == experts.fingerprint
    assert again.within.inner is not None
    assert experts.inner is not None
    np.testing.assert_array_equal(again.within.inner.stratum, experts.inner.stratum)
    part = experts.subset(data.index[data["x"] > 0])
    assert part.within is not None
    assert part.within.rows.equals(part.rows)
    assert designs(data)[1].fingerprint != experts.fingerprint


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_coders_and_the_call(kind: str, tmp_path: Path) -> None:
    """Two files out and in, and the fit that columns of labels and probabilities make."""
    frame = posts()
    data: Any = frame if kind == "pandas" else pl.from_pandas(frame.reset_index(drop=True))
    crowd = simple_random(data, CROWD, seed=1)
    experts = nested(crowd, data, EXPERTS, seed=2)
    truth = frame.set_axis(crowd.rows)
    for design, name, column in ((crowd, "crowd", "coded"), (experts, "gold", "truth")):
        path = tmp_path / f"{name}.csv"
        asked = design.to_coder(path, data, columns="text", label=name)
        asked.assign(**{name: truth.loc[asked.index, column]}).to_csv(path)
        data = design.from_coder(path, data, label=name, codebook=[0, 1])
    call = {"predicted_var": "gold", "prediction": "llm", "estimator": "cdi"}
    fit = dsl.dsl("gold ~ x", data, design=experts, stages=["crowd"], **call)
    columns = truth.assign(
        gold=truth["truth"].where(experts.drawn), crowd=truth["coded"].where(crowd.drawn), p=CROWD / N, q=EXPERTS / N
    )
    same = dsl.dsl("gold ~ x", columns, sample_prob="q", stages=[("crowd", "p")], **call)
    np.testing.assert_allclose(fit.params, same.params, rtol=1e-10)
    np.testing.assert_allclose(fit.bse, same.bse, rtol=1e-10)
    found = fit.compare(data, estimators=["gold_only"])
    assert np.isfinite(found.fits["gold_only"].bse).all()


def test_strata_of_the_second_draw_are_known() -> None:
    data = posts()
    crowd = simple_random(data, CROWD, seed=1)
    data["crowd"] = data["coded"].where(crowd.drawn)
    experts = nested(crowd, data, EXPERTS, by="crowd", seed=2)
    data["gold"] = data["truth"].where(experts.drawn)
    call: dict[str, Any] = {"predicted_var": "gold", "prediction": "llm", "estimator": "cdi", "tune": 1.0}
    fit = dsl.dsl("gold ~ x", data, design=experts, vcov="design", stages=["crowd"], **call)
    table = data.assign(p=CROWD / N, q=experts.prob)
    unknown = dsl.dsl("gold ~ x", table, sample_prob="q", vcov="design", stages=[("crowd", "p")], **call)
    np.testing.assert_allclose(fit.params, unknown.params, rtol=1e-8)
    assert (fit.bse != unknown.bse).all()


def test_refused() -> None:
    data = posts()
    crowd, experts = designs(data)
    with pytest.raises(ArgumentError, match="n_labels is 300, but there are 240 rows"):
        nested(crowd, data, 300)
    with pytest.raises(DesignError, match="not in the data"):
        nested(crowd, data.iloc[:500], 10)
    with pytest.raises(ArgumentError, match="LabelDesign; found str"):
        nested("crowd", data, 10)  # type: ignore[arg-type]
    labelled = data.assign(gold=data["truth"].where(experts.drawn), crowd=data["coded"].where(crowd.drawn))
    call: dict[str, Any] = {"predicted_var": "gold", "prediction": "llm", "design": experts}
    with pytest.raises(ArgumentError, match="label column of each of the 1 stages"):
        dsl.dsl("gold ~ x", labelled, stages=[("crowd", "p")], **call)
    with pytest.raises(LabelError, match="were drawn for the stage crowd and have no label"):
        dsl.dsl("gold ~ x", labelled.assign(crowd=data["coded"]), stages=["crowd"], **call)
