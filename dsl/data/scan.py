"""The first pass over a source: what all later passes, and all checks, need to know of all rows.

What is kept in memory are the labelled rows, and beside them a few others, the *anchor*: the rows that first show a category of
an expression of the formula, the extremes of every column of numbers, and `SAMPLED` unlabelled rows drawn with a fixed rule. On
it the formula is fitted and the call is checked, as on a table in memory. Counts, sums and codes of clusters are those of all
rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.columns import Columns, check_columns_exist
from dsl.data.design import SamplingDesign, check_design, whole_units
from dsl.data.formula.rlang.values import Factor, Value, as_factor
from dsl.data.formula.sides import ParsedFormula
from dsl.data.kinds import DAYS, Kind, complete, kind_of, standard
from dsl.data.labels import check_any_drawn, check_any_labeled, drawn_part, labeled_part, sampling_probabilities
from dsl.data.level_codes import LevelCodes, Numbering
from dsl.data.placed import Placed
from dsl.data.refusals import RefusedRows, check_not_refused, refused_rows
from dsl.data.sample import check_finite, check_left, complete_rows
from dsl.data.source import Source
from dsl.data.tables import check_usable, is_category
from dsl.data.weights import row_weights
from dsl.engine.labeling import Labeling
from dsl.exceptions import ColumnTypeError, DataError, SourceError

SAMPLED = 10_000
"""Unlabelled rows that checks look at."""
MOST_LEVELS = 50_000
"""Categories of one expression."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What a first pass found."""

    anchor: pd.DataFrame = field(repr=False)
    """Complete rows, under their numbers in the input, in order: all labelled ones, and those described above."""
    at_random: BoolArray = field(repr=False)
    """(anchor,) rows that are labelled, or drawn for the checks."""
    needed: BoolArray = field(repr=False)
    """(anchor,) rows that are there for another reason than that they were drawn."""
    places: IntArray = field(repr=False)
    """(anchor,) their places among the complete rows."""
    n_input: int
    rows: int
    """Complete rows, N."""
    dropped: dict[str, int]
    """Rows with missing values, by column."""
    kept: BoolArray | None = field(repr=False)
    """(n_input,) complete rows, None if all are."""
    gold_rows: IntArray = field(repr=False)
    """(m,) places of the labelled rows among the complete ones, ascending."""
    prob: tuple[float, float, float] | None
    """Smallest and largest probability of being labelled, and their sum, of complete rows. None where no column has them."""
    probabilities: FloatArray | None = field(repr=False)
    """(N,) these probabilities, where they were asked for."""
    weight_sum: float | None
    """Sum of the analysis weights of complete rows."""
    effective_rows: float | None
    """Kish's number of rows that the weights leave."""
    cluster: IntArray | None = field(repr=False)
    """(N,) codes of the clusters."""
    n_clusters: int | None
    absorbed: tuple[IntArray, ...] = field(default=(), repr=False)
    """(N,) codes of the levels of each fixed effect."""
    effects: tuple[LevelCodes, ...] = field(default=(), repr=False)
    """Their levels."""
    labeling: Labeling | None = field(default=None, repr=False)
    """(N,) how the rows were drawn, where a design says so."""
    order: IntArray | None = field(default=None, repr=False)
    """(anchor,) their places in this design."""
    refused: RefusedRows | None = None
    """Missing predictions and features, where an indicator stands for them."""

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Levels of each fixed effect."""
        return tuple(effect.count for effect in self.effects)


def scan(
    source: Source,
    parsed: ParsedFormula,
    columns: Columns,
    *,
    rows: int,
    most_labels: int,
    learns: bool,
    keep_prob: bool = False,
    design: SamplingDesign | None = None,
    tick: Callable[[int], None],
    seen: Callable[[pd.DataFrame], None] | None = None,
) -> Scan:
    """Read all rows once.

    Parameters
    ----------
    source : Source
    parsed : ParsedFormula
    columns : Columns
    rows : int
        Rows of a block.
    most_labels : int
        Labelled rows that memory holds.
    learns : bool
        Whether a learner sees the predictions, which must then be there.
    keep_prob : bool
        Keep the probability of every row.
    design : SamplingDesign, optional
        How the labelled rows were drawn. It stays in memory.
    tick : callable
        Told how many rows were read, block by block.
    seen : callable, optional
        Given each block.

    Raises
    ------
    DSLError
        As `dsl.data.sample.prepare`, for what is wrong with rows one by one.
    """
    check_columns_exist(columns, source.names)
    names = [name for name in source.names if name in columns.roles()]
    reading = _Reading(source, parsed, columns, most_labels, learns)
    reading.keep_prob = keep_prob
    if design is not None:
        check_design(design)
        reading.placed, reading.design = Placed(design, source), design
        names = list(dict.fromkeys((*names, reading.placed.column)))
    for frame in source.frames(names, rows):
        reading.take(frame)
        if seen is not None:
            seen(frame)
        tick(len(frame))
    return reading.finished()


class _Reading:
    """What is known after some of the blocks."""

    def __init__(self, source: Source, parsed: ParsedFormula, columns: Columns, most_labels: int, learns: bool) -> None:
        self.columns, self.source, self.most_labels, self.learns = columns, source, most_labels, learns
        self.roles = columns.roles()
        self.placed, self.design = cast(Placed | None, None), cast(SamplingDesign | None, None)
        self.expressions = dict(parsed.expressions(columns.predicted))
        self.numeric = set[str]()
        """Expressions that are numbers."""
        self.levels: dict[str, dict[object, None]] = {}
        self.categories: dict[str, dict[object, None]] = {}
        self.dtypes: dict[str, list[np.dtype[np.generic]]] = {}
        self.kinds: dict[str, tuple[Kind, int]] = {}
        self.extremes: dict[str, tuple[float, float]] = {}
        self.keep_prob, self.probabilities = False, list[FloatArray]()
        self.parts: list[pd.DataFrame] = []
        self.chosen: list[IntArray] = []
        self.labels: list[IntArray] = []
        self.hashes, self.candidates = np.empty(0, dtype=np.uint64), pd.DataFrame()
        self.masks: list[BoolArray] = []
        self.clusters = Numbering()
        self.codes: list[IntArray] = []
        self.effects = [LevelCodes(names) for names in columns.absorbed.values()]
        self.refused = RefusedRows(columns)
        self.dropped: dict[str, int] = {}
        self.n_input = self.rows = self.n_labeled = 0
        self.all_labeled, self.prob, self.weight_sum = True, (np.inf, -np.inf, 0.0), 0.0
        self.weight_square = 0.0

    def take(self, raw: pd.DataFrame) -> None:
        """One block."""
        columns = self.columns
        draw, raw = self._draw_of(raw)
        check_usable(raw, self.roles)
        self._note_types(raw)
        frame = pd.DataFrame({name: standard(raw[name]) for name in raw}, index=raw.index)
        check_finite(frame.drop(columns=[*columns.predicted, *filter(None, [columns.sample_prob])]))
        labeled = labeled_part(frame, columns) if draw is None else drawn_part(draw.drawn, frame, columns)
        keep, dropped = complete_rows(frame, columns)
        for name, count in dropped.items():
            self.dropped[name] = self.dropped.get(name, 0) + count
        probability = None if draw is None else draw.prob
        if columns.sample_prob is not None:
            probability = sampling_probabilities(frame, columns, labeled)
        weights = row_weights(frame, columns.weights)
        self.masks.append(keep)
        self.n_input += len(frame)
        self.n_labeled += int(labeled.sum())
        self.all_labeled = self.all_labeled and bool(labeled.all())
        self.labels.append(self.rows + np.flatnonzero(labeled[keep]))
        if probability is not None and keep.any():
            low, high, total = self.prob
            here = probability[keep]
            if self.keep_prob and draw is None:
                self.probabilities.append(here)
            self.prob = (min(low, float(here.min())), max(high, float(here.max())), total + float(here.sum()))
        if weights is not None:
            self.weight_sum += float(weights[keep].sum())
            self.weight_square += float((weights[keep] ** 2).sum())
        whole = raw if keep.all() else raw[keep]
        self._look(frame if keep.all() else frame[keep], whole, labeled[keep])
        self.rows += int(keep.sum())

    def _draw_of(self, raw: pd.DataFrame) -> tuple[Labeling | None, pd.DataFrame]:
        """How a block's rows were drawn, where a design says so, and the block without the rows' labels."""
        if self.placed is None or self.design is None:
            return None, raw
        draw = self.design.at(self.placed.take(raw[self.placed.column]))
        return draw, raw[[name for name in raw if name in self.roles]]

    def _note_types(self, raw: pd.DataFrame) -> None:
        for name in raw:
            column = raw[name]
            if is_category(column):
                self.categories.setdefault(str(name), {}).update(dict.fromkeys(column.cat.categories))
            if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
                known = self.dtypes.setdefault(str(name), [])
                known += [] if column.dtype in known else [column.dtype]
            if column.isna().all():
                continue
            found = kind_of(column)
            # dates may have a time of day, numbers be true or false: what they are together
            kind = {Kind.TIME: Kind.DATE, Kind.TRUTH: Kind.NUMBER}.get(found, found)
            before, first = self.kinds.setdefault(str(name), (kind, self.n_input))
            if before is not kind:
                raise SourceError(
                    f"column '{name}' ({self.roles[str(name)]}) holds {before.value} from row {first} on, and {kind.value} from "
                    f"row {self.n_input} on: blocks must hold one kind of values; write the column with one type"
                )

    def _look(self, frame: pd.DataFrame, raw: pd.DataFrame, labeled: BoolArray) -> None:
        """Choose the rows of a block that are to be kept. `frame` and `raw` are its complete rows."""
        if not len(frame):
            return
        columns = self.columns
        missing = refused_rows(frame, columns)
        if missing and columns.refusals == "raise" and self.learns:
            check_not_refused(missing, labeled, frame.index)
        complete_frame = pd.DataFrame({name: complete(frame[name]) for name in frame}, index=frame.index)
        new = [
            np.flatnonzero(labeled),
            *self.refused.take(frame),
            *self._new_levels(complete_frame),
            *self._new_extremes(complete_frame),
        ]
        self._cluster(frame)
        for effect in self.effects:
            effect.add(frame)
        self._draw(raw, np.flatnonzero(~labeled))
        places = np.unique(np.concatenate(new))
        self.parts.append(raw.iloc[places])
        if self.n_labeled > self.most_labels:
            raise DataError(
                f"more than {self.most_labels:,} rows are labelled, which do not fit into the memory that may be taken: labelled "
                "rows are kept, as learners are trained on them. Pass more memory= (2GB by default); if most of these rows are "
                "not labelled, say which are (labeled=)"
            )

    def _new_levels(self, frame: pd.DataFrame) -> list[IntArray]:
        """First rows of categories that no block before had."""
        out = []
        for name in (*self.columns.prediction, *self.columns.feature):
            if kind_of(frame[name]) in (Kind.TEXT, Kind.CATEGORY, Kind.TRUTH):
                places, found = pd.factorize(frame[name])
                out.append(self._first(f"column {name}", places, list(found)))
        for text, values_of in self.expressions.items():
            if text in self.numeric:
                continue
            value = values_of(frame)
            codes, levels = _coded(value)
            if levels is None:
                self.numeric.add(text)
                continue
            out.append(self._first(text, codes, levels))
        for name in map(str, frame):
            column = frame[name]
            # days, until one has a time of day
            if column.dtype.kind == "M" and column.dtype != DAYS and f"time {name}" not in self.levels:
                values = column.to_numpy()
                self.levels[f"time {name}"] = {}
                out.append(np.array([int(np.argmax(values.astype("datetime64[D]") != values))]))
        return out

    def _first(self, what: str, codes: IntArray, levels: Sequence[object]) -> IntArray:
        known = self.levels.setdefault(what, {})
        # code -1 is a missing value
        there = np.bincount(codes + 1, minlength=len(levels) + 1)[1:]
        new = [j for j in np.flatnonzero(there).tolist() if levels[j] not in known]
        known.update(dict.fromkeys(levels[j] for j in new))
        if len(known) > MOST_LEVELS:
            raise ColumnTypeError(
                f"'{what}' has more than {MOST_LEVELS:,} different values, too many to serve as a category; use numbers derived "
                "from it, or broader categories"
            )
        if not new:
            return np.empty(0, dtype=np.int64)
        first = np.empty(len(levels) + 1, dtype=np.int64)
        # written backwards, so that the first row of each code is the one that stays
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        return first[new]

    def _new_extremes(self, frame: pd.DataFrame) -> list[IntArray]:
        """Rows with the smallest and the largest value so far of each column of numbers."""
        out = []
        for name in frame:
            if name in self.columns.predicted or not isinstance(frame[name].dtype, np.dtype):
                continue
            values = frame[name].to_numpy()
            if values.dtype.kind == "M":
                values = values.astype(np.int64)
            if values.dtype.kind not in "biuf":
                continue
            places = int(values.argmin()), int(values.argmax())
            # the first missing value, where there is one
            if np.isnan(values[places[0]]):
                if np.isnan(values).all():
                    continue
                places = int(np.nanargmin(values)), int(np.nanargmax(values))
            low, high = self.extremes.get(str(name), (np.inf, -np.inf))
            for place, better in zip(places, ("low", "high"), strict=True):
                value = float(values[place])
                if (better == "low" and value < low) or (better == "high" and value > high):
                    out.append(np.array([place]))
                    low, high = min(low, value), max(high, value)
            self.extremes[str(name)] = (low, high)
        return out

    def _cluster(self, frame: pd.DataFrame) -> None:
        if self.columns.cluster is None:
            return
        self.codes.append(self.clusters.of(frame[self.columns.cluster]))

    def _draw(self, raw: pd.DataFrame, unlabeled: IntArray) -> None:
        """Unlabelled rows for the checks: those with the smallest hash of their number, in whatever blocks they come."""
        hashes = hashed(raw.index.to_numpy()[unlabeled])
        if len(self.hashes) >= SAMPLED:
            better = hashes < self.hashes.max()
            hashes, unlabeled = hashes[better], unlabeled[better]
        if not len(hashes):
            return
        every = np.concatenate([self.hashes, hashes])
        best = np.argsort(every, kind="stable")[:SAMPLED]
        before, after = best[best < len(self.hashes)], best[best >= len(self.hashes)] - len(self.hashes)
        taken = [self.candidates.iloc[before], raw.iloc[unlabeled[after]]]
        self.candidates = self._joined([part for part in taken if len(part)])
        self.hashes = np.concatenate([every[best[best < len(self.hashes)]], every[best[best >= len(self.hashes)]]])

    def _joined(self, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Rows of several blocks in one frame, categories with all that any block has."""
        if not parts:
            return pd.DataFrame()
        out = {}
        for name in parts[0]:
            columns = [part[name] for part in parts]
            if str(name) in self.categories:
                dtype = self._categories(str(name), any(c.cat.ordered for c in columns if is_category(c)))
                columns = [column.astype(object).astype(dtype) for column in columns]
            out[str(name)] = pd.concat(columns)
        return pd.DataFrame(out)

    def _categories(self, name: str, ordered: bool) -> pd.CategoricalDtype:
        levels = list(self.categories[name])
        if name in self.source.sorted_categories:
            levels = sorted(levels, key=str)
        return pd.CategoricalDtype(pd.Index(levels), ordered=ordered)

    def finished(self) -> Scan:
        """After the last block."""
        if not self.n_input:
            raise DataError("the data have no rows; look at the filter or join that made them")
        if self.placed is None:
            check_any_labeled(self.n_labeled > 0, self.columns)
        else:
            check_any_drawn(self.n_labeled > 0)
        gold_rows = np.concatenate(self.labels).astype(np.int64)
        if self.dropped:
            alone = len(gold_rows) == self.rows and not self.all_labeled
            check_left(self.rows > 0, len(gold_rows) > 0, alone, self.dropped)
        frames = [part for part in self.parts if len(part)]
        anchor = self._joined([*frames, *([self.candidates] if len(self.candidates) else [])])
        anchor = anchor[~anchor.index.duplicated()].sort_index()
        # a column that is a float anywhere is one everywhere
        made = {name: np.result_type(*kinds) for name, kinds in self.dtypes.items() if len(kinds) > 1}
        anchor = anchor.astype({name: kind for name, kind in made.items() if _numeric(anchor[name])})
        kept = np.concatenate(self.masks)
        numbers = anchor.index.to_numpy()
        # less the rows before that were left out: no running count of all rows, which takes eight bytes each
        places = numbers if kept.all() else numbers - np.searchsorted(np.flatnonzero(~kept), numbers)
        drawn = np.isin(anchor.index.to_numpy(), self.candidates.index.to_numpy())
        labeling = None if self.placed is None else self.placed.labeling(None if kept.all() else kept)
        cluster, n_clusters = self._clusters(labeling)
        return Scan(
            anchor=anchor,
            needed=np.isin(anchor.index.to_numpy(), np.concatenate([part.index.to_numpy() for part in frames])),
            at_random=drawn | np.isin(places, gold_rows),
            places=places,
            n_input=self.n_input,
            rows=self.rows,
            dropped={name: self.dropped[name] for name in self.roles if name in self.dropped},
            kept=None if kept.all() else kept,
            gold_rows=gold_rows,
            prob=None if self.columns.sample_prob is None and labeling is None else self.prob,
            probabilities=np.concatenate(self.probabilities) if self.probabilities else None,
            weight_sum=None if self.columns.weights is None else self.weight_sum,
            effective_rows=None if self.columns.weights is None else self.weight_sum**2 / self.weight_square,
            cluster=cluster,
            n_clusters=n_clusters,
            absorbed=tuple(effect.of_rows for effect in self.effects),
            effects=tuple(self.effects),
            labeling=labeling,
            refused=self.refused if self.refused.counts else None,
            order=None if self.placed is None else self.placed.order(anchor.index.to_numpy()),
        )

    def _clusters(self, labeling: Labeling | None) -> tuple[IntArray | None, int | None]:
        """Codes of the clusters, and their number: those named, or the units of a design."""
        cluster, n_clusters = self._named_clusters()
        if labeling is None or labeling.unit is None:
            return cluster, n_clusters
        cluster, n_clusters = whole_units(labeling.unit, cluster, n_clusters, self.columns.cluster)
        return cluster.astype(np.int32), n_clusters

    def _named_clusters(self) -> tuple[IntArray | None, int | None]:
        name = self.columns.cluster
        if name is None:
            return None, None
        labels = pd.Series(self.clusters.labels)
        if name in self.categories:
            labels = labels.astype(self._categories(name, False))
        order, _ = pd.factorize(labels, sort=True)
        return order.astype(np.int32)[np.concatenate(self.codes)], len(self.clusters)


def _numeric(column: pd.Series) -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _coded(value: Value) -> tuple[IntArray, list[object] | None]:
    """Codes and categories of what an expression makes, None where it makes numbers."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return value.astype(np.int64), [False, True]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        value = as_factor(value)
    if not isinstance(value, Factor):
        return np.empty(0, dtype=np.int64), None
    return value.codes, list(value.levels)


def hashed(numbers: IntArray) -> NDArray[np.uint64]:
    """A fixed shuffle of whole numbers, for a sample that does not depend on blocks (Steele et al. 2014: SplitMix64).

    Examples
    --------
    >>> found = hashed(np.arange(4))
    >>> len(set(found.tolist()))
    4
    """
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
