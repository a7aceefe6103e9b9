"""Limits on threads and silenced warnings, for one fit or for several that follow each other."""

import warnings

import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from dsl.learners import threads
from dsl.learners.threads import calm, calm_together, thread_pools


def limits() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info()}


@pytest.fixture(autouse=True)
def three_threads() -> object:
    thread_pools.cache_clear()  # other tests may have loaded libraries with pools of their own since
    thread_pools(True)
    with threadpool_limits(limits=3):
        yield


def test_within_and_after() -> None:
    with calm(1, scikit_learn=False):
        assert limits() == {1}
    assert limits() == {3}
    with calm(None, scikit_learn=True):
        assert limits() == {3}


def test_together_until_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []
    own = threads._calm
    monkeypatch.setattr(threads, "_calm", lambda *a, **options: entered.append(options) or own(*a, **options))
    filters = list(warnings.filters)
    with calm_together():
        assert limits() == {3}
        for _ in range(3):
            with calm(1, scikit_learn=False):
                assert limits() == {1}
        assert len(entered) == 1
        for _ in range(3):
            with calm(1, scikit_learn=True), warnings.catch_warnings(record=True) as said:
                assert limits() == {1}
                assert sklearn.get_config()["skip_parameter_validation"]
                warnings.warn("stopped", ConvergenceWarning, stacklevel=1)
            assert not said
        assert len(entered) == 2
        assert limits() == {1}
    assert limits() == {3}
    assert not sklearn.get_config()["skip_parameter_validation"]
    assert list(warnings.filters) == filters
    with calm(1, scikit_learn=False):
        pass
    assert len(entered) == 3
