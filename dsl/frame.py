"""From a data frame to checked columns: labelled rows, probabilities, clusters, dropped rows."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.covariance import Labeling
from dsl.drawn import Drawn, gold_values, labeling_of, whole_units
from dsl.exceptions import (
    ColumnTypeError,
    DataError,
    FoldError,
    InfiniteValueError,
    LabelError,
    LeakError,
    MissingColumnError,
    PredictionError,
    SampleProbabilityError,
)
from dsl.tables import as_numbers, column_names, first_rows, is_category, recode, to_pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns an analysis uses, by role."""

    formula: tuple[str, ...]
    predicted: tuple[str, ...]
    prediction: tuple[str, ...] = ()
    feature: tuple[str, ...] = ()
    labeled: str | None = None
    sample_prob: str | None = None
    cluster: str | None = None
    absorbed: tuple[str, ...] = ()

    def roles(self) -> dict[str, str]:
        """Argument that names each column, for messages; the first one where several do."""
        named: list[tuple[str, Iterable[str]]] = [
            ("predicted_var", self.predicted),
            ("formula", self.formula),
            ("prediction", self.prediction),
            ("feature", self.feature),
            ("labeled", [self.labeled] if self.labeled else []),
            ("sample_prob", [self.sample_prob] if self.sample_prob else []),
            ("cluster", [self.cluster] if self.cluster else []),
            ("index", self.absorbed),
        ]
        out: dict[str, str] = {}
        for role, names in named:
            for name in names:
                out.setdefault(name, role)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows that enter the analysis."""

    data: pd.DataFrame
    """The analysis columns under the input's row labels; predicted variables are float or categories, missing off the
    labelled rows."""
    rows: IntArray
    """(N,) the rows' positions in the input."""
    labeled: BoolArray
    """(N,)"""
    sample_prob: FloatArray
    """(N,) probability of being labelled, rescaled to mean n_labeled / N."""
    equal_prob: bool
    labeling: Labeling
    """How the labelled rows were drawn; without a design, a fixed number if all probabilities are equal, else one by one."""
    cluster: IntArray | None
    """(N,) codes 0, 1, ... in order of the sorted cluster labels."""
    n_clusters: int | None
    absorbed: tuple[IntArray, ...]
    """(N,) level codes of each fixed-effect factor."""
    features: FloatArray
    """(N, p) what the learners see: predictions, then features, categories as dummies."""
    feature_names: tuple[str, ...]
    dropped: dict[str, int]
    """Rows left out, per column with missing values (a row counts for each such column)."""
    n_input: int
    notes: tuple[str, ...]

    @property
    def labels(self) -> pd.Index:
        """The rows' labels in the input; (N,)."""
        return self.data.index

    @property
    def n_labeled(self) -> int:
        """Number of labelled rows."""
        return int(self.labeled.sum())

    @property
    def weight(self) -> FloatArray:
        """1 / sampling probability of the labelled rows; (n_labeled,)."""
        return np.asarray(1.0 / self.sample_prob[self.labeled])


def check_columns_exist(columns: Columns, available: Sequence[str]) -> None:
    """Raise MissingColumnError or DataError unless every named column is there once."""
    roles = columns.roles()
    missing = [name for name in roles if name not in set(available)]
    if missing:
        name = missing[0]
        close = difflib.get_close_matches(name, available, n=3)
        hint = f"did you mean {_quote(close)}?" if close else f"the columns are {_quote(list(available)[:20])}"
        others = f" (nor are {_quote(missing[1:])})" if missing[1:] else ""
        raise MissingColumnError(f"column '{name}', named in {roles[name]}, is not in the data{others}; {hint}")
    twice = sorted({name for name in roles if list(available).count(name) > 1})
    if twice:
        raise DataError(
            f"the data have more than one column named {_quote(twice)}; keep one of them, e.g. "
            "data.loc[:, ~data.columns.duplicated()]"
        )


def prepare(data: Any, columns: Columns, design: Any = None) -> Sample:
    """Check the data and cut them to the rows of the analysis.

    Rows are dropped only for missing values in covariates, features, clusters and fixed effects;
    `Sample.dropped` counts them. Anything else that is missing or contradictory raises. A `design`
    (`dsl.sampling.LabelDesign`) says which rows were drawn with which probability.
    """
    check_columns_exist(columns, column_names(data))
    names = list(columns.roles())
    frame = to_pandas(data, names)
    if frame.empty:
        raise DataError("the data have no rows; look at the filter or join that made them")
    _check_kinds(frame, columns)
    for name in columns.predicted:
        frame[name] = gold_values(frame[name])
    _check_finite(frame.drop(columns=columns.sample_prob) if columns.sample_prob else frame)
    drawn = None if design is None else Drawn.of(design, frame.index)
    labeled = _labeled(frame, columns) if drawn is None else _labeled_by(drawn, frame, columns)
    _check_predictions(frame, columns, labeled)
    probability = _sample_prob(frame, columns, labeled) if drawn is None else drawn.prob
    keep, dropped = _complete_rows(frame, columns)
    n_input = len(frame)
    if not keep.all():
        _check_left(keep, labeled, dropped)
        frame, labeled, probability = frame[keep], labeled[keep], probability[keep]
    scaled = probability * (labeled.mean() / probability.mean())
    equal_prob = bool(np.ptp(probability) == 0.0)
    frame = frame.astype({name: bool for name, kind in frame.dtypes.items() if isinstance(kind, pd.BooleanDtype)})
    notes = _drop_unused_categories(frame)
    cluster, n_clusters = _codes(frame, columns.cluster) if columns.cluster else (None, None)
    if drawn is not None and drawn.design.unit is not None:
        cluster, n_clusters = whole_units(drawn.design.unit[drawn.place[keep]], cluster, n_clusters, columns.cluster)
    features, feature_names = feature_matrix(frame, columns)
    return Sample(
        data=frame,
        rows=np.flatnonzero(keep),
        labeled=labeled,
        sample_prob=scaled,
        equal_prob=equal_prob,
        labeling=labeling_of(drawn, keep, labeled, scaled if equal_prob else probability, equal_prob),
        cluster=cluster,
        n_clusters=n_clusters,
        absorbed=tuple(_codes(frame, name)[0] for name in columns.absorbed),
        features=features,
        feature_names=feature_names,
        dropped=dropped,
        n_input=n_input,
        notes=notes,
    )


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


MANY_LEVELS = 20
"""Distinct text values from which a column is looked at: numbers read as text, free text."""


def _check_kinds(frame: pd.DataFrame, columns: Columns) -> None:
    """Raise ColumnTypeError for values that no role can use, and for text that cannot be meant as categories."""
    for name, role in columns.roles().items():
        column = frame[name]
        if pd.api.types.is_complex_dtype(column.dtype):
            raise ColumnTypeError(f"column '{name}' ({role}) holds complex numbers; use real ones, e.g. np.real")
        if column.dtype == object:
            try:
                column.unique()
            except TypeError:
                kind = type(column.dropna().iloc[0]).__name__
                raise ColumnTypeError(
                    f"column '{name}' ({role}) holds a {kind} in each row; it must hold one number or text in each: "
                    "spread its elements over several columns"
                ) from None
        if role in ("formula", "feature", "prediction") and pd.api.types.is_string_dtype(column):
            _check_text(column, role)


def _check_text(column: pd.Series, role: str) -> None:
    values = column.dropna().unique()
    if len(values) <= MANY_LEVELS:
        return
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").notna().to_numpy()
    if numbers.mean() >= 0.8:
        other = "" if numbers.all() else f" and some others ({', '.join(repr(v) for v in values[~numbers][:3])})"
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) holds {int(numbers.sum())} different numbers{other} as text. "
            f"{recode(str(column.name), values)}; if they are codes of categories, .astype('category')"
        )
    if role != "feature" and len(values) > max(50, len(column) // 2):
        raise ColumnTypeError(
            f"column '{column.name}' ({role}) has {len(values)} different text values in {len(column)} rows, too many to "
            "serve as a category; use numbers derived from it, or broader categories"
        )


def _check_finite(frame: pd.DataFrame) -> None:
    for name in frame.columns:
        values = frame[name].to_numpy()
        if values.dtype.kind == "f" and np.isinf(values).any():
            raise InfiniteValueError(
                f"column '{name}' is infinite in {first_rows(np.isinf(values), frame.index)}; "
                "set these values to missing, or correct them"
            )


def _labeled_by(drawn: Drawn, frame: pd.DataFrame, columns: Columns) -> BoolArray:
    _check_labeled_gold(frame, columns, drawn.drawn, "drawn by the design", "not drawn by the design")
    if not drawn.drawn.any():
        raise LabelError("the labelling design drew no rows; draw again with a larger size")
    return drawn.drawn


def _labeled(frame: pd.DataFrame, columns: Columns) -> BoolArray:
    """Labelled rows: the column `labeled`, or those with a gold value of every predicted variable."""
    gold = frame[list(columns.predicted)].notna().to_numpy()
    everything, something = gold.all(axis=1), gold.any(axis=1)
    if columns.labeled is None:
        labeled = everything
        if (something & ~everything).any():
            part = first_rows(something & ~everything, frame.index)
            raise LabelError(
                f"{part} have a gold value of some of {_quote(columns.predicted)} but not of all; a labelled row needs "
                "all of them: complete them, or set the ones that are there to missing"
            )
    else:
        labeled = _zero_one(frame[columns.labeled], columns.labeled).astype(bool)
        yes, no = (f"with {columns.labeled} = {value}" for value in (1, 0))
        _check_labeled_gold(frame, columns, labeled, yes, no)
    if not labeled.any():
        raise LabelError(
            f"no labelled rows: {_quote(columns.predicted)} {'is' if len(columns.predicted) == 1 else 'are'} missing in "
            "every row; DSL needs gold labels for a random part of the rows"
        )
    return np.asarray(labeled)


def _zero_one(column: pd.Series, name: str) -> FloatArray:
    values = as_numbers(column, "labeled").to_numpy()
    bad = ~np.isin(values, (0.0, 1.0))
    if bad.any():
        found = ", ".join(str(v) for v in pd.unique(values[bad])[:4])
        raise LabelError(
            f"column '{name}' (labeled) must be 1 (labelled) or 0; found {found} in {first_rows(bad, column.index)}. "
            "Recode it, or leave `labeled` out: then the rows without missing gold values are the labelled ones"
        )
    return np.asarray(values)


def _check_labeled_gold(frame: pd.DataFrame, columns: Columns, labeled: BoolArray, yes: str, no: str) -> None:
    """Raise LabelError unless gold values are there exactly on the labelled rows; `yes` and `no` describe the two kinds."""
    for name in columns.predicted:
        there = frame[name].notna().to_numpy()
        if (labeled & ~there).any():
            other = f"or set {columns.labeled} to 0 there" if columns.labeled else "for every row that was drawn"
            raise LabelError(
                f"'{name}' is missing in {first_rows(labeled & ~there, frame.index)} {yes}; supply the gold label, {other}"
            )
        if (~labeled & there).any():
            remedy = f"set {columns.labeled} to 1 if an expert labelled them, else " if columns.labeled else ""
            raise LabelError(
                f"'{name}' has a gold value in {first_rows(~labeled & there, frame.index)} {no}; "
                f"{remedy}set '{name}' to missing there"
            )


def _check_predictions(frame: pd.DataFrame, columns: Columns, labeled: BoolArray) -> None:
    for name in (*columns.prediction, *columns.feature):
        _check_not_filled(frame, name, columns, labeled)
        missing = frame[name].isna().to_numpy()
        if not missing.any():
            continue
        for gold in columns.predicted:
            if (missing == ~labeled).all() and _same(frame[name], frame[gold], labeled):
                role = "prediction" if name in columns.prediction else "feature"
                raise LeakError(
                    f"{role} '{name}' equals the gold label '{gold}' on all labelled rows and is missing elsewhere: it "
                    "is a copy of the gold label, not a surrogate. Pass the labels that the model gave to every row"
                )
        if name not in columns.prediction:
            continue  # its rows are dropped
        only = ", all of them unlabelled" if not missing[labeled].any() else ""
        raise PredictionError(
            f"prediction '{name}' is missing in {first_rows(missing, frame.index)}{only}; predictions are needed for "
            f"all rows: get them from the model, or leave these rows out yourself, data.dropna(subset=['{name}']), if they "
            "are not part of the population that you study"
        )


def _check_not_filled(frame: pd.DataFrame, name: str, columns: Columns, labeled: BoolArray) -> None:
    """Raise LeakError for a copy of the gold label whose gaps were filled with one value."""
    rest = frame[name].to_numpy()[~labeled]
    if len(rest) < 20 or pd.isna(rest[0]) or not bool((rest == rest[0]).all()):
        return
    for gold in columns.predicted:
        if frame[gold].nunique() > 1 and _same(frame[name], frame[gold], labeled):
            raise LeakError(
                f"'{name}' equals the gold label '{gold}' on all labelled rows and is {rest[0]} on all others: it is a copy of "
                "the gold label with its gaps filled, not a surrogate. Pass the labels that the model gave to every row"
            )


def _same(prediction: pd.Series, gold: pd.Series, labeled: BoolArray) -> bool:
    if is_category(gold):
        return bool(np.array_equal(prediction[labeled].astype(object), gold[labeled].astype(object)))
    try:
        values = as_numbers(prediction, "prediction").to_numpy()
    except ColumnTypeError:
        return False
    return bool(np.array_equal(values[labeled], gold.to_numpy()[labeled]))


def _sample_prob(frame: pd.DataFrame, columns: Columns, labeled: BoolArray) -> FloatArray:
    if columns.sample_prob is None:
        return np.full(len(frame), labeled.mean())
    name = columns.sample_prob
    values = as_numbers(frame[name], "sample_prob").to_numpy()
    advice = "supply the probability with which each row was drawn for labelling, for unlabelled rows too"
    for bad, what, kind in (
        (labeled & np.isnan(values), "missing", "labelled row"),
        (np.isnan(values), "missing", "row"),
        (labeled & (values == 0.0), "zero", "labelled row"),
        ((values <= 0.0) | (values > 1.0), "outside (0, 1]", "row"),
    ):
        if bad.any():
            percent = " (percentages divided by 100)" if 2.0 < values[bad].max() <= 100.0 else ""
            raise SampleProbabilityError(
                f"the sampling probability '{name}' is {what} in {first_rows(bad, frame.index, kind)}; {advice}{percent}"
            )
    return np.asarray(values, dtype=float)


def _complete_rows(frame: pd.DataFrame, columns: Columns) -> tuple[BoolArray, dict[str, int]]:
    keep, dropped = np.ones(len(frame), dtype=bool), {}
    for name in frame.columns:
        if name in columns.predicted:
            continue
        missing = frame[name].isna().to_numpy()
        if missing.any():
            dropped[name] = int(missing.sum())
            keep &= ~missing
    return keep, dropped


def _check_left(keep: BoolArray, labeled: BoolArray, dropped: dict[str, int]) -> None:
    counts = ", ".join(f"'{name}' ({count})" for name, count in dropped.items())
    advice = f"missing values per column are {counts}: fill them, or leave the column out"
    if not keep.any():
        raise DataError(f"no row is complete; {advice}")
    if not labeled[keep].any():
        raise LabelError(f"every labelled row has a missing value; {advice}")
    if labeled[keep].all() and not labeled.all():
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


def feature_matrix(frame: pd.DataFrame, columns: Columns) -> tuple[FloatArray, tuple[str, ...]]:
    """What the learners see: predictions, then features; categories as dummies without the first level."""
    parts: list[FloatArray] = []
    names: list[str] = []
    for name in dict.fromkeys((*columns.prediction, *columns.feature)):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            parts.append(column.to_numpy(dtype=float)[:, None])
            names.append(name)
            continue
        dummies = pd.get_dummies(column.astype("category"), prefix=name, drop_first=True, dtype=float)
        if dummies.shape[1] > max(50, len(frame) // 20):
            raise ColumnTypeError(
                f"column '{name}' has {dummies.shape[1] + 1} different {column.dtype} values in {len(frame)} rows, too "
                "many to serve as a category; pass numbers derived from it (embeddings, counts, years) as features"
            )
        parts.append(dummies.to_numpy())
        names.extend(dummies.columns)
    if not parts:
        return np.zeros((len(frame), 0)), ()
    return (parts[0] if len(parts) == 1 else np.hstack(parts)), tuple(names)


def check_folds_possible(labeled: BoolArray, cluster: IntArray | None, cross_fit: int) -> None:
    """Raise FoldError unless every fold can hold a labelled row (or cluster with one)."""
    units = int(labeled.sum()) if cluster is None else len(np.unique(cluster[labeled]))
    what = "labelled rows" if cluster is None else "clusters with labelled rows"
    if units < cross_fit:
        raise FoldError(
            f"{units} {what} cannot be spread over cross_fit={cross_fit} folds; label more, or pass a smaller cross_fit"
        )
