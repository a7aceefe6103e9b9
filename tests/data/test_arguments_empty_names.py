"""An empty name, most often a variable of the caller's that was not set, is an error in every call and every role."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dsl
from dsl.cli import main
from dsl.exceptions import ArgumentError
from tests.posts import posts

EMPTY = ("", [""], ["llm", ""])


def fit(**more: Any) -> object:
    given = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, **more}
    return dsl.dsl("y ~ x", posts(), **given)


@pytest.mark.parametrize(
    "role", ["prediction", "feature", "index", "labeled", "sample_prob", "cluster", "predicted_var"]
)
@pytest.mark.parametrize("estimator", ["dsl", "gold_only"])
def test_regression(role: str, estimator: str) -> None:
    for name in EMPTY if role in ("prediction", "feature", "index", "predicted_var") else ("",):
        with pytest.raises(ArgumentError, match=rf"{role} is an empty name \(''\): name a column, or leave {role} out"):
            fit(estimator=estimator, **{role: name})


@pytest.mark.parametrize("pairs", [{"": "llm"}, {"y": ""}, {"y": ["llm", ""]}])
def test_pairs(pairs: Any) -> None:
    with pytest.raises(ArgumentError, match="predicted_var is an empty name"):
        fit(predicted_var=pairs, prediction=None)


def test_comparison() -> None:
    with pytest.raises(ArgumentError, match="cluster is an empty name"):
        dsl.compare("y ~ x", posts(), predicted_var="y", prediction="llm", sl_method="lm", cluster="")


@pytest.mark.parametrize("role", ["gold", "prediction", "by", "time", "feature", "labeled", "sample_prob", "cluster"])
def test_proportions(role: str) -> None:
    given = {"gold": "y", "prediction": "llm", role: ""}
    with pytest.raises(ArgumentError, match="is an empty name"):
        dsl.proportions(posts(), **given)


@pytest.mark.parametrize("role", ["unit", "gold", "prediction", "labeled", "sample_prob", "keep"])
def test_aggregate(role: str) -> None:
    given = {"unit": "cl", "gold": "y", "prediction": "llm", role: ""}
    with pytest.raises(ArgumentError, match="is an empty name"):
        dsl.aggregate(posts(), **given)


@pytest.mark.parametrize("role", ["gold", "prediction", "labeled", "sample_prob", "cluster"])
def test_calls_without_formula(role: str) -> None:
    given: dict[str, Any] = {"gold": "y", "prediction": "llm", role: ""}
    with pytest.raises(ArgumentError, match="is an empty name"):
        dsl.ppi_quantile(posts(), **given)
    with pytest.raises(ArgumentError, match="is an empty name"):
        dsl.ppi_statistic(lambda frame, weights: 1.0, posts(), **given)


@pytest.mark.parametrize(
    "draw",
    [
        lambda data: dsl.sampling.simple_random(data, 20, exclude=""),
        lambda data: dsl.sampling.stratified(data, 20, by=""),
        lambda data: dsl.sampling.stratified(data, 20, by=["cl", ""]),
        lambda data: dsl.sampling.stratified(data, 20, by="cl", allocation="neyman", spread=""),
        lambda data: dsl.sampling.bernoulli(data, prob=""),
        lambda data: dsl.sampling.proportional_to_size(data, 20, measure=""),
        lambda data: dsl.sampling.clustered(data, 5, by=""),
        lambda data: dsl.sampling.two_stage(data, 5, 2, by=""),
    ],
)
def test_sampling(draw: Any) -> None:
    with pytest.raises(ArgumentError, match="is an empty name"):
        draw(posts())


def test_coder_files(tmp_path: Path) -> None:
    design = dsl.sampling.simple_random(posts(), 20)
    with pytest.raises(ArgumentError, match="columns is an empty name"):
        design.to_coder(tmp_path / "a.csv", posts(), columns="")
    with pytest.raises(ArgumentError, match="label is an empty name"):
        design.to_coder(tmp_path / "a.csv", posts(), columns="x", label="")


@pytest.mark.parametrize("name", ["cluster", "prediction", "feature", "confidence"])
def test_adaptive(name: str) -> None:
    given: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "n_labels": 100, name: ""}
    with pytest.raises(ArgumentError, match=f"{name} is an empty name"):
        dsl.AdaptiveDesign("y ~ x", posts().drop(columns="y"), **given)


COLUMNS = ("--cluster", "--labeled", "--sample-prob", "--prediction", "--feature", "--index", "--id", "--predicted")


@pytest.mark.parametrize("option", [*COLUMNS, "--design", "--sep", "--json", "--out-csv", "--table"])
def test_command_line(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a shell's variable that was not set leaves behind."""
    posts().to_csv(tmp_path / "p.csv", index=False)
    given = ["--predicted", "y", "--prediction", "llm", "--sl-method", "lm", "--splits", "1"]
    assert main(["fit", str(tmp_path / "p.csv"), "y ~ x", *given, option, ""]) == 2
    said = capsys.readouterr().err
    if option in COLUMNS:
        assert "is an empty name" in said


@pytest.mark.parametrize("option", ["--by", "--exclude", "--prob", "--measure", "--label", "--columns"])
def test_sample_on_the_command_line(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    posts().assign(id=range(len(posts()))).to_csv(tmp_path / "p.csv", index=False)
    method = {"--by": "stratified", "--prob": "bernoulli", "--measure": "pps"}.get(option, "srs")
    size = [] if option == "--prob" else ["--n-labels", "20"]
    coder = ["--coder", str(tmp_path / "c.csv"), "--id", "id", *([] if option == "--columns" else ["--columns", "x"])]
    command = ["sample", str(tmp_path / "p.csv"), "--method", method, *size, *coder, option, ""]
    assert main(command) == 2
    assert "is an empty name" in capsys.readouterr().err
    assert not (tmp_path / "c.csv").exists()


def test_a_column_without_a_name_is_no_argument() -> None:
    """R's row names come as a column with an empty heading: it is left alone."""
    data = posts().assign(**{"": range(len(posts()))})
    fitted = dsl.dsl("y ~ x", data, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    expected = dsl.dsl("y ~ x", posts(), predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    pd.testing.assert_series_equal(fitted.params, expected.params, check_exact=True)
