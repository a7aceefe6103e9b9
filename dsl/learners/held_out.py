"""Fitted learners of every split and fold, kept to predict rows that come in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.learners.auto import Learner, Method
from dsl.learners.crossfit import Task, chosen_methods, distinct_rows, task_seed
from dsl.learners.names import make_learner, method_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How learners are trained, besides the family."""

    sl_method: Method
    seed: int
    groups: IntArray | None
    """(n,) clusters, kept whole where a learner is chosen by cross-validation."""
    n_rows: int
    """Number of all rows."""
    progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Learners, each trained on the labelled rows outside one fold of one split: those of `dsl.learners.crossfit.cross_predict`.

    A row's prediction is that of the learner which did not see the row's fold. It depends on this row alone, so that blocks of
    rows have the predictions that all rows at once have.
    """

    fitted: tuple[tuple[tuple[Learner, ...], ...], ...] = field(repr=False)
    """By split, fold, and predicted variable."""
    learners: tuple[str, ...]
    """(q,) learner used for each variable."""
    reasons: tuple[str, ...]
    """(q,) why, where it was chosen by measurement, else empty."""

    @classmethod
    def train(cls, x: FloatArray, gold: FloatArray, folds: IntArray, *, family: str, how: Training) -> "HeldOut":
        """Train on the labelled rows.

        Parameters
        ----------
        x : (n, p) array
            Features of the labelled rows.
        gold : (n, q) array
        folds : (S, n) int array
        family : {"gaussian", "binomial"}
            As in ``dsl.dsl``.
        how : Training
        """
        seed = how.seed
        methods, reasons = chosen_methods(
            x, gold, how.sl_method, family=family, seed=seed, groups=how.groups, n_rows=how.n_rows
        )
        tasks = [
            [
                [Task(s, k, v, method, family, task_seed(seed, s, k, v)) for v, method in enumerate(methods)]
                for k in range(int(split.max()) + 1)
            ]
            for s, split in enumerate(folds)
        ]

        def trained(task: Task) -> Learner:
            rows = folds[task.split] != task.fold
            learner = make_learner(task.method, family=task.family, seed=task.seed)
            learner.fit(x[rows], gold[rows, task.variable])
            return learner

        return cls(
            fitted=tuple(
                tuple(tuple(trained(task) for task in fold) for fold in split) for split in _shown(tasks, how.progress)
            ),
            learners=tuple(method_label(method) for method in methods),
            reasons=tuple(reasons),
        )

    def predictions(self, features: FloatArray, folds: IntArray) -> FloatArray:
        """Out-of-fold predictions of some rows.

        Parameters
        ----------
        features : (n, p) array
        folds : (S, n) int array
            Fold of each row in every split.

        Returns
        -------
        (S, n, q) array
        """
        distinct = distinct_rows(features, most=len(features) // (self.n_folds + 1))
        if distinct is not None:
            return self.looked_up(self.table(distinct[0]), distinct[1], folds)
        out = np.empty((*folds.shape, len(self.learners)))
        for split, by_fold, own in zip(folds, self.fitted, out, strict=True):
            for fold, learners in enumerate(by_fold):
                rows = np.flatnonzero(split == fold)
                if not len(rows):
                    continue
                for v, learner in enumerate(learners):
                    own[rows, v] = learner.predict(features[rows])
        return out

    @property
    def n_folds(self) -> int:
        """Number of folds, K."""
        return len(self.fitted[0])

    @property
    def size(self) -> int:
        """Number of learners."""
        return len(self.fitted) * self.n_folds * len(self.learners)

    def table(self, features: FloatArray) -> FloatArray:
        """Predictions of some rows by the learners of every split and fold, (S, q, K, rows)."""
        out = np.empty((len(self.fitted), len(self.learners), self.n_folds, len(features)))
        for by_fold, own in zip(self.fitted, out, strict=True):
            for fold, learners in enumerate(by_fold):
                for v, learner in enumerate(learners):
                    own[v, fold] = learner.predict(features)
        return out

    @staticmethod
    def looked_up(table: FloatArray, code: IntArray, folds: IntArray) -> FloatArray:
        """Predictions (S, n, q) of rows whose features are those of a row of the table, (n,), out of the row's fold (S, n)."""
        splits, variables, _, count = table.shape
        out = np.empty((splits, variables, len(code)))
        code = code.astype(np.int64)
        for split, own, made in zip(folds, table, out, strict=True):
            # place of (fold, row) in the table's last two axes
            place = split.astype(np.int64)
            place *= count
            place += code
            for v in range(variables):
                np.take(own[v].ravel(), place, out=made[v], mode="clip")
        return out.transpose(0, 2, 1)


def _shown(tasks: list[list[list[Task]]], progress: bool) -> Iterator[list[list[Task]]]:
    if progress:
        from tqdm.auto import tqdm

        yield from tqdm(tasks, desc="training learners")
        return
    yield from tasks
