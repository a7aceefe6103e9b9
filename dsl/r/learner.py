"""A learner of R as a scikit-learn estimator."""

import re
from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from dsl._typing import FloatArray, Record
from dsl.exceptions import ArgumentError, EstimationError
from dsl.r.convert import to_sexp
from dsl.r.restore import from_sexp
from dsl.r.session import Sexp, need_package, run, session


class RLearner(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Any learner of R, for ``dsl.dsl(sl_method=RLearner("grf"))`` or wherever a scikit-learn estimator goes.

    Parameters
    ----------
    learner : str or list of str
        - ``"grf"``: ``grf::regression_forest``, as in the reference.
        - ``"SL.glmnet"``, ``"SL.ranger"``, ... or a list of them: a super learner of the R package SuperLearner.
        - ``"package::function"``: any function called as ``f(y ~ ., data)`` whose result ``predict()``
          understands: ``"stats::lm"``, ``"ranger::ranger"``, ``"randomForest::randomForest"``, ``"mgcv::gam"``, ...
    family : {"gaussian", "binomial"}
        With ``"binomial"``, learners that have a family model probabilities.
    options : dict, optional
        Further arguments of the R function.
    random_state : int, optional
        R's seed before fitting, which ``dsl.dsl`` sets.

    Attributes
    ----------
    model_ : R object
        The fitted model.
    n_features_in_ : int

    Raises
    ------
    MissingDependencyError
        When fitting: R, rpy2 or the learner's R package is missing.
    RError
        R stopped.

    Notes
    -----
    R runs in one thread. With ``n_jobs`` other than 1 each process starts its own R. Fitted learners travel between
    processes as R serialises them.

    Examples
    --------
    >>> import dsl
    >>> from dsl.r import RLearner
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> dsl.dsl("human_rating ~ negation", tweets, predicted_var="human_rating", prediction="vader_compound",
    ...         sl_method=RLearner("ranger::ranger", options={"num.trees": 200}))  # doctest: +SKIP
    <DSLResults lm (dsl): human_rating ~ negation; 9390 rows, 1000 labelled>
    """

    def __init__(
        self,
        learner: str | Sequence[str] = "grf",
        *,
        family: str = "gaussian",
        options: Record | None = None,
        random_state: int | None = None,
    ) -> None:
        self.learner = learner
        self.family = family
        self.options = options
        self.random_state = random_state

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit on rows x (n, p) and values y (n,)."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if self.family not in ("gaussian", "binomial"):
            raise ArgumentError(f"family must be 'gaussian' or 'binomial'; found {self.family!r}")
        kind, names = self._kind()
        options = to_sexp(dict(self.options or {}))
        # R's seeds are 32-bit integers with a sign
        seed = None if self.random_state is None else float(self.random_state % 2**31)
        fitted = run("learner_fit", *map(to_sexp, (kind, names, x, y, self.family)), options, to_sexp(seed))
        self.model_: Sexp = fitted.value
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predictions (m,) of rows x (m, p)."""
        check_is_fitted(self, "model_")
        x = np.asarray(x, dtype=float)
        kind, _ = self._kind()
        found = from_sexp(run("learner_predict", to_sexp(kind), self.model_, to_sexp(x), to_sexp(self.family)).value)
        out = np.ravel(np.asarray(found, dtype=float))
        if len(out) != len(x):
            raise EstimationError(
                f"R's {self.learner} predicted {len(out)} values for {len(x)} rows; its predict() must give one number a row"
            )
        return out

    def _kind(self) -> tuple[str, list[str]]:
        """How R is asked, and for what."""
        names = [self.learner] if isinstance(self.learner, str) else list(self.learner)
        if names in (["grf"], ["regression_forest"], ["grf::regression_forest"]):
            need_package("grf", "RLearner('grf')")
            return "grf", names
        if names and all(name.startswith("SL.") for name in names):
            need_package("SuperLearner", f"RLearner({self.learner!r})")
            return "super", names
        found = re.fullmatch(r"([\w.]+)::([\w.]+)", names[0]) if len(names) == 1 else None
        if found is None:
            raise ArgumentError(
                f"unknown R learner {self.learner!r}: use 'grf', names such as 'SL.glmnet', or 'package::function'"
            )
        need_package(found[1], f"RLearner({self.learner!r})")
        return "formula", names

    def __getstate__(self) -> Record:
        """The estimator with its R model as bytes."""
        state: Record = dict(super().__getstate__())
        if "model_" in state:
            raw = run("function(x) serialize(x, NULL)", state.pop("model_")).value
            state["model_bytes"] = bytes(raw)
        return state

    def __setstate__(self, state: Record) -> None:
        """Bring the R model back to life."""
        raw = state.pop("model_bytes", None)
        super().__setstate__(state)
        if raw is not None:
            vector = session().interface.ByteSexpVector.from_memoryview(memoryview(raw))
            self.model_ = run("unserialize", vector).value
