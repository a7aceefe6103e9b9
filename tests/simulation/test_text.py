"""Coverage and precision of learners that read texts: vocabulary and embeddings from all texts, labels from the other folds."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.learners.text import Embedding
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS, ROWS, LABELS = 300, 2000, 200
TRUTH = pd.Series({"Intercept": 1.0, "x": 0.5})
WORDS = 200
MEANINGS = np.random.default_rng(0).normal(size=(WORDS, 16))
"""Where each word stands."""
WEIGHTS = MEANINGS.sum(axis=1) / np.sqrt(16 * 12)
"""What it adds to the outcome."""


def table(seed: int) -> pd.DataFrame:
    """A text of twelve words, each of which bears on the outcome; so does `x`, with which some words come more often."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=ROWS)
    early = rng.random((ROWS, 12)) < 1 / (1 + np.exp(-x))[:, None]
    words = np.where(early, rng.integers(0, WORDS // 2, (ROWS, 12)), rng.integers(WORDS // 2, WORDS, (ROWS, 12)))
    # the outcome given x has mean 1 + x / 2: what the words of each half add on average is taken off
    halves = np.where(np.arange(WORDS) < WORDS // 2, WEIGHTS[: WORDS // 2].mean(), WEIGHTS[WORDS // 2 :].mean())
    y = 1.0 + 0.5 * x + (WEIGHTS - halves)[words].sum(axis=1) + 0.5 * rng.normal(size=ROWS)
    drawn = np.isin(np.arange(ROWS), rng.choice(ROWS, LABELS, replace=False))
    body = [" ".join(f"w{word}" for word in row) for row in words]
    return pd.DataFrame({"y": np.where(drawn, y, np.nan), "x": x, "llm": y + rng.normal(size=ROWS) * 1.5, "body": body})


def meanings(texts: list[str]) -> Any:
    """Embeddings of texts: where their words stand, together."""
    return np.array([MEANINGS[[int(word[1:]) for word in text.split()]].sum(axis=0) for text in texts])


@pytest.mark.parametrize(("learner", "gain"), [("tfidf", 1.1), (Embedding(meanings), 1.3)], ids=["tfidf", "embedding"])
def test_intervals_cover_and_labels_count_for_more(learner: Any, gain: float) -> None:
    """Nominal coverage, and more effective labels than with the surrogate alone."""
    call: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "tune": "coef", "sample_split": 1}
    covered, effective, errors = [], [], []
    for seed in range(REPLICATIONS):
        data = table(seed)
        alone = dsl.dsl("y ~ x", data, sl_method="lm", **call)
        fit = dsl.dsl("y ~ x", data, text="body", sl_method=learner, **call)
        ends = fit.conf_int()
        covered.append((ends[0] <= TRUTH) & (ends[1] >= TRUTH))
        errors.append((fit.params - TRUTH) / fit.bse)
        effective.append(fit.tuning["effective_labels"] / alone.tuning["effective_labels"])
    coverage = pd.concat(covered, axis=1).mean(axis=1)
    assert (abs(coverage - 0.95) < 3 * coverage_error(REPLICATIONS)).all(), coverage
    # bias in standard errors, whose Monte Carlo error is 1 / sqrt(R)
    assert (pd.concat(errors, axis=1).mean(axis=1).abs() < 3 / np.sqrt(REPLICATIONS)).all()
    assert (pd.concat(effective, axis=1).mean(axis=1) > gain).all()
