"""What a multiverse refuses to put side by side."""

import numpy as np
import pytest

from dsl import exceptions as e
from dsl.reports.multiverse.agreement import Stacked
from dsl.reports.multiverse.results import Universe, assemble
from tests.posts import posts, run


def test_analyses_with_other_coefficients() -> None:
    fits = {"a": run(posts()).core, "b": run(posts(), "y ~ x + z").core}
    universes = tuple(Universe(name=name, prediction=name, columns={"y": ("llm",)}) for name in fits)
    stacked = Stacked(estimates=np.zeros((2, 2)), vcov=np.zeros((2, 2, 2, 2)))
    with pytest.raises(
        e.ArgumentError, match=r"with the labels of 'b' the analysis has coefficients \(Intercept, x, z\)"
    ):
        assemble(universes, fits, {}, {}, stacked=stacked, naive=None, alpha=0.05)
