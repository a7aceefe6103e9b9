"""Clients against servers that do what servers do: the request they get, and what each fault becomes."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any

import pytest

from dsl.annotation.client import CallableModel, ServerModel
from dsl.annotation.exchange import Request
from dsl.exceptions import ArgumentError, MissingDependencyError, ServerError

from .server import SECRET, Fake

CHAT = Request(model="m", messages=({"role": "user", "content": "#3 a secret text"},), parameters={"max_tokens": 2})
TEXT = Request(model="m", prompt="#3 a secret text", parameters={"extra_body": {"n_probs": 5}})


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], ServerModel]]:
    """A server that gives the same reply to everything, and a client of it."""
    reply: list[Reply] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, headers, content = reply[-1]
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    model = ServerModel(f"http://127.0.0.1:{server.server_port}/v1", timeout=10)

    def replying(given: Reply) -> ServerModel:
        reply.append(given)
        return model

    yield replying
    model.close()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with Fake() as server:
        yield server


def test_what_the_server_gets(fake: Fake) -> None:
    model = ServerModel(fake.url)
    assert model(CHAT).text in ("positive", "negative")
    assert fake.requests[-1] == {
        "model": "m",
        "messages": [{"role": "user", "content": "#3 a secret text"}],
        "max_tokens": 2,
    }
    answer = model(TEXT)
    assert fake.requests[-1] == {"model": "m", "prompt": "#3 a secret text", "n_probs": 5}
    assert (answer.model, answer.prompt_tokens) == ("fake-1-2026", 4)
    assert fake.keys == {f"Bearer {SECRET}"}
    model.close()


def test_servers_of_ones_own_need_no_key(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    fake.keys.clear()
    model = ServerModel(fake.url)
    model(CHAT)
    model.close()
    assert fake.keys == {"Bearer unused"}
    with pytest.raises(ArgumentError, match="set OPENAI_API_KEY in the environment, or give base_url="):
        ServerModel()
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    assert ServerModel().address == fake.url


def test_refusals_are_answers(fake: Fake) -> None:
    model = ServerModel(fake.url)
    for fault, finish in (("refusal", "refusal"), ("filter", "content_filter"), ("empty", "stop"), ("wrong", "stop")):
        answer = model(Request(model="m", messages=({"role": "user", "content": f"#4 [{fault}]"},)))
        assert answer.finish == finish
        assert answer.text == ("maybe" if fault == "wrong" else "")
    model.close()


def test_faults_of_the_wire(fake: Fake) -> None:
    """Broken JSON, half a reply, no reply in time: asking again may help. Each is asked once: retries are the caller's."""
    model = ServerModel(fake.url, timeout=0.3)
    for number, fault, words in (
        (5, "broken", "the reply of .* cannot be read|not in the form"),
        (6, "cut", "no connection to|cannot be read"),
        (7, "hang", "no answer from .* within 0.3 s"),
    ):
        with pytest.raises(ServerError, match=words) as caught:
            model(Request(model="m", prompt=f"#{number} [{fault}]"))
        assert caught.value.retry, fault
        assert caught.value.status is None
        assert fake.asked[number] == 1
    model.close()


def error(code: str | None = None, kind: str | None = None, **more: Any) -> bytes:
    message = f"Your key {SECRET} may not ask about 'a secret text'"
    return json.dumps({"error": {"message": message, "type": kind, "code": code, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "retry", "words"),
    [
        (400, error("unsupported_parameter", "invalid_request_error"), False, "unsupported_parameter.*logprobs"),
        (401, error("invalid_api_key"), False, r"status 401 \(invalid_api_key\): the key in the environment"),
        (403, error(), False, "may not use this model"),
        (404, error("model_not_found"), False, "no such model"),
        (408, error(), True, "status 408"),
        (409, error(), True, "status 409"),
        (413, error(), False, "too large"),
        (418, error(), False, "refuses the request"),
        (422, b'{"detail": [{"loc": ["a secret text"]}]}', False, "a parameter is not known"),
        (429, error("rate_limit_exceeded"), True, "too many requests"),
        (429, error("insufficient_quota"), False, "insufficient_quota"),
        (500, error(), True, "it failed"),
        (503, b"<html>a secret text</html>", True, "it failed"),
        (529, b"", True, "status 529"),
        (400, error("a secret text"), False, "status 400: "),
    ],
)
def test_status(serve: Callable[[Reply], ServerModel], status: int, content: bytes, retry: bool, words: str) -> None:
    with pytest.raises(ServerError, match=words) as caught:
        serve((status, {}, content))(CHAT)
    assert caught.value.status == status
    assert caught.value.retry is retry
    assert caught.value.retry_after is None
    shown = f"{caught.value} {caught.value.__cause__} {caught.value.args}"
    assert SECRET not in shown
    assert "secret text" not in shown


@pytest.mark.parametrize(
    ("content", "finish"),
    [
        (error("content_filter", None, innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filter"),
        (error("content_policy_violation"), "content_filter"),
        (error("context_length_exceeded", "invalid_request_error"), "too_long"),
        (b'{"error":{"code":400,"message":"...","type":"exceed_context_size_error","n_ctx":2048}}', "too_long"),
    ],
)
def test_texts_that_a_server_does_not_take(serve: Callable[[Reply], ServerModel], content: bytes, finish: str) -> None:
    """As OpenAI, Azure and llama.cpp say it: of this text, not of the run."""
    answer = serve((400, {}, content))(CHAT)
    assert (answer.text, answer.finish) == ("", finish)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
    ],
)
def test_how_long_to_wait(
    serve: Callable[[Reply], ServerModel], headers: dict[str, str], seconds: float | None
) -> None:
    with pytest.raises(ServerError) as caught:
        serve((429, headers, error()))(CHAT)
    assert caught.value.retry_after == seconds


def test_until_when_to_wait(serve: Callable[[Reply], ServerModel]) -> None:
    with pytest.raises(ServerError) as caught:
        serve((503, {"retry-after": formatdate(time() + 100, usegmt=True)}, b""))(CHAT)
    assert caught.value.retry_after == pytest.approx(100, abs=60)


def test_a_page_instead_of_json(serve: Callable[[Reply], ServerModel]) -> None:
    with pytest.raises(ServerError) as caught:
        serve((200, {"content-type": "text/html"}, b"<html>a secret text</html>"))(CHAT)
    assert caught.value.retry
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "60", True, None])
def test_timeouts(timeout: Any) -> None:
    with pytest.raises(ArgumentError, match="timeout must be a number of seconds above 0"):
        ServerModel("http://127.0.0.1:9/v1", timeout=timeout)


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://a.org", "http://", "http:// a.org"])
def test_addresses(address: str) -> None:
    with pytest.raises(ArgumentError, match="base_url must be an address"):
        ServerModel(address)


def test_credentials_in_an_address_are_not_shown() -> None:
    model = ServerModel(f"http://me:{SECRET}@127.0.0.1:9/v1?key={SECRET}", timeout=5)
    assert model.address == "http://127.0.0.1:9/v1"
    with pytest.raises(ServerError) as caught:
        model(CHAT)
    assert SECRET not in str(caught.value)
    model.close()


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dsl\[llm\]'"):
        ServerModel("http://127.0.0.1:9/v1")


def test_callables() -> None:
    got: list[object] = []

    def judge(sent: object) -> object:
        got.append(sent)
        return {"yes": 0.25, 1: 0.75}

    model = CallableModel(judge)
    assert model(TEXT).scores == (("yes", 0.25), ("1", 0.75))
    assert model(CHAT).model == model.name == f"{__name__}.test_callables.<locals>.judge"
    assert got == ["#3 a secret text", [{"role": "user", "content": "#3 a secret text"}]]
    assert CallableModel(lambda text: 1)(TEXT).text == "1"
    assert CallableModel(type("Judge", (), {"__call__": lambda self, text: "no"})()).name == f"{__name__}.Judge"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "returned NoneType; it must return a label"),
        (True, "returned bool"),
        (0.5, "returned float"),
        (["yes"], "returned list"),
        ({"yes": 1.5}, "returned the probability 1.5"),
        ({"yes": None}, "returned the probability None"),
        ({"yes": float("nan")}, "returned the probability nan"),
    ],
)
def test_what_callables_may_not_return(given: object, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        CallableModel(lambda text: given, name="judge")(TEXT)
    with pytest.raises(ArgumentError, match="a name or a function"):
        CallableModel(3)  # type: ignore[arg-type]
