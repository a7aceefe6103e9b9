"""A packed cache gives the table of the call that made it, and is the same file for the same answers."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.annotation import Codebook, Prompt, pack_cache
from dsl.annotation.cache import Cache
from dsl.annotation.exchange import Answer, Item, Token
from dsl.annotation.labels import LabelInterview
from dsl.exceptions import ArgumentError

BOOK = Codebook("Is it hate?", ["hate", "hate speech", "other"])
POSTS = pd.DataFrame({"body": [f"post {i}" for i in range(30)]})
CALL = {"text": "body", "codebook": BOOK, "model": "m", "base_url": "http://127.0.0.1:9/v1", "progress": False}


def answer(rng: np.random.Generator) -> Answer:
    """ " hate" and what follows it, with tokens that begin no label, and hopeless ones."""
    p, q = rng.uniform(0.3, 0.7, size=2)
    first = ((" hate", p), (" other", 0.9 - p), (" Other", 0.05), (" the", 0.04), (" oth", 1e-7), (" zebra", 1e-9))
    second = ((" speech", q), ("", 0.95 - q), (" Sp", 0.03), (" group", 0.01))
    listed = [tuple((text, float(np.log(each))) for text, each in part) for part in (first, second)]
    tokens = (Token(" hate", listed[0][0][1], listed[0], -30.0), Token(" speech", listed[1][0][1], listed[1], -30.0))
    return Answer(text=" hate speech", tokens=tokens, model="m-1", at="2026-11-27T20:00:00+00:00")


def filled(path: Path) -> Path:
    """A cache that has the answers about all posts."""
    rng = np.random.default_rng(1)
    interview = LabelInterview(book=BOOK, prompt=Prompt.one_stage(), model="m")
    with Cache(path, write=True) as cache:
        for text in POSTS["body"]:
            [asked] = interview.questions(Item(text=text), [])
            cache.add(asked.key(), answer(rng).to_json())
    return path


def test_a_packed_cache_gives_the_same_table(tmp_path: Path) -> None:
    plain = filled(tmp_path / "labels.jsonl")
    assert pack_cache(plain, tmp_path / "labels.jsonl.gz", codebook=BOOK) == len(POSTS)
    before = dsl.annotate(POSTS, cache=plain, **CALL)
    after = dsl.annotate(POSTS, cache=tmp_path / "labels.jsonl.gz", **CALL)
    pd.testing.assert_frame_equal(before, after, check_exact=False, rtol=0, atol=1e-5)
    assert before["llm_hate speech"].nunique() == len(POSTS)


def test_what_is_no_label_is_left_out_and_the_file_is_reproducible(tmp_path: Path) -> None:
    plain = filled(tmp_path / "labels.jsonl")
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        pack_cache(plain, tmp_path / name, codebook=BOOK)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    with gzip.open(tmp_path / "a.jsonl.gz", "rt") as lines:
        tokens = json.loads(next(lines))["answer"]["tokens"]
    first, second = (dict(each[2]) for each in tokens)
    # " oth" and " Other" are other; "", the end, and " group" leave it at hate
    assert set(first) == {" hate", " other"}
    assert set(second) == {" speech", ""}
    assert np.exp(list(first.values())).sum() == pytest.approx(0.95, abs=1e-5)
    assert np.exp(list(second.values())).sum() == pytest.approx(0.99, abs=1e-5)


def test_the_name_says_that_it_is_packed(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"must end in \.jsonl\.gz"):
        pack_cache(filled(tmp_path / "labels.jsonl"), tmp_path / "labels2.jsonl", codebook=BOOK)
