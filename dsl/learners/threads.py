"""Threads and warnings of learners."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@cache
def thread_pools(scikit_learn: bool) -> ThreadpoolController:
    """Controller of the thread pools loaded so far."""
    from threadpoolctl import ThreadpoolController

    if scikit_learn:
        import sklearn.ensemble  # noqa: F401 (brings its own)
    return ThreadpoolController()


@contextmanager
def calm(threads: int | None, *, scikit_learn: bool) -> Iterator[None]:
    """Limit threads. Of a learner of ours that stopped at its limit say nothing (it is slightly worse, never wrong).

    Parameters
    ----------
    threads : int or None
        None for an estimator of the user, whose warnings are left alone.
    scikit_learn : bool
        Whether the learner is one of scikit-learn's, which is then imported.
    """
    with thread_pools(scikit_learn).limit(limits=threads), warnings.catch_warnings():
        if not scikit_learn or threads is None:
            yield
            return
        from sklearn import config_context
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)
        # parameters of ours are right: looking at them takes a tenth of a small fit
        with config_context(skip_parameter_validation=True):
            yield
