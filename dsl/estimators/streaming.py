"""An analysis of rows that come in blocks: the first pass, what is in memory, and the blocks of later passes."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import as_rectangle, warn_caller
from dsl.data.columns import Columns
from dsl.data.conform import conformed
from dsl.data.design import SamplingDesign
from dsl.data.features import feature_levels, features_on
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.sides import Design
from dsl.data.messages import rows_left_out
from dsl.data.placed import some_rows
from dsl.data.refusals import Refused
from dsl.data.sample import Sample, check_folds_possible
from dsl.data.scan import Scan, scan
from dsl.data.source import Source
from dsl.data.tables import categorical_dtype, is_category
from dsl.data.weights import row_weights
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3
from dsl.engine.fixed_size import Draw
from dsl.engine.labeling import Labeling
from dsl.engine.models import MODELS
from dsl.engine.sums import Problem
from dsl.estimators.analysis import Analysis, check_range, parse_call, prepare_analysis
from dsl.estimators.by_row import check_by_row
from dsl.estimators.call import Call, Execution
from dsl.estimators.checkpoint import Checkpoint, RowsRead, made_by
from dsl.estimators.streamed_refusals import refused_in, with_refused
from dsl.exceptions import DroppedRowsWarning, NeedsAllRowsError, SourceError
from dsl.learners.crossfit import check_folds, folds_of_units

BLOCK, LEAST_BLOCK = 262_144, 1_000
"""Most and fewest rows of a block."""
PART = 0.2
"""Share of the memory that one block, and that the labelled rows may take."""
HELD = 5
"""Matrices of each cluster that a covariance which leaves it out holds."""
HALF_BYTE = 16
"""Folds that half a byte can tell apart."""
INSTEAD = "fit a sample of the unlabelled rows in memory, with all labelled rows and their probabilities in that sample"


class Shown(Protocol):
    """What is used of a bar of tqdm."""

    def update(self, n: float) -> object:
        """Some more rows are read."""
        ...

    def close(self) -> object:
        """The end of a pass."""
        ...


class Progress:
    """Rows read in each pass, with their number per second, on stderr."""

    def __init__(self, shown: bool) -> None:
        self._shown, self._bar, self.count = shown, cast(Shown | None, None), 0

    def begin(self, total: int | None) -> None:
        """A pass begins."""
        self.count += 1
        if self._shown:
            from tqdm.auto import tqdm

            self._bar = cast(Shown, tqdm(total=total, desc=f"pass {self.count}", unit="row", unit_scale=True))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Passes of an earlier run count."""
        if checkpoint.resumed:
            self.count = max(self.count, checkpoint.passes)
            if self._shown:
                print(f"passes up to {self.count} are in '{checkpoint.path}'", file=sys.stderr)

    def step(self, rows: int) -> None:
        """A block was read."""
        if self._bar is not None:
            self._bar.update(rows)

    def end(self) -> None:
        """The pass ends."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """Complete rows of one block, prepared."""

    analysis: Analysis
    """Their sample and designs."""
    first: int
    """Place of the first of them among all complete rows."""

    @property
    def places(self) -> slice:
        """Their places among all complete rows."""
        return slice(self.first, self.first + len(self.analysis.sample.labeled))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streaming:
    """What all estimators need of rows that come in blocks."""

    source: Source
    scan: Scan
    analysis: Analysis
    """Of the anchor (`dsl.data.scan`), with the probabilities and cluster codes that its rows have among all."""
    labels: Analysis
    """Of the labelled rows alone."""
    levels: dict[str, pd.CategoricalDtype | None]
    """What learners see (`dsl.data.features.feature_levels`)."""
    needed: tuple[str, ...]
    """Columns that later passes read."""
    refused: Refused | None
    """What learners see in the place of missing predictions and features."""
    rows: int
    """Rows of a block."""
    progress: Progress = field(repr=False)
    only_blocks: bool = False
    """Whether an estimator is asked for its blocks, and not to solve them (`dsl.estimators.remade`)."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint, repr=False)

    @property
    def n(self) -> int:
        """Complete rows."""
        return self.scan.rows

    @property
    def n_surrogates(self) -> int:
        """Columns of predictions among the features, which come first."""
        each = [self.levels[name] for name in dict.fromkeys(self.analysis.columns.prediction)]
        return sum(1 if known is None else len(known.categories) - 1 for known in each)

    def problem(self) -> Problem:
        """The engine's problem on all rows."""
        own, found = self.analysis.problem(), self.scan
        labeling = None if own.labeling is None and own.draw is None else self._labeling()
        return replace(
            own,
            cluster=found.cluster,
            n_clusters=found.n_clusters,
            labeling=None if own.labeling is None else labeling,
            draw=None
            if labeling is None or own.draw is None
            else Draw(labeling=labeling, cluster=found.cluster, n_clusters=found.n_clusters),
        )

    def _labeling(self) -> Labeling:
        """How rows were drawn, of all rows."""
        found, own = self.scan, self.analysis.sample.labeling
        if found.labeling is not None:
            return found.labeling
        drawn = np.zeros(found.rows, dtype=bool)
        drawn[found.gold_rows] = True
        # equal ones take no memory
        same = own.fixed_size or found.probabilities is None
        prob = np.broadcast_to(own.prob[0], (found.rows,)) if same else found.probabilities
        return Labeling(prob=np.asarray(prob), drawn=drawn, fixed_size=own.fixed_size)

    def chunks(self) -> Iterator[Chunk]:
        """One pass.

        Raises
        ------
        SourceError
            The rows are not those of the first pass.
        """
        scanned, first, seen = self.scan, 0, 0
        self.progress.begin(scanned.n_input)
        try:
            for frame in self.source.frames(self.needed, self.rows):
                count, seen, start = len(frame), seen + len(frame), seen
                if seen > scanned.n_input:
                    break
                if scanned.kept is not None:
                    frame = frame[scanned.kept[start:seen]]
                if len(frame):
                    yield self._chunk(frame, first)
                first += len(frame)
                self.progress.step(count)
        finally:
            self.progress.end()
        if seen != scanned.n_input:
            more = "more than " if seen > scanned.n_input else ""
            raise SourceError(
                f"{self.source.described} had {scanned.n_input:,} rows when they were first read, and has {more}"
                f"{min(seen, scanned.n_input):,} now: all passes must see the same rows; fit again once nothing changes them"
            )

    def _chunk(self, raw: pd.DataFrame, first: int) -> Chunk:
        own, columns = self.analysis.sample, self.analysis.columns
        frame = conformed(raw, own.data, self.needed)
        # gold values are in memory, and blocks have none
        frame = frame.assign(**{name: _unknown(own.data[name], len(frame)) for name in columns.predicted})
        low, high = np.searchsorted(self.scan.gold_rows, (first, first + len(frame)))
        labeled = np.zeros(len(frame), dtype=bool)
        labeled[self.scan.gold_rows[low:high] - first] = True
        prob = np.ones(len(frame))
        prob[labeled] = self.labels.sample.sample_prob[low:high]
        weights = row_weights(frame, columns.weights)
        sample = replace(
            own,
            data=frame,
            rows=np.arange(first, first + len(frame)),
            labeled=labeled,
            sample_prob=prob,
            trained=np.zeros(len(frame), dtype=bool),
            row_weight=None if weights is None else weights * (self.n / (self.scan.weight_sum or 1.0)),
            cluster=None,
            across=None,
            absorbed=tuple(codes[first : first + len(frame)] for codes in self.scan.absorbed),
            features=features_on(frame, self.levels, self.refused),
        )
        designs = _on(self.analysis.designs, frame, slice(low, high))
        _check_outcomes(designs, self.analysis, frame.index)
        return Chunk(analysis=replace(self.analysis, sample=sample, designs=designs), first=first)


def _on(designs: Sequence[Design], data: pd.DataFrame, labels: slice) -> tuple[Design, ...]:
    """Designs of all equations, which have the covariates of the first, on other rows."""
    first = designs[0].on(data, labels)
    return (first, *(first.with_outcome_of(other, data, labels) for other in designs[1:]))


def _unknown(column: pd.Series, n: int) -> FloatArray | pd.Categorical:
    """Missing values of a column's type, (n,)."""
    if is_category(column):
        return pd.Categorical.from_codes(np.full(n, -1), dtype=categorical_dtype(column))
    return np.full(n, np.nan)


def _check_outcomes(designs: Sequence[Design], analysis: Analysis, labels: pd.Index) -> None:
    for design in designs:
        if design.outcome.fixed is not None:
            check_range(design.outcome.fixed[:, 0], analysis.model, design.outcome.name, labels)


def prepare_streaming(
    call: Call, source: Source, functions: Functions, execution: Execution, *, learns: bool, quiet: bool = False
) -> Streaming:
    """The first pass, and all that is decided before the second.

    Raises
    ------
    DSLError
        As `dsl.estimators.analysis.prepare_analysis`.
    NeedsAllRowsError
        Something of the call needs all rows at once.
    """
    parsed, columns = parse_call(call, source.names, functions)
    _check_can(call, columns)
    width = 8 * (4 * len(columns.roles()) + call.sample_split * (3 * len(columns.predicted) + 4))
    rows = int(np.clip(PART * execution.memory / width, LEAST_BLOCK, BLOCK))
    progress, read = Progress(execution.progress), RowsRead()
    checkpoint = Checkpoint(execution.checkpoint, made_by(call, columns, functions, source.names, rows))
    progress.begin(None)
    try:
        most = max(int(PART * execution.memory / width), 1)
        found = scan(
            source,
            parsed,
            columns,
            rows=rows,
            most_labels=most,
            learns=learns,
            # what a variance given the draw needs
            keep_prob=call.target == "finite" or call.vcov in (BY_DESIGN, BY_DESIGN_HC3, "PRESS"),
            design=call.design,
            tick=progress.step,
            seen=None if execution.checkpoint is None else read.add,
        )
    finally:
        progress.end()
    checkpoint.check_data(read)
    progress.resume(checkpoint)
    if found.rows < found.n_input and not quiet:
        said = rows_left_out(found.n_input, found.rows, found.dropped)
        warn_caller(DroppedRowsWarning, f"{said}. Fill them, or leave these rows out yourself, to silence this")
    analysis = prepare_analysis(replace(call, design=_on_anchor(call, found)), found.anchor, functions, quiet=quiet)
    if len(analysis.designs) > 1 and call.leave_out is not None:
        raise NeedsAllRowsError(
            f"vcov='{call.vcov}' leaves units out of the equations of the {len(analysis.designs)} classes of "
            f"'{parsed.outcome_name}' together, which needs all rows at once; use vcov='{BY_DESIGN}' or 'robust', "
            "model='multinom', "
            f"or one class, I({parsed.outcome_name} == 'class') ~ ..."
        )
    _check_units(call, len(analysis.places), found, execution)
    check_by_row(parsed, analysis, found)
    analysis = replace(analysis, sample=_among_all(analysis.sample, found, call))
    levels = feature_levels(analysis.sample.data, columns)
    refused = refused_in(source, found, analysis.sample, levels, rows)
    if refused is not None:
        analysis = replace(analysis, sample=with_refused(analysis.sample, columns, levels, refused))
    wanted = {*columns.formula, *columns.prediction, *columns.feature, *filter(None, [columns.weights])}
    return Streaming(
        source=source,
        scan=found,
        analysis=analysis,
        labels=_labels_of(analysis, found),
        levels=levels,
        refused=refused,
        needed=tuple(name for name in source.names if name in wanted.difference(columns.predicted)),
        rows=rows,
        progress=progress,
        checkpoint=checkpoint,
    )


def _without_units(call: Call) -> bool:
    """Whether the covariance leaves nothing out, or what it leaves out can be had from blocks."""
    if call.leave_out is None or not isinstance(call.tune, str):
        return True
    return call.leave_out in ("PRESS", BY_DESIGN_HC3) and call.tune == "coef" and call.cluster is None


def _check_units(call: Call, k: int, found: Scan, execution: Execution) -> None:
    """Raise NeedsAllRowsError if the Jacobians of all clusters do not fit, which covariances that leave each out add up."""
    size = 8 * HELD * call.sample_split * (found.n_clusters or 0) * k * k
    if call.leave_out is not None and size > execution.memory:
        raise NeedsAllRowsError(
            f"vcov='{call.vcov}' leaves out each of {found.n_clusters:,} clusters, whose Jacobians ({k} x {k} each, in "
            f"{call.sample_split} split(s)) take about {size / 1e9:.1f} GB, more than memory= allows; pass more, or use 'CR1'"
        )


def _check_can(call: Call, columns: Columns) -> None:
    """Raise NeedsAllRowsError for what needs all rows at once."""
    model = MODELS[call.model]
    asked = {
        f"several fixed effects of model='{call.model}'": len(columns.absorbed) > 1 and not model.linear,
        "a learner that reads texts (text=)": call.text is not None,
        "trained_on=": call.trained_on is not None,
        "stages=": bool(call.stages),
        "clusters in two ways": call.across is not None,
        f"vcov='{call.vcov}' (vcov='{BY_DESIGN}' can)": not _without_units(call),
    }
    why = next((words for words, found in asked.items() if found), "")
    if why:
        raise NeedsAllRowsError(
            f"{why} cannot be had yet where data are read in blocks: it needs all rows in memory. Read them into a table if they "
            f"fit, leave it out, or {INSTEAD}"
        )


def _on_anchor(call: Call, found: Scan) -> SamplingDesign | None:
    """The call's design of the rows of the anchor, which are known by their numbers."""
    if call.design is None or found.labeling is None:
        return None
    return some_rows(call.design, found.labeling, found.places, found.anchor.index)


def _among_all(sample: Sample, found: Scan, call: Call) -> Sample:
    """The anchor's sample with what depends on all rows: probabilities, clusters, counts."""
    n, labels = found.rows, len(found.gold_rows)
    if found.prob is None:
        equal, known = True, np.full(len(sample.labeled), labels / n)
        scaled = known
    else:
        low, high, total = found.prob
        equal = low == high
        if found.labeling is not None:
            raw = found.labeling.prob[found.places]
        else:
            raw = found.anchor[str(call.sample_prob)].to_numpy(dtype=float)
        known = np.full(len(raw), labels / n) if equal else raw
        # mean pi = n / N over all rows, as in memory
        scaled = raw * ((labels / n) / (total / n))
    weight = sample.row_weight
    if call.weights is not None:
        weight = found.anchor[call.weights].to_numpy(dtype=float) * (n / (found.weight_sum or 1.0))
    return replace(
        sample,
        sample_prob=scaled,
        equal_prob=equal,
        # a design's is known
        labeling=sample.labeling
        if call.design is not None
        else Labeling(prob=known, drawn=sample.labeled, fixed_size=equal),
        row_weight=weight,
        cluster=None if found.cluster is None else found.cluster[found.places],
        n_clusters=found.n_clusters,
        dropped=found.dropped,
        n_input=found.n_input,
        fingerprint={},
    )


def _labels_of(analysis: Analysis, found: Scan) -> Analysis:
    """The labelled rows alone."""
    sample, mask = analysis.sample, analysis.sample.labeled
    data = sample.data[mask]
    own = replace(
        sample,
        data=data,
        rows=sample.rows[mask],
        labeled=np.ones(len(data), dtype=bool),
        sample_prob=sample.sample_prob[mask],
        trained=sample.trained[mask],
        labeling=sample.labeling.at(mask),
        row_weight=None if sample.row_weight is None else sample.row_weight[mask],
        cluster=None if sample.cluster is None else sample.cluster[mask],
        # levels as all rows have them
        absorbed=tuple(codes[found.gold_rows] for codes in found.absorbed),
        features=sample.features[mask],
    )
    return replace(analysis, sample=own, designs=_on(analysis.designs, data, slice(None)))


class Folds:
    """Folds of all rows in every split, of two splits in one byte: those that rows in memory have with the same seed."""

    def __init__(self, streaming: Streaming, call: Call) -> None:
        found, labels = streaming.scan, streaming.labels.sample
        self._cluster: IntArray | None = None
        if call.folds is not None:
            rows = np.arange(found.n_input) if found.kept is None else np.flatnonzero(found.kept)
            judged = np.zeros(found.rows, dtype=bool)
            judged[found.gold_rows] = True
            given = check_folds(as_rectangle(call.folds), rows, found.n_input, judged, found.cluster)
            self._store(given, len(given), given.shape[1], int(given.max()) + 1)
            return
        check_folds_possible(labels.labeled, labels.cluster, call.cross_fit)
        self._cluster = found.cluster
        units = found.gold_rows if labels.cluster is None else np.unique(labels.cluster)
        n_units = found.rows if found.n_clusters is None else found.n_clusters
        drawn = folds_of_units(
            units,
            n_units,
            cross_fit=call.cross_fit,
            sample_split=call.sample_split,
            rng=np.random.default_rng(call.seed),
        )
        # every fold has a labelled unit
        self._store(drawn, call.sample_split, n_units, call.cross_fit)

    def _store(self, folds: Iterable[IntArray], splits: int, units: int, count: int) -> None:
        self._splits, self.count = splits, count
        self._packed = count <= HALF_BYTE
        kind = "uint8" if count <= np.iinfo(np.uint8).max else "int16"
        self._folds: IntArray = np.zeros((-(-splits // 2) if self._packed else splits, units), dtype=kind)
        for split, fold in enumerate(folds):
            if self._packed:
                self._folds[split // 2] |= np.left_shift(fold, 4 * (split % 2)).astype(np.uint8)
            else:
                self._folds[split] = fold

    def of(self, rows: slice | IntArray) -> IntArray:
        """Folds of some rows, (S, rows)."""
        found = self._folds[:, rows] if self._cluster is None else self._folds[:, self._cluster[rows]]
        if not self._packed:
            return np.asarray(found)
        out = np.empty((2 * len(found), found.shape[1]), dtype=np.uint8)
        np.bitwise_and(found, HALF_BYTE - 1, out=out[::2])
        np.right_shift(found, 4, out=out[1::2])
        return out[: self._splits]
