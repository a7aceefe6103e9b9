"""Replication archives: what is in them, what is not, and what is refused."""

import json
import re
import runpy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import dsl
from dsl import exceptions as e
from dsl.analyses import archive as module
from dsl.analyses.archive import CONTENTS, FACTS, RESULTS, read_archive
from dsl.data.trail import Trail
from dsl.data.zipped import read_zip, write_zip
from tests.posts import posts, run

TRAIL = Trail(
    name="llm", model="gpt", versions={"gpt-1": 200}, texts=200, distinct=200, answers=200, prompts=("Is {text} x?",)
)


@pytest.fixture(autouse=True)
def quick_report(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A page without its fits and pictures, but where a test is about it."""
    if "report" not in request.node.name:
        monkeypatch.setattr(module, "report_html", lambda *_, **given: f"<html>{sorted(given)}</html>")


def entries(path: Path) -> dict[str, bytes]:
    return read_zip(path, "an archive")


def changed(path: Path, **given: bytes | None) -> Path:
    """The archive with other entries (None: without it), and with the hashes that a forger would write."""
    found = {**entries(path), **{name.replace("__", "."): content for name, content in given.items()}}
    left = {name: content for name, content in found.items() if content is not None}
    facts = json.loads(left.pop(FACTS))
    facts["entries"] = {n: module.sha256(c).hexdigest() for n, c in left.items() if n != "README.txt"}
    write_zip(path, {**left, FACTS: json.dumps(facts).encode()})
    return path


def stratified() -> tuple[pd.DataFrame, Any]:
    """Posts under labels, labelled by a design."""
    data = posts()
    truth = data["y"].fillna(data["llm"])
    data = data.set_index(pd.Index([f"post {j}" for j in range(len(data))], name="post"))
    design = dsl.sampling.stratified(data, by="g", n_labels=90, seed=1)
    return data.assign(y=np.where(design.drawn, truth.to_numpy(), np.nan)), design


def test_everything_is_in_it_but_the_data(tmp_path: Path) -> None:
    data, design = stratified()
    (tmp_path / "study.log").write_text('{"a": 1}\n', encoding="utf-8")
    fit = run(data, "y ~ x + g", design=design)
    path = fit.archive(tmp_path / "r.zip", trail=TRAIL, log=tmp_path / "study.log")
    found = entries(path)
    lacking = {"folds.npy", "trained_on.npy", "data.csv", "data.npz"}
    assert set(found) == {*CONTENTS, "README.txt"} - lacking
    gold = pd.read_csv(tmp_path / "gold.csv") if (tmp_path / "gold.csv").write_bytes(found["gold.csv"]) else None
    assert gold is not None
    assert gold["post"].tolist() == design.drawn_rows.tolist()
    assert gold["y"].tolist() == data["y"].dropna().tolist()
    np.testing.assert_allclose(gold["sample_prob"], design.prob[design.drawn])
    assert json.loads(found["design.json"])["settings"]["seed"] == 1
    assert json.loads(found["trail.json"])["trails"][0]["prompts"] == ["Is {text} x?"]
    assert found["design_log.jsonl"] == b'{"a": 1}\n'
    assert f"dsl=={dsl.__version__}" in found["requirements.txt"].decode()
    assert json.loads(found["environment.json"])["numpy"] == np.__version__
    assert "dsl replicate replication.zip data.csv --id post" in found["README.txt"].decode()
    (tmp_path / "design.npz").write_bytes(found["design.npz"])
    assert dsl.sampling.LabelDesign.load(tmp_path / "design.npz").fingerprint == design.fingerprint
    (tmp_path / "results.npz").write_bytes(found[RESULTS])
    assert dsl.DSLResults.load(tmp_path / "results.npz").params.equals(fit.params)
    # no values but gold labels: neither the covariates nor the surrogates nor what was predicted
    assert read_archive(path).fit.predictions is None
    assert read_archive(path).data is None


def test_the_same_fit_is_the_same_archive(tmp_path: Path) -> None:
    fit = run(posts())
    first = entries(fit.archive(tmp_path / "a.zip"))
    assert entries(fit.archive(tmp_path / "a.zip")) == first


def test_the_trail_that_annotate_left(tmp_path: Path) -> None:
    data = posts()
    data.attrs["annotation"] = {"format": 1, "made_by": "dsl.annotate", "trails": [TRAIL.to_json()]}
    assert "trail.json" in entries(run(data).archive(tmp_path / "a.zip"))


@pytest.mark.long
def test_report(tmp_path: Path) -> None:
    page = entries(run(posts()).archive(tmp_path / "a.zip"))["report.html"].decode()
    assert "Comparison of estimators" in page
    assert "Written by dsl" in page


@pytest.mark.parametrize("case", ["plain", "labels"])
def test_the_script_runs(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes the numbers from a CSV file, where the archive was unpacked."""
    data, more = posts(), {}
    if case == "labels":
        data, design = stratified()
        folds = np.random.default_rng(1).integers(0, 3, (2, len(data)))
        more = {"design": design, "folds": folds, "target": "finite"}
    breaks = [-9.0, -0.5, 0.5, 9.0]
    # what a CSV file does not say: an order of levels, a date, zeros in front
    data["stage"] = pd.Categorical(data["g"], categories=["b", "a", "c"], ordered=True)
    data["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(data["words"] % 7, unit="D")
    data["code"] = np.where(data["words"] > 30, "01", "02")
    fit = dsl.dsl(
        "y ~ cut(x, breaks) + words + stage + day + code",
        data,
        predicted_var="y",
        prediction="llm",
        sl_method="lm",
        **more,
    )
    with zipfile.ZipFile(fit.archive(tmp_path / "r.zip")) as file:
        file.extractall(tmp_path / "unpacked")
    data.to_csv(tmp_path / "data.csv", index=case == "labels")
    monkeypatch.chdir(tmp_path / "unpacked")
    script = Path("replicate.py").read_text(encoding="utf-8")
    assert script.splitlines()[-1] == 'fit.report("report_again.html", data)'
    # the page takes seconds, and is tested by itself
    Path("short.py").write_text("\n".join(script.splitlines()[:-1]), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["short.py", "../data.csv"])
    runpy.run_path("short.py", run_name="__main__")
    found = re.search(r"largest difference from estimates.csv: (\S+)", capsys.readouterr().out)
    assert found is not None
    assert float(found[1]) < 1e-12
    assert breaks


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sl_method": Ridge()}, "the fit holds code, .*Ridge.*a learner that has a name"),
        ({"formula": "y ~ twice(x)"}, "the formula calls 'twice', which is code of yours"),
    ],
)
def test_code_is_refused(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    given = {"formula": "y ~ x", "sl_method": "lm", **arguments}
    fit = dsl.dsl(data=posts(), predicted_var="y", prediction="llm", sample_split=1, **given)
    with pytest.raises(e.ArgumentError, match=words):
        fit.archive(tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())
    assert twice(1) == 2


def test_what_cannot_be_archived(tmp_path: Path) -> None:
    fit = run(posts())
    with pytest.raises(e.ArgumentError, match=r"include_data=True puts its columns into"):
        fit.archive(tmp_path / "a.zip", True)
    with pytest.raises(e.ArgumentError, match=r"path must end in .zip"):
        fit.archive(tmp_path / "a.tar")
    with pytest.raises(e.ArgumentError, match="not the data of the fit"):
        fit.archive(tmp_path / "a.zip", posts().assign(x=1.0))
    with pytest.raises(e.FileError, match=r"the log 'nothing.log' cannot be read"):
        fit.archive(tmp_path / "a.zip", log="nothing.log")
    fit.save(tmp_path / "fit.dsl")
    with pytest.raises(e.ArgumentError, match="the data are not at hand"):
        dsl.DSLResults.load(tmp_path / "fit.dsl").archive(tmp_path / "a.zip")
    fit.remove_data()
    with pytest.raises(e.ArgumentError, match="write the archive before that"):
        fit.archive(tmp_path / "a.zip", posts())


def test_data_with_their_types(tmp_path: Path) -> None:
    """Categories that look like numbers, dates, gaps and row labels come back as they were."""
    data = posts().set_index(pd.Index([f"row {j}" for j in range(200)], name="id"))
    data = data.assign(
        stage=pd.Categorical(data["z"].astype(str), categories=["2", "0", "1"]),
        day=pd.Timestamp("2020-01-01") + pd.to_timedelta(data["words"], unit="D"),
        x=data["x"].where(data["words"] > 3),
    )
    with pytest.warns(e.DroppedRowsWarning):
        fit = run(data, "y ~ x + stage + day")
    path = fit.archive(tmp_path / "a.zip", include_data=True)
    found = read_archive(path).data
    pd.testing.assert_frame_equal(found, data[list(found.columns)])
    assert set(found.columns) == {"y", "x", "stage", "day", "llm"}
    assert entries(path)["data.csv"].decode().startswith("id,")
    with pytest.raises(e.ArgumentError, match="column 'x' holds values that are no numbers"):
        module._packed(pd.DataFrame({"w": [1.0], "x": [[1, 2]]}))


def test_archives_that_were_changed(tmp_path: Path) -> None:
    path = run(posts()).archive(tmp_path / "a.zip")
    whole = entries(path)
    write_zip(path, {**whole, "estimates.csv": b"term,estimate\nx,0\n"})
    with pytest.raises(e.FileError, match=r"'estimates.csv' in .*a.zip' was changed after the archive was made"):
        read_archive(path)
    write_zip(path, {**whole, "more.py": b"print(1)"})
    with pytest.raises(e.FileError, match=r"holds other files than it says, 'more.py' among them"):
        read_archive(path)
    with pytest.raises(e.FileError, match=r"'more.py' among them"):
        read_archive(changed(path, more__py=b"print(1)"))
    write_zip(path, {"a": b"b"})
    with pytest.raises(e.FileError, match="is no replication archive"):
        read_archive(path)
    write_zip(path, whole)
    with pytest.raises(e.FileError, match=r"has no 'results.npz'"):
        read_archive(changed(path, results__npz=None))
    for broken in (b"no arrays", b""):
        write_zip(path, whole)
        with pytest.raises(e.FileError, match=r"'results.npz' in .* is not a file of results, or is damaged"):
            read_archive(changed(path, results__npz=broken))
    newer = json.loads(whole[FACTS]) | {"version": 2}
    write_zip(path, {**whole, FACTS: json.dumps(newer).encode()})
    with pytest.raises(e.FileError, match="has format 2, written by dsl"):
        read_archive(path)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    """A forged archive whose results hold Python objects."""
    path = run(posts()).archive(tmp_path / "a.zip")
    run(posts(), sl_method=Ridge()).save(tmp_path / "fit.dsl")
    with np.load(tmp_path / "fit.dsl") as stored:
        assert "objects" in stored.files
    found = read_archive(changed(path, results__npz=(tmp_path / "fit.dsl").read_bytes()))
    # it is set aside, and who needs it says so
    with pytest.raises(e.ArgumentError, match="its learner is code"):
        _ = found.fit.call.learner
    with pytest.raises(e.ArgumentError, match="its learner is code"):
        dsl.replicate(path, posts())
