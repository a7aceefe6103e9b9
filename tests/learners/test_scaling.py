"""Columns on common scales, to the last digit scikit-learn's."""

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

from dsl.learners.scaling import Pairs, Standardised, Unit

pytestmark = pytest.mark.numeric


def columns(order: str) -> np.ndarray:
    """Far from zero, tiny, constant, constant but for rounding, 0/1, with fat tails."""
    rng = np.random.default_rng(0)
    n = 137
    return np.array(
        [
            rng.normal(size=n) + 1e6,
            1e-9 * rng.normal(size=n),
            np.full(n, 0.1),
            np.where(np.arange(n) % 2, 0.3, 0.1 + 0.2),
            (rng.random(n) < 0.3).astype(float),
            rng.standard_t(1, size=n),
        ]
    ).T.copy(order)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Standardised, StandardScaler()),
        (Unit, MinMaxScaler(clip=True)),
        (Pairs, PolynomialFeatures(2, interaction_only=True, include_bias=False)),
    ],
)
def test_scikit_learn_has_the_same(ours: type[Standardised], theirs: StandardScaler, order: str) -> None:
    x = columns(order)
    train, new = x[:100], 2.0 * x[100:]
    own, before = ours(), x.copy()
    np.testing.assert_array_equal(own.fit_transform(train), theirs.fit_transform(train))
    np.testing.assert_array_equal(own.transform(new), theirs.transform(new))
    np.testing.assert_array_equal(x, before)
