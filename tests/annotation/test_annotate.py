"""The whole way: texts to columns through a server with every fault, the cache, the trail."""

import base64
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dsl
from dsl import exceptions as e
from dsl.annotation import Codebook, Prompt, Trail, plan, runner
from tests.annotation.server import LABELS, SECRET, VERSION, Fake, probability

BOOK = Codebook("Is the post positive?", {"positive": "joy", "negative": "anything else"})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No long pauses, a key that may appear nowhere, and files in a folder of the test's."""
    monkeypatch.setattr(plan, "FIRST_PAUSE", 0.002)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        yield server


def label(data: Any, fake: Fake, **more: Any) -> Any:
    given = {"text": "body", "codebook": BOOK, "model": "fake", "base_url": fake.url, "progress": False}
    return dsl.annotate(data, **{**given, **more})


def posts(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"body": [f"#{i} so it is" for i in range(n)], "x": np.arange(n)}, index=[f"r{i}" for i in range(n)]
    )


def test_labels_and_probabilities(fake: Fake) -> None:
    data = posts(40)
    found = label(data, fake)
    chance = np.array([probability(i) for i in range(40)])
    pd.testing.assert_frame_equal(found[["body", "x"]], data)
    assert list(found)[2:] == [
        "llm",
        "llm_positive",
        "llm_negative",
        "llm_confidence",
        "llm_mass",
        "llm_censored",
        "llm_reason",
    ]
    np.testing.assert_allclose(
        found["llm_positive"], chance, atol=1e-6
    )  # log probabilities are stored with six decimals
    np.testing.assert_allclose(found["llm_negative"], 1.0 - chance, atol=1e-6)
    assert found["llm"].tolist() == [LABELS[0] if p > 0.5 else LABELS[1] for p in chance]
    np.testing.assert_allclose(found["llm_confidence"], np.maximum(chance, 1.0 - chance), atol=1e-6)
    np.testing.assert_allclose(found["llm_mass"], 0.96, atol=1e-5)
    assert not found["llm_censored"].any()
    assert (found["llm_reason"] == "").all()
    assert fake.most_flying <= 8
    # a second call asks for nothing, and gives the same
    pd.testing.assert_frame_equal(label(data, fake), found)
    assert set(fake.asked.values()) == {1}


def test_equal_texts_are_asked_once_and_missing_ones_never(fake: Fake) -> None:
    data = pd.DataFrame({"body": ["#1 a", "#2 b", "#1 a", None, " ", "#1 a"]})
    found = label(data, fake)
    assert fake.asked == {1: 1, 2: 1}
    assert found["llm_reason"].tolist() == ["", "", "", "no text", "no text", ""]
    assert found["llm_positive"].round(6).nunique() == 2
    assert found["llm"].isna().tolist() == [False, False, False, True, True, False]


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dict"])
def test_other_tables(fake: Fake, kind: str) -> None:
    columns = {"body": ["#1 a", "#2 b", None]}
    data: Any = {"polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}[kind](columns)
    found = label(data, fake)
    expected = label(pd.DataFrame(columns), fake)
    plain = (
        found
        if isinstance(found, pd.DataFrame)
        else pd.DataFrame(found.to_pydict() if kind == "pyarrow" else found.to_dict(as_series=False))
    )
    pd.testing.assert_frame_equal(plain, expected, check_dtype=False)


FAULTS = {
    "[429 x2]": "",
    "[500 x1]": "",
    "[cut x1]": "",
    "[broken x1]": "",
    "[hang x1]": "",
    "[slow]": "",
    "[429]": "no answer (status 429)",
    "[500]": "no answer (status 500)",
    "[refusal]": "refused",
    "[filter]": "refused (content filter)",
    "[empty]": None,
    "[wrong]": None,
}
"""What becomes of a text with each fault: its reason, where it does not depend on where probabilities come from."""


def test_every_fault(fake: Fake) -> None:
    data = pd.DataFrame({"body": [f"#{i} a post {fault}" for i, fault in enumerate([*FAULTS, ""])]})
    with pytest.warns(e.AnnotationWarning, match="rows have no label in 'llm'"):
        found = label(data, fake, confidence="verbal", timeout=0.3, max_retries=2)
    reasons = dict(zip([*FAULTS, ""], found["llm_reason"], strict=True))
    assert reasons.pop("[empty]") == "empty answer"
    assert reasons.pop("[wrong]") == "not a label"
    assert reasons.pop("") == ""
    assert reasons == {fault: reason for fault, reason in FAULTS.items() if reason is not None}
    # once, and twice more where that may help
    asked = [fake.asked[i] for i in range(len(FAULTS) + 1)]
    assert asked[:6] + asked[7:] == [3, 2, 2, 2, 2, 1, 3, 1, 1, 1, 1, 1]
    # too many questions, while others are answered, does not count
    assert asked[6] >= 3
    trail = Trail.load("labels.trail.json")
    assert trail.missing == {reason: 1 for reason in found["llm_reason"] if reason}
    # those that stayed without an answer are asked again by the next call, and nothing else is
    with pytest.warns(e.AnnotationWarning):
        again = label(data, fake, confidence="verbal", timeout=0.3, max_retries=0)
    pd.testing.assert_frame_equal(again, found)
    assert [fake.asked[i] - n for i, n in enumerate(asked)] == [0] * 6 + [1, 1] + [0] * 5


@pytest.mark.parametrize("texts", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_many_texts_with_faults(fake: Fake, texts: int) -> None:
    """Sixteen at a time, every fifth with a fault of one kind or another."""
    kinds = ["[429 x1]", "[500 x2]", "[cut x1]", "[broken x1]", "[slow]", "[refusal]", "[500]", "[429 x2]"]
    fake.slow, fake.every = 0.01, 0.003
    data = pd.DataFrame({"body": [f"#{i} {kinds[i // 5 % len(kinds)] if i % 5 == 0 else ''}" for i in range(texts)]})
    with pytest.warns(e.AnnotationWarning, match=f"{texts // 20} of {texts:,} rows have no label"):
        found = label(data, fake, concurrency=16, max_retries=3)
    kind = data["body"].str.extract(r"(\[.*\])")[0].fillna("")
    expected = kind.map({"[refusal]": "refused", "[500]": "no answer (status 500)"}).fillna("")
    assert found["llm_reason"].tolist() == expected.tolist()
    fine = (expected == "").to_numpy()
    chance = np.array([probability(i) for i in range(texts)])
    np.testing.assert_allclose(found["llm_positive"][fine], chance[fine], atol=1e-6)
    assert found["llm_positive"][~fine].isna().all()
    times = {
        "": 1,
        "[429 x1]": 2,
        "[500 x2]": 3,
        "[cut x1]": 2,
        "[broken x1]": 2,
        "[slow]": 1,
        "[refusal]": 1,
        "[500]": 4,
        "[429 x2]": 3,
    }
    assert [fake.asked[i] for i in range(texts)] == kind.map(times).tolist()
    assert 8 < fake.most_flying <= 16


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (404, "no such model"), (400, "parameter")])
def test_what_retrying_cannot_mend(fake: Fake, status: int, words: str) -> None:
    data = pd.DataFrame({"body": [f"#{i} fine" for i in range(30)] + [f"#{i} [{status}]" for i in range(30, 60)]})
    with pytest.raises(e.ServerError, match=words) as caught:
        label(data, fake, concurrency=4)
    assert caught.value.status == status
    done = re.search(
        r"(\d+) of 60 different texts are done for 'llm', and all answers are in 'labels.jsonl'", str(caught.value)
    )
    assert done is not None
    # those in flight were stored: whoever is well is not asked again
    lines = len(Path("labels.jsonl").read_text(encoding="utf-8").splitlines())
    assert lines == sum(fake.asked[i] for i in range(30)) >= int(done[1])
    assert sum(fake.asked[i] for i in range(30, 60)) <= 4


def test_a_server_that_is_down_stops_the_run(fake: Fake) -> None:
    data = pd.DataFrame({"body": [f"#{i} fine" for i in range(10)] + [f"#{i} [500]" for i in range(10, 200)]})
    with pytest.raises(
        e.ServerError, match=r"20 questions in a row had no answer.*status 500.*The same call|20 questions"
    ):
        label(data, fake, concurrency=2, max_retries=1)
    assert sum(fake.asked[i] > 0 for i in range(10, 200)) <= 22
    assert sum(fake.asked[i] for i in range(10)) == 10
    with pytest.raises(e.ServerError, match="no connection"):
        label(posts(50), fake, base_url="http://127.0.0.1:9/v1", max_retries=1, cache="other.jsonl")


def test_the_trail(fake: Fake) -> None:
    book = Codebook("Is the post positive?", {"positive": "joy", "negative": ""}, [("lovely", "positive")])
    data = pd.DataFrame({"body": [*posts(10)["body"], "#3 so it is", None]})
    found = label(data, fake, codebook=book, base_url=fake.url.replace("//", "//me:pass@"), price=(1.0, 2.0), seed=5)
    trail = Trail.load("labels.trail.json")
    assert (trail.model, trail.server, trail.versions) == ("fake", fake.url, {VERSION: 10})
    assert (trail.texts, trail.distinct, trail.answers, trail.missing) == (12, 10, 10, {"no text": 1})
    assert trail.mass == pytest.approx(0.96, abs=1e-5)
    assert trail.censored == 0.0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", trail.first)
    assert trail.first <= trail.last
    assert trail.parameters["temperature"] == 0.0
    assert trail.parameters["seed"] == 5
    assert trail.codebook["examples"] == [["lovely", "positive"]]
    assert trail.completion_tokens == 10
    assert trail.cost == pytest.approx((trail.prompt_tokens + 2 * 10) / 1e6)
    assert "{text}" in json.dumps(trail.prompts)
    assert "so it is" not in Path("labels.trail.json").read_text(encoding="utf-8")
    assert found.attrs["annotation"] == json.loads(Path("labels.trail.json").read_text(encoding="utf-8"))
    # a second set of columns has its own, beside the first; the same name replaces
    both = label(found, fake, name="other", confidence="verbal")
    assert [each["name"] for each in both.attrs["annotation"]["trails"]] == ["llm", "other"]
    both.to_parquet("both.parquet")  # which writes attrs as JSON
    label(data, fake, cache="labels.jsonl")
    assert [Trail.load("labels.trail.json", name).name for name in ("llm", "other")] == ["llm", "other"]


def test_keys_are_nowhere(fake: Fake, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    label(posts(3), fake, progress=True)
    dsl.annotation.write_batch("batch.jsonl", posts(5), text="body", codebook=BOOK, model="fake", base_url=fake.url)
    messages = []
    for fault in ("401", "404", "500", "broken", "cut"):
        with pytest.raises(e.ServerError) as caught, warnings.catch_warnings(action="ignore"):
            label(pd.DataFrame({"body": [f"#{i} [{fault}]" for i in range(9)]}), fake, max_retries=0, name=f"n{fault}")
        messages += [
            str(caught.value),
            repr(caught.value),
            repr(caught.value.__cause__),
            repr(caught.value.__context__),
        ]
    assert fake.keys == {f"Bearer {SECRET}"}
    written = [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 3
    assert not any(SECRET in each for each in [*written, *messages, *capfd.readouterr()])


def test_texts_are_not_in_the_cache(fake: Fake) -> None:
    label(pd.DataFrame({"body": ["#1 my private words"]}), fake)
    for path in Path().iterdir():
        assert "private" not in path.read_text(encoding="utf-8")


def test_several_models_and_prompts(fake: Fake) -> None:
    data = posts(4)
    found = label(
        data,
        fake,
        model=["gpt-4o", "small"],
        prompt={"a": Prompt.one_stage(), "b": Prompt.one_stage(kind="completion")},
    )
    names = [f"llm_{model}_{prompt}" for model in ("gpt_4o", "small") for prompt in ("a", "b")]
    assert [name for name in found if name.endswith("_reason")] == [f"{name}_reason" for name in names]
    for name in names:
        np.testing.assert_allclose(found[f"{name}_positive"], found[f"{names[0]}_positive"], atol=1e-9)
    assert fake.asked == dict.fromkeys(range(4), 4)
    assert [each["name"] for each in found.attrs["annotation"]["trails"]] == names
    two = label(data, fake, model={"x": "gpt-4o", "y": "small"}, cache="two.jsonl")
    assert {"llm_x", "llm_y"} <= set(two)


@pytest.mark.parametrize(
    "prompt",
    [Prompt.one_stage(), Prompt.two_stage(), Prompt.one_stage(form="json"), Prompt.two_stage(kind="completion")],
)
def test_confidence_in_words(fake: Fake, prompt: Prompt) -> None:
    found = label(posts(12), fake, prompt=prompt, confidence="verbal")
    chance = np.array([probability(i) for i in range(12)])
    np.testing.assert_allclose(found["llm_verbal"], np.maximum(chance, 1.0 - chance), atol=0.0051)  # two decimals
    np.testing.assert_allclose(found["llm_positive"], chance, atol=0.0051)
    assert (found["llm_said"] != "").all()
    assert Trail.load("labels.trail.json").unreadable == 0


def test_repeated_answers(fake: Fake) -> None:
    found = label(posts(6), fake, confidence="repeat", repeats=4)
    assert set(fake.asked.values()) == {4}
    assert set((4 * found["llm_positive"]).round(9)) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert fake.requests[-1]["temperature"] == 1.0


@pytest.mark.parametrize("texts", [[], [None, ""]])
def test_nothing_to_ask(fake: Fake, texts: list[str | None]) -> None:
    found = label(pd.DataFrame({"body": pd.Series(texts, dtype=object)}), fake, progress=True)
    assert len(found) == len(texts)
    assert found["llm_reason"].tolist() == ["no text"] * len(texts)
    assert found["llm"].isna().all()
    assert not fake.asked


def test_progress(fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts done, dollars, and why it takes long."""
    monkeypatch.setattr(runner, "LOOK", 0.02)
    fake.retry_after = "0.2"
    data = pd.DataFrame({"body": ["#1 fine", "#2 [429 x1]"]})
    label(data, fake, progress=True, price=(1000.0, 1000.0), concurrency=1)
    said = capsys.readouterr().err
    assert "2/2" in said
    # older bars are cut off at the terminal's width
    assert re.search(r"\$0\.\d\d, 1 retries \(last: http", said)
    # while it waited, too
    assert re.search(r"1/2 \[.*1 retries", said)


def test_functions(fake: Fake) -> None:
    calls = []

    def classify(text: str) -> dict[str, float]:
        calls.append(text)
        return {"positive": 0.75, "negative": 0.25}

    data = pd.DataFrame({"body": ["a", "b", "a"]})
    found = label(data, fake, model=classify)
    assert found["llm_positive"].tolist() == [0.75] * 3
    assert sorted(calls) == ["a", "b"]
    trail = Trail.load("labels.trail.json")
    assert trail.server == ""
    assert trail.model.endswith("classify")
    with pytest.raises(e.ArgumentError, match="a lambda has no name"):
        label(data, fake, model=lambda text: "positive")
    named = dsl.annotation.CallableModel(lambda text: "negative", name="always")
    assert label(data, fake, model=named, confidence="repeat", cache="c.jsonl")["llm"].tolist() == ["negative"] * 3

    def broken(text: str) -> str:
        raise ZeroDivisionError(text)

    with pytest.raises(ZeroDivisionError):
        label(data, fake, model=broken, cache="d.jsonl")


def test_a_budget_stops_before_it_is_exceeded(fake: Fake) -> None:
    data = posts(200)
    price = (1000.0, 1000.0)
    estimated = dsl.annotation.estimate_cost(
        data, text="body", codebook=BOOK, model="fake", base_url=fake.url, price=price
    )
    assert (estimated.texts, estimated.requests, estimated.cached, estimated.measured) == (200, 200, 0, False)
    assert not fake.asked
    assert not list(Path().iterdir())
    with pytest.raises(
        e.BudgetError, match=r"the budget of \$1 is spent.*'labels.jsonl': the same call goes on from there"
    ):
        label(data, fake, price=price, budget=1.0)
    first = sum(fake.asked.values())
    lines = [
        json.loads(line)["answer"]["usage"] for line in Path("labels.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    spent = sum(map(sum, lines)) * 1000.0 / 1e6
    assert len(lines) == first
    assert 0.8 < spent <= 1.0
    left = dsl.annotation.estimate_cost(data, text="body", codebook=BOOK, model="fake", base_url=fake.url, price=price)
    assert (left.cached, left.measured) == (first, True)
    assert left.cost is not None
    # the same call goes on, and the estimate was right to a per cent
    found = label(data, fake, price=price, budget=left.cost + 0.05)
    assert set(fake.asked.values()) == {1}
    assert found["llm"].notna().all()
    assert Trail.load("labels.trail.json").cost == pytest.approx(spent + left.cost, rel=0.01)


def test_a_packed_cache_needs_neither_key_nor_server(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    expected = label(posts(5), fake)
    Path("packed.jsonl.gz").write_bytes(gzip.compress(Path("labels.jsonl").read_bytes()))
    monkeypatch.delenv("OPENAI_API_KEY")
    found = label(posts(5), fake, base_url=None, cache="packed.jsonl.gz")
    pd.testing.assert_frame_equal(found, expected)
    assert not Path("packed.trail.json").exists()
    with pytest.raises(e.ArgumentError, match="OPENAI_API_KEY"):
        label(posts(6), fake, base_url=None, cache="packed.jsonl.gz")
    with pytest.raises(e.CacheError, match="only read"):
        label(posts(6), fake, cache="packed.jsonl.gz")


def test_examples_among_the_texts(fake: Fake) -> None:
    book = Codebook("Is it?", ["positive", "negative"], [("#1 so it is", "positive")])
    with pytest.warns(
        e.AnnotationWarning, match=r"examples of the codebook are among the texts, in 1 row \(first: r1\)"
    ):
        label(posts(3), fake, codebook=book)


def test_little_mass_and_labels_off_the_list(fake: Fake) -> None:
    with pytest.warns(e.AnnotationWarning) as caught:
        found = label(posts(4), fake, codebook=Codebook("Is it?", ["the", "perhaps"]))
    said = " ".join(str(each.message) for each in caught)
    assert "a probability of 0.015 in the median" in said
    assert "in 100.0% of rows a label is outside the server's list" in said
    assert found["llm_censored"].all()


def test_it_corrects(fake: Fake) -> None:
    """The columns are what `dsl.dsl` takes, refusals included."""
    rng = np.random.default_rng(1)
    n = 300
    data = pd.DataFrame(
        {"body": [f"#{i} {'[refusal]' if i % 50 == 0 else ''}" for i in range(n)], "x": rng.normal(size=n)}
    )
    truth = (rng.random(n) < np.array([probability(i) for i in range(n)])).astype(float)
    data["y"] = np.where(rng.random(n) < 0.4, truth, np.nan)
    with pytest.warns(e.AnnotationWarning, match="refused: 6"):
        found = label(data, fake)
    fit = dsl.dsl("y ~ x", found, predicted_var="y", prediction="llm_positive", refusals="indicator", sample_split=1)
    assert np.isfinite(fit.bse).all()
    page = dsl.write_report(fit, "r.html", trail=found.attrs["annotation"], date="")
    assert "the language model fake (reported by the server as fake-1-2026)" in page.read_text(encoding="utf-8")


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no text": ({"text": None}, e.ArgumentError, "name what is to be labelled"),
    "column": ({"text": "boddy"}, e.MissingColumnError, "text names 'boddy'"),
    "numbers": ({"text": "x"}, e.ColumnTypeError, "holds other values than text in 3 rows"),
    "codebook": ({"codebook": {"yes": ""}}, e.ArgumentError, "codebook must be a dsl.annotation.Codebook"),
    "no file": ({"codebook": "none.yaml"}, e.FileError, "there is no file"),
    "model": ({"model": ""}, e.ArgumentError, "model must be the name"),
    "models": ({"model": []}, e.ArgumentError, "model must be the name"),
    "models alike": ({"model": ["a-b", "a.b"]}, e.ArgumentError, "two models would be named 'a_b'"),
    "prompt": ({"prompt": "Is it?"}, e.ArgumentError, "prompt must be a dsl.annotation.Prompt"),
    "name": ({"name": ""}, e.ArgumentError, "name is an empty name"),
    "taken": ({"name": "body", "text": "body"}, e.ArgumentError, "the data have a column 'body'"),
    "confidence": ({"confidence": "logprob"}, e.ArgumentError, "did you mean 'logprobs'"),
    "repeats": ({"repeats": 1, "confidence": "repeat"}, e.ArgumentError, "repeats"),
    "concurrency": ({"concurrency": 0}, e.ArgumentError, "concurrency must be a whole number"),
    "retries": ({"max_retries": -1}, e.ArgumentError, "max_retries"),
    "timeout": ({"timeout": 0}, e.ArgumentError, "timeout must be a number above 0"),
    "budget": ({"budget": 1.0}, e.ArgumentError, "needs `price`"),
    "price": ({"price": 1.0}, e.ArgumentError, "price must be two numbers"),
    "temperature": ({"temperature": -1.0}, e.ArgumentError, "temperature must be a number of at least 0"),
    "address": ({"base_url": "localhost"}, e.ArgumentError, "base_url must be the address"),
    "stages": ({"prompt": Prompt.two_stage()}, e.ArgumentError, "two stages"),
    "label": (
        {"codebook": Codebook("Is it?", ["mass", "b"])},
        e.ArgumentError,
        "two columns would be named 'llm_mass'",
    ),
    "extra": ({"extra_body": [1]}, e.ArgumentError, "extra_body must be a dict"),
    "key": ({"extra_body": {"API-Key": "x"}}, e.ArgumentError, "keys are taken from the environment alone"),
    "unknown": ({"texts": "body"}, e.CallError, "did you mean 'text'"),
    "image": ({"image": "body"}, e.DataError, "files that are not there"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(fake: Fake, case: str) -> None:
    more, kind, message = BAD[case]
    for call in (dsl.annotate, dsl.annotation.estimate_cost):
        given: dict[str, Any] = {"text": "body", "codebook": BOOK, "model": "fake", "base_url": fake.url, **more}
        with pytest.raises(kind, match=re.escape(message)):
            call(posts(3), **given)
    assert not fake.asked


def test_another_file_in_the_place_of_the_trail(fake: Fake) -> None:
    Path("labels.trail.json").write_text("{}", encoding="utf-8")
    with pytest.raises(e.TrailError, match="no trail of labels"):
        label(posts(2), fake)
    assert not fake.asked


def test_images_reach_a_function_as_a_server_would_get_them(tmp_path: Path) -> None:
    files = []
    for i in range(4):
        files.append(tmp_path / f"{i}.gif")
        files[-1].write_bytes(b"GIF89a" + bytes([i]))
    seen = {}

    def reader(messages: list[dict[str, Any]]) -> dict[str, float]:
        [shown] = [part for part in messages[-1]["content"] if part["type"] == "image_url"]
        content = base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/gif;base64,"))
        seen[content[-1]] = messages[0]["content"]
        return {"positive": content[-1] / 10, "negative": 1 - content[-1] / 10}

    data = pd.DataFrame({"file": [str(file) for file in files]})
    found = dsl.annotate(data, image="file", codebook=BOOK, model=reader, progress=False)
    assert found["llm_positive"].to_list() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert len(seen) == 4
    assert seen[0].startswith("Is the post positive?")
