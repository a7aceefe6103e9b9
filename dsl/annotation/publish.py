"""A cache of answers as it is published: one packed file, with what scoring needs and no more."""

import gzip
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from dsl.annotation.cache import PACKED, Cache
from dsl.annotation.codebook import Codebook
from dsl.annotation.exchange import Answer, Token
from dsl.annotation.prompts import Prompt
from dsl.annotation.scores import meant, word_key
from dsl.annotation.wire import word_before
from dsl.data.arguments import explain_calls
from dsl.data.files import PathLike, as_path, written_aside
from dsl.exceptions import ArgumentError

LEAST = math.log(1e-6)
"""Log probability below which a token that several labels begin with is left out."""


@explain_calls
def pack_cache(cache: PathLike, path: PathLike, *, codebook: Codebook, prompt: Prompt | None = None) -> int:
    """Write the answers of a cache to a packed file for a replication archive.

    A cache holds no texts and no prompts, but for each answer the tokens that might have stood in its place. Of these the
    file keeps what they say about labels: tokens that begin the same label are joined, others are left out. It is ten times
    smaller, and `dsl.annotate` with ``cache=`` this file gives the same table without a server.

    Parameters
    ----------
    cache : str or Path
        The cache of a call that is done.
    path : str or Path
        The new file, whose name ends in ``.jsonl.gz``.
    codebook : Codebook
        As in the call.
    prompt : Prompt, optional
        As in the call.

    Returns
    -------
    int
        Number of answers.

    Raises
    ------
    ArgumentError
        The name does not end in ``.gz``.
    CacheError
        The cache cannot be read.

    Notes
    -----
    Probabilities of labels are the same to the six digits that are stored. A token that leaves several labels open and has a
    probability under one in a million is left out.

    Examples
    --------
    >>> import dsl, pathlib, tempfile
    >>> from dsl.annotation import Codebook, pack_cache
    >>> book = Codebook("Is it positive?", ["yes", "no"])
    >>> def certain(text):
    ...     return {"yes": 0.9, "no": 0.1}
    >>> call = dict(text="body", codebook=book, model=certain, progress=False)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = pathlib.Path(name)
    ...     labels = dsl.annotate({"body": ["I love it"]}, cache=folder / "labels.jsonl", **call)
    ...     pack_cache(folder / "labels.jsonl", folder / "labels.jsonl.gz", codebook=book)
    1
    """
    if as_path(path).suffix.lower() != PACKED:
        raise ArgumentError(f"path must end in .jsonl.gz, which says that the file is packed; found '{path}'")
    asked = prompt or Prompt.one_stage()
    words = tuple(word_key(word) for word in asked.words(codebook))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "answers.jsonl"
        with Cache(cache) as stored, Cache(draft, write=True) as out:
            for key, record in stored.items():
                if key not in out:
                    out.add(key, _pruned(Answer.from_json(record), words, form=asked.form == "json").to_json())
            count = len(out)
        with (
            written_aside(path) as packed,
            draft.open("rb") as lines,
            packed.open("wb") as file,
            # neither name nor time: the same answers are the same file
            gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as archive,
        ):
            shutil.copyfileobj(lines, archive)
    return count


def _pruned(answer: Answer, words: tuple[bytes, ...], *, form: bool) -> Answer:
    """The answer, with what the tokens at each position say about labels."""
    tokens, said = [], ""
    for each in answer.tokens:
        before = word_before(said, words, form=form)
        kept = () if before is None else _joined(each, before, words)
        tokens.append(Token(each.token, each.logprob, kept, each.floor))
        said += each.token
    return replace(answer, tokens=tuple(tokens))


def _joined(here: Token, before: str, words: tuple[bytes, ...]) -> tuple[tuple[str, float], ...]:
    """Tokens that leave several labels open as they are, and those of one label as one: the likeliest, or the one said."""
    out: list[tuple[str, float]] = []
    groups: dict[int, list[tuple[str, float]]] = {}
    for text, logprob in here.alternatives:
        found = meant(before + text, words, text == "")
        if found is not None and len(found) == 1:
            groups.setdefault(found[0], []).append((text, logprob))
        elif text == here.token or (found and logprob > LEAST):
            out.append((text, logprob))
    for group in groups.values():
        name = next((text for text, _ in group if text == here.token), group[0][0])
        out.append((name, min(0.0, math.log(math.fsum(math.exp(logprob) for _, logprob in group)))))
    return tuple(sorted(out, key=lambda pair: -pair[1]))
