"""Questions are asked once, with patience, and their answers are stored before they are used."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dsl.annotation import asking
from dsl.annotation.asking import Asking, Patience, Stopped, Unanswered
from dsl.annotation.cache import Cache
from dsl.annotation.cost import Meter, Price, Spent
from dsl.annotation.exchange import Answer, Request
from dsl.exceptions import ServerError

QUICK = Patience(max_retries=3, first=0.001)


def request(text: str, repeat: int = 0) -> Request:
    return Request(model="m", prompt=text, parameters={"max_tokens": 10}, repeat=repeat)


class Model:
    """Answers a prompt with itself in capitals, after as many failures as the prompt has exclamation marks."""

    def __init__(self, error: Callable[[], ServerError] = lambda: ServerError("busy", status=500, retry=True)) -> None:
        self.asked: Counter[str] = Counter()
        self.error = error
        self.wait = 0.0

    def __call__(self, request: Request) -> Answer:
        assert request.prompt is not None
        self.asked[request.prompt] += 1
        time.sleep(self.wait)
        if self.asked[request.prompt] <= request.prompt.count("!"):
            raise self.error()
        return Answer(
            text=request.prompt.upper(),
            model="m-1",
            prompt_tokens=8,
            completion_tokens=2,
            at=f"2026-01-0{len(self.asked)}",
        )


def test_asked_once_and_stored(tmp_path: Path) -> None:
    model = Model()
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK)
        assert [ask(request("a")).text, ask(request("a")).text, ask(request("b!")).text] == ["A", "A", "B!"]
        assert ask(request("a", repeat=1)).text == "A"
        assert (ask.tally.asked, ask.tally.stored, ask.tally.retries) == (3, 1, 1)
        assert (ask.tally.prompt_tokens, ask.tally.completion_tokens) == (32, 8)
        assert (ask.tally.first, ask.tally.last) == ("2026-01-01", "2026-01-02")
        assert ask.tally.versions == {"m-1": 4}
    again = Model()
    with Cache(tmp_path / "c.jsonl") as cache:
        assert Asking(again, cache, patience=QUICK)(request("b!")).text == "B!"
    assert model.asked == {"a": 2, "b!": 2}
    assert not again.asked


def test_retries_end(tmp_path: Path) -> None:
    model = Model()
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK)
        assert ask(request("a!!!")).text == "A!!!"
        with pytest.raises(Unanswered, match="busy"):
            ask(request("b!!!!"))
        assert len(cache) == 1
    assert model.asked == {"a!!!": 4, "b!!!!": 4}


def test_what_retrying_cannot_mend(tmp_path: Path) -> None:
    model = Model(lambda: ServerError("no such model", status=404))
    with Cache(tmp_path / "c.jsonl", write=True) as cache, pytest.raises(ServerError, match="no such model"):
        Asking(model, cache, patience=QUICK)(request("a!"))
    assert model.asked == {"a!": 1}


def test_a_question_in_flight_is_waited_for(tmp_path: Path) -> None:
    model = Model()
    model.wait = 0.05
    found: list[str] = []
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK)

        def one() -> None:
            try:
                found.append(ask(request("same")).text)
                found.append(ask(request("bad!!!!")).text)
            except Unanswered as error:
                found.append(str(error))

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == ["SAME"] * 6 + ["busy"] * 6
    assert model.asked["same"] == 1
    # threads that came while it was in flight share its failure
    assert model.asked["bad!!!!"] == 4


def test_the_server_says_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads wait until then, whoever was told."""
    model = Model(lambda: ServerError("too many", status=429, retry_after=0.2, retry=True))
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK)
        times: dict[str, float] = {}

        def one(text: str) -> None:
            ask(request(text))
            times[text] = time.monotonic()

        start = time.monotonic()
        first = threading.Thread(target=one, args=("a!",))
        first.start()
        while not ask.trouble:
            time.sleep(0.001)
        one("b")
        first.join()
        assert min(times.values()) - start >= 0.2
        monkeypatch.setattr(asking, "LONGEST_WAIT", 0.1)
        with pytest.raises(ServerError, match="asks to wait 0 s"):
            ask(request("c!"))


def test_stopping_wakes_those_who_wait(tmp_path: Path) -> None:
    model = Model()
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=Patience(first=1000.0, longest=1000.0))
        caught: list[BaseException] = []

        def one() -> None:
            try:
                ask(request("a!"))
            except Stopped as error:
                caught.append(error)

        thread = threading.Thread(target=one)
        thread.start()
        while not ask.trouble:
            time.sleep(0.001)
        ask.stop.set()
        thread.join(10.0)
        assert len(caught) == 1
        with pytest.raises(Stopped):
            ask(request("b"))
    assert model.asked == {"a!": 1}


def test_pauses_double() -> None:
    patience = Patience(first=1.0, longest=10.0)
    pauses = [patience.pause("key", attempt, None) for attempt in range(8)]
    assert all(0.5 * most <= pause <= most for pause, most in zip(pauses, [1, 2, 4, 8, 10, 10, 10, 10], strict=True))
    assert pauses == [patience.pause("key", attempt, None) for attempt in range(8)]
    assert patience.pause("other", 0, None) != pauses[0]


def test_the_budget_holds(tmp_path: Path) -> None:
    """By hand: 8 tokens at $1 and 2 at $10 for each million are $28e-6 an answer.

    The first is reckoned at 1 + 10 tokens, $101e-6.
    """
    model = Model()
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK, meter=Meter(price=Price(1.0, 10.0), budget=150e-6))
        for number in range(5):
            ask(request(f"t{number:03d}"))
        assert ask.meter.spent == pytest.approx(5 * 28e-6)
        with pytest.raises(Spent):
            ask(request("t005"))
        assert ask(request("t004")).text == "T004"
        small = Asking(model, cache, patience=QUICK, meter=Meter(price=Price(1.0, 10.0), budget=100e-6))
        with pytest.raises(Spent):
            small(request("t005"))
        # what failed costs nothing
        large = Asking(model, cache, patience=QUICK, meter=Meter(price=Price(1.0, 10.0), budget=102e-6))
        with pytest.raises(Unanswered):
            large(request("!!!!"))
        assert large.meter.spent == 0.0
        large(request("t006"))
    assert "t005" not in model.asked


def test_a_server_that_is_down(tmp_path: Path) -> None:
    """Before its first answer as many failures as threads are enough, later twenty in a row."""
    model = Model()
    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(model, cache, patience=QUICK, threads=3)
        for number in range(2):
            with pytest.raises(Unanswered):
                ask(request(f"{number}!!!!"))
        with pytest.raises(ServerError, match="3 questions in a row had no answer"):
            ask(request("2!!!!"))
        again = Asking(model, cache, patience=QUICK, threads=3)
        again(request("good"))
        for number in range(10, 29):
            with pytest.raises(Unanswered):
                again(request(f"{number}!!!!"))
        with pytest.raises(ServerError, match="20 questions in a row"):
            again(request("29!!!!"))
        # what is in the cache says nothing about the server
        again(request("good"))
        with pytest.raises(ServerError, match="21 questions in a row"):
            again(request("30!!!!"))
        again(request("good too"))
        with pytest.raises(Unanswered):
            again(request("31!!!!"))


def test_a_limit_of_the_rate_leaves_nothing_out(tmp_path: Path) -> None:
    """A question that was not taken ten times, while others were answered, comes to its turn; a fault ends after three."""
    asked: Counter[str] = Counter()
    ask: Asking

    def limited(request: Request) -> Answer:
        text = request.prompt or ""
        asked[text] += 1
        if text == "a" and asked[text] <= 10:
            ask(Request(model="m", prompt=f"another {asked[text]}"))
            raise ServerError("too many", status=429, retry_after=0.0, retry=True)
        return Answer(text="yes")

    with Cache(tmp_path / "c.jsonl", write=True) as cache:
        ask = Asking(limited, cache, patience=Patience(max_retries=2, first=0.001), threads=1)
        assert ask(request("a")).text == "yes"
    assert asked["a"] == 11


def test_a_limit_that_lets_nothing_through(tmp_path: Path) -> None:
    model = Model(lambda: ServerError("too many", status=429, retry_after=0.0, retry=True))
    with Cache(tmp_path / "c.jsonl", write=True) as cache, pytest.raises(Unanswered):
        Asking(model, cache, patience=QUICK)(request("a!!!!!!!!!"))
    assert model.asked == {"a!!!!!!!!!": 4}
