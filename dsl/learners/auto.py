"""What ``sl_method="auto"`` does: cross-validation of a few candidates, simplest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, BoolArray, FloatArray, IntArray
from dsl.engine.covariance import unit_sums
from dsl.learners.text.rows import Prepared, Rows, TextRows

# Mean squared distance to the known E[gold | features], seven features (benchmarks/learners.py: 5 draws at n = 500, 2 at
# n = 5000; binary gold x 1000, continuous gold x 100):
#
#     n     truth          auto   ridge  surface  xgboost    lm    gam  ranger  stack
#     500   curved         17.1    63.3     17.1     40.2  64.8   37.0    33.3   17.7
#           curved + llm   14.9    35.0     14.9     29.8  34.9   24.2    24.1   15.5
#           appendix E     10.2    10.5      8.7     15.2  13.3   10.8    14.3    8.6
#           rules          35.1    50.9     32.5     37.1  50.9   33.0    27.0   29.6
#           linear          4.0     4.0     13.5     24.7   4.2    8.7    15.5    4.2
#           llm + noise     1.7     1.7      4.8      8.4   1.6    3.0     9.2    1.8
#           continuous     28.9   247.4     28.9     96.9 248.6  123.0   116.6   29.2
#           cont. rules    58.6   115.4     66.0     55.9 116.1   73.4    59.9   52.2
#           cont. linear    3.2     3.2      8.0     29.6   3.2    6.1    26.2    3.6
#     5000  curved          2.2    58.3      2.2     14.5  59.2   28.6
#           curved + llm    1.8    33.4      1.8     12.5  34.3   16.9
#           appendix E      2.5     8.2      2.5      4.8  12.5    7.0
#           rules           9.3    46.6     18.4      9.3  46.5   24.1
#           linear          0.3     0.3      2.3      5.0   0.8    1.1
#           llm + noise     0.2     0.2      0.9      0.9   0.2    0.5
#           continuous      2.7   237.0      2.7     52.6 237.0  110.8
#           cont. rules    14.7   112.1     42.2     14.7 112.1   58.9
#           cont. linear    0.5     0.5      1.2      7.2   0.5    0.9
#
# Against the gold labels, which count for the standard errors, "auto" was at most 1.4% above the best of ridge, surface,
# xgboost, lm and gam (appendix E, n = 500). A smaller margin than one standard error helped there and lost as much for
# "llm + noise". "stack" is as good or better at n = 500, at several times the cost.
CANDIDATES = ("ridge", "surface", "xgboost")  # simplest first
TEXT_CANDIDATES = ("tfidf",)
"""Candidates more, where texts are given."""
HOPELESS, ENOUGH = 4.0, 50
"""Standard errors above another candidate's error, on so many rows at least, at which a candidate is tried on no further fold."""
SEARCHED = "cross-validated squared error"
"""How the reason of a choice begins where candidates were compared."""


class Learner(Protocol):
    """What the rest of the package needs from a learner."""

    def fit(self, x: Rows, y: FloatArray) -> Self:
        """Learn from labelled rows: x (n, p), y (n,)."""
        ...

    def predict(self, x: Rows) -> FloatArray:
        """Predict rows x (m, p): an array (m,)."""
        ...


class Fittable(Protocol):
    """A regressor or classifier with scikit-learn's two methods. A classifier has ``predict_proba`` and ``classes_`` too."""

    # rows are an array, or for learners that read texts a `TextRows`: each takes its own kind
    def fit(self, x: Any, y: AnyArray, /) -> object:
        """Learn from labelled rows: x (n, p), y (n,)."""
        ...

    def predict(self, x: Any, /) -> ArrayLike:
        """Predict rows x (m, p): an array (m,) or (m, 1)."""
        ...


class Classifier(Protocol):
    """A classifier of scikit-learn."""

    classes_: Sequence[object]

    def predict_proba(self, x: Any, /) -> ArrayLike:
        """Probability of each class: (m, classes)."""
        ...


Method: TypeAlias = str | Fittable | Sequence["Method"] | Callable[[], Fittable] | Prepared
"""What ``sl_method`` may be: a name, an estimator, several of them to stack, or a function that returns an estimator. Inside,
also one of these with the key of what it made of the texts."""


def gold_folds(y: FloatArray, k: int, seed: int, groups: IntArray | None = None) -> IntArray:
    """Fold ids (n,), balanced over sorted gold values, with whole groups together when given."""
    rng = np.random.default_rng(seed)
    if groups is not None:
        labels, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        of_label = np.empty(len(labels), dtype=np.int64)
        # the largest groups first, one a fold in turn: folds of about the same size
        of_label[np.lexsort((rng.random(len(labels)), -sizes))] = np.arange(len(labels)) % min(k, len(labels))
        return np.asarray(of_label[codes])
    k = min(k, len(y))
    turns = rng.random((-(-len(y) // k), k)).argsort(axis=1).ravel()  # each run of k neighbours in gold: one a fold
    folds = np.empty(len(y), dtype=np.int64)
    folds[np.lexsort((rng.random(len(y)), y))] = turns[: len(y)]
    return folds


def cross_predict(new: Callable[[], Learner], x: Rows, y: FloatArray, folds: IntArray) -> FloatArray:
    """Out-of-fold predictions (n,)."""
    out = np.empty(len(y))
    for held_out, values in _by_fold(new, x, y, folds):
        out[held_out] = values
    return out


def _by_fold(
    new: Callable[[], Learner], x: Rows, y: FloatArray, folds: IntArray
) -> Iterator[tuple[BoolArray, FloatArray]]:
    """Each fold's rows (n,), and their predictions."""
    for fold in np.unique(folds):
        held_out = folds == fold
        yield held_out, new().fit(x[~held_out], y[~held_out]).predict(x[held_out])


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoChoice:
    """What ``"auto"`` chose: a name for ``make_learner``, the cross-validated errors it saw, and why."""

    method: str
    losses: dict[str, float]
    reason: str


def _without_search(x: Rows, y: FloatArray, folds: IntArray) -> AutoChoice | None:
    """Choose from the shape of the data alone, where that is enough."""
    if np.unique(folds).size < 2:
        return AutoChoice(method="lm", losses={}, reason="too few labelled rows or clusters to hold any out")
    if y.min() == y.max():
        return AutoChoice(method="mean", losses={}, reason="all gold values are equal")
    # texts are more than the numbers beside them
    if isinstance(x, TextRows):
        return None
    if x.shape[1] > 12 or len(np.unique(x[:64], axis=0)) > 16:  # the second is a cheap refusal
        return None
    cells = np.unique(x, axis=0)
    if len(cells) > 16:
        return None
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(cells)), cells])) == len(cells):
        why = (
            f"the features take only {len(cells)} values, which least squares fits exactly; no other learner was tried"
        )
        return AutoChoice(method="lm", losses={}, reason=why)
    why = f"the features take only {len(cells)} combinations of values, for which a response surface is flexible enough"
    return AutoChoice(method="surface", losses={}, reason=f"{why}; no other learner was tried")


def choose(
    make: Mapping[str, Callable[[], Learner]],
    x: Rows,
    y: FloatArray,
    folds: IntArray,
    groups: IntArray | None = None,
    twins: Mapping[str, str] | None = None,
) -> AutoChoice:
    """Choose among candidates, simplest first, by cross-validated squared error, from x (n, p) and y (n,).

    `twins` maps candidates to earlier ones that are the same on these data, whose errors they share. A candidate that is worse
    than another by `HOPELESS` standard errors after some folds is out.

    The one-standard-error rule (Breiman, Friedman, Olshen and Stone 1984) on paired errors: the first candidate whose
    error is at most one standard error of the difference above the smallest. Clusters are summed first.
    """
    obvious = _without_search(x, y, folds)
    if obvious is not None:
        return obvious
    errors: dict[str, FloatArray] = {}
    for name, new in make.items():
        twin = (twins or {}).get(name)
        known = list(errors.values())
        errors[name] = _squared_errors(new, x, y, folds, groups, known) if twin is None else errors[twin]
    losses = {name: float(np.nanmean(error)) for name, error in errors.items()}
    whole = [name for name, error in errors.items() if not np.isnan(error).any()]
    least = min(whole, key=losses.__getitem__)
    # paired differences of squared errors: what is hard to predict for all candidates cancels
    gaps = {name: unit_sums(errors[name] - errors[least], groups) for name in whole}
    chosen = next(n for n, gap in gaps.items() if n == least or not _larger(gap, 1.0))
    reason = f"{SEARCHED} of {', '.join(losses)}: "
    reason += "the smallest" if chosen == least else f"simplest within one standard error of the smallest ({least})"
    return AutoChoice(method=chosen, losses=losses, reason=reason)


def _squared_errors(
    new: Callable[[], Learner],
    x: Rows,
    y: FloatArray,
    folds: IntArray,
    groups: IntArray | None,
    known: Sequence[FloatArray],
) -> FloatArray:
    """Squared errors of out-of-fold predictions (n,).

    NaN in the folds that are left once the candidate is clearly worse than another, whose errors are `known`.
    """
    out = np.full(len(y), np.nan)
    for held_out, values in _by_fold(new, x, y, folds):
        out[held_out] = (y[held_out] - values) ** 2
        seen = ~np.isnan(out)
        for other in known:
            gap = unit_sums((out - other)[seen], None if groups is None else groups[seen])
            if len(gap) >= ENOUGH and _larger(gap, HOPELESS):
                return out
    return out


def _larger(gap: FloatArray, errors: float) -> bool:
    """Whether the sum of paired differences is above so many of its standard errors."""
    # sum of the gaps against sqrt(n) sd, which is the mean gap against its standard error
    return bool(gap.sum() > errors * np.sqrt(len(gap)) * gap.std(ddof=1))
