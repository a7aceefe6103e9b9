"""Files of results: all numbers come back, and reading one runs nothing."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import dsl
from dsl import exceptions as e
from dsl.analyses.stored import CLASSES, FACTS, OBJECTS
from dsl.estimators.names import ESTIMATORS
from tests.fixed import Fixed
from tests.posts import posts, run


def read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def facts_of(path: Path) -> Any:
    return json.loads(read(path)[FACTS].tobytes())


def rewritten(path: Path, facts: Any, **more: Any) -> Path:
    """The file with other facts, as a forger writes it."""
    parts = {**read(path), FACTS: np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), **more}
    target = path.with_name("forged.dsl")
    with target.open("wb") as file:
        np.savez(file, **parts)
    return target


def same(again: dsl.DSLResults, fit: dsl.DSLResults, data: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy(), check_exact=True)
    pd.testing.assert_frame_equal(again.cov_params(), fit.cov_params(), check_exact=True)
    pd.testing.assert_frame_equal(again.glance(), fit.glance())
    pd.testing.assert_frame_equal(again.split_params, fit.split_params, check_exact=True)
    assert str(again.summary()) == str(fit.summary())
    assert repr(again) == repr(fit)
    assert again.params_r.to_dict() == fit.params_r.to_dict()
    if fit.core.splits.predictions is not None:
        pd.testing.assert_frame_equal(again.pseudo_outcomes, fit.pseudo_outcomes, check_exact=True)
        pd.testing.assert_frame_equal(again.fit_quality, fit.fit_quality)
        pd.testing.assert_frame_equal(again.rmse, fit.rmse)
    which = "linear" if fit.call.model == "felm" else "mean"
    full = data.fillna({"y": 0.0})
    np.testing.assert_array_equal(again.predict(full, which=which), fit.predict(full, which=which))
    # without a row of any other kind in it
    assert again.core.sample.fingerprint == fit.core.sample.fingerprint
    assert again.core.sample.labels.equals(fit.core.sample.labels)


def stored(fit: dsl.DSLResults, tmp_path: Path) -> dsl.DSLResults:
    """Through a file that holds no code."""
    fit.save(tmp_path / "fit.dsl")
    assert OBJECTS not in read(tmp_path / "fit.dsl")
    return dsl.DSLResults.load(tmp_path / "fit.dsl")


# of an outcome of 0 and 1; tests/test_models_by_features.py saves the others
OF_ZERO_AND_ONE = ("lm", "logit", "felm", "poisson", "probit", "multinom", "ologit", "oprobit")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("model", OF_ZERO_AND_ONE)
def test_every_estimator_and_model(tmp_path: Path, estimator: str, model: str) -> None:
    data = posts()
    formula = "y ~ x | g" if model == "felm" else "y ~ x + g"
    if model == "felm" and estimator in ("ppi", "ppi++"):
        pytest.skip("prediction-powered inference absorbs no fixed effects")
    fit = run(data, formula, model=model, estimator=estimator, sample_split=2)
    same(stored(fit, tmp_path), fit, data)


@pytest.mark.parametrize(
    "side",
    [
        "factor(z) * x + offset(words / 100)",
        "poly(x, 2) + bs(words, df = 4)",
        "scale(x) + log(words) + np.log1p(words)",
        "cut(x, c(-Inf, 0, Inf)) + I(words > by)",
        "C(g, contr.sum) + relevel(factor(g), ref = 'b'):x",
        "ordered(z) + ns(words, 3)",
        "cr(words, df=4) - 1",
        "x:g - 1",
        "`odd name` + ifelse(g %in% c('a', 'b'), 1, 0)",
        "cut(x, breaks)",
    ],
)
def test_every_kind_of_formula(tmp_path: Path, side: str) -> None:
    by, breaks = 30.0, [-9.0, -0.5, 0.5, 9.0]
    data = posts().assign(**{"odd name": np.arange(200) % 7})
    fit = dsl.dsl(f"y ~ {side}", data, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1)
    again = stored(fit, tmp_path)
    same(again, fit, data)
    assert again.diagnostics(data).checks.equals(fit.diagnostics(data).checks)
    del by, breaks


@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "UTC+02:00"])
def test_dates_come_along_without_code(tmp_path: Path, zone: str | None) -> None:
    day = pd.Timestamp("2020-01-01", tz=zone) + pd.to_timedelta(posts()["words"], unit="h")
    data = posts().assign(day=day, id=2**60 + np.arange(200) % 5)
    fit = run(data, "y ~ day + factor(id)")
    same(stored(fit, tmp_path), fit, data)


def test_categories_that_are_predicted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 600)
    names = np.array(["art", "sport", "war"])
    data = pd.DataFrame(
        {
            "topic": pd.Series(names[truth]).where(rng.random(600) < 0.6),
            "llm": names[np.where(rng.random(600) < 0.1, rng.integers(0, 3, 600), truth)],
            "x": rng.normal(size=600),
        }
    )
    fit = dsl.dsl("topic ~ x", data, predicted_var="topic", prediction="llm", model="logit", sample_split=1)
    again = stored(fit, tmp_path)
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy(), check_exact=True)
    pd.testing.assert_frame_equal(again.predict(data), fit.predict(data))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([f"row {i}" for i in range(200)]),
        pd.date_range("2020-01-01", periods=200, tz="Europe/Berlin"),
        pd.MultiIndex.from_product([["a", "b"], range(100)], names=["unit", "wave"]),
    ],
    ids=["text", "dates", "pairs"],
)
def test_every_kind_of_row_label(tmp_path: Path, index: pd.Index) -> None:
    data = posts().set_index(index)
    fit = run(data)
    again = stored(fit, tmp_path)
    pd.testing.assert_frame_equal(again.pseudo_outcomes, fit.pseudo_outcomes, check_freq=False)
    assert again.core.sample.labels.equals(index)


def test_designs_come_along(tmp_path: Path) -> None:
    data = posts()
    truth = data["y"].fillna(data["llm"])
    design = dsl.sampling.stratified(data, by="g", n_labels=90, seed=1)
    data = data.assign(y=truth.where(design.drawn))
    fit = run(data, design=design, target="finite")
    again = stored(fit, tmp_path)
    assert again.call.design is not None
    assert again.call.design.fingerprint == design.fingerprint
    pd.testing.assert_frame_equal(again.compare(data).table, fit.compare(data).table)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # copies of the same rows
def test_a_small_file(tmp_path: Path) -> None:
    data = pd.concat([posts()] * 20, ignore_index=True)
    fit = run(data, sample_split=5)
    fit.save(tmp_path / "whole.dsl")
    summary = str(fit.summary())
    fit.save(tmp_path / "small.dsl", remove_data=True)
    assert (tmp_path / "small.dsl").stat().st_size < (tmp_path / "whole.dsl").stat().st_size / 3
    assert str(dsl.DSLResults.load(tmp_path / "small.dsl").summary()) == summary


def test_learners_that_are_objects(tmp_path: Path) -> None:
    """The numbers are there for everybody, the learner for who trusts the file."""
    data, path = posts(), tmp_path / "fit.dsl"
    fit = run(data, sl_method=["lm", Ridge(alpha=2.0)])
    fit.save(path)
    again = dsl.DSLResults.load(path)
    same(again, fit, data)
    assert again.compare(data, estimators="naive").bias is not None
    with pytest.raises(e.ArgumentError, match=r"learner is code \(\['lm', Ridge.*trusted=True"):
        again.compare(data, estimators="dsl+")
    trusted = dsl.DSLResults.load(path, trusted=True)
    assert trusted.call.learner[1].alpha == 2.0  # type: ignore[index, union-attr]
    found, direct = (each.compare(data, estimators="dsl+") for each in (trusted, fit))
    pd.testing.assert_frame_equal(found.table, direct.table)


def test_learners_that_nothing_can_store(tmp_path: Path) -> None:
    fit = run(posts(), sl_method=Fixed(lambda x: np.full(len(x), 0.4)))
    again = stored(fit, tmp_path)
    with pytest.raises(e.ArgumentError, match="could not hold its learner"):
        _ = again.call.learner


def test_functions_of_the_caller(tmp_path: Path) -> None:
    def doubled(x: pd.Series) -> pd.Series:
        return 2 * x

    data, path = posts(), tmp_path / "fit.dsl"
    fit = dsl.dsl(
        "y ~ doubled(x) + np.sinc(words)", data, predicted_var="y", prediction="llm", sl_method="lm", sample_split=1
    )
    again = stored(fit, tmp_path)
    assert str(again.summary()) == str(fit.summary())
    for use in (lambda: again.predict(data), lambda: again.compare(data)):
        with pytest.raises(e.FormulaError, match=r"its formula uses '(doubled|np)'.*trusted=True"):
            use()
    same(dsl.DSLResults.load(path, trusted=True), fit, data)

    def elsewhere() -> dsl.DSLResults:
        doubled = np.square
        assert doubled is not None
        return dsl.DSLResults.load(path, trusted=True)

    # those of the place where the file is read
    assert not elsewhere().predict(data).equals(fit.predict(data))


def test_formulas_of_formulaic(tmp_path: Path) -> None:
    data, path = posts(), tmp_path / "fit.dsl"
    fit = run(data, formulaic.Formula("y ~ x + C(g)"))
    fit.save(path)
    with pytest.raises(e.FileError, match=r"pickle: reading them can run any code.*trusted=True"):
        dsl.DSLResults.load(path)
    again = dsl.DSLResults.load(path, trusted=True)
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
    np.testing.assert_array_equal(again.predict(data), fit.predict(data))


class Touch:
    """A pickle that leaves a file behind when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("OWNED", "w")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pickles_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        Path("evil.pkl").write_bytes(pickle.dumps(Touch(), protocol=protocol))
        with pytest.raises(e.FileError):
            dsl.DSLResults.load("evil.pkl")
    run(posts()).save("fit.dsl")
    facts = facts_of(Path("fit.dsl"))
    objects = np.frombuffer(pickle.dumps([Touch()]), dtype=np.uint8)
    forged = rewritten(tmp_path / "fit.dsl", facts, **{OBJECTS: objects})
    dsl.DSLResults.load(forged)  # nothing in it needs the objects
    facts["fit"]["fields"]["outcome"] = {"object": 0}
    with pytest.raises(e.FileError, match="trusted=True"):
        dsl.DSLResults.load(rewritten(tmp_path / "fit.dsl", facts, **{OBJECTS: objects}))
    with Path("fit.dsl").open("wb") as file:
        np.savez(file, facts=np.array([Touch()], dtype=object))  # an array of objects
    with pytest.raises(e.FileError, match="not a file of results"):
        dsl.DSLResults.load("fit.dsl")
    assert not Path("OWNED").exists()


def test_pickles_of_earlier_versions(tmp_path: Path) -> None:
    fit, path = run(posts()), tmp_path / "old.pkl"
    path.write_bytes(pickle.dumps(fit))
    with pytest.raises(e.FileError, match=r"old\.pkl' holds Python objects"):
        dsl.DSLResults.load(path)
    same(dsl.DSLResults.load(path, trusted=True), fit, posts())
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(e.FileError, match="holds no results"):
        dsl.DSLResults.load(path, trusted=True)


def test_a_forged_formula_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = posts()
    run(data, "y ~ sqrt(words)").save("fit.dsl")
    text = read(Path("fit.dsl"))[FACTS].tobytes().decode()
    for function in ("np.f2py.os.system", "open", "np.log.__class__", "__import__"):
        # the formula as it was fitted, and the call's, from which the fit is made again
        for old, new in (('"sqrt"', json.dumps(function)), ("sqrt(words)", f"{function}('OWNED')")):
            forged = rewritten(tmp_path / "fit.dsl", json.loads(text.replace(old, new)))
            again = dsl.DSLResults.load(forged)
            use = again.predict if old == '"sqrt"' else again.compare
            with pytest.raises(e.FormulaError):
                use(data)
    assert {path.name for path in tmp_path.iterdir()} == {"fit.dsl", "forged.dsl"}


def test_files_that_are_something_else(tmp_path: Path) -> None:
    fit, path = run(posts()), tmp_path / "fit.dsl"
    fit.save(path)
    whole = path.read_bytes()
    other = tmp_path / "other"
    design = tmp_path / "d.npz"
    dsl.sampling.simple_random(posts(), 50, seed=1).save(design)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("facts.npy", b"nothing")
    for content in (b"", b"a,b\n1,2\n", b"PK", whole[:-30], whole[:900], whole[:300] + b"x" * 30 + whole[330:],
                    design.read_bytes(), archive.getvalue()):  # fmt: skip
        other.write_bytes(content)
        with pytest.raises(e.FileError, match="other' is not a file of results"):
            dsl.DSLResults.load(other)
    with pytest.raises(e.FileError, match="nowhere' cannot be read"):
        dsl.DSLResults.load(tmp_path / "nowhere")
    with pytest.raises(e.FileError, match="cannot be read"):
        dsl.DSLResults.load(tmp_path)
    for nothing in (None, ""):
        with pytest.raises(e.ArgumentError, match="must name a file"):
            dsl.DSLResults.load(nothing)
        with pytest.raises(e.ArgumentError, match="must name a file"):
            fit.save(nothing)


def test_files_of_other_versions(tmp_path: Path) -> None:
    run(posts()).save(tmp_path / "fit.dsl")
    facts = facts_of(tmp_path / "fit.dsl")
    with pytest.raises(e.FileError, match="has format 99"):
        dsl.DSLResults.load(rewritten(tmp_path / "fit.dsl", {**facts, "version": 99}))
    for change in ({"class": "unknown"}, {"class": "fit", "fields": {}}, {"tuple": []}, {}, 3, {"odd": 1}):
        with pytest.raises(e.FileError, match="cannot be read by"):
            dsl.DSLResults.load(rewritten(tmp_path / "fit.dsl", {**facts, "fit": change}))
    facts["fit"]["fields"]["call"]["fields"]["model"] = "tobit"
    with pytest.raises(e.FileError, match="no fit that this version knows"):
        dsl.DSLResults.load(rewritten(tmp_path / "fit.dsl", facts))
    deep = json.loads("[" * 900 + "]" * 900)
    for _ in range(900):
        deep = {"tuple": [deep]}
    facts["fit"] = deep
    with pytest.raises((e.FileError, RecursionError)):
        dsl.DSLResults.load(rewritten(tmp_path / "fit.dsl", facts))


def test_what_a_file_can_make_is_data() -> None:
    """Every class in the list is a frozen record, without a method that runs when it is made."""
    for kind in CLASSES.values():
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert not hasattr(kind, "__post_init__")
