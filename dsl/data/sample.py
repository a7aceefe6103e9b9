"""From a data frame to checked columns: labelled rows, probabilities, clusters, dropped rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.codes import check_codes
from dsl.data.columns import Columns, check_columns_exist
from dsl.data.design import SamplingDesign, aligned, whole_units
from dsl.data.duplicates import duplicate_notes
from dsl.data.features import feature_matrix
from dsl.data.fingerprint import column_fingerprints
from dsl.data.kinds import Kind, complete, kind_of, standard, zero_one
from dsl.data.labels import (
    check_predictions,
    gold_values,
    labeled_by,
    labeled_rows,
    r_levels,
    sampling_probabilities,
    stated_rows,
)
from dsl.data.messages import missing_per_column
from dsl.data.recoding import recode
from dsl.data.refusals import may_be_missing, notes_on, refused_rows
from dsl.data.stages import Stage, read_stages
from dsl.data.tables import (
    TableLike,
    as_numbers,
    check_usable,
    column_names,
    first_rows,
    in_one_piece,
    is_category,
    table_of,
    to_pandas,
)
from dsl.data.texts import Texts, check_texts, notes_on_texts, texts_of
from dsl.data.trained import Rows, check_units, rescaled, trained_rows
from dsl.data.weights import relative, row_weights
from dsl.engine.checks import check_size
from dsl.engine.labeling import Labeling
from dsl.engine.trained import after_training, is_given
from dsl.exceptions import (
    ColumnTypeError,
    DataError,
    FoldError,
    InfiniteValueError,
    LabelError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How the labelled rows were drawn: what `Sample` has under these names."""

    sample_prob: FloatArray
    labeling: Labeling
    equal_prob: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows that enter the analysis."""

    data: pd.DataFrame
    """The analysis columns under the input's row labels. Predicted variables are float or categories, missing off the
    labelled rows."""
    rows: IntArray
    """(N,) the rows' positions in the input."""
    labeled: BoolArray
    """(N,)"""
    sample_prob: FloatArray
    """(N,) probability of being labelled, rescaled to mean n_labeled / N."""
    equal_prob: bool
    trained: BoolArray
    """(N,) labelled rows that the predictions' maker has seen with their gold labels (`dsl.engine.trained`). They are known with
    a probability of one, learners do not see them, and no prediction is judged by them."""
    stated: Draw | None
    """The draw before that is taken into account, where these rows are a random part of it."""
    labeling: Labeling
    """(N,) how the labelled rows were drawn, with the probabilities as they were, not rescaled: a probability of one stays one.
    Without a design a fixed number was drawn if all probabilities are equal, else one by one."""
    stages: tuple[Stage, ...]
    """Labels of lower quality on more rows, in order (`dsl.data.stages`)."""
    row_weight: FloatArray | None
    """(N,) what each row counts for in the analysis, with mean one, or None for one each (`dsl.data.weights`)."""
    cluster: IntArray | None
    """(N,) codes 0, 1, ... in order of the sorted cluster labels."""
    n_clusters: int | None
    across: IntArray | None
    """(N,) codes 0, 1, ... of clusters in a second way."""
    absorbed: tuple[IntArray, ...]
    """(N,) level codes of each fixed-effect factor."""
    features: FloatArray
    """(N, p) what the learners see: predictions, then features, categories as dummies."""
    feature_names: tuple[str, ...]
    texts: Texts | None
    """What learners that read texts see beside the features."""
    dropped: dict[str, int]
    """Rows left out, per column with missing values (a row counts for each such column)."""
    n_input: int
    notes: tuple[str, ...]
    two_levels: dict[str, tuple[str, str]]
    """R's two levels of predicted variables that are 0 and 1 here, and logical or a category in R."""
    codings: tuple[str, ...]
    """What looks miscoded, a sentence each (`dsl.data.codes.doubts`)."""
    refused: dict[str, BoolArray]
    """(N,) rows in which a prediction or feature is missing, of the columns that miss any."""
    fingerprint: dict[str, str]
    """Hash of each column in the input, all rows (`dsl.data.fingerprint.column_fingerprints`)."""

    @property
    def labels(self) -> pd.Index:
        """The rows' labels in the input, (N,)."""
        return self.data.index

    @property
    def last(self) -> Labeling | None:
        """(N,) how the labelled rows were drawn among those of the stage before, None where there is one stage."""
        return self.stages[-1].then if self.stages else None

    @property
    def n_labeled(self) -> int:
        """Number of labelled rows."""
        return int(self.labeled.sum())

    @property
    def judged(self) -> BoolArray:
        """Labelled rows that predictions are learnt from and judged by, (N,)."""
        return self.labeled & ~self.trained

    def as_stated(self) -> Sample:
        """The same for an estimator without predictions, to which it is nothing that somebody has seen its labels."""
        alone = replace(self, stages=()) if self.stages else self
        if self.stated is None:
            return alone
        own = self.stated
        return replace(
            alone,
            sample_prob=own.sample_prob,
            labeling=own.labeling,
            equal_prob=own.equal_prob,
            trained=np.zeros_like(self.trained),
            stated=None,
        )

    @property
    def weight(self) -> FloatArray:
        """1 / sampling probability of the labelled rows, (n_labeled,)."""
        return np.asarray(1.0 / self.sample_prob[self.labeled])


def prepare(
    data: TableLike, columns: Columns, design: SamplingDesign | None = None, trained_on: str | Rows | None = None
) -> Sample:
    """Check the data and cut them to the rows of the analysis.

    Rows are dropped only for missing values in covariates, features, clusters and fixed effects, which `Sample.dropped`
    counts. Missing predictions are `Sample.refused`, for whoever needs them to refuse or to do without. Anything else that is
    missing or contradictory raises. A `design` (`dsl.sampling.LabelDesign`) says which rows were drawn with which probability,
    `trained_on` which of them the predictions' maker has seen (`dsl.data.trained.as_trained`).
    """
    frame = _columns_of(data, columns)
    fingerprint = column_fingerprints(frame)  # of the input as it came: before labels are read and rows dropped
    two_levels = {name: two for name in columns.predicted if (two := r_levels(frame[name])) is not None}
    marks = {*columns.predicted, columns.labeled, columns.sample_prob}
    notes = duplicate_notes(data, frame, [str(name) for name in frame if name not in marks])
    notes += _read_zero_one(frame, columns)
    labeling = None if design is None else aligned(design, frame.index)
    counted = row_weights(frame, columns.weights, columns.sample_prob)
    codings = check_codes(frame, columns, stated_rows(frame, columns) if labeling is None else labeling.drawn)
    for name in columns.predicted:
        frame[name] = gold_values(frame[name])
    check_finite(frame, but=columns.sample_prob)
    # labels are checked on all rows, before any is dropped: a mistake in a dropped row is a mistake in the file
    labeled = labeled_rows(frame, columns) if labeling is None else labeled_by(labeling, frame, columns)
    check_predictions(frame, columns, labeled)
    trained = trained_rows(trained_on, frame, labeled)
    after = None if labeling is None or trained_on is None else after_training(labeling, trained)
    probability = sampling_probabilities(frame, columns, labeled) if labeling is None else labeling.prob
    (keep, dropped), n_input = complete_rows(frame, columns), len(frame)
    if not keep.all():
        _check_left(keep, labeled, dropped)
        frame, labeled, probability, trained = frame[keep], labeled[keep], probability[keep], trained[keep]
        labeling, after = (None if each is None else each.at(keep) for each in (labeling, after))
    stated = draw = _as_stated(labeling, probability, labeled)
    # once rows with missing values are gone, nullable truth values and whole numbers can be plain ones
    if not all(isinstance(kind, np.dtype) for kind in frame.dtypes):
        frame = table_of({str(name): complete(frame[name]) for name in frame}, frame.index)
    notes += _drop_unused_categories(frame)
    cluster, n_clusters = _clusters(frame, columns, stated.labeling)
    if trained.any():
        check_units(trained, stated.labeling, cluster, columns.cluster)
        draw = _given_training(stated, after, trained)
    refused = refused_rows(frame, columns)
    features, feature_names = feature_matrix(frame, columns, refused)
    return Sample(
        data=frame,
        rows=np.flatnonzero(keep),
        labeled=labeled,
        sample_prob=draw.sample_prob,
        equal_prob=draw.equal_prob,
        trained=trained,
        stated=None if draw is stated or is_given(stated.labeling, trained) else stated,
        labeling=draw.labeling,
        stages=read_stages(frame, columns, labeled, probability, design),
        row_weight=relative(None if counted is None else counted[keep]),
        cluster=cluster,
        n_clusters=n_clusters,
        across=None if columns.across is None else _codes(frame, columns.across)[0],
        absorbed=tuple(_combinations(frame, names) for names in columns.absorbed.values()),
        features=features,
        feature_names=feature_names,
        texts=texts_of(frame, columns.text, keep),
        dropped=dropped,
        n_input=n_input,
        notes=notes + notes_on(refused, columns) + notes_on_texts(frame, columns.text),
        two_levels={name: two for name, two in two_levels.items() if not is_category(frame[name])},
        codings=codings,
        refused=refused,
        fingerprint=fingerprint,
    )


def _clusters(frame: pd.DataFrame, columns: Columns, labeling: Labeling) -> tuple[IntArray | None, int | None]:
    """Codes of the clusters, and their number: those named, or the units of a design."""
    cluster, n_clusters = (None, None) if columns.cluster is None else _codes(frame, columns.cluster)
    if labeling.unit is None:
        return cluster, n_clusters
    return whole_units(labeling.unit, cluster, n_clusters, columns.cluster)


def _as_stated(labeling: Labeling | None, probability: FloatArray, labeled: BoolArray) -> Draw:
    """The draw with probabilities as they were named, or without any."""
    equal_prob = bool(np.ptp(probability) == 0.0)
    if labeling is None:
        known = np.full(len(labeled), labeled.mean()) if equal_prob else probability
        # equal probabilities most often come from a draw of a fixed number, unequal ones from independent draws
        labeling = Labeling(prob=known, drawn=labeled, fixed_size=equal_prob)
    # mean pi = n / N on the rows that are left, as in the reference: the weights of the labelled rows then add up to
    # about N
    scaled = probability * (labeled.mean() / probability.mean())
    return Draw(sample_prob=scaled, labeling=labeling, equal_prob=equal_prob)


def _given_training(stated: Draw, after: Labeling | None, trained: BoolArray) -> Draw:
    """The draw once it is given which of the labelled rows the predictions' maker has seen."""
    labeling = after_training(stated.labeling, trained) if after is None else after
    if not (labeling.drawn & ~trained).any():
        raise LabelError(
            "every labelled row that was not seen (trained_on) has a missing value: no label is left that the predictions were "
            "not made from; fill the missing values, or leave their columns out"
        )
    return Draw(sample_prob=rescaled(labeling, trained), labeling=labeling, equal_prob=False)


def notes_on_training(sample: Sample) -> tuple[str, ...]:
    """What a fit says of labelled rows that the predictions' maker has seen."""
    if not sample.trained.any():
        return ()
    chosen = (
        "chosen before the others were drawn (their probability is 1)"
        if sample.stated is None
        else "taken for a random part of them"
    )
    return (
        f"{int(sample.trained.sum()):,} of the {sample.n_labeled:,} labelled rows were seen by whoever made the predictions "
        f"(trained_on), {chosen}: their labels count as known, and say nothing of the predictions' errors elsewhere",
    )


def _columns_of(data: TableLike, columns: Columns) -> pd.DataFrame:
    """The columns of the analysis, every cell of a kind that its role can use."""
    check_columns_exist(columns, column_names(data))
    names = list(columns.roles())
    frame = to_pandas(data, names)
    if frame.empty:
        raise DataError("the data have no rows; look at the filter or join that made them")
    check_usable(frame, columns.roles())
    frame = table_of({name: in_one_piece(standard(frame[name])) for name in names}, frame.index)
    _check_kinds(frame, columns)
    return frame


MANY_LEVELS = 20
"""Distinct text values from which a column is looked at: numbers read as text, free text."""


def _check_kinds(frame: pd.DataFrame, columns: Columns) -> None:
    """Raise ColumnTypeError for text that cannot be meant as categories, and for dates as labels or predictions."""
    for name in (*columns.predicted, *columns.prediction):
        if kind_of(frame[name]).dated:
            as_numbers(frame[name], columns.roles()[name])
    for name, role in columns.roles().items():
        if role in ("formula", "feature", "prediction") and kind_of(frame[name]) is Kind.TEXT:
            _check_text(frame[name], role)
    if columns.text is not None:
        check_texts(frame[columns.text])


def _read_zero_one(frame: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """Make numbers of "0" and "1", and of categories 0 and 1, where labels and predictions are. Notes on those that were text."""
    notes = []
    staged = [name for stage in columns.stages for name in stage.labels.values()]
    for name in (*columns.predicted, *columns.prediction, *staged, *filter(None, [columns.labeled])):
        numbers = zero_one(frame[name])
        if numbers is None:
            continue
        if kind_of(frame[name]) is Kind.TEXT:
            notes.append(f"'{name}': text that is '0' or '1', read as numbers")
        if name not in columns.formula or name in columns.predicted:
            frame[name] = numbers
    return tuple(notes)


def _check_text(column: pd.Series, role: str) -> None:
    values = column.dropna().unique()
    if len(values) <= MANY_LEVELS:
        return
    # many levels: dates, numbers with a few typing errors ("n/a", "12,5"), or free text
    texts = pd.Series(values, dtype=object)
    dates = pd.to_datetime(texts.where(texts.map(lambda v: isinstance(v, str))), errors="coerce", format="ISO8601")
    if dates.notna().mean() >= 0.8 and texts.map(str).str.contains("-").mean() >= 0.8:
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) holds {len(values)} different dates as text, such as {values[0]!r}. Make dates of "
            f"them: data['{column.name}'] = pd.to_datetime(data['{column.name}']), a number of days in the formula; for a "
            f"coefficient each, .astype('category')"
        )
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").notna().to_numpy()
    if numbers.mean() >= 0.8:
        other = "" if numbers.all() else f" and some others ({', '.join(repr(v) for v in values[~numbers][:3])})"
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) holds {int(numbers.sum())} different numbers{other} as text. "
            f"{recode(str(column.name), values)}; "
            + (
                f"codes of categories go into factor({column.name})"
                if role == "formula"
                else "of codes of categories make text"
            )
        )
    if role != "feature" and len(values) > max(50, len(column) // 2):
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) has {len(values)} different text values in {len(column)} rows, too many to "
            "serve as a category; use numbers derived from it, or broader categories"
        )


def check_finite(frame: pd.DataFrame, but: str | None = None) -> None:
    """Raise InfiniteValueError for infinite numbers. Probabilities (`but`) have a check of their own, whose message says more."""
    for name in frame.columns:
        if name == but:
            continue
        values = frame[name].to_numpy()
        if values.dtype.kind != "f":
            continue
        # missing values hide the extremes
        finite = bool(np.isfinite((values.min(), values.max())).all())
        if not finite and np.isinf(values).any():
            raise InfiniteValueError(
                f"column '{name}' is infinite in {first_rows(np.isinf(values), frame.index)}; "
                "set these values to missing, or correct them"
            )
        check_size(values, f"column '{name}'")


def complete_rows(frame: pd.DataFrame, columns: Columns) -> tuple[BoolArray, dict[str, int]]:
    """Rows (N,) without missing values where none may be, and the number of those with some, by column."""
    keep, dropped = np.ones(len(frame), dtype=bool), {}
    kept = may_be_missing(columns)
    for name in frame.columns:
        if name in columns.predicted or name in kept:
            continue
        missing = frame[name].isna().to_numpy()
        if missing.any():
            dropped[name] = int(missing.sum())
            # predicted variables are missing off the labelled rows by design, and do not count
            keep &= ~missing
    return keep, dropped


def _check_left(keep: BoolArray, labeled: BoolArray, dropped: dict[str, int]) -> None:
    left = labeled[keep]
    check_left(bool(keep.any()), bool(left.any()), bool(left.all() and not labeled.all()), dropped)


def check_left(some: bool, labels: bool, labels_alone: bool, dropped: dict[str, int]) -> None:
    """Raise DataError unless complete rows are left, labelled ones among them (LabelError) and others where there were some."""
    advice = f"missing values per column are {missing_per_column(dropped)}: fill them, or leave the column out"
    if not some:
        raise DataError(f"no row is complete; {advice}")
    if not labels:
        raise LabelError(f"every labelled row has a missing value; {advice}")
    if labels_alone:
        raise DataError(f"every unlabelled row has a missing value; {advice}")


def _drop_unused_categories(frame: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    for name in frame.columns:
        if is_category(frame[name]):
            used = frame[name].cat.remove_unused_categories()
            gone = [str(level) for level in frame[name].cat.categories.difference(used.cat.categories)]
            if gone:
                notes.append(f"'{name}': levels without rows left out: {', '.join(gone)}")
                frame[name] = used
    return tuple(notes)


def _codes(frame: pd.DataFrame, name: str) -> tuple[IntArray, int]:
    codes, levels = pd.factorize(frame[name], sort=True)
    return codes, len(levels)


def _combinations(frame: pd.DataFrame, names: Sequence[str]) -> IntArray:
    """Codes of the combinations of several columns' values, (N,)."""
    codes, _ = _codes(frame, names[0])
    for name in names[1:]:
        more, width = _codes(frame, name)
        # numbered anew after every column: the product of many widths would leave the integers
        codes, _ = pd.factorize(codes * width + more, sort=True)
    return codes


def check_folds_possible(labeled: BoolArray, cluster: IntArray | None, cross_fit: int) -> None:
    """Raise FoldError unless every fold can hold a labelled row (or cluster with one)."""
    # a cluster stays in one fold, so that clusters with labels are what is dealt out
    units = int(labeled.sum()) if cluster is None else len(np.unique(cluster[labeled]))
    what = "labelled rows" if cluster is None else "clusters with labelled rows"
    if units < cross_fit:
        raise FoldError(
            f"{units} {what} cannot be spread over cross_fit={cross_fit} folds; label more, or pass a smaller cross_fit"
        )
