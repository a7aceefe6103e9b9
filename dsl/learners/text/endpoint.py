"""Embeddings from a server that speaks OpenAI's protocol: OpenAI, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from dsl._typing import AnyArray
from dsl.exceptions import ArgumentError, MissingDependencyError, ServerError

if TYPE_CHECKING:
    import openai

KEY, ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""Variables of the environment."""
UNUSED = "unused"
"""Sent in the place of a key to servers that ask for none."""
RETRIES = 6
"""Times that the client asks again, with patience and as the server says, before it gives up."""
TIMEOUT = 60.0
"""Seconds to wait for an answer."""


def server_embeddings(model: str, base_url: str | None) -> Callable[[list[str]], AnyArray]:
    """A function from texts, as many as go into one request, to their embeddings by a server.

    The first call looks for the key and the client, so that nothing is needed where all embeddings are in a file.

    Parameters
    ----------
    model : str
        As the server names it.
    base_url : str or None
        The server's address. None: that in the environment (``OPENAI_BASE_URL``), or OpenAI's.

    Raises
    ------
    MissingDependencyError
        The openai client is not installed.
    ArgumentError
        There is no key for OpenAI's server.
    ServerError
        No connection, an error of the server, or an answer that is none. The message holds neither the key nor the texts.
    """
    clients: list[openai.OpenAI] = []

    def make(texts: list[str]) -> AnyArray:
        if not clients:
            clients.append(_client(base_url))
        return _asked(clients[0], texts, model)

    return make


def _client(base_url: str | None) -> openai.OpenAI:
    try:
        import openai
    except ImportError as error:
        raise MissingDependencyError("asking a server needs the openai client: pip install 'dsl[llm]'") from error
    address = base_url or os.environ.get(ADDRESS) or None
    key = os.environ.get(KEY) or (UNUSED if address else None)
    if key is None:
        raise ArgumentError(
            f"there is no key for OpenAI's server: set {KEY} in the environment, or give base_url= of another server"
        )
    return openai.OpenAI(api_key=key, base_url=address, max_retries=RETRIES, timeout=TIMEOUT)


def _asked(client: openai.OpenAI, texts: Sequence[str], model: str) -> AnyArray:
    """Embeddings of texts by one request, (m, d). An empty text is sent as a blank, as servers refuse empty ones."""
    import openai

    where = _without_credentials(str(client.base_url))
    try:
        reply = client.embeddings.create(model=model, input=[text or " " for text in texts], encoding_format="float")
        found = sorted(reply.data, key=lambda each: each.index)
        vectors = np.array([each.embedding for each in found], dtype=np.float32)
    # the server's own words may quote the texts
    except openai.APIStatusError as error:
        raise ServerError(
            f"{where} answers with status {error.status_code} when asked for embeddings of {model!r}; look at the key in {KEY}, "
            "at model= and base_url=, and whether a text is longer than the model takes",
            status=error.status_code,
        ) from None
    except openai.APIConnectionError:
        raise ServerError(f"no connection to {where}, or it broke off: is the server running?") from None
    except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
        raise ServerError(f"the reply of {where} cannot be read as embeddings ({type(error).__name__})") from None
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ServerError(f"{where} answers with {len(vectors)} embeddings where {len(texts)} texts were sent")
    return vectors


def _without_credentials(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
