"""Elastic net against scikit-learn's, which looks at every penalty."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNetCV
from sklearn.model_selection import KFold

from dsl.learners import elastic
from dsl.learners.elastic import ITERATIONS, RATIOS, ElasticNet

pytestmark = pytest.mark.numeric


def drawn(n: int, d: int, signal: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + rng.normal(size=(n, 1)) * 0.5
    return x, 3.0 + signal * x[:, : min(d, 10)].sum(axis=1) + rng.normal(size=n)


@pytest.mark.parametrize(
    ("n", "d", "signal"), [(100, 8, 0.3), (100, 40, 0.3), (60, 120, 0.5), (80, 30, 0.0), (12, 1, 1.0), (7, 3, 1.0)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_whole_path_finds_the_same(n: int, d: int, signal: float, seed: int) -> None:
    x, y = drawn(n, d, signal, seed)
    folds = KFold(min(5, n), shuffle=True, random_state=seed)
    options = {"l1_ratio": list(RATIOS), "cv": folds, "max_iter": ITERATIONS, "precompute": d <= n}
    theirs, ours = ElasticNetCV(**options).fit(x, y), ElasticNet(folds).fit(x, y)
    assert (ours.ratio_, ours.penalty_) == (theirs.l1_ratio_, pytest.approx(theirs.alpha_, rel=1e-12))
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-9)


def test_paths_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where columns are noise, small penalties are not tried."""
    tried = []
    own = elastic._path

    def noted(*arguments: np.ndarray) -> np.ndarray:
        tried.append(float(arguments[3].min()))
        return own(*arguments)

    monkeypatch.setattr(elastic, "_path", noted)
    x, y = drawn(200, 60, 0.1, 3)
    found = ElasticNet(KFold(5)).fit(x, y)
    assert 0.0 < found.penalty_ / 50.0 < min(tried)


def test_values_without_any_relation() -> None:
    x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    found = ElasticNet(KFold(2)).fit(x, np.array([1.0, 1.0, -1.0, -1.0]))
    np.testing.assert_allclose(found.predict(x), 0.0, atol=1e-12)
