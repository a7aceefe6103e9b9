"""The language model's labels in the bundled table are those of its published answers."""

from pathlib import Path

import pandas as pd

import dsl
from dsl.annotation.cache import Cache
from dsl.annotation.exchange import Answer
from dsl.annotation.scores import word_scores

LABELS = Path(__file__).parents[2] / "vignettes" / "labels"


def test_labels_and_probabilities_are_those_of_the_answers() -> None:
    book = dsl.annotation.Codebook.from_yaml(LABELS / "codebook.yaml")
    found = set()
    with Cache(LABELS / "answers.jsonl.gz") as cache:
        for _, record in cache.items():
            scores = word_scores(Answer.from_json(record).tokens, book.words)
            assert scores is not None
            positive, negative = scores.scaled()
            found.add((positive > negative, round(max(positive, negative), 4)))
    table = dsl.datasets.load_sentiment()
    assert set(zip(table["llm_positive"] == 1, table["llm_confidence"], strict=True)) == found
    # 71 texts stand twice, and were asked about once
    assert len(cache) == 9319


def test_the_trail_says_how_they_came_about() -> None:
    trail = dsl.annotation.Trail.load(LABELS / "answers.trail.json")
    assert trail.versions == {"SmolLM2-135M-Instruct.Q4_1": 9319}
    assert (trail.texts, trail.distinct, trail.missing, trail.censored) == (9390, 9319, {}, 0.0)
    assert trail.parameters["extra_body"] == {"n_probs": 4000}
    assert pd.Timestamp(trail.first).date() == pd.Timestamp("2026-11-27").date()
