"""What the blocks of an estimator tell about themselves."""

import numpy as np
import pytest

from dsl.estimators.again import analysis_of
from dsl.estimators.blocks import Blocks
from dsl.estimators.result import fit_of
from tests.posts import posts, run


@pytest.mark.parametrize(
    ("formula", "model", "rank"),
    [("y ~ x", "lm", 0), ("y ~ x | g", "felm", 3), ("y ~ x | g + cl", "felm", 3 + 20 - 1)],
)
def test_rank_of_fixed_effects(formula: str, model: str, rank: int) -> None:
    """One for each level, less one for each further factor; none without fixed effects, where HC1 is n / (n - k)."""
    data = posts()
    call = {"formula": formula, "model": model, "estimator": "naive"}
    fit = fit_of(run(data, **call))
    analysis = analysis_of(fit, data)
    assert Blocks(analysis.design, analysis.sample).absorbed_rank == rank
    plain, corrected = (fit_of(run(data, **call, vcov=vcov)).vcov for vcov in ("HC0", "HC1"))
    n, k = len(data), len(fit.names) + rank
    np.testing.assert_allclose(corrected / plain, n / (n - k), rtol=1e-12)
