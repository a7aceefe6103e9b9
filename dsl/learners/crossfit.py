"""Folds and out-of-fold predictions of the gold variables, for every repeated split."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import NotRequired, TypeAlias, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, BoolArray, FloatArray, IntArray
from dsl.data.texts import Texts
from dsl.exceptions import FoldError
from dsl.learners.auto import Method
from dsl.learners.names import choose_auto, make_learner, method_label
from dsl.learners.text.prepare import prepare_texts
from dsl.learners.text.rows import Rows
from dsl.learners.threads import calm_together

SAMPLED_ROWS = 10_000
"""Rows looked at to tell whether feature rows repeat enough to be worth finding."""


class Learning(TypedDict):
    """How a gold variable is learnt: the arguments of `cross_predict` but for the data and the family."""

    sl_method: Method
    seed: int
    texts: NotRequired[Texts | None]
    groups: NotRequired[IntArray | None]
    n_jobs: NotRequired[int]
    progress: NotRequired[bool]


class _Whole(TypedDict):
    """The part of it that predictions depend on."""

    sl_method: Method
    seed: int
    texts: Texts | None
    groups: IntArray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """Out-of-fold predictions: no row's prediction comes from a learner that saw its fold."""

    predictions: FloatArray
    """(S, N, q) predictions of the q predicted variables."""
    learners: tuple[str, ...]
    """(q,) learner used for each variable."""
    reasons: tuple[str, ...]
    """(q,) why, where the learner was chosen by measurement, else empty."""


def draw_folds(
    labeled: BoolArray,
    cluster: IntArray | None,
    *,
    cross_fit: int,
    sample_split: int,
    rng: np.random.Generator,
) -> IntArray:
    """Draw folds 0, ..., K - 1 anew for every split: labelled units spread evenly, the others at random.

    Parameters
    ----------
    labeled : (N,) bool array
    cluster : (N,) int array or None
        Cluster codes. A cluster stays in one fold.
    cross_fit : int
        Number of folds K.
    sample_split : int
        Number of splits S.
    rng : numpy.random.Generator

    Returns
    -------
    (S, N) array
    """
    with_gold = np.flatnonzero(labeled) if cluster is None else np.unique(cluster[labeled])
    n_units = len(labeled) if cluster is None else int(cluster.max()) + 1
    out = np.empty((sample_split, len(labeled)), dtype=np.int16)
    drawn = folds_of_units(with_gold, n_units, cross_fit=cross_fit, sample_split=sample_split, rng=rng)
    for split, fold in zip(out, drawn, strict=True):
        split[:] = fold if cluster is None else fold[cluster]
    return out


def folds_of_units(
    with_gold: IntArray, n_units: int, *, cross_fit: int, sample_split: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """`draw_folds` of units (rows, clusters), split by split, (n_units,) each. `with_gold` are those with labels, ascending."""
    # labelled units in equal shares: a fold without labels would leave nothing to correct there
    turn = (np.arange(len(with_gold)) % cross_fit).astype(np.int16)
    for _ in range(sample_split):
        fold = rng.integers(cross_fit, size=n_units, dtype=np.int16)
        fold[with_gold] = rng.permutation(turn)
        yield fold


def check_folds(
    folds: ArrayLike, rows: IntArray, n_input: int, labeled: BoolArray, cluster: IntArray | None
) -> IntArray:
    """Folds supplied by the user as an (S, N) array of codes 0, 1, ... for the rows of the analysis.

    Raises
    ------
    FoldError
        Wrong shape, missing values, a fold without labelled rows outside it, or a cluster in several folds.
    """
    given = np.atleast_2d(np.asarray(folds))
    if given.ndim != 2 or given.shape[1] != n_input:
        hint = "; transpose it" if given.ndim == 2 and given.shape[0] == n_input else ""
        raise FoldError(
            f"folds must have one row per split and one column per row of data, here (S, {n_input}); found shape "
            f"{given.shape}{hint}"
        )
    if given.dtype.kind == "f":
        if not np.array_equal(given, np.floor(given)):  # NaN included
            raise FoldError("folds must be whole numbers; found missing or fractional values")
    elif given.dtype.kind not in "iub":
        raise FoldError(f"folds must be whole numbers; found {given.dtype}")
    out = np.empty((len(given), len(rows)), dtype=np.int16)
    for s, row in enumerate(given[:, rows]):
        labels, codes = np.unique(row, return_inverse=True)
        out[s] = codes
        lonely = [str(label) for j, label in enumerate(labels) if not np.any(labeled & (codes != j))]
        if len(labels) < 2 or lonely:
            raise FoldError(
                f"folds, split {s + 1}: no labelled row outside fold {', '.join(lonely)} to train on; spread the labelled "
                "rows over at least two folds"
            )
        if cluster is not None:
            spread = pd.Series(codes).groupby(cluster).nunique()
            if spread.max() > 1:
                raise FoldError(
                    f"folds, split {s + 1}: {int((spread > 1).sum())} clusters have rows in several folds; give all rows of a "
                    "cluster the same fold"
                )
    return out


def cross_predict(
    features: FloatArray,
    gold: FloatArray,
    labeled: BoolArray,
    folds: IntArray,
    *,
    sl_method: Method,
    family: str,
    seed: int,
    texts: Texts | None = None,
    groups: IntArray | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> CrossFit:
    """Predict every gold variable on every row by learners trained on the labelled rows of the other folds.

    Parameters
    ----------
    features : (N, p) array
    gold : (n, q) array
        Gold values of the labelled rows.
    labeled : (N,) bool array
    folds : (S, N) int array
        Codes 0, 1, ... in each split.
    sl_method, family, seed
        As in ``dsl.dsl``.
    texts : Texts, optional
        Of the N rows. Learners that read texts see them beside the features. What they make of texts without labels
        (`dsl.learners.text.rows.TextLearner.represent`) is made once for all folds.
    groups : (N,) int array, optional
        Clusters, kept whole where a learner is chosen by cross-validation.
    n_jobs : int
        Parallel fits. The numbers do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    CrossFit
        Within `predictions_kept`, those made before from the same arguments.
    """
    learning: _Whole = {"sl_method": sl_method, "seed": seed, "texts": texts, "groups": groups}
    kept, asked = _KEPT.get(), _Asked(features, gold, labeled, folds, family, learning)
    found = None if kept is None else next((made for before, made in kept if before.same(asked)), None)
    if found is None:
        # a name is a learner of ours, and so is all that it is made of
        with calm_together() if isinstance(sl_method, str) else nullcontext():
            found = _predicted(features, gold, labeled, folds, family, learning, n_jobs, progress)
        if kept is not None:
            kept.append((asked, found))
    return found


@contextmanager
def predictions_kept() -> Iterator[None]:
    """Calls within that ask for the same predictions again get those made before: several estimators of the same rows."""
    token = _KEPT.set([])
    try:
        yield
    finally:
        _KEPT.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What predictions depend on."""

    features: FloatArray
    gold: FloatArray
    labeled: BoolArray
    folds: IntArray
    family: str
    learning: _Whole

    def same(self, other: "_Asked") -> bool:
        """Whether both ask for the same predictions. Learners that read texts are not looked at."""
        mine, theirs = self.learning, other.learning
        if (self.family, mine["seed"]) != (other.family, theirs["seed"]) or mine["texts"] is not theirs["texts"]:
            return False
        if not _same_method(mine["sl_method"], theirs["sl_method"]):
            return False
        own = (self.features, self.gold, self.labeled, self.folds, mine["groups"])
        others = (other.features, other.gold, other.labeled, other.folds, theirs["groups"])
        return all(_same_array(one, two) for one, two in zip(own, others, strict=True))


_KEPT: ContextVar[list[tuple[_Asked, CrossFit]] | None] = ContextVar("predictions made before", default=None)


def _same_method(one: Method, other: Method) -> bool:
    return one is other or (isinstance(one, str) and one == other)


def _same_array(one: AnyArray | None, other: AnyArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or np.array_equal(one, other)


def _predicted(
    features: FloatArray,
    gold: FloatArray,
    labeled: BoolArray,
    folds: IntArray,
    family: str,
    learning: _Whole,
    n_jobs: int,
    progress: bool,
) -> CrossFit:
    sl_method, seed, texts, groups = learning["sl_method"], learning["seed"], learning["texts"], learning["groups"]
    rows: Rows = features
    if texts is not None:
        sl_method, rows = prepare_texts(sl_method, features, texts)
    x = rows[labeled]
    own_groups = None if groups is None else groups[labeled]
    methods, reasons = chosen_methods(
        x, gold, sl_method, family=family, seed=seed, groups=own_groups, n_rows=len(labeled)
    )
    # surrogates with a few values: predictions at the distinct rows are looked up, instead of made for all N rows
    distinct = None if texts is not None else distinct_rows(features, most=len(features) // (int(folds.max()) + 1))
    tasks = [
        # a seed of its own for every fit: the numbers are the same in any order and any number of processes
        Task(s, k, v, method, family, task_seed(seed, s, k, v))
        for s, split in enumerate(folds)
        for k in range(int(split.max()) + 1)
        for v, method in enumerate(methods)
    ]
    out = np.empty((*folds.shape, gold.shape[1]))
    labeled_folds = folds[:, labeled]

    @lru_cache(maxsize=1)
    # the q variables of a fold follow each other, so that one place in the cache serves them
    def rows_of(split: int, fold: int) -> IntArray:
        return np.flatnonzero(folds[split] == fold)

    def arguments(task: Task) -> _Arrays:
        train = labeled_folds[task.split] != task.fold
        new = rows[rows_of(task.split, task.fold)] if distinct is None else distinct[0]
        return x[train], gold[train, task.variable], new

    for task, values in zip(tasks, _run(tasks, arguments, n_jobs, progress), strict=True):
        held_out = rows_of(task.split, task.fold)
        out[task.split, :, task.variable][held_out] = values if distinct is None else values[distinct[1][held_out]]
    return CrossFit(predictions=out, learners=tuple(method_label(m) for m in methods), reasons=tuple(reasons))


def chosen_methods(
    x: Rows, gold: FloatArray, sl_method: Method, *, family: str, seed: int, groups: IntArray | None, n_rows: int
) -> tuple[list[Method], list[str]]:
    """Learner of each of the gold variables (n, q) and, where it was chosen by measurement, why, else empty.

    `x` and `groups` are of the n labelled rows, `n_rows` is the number of all.
    """
    methods, reasons = [], []
    for y in gold.T:
        chosen, reason = sl_method, ""
        if isinstance(sl_method, str) and method_label(sl_method) == "auto":
            choice = choose_auto(x, y, family=family, seed=seed, groups=groups, n_rows=n_rows)
            chosen, reason = choice.method, choice.reason
        methods.append(chosen)
        reasons.append(reason)
    return methods, reasons


_Arrays: TypeAlias = tuple[Rows, FloatArray, Rows]
"""Features and gold values to learn from, features to predict at."""


@dataclass(frozen=True, slots=True)
class Task:
    """One learner to fit: without one fold of one split, for one variable."""

    split: int
    fold: int
    variable: int
    method: Method
    family: str
    seed: int


def task_seed(*parts: int) -> int:
    """Seed of one learner: the same in any order, and in any number of processes."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _run(
    tasks: list[Task],
    arguments: Callable[[Task], _Arrays],
    n_jobs: int,
    progress: bool,
) -> Iterator[FloatArray]:
    """Predictions of the tasks, in order."""
    jobs: Iterable[Task] = tasks
    if progress:
        from tqdm.auto import tqdm

        jobs = tqdm(tasks, desc="cross-fitting")
    if n_jobs == 1:
        yield from (_fit_predict(task, *arguments(task)) for task in jobs)
        return
    from joblib import Parallel, delayed

    results: Iterator[FloatArray] = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_predict)(task, *arguments(task)) for task in jobs
    )
    yield from results


def _fit_predict(task: Task, x: Rows, y: FloatArray, new: Rows) -> FloatArray:
    learner = make_learner(task.method, family=task.family, seed=task.seed)
    learner.fit(x, y)
    return np.asarray(learner.predict(new), dtype=float)


def distinct_rows(x: FloatArray, most: int) -> tuple[FloatArray, IntArray] | None:
    """Distinct rows of `x` and, for each row, which one it is. None if there are more than `most`.

    A sample is looked at first, so that continuous features cost next to nothing.
    """
    n, p = x.shape
    if p == 0 or n == 0:
        return None
    # every so many rows, not the first ones: tables are often sorted
    sample = x[:: max(1, n // SAMPLED_ROWS)]
    bound = max(most * len(sample) / n, len(sample) / 2)
    # one column with more values is enough, and many columns take long to compare
    if any(len(np.unique(column)) > bound for column in sample.T) or (
        p > 1 and len(pd.DataFrame(sample).drop_duplicates()) > bound
    ):
        return None
    code = np.zeros(n, dtype=np.int64)
    for column in x.T:
        values, levels = pd.factorize(column)
        # the code so far and the column's value as one number, coded anew: it stays below N, so that nothing overflows
        code, seen = pd.factorize(code * (len(levels) + 1) + values)
        if len(seen) > most:
            return None
    first = np.empty(int(code.max()) + 1, dtype=np.int64)
    # written backwards, so that the first row of each code is the one that stays
    first[code[::-1]] = np.arange(n)[::-1]
    return x[first], code
