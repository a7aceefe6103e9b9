"""P values of the wild score bootstrap with few clusters: uniform where the hypothesis holds."""

import numpy as np
import pandas as pd
import pytest

import dsl
from tests.simulation.replicate import coverage_error

pytestmark = pytest.mark.slow

REPLICATIONS = 1_000
FAMILY = 3.0
"""Monte Carlo standard errors allowed."""


def draw(seed: int, clusters: int) -> pd.DataFrame:
    """Clusters of 20 rows with effects of their own, a covariate that varies between them, and half the rows labelled."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(clusters), 20)
    x = rng.normal(size=clusters)[code] + 0.5 * rng.normal(size=len(code))
    y = 1.0 + 0.6 * rng.normal(size=clusters)[code] + rng.normal(size=len(code))
    shown = rng.permutation(len(code)) < len(code) // 2
    return pd.DataFrame({"y": np.where(shown, y, np.nan), "llm": y + rng.normal(size=len(code)), "x": x, "cl": code})


@pytest.mark.parametrize(("clusters", "weights"), [(10, "rademacher"), (10, "webb"), (20, "rademacher")])
def test_p_values_are_uniform(clusters: int, weights: str) -> None:
    wild, normal = np.empty(REPLICATIONS), np.empty(REPLICATIONS)
    for seed in range(REPLICATIONS):
        fit = dsl.dsl(
            "y ~ x",
            draw(seed, clusters),
            predicted_var="y",
            prediction="llm",
            cluster="cl",
            sl_method="lm",
            sample_split=1,
        )
        wild[seed] = fit.wild_test("x = 0", seed=seed, draws=999, weights=weights).p_value
        normal[seed] = fit.pvalues["x"]
    for level in (0.05, 0.1, 0.2, 0.5):
        error = coverage_error(REPLICATIONS, 1.0 - level)
        assert abs((wild <= level).mean() - level) <= FAMILY * error + 0.01, (level, (wild <= level).mean())
    # without it tests reject too often
    assert (normal <= 0.05).mean() > 0.05 + FAMILY * coverage_error(REPLICATIONS)
