"""Embeddings from a server: in order, asked for again where that helps, and no key or text in an error."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from dsl.exceptions import ArgumentError, MissingDependencyError, ServerError
from dsl.learners.text import endpoint
from dsl.learners.text.endpoint import server_embeddings
from tests.learners.text.embeddings import Fake, serving, vector

SECRET = "sk-secret-of-the-tests"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Fake]]:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving() as found:
        yield found


def test_vectors_in_the_order_of_the_texts(server: tuple[str, Fake]) -> None:
    """The fake answers in another order, as servers may. An empty text is sent as a blank."""
    address, fake = server
    texts = ["good day", "", "bad"]
    found = server_embeddings("m", address)(texts)
    np.testing.assert_allclose(found, [vector("good day"), vector(" "), vector("bad")], rtol=1e-6)
    assert fake.asked == [["good day", " ", "bad"]]
    assert fake.keys == {f"Bearer {SECRET}"}


def test_busy_servers_are_asked_again(server: tuple[str, Fake]) -> None:
    address, fake = server
    fake.faults += [429, 500]
    assert server_embeddings("m", address)(["good"]).shape == (1, 4)
    assert len(fake.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_errors_hold_neither_key_nor_text(server: tuple[str, Fake], status: int) -> None:
    address, fake = server
    fake.faults += [status]
    with pytest.raises(ServerError, match=f"answers with status {status} when asked for embeddings of 'm'") as caught:
        server_embeddings("m", address.replace("http://", "http://me:hidden@"))(["private words"])
    said = str(caught.value)
    assert not any(part in said for part in (SECRET, "private words", "hidden"))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("wrong", "words"), [("few", "1 embeddings where 2 texts"), ("text", "cannot be read"), ("shape", "cannot be read")]
)
def test_answers_that_are_none(server: tuple[str, Fake], wrong: str, words: str) -> None:
    address, fake = server
    fake.wrong = wrong
    with pytest.raises(ServerError, match=words):
        server_embeddings("m", address)(["a", "b"])


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    with pytest.raises(ServerError, match=r"no connection to http://127.0.0.1:9/v1"):
        server_embeddings("m", "http://127.0.0.1:9/v1")(["a"])


def test_keys_and_the_client(monkeypatch: pytest.MonkeyPatch, server: tuple[str, Fake]) -> None:
    address, fake = server
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ArgumentError, match="no key for OpenAI's server: set OPENAI_API_KEY"):
        server_embeddings("m", None)(["a"])
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    server_embeddings("m", None)(["a"])
    assert fake.keys == {"Bearer unused"}
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dsl\[llm\]'"):
        server_embeddings("m", address)(["a"])
