"""A fake server of embeddings in OpenAI's protocol, from the standard library, and the vectors that it gives."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


def vector(text: str) -> list[float]:
    """Four numbers of a text: how often it has the words of either kind, its length, and noise."""
    words = text.split()
    return [
        float(sum(word in ("good", "fine", "great") for word in words)),
        float(sum(word in ("bad", "poor", "sad") for word in words)),
        len(text) / 100,
        sha256(text.encode()).digest()[0] / 256,
    ]


def embed(texts: list[str]) -> Any:
    """The same as a function."""
    return np.array([vector(text) for text in texts])


@dataclass
class Fake:
    """What a server was asked, and the faults that it has before it answers."""

    faults: list[int] = field(default_factory=list)
    """Status of the next answers."""
    wrong: str = ""
    """What is wrong with all answers: "few", "text", "shape"."""
    asked: list[list[str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


@contextmanager
def serving() -> Iterator[tuple[str, Fake]]:
    """A server's address, and what it was asked."""
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append(body["input"])
            fake.keys.add(self.headers["Authorization"])
            status = fake.faults.pop(0) if fake.faults else 200
            data = [
                {"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(body["input"])
            ]
            reply: Any = {"object": "list", "model": body["model"], "data": data[::-1], "usage": {}}
            if fake.wrong == "few":
                reply["data"] = data[:1]
            if fake.wrong == "shape":
                reply["data"] = None
            content = b"<html>" if fake.wrong == "text" else json.dumps(reply).encode()
            if status != 200:
                content = json.dumps({"error": {"message": f"your text {body['input'][0]} is bad"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
