"""Scores of independent units, summed over pieces, against sums written out."""

import numpy as np
import pytest

from dsl.engine.models.linear import LINEAR
from dsl.engine.sums import Problem, score_sums, unit_scores

SAME_ALGEBRA = 1e-12
"""Relative: the same sums in another order."""
ROWS, K, CLUSTERS = 101, 3, 7


@pytest.mark.parametrize("cuts", [[], [50], [1, 2, 60, 100]])
@pytest.mark.parametrize("clustered", [False, True])
def test_clusters_that_lie_in_several_pieces(cuts: list[int], clustered: bool) -> None:
    """Sum over clusters of s s', s the sum of a cluster's scores, wherever its rows are."""
    rng = np.random.default_rng(0)
    scores, cluster = rng.normal(size=(ROWS, K)), rng.integers(0, CLUSTERS, ROWS)
    names = tuple("abc")
    problem = Problem(link=LINEAR, names=names)
    if clustered:
        problem = Problem(link=LINEAR, names=names, cluster=cluster, n_clusters=CLUSTERS)
    moment, meat = score_sums(unit_scores(iter(np.split(scores, cuts)), problem), K)
    member = np.eye(CLUSTERS)[cluster].T if clustered else np.eye(ROWS)
    np.testing.assert_allclose(moment, scores.sum(axis=0), rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(meat, (member @ scores).T @ (member @ scores), rtol=SAME_ALGEBRA)
