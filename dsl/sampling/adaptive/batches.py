"""Batches drawn and labelled so far, and coders' labels on their way in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.messages import each_value
from dsl.data.tables import as_numbers, first_rows
from dsl.exceptions import ArgumentError, LabelError
from dsl.sampling.adaptive.probabilities import combined
from dsl.sampling.adaptive.settings import Settings


class Facts(TypedDict):
    """How the probabilities of a batch came about, by coefficient."""

    rho: Mapping[str, float]
    relative_variance: Mapping[str, float]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch."""

    number: int
    """1, 2, ..."""
    rows: IntArray = field(repr=False)
    """(n,) positions of the rows drawn, ascending."""
    now: FloatArray = field(repr=False)
    """(N,) probability of being drawn in this batch, for a row not drawn before."""
    facts: Facts
    labels: FloatArray | None = field(repr=False, default=None)
    """(n, q) gold labels, or None until they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveStatus:
    """How far an adaptive design has come."""

    batch: int
    """Batches labelled."""
    n_labeled: int
    """Rows labelled."""
    n_labels: int
    """Labels in all."""
    waiting: int
    """Rows drawn whose labels are not there yet."""
    done: bool
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """All batches of a population of `size` rows with `width` predicted variables."""

    size: int
    width: int
    batches: tuple[Batch, ...] = ()

    @property
    def waiting(self) -> Batch | None:
        """The batch whose labels are not there yet."""
        return self.batches[-1] if self.batches and self.batches[-1].labels is None else None

    @property
    def complete(self) -> tuple[Batch, ...]:
        """Batches with labels."""
        return tuple(batch for batch in self.batches if batch.labels is not None)

    @property
    def gold(self) -> FloatArray:
        """Gold labels, NaN where there are none, (N, q)."""
        gold = np.full((self.size, self.width), np.nan)
        # later batches hold other rows, so that nothing is overwritten
        for batch in self.complete:
            gold[batch.rows] = batch.labels
        return gold

    @property
    def labeled(self) -> BoolArray:
        """Rows with gold labels, (N,)."""
        labeled = np.zeros(self.size, dtype=bool)
        for batch in self.complete:
            labeled[batch.rows] = True
        return labeled

    @property
    def n_labeled(self) -> int:
        """Number of rows with gold labels."""
        return sum(len(batch.rows) for batch in self.complete)

    @property
    def total(self) -> FloatArray:
        """Probability of having been drawn in any complete batch, (N,)."""
        total = np.zeros(self.size)
        # 1 - prod_t (1 - pi_t), batch by batch
        for batch in self.complete:
            total = combined(total, batch.now)
        return total


def history_table(batches: tuple[Batch, ...]) -> pd.DataFrame:
    """One row per batch."""
    rows = [
        {
            "batch": batch.number,
            "rows": len(batch.rows),
            "labeled": batch.labels is not None,
            "prob_min": float(batch.now.min()),
            "prob_max": float(batch.now.max()),
            "rho": max(batch.facts["rho"].values(), default=np.nan),
            "relative_variance": max(batch.facts["relative_variance"].values(), default=1.0),
            "note": batch.facts["note"],
        }
        for batch in batches
    ]
    names = ["batch", "rows", "labeled", "prob_min", "prob_max", "rho", "relative_variance", "note"]
    return pd.DataFrame(rows, columns=names).set_index("batch")


def read_labels(
    given: object, rows: pd.Index, settings: Settings, *, codebook: Mapping[str, Sequence[float]]
) -> FloatArray:
    """Coders' labels in the batch's order, (n, q).

    Parameters
    ----------
    given : Series or DataFrame
        Indexed by row label. A DataFrame has a column for each predicted variable.
    rows : Index, (n,)
        Labels of the batch's rows.
    settings : Settings
    codebook : mapping
        Labels that may be given, by predicted variable.

    Raises
    ------
    LabelError
        Rows are missing, repeated or not of this batch, or labels are missing or not in the codebook.
    """
    frame = _frame(given, settings.predicted)
    _check_rows(frame.index, rows)
    # after the check: the batch's order, whatever the coder's was
    frame = frame.reindex(rows)
    out = np.empty((len(rows), len(settings.predicted)))
    for j, name in enumerate(settings.predicted):
        values = as_numbers(frame[name], "predicted_var").to_numpy()
        _check_values(values, name, rows, codebook.get(name))
        out[:, j] = values
    return out


def _frame(given: object, predicted: tuple[str, ...]) -> pd.DataFrame:
    if isinstance(given, pd.Series) and len(predicted) == 1:
        return given.to_frame(predicted[0])
    if not isinstance(given, pd.DataFrame):
        what = "a Series" if len(predicted) == 1 else "a DataFrame"
        raise ArgumentError(
            f"labels must be {what} indexed by row label, as in pd.Series(values, index=batch.index); found "
            f"{type(given).__name__}"
        )
    lacking = [name for name in predicted if name not in given.columns]
    if lacking:
        raise LabelError(
            f"the labels have no column '{lacking[0]}'; found {', '.join(map(str, given.columns[:8]))}. Name the column of "
            f"labels after the predicted variable, labels.rename(columns={{...: '{lacking[0]}'}})"
        )
    return given[list(predicted)]


def indexed(answer: ArrayLike, rows: pd.Index, predicted: tuple[str, ...]) -> pd.DataFrame:
    """An array of labels in the batch's order as a table."""
    values = np.asarray(answer)
    if values.shape not in {(len(rows), len(predicted)), *([(len(rows),)] if len(predicted) == 1 else [])}:
        raise ArgumentError(
            f"ask returned labels of shape {values.shape} for {len(rows)} rows and {len(predicted)} predicted variable(s); "
            "return one for each row of the batch, in its order, or a Series indexed like it"
        )
    return pd.DataFrame(values.reshape(len(rows), -1), index=rows, columns=list(predicted))


def _check_rows(found: pd.Index, rows: pd.Index) -> None:
    for wrong, what, advice in (
        (found.duplicated(), "are in the labels more than once", "keep one label for each row"),
        (
            ~found.isin(rows),
            "are not in this batch",
            "labels are matched by the index, which must be that of next_batch()",
        ),
    ):
        if wrong.any():
            raise LabelError(f"{first_rows(wrong, found)} {what}; {advice}. Nothing of this batch was recorded")
    lacking = ~rows.isin(found)
    if lacking.any():
        raise LabelError(
            f"{first_rows(lacking, rows)} of {len(rows)} in this batch have no label; give all of them at once: leaving out rows "
            "that are hard to label would make the estimate wrong. Nothing of this batch was recorded"
        )


def _check_values(values: FloatArray, name: str, rows: pd.Index, codes: Sequence[float] | None) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        raise LabelError(
            f"'{name}' is missing or infinite in {first_rows(bad, rows)}; every row of the batch needs a label. Nothing of this "
            "batch was recorded"
        )
    if codes is not None and (bad := ~np.isin(values, codes)).any():
        raise LabelError(
            f"'{name}' has labels outside the codebook: {each_value(pd.Series(values, index=rows)[bad])}; the codebook has "
            f"{', '.join(f'{code:g}' for code in codes)}. Nothing of this batch was recorded"
        )
