"""Cells: the groups and periods whose shares are asked for, and the columns that make them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.arguments import as_name, as_names, warn_caller
from dsl.data.codes import check_codes
from dsl.data.columns import NamedColumns, named_columns
from dsl.data.design import SamplingDesign
from dsl.data.narrow import narrow
from dsl.data.sample import MANY_LEVELS
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike, as_numbers, first_rows
from dsl.exceptions import ArgumentError, CodingWarning, DataError, LabelError, OutcomeError


def roles_of(gold: str, single: Mapping[str, str | None], several: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The columns that the call names, and by which argument."""
    roles = {name: role for role, names in several.items() for name in names}
    return roles | {name: role for role, name in single.items() if name is not None} | {gold: "gold"}


def read_columns(
    data: DataLike,
    gold: str,
    single: Mapping[str, str | None],
    several: Mapping[str, tuple[str, ...]],
    design: SamplingDesign | None,
) -> pd.DataFrame:
    """The columns of the call, groups and time complete, gold labels without codes for missing."""
    if as_name(gold, "gold") is None:
        raise ArgumentError(f"gold must be the name of the column with the expert labels; found {gold!r}")
    roles = roles_of(gold, single, several)
    cells = [*several["by"], *as_names(single["time"], "time")]
    if len(set(cells)) < len(cells) or gold in cells:
        raise ArgumentError(f"by, time and gold name different columns; found {', '.join([*cells, gold])}")
    source = as_source(data)
    frame = named_columns(cast(TableLike, data), roles) if source is None else narrow(source, roles)
    if frame.empty:
        raise DataError("the data have no rows; look at the filter or join that made them")
    for name in cells:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"'{name}' ({roles[name]}) is missing in {first_rows(missing, frame.index)}: these rows belong to no cell; fill "
                "it, e.g. with 'unknown', or leave them out"
            )
    _check_codes(frame, gold, roles, single["labeled"], several["prediction"], design)
    return frame


def _check_codes(
    frame: pd.DataFrame,
    gold: str,
    roles: Mapping[str, str],
    labeled: str | None,
    predictions: tuple[str, ...],
    design: SamplingDesign | None,
) -> None:
    """Codes for missing, before whole numbers become categories."""
    pairs = {gold: predictions}
    columns = NamedColumns(named=roles, predicted=(gold,), prediction=predictions, labeled=labeled, pairs=pairs)
    stated = None if design is None and labeled is None else labeled_rows(frame, gold, labeled, design)
    for said in check_codes(frame, columns, stated):
        warn_caller(CodingWarning, said)


def make_categories(frame: pd.DataFrame, gold: str, predictions: Sequence[str]) -> None:
    """Leave 0/1 labels and text as they are, and make categories of whole numbers."""
    numbers = _as_numbers_if_all(frame[gold])
    if numbers is None:
        return  # text
    frame[gold], found = numbers, numbers.dropna().unique()
    if np.isin(found, (0.0, 1.0)).all():
        return
    # codes such as 1, 2, 3 become categories, measurements do not
    whole = found == np.round(found)
    if not whole.all() or len(found) > MANY_LEVELS:
        examples = ", ".join(f"{value:g}" for value in found[np.argsort(whole, kind="stable")][:3])
        raise OutcomeError(
            f"'{gold}' has {len(found)} different numbers such as {examples}: shares need 0/1 or categories. For its means, "
            f"dsl.dsl('{gold} ~ 0 + factor(group)'); for shares, cut it: (data['{gold}'] > ...) kept missing where not labelled"
        )
    for name in (gold, *predictions):
        codes = _as_numbers_if_all(frame[name])
        if codes is None or codes.nunique() > MANY_LEVELS or (len(predictions) > 1 and codes.max() <= 1.0):
            continue  # text, scores, probabilities of the categories
        frame[name] = _as_codes(codes)


def _as_numbers_if_all(column: pd.Series) -> pd.Series | None:
    """Numbers, also those written as text, or None if there is other text."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return as_numbers(column, "gold")
    values = pd.to_numeric(column.astype(object), errors="coerce").astype(float)
    return values if values.isna().equals(column.isna()) else None


def _as_codes(column: pd.Series) -> pd.Series:
    """Whole numbers as ordered categories (which say that they are not meant as numbers), and others as they are."""
    values = np.sort(column.dropna().unique())
    if not np.array_equal(values, np.round(values)):
        return column
    names = [f"{value:.0f}" for value in values]
    text = column.map(dict(zip(values, names, strict=True)))
    return text.astype(pd.CategoricalDtype(names, ordered=True))


def labeled_rows(frame: pd.DataFrame, gold: str, labeled: str | None, design: SamplingDesign | None) -> BoolArray:
    """Labelled rows as far as they can be told before `dsl.dsl` checks everything."""
    if isinstance(design, SamplingDesign):
        return np.asarray(frame.index.isin(design.drawn_rows))
    if labeled is not None:
        return np.asarray(as_numbers(frame[labeled], "labeled") == 1.0)
    return np.asarray(frame[gold].notna())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Groups and periods."""

    code: IntArray = field(repr=False)
    """(N,) cell of each row."""
    complete: BoolArray = field(repr=False)
    """(N,) rows without missing features and clusters."""
    values: pd.DataFrame
    """(C rows) the columns of `by` and `time`, sorted."""
    column: str
    """A name that no column of the data has."""
    rows: pd.DataFrame = field(repr=False)
    """(N rows) the same columns, row by row."""

    @classmethod
    def of(
        cls, frame: pd.DataFrame, gold: str, names: tuple[str, ...], *, optional: tuple[str, ...], cluster: str | None
    ) -> "Cells":
        """The combinations that have complete rows."""
        needed = [*optional, *as_names(cluster, "cluster")]
        complete = frame[needed].notna().all(axis=1).to_numpy() if needed else np.ones(len(frame), dtype=bool)
        column = "_cell"
        # a name of its own, whatever the data's columns are called
        while column in frame:
            column = f"_{column}"
        if not names:
            code, values = np.zeros(len(frame), dtype=np.int64), pd.DataFrame(index=[0])
        else:
            grouped = frame[complete].groupby(list(names), sort=True, observed=True)
            values = grouped.size().index.to_frame(index=False)
            # -1: rows without features, groups or a cluster belong to no cell
            code = np.full(len(frame), -1)
            code[complete] = grouped.ngroup().to_numpy()
        return cls(code=code, complete=complete, values=values, column=column, rows=frame[list(names)])

    def name(self, cell: int) -> str:
        """The cell in a message."""
        return ", ".join(f"{name}={value}" for name, value in self.values.iloc[cell].items()) or "all rows"

    def counts(self, mask: BoolArray) -> IntArray:
        """Rows (C,) of each cell where `mask` is True."""
        return np.bincount(self.code[mask & self.complete], minlength=len(self.values))

    def with_labels(self, labeled: BoolArray, empty: str) -> BoolArray:
        """Cells (C,) that have labelled rows. Raises LabelError if there are others, unless they are to be blank."""
        there = self.counts(labeled) > 0
        if not there.any():
            return np.ones_like(there)  # `dsl.dsl` says so
        if there.all():
            return there
        if empty == "blank":
            if (self.counts(labeled) == self.counts(self.complete))[there].all():
                raise DataError(
                    "every cell with labelled rows is labelled in full and the others are to be blank: predictions have no part "
                    "in this; tabulate the gold labels"
                )
            return there
        bare = np.flatnonzero(~there)
        first = "; ".join(self.name(cell) for cell in bare[:3])
        raise LabelError(
            f"{len(bare)} of {len(there)} cells have no labelled rows (first: {first}): nothing could correct the predictions "
            "there. Take broader groups or periods, draw labels in every cell (dsl.sampling.stratified), or pass empty='blank' "
            "to leave these shares missing"
        )

    def marker(self, used: BoolArray, refusals: str) -> tuple[str, ...]:
        """The feature that leaves the rows of other cells out, where one cell is used: it is missing there."""
        if used.all():
            return ()
        if refusals == "indicator":
            raise ArgumentError(
                "empty='blank' leaves a single cell, with which refusals='indicator' does not go; pass that cell's rows alone"
            )
        return (self.column,)

    def factor(self, used: BoolArray) -> pd.Categorical:
        """Each row's cell, missing in cells that are not used."""
        code = np.where(self.complete & used[self.code], self.code, -1)
        names: pd.Index = pd.Index([f"cell {j}" for j in range(len(used))])
        return pd.Categorical.from_codes(code, names)

    def features(self, time: str | None) -> dict[str, FloatArray | pd.Categorical]:
        """What the learner sees of groups and time, under names of their own."""
        out: dict[str, FloatArray | pd.Categorical] = {}
        for j, name in enumerate(self.rows):
            code, values = pd.factorize(self.rows[name], sort=True)
            # periods keep their order, so that a learner can follow a drift. Groups have none
            if name == time:
                out[f"{self.column}_{j}"] = code.astype(float)
            elif len(values) <= MANY_LEVELS:
                names: pd.Index = pd.Index([str(value) for value in range(len(values))])
                out[f"{self.column}_{j}"] = pd.Categorical.from_codes(code, names)
        # a constant column tells the learner nothing
        return {name: value for name, value in out.items() if len(np.unique(np.asarray(value))) > 1}
