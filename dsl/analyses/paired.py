"""Gold values and their surrogates, row by row, with the weights of the labelled and of the other rows.

Labelled rows count w = R / pi, the others (1 - R) / (1 - pi): each set of weights makes its rows stand for all of them.
Rows that were certain to be labelled, pi = 1, are never among the others. As nothing about them is left to chance, they
count once on both sides, where they cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import as_lambda, as_name, as_names, check_target, warn_caller
from dsl.data.columns import Columns
from dsl.data.design import SamplingDesign
from dsl.data.formula.sides import Values
from dsl.data.messages import rows_left_out
from dsl.data.recorded import warn_if_unused
from dsl.data.sample import Sample, prepare
from dsl.data.tables import TableLike, column_names, first_rows, to_pandas
from dsl.estimators.analysis import look
from dsl.estimators.surrogates import raw_versions
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    CodingWarning,
    DroppedRowsWarning,
    LabelError,
    LeakError,
    SampleProbabilityError,
)


class _Named(Columns):
    """Columns under the argument names of the calls that compare gold values with surrogates."""

    def roles(self) -> dict[str, str]:
        named = Columns.roles(self)
        return {name: "gold" if role == "predicted_var" else role for name, role in named.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Checked rows of one analysis."""

    sample: Sample
    predicted: tuple[str, ...]
    """Names of the gold columns."""
    surrogates: Values
    """(N,) surrogate of each, in the kind of the gold values."""
    weight: FloatArray
    """(N,) R / pi: the labelled rows stand for all."""
    other: FloatArray
    """(N,) (1 - R) / (1 - pi): the unlabelled rows stand for all. It is one where pi is one."""
    prob: FloatArray
    """(N,) pi"""

    @property
    def labeled_rows(self) -> IntArray:
        """Positions of the labelled rows."""
        return np.flatnonzero(self.sample.labeled)

    @property
    def other_rows(self) -> IntArray:
        """Positions of the rows whose surrogates stand for all rows: the unlabelled ones, and the certain ones."""
        return np.flatnonzero(self.other > 0.0)


def read(
    data: TableLike,
    *,
    gold: str | Sequence[str],
    prediction: str | Sequence[str],
    labeled: str | None,
    sample_prob: str | None,
    cluster: str | None,
    design: SamplingDesign | None,
    target: str = "superpopulation",
) -> Paired:
    """Check the data and weigh the rows. Arguments as in ``dsl.ppi_statistic``."""
    check_target(target)
    if target == "finite" and cluster is not None:
        raise ArgumentError(
            f"cluster={cluster!r} has no meaning with target='finite': only the choice of the labelled rows is random. Where "
            "whole clusters were drawn, pass the design (dsl.sampling.clustered); else leave cluster out"
        )
    golds, predictions = as_names(gold, "gold"), as_names(prediction, "prediction")
    _check_pairs(golds, predictions)
    if design is not None and (labeled is not None or sample_prob is not None):
        raise ArgumentError(
            "design says which rows were drawn with which probability; leave out labeled and sample_prob"
        )
    columns = _Named(
        formula=(),
        predicted=golds,
        prediction=predictions,
        labeled=as_name(labeled, "labeled"),
        sample_prob=as_name(sample_prob, "sample_prob"),
        cluster=as_name(cluster, "cluster"),
        pairs=dict(zip(golds, ((name,) for name in predictions), strict=True)),
    )
    sample = prepare(data, columns, design)
    if sample.n_labeled < 2:
        raise LabelError(
            f"intervals need two labelled rows at least; found {sample.n_labeled}: label more rows, drawn at random"
        )
    _warn_about(sample)
    if not sample.labeled.all():
        clusters = target != "finite"
        warn_if_unused(data, gold=golds, design=design, sample_prob=sample_prob, cluster=cluster, clusters=clusters)
    look(sample, columns, data, design)
    prob = sample.labeling.prob
    _check_certain(sample, sample_prob)
    surrogates = raw_versions(_Rows(sample, golds), columns.pairs, "ppi")
    certain = prob >= 1.0
    return Paired(
        sample=sample,
        predicted=golds,
        surrogates=surrogates[0][0],
        weight=sample.labeled / prob,
        # inner where: no division by 1 - pi = 0, whose value would be thrown away but warned about
        other=np.where(certain, 1.0, ~sample.labeled / np.where(certain, 1.0, 1.0 - prob)),
        prob=prob,
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """What `raw_versions` reads."""

    sample: Sample
    predicted: tuple[str, ...]


def _check_pairs(golds: tuple[str, ...], predictions: tuple[str, ...]) -> None:
    if not golds:
        raise ArgumentError("gold names no column; name the one with the expert labels")
    if len(golds) != len(predictions):
        raise ArgumentError(
            f"gold names {len(golds)} column(s) and prediction {len(predictions)}; give one surrogate for each gold column, "
            "in the same order"
        )
    both = sorted(set(golds) & set(predictions))
    if both:
        raise LeakError(f"'{both[0]}' is gold and prediction at once; name the column with the surrogate labels")


def _warn_about(sample: Sample) -> None:
    if sample.n_input > len(sample.data):
        warn_caller(DroppedRowsWarning, rows_left_out(sample.n_input, len(sample.data), sample.dropped))
    for said in sample.codings:
        warn_caller(CodingWarning, said)
    if sample.labeled.all():
        warn_caller(
            AllLabeledWarning, "every row is labelled: surrogates are not used, these are the gold values alone"
        )


def _check_certain(sample: Sample, sample_prob: str | None) -> None:
    """Raise SampleProbabilityError for rows that were certain to be labelled and are not."""
    missed = (sample.labeling.prob >= 1.0) & ~sample.labeled
    if sample_prob is not None and missed.any():
        raise SampleProbabilityError(
            f"{first_rows(missed, sample.labels)} have sampling probability 1 in '{sample_prob}' but no gold value; label "
            "them, or correct the probabilities"
        )


def whole_frame(data: TableLike, paired: Paired) -> pd.DataFrame:
    """All columns of the data, rows of the analysis, with gold columns in their checked kind."""
    frame = to_pandas(data, column_names(data)).iloc[paired.sample.rows].copy(deep=False)
    for name in paired.predicted:
        frame[name] = paired.sample.data[name]
    return frame


def fixed_lambda(tune: object, kinds: tuple[str, ...]) -> float | None:
    """The number that `tune` is, or None where it is one of `kinds`: lambda is then chosen from the data."""
    if isinstance(tune, str) and tune in kinds:
        return None
    number = as_lambda(tune)
    if number is None:
        raise ArgumentError(
            f"tune must be {' or '.join(map(repr, kinds))}, or a number (1: plain prediction-powered inference, 0: the labelled "
            f"rows alone); found {tune!r}"
        )
    return number
