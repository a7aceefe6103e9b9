"""A statistic on gold values and on surrogates, on all rows and in bootstrap draws.

Rows or clusters are drawn again as if from the population. Where the rows are the population, the labelled ones are drawn
again as if by the labelling design (`dsl.engine.labeling.bootstrap_weights`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import FloatArray, IntArray
from dsl.analyses.paired import Paired, whole_frame
from dsl.data.tables import TableLike
from dsl.engine.labeling import Labeling, bootstrap_weights, strata_of_one
from dsl.exceptions import LabelError, StatisticError

Statistic = Callable[[pd.DataFrame, FloatArray], ArrayLike]
"""What users pass: a function of a table and weights. It returns a number, an array, or a Series of numbers."""
T = TypeVar("T")


def name_of(fn: object) -> str:
    """Name of a function or of a callable object."""
    name = getattr(fn, "__name__", type(fn).__name__)
    return "statistic" if name == "<lambda>" else str(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Rows on which the statistic is computed, their values filled in, and their weights."""

    what: str
    frame: pd.DataFrame
    rows: IntArray
    weight: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How rows are drawn again."""

    labeled: IntArray
    """(n,) positions of the labelled rows."""
    unlabeled: IntArray
    """(N - n,) positions of the other rows."""
    cluster: IntArray | None
    """(N,) codes of the clusters that are drawn whole."""
    n_clusters: int | None
    labeling: Labeling | None
    """How the labelled rows were drawn, if only that is random."""

    def counts(self, rng: np.random.Generator) -> IntArray:
        """How often each row of a superpopulation's sample is drawn, (N,)."""
        if self.cluster is not None and self.n_clusters is not None:
            # as many clusters as there are, with replacement: a row counts as often as its cluster was drawn
            drawn = rng.integers(self.n_clusters, size=self.n_clusters)
            return np.asarray(np.bincount(drawn, minlength=self.n_clusters)[self.cluster])
        count = np.zeros(len(self.labeled) + len(self.unlabeled), dtype=np.int64)
        # labelled and other rows apart, so that both sizes stay as they are
        for rows in (self.labeled, self.unlabeled):
            if len(rows):
                count[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The three estimates that a prediction-powered one is made of: gold + lam (surrogate_other - surrogate_labeled).

    All are the same statistic. Arrays of estimates have the three along their first axis, in this order.
    """

    fn: Statistic
    name: str
    gold: Version
    """The labelled rows with their gold values."""
    surrogate_labeled: Version
    """The labelled rows with their surrogates."""
    surrogate_other: Version
    """The other rows with their surrogates. In a finite population these are all rows, and the estimate does not vary."""
    resampling: Resampling

    @classmethod
    def of(cls, fn: Statistic, data: TableLike, paired: Paired, *, finite: bool = False) -> "Components":
        """Fill in gold values and surrogates."""
        frame, sample = whole_frame(data, paired), paired.sample
        filled = frame.assign(**{name: pd.Series(v, index=frame.index) for name, v in paired.surrogates.items()})
        if finite:
            _check_strata(sample.labeling)

        def version(what: str, table: pd.DataFrame, rows: IntArray, weight: FloatArray) -> Version:
            return Version(what=what, frame=table.iloc[rows], rows=rows, weight=weight[rows])

        return cls(
            fn=fn,
            name=name_of(fn),
            gold=version("the gold values", frame, paired.labeled_rows, paired.weight),
            surrogate_labeled=version(
                "the surrogates of the labelled rows", filled, paired.labeled_rows, paired.weight
            ),
            # finite target: the surrogates' statistic of all rows is known, and only the labelled rows are drawn again
            surrogate_other=version("the surrogates of all rows", filled, np.arange(len(frame)), np.ones(len(frame)))
            if finite
            else version("the surrogates of the other rows", filled, paired.other_rows, paired.other),
            resampling=Resampling(
                labeled=paired.labeled_rows,
                unlabeled=np.flatnonzero(~sample.labeled),
                cluster=sample.cluster,
                n_clusters=sample.n_clusters,
                labeling=sample.labeling if finite else None,
            ),
        )

    @property
    def versions(self) -> tuple[Version, Version, Version]:
        """The data of the three."""
        return self.gold, self.surrogate_labeled, self.surrogate_other

    def estimates(self) -> tuple[tuple[str, ...], FloatArray]:
        """Names of the statistic's k values, and the three estimates, (3, k)."""
        found = [self._call(version, None, "") for version in self.versions]
        names = found[0][0]
        return names, np.stack(
            [self._checked(names, each, v, "") for each, v in zip(found, self.versions, strict=True)]
        )

    def draw(self, names: tuple[str, ...], rng: np.random.Generator, number: int) -> FloatArray:
        """The three estimates in one bootstrap draw, (3, k). Of a finite population the first two, (2, k)."""
        where, resampling = f" in bootstrap draw {number}", self.resampling
        if resampling.labeling is not None:
            times = bootstrap_weights(resampling.labeling, rng)
            both = self.gold, self.surrogate_labeled
            return np.stack([self._checked(names, self._call(v, times, where), v, where) for v in both])
        count = resampling.counts(rng)
        if not count[resampling.labeled].any() or not count[self.surrogate_other.rows].any():
            raise LabelError(
                f"bootstrap draw {number} of {resampling.n_clusters} clusters holds no labelled row, or no other: clusters with "
                "both kinds of rows are too few to draw from; label some rows of more clusters"
            )
        values = [self._checked(names, self._call(v, count[v.rows], where), v, where) for v in self.versions]
        return np.stack(values)

    def ignores_weights(self, names: tuple[str, ...], seed: int) -> bool:
        """Whether three sets of weights give the same numbers."""
        # three random sets of counts: a statistic that uses its weights gives different numbers
        rng, version = np.random.default_rng(seed), self.gold
        found = []
        for _ in range(3):
            count = rng.integers(1, 9, size=len(version.rows))
            found.append(self._checked(names, self._call(version, count, ""), version, ""))
        return bool(np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2]))

    def _call(
        self, version: Version, count: FloatArray | IntArray | None, where: str
    ) -> tuple[tuple[str, ...], FloatArray]:
        """Names and values of the statistic on the rows drawn."""
        if count is None:
            count = np.ones(len(version.rows), dtype=np.int64)
        drawn = np.flatnonzero(count)
        frame, weight = version.frame.take(drawn), version.weight[drawn] * count[drawn]  # copies, the user's to change
        try:
            value = self.fn(frame, weight)
        except Exception as error:
            raise StatisticError(
                f"{self.name} failed on {version.what}{where}: {type(error).__name__}: {error}"
            ) from error
        return _named_values(value, self.name)

    def _checked(
        self, names: tuple[str, ...], found: tuple[tuple[str, ...], FloatArray], version: Version, where: str
    ) -> FloatArray:
        own, values = found
        # the same values in another order are put in order, since draws are compared place by place
        if own != names and sorted(own) == sorted(names):
            own, values = names, values[[own.index(name) for name in names]]
        if own != names:
            differ = sorted({*own} ^ {*names})[:3]
            raise StatisticError(
                f"{self.name} returned {len(own)} values on {version.what}{where}, but {len(names)} before"
                + (f"; differing: {', '.join(differ)}" if differ else "")
                + ". It must return the same values whichever rows are drawn: fix the list in advance, e.g. .reindex(words, "
                "fill_value=0)"
            )
        if not np.isfinite(values).all():
            bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
            raise StatisticError(
                f"{self.name} returned {values[~np.isfinite(values)][0]} for {', '.join(bad[:3])} on {version.what}{where}; "
                "too few rows for it, or a missing value among them: make it robust (add 1/2 to empty cells, drop missing "
                "rows), or label more rows"
            )
        return values


def _check_strata(labeling: Labeling) -> None:
    """Raise LabelError where one unit alone stands for others: draws cannot show how much they differ."""
    alone, strata = strata_of_one(labeling)
    if alone:
        raise LabelError(
            f"{alone} of {strata} strata hold one labelled unit, from which a bootstrap cannot draw; draw two "
            "from each stratum, merge strata, or use target='superpopulation'"
        )


def _named_values(value: ArrayLike, name: str) -> tuple[tuple[str, ...], FloatArray]:
    """What a statistic returned, as names and float values."""
    if isinstance(value, pd.Series):
        names: tuple[str, ...] = tuple(map(str, value.index))
    else:
        size = np.size(value)
        names = (name,) if np.ndim(value) == 0 else tuple(f"{name}[{j}]" for j in range(size))
    try:
        values = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        values = None
    if values is None or values.ndim > 1 or not values.size:
        shape = "" if values is None else f" of shape {values.shape}"
        raise StatisticError(
            f"{name} must return a number, a one-dimensional array or a Series of numbers; found {type(value).__name__}{shape}"
        )
    return names, np.atleast_1d(values)


def replicates(
    components: Components, names: tuple[str, ...], *, n_boot: int, seed: int, n_jobs: int, progress: bool
) -> Iterator[FloatArray]:
    """The three estimates (3, k) in every draw, in order. Each draw has random numbers of its own."""
    numbers: Iterable[int] = range(1, n_boot + 1)
    if n_jobs == 1:
        yield from (_replicate(components, names, seed, number) for number in _shown(numbers, progress))
        return
    from joblib import Parallel, delayed, effective_n_jobs

    # four chunks for each worker: fewer messages than one for each draw, and still evenly shared
    chunks = np.array_split(np.arange(1, n_boot + 1), min(n_boot, 4 * effective_n_jobs(n_jobs)))
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_chunk)(components, names, seed, chunk) for chunk in _shown(chunks, progress)
    )
    for chunk in results:
        yield from chunk


def _shown(steps: Iterable[T], progress: bool) -> Iterable[T]:
    if not progress:
        return steps
    from tqdm.auto import tqdm

    shown: Iterable[T] = tqdm(steps, desc="bootstrap")
    return shown


def _replicate(components: Components, names: tuple[str, ...], seed: int, number: int) -> FloatArray:
    # seeded by (seed, draw), so that results do not depend on how draws are spread over workers
    return components.draw(names, np.random.default_rng([seed, int(number)]), int(number))


def _chunk(components: Components, names: tuple[str, ...], seed: int, numbers: IntArray) -> list[FloatArray]:
    return [_replicate(components, names, seed, number) for number in numbers]
