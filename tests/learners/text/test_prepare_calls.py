"""Whatever fits again reads the texts again: comparison, diagnostics, report, files, plans, adaptive designs, shares."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli import main
from dsl.exceptions import ArgumentError, TextError
from dsl.learners.text import Embedding
from dsl.reports.page import write_report
from tests.learners.text.embeddings import embed
from tests.learners.text.words import worded
from tests.posts import run

DATA = worded()
LEARNER = Embedding(embed)
CALL = {"text": "body", "sl_method": LEARNER}


def test_comparison_fits_every_estimator_on_the_texts() -> None:
    compared = dsl.compare("y ~ x", DATA, predicted_var="y", prediction="llm", sample_split=1, **CALL)
    one, other = (run(DATA, estimator=name, **CALL) for name in ("dsl", "dsl+"))
    for name, fit in (("dsl", one), ("dsl+", other)):
        np.testing.assert_array_equal(compared.fits[name].params, fit.params)


def test_fits_know_their_texts(tmp_path: Path) -> None:
    """A fit that was read from a file is diagnosed on the same texts, and refuses others."""
    fit = run(DATA, **CALL)
    fit.save(tmp_path / "fit.dsl")
    again = dsl.DSLResults.load(tmp_path / "fit.dsl", trusted=True)
    assert again.core.call.text == "body"
    pd.testing.assert_frame_equal(dsl.diagnose(again, DATA).checks, dsl.diagnose(fit, DATA).checks)
    with pytest.raises(ArgumentError, match="column 'body' holds other values"):
        dsl.diagnose(again, DATA.assign(body=DATA["body"][::-1].to_numpy()))


def test_report_and_summary_name_the_texts(tmp_path: Path) -> None:
    fit = run(DATA, **CALL)
    assert "Texts:" in str(fit.summary())
    write_report(fit, tmp_path / "page.html", DATA)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "predicted from llm and the texts (body) by ridge regression on embeddings (embed)" in page
    assert "text=&#x27;body&#x27;" in page


def test_categories_and_joint_values_read_texts() -> None:
    """Diagnostics of two categories learn their joint probabilities again."""
    kind = np.where(DATA["y"].isna(), None, np.where(DATA["y"] == 1, "up", "down"))
    data = DATA.assign(kind=kind, other=np.where(DATA["y"].isna(), None, np.where(DATA["x"] > 0, "a", "b")))
    fit = run(data, "I(kind == 'up') ~ other", predicted_var=["kind", "other"], prediction=["llm", "x"], **CALL)
    assert set(dsl.diagnose(fit, data).checks["status"]) <= {"ok", "note", "alarm"}


def test_plans_and_further_labels() -> None:
    fit = run(DATA, **CALL)
    assert (dsl.power_dsl(fit, labeled_size=150).predicted_se.iloc[-1] < fit.bse).all()
    plan = dsl.plan_dsl(
        "y ~ x", DATA.drop(columns="y"), predicted_var="y", prediction="llm", labeled_size=80, accuracy=0.8,
        replications=2, sample_split=1, **CALL,
    )  # fmt: skip
    assert np.isfinite(plan.predicted_se.to_numpy()).all()
    assert dsl.sampling.targeted(fit, DATA, 40, coefficient="x", seed=1).n_drawn == 120
    with pytest.raises(ArgumentError, match="sl_method 'tfidf' reads texts, and none are given"):
        dsl.sampling.targeted(fit, DATA, 40, coefficient="x", error_model="tfidf", seed=1)


def test_adaptive_designs_learn_from_texts(tmp_path: Path) -> None:
    """With a log that names them, from which the design goes on."""
    data, gold = DATA.drop(columns=["y", "truth"]), DATA["truth"]
    call = {
        "predicted_var": "y",
        "prediction": "llm",
        "text": "body",
        "sl_method": "tfidf",
        "n_labels": 80,
        "batches": 2,
    }
    design = dsl.AdaptiveDesign("y ~ x", data, log=tmp_path / "log", **call)
    batch = design.next_batch()
    design.add_labels(gold[batch.index])
    again = dsl.AdaptiveDesign.resume(tmp_path / "log", data)
    batch = again.next_batch()
    assert "body" in data
    again.add_labels(gold[batch.index])
    fit = again.estimate(sample_split=1)
    assert fit.core.call.text == "body"
    assert fit.fit_quality["learner"].tolist() == ["tfidf"]
    with pytest.raises(TextError, match="'body' \\(text\\) is missing in 1 row"):
        dsl.AdaptiveDesign("y ~ x", data.assign(body=[None, *data["body"][1:]]), **call)


def test_shares_read_texts() -> None:
    with pytest.warns(dsl.exceptions.FewLabelsWarning):
        shares = dsl.proportions(DATA, gold="y", prediction="llm", by="g", sample_split=1, **CALL)
    assert shares.fit.core.call.text == "body"
    assert shares.fit.fit_quality["r2"].iloc[0] > 0.8


def test_evaluations_embed_the_texts_once() -> None:
    asked: list[int] = []
    learner = Embedding(lambda texts: asked.append(1) or embed(texts))
    dsl.evaluate(
        "y ~ x", DATA.assign(y=DATA["truth"]), predicted_var="y", prediction="llm", n_labels=[60], replications=3,
        sample_split=1, text="body", sl_method=learner,
    )  # fmt: skip
    assert len(asked) == 1


def test_the_command_line_names_the_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.to_csv("posts.csv", index=False)
    call = ["--predicted", "y", "--prediction", "llm", "--splits", "1", "--quiet"]
    assert (
        main(["fit", "posts.csv", "y ~ x", *call, "--text", "body", "--sl-method", "tfidf", "--json", "fit.json"]) == 0
    )
    record = json.loads(Path("fit.json").read_text(encoding="utf-8"))
    assert record["call"]["text"] == "body"
    expected = run(pd.read_csv("posts.csv"), text="body", sl_method="tfidf")
    np.testing.assert_array_equal([row["estimate"] for row in record["tidy"]], expected.params)
    assert main(["fit", "posts.csv", "y ~ x", *call, "--text", "body", "--sl-method", "ridge"]) == 2
