"""Questions as files for a provider's batch service, which answers within a day at a lower price, and its answers into the cache.

The files are those of OpenAI's batch API, one JSON object a line. Out go ``custom_id`` (the request's key), ``method``, ``url``
and ``body``, back come ``custom_id`` and ``response`` or ``error``.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dsl.annotation.annotate import annotate, like
from dsl.annotation.cache import Cache
from dsl.annotation.exchange import Answer, Interview, Item, Request
from dsl.annotation.plan import planned
from dsl.annotation.wire import answer_of, body_of, endpoint
from dsl.data.arguments import explain_calls
from dsl.data.files import PathLike, as_path, read_from, written_aside
from dsl.data.tables import TableLike
from dsl.exceptions import ArgumentError, DataError, ServerError

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
"""In one file: what OpenAI takes, with some room (200 MB)."""
OK, WHAT = 200, "answers of a batch service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Files that were written.

    Parameters
    ----------
    paths : tuple of Path
    requests : int
        Questions in them.
    stored : int
        Questions that were left out, since their answers are in the cache.
    """

    paths: tuple[Path, ...]
    requests: int
    stored: int

    def __str__(self) -> str:
        """What there is to do."""
        if not self.requests:
            return f"nothing to ask: all {self.stored:,} answers are in the cache, and dsl.annotate finds them"
        names = ", ".join(f"'{path}'" for path in self.paths)
        return f"{self.requests:,} questions in {names} ({self.stored:,} are answered in the cache)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What was read of a batch service's answers.

    Parameters
    ----------
    answers : int
        Answers that are in the cache now.
    known : int
        Answers that were there already.
    failed : mapping
        Number of questions without an answer, for each reason. `dsl.annotate` asks them again.
    """

    answers: int
    known: int
    failed: Mapping[str, int]

    def __str__(self) -> str:
        """The same in a line."""
        failed = ", ".join(f"{reason}: {count:,}" for reason, count in self.failed.items())
        return f"{self.answers:,} answers added, {self.known:,} known already, {sum(self.failed.values()):,} failed" + (
            f" ({failed})" if failed else ""
        )


@explain_calls
@like(annotate)
def write_batch(path: PathLike, data: TableLike, **arguments: object) -> Batch:
    """Write the questions of a call of `dsl.annotate` to files for a batch service.

    Questions whose answers are in the cache are left out. A prompt of two stages needs two rounds: once the first answers
    are read, the same call writes the questions that follow from them.

    Parameters
    ----------
    path : str or Path
        Where to. Where one file would be too large for the service, several are written: ``name-1.jsonl``, ``name-2.jsonl``, ...
    data : data frame
    **arguments
        Those of `dsl.annotate`. The model must be a server's.

    Returns
    -------
    Batch

    Raises
    ------
    ArgumentError, MissingColumnError, ColumnTypeError
        The arguments cannot be used.
    FileError
        A file cannot be written.

    Examples
    --------
    >>> import dsl, os, tempfile
    >>> book = dsl.annotation.Codebook("Is the tweet positive?", ["yes", "no"])
    >>> posts = {"body": ["I love it", "What a mess", "I love it"]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, cache = (os.path.join(folder, name) for name in ("batch.jsonl", "labels.jsonl"))
    ...     written = dsl.annotation.write_batch(path, posts, text="body", codebook=book, model="gpt-4o-mini", cache=cache)
    >>> written.requests
    2
    """
    target = as_path(path)
    what = planned(data, **arguments)  # type: ignore[arg-type]
    if any(not isinstance(part.model, str) for part in what.parts):
        raise ArgumentError("a batch service has models by name; model= is a function here")
    stored = Counter[str]()
    with Cache(what.settings.cache) as answers:
        requests = (
            request
            for part in what.parts
            for item in what.items
            for request in _open_questions(item, what.interview(part), answers, stored)
        )
        paths, count = _write(target, requests)
    return Batch(paths=paths, requests=count, stored=stored["stored"])


@explain_calls
def read_batch(paths: PathLike | Iterable[PathLike], *, cache: PathLike = "labels.jsonl") -> Received:
    """Put a batch service's answers into the cache, where `dsl.annotate` finds them.

    Parameters
    ----------
    paths : str or Path, or several
        Files that the service gave back, of answers or of errors.
    cache : str or Path
        The cache of the call whose questions they answer.

    Returns
    -------
    Received

    Raises
    ------
    DataError
        A line is no answer of a batch service, or belongs to a file that `write_batch` did not write. Lines before it are stored.
    FileError, CacheError
        A file cannot be read, or the cache not written.

    Examples
    --------
    >>> import json, os, tempfile
    >>> from dsl.annotation import read_batch
    >>> body = {"model": "m-1", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}
    >>> line = {"custom_id": "ab" * 32, "response": {"status_code": 200, "body": body}, "error": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, cache = (os.path.join(folder, name) for name in ("answers.jsonl", "labels.jsonl"))
    ...     with open(path, "w") as file:
    ...         _ = file.write(json.dumps(line))
    ...     print(read_batch(path, cache=cache))
    1 answers added, 0 known already, 0 failed
    """
    listed = paths if isinstance(paths, Iterable) and not isinstance(paths, str) else [paths]
    files = [as_path(each, "paths") for each in listed]
    for each in files:
        # a mistyped name is found before a cache is made for it
        with read_from(each, WHAT):
            continue
    added, known = 0, 0
    failed = Counter[str]()
    with Cache(cache, write=True) as answers:
        for each in files:
            with read_from(each, WHAT) as source, source.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.strip():
                        continue
                    key, found = _read_line(line, f"line {number} of '{source}'")
                    if isinstance(found, str):
                        failed[found] += 1
                    elif key in answers:
                        known += 1
                    else:
                        answers.add(key, found.to_json())
                        added += 1
    return Received(answers=added, known=known, failed=dict(failed))


def _open_questions(item: Item, interview: Interview, answers: Cache, stored: Counter[str]) -> Iterator[Request]:
    """Questions about an item that can be asked now, and are not answered."""
    found: list[Answer] = []
    while asked := interview.questions(item, found):
        records = [answers.get(request.key()) for request in asked]
        yield from (request for request, record in zip(asked, records, strict=True) if record is None)
        stored["stored"] += sum(record is not None for record in records)
        if None in records:
            return
        found += [Answer.from_json(record) for record in records]


def _write(target: Path, requests: Iterable[Request]) -> tuple[tuple[Path, ...], int]:
    """Files of at most so many lines and bytes, all of them or none."""
    seen: set[str] = set()
    parts: list[list[int]] = []
    with ExitStack() as drafts:
        files = []
        for request in requests:
            key = request.key()
            # equal questions of two prompts, or of two texts that a prompt makes equal
            if key in seen:
                continue
            seen.add(key)
            line = {"custom_id": key, "method": "POST", "url": f"/v1{endpoint(request)}", "body": body_of(request)}
            content = json.dumps(line).encode() + b"\n"
            if not parts or parts[-1][0] >= MOST_REQUESTS or parts[-1][1] + len(content) > MOST_BYTES:
                parts.append([0, 0])
                place = target if len(parts) == 1 else _numbered(target, len(parts))
                draft = drafts.enter_context(written_aside(place))
                files.append((place, drafts.enter_context(draft.open("wb"))))
            files[-1][1].write(content)
            parts[-1][0] += 1
            parts[-1][1] += len(content)
        for _, file in files:
            file.close()
    return tuple(place for place, _ in files), len(seen)


def _numbered(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}-{number}{target.suffix}")


def _read_line(line: str, where: str) -> tuple[str, Answer | str]:
    """The key of a question, and its answer or why there is none."""
    try:
        given = json.loads(line)
        key, response, error = given["custom_id"], given.get("response"), given.get("error")
        status = None if response is None else response["status_code"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{where} is no answer of a batch service: it must be a JSON object with custom_id, and response or error. Name the "
            "file that the service gave back, not the one that was sent"
        ) from None
    if not isinstance(key, str) or len(key) != 64 or not set(key) <= set("0123456789abcdef"):
        raise DataError(
            f"{where} has the custom_id {key!r:.80}, which is not one of dsl.annotation.write_batch; name the file that answers "
            "what it wrote"
        )
    if status != OK or response is None:
        code = error.get("code") if isinstance(error, Mapping) else None
        return key, f"status {status}" if status is not None else str(code or "no response")
    body = response.get("body")
    try:
        return key, _dated(answer_of(body, _kind(body)), body)
    except ServerError:
        return key, "not in the protocol's form"


def _kind(body: object) -> Request:
    """A request of the kind that a reply answers: a chat, or a text to complete."""
    choices = body.get("choices") if isinstance(body, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    chat = isinstance(first, Mapping) and "message" in first
    return Request(model="", messages=()) if chat else Request(model="", prompt="")


def _dated(answer: Answer, body: object) -> Answer:
    """The answer with the time at which it was made, where the service says it."""
    made = body.get("created") if isinstance(body, Mapping) else None
    if isinstance(made, bool) or not isinstance(made, int) or made <= 0:
        return answer
    return replace(answer, at=datetime.fromtimestamp(made, UTC).isoformat(timespec="seconds"))
