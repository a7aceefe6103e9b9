"""What the package writes of a labelling design into tables, and whether a call that gets such a table uses it."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import warn_caller
from dsl.data.containers import with_columns
from dsl.data.design import SamplingDesign
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.exceptions import ArgumentError, UnusedDesignWarning

SAMPLE_PROB = "sample_prob"
"""Column in which tables of this package record each row's probability of being labelled."""
SAMPLE_UNIT = "sample_unit"
"""Column in which they record the units that were drawn whole or first, as codes 0, 1, ..., where a design has any."""
COLUMNS = (SAMPLE_PROB, SAMPLE_UNIT)
KEY = "dsl_design"
"""Where `DataFrame.attrs` holds a `Record`."""
ROUNDED = 1e-12
"""Difference between probabilities that writing them to a file may make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A design in a few words, attached to pandas tables: small, as pandas copies it with every operation."""

    fingerprint: str
    """Of the design (`SamplingDesign.fingerprint`)."""
    label: str
    """Column of the labels that were drawn so, empty where they had no name."""
    unequal: bool
    """Whether probabilities differ."""
    units: bool
    """Whether units of several rows were drawn."""

    @classmethod
    def of(cls, data: TableLike) -> "Record | None":
        """The record attached to a table, if there is one."""
        found = data.attrs.get(KEY) if isinstance(data, pd.DataFrame) else None
        try:
            return cls(**found) if found else None
        # written by another version, or by somebody else
        except TypeError:
            return None


def columns_of(design: SamplingDesign, index: pd.Index) -> pd.DataFrame:
    """The columns that record a design, for rows under these labels: missing for rows that are not the design's."""
    table = pd.DataFrame({SAMPLE_PROB: design.prob}, index=design.rows)
    if design.unit is not None:
        table[SAMPLE_UNIT] = pd.array(design.unit, dtype="Int64")
    table = table.reindex(index)
    return table if table.isna().to_numpy().any() else table.astype({name: int for name in table.columns[1:]})


def recorded(data: TableLike, labels: pd.Series, design: SamplingDesign) -> TableLike:
    """A copy of the table, of its own kind, with the labels and a record of the design that drew them.

    Parameters
    ----------
    data : data frame
    labels : Series, (rows of the data,)
        Under the row labels that the design knows. Its name is that of the column to set.
    design : SamplingDesign
    """
    made = with_columns(data, pd.concat([labels, columns_of(design, labels.index)], axis=1))
    return _attached(made, design, str(labels.name)) if isinstance(made, pd.DataFrame) else made


def with_record(table: pd.DataFrame, design: SamplingDesign, label: str) -> pd.DataFrame:
    """A pandas table of the design's rows with its record, and the columns of it whose names are free."""
    new = columns_of(design, table.index)
    made = table.assign(**{name: new[name] for name in COLUMNS if name in new and name not in table})
    return _attached(made, design, label)


def _attached(table: pd.DataFrame, design: SamplingDesign, label: str) -> pd.DataFrame:
    record = Record(
        fingerprint=design.fingerprint, label=label, unequal=_differ(design.prob), units=design.unit is not None
    )
    table.attrs[KEY] = asdict(record)
    return table


def check_free(data: TableLike, table: pd.DataFrame, design: SamplingDesign) -> None:
    """Raise ArgumentError if the columns that would record the design hold something else.

    Parameters
    ----------
    data : data frame
        As the user has it. Columns that an earlier design is known to have written into it may be replaced.
    table : DataFrame
        The same under the row labels that the design knows.
    design : SamplingDesign
    """
    if Record.of(data) is not None:
        return
    # a nested design takes the place of the one before
    chain = [design, *_before(design)]
    recorded_ones = [columns_of(each, table.index) for each in chain]
    for name in COLUMNS:
        if name not in table.columns:
            continue
        if not any(name in new.columns and _same(table[name], new[name]) for new in recorded_ones):
            what = "other probabilities than the design" if name == SAMPLE_PROB else "other units than the design"
            raise ArgumentError(
                f"the data's column '{name}', in which this design would be recorded, has {what}; rename it, or drop it if it is "
                f"of an earlier design: data.drop(columns='{name}')"
            )


def _before(design: SamplingDesign) -> list[SamplingDesign]:
    return [] if design.within is None else [design.within, *_before(design.within)]


def _same(known: pd.Series, new: pd.Series) -> bool:
    values, ours = _numbers(known), new.to_numpy(dtype=float, na_value=np.nan)
    there = ~np.isnan(ours)
    # rows that are not the design's may hold anything
    return values is not None and bool((np.abs(values - ours)[there] < ROUNDED).all())


def warn_if_unused(
    data: TableLike,
    *,
    gold: tuple[str, ...],
    design: SamplingDesign | None,
    sample_prob: str | None,
    cluster: str | None = None,
    clusters: bool = True,
) -> None:
    """Warn of a design that the data record and the call does not use.

    Nothing is lost, and nothing said, where all probabilities are equal and no units of several rows were drawn.

    Parameters
    ----------
    data : data frame
        As the user has it.
    gold : tuple of str
        Columns of the labels in question.
    design, sample_prob, cluster
        As in the call.
    clusters : bool
        Whether `cluster` serves for the units: not for a finite target, where the design alone says what was drawn together.

    Warns
    -----
    UnusedDesignWarning
        Names the column, and the argument to add.
    """
    message = unused(data, gold=gold, design=design, sample_prob=sample_prob, cluster=cluster, clusters=clusters)
    if message:
        warn_caller(UnusedDesignWarning, message)


def unused(
    data: TableLike,
    *,
    gold: tuple[str, ...],
    design: SamplingDesign | None,
    sample_prob: str | None,
    cluster: str | None = None,
    clusters: bool = True,
) -> str:
    """What `warn_if_unused` warns of, empty where there is nothing."""
    if design is not None:
        return ""
    record, names = Record.of(data), column_names(data)
    # of an analysis of other labels than those that the design drew, the record alone says nothing
    record = record if record is not None and record.label in gold else None
    name = "the LabelDesign" + ("" if record is None else f" {record.fingerprint}") + " that drew the rows"
    problems, columns = [], []
    if sample_prob is None:
        prob = _found(data, names, SAMPLE_PROB)
        if record is not None and record.unequal if prob is None else _differ(prob):
            problems.append(_said(prob is not None, name, SAMPLE_PROB, UNEQUAL))
            columns += [] if prob is None else [f"sample_prob='{SAMPLE_PROB}'"]
    if cluster is None or not clusters:
        unit = _found(data, names, SAMPLE_UNIT)
        if unit is not None or (record is not None and record.units):
            problems.append(_said(unit is not None, name, SAMPLE_UNIT, TOGETHER))
            columns += [] if unit is None or not clusters else [f"cluster='{SAMPLE_UNIT}'"]
    if not problems:
        return ""
    instead = f", or {' and '.join(columns)}" if columns else ""
    drop = "" if not columns else ". If these labels were drawn in another way, drop the column"
    return f"{'; '.join(problems)}. Add design= with {name}{instead}{drop}"


UNEQUAL = (
    "unequal probabilities of being labelled, which the call does not use: the labelled rows are taken for an even sample, and "
    "estimates can be far off"
)
TOGETHER = "units whose rows were drawn together, which the call does not use: standard errors can be too small"


def _said(there: bool, design: str, column: str, what: str) -> str:
    return f"the data's column '{column}' records {what}" if there else f"the data come with {design}, which has {what}"


def _found(data: TableLike, names: list[str], name: str) -> FloatArray | None:
    """Numbers of a column of the package's, or None where there is none, or it holds something else."""
    if names.count(name) != 1:
        return None
    values = _numbers(to_pandas(data, [name])[name])
    if values is None or np.isnan(values).all():
        return None
    known = values[~np.isnan(values)]
    low, high = known.min(), known.max()
    within = low >= 0.0 and (high <= 1.0 or name == SAMPLE_UNIT)
    return values if within else None


def _numbers(column: pd.Series) -> FloatArray | None:
    kind = column.dtype
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind) or kind.kind == "c":
        return None
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))


def _differ(prob: FloatArray) -> bool:
    known = prob[~np.isnan(prob)]
    return bool(len(known) and np.ptp(known) > ROUNDED)
