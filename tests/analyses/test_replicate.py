"""Replication: the same numbers to 1e-8, and what differs where they are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.analyses import archive
from dsl.cli.read import Reading, read_table
from dsl.data.zipped import read_zip, write_zip
from dsl.learners import library
from tests import round_trip
from tests.posts import posts, run

pytestmark = pytest.mark.numeric


@pytest.fixture(autouse=True)
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "report_html", lambda *_, **__: "")


def designed() -> dict[str, Any]:
    data = posts()
    truth = data["y"].fillna(data["llm"])
    design = dsl.sampling.stratified(data, by="g", n_labels=90, seed=1)
    return {"data": data.assign(y=truth.where(design.drawn)), "design": design, "target": "finite"}


CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "auto": {"sl_method": "auto", "sample_split": 2, "model": "logit"},
    "dsl+": {"estimator": "dsl+", "cluster": "cl", "formula": "y ~ x + g"},
    "cdi": {"estimator": "cdi", "sample_prob": "pi"},
    "naive": {"estimator": "naive"},
    "felm": {"model": "felm", "formula": "y ~ x | g", "vcov": "HC1"},
    "design": designed(),
    "folds": {"folds": np.arange(400).reshape(2, 200) % 4},
    "trained": {"trained_on": posts()["y"].notna() & (np.arange(200) < 40)},
    "terms": {"formula": "y ~ poly(x, 2) + cut(words, breaks = c(0, 20, 60)) + np.log1p(words)"},
}


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
@pytest.mark.parametrize("case", CALLS)
def test_the_same_numbers(tmp_path: Path, case: str) -> None:
    given = dict(CALLS[case])
    data, formula = given.pop("data", posts()), given.pop("formula", "y ~ x")
    path = run(data, formula, **given).archive(tmp_path / "r.zip")
    data.to_csv(tmp_path / "data.csv", index=False)
    found = dsl.replicate(path, read_table(str(tmp_path / "data.csv"), Reading()).data)
    assert found.same, found.summary()
    assert found.table["relative"].max() <= 1e-8
    assert found.same_folds in (True, None)
    assert {"estimate", "std_error", "df", "count"} <= set(found.table["quantity"])
    assert "Versions: the same" in found.summary()
    assert f"all {len(found.table)} agree" in found.summary()
    assert repr(found) == f"<Replication of {formula}: the same>"


def test_without_the_data(tmp_path: Path) -> None:
    fit = run(posts().set_index("words", drop=False, append=True))
    with pytest.raises(e.ArgumentError, match=r"the data are not in '.*r.zip': pass those of the fit"):
        dsl.replicate(fit.archive(tmp_path / "r.zip"))
    assert dsl.replicate(fit.archive(tmp_path / "r.zip", include_data=True)).same


def test_other_data(tmp_path: Path) -> None:
    """By hand: a mean moves by what the data move by, and its standard error not at all."""
    data = posts()
    fit = run(data, "y ~ 1", estimator="gold_only")
    moved = data.assign(y=data["y"] + 0.25)
    found = dsl.replicate(fit.archive(tmp_path / "r.zip"), moved)
    row = found.table.set_index("quantity").loc["estimate"]
    assert row["difference"] == pytest.approx(0.25, abs=1e-12)
    assert row["relative"] == pytest.approx(0.25 / fit.bse.iloc[0], rel=1e-9)
    assert not found.same
    assert found.columns.index[~found.columns["same"]].tolist() == ["y"]
    assert found.differences["quantity"].tolist() == ["estimate"]
    assert "column 'y' holds other values than in the archive" in found.summary()
    assert "Numbers: 1 of" in found.summary()
    assert repr(found) == "<Replication of y ~ 1: 1 numbers differ>"
    # a tolerance of more than the difference: the numbers agree, the data do not
    found = dsl.replicate(tmp_path / "r.zip", moved, tolerance=1e6)
    assert found.differences.empty
    assert not found.same
    assert "other data, the same numbers" in repr(found)


def test_other_rows(tmp_path: Path) -> None:
    path = run(posts()).archive(tmp_path / "r.zip")
    found = dsl.replicate(path, posts().iloc[:190])
    counts = found.table[found.table["quantity"] == "count"].set_index("term")
    assert counts.loc["rows of the data", ["archived", "now"]].tolist() == [200.0, 190.0]
    assert not found.same
    assert found.same_folds is False
    assert "Folds: drawn otherwise" in found.summary()
    with pytest.raises(e.MissingColumnError, match="used column 'x', which the data do not have"):
        dsl.replicate(path, posts().drop(columns="x"))


def test_versions_that_differ_are_shown(tmp_path: Path) -> None:
    path = run(posts()).archive(tmp_path / "r.zip")
    entries = read_zip(path, "an archive")
    facts = json.loads(entries[archive.FACTS])
    facts["environment"] |= {"numpy": "1.0.0", "gone": "2.0"}
    write_zip(path, {**entries, archive.FACTS: json.dumps(facts).encode()})
    found = dsl.replicate(path, posts())
    assert found.same
    assert found.versions.loc["numpy"].tolist() == ["1.0.0", np.__version__]
    assert found.versions.loc["gone"].tolist() == ["2.0", ""]
    lines = found.summary().splitlines()
    assert any(line.split() == ["numpy", "1.0.0", np.__version__] for line in lines)
    assert not any(line.startswith("scipy") for line in lines)


def test_a_learner_that_learns_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with another version of a library: the same data and folds, other predictions."""
    path = run(posts(), sl_method="ridge").archive(tmp_path / "r.zip")
    fit_ridge = library.fit_ridge
    monkeypatch.setattr(library, "fit_ridge", lambda x, y, penalties, *more: fit_ridge(x, y, np.array([1e4]), *more))
    found = dsl.replicate(path, posts())
    assert found.same_data
    assert found.same_folds is True
    assert not found.same
    assert {"estimate", "rmse of predictions"} <= set(found.differences["quantity"])
    assert "Data: 200 rows, and all 3 columns hold the values of the archive" in found.summary()


@pytest.mark.parametrize("tolerance", [-1.0, True, "small", np.nan, np.inf])
def test_tolerances(tmp_path: Path, tolerance: Any) -> None:
    with pytest.raises(e.ArgumentError, match="tolerance must be a number of at least zero"):
        dsl.replicate("r.zip", posts(), tolerance=tolerance)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
@pytest.mark.parametrize("case", round_trip.CALLS)
def test_round_trip_of_what_versions_differ_in(tmp_path: Path, case: str) -> None:
    """What `python -m tests.round_trip` does between two environments, in one: the archive says other versions."""
    round_trip.write(tmp_path, case)
    entries = read_zip(tmp_path / f"{case}.zip", "an archive")
    facts = json.loads(entries[archive.FACTS])
    facts["environment"] |= {"pandas": "2.1.0"}
    write_zip(tmp_path / f"{case}.zip", {**entries, archive.FACTS: json.dumps(facts).encode()})
    code, out = round_trip.read(tmp_path, case)
    assert code == 0, out
    assert "Versions that differ" in out
    assert "agree; the largest relative difference is" in out
    read_as = {"logit": "('day' read as dates, as in the archive)"}
    assert read_as.get(case, "") in out


def test_columns_are_read_as_they_were(tmp_path: Path) -> None:
    """An ordered category, and codes that look like numbers, from a CSV file and from a table."""
    data = posts().assign(code=lambda d: "0" + d["z"].astype(str))
    data["stage"] = pd.Categorical(data["g"], categories=["b", "a", "c"], ordered=True)
    for column, word in (("code", "text"), ("stage", "categories")):
        path = run(data, f"y ~ {column}").archive(tmp_path / "r.zip")
        data.to_csv(tmp_path / "data.csv", index=False)
        found = dsl.replicate(path, read_table(str(tmp_path / "data.csv"), Reading()).data)
        assert found.same
        assert found.read_as == {column: word}
        assert f"('{column}' read as {word}, as in the archive)" in found.summary()
        assert dsl.replicate(path, data).read_as == {}
    # who has a cluster's or an identifier's category does not tell its members
    data["author"] = pd.Categorical("author " + data["cl"].astype(str))
    path = run(data, cluster="author").archive(tmp_path / "r.zip")
    assert archive.read_archive(path).facts["types"] == {"author": {"kind": "categories", "text": True}}
