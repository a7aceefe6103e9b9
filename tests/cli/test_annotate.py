"""``dsl annotate``: what the function gives, the dry run, and ends that lose nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.annotation import Codebook, Prompt, plan
from dsl.cli import main
from tests.annotation.server import SECRET, Fake, probability
from tests.command_line import names, read_json

POSTS = 30


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fake]:
    """A server, and a folder with texts and a codebook."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(plan, "FIRST_PAUSE", 0.002)
    pd.DataFrame({"body": [f"#{i} so" for i in range(POSTS)], "n": range(POSTS)}).to_csv("posts.csv", index=False)
    Codebook("Is it positive?", {"positive": "joy", "negative": "anything else"}).to_yaml("book.yaml")
    with Fake() as server:
        yield server


def command(fake: Fake, *more: str) -> list[str]:
    return [
        "annotate",
        "posts.csv",
        "--text",
        "body",
        "--codebook",
        "book.yaml",
        "--model",
        "m",
        "--base-url",
        fake.url,
        *more,
    ]


def test_the_same_as_the_function(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--out", "labelled.csv", "--json", "l.json", "--price", "1", "2", "--seed", "3"]
    given = command(fake, *more)
    given[given.index(fake.url)] = fake.url.replace("//", f"//me:{SECRET}@")
    assert main(given) == 0
    shown = capsys.readouterr()
    assert "llm: 30 of 30 rows labelled (" in shown.out
    assert "100%" in shown.err
    expected = dsl.annotate(
        pd.read_csv("posts.csv"),
        text="body",
        codebook="book.yaml",
        model="m",
        base_url=fake.url,
        seed=3,
        progress=False,
    )
    assert set(fake.asked.values()) == {1}
    found = pd.read_csv("labelled.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    record = read_json("l.json")
    assert record["annotation"]["trails"][0]["cost"] > 0
    assert record["data"]["rows"] == POSTS
    assert names(Path()) == {"posts.csv", "book.yaml", "labels.jsonl", "labels.trail.json", "labelled.csv", "l.json"}
    assert not any(SECRET in path.read_text(encoding="utf-8") for path in Path().iterdir())


def test_options(fake: Fake) -> None:
    more = ["--stages", "2", "--confidence", "verbal", "--name", "v", "--out", "-", "--quiet", "--cache", "v.jsonl"]
    assert main(command(fake, *more, "--extra-body", '{"top_k": 1}', "--max-tokens", "9", "--temperature", "0.5")) == 0
    sent = fake.requests[-1]
    assert (sent["top_k"], sent["max_tokens"], sent["temperature"]) == (1, 9, 0.5)
    assert fake.asked == dict.fromkeys(range(POSTS), 2)
    several = command(fake, "--model", "a=x", "--out", "two.csv")
    several[several.index("m")] = "b=y"
    assert main(several) == 0
    assert {"llm_a", "llm_b"} <= set(pd.read_csv("two.csv"))
    letters = ["--options", "letters", "--kind", "completion", "--cache", "c.jsonl"]
    fake.labels = ("A", "B")
    assert main(command(fake, *letters, "--out", "c.csv")) == 0
    np.testing.assert_allclose(pd.read_csv("c.csv")["llm_positive"], [probability(i) for i in range(POSTS)], atol=1e-6)
    function = dsl.annotation.estimate_cost(
        pd.read_csv("posts.csv"), text="body", codebook="book.yaml", model="m", cache="c.jsonl",
        prompt=Prompt.one_stage(kind="completion", options="letters"),
    )  # fmt: skip
    assert function.cached == POSTS


def test_dry_run(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(fake, "--dry-run", "--price", "0.15", "0.6", "--json", "e.json")) == 0
    shown = capsys.readouterr().out
    assert "30 rows with 30 different texts\n30 questions, 0 of them answered in the cache" in shown
    assert read_json("e.json")["estimate"]["requests"] == POSTS
    assert not fake.asked
    assert names(Path()) == {"posts.csv", "book.yaml", "e.json"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "--out labelled.csv"),
        (["--dry-run", "--out", "x.csv"], "leave --out out"),
        (["--out", "posts.csv"], "is also an input"),
        (["--out", "x.csv", "--extra-body", "[1]"], "an object in JSON"),
        (["--out", "x.csv", "--model", "a=b"], "name every model"),
        (["--out", "x.csv", "--budget", "1"], "--budget is in dollars, and needs --price"),
        (["--out", "x.csv", "--kind", "talk"], "unknown kind 'talk'"),
        (["--out", "x.csv", "--name", "body", "--confidence", "none"], "unknown confidence 'none'"),
    ],
)
def test_what_cannot_be_used(fake: Fake, more: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(fake, *more)) == 2
    assert words in capsys.readouterr().err
    assert not fake.asked


def test_a_spent_budget(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(fake, "--out", "x.csv", "--price", "1000", "1000", "--budget", "0.3")) == 2
    assert "the budget of $0.3 is spent" in capsys.readouterr().err
    assert not Path("x.csv").exists()
    assert 0 < sum(fake.asked.values()) < POSTS


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
@pytest.mark.long
def test_signals_lose_nothing(fake: Fake, number: int, code: int) -> None:
    """What is in flight is waited for and stored."""
    fake.every = 0.2
    words = [sys.executable, "-m", "dsl", *command(fake, "--out", "x.csv", "--concurrency", "4")]
    process = subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    )
    until = time.monotonic() + 60.0
    while fake.answered < 6 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60.0)
    assert process.returncode == code, said
    lines = Path("labels.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == sum(fake.asked.values()) < POSTS
    if number == signal.SIGINT:
        assert f"of {POSTS} different texts are done for 'llm', and all answers are in 'labels.jsonl'" in said
    fake.every = 0.0
    assert main(command(fake, "--out", "x.csv", "--quiet")) == 0
    assert set(fake.asked.values()) == {1}
