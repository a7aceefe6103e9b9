"""A fake server of OpenAI's protocol, from the standard library: quick, and with every fault that a text asks for.

A text has a number, "#17 I love it", from which its answer follows, and perhaps a fault: "#17 I love it [429 x2]" is refused
twice and answered the third time. Faults: 429 (with Retry-After), 500, 401, 404, 400, slow, hang, cut (the connection, half-way
through an answer), broken (JSON), and answers that are none: wrong (a label that nobody asked for), refusal, filter, empty.

    python -m tests.annotation.server        # prints its address, and serves until it is killed
"""

import asyncio
import json
import math
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

NUMBER = re.compile(r"#(\d+)")
FAULT = re.compile(r"\[(\w+)(?: x(\d+))?\]")
LIKELY = re.compile(r"^How likely is it", re.IGNORECASE)
STATUS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Error"}
LABELS = ("positive", "negative")
VERSION = "fake-1-2026"
SECRET = "sk-secret-of-the-tests"


def probability(number: int) -> float:
    """Of the first label, for the text with this number: between .02 and .98, and never .5."""
    return 0.02 + 0.96 * ((number * 0.6180339887498949 + 0.1234) % 1.0)


@dataclass
class Fake:
    """What the server was asked, and how it answers.

    Parameters
    ----------
    labels : tuple of str
    retry_after : str
        What a 429 says.
    slow, hang : float
        Seconds.
    every : float
        Seconds before each answer.
    """

    labels: tuple[str, ...] = LABELS
    retry_after: str = "0"
    slow: float = 0.05
    hang: float = 30.0
    every: float = 0.0
    asked: Counter[int] = field(default_factory=Counter)
    """Times that each text was asked about."""
    answered: int = 0
    """Answers that were sent whole."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The last bodies, for a look at them."""
    keys: set[str] = field(default_factory=set)
    """Authorizations that were sent."""
    flying: int = 0
    most_flying: int = 0
    url: str = ""
    connections: "set[Connection]" = field(default_factory=set)

    def __enter__(self) -> "Fake":
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self, ready: threading.Event) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(lambda: Connection(self), "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        loop.run_forever()
        server.close()
        for connection in self.connections:
            connection.transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any, float, str]:
        """Status, content, seconds to wait before it, and what is wrong with it."""
        said = body["prompt"] if "prompt" in body else _content(body["messages"], "user")
        found = NUMBER.findall(said)
        number = int(found[-1]) if found else 0
        self.asked[number] += 1
        fault = FAULT.findall(said)
        name, times = fault[-1] if fault else ("", "")
        if not name or self.asked[number] > int(times or 1_000_000):
            return 200, self.completion(path, body, said, number), self.every, ""
        if name.isdigit():
            error = {"message": f"status {name} was asked for", "type": "fault", "code": None}
            return int(name), {"error": error}, 0.0, ""
        if name in ("slow", "hang"):
            return 200, self.completion(path, body, said, number), getattr(self, name), ""
        return 200, self.completion(path, body, said, number, name), self.every, name

    def completion(self, path: str, body: dict[str, Any], said: str, number: int, fault: str = "") -> dict[str, Any]:
        """The body of an answer."""
        told = said if "prompt" in body else _content(body["messages"], "system")
        chance = probability(number)
        order = sorted(zip(self.labels, (chance, 1.0 - chance), strict=False), key=lambda pair: -pair[1])
        word = order[0][0]
        if body.get("temperature"):
            # as often as it is likely
            word = self.labels[0] if (self.asked[number] * 0.618 + number * 0.37) % 1.0 < chance else self.labels[1]
        if said.rstrip().endswith("Probability:") or LIKELY.search(said.splitlines()[-1]):
            word = f"{order[0][1]:.2f}"
        elif "response_format" in body:
            word = json.dumps({"label": word, "probability": round(order[0][1], 2)})
        elif "two lines" in told:
            word = f"{word}\n{order[0][1]:.0%}"
        text = {"wrong": "maybe", "empty": "", "refusal": "", "filter": ""}.get(fault, word)
        finish = "content_filter" if fault == "filter" else "stop"
        tokens = [(label, math.log(p * 0.96)) for label, p in order] + [
            ("the", math.log(0.015)),
            ("of", math.log(0.005)),
        ]
        usage = {"prompt_tokens": len(said) // 4, "completion_tokens": 1, "total_tokens": len(said) // 4 + 1}
        out = {"id": "x", "created": 1, "model": VERSION, "usage": usage}
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if path.endswith("/chat/completions"):
            refusal = "I cannot help with that." if fault == "refusal" else None
            choice["message"] = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
            if body.get("logprobs"):
                top = [{"token": token, "logprob": value, "bytes": None} for token, value in tokens]
                listed = top[: body.get("top_logprobs") or 0]
                choice["logprobs"] = {"content": [{**top[0], "token": text, "top_logprobs": listed}], "refusal": None}
            return {**out, "object": "chat.completion", "choices": [choice]}
        choice["text"] = f" {text}"
        if body.get("logprobs"):
            top = {f" {token}": value for token, value in tokens[: body["logprobs"]]}
            choice["logprobs"] = {
                "tokens": [f" {text}"],
                "token_logprobs": [tokens[0][1]],
                "top_logprobs": [top],
                "text_offset": [0],
            }
        return {**out, "object": "text_completion", "choices": [choice]}


def _content(messages: list[dict[str, Any]], role: str) -> str:
    """The words of all turns of one side."""
    out = []
    for message in messages:
        content = message["content"] if message["role"] == role else ""
        out += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "\n".join(out).strip()


class Connection(asyncio.Protocol):
    """One connection, kept alive, that reads a request at a time."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.fake.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.fake.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            size = int(length[1]) if length else 0
            if len(self.buffer) < end + 4 + size:
                return
            content, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            self.request(head, content)

    def request(self, head: str, content: bytes) -> None:
        fake = self.fake
        allowed = re.search(r"^authorization: *(.*?)\r?$", head, re.IGNORECASE | re.MULTILINE)
        fake.keys.add(allowed[1] if allowed else "")
        body = json.loads(content or b"{}")
        fake.requests = [*fake.requests[-9:], body]
        fake.flying += 1
        fake.most_flying = max(fake.flying, fake.most_flying)
        status, answer, wait, fault = fake.answer(head.split()[1], body)
        if wait:
            asyncio.get_running_loop().call_later(wait, self.respond, status, answer, fault)
        else:
            self.respond(status, answer, fault)

    def respond(self, status: int, answer: Any, fault: str) -> None:
        self.fake.flying -= 1
        content = json.dumps(answer).encode()
        if fault == "broken":
            content = content[: len(content) // 2]
        more = f"retry-after: {self.fake.retry_after}\r\n" if status == 429 else ""
        head = (
            f"HTTP/1.1 {status} {STATUS.get(status, 'Fault')}\r\ncontent-type: application/json\r\n{more}"
            f"content-length: {len(content)}\r\n\r\n"
        )
        whole = head.encode() + content
        if fault == "cut":
            self.transport.write(whole[: len(whole) - len(content) // 2])
            self.transport.close()
            return
        self.transport.write(whole)
        self.fake.answered += status == 200


def main() -> None:
    with Fake(every=float(sys.argv[1]) if len(sys.argv) > 1 else 0.0) as fake:
        print(fake.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
