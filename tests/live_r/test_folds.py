"""R's fold draws in Python against R's ``sample``."""

import numpy as np
import pytest

from dsl.learners.rfolds import RSample, folds_like_r

from .rscript import rscript


@pytest.fixture(autouse=True, scope="session")
def _started() -> None:
    """These tests use ``Rscript``, not the embedded R."""


def draws() -> list[tuple[int, int, int]]:
    """300 sizes, numbers of folds and seeds; small ones, powers of two, and large ones."""
    rng = np.random.default_rng(0)
    sizes = [*range(2, 60), *(2**j + d for j in range(6, 17) for d in (-1, 0, 1)), *rng.integers(60, 2_000, 209)]
    seeds = [1234, 0, 1, 42, 99, 2**31 - 1, *rng.integers(0, 2**31 - 1, len(sizes))]
    return [(int(n), int(rng.integers(2, min(n, 20) + 1)), int(seed)) for n, seed in zip(sizes, seeds, strict=False)]


def test_folds_equal_rs_sample() -> None:
    cases = draws()
    assert len(cases) >= 200
    listed = ", ".join(f"c({n}, {k}, {seed})" for n, k, seed in cases)
    code = f"""
    for (case in list({listed})) {{
      n <- case[1]; k <- case[2]; set.seed(case[3])
      base <- c(rep(1:k, each = n %/% k), if (n %% k > 0) 1:(n %% k))
      cat(sample(base), "\\n")
    }}
    """
    lines = rscript(code).strip().splitlines()
    assert len(lines) == len(cases)
    for line, (n, k, seed) in zip(lines, cases, strict=True):
        ours = folds_like_r(n, cross_fit=k, sample_split=1, seed=seed)[0]
        assert ours.tolist() == [int(v) for v in line.split()], (n, k, seed)


def test_consecutive_draws_continue_the_stream() -> None:
    lines = rscript('set.seed(5); for (n in c(10, 70000, 3, 1, 25)) cat(sample(n), "\\n")').strip().splitlines()
    stream = RSample(5)
    for line, n in zip(lines, (10, 70000, 3, 1, 25), strict=True):
        assert stream.permutation(n).tolist() == [int(v) for v in line.split()]


def test_clusters_are_sorted_as_a_factors_levels() -> None:
    labels = ["doc_10", "doc_9", "Doc_1", "b", "B", "a-1", "a 1", "_z", "10", "9"]
    listed = ", ".join(f'"{label}"' for label in labels)
    code = (
        f"set.seed(7); l <- levels(factor(c({listed}))); f <- sample(rep(1:5, each = 2)); cat(f[match(c({listed}), l)])"
    )
    expected = [int(v) for v in rscript(code).split()]
    assert folds_like_r(labels, cross_fit=5, sample_split=1, seed=7)[0].tolist() == expected
