"""Named learners: a short name, a list of names, or any scikit-learn estimator -> one object to fit.

Every learner made here has ``fit(x, y)`` and ``predict(x)``. A prediction is one number a row, the conditional mean
of the gold value. DSL is valid for any learner because the sampling probabilities are known (DSL-2024, section 4):
a better learner gives narrower intervals, never a different target.

scikit-learn is imported when a learner that needs it is fitted, so that ``import dsl`` stays light.
"""

from __future__ import annotations

import copy
import difflib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Self, TypeGuard, get_args

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.exceptions import ArgumentError, DataError, EstimationError, MissingDependencyError
from dsl.learners import library
from dsl.learners.auto import CANDIDATES, AutoChoice, Classifier, Fittable, Learner, Method, choose, gold_folds
from dsl.learners.library import Family, Setting

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

BLOCK = 20_000  # rows predicted at a time, so that memory does not grow with the number of rows
MANY_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    build: Callable[[Setting], Fittable]
    description: str
    aliases: tuple[str, ...] = ()
    requires: str = ""


_ENTRIES = (
    _Entry("auto", lambda s: _Auto(s.family, s.seed), "one of ridge, surface, xgboost, chosen by cross-validation"),
    _Entry("lm", lambda s: library.LeastSquares(), "least squares"),
    _Entry("glm", library.glm, "least squares (gaussian), logistic regression (binomial)"),
    _Entry("logit", library.logit, "logistic regression of gold values in [0, 1], whatever the family", ("logistic",)),
    _Entry("mean", lambda s: library.Mean(), "the mean of the labelled rows"),
    _Entry("ridge", library.ridge, "ridge regression, penalty by leave-one-out (binomial: ridge logistic)"),
    _Entry("glmnet", library.glmnet, "elastic net, penalty by cross-validation"),
    _Entry("gam", library.gam, "ridge regression on cubic splines of the features"),
    _Entry("surface", library.surface, "gam plus products of pairs; 0/1 gold: logistic", ("response_surface",)),
    _Entry("ranger", library.forest, "random forest of 500 trees", ("randomForest", "rf")),
    _Entry("grf", library.honest_forest, "honest regression forest of 500 trees", ("regression_forest",), "econml"),
    _Entry("xgboost", library.boosting, "gradient boosting set for small samples (scikit-learn's)", ("gbm",)),
    _Entry("knn", library.neighbours, "ten nearest neighbours"),
    _Entry("svm", library.vector_machine, "support vector machine with radial kernel", ("ksvm",)),
    _Entry("nnet", library.network, "neural network with one hidden layer of eight", ("mlp",)),
    _Entry("stack", lambda s: _stack(CANDIDATES, s), "ridge, surface and xgboost, weights by least squares"),
)


def _key(name: str) -> str:
    return name.strip().removeprefix("SL.").replace("_", "").replace(".", "").casefold()


_BY_NAME = {_key(name): entry for entry in _ENTRIES for name in (entry.name, *entry.aliases)}


def _entry(name: str) -> _Entry:
    found = _BY_NAME.get(_key(name))
    if found is None:
        valid = [entry.name for entry in _ENTRIES]
        near = difflib.get_close_matches(_key(name), list(_BY_NAME), n=1, cutoff=0.5)
        hint = f" Did you mean {_BY_NAME[near[0]].name!r}?" if near else ""
        raise ArgumentError(f"unknown sl_method {name!r}.{hint} Valid names: {', '.join(valid)}.")
    return found


def available_method() -> pd.DataFrame:
    """List the learners that ``sl_method`` knows by name.

    Returns
    -------
    pandas.DataFrame
        One row a learner: ``method``, ``aliases``, ``description``, ``requires`` (an extra package, or empty). Names
        may carry R's prefix: ``"SL.glmnet"`` is ``"glmnet"``.

    Examples
    --------
    >>> from dsl.learners.names import available_method
    >>> available_method().loc[:2, "method"].tolist()
    ['auto', 'lm', 'glm']
    """
    rows = [(e.name, ", ".join(e.aliases), e.description, e.requires) for e in _ENTRIES]
    return pd.DataFrame(rows, columns=["method", "aliases", "description", "requires"])


def _zero_one(y: FloatArray) -> bool:
    return bool(np.all((y == 0.0) | (y == 1.0)))


def _probability_or_value(estimator: Fittable, x: FloatArray, name: str) -> FloatArray:
    if _is_classifier(estimator):
        column = list(estimator.classes_).index(1)
        out = np.asarray(estimator.predict_proba(x), dtype=np.float64)[:, column]
    else:
        out = np.asarray(estimator.predict(x), dtype=np.float64)
        if out.shape not in {(len(x),), (len(x), 1)}:
            raise ArgumentError(
                f"{name} predicted an array of shape {out.shape} for {len(x)} rows; one number a row is needed"
            )
        out = out.reshape(len(x))
    missing = np.count_nonzero(~np.isfinite(out))
    if missing:
        raise EstimationError(
            f"{name} predicted missing or infinite values for {missing} of {len(x)} rows; use another learner, "
            "or rescale the features"
        )
    return out


def _check_classifier(estimator: Fittable, y: FloatArray, name: str) -> None:
    if not _zero_one(y):
        found = ", ".join(f"{value:g}" for value in np.unique(y)[:5])
        raise ArgumentError(
            f"{name} is a classifier, but the gold values are not 0/1 (found {found}, ...); use a regressor"
        )
    if not hasattr(estimator, "predict_proba"):
        raise ArgumentError(
            f"the classifier {name} has no predict_proba; wrap it in sklearn.calibration.CalibratedClassifierCV, "
            "or use a regressor"
        )


def _is_classifier(estimator: object) -> TypeGuard[Classifier]:
    if type(estimator).__module__.startswith("dsl."):
        return False
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except (AttributeError, TypeError):  # not a scikit-learn object
        return hasattr(estimator, "predict_proba")


@cache
def _thread_pools(scikit_learn: bool) -> ThreadpoolController:
    """Controller of the thread pools loaded so far."""
    from threadpoolctl import ThreadpoolController

    if scikit_learn:
        import sklearn.ensemble  # noqa: F401 (brings its own)
    return ThreadpoolController()


@contextmanager
def _calm(estimator: object, threads: int | None) -> Iterator[None]:
    """Limit threads. Of a learner of ours that stopped at its limit say nothing (it is slightly worse, never wrong).

    `threads` is None for an estimator of the user, whose warnings are left alone.
    """
    light = isinstance(estimator, library.LeastSquares | library.Mean | library.Stack | _Auto)
    with _thread_pools(not light).limit(limits=threads), warnings.catch_warnings():
        if not light and threads is not None:
            from sklearn.exceptions import ConvergenceWarning

            warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass
class _Fitted:
    """A learner with the common behaviour: constant gold and features, classes, limits, seeds, threads."""

    name: str
    sl_method: Method
    family: Family
    seed: int

    @property
    def named(self) -> bool:
        """Whether the learner is one of ours: an estimator of the user keeps its own ways."""
        return isinstance(self.sl_method, str)

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Fit on labelled rows x (n, p), y (n,)."""
        if self.family == "binomial" and (y.min() < 0.0 or y.max() > 1.0):
            raise DataError(
                f"family='binomial' needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use family='gaussian', or rescale them."
            )
        if self.named:
            # a training fold can lack a rare value: a constant column there has no scale, and rounding must not make
            # one
            self.varies_ = x.std(axis=0) > 1e-13 * np.abs(x).max(axis=0)
        x = self._columns(x)
        if len(y) < 2 or x.shape[1] == 0 or y.min() == y.max():
            # nothing to learn from: many estimators stop with an error here, the mean is right
            self.estimator_: Fittable = library.Mean().fit(x, y)
            return self
        # size of the smaller class, which limits the number of stratified folds
        rarer = int(min(y.sum(), len(y) - y.sum())) if _zero_one(y) else 0
        setting = Setting(n=len(y), p=x.shape[1], family=self.family, rarer=rarer, seed=self.seed)
        self.estimator_ = _build(self.sl_method, setting)
        classes = _is_classifier(self.estimator_)
        if classes:
            _check_classifier(self.estimator_, y, self.name)
        with _calm(self.estimator_, self._threads):
            self.estimator_.fit(x, y.astype(np.int64) if classes else y)
        return self

    def _columns(self, x: FloatArray) -> FloatArray:
        return x[:, self.varies_] if self.named and not self.varies_.all() else x

    @property
    def _threads(self) -> int | None:
        """One thread for learners of ours, as `n_jobs` is what makes several fits at a time.

        Where other processes share the cores, a second thread waits for them in every parallel region: 100 trees on
        20,000 rows then took .77 s instead of .05 s (measured).
        """
        return 1 if self.named else None

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict rows x (m, p): an array (m,)."""
        step = BLOCK if self.named else max(len(x), 1)
        parts = [np.zeros(0)]
        with _calm(self.estimator_, self._threads):
            for start in range(0, len(x), step):
                block = self._columns(x[start : start + step])
                parts.append(_probability_or_value(self.estimator_, block, self.name))
        out = np.concatenate(parts)
        # regressors may leave [0, 1], where a conditional mean of values in it cannot lie
        return np.clip(out, 0.0, 1.0) if self.family == "binomial" else out


def _set_seeds(estimator: Fittable, seed: int) -> Fittable:
    """Set every nested ``random_state`` that is None."""
    if not (hasattr(estimator, "get_params") and hasattr(estimator, "set_params")):
        return estimator
    params = estimator.get_params(deep=True)
    unset = {k: seed for k, v in params.items() if k.split("__")[-1] == "random_state" and v is None}
    estimator.set_params(**unset)
    for value in params.values():  # cross-validation splitters are not estimators
        if not hasattr(value, "get_params") and getattr(value, "shuffle", False) and value.random_state is None:
            value.random_state = seed
    return estimator


def _is_fittable(sl_method: object) -> TypeGuard[Fittable]:
    return not isinstance(sl_method, type) and hasattr(sl_method, "fit") and hasattr(sl_method, "predict")


def _kind(sl_method: object) -> str:
    if isinstance(sl_method, str):
        return "name"
    if isinstance(sl_method, list | tuple):
        return "list"
    if _is_fittable(sl_method):
        return "estimator"
    if callable(sl_method):
        return "factory"
    raise ArgumentError(
        f"sl_method must be a name, a list of names, a scikit-learn estimator or a function that returns one; "
        f"found {type(sl_method).__name__}"
    )


def _stack(members: Sequence[Method], s: Setting) -> library.Stack:
    return library.Stack([partial(make_learner, m, family=s.family, seed=s.seed) for m in members], s.seed)


def _build(sl_method: Method, s: Setting) -> Fittable:
    """An unfitted estimator that nobody else holds."""
    if isinstance(sl_method, str):
        return _entry(sl_method).build(s)
    if isinstance(sl_method, list | tuple):
        return _stack(sl_method, s)
    if _is_fittable(sl_method):
        if not hasattr(sl_method, "get_params"):
            return copy.deepcopy(sl_method)
        from sklearn.base import clone

        return _set_seeds(clone(sl_method), s.seed)
    assert callable(sl_method)  # as `check_method` saw
    return _set_seeds(sl_method(), s.seed)


def check_method(sl_method: Method, family: str) -> None:
    """Raise early for a learner or family that cannot be used.

    Parameters
    ----------
    sl_method : str, list, estimator or callable
        As in ``dsl.dsl``.
    family : {"gaussian", "binomial"}
        As in ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        Unknown name or family, or an object without ``fit`` and ``predict``.
    MissingDependencyError
        The learner needs an extra package that is not installed.

    Examples
    --------
    >>> from dsl.learners.names import check_method
    >>> check_method("lm", "gaussian")
    >>> check_method("rangr", "gaussian")
    Traceback (most recent call last):
    ...
    dsl.exceptions.ArgumentError: unknown sl_method 'rangr'. Did you mean 'ranger'? Valid names: auto, lm, ...
    """
    if not isinstance(family, str) or family not in get_args(Family):
        raise ArgumentError(f"family must be 'gaussian' or 'binomial'; found {family!r}")
    kind = _kind(sl_method)
    if isinstance(sl_method, list | tuple):
        if not sl_method:
            raise ArgumentError("sl_method is an empty list; name at least one learner")
        for member in sl_method:
            check_method(member, family)
    elif kind == "factory" and callable(sl_method):
        try:
            made = sl_method()
        except TypeError as error:
            raise ArgumentError(f"sl_method could not be called without arguments: {error}") from error
        if not (hasattr(made, "fit") and hasattr(made, "predict")):
            raise ArgumentError(f"sl_method() returned {type(made).__name__}, which has no fit and predict")
    elif isinstance(sl_method, str):
        entry = _entry(sl_method)
        if entry.requires and importlib.util.find_spec(entry.requires) is None:
            raise MissingDependencyError(
                f"sl_method={sl_method!r} needs the package {entry.requires!r}, which is not installed: "
                f'pip install "dsl[{entry.name}]"'
            )


def method_label(sl_method: Method) -> str:
    """Short text that names the learner in a summary.

    Examples
    --------
    >>> from dsl.learners.names import method_label
    >>> method_label("SL.glmnet")
    'glmnet'
    >>> method_label(["lm", "gam"])
    'stack(lm, gam)'
    """
    kind = _kind(sl_method)
    if isinstance(sl_method, str):
        return _entry(sl_method).name
    if isinstance(sl_method, list | tuple):
        return f"stack({', '.join(method_label(member) for member in sl_method)})"
    if kind == "factory":
        return str(getattr(sl_method, "__name__", type(sl_method).__name__))
    steps = getattr(sl_method, "steps", None)
    return type(steps[-1][1] if steps else sl_method).__name__


def make_learner(sl_method: Method, *, family: str = "gaussian", seed: int = 0) -> Learner:
    """Make an unfitted learner.

    Parameters
    ----------
    sl_method : str, list, estimator or callable
        A name (see ``available_method``), a list of names or estimators, which are stacked, a scikit-learn regressor,
        classifier or pipeline, which is copied, or a function of no argument that returns one.
    family : {"gaussian", "binomial"}
        Binomial: gold values in [0, 1], predictions within [0, 1].
    seed : int
        Given to every ``random_state`` left at None.

    Returns
    -------
    Learner
        ``fit(x, y)`` with x (n, p) and y (n,), and ``predict(x)``, which returns an array (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from dsl.learners.names import make_learner
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> make_learner("lm").fit(x, 1.0 + 2.0 * x[:, 0]).predict(np.array([[10.0]])).round(6)
    array([21.])
    """
    check_method(sl_method, family)
    known: Family = "binomial" if family == "binomial" else "gaussian"
    return _Fitted(method_label(sl_method), sl_method, known, seed)


def choose_auto(
    x: FloatArray,
    y: FloatArray,
    *,
    family: str,
    seed: int,
    groups: IntArray | None = None,
    n_rows: int | None = None,
) -> AutoChoice:
    """Choose a learner by five-fold cross-validation on the labelled rows.

    The first of ridge, surface and xgboost whose squared error is within one standard error of the smallest.
    Where the features take so few values that a linear or response surface model fits every one, nothing is compared.

    Parameters
    ----------
    x, y : ndarray
        Features (n, p) and gold values (n,) of the labelled rows.
    family : {"gaussian", "binomial"}
        As in ``make_learner``.
    seed : int
        Draws the folds and seeds the candidates.
    groups : ndarray, optional
        Cluster of each row (n,): whole clusters are held out.
    n_rows : int, optional
        Rows to be predicted later. Above a million, tree learners (about 5 seconds per million predictions) are left
        out, and the reason says so.

    Returns
    -------
    AutoChoice
        Method, cross-validated mean squared error of each candidate (empty where there was nothing to choose), reason.

    Examples
    --------
    >>> import numpy as np
    >>> from dsl.learners.names import choose_auto
    >>> surrogate = np.repeat([0.0, 1.0], 50)[:, None]
    >>> choose_auto(surrogate, 1.0 - surrogate[:, 0], family="gaussian", seed=1).method
    'lm'
    """
    folds = gold_folds(y, 5, seed, groups)
    many = n_rows is not None and n_rows > MANY_ROWS
    candidates = [name for name in CANDIDATES if not (many and name == "xgboost")]
    make = {name: partial(make_learner, name, family=family, seed=seed) for name in candidates}
    choice = choose(make, x, y, folds, groups)
    if many and choice.losses:
        return replace(choice, reason=f"{choice.reason}; trees left out because {n_rows:,} rows are predicted")
    return choice


class _Auto:
    """``"auto"`` inside a stack or on its own: choose, then fit."""

    def __init__(self, family: Family, seed: int) -> None:
        self.family = family
        self.seed = seed

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """Choose on these rows and fit."""
        self.choice_ = choose_auto(x, y, family=self.family, seed=self.seed)
        self.learner_ = make_learner(self.choice_.method, family=self.family, seed=self.seed).fit(x, y)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """Predict with the chosen learner."""
        return self.learner_.predict(x)
