"""Calls of few columns from a source: these in a few bytes a row, for shares handed on in blocks."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from dsl._typing import Arguments, BoolArray, FloatArray, IntArray
from dsl.analyses.cells import Cells, make_categories, read_columns
from dsl.analyses.results import DSLResults
from dsl.data.design import SamplingDesign
from dsl.data.narrow import ROWS, narrow
from dsl.data.recorded import COLUMNS
from dsl.data.source import DataLike, Source
from dsl.data.tables import as_numbers, is_category
from dsl.exceptions import NeedsAllRowsError


class Held:
    """A table of narrow columns (`dsl.data.narrow`) in blocks, which begin anew with every iterator."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """The blocks."""
        return (self.frame.iloc[start : start + ROWS] for start in range(0, len(self.frame), ROWS))


def held_table(source: Source, named: Mapping[str, str]) -> pd.DataFrame:
    """The columns of a call, and those in which a design is recorded, of all rows in a few bytes each."""
    recorded = {name: "data" for name in COLUMNS if name in source.names}
    out = narrow(source, {**recorded, **named})
    out.attrs = dict(source.attrs)
    return out


def _check_narrow(text: str | None) -> None:
    """Raise NeedsAllRowsError for columns of texts."""
    if text is not None:
        raise NeedsAllRowsError(
            "a learner that reads texts (text=) cannot be had yet where data are read in blocks: it needs all rows in memory. "
            "Read them into a table if they fit, or leave it out"
        )


def _check_one_equation(gold: pd.Series) -> None:
    """Raise NeedsAllRowsError where shares of several categories are asked for."""
    if pd.api.types.is_numeric_dtype(gold.dtype) and not is_category(gold):
        return
    found = gold.dropna().unique()
    if len(found) > 2:
        raise NeedsAllRowsError(
            f"'{gold.name}' has {len(found)} categories, whose shares have a joint covariance that needs all rows at once; where "
            "data are read in blocks ask for one share at a time, of a column that is 1 for the category and 0 for others (gold "
            "and prediction)"
        )


def first_recorded(source: Source) -> pd.DataFrame:
    """The columns in which a design is recorded, of the first block."""
    names = [name for name in COLUMNS if name in source.names]
    return next(source.frames(names, ROWS)) if names else pd.DataFrame()


def as_read(values: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Values of cells in the types that the source has: text is text."""
    if not len(values.columns):
        return values
    first = next(source.frames([str(name) for name in values], 1))
    text = {name: first[name].dtype for name in values if is_category(values[name]) and not is_category(first[name])}
    return values.astype(text) if text else values


def read_call(
    data: DataLike,
    gold: str,
    single: Mapping[str, str | None],
    several: Mapping[str, tuple[str, ...]],
    design: SamplingDesign | None,
    *,
    blocks: bool,
) -> pd.DataFrame:
    """The columns of the call, labels as they are counted."""
    if blocks:
        _check_narrow(single["text"])
    frame = read_columns(data, gold, single, several, design)
    make_categories(frame, gold, several["prediction"])
    if blocks:
        _check_one_equation(frame[gold])
    return frame


def labels_of(
    fit: DSLResults, frame: pd.DataFrame, marked: BoolArray, cells: Cells, used: BoolArray, arguments: Arguments
) -> tuple[IntArray, FloatArray]:
    """Cell of each labelled row that counts, and what the row counts for, (m,)."""
    if fit.sample.fingerprint:
        return cells.code[cells.complete & used[cells.code]][fit.sample.labeled], fit.sample.label_weight
    return _labels_in_cells(frame, marked, cells, used, prob=arguments["sample_prob"], weights=arguments["weights"])


def _labels_in_cells(
    frame: pd.DataFrame, marked: BoolArray, cells: Cells, used: BoolArray, *, prob: str | None, weights: str | None
) -> tuple[IntArray, FloatArray]:
    """Cell of each labelled row that counts, and what the row counts for up to a factor, (m,)."""
    mine = marked & cells.complete & used[cells.code]
    count = np.ones(int(mine.sum()))
    if prob is not None:
        count /= as_numbers(frame.loc[mine, prob], "sample_prob").to_numpy()
    if weights is not None:
        count *= as_numbers(frame.loc[mine, weights], "weights").to_numpy()
    return cells.code[mine], count
