"""Posts whose words tell what the gold label is, beyond what the surrogate tells."""

from typing import Any

import numpy as np
import pandas as pd

from tests.posts import posts

WORDS = {1.0: "good fine great", 0.0: "bad poor sad"}


def worded(seed: int = 1) -> pd.DataFrame:
    """The posts of `tests.posts` with a column `body`: words of the truth and noise. The truth is the column `truth`."""
    data, rng = posts(), np.random.default_rng(seed)
    # as `posts` made it: gold is shown on labelled rows only
    hidden = np.random.default_rng(3)
    x, _ = hidden.normal(size=len(data)), hidden.integers(0, 3, len(data))
    truth = (hidden.random(len(data)) < 1 / (1 + np.exp(-x))).astype(float)
    noise = rng.choice([f"word{i}" for i in range(30)], (len(data), 3))
    body = [" ".join([str(rng.choice(WORDS[t].split())), *row]) for t, row in zip(truth, noise, strict=True)]
    return data.assign(body=body, truth=truth)


class Lengths:
    """The smallest text learner: the mean gold value of texts of each length, and what it was shown."""

    seen: list[Any] = []  # noqa: RUF012 (shared by clones on purpose)

    def get_params(self, deep: bool = True) -> dict[str, object]:
        return {}

    def set_params(self, **params: object) -> "Lengths":
        return self

    def represent(self, texts: Any) -> Any:
        Lengths.seen.append(("represent", len(texts)))
        return np.array([len(text) for text in texts.values])

    def fit(self, x: Any, y: Any) -> "Lengths":
        Lengths.seen.append(("fit", x))
        self.mean_ = {size: y[x.represented == size].mean() for size in set(x.represented)}
        self.rest_ = y.mean()
        return self

    def predict(self, x: Any) -> Any:
        Lengths.seen.append(("predict", x))
        return np.array([self.mean_.get(size, self.rest_) for size in x.represented])
