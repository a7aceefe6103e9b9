"""Shares of the stages: the formula of nested labels, rows that were certain."""

import numpy as np
import pytest

from dsl.engine.stages import stage_shares

pytestmark = pytest.mark.numeric

SAME = 1e-12
"""The same formula."""


@pytest.mark.parametrize("count", [1, 3])
def test_they_make_the_nested_sum(count: int) -> None:
    """m_hat + w_1 (m_1 - m_hat) + w_1 w_2 (m_2 - m_1) + ..., row by row."""
    rng = np.random.default_rng(count)
    n = 500
    moments = rng.normal(size=(count + 2, n))
    reached, product = np.ones(n, dtype=bool), np.ones(n)
    psi, products = moments[0].copy(), []
    for stage in range(1, count + 2):
        prob = rng.uniform(0.2, 0.9, n)
        reached = reached & (rng.random(n) < prob)
        product = product * reached / prob
        products.append(product)
        psi += product * (moments[stage] - moments[stage - 1])
    final = products[-1]
    shares = stage_shares(products[:-1], final)
    np.testing.assert_allclose(sum(shares), 1.0, atol=SAME)
    mean = sum(share * moment for share, moment in zip(shares, moments[:-1], strict=True))
    np.testing.assert_allclose((1.0 - final) * mean + final * moments[-1], psi, atol=1e-9)


def test_rows_that_were_certain() -> None:
    """W of one in all stages: only the gold moment counts, and the mean is that of the predictions."""
    first, second = stage_shares([np.array([1.0, 2.0])], np.array([1.0, 4.0]))
    assert first.tolist() == [1.0, pytest.approx(1 / 3)]
    assert second.tolist() == [0.0, pytest.approx(2 / 3)]


def test_one_stage_is_the_prediction() -> None:
    (only,) = stage_shares([], np.array([0.0, 3.0, 1.0]))
    assert only.tolist() == [1.0, 1.0, 1.0]
