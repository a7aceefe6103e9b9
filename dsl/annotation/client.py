"""Models that can be asked: servers by the openai client, and callables."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from dsl._typing import JSON
from dsl.annotation.exchange import Answer, Message, Request
from dsl.annotation.wire import answer_of, body_of, endpoint, now
from dsl.exceptions import ArgumentError, MissingDependencyError, ServerError

if TYPE_CHECKING:
    import openai

KEY, ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""Variables of the environment."""
UNUSED = "unused"
"""Sent in the place of a key to servers that ask for none."""
CAN_HELP = {408, 409, 425, 429}
"""Status with which asking again can help, besides those of the server's own errors (500 and above)."""
HOPELESS = {"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"}
"""Codes with which it cannot, whatever the status."""
FILTERED = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
TOO_LONG = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
ADVICE = {
    400: "a parameter is not known to it, such as logprobs: another model, or confidence='verbal', may do",
    401: f"the key in the environment ({KEY}) is not accepted",
    403: f"the key in the environment ({KEY}) may not use this model",
    404: "there is no such model, or no such address: look at model= and base_url=",
    413: "the request is too large",
    422: "a parameter is not known to it",
    429: "too many requests, or a budget at the provider is spent",
}
NAME = re.compile(r"[A-Za-z][\w.-]{0,59}")
Function: TypeAlias = Callable[[str], object] | Callable[[list[Message]], object]
"""What a callable model is: see `CallableModel`."""


class ServerModel:
    """A model behind a server that speaks OpenAI's protocol: OpenAI, vLLM, Ollama, llama.cpp.

    It asks once: whoever calls it decides about asking again. The key comes from the environment (``OPENAI_API_KEY``) and is in
    no message. A server at an address of its own that needs none gets "unused".

    Parameters
    ----------
    base_url : str, optional
        The server's address, such as ``http://127.0.0.1:8080/v1``. By default ``OPENAI_BASE_URL``, or OpenAI's.
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    MissingDependencyError
        The openai client is not installed.
    ArgumentError
        There is no key for OpenAI's server, or the address or the timeout cannot be used.

    Examples
    --------
    >>> from dsl.annotation.client import ServerModel
    >>> ask = ServerModel("http://127.0.0.1:9/v1", timeout=5)
    >>> ask(Request(model="m", prompt="Sky is"))
    Traceback (most recent call last):
    ...
    dsl.exceptions.ServerError: no connection to http://127.0.0.1:9/v1, or it broke off: is the server running?
    """

    def __init__(self, base_url: str | None = None, *, timeout: float = 60.0) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0.0 < timeout < math.inf:
            raise ArgumentError(f"timeout must be a number of seconds above 0; found {timeout!r}")
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError("asking a server needs the openai client: pip install 'dsl[llm]'") from error
        address = base_url or os.environ.get(ADDRESS) or None
        if address is not None and not re.match(r"https?://[^\s/]", str(address)):
            raise ArgumentError(f"base_url must be an address such as http://127.0.0.1:8080/v1; found {address!r}")
        key = os.environ.get(KEY) or (UNUSED if address else None)
        if key is None:
            raise ArgumentError(
                f"there is no key for OpenAI's server: set {KEY} in the environment, or give base_url= of another server"
            )
        self.timeout = float(timeout)
        # the client's own retries would hide what the server asks for from whoever counts and waits
        self._client: openai.OpenAI = openai.OpenAI(api_key=key, base_url=address, timeout=timeout, max_retries=0)
        self.address = _without_credentials(str(self._client.base_url))

    def __call__(self, request: Request) -> Answer:
        """Ask once.

        Parameters
        ----------
        request : Request

        Raises
        ------
        ServerError
            No connection, no answer in time, an error of the server, or a reply that is not in the protocol's form. A text that
            the server's filter refuses, or that is too long for the model, is an answer without a text.
        """
        import openai

        try:
            reply = self._client.post(endpoint(request), body=body_of(request), cast_to=object)
        except openai.APITimeoutError:
            raise ServerError(f"no answer from {self.address} within {self.timeout:g} s", retry=True) from None
        except openai.APIStatusError as error:
            return self._failed(error)
        except openai.APIConnectionError:
            raise ServerError(
                f"no connection to {self.address}, or it broke off: is the server running?", retry=True
            ) from None
        # broken JSON, a reply that breaks off: what the client raises depends on its version
        except (openai.OpenAIError, ValueError) as error:
            raise ServerError(
                f"the reply of {self.address} cannot be read ({type(error).__name__})", retry=True
            ) from None
        return answer_of(reply, request)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failed(self, error: "openai.APIStatusError") -> Answer:
        """An answer where the server refuses this text, else the error, without the server's words: they may quote."""
        found = _names(error.body)
        if found & FILTERED:
            return Answer(text="", finish="content_filter", at=now())
        if found & TOO_LONG:
            return Answer(text="", finish="too_long", at=now())
        status = error.status_code
        shown = f" ({', '.join(sorted(found))})" if found else ""
        advice = ADVICE.get(status, "it failed" if status >= 500 else "it refuses the request")
        raise ServerError(
            f"{self.address} answers with status {status}{shown}: {advice}",
            status=status,
            retry_after=_seconds(error.response.headers),
            retry=(status in CAN_HELP or status >= 500) and not found & HOPELESS,
        ) from None


class CallableModel:
    """A function as a model: a classifier of one's own, or a client that is not OpenAI's.

    The function gets what the prompt makes: a text (``Prompt.text_only()`` sends the row's text alone, a prompt of
    ``kind="completion"`` the whole question), or a list of messages (``kind="chat"``). It returns what a model would say, a
    text, or a mapping of labels to probabilities. It is called from several threads at once. An error that it raises ends the
    run, but for a `dsl.exceptions.ServerError` with ``retry=True``, after which it is called again.

    Parameters
    ----------
    function : callable
    name : str, optional
        What stands for it in cache and trail. Change it with the function, or answers of the old one are taken for those of the
        new one. By default its module and name.

    Examples
    --------
    >>> from dsl.annotation.client import CallableModel
    >>> ask = CallableModel(lambda text: {"yes": 0.9, "no": 0.1} if "love" in text else "no", name="toy")
    >>> ask(Request(model="toy", prompt="I love it")).scores
    (('yes', 0.9), ('no', 0.1))
    >>> ask(Request(model="toy", prompt="So so")).text
    'no'
    """

    def __init__(self, function: Function, name: str | None = None) -> None:
        if not callable(function):
            raise ArgumentError(f"a model must be a name or a function; found {function!r}")
        self.function = cast(Callable[[object], object], function)
        kind = type(function)
        self.name = name or ".".join(
            str(getattr(function, part, getattr(kind, part))) for part in ("__module__", "__qualname__")
        )

    def __call__(self, request: Request) -> Answer:
        """Call the function.

        Parameters
        ----------
        request : Request

        Raises
        ------
        ArgumentError
            It returned neither a text, a whole number nor probabilities.
        """
        sent = request.prompt if request.messages is None else [dict(each) for each in request.messages]
        given = self.function(sent)
        if isinstance(given, Mapping):
            scores = tuple((str(word), _share(value, self.name)) for word, value in given.items())
            return Answer(text=json.dumps(dict(scores)), scores=scores, model=self.name, at=now())
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ArgumentError(
                f"the model {self.name} returned {type(given).__name__}; it must return a label as text, or a dict of label to "
                "probability"
            )
        return Answer(text=str(given), model=self.name, at=now())


def _share(value: object, name: str) -> float:
    try:
        share = float(cast(float, value))
    except (TypeError, ValueError):
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise ArgumentError(
            f"the model {name} returned the probability {value!r}; probabilities are numbers from 0 to 1"
        )
    return share


def _names(body: object) -> set[str]:
    """Code and type of an error, where they are names: nothing that may quote a text or a key."""
    outer = body if isinstance(body, Mapping) else {}
    inner = outer.get("error", outer)
    details = inner if isinstance(inner, Mapping) else {}
    deeper = details.get("innererror")
    values: list[JSON] = [details.get("code"), details.get("type")]
    values += [deeper.get("code")] if isinstance(deeper, Mapping) else []
    return {each.lower() for each in values if isinstance(each, str) and NAME.fullmatch(each)}


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: a number, or a date."""
    from email.utils import parsedate_to_datetime
    from time import time

    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return seconds if 0.0 <= seconds < math.inf else None
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time())
    except (TypeError, ValueError, OverflowError):
        return None


def _without_credentials(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address).split("?")[0].rstrip("/")
