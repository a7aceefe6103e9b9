"""Rows of a batch: the same for the same seed and number, others for another batch."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from dsl.sampling.adaptive.next_batch import drawn_rows
from dsl.sampling.adaptive.probabilities import even_probabilities

ROWS = 400


def rows(seed: int, number: int) -> list[int]:
    """Forty of four hundred rows, none of which is labelled, with even probabilities."""
    labeled = np.zeros(ROWS, dtype=bool)
    settings: Any = SimpleNamespace(seed=seed)
    now = even_probabilities(size=40, before=np.zeros(ROWS), labeled=labeled).now
    return drawn_rows(settings, number, now, labeled).tolist()


def test_batches_have_random_numbers_of_their_own() -> None:
    drawn = [rows(5, number) for number in (1, 2, 3)] + [rows(6, 1)]
    assert [len(set(one)) for one in drawn] == [40] * 4
    assert rows(5, 1) == drawn[0]
    for j, one in enumerate(drawn):
        for other in drawn[j + 1 :]:
            assert len(set(one) & set(other)) < 15  # 4 by chance, with a standard deviation of 1.8
