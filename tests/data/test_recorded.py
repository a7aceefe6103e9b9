"""A design that tables record and calls forget: who warns, of what, and when there is nothing to warn of."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl.data.recorded import KEY, recorded, with_record
from dsl.exceptions import ArgumentError, UnusedDesignWarning
from dsl.sampling import LabelDesign
from tests.posts import posts

DRAWS: dict[str, Callable[[pd.DataFrame], LabelDesign]] = {
    "equal": lambda d: dsl.sampling.simple_random(d, 80, seed=1),
    "unequal": lambda d: dsl.sampling.stratified(d, 90, by="g", allocation={"a": 20, "b": 30, "c": 40}, seed=1),
    "clusters": lambda d: dsl.sampling.clustered(d, 8, by="cl", seed=1),
}
CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda d: d,
    "nullable": lambda d: d.convert_dtypes(),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "dict": lambda d: {str(name): d[name].tolist() for name in d},
}
QUICK: dict[str, Any] = {"sl_method": "lm", "sample_split": 1}
CALLS: dict[str, Callable[..., Any]] = {
    "dsl": lambda d, **a: dsl.dsl("y ~ x", d, predicted_var="y", prediction="llm", **QUICK, **a),
    "gold_only": lambda d, **a: dsl.dsl("y ~ x", d, predicted_var="y", prediction="llm", estimator="gold_only", **a),
    "compare": lambda d, **a: dsl.compare("y ~ x", d, predicted_var="y", prediction="llm", **QUICK, **a),
    "proportions": lambda d, **a: dsl.proportions(d, gold="y", prediction="llm", **QUICK, **a),
    "aggregate": lambda d, **a: dsl.aggregate(d, unit="z", gold="y", prediction="llm", **a),
    "ppi_quantile": lambda d, **a: dsl.ppi_quantile(d, gold="y", prediction="llm", **a),
    "ppi_statistic": lambda d, **a: dsl.ppi_statistic(
        lambda f, w: float(np.average(f["y"], weights=w)), d, gold="y", prediction="llm", n_boot=50, **a
    ),
}


def people() -> pd.DataFrame:
    """200 posts without labels."""
    return posts().drop(columns=["y", "lab", "pi"])


def labelled(draw: str) -> tuple[pd.DataFrame, LabelDesign]:
    """Posts with labels of the rows drawn, and the design as recorded."""
    data = people()
    design = DRAWS[draw](data)
    truth = (data["x"] + np.random.default_rng(2).normal(size=len(data)) > 0).astype(float)
    out = recorded(data, truth.where(design.drawn).rename("y"), design)
    assert isinstance(out, pd.DataFrame)
    return out, design


def said(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught if each.category is UnusedDesignWarning]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("draw", DRAWS)
def test_containers(draw: str, container: str) -> None:
    data, design = labelled(draw)
    table = CONTAINERS[container](data)
    found = said(lambda: CALLS["gold_only"](table))
    if draw == "equal":
        assert not found
        return
    (message,) = found
    column, other = ("sample_prob", "sample_unit") if draw == "unequal" else ("sample_unit", "sample_prob")
    assert f"'{column}' records" in message
    assert f"{'sample_prob' if draw == 'unequal' else 'cluster'}='{column}'" in message
    assert "design=" in message
    assert other not in message
    assert (design.fingerprint in message) == (container in ("pandas", "nullable", "arrow dtypes"))


@pytest.mark.parametrize("call", CALLS)
def test_calls(call: str) -> None:
    for draw in DRAWS:
        data, design = labelled(draw)
        assert len(said(lambda data=data: CALLS[call](data))) == (draw != "equal")
        assert not said(lambda data=data, design=design: CALLS[call](data, design=design))
    data, _ = labelled("unequal")
    assert not said(lambda: CALLS[call](data, sample_prob="sample_prob"))
    data, _ = labelled("clusters")
    # with the probabilities alone the units are still unused
    assert len(said(lambda: CALLS[call](data, sample_prob="sample_prob"))) == 1
    if call != "aggregate":
        assert not said(lambda: CALLS[call](data, cluster="sample_unit"))
        assert not said(lambda: CALLS[call](data, cluster="cl"))


def test_what_a_finite_target_needs_is_the_design() -> None:
    data, _ = labelled("clusters")
    clustered = {"dsl": {"cluster": "cl"}, "proportions": {"cluster": "cl"}, "ppi_quantile": {}, "ppi_statistic": {}}
    for call, more in clustered.items():
        (message,) = said(lambda call=call, more=more: CALLS[call](data, target="finite", **more))
        assert "design=" in message
        assert "cluster=" not in message


def test_the_record_alone_is_noticed_too() -> None:
    data, design = labelled("unequal")
    bare = data.drop(columns="sample_prob")
    (message,) = said(lambda: CALLS["dsl"](bare))
    assert f"the data come with the LabelDesign {design.fingerprint}" in message
    assert "sample_prob=" not in message
    # rows cut, columns added: pandas keeps the record
    assert said(lambda: CALLS["dsl"](bare.assign(w=1)))
    # other labels than those that the design drew
    assert not said(
        lambda: dsl.dsl("v ~ x", bare.rename(columns={"y": "v"}), predicted_var="v", prediction="llm", **QUICK)
    )
    units, _ = labelled("clusters")
    (message,) = said(lambda: CALLS["dsl"](units.drop(columns="sample_unit")))
    assert "standard errors" in message


def test_the_record_is_small_and_survives_files_and_joins(tmp_path: Path) -> None:
    data, design = labelled("unequal")
    assert set(data.attrs[KEY]) == {"fingerprint", "label", "unequal", "units"}
    data.to_parquet(tmp_path / "posts.parquet")
    assert pd.read_parquet(tmp_path / "posts.parquet").attrs == data.attrs
    both = pd.concat([data.iloc[:100], data.iloc[100:]])
    assert both.attrs == data.attrs
    other, _ = labelled("equal")
    assert len(pd.concat([data, other])) == 400
    for strange in ("a note of somebody's", {"version": 9}, {"fingerprint": design.fingerprint}):
        data.attrs[KEY] = strange
        assert said(lambda: CALLS["dsl"](data))  # by the column


QUIET: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "all rows labelled": lambda d: d.assign(y=d["llm"]),
    "text": lambda d: d.assign(sample_prob="low"),
    "percentages": lambda d: d.assign(sample_prob=d["sample_prob"] * 100),
    "missing": lambda d: d.assign(sample_prob=np.nan),
    "true or false": lambda d: d.assign(sample_prob=d["x"] > 0),
    "rounding": lambda d: d.assign(sample_prob=np.where(d["x"] > 0, 0.1 + 0.2, 0.3)),
}


@pytest.mark.parametrize("case", QUIET)
def test_what_is_no_record_is_passed_over(case: str) -> None:
    data, _ = labelled("unequal")
    data.attrs = {}
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dsl.exceptions.AllLabeledWarning)
        found = said(lambda: CALLS["gold_only"](QUIET[case](data)))
    assert not found


def test_the_naive_fit_needs_no_design_and_comparisons_warn_once() -> None:
    data, _ = labelled("unequal")
    assert not said(lambda: dsl.dsl("y ~ x", data, predicted_var="y", prediction="llm", estimator="naive"))
    with pytest.warns(UnusedDesignWarning):
        fit = CALLS["dsl"](data)
    assert not said(lambda: fit.compare())
    assert not said(lambda: fit.diagnostics())


def test_a_dot_in_the_formula_leaves_the_record_out() -> None:
    data, design = labelled("clusters")
    fit = dsl.dsl("y ~ .", data.drop(columns="g"), predicted_var="y", prediction="llm", design=design, **QUICK)
    assert not {"sample_prob", "sample_unit"} & set(fit.params.index)


def test_tables_of_units_record_their_probabilities() -> None:
    data = people().assign(z=np.repeat(np.arange(40), [2, 8] * 20))
    design = dsl.sampling.simple_random(data, 60, seed=1)
    truth = (data["x"] > 0).astype(float)
    units = dsl.aggregate(data.assign(y=truth.where(design.drawn)), unit="z", gold="y", prediction="llm", design=design)
    call = {"predicted_var": "y", "prediction": "llm", **QUICK}
    (message,) = said(lambda: dsl.dsl("y ~ 1", units, **call))
    assert "sample_prob='sample_prob'" in message
    assert not said(lambda: dsl.dsl("y ~ 1", units, sample_prob="sample_prob", **call))


def test_adaptive_designs_record_theirs() -> None:
    data = people()
    truth = (data["x"] > 0).astype(float)
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "n_labels": 90, "batches": 2, "sl_method": "lm"}
    study = dsl.AdaptiveDesign("y ~ x", data, **call)
    assert "sample_prob" not in study.data
    study.run(lambda batch: truth[batch.index])
    np.testing.assert_array_equal(study.data["sample_prob"], study.design().prob)
    (message,) = said(lambda: CALLS["dsl"](study.data))
    assert study.design().fingerprint in message
    assert not said(lambda: CALLS["dsl"](study.data, design=study.design()))
    own = dsl.AdaptiveDesign("y ~ x", data.assign(sample_prob=0.5), **call).run(lambda batch: truth[batch.index])
    assert (own.data["sample_prob"] == 0.5).all()


@pytest.mark.parametrize("container", CONTAINERS)
def test_columns_of_that_name_with_other_values_are_not_replaced(container: str, tmp_path: Path) -> None:
    data = people()
    design = DRAWS["clusters"](data)
    path = tmp_path / "coder.csv"
    design.to_coder(path, data, columns="x", label="y").assign(y=1).to_csv(path)
    for name, word in (("sample_prob", "other probabilities"), ("sample_unit", "other units")):
        table = CONTAINERS[container](data.assign(**{name: 0.5}))
        with pytest.raises(ArgumentError, match=f"'{name}'.*{word}.*drop\\(columns='{name}'\\)"):
            design.from_coder(path, table, label="y")
    same = CONTAINERS[container](data.assign(sample_prob=design.prob, sample_unit=design.unit))
    design.from_coder(path, same, label="y")
    with pytest.raises(ArgumentError, match="other than 'row', 'key', 'sample_prob', 'sample_unit'"):
        design.to_coder(tmp_path / "other.csv", data, columns="x", label="sample_prob")


def test_a_second_design_replaces_the_record_of_the_first() -> None:
    data, _ = labelled("unequal")
    second = DRAWS["clusters"](data)
    out: Any = recorded(data, data["y"], second)
    assert out.attrs[KEY]["fingerprint"] == second.fingerprint
    np.testing.assert_array_equal(out["sample_prob"], second.prob)
    assert with_record(people(), second, "y").attrs == out.attrs


def test_rows_outside_the_design_have_no_probability() -> None:
    data = people()
    design = dsl.sampling.clustered(data, 5, by="cl", exclude=(data["z"] == 0).to_numpy(), seed=1)
    out: Any = recorded(data, pd.Series(np.nan, index=data.index, name="y"), design)
    outside = (data["z"] == 0).to_numpy()
    np.testing.assert_array_equal(out["sample_prob"].isna(), outside)
    np.testing.assert_array_equal(out["sample_unit"].isna(), outside)
    assert (
        out.loc[~outside, "sample_unit"].tolist() == (design.unit if design.unit is not None else np.zeros(0)).tolist()
    )
