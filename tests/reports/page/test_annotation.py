"""The checklist and the methods paragraph say what the trail and the fit hold."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dsl.data.trail import Trail, record_of
from dsl.exceptions import ArgumentError, TrailError
from dsl.reports.page import report_html, write_report
from dsl.reports.page.annotation import NOT_RECORDED, sentences
from tests.pages import Page
from tests.posts import posts, run

POSTS = posts()
TRAIL = Trail(
    name="llm",
    model="gpt-4o-mini",
    server="https://api.openai.com/v1",
    versions={"gpt-4o-mini-2024-07-18": 180},
    first="2026-01-02T03:04:05+00:00",
    last="2026-01-03T04:04:05+00:00",
    codebook={
        "question": "Is the <b>post</b> positive?",
        "labels": {"1": "joy", "0": "anything else"},
        "examples": [["great", 1], ["awful", 0]],
    },
    prompts=([{"role": "system", "content": "You code posts."}, {"role": "user", "content": "Post: {text}"}],),
    parameters={"temperature": 0, "max_tokens": 1},
    confidence="logprobs",
    texts=200,
    distinct=180,
    missing={"refusal": 3, "no text": 1},
    mass=0.987,
    censored=0.02,
    answers=180,
    prompt_tokens=9000,
    completion_tokens=180,
    cost=0.0123,
    package="9.9",
)


@pytest.fixture(scope="module")
def fit() -> Any:
    return run(POSTS, "y ~ x")


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsl.reports.page.figures._svg", lambda draw, size, salt: "PHN2Zy8+")


def checklist(page: Page, number: int = 1) -> dict[str, str]:
    return {row[0][0]: row[1][0] for row in page.tables[f"checklist-{number}"][1:]}


def test_sentences() -> None:
    assert sentences(TRAIL) == (
        "The labels llm were made by the language model gpt-4o-mini (reported by the server as gpt-4o-mini-2024-07-18), which "
        "was asked about 180 different texts (200 rows) between 2026-01-02 and 2026-01-03. The question was “Is the <b>post</b> "
        "positive?” with the labels 1 and 0, each with a definition, and 2 examples, which count as training data (temperature "
        "0, max_tokens 1). Probabilities of the labels are the model's own, from its log probabilities, scaled to sum to one "
        "(median probability of all labels together before that: 0.987; bounded for labels outside the server's list of tokens "
        "in 2.0% of rows). 4 rows (2.0%) have no label (refusal: 3, no text: 1)."
    )
    bare = Trail(name="f", model="mine", versions={"": 2}, texts=2, distinct=2, answers=2)
    assert sentences(bare) == (
        "The labels f were made by the model mine, which was asked about 2 different texts. Every row has a label."
    )
    two = dataclasses.replace(TRAIL, versions={"a": 10, "b": 1}, last=TRAIL.first)
    assert "reported by the server as a in 10 answers and b in 1 answers" in sentences(two)
    assert " on 2026-01-02." in sentences(two)


def test_the_page(fit: Any) -> None:
    page = Page(report_html(fit, POSTS, trail=TRAIL, compare=False, date=""))
    found = checklist(page)
    assert found["Model"] == "gpt-4o-mini"
    assert found["Server"] == "api.openai.com/v1"
    assert found["Version, as the server reported it"] == "gpt-4o-mini-2024-07-18"
    assert found["Dates of the answers (UTC)"] == f"{TRAIL.first} to {TRAIL.last}"
    assert found["Parameters"] == "temperature 0, max_tokens 1"
    assert found["Examples in the prompt"].startswith("2; they count as training data")
    assert found["Failures and refusals"] == "4 rows (2.0%): refusal: 3; no text: 1"
    assert found["Answers and tokens"] == "180 answers; 9,000 sent, 180 received; $0.01"
    assert found["Columns used in this analysis"] == "llm"
    assert found["How gold labels were sampled"].startswith("y was labelled by experts on 80 of 200 rows (40.0%)")
    assert found["Why this model, and who may see the texts"] == NOT_RECORDED
    accuracy = ((POSTS["llm"] == POSTS["y"]) & POSTS["y"].notna()).sum() / 80
    assert f"y on 80 gold labels: accuracy {accuracy:.3f}" in found["Validation against gold labels"]
    # the text of a question is no markup
    assert "Is the <b>post</b> positive?" in page.words
    assert "Post: {text}" in page.words
    assert [row[1][0] for row in page.tables["codebook-1"][1:]] == ["joy", "anything else"]
    assert sentences(TRAIL) in page.words
    assert "Törnberg, P. (2024)" in page.words


def test_without_diagnostics_it_says_so(fit: Any) -> None:
    page = Page(report_html(fit, trail=[TRAIL, dataclasses.replace(TRAIL, name="other", mass=None)]))
    assert "not on this page" in checklist(page)["Validation against gold labels"]
    assert checklist(page, 2)["Columns used in this analysis"] == "none is named other or other_..."
    assert "Probability on all labels, median" not in checklist(page, 2)


def test_files_and_records(fit: Any, tmp_path: Path) -> None:
    TRAIL.save(tmp_path / "labels.trail.json")
    for given in (tmp_path / "labels.trail.json", record_of([TRAIL])):
        write_report(fit, tmp_path / "r.html", trail=given, date="")
        assert sentences(TRAIL) in Page((tmp_path / "r.html").read_text(encoding="utf-8")).words
    plain = report_html(fit, date="")
    assert "Labels from a language model" not in plain
    assert "Törnberg" not in plain
    with pytest.raises(TrailError, match="there is no file"):
        report_html(fit, trail="nothing.json")
    with pytest.raises(ArgumentError, match="trail must be what"):
        report_html(fit, trail=3)
