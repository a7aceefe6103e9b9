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
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Self, TypeGuard, get_args

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.exceptions import ArgumentError, DataError, MissingDependencyError
from dsl.learners import library
from dsl.learners.auto import (
    CANDIDATES,
    TEXT_CANDIDATES,
    AutoChoice,
    Fittable,
    Learner,
    Method,
    choose,
    gold_folds,
)
from dsl.learners.library import Family, Setting
from dsl.learners.predicted import check_classifier, is_classifier, probability_or_value, zero_one
from dsl.learners.text.rows import Prepared, Rows, TextLearner, TextRows, is_text_learner, numbers_of
from dsl.learners.threads import calm

BLOCK = 20_000  # rows predicted at a time, so that memory does not grow with the number of rows
MANY_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    build: Callable[[Setting], Fittable]
    description: str
    aliases: tuple[str, ...] = ()
    requires: str = ""
    extra: str = ""
    reads: tuple[str, ...] = ()
    """The text learners behind the name."""
    first: bool = False
    """Whether it looks at nothing but the first column, that of the (first) prediction."""


_ENTRIES = (
    _Entry(
        "auto",
        lambda s: _Auto(s.family, s.seed),
        "one of ridge, surface, xgboost (with text= also tfidf), chosen by cross-validation",
        reads=TEXT_CANDIDATES,
    ),
    _Entry("lm", lambda s: library.LeastSquares(), "least squares"),
    _Entry("glm", library.glm, "least squares (gaussian), logistic regression (binomial)"),
    _Entry("logit", library.logit, "logistic regression of gold values in [0, 1], whatever the family", ("logistic",)),
    _Entry("mean", lambda s: library.Mean(), "the mean of the labelled rows"),
    _Entry("isotonic", lambda s: library.Isotonic(), "calibration: monotone in the (first) prediction", first=True),
    _Entry("ridge", library.ridge, "ridge regression, penalty by leave-one-out (binomial: ridge logistic)"),
    _Entry("glmnet", library.glmnet, "elastic net, penalty by cross-validation"),
    _Entry("gam", library.gam, "ridge regression on cubic splines of the features"),
    _Entry("surface", library.surface, "gam plus products of pairs; 0/1 gold: logistic", ("response_surface",)),
    _Entry("ranger", library.forest, "random forest of 500 trees", ("randomForest", "rf")),
    _Entry(
        "grf", library.honest_forest, "honest regression forest of 500 trees", ("regression_forest",), "econml", "grf"
    ),
    _Entry("xgboost", library.boosting, "gradient boosting set for small samples (scikit-learn's)", ("gbm",)),
    _Entry("knn", library.neighbours, "ten nearest neighbours"),
    _Entry("svm", library.vector_machine, "support vector machine with radial kernel", ("ksvm",)),
    _Entry("nnet", library.network, "neural network with one hidden layer of eight", ("mlp",)),
    _Entry(
        "tfidf",
        library.tfidf,
        "text= and features: ridge on weighted counts of words and parts of words",
        reads=("tfidf",),
    ),
    _Entry(
        "embedding",
        library.embedding,
        "text= and features: ridge on embeddings by all-MiniLM-L6-v2",
        requires="sentence_transformers",
        extra="text",
        reads=("embedding",),
    ),
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

    def fit(self, x: Rows, y: FloatArray) -> Self:
        """Fit on labelled rows x (n, p), y (n,)."""
        x = self._seen(x)
        if self.family == "binomial" and (y.min() < 0.0 or y.max() > 1.0):
            raise DataError(
                f"family='binomial' needs gold values between 0 and 1; found {y.min():g} to {y.max():g}. "
                "Use family='gaussian', or rescale them."
            )
        if self.named:
            # a training fold can lack a rare value
            self.varies_ = library.varying(numbers_of(x))
            if isinstance(self.sl_method, str) and _entry(self.sl_method).first:
                self.varies_[1:] = False
        x = self._columns(x)
        nothing = x.shape[1] == 0 and not isinstance(x, TextRows)
        if len(y) < 2 or nothing or y.min() == y.max():
            # nothing to learn from: many estimators stop with an error here, the mean is right
            self.estimator_: Fittable = library.Mean().fit(x, y)
            return self
        # size of the smaller class, which limits the number of stratified folds
        rarer = int(min(y.sum(), len(y) - y.sum())) if zero_one(y) else 0
        setting = Setting(n=len(y), p=x.shape[1], family=self.family, rarer=rarer, seed=self.seed)
        self.estimator_ = _build(_own(self.sl_method), setting)
        classes = is_classifier(self.estimator_)
        if classes:
            check_classifier(self.estimator_, y, self.name)
        with self._calm():
            self.estimator_.fit(x, y.astype(np.int64) if classes else y)
        return self

    def _seen(self, x: Rows) -> Rows:
        """What this learner sees of rows: texts only if it reads them."""
        if not isinstance(x, TextRows):
            return x
        key = self.sl_method.key if isinstance(self.sl_method, Prepared) else self.name
        if key in x.made:
            return x.seen_by(key)
        return x if reads_texts(self.sl_method) else x.numbers

    def _columns(self, x: Rows) -> Rows:
        if not self.named or self.varies_.all():
            return x
        return x.columns(self.varies_) if isinstance(x, TextRows) else x[:, self.varies_]

    def _calm(self) -> AbstractContextManager[None]:
        own = isinstance(self.estimator_, library.LeastSquares | library.Mean | library.Stack | _Auto)
        return calm(self._threads, scikit_learn=not (own or library.is_plain(self.estimator_)))

    @property
    def _threads(self) -> int | None:
        """One thread for learners of ours, as `n_jobs` is what makes several fits at a time.

        Where other processes share the cores, a second thread waits for them in every parallel region: 100 trees on
        20,000 rows then took .77 s instead of .05 s (measured).
        """
        return 1 if self.named else None

    def predict(self, x: Rows) -> FloatArray:
        """Predict rows x (m, p): an array (m,)."""
        x = self._seen(x)
        step = BLOCK if self.named else max(len(x), 1)
        parts = [np.zeros(0)]
        with self._calm():
            for start in range(0, len(x), step):
                block = self._columns(x[start : start + step])
                parts.append(probability_or_value(self.estimator_, block, self.name))
        out = np.concatenate(parts)
        # regressors may leave [0, 1], where a conditional mean of values in it cannot lie
        return np.clip(out, 0.0, 1.0) if self.family == "binomial" else out


def _settle(estimator: Fittable, s: Setting) -> Fittable:
    """Set every nested ``random_state`` that is None, and the ``family`` of a learner that reads texts."""
    if not (hasattr(estimator, "get_params") and hasattr(estimator, "set_params")):
        return estimator
    params = estimator.get_params(deep=True)
    unset: dict[str, object] = {
        k: s.seed for k, v in params.items() if k.split("__")[-1] == "random_state" and v is None
    }
    if "family" in params and params["family"] is None and hasattr(estimator, "represent"):
        unset["family"] = s.family
    estimator.set_params(**unset)
    for value in params.values():  # cross-validation splitters are not estimators
        if not hasattr(value, "get_params") and getattr(value, "shuffle", False) and value.random_state is None:
            value.random_state = s.seed
    return estimator


def _is_fittable(sl_method: object) -> TypeGuard[Fittable]:
    return not isinstance(sl_method, type) and hasattr(sl_method, "fit") and hasattr(sl_method, "predict")


def _own(sl_method: Method) -> Method:
    """The learner that the user gave."""
    return sl_method.learner if isinstance(sl_method, Prepared) else sl_method


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

        return _settle(clone(sl_method), s)
    return _settle(as_estimator(sl_method), s)


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
    >>> check_method("lm", "gaussian")
    >>> check_method("rangr", "gaussian")
    Traceback (most recent call last):
    ...
    dsl.exceptions.ArgumentError: unknown sl_method 'rangr'. Did you mean 'ranger'? Valid names: auto, lm, ...
    """
    if not isinstance(family, str) or family not in get_args(Family):
        raise ArgumentError(f"family must be 'gaussian' or 'binomial'; found {family!r}")
    sl_method = _own(sl_method)
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
                f'pip install "dsl[{entry.extra}]"'
            )


def reads_texts(sl_method: Method) -> bool:
    """Whether a learner reads texts. A stack does where one of its members does.

    Examples
    --------
    >>> [reads_texts(method) for method in ("tfidf", ["lm", "tfidf"], "lm")]
    [True, True, False]
    """
    own = _own(sl_method)
    if isinstance(own, str):
        return bool(_entry(own).reads)
    if isinstance(own, list | tuple):
        return any(reads_texts(member) for member in own)
    return is_text_learner(as_estimator(own))


def as_estimator(sl_method: Method) -> Fittable:
    """An estimator, or what a function of no argument returns."""
    if _is_fittable(sl_method):
        return sl_method
    assert callable(sl_method)  # as `check_method` saw
    return sl_method()


def text_learners(name: str) -> dict[str, TextLearner]:
    """Unfitted text learners behind a learner's name, by the key of what they make of texts."""
    plain = Setting(n=0, p=0, family="gaussian", rarer=0, seed=0)
    built = {each: _entry(each).build(plain) for each in _entry(name).reads}
    return {each: learner for each, learner in built.items() if is_text_learner(learner)}


def method_label(sl_method: Method) -> str:
    """Short text that names the learner in a summary.

    Examples
    --------
    >>> method_label("SL.glmnet")
    'glmnet'
    >>> method_label(["lm", "gam"])
    'stack(lm, gam)'
    """
    sl_method = _own(sl_method)
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
    x: Rows,
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
    every = (*CANDIDATES, *TEXT_CANDIDATES) if isinstance(x, TextRows) else CANDIDATES
    candidates = [name for name in every if not (many and name == "xgboost")]
    make = {name: partial(make_learner, name, family=family, seed=seed) for name in candidates}
    twins = {"surface": "ridge"} if library.is_flat(numbers_of(x), y, folds, family) else {}
    choice = choose(make, x, y, folds, groups, twins)
    if many and choice.losses:
        return replace(choice, reason=f"{choice.reason}; trees left out because {n_rows:,} rows are predicted")
    return choice


class _Auto:
    """``"auto"`` inside a stack or on its own: choose, then fit."""

    def __init__(self, family: Family, seed: int) -> None:
        self.family = family
        self.seed = seed

    def fit(self, x: Rows, y: FloatArray) -> Self:
        """Choose on these rows and fit."""
        self.choice_ = choose_auto(x, y, family=self.family, seed=self.seed)
        self.learner_ = make_learner(self.choice_.method, family=self.family, seed=self.seed).fit(x, y)
        return self

    def predict(self, x: Rows) -> FloatArray:
        """Predict with the chosen learner."""
        return self.learner_.predict(x)
