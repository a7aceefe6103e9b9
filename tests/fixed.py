"""A learner for tests."""

from collections.abc import Callable
from typing import Self

import numpy as np


class Fixed:
    """Predicts whatever it was told."""

    def __init__(self, make: Callable[[np.ndarray], np.ndarray]) -> None:
        self.make = make

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.make(x)
